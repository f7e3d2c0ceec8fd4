//! Which inputs a model still uses: the features as its table names them, and what leaves each.

use serde::Serialize;

use super::numbers::amount;
use super::table::{Table, table};
use crate::train::{Coefficients, Importance, Importances, Model, coefficients};
use crate::{Error, Result};

/// A feature of a table, the channel of an image or of a sequence, or a word: what of the model reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputUse {
    /// Its name; of a category that of the column, whose values are told together.
    pub name: String,
    /// The network's inputs that it stands for, as a prepared data set has them, counted from 0.
    #[serde(skip)]
    pub inputs: Vec<usize>,
    /// Connections other than 0 that leave it into the first weights.
    pub nnz: usize,
    /// The root of the sum of their squares. Features that were scaled alike compare by it.
    pub norm: f64,
    /// What shuffling it costs, where that was measured.
    #[serde(flatten)]
    pub importance: Option<Importance>,
    /// Whether that is more than three of its standard errors, so that of 700 features that say nothing one is taken for important.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub important: Option<bool>,
}

/// Standard errors above 0 from which on a feature is told to be important.
const CLEAR: f64 = 3.0;

/// What a model makes of its inputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputReport {
    /// `feature`, or `channel` where all positions of a channel share their connections.
    pub by: &'static str,
    /// Features or channels.
    pub inputs: usize,
    /// Those with a connection: the others change no prediction.
    pub used: usize,
    /// Each of them, the strongest first: by importance where it was measured, then by norm.
    pub features: Vec<InputUse>,
    /// The score that importance is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<Scored>,
    /// The coefficients of a model that is linear; empty of others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coefficients: Vec<Coefficients>,
}

/// The score that importance is a part of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// `R2`, `log loss` or `accuracy`.
    pub name: &'static str,
    /// That of the samples as they are.
    pub value: f64,
    /// How many there are.
    pub samples: usize,
    /// How often each feature was shuffled.
    pub repeats: usize,
}

impl InputReport {
    /// What a model makes of its inputs.
    ///
    /// # Errors
    /// [`Error::Setting`] where the network does not tell them apart, as one of tokens.
    pub fn of(model: &Model) -> Result<InputReport> {
        let preparation = &model.config.preparation;
        let found =
            model.network().input_connections().map_err(|problem| Error::setting("network", problem))?;
        let (positions, channels) = (preparation.shape.positions(), found.nnz.len());
        let named: Vec<(String, Vec<usize>)> = if found.by_channel && positions > 1 {
            let of = |channel: usize| (0..positions).map(|at| at * channels + channel).collect();
            (0..channels).map(|channel| (format!("channel {}", channel + 1), of(channel))).collect()
        } else {
            preparation.features().into_iter().map(|(name, range)| (name, range.collect())).collect()
        };
        // Of a channel all positions have the same connections: one of them counts.
        let of = |inputs: &[usize]| {
            if found.by_channel && positions > 1 { inputs[..1].to_vec() } else { inputs.to_vec() }
        };
        let mut features: Vec<InputUse> = named
            .into_iter()
            .map(|(name, inputs)| InputUse {
                nnz: of(&inputs).iter().map(|&input| found.nnz[input]).sum(),
                norm: of(&inputs).iter().map(|&input| found.squares[input]).sum::<f64>().sqrt(),
                name,
                inputs,
                importance: None,
                important: None,
            })
            .collect();
        features.sort_by(|a, b| b.norm.total_cmp(&a.norm));
        Ok(InputReport {
            by: if found.by_channel && positions > 1 { "channel" } else { "feature" },
            inputs: features.len(),
            used: features.iter().filter(|feature| feature.nnz > 0).count(),
            features,
            score: None,
            coefficients: coefficients(model),
        })
    }

    /// The inputs of each feature, in order: what [`permutation_importance`](crate::train::permutation_importance) shuffles.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        self.features.iter().map(|feature| feature.inputs.clone()).collect()
    }

    /// Adds what was measured of [`InputReport::groups`], and puts the most important first.
    ///
    /// # Panics
    /// If it was measured of other features.
    pub fn add_importance(&mut self, measured: Importances) {
        assert_eq!(measured.of_features.len(), self.features.len(), "an importance for each feature");
        for (feature, importance) in self.features.iter_mut().zip(measured.of_features) {
            feature.importance = Some(importance);
            feature.important = Some(importance.importance > CLEAR * importance.standard_error);
        }
        let worth = |feature: &InputUse| feature.importance.map_or(0.0, |found| found.importance);
        // Stable: features of the same importance stay in the order of their norms.
        self.features.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
        let Importances { score, value, samples, repeats, .. } = measured;
        self.score = Some(Scored { name: score, value, samples, repeats });
    }

    /// How many features are important, where that was measured.
    pub fn important(&self) -> Option<usize> {
        self.score.as_ref()?;
        Some(self.features.iter().filter(|feature| feature.important == Some(true)).count())
    }

    /// A line for each feature that is used, `most` at most.
    pub fn table(&self, most: usize) -> Table {
        let mut header = vec![self.by, "weights", "norm"];
        if self.score.is_some() {
            header.extend(["importance", "+-"]);
        }
        let rows = self.features.iter().filter(|feature| feature.nnz > 0).take(most).map(|feature| {
            let mut row = vec![feature.name.clone(), feature.nnz.to_string(), format!("{:.4}", feature.norm)];
            row.extend(feature.importance.iter().flat_map(|found| {
                [format!("{:.4}", found.importance), format!("{:.4}", found.standard_error)]
            }));
            row
        });
        table(&header, rows)
    }
}

/// A line for each term of a linear model's output, `most` at most, the largest first.
pub fn coefficient_table(of: &Coefficients, most: usize) -> Table {
    let mut terms: Vec<&(String, f64)> = of.terms.iter().collect();
    terms.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let terms = terms.into_iter().take(most).map(|(name, value)| vec![name.clone(), amount(*value)]);
    let intercept = std::iter::once(vec!["(intercept)".to_string(), amount(of.intercept)]);
    table(&[&format!("coefficients of {}", of.output), ""], intercept.chain(terms))
}
