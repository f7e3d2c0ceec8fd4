//! Samples in memory that are no numbers yet: rows of a table, and texts. They become what those of a file do. A text is a column,
//! so a model of texts in memory reads files of a table with such a column.

use std::path::Path;

use super::{Rows, Samples, input};
use crate::data::raw::{Cells, Raw, RawColumn, Texts};
use crate::data::read;
use crate::data::reading::{CellKind, CsvColumn, CsvReading, Dialect, Format, MEMORY, Reading};
use crate::data::settings::{DataSettings, Decimal};
use crate::data::span::Shifting;
use crate::tiles::Shape;
use crate::{Error, InputProblem, Result};

/// What messages call texts.
const TEXTS: &str = "the texts";

/// What the column of texts is called unless the settings say.
const TEXT: &str = "text";

impl Samples {
    /// The rows of a table. Its columns become what those of the same table in a Parquet file do, by the settings for tables; what is
    /// to be predicted comes beside it.
    #[cfg(feature = "arrow")]
    pub fn table(table: crate::data::Table) -> Samples {
        let columns = table.columns();
        Samples::new(Rows::Table(table), columns)
    }

    /// Texts, one a sample. They become bags of words or tokens by the settings of `data.text`, as the texts of a file do.
    ///
    /// # Errors
    /// [`Error::Input`]: no texts.
    ///
    /// # Example
    /// ```
    /// use rarefy::Samples;
    /// use rarefy::data::{DataSettings, from_memory};
    ///
    /// let texts = Samples::texts(&["rain all day", "cup final drawn", "sun and rain", "a cup for all"])?;
    /// let alone = DataSettings { validation_fraction: 0.0, test_fraction: 0.0, ..DataSettings::default() };
    /// let splits = from_memory(texts.with_classes(&[0, 1, 0, 1])?, &alone, 1)?;
    /// assert!(splits.preparation.input_names().contains(&"rain".to_string()));
    /// # Ok::<(), rarefy::Error>(())
    /// ```
    pub fn texts(texts: &[impl AsRef<str>]) -> Result<Samples> {
        super::refuse_empty(texts.len(), 1)?;
        Ok(Samples::new(Rows::Texts(texts.iter().collect()), 1))
    }

    /// The format whose settings are for such samples.
    pub(in crate::data) fn format(&self) -> Format {
        match self.rows {
            Rows::Table(_) => Format::Csv,
            Rows::Texts(_) => Format::Text,
            _ => Format::Memory,
        }
    }

    /// What messages call them.
    pub(in crate::data) fn name(&self) -> &'static str {
        match self.rows {
            Rows::Table(_) => crate::data::table::TABLE,
            Rows::Texts(_) => TEXTS,
            _ => MEMORY,
        }
    }

    /// The samples as a source to train on.
    pub(in crate::data) fn into_training(self, settings: &DataSettings) -> Result<Raw> {
        let raw = match &self.rows {
            Rows::Table(table) => {
                refuse_labels(settings)?;
                read::csv::read_table(table, settings)?
            }
            Rows::Texts(texts) => {
                let name = settings.text.as_ref().and_then(|text| text.column.as_deref()).unwrap_or(TEXT);
                of_texts(texts, Reading::Csv(one_column(name, settings)), name)
            }
            _ => {
                let reading = self.reading();
                return self.into_raw(&reading, &Shifting::by(settings.scale));
            }
        };
        self.with_own(raw)
    }

    /// The samples as a source for whoever was trained on such that were read so.
    pub(in crate::data) fn into_new(self, trained: &Reading) -> Result<Raw> {
        let raw = match (&self.rows, trained) {
            (Rows::Table(table), Reading::Csv(csv)) => read::csv::reread_table(table, csv, self.own_task())?,
            (Rows::Texts(texts), trained) => of_texts(texts, trained.clone(), TEXT),
            (_, Reading::Memory(memory)) => {
                return self.into_raw(memory, &Shifting::As(trained.shifts().to_vec()));
            }
            _ => {
                let found = match self.rows {
                    Rows::Table(_) => "a table",
                    _ => "rows of numbers",
                };
                let expected = "samples as in training".into();
                return input(InputProblem::Mismatch { found: found.into(), expected });
            }
        };
        self.with_own(raw)
    }

    /// A source of these rows with what came beside them.
    fn with_own(self, raw: Raw) -> Result<Raw> {
        for (key, both) in [
            ("data.weight", raw.weights.is_some() && self.weights.is_some()),
            ("data.group", raw.groups.is_some() && self.groups.is_some()),
        ] {
            if both {
                return Err(Error::setting(key, "is given beside the table too; leave one of them out"));
            }
        }
        let (labels, classes) = self.labels();
        let (weights, groups) = (self.weights.or(raw.weights), self.groups.or(raw.groups));
        Ok(Raw { labels, classes, weights, groups, ..raw })
    }
}

