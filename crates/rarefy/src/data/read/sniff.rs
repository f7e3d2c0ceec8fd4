//! What a file is by its first bytes, where that is something nothing here reads, so that a message can name it.

/// Bytes to look at.
pub(crate) const START: usize = 512;

/// What a file that begins with these bytes is and what to do with it; none if it may be read here.
pub(crate) fn foreign(start: &[u8]) -> Option<&'static str> {
    let holds = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
    let zip = "is a ZIP file; unpack it and give the file inside";
    match start {
        // An NPZ file is a ZIP file of NPY files; an Excel file one that begins with its list of parts.
        [b'P', b'K', 3, 4, ..] if holds(b".npy") => None,
        [b'P', b'K', 3, 4, ..] if holds(b"[Content_Types].xml") || holds(b"xl/") || holds(b"docProps/") => {
            Some("is an Excel file; save it as CSV")
        }
        [b'P', b'K', 3, 4, ..] if holds(b"opendocument.spreadsheet") => {
            Some("is a spreadsheet (ODS); save it as CSV")
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Some(zip),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Some("is an old Excel or Word file; save it as CSV"),
        [b'P', b'A', b'R', b'E', ..] => Some("is an encrypted Parquet file; save it without encryption"),
        [b'F', b'E', b'A', b'1', ..] => Some("is a Feather file of version 1; save it again, as version 2"),
        [0x89, b'H', b'D', b'F', ..] => Some("is an HDF5 file; save its arrays as NPY or NPZ"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("is packed with xz; unpack it, or pack it with gzip"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some("is packed with bzip2; unpack it, or pack it with gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("is packed with zstd; unpack it, or pack it with gzip"),
        [b'7', b'z', 0xbc, 0xaf, ..] => Some("is a 7z file; unpack it and give the file inside"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("is UTF-16 text; save the file as UTF-8"),
        // UTF-16 without its mark: each other byte is 0.
        [first, 0, second, 0, ..] | [0, first, 0, second, ..]
            if first.is_ascii_graphic() && second.is_ascii_graphic() =>
        {
            Some("is UTF-16 text; save the file as UTF-8")
        }
        _ if start.get(257..262) == Some(b"ustar") => {
            Some("is a tar archive; unpack it and give the file inside")
        }
        _ if starts_with_word(start, "@relation") => Some(
            "is an ARFF file; save it as CSV: a line of the attributes' names, then the lines below @data",
        ),
        _ if starts_with_word(start, "<!doctype html") || starts_with_word(start, "<html") => {
            Some("is a web page, not data; get the file again")
        }
        _ => None,
    }
}

/// Whether the text begins so, blanks and case aside.
fn starts_with_word(start: &[u8], word: &str) -> bool {
    start
        .trim_ascii_start()
        .get(..word.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_programs_are_named() {
        let zip = |name: &str| [b"PK\x03\x04".as_slice(), &[0; 26], name.as_bytes()].concat();
        let tar = [b"data.csv".as_slice(), &[0; 249], b"ustar\0"].concat();
        for (start, problem) in [
            (zip("[Content_Types].xml"), "is an Excel file"),
            (zip("f.csv"), "is a ZIP file"),
            (b"PARE\x15\x04".to_vec(), "is an encrypted Parquet file"),
            (b"FEA1\0\0\0\0".to_vec(), "is a Feather file of version 1"),
            (b"\xfd7zXZ\0".to_vec(), "is packed with xz"),
            (b"BZh91AY&SY".to_vec(), "is packed with bzip2"),
            (b"\xff\xfea\0,\0".to_vec(), "is UTF-16 text"),
            (b"a\0,\0b\0".to_vec(), "is UTF-16 text"),
            (b"\n<!DOCTYPE html><html>".to_vec(), "is a web page"),
            (b"@RELATION x\n".to_vec(), "is an ARFF file"),
            (tar, "is a tar archive"),
        ] {
            assert!(foreign(&start).is_some_and(|found| found.contains(problem)), "{problem}");
        }
        for start in [
            zip("x.npy"),
            b"\x93NUMPY\x01\0".to_vec(),
            b"a,b\n1,2\n".to_vec(),
            b"\0\0\x08\x03\0\0".to_vec(),
            b"\x1f\x8b\x08\0".to_vec(),
            b"PAR1\x15\x04".to_vec(),
            b"\x80\x02}q\x01".to_vec(),
            Vec::new(),
        ] {
            assert_eq!(foreign(&start), None);
        }
    }
}
