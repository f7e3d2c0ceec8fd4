//! What the samples of a file will take of the memory, as far as its size and its first bytes tell: a file that does not fit is
//! refused before it is read. Packed files, folders and pipes do not tell; text in columns that are left out is not counted.

use std::io::Read;

use super::place::Place;
use super::{gzip, npy};
use crate::data::reading::Format;
use crate::data::settings::DataSettings;
use crate::{Error, Result};

/// Bytes of a file of text to look at.
const START: u64 = 1 << 18;

/// A number of a table, as it is read and as it is trained on; of a libsvm file an index and a value.
const NUMBER_BYTES: usize = 8;

/// Refuses a file whose samples take more bytes than there is room for.
pub(super) fn refuse_too_large(
    place: &Place,
    format: Format,
    settings: &DataSettings,
    room: u64,
) -> Result<()> {
    if settings.memory.is_some() {
        return Ok(());
    }
    let Some(bytes) = bytes_taken(place, format, settings, room)?.filter(|&bytes| bytes > room) else {
        return Ok(());
    };
    let gb = |bytes: u64| format!("{:.3} GB", bytes as f64 / 1e9);
    let problem = format!(
        "its samples take about {}, and {} are left (of memory_limit, or of what is free); with data.memory = \"1GB\", or what you can spare, samples stay on the disk",
        gb(bytes),
        gb(room)
    );
    Err(Error::data(&place.path, problem))
}

/// Bytes that samples take, where that can be told: of text a guess that is sure to be more than the room if it is more.
fn bytes_taken(place: &Place, format: Format, settings: &DataSettings, room: u64) -> Result<Option<u64>> {
    if !place.is_file() || place.is_pipe() {
        return Ok(None);
    }
    let opened = gzip::open(&place.path)?;
    if !opened.is_plain {
        return Ok(None);
    }
    let length = opened.at_most;
    let takes_columns = settings.ignore.is_empty() && settings.text.is_none();
    let numbers = |mark: fn(&[u8]) -> Option<u8>| {
        let (mut reader, mut bytes) = (opened.reader, Vec::new());
        let mut more = |bytes: &mut Vec<u8>| {
            bytes.clear();
            reader.by_ref().take(START).read_to_end(bytes).map_err(gzip::read_error(&place.path))
        };
        let mut seen = more(&mut bytes)?;
        let Some(mark) = mark(&bytes) else { return Ok(None) };
        let mut found = count(&bytes, mark);
        loop {
            let guess = ((NUMBER_BYTES * found) as f64 / seen as f64 * length as f64) as u64;
            // Later lines may be longer with as many numbers: before a file is refused so many are counted.
            let is_sure = (NUMBER_BYTES * found) as u64 > room;
            if guess <= room || is_sure || more(&mut bytes)? == 0 {
                return Ok(Some(guess));
            }
            (seen, found) = (seen + bytes.len(), found + count(&bytes, mark));
        }
    };
    match format {
        Format::Csv if place.is_typed() || !takes_columns => Ok(None),
        Format::Csv => numbers(delimiter),
        Format::Libsvm => numbers(|_| Some(b':')),
        Format::Idx => Ok(Some(length)),
        Format::Npy => npy::feature_bytes(&place.path, length),
        _ => Ok(None),
    }
}

fn count(start: &[u8], byte: u8) -> usize {
    start.iter().filter(|&&found| found == byte).count()
}

/// What parts the cells in lines that begin so: where semicolons or tabs part them commas may be decimal marks.
fn delimiter(start: &[u8]) -> Option<u8> {
    let lines = count(start, b'\n');
    let parts = |&delimiter: &u8| count(start, delimiter) >= lines.max(1);
    [b';', b'\t', b','].into_iter().find(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_fit_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let npy = |shape: &str, count: usize| npy::tests::file("<f8", "False", shape, &vec![0; 8 * count]);
        let x = npy("(1000, 10)", 10_000);
        let y =
            npy::tests::file("|u1", "False", "(1000,)", &(0..1000).map(|i| i as u8 % 2).collect::<Vec<_>>());
        // What is no feature counts for nothing.
        let notes = npy("(50000, 1)", 50_000);
        let archive = npy::tests::archive(&[("x.npy", &x[..]), ("y.npy", &y), ("notes.npy", &notes)]);
        for (name, bytes, least) in [
            ("a.csv", "0.12,0.34,x\n0.56,0.78,y\n".repeat(500).into_bytes(), 16_000),
            ("b.csv", "0,12;0,34;x\n0,56;0,78;y\n".repeat(500).into_bytes(), 16_000),
            // Its first lines are shorter than its others.
            (
                "c.csv",
                [
                    "1,2,x\n".repeat(50_000),
                    format!("{0},{0},y\n", "1.5".to_string() + &"0".repeat(20)).repeat(10_000),
                ]
                .concat()
                .into_bytes(),
                960_000,
            ),
            ("a.libsvm", b"1 1:0.5 7:2\n-1 2:1 3:1\n".repeat(500), 16_000),
            ("a.npz", archive, 80_000),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let settings = DataSettings { path: path.to_str().unwrap().into(), ..DataSettings::default() };
            let read = |settings: &DataSettings, room| super::super::read_within(settings, room).map(drop);
            let error = read(&settings, least - 1000).unwrap_err().to_string();
            assert!(error.contains("samples take about 0.0") && error.contains("data.memory"), "{error}");
            read(&settings, least + 1000).unwrap();
            read(&DataSettings { memory: Some(1 << 20), ..settings }, least - 1000).unwrap();
        }
    }
}
