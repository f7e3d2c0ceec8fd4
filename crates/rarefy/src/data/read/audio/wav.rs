//! WAV files: integer PCM of 8, 16, 24 and 32 bits (fewer of them valid are the highest), and floats of 32 and 64 bits, of any
//! rate and number of channels, which are averaged into one. Compressed WAV (mu-law, ADPCM, MP3) is refused.
//!
//! ```text
//! RIFF size WAVE  (name size contents [a byte if the size is odd])...      fmt somewhere before data
//! ```

use std::path::Path;

use crate::{Error, Result};

/// A recording with a single channel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recording {
    /// Samples per second.
    pub rate: u32,
    /// Full scale is -1 to 1; floats may go beyond.
    pub samples: Vec<f32>,
}

const CUT_SHORT: &str =
    "is cut short: it ends before the samples that its header promises; get the file again";
const OTHER_KIND: &str = "is WAV of a kind that is not read; convert it to 16-bit PCM";

/// Programs that write to a pipe cannot know how long the sound will be, and give its length as the most that they can:
/// 0xffffffff (ffmpeg), 0x7fffffff, 0x7ffff000 (sox).
const UNKNOWN_LENGTH: u64 = 0x7fff_0000;

/// Reads a file.
///
/// # Errors
/// A file that is not WAV, is compressed, damaged, cut short or without a sound, or holds a float that is not finite.
pub(crate) fn read(path: &Path) -> Result<Recording> {
    let bytes = std::fs::read(path).map_err(Error::io(path, "cannot open"))?;
    let (format, data) = find_sound(&bytes).map_err(|problem| Error::data(path, problem))?;
    let channels = format.channels;
    let interleaved = format.samples(data);
    if let Some(at) = interleaved.iter().position(|sample| !sample.is_finite()) {
        let problem = format!("{} is not a finite number; write the file again", interleaved[at]);
        return Err(Error::data_at(path, format!("sample {}", at / channels + 1), problem));
    }
    let samples = match channels {
        1 => interleaved,
        _ => {
            // The means of huge floats must not overflow.
            let mean = |frame: &[f32]| frame.iter().map(|sample| sample / channels as f32).sum();
            interleaved.chunks_exact(channels).map(mean).collect()
        }
    };
    Ok(Recording { rate: format.rate, samples })
}

/// The format of a file and the bytes of its samples.
fn find_sound(bytes: &[u8]) -> std::result::Result<(Format, &[u8]), String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    if !(bytes.starts_with(b"RIFF") || bytes.starts_with(b"RF64"))
        || bytes.get(8..12).is_some_and(|name| name != b"WAVE")
    {
        return Err("is not a WAV file, or a damaged one; get the file again".into());
    }
    let mut rest = bytes.get(12..).unwrap_or_default();
    let (mut format, mut long_size) = (None, None);
    while let Some((head, contents)) = rest.split_first_chunk::<8>() {
        let size = u32_at(head, 4).expect("a head has 8 bytes");
        match &head[..4] {
            b"fmt " => format = Some(Format::read(contents.get(..size as usize).ok_or(CUT_SHORT)?)?),
            // Of RF64, whose sizes may be beyond 32 bits.
            b"ds64" => long_size = contents.get(8..16).and_then(|size| size.try_into().ok()),
            b"data" => {
                let format: Format = format.ok_or("has no format before its samples; get the file again")?;
                let size = match long_size {
                    Some(long) if size == u32::MAX => u64::from_le_bytes(long),
                    _ => u64::from(size),
                };
                let data = match usize::try_from(size).ok().and_then(|size| contents.get(..size)) {
                    Some(data) => data,
                    None if size >= UNKNOWN_LENGTH => contents,
                    None => return Err(CUT_SHORT.into()),
                };
                format.check(data)?;
                return Ok((format, data));
            }
            _ => {}
        }
        let after = contents.get(size as usize..).unwrap_or_default();
        // Some programs leave out the byte that makes an odd size even.
        let is_filled_up = size % 2 == 1 && !after.starts_with(b"data");
        rest = after.get(usize::from(is_filled_up)..).unwrap_or_default();
    }
    Err(CUT_SHORT.into())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16_at(bytes, at)?) | u32::from(u16_at(bytes, at + 2)?) << 16)
}

/// What samples look like.
struct Format {
    channels: usize,
    rate: u32,
    is_float: bool,
    /// Bytes of a sample of one channel.
    width: usize,
}

