//! What a model says about samples, in the words of the data it was trained on.

use serde::Serialize;

use super::Score;
use super::evaluation::Meaning;
use crate::data::{Dataset, Task};
use crate::metrics::Answers;

/// A model's predictions for some samples, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions<'a> {
    meaning: Meaning<'a>,
    samples: usize,
    scores: Vec<f32>,
    transcripts: Vec<Vec<u32>>,
}

/// What is predicted for one sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Prediction<'a> {
    /// The name of the class: the likeliest one, or as the model's threshold says.
    Class(&'a str),
    /// The names of the labels whose probability is above one half.
    Labels(Vec<String>),
    /// A number, in the unit of the target, with as many digits as 32 bits tell apart.
    Number(f64),
    /// A number for each output.
    Numbers(Vec<f64>),
    /// What is said in a recording.
    Text(String),
}

impl<'a> Predictions<'a> {
    /// Predictions without any sample yet.
    pub(super) fn new(meaning: Meaning<'a>, samples: usize) -> Predictions<'a> {
        let scores = Vec::with_capacity(samples * meaning.preparation.outputs);
        Predictions { meaning, samples: 0, scores, transcripts: Vec::new() }
    }

    /// Adds a sample of so many scores.
    pub(super) fn push(&mut self, scores: impl Iterator<Item = f32>) {
        self.scores.extend(scores);
        self.samples += 1;
    }

    /// Adds a sample of a transcription.
    pub(super) fn push_transcript(&mut self, labels: Vec<u32>) {
        self.transcripts.push(labels);
        self.samples += 1;
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Scores of each sample, row-major, `samples x outputs`: the probability of each class or label where the model gives
    /// probabilities, else the network's outputs (numbers as scaled for the network). Empty for transcriptions.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The scores of one sample.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn scores_of(&self, sample: usize) -> &[f32] {
        assert!(sample < self.samples, "sample {sample} of {}", self.samples);
        let outputs = self.scores.len() / self.samples;
        &self.scores[sample * outputs..][..outputs]
    }

    /// How many samples have outputs that are no finite numbers, as of features far beyond those of the training part: what is
    /// predicted for them means nothing.
    pub fn astray(&self) -> usize {
        let outputs = (self.scores.len() / self.samples.max(1)).max(1);
        let is_astray = |scores: &&[f32]| scores.iter().any(|score| !score.is_finite());
        self.scores.chunks_exact(outputs).filter(is_astray).count()
    }

    /// The class of each sample, counted from 0 in the order of the preparation's classes: the likeliest one, or as
    /// the model's `decision` says.
    ///
    /// # Panics
    /// If the model does not predict classes.
    pub fn classes(&self) -> Vec<u32> {
        self.expect(Task::Classification);
        let rows = self.scores.chunks_exact(self.meaning.preparation.outputs);
        rows.map(|row| self.meaning.decision.class(row) as u32).collect()
    }

    /// The numbers predicted, row-major, `samples x outputs`, in the unit of the target.
    ///
    /// # Panics
    /// If the model does not predict numbers.
    pub fn numbers(&self) -> Vec<f64> {
        self.expect(Task::Regression);
        let preparation = self.meaning.preparation;
        preparation.target_scaler.undo_all(preparation.outputs, &self.scores)
    }

    /// Which labels each sample has, row-major, `samples x labels`: those whose probability is above one half.
    ///
    /// # Panics
    /// If the model does not predict labels.
    pub fn labels(&self) -> Vec<bool> {
        self.expect(Task::MultiLabel);
        self.scores.iter().map(|&score| score > 0.5).collect()
    }

    /// The labels of each transcription, each from 1; empty for other tasks.
    pub fn transcripts(&self) -> &[Vec<u32>] {
        &self.transcripts
    }

    /// What is predicted for one sample.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn get(&self, sample: usize) -> Prediction<'a> {
        let preparation = self.meaning.preparation;
        if preparation.task == Task::Transcription {
            return Prediction::Text(preparation.text_of(self.transcripts[sample].iter().copied()));
        }
        let row = self.scores_of(sample);
        let number =
            |(output, &scaled): (usize, &f32)| preparation.target_scaler.undo_rounded(output, scaled);
        match preparation.task {
            Task::Classification => Prediction::Class(&preparation.classes[self.meaning.decision.class(row)]),
            Task::MultiLabel => {
                let names = preparation.output_names().into_iter().zip(row);
                let present = names.filter(|(_, score)| **score > 0.5);
                Prediction::Labels(present.map(|(name, _)| name).collect())
            }
            _ if row.len() == 1 => Prediction::Number(number((0, &row[0]))),
            _ => Prediction::Numbers(row.iter().enumerate().map(number).collect()),
        }
    }

    /// These predictions beside what is true, for [`Metrics`](crate::metrics::Metrics); `score` is that of
    /// [`Model::evaluate`](super::Model::evaluate), which gave them.
    pub fn answers<'b>(&'b self, dataset: &'b Dataset, score: &Score) -> Answers<'b> {
        self.meaning.answers(dataset, &self.scores, score)
    }

    /// What is predicted for each sample.
    pub fn iter(&self) -> impl Iterator<Item = Prediction<'a>> {
        (0..self.samples).map(|sample| self.get(sample))
    }

    fn expect(&self, task: Task) {
        let found = self.meaning.preparation.task;
        assert!(found == task, "the model's task is {found:?}, not {task:?}");
    }
}
