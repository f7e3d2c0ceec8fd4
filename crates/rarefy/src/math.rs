//! The few transcendental functions that training needs, for `f32`, in plain arithmetic: they inline into loops over
//! lanes and vectorise, and give the same bits on every platform and instruction set. The standard library's calls do
//! neither. Each is a range reduction and a short polynomial; the coefficients of `exp`, `ln` and `tanh` are those of
//! Cephes (Moshier 1989, single precision). Errors below are against `f64`, in units in the last place (ulp).

/// `e^x`, within 1.25 ulp. Gives 0 below -104, infinity above 88.73, NaN for NaN; subnormal results are kept.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-105.0, 90.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first short enough that its product with n is exact.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let fraction = p * (r * r) + r + 1.0;
    // 2^power in two factors, because 2^128 and 2^-140 are not normal numbers.
    let half = power >> 1;
    fraction * power_of_two(half) * power_of_two(power.wrapping_sub(half))
}

/// `2^n` for n in -126..=127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// The natural logarithm, within 1.25 ulp. Gives negative infinity for 0, NaN below 0.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    let subnormal = x < f32::MIN_POSITIVE;
    let bits = (if subnormal { x * 8_388_608.0 } else { x }).to_bits();
    // x = 2^n * m with m from sqrt(1/2) to sqrt(2).
    let power = bits.wrapping_sub(SQRT_HALF_BITS) as i32 >> 23;
    let m = f32::from_bits(bits.wrapping_sub((power << 23) as u32));
    let n = power as f32 - if subnormal { 23.0 } else { 0.0 };
    let f = m - 1.0;
    let mut p = 7.037_683_6e-2;
    p = p * f - 1.151_461e-1;
    p = p * f + 1.167_699_9e-1;
    p = p * f - 1.242_014_1e-1;
    p = p * f + 1.424_932_3e-1;
    p = p * f - 1.666_805_8e-1;
    p = p * f + 2.000_071_5e-1;
    p = p * f - 2.499_999_4e-1;
    p = p * f + 3.333_333e-1;
    let square = f * f;
    let tail = p * f * square - n * 2.121_944_4e-4 - 0.5 * square;
    let result = tail + f + n * 0.693_359_4;
    let result = if x == 0.0 { f32::NEG_INFINITY } else { result };
    // `>=` is false for NaN, so that NaN stays NaN; infinity passes through.
    let result = if x >= 0.0 { result } else { f32::NAN };
    if x == f32::INFINITY { x } else { result }
}

/// `ln(1 + x)` for x from 0 to 1, within 2 ulp, small x included. With `x = exp(-|z|)` it is the stable part of
/// `ln(1 + exp(z)) = max(z, 0) + ln(1 + exp(-|z|))`.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    // ln(1 + x) = 2 atanh(s), s = x / (2 + x) <= 1/3: eight terms of the series leave 1e-9.
    let s = x / (2.0 + x);
    let square = s * s;
    let mut p = 1.0 / 15.0;
    p = p * square + 1.0 / 13.0;
    p = p * square + 1.0 / 11.0;
    p = p * square + 1.0 / 9.0;
    p = p * square + 1.0 / 7.0;
    p = p * square + 1.0 / 5.0;
    p = p * square + 1.0 / 3.0;
    let twice = s + s;
    twice + twice * (p * square)
}

/// The hyperbolic tangent, within 1.5 ulp.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let far = 1.0 - 2.0 / (exp(size + size) + 1.0);
    let square = x * x;
    let mut p = -5.704_988_7e-3;
    p = p * square + 2.063_908_8e-2;
    p = p * square - 5.373_971_6e-2;
    p = p * square + 1.333_144_2e-1;
    p = p * square - 3.333_328e-1;
    let near = x + x * square * p;
    select(size > 0.625, far.copysign(x), near)
}

