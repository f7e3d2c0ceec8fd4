//! Sums over a whole network, and how a chunk of it is summed.

/// Sums over all numbers of all parameters, which a method that looks at the whole network asks for. Added up chunk by
/// chunk in a fixed order, so that they do not depend on the number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sums(pub [f64; 3]);

impl std::ops::Add for Sums {
    type Output = Sums;

    #[inline(always)]
    fn add(self, other: Sums) -> Sums {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        Sums([a + x, b + y, c + z])
    }
}

/// The sum of `term(0)` to `term(count - 1)` in 16 interleaved parts, so that it vectorises.
#[inline(always)]
pub(super) fn sum(count: usize, term: impl Fn(usize) -> f64) -> f64 {
    let mut parts = [0.0; 16];
    let whole = count / 16 * 16;
    for first in (0..whole).step_by(16) {
        for (lane, part) in parts.iter_mut().enumerate() {
            *part += term(first + lane);
        }
    }
    for (part, index) in parts.iter_mut().zip(whole..count) {
        *part += term(index);
    }
    parts.iter().sum()
}
