//! How good outputs are: the loss, and how many samples are classified correctly or how many labels are wrong.

use std::ops::Range;

use super::predictor::predict;
use crate::data::{BatchTargets, Dataset};
use crate::kernels::Isa;
use crate::layers::Network;
use crate::losses::{Lanes, Loss, SequenceTile, TargetTile, edits};
use crate::tiles::{IGNORED, LANES, Row, Tiles};

/// A batch's loss and how many of its samples were classified correctly, before the step.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// The loss summed over the batch, not yet divided.
    pub loss_sum: f64,
    /// What `loss_sum` is to be divided by.
    pub normaliser: f64,
    /// Predictions whose largest output is their class; 0 unless the targets are classes.
    pub correct: usize,
    /// Predictions of the batch: its samples, or where each step is to be predicted, the steps that are not ignored.
    pub samples: usize,
    /// Labels to be put in, left out or changed in what the best paths say; 0 unless the targets are sequences of labels.
    #[serde(default)]
    pub edits: usize,
    /// Labels of those sequences.
    #[serde(default)]
    pub labels: usize,
}

impl Score {
    /// The mean loss.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.normaliser.max(f64::MIN_POSITIVE)
    }

    /// The share of predictions that are right.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples.max(1) as f64
    }

    /// Wrong labels for each of those there should be, for sequences of labels. Above 1 where more is said than should be.
    pub fn label_error_rate(&self) -> f64 {
        self.edits as f64 / self.labels.max(1) as f64
    }

    /// Adds another batch's score.
    pub fn add(&mut self, other: Score) {
        self.loss_sum += other.loss_sum;
        self.normaliser += other.normaliser;
        self.correct += other.correct;
        self.samples += other.samples;
        self.edits += other.edits;
        self.labels += other.labels;
    }
}

/// The loss of a batch and, if asked for, the gradient of its outputs.
///
/// # Panics
/// If the targets do not fit the outputs.
pub fn score(
    loss: &Loss,
    isa: Isa,
    output: &Tiles,
    targets: &BatchTargets,
    gradient: Option<&mut Tiles>,
) -> Score {
    score_in(&mut Vec::new(), loss, isa, output, targets, gradient)
}

/// The same with memory to compute in, which is kept for the next batch.
pub(super) fn score_in(
    room: &mut Vec<Lanes>,
    loss: &Loss,
    isa: Isa,
    output: &Tiles,
    targets: &BatchTargets,
    gradient: Option<&mut Tiles>,
) -> Score {
    let (labels, steps) = match targets {
        BatchTargets::Classes(labels) => (Some(&labels[..]), 1),
        BatchTargets::Steps(labels) => (Some(&labels[..]), labels.len() / output.samples().max(1)),
        BatchTargets::Values(_) | BatchTargets::Sequences { .. } => (None, 1),
    };
    let outputs = output.features() / steps.max(1);
    assert_eq!(outputs * steps, output.features(), "{steps} steps of {outputs} outputs");
    let predictions = labels.map_or(output.samples(), |labels| labels.len());
    let normaliser = loss.normaliser(predictions, outputs, labels);
    let room_rows = match targets {
        BatchTargets::Sequences { classes, longest, .. } => loss.room(outputs, *classes, *longest),
        _ => 0,
    };
    room.resize(room.len().max(room_rows * output.tiles()), [0.0; LANES]);
    let scale = (1.0 / normaliser) as f32;
    let panels = Panels { loss, isa, output, targets, steps, outputs, room: room_rows, scale };
    let gradient = gradient.map(|gradient| gradient.rows_mut());
    let (loss_sum, found) = panels.split(0..output.tiles() * steps, gradient, room);
    let ignored = labels.map_or(0, |labels| labels.iter().filter(|&&label| label == IGNORED).count());
    let score = Score { loss_sum, normaliser, samples: predictions - ignored, ..Score::default() };
    match targets {
        BatchTargets::Sequences { labels, .. } => Score { edits: found, labels: labels.len(), ..score },
        _ => Score { correct: found, ..score },
    }
}

/// The outputs of a batch, a panel being one step of a tile, or all of them together for a sequence of labels.
struct Panels<'a> {
    loss: &'a Loss,
    isa: Isa,
    output: &'a Tiles,
    targets: &'a BatchTargets,
    steps: usize,
    outputs: usize,
    /// Rows of memory for each panel.
    room: usize,
    scale: f32,
}

impl Panels<'_> {
    /// The summed loss of some panels and how many of their predictions are right, or of their labels wrong, in halves: the order of the
    /// sums does not depend on the threads.
    fn split(&self, panels: Range<usize>, gradient: Option<&mut [Row]>, room: &mut [Lanes]) -> (f64, usize) {
        if panels.len() <= 1 {
            return if panels.is_empty() { (0.0, 0) } else { self.one(panels.start, gradient, room) };
        }
        let middle = panels.start + panels.len() / 2;
        let border = (middle - panels.start) * self.outputs;
        let (left, right) = gradient.map(|gradient| gradient.split_at_mut(border)).unzip();
        let (left_room, right_room) = room.split_at_mut((middle - panels.start) * self.room);
        let sums = rayon::join(
            || self.split(panels.start..middle, left, left_room),
            || self.split(middle..panels.end, right, right_room),
        );
        (sums.0.0 + sums.1.0, sums.0.1 + sums.1.1)
    }

    fn one(&self, panel: usize, gradient: Option<&mut [Row]>, room: &mut [Lanes]) -> (f64, usize) {
        let (tile, step) = (panel / self.steps, panel % self.steps);
        let live = self.output.live(tile);
        let rows = &self.output.tile(tile)[step * self.outputs..][..self.outputs];
        let mut of_step = [IGNORED; LANES];
        let mut real = None;
        let target = match self.targets {
            BatchTargets::Classes(labels) => TargetTile::Classes(&labels[tile * LANES..][..live]),
            BatchTargets::Steps(labels) => {
                for (lane, label) in of_step[..live].iter_mut().enumerate() {
                    *label = labels[(tile * LANES + lane) * self.steps + step];
                }
                TargetTile::Classes(&of_step[..live])
            }
            BatchTargets::Values(values) => TargetTile::Values(values.tile(tile)),
            BatchTargets::Sequences { labels, offsets, classes, .. } => TargetTile::Sequences(SequenceTile {
                labels,
                offsets: &offsets[tile * LANES..][..=live],
                steps: real.insert(self.output.real_steps(tile, self.outputs / classes)),
                classes: *classes,
            }),
        };
        self.isa.vectorize(|| {
            let sum = match gradient {
                Some(gradient) => self.loss.tile(rows, target, live, self.scale, gradient, room),
                None => self.loss.value(rows, target, live, room),
            };
            let found = match target {
                TargetTile::Classes(labels) => count_correct(rows, labels),
                TargetTile::Values(_) => 0,
                TargetTile::Sequences(tile) => edits(rows, &tile, room),
            };
            (sum, found)
        })
    }
}

