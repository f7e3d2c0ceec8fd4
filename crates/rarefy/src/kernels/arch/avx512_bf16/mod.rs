//! AVX512-BF16: the three products on bf16 numbers. One instruction multiplies 16 pairs of them by 16 others and adds both products to a
//! sum each, twice the work of an FMA; numbers below 2^-126 count as 0.
//!
//! ```text
//! product      a pair is two entries of a line, or blocks: the rows that they read are interleaved, once for all outputs of a block
//! transposed   of blocks: a pair is two rows, whose gradients are interleaved once for the line's blocks
//! gradient     a pair is two samples: the loops of `f32` on half as many numbers
//! ```
//! The instruction adds the product of the upper numbers of a pair first. The earlier number stands there, and products of such numbers are
//! exact in `f32`: so sums over entries and over rows have the bits that FMA gives them.

mod matrix;

use std::arch::x86_64::*;
use std::hint::black_box;
use std::ops::Range;

pub(super) use matrix::product;

use super::arguments::{Epilogue, Lines, Samples};
use super::avx512::{self, Register};
use super::blocks::{Gradient, Inputs, Multiply, Outputs, Transposed};
use super::lanes::{Arithmetic, Lanes, NONE, WIDTH};
use crate::sparse::BlockLine;
use crate::tiles::{LANES, Row, Row16};

/// Whether the processor has it.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
}

/// Whether it is faster than FMA. On AMD's (Zen 4) it does the work of two in the time of one; on an Intel Xeon (family 6, model 207) it reached
/// 71 GFLOP/s where FMA reached 180, and products took 0.8 to 2.6 times as long as in `f32`.
pub(super) fn is_fast() -> bool {
    let vendor = __cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx] == [*b"Auth", *b"enti", *b"cAMD"].map(u32::from_le_bytes)
}

/// Blocks of a line that are gone through together: what they read stays in the cache for the other rows and the other half.
const CHUNK: usize = 128;

/// The most rows of a block that are computed together.
const MOST: usize = 8;

/// Calls a function with as many rows, and halves of 32 lanes, as registers have room for.
macro_rules! by_height {
    ($height:expr, $call:ident($($argument:expr),*)) => {
        match $height {
            8 | 16 => $call::<_, 8, 1>($($argument),*),
            4 => $call::<_, 4, 2>($($argument),*),
            _ => $call::<_, 2, 2>($($argument),*),
        }
    };
}

/// Some lines of single entries.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) fn spmm(lines: &Lines<'_, Row16>, range: Range<usize>, output: &mut [Row], is_half: bool) {
    let pairs = Pairs(Register(()));
    let halves = if is_half { 1 } else { 2 };
    for (line, output) in range.zip(output) {
        if !lines.accumulate {
            output.0 = [lines.epilogue.start(line); LANES];
        }
        let mut sums = [[pairs.load(&NONE); 2]; 2];
        for half in 0..2 {
            for part in 0..2 {
                sums[half][part] = pairs.load(part_of(output, half, part));
            }
        }
        let entries = lines.index.line(line);
        let (columns, values) = (&lines.index.indices()[entries.clone()], &lines.values[entries]);
        for at in (0..columns.len()).step_by(2) {
            let (second, value) = if at + 1 < columns.len() {
                (&lines.input[columns[at + 1] as usize], values[at + 1])
            } else {
                (&Row16::ZERO, ABSENT)
            };
            let first = &lines.input[columns[at] as usize];
            let weights = pairs.repeat(&[pair(values[at], value)]);
            for half in 0..halves {
                let inputs = pairs.interleave(first.half(half), second.half(half));
                for part in 0..2 {
                    sums[half][part] = pairs.multiply_add(weights, inputs[part], sums[half][part]);
                }
            }
        }
        for half in 0..2 {
            for part in 0..2 {
                pairs.store(sums[half][part], part_of_mut(output, half, part));
            }
        }
        avx512::end(&lines.epilogue, lines.first_row + line, &mut output.0);
    }
}

/// The gradients of some single entries; of each row only the first half, if that is all that is alive.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) fn sddmm<const N: usize>(
    samples: &Samples<'_, N, Row16>,
    positions: Range<usize>,
    out: &mut [f32],
    accumulate: bool,
    is_half: bool,
) {
    let pairs = Pairs(Register(()));
    if is_half {
        avx512::dots::<_, _, N, 1>(pairs, samples, positions, out, accumulate);
    } else {
        avx512::dots::<_, _, N, 2>(pairs, samples, positions, out, accumulate);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) fn multiply<'a>(mut product: Multiply<'a, impl Inputs<'a, Row16>>) {
    assert_eq!(product.input.columns(), product.blocks.pattern().cols(), "an input for each column");
    by_height!(product.blocks.height(), multiply_lines(Pairs(Register(())), &mut product));
}

