//! Data: files in, samples as flat numbers out, split, scaled and cut into mini-batches.

mod batches;

use serde::{Deserialize, Serialize};

pub use batches::{Batch, BatchTargets, epoch_order};

/// Samples and what is to be predicted for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Numbers per sample.
    pub inputs: usize,
    /// `samples x inputs`, row-major.
    pub features: Vec<f32>,
    /// One target per sample.
    pub targets: Targets,
}

/// What is to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// One class per sample, each below `classes`.
    Classes {
        /// A class per sample.
        labels: Vec<u32>,
        /// How many classes there are.
        classes: usize,
    },
    /// `samples x outputs` numbers, row-major: for regression, or 0 and 1 for multi-label.
    Values {
        /// All numbers.
        values: Vec<f32>,
        /// Numbers per sample.
        outputs: usize,
    },
}

/// What kind of prediction is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One class of several.
    Classification,
    /// Any number of labels, each there or not.
    MultiLabel,
    /// Numbers.
    Regression,
}

impl Targets {
    /// What a network has to put out: classes, labels or numbers.
    pub fn outputs(&self) -> usize {
        match self {
            Targets::Classes { classes, .. } => *classes,
            Targets::Values { outputs, .. } => *outputs,
        }
    }

    /// The targets of some samples.
    pub fn subset(&self, samples: &[usize]) -> Targets {
        match self {
            Targets::Classes { labels, classes } => {
                Targets::Classes { labels: samples.iter().map(|&i| labels[i]).collect(), classes: *classes }
            }
            Targets::Values { values, outputs } => Targets::Values {
                values: samples.iter().flat_map(|&i| &values[i * outputs..][..*outputs]).copied().collect(),
                outputs: *outputs,
            },
        }
    }
}

impl Dataset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.features.len() / self.inputs.max(1)
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// The numbers of one sample.
    pub fn sample(&self, index: usize) -> &[f32] {
        &self.features[index * self.inputs..][..self.inputs]
    }

    /// A copy of some samples.
    pub fn subset(&self, samples: &[usize]) -> Dataset {
        Dataset {
            inputs: self.inputs,
            features: samples.iter().flat_map(|&index| self.sample(index)).copied().collect(),
            targets: self.targets.subset(samples),
        }
    }
}
