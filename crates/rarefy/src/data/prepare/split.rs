//! Splits samples into a training, a validation and a test part, by seed; for classes, so that each part holds each
//! class in proportion (stratified), and training keeps at least one sample of each. Numbers to predict are not looked at.
//! The test part is a fraction of the samples or, in a cross-validation, one of its folds: parts of one size, which have no
//! sample in common and together hold all. Where samples belong to groups no part shares a group with another (`groups`).

use super::groups;
use crate::data::settings::Fold;
use crate::data::shown::shown;
use crate::random::{Purpose, Stream};
use crate::{Error, Result};

/// Which samples go where; each list is sorted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Split {
    pub train: Vec<usize>,
    pub validation: Vec<usize>,
    pub test: Vec<usize>,
}

/// What is split.
#[derive(Clone, Copy)]
pub(crate) struct Whole<'a> {
    pub samples: usize,
    /// The class of each sample, if there are classes, by its position among their names.
    pub classes: Option<(&'a [u32], &'a [String])>,
    /// The group of each sample, if there are groups.
    pub groups: Option<&'a [u32]>,
}

/// What is kept apart, as fractions of all samples.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Apart {
    pub validation: f64,
    pub test: f64,
    /// In place of `test`.
    pub fold: Option<Fold>,
    /// In place of `validation`: a fold of what the test part leaves.
    pub validation_fold: Option<Fold>,
}

/// Splits by seed.
///
/// # Errors
/// Fewer samples or groups than folds; a class that a training part would lack.
pub(crate) fn split(whole: Whole<'_>, apart: Apart, seed: u64) -> Result<Split> {
    let mut order: Vec<usize> = (0..whole.samples).collect();
    Stream::new(seed, Purpose::Split, 0, 0).shuffle(&mut order);
    order.sort_by_key(|&sample| whole.class(sample));
    let (rest, mut test) = match apart.fold {
        Some(fold) => whole.fold(&order, fold)?,
        None => whole.take(&order, apart.test)?,
    };
    let (mut train, mut validation) = match apart.validation_fold {
        Some(fold) => whole.fold(&rest, fold)?,
        None => whole.take(&rest, apart.validation)?,
    };
    for part in [&mut train, &mut validation, &mut test] {
        part.sort_unstable();
    }
    Ok(Split { train, validation, test })
}

