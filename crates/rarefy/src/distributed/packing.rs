//! How numbers are packed that go from rank to rank: in how many bits.

use crate::math::{nearest_bf16, of_bf16, to_bf16};

named! {
    /// In how many bits ranks tell each other numbers that are added up.
    #[derive(Default)]
    pub enum Packing {
        /// All 32: the number of ranks changes no bit.
        #[default]
        F32 = "f32",
        /// 16 (bfloat16), half the bytes: partial sums are rounded to the nearest before they are sent, and so is the whole sum. All ranks
        /// still hold the same numbers; another number of ranks rounds other sums, so that bits differ.
        Bf16 = "bf16",
    }
}

impl Packing {
    /// Bytes of a number on its way.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Packing::F32 => 4,
            Packing::Bf16 => 2,
        }
    }

    /// Adds numbers to the end of a message.
    pub(crate) fn write(self, numbers: &[f32], message: &mut Vec<u8>) {
        match self {
            Packing::F32 => message.extend_from_slice(bytemuck::cast_slice(numbers)),
            Packing::Bf16 => {
                message.extend(numbers.iter().flat_map(|&number| to_bf16(number).to_ne_bytes()));
            }
        }
    }

    /// Lets each of `numbers` `meet` the one in its place in a message.
    pub(crate) fn read(self, message: &[u8], numbers: &mut [f32], meet: impl Fn(&mut f32, f32)) {
        match self {
            Packing::F32 => {
                let told = message.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes));
                numbers.iter_mut().zip(told).for_each(|(number, told)| meet(number, told));
            }
            Packing::Bf16 => {
                let told = message.as_chunks().0.iter().map(|bytes| of_bf16(u16::from_ne_bytes(*bytes)));
                numbers.iter_mut().zip(told).for_each(|(number, told)| meet(number, told));
            }
        }
    }

    /// Rounds numbers to what can be told.
    pub(super) fn round(self, numbers: &mut [f32]) {
        if self == Packing::Bf16 {
            numbers.iter_mut().for_each(|number| *number = nearest_bf16(*number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers = [1.5, -0.0, 3e-20, -256.0];
        for packing in Packing::ALL {
            let (mut expected, mut message, mut found) = (numbers, vec![], [0.0; 4]);
            packing.round(&mut expected);
            packing.write(&numbers, &mut message);
            assert_eq!(message.len(), 4 * packing.bytes());
            packing.read(&message, &mut found, |number, told| *number = told);
            assert_eq!(found.map(f32::to_bits), expected.map(f32::to_bits), "{packing}");
        }
    }
}
