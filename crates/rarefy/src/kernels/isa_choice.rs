//! The choice of an instruction set in settings.

use super::Isa;
use crate::Result;

named! {
    /// Which instruction set to compute with: the fastest that the processor has, or one by name. Another one may give other
    /// bits.
    #[derive(Default)]
    pub enum IsaChoice {
        /// The fastest that this processor has.
        #[default]
        Auto = "auto",
        /// Plain Rust, on any processor.
        Scalar = "scalar",
        /// AVX2 with FMA, on x86-64.
        Avx2 = "avx2",
        /// AVX-512, on x86-64.
        Avx512 = "avx512",
        /// NEON, on AArch64.
        Neon = "neon",
    }
}

impl IsaChoice {
    /// The instruction set.
    ///
    /// # Errors
    /// If this processor lacks it; the message lists what it has.
    pub fn isa(self) -> Result<Isa> {
        Isa::named(self.name())
    }
}
