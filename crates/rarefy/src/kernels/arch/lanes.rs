//! Products of small matrices of which each number is one of 16 samples: as many products as lanes, whose sums stay in registers in
//! blocks of rows and columns.

use super::arguments::Epilogue;
use crate::tiles::LANES;

/// Samples side by side.
pub(in crate::kernels) const WIDTH: usize = 16;

/// One number of each of 16 samples.
pub(in crate::kernels) type Lanes = [f32; WIDTH];

/// Zeros.
pub(in crate::kernels) const NONE: Lanes = [0.0; WIDTH];

/// A matrix for each lane, of which a product takes lines one by one and their numbers in order.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct LaneMatrix<'a> {
    pub(in crate::kernels) data: &'a [Lanes],
    pub(in crate::kernels) stride: usize,
}

/// How the lines of a product's matrices lie in memory: as rows, a number next to the other, or as columns. Told at compile
/// time, because a product in registers has none left for steps.
pub(in crate::kernels) const ROWS: bool = true;
pub(in crate::kernels) const COLUMNS: bool = false;

impl<'a> LaneMatrix<'a> {
    /// Where number `k` of line `m` stands.
    #[inline(always)]
    fn at<const LINES: bool>(self, m: usize, k: usize) -> usize {
        if LINES == ROWS { m * self.stride + k } else { k * self.stride + m }
    }

    /// The matrix from a line on.
    #[inline(always)]
    fn from<const LINES: bool>(self, line: usize) -> LaneMatrix<'a> {
        LaneMatrix { data: &self.data[self.at::<LINES>(line, 0)..], ..self }
    }
}

/// Where a product's sums go, row by row.
pub(in crate::kernels) struct LaneSums<'a> {
    pub(in crate::kernels) data: &'a mut [Lanes],
    pub(in crate::kernels) stride: usize,
    /// Whether they are added to what is there.
    pub(in crate::kernels) accumulate: bool,
}

/// `out[m, n] = sum_k a[m, k] b[n, k]`, or added to what is there; `sizes` are those of m, n and k, `PA` and `PB` say how the
/// lines of `a` and `b` lie.
#[inline(always)]
pub(in crate::kernels) fn product<A: Arithmetic, const BLOCK: usize, const PA: bool, const PB: bool>(
    arithmetic: A,
    a: LaneMatrix<'_>,
    b: LaneMatrix<'_>,
    out: LaneSums<'_>,
    sizes: [usize; 3],
) {
    let [rows, columns, depth] = sizes;
    let LaneSums { data, stride, accumulate } = out;
    if rows == 0 || columns == 0 || depth == 0 {
        assert!(accumulate || rows == 0 || columns == 0, "a sum of nothing");
        return;
    }
    assert!(
        a.at::<PA>(rows - 1, depth - 1) < a.data.len() && b.at::<PB>(columns - 1, depth - 1) < b.data.len()
    );
    let mut n = 0;
    while n < columns {
        let wide = n + BLOCK <= columns;
        let mut m = 0;
        while m < rows {
            let tall = m + BLOCK <= rows;
            let (a, b) = (a.from::<PA>(m), b.from::<PB>(n));
            let out = LaneSums { data: &mut data[m * stride + n..], stride, accumulate };
            // SAFETY: of the rows, columns and depth whose last numbers are there (asserted above) these are a part.
            unsafe {
                match (tall, wide) {
                    (true, true) => block::<A, BLOCK, BLOCK, PA, PB>(arithmetic, a, b, out, depth),
                    (true, false) => block::<A, BLOCK, 1, PA, PB>(arithmetic, a, b, out, depth),
                    (false, true) => block::<A, 1, BLOCK, PA, PB>(arithmetic, a, b, out, depth),
                    (false, false) => block::<A, 1, 1, PA, PB>(arithmetic, a, b, out, depth),
                }
            }
            m += if tall { BLOCK } else { 1 };
        }
        n += if wide { BLOCK } else { 1 };
    }
}

/// `M` rows and `N` columns of a product, whose sums stay in registers.
///
/// # Safety
/// `a` has number `depth - 1` of line `M - 1`, and `b` that of line `N - 1`.
#[inline(always)]
unsafe fn block<A: Arithmetic, const M: usize, const N: usize, const PA: bool, const PB: bool>(
    arithmetic: A,
    a: LaneMatrix<'_>,
    b: LaneMatrix<'_>,
    out: LaneSums<'_>,
    depth: usize,
) {
    let LaneSums { data: out, stride, accumulate } = out;
    let zero = arithmetic.load(&NONE);
    let mut sums = [[zero; N]; M];
    if accumulate {
        for m in 0..M {
            for n in 0..N {
                sums[m][n] = arithmetic.load(&out[m * stride + n]);
            }
        }
    }
    for k in 0..depth {
        let mut rows = [zero; M];
        for m in 0..M {
            // SAFETY: the last of these numbers is there, as the caller promises, and none stands after it.
            rows[m] = arithmetic.load(unsafe { a.data.get_unchecked(a.at::<PA>(m, k)) });
        }
        for n in 0..N {
            // SAFETY: as above.
            let column = arithmetic.load(unsafe { b.data.get_unchecked(b.at::<PB>(n, k)) });
            for m in 0..M {
                sums[m][n] = arithmetic.multiply_add(rows[m], column, sums[m][n]);
            }
        }
    }
    for m in 0..M {
        for n in 0..N {
            arithmetic.store(sums[m][n], &mut out[m * stride + n]);
        }
    }
}

/// How an instruction set multiplies and adds 16 lanes. Whoever holds a value of such a type is on a processor that has it.
pub(in crate::kernels) trait Arithmetic: Copy {
    /// 16 numbers in registers.
    type Sums: Copy;
    fn load(self, from: &Lanes) -> Self::Sums;
    fn multiply_add(self, a: Self::Sums, b: Self::Sums, sum: Self::Sums) -> Self::Sums;
    fn store(self, sums: Self::Sums, to: &mut Lanes);
    /// [`Epilogue::end`].
    fn end(self, epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; LANES]);
    fn add(self, a: Self::Sums, b: Self::Sums) -> Self::Sums;
    /// Some numbers, a power of two up to 16 of them, and again until there are 16.
    fn repeat<const P: usize>(self, from: &[f32; P]) -> Self::Sums;
    /// The sums of two neighbours each: those of `a`, then those of `b`.
    fn add_pairs(self, a: Self::Sums, b: Self::Sums) -> Self::Sums;
}

/// Code on lanes, to be compiled for each instruction set ([`Isa::on_lanes`](super::Isa::on_lanes)).
pub(in crate::kernels) trait OnLanes {
    /// Runs it with products in blocks of so many rows and columns as registers hold the sums of. Implementations are
    /// `#[inline(always)]`, and so is what they call.
    fn run<A: Arithmetic, const BLOCK: usize>(self, arithmetic: A);
}

/// [`Arithmetic::add`] in plain Rust.
#[inline(always)]
pub(super) fn add(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|at| a[at] + b[at])
}

/// [`Arithmetic::repeat`] in plain Rust.
#[inline(always)]
pub(super) fn repeat<const P: usize>(from: &[f32; P]) -> Lanes {
    std::array::from_fn(|at| from[at % P])
}

/// [`Arithmetic::add_pairs`] in plain Rust.
#[inline(always)]
pub(super) fn add_pairs(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|at| {
        let (from, at) = if at < WIDTH / 2 { (&a, 2 * at) } else { (&b, 2 * at - WIDTH) };
        from[at] + from[at + 1]
    })
}
