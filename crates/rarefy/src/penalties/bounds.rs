//! Bounds on each weight.

/// Bounds on each weight: the projection onto `[lower, upper]` clips. Non-negative weights are the bounds 0 and infinity.
///
/// Elementwise: sub-slices give the same bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    lower: f32,
    upper: f32,
}

impl Bounds {
    /// Bounds with `lower` at most `upper`; either may be infinite.
    pub fn new(lower: f32, upper: f32) -> Bounds {
        Bounds { lower, upper }
    }

    /// Whether a weight may be below 0, and whether above.
    pub fn sides(&self) -> [bool; 2] {
        [self.lower < 0.0, self.upper > 0.0]
    }

    /// Clips each value. NaN stays NaN.
    #[inline(always)]
    pub fn apply(&self, values: &mut [f32]) {
        for w in values {
            // Not max and min, which would turn NaN into a bound.
            *w = if *w < self.lower {
                self.lower
            } else if *w > self.upper {
                self.upper
            } else {
                *w
            };
        }
    }
}