/// One of two numbers. By bits: of an `if` in a long loop the compiler may make a branch, and then the loop is not vectorised.
#[inline(always)]
pub fn select(condition: bool, then: f32, otherwise: f32) -> f32 {
    let mask = u32::from(condition).wrapping_neg();
    f32::from_bits(then.to_bits() & mask | otherwise.to_bits() & !mask)
}

/// The logistic function `1 / (1 + e^-x)`, within 2.5 ulp; 0 below -88.73, where the true value is under 3e-39.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The bits of the nearest bfloat16: the upper half of an `f32`'s, of two as near to it the even ones.
#[inline(always)]
pub fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        // Rounded up it would be an infinity.
        return (bits >> 16) as u16 | 1;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The number that a bfloat16 is.
#[inline(always)]
pub fn of_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The nearest number that is a bfloat16.
#[inline(always)]
pub fn nearest_bf16(x: f32) -> f32 {
    of_bf16(to_bf16(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error in ulp over a dense walk through all bit patterns from `low` to `high`.
    fn worst(low: f32, high: f32, ours: fn(f32) -> f32, exact: fn(f64) -> f64) -> (f64, f32) {
        let mut worst = (0.0, 0.0);
        let mut check = |x: f32| {
            let want = exact(f64::from(x));
            let rounded = want as f32;
            let got = ours(x);
            if !rounded.is_finite() || !got.is_finite() {
                assert_eq!(rounded, got, "at {x:e}");
                return;
            }
            let ulp = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
            let error = (f64::from(got) - want).abs() / ulp;
            if error > worst.0 {
                worst = (error, x);
            }
        };
        for bits in (0..=f32::INFINITY.to_bits()).step_by(691) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                if (low..=high).contains(&x) {
                    check(x);
                }
            }
        }
        [low, high].into_iter().for_each(check);
        worst
    }

    /// Name, range, ours, exact, limit in ulp.
    type Row = (&'static str, (f32, f32), fn(f32) -> f32, fn(f64) -> f64, f64);

    #[test]
    fn close_to_f64_over_the_whole_range() {
        let everything = (f32::NEG_INFINITY, f32::INFINITY);
        #[rustfmt::skip]
        let table: [Row; 5] = [
            ("exp",     everything,           exp,     f64::exp,                     1.25),
            ("ln",      (0.0, f32::INFINITY), ln,      f64::ln,                      1.25),
            ("ln_1p",   (0.0, 1.0),           ln_1p,   f64::ln_1p,                   2.0),
            ("tanh",    everything,           tanh,    f64::tanh,                    1.5),
            ("sigmoid", (-88.5, f32::INFINITY), sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 2.5),
        ];
        for (name, (low, high), ours, exact, limit) in table {
            let (error, at) = worst(low, high, ours, exact);
            assert!(error <= limit, "{name}({at:e}) is off by {error} ulp");
        }
    }

    #[test]
    fn special_values() {
        for function in [exp, ln, ln_1p, tanh, sigmoid] {
            assert!(function(f32::NAN).is_nan());
        }
        assert_eq!((exp(f32::NEG_INFINITY), exp(0.0), exp(f32::INFINITY)), (0.0, 1.0, f32::INFINITY));
        assert_eq!((exp(-1e30), exp(89.0)), (0.0, f32::INFINITY));
        assert_eq!((ln(0.0), ln(1.0), ln(f32::INFINITY)), (f32::NEG_INFINITY, 0.0, f32::INFINITY));
        assert!(ln(-1.0).is_nan() && ln(f32::NEG_INFINITY).is_nan());
        assert_eq!((sigmoid(-1e4), sigmoid(0.0), sigmoid(1e4)), (0.0, 0.5, 1.0));
        assert_eq!((tanh(f32::NEG_INFINITY), tanh(0.0), tanh(1e4)), (-1.0, 0.0, 1.0));
    }

    #[test]
    fn bf16s_are_the_nearest_and_of_two_the_even_one() {
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
            assert_eq!(nearest_bf16(number).to_bits(), f32::to_bits(expected), "{number}");
        }
        assert!(nearest_bf16(f32::from_bits(0x7f80_0001)).is_nan());
    }
}
