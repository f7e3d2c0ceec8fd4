//! Rows with their zeros and without.

use crate::data::csr::Csr;

/// The nonzeros of whole rows.
pub(super) fn nonzeros<'a>(rows: impl Iterator<Item = &'a [f32]>, inputs: usize) -> Csr {
    let mut found = Csr::empty(inputs);
    for row in rows {
        let mut entries: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
        found.push(&mut entries).expect("whole rows are finite and in order");
    }
    found
}

/// Sparse rows with their zeros.
pub(super) fn whole(rows: &Csr) -> Vec<f32> {
    let mut numbers = vec![0.0; rows.rows() * rows.features()];
    for (row, numbers) in numbers.chunks_exact_mut(rows.features()).enumerate() {
        let (columns, values) = rows.row(row);
        columns.iter().zip(values).for_each(|(&column, &value)| numbers[column as usize] = value);
    }
    numbers
}
