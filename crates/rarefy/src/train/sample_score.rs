//! How sure a score is: the loss of each sample alone gives the mean's standard error.
//!
//! ```text
//! w_i how often sample i counts, v_i its loss, n_i what that is divided by (1, its class's weight, or the outputs)
//! N = sum w    mean = sum w v / sum w n
//! standard error = sqrt(N / (N - 1) sum w_i (v_i - mean n_i)^2) / sum w n     (the ratio estimate: Cochran 1977, 6.4)
//! ```

use serde::Serialize;

use super::score::highest;
use super::{NumberScore, predict};
use crate::data::{Batch, BatchTargets, Dataset, Targets};
use crate::kernels::Isa;
use crate::layers::Network;
use crate::losses::{Expected, Lanes, Loss, SequenceTile, TargetTile, UNWEIGHTED};
use crate::tiles::{LANES, Row, Tiles};

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
    /// `train.metric`, where one is set and a path asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<f64>,
}

/// Scores a network on a data set. A sample of weight 2 counts as two, one of weight 0 not at all. With one sample the standard
/// errors are infinite.
///
/// # Panics
/// If the shapes of network and data set differ, or there is a class for each step.
pub fn score_samples(network: &Network, isa: Isa, loss: &Loss, dataset: &Dataset) -> SampleScore {
    let outputs = network.output().features();
    let mut found: Vec<Sample> = Vec::with_capacity(dataset.len());
    let mut alone = Alone { output: vec![Row::ZERO; outputs], ..Alone::default() };
    predict(network, isa, dataset, BATCH, |batch, predicted| {
        found.extend((0..batch.samples).map(|sample| alone.score(loss, batch, predicted, sample)));
    });
    found.retain(|sample| sample.weight > 0.0);
    let sum =
        |of: &dyn Fn(&Sample) -> f64| found.iter().map(|sample| sample.weight * of(sample)).sum::<f64>();
    let samples = sum(&|_| 1.0);
    let total = sum(&|sample| sample.normaliser).max(f64::MIN_POSITIVE);
    let mean = sum(&|sample| sample.loss) / total;
    let squares = sum(&|sample| (sample.loss - mean * sample.normaliser).powi(2));
    let has_classes = matches!(dataset.targets, Targets::Classes { .. });
    let accuracy = has_classes
        .then(|| sum(&|sample| f64::from(u8::from(sample.is_right))) / samples.max(f64::MIN_POSITIVE));
    SampleScore {
        loss: mean,
        standard_error: error(squares * samples / total.powi(2), samples),
        accuracy,
        accuracy_standard_error: accuracy.map(|share| error(share * (1.0 - share), samples)),
        numbers: None,
        metric: None,
    }
}

/// What one sample says.
struct Sample {
    weight: f64,
    loss: f64,
    normaliser: f64,
    /// Whether its largest output is its class.
    is_right: bool,
}

/// Memory for a sample as the only one of a tile.
#[derive(Default)]
struct Alone {
    output: Vec<Row>,
    target: Vec<Row>,
    workspace: Vec<Lanes>,
}

impl Alone {
    fn score(&mut self, loss: &Loss, batch: &Batch, predicted: &Tiles, sample: usize) -> Sample {
        let (tile, lane) = (sample / LANES, sample % LANES);
        let outputs = self.output.len();
        for (row, of_tile) in self.output.iter_mut().zip(predicted.tile(tile)) {
            row.0[0] = of_tile.0[lane];
        }
        let (real, mut label) = ([steps_of(batch, predicted, sample); LANES], None);
        let targets = match &batch.targets {
            BatchTargets::Steps(_) => panic!("samples are scored that have one class each"),
            BatchTargets::Classes(labels) => {
                label = Some(labels[sample]);
                TargetTile::Classes(&labels[sample..][..1])
            }
            BatchTargets::Values(values) => {
                self.target.resize(outputs, Row::ZERO);
                for (row, of_tile) in self.target.iter_mut().zip(values.tile(tile)) {
                    row.0[0] = of_tile.0[lane];
                }
                TargetTile::Values(&self.target)
            }
            BatchTargets::Sequences { labels, offsets, classes, longest } => {
                self.workspace.resize(loss.workspace(outputs, *classes, *longest), [0.0; LANES]);
                let offsets = &offsets[sample..][..2];
                TargetTile::Sequences(SequenceTile { labels, offsets, steps: &real, classes: *classes })
            }
        };
        let expected = Expected { targets, live: 1, weights: &UNWEIGHTED };
        Sample {
            weight: batch.weights.as_ref().map_or(1.0, |weights| f64::from(weights[sample])),
            loss: loss.value(&self.output, expected, &mut self.workspace),
            normaliser: loss.normaliser(loss.class_weight(label), outputs),
            is_right: label.is_some_and(|label| highest(&self.output)[0] == label),
        }
    }
}

/// How many steps of a sample's outputs are there, where sequences of labels are to be said.
fn steps_of(batch: &Batch, predicted: &Tiles, sample: usize) -> u32 {
    let BatchTargets::Sequences { classes, .. } = &batch.targets else { return 0 };
    predicted.real_steps(sample / LANES, predicted.features() / classes)[sample % LANES]
}

/// Of a mean over `samples` samples whose variance, divided by their number, is `variance`.
fn error(variance: f64, samples: f64) -> f64 {
    if samples > 1.0 { (variance / (samples - 1.0)).sqrt() } else { f64::INFINITY }
}
