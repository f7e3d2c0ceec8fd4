//! Scaling of numbers to predict.

use serde::{Deserialize, Serialize};

use crate::data::dataset::Task;
use crate::data::raw::{Labels, Raw};
use crate::data::settings::TargetScale;
use crate::{Error, Result};

/// How numbers to predict are scaled for the network, and what undoes it. A network that starts near 0 learns what lies near 0
/// and differs by about 1, so a price of 300,000 or a share of 1e-4 is brought there, in `f64`, each output by its own figures:
///
/// ```text
/// standard   z = (y - mean) / deviation        y = mean + deviation z
/// log        z = (ln y - mean) / deviation     y = exp(mean + deviation z)      mean and deviation are those of ln y
/// ```
///
/// The figures are those of the training part, counted by sample weights. A data set holds `z`, so losses are of `z`; whatever
/// else is told of predictions is told of `y`. A target that never changes has a deviation of 0; it is divided by 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetScaler {
    /// Not at all.
    #[default]
    None,
    /// To mean 0 and deviation 1.
    Standard(TargetFigures),
    /// Their natural logarithms to mean 0 and deviation 1.
    Log(TargetFigures),
}

/// TargetFigures of the training part, one for each output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetFigures {
    /// The mean.
    pub means: Vec<f64>,
    /// The standard deviation, or 1 where nothing changes.
    pub deviations: Vec<f64>,
}

impl TargetScaler {
    /// Learns from the samples `train`, each counted by its weight, which is above 0.
    ///
    /// # Errors
    /// A scale for numbers where none are predicted; for the logarithm, the first sample whose number is not above 0.
    pub(crate) fn fit(
        chosen: Option<TargetScale>,
        raw: &Raw,
        task: Task,
        train: &[usize],
    ) -> Result<TargetScaler> {
        TargetScale::check(chosen, task)?;
        let (Task::Regression, Some(Labels::Numbers { values, outputs })) = (task, &raw.labels) else {
            return Ok(TargetScaler::None);
        };
        let weights: Vec<f64> = train.iter().map(|&sample| raw.weight(sample).into()).collect();
        let of = |output: usize, map: fn(f64) -> f64| -> Vec<f64> {
            train.iter().map(|&sample| map(values[sample * outputs + output])).collect()
        };
        let figures = |map| {
            let each = (0..*outputs).map(|output| mean_and_deviation(&of(output, map), &weights));
            let (means, deviations) = each.unzip();
            TargetFigures { means, deviations }
        };
        match chosen.unwrap_or_default() {
            TargetScale::None => Ok(TargetScaler::None),
            TargetScale::Standard => Ok(TargetScaler::Standard(figures(|value| value))),
            TargetScale::Log => match values.iter().position(|&value| value <= 0.0) {
                Some(at) => Err(not_positive(raw, at / outputs, values[at])),
                None => Ok(TargetScaler::Log(figures(f64::ln))),
            },
        }
    }

    /// Whether numbers stay as they are.
    pub fn is_none(&self) -> bool {
        *self == TargetScaler::None
    }

    /// A number of sample `sample` of `raw` as the network learns it.
    ///
    /// # Errors
    /// A number that has no logarithm, or is none that an `f32` can hold once scaled.
    pub(crate) fn scale(&self, raw: &Raw, sample: usize, output: usize, value: f64) -> Result<f32> {
        let value = match self {
            TargetScaler::Log(_) if value <= 0.0 => return Err(not_positive(raw, sample, value)),
            TargetScaler::Log(_) => value.ln(),
            TargetScaler::None | TargetScaler::Standard(_) => value,
        };
        let (mean, deviation) = self.mean_and_deviation(output);
        let scaled = ((value - mean) / deviation) as f32;
        if scaled.is_finite() {
            return Ok(scaled);
        }
        let problem = match self {
            TargetScaler::None => "the value to predict is too large for an f32 number; scale it down",
            _ => "the value to predict lies too far from those of the training part; mend it",
        };
        Err(raw.label_error(sample, problem))
    }

