//! Mini-batches in the tile layout: samples lie in rows of the data set, and become lanes of a tile (`tiles/turn.rs`).

use rayon::prelude::*;

use super::augment::Augmentation;
use super::csr::Csr;
use super::dataset::{Dataset, Features, Targets};
use crate::random::{Purpose, Stream};
use crate::tiles::{Number, Tiles};

/// Runs of samples that are shuffled together.
const RUNS: usize = 64;

/// Some samples, ready for a network.
///
/// ```
/// use rarefy::data::{self, Batch, DataSettings};
///
/// let splits = data::load(&DataSettings::default(), 1)?; // the built-in digits
/// let mut batch = Batch::new(&splits.train, 32);
/// batch.fill(&splits.train, &[5, 0, 7]);
/// assert_eq!((batch.samples, batch.input.features()), (3, 64));
/// # Ok::<(), rarefy::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Batch {
    /// The features, a sample per lane; dead lanes are zero.
    pub input: Tiles,
    /// What should be predicted.
    pub targets: BatchTargets,
    /// How much each sample counts; `None` if all count once.
    pub weights: Option<Vec<f32>>,
    /// Number of samples.
    pub samples: usize,
    /// The samples that changes are made to, or which rows of a lent matrix they are.
    changed: Changed,
}

/// Samples to be changed: copies, the steps of each that are there, and their positions among the copies.
#[derive(Debug, Clone, Default)]
struct Changed {
    features: Vec<f32>,
    nonzeros: Csr,
    lengths: Vec<usize>,
    order: Vec<usize>,
}

/// What should be predicted for the samples of a batch.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a batch has one, which is filled anew for each step")]
pub enum BatchTargets {
    /// A class per sample.
    Classes(Vec<u32>),
    /// A class at each step, sample by sample; [`IGNORED`](crate::tiles::IGNORED) where nothing is to be predicted.
    Steps(Vec<u32>),
    /// Numbers, or labels 0 and 1, a sample per lane; dead lanes are zero.
    Values(Tiles),
    /// A sequence of labels per sample.
    Sequences {
        /// Those of all samples, one sample after the other.
        labels: Vec<u32>,
        /// Where those of each sample begin, and then where the last one's end.
        offsets: Vec<usize>,
        /// How many labels there are, the blank included.
        classes: usize,
        /// Labels of the data set's longest sequence.
        longest: usize,
    },
}

impl Batch {
    /// A batch of one's own: samples, what should be predicted for them, and how much each counts.
    ///
    /// # Panics
    /// If there are weights, but not one for each sample.
    pub fn of(input: Tiles, targets: BatchTargets, weights: Option<Vec<f32>>) -> Batch {
        let samples = input.samples();
        if let Some(weights) = &weights {
            assert_eq!(weights.len(), samples, "a weight for each sample");
        }
        Batch { input, targets, weights, samples, changed: Changed::default() }
    }

    /// An empty batch with memory for `capacity` samples of a data set.
    pub fn new(dataset: &Dataset, capacity: usize) -> Batch {
        let inputs = dataset.inputs();
        let mut input =
            if dataset.is_sparse() { Tiles::sparse(inputs) } else { Tiles::zeros(inputs, capacity) };
        if !dataset.lengths.is_empty() {
            // For their memory alone.
            input.set_lengths((0..capacity).map(|_| 0));
        }
        if input.columns().is_none() {
            input.resize(0);
        }
        let targets = match &dataset.targets {
            Targets::Classes { .. } => BatchTargets::Classes(Vec::with_capacity(capacity)),
            Targets::Steps { steps, .. } => BatchTargets::Steps(Vec::with_capacity(capacity * steps)),
            Targets::Values { outputs, .. } => {
                let mut values = Tiles::zeros(*outputs, capacity);
                values.resize(0);
                BatchTargets::Values(values)
            }
            Targets::Sequences { offsets, classes, .. } => {
                let longest = offsets.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap_or(0);
                BatchTargets::Sequences {
                    labels: Vec::with_capacity(capacity * longest),
                    offsets: Vec::with_capacity(capacity + 1),
                    classes: *classes,
                    longest,
                }
            }
        };
        let weights = dataset.weights.as_ref().map(|_| Vec::with_capacity(capacity));
        Batch { input, targets, weights, samples: 0, changed: Changed::default() }
    }

