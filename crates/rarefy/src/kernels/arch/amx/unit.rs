//! The instructions: eight tiles `tmm0` to `tmm7` of up to 16 rows of 64 bytes.
//!
//! ```text
//! dot(C, A, B)     C[m][n] += sum over k of A[m][2k] B[k][2n] + A[m][2k + 1] B[k][2n + 1]
//!                  C: f32, 16 x 16        A: bf16, 16 x 2K        B: bf16, pairs: K x 16 x 2
//! ```

use std::arch::asm;

/// Rows and bytes of a row of each tile.
pub(super) type Sizes = [(u8, u8); 8];

/// Eight tiles.
pub(super) trait Tiles {
    /// Gives tiles their sizes, and makes them zero.
    fn configure(&mut self, sizes: &Sizes);

    /// Makes a tile zero.
    fn zero<const T: u8>(&mut self);

    /// Reads a tile's rows, `stride` bytes apart.
    ///
    /// # Safety
    /// There are its rows.
    unsafe fn load<const T: u8>(&mut self, from: *const u8, stride: usize);

    /// Writes a tile's rows, `stride` bytes apart.
    ///
    /// # Safety
    /// There is room for its rows.
    unsafe fn store<const T: u8>(&self, to: *mut u8, stride: usize);

    /// Adds a product; see above.
    fn dot<const C: u8, const A: u8, const B: u8>(&mut self);
}

/// The processor's own, which must be allowed ([`is_allowed`](super::permission::is_allowed)). Given back when it goes.
pub(super) struct Unit(());

impl Unit {
    /// # Safety
    /// The processor has AMX-TILE and AMX-BF16, the process may use them, and this thread has no other such value.
    pub(super) unsafe fn new() -> Unit {
        Unit(())
    }
}

/// What `ldtilecfg` reads (Intel's manual, volume 1, section 18.1).
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

// SAFETY of all: a `Unit` is there only where the instructions are.
impl Tiles for Unit {
    #[inline(always)]
    fn configure(&mut self, sizes: &Sizes) {
        let mut to =
            Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        for (tile, &(rows, bytes)) in sizes.iter().enumerate() {
            (to.rows[tile], to.row_bytes[tile]) = (rows, u16::from(bytes));
        }
        // SAFETY: the configuration is one of the manual's.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const to, options(nostack)) };
    }

    #[inline(always)]
    fn zero<const T: u8>(&mut self) {
        // SAFETY: a tile is no memory.
        unsafe { asm!("tilezero tmm{t}", t = const T, options(nostack, nomem)) };
    }

    #[inline(always)]
    unsafe fn load<const T: u8>(&mut self, from: *const u8, stride: usize) {
        // SAFETY: the rows are there, as the caller promises.
        unsafe {
            asm!("tileloadd tmm{t}, [{from} + {stride}]", t = const T, from = in(reg) from, stride = in(reg) stride, options(nostack));
        }
    }

    #[inline(always)]
    unsafe fn store<const T: u8>(&self, to: *mut u8, stride: usize) {
        // SAFETY: there is room, as the caller promises.
        unsafe {
            asm!("tilestored [{to} + {stride}], tmm{t}", t = const T, to = in(reg) to, stride = in(reg) stride, options(nostack));
        }
    }

    #[inline(always)]
    fn dot<const C: u8, const A: u8, const B: u8>(&mut self) {
        // SAFETY: tiles are no memory.
        unsafe {
            asm!("tdpbf16ps tmm{c}, tmm{a}, tmm{b}", c = const C, a = const A, b = const B, options(nostack, nomem));
        }
    }
}

impl Drop for Unit {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: nobody else in this thread has tiles.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// The same in plain Rust, on any processor, but for numbers below 2^-126, which the processor takes for 0. It adds first and second
/// numbers of pairs apart (Intel's manual, TDPBF16PS).
#[cfg(test)]
pub(super) struct Plain {
    sizes: Sizes,
    tiles: [[[u8; 64]; 16]; 8],
}

#[cfg(test)]
impl Plain {
    pub(super) fn new() -> Plain {
        Plain { sizes: [(0, 0); 8], tiles: [[[0; 64]; 16]; 8] }
    }

    fn size(&self, tile: u8) -> (usize, usize) {
        let (rows, bytes) = self.sizes[usize::from(tile)];
        assert!((1..=16).contains(&rows) && (4..=64).contains(&bytes) && bytes % 4 == 0, "tmm{tile}");
        (usize::from(rows), usize::from(bytes))
    }
}

#[cfg(test)]
impl Tiles for Plain {
    fn configure(&mut self, sizes: &Sizes) {
        *self = Plain { sizes: *sizes, ..Plain::new() };
    }

    fn zero<const T: u8>(&mut self) {
        self.tiles[usize::from(T)] = [[0; 64]; 16];
    }

    unsafe fn load<const T: u8>(&mut self, from: *const u8, stride: usize) {
        let (rows, bytes) = self.size(T);
        self.zero::<T>();
        for (row, tile) in self.tiles[usize::from(T)][..rows].iter_mut().enumerate() {
            // SAFETY: as the caller promises.
            let from = unsafe { std::slice::from_raw_parts(from.add(row * stride), bytes) };
            tile[..bytes].copy_from_slice(from);
        }
    }

    unsafe fn store<const T: u8>(&self, to: *mut u8, stride: usize) {
        let (rows, bytes) = self.size(T);
        for (row, tile) in self.tiles[usize::from(T)][..rows].iter().enumerate() {
            // SAFETY: as the caller promises.
            let to = unsafe { std::slice::from_raw_parts_mut(to.add(row * stride), bytes) };
            to.copy_from_slice(&tile[..bytes]);
        }
    }

    fn dot<const C: u8, const A: u8, const B: u8>(&mut self) {
        let ((rows, c_bytes), (a_rows, a_bytes), (b_rows, b_bytes)) =
            (self.size(C), self.size(A), self.size(B));
        assert!(rows == a_rows && c_bytes == b_bytes && a_bytes / 4 == b_rows, "sizes of a product");
        let bf16 = |tile: u8, row: usize, at: usize| {
            let row = &self.tiles[usize::from(tile)][row];
            f32::from_bits(u32::from(u16::from_le_bytes([row[2 * at], row[2 * at + 1]])) << 16)
        };
        let mut sums = self.tiles[usize::from(C)];
        for (m, row) in sums[..rows].iter_mut().enumerate() {
            for (n, sum) in row.as_chunks_mut::<4>().0[..c_bytes / 4].iter_mut().enumerate() {
                let of = |odd: usize| {
                    let product =
                        |sum: f32, k: usize| bf16(A, m, 2 * k + odd).mul_add(bf16(B, k, 2 * n + odd), sum);
                    (0..b_rows).fold(0.0, product)
                };
                *sum = (f32::from_le_bytes(*sum) + (of(0) + of(1))).to_le_bytes();
            }
        }
        self.tiles[usize::from(C)] = sums;
    }
}
