//! Documents in memory, one after another in one string, and what is done about empty ones.

use std::collections::HashSet;

use super::super::files::{Bad, SkippedFile};
use super::super::source::{Cells, Labels, Raw};
use super::tokenizer::TokenKind;
use crate::{Error, Result};

/// The text of each sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    /// Adds the text of a sample.
    pub(crate) fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(self.all.len());
    }

    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of one.
    pub(crate) fn text(&self, sample: usize) -> &str {
        let start = sample.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start..self.ends[sample]]
    }

    /// The texts of some.
    pub(crate) fn of(&self, samples: &[usize]) -> Vec<&str> {
        samples.iter().map(|&sample| self.text(sample)).collect()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Texts {
        let mut all = Texts::default();
        texts.into_iter().for_each(|text| all.push(text.as_ref()));
        all
    }
}

/// Refuses documents without a token, or leaves them out and reports them. What does not hold text passes through.
pub(crate) fn without_empty(mut raw: Raw, kind: TokenKind, bad: Bad) -> Result<Raw> {
    let Cells::Texts(texts) = &raw.cells else { return Ok(raw) };
    let is_empty: Vec<bool> = (0..texts.len()).map(|sample| kind.is_empty(texts.text(sample))).collect();
    if !is_empty.contains(&true) {
        return Ok(raw);
    }
    let problem = match kind {
        TokenKind::Words => "the document holds no words; fill it in or remove it",
        TokenKind::Characters | TokenKind::BytePairs => "the document is empty; fill it in or remove it",
    };
    let error = |raw: &Raw, sample: usize, problem: &str| match raw.files.get(sample) {
        Some(file) => Error::data(file, problem),
        None => Error::data_at(&raw.path, raw.place(sample), problem),
    };
    // Where each sample stood before files were left out.
    let gone: HashSet<usize> = raw.skipped.iter().map(|file| file.position).collect();
    let positions = (0..).filter(|position| !gone.contains(position));
    let mut kept = Vec::new();
    for ((sample, is_empty), position) in is_empty.into_iter().enumerate().zip(positions) {
        match bad {
            _ if !is_empty => kept.push(sample),
            Bad::LeaveOut => {
                let path = raw.files.get(sample).unwrap_or(&raw.path).clone();
                let problem = error(&raw, sample, problem).to_string();
                raw.skipped.push(SkippedFile { path, problem, position });
            }
            Bad::Refuse(how) => {
                let problem = format!("{problem}, or leave such documents out with {how}");
                return Err(error(&raw, sample, &problem));
            }
        }
    }
    if kept.is_empty() {
        return Err(Error::data(&raw.path, format!("of all samples {problem}")));
    }
    raw.cells = Cells::Texts(texts.of(&kept).into_iter().collect());
    raw.lines = kept.iter().filter_map(|&sample| raw.lines.get(sample).copied()).collect();
    raw.files = kept.iter().filter_map(|&sample| raw.files.get(sample).cloned()).collect();
    match &mut raw.labels {
        Some(Labels::Text { codes, .. }) => *codes = kept.iter().map(|&sample| codes[sample]).collect(),
        Some(Labels::Numbers { values, outputs }) => {
            *values =
                kept.iter().flat_map(|&sample| &values[sample * *outputs..][..*outputs]).copied().collect();
        }
        None => {}
    }
    Ok(raw)
}