#[inline(always)]
fn multiply_lines<'a, I: Inputs<'a, Row16>, const ROWS: usize, const HALVES: usize>(
    pairs: Pairs,
    product: &mut Multiply<'a, I>,
) {
    let (blocks, height) = (product.blocks, product.blocks.height());
    let before = height * product.lines.start;
    let mut weights = [[0.0; MOST]; CHUNK / 2];
    for line in product.lines.clone() {
        let BlockLine { rows, columns, slots } = blocks.line(line);
        let values = &blocks.values()[slots];
        assert!(values.len() == columns.len() * height && height.is_multiple_of(ROWS));
        let output = &mut product.output[rows.start - before..rows.end - before];
        if !product.accumulate {
            for row in 0..output.len() {
                output[row].0 = [product.epilogue.start(rows.start + row); LANES];
            }
        }
        for start in (0..columns.len()).step_by(CHUNK) {
            let end = columns.len().min(start + CHUNK);
            let (columns, values) = (&columns[start..end], &values[start * height..end * height]);
            for first in (0..height).step_by(ROWS) {
                for at in 0..columns.len().div_ceil(2) {
                    let values = &values[2 * at * height..];
                    let one: &[f32; ROWS] = values[first..].first_chunk().expect("a number for each row");
                    let other =
                        if values.len() > height { values[height + first..].first_chunk() } else { None };
                    let other = other.unwrap_or(&[ABSENT; ROWS]);
                    for row in 0..ROWS {
                        weights[at][row] = pair(one[row], other[row]);
                    }
                }
                for half in (0..2).step_by(HALVES) {
                    if half == 0 || !product.is_half {
                        let sums = &mut output[first..first + ROWS];
                        add_chunk::<I, ROWS, HALVES>(pairs, product.input, columns, &weights, sums, half);
                    }
                }
            }
        }
        for row in 0..output.len() {
            pairs.end(&product.epilogue, product.first_row + rows.start + row, &mut output[row].0);
        }
    }
}

