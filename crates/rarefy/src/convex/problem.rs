//! What is to be solved: features, targets and a loss, checked once; and the penalty.

use std::sync::Arc;

use super::targets::Targets;
use super::{Design, Loss};
use crate::kernels::Isa;
use crate::{Error, Result};

/// Features, targets and a loss that fit together.
pub struct Problem {
    pub(super) design: Arc<Design>,
    pub(super) targets: Targets,
    pub(super) loss: Loss,
    pub(super) isa: Isa,
    /// Columns that change; the others have no part in the answer.
    pub(super) columns: Vec<usize>,
    /// The mean of each column, which an intercept takes up; 0 without one.
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

/// What else there is to say of a problem.
#[derive(Debug, Clone, PartialEq)]
pub struct ProblemOptions {
    /// How much each sample counts in the mean: 0 leaves it out, 2 counts it twice. `None`: all alike.
    pub weights: Option<Vec<f64>>,
    /// Whether the model has an intercept.
    pub intercept: bool,
}

impl Default for ProblemOptions {
    /// All samples alike, an intercept.
    fn default() -> ProblemOptions {
        ProblemOptions { weights: None, intercept: true }
    }
}

impl Problem {
    /// Puts features and targets together, each sample counting once, for a model with an intercept.
    ///
    /// # Errors
    /// As of [`Problem::with_options`].
    pub fn new(design: impl Into<Arc<Design>>, targets: Vec<f64>, loss: Loss) -> Result<Problem> {
        Problem::with_options(design, targets, loss, ProblemOptions::default())
    }

    /// Puts features, targets and weights together. Problems may share a design.
    ///
    /// # Errors
    /// If there is not one finite target per sample, or the loss is logistic and the targets are not some 0 and some 1 (of
    /// samples that count); if there is not one weight for each sample, one is below 0 or not finite, or all are 0.
    pub fn with_options(
        design: impl Into<Arc<Design>>,
        targets: Vec<f64>,
        loss: Loss,
        options: ProblemOptions,
    ) -> Result<Problem> {
        let design = design.into();
        let ProblemOptions { weights, intercept: has_intercept } = options;
        check_weights(weights.as_deref(), design.rows())?;
        check_targets(&targets, weights.as_deref(), design.rows(), loss)?;
        let isa = Isa::detect();
        let changes = |&column: &usize| match has_intercept {
            true => !design.is_constant(column),
            false => !design.is_zero(column),
        };
        let columns: Vec<usize> = (0..design.cols()).filter(changes).collect();
        let targets = Targets::new(targets, weights, has_intercept);
        let mut means = vec![0.0; design.cols()];
        if has_intercept {
            let all: Vec<usize> = (0..design.cols()).collect();
            design.dots(isa, &all, &targets.weighted(&vec![1.0; targets.len()]), &mut means);
            means.iter_mut().for_each(|mean| *mean /= targets.total);
        }
        let zero = vec![0.0; targets.len()];
        let intercept = match (loss, targets.only()) {
            // The mean would be that but for rounding, for which a path would be followed.
            (Loss::Squared, Some(only)) if has_intercept => only,
            _ => loss.intercept(&zero, &targets, 0.0),
        };
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
        &self.targets.values
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

    /// The same for some features. Under an intercept residuals sum to 0 but for rounding, which a column's mean would blow up:
    /// it is left out.
    pub(super) fn correlations_of(&self, columns: &[usize], residual: &[f64], out: &mut [f64]) {
        let residual = self.targets.weighted(residual);
        self.design.dots(self.isa, columns, &residual, out);
        let sum = residual.iter().sum::<f64>();
        for (out, &column) in out.iter_mut().zip(columns) {
            *out = (*out - self.means[column] * sum) / self.targets.total;
        }
    }
}

fn check_weights(weights: Option<&[f64]>, samples: usize) -> Result<()> {
    let Some(weights) = weights else { return Ok(()) };
    let fail = |problem: String| Err(Error::setting("weights", problem));
    if weights.len() != samples {
        return fail(format!("{} weights do not fit {samples} samples", weights.len()));
    }
    if let Some(at) = weights.iter().position(|&weight| !(weight >= 0.0 && weight.is_finite())) {
        return fail(format!("sample {at}: {} is no weight; it must be 0 or more", weights[at]));
    }
    if weights.iter().all(|&weight| weight == 0.0) {
        return fail("all are 0, which leaves no sample".into());
    }
    Ok(())
}

fn check_targets(targets: &[f64], weights: Option<&[f64]>, samples: usize, loss: Loss) -> Result<()> {
    let fail = |problem: String| Err(Error::setting("targets", problem));
    if targets.len() != samples {
        return fail(format!("{} targets do not fit {samples} samples", targets.len()));
    }
    if let Some(at) = targets.iter().position(|target| !target.is_finite()) {
        return fail(format!("sample {at}: {} is not finite", targets[at]));
    }
    if loss == Loss::Logistic {
        if let Some(at) = targets.iter().position(|&target| target != 0.0 && target != 1.0) {
            let problem = format!("sample {at}: {} is neither 0 nor 1, as logistic loss needs", targets[at]);
            return fail(problem);
        }
        let counts = |at: &usize| weights.is_none_or(|weights| weights[*at] > 0.0);
        let mut live = (0..samples).filter(counts).map(|at| targets[at]);
        let first = live.next().unwrap_or(0.0);
        if live.all(|target| target == first) {
            return fail(format!("all are {first}; logistic loss needs both 0 and 1"));
        }
    }
    Ok(())
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
