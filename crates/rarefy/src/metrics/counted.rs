//! Which samples count, and how often.

/// The samples of weight above 0, in order, each with its weight, which is 1 where there are no weights. What does not count
/// may be anything.
///
/// # Panics
/// If there are weights, but not one for each sample.
pub(super) fn counted(samples: usize, weights: Option<&[f32]>) -> impl Iterator<Item = (usize, f64)> + '_ {
    if let Some(weights) = weights {
        assert_eq!(weights.len(), samples, "a weight for each sample");
    }
    let weighed = move |sample| (sample, weights.map_or(1.0, |weights| f64::from(weights[sample])));
    (0..samples).map(weighed).filter(|(_, weight)| *weight > 0.0)
}

/// The mean of a figure over the samples that count; 0 if none does.
///
/// # Panics
/// As [`counted`].
pub(super) fn mean_over(samples: usize, weights: Option<&[f32]>, figure: impl Fn(usize) -> f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (sample, weight) in counted(samples, weights) {
        sum += weight * figure(sample);
        total += weight;
    }
    ratio(sum, total)
}

/// A part of a whole; 0 of nothing.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// The plain mean; 0 of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    ratio(sum, count as f64)
}

/// How many samples there are of `outputs` numbers each.
///
/// # Panics
/// If the arrays differ in length or hold no whole number of samples.
pub(super) fn whole_samples<T>(scores: &[T], outputs: usize, targets: &[T]) -> usize {
    assert_eq!(scores.len(), targets.len(), "as many predictions as targets");
    assert!(
        outputs > 0 && scores.len().is_multiple_of(outputs),
        "{} numbers are not whole samples of {outputs}",
        scores.len()
    );
    scores.len() / outputs
}
