//! The three products of row blocks of 16 on bf16 numbers, by tiles (Intel AMX), one panel at a time.
//!
//! ```text
//! product      32 blocks of a line meet 64 samples     A: their weights, outputs x blocks    B: the rows that they read, pairs of blocks x samples
//! transposed   16 blocks, 64 samples                   A: their weights, blocks x outputs    B: gradients of the outputs, pairs of outputs x samples
//! gradient     16 blocks, 64 samples                   A: the rows that they read            B: gradients of the outputs, pairs of samples x outputs
//! ```
//! Rows are narrowed to bf16 once for all lines. Each chunk of blocks is put where tiles are loaded from while the tiles of the one before
//! are multiplied: a load waits for stores to leave. Sums are f32; numbers below 2^-126 count as 0, as the instruction has it.

mod matrix;
mod permission;
mod unit;

use std::arch::x86_64::*;
use std::ops::Range;

pub(super) use self::matrix::product;
pub(super) use permission::tile_support;
use unit::{Sizes, Tiles, Unit};

use super::TILE_HEIGHT;
use super::avx512;
use super::blocks::{Gradient, Inputs, Multiply, Outputs, Transposed};
use super::transpose::transpose;
use crate::sparse::Blocks;
use crate::tiles::{HALF, LANES, Row, Row16};

/// The rows of a block.
const HEIGHT: usize = TILE_HEIGHT;
/// Numbers of a row of a tile: of f32, and of bf16.
const WIDTH: usize = 16;
const PAIRS: usize = 2 * WIDTH;
/// Tiles of samples.
const PARTS: usize = LANES / WIDTH;

/// A tile of pairs, as the processor has it in memory.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Tile([[u32; WIDTH]; 16]);

impl Tile {
    const ZERO: Tile = Tile([[0; WIDTH]; 16]);

    fn start(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    fn start_mut(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }
}

/// Bytes of a tile's row, and of a row of samples.
const STRIDE: usize = 64;
const ROW: usize = size_of::<Row>();

/// Blocks of a line that are computed together.
struct Chunk {
    line: usize,
    blocks: Range<usize>,
    begins_line: bool,
    ends_line: bool,
}

/// The chunks of lines, of up to `size` blocks. A line of none has one without blocks.
fn chunks(lines: impl Iterator<Item = (usize, Range<usize>)>, size: usize) -> impl Iterator<Item = Chunk> {
    lines.flat_map(move |(line, blocks)| {
        let count = blocks.len().div_ceil(size).max(1);
        (0..count).map(move |number| {
            let start = blocks.start + number * size;
            let end = blocks.end.min(start + size);
            Chunk { line, blocks: start..end, begins_line: number == 0, ends_line: number + 1 == count }
        })
    })
}

/// Some lines of blocks times a panel.
///
/// # Safety
/// The processor has these features and tiles, which this process may use; so below.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
pub(super) unsafe fn multiply<'a>(product: Multiply<'a, impl Inputs<'a, Row16>>) {
    // SAFETY: as the caller promises.
    unsafe { forward(Unit::new(), product) };
}

/// Adds the transposed product of some lines for one panel.
///
/// # Safety
/// As for [`multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
pub(super) unsafe fn transposed(product: Transposed<'_, impl Outputs, Row16>) {
    // SAFETY: as the caller promises.
    unsafe { backward(Unit::new(), product) };
}

/// The gradients of some blocks by one panel.
///
/// # Safety
/// As for [`multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
pub(super) unsafe fn gradient<'a>(product: Gradient<'a, impl Inputs<'a, Row16>, Row16>) {
    // SAFETY: as the caller promises.
    unsafe { of_weights(Unit::new(), product) };
}

/// All tiles are whole.
const WHOLE: Sizes = [(16, 64); 8];