/// Refuses settings about labels in a table.
fn refuse_labels(settings: &DataSettings) -> Result<()> {
    for (key, given) in [
        ("data.label", !settings.label.is_empty()),
        ("data.label_type", settings.label_type != crate::data::LabelType::Auto),
    ] {
        if given {
            let problem = "is for labels in a file, and here they are given beside the table; leave it out";
            return Err(Error::setting(key, problem));
        }
    }
    Ok(())
}

/// How a table of one column of texts is read.
fn one_column(name: &str, settings: &DataSettings) -> CsvReading {
    let text = CsvColumn { name: name.to_string(), position: 0, cells: CellKind::Text };
    CsvReading {
        dialect: Dialect {
            delimiter: ',',
            header: true,
            columns: 1,
            decimal: Decimal::Auto,
            quote: true,
            typed: true,
        },
        columns: vec![text],
        labels: Vec::new(),
        labels_are_words: false,
        weight: None,
        keep: Vec::new(),
        missing: settings.missing,
        missing_markers: settings.missing_markers.clone(),
        date_format: None,
        shifts: Vec::new(),
    }
}

fn of_texts(texts: &Texts, reading: Reading, column: &str) -> Raw {
    let columns = vec![RawColumn { name: column.to_string(), vocabulary: None }];
    let raw = Raw::new(Path::new(TEXTS), reading, Cells::Texts(texts.clone()), Shape::flat(1), None);
    Raw { columns, ..raw }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Preparation, from_memory, load, load_with};

    const TEXTS: [&str; 6] =
        ["rain all day", "cup final drawn", "sun and rain", "a cup for all", " rain, again ", "the final"];

    /// The texts with their classes, in memory and as JSON lines.
    fn texts(folder: &Path) -> (Samples, String) {
        let lines = TEXTS.iter().zip([0, 1].iter().cycle());
        let lines: String =
            lines.map(|(text, class)| format!("{{\"text\": {text:?}, \"label\": \"{class}\"}}\n")).collect();
        let path = folder.join("texts.jsonl");
        std::fs::write(&path, lines).unwrap();
        let samples = Samples::texts(&TEXTS).unwrap().with_classes(&[0, 1, 0, 1, 0, 1]).unwrap();
        (samples, path.to_str().unwrap().into())
    }

    #[test]
    fn texts_in_memory_are_those_of_a_file_and_a_model_takes_a_column_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let (samples, path) = texts(folder.path());
        for more in
            ["", "text.bag.ngrams = 2", "text.tokens.min_count = 1", "text.tokens.kind = 'characters'"]
        {
            let settings: DataSettings = toml::from_str(more).unwrap();
            let settings = DataSettings { path: path.clone(), ..settings };
            let settings = DataSettings { validation_fraction: 0.0, test_fraction: 0.0, ..settings };
            let of_file = load(&settings, 1).unwrap();
            let of_memory = from_memory(samples.clone(), &settings, 1).unwrap();
            assert_eq!(of_memory.train, of_file.train, "{more}");
            assert_eq!(of_memory.preparation.columns, of_file.preparation.columns);
            let stored = serde_json::to_string(&of_memory.preparation).unwrap();
            let again: Preparation = serde_json::from_str(&stored).unwrap();
            again.check().unwrap();
            assert_eq!(again, of_memory.preparation);
            let new = Samples::texts(&["rain in the day"]).unwrap();
            let expected = of_file.preparation.prepare(&new, false).unwrap();
            assert_eq!(again.prepare(&new, false).unwrap(), expected, "{more}");
            let table = folder.path().join("new.csv");
            std::fs::write(&table, "id,text\n1,rain in the day\n").unwrap();
            let of_table = load_with(&again, table.to_str().unwrap(), false).unwrap().dataset;
            assert_eq!(of_table, expected, "{more}");
        }
    }

    #[test]
    fn texts_without_words_are_refused_or_left_out() {
        let given =
            Samples::texts(&["rain", "?", "sun rain", "sun"]).unwrap().with_classes(&[0, 1, 0, 1]).unwrap();
        let whole = DataSettings { validation_fraction: 0.0, test_fraction: 0.0, ..DataSettings::default() };
        let error = from_memory(given.clone(), &whole, 1).unwrap_err().to_string();
        assert!(error.starts_with("the texts, sample 2: the document holds no words"), "{error}");
        let splits =
            from_memory(given, &DataSettings { skip_bad: true, text: Some(Default::default()), ..whole }, 1);
        let splits = splits.unwrap();
        assert_eq!(splits.train.len(), 3);
        let error = splits.preparation.prepare(&Samples::texts(&["..."]).unwrap(), false).unwrap_err();
        assert!(error.to_string().contains("no words"), "{error}");
    }
}
