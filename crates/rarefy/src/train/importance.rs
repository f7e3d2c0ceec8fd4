//! Permutation importance: how much worse a model predicts where the values of one feature are shuffled over the samples.
//!
//! ```text
//! score = constant + sum over samples i of c_i       classes: c_i = ln p_i / n       numbers: c_i = -error_i^2 / sum of (y - mean)^2
//! d_i        = mean over shuffles of c_i - c_i where the feature is shuffled
//! importance = sum of d_i       standard error = sqrt(n / (n - 1) sum of (d_i - mean d)^2)
//! ```
//! Breiman 2001 (Random forests, section 10); Fisher, Rudin and Dominici 2019 (All models are wrong, but many are useful), whose
//! model reliance is this as a difference. The standard error is that of the samples, the shuffles' included: where a feature
//! says nothing, the importance on samples that the model was not trained on is 0 but for that. The spread over shuffles alone
//! would be too small, because all shuffles share the samples. Features that tell the same share what they are worth: one
//! stands in for the other.
//!
//! A sample whose values a shuffle leaves as they were is not predicted again. So of sparse samples only those cost time that
//! have the feature, and a feature without a connection costs none: its importance is exactly 0.

use rayon::prelude::*;
use serde::Serialize;

use super::model::Model;
use crate::data::{Csr, Dataset, Features, TargetScaler, Targets, Task};
use crate::losses::Head;
use crate::metrics::Decision;
use crate::random::{Purpose, Stream};
use crate::{Error, Result};

/// What shuffling a feature costs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Importance {
    /// By how much the score gets worse, the mean over shuffles; below 0 if it gets better.
    pub importance: f64,
    /// Of that, over samples and shuffles.
    pub standard_error: f64,
}

/// What shuffling each of some features costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Importances {
    /// The score: `R2` in the unit of the targets, the mean over them; `log loss` of classes and labels, which tells much more of few
    /// samples than their share that is right, or `accuracy` where the model gives no probabilities.
    pub score: &'static str,
    /// That of the samples as they are.
    pub value: f64,
    /// How many there are.
    pub samples: usize,
    /// How often each feature was shuffled.
    pub repeats: usize,
    /// Of each feature, in order.
    pub of_features: Vec<Importance>,
}

/// The permutation importance of features, each a list of inputs (columns) that are shuffled together, on prepared samples with
/// their targets, over `repeats` shuffles that `seed` names. It uses the threads that it is called in; the bits do not depend on
/// how many these are.
///
/// # Errors
/// [`Error::Setting`] where samples are no rows of numbers with one answer each (tokens, sequences of several lengths,
/// transcriptions, language models), or the score is not defined: R2 of a target that never changes, predictions that are NaN.
///
/// # Panics
/// If the data is not of the model's preparation, an input does not exist, or there are no repeats.
pub fn permutation_importance(
    model: &Model,
    dataset: &Dataset,
    features: &[Vec<usize>],
    repeats: usize,
    seed: u64,
) -> Result<Importances> {
    assert!(repeats > 0, "a feature is shuffled at least once");
    let dataset = &*dataset.with_own_numbers();
    let scorer = Scorer::new(model, dataset)?;
    let shuffles: Vec<Shuffle> =
        (0..repeats).map(|repeat| Shuffle::new(dataset.len(), seed, repeat)).collect();
    let columns = Columns::new(dataset);
    let is_read = inputs_read(model, dataset.inputs());
    let of_features = features.par_iter().map_init(
        || vec![0.0; dataset.len()],
        |losses, inputs| {
            if inputs.iter().all(|&input| !is_read[input]) {
                return Importance::default();
            }
            losses.fill(0.0);
            for shuffle in &shuffles {
                let changed = columns.changed(inputs, shuffle);
                predict_changed(model, dataset, inputs, shuffle, &changed, &mut |sample, scores| {
                    losses[sample] += (scorer.shares[sample] - scorer.share(sample, scores)) / repeats as f64;
                });
            }
            sum_and_error(losses)
        },
    );
    Ok(Importances {
        score: scorer.name(),
        value: scorer.value(),
        samples: dataset.len(),
        repeats,
        of_features: of_features.collect(),
    })
}

/// The sum over samples, and its standard error.
fn sum_and_error(losses: &[f64]) -> Importance {
    let samples = losses.len() as f64;
    let sum = losses.iter().sum::<f64>();
    let squares: f64 = losses.iter().map(|loss| (loss - sum / samples).powi(2)).sum();
    Importance { importance: sum, standard_error: (squares * samples / (samples - 1.0).max(1.0)).sqrt() }
}

/// Which inputs have a connection; all where the network does not tell them apart.
fn inputs_read(model: &Model, inputs: usize) -> Vec<bool> {
    match model.network().input_connections() {
        Ok(found) => {
            let channels = found.nnz.len();
            (0..inputs).map(|input| found.nnz[input % channels] > 0).collect()
        }
        Err(_) => vec![true; inputs],
    }
}

