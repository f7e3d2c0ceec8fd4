//! How many connections go at an update.

use super::Progress;

/// How many connections go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// A share of the live ones, as many being grown again.
    Share {
        /// The share at the start.
        share: f64,
        /// Where the share has fallen to 0 along a half cosine, as a fraction of the run (RigL's appendix: `share / 2 *
        /// (1 + cos(pi t / t_end))`); `None` for a constant share.
        anneal_until: Option<f64>,
    },
    /// As many as leave what the cubic schedule of Zhu and Gupta 2017 (eq. 1) wants:
    /// `final + (start - final) * (1 - t)^3`, starting from every cell.
    Prune {
        /// Where pruning starts, as a fraction of the run.
        from: f64,
        /// Where it ends.
        until: f64,
    },
}

impl Amount {
    /// The number of connections to drop out of `live` in a matrix of `cells` cells.
    pub fn dropped(&self, live: usize, cells: usize, target: usize, progress: &Progress) -> usize {
        match *self {
            // A full matrix has nowhere to move a connection to.
            Amount::Share { .. } if live == cells => 0,
            Amount::Share { share, anneal_until } => {
                let factor = anneal_until.map_or(1.0, |until| {
                    0.5 * (1.0 + (std::f64::consts::PI * (progress.fraction() / until).min(1.0)).cos())
                });
                // At least one connection stays, so that there is something to learn from.
                ((share * factor * live as f64).round() as usize).min(live - 1)
            }
            Amount::Prune { from, until } => {
                let t = ((progress.fraction() - from) / (until - from)).clamp(0.0, 1.0);
                let wanted = target as f64 + (cells - target) as f64 * (1.0 - t).powi(3);
                live.saturating_sub((wanted.round() as usize).max(target))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_schedules() {
        let at = |step| Progress { step, total: 100, epoch: 10 };
        let rigl = Amount::Share { share: 0.3, anneal_until: Some(0.75) };
        assert_eq!(rigl.dropped(1000, 5000, 1000, &at(0)), 300);
        assert_eq!(rigl.dropped(1000, 5000, 1000, &at(75)), 0);
        assert_eq!(rigl.dropped(1000, 1000, 1000, &at(0)), 0);
        assert_eq!(Amount::Share { share: 0.3, anneal_until: None }.dropped(1000, 5000, 1000, &at(99)), 300);
        let gmp = Amount::Prune { from: 0.25, until: 0.75 };
        assert_eq!(gmp.dropped(1000, 1000, 100, &at(25)), 0);
        assert_eq!(gmp.dropped(1000, 1000, 100, &at(50)), 1000 - (100 + 900 / 8) - 1);
        assert_eq!(gmp.dropped(1000, 1000, 100, &at(75)), 900);
        assert_eq!(gmp.dropped(100, 1000, 100, &at(90)), 0);
    }
}
