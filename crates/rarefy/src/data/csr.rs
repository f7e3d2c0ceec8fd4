//! Sparse rows: samples of which only the numbers other than zero are kept, as bags of words are.
//!
//! ```text
//! [ . 2 . 1 ]     offsets  0 2 2 3
//! [ . . . . ]     indices  1 3 0        sorted and unique within a row
//! [ 5 . . . ]     values   2 1 5
//! ```

use crate::InputProblem;

/// Samples x features, each row its nonzeros.
///
/// ```
/// use rarefy::data::Csr;
///
/// let mut rows = Csr::empty(4);
/// rows.push(&mut [(3, 1.0), (1, 2.0)]).unwrap();
/// rows.push(&mut []).unwrap();
/// assert_eq!((rows.rows(), rows.row(0)), (2, (&[1, 3][..], &[2.0, 1.0][..])));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Csr {
    features: usize,
    offsets: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl Csr {
    /// Rows from parts that may come from a file.
    ///
    /// # Errors
    /// The broken invariant and its row: offsets that fall or do not end at the number of values, columns that are out of
    /// range, unsorted or twice in a row, a number that is not finite.
    pub fn new(
        features: usize,
        offsets: Vec<usize>,
        indices: Vec<u32>,
        values: Vec<f32>,
    ) -> Result<Csr, InputProblem> {
        if indices.len() != values.len() {
            let (found, expected) = (values.len(), indices.len());
            return Err(InputProblem::Count { what: "values", found, expected });
        }
        let count = values.len();
        let wrong_offset = |row: usize| {
            let offset = offsets.get(row).copied().unwrap_or(0);
            InputProblem::Offset { row, offset, values: count }
        };
        let last = offsets.len().saturating_sub(1);
        if offsets.first() != Some(&0) {
            return Err(wrong_offset(0));
        }
        if offsets[last] != count {
            return Err(wrong_offset(last));
        }
        for (row, pair) in offsets.windows(2).enumerate() {
            let line = indices.get(pair[0]..pair[1]).ok_or_else(|| wrong_offset(row + 1))?;
            if let Some(pair) = line.windows(2).find(|pair| pair[0] >= pair[1]) {
                let column = pair[1];
                let is_twice = pair[0] == column;
                return Err(if is_twice {
                    InputProblem::Twice { row, column }
                } else {
                    InputProblem::Unsorted { row, column }
                });
            }
            if let Some(&column) = line.last().filter(|&&last| last as usize >= features) {
                return Err(InputProblem::ColumnOutOfRange { row, column, inputs: features });
            }
            let numbers = line.iter().zip(&values[pair[0]..pair[1]]);
            if let Some((&column, &value)) = numbers.into_iter().find(|(_, value)| !value.is_finite()) {
                let (column, value) = (column as usize, value.into());
                return Err(InputProblem::NotFinite { row, column, value });
            }
        }
        Ok(Csr { features, offsets, indices, values })
    }

    /// No rows yet; [`Csr::push`] adds them.
    pub fn empty(features: usize) -> Csr {
        Csr { features, offsets: vec![0], indices: Vec::new(), values: Vec::new() }
    }

    /// Adds a row. Its entries may come in any order, and zeros are left out; they come back sorted.
    ///
    /// # Errors
    /// What is wrong with the row, in words; nothing is added then.
    pub fn push(&mut self, entries: &mut [(u32, f32)]) -> Result<(), String> {
        Csr::sort_row(self.features, entries)?;
        self.push_sound(entries.iter().copied().filter(|(_, value)| *value != 0.0));
        Ok(())
    }

    /// Sorts the entries of a row, and checks them.
    pub(crate) fn sort_row(features: usize, entries: &mut [(u32, f32)]) -> Result<(), String> {
        entries.sort_unstable_by_key(|&(index, _)| index);
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("index {} comes twice", pair[0].0));
        }
        if let Some((last, _)) = entries.last().filter(|(last, _)| *last as usize >= features) {
            return Err(format!("index {last} is beyond the {features} features"));
        }
        if let Some((index, value)) = entries.iter().find(|(_, value)| !value.is_finite()) {
            return Err(format!("the value {value} of index {index} is not a finite number"));
        }
        Ok(())
    }

    /// No rows any more, of so many features; keeps the memory.
    pub(crate) fn clear(&mut self, features: usize) {
        self.features = features;
        self.offsets.clear();
        self.offsets.push(0);
        self.indices.clear();
        self.values.clear();
    }

    /// Adds a row whose entries are sorted, within the features and not zero.
    pub(crate) fn push_sound(&mut self, entries: impl Iterator<Item = (u32, f32)>) {
        for (index, value) in entries {
            self.indices.push(index);
            self.values.push(value);
        }
        self.offsets.push(self.indices.len());
    }

    /// Features of a sample.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Samples.
    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Numbers that are kept.
    pub fn nnz(&self) -> usize {
        self.indices.len()
    }

    /// The part of all `rows x features` numbers that is kept, from 0 to 1.
    pub fn density(&self) -> f64 {
        self.nnz() as f64 / (self.rows() as f64 * self.features as f64).max(1.0)
    }

    /// The features of a sample that are not zero, and their numbers.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.offsets[row]..self.offsets[row + 1];
        (&self.indices[range.clone()], &self.values[range])
    }

    /// All numbers that are kept, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Where each row begins, and the end.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The features of all kept numbers, row by row.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// Some of the rows, in the order given.
    pub fn subset(&self, rows: &[usize]) -> Csr {
        let mut subset = Csr { features: self.features, offsets: vec![0], ..Csr::default() };
        for &row in rows {
            let (indices, values) = self.row(row);
            subset.indices.extend_from_slice(indices);
            subset.values.extend_from_slice(values);
            subset.offsets.push(subset.indices.len());
        }
        subset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_subsets_are_the_picture() {
        let csr = Csr::new(4, vec![0, 2, 2, 3], vec![1, 3, 0], vec![2.0, 1.0, 5.0]).unwrap();
        assert_eq!((csr.rows(), csr.nnz(), csr.density()), (3, 3, 0.25));
        assert_eq!(csr.row(0), (&[1, 3][..], &[2.0, 1.0][..]));
        let subset = csr.subset(&[2, 1, 0]);
        assert_eq!((subset.row(0), subset.row(1).0.len()), ((&[0][..], &[5.0][..]), 0));
    }

    #[test]
    fn pushed_rows_are_sorted_and_rid_of_zeros() {
        let mut csr = Csr::empty(4);
        csr.push(&mut [(3, 1.0), (0, 0.0), (1, 2.0)]).unwrap();
        csr.push(&mut []).unwrap();
        for (entries, problem) in [
            (&mut [(1, 1.0), (0, 1.0), (1, 1.0)][..], "index 1 comes twice"),
            (&mut [(4, 1.0)], "index 4 is beyond the 4 features"),
            (&mut [(2, f32::INFINITY)], "the value inf of index 2"),
        ] {
            assert_eq!(csr.push(entries).unwrap_err().split(" is not").next().unwrap(), problem);
        }
        csr.push(&mut [(0, 5.0)]).unwrap();
        assert_eq!(csr, Csr::new(4, vec![0, 2, 2, 3], vec![1, 3, 0], vec![2.0, 1.0, 5.0]).unwrap());
        assert_eq!((Csr::empty(0).density(), Csr::default().rows()), (0.0, 0));
    }

    #[test]
    fn broken_rows_are_named() {
        for (offsets, indices, values, problem) in [
            (vec![0, 1], vec![0, 1], vec![1.0, 1.0], "the offset of row 1 is 1"),
            (vec![], vec![], vec![], "the offset of row 0 is 0"),
            (vec![0, 2], vec![1, 1], vec![1.0, 1.0], "row 0: column 1 comes twice"),
            (vec![0, 2], vec![2, 1], vec![1.0, 1.0], "row 0: column 1 comes after a higher one"),
            (vec![0, 2, 1, 2], vec![0, 1], vec![1.0, 1.0], "the offset of row 2 is 1"),
            (vec![0, 1], vec![4], vec![1.0], "row 0: column 4 is beyond the 4"),
            (vec![0, 1], vec![3], vec![f32::NAN], "row 0, column 3: NaN"),
            (vec![0, 1], vec![3], vec![], "0 values for 1"),
        ] {
            let error = Csr::new(4, offsets, indices, values).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