/// An order of the samples, and for each sample which one it takes its values from.
struct Shuffle {
    donors: Vec<usize>,
    takers: Vec<usize>,
}

impl Shuffle {
    fn new(samples: usize, seed: u64, repeat: usize) -> Shuffle {
        let mut donors: Vec<usize> = (0..samples).collect();
        Stream::new(seed, Purpose::Importance, 0, repeat as u64).shuffle(&mut donors);
        let mut takers = vec![0; samples];
        donors.iter().enumerate().for_each(|(taker, &donor)| takers[donor] = taker);
        Shuffle { donors, takers }
    }
}

/// The samples' numbers as a shuffle of a column looks at them.
enum Columns<'a> {
    /// `samples x inputs`.
    Dense(&'a [f32], usize),
    /// The samples that have a nonzero of each input.
    Sparse(Vec<Vec<u32>>),
}

impl Columns<'_> {
    fn new(dataset: &Dataset) -> Columns<'_> {
        match &dataset.features {
            Features::Dense(numbers) => Columns::Dense(numbers, dataset.inputs()),
            Features::Sparse(rows) => {
                let mut owners = vec![Vec::new(); rows.features()];
                for sample in 0..rows.rows() {
                    rows.row(sample).0.iter().for_each(|&input| owners[input as usize].push(sample as u32));
                }
                Columns::Sparse(owners)
            }
            Features::Lent(_) | Features::Streamed(_) | Features::StreamedSparse(_) => {
                unreachable!("others' numbers are copied")
            }
            Features::Tokens { .. } => unreachable!("tokens are refused"),
        }
    }

    /// The samples, in order, that a shuffle of these inputs gives other numbers.
    fn changed(&self, inputs: &[usize], shuffle: &Shuffle) -> Vec<usize> {
        match self {
            Columns::Dense(numbers, width) => {
                let number = |sample: usize, input: usize| numbers[sample * width + input];
                let differs = |&sample: &usize| {
                    let donor = shuffle.donors[sample];
                    inputs.iter().any(|&input| number(sample, input) != number(donor, input))
                };
                (0..shuffle.donors.len()).filter(differs).collect()
            }
            Columns::Sparse(owners) => {
                let owners = inputs.iter().flat_map(|&input| &owners[input]).map(|&owner| owner as usize);
                let mut changed: Vec<usize> =
                    owners.flat_map(|owner| [owner, shuffle.takers[owner]]).collect();
                changed.sort_unstable();
                changed.dedup();
                changed
            }
        }
    }
}

/// Predicts the changed samples, and hands each with its scores to `take`.
fn predict_changed(
    model: &Model,
    dataset: &Dataset,
    inputs: &[usize],
    shuffle: &Shuffle,
    changed: &[usize],
    take: &mut dyn FnMut(usize, &[f32]),
) {
    /// Samples copied at once.
    const BLOCK: usize = 1024;
    for block in changed.chunks(BLOCK) {
        let mut part = dataset.subset(block);
        match (&mut part.features, &dataset.features) {
            (Features::Dense(numbers), Features::Dense(all)) => {
                let width = dataset.inputs();
                for (row, &sample) in numbers.chunks_exact_mut(width).zip(block) {
                    let donor = shuffle.donors[sample] * width;
                    inputs.iter().for_each(|&input| row[input] = all[donor + input]);
                }
            }
            (Features::Sparse(rows), Features::Sparse(all)) => {
                *rows = Csr::empty(all.features());
                let mut entries = Vec::new();
                for &sample in block {
                    mix(all, sample, shuffle.donors[sample], inputs, &mut entries);
                    rows.push(&mut entries).expect("the entries of two sound rows");
                }
            }
            _ => unreachable!("a part has the features of the whole"),
        }
        let predictions = model.predict_prepared(&part);
        let outputs = predictions.scores().len() / block.len();
        for (row, &sample) in predictions.scores().chunks_exact(outputs).zip(block) {
            take(sample, row);
        }
    }
}

/// The entries of a row, those of `inputs` from another row.
fn mix(rows: &Csr, own: usize, donor: usize, inputs: &[usize], entries: &mut Vec<(u32, f32)>) {
    entries.clear();
    for (row, of_feature) in [(own, false), (donor, true)] {
        let (columns, values) = rows.row(row);
        let numbers = columns.iter().copied().zip(values.iter().copied());
        entries.extend(numbers.filter(|(column, _)| inputs.contains(&(*column as usize)) == of_feature));
    }
}

/// What each sample's prediction adds to the score of all.
struct Scorer<'a> {
    dataset: &'a Dataset,
    head: Head,
    scaler: &'a TargetScaler,
    /// What a right answer of each sample is worth: `weight / sum of weights`, over outputs.
    worth: Vec<f64>,
    /// Of numbers the targets in their own unit, and what each squared error is multiplied by: `1 / sum of weighted squares`.
    numbers: Option<(Vec<f64>, Vec<f64>)>,
    /// What each sample adds as it is.
    shares: Vec<f64>,
}