    /// The number that a network's output stands for, in the unit of the target.
    ///
    /// # Panics
    /// If there is no such output.
    pub fn undo(&self, output: usize, scaled: f32) -> f64 {
        let (mean, deviation) = self.mean_and_deviation(output);
        let number = mean + deviation * f64::from(scaled);
        if self.is_log() { number.exp() } else { number }
    }

    /// All numbers of `samples x outputs` outputs or targets, row-major, in the unit of the target.
    pub fn undo_all(&self, outputs: usize, scaled: &[f32]) -> Vec<f64> {
        scaled.iter().zip((0..outputs).cycle()).map(|(&scaled, output)| self.undo(output, scaled)).collect()
    }

    /// The same as [`TargetScaler::undo`] with as many decimals as an `f32` can tell apart.
    ///
    /// # Panics
    /// If there is no such output.
    pub fn undo_rounded(&self, output: usize, scaled: f32) -> f64 {
        let number = self.undo(output, scaled);
        let text = if self.is_none() {
            scaled.to_string()
        } else {
            // To the next number that the network could have put out, or could where outputs are about 1.
            let next = scaled + scaled.abs().max(1.0) * f32::EPSILON;
            let decimals = -(self.undo(output, next) - number).abs().log10().floor();
            format!("{number:.*}", decimals.clamp(0.0, 300.0) as usize)
        };
        text.parse().unwrap_or(number)
    }

    /// The line `mean + deviation z` on which `y`, or `ln y`, lies.
    ///
    /// # Panics
    /// If there is no such output.
    pub fn mean_and_deviation(&self, output: usize) -> (f64, f64) {
        match self {
            TargetScaler::None => (0.0, 1.0),
            TargetScaler::Standard(TargetFigures { means, deviations })
            | TargetScaler::Log(TargetFigures { means, deviations }) => (means[output], deviations[output]),
        }
    }

    /// Whether logarithms are learned.
    pub fn is_log(&self) -> bool {
        matches!(self, TargetScaler::Log(_))
    }
}

/// In a form that loses nothing where numbers are huge, tiny, or far from 0 beside their differences.
fn mean_and_deviation(numbers: &[f64], weights: &[f64]) -> (f64, f64) {
    let count = if numbers.is_empty() { 1.0 } else { weights.iter().sum() };
    let first = numbers.first().copied().unwrap_or(0.0);
    if numbers.iter().all(|&number| number == first) {
        return (first, 1.0);
    }
    let weighted = || numbers.iter().zip(weights);
    let mean = first + weighted().map(|(number, weight)| weight * (number - first) / count).sum::<f64>();
    let largest = numbers.iter().fold(0.0, |largest: f64, number| largest.max((number - mean).abs()));
    let squares =
        weighted().map(|(number, weight)| weight * ((number - mean) / largest).powi(2)).sum::<f64>();
    (mean, largest * (squares / count).sqrt())
}

