//! Who may have values now, so that no gradient comes too late (bounded staleness: Ho et al. 2013, "More effective distributed ML via a
//! stale synchronous parallel parameter server").
//!
//! ```text
//! worker 0   a-----b-----c-----d--      a gradient is as late as others have moved weights since its values were handed out:
//! worker 1   a--------------------e     e is 3 gradients late
//! ```
//! Ho et al. bound how far a worker is ahead in steps of its own, which holds fast workers to the pace of a slow one for good. Here all
//! take from one queue, and what is bounded is how late a gradient is: a worker waits only while, were it to go on, somebody's
//! gradient under way could exceed that.

/// How late gradients were, in gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::train) struct Lateness {
    /// How many have moved weights.
    pub(in crate::train) count: u64,
    /// Of all of these.
    pub(in crate::train) sum: u64,
    /// Of the latest.
    pub(in crate::train) most: u64,
    /// Times that a worker has had to wait for a slower one.
    pub(in crate::train) waits: u64,
}

impl Lateness {
    /// Adds what came later.
    pub(super) fn add(&mut self, other: Lateness) {
        let Lateness { count, sum, most, waits } = other;
        self.count += count;
        self.sum += sum;
        self.most = self.most.max(most);
        self.waits += waits;
    }
}

/// The bound on how late gradients are.
pub(super) struct Bound {
    /// Gradients that one may be late.
    most: u64,
    /// For each worker that computes how many had moved weights when it was given its values.
    under_way: Vec<Option<u64>>,
    seen: Lateness,
}

impl Bound {
    /// For so many workers, each of whose gradients may be so many late: as many as there are workers at least, or they would wait for
    /// each other from the start.
    pub(super) fn new(workers: usize, most: u64) -> Bound {
        Bound { most, under_way: vec![None; workers], seen: Lateness::default() }
    }

    /// Whether one more worker may have values: each gradient under way comes in time, even if it is the last of all.
    pub(super) fn lets_begin(&self) -> bool {
        let others = self.under_way.iter().flatten();
        // With the one that begins, and without the one itself.
        let before = others.clone().count() as u64;
        others.into_iter().all(|begun| self.seen.count - begun + before <= self.most)
    }

    /// Says that a worker was given values.
    pub(super) fn begin(&mut self, worker: usize) {
        self.under_way[worker] = Some(self.seen.count);
    }

    /// Says that a worker has ended its share, and that its gradient moves weights, if it has one.
    pub(super) fn end(&mut self, worker: usize, has_gradient: bool) {
        let begun = self.under_way[worker].take().expect("who ends has begun");
        if has_gradient {
            let late = self.seen.count - begun;
            let one = Lateness { count: 1, sum: late, most: late, waits: 0 };
            self.seen.add(one);
        }
    }

    /// Says that a worker has to wait.
    pub(super) fn wait(&mut self) {
        self.seen.waits += 1;
    }

    /// How late gradients were so far.
    pub(super) fn seen(&self) -> Lateness {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workers that take so long each for a gradient: each has its turn as soon as it has ended and may begin.
    fn run(most: u64, seconds: &[u64], until: u64) -> Lateness {
        let mut bound = Bound::new(seconds.len(), most);
        let mut ends: Vec<Option<u64>> = vec![None; seconds.len()];
        for now in 0..until {
            for worker in 0..seconds.len() {
                if ends[worker] == Some(now) {
                    ends[worker] = None;
                    bound.end(worker, true);
                }
            }
            for worker in 0..seconds.len() {
                if ends[worker].is_none() && bound.lets_begin() {
                    bound.begin(worker);
                    ends[worker] = Some(now + seconds[worker]);
                }
            }
        }
        bound.seen()
    }

    #[test]
    fn nobody_waits_for_a_worker_three_times_slower_and_no_gradient_is_later_than_the_bound() {
        // In 300 seconds: 10 gradients each of three, and 3 or 4 of one.
        let seen = run(16, &[30, 30, 30, 90], 301);
        assert_eq!((seen.count, seen.most), (33, 9));
        // One that is 30 times slower: the others make 16 gradients less those under way, then wait for it.
        let seen = run(16, &[3, 3, 3, 90], 181);
        assert!(seen.most <= 16 && seen.count >= 2 * 14, "{seen:?}");
        for (workers, most) in [(2, 2), (3, 7), (4, 4)] {
            for slow in [1, 5, 40] {
                let mut seconds = vec![3; workers];
                seconds[0] *= slow;
                let seen = run(most, &seconds, 1000);
                assert!(seen.most <= most && seen.count > 0, "{workers} workers, {most}, {slow}: {seen:?}");
            }
        }
    }
}
