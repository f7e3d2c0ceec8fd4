//! At which steps connections change.

use super::Progress;

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
                let last = fraction >= until && (progress.step - 1) as f64 / (progress.total as f64) < until;
                (progress.step.is_multiple_of(steps) && fraction >= from && fraction < until) || last
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_fall_where_the_schedule_says() {
        let due = |when: When, total, epoch| -> Vec<u64> {
            (1..=total).filter(|&step| when.is_due(&Progress { step, total, epoch })).collect()
        };
        assert!(due(When::Never, 10, 5).is_empty());
        assert_eq!(due(When::EveryEpoch, 15, 5), [5, 10]);
        assert_eq!(due(When::Every { steps: 4, from: 0.0, until: 0.75 }, 20, 5), [4, 8, 12, 15]);
        assert_eq!(due(When::Every { steps: 100, from: 0.25, until: 0.75 }, 20, 5), [15]);
    }
}
