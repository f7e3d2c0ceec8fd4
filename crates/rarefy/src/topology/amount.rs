//! How many connections stay at an update, and how many there are after it.

use std::f64::consts::PI;

use super::{Phases, Progress, When};

/// How many connections stay and come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// A share of the live ones goes, as many being grown again.
    Share {
        /// The share at the start.
        share: f64,
        /// Where the share has fallen to 0 along a half cosine, as a fraction of the run (RigL's appendix: `share / 2 *
        /// (1 + cos(pi t / t_end))`); `None` for a constant share.
        anneal_until: Option<f64>,
    },
    /// The cubic schedule of Zhu and Gupta 2017 (eq. 1), `final + (start - final) * (1 - t)^3`, from however many there
    /// are at the start.
    Prune {
        /// Where pruning starts, as a fraction of the run.
        from: f64,
        /// Where it ends.
        until: f64,
        /// The share of what the schedule leaves that goes besides and is grown again, falling to 0 at the run's end
        /// along a half cosine (GraNet; 0 for pruning alone).
        regrow: f64,
    },
    /// Down to the target, then up to `1 + overshoot` of it: the soft memory bound of MEST (EM&S). As in the published
    /// runs the overshoot is halved at three quarters of the window and gone at its end.
    Overshoot {
        /// What there is above the target, as a share of it.
        overshoot: f64,
        /// Where it is gone, as a fraction of the run.
        until: f64,
    },
    /// `1 + overshoot` times the target and, from `until` on, the target itself. At an update a share of what there is
    /// above the target goes, as many being grown again (Top-KAST's set B).
    Superset {
        /// What there is above the target, as a share of it.
        overshoot: f64,
        /// The share of that which moves.
        share: f64,
        /// Where it is gone, as a fraction of the run.
        until: f64,
    },
    /// Every cell in a dense phase, the target in a compressed one.
    Phases(Phases),
}

/// What an update does to the number of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Connections that stay.
    pub kept: usize,
    /// Connections there are once others have been grown.
    pub total: usize,
}

impl Amount {
    /// What happens to `live` connections in a matrix of `cells` cells that is to end the run with `target`.
    pub fn counts(
        &self,
        live: usize,
        cells: usize,
        target: usize,
        when: &When,
        progress: &Progress,
    ) -> Counts {
        // At least one connection stays, so that there is something to learn from.
        let without = |total: usize, share: f64| {
            let dropped = ((share * total as f64).round() as usize).min(total.saturating_sub(1));
            // A full matrix has nowhere to move a connection to.
            Counts { kept: if total == cells { total } else { total - dropped }, total }
        };
        match *self {
            Amount::Share { share, anneal_until } => without(
                live,
                share * anneal_until.map_or(1.0, |until| half_cosine(progress.fraction() / until)),
            ),
            Amount::Prune { from, until, regrow } => {
                let left = |fraction: f64| 1.0 - ((fraction - from) / (until - from)).clamp(0.0, 1.0);
                let (now, before) = (left(progress.fraction()), left(when.previous(progress)));
                // The factors of successive updates multiply to `(1 - t)^3`, so the start need not be remembered.
                let factor = if before > 0.0 { (now / before).powi(3) } else { 0.0 };
                let wanted = (target as f64 + (live as f64 - target as f64) * factor).round() as usize;
                without(wanted, regrow * half_cosine(progress.fraction()))
            }
            Amount::Overshoot { overshoot, until } => {
                let factor = match progress.fraction() / until {
                    t if t < 0.75 => 1.0,
                    t if t < 1.0 => 0.5,
                    _ => 0.0,
                };
                let above = ((factor * overshoot * target as f64).round() as usize).min(cells - target);
                Counts { kept: target.min(live), total: target + above }
            }
            Amount::Superset { until, .. } if progress.fraction() >= until => {
                Counts { kept: target.min(live), total: target }
            }
            Amount::Superset { overshoot, share, .. } => {
                let above = ((overshoot * target as f64).round() as usize).min(cells - target);
                let stays = target + ((1.0 - share) * above as f64).round() as usize;
                let total = target + above;
                Counts { kept: if total == cells { total } else { stays }.min(live), total }
            }
            Amount::Phases(phases) if phases.is_compressed(progress.fraction()) => {
                Counts { kept: target.min(live), total: target }
            }
            Amount::Phases(_) => Counts { kept: live, total: cells },
        }
    }
}