#[inline(always)]
unsafe fn forward<'a, I: Inputs<'a, Row16>>(mut tiles: impl Tiles, product: Multiply<'a, I>) {
    let Multiply { blocks, lines, input, output, epilogue, first_row, accumulate, is_half: _ } = product;
    check(blocks, Some(input.columns()), Some(output.len()).map(|rows| rows / HEIGHT), lines.len());
    let index = blocks.pattern().index();
    let first = lines.start;
    let mut chunks = chunks(lines.map(|line| (line, index.line(line))), PAIRS);
    let mut staged = [(Tile::ZERO, [Tile::ZERO; PARTS]); 2];
    let mut at = 0;
    tiles.configure(&WHOLE);
    let mut next = chunks.next();
    if let Some(chunk) = &next {
        // SAFETY: this is inlined where the features are.
        unsafe { stage_product(blocks, chunk, input, &mut staged[at]) };
    }
    while let Some(chunk) = next {
        next = chunks.next();
        if let Some(ahead) = &next {
            // SAFETY: as above.
            unsafe { stage_product(blocks, ahead, input, &mut staged[1 - at]) };
        }
        let (weights, rows) = &staged[at];
        let to: *mut u8 = output[(chunk.line - first) * HEIGHT..][..HEIGHT].as_mut_ptr().cast();
        // SAFETY: these are whole tiles, and a line's rows of the output are 16 of 256 bytes (checked above).
        unsafe {
            if chunk.begins_line && accumulate {
                tiles.load::<0>(to, ROW);
                tiles.load::<1>(to.add(STRIDE), ROW);
                tiles.load::<2>(to.add(2 * STRIDE), ROW);
                tiles.load::<3>(to.add(3 * STRIDE), ROW);
            } else if chunk.begins_line {
                tiles.zero::<0>();
                tiles.zero::<1>();
                tiles.zero::<2>();
                tiles.zero::<3>();
            }
            tiles.load::<4>(weights.start(), STRIDE);
            tiles.load::<5>(rows[0].start(), STRIDE);
            tiles.dot::<0, 4, 5>();
            tiles.load::<6>(rows[1].start(), STRIDE);
            tiles.dot::<1, 4, 6>();
            tiles.load::<7>(rows[2].start(), STRIDE);
            tiles.dot::<2, 4, 7>();
            tiles.load::<5>(rows[3].start(), STRIDE);
            tiles.dot::<3, 4, 5>();
            if chunk.ends_line {
                tiles.store::<0>(to, ROW);
                tiles.store::<1>(to.add(STRIDE), ROW);
                tiles.store::<2>(to.add(2 * STRIDE), ROW);
                tiles.store::<3>(to.add(3 * STRIDE), ROW);
            }
        }
        at = 1 - at;
    }
    for place in 0..output.len() {
        let (row, sums) = (first * HEIGHT + place, &mut output[place].0);
        if !accumulate {
            let start = epilogue.start(row);
            for sum in &mut *sums {
                *sum += start;
            }
        }
        // SAFETY: this is inlined where the features are.
        unsafe { avx512::end(&epilogue, first_row + row, sums) };
    }
}

/// That shapes fit: columns and lines of rows that are there.
#[inline(always)]
fn check(blocks: &Blocks, columns: Option<usize>, rows: Option<usize>, lines: usize) {
    assert_eq!(blocks.height(), HEIGHT, "blocks of 16 rows");
    assert_eq!(columns, Some(blocks.pattern().cols()), "a row for each column");
    assert_eq!(rows, Some(lines), "rows for each line");
}

