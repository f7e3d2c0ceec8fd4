//! What passes between this rank and the others, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Comm;
use crate::Result;

/// A way to reach other ranks that counts what it does.
#[derive(Debug)]
pub struct Meter {
    comm: Arc<dyn Comm>,
    sent: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Meter {
    /// The same way, counted from now on.
    pub fn new(comm: Arc<dyn Comm>) -> Meter {
        Meter { comm, sent: AtomicU64::new(0), nanoseconds: AtomicU64::new(0) }
    }

    /// Bytes sent since this was last called, without what the library and the network add.
    pub fn take_sent(&self) -> u64 {
        self.sent.swap(0, Ordering::Relaxed)
    }

    /// How long messages have taken, without the time in which this rank worked.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    /// Takes back so much of it: messages were under way, and the rank worked.
    pub fn hide(&self, time: Duration) {
        let less = |waited: u64| Some(waited.saturating_sub(time.as_nanos() as u64));
        let _ = self.nanoseconds.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    fn counted<T>(&self, sent: usize, call: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let answer = call();
        self.sent.fetch_add(sent as u64, Ordering::Relaxed);
        self.nanoseconds.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        answer
    }
}

impl Comm for Meter {
    fn rank(&self) -> usize {
        self.comm.rank()
    }

    fn size(&self) -> usize {
        self.comm.size()
    }

    fn exchange(&self, to: usize, give: &[u8], from: usize, take: &mut [u8]) -> Result<()> {
        self.counted(give.len(), || self.comm.exchange(to, give, from, take))
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        self.counted(bytes.len(), || self.comm.send(to, bytes))
    }

    fn receive(&self, from: Option<usize>) -> Result<(usize, Vec<u8>)> {
        self.counted(0, || self.comm.receive(from))
    }

    fn host(&self) -> String {
        self.comm.host()
    }

    fn threads(&self) -> usize {
        self.comm.threads()
    }

    fn abort(&self, code: i32) -> ! {
        self.comm.abort(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributed::{Local, Packing, sum};

    /// Of `n` numbers each of `p` ranks sends `8 n (p - 1) / p` bytes, or half of them.
    #[test]
    fn a_sum_sends_the_bytes_that_are_promised() {
        for (packing, expected) in [(Packing::F32, 6000), (Packing::Bf16, 3000)] {
            let found = Local::run(4, |rank| {
                let meter = Meter::new(Arc::new(rank));
                sum(&meter, 4, packing, &mut [1.0; 1000], &mut [], &mut Vec::new()).unwrap();
                assert!(meter.waited() > Duration::ZERO);
                [meter.take_sent(), meter.take_sent()]
            });
            assert_eq!(found, [[expected, 0]; 4]);
        }
    }
}
