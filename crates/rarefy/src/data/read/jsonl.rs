//! JSON lines: one object per line, with a text and a label; or the same objects as an array.
//!
//! ```text
//! {"text": "Rain all day", "label": "weather"}
//! {"text": "Cup final drawn", "label": "sport", "id": 7}
//! ```

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Number, Value};

use super::gzip;
use super::place::Place;
use crate::data::prepare::classes;
use crate::data::raw::{Cells, KeptColumn, Labels, Places, Raw, RawColumn, Source, Texts};
use crate::data::reading::{JsonlReading, Keep, Reading, Wanted};
use crate::data::settings::{DataSettings, TaskChoice};
use crate::tiles::Shape;
use crate::{Error, Result};

/// Whether a path leads to a file of this format.
pub(super) fn detect(place: &Place) -> bool {
    let is_json = matches!(place.start.trim_ascii_start().first(), Some(b'{' | b'['));
    place.is_file()
        && (place.ends(&[".jsonl", ".ndjson"]) || (is_json && (place.ends(&[".json"]) || place.is_pipe())))
}

/// Reads a file to train on. Keys are `text` and `label` unless the settings say.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Source> {
    let text = settings.text.as_ref().and_then(|text| text.column.as_deref()).unwrap_or("text");
    let label = match &settings.label[..] {
        [] => "label",
        [label] => label,
        _ => {
            return Err(Error::setting("data.label", "a document of JSON lines has one label; give one key"));
        }
    };
    let keys = JsonlReading { text: text.to_string(), label: label.to_string() };
    read_keys(path, &keys, Some(settings.task), &[]).map(Source::whole)
}

/// Reads a new file for a model: the same keys. Where no labels are wanted there need be none.
pub(super) fn reread(path: &Path, reading: &Reading, wanted: Wanted) -> Result<Raw> {
    let Reading::Jsonl(keys) = reading else { unreachable!("JSON lines are read again as JSON lines") };
    let keep = match wanted.keep {
        Keep::Columns(keys) => keys,
        Keep::Nothing | Keep::AsTrained => &[],
    };
    read_keys(path, keys, wanted.labels.map(TaskChoice::from), keep)
}

/// Reads a file, with labels if their task is given, and with the keys to `keep` as they are.
fn read_keys(path: &Path, keys: &JsonlReading, task: Option<TaskChoice>, keep: &[String]) -> Result<Raw> {
    let mut bytes = Vec::new();
    gzip::open(path)?.reader.read_to_end(&mut bytes).map_err(gzip::read_error(path))?;
    let mut found = Found::new(path, keys, task, keep);
    let mut lines = Vec::new();
    if bytes.trim_ascii_start().starts_with(b"[") {
        let objects: Vec<Map<String, Value>> = serde_json::from_slice(&bytes).map_err(|error| {
            Error::data(
                path,
                format!("is not a JSON array of objects ({error}); mend it, or write one object per line"),
            )
        })?;
        for (object, number) in objects.iter().zip(1..) {
            found.add(object, format!("sample {number}"))?;
        }
    } else {
        for (bytes, line) in bytes.split(|&byte| byte == b'\n').zip(1u64..) {
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let at = format!("line {line}");
            let object = serde_json::from_slice(bytes).map_err(|error| {
                let problem = match std::str::from_utf8(bytes) {
                    Ok(_) => format!(
                        "is not a JSON object on a line of its own ({error}); write one object per line"
                    ),
                    Err(_) => "is not UTF-8 text; save the file as UTF-8".into(),
                };
                Error::data_at(path, &at, problem)
            })?;
            found.add(&object, at)?;
            lines.push(line);
        }
    }
    found.into_raw(lines)
}

/// The samples of a file as far as they have been read.
struct Found<'a> {
    path: &'a Path,
    keys: &'a JsonlReading,
    /// What labels are for, if they are read.
    task: Option<TaskChoice>,
    texts: Texts,
    numbers: Vec<Number>,
    words: Vec<String>,
    kept: Vec<KeptColumn>,
}

