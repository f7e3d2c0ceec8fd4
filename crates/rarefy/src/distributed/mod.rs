//! Ranks: workers that train one network together, each on its share of every batch.
//!
//! A rank is a process that a launcher has started (MPI, or what a Python program brings), or a thread of a test ([`Local`]). What they say to each other is
//! bytes ([`Comm`]); sums are ours ([`sum`]), because a library's own would add up in an order that depends on the number of
//! ranks.

mod local;
mod meter;
mod packing;
mod peers;
mod place;
mod settings;
mod solo;
mod sum;

use std::fmt::Debug;

use crate::Result;

pub use local::Local;
pub use meter::Meter;
pub use packing::Packing;
pub use peers::Peers;
pub use place::Place;
pub use settings::{DistributedSettings, ExchangeMethod};
pub use solo::Solo;
pub use sum::{sum, sum_lines};

/// How ranks reach each other. Every call but [`send`](Comm::send) and [`receive`](Comm::receive) is made by all ranks, in the same
/// order. Every wait has an end: a rank that does not answer in time is an [`Error::Rank`](crate::Error::Rank), one that is gone
/// an [`Error::Lost`](crate::Error::Lost).
pub trait Comm: Send + Sync + Debug {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Sends `give` to rank `to` and receives from rank `from` what fills `take`, at the same time. Either may be empty: then
    /// nothing goes that way.
    ///
    /// # Errors
    /// A rank that is gone, does not answer in time, or sends another number of bytes.
    fn exchange(&self, to: usize, give: &[u8], from: usize, take: &mut [u8]) -> Result<()>;

    /// Sends bytes of any number to one rank, which [`receive`](Comm::receive)s them.
    ///
    /// # Errors
    /// A rank that is gone or does not answer in time.
    fn send(&self, to: usize, bytes: &[u8]) -> Result<()>;

    /// What rank `from`, or for `None` any rank, has [sent](Comm::send) first, and who it was.
    ///
    /// # Errors
    /// A rank that is gone or does not answer in time.
    fn receive(&self, from: Option<usize>) -> Result<(usize, Vec<u8>)>;

    /// The name of this rank's machine.
    fn host(&self) -> String;

    /// The threads that this rank should work with, so that the ranks of a machine do not take each other's cores; 0 for one per core.
    fn threads(&self) -> usize {
        0
    }

    /// Ends the whole job: what a rank does that cannot go on.
    fn abort(&self, code: i32) -> !;

    /// What all ranks have, `mine` being as long for each, in the order of ranks: `all` is `size` times as long. After `log2(size)`
    /// exchanges everyone has everything (Bruck et al. 1997).
    ///
    /// # Errors
    /// As [`exchange`](Comm::exchange).
    ///
    /// # Panics
    /// If `all` is not `size` times as long as `mine`.
    fn all_gather(&self, mine: &[u8], all: &mut [u8]) -> Result<()> {
        let (rank, size, length) = (self.rank(), self.size(), mine.len());
        assert_eq!(all.len(), size * length, "room for what each rank has");
        // Counted from this rank on, and turned into place at the end.
        all[..length].copy_from_slice(mine);
        let mut have = 1;
        while have < size {
            let more = have.min(size - have);
            let (had, room) = all.split_at_mut(have * length);
            let (to, from) = ((rank + size - have) % size, (rank + have) % size);
            self.exchange(to, &had[..more * length], from, &mut room[..more * length])?;
            have += more;
        }
        all.rotate_right(rank * length);
        Ok(())
    }

    /// Makes `bytes` what rank `from` has, on every rank.
    ///
    /// # Errors
    /// As [`send`](Comm::send).
    fn broadcast(&self, bytes: &mut Vec<u8>, from: usize) -> Result<()> {
        let (size, place) = (self.size(), (self.rank() + self.size() - from) % self.size());
        let rank = |place: usize| (place + from) % size;
        // The lowest digit of a place that is set says who tells it, and below that whom it tells.
        let mut digit = if place == 0 { size.next_power_of_two() } else { 1 << place.trailing_zeros() };
        if place > 0 {
            *bytes = self.receive(Some(rank(place - digit)))?.1;
        }
        while digit > 1 {
            digit /= 2;
            if place + digit < size {
                self.send(rank(place + digit), bytes)?;
            }
        }
        Ok(())
    }

    /// Returns when all ranks have called it.
    ///
    /// # Errors
    /// As [`exchange`](Comm::exchange).
    fn barrier(&self) -> Result<()> {
        self.all_gather(&[0], &mut vec![0; self.size()])
    }
}
