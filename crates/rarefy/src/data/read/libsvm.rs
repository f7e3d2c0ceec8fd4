//! libsvm (svmlight) files: one sample per line, its label and its nonzeros.
//!
//! ```text
//! +1 3:0.5 17:2      # a comment     a number: a class or a value
//! 4,17 3:0.5                         numbers of labels, counted from 0: multi-label, where a line may have none
//! ```
//!
//! Features count from 1, or from 0 if the training file holds a feature 0. Format: Chang and Lin's LIBSVM, its README.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::gzip;
use super::place::Place;
use super::sink::Rows;
use crate::data::raw::{Labels, Places, Raw, Source};
use crate::data::reading::{LibsvmReading, Reading, Wanted};
use crate::data::settings::{DataSettings, TaskChoice};
use crate::data::span::SparseSpans;
use crate::data::stream::Streaming;
use crate::tiles::Shape;
use crate::{Error, Result};

/// Whether a path leads to a file of this format: by its name, or by its first line.
pub(super) fn detect(place: &Place) -> Result<bool> {
    if !place.is_file() {
        return Ok(false);
    }
    let is_named = place.ends(&[".libsvm", ".svm", ".svmlight"]);
    Ok(is_named || (!place.ends(&[".csv", ".tsv"]) && looks_like(&place.path)?))
}

/// Reads a file to train on.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Source> {
    let lines = Lines::read(path, true, settings.streaming().as_ref())?;
    let first_index =
        settings.first_index.unwrap_or(u32::from(lines.lowest.is_none_or(|lowest| lowest.0 > 0)));
    let features = match (settings.features, lines.highest) {
        (Some(features), _) => features as usize,
        (None, Some((highest, _))) => (highest + 1).saturating_sub(first_index) as usize,
        (None, None) => return Err(Error::data(path, "holds no feature that is not zero")),
    };
    let multi_label =
        settings.task == TaskChoice::MultiLabel || lines.labels.iter().any(|label| label.contains(','));
    if let (false, Some(sample)) = (multi_label, lines.labels.iter().position(String::is_empty)) {
        let problem = "has no label before its features; write it, or set data.task = \"multi-label\" if a sample may have none";
        return Err(Error::data_at(path, format!("line {}", lines.numbers[sample]), problem));
    }
    let labels = if multi_label { lines.highest_label(path)? + 1 } else { 1 };
    let reading = LibsvmReading { first_index, multi_label, features, labels };
    lines.into_raw(path, reading, "set data.features or data.first_index", true).map(Source::whole)
}

/// Reads a new file for a model. Where no labels are wanted lines may begin with a feature.
pub(super) fn reread(path: &Path, reading: &Reading, wanted: Wanted) -> Result<Raw> {
    let Reading::Libsvm(reading) = reading else { unreachable!("a libsvm file is read again as one") };
    let with_labels = wanted.labels.is_some();
    let lines = Lines::read(path, with_labels, wanted.streaming)?;
    lines.into_raw(path, reading.clone(), "train with a larger data.features", with_labels)
}

/// Whether the first line of a file is a label and features.
fn looks_like(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    gzip::open(path)?.reader.take(1 << 16).read_to_end(&mut start).map_err(gzip::read_error(path))?;
    let text = String::from_utf8_lossy(&start);
    let ends = start.len() < 1 << 16 || text.contains('\n');
    let first = text.lines().map(without_comment).find(|line| !line.trim().is_empty());
    Ok(first.is_some_and(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_label = |word: &str| word.split(',').all(|part| part.parse::<f64>().is_ok());
        let mut features = words.clone().skip(1).peekable();
        ends && words.next().is_some_and(is_label)
            && features.peek().is_some()
            && features.all(|word| feature(word).is_some() || word.starts_with(QUERY))
    }))
}

/// What a line for ranking holds after its label.
const QUERY: &str = "qid:";

fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or("")
}

/// `17:0.5`.
fn feature(word: &str) -> Option<(u32, f64)> {
    let (index, value) = word.split_once(':')?;
    let index = index.parse().ok().filter(|&index| index < u32::MAX)?;
    Some((index, value.parse().ok().filter(|&value: &f64| (value as f32).is_finite())?))
}

/// A file as it stands, features counted as it counts them.
struct Lines {
    /// What stands before the features; empty if nothing does.
    labels: Vec<String>,
    numbers: Vec<u64>,
    rows: Rows,
    spans: SparseSpans,
    /// The lowest and the highest feature, each with its line.
    lowest: Option<(u32, u64)>,
    highest: Option<(u32, u64)>,
}

