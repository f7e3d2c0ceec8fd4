//! The penalties on single weights that there are, and one of them with a strength.

use std::sync::Arc;

use super::rule::{PenaltyRule, Steps, sum};
use super::{ElasticNet, L1, LHalf, Mcp};

/// The form of a penalty that looks at each weight alone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PenaltyForm {
    /// `lambda |w|`.
    L1(L1),
    /// L1 and half a square.
    ElasticNet(ElasticNet),
    /// L1 that levels off.
    Mcp(Mcp),
    /// `lambda sqrt(|w|)`.
    LHalf(LHalf),
    /// A penalty of your own.
    Custom(Arc<dyn PenaltyRule>),
}

/// A penalty that looks at each weight alone, and its strength. Every operation but [`Penalty::value`] may be cut into
/// sub-slices, in any order and in parallel, and gives the same bits. NaN stays NaN.
#[derive(Debug, Clone)]
pub struct Penalty {
    /// Its form.
    pub form: PenaltyForm,
    /// Its strength, at least 0.
    pub lambda: f32,
}

/// Calls a method of whichever rule it is.
macro_rules! each {
    ($form:expr, $rule:ident => $call:expr) => {
        match $form {
            PenaltyForm::L1($rule) => $call,
            PenaltyForm::ElasticNet($rule) => $call,
            PenaltyForm::Mcp($rule) => $call,
            PenaltyForm::LHalf($rule) => $call,
            PenaltyForm::Custom($rule) => $call,
        }
    };
}

impl Penalty {
    /// The penalty of these weights, summed in a fixed order.
    pub fn value(&self, values: &[f32]) -> f64 {
        let lambda = self.lambda;
        each!(&self.form, rule => sum(values, |w| rule.value(lambda, w)))
    }

    /// Adds a subgradient to `gradients`: the derivative, and 0 at a weight of 0.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline(always)]
    pub fn add_subgradient(&self, values: &[f32], gradients: &mut [f32]) {
        let lambda = self.lambda;
        each!(&self.form, rule => add(values, gradients, |w| rule.slope(lambda, w)));
    }

    /// How strong a gradient must be to move a weight off 0: the slope of the penalty there.
    pub fn slope_at_zero(&self) -> f32 {
        each!(&self.form, rule => rule.slope_at_zero(self.lambda))
    }

    /// Whether it can make a weight exactly 0 at any strength.
    pub fn makes_zeros(&self) -> bool {
        each!(&self.form, rule => rule.slope_at_zero(1.0) > 0.0)
    }

    /// The lambda from which the penalty is at `w` as steep as the loss, whose derivative there has the magnitude `slope`.
    pub fn lambda_that_empties(&self, slope: f32, w: f32) -> f32 {
        each!(&self.form, rule => rule.lambda_that_empties(slope, w))
    }

    /// The proximal step, in place: the global minimiser, the one nearer to 0 if there are two.
    ///
    /// # Panics
    /// If there are steps for each weight and their number differs.
    #[inline(always)]
    pub fn prox(&self, values: &mut [f32], steps: Steps<'_>) {
        let lambda = self.lambda;
        each!(&self.form, rule => shrink(values, steps, |w, step| rule.prox(lambda, w, step)));
    }
}

#[inline(always)]
fn shrink(values: &mut [f32], steps: Steps<'_>, prox: impl Fn(f32, f32) -> f32) {
    match steps {
        Steps::Same(step) => {
            for w in values {
                *w = prox(*w, step);
            }
        }
        Steps::Each(steps) => {
            assert_eq!(steps.len(), values.len(), "there must be as many steps as values");
            for (w, &step) in values.iter_mut().zip(steps) {
                *w = prox(*w, step);
            }
        }
    }
}

#[inline(always)]
fn add(values: &[f32], gradients: &mut [f32], slope: impl Fn(f32) -> f32) {
    assert_eq!(gradients.len(), values.len(), "there must be as many gradients as values");
    for (gradient, &w) in gradients.iter_mut().zip(values) {
        *gradient += slope(w);
    }
}
