//! Sums over ranks, in the tree that tiles are added up in: each rank has the sum of a run of tiles that is a subtree.
//!
//! ```text
//! rank 0: t0 + t1 --+
//! rank 1: t2 + t3 --+--+
//! rank 2: t4 + t5 -----+      (r0 + r1) + r2: ranks without tiles are left out, for -0.0 + 0.0 is another number
//! rank 3: nothing
//! ```
//! Recursive halving: neighbours exchange halves of what they have and add them up, then ranks two apart exchange quarters, and so
//! on; on the way back they exchange the sums (Thakur et al. 2005, section 4.5). Each of `p` ranks sends `8 n (p - 1) / p` bytes of
//! `n` numbers, or half of that where they are rounded ([`Packing`]). Where `p` is no power of two, a rank takes the parts of those that are missing beside it.

use std::ops::Range;

use super::{Comm, Packing};
use crate::Result;

/// Most numbers that go along with a message.
const MOST_ALONG: usize = 16;

/// Adds up `numbers` over the ranks below `parts`, which alone have something; all ranks then hold the sums, rounded to `packing`.
/// The few numbers of `along` go with every message and are added up too. `room` is memory for messages, kept for the next time.
///
/// # Errors
/// A rank that is gone or does not answer.
///
/// # Panics
/// If there are not so many ranks, or more than 16 numbers along.
pub fn sum(
    comm: &dyn Comm,
    parts: usize,
    packing: Packing,
    numbers: &mut [f32],
    along: &mut [f64],
    room: &mut Vec<u8>,
) -> Result<()> {
    assert!((1..=comm.size()).contains(&parts), "{parts} of {} ranks", comm.size());
    assert!(along.len() <= MOST_ALONG, "{} numbers along", along.len());
    let rank = comm.rank();
    if rank < parts {
        let (numbers, along) = (&mut *numbers, &mut *along);
        let mut halving = Halving { comm, parts, packing, line: 1, numbers, along, room };
        halving.reduce_all()?;
        for distance in halving.distances().rev() {
            halving.spread(distance)?;
        }
        for idle in (rank + parts..comm.size()).step_by(parts) {
            room.clear();
            packing.write(numbers, room);
            comm.exchange(idle, room, idle, &mut [])?;
            comm.exchange(idle, bytemuck::cast_slice(along), idle, &mut [])?;
        }
    } else {
        let from = rank % parts;
        room.resize(packing.bytes() * numbers.len(), 0);
        comm.exchange(from, &[], from, room)?;
        packing.read(room, numbers, |number, sum| *number = sum);
        comm.exchange(from, &[], from, bytemuck::cast_slice_mut(along))?;
    }
    Ok(())
}

/// The first half of [`sum`], at half its bytes: each rank then holds the sums of the numbers that are returned and no others, all ranks
/// together those of all. A line of so many numbers stays with one rank; there are only whole lines.
///
/// # Errors
/// As [`sum`].
///
/// # Panics
/// As [`sum`].
pub fn sum_lines(
    comm: &dyn Comm,
    parts: usize,
    packing: Packing,
    numbers: &mut [f32],
    line: usize,
    room: &mut Vec<u8>,
) -> Result<Vec<Range<usize>>> {
    assert!((1..=comm.size()).contains(&parts), "{parts} of {} ranks", comm.size());
    assert!(numbers.len().is_multiple_of(line), "{} numbers in lines of {line}", numbers.len());
    if comm.rank() >= parts {
        return Ok(Vec::new());
    }
    let mut halving = Halving { comm, parts, packing, line, numbers, along: &mut [], room };
    halving.reduce_all()?;
    let leaves = parts.next_power_of_two();
    let mut shares: Vec<Range<usize>> = halving.leaves().map(|leaf| halving.share(leaf, leaves)).collect();
    shares.sort_unstable_by_key(|share| share.start);
    Ok(shares)
}

/// A sum under way. A leaf of the tree is a rank, or the place of one that is missing.
struct Halving<'a> {
    comm: &'a dyn Comm,
    parts: usize,
    packing: Packing,
    /// Numbers that stay together.
    line: usize,
    numbers: &'a mut [f32],
    along: &'a mut [f64],
    room: &'a mut Vec<u8>,
}

