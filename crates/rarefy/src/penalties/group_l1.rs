//! The group lasso.

use super::rule::Steps;

/// Which values form which group.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    /// Group `g` has the entries `offsets[g]..offsets[g + 1]`; one more offset than groups.
    pub offsets: &'a [u32],
    /// The slot of each entry. `None`: entry `k` is slot `k - offsets[0]`, so that offsets and values may be cut alike.
    pub slots: Option<&'a [u32]>,
}

impl Groups<'_> {
    /// Number of groups.
    pub fn count(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The slots of one group.
    #[inline(always)]
    fn slots(&self, group: usize) -> impl ExactSizeIterator<Item = usize> + Clone {
        let (start, slots) = (self.offsets[0] as usize, self.slots);
        let entries = self.offsets[group] as usize..self.offsets[group + 1] as usize;
        entries.map(move |entry| slots.map_or(entry - start, |slots| slots[entry] as usize))
    }
}

/// The group lasso (Yuan and Lin 2006): `P(w) = lambda sum_g sqrt(size_g) |w_g|`, Euclidean norms of groups, which
/// empties whole neurons (groups are rows) or drops input features (columns). The factor, the root of the number of
/// weights in the group at the time, makes `lambda` mean the same for groups of different sizes.
///
/// With `m = lambda sqrt(size)` and step sizes `s`, the proximal operator empties a group if `sum (w_i / s_i)^2 <= m^2`.
/// Otherwise it is `x_i = w_i n / (n + m s_i)`, where the norm `n` of the answer solves
/// ```text
/// phi(n) = sum_i (w_i / (n + m s_i))^2 = 1
/// ```
/// For equal steps `n = |w| - m s`. In general `1 / sqrt(phi)` is concave and nearly straight in `n`, so that Newton's
/// method on it takes 3 iterations for steps over three decades (the secular equation of More and Sorensen 1983); a
/// bracket keeps it safe.
///
/// NaN makes its whole group NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupL1 {
    /// The strength, at least 0.
    pub lambda: f32,
}

/// What the proximal step does to the weights of one group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shrinkage {
    /// `n`, the norm of the answer.
    norm: f64,
    /// `m`, lambda times the root of the group's size.
    pull: f64,
}

impl Shrinkage {
    /// A weight of the group after the proximal step.
    #[inline(always)]
    pub fn apply(&self, w: f32, step: f32) -> f32 {
        let kept = self.norm / (self.norm + self.pull * f64::from(step));
        if self.norm == 0.0 { 0.0 } else { (f64::from(w) * kept) as f32 }
    }
}

impl GroupL1 {
    /// The penalty of these weights.
    ///
    /// # Panics
    /// If a group has a slot that is not there.
    pub fn value(&self, values: &[f32], groups: Groups<'_>) -> f64 {
        (0..groups.count())
            .map(|group| {
                let slots = groups.slots(group);
                self.pull(slots.len()) * norm(slots.map(|slot| values[slot]))
            })
            .sum()
    }

    /// Adds a subgradient to `gradients`: `lambda sqrt(size) w / |w_g|`, and 0 to a group of zeros.
    ///
    /// # Panics
    /// If a group has a slot that is not there.
    pub fn add_subgradient(&self, values: &[f32], groups: Groups<'_>, gradients: &mut [f32]) {
        for group in 0..groups.count() {
            let slots = groups.slots(group);
            let norm = norm(slots.clone().map(|slot| values[slot]));
            if norm == 0.0 {
                continue;
            }
            let scale = self.pull(slots.len()) / norm;
            for slot in slots {
                gradients[slot] += (scale * f64::from(values[slot])) as f32;
            }
        }
    }

    /// The proximal step on all groups, in place. Slots in no group stay. Groups are independent: cut by whole groups,
    /// it gives the same bits.
    ///
    /// # Panics
    /// If a group has a slot that is not there, or there are steps for each weight and their number differs.
    pub fn prox(&self, values: &mut [f32], steps: Steps<'_>, groups: Groups<'_>) {
        for group in 0..groups.count() {
            let shrinkage = self.shrinkage(values, steps, groups, group);
            for slot in groups.slots(group) {
                values[slot] = shrinkage.apply(values[slot], step_of(steps, slot));
            }
        }
    }

    /// The first half of [`GroupL1::prox`] for one group, which only reads: for groups whose slots are scattered over
    /// the values, that threads share by slot and not by group.
    ///
    /// # Panics
    /// As [`GroupL1::prox`].
    pub fn shrinkage(&self, values: &[f32], steps: Steps<'_>, groups: Groups<'_>, group: usize) -> Shrinkage {
        let slots = groups.slots(group);
        let pull = self.pull(slots.len());
        let norm = match steps {
            Steps::Same(step) => {
                let (norm, cut) = (norm(slots.map(|slot| values[slot])), pull * f64::from(step));
                // `<=` is false for NaN, so that NaN stays NaN.
                if norm <= cut { 0.0 } else { norm - cut }
            }
            Steps::Each(steps) => {
                assert_eq!(steps.len(), values.len(), "there must be as many steps as values");
                // A weight of 0 stays 0 and says nothing about the norm; with a step of 0 it would be 0 / 0.
                let pairs = slots.filter(|&slot| values[slot] != 0.0);
                solve(pull, pairs.map(|slot| (f64::from(values[slot]), f64::from(steps[slot]))))
            }
        };
        Shrinkage { norm, pull }
    }

    /// The lambda that a group of so many weights does not withstand, whose gradients have this sum of squares.
    pub fn lambda_that_empties(squares: f32, size: f32) -> f32 {
        (squares / size.max(1.0)).sqrt()
    }

