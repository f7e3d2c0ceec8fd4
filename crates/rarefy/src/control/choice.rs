//! Which model of a path to take, judged on validation data.
//!
//! ```text
//! loss |  x                     best: the lowest loss
//!      |    x                   knee: the fewest nonzeros whose loss is at most the best one's plus its standard
//!      |......x..........             error: as good as can be told, and smaller
//!      |    knee  x  x best
//!      +------------------ nonzeros
//! ```
//! The knee is the one-standard-error rule of Breiman, Friedman, Olshen and Stone 1984 (section 3.4.3).

/// A model to choose or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its weights that are not 0.
    pub nonzeros: usize,
    /// Its mean loss on the validation part.
    pub loss: f64,
    /// Of that mean.
    pub standard_error: f64,
}

/// The position of the lowest loss; of equal ones the first. `None` if no loss is a number.
pub fn best(candidates: &[Candidate]) -> Option<usize> {
    let loss = |at: &usize| candidates[*at].loss;
    (0..candidates.len()).filter(|at| !loss(at).is_nan()).min_by(|a, b| loss(a).total_cmp(&loss(b)))
}

/// The position of the fewest nonzeros within one standard error of the best; of equal ones the first.
pub fn knee(candidates: &[Candidate]) -> Option<usize> {
    let best = candidates[best(candidates)?];
    let most = best.loss + best.standard_error;
    (0..candidates.len()).filter(|&at| candidates[at].loss <= most).min_by_key(|&at| candidates[at].nonzeros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_lowest_and_the_knee_the_smallest_within_its_error() {
        let candidate = |nonzeros, loss, standard_error| Candidate { nonzeros, loss, standard_error };
        let path = [
            candidate(0, 0.9, 0.5),
            candidate(2, 0.55, 0.01),
            candidate(3, 0.5, 0.01),
            candidate(3, 0.45, 0.01),
            candidate(8, 0.4, 0.1),
            candidate(9, 0.4, 0.9),
            candidate(1, f64::NAN, 0.1),
        ];
        assert_eq!((best(&path), knee(&path)), (Some(4), Some(2)));
        assert_eq!((best(&path[..2]), knee(&path[..2])), (Some(1), Some(1)));
        assert_eq!((best(&path[6..]), knee(&path[6..])), (None, None));
        assert_eq!((best(&[]), knee(&[])), (None, None));
    }
}
