//! Small data of every kind that examples are about.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Forty recordings of two tones, of different lengths.
pub fn tones(folder: &Path) -> PathBuf {
    for number in 0..40 {
        let (class, hz) = if number % 2 == 0 { ("high", 1500.0) } else { ("low", 300.0) };
        recording(&folder.join(format!("tones/{class}/{number:02}.wav")), hz, 2400 + 20 * number);
    }
    folder.join("tones")
}

/// A WAV file of so many samples of a tone.
pub fn recording(path: &Path, hz: f64, samples: u32) {
    let at = |n: u32| (9000.0 * (std::f64::consts::TAU * hz * f64::from(n) / 8000.0).sin()) as i16;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + 2 * samples).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend([8000u32, 16_000].map(u32::to_le_bytes).concat());
    file.extend(b"\x02\0\x10\0data");
    file.extend((2 * samples).to_le_bytes());
    file.extend((0..samples).flat_map(|n| at(n).to_le_bytes()));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, file).unwrap();
}

/// A PNG file of 8 x 8 grey pixels of one shade.
pub fn image(path: &Path, shade: u8) {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let named = [&kind[..], data].concat();
        [&(data.len() as u32).to_be_bytes()[..], &named, &crc32(&named).to_be_bytes()].concat()
    };
    // Each line begins with the number of its filter, which is none.
    let pixels: Vec<u8> = (0..8).flat_map(|_| [vec![0], vec![shade; 8]].concat()).collect();
    let length = pixels.len() as u16;
    // A zlib stream of one block that is not compressed.
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in &pixels {
        a = (a + u32::from(byte)) % 65521;
        b = (b + a) % 65521;
    }
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    stream.extend(&pixels);
    stream.extend(((b << 16) | a).to_be_bytes());
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(chunk(b"IHDR", &[0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 0]));
    file.extend(chunk(b"IDAT", &stream));
    file.extend(chunk(b"IEND", &[]));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, file).unwrap();
}

/// The check sum of PNG (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

/// Texts of two topics.
pub fn table(folder: &Path) -> PathBuf {
    let topics = [["cup", "goal", "match"], ["rain", "sun", "wind"]];
    let mut lines = "label\ttext\n".to_string();
    for i in 0..100 {
        let words = topics[i % 2];
        writeln!(
            lines,
            "{}\tthe {} and the {}",
            ["sport", "weather"][i % 2],
            words[i % 3],
            words[(i + 1) % 3]
        )
        .unwrap();
    }
    std::fs::write(folder.join("news.tsv"), lines).unwrap();
    folder.join("news.tsv")
}

/// A text that says the same again and again.
pub fn speech(folder: &Path) -> PathBuf {
    std::fs::write(folder.join("speech.txt"), "We go to the moon. We do the other things. ".repeat(60))
        .unwrap();
    folder.join("speech.txt")
}

/// Samples with five of a thousand features, the class being told by one of two.
pub fn libsvm(folder: &Path) -> PathBuf {
    let mut lines = String::new();
    for i in 0..200 {
        let other = |k: usize| 3 + k * 200 + (i * 37) % 199;
        writeln!(
            lines,
            "{} {}:1 {}:1 {}:1 {}:0.5 {}:1",
            i % 2,
            1 + i % 2,
            other(0),
            other(1),
            other(2),
            other(4)
        )
        .unwrap();
    }
    std::fs::write(folder.join("features.libsvm"), lines).unwrap();
    folder.join("features.libsvm")
}
