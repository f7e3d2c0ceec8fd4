//! JSON lines: one object per line, with a text and a label.
//!
//! ```text
//! {"text": "Rain all day", "label": "weather"}
//! {"text": "Cup final drawn", "label": "sport", "id": 7}
//! ```

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::super::gzip;
use super::super::preparation::Preparation;
use super::super::settings::DataSettings;
use super::super::source::{Cells, Format, LabelColumn, Labels, Raw, RawColumn};
use super::texts::Texts;
use crate::tiles::Shape;
use crate::{Error, Result};

/// Reads a file to train on. Keys are `text` and `label` unless the settings say.
pub(crate) fn read(path: &Path, settings: &DataSettings) -> Result<Raw> {
    let text = settings.text.as_ref().and_then(|text| text.column.as_deref()).unwrap_or("text");
    let label = match &settings.label[..] {
        [] => "label",
        [label] => label,
        _ => {
            return Err(Error::setting("data.label", "a document of JSON lines has one label; give one key"));
        }
    };
    read_keys(path, text, Some(label))
}

/// Reads a new file for a model: the same keys. Without `targets` there need be no labels.
pub(crate) fn read_for_model(path: &Path, preparation: &Preparation, targets: bool) -> Result<Raw> {
    let text = preparation.columns.first().map_or("text", |column| &column.name);
    let label = preparation.labels.first().map_or("label", |label| &label.name);
    read_keys(path, text, targets.then_some(label))
}

fn read_keys(path: &Path, text: &str, label: Option<&str>) -> Result<Raw> {
    let mut bytes = Vec::new();
    gzip::open(path)?.reader.read_to_end(&mut bytes).map_err(gzip::read_error(path))?;
    let (mut texts, mut lines) = (Texts::default(), Vec::new());
    let (mut numbers, mut words) = (Vec::new(), Vec::new());
    for (bytes, line) in bytes.split(|&byte| byte == b'\n').zip(1u64..) {
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |problem: String| Error::data_at(path, format!("line {line}"), problem);
        let object: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| {
            wrong(format!("is not a JSON object on a line of its own ({error}); write one object per line"))
        })?;
        let value = |key: &str, setting: &str| {
            object.get(key).ok_or_else(|| {
                let keys = object.keys().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ");
                wrong(format!("has no key {key:?}, only {keys}; name the key with {setting}"))
            })
        };
        match value(text, "data.text.column")? {
            Value::String(text) => texts.push(text),
            other => return Err(wrong(format!("{text:?} is {other}, not text; mend the line"))),
        }
        if let Some(label) = label {
            match value(label, "data.label")? {
                Value::String(word) => words.push(word.clone()),
                Value::Number(number) => numbers.push(number.as_f64().unwrap_or(f64::NAN)),
                Value::Bool(flag) => numbers.push(f64::from(u8::from(*flag))),
                other => {
                    let problem = format!("the label {label:?} is {other}; give a text or a number");
                    return Err(wrong(problem));
                }
            }
            if !numbers.is_empty() && !words.is_empty() {
                let problem = format!(
                    "the label {label:?} is a text on some lines and a number on others; write all alike"
                );
                return Err(wrong(problem));
            }
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(Error::data(path, "holds no lines"));
    }
    let labels = label.map(|_| match words.is_empty() {
        true => Labels::Numbers { values: numbers, outputs: 1 },
        false => Labels::of_words(words),
    });
    let raw = Raw::arrays(path, Format::Jsonl, Cells::Texts(texts), Shape::flat(1), labels);
    Ok(Raw {
        columns: vec![RawColumn { name: text.to_string(), position: 0, vocabulary: None }],
        label_columns: label
            .iter()
            .map(|label| LabelColumn { name: label.to_string(), position: 1, text: false })
            .collect(),
        lines,
        ..raw
    })
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
            read(&path, &DataSettings::default())
        };
        let raw = read(
            "{\"text\": \"a\\nb\", \"label\": \"x\", \"id\": 1}\r\n\n{\"label\": \"y\", \"text\": \"é\"}",
        )
        .unwrap();
        let Cells::Texts(texts) = &raw.cells else { panic!("text") };
        assert_eq!((texts.text(0), texts.text(1), raw.lines), ("a\nb", "é", vec![1, 3]));
        let Some(Labels::Text { codes, vocabulary }) = &raw.labels else { panic!("words") };
        assert_eq!((&codes[..], &vocabulary[..]), (&[0, 1][..], &["x".to_string(), "y".to_string()][..]));
        let numbers = read("{\"text\":\"a\",\"label\":3}\n{\"text\":\"b\",\"label\":true}").unwrap();
        assert!(
            matches!(numbers.labels, Some(Labels::Numbers { values, outputs: 1 }) if values == [3.0, 1.0])
        );
        for (text, problem) in [
            ("{\"text\":\"a\",\"label\":1}\n[1]", "line 2: is not a JSON object"),
            (
                "{\"txt\":\"a\",\"label\":1}",
                "line 1: has no key \"text\", only \"txt\", \"label\"; name the key with data.text.column",
            ),
            ("{\"text\":\"a\"}", "line 1: has no key \"label\""),
            ("{\"text\":5,\"label\":1}", "\"text\" is 5, not text"),
            ("{\"text\":\"a\",\"label\":null}", "the label \"label\" is null"),
            (
                "{\"text\":\"a\",\"label\":1}\n{\"text\":\"a\",\"label\":\"1\"}",
                "line 2: the label \"label\" is a text on some",
            ),
            ("\n\n", "holds no lines"),
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains(problem), "{problem}: {error}");
        }
    }
}
