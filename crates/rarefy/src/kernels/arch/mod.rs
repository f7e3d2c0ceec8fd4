//! The inner loops, once per instruction set: `scalar` (the readable oracle), `avx2`, `avx512` and `neon` under the same names. Here alone
//! is unsafe code, and here alone is it asked which instruction set runs.
//!
//! An instruction set is added as a file with these names, a variant of `Kind`, and its lines in `available` and `on`.
#![allow(unsafe_code)]

mod arguments;
pub(super) mod blocks;
pub(super) mod fetch;
pub(super) mod lanes;
pub(super) mod line;
pub(super) mod matrix;
pub(super) mod operand;
mod peak;
mod portable;
mod scalar;
mod shared;
mod tile_support;
mod vectorized;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
#[cfg(target_arch = "x86_64")]
mod matrix_bf16;
#[cfg(target_arch = "x86_64")]
mod narrowed;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod transpose;

use std::ops::Range;

pub use arguments::Epilogue;
pub(super) use arguments::{BLOCK, Bases, Entries, HALVES, Lines, Samples, Window};
pub use fetch::{fetch_ahead, fetch_place};
use lanes::OnLanes;
#[cfg(target_arch = "x86_64")]
use matrix::Matrix;
pub use peak::{measure_pairs_peak, measure_peak};
pub use shared::Shared;
pub use tile_support::TileSupport;
use vectorized::Body;
pub use vectorized::Vectorized;

use crate::sparse::Weights;
use crate::tiles::Row;
#[cfg(target_arch = "x86_64")]
use crate::tiles::Row16;

