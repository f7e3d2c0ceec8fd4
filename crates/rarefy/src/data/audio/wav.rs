//! WAV files: integer PCM of 8, 16, 24 and 32 bits, and 32-bit floats, of any rate and number of channels.
//! Several channels are averaged into one. Compressed WAV (mu-law, ADPCM, MP3) is refused.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use hound::{SampleFormat, WavReader};

use crate::{Error, Result};

/// A recording with a single channel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recording {
    /// Samples per second.
    pub rate: u32,
    /// Full scale is -1 to 1; floats may go beyond.
    pub samples: Vec<f32>,
}

/// Reads a file.
///
/// # Errors
/// A file that is not WAV, is compressed, damaged, cut short or without a sound, or holds a float that is not finite.
pub(crate) fn read(path: &Path) -> Result<Recording> {
    let file = File::open(path).map_err(Error::io(path, "cannot open"))?;
    let bytes = file.metadata().map_err(Error::io(path, "cannot read"))?.len();
    if bytes == 0 {
        return Err(Error::data(path, "the file is empty"));
    }
    let wav = WavReader::new(BufReader::new(file)).map_err(|error| refuse(path, error))?;
    let spec = wav.spec();
    let channels = usize::from(spec.channels);
    let count = wav.len() as usize;
    // A sample takes a byte at least: a header that promises more than the file holds must not fill the memory.
    if count as u64 > bytes {
        return Err(Error::data(path, CUT_SHORT));
    }
    if count == 0 {
        return Err(Error::data(path, "holds no samples; record it again, or remove it"));
    }
    let mut interleaved = Vec::with_capacity(count);
    match spec.sample_format {
        SampleFormat::Float => {
            for sample in wav.into_samples::<f32>() {
                interleaved.push(sample.map_err(|error| refuse(path, error))?);
            }
        }
        SampleFormat::Int => {
            let full_scale = 2f32.powi(i32::from(spec.bits_per_sample) - 1);
            for sample in wav.into_samples::<i32>() {
                interleaved.push(sample.map_err(|error| refuse(path, error))? as f32 / full_scale);
            }
        }
    }
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
    Ok(Recording { rate: spec.sample_rate, samples })
}

const CUT_SHORT: &str =
    "is cut short: it ends before the samples that its header promises; get the file again";

/// What a failed read means.
fn refuse(path: &Path, error: hound::Error) -> Error {
    let problem = match error {
        hound::Error::IoError(source) => match source.kind() {
            // hound's own for a file that ends early is `Other`.
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::Other => CUT_SHORT.into(),
            _ => return Error::io(path, "cannot read")(source),
        },
        hound::Error::FormatError(why) => {
            format!("is not a WAV file, or a damaged one ({why}); get the file again")
        }
        hound::Error::UnfinishedSample => "ends inside a sample; get the file again".into(),
        hound::Error::Unsupported | hound::Error::TooWide | hound::Error::InvalidSampleFormat => {
            "is WAV of a kind that is not read; convert it to 16-bit PCM".into()
        }
    };
    Error::data(path, problem)
}

#[cfg(test)]
pub(crate) mod tests {
    use hound::{WavSpec, WavWriter};

    use super::*;

    fn spec(rate: u32, channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
        WavSpec { channels, sample_rate: rate, bits_per_sample, sample_format }
    }

    /// Writes a file of whole numbers.
    pub(crate) fn integers(path: &Path, rate: u32, channels: u16, bits: u16, samples: &[i32]) {
        let mut writer = WavWriter::create(path, spec(rate, channels, bits, SampleFormat::Int)).unwrap();
        samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
    }

    fn floats(path: &Path, samples: &[f32]) {
        let mut writer = WavWriter::create(path, spec(8000, 1, 32, SampleFormat::Float)).unwrap();
        samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
    }

    #[test]
    fn every_width_reads_as_the_same_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        for bits in [8, 16, 24, 32] {
            let one = 1i64 << (bits - 1);
            integers(&path, 8000, 1, bits, &[0, (one / 2) as i32, (-one) as i32, (-one / 4) as i32]);
            let read = read(&path).unwrap();
            assert_eq!((read.rate, &read.samples[..]), (8000, &[0.0, 0.5, -1.0, -0.25][..]), "{bits} bits");
        }
        floats(&path, &[0.0, 0.5, -1.5]);
        assert_eq!(read(&path).unwrap().samples, [0.0, 0.5, -1.5]);
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
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let written = |write: &dyn Fn()| {
            write();
            std::fs::read(&path).unwrap()
        };
        let good = written(&|| integers(&path, 8000, 1, 16, &[1, 2, 3, 4]));
        let silent = written(&|| integers(&path, 8000, 1, 16, &[]));
        let nan = written(&|| floats(&path, &[0.0, f32::NAN]));
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for (bytes, problem) in [
            (vec![], "the file is empty"),
            (b"ID3 this is no wave file at all, but another".to_vec(), "is not a WAV file"),
            (good[..20].to_vec(), "is cut short"),
            (good[..good.len() - 3].to_vec(), "is cut short"),
            // The highest byte of the length of the data: 8 bytes become 2 GiB.
            (with(good.len() - 9, 0x7f), "is cut short"),
            (with(20, 7), "convert it to 16-bit PCM"),
            (with(22, 0), "zero channels"),
            (silent, "holds no samples"),
            (nan, "sample 2: NaN is not a finite number"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("a.wav") && error.contains(problem), "{problem}: {error}");
        }
        let missing = read(&folder.path().join("b.wav")).unwrap_err().to_string();
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
