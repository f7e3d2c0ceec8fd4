//! Deals groups of samples out to parts, none of them cut, so that each part comes near to its share of every class.
//!
//! The groups come one by one, the largest first. Each goes to the part where it adds least to
//!
//! ```text
//! sum over parts p and classes c of  n_pc^2 / (s_p N_c^2)      n_pc samples of class c in part p, N_c in all, share s_p
//! ```
//!
//! which is lowest where all `n_pc = s_p N_c`. With one class and equal shares that is the part with the fewest samples, as
//! in scikit-learn's `GroupKFold`.

use std::collections::BTreeMap;

/// The samples of each part, in the order of `order`, which lists samples at random and decides between groups of one
/// size. Each share is above 0, and each part gets one group at least.
///
/// # Errors
/// The number of groups, if they are fewer than parts.
pub(super) fn deal(
    order: &[usize],
    group: &[u32],
    class: impl Fn(usize) -> u32,
    shares: &[f64],
) -> Result<Vec<Vec<usize>>, usize> {
    let mut totals: BTreeMap<u32, f64> = BTreeMap::new();
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, &sample) in order.iter().enumerate() {
        *totals.entry(class(sample)).or_default() += 1.0;
        groups.entry(group[sample]).or_default().push(place);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    if groups.len() < shares.len() {
        return Err(groups.len());
    }
    groups.sort_by_key(|places| (std::cmp::Reverse(places.len()), places[0]));

    let mut parts: Vec<Part> = shares.iter().map(|&share| Part { share, ..Part::default() }).collect();
    for places in groups {
        let mut counts: BTreeMap<u32, f64> = BTreeMap::new();
        places.iter().for_each(|&place| *counts.entry(class(order[place])).or_default() += 1.0);
        let best = parts
            .iter_mut()
            .min_by(|a, b| {
                let cost = |part: &Part| (part.growth(&counts, &totals), part.samples() / part.share);
                let (a, b) = (cost(a), cost(b));
                a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
            })
            .expect("there are parts");
        counts.iter().for_each(|(class, count)| *best.counts.entry(*class).or_default() += count);
        best.groups.push(places);
    }
    // Where a share is less than half a group it still gets one: the smallest of the part with the most groups.
    while let Some(empty) = parts.iter().position(|part| part.groups.is_empty()) {
        let most = parts.iter_mut().max_by_key(|part| part.groups.len()).expect("there are parts");
        let smallest = most.groups.pop().expect("there are as many groups as parts");
        parts[empty].groups.push(smallest);
    }
    let samples = |part: Part| {
        let mut places = part.groups.concat();
        places.sort_unstable();
        places.into_iter().map(|place| order[place]).collect()
    };
    Ok(parts.into_iter().map(samples).collect())
}

/// A part that is being filled.
#[derive(Default)]
struct Part {
    share: f64,
    /// Places of its samples, group by group.
    groups: Vec<Vec<usize>>,
    /// Its samples of each class.
    counts: BTreeMap<u32, f64>,
}

impl Part {
    /// What the sum grows by with so many samples more of each class.
    fn growth(&self, more: &BTreeMap<u32, f64>, totals: &BTreeMap<u32, f64>) -> f64 {
        let of_class = |(class, more): (&u32, &f64)| {
            let before = self.counts.get(class).copied().unwrap_or(0.0);
            (2.0 * before + more) * more / totals[class].powi(2)
        };
        more.iter().map(of_class).sum::<f64>() / self.share
    }

    fn samples(&self) -> f64 {
        self.counts.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_one_class_go_where_the_fewest_samples_are() {
        // Groups of 4, 3, 2, 2 and 1 samples: {4}, {3, 1}, {2, 2}.
        let group = [9, 9, 9, 9, 5, 5, 5, 2, 2, 4, 4, 0];
        let order: Vec<usize> = (0..group.len()).collect();
        let parts = deal(&order, &group, |_| 0, &[1.0 / 3.0; 3]).unwrap();
        assert_eq!(parts, [vec![0, 1, 2, 3], vec![4, 5, 6, 11], vec![7, 8, 9, 10]]);
    }

    #[test]
    fn each_part_gets_a_group_and_a_group_is_not_shared() {
        let group = [1, 1, 1, 2, 3];
        let order = [0, 1, 2, 3, 4];
        assert_eq!(deal(&order, &group, |_| 0, &[0.95, 0.05]).unwrap(), [vec![0, 1, 2, 3], vec![4]]);
        assert_eq!(deal(&order, &group, |_| 0, &[0.25; 4]), Err(3));
    }
}