/// Adds the products of some blocks to the sums of `ROWS` rows.
#[inline(always)]
fn add_chunk<'a, I: Inputs<'a, Row16>, const ROWS: usize, const HALVES: usize>(
    pairs: Pairs,
    input: I,
    columns: &[u32],
    weights: &[[f32; MOST]],
    output: &mut [Row],
    half: usize,
) {
    let mut sums = [[[pairs.load(&NONE); 2]; HALVES]; ROWS];
    for row in 0..ROWS {
        for at in 0..HALVES {
            for part in 0..2 {
                sums[row][at][part] = pairs.load(part_of(&output[row], half + at, part));
            }
        }
    }
    for pair in 0..columns.len().div_ceil(2) {
        // SAFETY: a pattern's columns are below its width, and there are as many inputs.
        let (first, second) = unsafe {
            let is_whole = 2 * pair + 1 < columns.len();
            let second = if is_whole { input.row(columns[2 * pair + 1]) } else { &Row16::ZERO };
            (input.row(columns[2 * pair]), second)
        };
        for at in 0..HALVES {
            let inputs = pairs.interleave(first.half(half + at), second.half(half + at));
            for row in 0..ROWS {
                let weights = pairs.repeat(&[weights[pair][row]]);
                for part in 0..2 {
                    sums[row][at][part] = pairs.multiply_add(weights, inputs[part], sums[row][at][part]);
                }
            }
        }
    }
    for row in 0..ROWS {
        for at in 0..HALVES {
            for part in 0..2 {
                pairs.store(sums[row][at][part], part_of_mut(&mut output[row], half + at, part));
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) fn transposed(mut product: Transposed<'_, impl Outputs, Row16>) {
    assert_eq!(product.output.columns(), product.blocks.pattern().cols(), "all columns are known");
    by_height!(product.blocks.height(), transposed_lines(Pairs(Register(())), &mut product));
}

#[inline(always)]
fn transposed_lines<O: Outputs, const ROWS: usize, const HALVES: usize>(
    pairs: Pairs,
    product: &mut Transposed<'_, O, Row16>,
) {
    let (blocks, height) = (product.blocks, product.blocks.height());
    let mut weights = [[0.0; MOST / 2]; CHUNK];
    // A half of all lines after the other: half the rows are half as much to keep in the cache.
    for half in (0..2).step_by(HALVES) {
        if half > 0 && product.is_half {
            break;
        }
        for line in product.lines.clone() {
            let BlockLine { rows, columns, slots } = blocks.line(line);
            let values = &blocks.values()[slots];
            assert!(values.len() == columns.len() * height && height.is_multiple_of(ROWS));
            let here = product.output.part(columns);
            let (columns, values) = (&columns[here.clone()], &values[here.start * height..here.end * height]);
            let gradient = &product.gradient[rows];
            for first in (0..height).step_by(ROWS) {
                let mut gradients = [[[pairs.load(&NONE); 2]; HALVES]; MOST / 2];
                for at in 0..ROWS / 2 {
                    let (one, other) = (&gradient[first + 2 * at], &gradient[first + 2 * at + 1]);
                    for side in 0..HALVES {
                        gradients[at][side] =
                            pairs.interleave(one.half(half + side), other.half(half + side));
                    }
                }
                for start in (0..columns.len()).step_by(CHUNK) {
                    let columns = &columns[start..columns.len().min(start + CHUNK)];
                    for block in 0..columns.len() {
                        let values = values[(start + block) * height + first..].first_chunk();
                        let values: &[f32; ROWS] = values.expect("a number for each row");
                        for at in 0..ROWS / 2 {
                            weights[block][at] = pair(values[2 * at], values[2 * at + 1]);
                        }
                    }
                    for block in 0..columns.len() {
                        let weights = &weights[block];
                        // SAFETY: a pattern's columns are below its width, and all of them are known.
                        let Some(output) = (unsafe { product.output.row(columns[block]) }) else { continue };
                        for side in 0..HALVES {
                            let mut sums = [pairs.load(&NONE); 2];
                            for part in 0..2 {
                                sums[part] = pairs.load(part_of(output, half + side, part));
                            }
                            for at in 0..ROWS / 2 {
                                let weights = pairs.repeat(&[weights[at]]);
                                for part in 0..2 {
                                    let gradients = gradients[at][side][part];
                                    sums[part] = pairs.multiply_add(weights, gradients, sums[part]);
                                }
                            }
                            for part in 0..2 {
                                pairs.store(sums[part], part_of_mut(output, half + side, part));
                            }
                        }
                    }
                }
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) fn gradient<'a>(product: Gradient<'a, impl Inputs<'a, Row16>, Row16>) {
    product.add::<Pairs, 4>(Pairs(Register(())));
}

/// Numbers that are pairs of bf16, but for sums. Made by nothing but these functions, which run where the processor has these
/// features.
#[derive(Clone, Copy)]
pub(super) struct Pairs(Register);

impl Arithmetic for Pairs {
    type Sums = __m512;

    #[inline(always)]
    fn load(self, from: &Lanes) -> __m512 {
        self.0.load(from)
    }

    #[inline(always)]
    fn multiply_add(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
        // SAFETY: a value of this type exists only where the processor has the features, and a register holds what it holds.
        unsafe {
            let (a, b) =
                (std::mem::transmute::<__m512, __m512bh>(a), std::mem::transmute::<__m512, __m512bh>(b));
            _mm512_dpbf16_ps(sum, a, b)
        }
    }

    #[inline(always)]
    fn store(self, sums: __m512, to: &mut Lanes) {
        self.0.store(sums, to);
    }

    #[inline(always)]
    fn end(self, epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; LANES]) {
        self.0.end(epilogue, row, sums);
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        self.0.add(a, b)
    }

    #[inline(always)]
    fn repeat<const P: usize>(self, from: &[f32; P]) -> __m512 {
        self.0.repeat(from)
    }

    #[inline(always)]
    fn add_pairs(self, a: __m512, b: __m512) -> __m512 {
        self.0.add_pairs(a, b)
    }
}

impl Pairs {
    /// The pairs that halves of two rows make: of lanes 0 to 15, then of lanes 16 to 31.
    #[inline(always)]
    fn interleave(self, first: &[u32; WIDTH], second: &[u32; WIDTH]) -> [__m512; 2] {
        // SAFETY: each is 64 bytes; the features as above.
        unsafe {
            let a = first.as_ptr().cast::<__m512i>().read_unaligned();
            let b = second.as_ptr().cast::<__m512i>().read_unaligned();
            [
                _mm512_castsi512_ps(_mm512_unpacklo_epi16(b, a)),
                _mm512_castsi512_ps(_mm512_unpackhi_epi16(b, a)),
            ]
        }
    }
}

/// As [`avx512::multiply_adds`], of pairs: how many numbers are multiplied each time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) fn multiply_adds(repeats: usize) -> usize {
    let pairs = Pairs(Register(()));
    let (factors, others) = (pairs.repeat(&[black_box(pair(1.0, 1.0))]), pairs.repeat(&[black_box(0.0)]));
    let mut sums = [pairs.load(&NONE); 12];
    for _ in 0..repeats {
        for sum in &mut sums {
            *sum = pairs.multiply_add(factors, others, *sum);
        }
    }
    2 * WIDTH * black_box(sums).len()
}

/// Two numbers of bf16 in the place of one, the first where it is added first.
#[inline(always)]
fn pair(first: f32, second: f32) -> f32 {
    f32::from_bits(first.to_bits() & 0xffff_0000 | second.to_bits() >> 16)
}

/// A weight in place of one that is not there: `-0.0 * 0.0` changes no sum, not even `-0.0`.
const ABSENT: f32 = -0.0;

/// 16 of the 32 lanes of a half.
#[inline(always)]
fn part_of(row: &Row, half: usize, part: usize) -> &Lanes {
    &row.0.as_chunks().0[2 * half + part]
}

#[inline(always)]
fn part_of_mut(row: &mut Row, half: usize, part: usize) -> &mut Lanes {
    &mut row.0.as_chunks_mut().0[2 * half + part]
}
