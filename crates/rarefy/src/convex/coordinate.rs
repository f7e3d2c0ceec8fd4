//! Coordinate descent inside proximal Newton steps: one feature after another goes to its optimum.
//!
//! ```text
//! model     loss(w + d) ~ loss(w) - q' Xc d + d' Xc' H Xc d / 2      q_i = p_i r_i,   H_ii = p_i f''_i,   p_i = weight / total
//! feature j      a = sum_i h_i (x_ij - m_j)^2,   m_j = sum_i h_i x_ij / sum_i h_i         the intercept follows each step
//!                w_j = soft_threshold(a w_j + slope, l1) / (a + ridge),   slope = sum_i x_ij (q - H Xc d)_i
//! step      halved until the loss itself falls; of squared loss the model is the loss
//! ```
//!
//! Columns are not centred in storage, so that a sparse one costs its stored values alone: what the intercept takes up is one
//! number `shift` beside the residuals, `q - H Xc d = rest + shift h`.
//!
//! Sources: Friedman, Hastie and Tibshirani 2010 (glmnet); Yuan, Ho and Lin 2012 (newGLMNET, with the line search).

use super::gram::OnSet;
use super::proximal::{Smooth, Watch, soft_threshold};
use super::{Loss, Penalty, Problem};

/// Passes over the set for each Newton step at most.
const PASSES: usize = 20;

/// A Newton step's passes end when the largest improvement of one is below this part of that of the first.
const ENOUGH: f64 = 1e-3;

/// The part of what a step promises that it must keep.
const ARMIJO: f64 = 1e-4;

/// Improves the weights of `features` until the gap on this set is at most `gap`, or `most` passes are made. Gives the passes.
pub(super) fn descend(
    problem: &Problem,
    features: &[usize],
    penalty: Penalty,
    weights: &mut Vec<f64>,
    (gap, most): (f64, usize),
    watch: Watch<'_>,
) -> usize {
    let Problem { design, targets, loss, isa, .. } = problem;
    let (l1, ridge) = (penalty.l1_part(), penalty.ridge_part());
    let samples = targets.len();
    let image = |weights: &[f64], out: &mut [f64]| {
        let live = features.iter().copied().zip(weights.iter().copied()).filter(|(_, weight)| *weight != 0.0);
        design.combine(*isa, &live.collect::<Vec<_>>(), out);
    };
    let (mut z, mut step) = (vec![0.0; samples], vec![0.0; samples]);
    let (mut residual, mut bends, mut rest) = (vec![0.0; samples], vec![0.0; samples], vec![0.0; samples]);
    let mut slopes = vec![0.0; features.len()];
    image(weights, &mut z);
    let mut intercept = loss.intercept(&z, targets, 0.0);
    let mut best_dual = f64::NEG_INFINITY;
    let mut taken = 0;
    loop {
        loss.residual(&z, intercept, targets, &mut residual);
        problem.correlations_of(features, &residual, &mut slopes);
        let steepest =
            slopes.iter().zip(&*weights).fold(0.0f64, |most, (c, w)| most.max((c - ridge * w).abs()));
        let limit = if steepest > 0.0 { l1 / steepest } else { f64::MAX };
        let square: f64 = weights.iter().map(|w| w * w).sum();
        best_dual = best_dual.max(loss.dual(&residual, targets, ridge * square, limit));
        let objective = loss.mean(&z, intercept, targets) + penalty.value(weights.iter().copied());
        if objective - best_dual <= gap || taken >= most || watch() {
            return taken;
        }
        targets.each(|at, y, weight| {
            let share = weight / targets.total;
            bends[at] = share * loss.bend(residual[at], y);
            rest[at] = share * residual[at];
        });
        let mut model = Quadratic::new(problem, features, &bends, &mut rest);
        let before = weights.clone();
        let passes = PASSES.min(most - taken);
        taken += model.descend(weights, l1, ridge, passes);
        image(weights, &mut step);
        step.iter_mut().zip(&z).for_each(|(step, z)| *step -= z);
        if *loss == Loss::Squared {
            z.iter_mut().zip(&step).for_each(|(z, step)| *z += step);
            intercept = loss.intercept(&z, targets, intercept);
            continue;
        }
        let promised = penalty.value(weights.iter().copied())
            - penalty.value(before.iter().copied())
            - (slopes.iter().zip(&*weights).zip(&before)).map(|((c, new), old)| c * (new - old)).sum::<f64>();
        let whole = weights.clone();
        let mut part = 1.0;
        loop {
            step.iter().zip(&mut z).for_each(|(step, z)| *z += part * step);
            let moved = loss.intercept(&z, targets, intercept);
            for ((weight, whole), before) in weights.iter_mut().zip(&whole).zip(&before) {
                *weight = if part == 1.0 { *whole } else { before + part * (whole - before) };
            }
            let reached = loss.mean(&z, moved, targets) + penalty.value(weights.iter().copied());
            // Near the optimum a difference of objectives is rounding.
            if reached <= objective + ARMIJO * part * promised + 1e-15 * objective.abs() {
                intercept = moved;
                break;
            }
            step.iter().zip(&mut z).for_each(|(step, z)| *z -= part * step);
            part *= 0.5;
            if part < 1e-12 {
                *weights = before;
                return taken;
            }
        }
    }
}

