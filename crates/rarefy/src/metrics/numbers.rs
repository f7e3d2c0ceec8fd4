//! How far predicted numbers are off.

use serde::Serialize;

use super::counted::{counted, mean, mean_over, whole_samples};

/// Figures for predicted numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Regression {
    /// The root of the mean squared error, over all samples and outputs.
    pub rmse: f64,
    /// The mean absolute error, over all samples and outputs.
    pub mae: f64,
    /// The part of the targets' variance that is explained, mean over the outputs; absent where a target never changes.
    pub r2: Option<f64>,
    /// Each output.
    pub per_output: Vec<OutputErrors>,
}

/// Figures for one predicted number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OutputErrors {
    /// The root of the mean squared error, in the target's unit.
    pub rmse: f64,
    /// The mean absolute error, in the target's unit.
    pub mae: f64,
    /// The part of the target's variance that is explained; absent if the target never changes.
    pub r2: Option<f64>,
}

/// Compares numbers. Both arrays are `samples x outputs`, row-major.
///
/// # Panics
/// If the arrays differ in length or hold no whole number of samples.
///
/// ```
/// let found = rarefy::metrics::regression(&[1.0, 2.0, 4.0], 1, &[1.0, 2.0, 3.0], None);
/// assert_eq!((found.r2, found.mae), (Some(0.5), 1.0 / 3.0));
/// ```
pub fn regression(
    predictions: &[f64],
    outputs: usize,
    targets: &[f64],
    weights: Option<&[f32]>,
) -> Regression {
    let samples = whole_samples(predictions, outputs, targets);
    let per_output: Vec<OutputErrors> = (0..outputs)
        .map(|output| {
            let pair = |sample: usize| {
                let at = sample * outputs + output;
                (predictions[at], targets[at])
            };
            output_errors(samples, weights, pair)
        })
        .collect();
    let r2: Option<Vec<f64>> = per_output.iter().map(|errors| errors.r2).collect();
    Regression {
        rmse: mean(per_output.iter().map(|errors| errors.rmse * errors.rmse)).sqrt(),
        mae: mean(per_output.iter().map(|errors| errors.mae)),
        r2: r2.map(|all| mean(all.into_iter())),
        per_output,
    }
}

/// The errors of predictions and targets.
fn output_errors(
    samples: usize,
    weights: Option<&[f32]>,
    pair: impl Fn(usize) -> (f64, f64),
) -> OutputErrors {
    let mean = |of: &dyn Fn(f64, f64) -> f64| {
        mean_over(samples, weights, |sample| {
            let (prediction, target) = pair(sample);
            of(prediction, target)
        })
    };
    let centre = mean(&|_, target| target);
    let squared = mean(&|prediction, target| (prediction - target).powi(2));
    let variance = mean(&|_, target| (target - centre).powi(2));
    // Of one number the variance is rounding, not always 0.
    let mut all = counted(samples, weights).map(|(sample, _)| pair(sample).1);
    let changes = all.next().is_some_and(|first| all.any(|target| target != first));
    OutputErrors {
        rmse: squared.sqrt(),
        mae: mean(&|prediction, target| (prediction - target).abs()),
        r2: (changes && variance > 0.0).then(|| 1.0 - squared / variance),
    }
}

/// The pinball loss of predictions that are to be a quantile of the targets, mean over samples and outputs: `quantile` times
/// what they are too low by, `1 - quantile` times what they are too high by (Koenker and Bassett 1978; scikit-learn's
/// `mean_pinball_loss`). Both arrays are `samples x outputs`, row-major; the unit is the target's.
///
/// # Panics
/// If the arrays differ in length or hold no whole number of samples.
///
/// ```
/// let found = rarefy::metrics::quantile_loss(&[1.0, 2.0], 1, &[3.0, 1.0], 0.75, None);
/// assert_eq!(found, (0.75 * 2.0 + 0.25 * 1.0) / 2.0);
/// ```
pub fn quantile_loss(
    predictions: &[f64],
    outputs: usize,
    targets: &[f64],
    quantile: f64,
    weights: Option<&[f32]>,
) -> f64 {
    let samples = whole_samples(predictions, outputs, targets);
    mean_over(samples, weights, |sample| {
        let of_outputs = (sample * outputs..(sample + 1) * outputs).map(|at| {
            let short = targets[at] - predictions[at];
            if short > 0.0 { quantile * short } else { (quantile - 1.0) * short }
        });
        of_outputs.sum::<f64>() / outputs as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_hand() {
        let found = regression(&[1.0, 2.0, 3.0, 6.0], 1, &[1.0, 2.0, 3.0, 4.0], None);
        assert_eq!((found.rmse, found.mae), (1.0, 0.5));
        // The squared errors sum to 4, those from the mean of 2.5 to 5.
        assert!((found.r2.unwrap() - 0.2).abs() < 1e-12);
        // The second output never changes.
        let found = regression(&[1.0, 7.0, 2.0, 5.0], 2, &[1.0, 6.0, 2.0, 6.0], None);
        assert_eq!((found.per_output[0].r2, found.per_output[1].r2, found.r2), (Some(1.0), None, None));
        assert_eq!((found.per_output[1].rmse, found.mae), (1.0, 0.5));
        // Nor does this one, though the sum of seven is not seven times it.
        for weights in [None, Some(&[0.1, 0.3, 0.7, 1.0, 0.0, 1.0, 1.0][..])] {
            let found = regression(&[3.8; 7], 1, &[3.7, 3.7, 3.7, 3.7, 3.7, 3.7, 3.7], weights);
            assert_eq!(found.r2, None, "{weights:?}");
        }
    }

    #[test]
    fn a_weight_counts_a_sample_so_many_times() {
        // Samples 0 to 3 weigh 2, 0, 1 and 1; what does not count may be anything.
        let (weights, repeated) = ([2.0, 0.0, 1.0, 1.0], [0, 0, 2, 3]);
        let (numbers, targets) = ([1.0, f64::NAN, 3.0, 5.0], [2.0, 0.0, 3.0, 7.0]);
        let [again, targets_again] = [numbers, targets].map(|all| repeated.map(|sample| all[sample]));
        let found = regression(&numbers, 1, &targets, Some(&weights));
        assert_eq!(found, regression(&again, 1, &targets_again, None));
        let found = quantile_loss(&numbers, 1, &targets, 0.9, Some(&weights));
        assert_eq!(found, quantile_loss(&again, 1, &targets_again, 0.9, None));
    }
}
