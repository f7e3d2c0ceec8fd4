//! The choice of an instruction set in settings.

named! {
    /// Which instruction set to compute with: the fastest that the processor has for what products read, or one by name. Another one
    /// may give other bits.
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
        /// AVX-512, and pairs (AVX512-BF16) for bf16 products of linear layers, on x86-64.
        Avx512Bf16 = "avx512-bf16",
        /// AVX-512, and tiles (AMX) for bf16 products of row blocks of 16, on x86-64.
        Amx = "amx",
        /// NEON, on AArch64.
        Neon = "neon",
    }
}