impl Halving<'_> {
    /// How far leaves are away that meet, one after the other.
    fn distances(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        (0..self.parts.next_power_of_two().trailing_zeros()).map(|digit| 1 << digit)
    }

    /// Leaves each rank with the sums of what its leaves are in charge of.
    fn reduce_all(&mut self) -> Result<()> {
        for distance in self.distances() {
            self.reduce(distance)?;
        }
        self.round(self.parts.next_power_of_two());
        Ok(())
    }

    /// Halves what each leaf is in charge of, and adds what its partner has of its half.
    fn reduce(&mut self, distance: usize) -> Result<()> {
        // A rank that is several leaves meets partners which all have the same along, and tells each the same.
        let mut partners_along = None;
        for leaf in self.leaves() {
            let Some(partner) = self.partner(leaf, distance) else { continue };
            let (mine, theirs) = (self.share(leaf, 2 * distance), self.share(leaf ^ distance, 2 * distance));
            let length = self.packing.bytes() * mine.len();
            self.room.clear();
            self.packing.write(&self.numbers[theirs], self.room);
            self.room.extend_from_slice(bytemuck::cast_slice(self.along));
            let given = self.room.len();
            self.room.resize(given + length + 8 * self.along.len(), 0);
            let (give, take) = self.room.split_at_mut(given);
            self.comm.exchange(partner, give, partner, take)?;
            let (others, other_along) = take.split_at(length);
            // Which of two is added to the other changes no bit.
            self.packing.read(others, &mut self.numbers[mine], |number, other| *number += other);
            let found = partners_along.get_or_insert([0.0; MOST_ALONG]);
            for (found, other) in found.iter_mut().zip(other_along.as_chunks().0) {
                *found = f64::from_ne_bytes(*other);
            }
        }
        for (number, other) in self.along.iter_mut().zip(partners_along.iter().flatten()) {
            *number += other;
        }
        Ok(())
    }

    /// Rounds the sums that this rank is in charge of at the end, as those will have them whom it tells.
    fn round(&mut self, leaves: usize) {
        for leaf in self.leaves() {
            let share = self.share(leaf, leaves);
            self.packing.round(&mut self.numbers[share]);
        }
    }

    /// Exchanges sums with the same partners.
    fn spread(&mut self, distance: usize) -> Result<()> {
        for leaf in self.leaves() {
            let Some(partner) = self.partner(leaf, distance) else { continue };
            let (mine, theirs) = (self.share(leaf, 2 * distance), self.share(leaf ^ distance, 2 * distance));
            self.room.clear();
            self.packing.write(&self.numbers[mine], self.room);
            if self.packing == Packing::F32 {
                // They are what is told: no copy.
                let take = bytemuck::cast_slice_mut(&mut self.numbers[theirs]);
                self.comm.exchange(partner, self.room, partner, take)?;
                continue;
            }
            let given = self.room.len();
            self.room.resize(given + self.packing.bytes() * theirs.len(), 0);
            let (give, take) = self.room.split_at_mut(given);
            self.comm.exchange(partner, give, partner, take)?;
            self.packing.read(take, &mut self.numbers[theirs], |number, sum| *number = sum);
        }
        Ok(())
    }

    /// The leaves that this rank is.
    fn leaves(&self) -> impl Iterator<Item = usize> + use<> {
        let (parts, rank) = (self.parts, self.comm.rank());
        (rank..parts.next_power_of_two()).filter(move |&leaf| owner(leaf, parts) == rank)
    }

    /// The rank that a leaf's subtree of `distance` leaves meets at that of the leaf so far away, if both have something.
    fn partner(&self, leaf: usize, distance: usize) -> Option<usize> {
        let has_something = |leaf: usize| leaf & !(distance - 1) < self.parts;
        let other = leaf ^ distance;
        (has_something(leaf) && has_something(other)).then(|| owner(other, self.parts))
    }

    /// What a leaf is in charge of once it has halved it with leaves less than `distance` away.
    fn share(&self, leaf: usize, distance: usize) -> Range<usize> {
        let mut share = 0..self.numbers.len() / self.line;
        for digit in 0..distance.trailing_zeros() {
            let middle = share.start + share.len().div_ceil(2);
            share = if leaf >> digit & 1 == 0 { share.start..middle } else { middle..share.end };
        }
        share.start * self.line..share.end * self.line
    }
}

