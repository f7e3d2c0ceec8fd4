//! Many lambdas in a row: the regularisation path.

use super::{Problem, Solution, Solver, SolverSettings};
use crate::Result;
use crate::control::PathStart;

/// Solves for all `lambdas`, largest first or smallest first as `start` says, each from the answer before; `each` sees
/// every answer as it comes.
///
/// # Errors
/// If a setting or a lambda cannot be used.
///
/// # Example
/// ```
/// use rarefy::control::{PathStart, lambda_grid};
/// use rarefy::convex::{Design, Loss, Problem, SolverSettings, path};
///
/// let design = Design::from_rows(4, 2, &[1.0, 0.5, 2.0, -0.5, 3.0, 0.5, 4.0, -0.5])?;
/// let problem = Problem::new(design, vec![2.0, 4.1, 5.9, 8.0], Loss::Squared)?;
/// let lambdas = lambda_grid(problem.lambda_max(1.0)?, 0.01, 4)?;
/// let mut nonzeros = Vec::new();
/// path(&problem, &lambdas, 1.0, SolverSettings::default(), PathStart::Sparse, |answer| {
///     assert!(answer.converged);
///     nonzeros.push(answer.coefficients.len());
/// })?;
/// assert_eq!(nonzeros, [0, 1, 1, 2]);
/// # Ok::<(), rarefy::Error>(())
/// ```
pub fn path(
    problem: &Problem,
    lambdas: &[f64],
    l1_ratio: f64,
    settings: SolverSettings,
    start: PathStart,
    each: impl FnMut(Solution),
) -> Result<()> {
    Solver::new(problem, settings)?.follow(lambdas, l1_ratio, start, each)
}