impl Whole<'_> {
    fn class(&self, sample: usize) -> u32 {
        self.classes.map_or(0, |(classes, _)| classes[sample])
    }

    /// Those left and those taken, a fraction of all samples; `order` lists class after class.
    fn take(&self, order: &[usize], fraction: f64) -> Result<(Vec<usize>, Vec<usize>)> {
        let Some(groups) = self.groups.filter(|_| fraction > 0.0) else {
            return Ok(take(order, |sample| self.class(sample), fraction, self.samples));
        };
        let share = fraction * self.samples as f64 / order.len().max(1) as f64;
        let parts = groups::deal(order, groups, |sample| self.class(sample), &[1.0 - share, share]);
        let [left, taken] = parts
            .map_err(|groups| {
                let problem = format!(
                    "{groups} group is too few to keep a part of the samples apart without cutting it; give more groups, or set data.validation_fraction to 0"
                );
                Error::setting("data.group", problem)
            })?
            .try_into()
            .expect("as many parts as shares");
        self.check_classes(order, &left, |class| {
            format!(
                "all samples of the class {class} are in groups that are kept apart, so that none is left to train on; add groups with it, or lower data.validation_fraction and data.test_fraction"
            )
        })?;
        Ok((left, taken))
    }

    /// The samples of the other folds and those of this one. Without groups the samples are dealt out one by one, class after class.
    fn fold(&self, order: &[usize], fold: Fold) -> Result<(Vec<usize>, Vec<usize>)> {
        let of = fold.of as usize;
        let few = |key: &str, found: String, most: usize| {
            let beside = if order.len() < self.samples { " beside the test part" } else { "" };
            Error::setting(key, format!("{found}{beside} cannot make {of} folds; ask for {most} at most"))
        };
        let folds = match self.groups {
            Some(groups) => {
                groups::deal(order, groups, |sample| self.class(sample), &vec![1.0 / of as f64; of])
                    .map_err(|groups| few("data.group", format!("{groups} groups"), groups))?
            }
            None if order.len() < of => {
                return Err(few("data.fold", format!("{} samples", order.len()), order.len()));
            }
            None => (0..of).map(|first| order.iter().skip(first).step_by(of).copied().collect()).collect(),
        };
        // All folds are looked at, so that each run of a cross-validation refuses what one of them would.
        let mut found = None;
        for (number, test) in (1..).zip(folds) {
            let mut is_of_test = vec![false; self.samples];
            test.iter().for_each(|&sample| is_of_test[sample] = true);
            let rest: Vec<usize> = order.iter().copied().filter(|&sample| !is_of_test[sample]).collect();
            self.check_classes(order, &rest, |class| {
                let cause = match self.groups {
                    Some(_) => "the groups of the class",
                    None => "the only sample of the class",
                };
                let which = if self.groups.is_some() { "add groups with it" } else { "add samples of it" };
                format!(
                    "fold {number}/{of} would hold {cause} {class}, so that none is left to train on; {which}, or join classes"
                )
            })?;
            if number == fold.number {
                found = Some((rest, test));
            }
        }
        Ok(found.expect("a fold is one of as many as there are"))
    }

    /// That each class of the samples `all` is in the part that is trained on; if not, `problem` says what is wrong.
    fn check_classes(
        &self,
        all: &[usize],
        train: &[usize],
        problem: impl FnOnce(String) -> String,
    ) -> Result<()> {
        let Some((classes, names)) = self.classes else { return Ok(()) };
        let mut is_lacking = vec![false; names.len()];
        all.iter().for_each(|&sample| is_lacking[classes[sample] as usize] = true);
        train.iter().for_each(|&sample| is_lacking[classes[sample] as usize] = false);
        let Some(class) = is_lacking.iter().position(|&is_lacking| is_lacking) else { return Ok(()) };
        let key = if self.groups.is_some() { "data.group" } else { "data.fold" };
        Err(Error::setting(key, problem(shown(&names[class]))))
    }
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

    fn plain(samples: usize) -> Whole<'static> {
        Whole { samples, classes: None, groups: None }
    }

    fn all_of(split: &Split) -> Vec<usize> {
        let mut all = [split.train.clone(), split.validation.clone(), split.test.clone()].concat();
        all.sort_unstable();
        all
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

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
            let parts = split(plain(samples), Apart { validation, test, ..Apart::default() }, 1).unwrap();
            let sizes = (parts.train.len(), parts.validation.len(), parts.test.len());
            assert_eq!(sizes, expected, "{samples} samples");
            assert_eq!(all_of(&parts), (0..samples).collect::<Vec<_>>());
        }
    }

    #[test]
    fn classes_are_spread_in_proportion_and_never_lost_to_training() {
        // 900 of class 0, 90 of class 1, 9 of class 2, 1 of class 3
        let classes: Vec<u32> =
            (0..1000).map(|i| [900, 990, 999].iter().filter(|&&end| i >= end).count() as u32).collect();
        let names = names(4);
        let whole = Whole { classes: Some((&classes, &names)), ..plain(1000) };
        for seed in 0..20 {
            let parts = split(whole, Apart { validation: 0.1, test: 0.2, ..Apart::default() }, seed).unwrap();
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
        let (classes, names) = ([0, 0, 1, 1, 2], names(3));
        let whole = Whole { classes: Some((&classes, &names)), ..plain(5) };
        let parts = split(whole, Apart { validation: 0.45, test: 0.5, ..Apart::default() }, 3).unwrap();
        for class in 0..3 {
            assert!(parts.train.iter().any(|&i| classes[i] == class));
        }
    }

    #[test]
    fn the_seed_decides() {
        let parts =
            |seed| split(plain(200), Apart { validation: 0.1, test: 0.2, ..Apart::default() }, seed).unwrap();
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1).test, parts(2).test);
    }

    /// The test parts of all folds, checked to be disjoint from their training and validation parts.
    fn folds(whole: Whole<'_>, of: u32, seed: u64) -> Vec<Vec<usize>> {
        Fold::all(of)
            .map(|fold| {
                let parts = split(
                    whole,
                    Apart { validation: 0.1, test: 0.9, fold: Some(fold), ..Apart::default() },
                    seed,
                )
                .unwrap();
                assert_eq!(all_of(&parts), (0..whole.samples).collect::<Vec<_>>());
                if let Some(groups) = whole.groups {
                    let of = |part: &[usize]| {
                        part.iter().map(|&i| groups[i]).collect::<std::collections::HashSet<_>>()
                    };
                    let [a, b, c] = [&parts.train, &parts.validation, &parts.test].map(|part| of(part));
                    assert!(a.is_disjoint(&b) && a.is_disjoint(&c) && b.is_disjoint(&c));
                    assert!(!a.is_empty() && !b.is_empty() && !c.is_empty());
                }
                parts.test
            })
            .collect()
    }

    #[test]
    fn folds_hold_each_sample_once_and_classes_in_proportion() {
        // Of 103 samples every fourth is of class 1.
        let (classes, names) = ((0..103).map(|i| u32::from(i % 4 == 0)).collect::<Vec<u32>>(), names(2));
        let whole = Whole { classes: Some((&classes, &names)), ..plain(103) };
        for seed in 0..5 {
            let tests = folds(whole, 5, seed);
            let mut all = tests.concat();
            all.sort_unstable();
            assert_eq!(all, (0..103).collect::<Vec<_>>());
            for test in &tests {
                assert!((20..=21).contains(&test.len()));
                let of_one = test.iter().filter(|&&i| classes[i] == 1).count();
                assert!((5..=6).contains(&of_one), "{of_one}");
            }
            assert_ne!(tests, folds(whole, 5, seed + 1));
        }
        assert_eq!(folds(plain(5), 5, 0).iter().map(Vec::len).collect::<Vec<_>>(), [1; 5]);
    }

    #[test]
    fn folds_for_validation_are_of_what_the_test_part_leaves() {
        let mut all = Vec::new();
        for fold in Fold::all(4) {
            let apart = Apart { test: 0.2, validation_fold: Some(fold), ..Apart::default() };
            let parts = split(plain(100), apart, 3).unwrap();
            assert_eq!((parts.train.len(), parts.validation.len(), parts.test.len()), (60, 20, 20));
            assert_eq!(all_of(&parts), (0..100).collect::<Vec<_>>());
            all.extend(parts.validation);
        }
        all.sort_unstable();
        let test = split(plain(100), Apart { test: 0.2, ..Apart::default() }, 3).unwrap().test;
        assert_eq!(all, (0..100).filter(|sample| !test.contains(sample)).collect::<Vec<_>>());
    }

    #[test]
    fn no_part_shares_a_group_with_another() {
        // 40 groups of 1 to 10 samples, most of one class each.
        let groups: Vec<u32> = (0..40).flat_map(|group| vec![group * 7; group as usize % 10 + 1]).collect();
        let (classes, names) = (
            (0..groups.len()).map(|i| (groups[i] / 7 + u32::from(i % 5 == 0)) % 2).collect::<Vec<u32>>(),
            names(2),
        );
        let samples = groups.len();
        let whole = Whole { samples, classes: Some((&classes, &names)), groups: Some(&groups) };
        for seed in 0..5 {
            let tests = folds(whole, 5, seed);
            let mut all = tests.concat();
            all.sort_unstable();
            assert_eq!(all, (0..samples).collect::<Vec<_>>());
            for test in &tests {
                let of_one = test.iter().filter(|&&i| classes[i] == 1).count();
                let expected = classes.iter().filter(|&&class| class == 1).count() / 5;
                assert!(test.len().abs_diff(samples / 5) <= 4, "{} of {samples}", test.len());
                assert!(of_one.abs_diff(expected) <= 3, "{of_one} of {expected}");
            }
            let parts = split(whole, Apart { validation: 0.1, test: 0.2, ..Apart::default() }, seed).unwrap();
            assert_eq!(all_of(&parts), (0..samples).collect::<Vec<_>>());
            let sizes = [parts.validation.len(), parts.test.len()];
            assert!(sizes[0].abs_diff(samples / 10) <= 4 && sizes[1].abs_diff(samples / 5) <= 4, "{sizes:?}");
            let has = |part: &[usize], group: u32| part.iter().any(|&i| groups[i] == group);
            for group in &groups {
                let parts = [&parts.train, &parts.validation, &parts.test];
                assert_eq!(parts.iter().filter(|part| has(part, *group)).count(), 1);
            }
        }
    }

    #[test]
    fn what_cannot_be_cut_is_told() {
        let (classes, names) = ([0, 0, 0, 0, 1, 1, 2, 0], names(3));
        let with_classes = Whole { classes: Some((&classes, &names)), ..plain(8) };
        let two = [1, 1, 1, 1, 2, 2, 2, 2];
        let fold = |number, of| Apart { fold: Some(Fold { number, of }), ..Apart::default() };
        for (whole, apart, problem) in [
            (plain(3), fold(1, 5), "data.fold: 3 samples cannot make 5 folds; ask for 3 at most"),
            (
                Whole { groups: Some(&two), ..plain(8) },
                fold(3, 3),
                "data.group: 2 groups cannot make 3 folds; ask for 2 at most",
            ),
            (
                Whole { groups: Some(&[0, 1, 2, 3, 0, 1, 2, 3]), ..plain(8) },
                Apart { test: 0.25, validation_fold: Some(Fold { number: 1, of: 4 }), ..Apart::default() },
                "data.group: 3 groups beside the test part cannot make 4 folds; ask for 3 at most",
            ),
            (with_classes, fold(1, 2), "would hold the only sample of the class \"class 2\""),
            (
                Whole { groups: Some(&two), ..with_classes },
                fold(1, 2),
                "would hold the groups of the class \"class 1\"",
            ),
            (
                Whole { groups: Some(&[3; 8]), ..plain(8) },
                Apart { test: 0.2, ..Apart::default() },
                "data.group: 1 group is too few",
            ),
            (
                Whole { groups: Some(&two), ..with_classes },
                Apart { test: 0.5, ..Apart::default() },
                "are in groups that are kept apart",
            ),
        ] {
            let found = split(whole, apart, 0).map_err(|error| error.to_string());
            assert!(found.as_ref().is_err_and(|error| error.contains(problem)), "{problem}: {found:?}");
        }
    }
}
