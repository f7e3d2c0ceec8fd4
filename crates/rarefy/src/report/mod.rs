//! Reports: what a person reads after training. The program, a notebook and a page show the same figures, by these types.

mod figures;
mod gains;
mod inputs;
mod layers;
mod metrics;
mod numbers;
pub mod plot;
mod statistics;
mod summary;
mod table;
mod target;

pub use figures::Figures;
pub use inputs::{InputReport, InputUse, Scored, coefficient_table};
pub use layers::{LayerReport, layer_table};
pub use metrics::{AnswerKind, decision_text, metric_block, metric_rows, never_predicted};
pub use numbers::{amount, bytes, count, r2, sparsity, worse_than_mean};
pub use statistics::{TTest, mean, paired_t_test, standard_error, two_sided_p};
pub use summary::{Summary, Twin};
pub use table::{Table, confusion_table, hits_table, table};
pub use target::Target;