impl Format {
    /// Reads the contents of `fmt `.
    fn read(fmt: &[u8]) -> std::result::Result<Format, String> {
        let short = |at| u16_at(fmt, at).ok_or(CUT_SHORT);
        let long = |at| u32_at(fmt, at).ok_or(CUT_SHORT);
        let tag = match short(0)? {
            // Extensible: the first bytes of a longer name.
            0xfffe => short(24)?,
            tag => tag,
        };
        let (channels, rate, byte_rate) = (usize::from(short(2)?), long(4)?, u64::from(long(8)?));
        let (block, bits) = (usize::from(short(12)?), usize::from(short(14)?));
        if channels == 0 {
            return Err("says it has zero channels; get the file again".into());
        }
        // 24 bits may lie in 4 bytes.
        let width = match block / channels {
            wide if wide > bits.div_ceil(8) && byte_rate == u64::from(rate) * block as u64 => wide,
            _ => bits.div_ceil(8),
        };
        if width * channels != block && bits > 0 {
            let problem = format!(
                "says that {channels} x {bits} bits are {block} bytes, which contradict each other; convert it to 16-bit PCM"
            );
            return Err(problem);
        }
        match (tag, width) {
            _ if bits == 0 => Err(OTHER_KIND.into()),
            (1, 1..=4) => Ok(Format { channels, rate, is_float: false, width }),
            (3, 4 | 8) if width * 8 == bits => Ok(Format { channels, rate, is_float: true, width }),
            _ => Err(OTHER_KIND.into()),
        }
    }

    /// That there are samples, all of them whole.
    fn check(&self, data: &[u8]) -> std::result::Result<(), String> {
        match data.len() % (self.width * self.channels) {
            _ if data.is_empty() => Err("holds no samples; record it again, or remove it".into()),
            0 => Ok(()),
            _ => Err("ends inside a sample; get the file again".into()),
        }
    }

    fn samples(&self, data: &[u8]) -> Vec<f32> {
        match (self.is_float, self.width) {
            (true, 4) => data.as_chunks().0.iter().map(|&sample| f32::from_le_bytes(sample)).collect(),
            (true, _) => data.as_chunks().0.iter().map(|&sample| f64::from_le_bytes(sample) as f32).collect(),
            (false, width) => data.chunks_exact(width).map(integer).collect(),
        }
    }
}

