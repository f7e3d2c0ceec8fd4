//! Opens a file whether or not it is gzipped, told by its first two bytes, not by its name. A byte order mark, which some
//! programs write before UTF-8 text, is passed over.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::pipes;
use crate::{Error, Result};

/// Deflate shrinks data at most 1032 times, so a file bounds what can come out of it.
pub(crate) const MOST_SHRUNK: u64 = 1032;

/// How many times larger than the file what comes out of it may be, beyond the first [`FREE`] bytes: data shrink to a tenth,
/// seldom to a hundredth. A file made to fill the memory shrinks a thousandfold.
const LARGEST_RATIO: u64 = 200;
const FREE: u64 = 1 << 30;

/// A file opened for reading, unpacked on the way.
pub(crate) struct Opened<'a> {
    /// The plain bytes.
    pub reader: Box<dyn Read + 'a>,
    /// No more bytes than this can come; what a header promises beyond it is a lie.
    pub at_most: u64,
    /// Whether they are those of a file, so that it could be read anywhere.
    pub is_plain: bool,
}

/// Opens a plain or gzipped file.
pub(crate) fn open(path: &Path) -> Result<Opened<'static>> {
    if let Some(bytes) = pipes::bytes(path)? {
        let length = bytes.len() as u64;
        return Ok(Opened { is_plain: false, ..unpacked(path, Cursor::new(bytes), length)? });
    }
    let file = File::open(path).map_err(Error::io(path, "cannot open"))?;
    let about = file.metadata().map_err(Error::io(path, "cannot read"))?;
    if about.is_dir() {
        return Err(Error::data(path, "is a folder where a file is needed"));
    }
    unpacked(path, BufReader::with_capacity(1 << 16, file), about.len())
}

/// What comes of so many bytes.
fn unpacked(path: &Path, mut reader: impl BufRead + 'static, length: u64) -> Result<Opened<'static>> {
    let start = reader.fill_buf().map_err(Error::io(path, "cannot read"))?;
    if start.is_empty() {
        return Err(Error::data(path, "the file is empty"));
    }
    if start.starts_with(&[0x1f, 0x8b]) {
        let at_most = length.saturating_mul(MOST_SHRUNK);
        let left = FREE.max(length.saturating_mul(LARGEST_RATIO));
        let reader = BufReader::new(Members { member: Some(GzDecoder::new(reader)), left });
        return Ok(Opened { reader: Box::new(without_mark(path, reader)?), at_most, is_plain: false });
    }
    Ok(Opened { reader: Box::new(without_mark(path, reader)?), at_most: length, is_plain: true })
}

fn without_mark<R: BufRead>(path: &Path, mut reader: R) -> Result<R> {
    if reader.fill_buf().map_err(read_error(path))?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(reader)
}

/// The members of a gzip file one after another. Zeros may follow the last, as tapes and archives fill files up.
struct Members<R> {
    member: Option<GzDecoder<R>>,
    /// Bytes that may come yet.
    left: u64,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(out)?;
            if count > 0 || out.is_empty() {
                self.left = self.left.checked_sub(count as u64).ok_or(ErrorKind::FileTooLarge)?;
                return Ok(count);
            }
            let mut rest = self.member.take().expect("it was there").into_inner();
            loop {
                let bytes = rest.fill_buf()?;
                let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
                if zeros < bytes.len() {
                    rest.consume(zeros);
                    self.member = Some(GzDecoder::new(rest));
                    break;
                }
                if zeros == 0 {
                    return Ok(0);
                }
                rest.consume(zeros);
            }
        }
        Ok(0)
    }
}

/// What a failed read of packed data means: broken contents, or a system that refused.
pub(crate) fn read_error(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |source| match source.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
            Error::data(path, format!("the compressed data is broken ({source}); get the file again"))
        }
        ErrorKind::FileTooLarge => Error::data(
            path,
            format!(
                "unpacks to more than {LARGEST_RATIO} times its size; if it is meant so, unpack it and give the plain file"
            ),
        ),
        _ => Error::io(path, "cannot read")(source),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;

    /// `bytes` as a gzip file holds them.
    pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_packed_files_read_alike_and_broken_ones_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let text: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let whole = packed(&text);
        let mut flipped = whole.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 0xff;
        let cut = whole[..whole.len() / 2].to_vec();
        let trailing = [&whole[..], b"more"].concat();
        let members = [packed(&text[..3]), packed(&[]), packed(&text[3..])].concat();
        for (name, bytes, good) in [
            ("plain", text.clone(), true),
            ("packed", whole.clone(), true),
            ("members", members, true),
            ("zeros", [&whole[..], &[0; 70_000]].concat(), true),
            ("mark", [&b"\xef\xbb\xbf"[..], &text].concat(), true),
            ("packed mark", packed(&[&b"\xef\xbb\xbf"[..], &text].concat()), true),
            ("flipped", flipped, false),
            ("cut", cut, false),
            ("trailing", trailing, false),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let mut found = Vec::new();
            let read = open(&path).unwrap().reader.read_to_end(&mut found).map_err(read_error(&path));
            match read {
                Ok(_) => assert!(good && found == text, "{name}"),
                Err(error) => {
                    assert!(!good && error.to_string().contains("get the file again"), "{name}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_unpacks_without_end_is_refused() {
        let file = packed(&[0; 5000]);
        for (left, is_good) in [(5000, true), (4999, false)] {
            let mut reader = Members { member: Some(GzDecoder::new(&file[..])), left };
            let mut found = Vec::new();
            let read = reader.read_to_end(&mut found).map_err(read_error(Path::new("a.gz")));
            assert_eq!(read.is_ok(), is_good);
            if let Err(error) = read {
                assert!(error.to_string().contains("unpacks to more than 200 times its size"), "{error}");
            }
        }
    }

    #[test]
    fn missing_empty_and_folder_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, b"").unwrap();
        for (path, problem) in [
            (folder.path().join("none"), "cannot open"),
            (empty, "the file is empty"),
            (folder.path().to_path_buf(), "is a folder"),
        ] {
            let error = open(&path).err().unwrap().to_string();
            assert!(error.contains(problem) && error.contains(&path.display().to_string()), "{error}");
        }
    }
}
