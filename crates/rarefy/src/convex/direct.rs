//! A set of features seen through the design itself: an image is `z = X w`, a gradient is one more pass over the set.

use super::Problem;
use super::proximal::Smooth;

/// The loss as a function of the weights of `features`.
pub(super) struct Direct<'a> {
    problem: &'a Problem,
    features: &'a [usize],
    intercept: f64,
    residual: Vec<f64>,
    terms: Vec<(usize, f64)>,
}

impl<'a> Direct<'a> {
    pub(super) fn new(problem: &'a Problem, features: &'a [usize], intercept: f64) -> Direct<'a> {
        let residual = vec![0.0; problem.targets.len()];
        Direct { problem, features, intercept, residual, terms: Vec::with_capacity(features.len()) }
    }

    /// What the intercept takes up of a step.
    fn mean(&self, image: &[f64]) -> f64 {
        let Problem { targets, .. } = self.problem;
        if targets.has_intercept { targets.mean(|at, _| image[at]) } else { 0.0 }
    }

    fn settle(&mut self, image: &[f64]) {
        let Problem { loss, targets, .. } = self.problem;
        self.intercept = loss.intercept(image, targets, self.intercept);
        loss.residual(image, self.intercept, targets, &mut self.residual);
    }
}

impl Smooth for Direct<'_> {
    fn image_len(&self) -> usize {
        self.problem.targets.len()
    }

    fn image(&mut self, weights: &[f64], out: &mut [f64]) {
        let live = self.features.iter().zip(weights).filter(|(_, weight)| **weight != 0.0);
        self.terms.clear();
        self.terms.extend(live.map(|(&feature, &weight)| (feature, weight)));
        self.problem.design.combine(self.problem.isa, &self.terms, out);
    }

    fn gradient(&mut self, image: &[f64], out: &mut [f64]) {
        self.settle(image);
        self.problem.correlations_of(self.features, &self.residual, out);
        out.iter_mut().for_each(|slope| *slope = -*slope);
    }

    fn hessian(&mut self, _: &[f64], image: &[f64], out: &mut [f64]) {
        let mean = self.mean(image);
        self.residual.iter_mut().zip(image).for_each(|(centred, value)| *centred = value - mean);
        self.problem.correlations_of(self.features, &self.residual, out);
        let factor = self.problem.loss.curvature();
        out.iter_mut().for_each(|product| *product *= factor);
    }

    fn curvature(&self, _: &[f64], image: &[f64]) -> f64 {
        // With the intercept at its optimum the step's mean does not count.
        let mean = self.mean(image);
        let square = self.problem.targets.mean(|at, _| (image[at] - mean).powi(2));
        self.problem.loss.curvature() * square
    }

    fn values(&mut self, _: &[f64], image: &[f64], ridge: f64, limit: f64) -> (f64, f64) {
        self.settle(image);
        let Problem { loss, targets, .. } = self.problem;
        let dual = loss.dual(&self.residual, targets, ridge, limit);
        (loss.mean(image, self.intercept, targets), dual)
    }
}
