//! Numbers of a caller's that `f32` would round: read row by row where they lie, so that no copy of them is made but the `f32` that is
//! trained on.

use std::fmt;
use std::sync::Arc;

use super::span::{Shift, Span};

/// Writes the row of this number.
type Read = dyn Fn(usize, &mut [f64]) + Send + Sync;

/// Rows of numbers in a caller's memory, for as long as this lives. They must not change meanwhile.
#[derive(Clone)]
pub(crate) struct WideRows {
    pub(super) rows: usize,
    pub(super) inputs: usize,
    read: Arc<Read>,
}

impl WideRows {
    pub(super) fn new(
        rows: usize,
        inputs: usize,
        read: impl Fn(usize, &mut [f64]) + Send + Sync + 'static,
    ) -> WideRows {
        WideRows { rows, inputs, read: Arc::new(read) }
    }

    /// Shows each row with its number, until `look` finds something.
    pub(super) fn find<T>(&self, mut look: impl FnMut(usize, &[f64]) -> Option<T>) -> Option<T> {
        let mut numbers = vec![0.0; self.inputs];
        (0..self.rows).find_map(|row| {
            (self.read)(row, &mut numbers);
            look(row, &numbers)
        })
    }

    /// What the numbers of each column span.
    pub(super) fn spans(&self) -> Vec<Span> {
        let mut spans = vec![Span::default(); self.inputs];
        self.find(|_, numbers| {
            spans.iter_mut().zip(numbers).for_each(|(span, &number)| span.add(number));
            None::<()>
        });
        spans
    }
}

impl fmt::Debug for WideRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WideRows({} x {})", self.rows, self.inputs)
    }
}

impl PartialEq for WideRows {
    fn eq(&self, other: &WideRows) -> bool {
        let mut theirs = vec![0.0; other.inputs];
        let mut differs = |row: usize, numbers: &[f64]| {
            (other.read)(row, &mut theirs);
            (numbers != theirs).then_some(())
        };
        (self.rows, self.inputs) == (other.rows, other.inputs) && self.find(&mut differs).is_none()
    }
}

/// Such rows as `f32`, some columns of them shifted.
pub(crate) struct WideCells {
    pub(super) rows: WideRows,
    pub(super) shifts: Vec<Shift>,
}

impl WideCells {
    /// Copies a row.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        let mut numbers = vec![0.0; self.rows.inputs];
        (self.rows.read)(row, &mut numbers);
        out.iter_mut().zip(&numbers).for_each(|(out, &number)| *out = number as f32);
        for shift in &self.shifts {
            out[shift.column] = shift.apply(numbers[shift.column]);
        }
    }

    /// All rows.
    pub(super) fn to_narrow(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.rows.rows * self.rows.inputs];
        all.chunks_exact_mut(self.rows.inputs).enumerate().for_each(|(row, out)| self.copy_row(row, out));
        all
    }
}
