//! Scaling of inputs.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::settings::Scale;

/// Rows summed together before their sums are added up, in order, so that threads do not change the result.
const ROWS: usize = 1024;
/// Such sums that are in memory at once.
const TOGETHER: usize = 64;

/// How inputs are scaled: `x <- (x - offset) * multiplier`, in `f64`, then rounded to `f32`.
///
/// ```text
/// standard   offset = mean      multiplier = 1 / deviation       deviation = sqrt(sum w (x - mean)^2 / sum w)
/// min-max    offset = smallest  multiplier = 1 / (largest - smallest)
/// global     standard, of all columns together        channel   standard, of each channel over all its positions
/// ```
///
/// The figures are those of the training part, where sample weights `w` are 1 unless given. A column that never changes becomes
/// 0: its multiplier is 0, so that nothing is divided by a deviation of 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaler {
    /// Not at all.
    None,
    /// All columns alike.
    Global {
        /// Taken from each number.
        offset: f32,
        /// What the rest is multiplied by.
        multiplier: f32,
    },
    /// Each column by itself, or each channel: the numbers go round in circles, position after position.
    Columns {
        /// Taken from each number, one per column or channel.
        offsets: Vec<f32>,
        /// What the rest is multiplied by, one per column or channel; 0 for a constant one.
        multipliers: Vec<f32>,
    },
}

/// What a column holds. Missing numbers (NaN) do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moments {
    /// How many numbers there are, and how much they weigh together.
    pub count: usize,
    pub weight: f64,
    pub min: f32,
    pub max: f32,
    pub mean: f64,
    pub deviation: f64,
}

impl Moments {
    /// The moments of several columns together.
    pub(crate) fn pooled<'a>(columns: impl Iterator<Item = &'a Moments> + Clone) -> Moments {
        let count = columns.clone().map(|about| about.count).sum::<usize>();
        let weight = columns.clone().map(|about| about.weight).sum::<f64>();
        let of_all = |about: &Moments| about.weight / positive(weight);
        let mean = columns.clone().map(|about| about.mean * of_all(about)).sum::<f64>();
        let spread =
            |about: &Moments| (about.deviation.powi(2) + (about.mean - mean).powi(2)) * of_all(about);
        Moments {
            count,
            weight,
            min: columns.clone().map(|about| about.min).fold(f32::INFINITY, f32::min),
            max: columns.clone().map(|about| about.max).fold(f32::NEG_INFINITY, f32::max),
            mean,
            deviation: columns.map(spread).sum::<f64>().sqrt(),
        }
    }

    /// Whether all numbers are the same.
    pub(crate) fn is_constant(&self) -> bool {
        self.min >= self.max || self.count == 0
    }
}

/// What a sum of weights is divided by.
fn positive(weight: f64) -> f64 {
    if weight > 0.0 { weight } else { 1.0 }
}

/// A matrix whose rows `read` copies out, each of which counts by its `weight`.
struct Matrix<W, R> {
    rows: usize,
    columns: usize,
    weight: W,
    read: R,
}

impl<W: Fn(usize) -> f32 + Sync, R: Fn(usize, &mut [f32]) + Sync> Matrix<W, R> {
    /// What `add` makes of the rows that weigh anything, for each column; sums over [`ROWS`] rows are put together by `join`.
    fn sums<S: Copy + Send + Sync>(
        &self,
        zero: S,
        add: impl Fn(&mut [S], f64, &[f32]) + Sync,
        join: impl Fn(&mut S, S),
    ) -> Vec<S> {
        let of_chunk = |&start: &usize| {
            let mut row = vec![0.0; self.columns];
            let mut sums = vec![zero; self.columns];
            for index in start..self.rows.min(start + ROWS) {
                let weight = f64::from((self.weight)(index));
                if weight > 0.0 {
                    (self.read)(index, &mut row);
                    add(&mut sums, weight, &row);
                }
            }
            sums
        };
        let chunks: Vec<usize> = (0..self.rows).step_by(ROWS).collect();
        let mut totals = vec![zero; self.columns];
        for chunks in chunks.chunks(TOGETHER) {
            for sums in chunks.par_iter().map(of_chunk).collect::<Vec<_>>() {
                totals.iter_mut().zip(sums).for_each(|(total, sum)| join(total, sum));
            }
        }
        totals
    }
}

