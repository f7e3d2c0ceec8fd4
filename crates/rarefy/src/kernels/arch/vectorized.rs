//! Plain code that is compiled once for each instruction set.

/// Code to be compiled for each instruction set ([`Isa::vectorize`](super::Isa::vectorize)), where loops stand in functions of their own.
pub trait Vectorized {
    /// What comes out.
    type Output;

    /// Runs it. Implementations are `#[inline(always)]`, and so is what they call.
    fn run(self) -> Self::Output;
}

/// A closure of [`vectorize!`](crate::vectorize).
pub(super) struct Body<F>(pub(super) F);

impl<R, F: FnOnce() -> R> Vectorized for Body<F> {
    type Output = R;

    #[inline(always)]
    fn run(self) -> R {
        (self.0)()
    }
}

/// Evaluates an expression compiled for the instruction set that an [`Isa`](crate::kernels::Isa) names: loops over slices and
/// `#[inline(always)]` calls.
///
/// The expression stands in the code once for each instruction set, so that each copy has one caller and is inlined there. One closure
/// for all would have several, stay a function of its own, and run on the baseline's registers.
///
/// ```
/// use rarefy::kernels::Isa;
///
/// let (a, mut b) = ([1.0f32; 64], [2.0f32; 64]);
/// rarefy::vectorize!(Isa::detect(), for (b, a) in b.iter_mut().zip(&a) {
///     *b += a;
/// });
/// assert_eq!(b, [3.0; 64]);
/// ```
#[macro_export]
macro_rules! vectorize {
    ($isa:expr, $body:expr) => {{
        let isa: $crate::kernels::Isa = $isa;
        match isa.kind() {
            2 => isa.run_as::<2, _>(|| $body),
            1 => isa.run_as::<1, _>(|| $body),
            _ => $body,
        }
    }};
}