impl Lines {
    fn read(path: &Path, with_labels: bool, streaming: Option<&Streaming>) -> Result<Lines> {
        let mut reader = BufReader::with_capacity(1 << 16, gzip::open(path)?.reader);
        let mut lines = Lines {
            labels: Vec::new(),
            numbers: Vec::new(),
            rows: Rows::new(streaming)?,
            spans: SparseSpans::default(),
            lowest: None,
            highest: None,
        };
        let (mut bytes, mut number) = (Vec::new(), 0);
        let mut row: Vec<(u32, f32)> = Vec::new();
        while reader.read_until(b'\n', &mut bytes).map_err(gzip::read_error(path))? > 0 {
            number += 1;
            let wrong = |problem: String| Error::data_at(path, format!("line {number}"), problem);
            let text = std::str::from_utf8(&bytes).map_err(|_| {
                wrong("is not UTF-8 text; give a libsvm file, or one that is gzipped whole".into())
            })?;
            let mut words = without_comment(text).split_ascii_whitespace().peekable();
            if words.peek().is_some() {
                let label = words.next_if(|word| !word.contains(':')).unwrap_or("");
                if with_labels {
                    lines.labels.push(label.to_string());
                }
                row.clear();
                for word in words {
                    let (index, value) = feature(word).ok_or_else(|| {
                        wrong(if word.starts_with(QUERY) {
                            format!("{word:?} groups lines for ranking, which is not learned here; remove it")
                        } else {
                            format!(
                                "{word:?} is no feature; write INDEX:VALUE with a whole and a finite number"
                            )
                        })
                    })?;
                    row.push((index, lines.spans.take(index, value)));
                }
                row.sort_unstable_by_key(|&(index, _)| index);
                if let Some(pair) = row.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    return Err(wrong(format!("holds feature {} twice; remove one", pair[0].0)));
                }
                if let (Some(&(low, _)), Some(&(high, _))) = (row.first(), row.last()) {
                    lines.lowest = lines.lowest.filter(|&(lowest, _)| lowest <= low).or(Some((low, number)));
                    lines.highest =
                        lines.highest.filter(|&(highest, _)| highest >= high).or(Some((high, number)));
                }
                lines.rows.push(&row)?;
                lines.numbers.push(number);
            }
            bytes.clear();
        }
        if lines.numbers.is_empty() {
            return Err(Error::data(path, "holds no samples"));
        }
        Ok(lines)
    }

    /// The samples, and their labels if these were read. `cure` is what to do if there are more features.
    fn into_raw(self, path: &Path, reading: LibsvmReading, cure: &str, with_labels: bool) -> Result<Raw> {
        let features = reading.features;
        let first = reading.first_index;
        if let Some((lowest, line)) = self.lowest.filter(|&(lowest, _)| lowest < first) {
            let problem = format!(
                "holds feature {lowest}, but features count from {first}; train with data.first_index = 0"
            );
            return Err(Error::data_at(path, format!("line {line}"), problem));
        }
        if let Some((highest, line)) = self.highest.filter(|&(high, _)| (high - first) as usize >= features) {
            let last = features as u64 + u64::from(first) - 1;
            let problem = format!("holds feature {highest}, but the last of {features} is {last}; {cure}");
            return Err(Error::data_at(path, format!("line {line}"), problem));
        }
        let labels = if !with_labels {
            None
        } else if reading.multi_label {
            Some(self.label_sets(path, reading.labels)?)
        } else {
            Some(self.numbers(path)?)
        };
        let notes = self.spans.note(|index| format!("feature {index}")).into_iter().collect();
        let cells = self.rows.into_cells(path, features, first)?;
        let (reading, shape) = (Reading::Libsvm(reading), Shape::flat(features));
        let places = Places::Lines(self.numbers);
        Ok(Raw { places, notes, ..Raw::new(path, reading, cells, shape, labels) })
    }

    fn wrong_label(&self, path: &Path, sample: usize, what: &str) -> Error {
        let problem = match self.labels[sample].as_str() {
            "" => "has no label before its features; write it".into(),
            label => format!("begins with {label:?}, not with {what}; mend the label"),
        };
        Error::data_at(path, format!("line {}", self.numbers[sample]), problem)
    }

    /// A number for each line.
    fn numbers(&self, path: &Path) -> Result<Labels> {
        let number = |(sample, label): (usize, &String)| match label.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(self.wrong_label(path, sample, "a finite number")),
        };
        let values = self.labels.iter().enumerate().map(number).collect::<Result<_>>()?;
        Ok(Labels::Numbers { values, outputs: 1 })
    }

    /// The labels of a line.
    fn labels_of(&self, path: &Path, sample: usize) -> Result<Vec<usize>> {
        let parts = self.labels[sample].split(',').filter(|part| !part.is_empty());
        let label = |part: &str| {
            part.parse::<u32>()
                .map(|label| label as usize)
                .map_err(|_| self.wrong_label(path, sample, "whole numbers, as in 4,17"))
        };
        parts.map(label).collect()
    }

    fn highest_label(&self, path: &Path) -> Result<usize> {
        let mut highest = 0;
        for sample in 0..self.labels.len() {
            highest = self.labels_of(path, sample)?.into_iter().max().unwrap_or(0).max(highest);
        }
        Ok(highest)
    }

    /// 1 for each label that a line has, 0 for the others.
    fn label_sets(&self, path: &Path, outputs: usize) -> Result<Labels> {
        let cells = self.labels.len().checked_mul(outputs).filter(|&cells| cells <= 1 << 31);
        let Some(cells) = cells else {
            let problem =
                format!("has {outputs} labels for {} samples, more than fit in memory", self.labels.len());
            return Err(Error::data(path, problem));
        };
        let mut values = vec![0.0; cells];
        for sample in 0..self.labels.len() {
            for label in self.labels_of(path, sample)? {
                if label >= outputs {
                    let what = format!("labels below {outputs}, as the training file has");
                    return Err(self.wrong_label(path, sample, &what));
                }
                values[sample * outputs + label] = 1.0;
            }
        }
        Ok(Labels::Numbers { values, outputs })
    }
}

