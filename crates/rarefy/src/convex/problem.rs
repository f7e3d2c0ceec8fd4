//! What is to be solved: features, targets and a loss, checked once; and the penalty.

use super::{Design, Loss};
use crate::kernels::Isa;
use crate::{Error, Result};

/// Features, targets and a loss that fit together.
pub struct Problem {
    pub(super) design: Design,
    pub(super) targets: Vec<f64>,
    pub(super) loss: Loss,
    pub(super) isa: Isa,
    /// Columns that change; the others have no part in the answer.
    pub(super) columns: Vec<usize>,
    /// The mean of each column.
    pub(super) means: Vec<f64>,
    /// The answer without features, where every path starts.
    pub(super) null: Null,
}

/// The model that is an intercept alone.
pub(super) struct Null {
    pub intercept: f64,
    pub objective: f64,
    pub residual: Vec<f64>,
    /// `x_j . residual / n`, one per feature.
    pub correlation: Vec<f64>,
    /// The largest of them by size: from this `lambda * l1_ratio` on, no feature is used.
    pub largest: f64,
}

impl Problem {
    /// Puts features and targets together.
    ///
    /// # Errors
    /// If there is not one finite target per sample, or the loss is logistic and the targets are not some 0 and some 1.
    pub fn new(design: Design, targets: Vec<f64>, loss: Loss) -> Result<Problem> {
        let fail = |problem: String| Err(Error::setting("targets", problem));
        if targets.len() != design.rows() {
            return fail(format!("{} targets do not fit {} samples", targets.len(), design.rows()));
        }
        if let Some(at) = targets.iter().position(|target| !target.is_finite()) {
            return fail(format!("sample {at}: {} is not finite", targets[at]));
        }
        if loss == Loss::Logistic {
            if let Some(at) = targets.iter().position(|&target| target != 0.0 && target != 1.0) {
                return fail(format!(
                    "sample {at}: {} is neither 0 nor 1, as logistic loss needs",
                    targets[at]
                ));
            }
            if targets.iter().all(|target| target == &targets[0]) {
                return fail(format!("all are {}; logistic loss needs both 0 and 1", targets[0]));
            }
        }
        let isa = Isa::detect();
        let columns: Vec<usize> = (0..design.cols()).filter(|&column| !design.is_constant(column)).collect();
        let all: Vec<usize> = (0..design.cols()).collect();
        let mut means = vec![0.0; design.cols()];
        design.dots(isa, &all, &vec![1.0; targets.len()], &mut means);
        means.iter_mut().for_each(|mean| *mean /= targets.len() as f64);
        let zero = vec![0.0; targets.len()];
        let intercept = loss.intercept(&zero, &targets, 0.0);
        let mut residual = zero.clone();
        loss.residual(&zero, intercept, &targets, &mut residual);
        let objective = loss.mean(&zero, intercept, &targets);
        let null = Null { intercept, objective, residual, correlation: Vec::new(), largest: 0.0 };
        let mut problem = Problem { design, targets, loss, isa, columns, means, null };
        let correlation = problem.correlations(&problem.null.residual);
        problem.null.largest = correlation.iter().fold(0.0, |largest: f64, c| largest.max(c.abs()));
        problem.null.correlation = correlation;
        Ok(problem)
    }

    /// The features.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// One per sample.
    pub fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// The loss.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// The objective of the best model without features, of which tolerances are a part.
    pub fn null_objective(&self) -> f64 {
        self.null.objective
    }

    /// The smallest lambda at which all coefficients are zero: `max_j |x_j . r| / (n l1_ratio)`, `r` the residual of the
    /// intercept alone.
    ///
    /// # Errors
    /// If `l1_ratio` is not above 0 and at most 1.
    pub fn lambda_max(&self, l1_ratio: f64) -> Result<f64> {
        Penalty { lambda: 1.0, l1_ratio }.check()?;
        Ok(self.null.largest / l1_ratio)
    }

    /// `x_j . residual / n` for every feature; 0 for a constant one.
    pub(super) fn correlations(&self, residual: &[f64]) -> Vec<f64> {
        let mut some = vec![0.0; self.columns.len()];
        self.correlations_of(&self.columns, residual, &mut some);
        let mut all = vec![0.0; self.design.cols()];
        for (&column, correlation) in self.columns.iter().zip(some) {
            all[column] = correlation;
        }
        all
    }

    /// The same for some features. Residuals sum to 0 but for rounding, which a column's mean would blow up: it is left
    /// out.
    pub(super) fn correlations_of(&self, columns: &[usize], residual: &[f64], out: &mut [f64]) {
        self.design.dots(self.isa, columns, residual, out);
        let (samples, sum) = (residual.len() as f64, residual.iter().sum::<f64>());
        for (out, &column) in out.iter_mut().zip(columns) {
            *out = (*out - self.means[column] * sum) / samples;
        }
    }
}

/// `lambda (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|^2)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalty {
    /// How strong it is; above 0.
    pub lambda: f64,
    /// The part that is L1; above 0, at most 1.
    pub l1_ratio: f64,
}

impl Penalty {
    /// L1 alone.
    pub fn l1(lambda: f64) -> Penalty {
        Penalty { lambda, l1_ratio: 1.0 }
    }

    /// The factor of `|w|_1`.
    pub(super) fn l1_part(self) -> f64 {
        self.lambda * self.l1_ratio
    }

    /// The factor of `|w|^2 / 2`.
    pub(super) fn ridge_part(self) -> f64 {
        self.lambda * (1.0 - self.l1_ratio)
    }

    pub(super) fn value(self, weights: impl Iterator<Item = f64>) -> f64 {
        weights.map(|w| self.l1_part() * w.abs() + 0.5 * self.ridge_part() * w * w).sum()
    }

    /// Checks both numbers.
    ///
    /// # Errors
    /// Names the one that cannot be used.
    pub fn check(self) -> Result<()> {
        if !(self.lambda > 0.0 && self.lambda.is_finite()) {
            let problem =
                format!("{} is not above 0; without a penalty no duality gap says when to stop", self.lambda);
            return Err(Error::setting("lambda", problem));
        }
        if !(self.l1_ratio > 0.0 && self.l1_ratio <= 1.0) {
            return Err(Error::setting(
                "l1_ratio",
                format!("{} is not above 0 and at most 1", self.l1_ratio),
            ));
        }
        Ok(())
    }
}
