//! Columns whose numbers `f32` cannot tell apart.

use serde::{Deserialize, Serialize};

use super::settings::Scale;

/// What rounding to `f32` may take from a column, as a part of what the column spans.
const FINE: f64 = 1.0 / (1 << 20) as f64;
/// The same where a column cannot be shifted, so that a note is all that can be done.
const LOST: f64 = 1e-3;
/// Numbers closer than this part of their size differ by what computing them in `f64` left.
const NOISE: f64 = 64.0 * f64::EPSILON;

/// A column that is read as `(x - origin) / unit`, because `f32` cannot tell its numbers apart: days as 20240101, milliseconds
/// since 1970, sizes of 1e-50. It is computed in `f64`, gives numbers from 0 to 1, and only these become `f32`; scaled to mean 0
/// and deviation 1, or from 0 to 1, they are what the numbers themselves would be. Origin and unit come from the whole file, for
/// they change nothing but the rounding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// Which one, from 0.
    pub column: usize,
    /// Taken from each number.
    pub origin: f64,
    /// What the rest is divided by.
    pub unit: f64,
}

impl Shift {
    /// A number as it is read.
    pub(crate) fn apply(&self, number: f64) -> f32 {
        ((number - self.origin) / self.unit) as f32
    }

    /// The number that was read so.
    pub(crate) fn undo(&self, number: f64) -> f64 {
        number * self.unit + self.origin
    }
}

/// Whether columns may be shifted: not where numbers are to stay as they are, or to be compared with those of other columns.
pub(crate) fn may_shift(scale: Scale) -> bool {
    matches!(scale, Scale::Auto | Scale::Standard | Scale::MinMax)
}

/// Which columns of an array are read shifted.
pub(crate) enum Shifting {
    Never,
    WhereNeeded,
    /// Those that were so in training.
    As(Vec<Shift>),
}

impl Shifting {
    /// For a file to train on.
    pub(crate) fn by(scale: Scale) -> Shifting {
        if may_shift(scale) { Shifting::WhereNeeded } else { Shifting::Never }
    }

    /// The columns to be read shifted, by what they span.
    pub(crate) fn shifts(&self, spans: &[Span]) -> Vec<Shift> {
        match self {
            Shifting::Never => Vec::new(),
            Shifting::WhereNeeded => (0..).zip(spans).filter_map(|(at, span)| span.shift(at)).collect(),
            Shifting::As(shifts) => shifts.clone(),
        }
    }
}

/// Reads the numbers of rows of this `width`, one after the other, some of their columns shifted.
pub(crate) fn reader(shifts: &[Shift], width: usize) -> impl FnMut(f64) -> f32 {
    let mut by_column = vec![None; width];
    for shift in shifts {
        if let Some(place) = by_column.get_mut(shift.column) {
            *place = Some(*shift);
        }
    }
    let mut column = 0;
    move |number| {
        let shift = by_column[column];
        column = (column + 1) % width;
        match shift {
            // What is not finite stays so.
            Some(shift) if (number as f32).is_finite() => shift.apply(number),
            _ => number as f32,
        }
    }
}

/// Two numbers of a column that may fall together once they are scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Close {
    pub column: usize,
    pub numbers: [f64; 2],
}

/// What the numbers of a column span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    min: f64,
    max: f64,
    /// The most that rounding to `f32` takes from a number.
    rounding: f64,
    last: f64,
    /// Of numbers on lines that follow each other, those closest but not equal, or some that are equal as `f32`.
    closest: [f64; 2],
    is_joined: bool,
}

impl Default for Span {
    fn default() -> Span {
        Span {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            rounding: 0.0,
            last: f64::NAN,
            closest: [0.0, f64::INFINITY],
            is_joined: false,
        }
    }
}

impl Span {
    /// Takes one more number.
    pub(crate) fn add(&mut self, number: f64) {
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        self.rounding = self.rounding.max((number - f64::from(number as f32)).abs());
        let gap = (number - self.last).abs();
        let is_joined = number as f32 == self.last as f32;
        if gap > 0.0 && (is_joined, -gap) > (self.is_joined, -(self.closest[1] - self.closest[0]).abs()) {
            (self.closest, self.is_joined) = ([self.last, number], is_joined);
        }
        self.last = number;
    }

    /// Whether `f32` holds all numbers as they are.
    pub(crate) fn is_exact(&self) -> bool {
        self.rounding == 0.0
    }

    /// How the column is to be read, if not as it is.
    pub(crate) fn shift(&self, column: usize) -> Option<Shift> {
        let unit = self.max - self.min;
        let is_coarse = self.rounding > unit * FINE;
        (unit > 0.0 && unit.is_finite() && is_coarse).then_some(Shift { column, origin: self.min, unit })
    }

    /// Numbers that may fall together.
    pub(crate) fn close(&self, column: usize) -> Option<Close> {
        let gap = (self.closest[1] - self.closest[0]).abs();
        let may_fall = self.is_joined || gap <= (self.max - self.min) * FINE;
        may_fall.then_some(Close { column, numbers: self.closest })
    }

