//! What products read: rows of `f32`, or of bf16 where an instruction set multiplies pairs of them.

use std::ops::Range;

use super::Isa;
use super::arguments::{Lines, Samples};
use super::blocks::{Gradient, Inputs, Multiply, Numbers, Outputs, Transposed};
#[cfg(target_arch = "x86_64")]
use super::{Kind, amx, avx512_bf16};
use crate::tiles::Row;
#[cfg(target_arch = "x86_64")]
use crate::tiles::Row16;

/// A row of samples that products read.
pub(in crate::kernels) trait Operand: Numbers + Copy + Sync {
    /// [`Isa::spmm`]; of each row perhaps only the first half, if that is all that is alive.
    fn spmm(isa: Isa, lines: &Lines<'_, Self>, range: Range<usize>, output: &mut [Row], is_half: bool);

    /// Whether the halves of several panels are faster side by side, by [`Operand::spmm_halves`].
    fn has_halves(_: Isa) -> bool {
        false
    }

    /// [`Isa::spmm_halves`].
    fn spmm_halves(_: Isa, _: &Lines<'_, Self>, _: &mut [Row]) {
        unreachable!("halves are not gone through side by side");
    }

    /// [`Isa::sddmm`].
    fn sddmm<const N: usize>(
        isa: Isa,
        samples: &Samples<'_, N, Self>,
        entries: Range<usize>,
        out: &mut [f32],
        accumulate: bool,
        is_half: bool,
    );

    /// Some lines of blocks times a panel.
    fn multiply<'a>(isa: Isa, product: Multiply<'a, impl Inputs<'a, Self>>);

    /// Adds the transposed product of some lines for one panel.
    fn transposed(isa: Isa, product: Transposed<'_, impl Outputs, Self>);

    /// The gradients of some blocks by one panel.
    fn gradient<'a>(isa: Isa, product: Gradient<'a, impl Inputs<'a, Self>, Self>);
}

impl Operand for Row {
    fn spmm(isa: Isa, lines: &Lines<'_>, range: Range<usize>, output: &mut [Row], _: bool) {
        isa.spmm(lines, range, output);
    }

    fn has_halves(isa: Isa) -> bool {
        isa.has_halves()
    }

    fn spmm_halves(isa: Isa, lines: &Lines<'_>, output: &mut [Row]) {
        isa.spmm_halves(lines, output);
    }

    fn sddmm<const N: usize>(
        isa: Isa,
        samples: &Samples<'_, N>,
        entries: Range<usize>,
        out: &mut [f32],
        accumulate: bool,
        is_half: bool,
    ) {
        isa.sddmm(samples, entries, out, accumulate, is_half);
    }

    fn multiply<'a>(isa: Isa, product: Multiply<'a, impl Inputs<'a>>) {
        isa.on_lanes(product);
    }

    fn transposed(isa: Isa, product: Transposed<'_, impl Outputs>) {
        isa.on_lanes(product);
    }

    fn gradient<'a>(isa: Isa, product: Gradient<'a, impl Inputs<'a>>) {
        isa.on_lanes(product);
    }
}

/// Calls something of the instruction set for bf16 numbers that an [`Isa`] names, as `set`.
#[cfg(target_arch = "x86_64")]
macro_rules! on16 {
    ($isa:expr, $set:ident => $call:expr) => {
        match $isa.0 {
            Kind::Avx512Bf16 => {
                use avx512_bf16 as $set;
                // SAFETY: an `Isa` of this kind exists only where the processor has the features.
                unsafe { $call }
            }
            Kind::Amx => {
                use amx as $set;
                // SAFETY: as above, and of tiles, which this process may use.
                unsafe { $call }
            }
            _ => panic!("{} has no products of bf16 numbers", $isa),
        }
    };
}

/// All panic if the instruction set has no such product.
#[cfg(target_arch = "x86_64")]
impl Operand for Row16 {
    fn spmm(isa: Isa, lines: &Lines<'_, Row16>, range: Range<usize>, output: &mut [Row], is_half: bool) {
        isa.spmm_pairs(lines, range, output, is_half);
    }

    fn sddmm<const N: usize>(
        isa: Isa,
        samples: &Samples<'_, N, Row16>,
        entries: Range<usize>,
        out: &mut [f32],
        accumulate: bool,
        is_half: bool,
    ) {
        assert_eq!(isa.0, Kind::Avx512Bf16);
        // SAFETY: an `Isa` of this kind exists only where the processor has the features.
        unsafe { avx512_bf16::sddmm(samples, entries, out, accumulate, is_half) };
    }

    fn multiply<'a>(isa: Isa, product: Multiply<'a, impl Inputs<'a, Row16>>) {
        on16!(isa, set => set::multiply(product));
    }

    fn transposed(isa: Isa, product: Transposed<'_, impl Outputs, Row16>) {
        on16!(isa, set => set::transposed(product));
    }

    fn gradient<'a>(isa: Isa, product: Gradient<'a, impl Inputs<'a, Row16>, Row16>) {
        on16!(isa, set => set::gradient(product));
    }
}