#[cfg(test)]
mod tests {
    use super::super::gzip::tests::packed;
    use super::*;
    use crate::data::csr::Csr;
    use crate::data::dataset::{Features, Targets};
    use crate::data::load::{load, load_with};

    fn settings(path: &Path) -> DataSettings {
        DataSettings {
            path: path.to_str().unwrap().into(),
            validation_fraction: 0.0,
            test_fraction: 0.0,
            ..DataSettings::default()
        }
    }

    #[test]
    fn lines_are_rows_counted_from_one_or_from_zero() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a9a");
        for (text, first_index) in [
            ("# made by hand\n+1 2:0.5 1:3 # out of order\n\n-1 3:0\r\n+1\n-1 4:1e-3", 1),
            ("+1 1:0.5 0:3\n-1 2:0\n+1\n-1 3:1e-3\n", 0),
        ] {
            for bytes in [text.as_bytes().to_vec(), packed(text.as_bytes())] {
                std::fs::write(&path, bytes).unwrap();
                let splits = load(&settings(&path), 1).unwrap();
                let rows = Csr::new(4, vec![0, 2, 2, 2, 3], vec![0, 1, 3], vec![3.0, 0.5, 1e-3]).unwrap();
                assert_eq!(splits.train.features, Features::Sparse(rows));
                let labels = Targets::Classes { labels: vec![1, 0, 1, 0], classes: 2 };
                assert_eq!((splits.train.targets, splits.preparation.constant_inputs), (labels, 1));
                let reading = LibsvmReading { first_index, multi_label: false, features: 4, labels: 1 };
                assert_eq!(splits.preparation.reading, Reading::Libsvm(reading));
            }
        }
    }

    #[test]
    fn numbers_that_fall_together_are_noted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.svm");
        for (first, noted) in [(1.7e12, true), (0.0, false)] {
            let line = |i: u32| format!("{} 1:1 3:{}\n", i % 2, first + f64::from(i));
            std::fs::write(&path, (1..40).map(line).collect::<String>()).unwrap();
            let notes = load(&settings(&path), 1).unwrap().notes;
            let hint = "feature 3 holds 1700000000001 and 1700000000002, which fall together in 32 bits";
            assert_eq!(notes.iter().any(|note| note.starts_with(hint)), noted, "{notes:?}");
        }
    }

    #[test]
    fn a_new_file_is_read_as_the_training_file_was() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("train.txt"), folder.path().join("new.svm"));
        std::fs::write(&path, "1 1:1 3:1\n2 2:1\n1 1:2\n2 2:2\n").unwrap();
        let preparation = load(&settings(&path), 1).unwrap().preparation;
        let read = |text: &str, targets| {
            std::fs::write(&new, text).unwrap();
            load_with(&preparation, new.to_str().unwrap(), targets).map(|loaded| loaded.dataset)
        };
        let found = read("1:1 2:5\n2 3:7\n", false).unwrap();
        assert_eq!(
            found.features,
            Features::Sparse(Csr::new(3, vec![0, 2, 3], vec![0, 1, 2], vec![1.0, 5.0, 7.0]).unwrap())
        );
        for (text, targets, problem) in [
            (
                "1 4:1\n",
                true,
                "line 1: holds feature 4, but the last of 3 is 3; train with a larger data.features",
            ),
            (
                "1 0:1\n",
                true,
                "line 1: holds feature 0, but features count from 1; train with data.first_index = 0",
            ),
            ("2:1\n", true, "line 1: has no label before its features"),
            ("3 2:1\n", true, "the label \"3\" is out of range"),
        ] {
            let error = read(text, targets).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        std::fs::write(&new, "a,b\n1,2\n").unwrap();
        let table = new.with_extension("csv");
        std::fs::rename(&new, &table).unwrap();
        let error = load_with(&preparation, table.to_str().unwrap(), true).unwrap_err().to_string();
        assert!(error.contains("give a libsvm file"), "{error}");
    }

    #[test]
    fn a_line_without_a_label_is_a_mistake_unless_others_have_several() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.libsvm");
        for (text, problem) in [
            ("1 1:1\n2 2:1\n1 1:2\n 2:3\n", "line 4: has no label before its features"),
            ("-1 1:1\n+1 2:1\n\n 2:3\n", "line 4: has no label before its features"),
            ("1 qid:3 1:1\n", "line 1: \"qid:3\" groups lines for ranking"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = load(&settings(&path), 1).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        std::fs::write(&path, "1 1:1\n0 2:1\n1 1:2\n 2:3\n").unwrap();
        let asked = DataSettings { task: TaskChoice::MultiLabel, ..settings(&path) };
        let values = vec![0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        assert_eq!(load(&asked, 1).unwrap().train.targets, Targets::Values { values, outputs: 2 });
        // What some editors write before the text is no label.
        let marked = path.with_extension("txt");
        std::fs::write(&marked, "\u{feff}1 1:1\n2 2:1\n1 1:2\n2 2:3\n").unwrap();
        assert_eq!(load(&settings(&marked), 1).unwrap().preparation.classes, ["1", "2"]);
    }

    #[test]
    fn several_labels_are_multi_label() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.libsvm");
        std::fs::write(&path, "0,2 1:1\n 2:1\n1 1:1 2:2\n").unwrap();
        let splits = load(&settings(&path), 1).unwrap();
        let values = vec![1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        assert_eq!(splits.train.targets, Targets::Values { values, outputs: 3 });
        assert_eq!(splits.preparation.labels()[2].name, "2");
        std::fs::write(&path, "3 1:1\n").unwrap();
        let error = load_with(&splits.preparation, path.to_str().unwrap(), true).unwrap_err().to_string();
        assert!(error.contains("line 1: begins with \"3\", not with labels below 3"), "{error}");
    }

    #[test]
    fn mistakes_are_named_by_line_and_settings_by_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.libsvm");
        type Change = fn(&mut DataSettings);
        let cases: [(&str, Change, &str); 11] = [
            ("1 1:1\n1 2\n", |_| (), "line 2: \"2\" is no feature"),
            ("1 1:1\n1 a:1\n", |_| (), "line 2: \"a:1\" is no feature"),
            ("1 1:1\n1 2:nan\n", |_| (), "line 2: \"2:nan\" is no feature"),
            ("1 -1:1\n", |_| (), "line 1: \"-1:1\" is no feature"),
            ("1 1:1\n2 3:1 3:1\n", |_| (), "line 2: holds feature 3 twice"),
            ("1 1:1\nx 2:1\n", |_| (), "line 2: begins with \"x\", not with a finite number"),
            ("1,-2 1:1\n1 1:1\n", |_| (), "line 1: begins with \"1,-2\", not with whole numbers"),
            ("# nothing\n", |_| (), "holds no samples"),
            ("1\n2\n", |_| (), "holds no feature that is not zero"),
            ("1 3:1\n2 1:1\n", |s| s.features = Some(2), "line 1: holds feature 3, but the last of 2 is 2"),
            ("1 0:1\n2 1:1\n", |s| s.first_index = Some(1), "line 1: holds feature 0"),
        ];
        for (text, change, problem) in cases {
            std::fs::write(&path, text).unwrap();
            let mut settings = settings(&path);
            change(&mut settings);
            let error = load(&settings, 1).err().unwrap().to_string();
            assert!(error.contains(problem), "{problem}: {error}");
        }
        std::fs::write(&path, "1 1:1\n2 2:1\n").unwrap();
        let scaled = DataSettings {
            scale: crate::data::Scale::Standard,
            task: TaskChoice::Regression,
            ..settings(&path)
        };
        assert!(
            load(&scaled, 1).unwrap_err().to_string().contains("data.scale: would make numbers of zeros")
        );
    }

    #[test]
    fn only_labels_and_features_look_like_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d");
        for (text, expected) in [
            ("1 1:1\n", true),
            ("# c\n\n-1.5 0:1 7:2.5 # c\n", true),
            ("1,2 3:4\n", true),
            ("1\n", false),
            ("1,2,3\n", false),
            ("at 12:30 we met\n", false),
            ("5 12:30 x\n", false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(looks_like(&path).unwrap(), expected, "{text:?}");
        }
    }
}
