//! A path of networks: one penalty, many lambdas, each trained for some epochs from where the last one ended.
//!
//! ```text
//! from dense    lambda rises from small    zeros leave storage between lambdas: later ones cost less
//! from sparse   lambda falls from large    zeros stay stored and may grow, lost neurons are offered anew (`revive`);
//!                                          after a lambda that leaves nothing all begins again
//! ```
//! Weights, optimizer state and the order of samples go on from lambda to lambda; the learning-rate schedule starts
//! again. A point's model is the network at the end of its epochs, without zeros and without the neurons that they leave
//! dead. LassoNet (Lemhadri, Ruan, Abraham and Tibshirani 2021) goes from dense to sparse in the same way.

use std::sync::Arc;

use serde::Serialize;

use super::keep::InMemory;
use super::live::Live;
use super::revive::revive_dead_neurons;
use super::settings::pairs::{self, Own};
use super::{Control, Ending, Event, ModelConfig, Progress, SampleScore, Settings, Trainer, Zeros};
use super::{Evaluation, model_bytes, score, score_samples};
use crate::control::{Candidate, PathStart, lambda_grid};
use crate::data::{Batch, Dataset, Splits, Task, TaskChoice};
use crate::kernels::Isa;
use crate::layers::{Network, Pass, without_dead_neurons, without_zeros};
use crate::losses::Loss;
use crate::penalties::{GroupBy, GroupL1, PenaltySettings, Regularizer};
use crate::{Error, Result};

/// Samples whose gradient says which lambda is large.
const SAMPLES: usize = 1024;

/// Which lambdas, in which order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathSettings {
    /// The largest lambda; `None` is about the smallest that no weight withstands at the start.
    pub lambda_max: Option<f64>,
    /// The smallest lambda over the largest, between 0 and 1.
    pub lambda_min_ratio: f64,
    /// How many lambdas, each the same part of the next.
    pub lambdas: usize,
    /// The end to start from.
    pub start: PathStart,
}

impl Default for PathSettings {
    /// 20 lambdas over four decades, from dense to sparse.
    fn default() -> PathSettings {
        PathSettings { lambda_max: None, lambda_min_ratio: 1e-4, lambdas: 20, start: PathStart::Dense }
    }
}

/// A path about to be followed.
pub struct LambdaPath {
    trainer: Trainer,
    /// In the order of training.
    lambdas: Vec<f64>,
    start: PathStart,
    epochs: u64,
}

