//! The L1 ball and the projection onto it.

use super::rule;

/// Passes that raise the bound before the search; they cost less than what they spare. Of a million normal numbers, 3 % above
/// tau: 6.2, 3.3, 2.4, 2.4 and 3.3 ns a number with 0, 1, 2, 3 and 5 passes.
const PASSES: usize = 2;

/// The L1 ball, a bound on the sum of magnitudes: `sum_i |w_i| <= radius`. The projection onto it is a soft threshold at the `tau` that solves
/// ```text
/// sum_i max(|w_i| - tau, 0) = radius
/// ```
/// found by the search of Duchi, Shalev-Shwartz, Singer and Chandra 2008 (figure 2). Two changes: the pivot is the exact
/// median, so that the time is linear in the worst case and nothing is random; and numbers below a bound on tau are left
/// out beforehand. The bound is `(sum |w| - radius) / n`, over all numbers, then over those not below it, as in Michelot
/// 1986, whose method repeats this to the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct L1Ball {
    radius: f64,
}

impl L1Ball {
    /// A ball of this radius, at least 0.
    pub fn new(radius: f32) -> L1Ball {
        L1Ball { radius: f64::from(radius) }
    }

    /// `tau` for the slices taken as one vector: 0 if it is in the ball (up to the rounding of a projection before),
    /// NaN if a number is not finite. `scratch` is overwritten; it keeps its room for the next call.
    pub fn threshold<'a>(
        &self,
        slices: impl Iterator<Item = &'a [f32]> + Clone,
        scratch: &mut Vec<f32>,
    ) -> f64 {
        let total: f64 = slices.clone().map(|slice| rule::sum(slice, |w| f64::from(w).abs())).sum();
        if !total.is_finite() {
            return f64::NAN;
        }
        if total <= self.radius * (1.0 + f64::from(f32::EPSILON)) {
            return 0.0;
        }
        let count: usize = slices.clone().map(<[f32]>::len).sum();
        let mut bound = self.bound(total, count);
        for _ in 0..PASSES {
            let (mut total, mut count) = (0.0, 0.0);
            for slice in slices.clone() {
                total += rule::sum(slice, |w| at_least(bound, w));
                count += rule::sum(slice, |w| if at_least(bound, w) > 0.0 { 1.0 } else { 0.0 });
            }
            bound = self.bound(total, count as usize);
        }
        scratch.clear();
        for slice in slices {
            scratch.extend(slice.iter().map(|w| w.abs()).filter(|&size| f64::from(size) >= bound));
        }
        self.search(scratch)
    }

    /// At most `tau`, from the sum of the magnitudes that are not below another such bound, and their number. A little
    /// lower, so that rounding leaves none of equal magnitudes out.
    fn bound(&self, total: f64, count: usize) -> f64 {
        (total - self.radius) / count as f64 * (1.0 - 1e-9)
    }

    /// `tau` among these magnitudes, whose sum is above the radius; they change places.
    fn search(&self, mut rest: &mut [f32]) -> f64 {
        let largest = rest.iter().copied().fold(0.0, f32::max);
        // Count and sum of the magnitudes known to be above tau.
        let (mut count, mut sum) = (0, 0.0);
        while !rest.is_empty() {
            let middle = rest.len() / 2;
            let (above, pivot, below) = rest.select_nth_unstable_by(middle, |a, b| b.total_cmp(a));
            let pivot = f64::from(*pivot);
            let sum_above = sum + rule::sum(above, f64::from) + pivot;
            let count_above = count + middle + 1;
            if sum_above - count_above as f64 * pivot < self.radius {
                (count, sum, rest) = (count_above, sum_above, below);
            } else {
                rest = above;
            }
        }
        // A radius of 0 lets nothing stand out.
        if count == 0 { f64::from(largest) } else { ((sum - self.radius) / count as f64).max(0.0) }
    }

    /// Moves each value towards 0 by `threshold`, not past it. In f64: a threshold rounded to f32 would miss the radius
    /// by its error times the number of weights. Elementwise: sub-slices give the same bits.
    #[inline(always)]
    pub fn apply(threshold: f64, values: &mut [f32]) {
        for w in values {
            let wide = f64::from(*w);
            let cut = if wide.abs() <= threshold { wide } else { threshold.copysign(wide) };
            *w = (wide - cut) as f32;
        }
    }
}

/// The magnitude if it is not below the bound, else 0.
#[inline(always)]
fn at_least(bound: f64, w: f32) -> f64 {
    let size = f64::from(w).abs();
    if size >= bound { size } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    fn threshold(radius: f32, values: &[f32]) -> f64 {
        L1Ball::new(radius).threshold([values].into_iter(), &mut Vec::new())
    }

    #[test]
    fn thresholds_by_hand() {
        // 3 + 2 + 1 with radius 3: tau = 1 leaves 2 + 1.
        assert_eq!(threshold(3.0, &[1.0, -3.0, 2.0]), 1.0);
        assert_eq!(threshold(6.0, &[1.0, -3.0, 2.0]), 0.0);
        // Ties, zeros, one number, a radius of 0, nothing at all.
        assert_eq!(threshold(1.0, &[1.0; 4]), 0.75);
        assert_eq!(threshold(1.0, &[0.0, 2.0, 0.0]), 1.0);
        assert_eq!(threshold(0.0, &[1.0, -3.0, 3.0]), 3.0);
        assert_eq!(threshold(0.0, &[0.0, 0.0]), 0.0);
        assert_eq!(threshold(1.0, &[]), 0.0);
        assert!(threshold(1.0, &[f32::NAN, 0.0]).is_nan());
        assert!(threshold(1.0, &[f32::INFINITY, 0.0]).is_nan());
    }

    /// By sorting: tau is the largest `(sum of the first k - radius) / k`.
    #[test]
    fn agrees_with_sorting() {
        let mut stream = Stream::new(6, Purpose::Bench, 0, 0);
        for round in 0..500 {
            let values: Vec<f32> = (0..1 + stream.below(200))
                .map(|_| if round % 3 == 0 { stream.below(4) as f32 - 1.0 } else { stream.normal() })
                .collect();
            let mut sizes: Vec<f64> = values.iter().map(|&w| f64::from(w).abs()).collect();
            sizes.sort_by(|a, b| b.total_cmp(a));
            let radius = stream.uniform() * 3.0;
            let mut sum = 0.0;
            let want = (1..).zip(sizes).map(|(k, size)| {
                sum += size;
                (sum - f64::from(radius)) / f64::from(k)
            });
            let want = want.fold(0.0, f64::max);
            let got = threshold(radius, &values);
            assert!((got - want).abs() < 1e-12, "round {round}: {got}, not {want}");
        }
    }
}
