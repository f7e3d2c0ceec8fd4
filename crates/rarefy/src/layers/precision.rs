//! In how many bits the products of a network read their numbers.

use crate::kernels::{Isa, TileSupport, par_chunks};
use crate::math::nearest_bf16;
use crate::{Error, Result};

named! {
    /// In how many bits the products of a network read their numbers.
    ///
    /// ```text
    /// activations, their gradients, a copy of the weights                                     rounded with bf16
    /// sums, weights as they are trained, optimizer state, biases, loss, norms' statistics,
    /// states and softmax within a layer, and what the network puts out                        always f32
    /// ```
    /// What goes from layer to layer is rounded once where it is written, to the nearest, of two as near to the even one. So a rounded
    /// number has the upper 16 bits of an `f32`, and products are those of bf16 numbers, summed in `f32` (Kalamkar et al. 2019,
    /// arXiv 1905.12322).
    #[derive(Default)]
    pub enum Precision {
        /// All 32.
        #[default]
        F32 = "f32",
        /// 16 (bfloat16).
        Bf16 = "bf16",
    }
}

/// Numbers that one piece of work rounds: some ten microseconds.
const NUMBERS: usize = 1 << 16;

impl Precision {
    /// The fastest instruction set that this processor has for products that read such numbers.
    pub fn detect_isa(self) -> Isa {
        match self {
            Precision::F32 => Isa::detect(),
            Precision::Bf16 => Isa::detect_bf16(),
        }
    }

    /// The instruction set of that name for products that read such numbers; `auto` is the fastest that this processor has.
    ///
    /// # Errors
    /// If this processor lacks it, or it is not for such numbers; the message says which are.
    pub fn isa(self, name: &str) -> Result<Isa> {
        let wrong = |problem: String| Err(Error::setting("isa", problem));
        match (name, self) {
            ("auto", _) => Ok(self.detect_isa()),
            ("amx" | "avx512-bf16", Precision::F32) => wrong(format!(
                "\"{name}\" is for products of bf16 numbers: set train.precision = \"bf16\", or leave it out"
            )),
            ("amx", Precision::Bf16) if Isa::amx_support() == TileSupport::Refused => wrong(
                "\"amx\" is refused to this process by the system, though the processor has it; leave it out"
                    .into(),
            ),
            (_, Precision::F32) => Isa::named(name),
            (_, Precision::Bf16) => Isa::named_of(name, &Isa::available_bf16()),
        }
    }

    /// Rounds what a product will read.
    pub(crate) fn round(self, isa: Isa, numbers: &mut [f32]) {
        if self == Precision::Bf16 {
            par_chunks(numbers, NUMBERS, &|_, numbers: &mut [f32]| {
                crate::vectorize!(isa, numbers.iter_mut().for_each(|number| *number = nearest_bf16(*number)));
            });
        }
    }

    /// Whether rounding would change nothing.
    pub(super) fn has_rounded(self, numbers: &[f32]) -> bool {
        self == Precision::F32
            || numbers.iter().all(|number| number.to_bits() == nearest_bf16(*number).to_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruction_sets_for_bf16_are_for_nothing_else() {
        for name in ["amx", "avx512-bf16"] {
            let error = Precision::F32.isa(name).unwrap_err().to_string();
            assert!(error.contains(&format!("isa: \"{name}\" is for products of bf16 numbers")), "{error}");
        }
        assert_eq!(Precision::F32.isa("auto").unwrap(), Isa::detect());
        assert_eq!(Precision::Bf16.isa("scalar").unwrap(), Isa::SCALAR);
        assert_eq!(Precision::Bf16.isa("auto").unwrap(), Isa::detect_bf16());
        for (name, isa) in [("amx", Isa::amx()), ("avx512-bf16", Isa::avx512_bf16())] {
            let named = Precision::Bf16.isa(name).map_err(|error| error.to_string());
            match isa {
                Some(isa) => assert_eq!(named, Ok(isa)),
                None => {
                    assert!(
                        named.unwrap_err().contains(&format!("\"{name}\" is ")),
                        "not to be had, or refused"
                    );
                }
            }
        }
    }
}