    /// Whether the batch was made for a data set of this kind: [`Batch::fill`] takes no other.
    pub(crate) fn is_for(&self, dataset: &Dataset) -> bool {
        let has_targets = match (&self.targets, &dataset.targets) {
            (BatchTargets::Classes(_), Targets::Classes { .. }) => true,
            (BatchTargets::Steps(_), Targets::Steps { .. }) => true,
            (BatchTargets::Values(tiles), Targets::Values { outputs, .. }) => tiles.features() == *outputs,
            // Each has room for the longest of its own data set.
            _ => false,
        };
        has_targets
            && self.input.features() == dataset.inputs()
            && self.input.columns().is_some() == dataset.is_sparse()
            && self.weights.is_some() == dataset.weights.is_some()
    }

    /// Takes the samples of `dataset` that `order` names, in that order. Allocates only if there are more than the
    /// capacity. The result does not depend on the number of threads.
    ///
    /// # Panics
    /// If `order` names a sample that `dataset` does not have, or the batch was made for another kind of data set.
    pub fn fill(&mut self, dataset: &Dataset, order: &[usize]) {
        assert_eq!(self.input.features(), dataset.inputs(), "a batch keeps to data sets with as many inputs");
        match &dataset.features {
            Features::Dense(numbers) => gather(numbers, order, &mut self.input),
            Features::Lent(lent) => {
                let rows = &mut self.changed.order;
                rows.clear();
                rows.extend(order.iter().map(|&sample| lent.rows[sample]));
                gather(lent.matrix.numbers(), rows, &mut self.input);
                lent.scale(&mut self.input);
            }
            Features::Streamed(rows) => {
                let Changed { features, order: positions, .. } = &mut self.changed;
                rows.copy(order, &dataset.lengths, features);
                positions.clear();
                positions.extend(0..order.len());
                gather(features, positions, &mut self.input);
            }
            Features::Sparse(rows) => self.input.fill_columns(order.len(), |place| rows.row(order[place])),
            Features::StreamedSparse(rows) => {
                let read = &mut self.changed.nonzeros;
                rows.copy(order, read);
                self.input.fill_columns(order.len(), |place| read.row(place));
            }
            Features::Tokens { ids, .. } => gather(ids, order, &mut self.input),
        }
        if !dataset.lengths.is_empty() {
            self.input.set_lengths(order.iter().map(|&sample| dataset.lengths[sample]));
        }
        self.fill_targets(dataset, order);
    }

    /// As [`Batch::fill`], with the samples changed as `augmentation` says for this epoch, if it is given.
    ///
    /// # Panics
    /// As for [`Batch::fill`], and if `augmentation` is for samples of another shape.
    pub fn fill_for_training(
        &mut self,
        dataset: &Dataset,
        order: &[usize],
        augmentation: Option<&Augmentation>,
        epoch: u64,
    ) {
        let Some(augmentation) = augmentation else { return self.fill(dataset, order) };
        let inputs = dataset.inputs();
        assert_eq!(self.input.features(), inputs, "a batch keeps to data sets with as many inputs");
        let Changed { features, lengths, order: positions, .. } = &mut self.changed;
        match &dataset.features {
            Features::Dense(numbers) => {
                features.clear();
                features.extend(order.iter().flat_map(|&sample| &numbers[sample * inputs..][..inputs]));
            }
            Features::Streamed(rows) => rows.copy(order, &dataset.lengths, features),
            _ => panic!("such samples are not changed"),
        }
        lengths.resize(order.len(), 0);
        positions.clear();
        positions.extend(0..order.len());
        let copies = features.par_chunks_exact_mut(inputs).zip(lengths.par_iter_mut()).zip(order);
        copies.for_each(|((copy, length), &sample)| {
            let before = dataset.lengths.get(sample).map_or(dataset.shape.width, |&length| length as usize);
            *length = augmentation.apply(copy, before, sample, epoch);
        });
        gather(features, positions, &mut self.input);
        if !dataset.lengths.is_empty() || augmentation.changes_lengths() {
            self.input.set_lengths(lengths.iter().map(|&length| length as u32));
        }
        self.fill_targets(dataset, order);
    }

