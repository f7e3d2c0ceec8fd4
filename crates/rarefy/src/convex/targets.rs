//! What is to be predicted, and how much each sample counts. Means are weighted: `mean f = sum_i w_i f_i / sum_i w_i`.

use std::borrow::Cow;

/// One target for each sample, and its weight.
pub(super) struct Targets {
    pub values: Vec<f64>,
    /// `None` if all count once.
    weights: Option<Vec<f64>>,
    /// The sum of the weights.
    pub total: f64,
    pub has_intercept: bool,
}

impl Targets {
    pub(super) fn new(values: Vec<f64>, weights: Option<Vec<f64>>, has_intercept: bool) -> Targets {
        let total = weights.as_ref().map_or(values.len() as f64, |weights| weights.iter().sum());
        Targets { values, weights, total, has_intercept }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Visits number, target and weight of each sample.
    #[inline(always)]
    pub(super) fn each(&self, mut visit: impl FnMut(usize, f64, f64)) {
        match &self.weights {
            None => self.values.iter().enumerate().for_each(|(at, &y)| visit(at, y, 1.0)),
            Some(weights) => {
                let both = self.values.iter().zip(weights);
                both.enumerate().for_each(|(at, (&y, &weight))| visit(at, y, weight));
            }
        }
    }

    /// The mean of a function of a sample's number and target.
    #[inline(always)]
    pub(super) fn mean(&self, figure: impl Fn(usize, f64) -> f64) -> f64 {
        let mut sum = 0.0;
        self.each(|at, y, weight| sum += weight * figure(at, y));
        sum / self.total
    }

    /// The target of all samples that count, if they have the same.
    pub(super) fn only(&self) -> Option<f64> {
        let (mut first, mut is_only) = (None, true);
        self.each(|_, y, weight| is_only &= weight == 0.0 || *first.get_or_insert(y) == y);
        first.filter(|_| is_only)
    }

    /// Numbers of samples times their weights.
    pub(super) fn weighted<'a>(&self, numbers: &'a [f64]) -> Cow<'a, [f64]> {
        match &self.weights {
            None => Cow::Borrowed(numbers),
            Some(weights) => numbers.iter().zip(weights).map(|(number, weight)| number * weight).collect(),
        }
    }
}