    /// What the norm of a gradient must beat to move a group of so many zeros: lambda times the root of its size.
    pub fn pull(&self, size: usize) -> f64 {
        f64::from(self.lambda) * (size as f64).sqrt()
    }
}

#[inline(always)]
fn step_of(steps: Steps<'_>, slot: usize) -> f32 {
    match steps {
        Steps::Same(step) => step,
        Steps::Each(steps) => steps[slot],
    }
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|w| f64::from(w) * f64::from(w)).sum::<f64>().sqrt()
}

/// The norm of the answer for pairs of weight and step size: the root of `phi(n) = 1`, or 0.
fn solve(pull: f64, pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let (mut square, mut pressure) = (0.0, 0.0);
    let (mut smallest, mut largest) = (f64::INFINITY, 0.0_f64);
    for (w, step) in pairs.clone() {
        square += w * w;
        let force = w / step;
        pressure += force * force;
        (smallest, largest) = (smallest.min(step), largest.max(step));
    }
    if pressure <= pull * pull {
        return 0.0;
    }
    // All steps as large as the largest, or as small as the smallest, bracket the root.
    let mut low = (square.sqrt() - pull * largest).max(0.0);
    let mut high = square.sqrt() - pull * smallest;
    // Rounding may turn a bracket without width around.
    high = if high < low { low } else { high };
    let mut n = high;
    for _ in 0..100 {
        let (mut phi, mut slope) = (0.0, 0.0);
        for (w, step) in pairs.clone() {
            let inverse = 1.0 / (n + pull * step);
            let term = (w * inverse) * (w * inverse);
            phi += term;
            slope += term * inverse;
        }
        // The Newton step on 1/sqrt(phi) = 1. The answer is rounded to f32, so that this is near enough.
        let next = n + (phi.sqrt() - 1.0) * phi / slope;
        if (next - n).abs() <= 1e-10 * n || next.is_nan() {
            return next;
        }
        if phi > 1.0 {
            low = n;
        } else {
            high = n;
        }
        n = if next > low && next < high { next } else { 0.5 * (low + high) };
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn a_row_shrinks_and_a_row_goes() {
        // Norms 5 and 1, sizes 2 and 2, lambda sqrt(2) = 2: the first keeps 3/5, the second goes.
        let penalty = GroupL1 { lambda: 2.0_f32.sqrt() };
        let groups = Groups { offsets: &[0, 2, 4], slots: None };
        let mut values = [3.0, 4.0, 1.0, 0.0];
        assert!((penalty.value(&values, groups) - 12.0).abs() < 1e-6);
        penalty.prox(&mut values, Steps::Same(1.0), groups);
        assert!((values[0] - 1.8).abs() < 1e-6 && (values[1] - 2.4).abs() < 1e-6);
        assert_eq!(values[2..], [0.0, 0.0]);
    }

    /// Stationarity `(x - w) / s + m x / |x| = 0` in f64 where a group stays, `|w / s| <= m` where it goes, for steps
    /// and weights over many magnitudes.
    #[test]
    fn unequal_steps_satisfy_the_optimality_condition() {
        let mut stream = Stream::new(5, Purpose::Bench, 0, 0);
        let (mut stayed, mut gone) = (0, 0);
        for round in 0..3000 {
            let size = 1 + round % 9;
            let decades = [0.0, 1.0, 4.0, 8.0][round % 4];
            let mut log_uniform = |decades: f32| 10f32.powf(decades * (stream.uniform() - 0.5));
            let steps: Vec<f32> = (0..size).map(|_| log_uniform(decades)).collect();
            let weights: Vec<f32> = (0..size).map(|i| log_uniform(4.0) * [1.0, -1.0][i % 2]).collect();
            let penalty = GroupL1 { lambda: log_uniform(4.0) };
            let m = penalty.pull(size);
            let groups = Groups { offsets: &[0, size as u32], slots: None };
            let shrinkage = penalty.shrinkage(&weights, Steps::Each(&steps), groups, 0);
            let pairs = weights.iter().zip(&steps).map(|(&w, &s)| (f64::from(w), f64::from(s)));
            if shrinkage.norm == 0.0 {
                gone += 1;
                assert!(pairs.map(|(w, s)| (w / s) * (w / s)).sum::<f64>().sqrt() <= m * (1.0 + 1e-12));
                continue;
            }
            stayed += 1;
            let n = shrinkage.norm;
            let x: Vec<f64> = pairs.clone().map(|(w, s)| w * n / (n + m * s)).collect();
            let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
            assert!((length / n - 1.0).abs() < 1e-8, "round {round}: |x| = {length}, n = {n}");
            for ((w, s), x) in pairs.zip(x) {
                let (force, pull) = ((x - w) / s, m * x / length);
                assert!((force + pull).abs() <= 1e-8 * pull.abs(), "round {round}: {force} against {pull}");
            }
        }
        assert!(stayed > 300 && gone > 300, "{stayed} stayed, {gone} went");
    }

    #[test]
    fn a_step_of_zero_keeps_its_weight() {
        let groups = Groups { offsets: &[0, 3], slots: None };
        let mut values = [0.5, 2.0, 0.0];
        GroupL1 { lambda: 1.0 }.prox(&mut values, Steps::Each(&[0.0, 1.0, 0.0]), groups);
        assert_eq!(values[0], 0.5);
        assert_eq!(values[2], 0.0);
        assert!(values[1] > 0.0 && values[1] < 2.0);
    }
}