    fn fill_targets(&mut self, dataset: &Dataset, order: &[usize]) {
        self.samples = order.len();
        match (&mut self.weights, &dataset.weights) {
            (Some(weights), Some(all)) => {
                weights.clear();
                weights.extend(order.iter().map(|&sample| all[sample]));
            }
            (None, None) => {}
            _ => panic!("a batch keeps to data sets with weights, or to such without"),
        }
        match (&mut self.targets, &dataset.targets) {
            (BatchTargets::Classes(classes), Targets::Classes { labels, .. }) => {
                classes.clear();
                classes.extend(order.iter().map(|&sample| labels[sample]));
            }
            (BatchTargets::Steps(classes), Targets::Steps { labels, steps, .. }) => {
                classes.clear();
                classes.extend(order.iter().flat_map(|&sample| &labels[sample * steps..][..*steps]));
            }
            (BatchTargets::Values(tiles), Targets::Values { values, outputs }) => {
                assert_eq!(tiles.features(), *outputs, "a batch keeps to data sets with as many outputs");
                gather(values, order, tiles);
            }
            (
                BatchTargets::Sequences { labels, offsets, .. },
                Targets::Sequences { labels: all, offsets: places, .. },
            ) => {
                labels.clear();
                offsets.clear();
                offsets.push(0);
                for &sample in order {
                    labels.extend(&all[places[sample]..places[sample + 1]]);
                    offsets.push(labels.len());
                }
            }
            _ => panic!("a batch keeps to one kind of targets"),
        }
    }
}

/// The order in which an epoch goes through the samples.
pub fn epoch_order(samples: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..samples).collect();
    Stream::new(seed, Purpose::Shuffle, 0, epoch).shuffle(&mut order);
    order
}

/// The order in which an epoch goes through samples of which `window` are shuffled together, for samples in a file of which no more
/// are in memory at once. A window holds 64 runs of neighbours from all over the file, so that sorted files mix; the runs too come in
/// an order that the seed and the epoch name.
pub fn windowed_order(samples: usize, window: usize, seed: u64, epoch: u64) -> Vec<usize> {
    if window >= samples {
        return epoch_order(samples, seed, epoch);
    }
    let run = window.div_ceil(RUNS).max(1);
    let mut stream = Stream::new(seed, Purpose::Shuffle, 0, epoch);
    let mut starts: Vec<usize> = (0..samples).step_by(run).collect();
    stream.shuffle(&mut starts);
    let runs = starts.into_iter().flat_map(|start| start..samples.min(start + run));
    let mut order = Vec::with_capacity(samples);
    order.extend(runs);
    order.chunks_mut(window).for_each(|window| stream.shuffle(window));
    order
}

/// The order in which an epoch goes through samples that follow each other, for layers that carry their states: cut into
/// `lanes` runs of as many samples, the first ones perhaps with one more; each batch has one sample of each, the next of its run.
pub fn run_order(samples: usize, lanes: usize) -> Vec<usize> {
    let (length, longer) = (samples / lanes, samples % lanes);
    let start = |lane: usize| lane * length + lane.min(longer);
    let batches = samples.div_ceil(lanes);
    (0..batches)
        .flat_map(|batch| {
            let lanes = if batch < length { lanes } else { longer };
            (0..lanes).map(move |lane| start(lane) + batch)
        })
        .collect()
}

