//! The formats that predictions are written in. A new one is a file of this folder, a variant, its arms, and the endings of its files.

use std::io::{Result as Written, Write};
use std::path::Path;

use anyhow::{Result, bail};

#[cfg(feature = "parquet")]
use super::parquet;
use super::table::Table;
use super::{csv, jsonl};

/// How predictions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line of names, then a line for each sample.
    Csv,
    /// An object for each sample, on a line of its own.
    Jsonl,
    /// Columns with types.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Format {
    /// All of them, the default first.
    const ALL: &[Format] = &[
        Format::Csv,
        Format::Jsonl,
        #[cfg(feature = "parquet")]
        Format::Parquet,
    ];

    fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
            #[cfg(feature = "parquet")]
            Format::Parquet => "parquet",
        }
    }

    /// How files of it end.
    fn endings(self) -> &'static [&'static str] {
        match self {
            Format::Csv => &["csv", "txt"],
            Format::Jsonl => &["jsonl", "ndjson"],
            #[cfg(feature = "parquet")]
            Format::Parquet => &["parquet", "pq"],
        }
    }

    /// The format that was named, else that of the file's name, else CSV.
    ///
    /// # Errors
    /// A file whose name ends as those of no format.
    pub fn chosen(named: Option<&str>, file: Option<&Path>) -> Result<Format> {
        let by = |is: &dyn Fn(Format) -> bool| Format::ALL.iter().copied().find(|&format| is(format));
        if let Some(format) = named.and_then(|name| by(&|format| format.name() == name)) {
            return Ok(format);
        }
        let Some((file, ending)) = file.and_then(|file| Some((file, file.extension()?))) else {
            return Ok(Format::Csv);
        };
        let ending = ending.to_string_lossy().to_lowercase();
        match by(&|format| format.endings().contains(&ending.as_str())) {
            Some(format) => Ok(format),
            None => bail!(
                "{}: no format of predictions ends in .{ending}; choose one with --format ({})",
                file.display(),
                names().join(", ")
            ),
        }
    }

    /// Writes all rows.
    pub fn write(self, table: &Table, out: impl Write) -> Written<()> {
        match self {
            Format::Csv => csv::write(table, out),
            Format::Jsonl => jsonl::write(table, out),
            #[cfg(feature = "parquet")]
            Format::Parquet => parquet::write(table, out),
        }
    }
}

/// What `--format` may be.
pub fn names() -> Vec<&'static str> {
    Format::ALL.iter().map(|format| format.name()).collect()
}

/// The help of `--format`.
pub fn help() -> &'static str {
    "How predictions are written [default: as --output ends, else csv]"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_comes_before_the_name_of_the_file() {
        for (named, file, expected) in [
            (None, None, Some(Format::Csv)),
            (None, Some("p"), Some(Format::Csv)),
            (None, Some("p.CSV"), Some(Format::Csv)),
            (None, Some("a.b/p.jsonl"), Some(Format::Jsonl)),
            (Some("csv"), Some("p.jsonl"), Some(Format::Csv)),
            (Some("jsonl"), None, Some(Format::Jsonl)),
            #[cfg(feature = "parquet")]
            (None, Some("p.parquet"), Some(Format::Parquet)),
            (Some("csv"), Some("p.xlsx"), Some(Format::Csv)),
            (None, Some("p.xlsx"), None),
        ] {
            let found = Format::chosen(named, file.map(Path::new));
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{named:?} {file:?}");
            if let Err(error) = found {
                assert!(error.to_string().contains("ends in .xlsx; choose one with --format (csv, jsonl"));
            }
        }
    }
}
