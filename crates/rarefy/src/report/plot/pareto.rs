//! The Pareto front: the points that no other point beats in both directions. `O(n log n)`: by x, then one sweep.

/// Which end of the y axis is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// As for accuracy.
    Higher,
    /// As for loss.
    Lower,
}

/// The positions of the points `(x, y)` that no other point beats, from small x to large. Small x is better. A point
/// beats another if it is no worse in both and better in one; of equal points the first stands for all. Points that are
/// not finite never count.
pub fn pareto_front(points: &[(f64, f64)], better: Better) -> Vec<usize> {
    let goodness = |point: (f64, f64)| if better == Better::Higher { point.1 } else { -point.1 };
    let mut order: Vec<usize> =
        (0..points.len()).filter(|&at| points[at].0.is_finite() && points[at].1.is_finite()).collect();
    order.sort_by(|&a, &b| {
        let by_x = points[a].0.total_cmp(&points[b].0);
        by_x.then(goodness(points[b]).total_cmp(&goodness(points[a])))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|&at| {
        let is_better = goodness(points[at]) > best;
        best = best.max(goodness(points[at]));
        is_better
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beaten_is_left_out() {
        //   y
        //   4 |       d
        //   3 |   b   e      e: d is as small and better
        //   2 |     c        c: b is smaller and better
        //   1 | a
        let points = [(3.0, 3.0), (1.0, 1.0), (2.5, 2.0), (2.0, 3.0), (3.0, 4.0), (f64::NAN, 9.0)];
        assert_eq!(pareto_front(&points, Better::Higher), [1, 3, 4]);
        assert_eq!(pareto_front(&points, Better::Lower), [1]);
        assert_eq!(pareto_front(&[(1.0, 1.0), (1.0, 1.0)], Better::Higher), [0]);
        assert!(pareto_front(&[], Better::Higher).is_empty());
    }
}
