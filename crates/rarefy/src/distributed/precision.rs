//! In how many bits numbers go from rank to rank.

named! {
    /// In how many bits ranks tell each other numbers that are added up.
    #[derive(Default)]
    pub enum Precision {
        /// All 32: the number of ranks changes no bit.
        #[default]
        F32 = "f32",
        /// 16 (bfloat16), half the bytes: partial sums are rounded to the nearest before they are sent, and so is the whole sum. All ranks
        /// still hold the same numbers; another number of ranks rounds other sums, so that bits differ.
        Bf16 = "bf16",
    }
}

impl Precision {
    /// Bytes of a number on its way.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        }
    }

    /// Adds numbers to the end of a message.
    pub(crate) fn write(self, numbers: &[f32], message: &mut Vec<u8>) {
        match self {
            Precision::F32 => message.extend_from_slice(bytemuck::cast_slice(numbers)),
            Precision::Bf16 => {
                message.extend(numbers.iter().flat_map(|&number| rounded(number).to_ne_bytes()));
            }
        }
    }

    /// Lets each of `numbers` `meet` the one in its place in a message.
    pub(crate) fn read(self, message: &[u8], numbers: &mut [f32], meet: impl Fn(&mut f32, f32)) {
        match self {
            Precision::F32 => {
                let told = message.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes));
                numbers.iter_mut().zip(told).for_each(|(number, told)| meet(number, told));
            }
            Precision::Bf16 => {
                let told = message.as_chunks().0.iter().map(|bytes| widened(u16::from_ne_bytes(*bytes)));
                numbers.iter_mut().zip(told).for_each(|(number, told)| meet(number, told));
            }
        }
    }

    /// Rounds numbers to what can be told.
    pub(super) fn round(self, numbers: &mut [f32]) {
        if self == Precision::Bf16 {
            numbers.iter_mut().for_each(|number| *number = nearest_bf16(*number));
        }
    }
}

/// The upper half of a number's bits, rounded to the nearest, of two as near to the even one.
#[inline(always)]
fn rounded(number: f32) -> u16 {
    let bits = number.to_bits();
    if number.is_nan() {
        // Rounded up it would be an infinity.
        return (bits >> 16) as u16 | 1;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The nearest number of 16 bits.
#[inline(always)]
pub(crate) fn nearest_bf16(number: f32) -> f32 {
    widened(rounded(number))
}

#[inline(always)]
fn widened(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_nearest_and_of_two_the_even_one() {
        let step = 2f32.powi(-7);
        for (number, expected) in [
            (0.0, 0.0),
            (-0.0, -0.0),
            (1.0 + 0.4 * step, 1.0),
            (1.0 + 0.6 * step, 1.0 + step),
            (1.0 + 0.5 * step, 1.0),
            (1.0 + 1.5 * step, 1.0 + 2.0 * step),
            (-1.0 - 1.5 * step, -1.0 - 2.0 * step),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            assert_eq!(widened(rounded(number)).to_bits(), f32::to_bits(expected), "{number}");
        }
        assert!(widened(rounded(f32::from_bits(0x7f80_0001))).is_nan());
    }

    #[test]
    fn what_is_written_is_read() {
        let numbers = [1.5, -0.0, 3e-20, -256.0];
        for precision in Precision::ALL {
            let (mut expected, mut message, mut found) = (numbers, vec![], [0.0; 4]);
            precision.round(&mut expected);
            precision.write(&numbers, &mut message);
            assert_eq!(message.len(), 4 * precision.bytes());
            precision.read(&message, &mut found, |number, told| *number = told);
            assert_eq!(found.map(f32::to_bits), expected.map(f32::to_bits), "{precision}");
        }
    }
}
