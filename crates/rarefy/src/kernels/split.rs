//! Splitting flat arrays into chunks between threads. The chunks do not depend on the number of threads.

/// Runs `work(start, chunk)` on chunks of `size` numbers (the last may be shorter), in parallel.
///
/// # Panics
/// If `size` is 0.
pub fn par_chunks<T: Send>(data: &mut [T], size: usize, work: &(impl Fn(usize, &mut [T]) + Sync)) {
    assert!(size > 0, "chunks must hold something");
    split(data, size, 0, work);
}

fn split<T: Send>(data: &mut [T], size: usize, start: usize, work: &(impl Fn(usize, &mut [T]) + Sync)) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
