//! The rank that keeps the others waiting: it waits for nobody, so what they wait beyond it is what it costs.

use std::fmt;

use serde::Serialize;

/// A rank that the others have waited for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowRank {
    /// Its number.
    pub rank: usize,
    /// Its machine.
    pub host: String,
    /// Seconds of the epoch that half of the ranks or more have waited beyond it.
    pub seconds: f64,
}

/// The share of an epoch that is worth a word, and its least seconds: less than that is chance.
const WORTH_A_WORD: (f64, f64) = (0.2, 0.1);

impl SlowRank {
    /// Who has kept the others waiting in an epoch of so many seconds, where each rank has waited so long. Ranks without samples wait too,
    /// but are fewer than half.
    pub(super) fn find(waiting: &[f64], seconds: f64, hosts: &[String]) -> Option<SlowRank> {
        let (share, least) = WORTH_A_WORD;
        let (rank, waited) = waiting.iter().enumerate().min_by(|left, right| left.1.total_cmp(right.1))?;
        let mut sorted = waiting.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let beyond = sorted[sorted.len() / 2] - waited;
        (beyond > least.max(share * seconds)).then(|| SlowRank {
            rank,
            host: hosts[rank].clone(),
            seconds: beyond,
        })
    }
}

impl fmt::Display for SlowRank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SlowRank { rank, host, seconds } = self;
        write!(f, "rank {rank} ({host}) is slow: others have waited {seconds:.1} s of this epoch for it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_least_is_slow_where_half_wait_long_for_it() {
        for (waiting, seconds, slow) in [
            (&[][..], 10.0, None),
            (&[0.5, 6.0], 10.0, Some((0, 5.5))),
            (&[6.0, 5.5, 0.5, 7.0], 10.0, Some((2, 5.5))),
            // Alike: the network is slow.
            (&[6.0, 6.1, 5.9, 6.0], 10.0, None),
            // Two of four are as slow, the last of five has no samples.
            (&[0.5, 6.0, 0.6, 7.0], 10.0, Some((0, 5.5))),
            (&[0.5, 0.6, 0.5, 9.0, 9.0], 10.0, None),
            // Little of the epoch, or of a clock's.
            (&[0.5, 2.4], 10.0, None),
            (&[0.0, 0.09], 0.1, None),
        ] {
            let hosts: Vec<String> = (0..waiting.len()).map(|rank| format!("n{rank}")).collect();
            let found = SlowRank::find(waiting, seconds, &hosts);
            assert_eq!(found.map(|it| (it.rank, it.seconds)), slow, "{waiting:?}");
        }
        let slow = SlowRank::find(&[3.0, 0.25], 4.0, &["n1".into(), "n2".into()]).unwrap();
        assert_eq!(slow.to_string(), "rank 1 (n2) is slow: others have waited 2.8 s of this epoch for it");
    }
}
