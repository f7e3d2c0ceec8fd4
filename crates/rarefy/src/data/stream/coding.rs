//! The cells of one sample as what a network sees: missing numbers filled, categories one-hot, scaled.

use crate::data::lent::scaled;

/// How the cells of a sample become a row of numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RowCoding {
    /// What each column of a table becomes; empty for arrays, whose numbers stay as they are.
    pub columns: Vec<CellCoding>,
    /// What a missing number of an array becomes; empty where there are none.
    pub fill: Vec<f32>,
    /// What is taken from each number of a row and what the rest is multiplied by; empty where nothing is scaled.
    pub scales: Vec<(f64, f64)>,
    /// Numbers of a row.
    pub inputs: usize,
    /// Numbers of a position.
    pub channels: usize,
}

/// What a cell becomes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CellCoding {
    /// A number, or this if it is missing.
    Number { mean: f32 },
    /// A 1 at the place of its category, of so many.
    Category {
        /// The place of each word of the file, where training has it.
        places: Vec<Option<usize>>,
        count: usize,
    },
}

impl RowCoding {
    /// Codes cells, without scaling. `seen` is told of each category that is there its column and whether training has it.
    pub(crate) fn code(&self, cells: &[f32], row: &mut [f32], mut seen: impl FnMut(usize, bool)) {
        if self.columns.is_empty() {
            row.copy_from_slice(cells);
            let gaps = row.iter_mut().zip(&self.fill).filter(|(number, _)| number.is_nan());
            gaps.for_each(|(number, fill)| *number = *fill);
            return;
        }
        let mut start = 0;
        for ((at, column), &cell) in self.columns.iter().enumerate().zip(cells) {
            match column {
                CellCoding::Number { mean } => {
                    row[start] = if cell.is_nan() { *mean } else { cell };
                    start += 1;
                }
                CellCoding::Category { places, count } => {
                    row[start..start + count].fill(0.0);
                    if !cell.is_nan() {
                        let place = places[cell as usize];
                        seen(at, place.is_some());
                        place.into_iter().for_each(|place| row[start + place] = 1.0);
                    }
                    start += count;
                }
            }
        }
    }

    /// Scales a row, of whose positions `length` are there if that is given; the others become zero.
    pub(super) fn scale(&self, row: &mut [f32], length: Option<u32>) {
        row.iter_mut().zip(&self.scales).for_each(|(number, &scale)| *number = scaled(*number, scale));
        if let Some(length) = length {
            row[length as usize * self.channels..].fill(0.0);
        }
    }
}