    /// Whether rounding takes a large part of what the column spans, so that some of its numbers are one.
    fn is_lost(&self) -> bool {
        let (unit, size) = (self.max - self.min, self.max.abs().max(self.min.abs()));
        self.is_joined && unit > size * NOISE && self.rounding > unit * LOST
    }
}

/// What the columns of sparse samples span. They cannot be shifted, for zeros must stay, so what `f32` cannot tell apart is noted.
#[derive(Default)]
pub(crate) struct SparseSpans(Vec<Span>);

impl SparseSpans {
    /// Columns after so many are not looked at: files of more are of hashed words, and a span for each takes memory.
    const MOST: usize = 1 << 20;

    /// Takes one more number, and gives it as it is kept.
    pub(crate) fn take(&mut self, column: u32, number: f64) -> f32 {
        let column = column as usize;
        if number != 0.0 && column < Self::MOST {
            if column >= self.0.len() {
                self.0.resize(column + 1, Span::default());
            }
            self.0[column].add(number);
        }
        number as f32
    }

    /// A note if numbers of some column fall together; `name` says how a column is called.
    pub(crate) fn note(&self, name: impl Fn(usize) -> String) -> Option<String> {
        let mut lost = self.0.iter().enumerate().filter(|(_, span)| span.is_lost());
        let (column, Span { closest: [a, b], .. }) = lost.next()?;
        let more = match lost.count() {
            0 => String::new(),
            more => format!(" (and so in {more} more)"),
        };
        let name = name(column);
        Some(format!(
            "{name} holds {a} and {b}, which fall together in 32 bits{more}; subtract an offset from its numbers, or give them as a CSV file or a dense array"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(numbers: impl IntoIterator<Item = f64>) -> Span {
        let mut span = Span::default();
        numbers.into_iter().for_each(|number| span.add(number));
        span
    }

    #[test]
    fn only_what_f32_cannot_hold_is_shifted() {
        let days = span((0..30).map(|day| 20_240_101.0 + f64::from(day)));
        let shift = days.shift(3).unwrap();
        assert_eq!((shift.column, shift.origin, shift.unit), (3, 20_240_101.0, 29.0));
        assert_eq!((shift.apply(20_240_130.0), shift.undo(1.0)), (1.0, 20_240_130.0));
        for numbers in [
            vec![1.7e12, 1.7e12 + 1000.0, 1.7e12 + 5000.0],
            vec![101_325_000.0, 101_325_003.0],
            vec![1e-50, 3e-50, -2e-50],
        ] {
            let shift = span(numbers.clone()).shift(0).unwrap();
            let mut read: Vec<f32> = numbers.iter().map(|&number| shift.apply(number)).collect();
            read.sort_by(f32::total_cmp);
            read.dedup();
            assert_eq!(read.len(), numbers.len());
        }
        for numbers in [
            vec![0.1, 0.2, 0.7],
            vec![1950.0, 2020.0],
            vec![7.3, 7.3],
            vec![1.0, 2.0, 1e12],
            vec![],
            vec![20_240_101.0],
        ] {
            assert_eq!(span(numbers).shift(0), None);
        }
    }

    #[test]
    fn close_numbers_are_found_beside_those_far_off() {
        assert_eq!(span([1.0, 2.0, 4.0]).close(0), None);
        assert_eq!(span([5.0, 5.0]).close(0), None);
        let found = span([3.0, 1.0, 2.0, 1e12]).close(7).unwrap();
        assert_eq!((found.column, found.numbers), (7, [1.0, 2.0]));
    }

    #[test]
    fn sparse_columns_whose_numbers_are_lost_are_noted() {
        let days = |first: f64| (0..30).map(|day| first + f64::from(day)).collect();
        let cases: [(Vec<f64>, bool); 9] = [
            (days(1.7e12), true),
            (days(20_240_101.0), true),
            (vec![1e-50, 2e-50], true),
            (days(16_000_000.0), false),
            (vec![0.1, 0.2, 0.7], false),
            (vec![1.7e12, 1.7e12], false),
            (vec![0.0, 1.0, 1.0], false),
            // Of one number, as words of equal weight have.
            (vec![0.577_350_269_189_625_8, 0.577_350_269_189_625_7], false),
            // Close by chance, in a column of others.
            (vec![0.1, 0.100_000_000_1, 0.9], false),
        ];
        for (numbers, noted) in cases {
            let mut spans = SparseSpans::default();
            for &number in &numbers {
                assert_eq!(spans.take(3, number), number as f32);
                spans.take(1, 1.0);
            }
            assert_eq!(spans.note(|column| column.to_string()).is_some(), noted, "{numbers:?}");
        }
        let mut spans = SparseSpans::default();
        for (column, number) in [(5, 1e12), (6, 1e12), (5, 1e12 + 1.0), (6, 1e12 + 1.0)] {
            spans.take(column, number);
        }
        let note = spans.note(|column| format!("column {column}")).unwrap();
        let expected = "column 5 holds 1000000000000 and 1000000000001, which fall together in 32 bits (and so in 1 more)";
        assert!(note.starts_with(expected), "{note}");
    }
}
