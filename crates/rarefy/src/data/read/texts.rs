//! Documents in memory, one after another in one string, and what is done about empty ones.

use std::collections::HashSet;

use crate::data::raw::SkippedFile;
use crate::data::raw::{Cells, Labels, Places, Raw};
use crate::data::reading::Broken;
use crate::data::text::TokenKind;
use crate::{Error, Result};

/// Refuses documents without a token, or leaves them out and reports them. What does not hold text passes through.
pub(crate) fn without_empty(mut raw: Raw, kind: TokenKind, broken: Broken) -> Result<Raw> {
    let Cells::Texts(texts) = &raw.cells else { return Ok(raw) };
    let is_empty: Vec<bool> = (0..texts.len()).map(|sample| kind.is_empty(texts.text(sample))).collect();
    if !is_empty.contains(&true) {
        return Ok(raw);
    }
    let problem = match kind {
        TokenKind::Words => "the document holds no words; fill it in or remove it",
        TokenKind::Characters | TokenKind::BytePairs => "the document is empty; fill it in or remove it",
    };
    let error = |raw: &Raw, sample: usize, problem: &str| match raw.file(sample) {
        Some(file) => Error::data(file, problem),
        None => Error::data_at(&raw.path, raw.place(sample), problem),
    };
    // Where each sample stood before files were left out.
    let gone: HashSet<usize> = raw.skipped.iter().map(|file| file.position).collect();
    let positions = (0..).filter(|position| !gone.contains(position));
    let mut kept = Vec::new();
    for ((sample, is_empty), position) in is_empty.into_iter().enumerate().zip(positions) {
        match broken {
            _ if !is_empty => kept.push(sample),
            Broken::LeaveOut => {
                let path = raw.file(sample).unwrap_or(&raw.path).clone();
                let problem = error(&raw, sample, problem).to_string();
                raw.skipped.push(SkippedFile { path, problem, position });
            }
            Broken::Refuse => {
                let problem = format!("{problem}, or leave such documents out with data.skip_bad = true");
                return Err(error(&raw, sample, &problem));
            }
        }
    }
    if kept.is_empty() {
        return Err(Error::data(&raw.path, format!("of all samples {problem}")));
    }
    raw.cells = Cells::Texts(texts.of(&kept).into_iter().collect());
    match &mut raw.places {
        Places::InOrder => {}
        Places::Lines(lines) => *lines = kept.iter().map(|&sample| lines[sample]).collect(),
        Places::Files(files) => *files = kept.iter().map(|&sample| files[sample].clone()).collect(),
    }
    raw.weights = raw.weights.map(|weights| kept.iter().map(|&sample| weights[sample]).collect());
    raw.groups = raw.groups.map(|groups| kept.iter().map(|&sample| groups[sample]).collect());
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
