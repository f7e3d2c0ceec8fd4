//! The rows of tiles, and what products of 16-bit numbers read in their place.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{LANES, Row};

/// A row of 64 samples in bf16, two in the place of a number, in the order that products want.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Row16(pub(crate) [u32; LANES / 2]);

impl Row16 {
    /// All lanes zero.
    pub(crate) const ZERO: Row16 = Row16([0; LANES / 2]);
}

/// Rows, and the same narrowed to bf16 once someone has asked for them. Whoever may change the rows drops those.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    narrowed: OnceLock<Vec<Row16>>,
    /// Memory for the next ones.
    spare: Mutex<Vec<Row16>>,
}

impl Rows {
    pub(super) fn zeros(count: usize) -> Rows {
        Rows { rows: vec![Row::ZERO; count], ..Rows::default() }
    }

    /// The rows, narrowed by `narrow` if they are not yet.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(super) fn narrowed(&self, narrow: impl FnOnce(&[Row], &mut [Row16])) -> &[Row16] {
        if self.narrowed.get().is_none() {
            let mut room = std::mem::take(&mut *self.spare.lock().unwrap_or_else(PoisonError::into_inner));
            room.resize(self.rows.len(), Row16::ZERO);
            narrow(&self.rows, &mut room);
            // Were someone else to do the same at the same time, it would be the same.
            _ = self.narrowed.set(room);
        }
        self.narrowed.get().expect("set above")
    }

    /// The rows, and those that stand for them once narrowed, for someone who writes both.
    pub(super) fn both_mut(&mut self) -> (&mut [Row], &mut [Row16]) {
        self.forget();
        let mut room = std::mem::take(self.spare.get_mut().unwrap_or_else(PoisonError::into_inner));
        room.resize(self.rows.len(), Row16::ZERO);
        self.narrowed = OnceLock::from(room);
        (&mut self.rows, self.narrowed.get_mut().expect("set above"))
    }

    pub(super) fn resize(&mut self, count: usize) {
        self.forget();
        self.rows.resize(count, Row::ZERO);
    }

    pub(super) fn copy_from(&mut self, other: &Rows) {
        self.forget();
        self.rows.clone_from(&other.rows);
    }

    fn forget(&mut self) {
        if let Some(room) = self.narrowed.take() {
            *self.spare.get_mut().unwrap_or_else(PoisonError::into_inner) = room;
        }
    }
}

impl Deref for Rows {
    type Target = [Row];

    fn deref(&self) -> &[Row] {
        &self.rows
    }
}

impl DerefMut for Rows {
    fn deref_mut(&mut self) -> &mut [Row] {
        self.forget();
        &mut self.rows
    }
}

impl Clone for Rows {
    fn clone(&self) -> Rows {
        Rows { rows: self.rows.clone(), ..Rows::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_may_have_changed_are_narrowed_anew() {
        let mut rows = Rows::zeros(2);
        let first = |rows: &Rows| {
            rows.narrowed(|rows, out| {
                out.iter_mut().zip(rows).for_each(|(to, row)| to.0[0] = row.0[0] as u32)
            })[0]
                .0[0]
        };
        assert_eq!(first(&rows), 0);
        rows[0].0[0] = 1.0;
        assert_eq!(first(&rows), 1);
        rows.narrowed(|_, _| panic!("nothing has changed"));
        let mut other = Rows::zeros(1);
        other[0].0[0] = 2.0;
        rows.copy_from(&other);
        assert_eq!((first(&rows), rows.clone().len()), (2, 1));
        rows.resize(3);
        assert_eq!(rows.narrowed(|_, out| out.fill(Row16([7; LANES / 2]))).len(), 3);
        let (both, narrowed) = rows.both_mut();
        assert_eq!((both.len(), narrowed.len()), (3, 3));
        narrowed[2].0[0] = 8;
        assert_eq!(rows.narrowed(|_, _| panic!("they were written beside the rows"))[2].0[0], 8);
    }
}