/// From 1 at 0 to 0 at 1.
fn half_cosine(t: f64) -> f64 {
    0.5 * (1.0 + (PI * t.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: When = When::Every { steps: 5, from: 0.0, until: 1.0 };

    fn counts(amount: Amount, live: usize, cells: usize, target: usize, step: u64) -> (usize, usize) {
        let progress = Progress { step, total: 100, epoch: 10 };
        let counts = amount.counts(live, cells, target, &EVERY, &progress);
        (counts.kept, counts.total)
    }

    #[test]
    fn shares_anneal_and_spare_a_full_matrix() {
        let rigl = Amount::Share { share: 0.3, anneal_until: Some(0.75) };
        assert_eq!(counts(rigl, 1000, 5000, 1000, 1), (700, 1000));
        assert_eq!(counts(rigl, 1000, 5000, 1000, 75), (1000, 1000));
        assert_eq!(counts(rigl, 1000, 1000, 1000, 1), (1000, 1000));
        let set = Amount::Share { share: 0.3, anneal_until: None };
        assert_eq!(counts(set, 1000, 5000, 1000, 99), (700, 1000));
        assert_eq!(counts(Amount::Share { share: 1.0, anneal_until: None }, 3, 9, 3, 5), (1, 3));
    }

    #[test]
    fn pruning_follows_the_cubic_from_any_start() {
        for start in [1000, 500, 100] {
            let prune = Amount::Prune { from: 0.25, until: 0.75, regrow: 0.0 };
            let mut live = start;
            for step in (5..=100).step_by(5) {
                let (kept, total) = counts(prune, live, 1000, 100, step);
                assert_eq!(kept, total);
                live = total;
                let t = ((step as f64 / 100.0 - 0.25) / 0.5).clamp(0.0, 1.0);
                let expected = 100.0 + (start as f64 - 100.0) * (1.0 - t).powi(3);
                assert!((live as f64 - expected).abs() < 1.5, "{start} at {step}: {live}, not {expected}");
            }
            assert_eq!(live, 100);
        }
        let granet = Amount::Prune { from: 0.0, until: 0.5, regrow: 0.5 };
        assert_eq!(counts(granet, 100, 1000, 100, 50), (75, 100));
        assert_eq!(counts(granet, 100, 1000, 100, 100), (100, 100));
    }

    #[test]
    fn the_soft_bound_ends_at_the_target() {
        let mest = Amount::Overshoot { overshoot: 0.5, until: 0.8 };
        assert_eq!(counts(mest, 150, 1000, 100, 10), (100, 150));
        assert_eq!(counts(mest, 150, 1000, 100, 61), (100, 125));
        assert_eq!(counts(mest, 125, 1000, 100, 80), (100, 100));
        assert_eq!(counts(mest, 110, 110, 100, 10), (100, 110));
        let far_above = Amount::Overshoot { overshoot: 1e30, until: 0.8 };
        assert_eq!(counts(far_above, 150, 1000, 100, 10), (100, 1000));
    }

    #[test]
    fn a_superset_moves_what_is_above_the_target() {
        let superset = Amount::Superset { overshoot: 1.0, share: 0.3, until: 0.8 };
        assert_eq!(counts(superset, 200, 1000, 100, 10), (170, 200));
        assert_eq!(counts(superset, 120, 1000, 100, 10), (120, 200));
        assert_eq!(counts(superset, 200, 1000, 100, 80), (100, 100));
        assert_eq!(counts(superset, 150, 150, 100, 10), (150, 150));
        assert_eq!(counts(superset, 100, 100, 100, 10), (100, 100));
    }
}
