//! Labels that are texts, as what is said in a recording: a text becomes a sequence of units, each a character or a word, and
//! a unit the number of its place among those of the training part, counted from 1.
//!
//! ```text
//! "3 17"  characters: 3, space, 1, 7      words: 3, 17
//! ```

use std::collections::HashMap;

use crate::data::dataset::Targets;
use crate::data::raw::{Labels, Raw};
use crate::data::settings::Units;
use crate::{Error, Result};

/// The text of each sample.
fn texts<'a>(raw: &'a Raw) -> Result<impl Fn(usize) -> &'a str> {
    match &raw.labels {
        Some(Labels::Text { codes, vocabulary }) => {
            Ok(move |sample: usize| vocabulary[codes[sample] as usize].as_str())
        }
        _ => Err(Error::data(&raw.path, "needs a text for each recording, what is said in it")),
    }
}

/// The units of the training part, sorted.
pub(crate) fn units(raw: &Raw, units: Units, train: &[usize]) -> Result<Vec<String>> {
    let text = texts(raw)?;
    let mut found: Vec<String> =
        train.iter().flat_map(|&sample| units.split(text(sample))).map(String::from).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The units of some samples as targets, `known` being those of the training part.
pub(crate) fn targets(raw: &Raw, units: Units, known: &[String], samples: &[usize]) -> Result<Targets> {
    let text = texts(raw)?;
    let places: HashMap<&str, u32> = known.iter().map(String::as_str).zip(1..).collect();
    let (mut labels, mut offsets) = (Vec::new(), vec![0]);
    for &sample in samples {
        let first = labels.len();
        for unit in units.split(text(sample)) {
            let Some(&place) = places.get(unit) else {
                let what = if units == Units::Words { "word" } else { "character" };
                let problem = format!(
                    "its label {:?} has the {what} {unit:?}, which the training part has nowhere; mend the label, or move such a recording to the training part",
                    text(sample)
                );
                return Err(raw.label_error(sample, problem));
            };
            labels.push(place);
        }
        let steps = raw.lengths.get(sample).map_or(raw.shape.width, |&steps| steps as usize);
        let fewest = fewest_steps(&labels[first..]);
        if fewest > steps {
            let problem = format!(
                "has {steps} frames, and its label {:?} takes {fewest} at least; mend the label, leave the recording out, or train with a smaller data.audio.hop_ms",
                text(sample)
            );
            return Err(raw.label_error(sample, problem));
        }
        offsets.push(labels.len());
    }
    Ok(Targets::Sequences { labels, offsets, classes: known.len() + 1 })
}

/// The fewest steps in which a sequence can be told: one for each label, and a blank between equal ones.
pub fn fewest_steps(labels: &[u32]) -> usize {
    labels.len() + labels.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_characters_or_words() {
        for (units, expected) in
            [(Units::Characters, vec!["\u{e4}", " ", " ", "1", "7"]), (Units::Words, vec!["\u{e4}", "17"])]
        {
            assert_eq!(units.split("\u{e4}  17"), expected);
        }
        let known = ["one", "two"].map(String::from);
        assert_eq!(Units::Words.join([2, 1, 1].into_iter(), &known), "two one one");
        assert_eq!(Units::Characters.join([1, 2].into_iter(), &["a", "b"].map(String::from)), "ab");
    }

    #[test]
    fn equal_labels_in_a_row_take_a_blank_between() {
        for (labels, fewest) in [(&[][..], 0), (&[1, 2], 2), (&[2, 2], 3), (&[1, 1, 1, 3], 6)] {
            assert_eq!(fewest_steps(labels), fewest);
        }
    }
}
