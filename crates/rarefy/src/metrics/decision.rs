//! How the scores of a sample become one class.

use serde::{Deserialize, Serialize};

/// How the scores of a sample become one class: the highest one, or of two classes the positive one wherever its probability
/// is above a threshold.
///
/// ```
/// use rarefy::metrics::Decision;
///
/// let careful = Decision { positive: 1, threshold: 0.2 };
/// assert_eq!((careful.class(&[0.7, 0.3]), Decision::default().class(&[0.7, 0.3])), (1, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Which of two classes is the positive one, counted from 0: the one that F1 and average precision are of.
    pub positive: usize,
    /// What its probability must be above; one half takes the higher score of any number of classes.
    pub threshold: f32,
}

impl Default for Decision {
    /// The second class, from one half on.
    fn default() -> Decision {
        Decision { positive: 1, threshold: HALF }
    }
}

/// The threshold at which a class is as likely as not.
pub(super) const HALF: f32 = 0.5;

impl Decision {
    /// The class of a sample of these scores; of equal ones the first.
    pub fn class(&self, scores: &[f32]) -> usize {
        if self.threshold == HALF || scores.len() != 2 {
            highest(scores)
        } else if scores[self.positive] > self.threshold {
            self.positive
        } else {
            1 - self.positive
        }
    }

    /// Whether it is the one that models have unless somebody asks for another.
    pub fn is_default(&self) -> bool {
        *self == Decision::default()
    }
}

/// The place of the highest score; of equal ones the first.
pub(super) fn highest(row: &[f32]) -> usize {
    let mut best = 0;
    for (place, &score) in row.iter().enumerate() {
        if score > row[best] || (row[best].is_nan() && !score.is_nan()) {
            best = place;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_first_counts() {
        assert_eq!(highest(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(highest(&[f32::NAN, 3.0]), 1);
        for (positive, threshold, scores, class) in [
            (1, 0.5, [0.5, 0.5], 0),
            (1, 0.3, [0.7, 0.3], 0),
            (1, 0.29, [0.7, 0.3], 1),
            (0, 0.7, [0.7, 0.3], 1),
            (0, 0.6, [0.7, 0.3], 0),
        ] {
            assert_eq!(Decision { positive, threshold }.class(&scores), class, "{positive} {threshold}");
        }
    }
}