/// How many lanes have their largest output at their label; of equal outputs the first counts.
fn count_correct(rows: &[Row], labels: &[u32]) -> usize {
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

/// Samples of a batch when predicting.
const PREDICT_BATCH: usize = 256;

/// The loss and accuracy of a network on a data set.
pub fn evaluate(network: &Network, isa: Isa, loss: &Loss, dataset: &Dataset) -> Score {
    let mut total = Score::default();
    // Outputs at each step of many samples would take much memory for little speed.
    let batch = if network.output().positions() > 1 { LANES } else { PREDICT_BATCH };
    predict(network, isa, dataset, batch, |batch, output| {
        total.add(score(loss, isa, output, &batch.targets, None));
    });
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::{LossSettings, Task};
    use crate::random::{Purpose, Stream};

    /// 200 samples of up to 9 steps and labels of two kinds, in as many threads.
    fn scored(threads: usize) -> (Score, Vec<Row>) {
        const CLASSES: usize = 3;
        let mut stream = Stream::new(2, Purpose::Bench, 0, 0);
        let mut output = Tiles::zeros(9 * CLASSES, 200);
        let mut offsets = vec![0];
        let mut labels = Vec::new();
        for sample in 0..200 {
            let values: Vec<f32> = (0..9 * CLASSES).map(|_| 3.0 * stream.normal()).collect();
            output.set_sample(sample, &values);
            labels.extend((0..sample % 5).map(|place| 1 + (place * sample / 3 % 2) as u32));
            offsets.push(labels.len());
        }
        output.set_lengths((0..200).map(|sample| 8 + sample % 2));
        let targets = BatchTargets::Sequences { labels, offsets, classes: CLASSES, longest: 6 };
        let mut gradient = output.clone();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| score(&Loss::Ctc, Isa::detect(), &output, &targets, Some(&mut gradient)));
        (found, gradient.rows().to_vec())
    }

    #[test]
    fn sequences_score_the_same_in_any_number_of_threads() {
        let one = scored(1);
        assert_eq!((one.0.samples, one.0.labels, one.0.normaliser), (200, 400, 200.0));
        assert!(one.0.edits > 100 && one.0.label_error_rate() == one.0.edits as f64 / 400.0);
        assert!(one.0.loss().is_finite());
        assert_eq!(one, scored(3));
    }

    #[test]
    fn a_class_at_each_step_scores_as_steps_do_alone() {
        const STEPS: usize = 5;
        const SAMPLES: usize = 70;
        let loss = LossSettings::default().build(Task::Classification { counts: &[1; 3] }).unwrap();
        let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
        let mut output = Tiles::zeros(3 * STEPS, SAMPLES);
        let mut labels = Vec::new();
        for sample in 0..SAMPLES {
            let values: Vec<f32> = (0..3 * STEPS).map(|_| stream.normal()).collect();
            output.set_sample(sample, &values);
            let length = 1 + sample % STEPS;
            labels
                .extend((0..STEPS).map(|step| if step < length { stream.below(3) as u32 } else { IGNORED }));
        }
        // The same with each living step as a sample of its own.
        let living: Vec<usize> = (0..SAMPLES * STEPS).filter(|&at| labels[at] != IGNORED).collect();
        let mut alone = Tiles::zeros(3, living.len());
        for (place, &at) in living.iter().enumerate() {
            alone.set_sample(place, &output.sample(at / STEPS)[at % STEPS * 3..][..3]);
        }
        let classes = BatchTargets::Classes(living.iter().map(|&at| labels[at]).collect());
        let (mut gradient, mut gradient_alone) = (output.clone(), alone.clone());
        let isa = Isa::detect();
        let expected = score(&loss, isa, &alone, &classes, Some(&mut gradient_alone));
        let found = score(&loss, isa, &output, &BatchTargets::Steps(labels), Some(&mut gradient));
        assert_eq!((found.samples, found.correct), (living.len(), expected.correct));
        assert_eq!(found.normaliser, expected.normaliser);
        assert!((found.loss() - expected.loss()).abs() < 1e-6, "{} {}", found.loss(), expected.loss());
        let mut of_steps = vec![0.0; SAMPLES * STEPS * 3];
        for (place, &at) in living.iter().enumerate() {
            of_steps[at * 3..][..3].copy_from_slice(&gradient_alone.sample(place));
        }
        let all: Vec<f32> = (0..SAMPLES).flat_map(|sample| gradient.sample(sample)).collect();
        assert_eq!(all, of_steps);
    }
}
