//! AVX-512: rows of 64 samples are four registers. Loops, where a closure would be shorter: what calls the closure is compiled without
//! these instructions, so whether it is inlined is luck, and where it was not a kernel took two to five times as long. Places, where `zip`
//! would be shorter: its `new` is not inlined from another unit of a build without link-time optimisation.

use std::arch::x86_64::*;
use std::hint::black_box;
use std::ops::Range;

use super::arguments::{BLOCK, Bases, Entries, Epilogue, Groups, HALVES, Lines, Samples, Window};
use super::blocks::Numbers;
use super::fetch::fetch;
use super::lanes::{Arithmetic, Lanes, NONE, OnLanes};
use super::vectorized::Vectorized;
use crate::tiles::{HALF, LANES, Row};

pub(super) const NAME: &str = "avx512";
pub(super) const HAS_HALVES: bool = true;
pub(super) const IS_FUSED: bool = true;

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn run<V: Vectorized>(body: V) -> V::Output {
    body.run()
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    let columns = lines.index.indices();
    for (line, output) in range.zip(output) {
        let mut sums =
            if lines.accumulate { load(output) } else { [_mm512_set1_ps(lines.epilogue.start(line)); 4] };
        let entries = lines.index.line(line);
        for (&column, &value) in columns[entries.clone()].iter().zip(&lines.values[entries]) {
            let value = _mm512_set1_ps(value);
            let row = load(&lines.input[column as usize]);
            for i in 0..4 {
                sums[i] = _mm512_fmadd_ps(value, row[i], sums[i]);
            }
        }
        for i in 0..4 {
            // SAFETY: a row is 64 floats at a multiple of 64 bytes.
            unsafe { _mm512_store_ps(output.0.as_mut_ptr().add(16 * i), sums[i]) };
        }
        end(&lines.epilogue, lines.first_row + line, &mut output.0);
    }
}

