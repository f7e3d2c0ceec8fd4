//! MurmurHash3, 32 bits for x86 (Austin Appleby, public domain), with seed 0: the hash that scikit-learn's
//! `HashingVectorizer` takes, so that hashed features agree number by number.

/// The hash of some bytes.
pub(super) fn murmur3(bytes: &[u8]) -> u32 {
    let scramble = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = 0u32;
    for &block in blocks {
        hash = (hash ^ scramble(u32::from_le_bytes(block))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut last = [0; 4];
    last[..tail.len()].copy_from_slice(tail);
    hash ^= scramble(u32::from_le_bytes(last));
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// The place of a token among `2^bits`, and the sign of its count: as scikit-learn, the sign bit of the hash gives the
/// sign and its absolute value the place.
pub(super) fn signed_place(token: &str, bits: u32) -> (u32, f32) {
    let hash = murmur3(token.as_bytes()) as i32;
    (hash.unsigned_abs() & ((1 << bits) - 1), if hash >= 0 { 1.0 } else { -1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        // sklearn.utils.murmurhash3_32(text, seed=0)
        for (text, hash) in [
            ("", 0),
            ("a", 1_009_084_850),
            ("ab", -1_681_926_305),
            ("abc", -1_277_324_294),
            ("abcd", 1_139_631_978),
            ("hello", 613_153_351),
            ("Straße", 1_561_572_846),
            ("the quick brown fox", 519_850_996),
        ] {
            assert_eq!(murmur3(text.as_bytes()) as i32, hash, "{text:?}");
        }
        assert_eq!(signed_place("hello", 18), (613_153_351 & 0x3ffff, 1.0));
        assert_eq!(signed_place("ab", 18), (1_681_926_305 & 0x3ffff, -1.0));
    }
}