/// Calls something of the instruction set that an [`Isa`] names, as `set`: the only place that looks at which it is.
macro_rules! on {
    ($isa:expr, $set:ident => $call:expr) => {
        match $isa.0 {
            Kind::Scalar => {
                use scalar as $set;
                $call
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => {
                use avx2 as $set;
                // SAFETY: an `Isa` of this kind exists only where the processor has these features.
                unsafe { $call }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 | Kind::Amx | Kind::Avx512Bf16 => {
                use avx512 as $set;
                // SAFETY: as above.
                unsafe { $call }
            }
            // NEON is part of every aarch64 target's baseline.
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => {
                use neon as $set;
                $call
            }
        }
    };
}

/// The row blocks that tiles multiply.
pub(super) const TILE_HEIGHT: usize = 16;

/// An instruction set that this processor has: chosen once, printed once, forced by name. Holding one is the proof that the processor
/// has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Scalar = 0,
    #[cfg(target_arch = "x86_64")]
    Avx2 = 1,
    #[cfg(target_arch = "x86_64")]
    Avx512 = 2,
    /// AVX-512, and tiles where products read bf16 numbers.
    #[cfg(target_arch = "x86_64")]
    Amx = 3,
    /// AVX-512, and products of pairs of bf16 numbers.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16 = 4,
    #[cfg(target_arch = "aarch64")]
    Neon = 0x80,
}

impl Isa {
    /// Plain Rust, on any processor: the oracle.
    pub const SCALAR: Isa = Isa(Kind::Scalar);

    /// All that this processor has, the fastest last.
    pub fn available() -> Vec<Isa> {
        let mut found = vec![Kind::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Kind::Avx2);
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                    found.push(Kind::Avx512);
                }
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Kind::Neon);
        }
        found.into_iter().map(Isa).collect()
    }

    /// AVX-512, and tiles for products of bf16 numbers in row blocks of 16 (Intel AMX), if the processor has them and the system gives
    /// them to this process. For networks whose products read such numbers alone; so it is none of [`Isa::available`].
    pub fn amx() -> Option<Isa> {
        match Isa::amx_support() {
            #[cfg(target_arch = "x86_64")]
            TileSupport::Allowed => Some(Isa(Kind::Amx)),
            _ => None,
        }
    }

    /// AVX-512, and products of pairs of bf16 numbers (AVX512-BF16), if the processor has them. As [`Isa::amx`], for networks
    /// whose products read such numbers alone.
    pub fn avx512_bf16() -> Option<Isa> {
        #[cfg(target_arch = "x86_64")]
        if avx512_bf16::is_there() {
            return Some(Isa(Kind::Avx512Bf16));
        }
        None
    }

    /// All that this processor has for products that read bf16 numbers alone.
    pub fn available_bf16() -> Vec<Isa> {
        Isa::available().into_iter().chain(Isa::avx512_bf16()).chain(Isa::amx()).collect()
    }

    /// The fastest of these.
    pub fn detect_bf16() -> Isa {
        #[cfg(target_arch = "x86_64")]
        let pairs = Isa::avx512_bf16().filter(|_| avx512_bf16::is_fast());
        #[cfg(not(target_arch = "x86_64"))]
        let pairs = None;
        Isa::amx().or(pairs).unwrap_or_else(Isa::detect)
    }

    /// Whether there are tiles, and whether they may be used.
    pub fn amx_support() -> TileSupport {
        #[cfg(target_arch = "x86_64")]
        return amx::tile_support();
        #[cfg(not(target_arch = "x86_64"))]
        TileSupport::Absent
    }

    /// The fastest that this processor has.
    pub fn detect() -> Isa {
        *Isa::available().last().expect("scalar code runs anywhere")
    }

    /// The one of that name.
    ///
    /// # Errors
    /// If the name is unknown or this processor lacks it; the message lists what it has.
    pub fn named(name: &str) -> crate::Result<Isa> {
        if name == "auto" {
            return Ok(Isa::detect());
        }
        Isa::named_of(name, &Isa::available())
    }

    /// The one of that name among some.
    pub(crate) fn named_of(name: &str, available: &[Isa]) -> crate::Result<Isa> {
        available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| {
            let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
            crate::Error::setting(
                "isa",
                format!("\"{name}\" is not to be had here; this processor has {}", names.join(", ")),
            )
        })
    }

    /// `scalar`, `avx2`, `avx512`, `avx512-bf16`, `amx` or `neon`.
    #[allow(unused_unsafe)]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Amx => "amx",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Bf16 => "avx512-bf16",
            _ => on!(self, set => set::NAME),
        }
    }

    /// Whether products of bf16 numbers are made by pairs.
    pub(super) fn has_pairs(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.0 == Kind::Avx512Bf16;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether those of dense storage, and of row blocks of 16, are made by tiles: then sums have an order that one sample alone cannot
    /// follow.
    pub(super) fn has_tiles(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.0 == Kind::Amx;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether products of some weights are made by tiles.
    pub(super) fn has_tiles_for(self, weights: &Weights) -> bool {
        self.has_tiles()
            && match weights {
                Weights::Dense(_) => true,
                Weights::Sparse(_) => false,
                Weights::Blocks(blocks) => blocks.height() == TILE_HEIGHT,
            }
    }

    /// Narrows rows to bf16.
    ///
    /// # Panics
    /// If no product of this instruction set reads such.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn narrow(self, rows: &[Row], out: &mut [Row16]) {
        assert!(matches!(self.0, Kind::Amx | Kind::Avx512Bf16) && rows.len() == out.len());
        // SAFETY: an `Isa` of these kinds exists only where the processor has the features.
        unsafe { narrowed::narrow(rows, out) };
    }

    /// [`Isa::spmm`] of narrowed rows, of which perhaps only the first half is alive.
    ///
    /// # Panics
    /// If this is no instruction set for pairs of them.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn spmm_pairs(
        self,
        lines: &Lines<'_, Row16>,
        range: Range<usize>,
        output: &mut [Row],
        is_half: bool,
    ) {
        assert_eq!(self.0, Kind::Avx512Bf16);
        // SAFETY: an `Isa` of this kind exists only where the processor has the features.
        unsafe { avx512_bf16::spmm(lines, range, output, is_half) };
    }

    /// A run of a product of dense matrices, of numbers rounded to bf16.
    ///
    /// # Panics
    /// If no product of this instruction set reads such.
    #[cfg(target_arch = "x86_64")]
    fn multiply_matrices(self, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], accumulate: bool) {
        a.check();
        b.check();
        // SAFETY: an `Isa` of these kinds exists only where the processor has the features, and tiles, which this process may use; the
        // numbers are there, as just checked.
        unsafe {
            match self.0 {
                Kind::Avx512Bf16 => avx512_bf16::product(a, b, out, accumulate),
                Kind::Amx => amx::product(a, b, out, accumulate),
                _ => panic!("{self} has no products of bf16 numbers"),
            }
        }
    }

    /// Runs plain Rust code compiled for this instruction set; short loops do without a type: [`vectorize!`](crate::vectorize).
    #[inline]
    pub fn vectorize<V: Vectorized>(self, body: V) -> V::Output {
        on!(self, set => set::run(body))
    }

    /// The number of this instruction set, for [`vectorize!`](crate::vectorize).
    #[doc(hidden)]
    #[inline]
    pub fn kind(self) -> u8 {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Amx | Kind::Avx512Bf16 => Kind::Avx512 as u8,
            kind => kind as u8,
        }
    }

    /// Runs a closure that is for one instruction set alone, for [`vectorize!`](crate::vectorize).
    ///
    /// # Panics
    /// If this is another one.
    #[doc(hidden)]
    #[inline]
    pub fn run_as<const KIND: u8, R>(self, body: impl FnOnce() -> R) -> R {
        assert_eq!(self.kind(), KIND, "a closure for another instruction set");
        match KIND {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this kind exists only where the processor has these features.
            1 => unsafe { avx2::run(Body(body)) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            2 => unsafe { avx512::run(Body(body)) },
            _ => body(),
        }
    }

    /// Runs code on lanes with this instruction set's arithmetic.
    pub(super) fn on_lanes(self, body: impl OnLanes) {
        on!(self, set => set::on_lanes(body));
    }

    /// Turns the sums of a row of the result, counted over all tiles, into what is stored.
    pub(super) fn end<const N: usize>(self, epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; N]) {
        on!(self, set => set::end(epilogue, row, sums));
    }

    /// Computes some lines of one tile.
    pub(super) fn spmm(self, lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
        on!(self, set => set::spmm(lines, range, output));
    }

    /// Whether [`Isa::spmm_halves`] is faster than whole rows.
    #[allow(unused_unsafe)]
    pub(super) fn has_halves(self) -> bool {
        on!(self, set => set::HAS_HALVES)
    }

    /// Whether products multiply and add at once, with one rounding.
    #[allow(unused_unsafe)]
    pub(super) fn is_fused(self) -> bool {
        on!(self, set => set::IS_FUSED)
    }

    /// Computes the first half of the rows of up to [`HALVES`] panels: `lines.input` and `output` hold those of all of them.
    pub(super) fn spmm_halves(self, lines: &Lines<'_>, output: &mut [Row]) {
        on!(self, set => set::spmm_halves(lines, output));
    }

    /// Writes or adds the gradients of some entries to `out`; of each row only the first half, if that is all that is alive.
    pub(super) fn sddmm<const N: usize>(
        self,
        samples: &Samples<'_, N>,
        positions: Range<usize>,
        out: &mut [f32],
        accumulate: bool,
        is_half: bool,
    ) {
        on!(self, set => set::sddmm(samples, positions, out, accumulate, is_half));
    }

    /// Computes a block of positions of a convolution, filter by filter at each.
    pub(super) fn convolve(
        self,
        entries: &Entries<'_>,
        bases: Bases<'_>,
        first_row: usize,
        output: &mut [Row],
    ) {
        on!(self, set => set::convolve(entries, bases, first_row, output));
    }

    /// Computes a block of positions of the input's gradient, channel by channel at each.
    pub(super) fn convolve_transposed(
        self,
        entries: &Entries<'_>,
        bases: Bases<'_>,
        first_row: usize,
        output: &mut [Row],
    ) {
        on!(self, set => set::convolve_transposed(entries, bases, first_row, output));
    }

    /// Adds a block's part of the gradient of every entry.
    pub(super) fn convolve_gradient(self, window: &Window<'_>, out: &mut [f32]) {
        on!(self, set => set::convolve_gradient(window, out));
    }

    /// As `multiply_adds`, of numbers in pairs, where this instruction set has such.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
    fn multiply_add_pairs(self, repeats: usize) -> Option<usize> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this kind exists only where the processor has the features.
            Kind::Avx512Bf16 => Some(unsafe { avx512_bf16::multiply_adds(repeats) }),
            _ => None,
        }
    }

    /// Repeats multiply-adds on independent registers; returns how many floats those hold.
    fn multiply_adds(self, repeats: usize) -> usize {
        on!(self, set => set::multiply_adds(repeats))
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