/// The weights of up to 32 blocks as a tile, and the pairs of the rows that they read as four.
///
/// # Safety
/// The processor has the features, and `input` a row for each column.
#[inline(always)]
unsafe fn stage_product<'a>(
    blocks: &Blocks,
    chunk: &Chunk,
    input: impl Inputs<'a, Row16>,
    (weights, rows): &mut (Tile, [Tile; PARTS]),
) {
    let columns = &blocks.pattern().index().indices()[chunk.blocks.clone()];
    // SAFETY: as the caller promises; rows and tiles are as long as what is read and written.
    unsafe {
        let row = |at: usize| columns.get(at).map_or(&Row16::ZERO, |&column| input.row(column)).words();
        for pair in 0..WIDTH {
            put_pairs(row(2 * pair), row(2 * pair + 1), pair, rows);
        }
        let values = &blocks.values()[chunk.blocks.start * HEIGHT..chunk.blocks.end * HEIGHT];
        let (values, _) = values.as_chunks::<HEIGHT>();
        let mut pairs = [_mm512_setzero_si512(); WIDTH];
        let upper = _mm512_set1_epi32(!0xffff);
        for (pair, values) in pairs.iter_mut().zip(values.chunks(2)) {
            let low = _mm512_srli_epi32::<16>(_mm512_loadu_si512(values[0].as_ptr().cast()));
            *pair = match values.get(1) {
                Some(value) => {
                    let high = _mm512_loadu_si512(value.as_ptr().cast());
                    _mm512_or_si512(low, _mm512_and_si512(high, upper))
                }
                None => low,
            };
        }
        turn(pairs, weights);
    }
}

/// Pairs of two rows as row `at` of four tiles, 16 samples each.
///
/// # Safety
/// The processor has the features, and the rows are there.
#[inline(always)]
unsafe fn put_pairs(first: *const u16, second: *const u16, at: usize, tiles: &mut [Tile; PARTS]) {
    // SAFETY: as the caller promises.
    unsafe {
        for half in 0..2 {
            let a = _mm512_loadu_si512(first.add(HALF * half).cast());
            let b = _mm512_loadu_si512(second.add(HALF * half).cast());
            let [low, high] = [2 * half, 2 * half + 1];
            _mm512_store_si512(tiles[low].0[at].as_mut_ptr().cast(), _mm512_unpacklo_epi16(a, b));
            _mm512_store_si512(tiles[high].0[at].as_mut_ptr().cast(), _mm512_unpackhi_epi16(a, b));
        }
    }
}

/// Writes 16 rows of 16 double words as columns.
///
/// # Safety
/// The processor has the features.
#[inline(always)]
unsafe fn turn(rows: [__m512i; 16], out: &mut Tile) {
    // SAFETY: as the caller promises; a tile's row is as long as a register.
    unsafe {
        for (to, column) in out.0.iter_mut().zip(transpose(rows)) {
            _mm512_store_si512(to.as_mut_ptr().cast(), column);
        }
    }
}

/// Weights of 16 blocks: 16 rows of 16 bf16. Gradients of a block's outputs: 8 pairs of rows.
const OUTPUTS: Sizes = [(16, 32), (16, 64), (16, 64), (16, 64), (8, 64), (8, 64), (8, 64), (8, 64)];

/// Weights of up to 16 blocks, `[block][output]`.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Weights16([[u16; HEIGHT]; 16]);

