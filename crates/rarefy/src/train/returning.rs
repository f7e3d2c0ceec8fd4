//! Which zeros may come back, judged by their gradients: those that are pulled off 0 harder than they are held there.
//!
//! ```text
//! penalty     a weight at 0 moves if  |gradient| > slope of the penalty at 0                      (L1: lambda)
//! groups      a group at 0 moves if   norm(gradients) > lambda sqrt(size)
//! l1-ball     as under an L1 penalty of the strength that its nonzeros withstand: their mean |gradient|
//! bounds      only to the side that is allowed
//! top-k       any; the largest gradients are tried first
//! ```
//! Of weights in row blocks a block is what moves, by the norm of its gradients.
//!
//! At the optimum of a convex problem no zero is pulled that hard (the conditions of Karush, Kuhn and Tucker). So where
//! gradients are exact, because every batch is the whole training part, the others may leave storage; those that this
//! wrongs are found when absent connections are looked at.

use crate::layers::{Gradient, Network, Parameter};
use crate::penalties::{Constraint, GroupBy, GroupL1, Regularizer, Scope};
use crate::topology::{View, for_each_row, strongest_absent};

/// The share of what holds a zero that makes it worth a place: most that leave at less never return.
const MARGIN: f32 = 0.9;

/// What holds the zeros of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Hold {
    /// They stay zeros.
    Firm,
    /// Each lets go by itself.
    Each {
        /// What its gradient must beat.
        threshold: f32,
        /// Whether it may become negative, and whether positive.
        sides: [bool; 2],
    },
    /// Groups let go.
    Groups {
        by: GroupBy,
        penalty: GroupL1,
        /// Connections of a whole group.
        size: usize,
        /// Of the groups with stored connections those that do, or that have others than zeros.
        free: Vec<bool>,
    },
}

/// What holds the zeros of each parameter.
pub(super) fn holds(
    (network, gradients): (&Network, &[Gradient]),
    regularizer: Option<&Regularizer>,
    constraint: Option<Constraint>,
) -> Vec<Hold> {
    let withstood = match constraint {
        Some(Constraint::L1Ball(_, Scope::Global)) => {
            Some(mean_gradient(network.weights().map(|(index, parameter)| (parameter, &gradients[index]))))
        }
        _ => None,
    };
    let of_weight = |parameter: &Parameter, gradient: &Gradient| {
        let (rows, cols) = (parameter.weights.rows(), parameter.weights.cols());
        let slope = match regularizer {
            Some(Regularizer::Prox(penalty)) => MARGIN * penalty.slope_at_zero(),
            Some(Regularizer::Groups(penalty, GroupBy::Blocks)) => {
                MARGIN * penalty.pull(parameter.weights.block_height()) as f32
            }
            Some(&Regularizer::Groups(penalty, by)) => {
                let size = if by == GroupBy::Neurons { cols } else { rows };
                let free = free_groups((parameter, gradient), penalty, by);
                return Hold::Groups { by, penalty, size, free };
            }
            Some(Regularizer::Thresholds { .. } | Regularizer::Gates { .. }) => return Hold::Firm,
            Some(Regularizer::Subgradient(_)) | None => 0.0,
        };
        let (threshold, sides) = match constraint {
            Some(Constraint::L1Ball(..)) => {
                let mean = withstood.unwrap_or_else(|| mean_gradient(std::iter::once((parameter, gradient))));
                (slope.max(MARGIN * mean), [true; 2])
            }
            Some(Constraint::Bounds(bounds)) => (slope, bounds.sides()),
            Some(Constraint::TopK(..)) | None => (slope, [true; 2]),
        };
        Hold::Each { threshold, sides }.of_the_strongest(parameter, gradient)
    };
    let parameters = network.parameters().zip(gradients);
    parameters
        .map(|(it, gradient)| if it.is_weight() { of_weight(it, gradient) } else { Hold::Firm })
        .collect()
}

impl Hold {
    /// The magnitude of a gradient that pulls a single zero off, else 0.
    fn pull(threshold: f32, [below, above]: [bool; 2], gradient: f32) -> f32 {
        let pulls = (gradient > threshold && below) || (-gradient > threshold && above);
        if pulls { gradient.abs() } else { 0.0 }
    }

    /// Whether the stored zero at `(row, col)`, or the block of zeros, with this gradient may come back.
    pub(super) fn lets_go(&self, (row, col): (usize, usize), gradient: f32) -> bool {
        match self {
            Hold::Firm => false,
            Hold::Each { threshold, sides } => Hold::pull(*threshold, *sides, gradient) > 0.0,
            Hold::Groups { by, free, .. } => free[group(*by, row, col)],
        }
    }

