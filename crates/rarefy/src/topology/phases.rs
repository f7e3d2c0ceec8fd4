//! The phases of AC/DC.

/// When a run is dense and when it is compressed, as fractions of the run.
///
/// The phases of AC/DC (Peste et al. 2021): dense, compressed, dense, ..., compressed to the end.
///
/// ```text
/// 0      10 %   15     20            70     75           85          100
/// dense  | comp | dense | comp | ... | comp | dense      | compressed
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phases {
    /// Where the dense warm-up ends.
    pub warm_up: f64,
    /// The length of the phases that alternate.
    pub length: f64,
    /// Where the last compressed phase starts.
    pub last: f64,
}

impl Phases {
    /// Whether the network is compressed at that fraction of the run.
    pub fn is_compressed(&self, fraction: f64) -> bool {
        // Fractions like 0.15 - 0.1 fall short of 0.05 by a rounding error, which must not shift a phase by a step.
        const SLACK: f64 = 1e-9;
        if fraction + SLACK >= self.last {
            return true;
        }
        let phase = ((fraction - self.warm_up) / self.length + SLACK).floor();
        let end = self.warm_up + (phase + 1.0) * self.length;
        // The last compressed phase follows a dense one, which takes what is left before it.
        phase >= 0.0 && phase % 2.0 == 0.0 && end + self.length <= self.last + SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_those_of_the_paper() {
        let phases = Phases { warm_up: 0.1, length: 0.05, last: 0.85 };
        let compressed: Vec<u64> =
            (0..100).filter(|&epoch| phases.is_compressed(epoch as f64 / 100.0)).collect();
        let expected: Vec<u64> = (0..100)
            .filter(|&epoch| epoch >= 85 || (10..75).contains(&epoch) && (epoch - 10) % 10 < 5)
            .collect();
        assert_eq!(compressed, expected);
        assert!(phases.is_compressed(1.0));
    }
}
