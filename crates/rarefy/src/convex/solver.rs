//! A growing working set around the steps.

use serde::{Deserialize, Serialize};

use super::coordinate::{descend, descend_products};
use super::direct::Direct;
use super::gram::{self, Gram};
use super::proximal::{Method, minimise};
use super::{Loss, Penalty, Problem};
use crate::control::PathStart;
use crate::{Error, Result};

/// A set starts with at most so many features, or twice the support if that is more.
const FIRST: usize = 100;

/// The part of the gap asked for that the set is solved to, so that rounding does not send it back.
const INSIDE: f64 = 0.3;

/// The part of the present gap that a set is solved to while it is known to lack features.
const ROUGH: f64 = 0.1;

/// How an answer is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SolverSettings {
    /// Which steps.
    pub method: Method,
    /// The gap to reach, as a part of the objective without features.
    pub tolerance: f64,
    /// Proximal steps, or passes over the features of a set, at most for each lambda.
    pub max_iterations: usize,
}

impl Default for SolverSettings {
    fn default() -> SolverSettings {
        SolverSettings { method: Method::CoordinateDescent, tolerance: 1e-6, max_iterations: 100_000 }
    }
}

impl SolverSettings {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the one that cannot be used.
    pub fn check(&self) -> Result<()> {
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            return Err(Error::setting("tolerance", format!("{} is not between 0 and 1", self.tolerance)));
        }
        if self.max_iterations == 0 {
            return Err(Error::setting("max_iterations", "0 steps solve nothing; allow at least 1"));
        }
        Ok(())
    }
}

/// A linear model, and how good it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Solution {
    /// What the penalty was multiplied by.
    pub lambda: f64,
    /// The features with a coefficient other than 0, ascending, and their coefficients.
    pub coefficients: Vec<(usize, f64)>,
    /// The intercept.
    pub intercept: f64,
    /// Loss and penalty.
    pub objective: f64,
    /// The objective is above the optimum by at most this much.
    pub gap: f64,
    /// Proximal steps, or passes over the features of a set.
    pub iterations: usize,
    /// Whether the gap is within the tolerance.
    pub converged: bool,
}

impl Solution {
    /// `x w + b` for each row of a design: the predicted number, or the logit of label 1.
    ///
    /// # Panics
    /// If the design has fewer columns than this model uses.
    pub fn predict(&self, design: &super::Design) -> Vec<f64> {
        let mut out = vec![0.0; design.rows()];
        design.combine(crate::kernels::Isa::detect(), &self.coefficients, &mut out);
        out.iter_mut().for_each(|z| *z += self.intercept);
        out
    }
}

/// Solves a problem for one penalty after another, each from where the last one ended: a growing working set around the
/// proximal steps.
///
/// ```text
/// 1. correlations c_j = x_j . r / n of all features at the present weights; gap over all features; stop if small
/// 2. set = support + features with |c_j| above l1 - (l1 of the last answer - l1)    the first time: strong rule
///        + features with |c_j| above l1                                             later: those that break the optimum
/// 3. proximal steps on the set alone, to a gap below the one asked for; back to 1
/// ```
///
/// The gap's dual point is the residual, scaled until no feature's correlation is above `l1`. As it is taken over all
/// features, what the set left out cannot make an answer look better than it is. For elastic nets the ridge part
/// counts as extra samples, so `c_j` is less `ridge w_j` (Zou and Hastie 2005, lemma 1).
///
/// Sources: Tibshirani et al. 2012 (strong rule, with the check that makes it safe); Massias et al. 2018, celer (working
/// sets and dual points); Bertrand et al. 2022, skglm.
pub struct Solver<'a> {
    problem: &'a Problem,
    settings: SolverSettings,
    weights: Vec<f64>,
    /// Features whose weight is not 0, ascending.
    support: Vec<usize>,
    intercept: f64,
    residual: Vec<f64>,
    /// Of all features with the residual.
    correlation: Vec<f64>,
    /// The loss at these weights.
    loss: f64,
    /// The l1 of the last answer.
    last_l1: f64,
    gram: Gram,
    is_stopped: Box<dyn Fn() -> bool + 'a>,
}