#[inline(always)]
unsafe fn backward<O: Outputs>(mut tiles: impl Tiles, product: Transposed<'_, O, Row16>) {
    let Transposed { blocks, lines, gradient, mut output, is_half: _ } = product;
    let index = blocks.pattern().index();
    check(blocks, Some(output.columns()), Some(gradient.len() / HEIGHT), index.lines());
    let mut sums = [[Tile::ZERO; PARTS]; 2];
    let mut outputs = [Tile::ZERO; PARTS];
    let mut weights = Weights16([[0; HEIGHT]; 16]);
    let mut at = 0;
    let mut last: Option<Range<usize>> = None;
    tiles.configure(&OUTPUTS);
    for line in lines {
        // The blocks of these columns alone.
        let of_line = index.line(line);
        let part = output.part(&index.indices()[of_line.clone()]);
        let of_line = of_line.start + part.start..of_line.start + part.end;
        for chunk in chunks(std::iter::once((line, of_line)), 16) {
            if chunk.blocks.is_empty() {
                continue;
            }
            // SAFETY: this is inlined where the features are; a line has 16 rows of gradients, each a row of pairs (checked above).
            unsafe {
                if chunk.begins_line {
                    for pair in 0..HEIGHT / 2 {
                        let rows = &gradient[chunk.line * HEIGHT + 2 * pair..][..2];
                        put_pairs(rows[0].words(), rows[1].words(), pair, &mut outputs);
                    }
                    tiles.load::<4>(outputs[0].start(), STRIDE);
                    tiles.load::<5>(outputs[1].start(), STRIDE);
                    tiles.load::<6>(outputs[2].start(), STRIDE);
                    tiles.load::<7>(outputs[3].start(), STRIDE);
                }
                // What stands behind the last block is not added.
                let values = &blocks.values()[chunk.blocks.start * HEIGHT..chunk.blocks.end * HEIGHT];
                for (weights, values) in weights.0.iter_mut().zip(values.as_chunks::<HEIGHT>().0) {
                    let upper = _mm512_srli_epi32::<16>(_mm512_loadu_si512(values.as_ptr().cast()));
                    _mm256_storeu_si256(weights.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(upper));
                }
                let to = &mut sums[at];
                tiles.load::<0>(weights.0.as_ptr().cast(), 2 * HEIGHT);
                tiles.zero::<1>();
                tiles.dot::<1, 0, 4>();
                tiles.zero::<2>();
                tiles.dot::<2, 0, 5>();
                tiles.store::<1>(to[0].start_mut(), STRIDE);
                tiles.zero::<3>();
                tiles.dot::<3, 0, 6>();
                tiles.store::<2>(to[1].start_mut(), STRIDE);
                tiles.zero::<1>();
                tiles.dot::<1, 0, 7>();
                tiles.store::<3>(to[2].start_mut(), STRIDE);
                tiles.store::<1>(to[3].start_mut(), STRIDE);
                if let Some(blocks) = last.replace(chunk.blocks) {
                    add_rows(&sums[1 - at], &index.indices()[blocks], &mut output);
                }
            }
            at = 1 - at;
        }
    }
    if let Some(blocks) = last {
        // SAFETY: as above.
        unsafe { add_rows(&sums[1 - at], &index.indices()[blocks], &mut output) };
    }
}

/// Adds the sums of some blocks to the rows of their columns.
///
/// # Safety
/// The processor has the features.
#[inline(always)]
unsafe fn add_rows(sums: &[Tile; PARTS], columns: &[u32], output: &mut impl Outputs) {
    for (place, &column) in columns.iter().enumerate() {
        // SAFETY: a pattern's columns are below its width, and these are of a part.
        let Some(Row(row)) = (unsafe { output.row(column) }) else { continue };
        for (part, sums) in sums.iter().enumerate() {
            // SAFETY: a row is 64 numbers, and a tile's 16.
            unsafe {
                let (row, sums) = (row.as_mut_ptr().add(WIDTH * part), sums.0[place].as_ptr().cast());
                _mm512_storeu_ps(row, _mm512_add_ps(_mm512_loadu_ps(row), _mm512_loadu_ps(sums)));
            }
        }
    }
}

