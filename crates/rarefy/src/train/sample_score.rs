//! How sure a score is: the loss of each sample alone gives the mean's standard error.
//!
//! ```text
//! v_i the loss of sample i, n_i its weight (1, or that of its class)    mean = sum v / sum n
//! standard error = sqrt(N / (N - 1) sum (v_i - mean n_i)^2) / sum n     (the ratio estimate: Cochran 1977, 6.4)
//! ```

use serde::Serialize;

use super::{NumberScore, predict};
use crate::data::{BatchTargets, Dataset};
use crate::kernels::Isa;
use crate::layers::Network;
use crate::losses::{Loss, SequenceTile, TargetTile};
use crate::tiles::{LANES, Row};

/// Samples of a batch.
const BATCH: usize = 256;

/// The mean loss and the accuracy on a data set, each with its standard error over the samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SampleScore {
    /// The mean loss of a sample, without the penalty.
    pub loss: f64,
    /// Of that mean.
    pub standard_error: f64,
    /// The share of samples whose largest output is their class; `None` unless the targets are classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Of that share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_standard_error: Option<f64>,
    /// The errors in the unit of the targets, where one asked for them (a path does).
    #[serde(flatten)]
    pub numbers: Option<NumberScore>,
}

/// Scores a network on a data set. With one sample the standard errors are infinite.
///
/// # Panics
/// If the shapes of network and data set differ, or there is a class for each step.
pub fn score_samples(network: &Network, isa: Isa, loss: &Loss, dataset: &Dataset) -> SampleScore {
    let outputs = network.output().features();
    // (v, n) of each sample.
    let mut losses: Vec<(f64, f64)> = Vec::with_capacity(dataset.len());
    let mut correct: Option<usize> = None;
    let mut alone = vec![Row::ZERO; outputs];
    let mut target_alone = vec![Row::ZERO; outputs];
    let mut room = Vec::new();
    predict(network, isa, dataset, BATCH, |batch, predicted| {
        for sample in 0..batch.samples {
            let (tile, lane) = (sample / LANES, sample % LANES);
            for (row, of_tile) in alone.iter_mut().zip(predicted.tile(tile)) {
                row.0[0] = of_tile.0[lane];
            }
            let labels = match &batch.targets {
                BatchTargets::Classes(labels) => Some(&labels[sample..][..1]),
                BatchTargets::Steps(_) => panic!("samples are scored that have one class each"),
                BatchTargets::Values(_) | BatchTargets::Sequences { .. } => None,
            };
            let real;
            let target = match (&batch.targets, labels) {
                (_, Some(labels)) => TargetTile::Classes(labels),
                (BatchTargets::Values(values), _) => {
                    for (row, of_tile) in target_alone.iter_mut().zip(values.tile(tile)) {
                        row.0[0] = of_tile.0[lane];
                    }
                    TargetTile::Values(&target_alone)
                }
                (BatchTargets::Sequences { labels, offsets, classes, longest }, _) => {
                    real = [predicted.real_steps(tile, outputs / classes)[lane]; LANES];
                    room.resize(loss.room(outputs, *classes, *longest), [0.0; LANES]);
                    TargetTile::Sequences(SequenceTile {
                        labels,
                        offsets: &offsets[sample..][..2],
                        steps: &real,
                        classes: *classes,
                    })
                }
                (BatchTargets::Classes(_) | BatchTargets::Steps(_), None) => {
                    unreachable!("classes have labels")
                }
            };
            losses.push((loss.value(&alone, target, 1, &mut room), loss.weight(1, outputs, labels)));
            if let Some(&[label]) = labels {
                *correct.get_or_insert(0) += usize::from(highest(&alone) == label as usize);
            }
        }
    });
    let samples = losses.len() as f64;
    let total: f64 = losses.iter().map(|(_, weight)| weight).sum();
    let mean = losses.iter().map(|(value, _)| value).sum::<f64>() / total.max(f64::MIN_POSITIVE);
    let squares: f64 = losses.iter().map(|(value, weight)| (value - mean * weight).powi(2)).sum();
    let accuracy = correct.map(|correct| correct as f64 / samples);
    SampleScore {
        loss: mean,
        standard_error: error(squares * samples / total.max(f64::MIN_POSITIVE).powi(2), samples),
        accuracy,
        accuracy_standard_error: accuracy.map(|share| error(share * (1.0 - share), samples)),
        numbers: None,
    }
}

/// Of a mean over `samples` samples whose variance, divided by their number, is `variance`.
fn error(variance: f64, samples: f64) -> f64 {
    if samples > 1.0 { (variance / (samples - 1.0)).sqrt() } else { f64::INFINITY }
}

/// The output that is largest in the first lane; of equal ones the first, as in training.
fn highest(rows: &[Row]) -> usize {
    (1..rows.len()).fold(0, |best, row| if rows[row].0[0] > rows[best].0[0] { row } else { best })
}
