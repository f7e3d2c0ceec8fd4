//! How good outputs are: the loss, and how many samples are classified correctly or how many labels are wrong.

use std::ops::Range;

use crate::data::{Batch, BatchTargets};
use crate::kernels::Isa;
use crate::losses::{Expected, Lanes, Loss, SequenceTile, TargetTile, UNWEIGHTED, edits};
use crate::tiles::{IGNORED, LANES, Row, Tiles};

/// A batch's loss and how much of it was predicted correctly, before the step. All are sums in which a sample counts as often
/// as its weight says, so that the scores of batches can be added.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// The loss summed over the batch, not yet divided.
    pub loss_sum: f64,
    /// What `loss_sum` is to be divided by; 0 if nothing counts.
    pub normaliser: f64,
    /// Predictions whose largest output is their class; 0 unless the targets are classes.
    pub correct: f64,
    /// Predictions of the batch: its samples, or where each step is to be predicted, the steps that are not ignored.
    pub samples: f64,
    /// Labels to be put in, left out or changed in what the best paths say; 0 unless the targets are sequences of labels.
    #[serde(default)]
    pub edits: f64,
    /// Labels of those sequences.
    #[serde(default)]
    pub labels: f64,
}

impl Score {
    /// The mean loss.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.normaliser.max(f64::MIN_POSITIVE)
    }

    /// The share of predictions that are right.
    pub fn accuracy(&self) -> f64 {
        share(self.correct, self.samples)
    }

    /// Wrong labels for each of those there should be, for sequences of labels. Above 1 where more is said than should be.
    pub fn label_error_rate(&self) -> f64 {
        share(self.edits, self.labels)
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

    /// All its numbers, which are added up as they are.
    pub(super) fn numbers(&self) -> [f64; 6] {
        [self.loss_sum, self.normaliser, self.correct, self.samples, self.edits, self.labels]
    }

    /// The score of these numbers.
    pub(super) fn of_numbers([loss_sum, normaliser, correct, samples, edits, labels]: [f64; 6]) -> Score {
        Score { loss_sum, normaliser, correct, samples, edits, labels }
    }

    /// Both scores added up.
    pub(super) fn with(mut self, other: Score) -> Score {
        self.add(other);
        self
    }
}

/// A part of a whole; 0 of nothing.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// The loss of a batch's outputs and, if asked for, the gradient of its sum: what divides is [`Score::normaliser`].
///
/// # Panics
/// If the targets do not fit the outputs.
pub fn score(loss: &Loss, isa: Isa, output: &Tiles, batch: &Batch, gradient: Option<&mut Tiles>) -> Score {
    let sums = sums_in(&mut Vec::new(), loss, isa, output, batch, gradient);
    normalised(sums, loss, output, batch)
}

/// The score of a batch by its sums, or those of all its shares, of which this is one.
pub(super) fn normalised(sums: Score, loss: &Loss, output: &Tiles, batch: &Batch) -> Score {
    let outputs = output.features() / steps_of(output, batch);
    Score { normaliser: loss.normaliser(sums.normaliser, outputs), ..sums }
}

/// At how many steps of a sample something is to be predicted.
fn steps_of(output: &Tiles, batch: &Batch) -> usize {
    match &batch.targets {
        BatchTargets::Steps(labels) => (labels.len() / output.samples().max(1)).max(1),
        BatchTargets::Classes(_) | BatchTargets::Values(_) | BatchTargets::Sequences { .. } => 1,
    }
}

/// The sums of a [`score`], of a batch or a share of one, with memory to compute in, which is kept for the next. Their normaliser is
/// still the weight of the predictions.
pub(super) fn sums_in(
    workspace: &mut Vec<Lanes>,
    loss: &Loss,
    isa: Isa,
    output: &Tiles,
    batch: &Batch,
    gradient: Option<&mut Tiles>,
) -> Score {
    let steps = steps_of(output, batch);
    let outputs = output.features() / steps;
    assert_eq!(outputs * steps, output.features(), "{steps} steps of {outputs} outputs");
    let rows = match &batch.targets {
        BatchTargets::Sequences { classes, longest, .. } => loss.workspace(outputs, *classes, *longest),
        _ => 0,
    };
    workspace.resize(workspace.len().max(rows * output.tiles()), [0.0; LANES]);
    let panels = Panels { loss, isa, output, batch, steps, outputs, workspace: rows };
    let gradient = gradient.map(|gradient| gradient.rows_mut());
    panels.of_tiles(0..output.tiles(), gradient, workspace)
}

/// The outputs of a batch, a panel being one step of a tile, or all of them together for a sequence of labels. The normaliser
/// of a panel's score is the weight of its predictions.
struct Panels<'a> {
    loss: &'a Loss,
    isa: Isa,
    output: &'a Tiles,
    batch: &'a Batch,
    steps: usize,
    outputs: usize,
    /// Rows of memory for each panel.
    workspace: usize,
}

