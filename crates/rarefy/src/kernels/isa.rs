//! The instruction set that kernels run on: chosen once, printed once, forced by name. Holding an [`Isa`] is the proof
//! that this processor has it.

/// An instruction set that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
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
        let available = Isa::available();
        available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| {
            let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
            crate::Error::setting(
                "isa",
                format!("\"{name}\" is not to be had here; this processor has {}", names.join(", ")),
            )
        })
    }

    /// `scalar`, `avx2`, `avx512` or `neon`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
        }
    }

    pub(super) fn kind(self) -> Kind {
        self.0
    }

    /// Runs plain Rust code compiled for this instruction set. It works as far as `body` is inlined: keep a closure to a
    /// short loop over slices and `#[inline(always)]` calls, and make anything longer a [`Vectorized`] of its own.
    #[inline]
    pub fn vectorize<V: Vectorized>(self, body: V) -> V::Output {
        match self.0 {
            Kind::Scalar => body.run(),
            // SAFETY: an `Isa` of this kind exists only where the processor has these features.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { super::avx2::run(body) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { super::avx512::run(body) },
            // NEON is part of every aarch64 target's baseline.
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => body.run(),
        }
    }
}

/// Code to be compiled for each instruction set. A closure is inlined only while it is short: in a long one, as that of an
/// LSTM's unit, loops would run on the baseline's registers, five times as slow. Here `run` is `#[inline(always)]`.
pub trait Vectorized {
    /// What comes out.
    type Output;

    /// Runs it. Implementations are `#[inline(always)]`, and so is what they call.
    fn run(self) -> Self::Output;
}

impl<R, F: FnOnce() -> R> Vectorized for F {
    type Output = R;

    #[inline(always)]
    fn run(self) -> R {
        self()
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