/// What a path tells while it goes.
pub enum PathEvent<'a> {
    /// A step or an epoch at one of its lambdas. Counts are those of the whole path, but begin again after a lambda that
    /// left nothing to go on from.
    Train(Event<'a>),
    /// A lambda has had its epochs.
    Point(&'a PathPoint),
}

/// What came out of one lambda; the record of it has all but the model.
#[derive(Serialize)]
pub struct PathPoint {
    /// What the penalty was multiplied by.
    pub lambda: f64,
    /// Weights of the model, none of them 0.
    pub nonzeros: usize,
    /// These over all cells of the network that training began with.
    pub density: f64,
    /// Bytes of the model's arrays on disk.
    pub model_bytes: usize,
    /// The mean loss while training in the last epoch, without the penalty.
    pub train_loss: f64,
    /// On the validation part, if there is one.
    pub validation: Option<SampleScore>,
    /// Seconds of training.
    pub seconds: f64,
    /// The model.
    #[serde(skip)]
    pub network: Network,
}

impl PathPoint {
    /// What [`best`](crate::control::best) and [`knee`](crate::control::knee) choose by; without a validation part its loss is no number.
    pub fn candidate(&self) -> Candidate {
        let (loss, standard_error) =
            self.validation.map_or((f64::NAN, f64::NAN), |score| (score.loss, score.standard_error));
        Candidate { nonzeros: self.nonzeros, loss, standard_error }
    }
}

/// What came out of a path.
pub struct PathOutcome {
    /// The models, largest lambda first.
    pub points: Vec<PathPoint>,
    /// Lambdas that left no way from inputs to outputs, largest first: they have no model.
    pub emptied: Vec<f64>,
    /// Whether all lambdas had their time.
    pub ending: Ending,
}

impl LambdaPath {
    /// A path over the data and the network of `settings`, whose `train.epochs` each lambda gets.
    ///
    /// # Errors
    /// Settings or data that cannot be used; a penalty without a proximal step, which makes no zeros; a target, a
    /// topology method or an optimizer that decides by itself which connections there are.
    pub fn new(settings: Settings, path: &PathSettings) -> Result<LambdaPath> {
        let epochs = settings.train.epochs;
        LambdaPath::begin(Trainer::load(whole(settings, path)?)?, path, epochs)
    }

    /// A path over data in memory and the network of `settings`, whose `train.epochs` each lambda gets.
    ///
    /// # Errors
    /// As of [`LambdaPath::new`].
    pub fn on(settings: Settings, path: &PathSettings, splits: impl Into<Arc<Splits>>) -> Result<LambdaPath> {
        let epochs = settings.train.epochs;
        LambdaPath::begin(Trainer::new(whole(settings, path)?, splits)?, path, epochs)
    }

    /// A path of so many epochs at each lambda, by a trainer that has not begun.
    fn begin(mut trainer: Trainer, path: &PathSettings, epochs: u64) -> Result<LambdaPath> {
        trainer.schedule_period = Some(trainer.steps_per_epoch() * epochs);
        trainer.engine.sparsifier.zeros = Zeros::Keep;
        let largest = path.lambda_max.unwrap_or_else(|| trainer.in_own_pool(largest_lambda_of));
        let mut lambdas = lambda_grid(largest, path.lambda_min_ratio, path.lambdas)?;
        if path.start == PathStart::Dense {
            lambdas.reverse();
        }
        Ok(LambdaPath { trainer, lambdas, start: path.start, epochs })
    }

    /// The trainer that goes from lambda to lambda; its `train.epochs` are those of all.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// The lambdas in the order of training.
    pub fn lambdas(&self) -> &[f64] {
        &self.lambdas
    }

    /// Follows the path, once, telling `watch` of every step, epoch and point. From dense it ends early at a lambda that
    /// leaves no way from inputs to outputs; [`Control::Stop`] ends it at the last whole point.
    ///
    /// # Errors
    /// A loss that is not finite; lambdas that all leave nothing.
    pub fn follow(
        &mut self,
        watch: &mut (dyn FnMut(PathEvent<'_>) -> Control + Send),
    ) -> Result<PathOutcome> {
        let (mut points, mut emptied) = (Vec::new(), Vec::new());
        let mut ending = Ending::Finished;
        // Lambdas since the network was drawn.
        let (mut done, mut is_empty) = (0, false);
        for lambda in self.lambdas.clone() {
            if is_empty {
                // Nothing grows from nothing.
                self.trainer.begin_again()?;
                done = 0;
            }
            let (ended, point) = self.train(lambda, done, watch)?;
            if ended == Ending::Interrupted {
                ending = ended;
                break;
            }
            done += 1;
            is_empty = point.is_none();
            let Some(point) = point else {
                emptied.push(lambda);
                if self.start == PathStart::Dense {
                    break;
                }
                continue;
            };
            let control = watch(PathEvent::Point(&point));
            points.push(point);
            if control == Control::Stop {
                ending = Ending::Interrupted;
                break;
            }
        }
        if points.is_empty() && ending == Ending::Finished {
            let smallest = emptied.iter().copied().fold(f64::INFINITY, f64::min);
            let problem = format!("{smallest:.3e} leaves no way from inputs to outputs; lower it");
            return Err(Error::setting("lambda_max", problem));
        }
        points.sort_by(|a, b| b.lambda.total_cmp(&a.lambda));
        emptied.sort_by(|a, b| b.total_cmp(a));
        Ok(PathOutcome { points, emptied, ending })
    }

    /// Trains at one lambda, after `done` others, and says how that ended and what is left, if anything.
    fn train(
        &mut self,
        lambda: f64,
        done: u64,
        watch: &mut (dyn FnMut(PathEvent<'_>) -> Control + Send),
    ) -> Result<(Ending, Option<PathPoint>)> {
        let (mut train_loss, mut seconds) = (f64::NAN, 0.0);
        let mut listen = |event: Event<'_>| {
            if let Event::Epoch { record, .. } = &event {
                (train_loss, seconds) = (record.train_loss, seconds + record.seconds);
            }
            watch(PathEvent::Train(event))
        };
        let (start, epochs) = (self.start, self.epochs);
        let (ended, network) = self.trainer.in_own_pool(|trainer| {
            if start == PathStart::Sparse && done > 0 {
                let (seed, step) = (trainer.settings().seed, trainer.steps_per_epoch() * epochs * done);
                revive_dead_neurons(&mut trainer.engine, seed, step);
            }
            trainer.engine.sparsifier.set_lambda(lambda as f32);
            let (ended, _) = trainer.train_to(epochs * (done + 1), &mut InMemory::default(), &mut listen)?;
            let network = living(&trainer.engine.network);
            if start == PathStart::Dense && network.is_some() {
                let progress = Progress { step: 1, total: 1, epoch: 1 };
                trainer.engine.sparsifier.zeros = Zeros::Prune;
                trainer.engine.compact(None, &progress)?;
                trainer.engine.sparsifier.zeros = Zeros::Keep;
            }
            Ok((ended, network))
        })?;
        Ok((ended, network.map(|network| self.point(lambda, network, train_loss, seconds))))
    }

    fn point(&self, lambda: f64, network: Network, train_loss: f64, seconds: f64) -> PathPoint {
        let nonzeros = network.connections().0;
        PathPoint {
            lambda,
            nonzeros,
            density: nonzeros as f64 / self.trainer.network().connections().1 as f64,
            model_bytes: model_bytes(&network),
            train_loss,
            validation: self.trainer.splits().validation.as_ref().map(|part| self.score(&network, part)),
            seconds,
            network,
        }
    }

    /// The score of a network on a data set, in the trainer's threads.
    pub fn score(&self, network: &Network, dataset: &Dataset) -> SampleScore {
        let is_regression = self.trainer.splits().preparation.task == Task::Regression;
        let metric = self.trainer.settings().train.metric;
        let found = (is_regression || metric.is_some()).then(|| self.trainer.validate(network, dataset));
        self.trainer.in_pool(|| SampleScore {
            numbers: found.as_ref().and_then(Evaluation::numbers),
            metric: metric.and_then(|metric| found.as_ref()?.metrics.get(metric)),
            ..score_samples(network, self.trainer.isa(), &self.trainer.loss, dataset)
        })
    }

    /// A point's network with what its numbers mean.
    pub fn model_config(&self, network: &Network) -> ModelConfig {
        self.trainer.config(network)
    }
}

/// The settings of all lambdas together.
fn whole(settings: Settings, path: &PathSettings) -> Result<Settings> {
    check(&settings, path.start)?;
    lambda_grid(path.lambda_max.unwrap_or(1.0), path.lambda_min_ratio, path.lambdas)?;
    if settings.data.task == TaskChoice::LanguageModel {
        let problem = "a path scores samples with one answer each; train a language model for itself";
        return Err(Error::setting("data.task", problem));
    }
    let mut whole = settings;
    whole.train.patience = Some(0);
    whole.train.epochs = (whole.train.epochs)
        .checked_mul(path.lambdas as u64)
        .ok_or_else(|| Error::setting("lambdas", "times epochs is more than can be counted"))?;
    Ok(whole)
}

fn check(settings: &Settings, start: PathStart) -> Result<()> {
    let wrong = |key: &str, problem: &str| Err(Error::setting(key, problem));
    pairs::check(settings, Own::default(), true)?;
    if let Some(Regularizer::Prox(penalty)) = settings.penalty.build()?
        && !penalty.makes_zeros()
    {
        return wrong("penalty.l1_ratio", "is 0, which makes no zeros; raise it");
    }
    if settings.penalty.lambda.is_some() {
        return wrong(
            "penalty.lambda",
            "a path goes through many; leave it out and give the largest as lambda_max",
        );
    }
    if start == PathStart::Sparse && settings.sparsity.density < 1.0 {
        return wrong("sparsity.density", "must be 1 from sparse: what is to grow needs a place");
    }
    if settings.train.patience.is_some_and(|patience| patience > 0) {
        return wrong("train.patience", "must be 0 on a path: each lambda gets the same epochs");
    }
    Ok(())
}

fn largest_lambda_of(trainer: &mut Trainer) -> f64 {
    let (isa, penalty) = (trainer.isa(), &trainer.settings.penalty);
    largest_lambda(&trainer.engine.network, &trainer.splits.train, &trainer.loss, isa, penalty)
}

/// The smallest lambda that no weight (or group of weights) of the network withstands, judged by the gradient of some samples: where the
/// penalty's slope is everywhere as steep as the loss's.
pub(super) fn largest_lambda(
    network: &Network,
    train: &Dataset,
    loss: &Loss,
    isa: Isa,
    penalty: &PenaltySettings,
) -> f64 {
    let samples: Vec<usize> = (0..train.len().min(SAMPLES)).collect();
    let mut batch = Batch::new(train, samples.len());
    batch.fill(train, &samples);
    let pass = Pass::predict(isa);
    let network = &*network.with_rounded_weights(isa);
    let (mut gradients, mut buffers) = (network.gradients(), network.buffers(samples.len(), true));
    network.forward(&pass, &batch.input, &mut buffers);
    let (output, gradient) = buffers.output_and_gradient();
    let score = score(loss, pass.isa, output, &batch, Some(gradient));
    network.backward(&pass, &batch.input, &mut gradients, &mut buffers);
    let regularizer = penalty.build().ok().flatten();
    let mut largest = 0.0f32;
    for (index, parameter) in network.weights() {
        let (cols, values) = (parameter.weights.cols(), parameter.weights.values());
        // The sum of squares and the number of the slopes of each group.
        let mut groups = vec![(0.0, 0.0); parameter.weights.rows().max(cols)];
        for (cell, slot) in parameter.weights.connections() {
            let slope = gradients[index].values[slot].abs() / score.normaliser as f32;
            largest = largest.max(match &regularizer {
                Some(Regularizer::Prox(penalty)) => penalty.lambda_that_empties(slope, values[slot]),
                Some(Regularizer::Groups(_, by)) => {
                    let group = if *by == GroupBy::Neurons { cell / cols } else { cell % cols };
                    let (squares, count) = &mut groups[group];
                    (*squares, *count) = (*squares + slope * slope, *count + 1.0);
                    0.0
                }
                _ => slope,
            });
        }
        // A group of n weights is weighed by sqrt(n).
        let of_groups = groups.iter().map(|&(squares, size)| GroupL1::lambda_that_empties(squares, size));
        largest = of_groups.fold(largest, f32::max);
    }
    f64::from(largest)
}

/// The network without stored zeros and the neurons that they leave dead; `None` if no way leads from inputs to outputs.
fn living(network: &Network) -> Option<Network> {
    let live = Live::of(network, &[], &[], &[]).costs(|entry| entry.value != 0.0);
    if live.iter().any(|layer| layer.nnz == 0) {
        return None;
    }
    let thin = without_zeros(network);
    Some(without_dead_neurons(&thin).unwrap_or(thin))
}
