//! Samples whose numbers stay in a caller's memory.

use std::sync::Arc;

use super::{Rows, Samples, endless, input, refuse_empty, refuse_unfit};
use crate::data::lent::Lent;
use crate::data::wide::WideRows;
use crate::{InputProblem, Result};

impl Samples {
    /// Samples of `inputs` numbers each, row after row, that are read where they lie: training and predicting make no copy of them
    /// all, but where [`Samples::with_lengths`] or an augmentation changes them. `owner` is kept as long as it takes; its numbers must
    /// not change meanwhile. Bits are those of [`Samples::dense`].
    ///
    /// # Errors
    /// As for [`Samples::dense`].
    ///
    /// # Example
    /// ```
    /// use std::sync::Arc;
    ///
    /// use rarefy::Samples;
    ///
    /// let numbers = Arc::new(vec![5.1_f32, 3.5, 6.2, 2.9]); // or any type of yours that is AsRef<[f32]>
    /// let flowers = Samples::lent(numbers.clone(), 2)?.with_classes(&[0, 1])?;
    /// assert_eq!((flowers.len(), Arc::strong_count(&numbers)), (2, 2));
    /// # Ok::<(), rarefy::Error>(())
    /// ```
    pub fn lent(owner: Arc<dyn AsRef<[f32]> + Send + Sync>, inputs: usize) -> Result<Samples> {
        let lent = Lent::new(owner);
        refuse_unfit(lent.numbers().iter().map(|&number| number.into()), inputs)?;
        Ok(Samples::new(Rows::Lent(lent), inputs))
    }

    /// As [`Samples::lent`], for numbers that `f32` would round, in any layout: `read` writes those of a row, as often as it is asked.
    /// Training and predicting make one copy of them all, as `f32`.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input): no samples or no inputs, or a number that is not finite (as an `f32` too).
    ///
    /// # Example
    /// ```
    /// use rarefy::Samples;
    ///
    /// // Two samples of three numbers, a column after the other.
    /// let columns = vec![0.1, 0.2, 1.1, 1.2, 2.1, 2.2];
    /// let read = move |row: usize, out: &mut [f64]| {
    ///     out.iter_mut().zip(columns[row..].iter().step_by(2)).for_each(|(out, &number)| *out = number);
    /// };
    /// assert_eq!(Samples::lent_wide(2, 3, read)?, Samples::dense(&[0.1, 1.1, 2.1, 0.2, 1.2, 2.2], 3)?);
    /// # Ok::<(), rarefy::Error>(())
    /// ```
    pub fn lent_wide(
        samples: usize,
        inputs: usize,
        read: impl Fn(usize, &mut [f64]) + Send + Sync + 'static,
    ) -> Result<Samples> {
        refuse_empty(samples, inputs)?;
        let rows = WideRows::new(samples, inputs, read);
        match rows.find(|row, numbers| Some((row, endless(numbers.iter().copied())?))) {
            Some((row, (column, value))) => input(InputProblem::NotFinite { row, column, value }),
            None => Ok(Samples::new(Rows::Wide(rows), inputs)),
        }
    }
}
