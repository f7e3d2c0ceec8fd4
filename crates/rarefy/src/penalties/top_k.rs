//! Hard thresholding.

/// At most k nonzero weights: the projection, called hard thresholding (Blumensath and Davies 2009), keeps the k largest
/// magnitudes and sets the rest to 0. Of equal magnitudes the one at the lower position stays.
///
/// The `k` is a share of the connections, at least 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopK {
    keep: f64,
}

/// What stays: what is larger than `magnitude`, and what equals it before position `end`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopKCut {
    magnitude: f32,
    end: usize,
}

impl TopK {
    /// At most the share `keep` of the connections, from 0 to 1.
    pub fn new(keep: f64) -> TopK {
        TopK { keep }
    }

    /// k out of so many connections, at least 1.
    pub fn count(&self, connections: usize) -> usize {
        ((self.keep * connections as f64).round() as usize).max(1)
    }

    /// What the k largest of the slices taken as one vector are, in linear time. NaN counts as the largest. `scratch` is
    /// overwritten; it keeps its room for the next call.
    pub fn cut<'a>(
        k: usize,
        slices: impl Iterator<Item = &'a [f32]> + Clone,
        scratch: &mut Vec<f32>,
    ) -> TopKCut {
        scratch.clear();
        slices.clone().for_each(|slice| scratch.extend(slice.iter().map(|w| w.abs())));
        if k >= scratch.len() {
            return TopKCut { magnitude: 0.0, end: usize::MAX };
        }
        if k == 0 {
            return TopKCut { magnitude: f32::INFINITY, end: 0 };
        }
        let (larger, magnitude, _) = scratch.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        let magnitude = *magnitude;
        // How many of equal magnitude stay, and where the last of them stands.
        let ties = k - larger.iter().filter(|size| size.total_cmp(&magnitude).is_gt()).count();
        let positions = slices.flatten().enumerate().filter(|(_, w)| w.abs() == magnitude);
        let end = positions.map(|(position, _)| position + 1).nth(ties - 1).unwrap_or(usize::MAX);
        TopKCut { magnitude, end }
    }
}

impl TopKCut {
    /// Sets to 0 what does not stay. `first` is the position of the first value in the vector that the cut was made
    /// for. Elementwise: sub-slices, each with its own `first`, give the same bits. NaN stays.
    #[inline(always)]
    pub fn apply(&self, values: &mut [f32], first: usize) {
        // Equal magnitudes stay before `split`.
        let split = self.end.saturating_sub(first).min(values.len());
        let (before, after) = values.split_at_mut(split);
        for w in before {
            *w = if w.abs() < self.magnitude { 0.0 } else { *w };
        }
        for w in after {
            *w = if w.abs() <= self.magnitude { 0.0 } else { *w };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(k: usize, values: &[f32]) -> Vec<f32> {
        let mut values = values.to_vec();
        TopK::cut(k, [&values[..]].into_iter(), &mut Vec::new()).apply(&mut values, 0);
        values
    }

    #[test]
    fn ties_go_to_the_lower_position() {
        let values = [1.0, -2.0, 2.0, 0.0, 2.0, -3.0];
        assert_eq!(project(0, &values), [0.0; 6]);
        assert_eq!(project(1, &values), [0.0, 0.0, 0.0, 0.0, 0.0, -3.0]);
        assert_eq!(project(2, &values), [0.0, -2.0, 0.0, 0.0, 0.0, -3.0]);
        assert_eq!(project(3, &values), [0.0, -2.0, 2.0, 0.0, 0.0, -3.0]);
        assert_eq!(project(4, &values), [0.0, -2.0, 2.0, 0.0, 2.0, -3.0]);
        assert_eq!(project(6, &values), values);
        assert_eq!(project(9, &values), values);
        assert!(project(1, &[]).is_empty());
    }

    #[test]
    fn k_is_a_share_of_the_connections() {
        assert_eq!(TopK::new(0.1).count(1000), 100);
        assert_eq!(TopK::new(0.001).count(10), 1);
        assert_eq!(TopK::new(1.0).count(7), 7);
    }
}