fn not_positive(raw: &Raw, sample: usize, value: f64) -> Error {
    let problem = format!(
        "the value to predict is {value}, and data.target_scale = \"log\" needs numbers above 0; mend it, or train without the setting"
    );
    raw.label_error(sample, problem)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::raw::Cells;
    use crate::data::reading::Reading;
    use crate::tiles::Shape;

    fn raw(values: &[f64], outputs: usize) -> Raw {
        let cells = Cells::Numbers(vec![0.0; values.len() / outputs]);
        let labels = Labels::Numbers { values: values.to_vec(), outputs };
        Raw::new(Path::new("f"), Reading::Idx, cells, Shape::flat(1), Some(labels))
    }

    fn fit(chosen: Option<TargetScale>, raw: &Raw, train: &[usize]) -> TargetScaler {
        TargetScaler::fit(chosen, raw, Task::Regression, train).unwrap()
    }

    #[test]
    fn numbers_of_any_size_come_near_0_and_back_to_their_last_digit() {
        for (low, high) in [
            (146_000.0, 506_000.0),
            (1e-5, 2.5e-4),
            (860.0, 1140.0),
            (1_700_000_000_000.0, 1_700_000_099_000.0),
            (-1e300, 1e300),
            (0.1, 0.30000000000000004),
        ] {
            let raw = raw(&[low, high, low, high, (low + high) / 2.0], 1);
            let scaler = fit(None, &raw, &[0, 1, 2, 3]);
            for (value, expected) in [(low, -1.0), (high, 1.0), ((low + high) / 2.0, 0.0)] {
                let scaled = scaler.scale(&raw, 0, 0, value).unwrap();
                assert!((scaled - expected).abs() < 1e-3, "{value}: {scaled}");
                let off = scaler.undo(0, scaled) - value;
                assert!(off.abs() < 1e-7 * (high - low), "{value}: {off}");
            }
            let text = serde_json::to_string(&scaler).unwrap();
            assert_eq!(serde_json::from_str::<TargetScaler>(&text).unwrap(), scaler);
        }
    }

    #[test]
    fn each_output_has_its_own_figures_of_the_training_part() {
        // The last sample is not in training; the second output never changes there.
        let raw = raw(&[1.0, 0.1, 3.0, 0.1, 100.0, 5.1], 2);
        let scaler = fit(None, &raw, &[0, 1]);
        let figures = TargetFigures { means: vec![2.0, 0.1], deviations: vec![1.0, 1.0] };
        assert_eq!(scaler, TargetScaler::Standard(figures));
        assert_eq!(scaler.scale(&raw, 2, 1, 5.1).unwrap(), 5.0);
        assert_eq!(scaler.undo_all(2, &[-1.0, 0.0, 1.0, 5.0]), [1.0, 0.1, 3.0, 5.1]);
        assert_eq!(fit(Some(TargetScale::None), &raw, &[0, 1]).undo_all(2, &[0.5, 7.0]), [0.5, 7.0]);
    }

    #[test]
    fn logarithms_are_of_numbers_above_0() {
        let good = raw(&[1.0, 100.0], 1);
        let scaler = fit(Some(TargetScale::Log), &good, &[0, 1]);
        assert_eq!(scaler.scale(&good, 0, 0, 10.0).unwrap(), 0.0);
        assert!((scaler.undo(0, 1.0) - 100.0).abs() < 1e-10 && (scaler.undo(0, -2.0) - 0.1).abs() < 1e-12);
        let bad = raw(&[1.0, 2.0, 0.0, -3.0], 1);
        let error = TargetScaler::fit(Some(TargetScale::Log), &bad, Task::Regression, &[0]).unwrap_err();
        assert!(error.to_string().contains("f, sample 3: the value to predict is 0, and"), "{error}");
        let error = scaler.scale(&bad, 3, 0, -3.0).unwrap_err().to_string();
        assert!(error.contains("sample 4: the value to predict is -3"), "{error}");
    }

    #[test]
    fn what_is_told_has_the_digits_that_single_precision_can_tell() {
        let price = fit(None, &raw(&[100_000.0, 300_000.0], 1), &[0, 1]);
        let scaled = price.scale(&raw(&[0.0], 1), 0, 0, 123_456.0).unwrap();
        assert_eq!(price.undo_rounded(0, scaled), 123_456.0);
        assert_eq!(price.undo_rounded(0, 0.123_456_79), 212_345.68);
        let time = fit(None, &raw(&[1.7e12, 1.7e12 + 1000.0], 1), &[0, 1]);
        assert_eq!(time.undo_rounded(0, 0.3).to_string(), "1700000000650");
        let share = fit(None, &raw(&[1e-5, 2e-5], 1), &[0, 1]);
        assert_eq!(share.undo_rounded(0, 0.0), 1.5e-5);
        assert_eq!(TargetScaler::None.undo_rounded(0, 0.1), 0.1);
    }
}