impl<'a> Solver<'a> {
    /// Starts from no features.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub fn new(problem: &'a Problem, settings: SolverSettings) -> Result<Solver<'a>> {
        settings.check()?;
        let mut solver = Solver {
            problem,
            settings,
            weights: vec![0.0; problem.design.cols()],
            support: Vec::new(),
            intercept: 0.0,
            residual: Vec::new(),
            correlation: Vec::new(),
            loss: 0.0,
            last_l1: 0.0,
            gram: Gram::default(),
            is_stopped: Box::new(|| false),
        };
        solver.forget();
        Ok(solver)
    }

    /// Asks now and then whether to stop here. The answer is then what there is: it has not converged.
    #[must_use]
    pub fn stopped_by(mut self, is_stopped: impl Fn() -> bool + 'a) -> Solver<'a> {
        self.is_stopped = Box::new(is_stopped);
        self
    }

    /// Solves for all `lambdas`, largest first or smallest first as `start` says, each from the answer before; `each` sees
    /// every answer as it comes. Stopped, the path ends before the lambda that it stands at.
    ///
    /// # Errors
    /// If a lambda cannot be used.
    pub fn follow(
        &mut self,
        lambdas: &[f64],
        l1_ratio: f64,
        start: PathStart,
        mut each: impl FnMut(Solution),
    ) -> Result<()> {
        let mut lambdas = lambdas.to_vec();
        lambdas.sort_by(|a, b| b.total_cmp(a));
        if start == PathStart::Dense {
            lambdas.reverse();
        }
        for lambda in lambdas {
            let answer = self.solve(Penalty { lambda, l1_ratio })?;
            if !answer.converged && (self.is_stopped)() {
                break;
            }
            each(answer);
        }
        Ok(())
    }

    /// Back to no features.
    fn forget(&mut self) {
        let null = &self.problem.null;
        self.weights.fill(0.0);
        self.support.clear();
        self.intercept = null.intercept;
        self.residual.clone_from(&null.residual);
        self.correlation.clone_from(&null.correlation);
        self.loss = null.objective;
        self.last_l1 = null.largest;
    }

    /// The answer for one penalty.
    ///
    /// # Errors
    /// If the penalty cannot be used. Not to converge is no error: the answer says so.
    pub fn solve(&mut self, penalty: Penalty) -> Result<Solution> {
        penalty.check()?;
        let l1 = penalty.l1_part();
        // At lambda_max, rounding must not let a feature in.
        if l1 >= self.problem.null.largest * (1.0 - 1e-12) {
            self.forget();
        }
        let wanted = self.settings.tolerance * self.problem.null.objective;
        let mut inside = INSIDE * wanted;
        let mut best_dual = f64::NEG_INFINITY;
        let mut set: Vec<usize> = Vec::new();
        let mut iterations = 0;
        let mut threshold = l1 - (self.last_l1 - l1).max(0.0);
        let (objective, gap) = loop {
            let objective = self.loss + penalty.value(self.live().map(|(_, weight)| weight));
            best_dual = best_dual.max(self.dual(penalty));
            let gap = (objective - best_dual).max(0.0);
            if gap <= wanted || iterations >= self.settings.max_iterations || (self.is_stopped)() {
                break (objective, gap);
            }
            let before = set.len();
            let lacking = self.grow(&mut set, threshold);
            if set.len() == before {
                // Nothing is missing: rounding, or too rough an answer. Ask for more, while there is more.
                inside *= 0.1;
                if inside < 1e-17 * self.problem.null.objective {
                    break (objective, gap);
                }
            }
            let target = if lacking { (ROUGH * gap).max(inside) } else { inside };
            let most = self.settings.max_iterations - iterations;
            iterations += self.improve(penalty, &set, target, most);
            self.settle();
            threshold = l1;
        };
        self.last_l1 = l1;
        Ok(Solution {
            lambda: penalty.lambda,
            coefficients: self.live().collect(),
            intercept: self.intercept,
            objective,
            gap,
            iterations,
            converged: gap <= wanted,
        })
    }

    /// Features with a weight, and their weights.
    fn live(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.support.iter().map(|&feature| (feature, self.weights[feature]))
    }

    /// The dual objective at the scaled residual.
    fn dual(&self, penalty: Penalty) -> f64 {
        let ridge = penalty.ridge_part();
        let slope = |&feature: &usize| (self.correlation[feature] - ridge * self.weights[feature]).abs();
        let steepest = self.problem.columns.iter().map(slope).fold(0.0, f64::max);
        let limit = if steepest > 0.0 { penalty.l1_part() / steepest } else { f64::MAX };
        let square: f64 = self.live().map(|(_, weight)| weight * weight).sum();
        self.problem.loss.dual(&self.residual, &self.problem.targets, ridge * square, limit)
    }

    /// Adds the support and the features above the threshold, steepest first. Says whether there was no room for all.
    fn grow(&self, set: &mut Vec<usize>, threshold: f64) -> bool {
        let mut inside = vec![false; self.weights.len()];
        set.extend(&self.support);
        set.iter().for_each(|&feature| inside[feature] = true);
        set.sort_unstable();
        set.dedup();
        let steep = |feature: usize| self.correlation[feature].abs();
        let mut new: Vec<usize> = self.problem.columns.clone();
        new.retain(|&feature| !inside[feature] && steep(feature) > threshold);
        new.sort_by(|&a, &b| steep(b).total_cmp(&steep(a)).then(a.cmp(&b)));
        let room = FIRST.max(2 * set.len()) - set.len();
        let lacking = new.len() > room;
        new.truncate(room);
        set.extend(new);
        set.sort_unstable();
        lacking
    }

    /// Steps on a set.
    fn improve(&mut self, penalty: Penalty, set: &[usize], gap: f64, most: usize) -> usize {
        let mut weights: Vec<f64> = set.iter().map(|&feature| self.weights[feature]).collect();
        let (method, limits) = (self.settings.method, (gap, most));
        let watch = &*self.is_stopped;
        let by_coordinates = method == Method::CoordinateDescent;
        let by_products = self.problem.loss == Loss::Squared
            && set.len() <= gram::MOST
            && (!by_coordinates || self.gram.missing(set) <= gram::NEW_BY_COORDINATES);
        let taken = if by_products {
            let mut smooth = self.gram.of(self.problem, set);
            if by_coordinates {
                descend_products(&mut smooth, penalty, &mut weights, limits, watch)
            } else {
                minimise(&mut smooth, method, penalty, &mut weights, limits, watch)
            }
        } else if by_coordinates {
            descend(self.problem, set, penalty, &mut weights, limits, watch)
        } else {
            let mut smooth = Direct::new(self.problem, set, self.intercept);
            minimise(&mut smooth, method, penalty, &mut weights, limits, watch)
        };
        for (&feature, weight) in set.iter().zip(weights) {
            self.weights[feature] = weight;
        }
        self.support = set.iter().copied().filter(|&feature| self.weights[feature] != 0.0).collect();
        taken
    }

    /// Brings everything that follows from the weights up to date.
    fn settle(&mut self) {
        let Problem { design, targets, loss, isa, .. } = self.problem;
        let terms: Vec<(usize, f64)> = self.live().collect();
        let mut z = vec![0.0; targets.len()];
        design.combine(*isa, &terms, &mut z);
        self.intercept = loss.intercept(&z, targets, self.intercept);
        loss.residual(&z, self.intercept, targets, &mut self.residual);
        self.loss = loss.mean(&z, self.intercept, targets);
        self.correlation = self.problem.correlations(&self.residual);
    }
}
