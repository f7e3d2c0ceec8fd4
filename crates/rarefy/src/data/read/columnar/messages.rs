//! Arrow IPC: a stream of messages, each a length, what it is (a flatbuffer) and its bytes. A file is such a stream between two
//! magic words, and a list of the places of its messages behind it, which is not needed to read them in order.
//!
//! The crate makes room for what a message promises before it reads it, so all promises are looked at first. Format: "Arrow
//! columnar format", sections "Encapsulated message format" and "IPC file format".

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use arrow_ipc::reader::StreamReader;
use arrow_ipc::{RecordBatch, root_as_message};
use arrow_schema::ArrowError;

use super::Kind;

type Found<T> = Result<T, ArrowError>;

/// How much longer unpacked bytes can be than packed ones: zstd keeps 128 KiB of one byte in 4.
pub(super) const MOST_SHRUNK: u64 = 1 << 15;

/// Unpacked bytes that are never too many.
pub(super) const FREE: u64 = 1 << 16;

/// Opens a file or a stream for the columns of a projection, or for all.
///
/// # Errors
/// If it is damaged.
pub(super) fn open(
    file: File,
    kind: Kind,
    projection: Option<Vec<usize>>,
) -> Found<StreamReader<BufReader<File>>> {
    let length = file.metadata()?.len();
    let mut file = BufReader::new(file);
    let mut start = 0;
    if kind == Kind::ArrowFile {
        // Zeros fill the magic word up to 8 bytes, or to as many as the writer likes.
        start = 8;
        while start + 8 <= length && word(&mut file, start)? == 0 {
            start += 8;
        }
    }
    check(&mut file, start, length)?;
    file.seek(SeekFrom::Start(start))?;
    StreamReader::try_new(file, projection)
}

/// Checks the promises of all messages from a place of a file of this length.
fn check(file: &mut BufReader<File>, mut at: u64, length: u64) -> Found<()> {
    let lie = || ArrowError::IpcError("a message promises more than the file holds".into());
    let fits = |size: i64, from: u64| {
        u64::try_from(size).ok().filter(|&size| size <= length.saturating_sub(from)).ok_or_else(lie)
    };
    while at + 4 <= length {
        // Before the length stands a mark, but not in streams of old.
        let mut size = word(file, at)?;
        at += 4;
        if size == -1 && at + 4 <= length {
            size = word(file, at)?;
            at += 4;
        }
        if size == 0 {
            break;
        }
        let about_length = fits(size.into(), at)?;
        let mut about = vec![0; about_length as usize];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut about)?;
        let message = root_as_message(&about).map_err(|error| ArrowError::IpcError(error.to_string()))?;
        at += about_length;
        let body = fits(message.bodyLength(), at)?;
        let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
        if let Some(batch) = message.header_as_record_batch().or(dictionary) {
            check_unpacked(file, &batch, at, body)?;
        }
        at += body;
    }
    Ok(())
}

/// Checks what packed bytes promise to become. Before them stands their length unpacked, or -1 if they are not packed.
fn check_unpacked(file: &mut BufReader<File>, batch: &RecordBatch, at: u64, body: u64) -> Found<()> {
    if batch.compression().is_none() {
        return Ok(());
    }
    for buffer in batch.buffers().iter().flatten() {
        let place = u64::try_from(buffer.offset()).ok().zip(u64::try_from(buffer.length()).ok());
        // Others are refused where they are read.
        let Some((offset, packed)) =
            place.filter(|&(offset, packed)| packed >= 8 && offset <= body && packed <= body - offset)
        else {
            continue;
        };
        file.seek(SeekFrom::Start(at + offset))?;
        let mut unpacked = [0; 8];
        file.read_exact(&mut unpacked)?;
        let unpacked = i64::from_le_bytes(unpacked);
        if unpacked != -1
            && u64::try_from(unpacked)
                .is_ok_and(|unpacked| unpacked > FREE.max(packed.saturating_mul(MOST_SHRUNK)))
        {
            return Err(ArrowError::IpcError("packed bytes promise to become more than they can".into()));
        }
    }
    Ok(())
}

/// The number that stands at a place of a file.
fn word(file: &mut BufReader<File>, at: u64) -> Found<i32> {
    let mut bytes = [0; 4];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(i32::from_le_bytes(bytes))
}