/// A whole number of up to 4 bytes as a share of the largest: valid bits are the highest of it, the others zero.
fn integer(sample: &[u8]) -> f32 {
    let mut high = [0; 4];
    high[4 - sample.len()..].copy_from_slice(sample);
    if sample.len() == 1 {
        // Single bytes count from 0, their middle being silence.
        high[3] ^= 0x80;
    }
    i32::from_le_bytes(high) as f32 / 2f32.powi(31)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What stands in `fmt `: 16 bytes, and perhaps more.
    fn fmt(tag: u16, channels: u16, rate: u32, bits: u16, width: u16, more: &[u8]) -> Vec<u8> {
        let block = channels * width;
        let mut bytes = [tag, channels].map(u16::to_le_bytes).concat();
        bytes.extend([rate, rate * u32::from(block)].map(u32::to_le_bytes).concat());
        bytes.extend([block, bits].map(u16::to_le_bytes).concat());
        [&bytes, more].concat()
    }

    /// What an extensible format has more: so many valid bits, and whether these are floats.
    fn extensible(valid: u16, tag: u16) -> Vec<u8> {
        let name = [0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113];
        [&[22, 0][..], &valid.to_le_bytes(), &[4, 0, 0, 0], &tag.to_le_bytes(), &name].concat()
    }

    fn file(chunks: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        for (name, contents) in chunks {
            bytes.extend(name.as_bytes());
            bytes.extend((contents.len() as u32).to_le_bytes());
            bytes.extend(contents);
            bytes.resize(bytes.len().next_multiple_of(2), 0);
        }
        let size = bytes.len() as u32 - 8;
        bytes[4..8].copy_from_slice(&size.to_le_bytes());
        bytes
    }

    /// The samples in `width` bytes each.
    fn packed(width: usize, samples: &[i32]) -> Vec<u8> {
        let unsigned = if width == 1 { 128 } else { 0 };
        samples.iter().flat_map(|&sample| (sample + unsigned).to_le_bytes()[..width].to_vec()).collect()
    }

    /// Writes a file of whole numbers.
    pub(crate) fn integers(path: &Path, rate: u32, channels: u16, bits: u16, samples: &[i32]) {
        let format = fmt(1, channels, rate, bits, bits / 8, &[]);
        let data = packed(usize::from(bits / 8), samples);
        std::fs::write(path, file(&[("fmt ", format), ("data", data)])).unwrap();
    }

    fn read_bytes(bytes: &[u8]) -> Result<Recording> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn every_width_reads_as_the_same_numbers() {
        // 0, 1/2, -1, -1/4 in so many of so many bits: the valid ones are the highest.
        for (tag, valid, bits, width) in [
            (1, 8, 8, 1u16),
            (1, 16, 16, 2),
            (1, 24, 24, 3),
            (1, 32, 32, 4),
            (0xfffe, 16, 16, 2),
            (0xfffe, 24, 24, 3),
            (0xfffe, 24, 32, 4),
            (0xfffe, 12, 16, 2),
            (0xfffe, 20, 24, 3),
            (1, 24, 24, 4),
            (1, 12, 12, 2),
        ] {
            let one = 1i64 << (8 * width - 1);
            let data = packed(usize::from(width), &[0, one / 2, -one, -one / 4].map(|sample| sample as i32));
            for more in [&[][..], &[0, 0], &[0, 0, 0, 0]] {
                let more = if tag == 1 { more.to_vec() } else { extensible(valid, 1) };
                let format = fmt(tag, 1, 8000, bits, width, &more);
                let found = read_bytes(&file(&[("fmt ", format), ("data", data.clone())])).unwrap();
                let expected = Recording { rate: 8000, samples: vec![0.0, 0.5, -1.0, -0.25] };
                assert_eq!(found, expected, "{valid} of {bits} bits in {width} bytes");
            }
        }
        let single: Vec<u8> = [0f32, 0.5, -1.5].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let double: Vec<u8> = [0f64, 0.5, -1.5].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        for (format, data) in [
            (fmt(3, 1, 8000, 32, 4, &[]), single.clone()),
            (fmt(0xfffe, 1, 8000, 32, 4, &extensible(32, 3)), single),
            (fmt(3, 1, 8000, 64, 8, &[]), double),
        ] {
            let found = read_bytes(&file(&[("fmt ", format), ("data", data)])).unwrap();
            assert_eq!(found.samples, [0.0, 0.5, -1.5]);
        }
    }

    #[test]
    fn the_samples_are_found_among_other_chunks_and_in_streams() {
        let format = || ("fmt ", fmt(1, 1, 8000, 16, 2, &[]));
        let data = || ("data", packed(2, &[16384, -32768, 8192]));
        let plain = file(&[format(), data()]);
        let odd = file(&[format(), ("LIST", vec![7; 17]), data()]);
        let mut without_fill = odd.clone();
        without_fill.remove(12 + 24 + 8 + 17);
        // The length of the data stands before its 6 bytes.
        let with_size = |bytes: &[u8], size: u32| {
            let mut bytes = bytes.to_vec();
            let at = bytes.len() - 10;
            bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
            bytes
        };
        let mut rf64 =
            with_size(&file(&[("ds64", [[0; 8], 6u64.to_le_bytes()].concat()), format(), data()]), u32::MAX);
        rf64[..4].copy_from_slice(b"RF64");
        // What comes after the samples is none of them.
        rf64.extend(b"LIST\x04\0\0\0abcd");
        for (name, bytes) in [
            ("odd", odd),
            ("odd before the format", file(&[("bext", vec![7; 603]), format(), data()])),
            ("odd, not filled up", without_fill),
            ("after", file(&[format(), data(), ("LIST", vec![7; 5])])),
            ("ffmpeg", with_size(&plain, u32::MAX)),
            ("half", with_size(&plain, 0x7fff_ffff)),
            ("sox", with_size(&plain, 0x7fff_f000)),
            ("RF64", rf64),
        ] {
            assert_eq!(read_bytes(&bytes).unwrap().samples, [0.5, -1.0, 0.25], "{name}");
        }
    }

    #[test]
    fn channels_are_averaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        integers(&path, 8000, 2, 16, &[16384, 0, -8192, 8192, 4096, 4096]);
        assert_eq!(read(&path).unwrap().samples, [0.25, 0.0, 0.125]);
    }

    #[test]
    fn damaged_files_are_refused_by_name() {
        let format = |bits, width| ("fmt ", fmt(1, 1, 8000, bits, width, &[]));
        let good = file(&[format(16, 2), ("data", packed(2, &[1, 2, 3, 4]))]);
        let floats = [
            ("fmt ", fmt(3, 1, 8000, 32, 4, &[])),
            ("data", [0f32, f32::NAN].map(f32::to_le_bytes).concat()),
        ];
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for (bytes, problem) in [
            (vec![], "the file is empty"),
            (b"ID3 this is no wave file at all, but another".to_vec(), "is not a WAV file"),
            (good[..20].to_vec(), "is cut short"),
            (good[..10].to_vec(), "is cut short"),
            (good[..good.len() - 3].to_vec(), "is cut short"),
            // The highest byte of the length of the data: 8 bytes become 2 GiB.
            (with(good.len() - 9, 0x7f), "is cut short"),
            (with(good.len() - 12, 7), "ends inside a sample"),
            (with(20, 7), "convert it to 16-bit PCM"),
            (with(22, 0), "zero channels"),
            (with(32, 4), "contradict each other"),
            (with(34, 0), "convert it to 16-bit PCM"),
            (file(&[format(16, 2), ("data", Vec::new())]), "holds no samples"),
            (file(&[("data", vec![0; 4]), format(16, 2)]), "no format before its samples"),
            (file(&floats), "sample 2: NaN is not a finite number"),
        ] {
            let error = read_bytes(&bytes).unwrap_err().to_string();
            assert!(error.contains("a.wav") && error.contains(problem), "{problem}: {error}");
        }
        let missing = read(Path::new("/no/b.wav")).unwrap_err().to_string();
        assert!(missing.contains("b.wav: cannot open"), "{missing}");
    }

    #[test]
    fn no_damage_to_the_header_brings_a_panic_or_a_number_that_is_not_finite() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        integers(&path, 8000, 2, 24, &[1, 2, 3, 4]);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            for byte in [0, 1, 3, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                std::fs::write(&path, bytes).unwrap();
                if let Ok(recording) = read(&path) {
                    assert!(recording.samples.iter().all(|sample| sample.is_finite()));
                }
            }
        }
    }
}