#[inline(always)]
unsafe fn of_weights<'a, I: Inputs<'a, Row16>>(mut tiles: impl Tiles, product: Gradient<'a, I, Row16>) {
    let Gradient { blocks, range, gradient, input, out, accumulate, is_half } = product;
    let index = blocks.pattern().index();
    check(blocks, Some(input.columns()), Some(gradient.len() / HEIGHT), index.lines());
    assert_eq!(out.len(), range.len() * HEIGHT, "a number for each slot");
    let base = range.start;
    let first = index.offsets().partition_point(|&offset| offset as usize <= base).saturating_sub(1);
    let of_line = |line: usize| {
        let blocks = index.line(line);
        (line, blocks.start.max(range.start)..blocks.end.min(range.end))
    };
    let lines = (first..index.lines()).map(of_line).take_while(|(_, blocks)| blocks.start < range.end);
    let mut chunks = chunks(lines.filter(|(_, blocks)| !blocks.is_empty()), 16);
    let mut staged = [[Tile::ZERO; 2]; 2];
    let mut outputs = [Tile::ZERO; 2];
    let mut rest = Tile::ZERO;
    let mut at = 0;
    tiles.configure(&WHOLE);
    let mut next = chunks.next();
    if let Some(chunk) = &next {
        // SAFETY: this is inlined where the features are.
        unsafe { stage_rows(&index.indices()[chunk.blocks.clone()], input, &mut staged[at]) };
    }
    while let Some(chunk) = next {
        next = chunks.next();
        if let Some(ahead) = &next {
            // SAFETY: as above.
            unsafe { stage_rows(&index.indices()[ahead.blocks.clone()], input, &mut staged[1 - at]) };
        }
        let out = &mut out[(chunk.blocks.start - base) * HEIGHT..(chunk.blocks.end - base) * HEIGHT];
        // SAFETY: as above; tiles are whole, and so is what is stored where there are 16 blocks.
        unsafe {
            if chunk.begins_line {
                for (half, outputs) in outputs.iter_mut().enumerate() {
                    let rows = &gradient[chunk.line * HEIGHT..][..HEIGHT];
                    let mut pairs = [_mm512_setzero_si512(); HEIGHT];
                    for (pairs, row) in pairs.iter_mut().zip(rows) {
                        *pairs = _mm512_loadu_si512(row.words().add(HALF * half).cast());
                    }
                    turn(pairs, outputs);
                }
                tiles.load::<4>(outputs[0].start(), STRIDE);
                tiles.load::<5>(outputs[1].start(), STRIDE);
            }
            let is_whole = out.len() == 16 * HEIGHT;
            if !accumulate {
                tiles.zero::<0>();
            } else if is_whole {
                tiles.load::<0>(out.as_ptr().cast(), STRIDE);
            } else {
                bytemuck::must_cast_slice_mut::<_, f32>(rest.0.as_flattened_mut())[..out.len()]
                    .copy_from_slice(out);
                tiles.load::<0>(rest.start(), STRIDE);
            }
            let [low, high] = &staged[at];
            tiles.load::<1>(low.start(), STRIDE);
            tiles.dot::<0, 1, 4>();
            if !is_half {
                tiles.load::<2>(high.start(), STRIDE);
                tiles.dot::<0, 2, 5>();
            }
            if is_whole {
                tiles.store::<0>(out.as_mut_ptr().cast(), STRIDE);
            } else {
                tiles.store::<0>(rest.start_mut(), STRIDE);
                let sums: &[f32] = bytemuck::must_cast_slice(rest.0.as_flattened());
                out.copy_from_slice(&sums[..out.len()]);
            }
        }
        at = 1 - at;
    }
}

/// The rows of some columns, up to 16: of each the first half in one tile, the second in another. What stands behind the last is of
/// no account.
///
/// # Safety
/// The processor has the features.
#[inline(always)]
unsafe fn stage_rows<'a>(columns: &[u32], input: impl Inputs<'a, Row16>, [low, high]: &mut [Tile; 2]) {
    for (place, &column) in columns.iter().enumerate() {
        // SAFETY: as the caller promises; a row is 64 words, a tile's 32.
        unsafe {
            let row = input.row(column).words();
            let halves = [_mm512_loadu_si512(row.cast()), _mm512_loadu_si512(row.add(HALF).cast())];
            _mm512_store_si512(low.0[place].as_mut_ptr().cast(), halves[0]);
            _mm512_store_si512(high.0[place].as_mut_ptr().cast(), halves[1]);
        }
    }
}

#[cfg(test)]
mod tests;
