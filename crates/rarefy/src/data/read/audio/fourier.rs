//! The power spectrum of `n` real numbers, `n` a power of two: the fast Fourier transform of Cooley and Tukey (1965).
//!
//! Half as many complex numbers are transformed, whose real parts are the numbers of even and whose imaginary parts those of odd
//! place. Of their transform `Z`, `m = n / 2` long, with `w = exp(-2 pi i / n)`:
//!
//! ```text
//! X[k] = E[k] + w^k O[k]      E[k] = (Z[k] + conj Z[m - k]) / 2      O[k] = (Z[k] - conj Z[m - k]) / 2i      k = 0, ..., m
//! ```
//! A crate for all lengths and instruction sets took a megabyte of the program for what is a small part of reading a recording.

use std::f64::consts::TAU;

/// A transform of a length.
#[derive(Clone)]
pub(super) struct Fourier {
    /// Where each complex number comes from: places with their bits in reverse.
    order: Vec<usize>,
    /// Cosine and sine of the turns of each stage, one stage after the other: 1, 2, 4, ... of them.
    turns: Vec<[f32; 2]>,
    /// `w^k`.
    last: Vec<[f32; 2]>,
}

/// Memory for the complex numbers: real parts, imaginary parts.
pub(super) type Room = [Vec<f32>; 2];

impl Fourier {
    /// For `points` numbers, a power of two from 2 on.
    pub(super) fn new(points: usize) -> Fourier {
        let half = points / 2;
        let bits = half.trailing_zeros();
        let reversed =
            |place: usize| if bits == 0 { 0 } else { place.reverse_bits() >> (usize::BITS - bits) };
        let turn = |part: usize, whole: usize| {
            let angle = -TAU * part as f64 / whole as f64;
            [angle.cos() as f32, angle.sin() as f32]
        };
        let stages = (0..bits).map(|bit| 1 << bit);
        Fourier {
            order: (0..half).map(reversed).collect(),
            turns: stages.flat_map(|size: usize| (0..size).map(move |part| turn(part, 2 * size))).collect(),
            last: (0..=half).map(|part| turn(part, points)).collect(),
        }
    }

    /// How many numbers are transformed.
    pub(super) fn points(&self) -> usize {
        2 * self.order.len()
    }

    /// Memory to work in.
    pub(super) fn room(&self) -> Room {
        [vec![0.0; self.order.len()], vec![0.0; self.order.len()]]
    }

    /// Writes `|X[k]|^2` for `k` from 0 to half the points.
    pub(super) fn power(&self, numbers: &[f32], [real, imaginary]: &mut Room, power: &mut [f32]) {
        for (place, &from) in self.order.iter().enumerate() {
            real[place] = numbers[2 * from];
            imaginary[place] = numbers[2 * from + 1];
        }
        let (count, mut turns) = (self.order.len(), &self.turns[..]);
        let mut size = 1;
        while size < count {
            let (these, later) = turns.split_at(size);
            for (real, imaginary) in real.chunks_exact_mut(2 * size).zip(imaginary.chunks_exact_mut(2 * size))
            {
                butterflies(these, real.split_at_mut(size), imaginary.split_at_mut(size));
            }
            (turns, size) = (later, 2 * size);
        }
        for (k, (power, [cos, sin])) in power.iter_mut().zip(&self.last).enumerate() {
            let (here, there) = (k % count, (count - k) % count);
            let even = [real[here] + real[there], imaginary[here] - imaginary[there]];
            let odd = [imaginary[here] + imaginary[there], real[there] - real[here]];
            let sum = [even[0] + cos * odd[0] - sin * odd[1], even[1] + cos * odd[1] + sin * odd[0]];
            *power = 0.25 * (sum[0] * sum[0] + sum[1] * sum[1]);
        }
    }
}

/// `(a, b) <- (a + turn b, a - turn b)`, number by number.
fn butterflies(turns: &[[f32; 2]], real: (&mut [f32], &mut [f32]), imaginary: (&mut [f32], &mut [f32])) {
    let (first, second) = (real.0.iter_mut().zip(imaginary.0), real.1.iter_mut().zip(imaginary.1));
    for ((a, b), [cos, sin]) in first.zip(second).zip(turns) {
        let turned = [cos * *b.0 - sin * *b.1, cos * *b.1 + sin * *b.0];
        (*b.0, *b.1) = (*a.0 - turned[0], *a.1 - turned[1]);
        (*a.0, *a.1) = (*a.0 + turned[0], *a.1 + turned[1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sum_that_defines_it() {
        for points in [2, 4, 8, 64, 512, 4096] {
            let numbers: Vec<f32> = (0..points).map(|n| ((n * n % 97) as f32 - 40.0) / 50.0).collect();
            let fourier = Fourier::new(points);
            let mut power = vec![0.0; points / 2 + 1];
            fourier.power(&numbers, &mut fourier.room(), &mut power);
            assert_eq!(fourier.points(), points);
            for (k, &found) in power.iter().enumerate() {
                let part = |of: fn(f64) -> f64| -> f64 {
                    let angle = |n: usize| TAU * (n * k % points) as f64 / points as f64;
                    numbers.iter().enumerate().map(|(n, &number)| f64::from(number) * of(angle(n))).sum()
                };
                let expected = part(f64::cos).powi(2) + part(f64::sin).powi(2);
                let close = 1e-5 * (expected + points as f64);
                assert!((f64::from(found) - expected).abs() < close, "{points}, {k}: {found} for {expected}");
            }
        }
    }
}
