//! What a linear model computes, told of the numbers in the file: scales undone, inputs by name.

use std::collections::BTreeMap;

use serde::Serialize;

use super::model::Model;
use crate::data::Task;
use crate::layers::{Network, Role};
use crate::losses::Head;

/// An output of a linear model: `intercept + sum of coefficient x number`, of numbers as the file has them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coefficients {
    /// What it is of: a number to predict in its own unit (`ln y` where `data.target_scale = "log"`), else the logit
    /// of a class or a label; of two classes the log odds of the second.
    pub output: String,
    /// The output where all numbers are 0.
    pub intercept: f64,
    /// For each input that has one its name and its coefficient; of a category its value.
    pub terms: Vec<(String, f64)>,
}

/// The coefficients of a model that is one linear layer, as those of a linear path are: one for each output, or of two classes one
/// in all. Empty for other models.
pub fn coefficients(model: &Model) -> Vec<Coefficients> {
    let preparation = &model.config.preparation;
    let (names, outputs) = (preparation.input_names(), preparation.output_names());
    let Some(mut linear) = Linear::of(model.network()) else { return Vec::new() };
    let is_of_two = preparation.task == Task::Classification && linear.rows.len() == 2;
    if is_of_two && model.config.head == Head::Softmax {
        linear.make_log_odds();
    }
    let row = |output: usize| {
        let (mean, deviation) = preparation.target_scaler.mean_and_deviation(output);
        let mut intercept = mean + deviation * linear.bias[output];
        let term = |(&input, &weight): (&usize, &f64)| {
            let (offset, multiplier) = preparation.scale_of(input);
            let value = deviation * weight * multiplier;
            intercept -= value * offset;
            (names[input].clone(), value)
        };
        let terms = linear.rows[output].iter().map(term).collect();
        let ln = if preparation.target_scaler.is_log() { "ln " } else { "" };
        Coefficients { output: format!("{ln}{}", outputs[output]), intercept, terms }
    };
    (usize::from(is_of_two)..linear.rows.len()).map(row).collect()
}

/// A network of one linear layer on features without positions.
struct Linear {
    /// For each output its weights other than 0 by input.
    rows: Vec<BTreeMap<usize, f64>>,
    bias: Vec<f64>,
}

impl Linear {
    fn of(network: &Network) -> Option<Linear> {
        if network.spec().layers.len() != 1 || network.spec().inputs.positions() != 1 {
            return None;
        }
        let weights = &network.parameters().find(|parameter| parameter.is_weight())?.weights;
        let bias = &network.parameters().find(|parameter| parameter.role == Role::Bias)?.weights;
        let mut rows = vec![BTreeMap::new(); weights.rows()];
        for (cell, slot) in weights.connections() {
            let value = f64::from(weights.values()[slot]);
            if value != 0.0 {
                rows[cell / weights.cols()].insert(cell % weights.cols(), value);
            }
        }
        Some(Linear { rows, bias: bias.values().iter().map(|&bias| f64::from(bias)).collect() })
    }

    /// Of two logits `a, b` makes the second the log odds `b - a`: softmax gives the second class the probability
    /// `sigmoid(b - a)`.
    fn make_log_odds(&mut self) {
        for (input, value) in std::mem::take(&mut self.rows[0]) {
            *self.rows[1].entry(input).or_default() -= value;
        }
        self.bias[1] -= self.bias[0];
    }
}
