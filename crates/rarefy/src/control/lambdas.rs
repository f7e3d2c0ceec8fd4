//! The lambdas of a regularisation path, of linear models and of networks.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Which end a path starts from. The answers are the same to within the tolerance; the way there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathStart {
    /// The largest lambda: models grow. The faster way.
    #[default]
    Sparse,
    /// The smallest lambda: models shrink.
    Dense,
}

/// `count` lambdas from `largest` down to `ratio` times that, each the same part of the one before.
///
/// # Errors
/// If `largest` is not above 0 (targets, or all features, never change), `ratio` not between 0 and 1, or `count` is 0.
pub fn lambda_grid(largest: f64, ratio: f64, count: usize) -> Result<Vec<f64>> {
    if !(largest > 0.0 && largest.is_finite()) {
        let problem = match largest {
            0.0 => "the largest is 0: the targets, or all features, never change".to_string(),
            _ => format!("the largest is {largest}, which is no number above 0"),
        };
        return Err(Error::setting("lambda", problem));
    }
    if !(ratio > 0.0 && ratio < 1.0) {
        return Err(Error::setting("lambda_min_ratio", format!("{ratio} is not between 0 and 1")));
    }
    if count == 0 {
        return Err(Error::setting("lambdas", "0 lambdas are no path; ask for at least 1"));
    }
    let last = (count - 1).max(1) as f64;
    Ok((0..count).map(|step| largest * ratio.powf(step as f64 / last)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_go_down_by_equal_ratios_and_bad_ones_are_named() {
        let grid = lambda_grid(100.0, 0.01, 3).unwrap();
        assert!((grid[1] - 10.0).abs() < 1e-12 && (grid[2] - 1.0).abs() < 1e-12 && grid[0] == 100.0);
        assert_eq!(lambda_grid(2.0, 0.5, 1).unwrap(), [2.0]);
        for (largest, ratio, count, key) in [
            (0.0, 0.1, 3, "lambda: the largest is 0: the targets, or all features, never change"),
            (-1.0, 0.1, 3, "lambda: the largest is -1, which is no number above 0"),
            (f64::INFINITY, 0.1, 3, "lambda: the largest is inf, which is no number above 0"),
            (1.0, 0.0, 3, "lambda_min_ratio"),
            (1.0, 1.0, 3, "lambda_min_ratio"),
            (1.0, 0.1, 0, "lambdas"),
        ] {
            let error = lambda_grid(largest, ratio, count).unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }
}
