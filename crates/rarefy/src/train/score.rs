//! How good outputs are: the loss, and how many samples are classified correctly.

use crate::data::{Batch, BatchTargets};
use crate::kernels::Isa;
use crate::layers::{Network, Pass};
use crate::losses::{Loss, TargetTile};
use crate::tiles::{LANES, Tiles};

/// A batch's loss and how many of its samples were classified correctly, before the step.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// The loss summed over the batch, not yet divided.
    pub loss_sum: f64,
    /// What `loss_sum` is to be divided by.
    pub normaliser: f64,
    /// Samples whose largest output is their class; 0 unless the targets are classes.
    pub correct: usize,
    /// Samples of the batch.
    pub samples: usize,
}

impl Score {
    /// The mean loss.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.normaliser.max(f64::MIN_POSITIVE)
    }

    /// The share of samples classified correctly.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples.max(1) as f64
    }

    /// Adds another batch's score.
    pub fn add(&mut self, other: Score) {
        self.loss_sum += other.loss_sum;
        self.normaliser += other.normaliser;
        self.correct += other.correct;
        self.samples += other.samples;
    }
}
/// The loss of a batch and, if asked for, the gradient of its outputs.
pub fn score(
    loss: &Loss,
    isa: Isa,
    output: &Tiles,
    targets: &BatchTargets,
    mut gradient: Option<&mut Tiles>,
) -> Score {
    let labels = match targets {
        BatchTargets::Classes(labels) => Some(labels.as_slice()),
        BatchTargets::Values(_) => None,
    };
    let normaliser = loss.normaliser(output.samples(), output.features(), labels);
    let scale = (1.0 / normaliser) as f32;
    let mut score = Score { normaliser, samples: output.samples(), ..Score::default() };
    for tile in 0..output.tiles() {
        let live = output.live(tile);
        let rows = output.tile(tile);
        let target = match targets {
            BatchTargets::Classes(labels) => TargetTile::Classes(&labels[tile * LANES..][..live]),
            BatchTargets::Values(values) => TargetTile::Values(values.tile(tile)),
        };
        score.loss_sum += isa.vectorize(|| match &mut gradient {
            Some(gradient) => loss.tile(rows, target, live, scale, gradient.tile_mut(tile)),
            None => loss.value(rows, target, live),
        });
        if let TargetTile::Classes(labels) = target {
            score.correct += isa.vectorize(|| count_correct(rows, labels));
        }
    }
    score
}

/// How many lanes have their largest output at their label; of equal outputs the first counts.
fn count_correct(rows: &[crate::tiles::Row], labels: &[u32]) -> usize {
    let mut best = [f32::NEG_INFINITY; LANES];
    let mut class = [0u32; LANES];
    for (index, row) in rows.iter().enumerate() {
        for lane in 0..LANES {
            if row.0[lane] > best[lane] {
                best[lane] = row.0[lane];
                class[lane] = index as u32;
            }
        }
    }
    labels.iter().zip(&class).filter(|(label, class)| label == class).count()
}

/// The outputs of a network for a whole data set, `work(first sample, outputs)` being called batch by batch.
pub fn predict(
    network: &Network,
    isa: Isa,
    dataset: &crate::data::Dataset,
    batch_size: usize,
    mut work: impl FnMut(&Batch, &mut Tiles),
) {
    let mut buffers = network.buffers(batch_size, false);
    let mut batch = Batch::new(dataset, batch_size);
    let order: Vec<usize> = (0..dataset.len()).collect();
    for samples in order.chunks(batch_size) {
        batch.fill(dataset, samples);
        buffers.resize(samples.len());
        network.forward(&Pass::predict(isa), &batch.input, &mut buffers);
        work(&batch, buffers.outputs.last_mut().expect("a network has layers"));
    }
}
