//! How good probabilities are as such: whether they are high for what is true, and mean what they say.
//!
//! ```text
//! log loss     -mean ln p of the true class                        scikit-learn's log_loss: p is kept within 2^-52 of 0 and 1
//! Brier score  mean sum over classes of (p - [is true])^2, of two classes half of it: (p - y)^2     Brier 1950
//! ECE          sum over 15 bins of |right - p| of the highest p, the bin's share of the samples     Guo et al. 2017, eq. 3
//! ```

use super::counted::{counted, mean_over, ratio, whole_samples};
use super::decision::highest;

/// Bins of the calibration error, as Guo et al. take.
const BINS: usize = 15;

/// The mean of `-ln p` of each sample's class. `probabilities` is `samples x classes`, row-major.
///
/// # Panics
/// If there are not `classes` probabilities for each label.
///
/// ```
/// let found = rarefy::metrics::log_loss(&[0.5, 0.5, 0.75, 0.25], 2, &[1, 0], None);
/// assert!((found - (2f64.ln() - 0.75f64.ln()) / 2.0).abs() < 1e-12);
/// ```
pub fn log_loss(probabilities: &[f32], classes: usize, labels: &[u32], weights: Option<&[f32]>) -> f64 {
    check(probabilities, classes, labels);
    mean_over(labels.len(), weights, |sample| {
        -ln_within(f64::from(probabilities[sample * classes + labels[sample] as usize]))
    })
}

/// The mean of `-ln p` of what is true of each label, over samples and labels. Both arrays are `samples x outputs`, row-major;
/// a label is there where its target is above a half.
///
/// # Panics
/// If the arrays differ in length or hold no whole number of samples.
pub fn log_loss_of_labels(
    probabilities: &[f32],
    outputs: usize,
    targets: &[f32],
    weights: Option<&[f32]>,
) -> f64 {
    mean_over_labels(probabilities, outputs, targets, weights, |p, is_true| {
        -ln_within(if is_true { p } else { 1.0 - p })
    })
}

/// The mean squared distance of the probabilities from 1 for the class and 0 for the others, from 0 to 2; of two classes half of
/// that, from 0 to 1. `probabilities` is `samples x classes`, row-major.
///
/// # Panics
/// As [`log_loss`].
pub fn brier(probabilities: &[f32], classes: usize, labels: &[u32], weights: Option<&[f32]>) -> f64 {
    check(probabilities, classes, labels);
    let scale = if classes < 3 { 0.5 } else { 1.0 };
    mean_over(labels.len(), weights, |sample| {
        let row = probabilities[sample * classes..][..classes].iter().enumerate();
        let truth = |class: usize| f64::from(u8::from(class == labels[sample] as usize));
        scale * row.map(|(class, &p)| (f64::from(p) - truth(class)).powi(2)).sum::<f64>()
    })
}

/// The mean squared distance of the probabilities from 1 where the label is there and 0 where it is not, over samples and
/// labels.
///
/// # Panics
/// As [`log_loss_of_labels`].
pub fn brier_of_labels(
    probabilities: &[f32],
    outputs: usize,
    targets: &[f32],
    weights: Option<&[f32]>,
) -> f64 {
    mean_over_labels(probabilities, outputs, targets, weights, |p, is_true| {
        (p - f64::from(u8::from(is_true))).powi(2)
    })
}

/// How far the probability of the likeliest class is from how often it is right, by 15 bins of equal width: 0.8 is to be right
/// in 80 % of the samples. `probabilities` is `samples x classes`, row-major.
///
/// # Panics
/// As [`log_loss`].
///
/// ```
/// // 0.75 twice, right once: a quarter too sure.
/// let found = rarefy::metrics::expected_calibration_error(&[0.25, 0.75, 0.75, 0.25], 2, &[1, 1], None);
/// assert_eq!(found, 0.25);
/// ```
pub fn expected_calibration_error(
    probabilities: &[f32],
    classes: usize,
    labels: &[u32],
    weights: Option<&[f32]>,
) -> f64 {
    check(probabilities, classes, labels);
    // Of each bin how often it was right, less the probabilities.
    let (mut excess, mut total) = ([0.0; BINS], 0.0);
    for (sample, weight) in counted(labels.len(), weights) {
        let row = &probabilities[sample * classes..][..classes];
        let class = highest(row);
        let p = f64::from(row[class]);
        // A bin holds its upper end: (0, 1/15], (1/15, 2/15], ...
        let bin = ((p * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        excess[bin] += weight * (f64::from(u8::from(class == labels[sample] as usize)) - p);
        total += weight;
    }
    ratio(excess.iter().map(|excess: &f64| excess.abs()).sum(), total)
}

/// The mean of a figure of a probability and of whether its label is there, over samples and labels.
fn mean_over_labels(
    probabilities: &[f32],
    outputs: usize,
    targets: &[f32],
    weights: Option<&[f32]>,
    figure: impl Fn(f64, bool) -> f64,
) -> f64 {
    let samples = whole_samples(probabilities, outputs, targets);
    mean_over(samples, weights, |sample| {
        let places = sample * outputs..(sample + 1) * outputs;
        let figures = places.map(|at| figure(f64::from(probabilities[at]), targets[at] > 0.5));
        figures.sum::<f64>() / outputs as f64
    })
}

/// The logarithm of a probability that is kept a little away from 0 and 1, so that it stays finite.
fn ln_within(p: f64) -> f64 {
    p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

fn check(probabilities: &[f32], classes: usize, labels: &[u32]) {
    let expected = labels.len() * classes;
    assert_eq!(probabilities.len(), expected, "{classes} probabilities for each of {} labels", labels.len());
}
