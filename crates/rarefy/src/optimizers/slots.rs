//! A parameter's arrays of state as slices, cut alike.

use std::array;
use std::ops::{Deref, DerefMut, Range};

/// Arrays that are held without an allocation; a rule that keeps more has a short list made for each piece of work.
const FEW: usize = 5;

/// The arrays of state of one parameter, or the same range of each of them: what an [`UpdateRule`](super::UpdateRule) calls
/// its slots. It is a slice of slices; any number of them can be cut into pieces for threads.
pub struct Slots<'a>(Held<'a>);

enum Held<'a> {
    /// So many of the array; the others are empty.
    Few([&'a mut [f32]; FEW], usize),
    Many(Vec<&'a mut [f32]>),
}

impl<'a> Slots<'a> {
    /// Whole arrays.
    #[inline(always)]
    pub fn of(arrays: &'a mut [Vec<f32>]) -> Slots<'a> {
        let count = arrays.len();
        Slots::collect(count, arrays.iter_mut().map(Vec::as_mut_slice))
    }

    #[inline(always)]
    fn collect(count: usize, mut slices: impl Iterator<Item = &'a mut [f32]>) -> Slots<'a> {
        if count <= FEW {
            Slots(Held::Few(array::from_fn(|_| slices.next().unwrap_or_default()), count))
        } else {
            Slots(Held::Many(slices.collect()))
        }
    }

    /// What stands before `middle` in each array, and what stands after it.
    pub fn split_at(self, middle: usize) -> (Slots<'a>, Slots<'a>) {
        match self.0 {
            Held::Few(slices, count) => {
                let mut rights: [&mut [f32]; FEW] = Default::default();
                let mut at = 0;
                let lefts = slices.map(|slice| {
                    let (left, right) = slice.split_at_mut(middle.min(slice.len()));
                    rights[at] = right;
                    at += 1;
                    left
                });
                (Slots(Held::Few(lefts, count)), Slots(Held::Few(rights, count)))
            }
            Held::Many(slices) => {
                let (left, right) = slices.into_iter().map(|slice| slice.split_at_mut(middle)).unzip();
                (Slots(Held::Many(left)), Slots(Held::Many(right)))
            }
        }
    }

    /// A range of each array.
    #[inline(always)]
    pub fn range(&mut self, range: Range<usize>) -> Slots<'_> {
        let count = self.len();
        Slots::collect(count, self.iter_mut().map(|slice| &mut slice[range.clone()]))
    }
}

impl<'a> Deref for Slots<'a> {
    type Target = [&'a mut [f32]];

    #[inline(always)]
    fn deref(&self) -> &[&'a mut [f32]] {
        match &self.0 {
            Held::Few(slices, count) => &slices[..*count],
            Held::Many(slices) => slices,
        }
    }
}

impl<'a> DerefMut for Slots<'a> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [&'a mut [f32]] {
        match &mut self.0 {
            Held::Few(slices, count) => &mut slices[..*count],
            Held::Many(slices) => slices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_arrays_is_cut_alike() {
        for count in [0, 1, FEW, FEW + 1, 9] {
            let mut arrays: Vec<Vec<f32>> =
                (0..count).map(|slot| (0..7).map(|at| (10 * slot + at) as f32).collect()).collect();
            let mut whole = Slots::of(&mut arrays);
            assert_eq!(whole.len(), count);
            let middle: Vec<Vec<f32>> = whole.range(2..4).iter().map(|slice| slice.to_vec()).collect();
            let (left, right) = whole.split_at(3);
            assert_eq!((left.len(), right.len()), (count, count));
            for slot in 0..count {
                let number = |at: usize| (10 * slot + at) as f32;
                assert_eq!(middle[slot], [number(2), number(3)]);
                assert_eq!((left[slot].len(), right[slot].len()), (3, 4));
                assert_eq!((left[slot][0], right[slot][0]), (number(0), number(3)));
            }
        }
    }
}