/// The first halves of the rows of some panels: two registers of sums for each. Panels beyond the last are those of the
/// first once more, and not stored.
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn spmm_halves(lines: &Lines<'_>, output: &mut [Row]) {
    let (columns, height) = (lines.index.indices(), lines.index.lines());
    let panels = output.len() / height;
    let width = lines.input.len() / panels;
    let inputs: [&[Row]; HALVES] = std::array::from_fn(|place| {
        let panel = if place < panels { place } else { 0 };
        &lines.input[panel * width..][..width]
    });
    for line in 0..height {
        let mut sums = [[_mm512_set1_ps(lines.epilogue.start(line)); 2]; HALVES];
        let entries = lines.index.line(line);
        for (&column, &value) in columns[entries.clone()].iter().zip(&lines.values[entries]) {
            let value = _mm512_set1_ps(value);
            // By number: with iterators the sums would not stay in registers, which took twice as long.
            for place in 0..HALVES {
                let row = load_first::<2>(&inputs[place][column as usize]);
                for i in 0..2 {
                    sums[place][i] = _mm512_fmadd_ps(value, row[i], sums[place][i]);
                }
            }
        }
        for (panel, output) in output.chunks_exact_mut(height).enumerate() {
            let half = output[line].0.first_chunk_mut::<HALF>().expect("a row is longer");
            for i in 0..2 {
                // SAFETY: half a row is 32 floats at a multiple of 64 bytes.
                unsafe { _mm512_store_ps(half.as_mut_ptr().add(16 * i), sums[panel][i]) };
            }
            end(&lines.epilogue, lines.first_row + panel * height + line, half);
        }
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn sddmm<const N: usize>(
    samples: &Samples<'_, N>,
    positions: Range<usize>,
    out: &mut [f32],
    accumulate: bool,
    is_half: bool,
) {
    let register = Register(());
    if is_half {
        dots::<_, _, N, 2>(register, samples, positions, out, accumulate);
    } else {
        dots::<_, _, N, 4>(register, samples, positions, out, accumulate);
    }
}

/// Of each row the first `R` registers: the others hold dead lanes.
#[inline(always)]
pub(super) fn dots<A: Arithmetic<Sums = __m512>, W: Numbers, const N: usize, const R: usize>(
    arithmetic: A,
    samples: &Samples<'_, N, W>,
    positions: Range<usize>,
    out: &mut [f32],
    accumulate: bool,
) {
    /// How many entries ahead rows are fetched: +20 % at 4096 columns, +2 % at 1024.
    const AHEAD: usize = 12;
    let base = positions.start;
    let columns = samples.index.indices();
    for (line, start, count) in Groups::new(samples.index, positions) {
        let mut gradients = [[arithmetic.load(&NONE); R]; N];
        for place in 0..N {
            gradients[place] = load_numbers(arithmetic, &samples.gradient[place][line]);
        }
        let next = columns.get(start + AHEAD..start + AHEAD + 8);
        let mut parts = [arithmetic.load(&NONE); 8];
        if let Some(columns) = columns[start..].first_chunk::<8>() {
            for i in 0..8 {
                if let Some(next) = next {
                    for place in 0..N {
                        fetch(&samples.input[place][next[i] as usize].numbers()[..16 * R]);
                    }
                }
                parts[i] = dot(arithmetic, &gradients, &samples.input, columns[i] as usize);
            }
        } else {
            // No index that is known only when it runs: for that, all parts would go to memory, here and above.
            for i in 0..8 {
                if let Some(&column) = columns.get(start + i) {
                    parts[i] = dot(arithmetic, &gradients, &samples.input, column as usize);
                }
            }
        }
        let out = &mut out[start - base..][..count];
        let mask = (0xff_u32 >> (8 - count)) as __mmask8;
        // SAFETY: whoever has an arithmetic of such sums has the features. The mask lets through the first `count` floats, which is the
        // length of `out`.
        unsafe {
            let sums = add_lanes(parts);
            let sums = if accumulate {
                _mm256_add_ps(_mm256_maskz_loadu_ps(mask, out.as_ptr()), sums)
            } else {
                sums
            };
            _mm256_mask_storeu_ps(out.as_mut_ptr(), mask, sums);
        }
    }
}

/// The first registers of a row.
#[inline(always)]
fn load_numbers<A: Arithmetic, const R: usize>(arithmetic: A, row: &impl Numbers) -> [A::Sums; R] {
    let mut registers = [arithmetic.load(&NONE); R];
    let (numbers, _) = row.numbers().as_chunks();
    for at in 0..R {
        registers[at] = arithmetic.load(&numbers[at]);
    }
    registers
}

/// The products of gradients and one column's inputs, not yet summed over lanes.
#[inline(always)]
fn dot<A: Arithmetic, W: Numbers, const N: usize, const R: usize>(
    arithmetic: A,
    gradients: &[[A::Sums; R]; N],
    input: &[&[W]; N],
    column: usize,
) -> A::Sums {
    let mut sum = arithmetic.load(&NONE);
    for place in 0..N {
        let row = load_numbers::<A, R>(arithmetic, &input[place][column]);
        for i in 0..R {
            sum = arithmetic.multiply_add(gradients[place][i], row[i], sum);
        }
    }
    sum
}

/// The sums of a block of positions: four registers for each.
type Block = [[__m512; 4]; BLOCK];

/// Adds an entry to the sums of a block.
///
/// # Safety
/// The processor has these features, and `channel` is below the length of each of `bases`.
#[inline(always)]
unsafe fn add_entry(sums: &mut Block, bases: &[&[Row]; BLOCK], channel: usize, value: f32) {
    // SAFETY: the processor has these features, and `channel` is one of the rows, as the caller promises.
    unsafe {
        let value = _mm512_set1_ps(value);
        for (sums, base) in sums.iter_mut().zip(bases) {
            let row = load(base.get_unchecked(channel));
            for i in 0..4 {
                sums[i] = _mm512_fmadd_ps(value, row[i], sums[i]);
            }
        }
    }
}

/// Finishes a line's sums at each position of the block, whose lines are `lines` apart.
///
/// # Safety
/// The processor has these features.
#[inline(always)]
unsafe fn store(
    entries: &Entries<'_>,
    sums: &Block,
    first_row: usize,
    line: usize,
    lines: usize,
    output: &mut [Row],
) {
    for (place, output) in output.chunks_exact_mut(lines).enumerate() {
        let row = &mut output[line].0;
        for i in 0..4 {
            // SAFETY: a row is 64 floats at a multiple of 64 bytes.
            unsafe { _mm512_store_ps(row.as_mut_ptr().add(16 * i), sums[place][i]) };
        }
        // SAFETY: as the caller promises.
        unsafe { end(&entries.epilogue, first_row + place * lines + line, row) };
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn convolve(entries: &Entries<'_>, bases: Bases<'_>, first_row: usize, output: &mut [Row]) {
    let filters = entries.index.lines();
    let (indices, places) = (entries.index.indices(), &entries.windows.places[..]);
    assert!(entries.windows.reads_rows(filters, bases.height()), "filters and channels of the windows");
    for filter in 0..filters {
        let first_channel = entries.windows.first_channel(filter);
        let mut sums = [[_mm512_set1_ps(entries.epilogue.start(filter)); 4]; BLOCK];
        let line = entries.index.line(filter);
        for (&column, &value) in indices[line.clone()].iter().zip(&entries.values[line]) {
            let at = places[column as usize];
            let channel = first_channel + (at >> 8) as usize;
            // SAFETY: a column's channel is one of its filter's group, and all of these are rows (asserted above).
            unsafe { add_entry(&mut sums, &bases.rows()[at as usize & 0xff], channel, value) };
        }
        // SAFETY: this function has the features.
        unsafe { store(entries, &sums, first_row, filter, filters, output) };
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn convolve_transposed(
    entries: &Entries<'_>,
    bases: Bases<'_>,
    first_row: usize,
    output: &mut [Row],
) {
    let channels = entries.windows.geometry.input.channels;
    let indices = entries.index.indices();
    assert!(entries.index.width() <= bases.height(), "filters of the windows");
    for channel in 0..channels {
        let mut sums = [[_mm512_setzero_ps(); 4]; BLOCK];
        for (offset, bases) in bases.rows().iter().enumerate() {
            let line = entries.of_channel(channel, offset);
            for (&filter, &value) in indices[line.clone()].iter().zip(&entries.values[line]) {
                // SAFETY: a line's indices are below the index's width, and there are as many rows (asserted above).
                unsafe { add_entry(&mut sums, bases, filter as usize, value) };
            }
        }
        // SAFETY: this function has the features.
        unsafe { store(entries, &sums, first_row, channel, channels, output) };
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn convolve_gradient(window: &Window<'_>, out: &mut [f32]) {
    let (indices, places) = (window.index.indices(), &window.windows.places[..]);
    let (filters, channels) = (window.index.lines(), window.bases.height());
    assert!(window.windows.reads_rows(filters, channels), "filters and channels of the windows");
    for filter in 0..filters {
        let first_channel = window.windows.first_channel(filter);
        let mut gradients: Block = [[_mm512_setzero_ps(); 4]; BLOCK];
        for place in 0..BLOCK {
            gradients[place] = load(&window.gradients[place][filter]);
        }
        let line = window.index.line(filter);
        let groups = indices[line.clone()].chunks(8).zip(out[line].chunks_mut(8));
        for (columns, out) in groups {
            let mut parts = [_mm512_setzero_ps(); 8];
            for (part, &column) in parts.iter_mut().zip(columns) {
                let at = places[column as usize];
                let channel = first_channel + (at >> 8) as usize;
                let bases = &window.bases.rows()[at as usize & 0xff];
                let mut sums = [_mm512_setzero_ps(); 2];
                for place in 0..BLOCK {
                    // SAFETY: a column's channel is one of its filter's group, and all of these are rows (asserted above).
                    let row = load(unsafe { bases[place].get_unchecked(channel) });
                    let sum = &mut sums[place % 2];
                    for i in 0..4 {
                        *sum = _mm512_fmadd_ps(gradients[place][i], row[i], *sum);
                    }
                }
                *part = _mm512_add_ps(sums[0], sums[1]);
            }
            let sums = add_lanes(parts);
            let mask = (0xff_u32 >> (8 - out.len())) as __mmask8;
            // SAFETY: the mask lets through as many floats as `out` has.
            unsafe {
                let before = _mm256_maskz_loadu_ps(mask, out.as_ptr());
                _mm256_mask_storeu_ps(out.as_mut_ptr(), mask, _mm256_add_ps(before, sums));
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn on_lanes(body: impl OnLanes) {
    body.run::<Register, 4>(Register(()));
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
#[inline]
pub(super) fn end<const N: usize>(epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; N]) {
    if !epilogue.end_soon(row, sums) {
        end_by_call(epilogue, row, sums);
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
#[inline(never)]
fn end_by_call<const N: usize>(epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; N]) {
    epilogue.end(row, sums);
}

/// 16 lanes in a register; made by nothing but [`on_lanes`] and AVX512-BF16's, which run where the processor has these features.
#[derive(Clone, Copy)]
pub(super) struct Register(pub(super) ());

impl Arithmetic for Register {
    type Sums = __m512;

    #[inline(always)]
    fn load(self, from: &Lanes) -> __m512 {
        // SAFETY: `from` is 16 floats. (A read, because the load's own function would not be inlined here.)
        unsafe { from.as_ptr().cast::<__m512>().read_unaligned() }
    }

    #[inline(always)]
    fn multiply_add(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
        // SAFETY: a value of this type exists only where the processor has the features.
        unsafe { _mm512_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    fn store(self, sums: __m512, to: &mut Lanes) {
        // SAFETY: `to` is 16 floats.
        unsafe { to.as_mut_ptr().cast::<__m512>().write_unaligned(sums) };
    }

    #[inline(always)]
    fn end(self, epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; LANES]) {
        // SAFETY: a value of this type exists only where the processor has the features.
        unsafe { end(epilogue, row, sums) };
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as for `multiply_add`.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn repeat<const P: usize>(self, from: &[f32; P]) -> __m512 {
        const { assert!(16 % P == 0) };
        let from = from.as_ptr();
        // SAFETY: `from` is as many floats as are read; the features as above.
        unsafe {
            match P {
                1 => _mm512_set1_ps(*from),
                2 => _mm512_castpd_ps(_mm512_set1_pd(from.cast::<f64>().read_unaligned())),
                4 => _mm512_broadcast_f32x4(from.cast::<__m128>().read_unaligned()),
                8 => _mm512_castpd_ps(_mm512_broadcast_f64x4(from.cast::<__m256d>().read_unaligned())),
                _ => from.cast::<__m512>().read_unaligned(),
            }
        }
    }

    #[inline(always)]
    fn add_pairs(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as for `multiply_add`.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            _mm512_add_ps(_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b))
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(row: &Row) -> [__m512; 4] {
    load_first::<4>(row)
}

/// The first registers of a row.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_first<const R: usize>(row: &Row) -> [__m512; R] {
    const { assert!(R <= LANES / 16) };
    let mut registers = [_mm512_setzero_ps(); R];
    for (i, register) in registers.iter_mut().enumerate() {
        // SAFETY: a row is 64 floats at a multiple of 64 bytes.
        *register = unsafe { _mm512_load_ps(row.0.as_ptr().add(16 * i)) };
    }
    registers
}

/// The lane sums of eight registers: transposed and added pairwise, halving the registers at each level.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn add_lanes(v: [__m512; 8]) -> __m256 {
    let mut pairs = [_mm512_setzero_ps(); 4];
    for i in 0..4 {
        let (a, b) = (v[2 * i], v[2 * i + 1]);
        pairs[i] = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    }
    let mut fours = [_mm512_setzero_ps(); 2];
    for i in 0..2 {
        let (a, b) = (_mm512_castps_pd(pairs[2 * i]), _mm512_castps_pd(pairs[2 * i + 1]));
        let (low, high) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
        fours[i] = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    }
    let [a, b] = fours;
    // Each 128-bit lane of `a` now holds partial sums of registers 0-3, of `b` those of 4-7.
    let halves = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
    let whole = _mm512_add_ps(
        _mm512_shuffle_f32x4::<0x08>(halves, halves),
        _mm512_shuffle_f32x4::<0x0d>(halves, halves),
    );
    _mm512_castps512_ps256(whole)
}

/// Repeats a multiply-add on 12 independent registers, enough to hide its latency; returns how many floats those hold.
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn multiply_adds(repeats: usize) -> usize {
    let (factor, term) = (_mm512_set1_ps(black_box(1.0)), _mm512_set1_ps(black_box(0.0)));
    let mut sums = [_mm512_set1_ps(1.0); 12];
    for _ in 0..repeats {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, term);
        }
    }
    16 * black_box(sums).len()
}