impl Scorer<'_> {
    fn new<'a>(model: &'a Model, dataset: &'a Dataset) -> Result<Scorer<'a>> {
        let preparation = &model.config.preparation;
        let refuse = |problem: &str| Err(Error::setting("data", problem));
        if matches!(dataset.features, Features::Tokens { .. }) {
            return refuse(
                "is made of tokens, which are no features to shuffle; a bag of words has one for each word",
            );
        }
        if !dataset.lengths.is_empty() {
            return refuse("has sequences of several lengths, whose values cannot be exchanged");
        }
        if matches!(preparation.task, Task::Transcription | Task::LanguageModel) {
            return refuse("is to be answered at each step; importance is for one answer a sample");
        }
        if dataset.is_empty() {
            return refuse("has no samples");
        }
        let weight =
            |sample: usize| dataset.weights.as_ref().map_or(1.0, |weights| f64::from(weights[sample]));
        let total: f64 = (0..dataset.len()).map(weight).sum();
        let worth: Vec<f64> = (0..dataset.len()).map(|sample| weight(sample) / total).collect();
        let scaler = &preparation.target_scaler;
        let numbers = match &dataset.targets {
            Targets::Values { values, outputs } if preparation.task == Task::Regression => {
                let numbers = scaler.undo_all(*outputs, values);
                let variances = variances(&numbers, *outputs, &worth);
                if variances.contains(&0.0) {
                    return refuse("has a target that never changes, of which nothing can be explained");
                }
                Some((numbers, variances.iter().map(|variance| 1.0 / variance).collect()))
            }
            _ => None,
        };
        let mut scorer =
            Scorer { dataset, head: model.config.head, scaler, worth, numbers, shares: Vec::new() };
        let scores = model.predict_prepared(dataset);
        scorer.shares =
            (0..dataset.len()).map(|sample| scorer.share(sample, scores.scores_of(sample))).collect();
        if !scorer.value().is_finite() {
            return refuse(
                "is predicted as numbers that are NaN or infinite, of which there is no score: the model diverged in training",
            );
        }
        Ok(scorer)
    }

    fn name(&self) -> &'static str {
        match self.head {
            _ if self.numbers.is_some() => "R2",
            Head::Softmax | Head::Sigmoid => "log loss",
            Head::Identity => "accuracy",
        }
    }

    fn value(&self) -> f64 {
        let sum = self.shares.iter().sum::<f64>();
        match self.name() {
            "R2" => 1.0 + sum,
            "log loss" => -sum,
            _ => sum,
        }
    }

    /// What a sample adds to the score where its outputs are `scores`.
    fn share(&self, sample: usize, scores: &[f32]) -> f64 {
        let mean = match (&self.dataset.targets, &self.numbers) {
            (Targets::Classes { labels, .. }, _) => {
                let label = labels[sample] as usize;
                match self.head {
                    Head::Softmax => ln(f64::from(scores[label])),
                    _ => f64::from(u8::from(Decision::default().class(scores) == label)),
                }
            }
            (Targets::Values { outputs, .. }, Some((numbers, factors))) => {
                let predicted = self.scaler.undo_all(*outputs, scores);
                let errors = predicted.iter().zip(&numbers[sample * outputs..]).zip(factors);
                -errors.map(|((found, number), factor)| factor * (found - number).powi(2)).sum::<f64>()
                    / *outputs as f64
            }
            (Targets::Values { values, outputs }, None) => {
                let expected = &values[sample * outputs..][..*outputs];
                let labels = scores.iter().zip(expected);
                let each = labels.map(|(&score, &label)| {
                    let is_there = label > 0.5;
                    match self.head {
                        Head::Sigmoid => ln(if is_there { score.into() } else { 1.0 - f64::from(score) }),
                        _ => f64::from(u8::from((score > 0.5) == is_there)),
                    }
                });
                each.sum::<f64>() / *outputs as f64
            }
            (Targets::Steps { .. } | Targets::Sequences { .. }, _) => unreachable!("these are refused"),
        };
        self.worth[sample] * mean
    }
}

/// As [`log_loss`](crate::metrics::log_loss) takes it.
fn ln(probability: f64) -> f64 {
    probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// The variance of each output's numbers, `worth` being how much each sample counts, 1 in all.
fn variances(numbers: &[f64], outputs: usize, worth: &[f64]) -> Vec<f64> {
    let of = |output: usize| numbers.iter().skip(output).step_by(outputs).zip(worth);
    let variance = |output: usize| {
        let first = numbers[output];
        if of(output).all(|(&number, _)| number == first) {
            return 0.0;
        }
        let mean: f64 = of(output).map(|(number, worth)| worth * number).sum();
        of(output).map(|(number, worth)| worth * (number - mean).powi(2)).sum()
    };
    (0..outputs).map(variance).collect()
}