/// The moments of each column of a matrix whose rows `read` copies out. A row counts by its `weight`: 2 is as if it stood
/// twice, 0 as if it were not there.
pub(crate) fn moments(
    rows: usize,
    columns: usize,
    weight: impl Fn(usize) -> f32 + Sync,
    read: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<Moments> {
    let matrix = Matrix { rows, columns, weight, read };
    let (min, max) = (f32::INFINITY, f32::NEG_INFINITY);
    let none = Moments { count: 0, weight: 0.0, min, max, mean: 0.0, deviation: 0.0 };
    // As long as they are sums, means are not divided yet.
    let add = |sums: &mut [Moments], weight: f64, row: &[f32]| {
        for (sum, &number) in sums.iter_mut().zip(row).filter(|(_, number)| !number.is_nan()) {
            (sum.min, sum.max) = (sum.min.min(number), sum.max.max(number));
            sum.count += 1;
            sum.weight += weight;
            sum.mean += weight * f64::from(number);
        }
    };
    let mut result = matrix.sums(none, add, |total, sum| {
        total.count += sum.count;
        total.weight += sum.weight;
        (total.min, total.max) = (total.min.min(sum.min), total.max.max(sum.max));
        total.mean += sum.mean;
    });
    result.iter_mut().for_each(|about| about.mean /= positive(about.weight));
    // A second pass for the deviation: the difference of two large sums would lose small deviations.
    let add = |sums: &mut [f64], weight: f64, row: &[f32]| {
        for ((sum, &number), about) in sums.iter_mut().zip(row).zip(&result) {
            let off = f64::from(number) - about.mean;
            *sum += if number.is_nan() { 0.0 } else { weight * (off * off) };
        }
    };
    let squares = matrix.sums(0.0, add, |total, sum| *total += sum);
    for (about, sum) in result.iter_mut().zip(squares) {
        about.deviation = (sum / positive(about.weight)).sqrt();
    }
    result
}

impl Scaler {
    /// Learns a scaler from the columns of the training part. `keep` tells which columns stay as they are (0 and 1 for
    /// a category): they are scaled only if constant. `scale` is no longer `auto`; for `channel`, `columns` are channels.
    pub(crate) fn fit(scale: Scale, columns: &[Moments], keep: impl Fn(usize) -> bool) -> Scaler {
        let by_column = |figures: fn(&Moments) -> (f64, f64)| {
            let (offsets, multipliers) = columns
                .iter()
                .enumerate()
                .map(|(column, about)| match about {
                    _ if about.is_constant() => (about.mean as f32, 0.0),
                    _ if keep(column) => (0.0, 1.0),
                    _ => {
                        let (offset, spread) = figures(about);
                        (offset as f32, (1.0 / spread).min(f32::MAX.into()) as f32)
                    }
                })
                .unzip();
            Scaler::Columns { offsets, multipliers }
        };
        match scale {
            Scale::None => Scaler::None,
            Scale::Standard | Scale::Channel | Scale::Auto => {
                by_column(|about| (about.mean, about.deviation))
            }
            Scale::MinMax => {
                by_column(|about| (about.min.into(), f64::from(about.max) - f64::from(about.min)))
            }
            Scale::Global => {
                let all = Moments::pooled(columns.iter());
                let multiplier = if all.deviation > 0.0 { 1.0 / all.deviation } else { 0.0 };
                Scaler::Global { offset: all.mean as f32, multiplier: multiplier as f32 }
            }
        }
    }

    /// Whether each of so many inputs is scaled by itself.
    pub(crate) fn is_by_input(&self, inputs: usize) -> bool {
        matches!(self, Scaler::Columns { offsets, .. } if offsets.len() == inputs)
    }

    /// The offset and the multiplier of an input.
    pub fn of(&self, input: usize) -> (f64, f64) {
        let (offset, multiplier) = match self {
            Scaler::None => (0.0, 1.0),
            Scaler::Global { offset, multiplier } => (*offset, *multiplier),
            Scaler::Columns { offsets, multipliers } => {
                (offsets[input % offsets.len()], multipliers[input % multipliers.len()])
            }
        };
        (offset.into(), multiplier.into())
    }

    /// Scales samples, row-major, in place.
    pub(crate) fn apply(&self, features: &mut [f32]) {
        // Through f64: the difference of two large f32 numbers could overflow though the result is small.
        let scaled = |number: f32, offset: f32, multiplier: f32| {
            ((f64::from(number) - f64::from(offset)) * f64::from(multiplier)) as f32
        };
        match self {
            Scaler::None => {}
            Scaler::Global { offset, multiplier } => features.par_chunks_mut(1 << 14).for_each(|numbers| {
                for number in numbers {
                    *number = scaled(*number, *offset, *multiplier);
                }
            }),
            Scaler::Columns { offsets, multipliers } => {
                features.par_chunks_mut(offsets.len().max(1)).with_min_len(64).for_each(|row| {
                    for ((number, &offset), &multiplier) in row.iter_mut().zip(offsets).zip(multipliers) {
                        *number = scaled(*number, offset, multiplier);
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(matrix: &[f32], width: usize) -> Vec<Moments> {
        moments(
            matrix.len() / width,
            width,
            |_| 1.0,
            |row, out| out.copy_from_slice(&matrix[row * width..][..width]),
        )
    }

    #[test]
    fn moments_pass_over_missing_numbers() {
        let found = of(&[1.0, f32::NAN, 7.0, 3.0, f32::NAN, 7.0, f32::NAN, f32::NAN, 7.0], 3);
        assert_eq!((found[0].count, found[0].min, found[0].max), (2, 1.0, 3.0));
        assert_eq!((found[0].mean, found[0].deviation), (2.0, 1.0));
        assert!(!found[0].is_constant() && found[1].is_constant() && found[2].is_constant());
    }

    #[test]
    fn many_rows_give_the_same_moments_in_any_number_of_threads() {
        let matrix: Vec<f32> = (0..30_000).map(|i| ((i * 7919) % 1009) as f32 / 7.0).collect();
        let threads = |count| rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
        let one = threads(1).install(|| of(&matrix, 3));
        assert_eq!(one, threads(4).install(|| of(&matrix, 3)));
        let mean = matrix.iter().step_by(3).map(|&x| f64::from(x)).sum::<f64>() / 10_000.0;
        assert!((one[0].mean - mean).abs() < 1e-9);
    }

    #[test]
    fn each_scale_does_what_it_says_and_constant_columns_become_zero() {
        // columns: 0 2 4 | 5 5 5 | 0 1 1, a category
        let matrix = [0.0, 5.0, 0.0, 2.0, 5.0, 1.0, 4.0, 5.0, 1.0];
        let apply = |scale| {
            let scaler = Scaler::fit(scale, &of(&matrix, 3), |column| column == 2);
            let mut scaled = matrix;
            scaler.apply(&mut scaled);
            scaled
        };
        let high = 1.5f32.sqrt();
        assert_eq!(apply(Scale::None), matrix);
        assert_eq!(apply(Scale::MinMax), [0.0, 0.0, 0.0, 0.5, 0.0, 1.0, 1.0, 0.0, 1.0]);
        assert_eq!(apply(Scale::Standard), [-high, 0.0, 0.0, 0.0, 0.0, 1.0, high, 0.0, 1.0]);
        let global = apply(Scale::Global);
        let mean = global.iter().sum::<f32>() / 9.0;
        let variance = global.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 9.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
    }

    #[test]
    fn pooled_columns_have_the_moments_of_all_their_numbers() {
        // Two positions of two channels, the last sample's second position filled up.
        let matrix = [0.0, 5.0, 2.0, 7.0, 4.0, 5.0, f32::NAN, f32::NAN];
        let columns = of(&matrix, 4);
        let channel = |channel: usize| Moments::pooled(columns.iter().skip(channel).step_by(2));
        let (first, second) = (channel(0), channel(1));
        assert_eq!((first.count, first.min, first.max, first.mean), (3, 0.0, 4.0, 2.0));
        assert!((first.deviation - (8.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(
            (second.mean - 17.0 / 3.0).abs() < 1e-12 && (second.deviation.powi(2) - 8.0 / 9.0).abs() < 1e-12
        );
    }

    #[test]
    fn the_largest_and_smallest_numbers_stay_finite() {
        for large in [f32::MAX, f32::MIN_POSITIVE, 1e-44] {
            let mut matrix = [large, -large, large, -large];
            Scaler::fit(Scale::Standard, &of(&matrix, 1), |_| false).apply(&mut matrix);
            assert!(matrix.iter().all(|x| x.is_finite() && x.abs() < 1.001), "{matrix:?}");
        }
    }

    #[test]
    fn a_scaler_survives_json_bit_for_bit() {
        let offsets = vec![0.1, 1.0 / 3.0, 16_777_217.0, 1e-30];
        let scaler =
            Scaler::Columns { multipliers: offsets.iter().map(|x: &f32| 1.0 / x).collect(), offsets };
        let text = serde_json::to_string(&scaler).unwrap();
        assert_eq!(serde_json::from_str::<Scaler>(&text).unwrap(), scaler);
    }
}
