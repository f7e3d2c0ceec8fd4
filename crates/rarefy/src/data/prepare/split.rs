//! Splits samples into a training, a validation and a test part, by seed; for classes, so that each part holds each
//! class in proportion (stratified), and training keeps at least one sample of each.

use crate::random::{Purpose, Stream};

/// Which samples go where; each list is sorted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Split {
    pub train: Vec<usize>,
    pub validation: Vec<usize>,
    pub test: Vec<usize>,
}

/// Splits `samples` samples. `classes`, if any, holds one class per sample; fractions are of all samples.
pub(crate) fn split(samples: usize, classes: Option<&[u32]>, validation: f64, test: f64, seed: u64) -> Split {
    let mut order: Vec<usize> = (0..samples).collect();
    Stream::new(seed, Purpose::Split, 0, 0).shuffle(&mut order);
    let class = |sample: usize| classes.map_or(0, |classes| classes[sample]);
    order.sort_by_key(|&sample| class(sample));
    let (rest, mut test) = take(&order, class, test, samples);
    let (mut train, mut validation) = take(&rest, class, validation, samples);
    for part in [&mut train, &mut validation, &mut test] {
        part.sort_unstable();
    }
    Split { train, validation, test }
}

/// Takes `fraction * of` samples, evenly spread over `order`, which lists class after class; never the last one of a
/// class. Returns those left and those taken.
fn take(order: &[usize], class: impl Fn(usize) -> u32, fraction: f64, of: usize) -> (Vec<usize>, Vec<usize>) {
    let share = fraction * of as f64 / order.len().max(1) as f64;
    let (mut left, mut taken) = (Vec::with_capacity(order.len()), Vec::new());
    // Half a sample ahead, so that the count is rounded to the nearest.
    let mut due = 0.5;
    for group in order.chunk_by(|&a, &b| class(a) == class(b)) {
        let mut stay = group.len();
        for &sample in group {
            due += share;
            // A hair below 1: sums like ten times 0.1 must count as whole.
            if due >= 1.0 - 1e-9 && stay > 1 {
                due -= 1.0;
                stay -= 1;
                taken.push(sample);
            } else {
                left.push(sample);
            }
        }
    }
    (left, taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_whole_and_of_the_asked_size() {
        for (samples, validation, test, expected) in [
            (100, 0.1, 0.2, (70, 10, 20)),
            (100, 0.0, 0.0, (100, 0, 0)),
            (1797, 0.1, 0.2, (1258, 180, 359)),
            (10, 0.1, 0.2, (7, 1, 2)),
            (3, 0.1, 0.2, (2, 0, 1)),
            (1, 0.4, 0.5, (1, 0, 0)),
            (0, 0.1, 0.2, (0, 0, 0)),
        ] {
            let parts = split(samples, None, validation, test, 1);
            let sizes = (parts.train.len(), parts.validation.len(), parts.test.len());
            assert_eq!(sizes, expected, "{samples} samples");
            let mut all = [parts.train, parts.validation, parts.test].concat();
            all.sort_unstable();
            assert_eq!(all, (0..samples).collect::<Vec<_>>());
        }
    }

    #[test]
    fn classes_are_spread_in_proportion_and_never_lost_to_training() {
        // 900 of class 0, 90 of class 1, 9 of class 2, 1 of class 3
        let classes: Vec<u32> =
            (0..1000).map(|i| [900, 990, 999].iter().filter(|&&end| i >= end).count() as u32).collect();
        for seed in 0..20 {
            let parts = split(1000, Some(&classes), 0.1, 0.2, seed);
            let count = |part: &[usize], class| part.iter().filter(|&&i| classes[i] == class).count();
            assert!((628..=632).contains(&count(&parts.train, 0)), "{}", count(&parts.train, 0));
            assert!((62..=64).contains(&count(&parts.train, 1)));
            assert!((6..=7).contains(&count(&parts.train, 2)));
            assert_eq!(count(&parts.train, 3), 1);
            assert_eq!((parts.validation.len(), parts.test.len()), (100, 200));
        }
    }

    #[test]
    fn even_a_greedy_split_leaves_one_of_each_class() {
        let classes = [0, 0, 1, 1, 2];
        let parts = split(5, Some(&classes), 0.45, 0.5, 3);
        for class in 0..3 {
            assert!(parts.train.iter().any(|&i| classes[i] == class));
        }
    }

    #[test]
    fn the_seed_decides() {
        let parts = |seed| split(200, None, 0.1, 0.2, seed);
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1).test, parts(2).test);
    }
}
