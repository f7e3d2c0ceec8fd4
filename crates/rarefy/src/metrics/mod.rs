//! How good predictions are, from a network's outputs and the truth. Definitions are scikit-learn's, computed in f64.
//!
//! A sample counts as often as its weight says, once where there are no weights: 2 as if it stood twice, 0 as if it were not
//! there. A figure that is not defined for some samples (a ranking of one class alone) is `None`. [`Metric`] is the list of all
//! that a run can be judged by.

mod answers;
mod counted;
mod decision;
mod decisions;
mod metric;
mod numbers;
mod probabilities;
mod ranking;
#[cfg(test)]
mod suite;
mod threshold;

pub use answers::{Answers, Found};
pub use decision::Decision;
pub use decisions::{Classification, Hits, MultiLabel, classification, multi_label};
pub use metric::{Metric, Metrics, average_precisions};
pub use numbers::{OutputErrors, Regression, quantile_loss, regression};
pub use probabilities::{brier, brier_of_labels, expected_calibration_error, log_loss, log_loss_of_labels};
pub use ranking::{average_precision, roc_auc};
pub use threshold::best_threshold;
