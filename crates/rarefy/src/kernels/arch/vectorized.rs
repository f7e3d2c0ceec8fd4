//! Plain code that is compiled once for each instruction set.

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
