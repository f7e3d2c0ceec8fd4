//! What several folds say of one model: the mean of a figure over the folds, and the standard error of that mean, `s / sqrt(K)`.

use rarefy::report::{mean, standard_error};

/// The mean over folds and its standard error; `None` if a fold lacks the figure.
pub fn over_folds(figures: impl Iterator<Item = Option<f64>>) -> Option<(f64, f64)> {
    let figures: Vec<f64> = figures.collect::<Option<_>>()?;
    Some((mean(&figures), standard_error(&figures)?))
}
