//! How far predicted numbers are off, in the unit of the targets: the loss is that of scaled ones, which says little to people.

use serde::Serialize;

use super::{Score, predict, score};
use crate::data::{Dataset, TargetScaler, Targets};
use crate::kernels::Isa;
use crate::layers::Network;
use crate::losses::Loss;
use crate::metrics::regression;

/// The errors of predicted numbers over a data set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NumberScore {
    /// The root of the mean squared error, over all samples and outputs.
    pub rmse: f64,
    /// The part of the targets' variance that is explained, mean over the outputs: 0 for the mean as prediction; absent where
    /// a target never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
}

/// The loss of a network on a data set for regression, and its errors in the unit of the targets.
///
/// # Panics
/// If something else than numbers is to be predicted.
pub fn evaluate_numbers(
    network: &Network,
    isa: Isa,
    loss: &Loss,
    dataset: &Dataset,
    scaler: &TargetScaler,
) -> (Score, NumberScore) {
    /// Samples of a batch.
    const BATCH: usize = 256;
    let Targets::Values { values, outputs } = &dataset.targets else { panic!("these are no numbers") };
    let mut total = Score::default();
    let mut predictions = Vec::with_capacity(values.len());
    predict(network, isa, dataset, BATCH, |batch, output| {
        total.add(score(loss, isa, output, batch, None));
        for sample in 0..batch.samples {
            predictions.extend((0..*outputs).map(|feature| output.at(sample, feature)));
        }
    });
    let [predictions, targets] = [&predictions, values].map(|numbers| scaler.undo_all(*outputs, numbers));
    let found = regression(&predictions, *outputs, &targets, dataset.weights.as_deref());
    (total, NumberScore { rmse: found.rmse, r2: found.r2 })
}