/// Makes row `order[i]` of a row-major matrix sample `i` of `tiles`.
fn gather<N: Number>(matrix: &[N], order: &[usize], tiles: &mut Tiles) {
    let width = tiles.features();
    tiles.gather(order.len(), |sample| &matrix[order[sample] * width..][..width]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::Shape;

    fn dataset(samples: usize, inputs: usize, outputs: Option<usize>) -> Dataset {
        let numbers = |count: usize| (0..count).map(|number| number as f32 + 1.0).collect::<Vec<_>>();
        let targets = match outputs {
            None => Targets::Classes { labels: (0..samples as u32).map(|i| i % 3).collect(), classes: 3 },
            Some(outputs) => Targets::Values { values: numbers(samples * outputs), outputs },
        };
        let features = Features::Dense(numbers(samples * inputs));
        Dataset { shape: Shape::flat(inputs), features, lengths: Vec::new(), targets, weights: None }
    }

    #[test]
    fn a_batch_holds_the_named_samples_and_zeros_in_dead_lanes() {
        for inputs in [1, 3, 15, 16, 17, 255, 256, 300, 784] {
            for outputs in [None, Some(1), Some(20)] {
                let data = dataset(200, inputs, outputs);
                let mut batch = Batch::new(&data, 130);
                // Large, then small, then large again: nothing of an earlier batch may stay.
                for samples in [130, 1, 64, 65, 0, 130] {
                    let order: Vec<usize> = (0..samples).map(|i| (i * 37 + 5) % 200).collect();
                    batch.fill(&data, &order);
                    assert_eq!((batch.samples, batch.input.samples()), (samples, samples));
                    for (lane, &from) in order.iter().enumerate() {
                        assert_eq!(
                            batch.input.sample(lane),
                            data.dense().unwrap()[from * inputs..][..inputs]
                        );
                        match (&batch.targets, &data.targets) {
                            (BatchTargets::Classes(classes), Targets::Classes { labels, .. }) => {
                                assert_eq!(classes[lane], labels[from]);
                            }
                            (BatchTargets::Values(tiles), Targets::Values { values, outputs }) => {
                                assert_eq!(tiles.sample(lane), values[from * outputs..][..*outputs]);
                            }
                            _ => unreachable!(),
                        }
                    }
                    for tile in 0..batch.input.tiles() {
                        let live = batch.input.live(tile);
                        assert!(
                            batch.input.tile(tile).iter().all(|row| row.0[live..].iter().all(|&x| x == 0.0))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn filling_up_to_the_capacity_keeps_the_memory() {
        let data = dataset(200, 40, Some(2));
        let mut batch = Batch::new(&data, 128);
        let mut at = None;
        for samples in [128, 5, 100] {
            batch.fill(&data, &(0..samples).collect::<Vec<_>>());
            let now = batch.input.rows().as_ptr();
            assert_eq!(now, *at.get_or_insert(now));
        }
    }

    #[test]
    fn runs_of_samples_go_on_in_their_lanes() {
        //          lane 0  0 1 2 3,  lane 1  4 5 6,  lane 2  7 8 9
        assert_eq!(run_order(10, 3), [0, 4, 7, 1, 5, 8, 2, 6, 9, 3]);
        assert_eq!(run_order(4, 2), [0, 2, 1, 3]);
        assert_eq!(run_order(2, 2), [0, 1]);
    }

    #[test]
    fn windows_are_shuffled_within_and_mix_what_lies_far_apart() {
        assert_eq!(windowed_order(50, 50, 1, 2), epoch_order(50, 1, 2));
        for (samples, window) in [(1000, 128), (1000, 999), (7, 1), (1, 1)] {
            let order = windowed_order(samples, window, 1, 2);
            assert_eq!(order, windowed_order(samples, window, 1, 2));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..samples).collect::<Vec<_>>());
        }
        let order = windowed_order(10_000, 1000, 1, 2);
        assert_ne!(order, windowed_order(10_000, 1000, 1, 3));
        for window in order.chunks(1000) {
            // Tenths of the file that are in it, and whether neighbours were torn apart.
            let tenths: std::collections::BTreeSet<usize> =
                window.iter().map(|sample| sample / 1000).collect();
            let pairs = window.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
            assert!(tenths.len() > 8 && pairs < 20, "{} {pairs}", tenths.len());
        }
    }

    #[test]
    fn an_epoch_visits_every_sample_once_in_an_order_of_its_own() {
        let order = epoch_order(50, 1, 2);
        assert_eq!(order, epoch_order(50, 1, 2));
        assert_ne!(order, epoch_order(50, 1, 3));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }
}
