//! Splitting flat arrays into chunks between threads. The chunks do not depend on the number of threads.
//!
//! Work is a `dyn Fn`: a call for each chunk is nothing beside it, and cutting and joining would be compiled anew for each kind of work.

use std::ops::Range;

use crate::tiles::Row;

/// Work on chunks of two arrays, and the number of the chunk.
type OnPairs<'a, A, B> = dyn Fn(usize, &mut [A], &mut [B]) + Sync + 'a;

/// Arrays that are cut at the same parts.
pub(crate) trait Alike: Sized + Send {
    /// Cuts what has so many parts at one of them. Empty arrays have none to give.
    fn cut(self, parts: usize, at: usize) -> (Self, Self);
}

impl<T: Send> Alike for &mut [T] {
    fn cut(self, parts: usize, at: usize) -> (Self, Self) {
        let size = self.len() / parts;
        self.split_at_mut(size * at)
    }
}

impl<A: Alike + Default, const N: usize> Alike for [A; N] {
    fn cut(self, parts: usize, at: usize) -> (Self, Self) {
        let mut right = std::array::from_fn(|_| A::default());
        let mut rights = right.iter_mut();
        let left = self.map(|array| {
            let (left, right) = array.cut(parts, at);
            *rights.next().expect("as many") = right;
            left
        });
        (left, right)
    }
}

impl<A: Alike, B: Alike> Alike for (A, B) {
    fn cut(self, parts: usize, at: usize) -> (Self, Self) {
        let (first, second) = (self.0.cut(parts, at), self.1.cut(parts, at));
        ((first.0, second.0), (first.1, second.1))
    }
}

/// Runs `work(start, chunk)` on chunks of `size` numbers (the last may be shorter), in parallel.
///
/// # Panics
/// If `size` is 0.
pub fn par_chunks<T: Send>(data: &mut [T], size: usize, work: &(dyn Fn(usize, &mut [T]) + Sync)) {
    assert!(size > 0, "chunks must hold something");
    split(data, size, 0, work);
}

fn split<T: Send>(data: &mut [T], size: usize, start: usize, work: &(dyn Fn(usize, &mut [T]) + Sync)) {
    if data.len() <= size {
        if !data.is_empty() {
            work(start, data);
        }
        return;
    }
    let middle = data.len().div_ceil(size).div_ceil(2) * size;
    let (left, right) = data.split_at_mut(middle);
    rayon::join(|| split(left, size, start, work), || split(right, size, start + middle, work));
}

/// Runs `work(chunk's number, chunk, chunk)` on chunks of two arrays in step, of `sizes` numbers each, in parallel. The
/// first array may be empty: its chunks then are.
///
/// # Panics
/// If a size is 0, or the arrays have different numbers of chunks.
pub fn par_chunk_pairs<A: Send, B: Send>(
    first: &mut [A],
    second: &mut [B],
    sizes: (usize, usize),
    work: &OnPairs<'_, A, B>,
) {
    let chunks = second.len().div_ceil(sizes.1);
    assert!(first.is_empty() || first.len().div_ceil(sizes.0) == chunks, "as many chunks of both");
    split_pairs(first, second, sizes, 0..chunks, work);
}

fn split_pairs<A: Send, B: Send>(
    first: &mut [A],
    second: &mut [B],
    sizes: (usize, usize),
    chunks: Range<usize>,
    work: &OnPairs<'_, A, B>,
) {
    match chunks.len() {
        0 => {}
        1 => work(chunks.start, first, second),
        count => {
            let left = count.div_ceil(2);
            let middle = chunks.start + left;
            let (first, first_right) = first.split_at_mut((left * sizes.0).min(first.len()));
            let (second, second_right) = second.split_at_mut(left * sizes.1);
            rayon::join(
                || split_pairs(first, second, sizes, chunks.start..middle, work),
                || split_pairs(first_right, second_right, sizes, middle..chunks.end, work),
            );
        }
    }
}

/// Cuts arrays alike into as many parts as `parts` has, and runs `work(parts, pieces)` on runs of `size` parts (the last may
/// be shorter), in parallel. Arrays may be empty.
///
/// # Panics
/// If `size` is 0.
pub(crate) fn par_alike<A: Alike>(
    arrays: A,
    parts: Range<usize>,
    size: usize,
    work: &(dyn Fn(Range<usize>, A) + Sync),
) {
    assert!(size > 0, "pieces must hold something");
    if parts.len() <= size {
        if !parts.is_empty() {
            work(parts, arrays);
        }
        return;
    }
    let half = parts.len().div_ceil(size).div_ceil(2) * size;
    let (left, right) = arrays.cut(parts.len(), half);
    let middle = parts.start + half;
    rayon::join(
        || par_alike(left, parts.start..middle, size, work),
        || par_alike(right, middle..parts.end, size, work),
    );
}

/// Runs `work(tile, rows of that tile)` for each tile, halving the range between threads.
pub(super) fn split_tiles(
    tiles: Range<usize>,
    output: &mut [Row],
    lines: usize,
    work: &(dyn Fn(usize, &mut [Row]) + Sync),
) {
    if tiles.len() <= 1 {
        for tile in tiles {
            work(tile, output);
        }
        return;
    }
    let middle = tiles.start + tiles.len() / 2;
    let (left, right) = output.split_at_mut((middle - tiles.start) * lines);
    rayon::join(
        || split_tiles(tiles.start..middle, left, lines, work),
        || split_tiles(middle..tiles.end, right, lines, work),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_cut_at_the_same_parts() {
        for parts in [0, 1, 5, 16, 17] {
            let (mut ones, mut threes, mut none) = (vec![0_u8; parts], vec![0; 3 * parts], vec![0; 0]);
            let arrays = (&mut ones[..], [&mut threes[..], &mut none]);
            par_alike(arrays, 0..parts, 4, &|range, (ones, [threes, none])| {
                assert!(range.start % 4 == 0 && range.len() <= 4 && none.is_empty());
                for (part, one) in range.clone().zip(ones) {
                    *one += part as u8;
                }
                for (part, three) in range.zip(threes.chunks_mut(3)) {
                    three.iter_mut().for_each(|number| *number += part);
                }
            });
            assert!(ones.iter().enumerate().all(|(part, &number)| usize::from(number) == part));
            assert!(threes.iter().enumerate().all(|(at, &number)| number == at / 3));
        }
    }

    #[test]
    fn every_number_is_in_one_chunk() {
        for length in [0, 1, 7, 8, 9, 100] {
            let mut data = vec![0.0; length];
            par_chunks(&mut data, 8, &|start, chunk| {
                assert!(start % 8 == 0 && chunk.len() <= 8);
                for (offset, number) in chunk.iter_mut().enumerate() {
                    *number += (start + offset) as f32;
                }
            });
            assert!(data.iter().enumerate().all(|(i, &number)| number == i as f32));
        }
    }

    #[test]
    fn two_arrays_are_cut_in_step() {
        for (length, is_wanted) in [(0, true), (1, true), (8, true), (29, true), (29, false)] {
            let (mut first, mut second) = (vec![0; if is_wanted { 3 * length } else { 0 }], vec![0; length]);
            par_chunk_pairs(&mut first, &mut second, (12, 4), &|index, first, second| {
                assert_eq!(first.len(), if is_wanted { 3 * second.len() } else { 0 });
                first.fill(index);
                second.fill(index);
            });
            assert!(first.iter().enumerate().all(|(at, &index)| index == at / 12));
            assert!(second.iter().enumerate().all(|(at, &index)| index == at / 4));
        }
    }
}