impl Panels<'_> {
    /// The score of some tiles, added up in the tree of `kernels/tree.rs`: neither threads nor micro-batches change it.
    fn of_tiles(&self, tiles: Range<usize>, gradient: Option<&mut [Row]>, workspace: &mut [Lanes]) -> Score {
        if tiles.is_empty() {
            return Score::default();
        }
        if tiles.len() == 1 {
            return self.of_steps(tiles.start, 0..self.steps, gradient, workspace);
        }
        let count = tiles.len().next_power_of_two() / 2;
        let middle = tiles.start + count;
        let (left, right) = self.halves(gradient, count * self.steps);
        let (left_room, right_room) = workspace.split_at_mut(count * self.workspace);
        let (left, right) = rayon::join(
            || self.of_tiles(tiles.start..middle, left, left_room),
            || self.of_tiles(middle..tiles.end, right, right_room),
        );
        left.with(right)
    }

    /// The score of some steps of a tile, in halves.
    fn of_steps(
        &self,
        tile: usize,
        steps: Range<usize>,
        gradient: Option<&mut [Row]>,
        workspace: &mut [Lanes],
    ) -> Score {
        if steps.len() == 1 {
            return self.one(tile, steps.start, gradient, workspace);
        }
        let middle = steps.start + steps.len() / 2;
        let (left, right) = self.halves(gradient, steps.len() / 2);
        // Only sequences, which are one panel, need memory.
        let (left, right) = rayon::join(
            || self.of_steps(tile, steps.start..middle, left, &mut []),
            || self.of_steps(tile, middle..steps.end, right, &mut []),
        );
        left.with(right)
    }

    fn halves<'b>(
        &self,
        gradient: Option<&'b mut [Row]>,
        panels: usize,
    ) -> (Option<&'b mut [Row]>, Option<&'b mut [Row]>) {
        gradient.map(|gradient| gradient.split_at_mut(panels * self.outputs)).unzip()
    }

    fn one(&self, tile: usize, step: usize, gradient: Option<&mut [Row]>, workspace: &mut [Lanes]) -> Score {
        let live = self.output.live(tile);
        let rows = &self.output.tile(tile)[step * self.outputs..][..self.outputs];
        let mut weights = UNWEIGHTED;
        if let Some(all) = &self.batch.weights {
            weights.0[..live].copy_from_slice(&all[tile * LANES..][..live]);
        }
        let mut of_step = [IGNORED; LANES];
        let mut real = None;
        let targets = match &self.batch.targets {
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
        let expected = Expected { targets, live, weights: &weights };
        crate::vectorize!(self.isa, {
            let loss_sum = match gradient {
                Some(gradient) => self.loss.tile(rows, expected, gradient, workspace),
                None => self.loss.value(rows, expected, workspace),
            };
            Score { loss_sum, ..self.counts(rows, expected, workspace) }
        })
    }

    /// What is counted besides the loss.
    fn counts(&self, rows: &[Row], expected: Expected<'_>, workspace: &mut [Lanes]) -> Score {
        let mut score = Score::default();
        let best = match expected.targets {
            TargetTile::Classes(_) => highest(rows),
            TargetTile::Values(_) | TargetTile::Sequences(_) => [0; LANES],
        };
        for (lane, weight) in expected.weights.0[..expected.live].iter().enumerate() {
            let weight = f64::from(*weight);
            let label = match expected.targets {
                TargetTile::Classes(labels) if labels[lane] == IGNORED => continue,
                TargetTile::Classes(labels) => Some(labels[lane]),
                TargetTile::Values(_) | TargetTile::Sequences(_) => None,
            };
            score.samples += weight;
            score.normaliser += weight * self.loss.class_weight(label);
            if label == Some(best[lane]) {
                score.correct += weight;
            }
            if let TargetTile::Sequences(tile) = &expected.targets {
                score.labels += weight * tile.of(lane).len() as f64;
                score.edits += weight * edits(rows, tile, lane, workspace) as f64;
            }
        }
        score
    }
}

/// The output that is largest in each lane; of equal ones the first, and the first of such that are no numbers.
pub(super) fn highest(rows: &[Row]) -> [u32; LANES] {
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
    class
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
        let batch = Batch::of(output.clone(), targets, None);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| score(&Loss::Ctc, Isa::detect(), &output, &batch, Some(&mut gradient)));
        (found, gradient.rows().to_vec())
    }

    #[test]
    fn sequences_score_the_same_in_any_number_of_threads() {
        let one = scored(1);
        assert_eq!((one.0.samples, one.0.labels, one.0.normaliser), (200.0, 400.0, 200.0));
        assert!(one.0.edits > 100.0 && one.0.label_error_rate() == one.0.edits / 400.0);
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
        let batch = |tiles: &Tiles, targets| Batch::of(tiles.clone(), targets, None);
        let expected = score(&loss, isa, &alone, &batch(&alone, classes), Some(&mut gradient_alone));
        let steps = batch(&output, BatchTargets::Steps(labels));
        let found = score(&loss, isa, &output, &steps, Some(&mut gradient));
        assert_eq!((found.samples, found.correct), (living.len() as f64, expected.correct));
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