/// The quadratic model of the loss around some weights.
struct Quadratic<'a> {
    problem: &'a Problem,
    features: &'a [usize],
    bends: &'a [f64],
    /// `sum h x / sum h` and `sum h (x - m)^2` of each feature.
    curves: Vec<(f64, f64)>,
    /// The sum of the bends.
    bend: f64,
    rest: &'a mut [f64],
    shift: f64,
}

impl<'a> Quadratic<'a> {
    fn new(
        problem: &'a Problem,
        features: &'a [usize],
        bends: &'a [f64],
        rest: &'a mut [f64],
    ) -> Quadratic<'a> {
        let bend: f64 = bends.iter().sum();
        let curve = |&feature: &usize| {
            let (first, second) = problem.design.moments(problem.isa, feature, bends);
            if problem.targets.has_intercept && bend > 0.0 {
                (first / bend, (second - first * (first / bend)).max(0.0))
            } else {
                (0.0, second)
            }
        };
        let curves = features.iter().map(curve).collect();
        Quadratic { problem, features, bends, curves, bend, rest, shift: 0.0 }
    }

    /// Passes over the features until they gain little more; all of them first, then those in use.
    fn descend(&mut self, weights: &mut [f64], l1: f64, ridge: f64, most: usize) -> usize {
        let mut first = 0.0;
        let all: Vec<usize> = (0..weights.len()).collect();
        let mut turn = all;
        for pass in 1..=most {
            let mut largest = 0.0f64;
            for &at in &turn {
                largest = largest.max(self.improve(at, &mut weights[at], l1, ridge));
            }
            if pass == 1 {
                first = largest;
                turn.retain(|&at| weights[at] != 0.0);
            } else if largest <= ENOUGH * first {
                return pass;
            }
        }
        most
    }

    /// Brings one weight to its optimum, the others as they are. Gives its improvement, about.
    fn improve(&mut self, at: usize, weight: &mut f64, l1: f64, ridge: f64) -> f64 {
        let Problem { design, isa, .. } = self.problem;
        let (feature, (mean, curve)) = (self.features[at], self.curves[at]);
        if curve + ridge <= 0.0 {
            return 0.0;
        }
        let slope = design.dot(*isa, feature, self.rest) + self.shift * self.bend * mean;
        let new = soft_threshold(curve * *weight + slope, l1) / (curve + ridge);
        let step = new - *weight;
        if step == 0.0 {
            return 0.0;
        }
        design.subtract(*isa, feature, step, self.bends, self.rest);
        self.shift += mean * step;
        *weight = new;
        (curve + ridge) * step * step
    }
}

/// The same for squared loss by the products of the set's features.
pub(super) fn descend_products(
    products: &mut OnSet,
    penalty: Penalty,
    weights: &mut [f64],
    (gap, most): (f64, usize),
    watch: Watch<'_>,
) -> usize {
    let (l1, ridge) = (penalty.l1_part(), penalty.ridge_part());
    let size = weights.len();
    let (mut image, mut slopes) = (vec![0.0; size], vec![0.0; size]);
    let mut best_dual = f64::NEG_INFINITY;
    let mut taken = 0;
    loop {
        products.image(weights, &mut image);
        products.gradient(&image, &mut slopes);
        let steepest =
            slopes.iter().zip(&*weights).fold(0.0f64, |most, (g, w)| most.max((g + ridge * w).abs()));
        let limit = if steepest > 0.0 { l1 / steepest } else { f64::MAX };
        let square: f64 = weights.iter().map(|w| w * w).sum();
        let (value, dual) = products.values(weights, &image, ridge * square, limit);
        best_dual = best_dual.max(dual);
        let found = value + penalty.value(weights.iter().copied()) - best_dual;
        if found <= gap || taken >= most || watch() {
            return taken;
        }
        let passes = PASSES.min(most - taken);
        for _ in 0..passes {
            for at in 0..size {
                let curve = products.square_of(at);
                if curve + ridge <= 0.0 {
                    continue;
                }
                let slope = products.targets()[at] - image[at];
                let new = soft_threshold(curve * weights[at] + slope, l1) / (curve + ridge);
                let step = new - weights[at];
                if step != 0.0 {
                    products.add(at, step, &mut image);
                    weights[at] = new;
                }
            }
        }
        taken += passes;
    }
}
