//! Linear models with an L1 penalty, solved to a stated precision: the convex mode.
//!
//! ```text
//! minimise over w, b    (1/n) sum_i f(y_i, x_i w + b)  +  lambda (r |w|_1  +  (1 - r)/2 |w|^2)
//! f = (y - z)^2 / 2  (squared)     or     f = ln(1 + e^z) - y z,  y in {0, 1}  (logistic)
//! ```
//!
//! `r` is the `l1_ratio`; with 1 this is scikit-learn's `Lasso`, with less its `ElasticNet`. The intercept `b` is not
//! penalised: it is at its optimum for the present `w` throughout, so only `w` is iterated on. A model may do without. Where
//! samples have weights the mean is theirs.
//!
//! ```text
//! Problem (design, targets, loss) -> Solver::solve(penalty): working set -> steps on it -> gap over all features
//! ```
//!
//! Each answer carries its duality gap, an upper bound of how far its objective is above the optimum; an answer that
//! did not get there says so. Features are stored in `f32`, all arithmetic is `f64`.

mod columns;
mod coordinate;
mod design;
mod direct;
mod gram;
mod loss;
mod path;
mod problem;
mod proximal;
mod solver;
mod sparse_columns;
mod targets;

pub use columns::DenseColumns;
pub use design::Design;
pub use loss::Loss;
pub use path::path;
pub use problem::{Penalty, Problem, ProblemOptions};
pub use proximal::Method;
pub use solver::{Solution, Solver, SolverSettings};
pub use sparse_columns::SparseColumns;

#[cfg(test)]
mod suite;