    /// What holds the zeros where no more may come back than there is room for: those of the largest gradients.
    fn of_the_strongest(self, parameter: &Parameter, gradient: &Gradient) -> Hold {
        let Hold::Each { threshold, sides } = self else { return self };
        let weights = &parameter.weights;
        let (values, gradients) = (weights.worth(weights.values()), weights.worth(&gradient.values));
        let zeros = weights.choices().filter(|&(_, place)| values[place] == 0.0);
        let pulls = zeros.map(|(_, place)| Hold::pull(threshold, sides, gradients[place]));
        let mut pulls: Vec<f32> = pulls.filter(|&pull| pull > 0.0).collect();
        let room = room(parameter);
        if pulls.len() <= room {
            return self;
        }
        let (_, threshold, _) = pulls.select_nth_unstable_by(room, |a, b| b.total_cmp(a));
        Hold::Each { threshold: *threshold, sides }
    }

    /// The absent connections that may come back, `count` at most of those that do each by itself; in order.
    pub(super) fn absent(&self, view: &mut View<'_>, count: usize) -> Vec<usize> {
        match self {
            Hold::Firm => Vec::new(),
            Hold::Each { threshold, sides } => {
                strongest_absent(view, count, |gradient| Hold::pull(*threshold, *sides, gradient))
            }
            Hold::Groups { by, penalty, size, .. } => absent_groups(view, *penalty, *by, *size),
        }
    }
}

/// How many zeros may stay stored: as many as there are other weights, so that memory follows these, and a few where there
/// are none yet.
pub(super) fn room(parameter: &Parameter) -> usize {
    let weights = &parameter.weights;
    nonzeros(parameter).max(weights.rows() / weights.block_height() + weights.cols())
}

/// Weights, or blocks of them, that are not 0.
pub(super) fn nonzeros(parameter: &Parameter) -> usize {
    parameter.weights.worth(parameter.weights.values()).iter().filter(|&&value| value != 0.0).count()
}

/// The mean magnitude of the gradients of weights that are not 0.
fn mean_gradient<'a>(parameters: impl Iterator<Item = (&'a Parameter, &'a Gradient)>) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (Parameter { weights, .. }, gradient) in parameters {
        let (values, gradients) = (weights.worth(weights.values()), weights.worth(&gradient.values));
        for (_, gradient) in values.iter().zip(gradients.iter()).filter(|(value, _)| **value != 0.0) {
            (sum, count) = (sum + f64::from(gradient.abs()), count + 1.0);
        }
    }
    (sum / f64::max(count, 1.0)) as f32
}

/// The group of a cell.
fn group(by: GroupBy, row: usize, col: usize) -> usize {
    if by == GroupBy::Neurons { row } else { col }
}

/// Of each group whether it has weights that are not 0, or gradients that move it off 0.
fn free_groups((parameter, gradient): (&Parameter, &Gradient), penalty: GroupL1, by: GroupBy) -> Vec<bool> {
    let (rows, cols) = (parameter.weights.rows(), parameter.weights.cols());
    let mut groups = vec![(0, 0.0, false); if by == GroupBy::Neurons { rows } else { cols }];
    for (cell, slot) in parameter.weights.connections() {
        let (size, squares, lives) = &mut groups[group(by, cell / cols, cell % cols)];
        (*size, *squares) = (*size + 1, *squares + f64::from(gradient.values[slot]).powi(2));
        *lives |= parameter.weights.values()[slot] != 0.0;
    }
    let is_free = |(size, squares, lives): (usize, f64, bool)| {
        lives || squares.sqrt() > f64::from(MARGIN) * penalty.pull(size)
    };
    groups.into_iter().map(is_free).collect()
}

/// The cells of the groups that have no connection and are pulled off 0; in order.
fn absent_groups(view: &mut View<'_>, penalty: GroupL1, by: GroupBy, size: usize) -> Vec<usize> {
    let (rows, cols) = (view.weights.rows(), view.weights.cols());
    let mut squares = vec![0.0; if by == GroupBy::Neurons { rows } else { cols }];
    for_each_row(rows, cols, &mut view.absent, |row, gradients| {
        for (col, &gradient) in gradients.iter().enumerate() {
            squares[group(by, row, col)] += f64::from(gradient).powi(2);
        }
    });
    for (cell, _) in view.weights.connections() {
        squares[group(by, cell / cols, cell % cols)] = 0.0;
    }
    let comes = |squares: f64| squares.sqrt() > f64::from(MARGIN) * penalty.pull(size);
    (0..rows * cols).filter(|cell| comes(squares[group(by, cell / cols, cell % cols)])).collect()
}
