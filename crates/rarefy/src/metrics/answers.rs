//! What was predicted for some samples, and what is true of them: all that a metric looks at.

use super::counted::counted;
use super::decision::Decision;

/// What was predicted for some samples, and what is true of them.
#[derive(Debug, Clone)]
pub struct Answers<'a> {
    /// Predictions and targets.
    pub found: Found<'a>,
    /// How often each sample counts; once each if `None`.
    pub weights: Option<&'a [f32]>,
    /// The mean loss.
    pub loss: f64,
}

/// Predictions and targets, both `samples x outputs`, row-major.
#[derive(Debug, Clone)]
pub enum Found<'a> {
    /// One class of several.
    Classes {
        /// A score of each class; those of a class rank samples.
        scores: &'a [f32],
        /// Whether the scores of a sample are probabilities that sum to 1.
        are_probabilities: bool,
        /// Which class is predicted, and which of two is the positive one.
        decision: Decision,
        /// The true classes.
        labels: &'a [u32],
        /// How many classes there are.
        classes: usize,
    },
    /// Labels that are each there or not.
    Labels {
        /// A score of each label, which is predicted above one half.
        scores: &'a [f32],
        /// Whether they are probabilities.
        are_probabilities: bool,
        /// 1 where the label is there, else 0.
        targets: &'a [f32],
        /// How many labels there are.
        outputs: usize,
    },
    /// Numbers in the target's unit.
    Numbers {
        /// The predictions.
        predictions: Vec<f64>,
        /// The targets.
        targets: Vec<f64>,
        /// Numbers of a sample.
        outputs: usize,
        /// The quantile that is predicted, if it is one.
        quantile: Option<f64>,
    },
    /// Sequences of labels.
    Transcripts {
        /// Wrong labels, for each that there should be.
        label_error_rate: f64,
    },
    /// The next token of a text.
    Tokens {
        /// The share of tokens that were the likeliest.
        accuracy: f64,
    },
}

impl Answers<'_> {
    /// The classes or labels that samples have and that is predicted for none, in order.
    pub fn never_predicted(&self) -> Vec<usize> {
        let (mut occurs, mut is_predicted) = (Vec::new(), Vec::new());
        match &self.found {
            Found::Classes { scores, decision, labels, classes, .. } => {
                (occurs, is_predicted) = (vec![false; *classes], vec![false; *classes]);
                for (sample, _) in counted(labels.len(), self.weights) {
                    occurs[labels[sample] as usize] = true;
                    is_predicted[decision.class(&scores[sample * classes..][..*classes])] = true;
                }
            }
            Found::Labels { scores, targets, outputs, .. } => {
                (occurs, is_predicted) = (vec![false; *outputs], vec![false; *outputs]);
                for (sample, _) in counted(scores.len() / outputs, self.weights) {
                    for output in 0..*outputs {
                        occurs[output] |= targets[sample * outputs + output] > 0.5;
                        is_predicted[output] |= scores[sample * outputs + output] > 0.5;
                    }
                }
            }
            Found::Numbers { .. } | Found::Transcripts { .. } | Found::Tokens { .. } => {}
        }
        (0..occurs.len()).filter(|&class| occurs[class] && !is_predicted[class]).collect()
    }
}