/// The rank that is a leaf: of those from `parts` on, which are missing, the one at the same place in the subtree to the left.
fn owner(mut leaf: usize, parts: usize) -> usize {
    while leaf >= parts {
        let mut distance = 1;
        while leaf & !(2 * distance - 1) >= parts {
            distance *= 2;
        }
        leaf -= distance;
    }
    leaf
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributed::Local;

    #[test]
    fn sums_are_the_tree_on_every_rank() {
        // Large and small numbers, and zeros of both signs: another order, or a zero too many, is another sum.
        let number = |rank: usize, place: usize| match place % 5 {
            0 => -0.0,
            1 => 1e8 / (1.0 + rank as f32),
            2 => -1e8 / (1.0 + rank as f32),
            _ => (0.37 * (rank * 31 + place) as f32).sin(),
        };
        for size in 1..=9 {
            for (parts, length) in (1..=size).flat_map(|parts| [0, 1, 3, 50].map(|length| (parts, length))) {
                let found = Local::run(size, |comm| {
                    let rank = comm.rank();
                    let mut numbers: Vec<f32> = (0..length).map(|place| number(rank, place)).collect();
                    let mut along = [f64::from(number(rank, 3)), 1.0];
                    sum(&comm, parts, Packing::F32, &mut numbers, &mut along, &mut Vec::new()).unwrap();
                    (numbers, along)
                });
                for (numbers, along) in found {
                    for (place, found) in numbers.iter().enumerate() {
                        let expected = tree_sum(0..parts, &|rank| number(rank, place));
                        assert_eq!(found.to_bits(), expected.to_bits(), "{parts} of {size} ranks, {place}");
                    }
                    let expected = tree_sum(0..parts, &|rank| f64::from(number(rank, 3)));
                    assert_eq!(along, [expected, parts as f64], "{parts} of {size} ranks");
                }
            }
        }
    }

    #[test]
    fn rounded_sums_are_the_same_on_every_rank_and_nearly_right() {
        let number = |rank: usize, place: usize| 1.0 + (0.37 * (rank * 31 + place) as f32).sin();
        for size in 1..=9 {
            for parts in 1..=size {
                let found = Local::run(size, |comm| {
                    let mut numbers: Vec<f32> = (0..50).map(|place| number(comm.rank(), place)).collect();
                    sum(&comm, parts, Packing::Bf16, &mut numbers, &mut [], &mut Vec::new()).unwrap();
                    numbers
                });
                assert!(found.iter().all(|numbers| *numbers == found[0]), "{parts} of {size} ranks");
                for (place, found) in found[0].iter().enumerate() {
                    let expected = tree_sum(0..parts, &|rank| number(rank, place));
                    let rounds = parts.next_power_of_two().trailing_zeros() + 1;
                    let most = expected * rounds as f32 / 256.0;
                    assert!((found - expected).abs() <= most, "{parts} of {size}: {found} {expected}");
                    assert_eq!(found.to_bits() & 0xffff, 0);
                }
            }
        }
    }

    #[test]
    fn lines_are_summed_by_one_rank_each() {
        let number = |rank: usize, place: usize| (0.37 * (rank * 31 + place) as f32).sin();
        for size in 1..=9 {
            for (parts, lines) in (1..=size).flat_map(|parts| [0, 1, 5, 16].map(|lines| (parts, lines))) {
                let found = Local::run(size, |comm| {
                    let mut numbers: Vec<f32> =
                        (0..3 * lines).map(|place| number(comm.rank(), place)).collect();
                    let packing = Packing::F32;
                    let shares = sum_lines(&comm, parts, packing, &mut numbers, 3, &mut Vec::new()).unwrap();
                    (shares, numbers)
                });
                let mut owners = vec![0; lines];
                for (shares, numbers) in found {
                    assert!(shares.iter().all(|share| share.start % 3 == 0 && share.end % 3 == 0));
                    for place in shares.into_iter().flatten() {
                        owners[place / 3] += 1;
                        let expected = tree_sum(0..parts, &|rank| number(rank, place));
                        assert_eq!(numbers[place].to_bits(), expected.to_bits(), "{parts} of {size} ranks");
                    }
                }
                assert_eq!(owners, vec![3; lines], "{parts} of {size} ranks");
            }
        }
    }

    fn tree_sum<T: std::ops::Add<Output = T>>(ranks: Range<usize>, of: &impl Fn(usize) -> T) -> T {
        if ranks.len() == 1 {
            return of(ranks.start);
        }
        let middle = ranks.start + ranks.len().next_power_of_two() / 2;
        tree_sum(ranks.start..middle, of) + tree_sum(middle..ranks.end, of)
    }
}
