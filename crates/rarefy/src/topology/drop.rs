//! Which connections go.

/// The rule by which connections are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// Those of the smallest magnitude.
    Magnitude,
    /// The smallest positive and the largest negative ones, the same share of each (Mocanu et al. 2018, algorithm 1).
    MagnitudePerSign,
}

impl Drop {
    /// The cells that stay, in order. `live` is `(cell, value)` in order; of equal magnitudes the later cell goes.
    pub fn keep(self, live: &[(usize, f32)], dropped: usize) -> Vec<usize> {
        match self {
            Drop::Magnitude => largest(live.to_vec(), live.len() - dropped),
            Drop::MagnitudePerSign => {
                let (positive, negative): (Vec<_>, Vec<_>) = live.iter().partition(|(_, value)| *value > 0.0);
                let from_positive =
                    (dropped as f64 * positive.len() as f64 / live.len().max(1) as f64).round() as usize;
                let from_positive =
                    from_positive.max(dropped.saturating_sub(negative.len())).min(positive.len());
                let kept_negative = negative.len() - (dropped - from_positive);
                let kept_positive = positive.len() - from_positive;
                let mut kept = largest(positive, kept_positive);
                kept.extend(largest(negative, kept_negative));
                kept.sort_unstable();
                kept
            }
        }
    }
}

/// The cells of the `count` values of the largest magnitude, in order.
fn largest(mut live: Vec<(usize, f32)>, count: usize) -> Vec<usize> {
    if count < live.len() {
        live.select_nth_unstable_by(count, |a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        live.truncate(count);
    }
    let mut cells: Vec<usize> = live.into_iter().map(|(cell, _)| cell).collect();
    cells.sort_unstable();
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_go() {
        let live = [(0, 0.1), (2, -0.5), (3, -0.2), (5, 0.1), (7, 0.9), (9, -0.05)];
        assert_eq!(Drop::Magnitude.keep(&live, 2), [0, 2, 3, 7]);
        assert_eq!(Drop::Magnitude.keep(&live, 0), [0, 2, 3, 5, 7, 9]);
        assert_eq!(Drop::MagnitudePerSign.keep(&live, 2), [0, 2, 3, 7]);
        assert_eq!(Drop::MagnitudePerSign.keep(&[(1, 0.3), (2, 0.4)], 1), [2]);
        assert_eq!(Drop::MagnitudePerSign.keep(&[(1, -0.3), (2, -0.4)], 1), [2]);
    }
}
