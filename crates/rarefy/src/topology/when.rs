//! At which steps connections change.

use super::{Phases, Progress};

/// The steps after which connections change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// None.
    Never,
    /// The last of every epoch but the run's last, as SET does.
    EveryEpoch,
    /// Every so many steps within a window of the run.
    Every {
        /// Steps from one update to the next.
        steps: u64,
        /// Where the window starts, as a fraction of the run.
        from: f64,
        /// Where it ends.
        until: f64,
    },
    /// Where a phase ends.
    PhaseEnds(Phases),
}

impl When {
    /// Whether connections change after the step that was just done.
    pub fn is_due(&self, progress: &Progress) -> bool {
        match *self {
            When::Never => false,
            When::EveryEpoch => {
                progress.step.is_multiple_of(progress.epoch.max(1)) && progress.step < progress.total
            }
            When::Every { steps, from, until } => {
                let fraction = progress.fraction();
                // The last update of the window always happens, so that a pruning schedule reaches its end.
                let last = fraction >= until && progress.before().fraction() < until;
                (progress.step.is_multiple_of(steps) && fraction >= from && fraction < until) || last
            }
            When::PhaseEnds(phases) => {
                phases.is_compressed(progress.fraction())
                    != phases.is_compressed(progress.before().fraction())
            }
        }
    }

    /// The update before the one that is due, as a fraction of the run; the start of the window (or of the run) if
    /// there was none.
    pub fn previous(&self, progress: &Progress) -> f64 {
        let start = if let When::Every { from, .. } = *self { from } else { 0.0 };
        // Updates come at multiples, but for the window's last.
        let period = match *self {
            When::Every { steps, .. } => steps,
            When::EveryEpoch => progress.epoch.max(1),
            When::Never | When::PhaseEnds(_) => return start,
        };
        let step = (progress.step - 1) / period * period;
        Progress { step, ..*progress }.fraction().max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(when: When, total: u64, epoch: u64) -> Vec<u64> {
        (1..=total).filter(|&step| when.is_due(&Progress { step, total, epoch })).collect()
    }

    #[test]
    fn updates_fall_where_the_schedule_says() {
        assert!(due(When::Never, 10, 5).is_empty());
        assert_eq!(due(When::EveryEpoch, 15, 5), [5, 10]);
        assert_eq!(due(When::Every { steps: 4, from: 0.0, until: 0.75 }, 20, 5), [4, 8, 12, 15]);
        assert_eq!(due(When::Every { steps: 100, from: 0.25, until: 0.75 }, 20, 5), [15]);
        let phases = Phases { warm_up: 0.1, length: 0.05, last: 0.85 };
        assert_eq!(due(When::PhaseEnds(phases), 100, 5)[..3], [10, 15, 20]);
        assert_eq!(due(When::PhaseEnds(phases), 100, 5).last(), Some(&85));
        assert_eq!(due(When::PhaseEnds(phases), 2, 1), [1]);
    }

    #[test]
    fn the_previous_update_is_the_last_one_that_was_due() {
        let when = When::Every { steps: 4, from: 0.25, until: 0.75 };
        let mut previous = 0.25;
        for step in due(when, 40, 5) {
            let progress = Progress { step, total: 40, epoch: 5 };
            assert_eq!(when.previous(&progress), previous, "{step}");
            previous = progress.fraction();
        }
    }
}
