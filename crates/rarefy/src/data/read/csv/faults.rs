//! What is wrong with a table, told all at once: who mends a file does not want to start again for each line.

use std::path::Path;

use crate::{Error, Result};

/// Faults that are told in one error; the others are counted.
const MOST_TOLD: usize = 10;

/// Places of a file that cannot be read, in their order.
#[derive(Default)]
pub(super) struct Faults {
    /// The first ones, each with its place and what is wrong there.
    told: Vec<(String, String)>,
    count: usize,
}

impl Faults {
    /// Adds one.
    pub(super) fn add(&mut self, at: String, problem: String) {
        self.count += 1;
        if self.told.len() < MOST_TOLD {
            self.told.push((at, problem));
        }
    }

    /// That there are none; `what` names several of them, as in "columns need a decision".
    ///
    /// # Errors
    /// If there are some: the only one by its place, several in a list.
    pub(super) fn none(self, path: &Path, what: &str) -> Result<()> {
        match &self.told[..] {
            [] => Ok(()),
            [(at, problem)] => Err(Error::data_at(path, at, problem)),
            several => {
                let told: String =
                    several.iter().map(|(at, problem)| format!("\n  {at}: {problem}")).collect();
                let more = match self.count - several.len() {
                    0 => String::new(),
                    more => format!("\n  ... and {more} more"),
                };
                Err(Error::data(path, format!("{} {what}:{told}{more}", self.count)))
            }
        }
    }
}
