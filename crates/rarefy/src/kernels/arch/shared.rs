//! Numbers that several threads read and write at the same time, without locks (Hogwild!: Niu et al. 2011).
//!
//! A plain `f32` may not be written while another thread reads it: that is undefined. Here each number is an atomic, which is read and
//! written whole. Nothing more is promised: numbers are in no order with each other (`Relaxed`), and where two threads read, move and
//! write the same one at once, one move is lost. On processors such an access is a plain one.
//!
//! Why this is sound: the array is borrowed exclusively for as long as its atomics are there, so nobody has it as `f32` meanwhile, and an
//! `AtomicU32` has the size and the alignment of an `f32`, each of which has any 32 bits.

use std::ops::Range;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::fetch_place;

const _: () =
    assert!(size_of::<AtomicU32>() == size_of::<f32>() && align_of::<AtomicU32>() == align_of::<f32>());

/// An array that threads share.
#[derive(Clone, Copy)]
pub struct Shared<'a>(&'a [AtomicU32]);

impl<'a> Shared<'a> {
    /// Shares an array until the last copy of what this returns is gone.
    pub fn new(numbers: &'a mut [f32]) -> Shared<'a> {
        let (start, length) = (numbers.as_mut_ptr().cast::<AtomicU32>(), numbers.len());
        // SAFETY: the memory is that of `length` numbers, which are valid atomics (above), and `numbers`, the only way to it, is borrowed
        // for as long as the atomics are there. It came as `&mut`, so it may be written.
        Shared(unsafe { std::slice::from_raw_parts(start, length) })
    }

    /// The numbers from `first` on as they are now, into `out`.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    pub fn read(self, first: usize, out: &mut [f32]) {
        let numbers = &self.0[first..first + out.len()];
        out.iter_mut().zip(numbers).for_each(|(out, number)| *out = f32::from_bits(number.load(Relaxed)));
    }

    /// The numbers of some ranges as they are now, each in its place in `out`.
    ///
    /// # Panics
    /// If a range ends beyond.
    pub fn read_ranges(self, ranges: &[Range<usize>], out: &mut [f32]) {
        for (at, range) in ranges.iter().enumerate() {
            if let Some(next) = ranges.get(at + 8) {
                self.fetch(next.start);
                fetch_place(out, next.start);
            }
            self.read(range.start, &mut out[range.clone()]);
        }
    }

    /// Writes numbers in place of those from `first` on.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    pub fn write(self, first: usize, numbers: &[f32]) {
        let places = &self.0[first..first + numbers.len()];
        places.iter().zip(numbers).for_each(|(place, number)| place.store(number.to_bits(), Relaxed));
    }

    /// Asks for the cache line of a number, if there is one at `index`.
    #[inline(always)]
    pub fn fetch(self, index: usize) {
        fetch_place(self.0, index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_find_what_others_have_written() {
        let mut numbers = vec![0.5f32, -0.0, f32::NAN, f32::MIN_POSITIVE / 2.0];
        let bits: Vec<u32> = numbers.iter().map(|number| number.to_bits()).collect();
        let mut found = vec![0.0; 4];
        let shared = Shared::new(&mut numbers);
        shared.read(0, &mut found);
        assert!(found.iter().map(|number| number.to_bits()).eq(bits));
        // Each number is one of those that were written, never a mixture.
        std::thread::scope(|scope| {
            for thread in 1..4 {
                scope.spawn(move || {
                    for _ in 0..1000 {
                        let mut seen = [0.0; 2];
                        shared.write(1, &[thread as f32; 2]);
                        shared.read(1, &mut seen);
                        assert!(seen.iter().all(|seen| [1.0, 2.0, 3.0].contains(seen)), "{seen:?}");
                    }
                });
            }
        });
        assert_eq!(numbers[0], 0.5);
    }
}