impl<'a> Found<'a> {
    fn new(path: &'a Path, keys: &'a JsonlReading, task: Option<TaskChoice>, keep: &[String]) -> Found<'a> {
        let kept = keep.iter().map(|key| KeptColumn { name: key.clone(), cells: Vec::new() }).collect();
        Found { path, keys, task, texts: Texts::default(), numbers: Vec::new(), words: Vec::new(), kept }
    }

    /// Adds a sample, `at` being its place for messages.
    fn add(&mut self, object: &Map<String, Value>, at: String) -> Result<()> {
        let wrong = |problem: String| Error::data_at(self.path, &at, problem);
        let value = |key: &str, cure: &str| {
            object.get(key).ok_or_else(|| {
                let keys = object.keys().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ");
                wrong(format!("has no key {key:?}, only {keys}; {cure}"))
            })
        };
        let JsonlReading { text, label } = self.keys;
        match value(text, "rename the key, or train with data.text.column")? {
            Value::String(document) => self.texts.push(document),
            other => return Err(wrong(format!("{text:?} is {other}, not text; mend the line"))),
        }
        for column in &mut self.kept {
            column.cells.push(match value(&column.name, "name the key with data.keep")? {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            });
        }
        if self.task.is_none() {
            return Ok(());
        }
        match value(label, "rename the key, or train with data.label")? {
            Value::String(word) => self.words.push(word.clone()),
            Value::Number(number) => self.numbers.push(number.clone()),
            Value::Bool(flag) => self.numbers.push(u8::from(*flag).into()),
            other => {
                return Err(wrong(format!("the label {label:?} is {other}; give a text or a number")));
            }
        }
        if !self.numbers.is_empty() && !self.words.is_empty() {
            let problem = format!(
                "the label {label:?} is a text on some lines and a number on others; write all alike"
            );
            return Err(wrong(problem));
        }
        Ok(())
    }

    fn labels(&mut self, task: TaskChoice) -> Labels {
        if !self.words.is_empty() {
            return Labels::of_words(std::mem::take(&mut self.words));
        }
        let whole: Option<Vec<i128>> = self.numbers.iter().map(Number::as_i128).collect();
        if let Some(whole) = whole.filter(|whole| classes::need_names(whole, task)) {
            return Labels::of_words(whole.iter().map(i128::to_string).collect());
        }
        let values = self.numbers.iter().map(|number| number.as_f64().unwrap_or(f64::NAN)).collect();
        Labels::Numbers { values, outputs: 1 }
    }

    /// The samples, of which each stands on one of `lines` if there are any.
    fn into_raw(mut self, lines: Vec<u64>) -> Result<Raw> {
        if self.texts.len() == 0 {
            return Err(Error::data(self.path, "holds no lines"));
        }
        let labels = self.task.map(|task| self.labels(task));
        let reading = Reading::Jsonl(self.keys.clone());
        let places = if lines.is_empty() { Places::InOrder } else { Places::Lines(lines) };
        Ok(Raw {
            columns: vec![RawColumn { name: self.keys.text.clone(), vocabulary: None }],
            places,
            kept: self.kept,
            ..Raw::new(self.path, reading, Cells::Texts(self.texts), Shape::flat(1), labels)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_samples_and_mistakes_are_named_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.jsonl");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path, &DataSettings::default()).map(|source| source.train)
        };
        let raw = read(
            "{\"text\": \"a\\nb\", \"label\": \"x\", \"id\": 1}\r\n\n{\"label\": \"y\", \"text\": \"é\"}",
        )
        .unwrap();
        let Cells::Texts(texts) = &raw.cells else { panic!("text") };
        assert_eq!((texts.text(0), texts.text(1)), ("a\nb", "é"));
        assert_eq!((raw.place(0), raw.place(1)), ("line 1".into(), "line 3".into()));
        let Some(Labels::Text { codes, vocabulary }) = &raw.labels else { panic!("words") };
        assert_eq!((&codes[..], &vocabulary[..]), (&[0, 1][..], &["x".to_string(), "y".to_string()][..]));
        let numbers = read("{\"text\":\"a\",\"label\":3}\n{\"text\":\"b\",\"label\":true}").unwrap();
        assert!(
            matches!(numbers.labels, Some(Labels::Numbers { values, outputs: 1 }) if values == [3.0, 1.0])
        );
        // An array, and what an editor writes before the text.
        let text = "\u{feff}[{\"text\": \"a\", \"label\": 3},\n  {\"text\": \"b\", \"label\": 4}]";
        assert!(
            matches!(read(text).unwrap().labels, Some(Labels::Numbers { values, .. }) if values == [3.0, 4.0])
        );
        let marked = read("\u{feff}{\"text\":\"a\",\"label\":3}\n{\"text\":\"b\",\"label\":true}").unwrap();
        assert_eq!(marked.place(1), "line 2");
        // Two classes that are one number in 64-bit floats.
        let large = read(
            "{\"text\":\"a\",\"label\":9007199254740992}\n{\"text\":\"b\",\"label\":9007199254740993}\n"
                .repeat(2)
                .as_str(),
        )
        .unwrap();
        let Some(Labels::Text { vocabulary, .. }) = large.labels else { panic!("names") };
        assert_eq!(vocabulary, ["9007199254740992", "9007199254740993"]);
        for (text, problem) in [
            ("{\"text\":\"a\",\"label\":1}\n[1]", "line 2: is not a JSON object"),
            (
                "{\"txt\":\"a\",\"label\":1}",
                "line 1: has no key \"text\", only \"txt\", \"label\"; rename the key, or train with data.text.column",
            ),
            ("{\"text\":\"a\"}", "line 1: has no key \"label\""),
            ("{\"text\":5,\"label\":1}", "\"text\" is 5, not text"),
            ("{\"text\":\"a\",\"label\":null}", "the label \"label\" is null"),
            (
                "{\"text\":\"a\",\"label\":1}\n{\"text\":\"a\",\"label\":\"1\"}",
                "line 2: the label \"label\" is a text on some",
            ),
            ("\n\n", "holds no lines"),
            ("[]", "holds no lines"),
            ("[{\"text\":\"a\",\"label\":1}, {\"text\":\"b\"}]", "sample 2: has no key \"label\""),
            ("[1]", "is not a JSON array of objects"),
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains(problem), "{problem}: {error}");
        }
    }
}
