//! The examples in `examples/` run as they are written, on small data of the same kind. A new example joins by a row.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The text of a command that must succeed.
fn said(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rarefy")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

struct Example {
    /// The file in `examples/`.
    file: &'static str,
    /// Writes data of its kind into a folder, and says what it is called.
    data: fn(&Path) -> PathBuf,
    /// What makes it small.
    small: &'static [&'static str],
    /// What its report holds.
    told: &'static str,
}

const EXAMPLES: &[Example] = &[
    Example {
        file: "fashion-cnn.toml",
        data: |_| "digits".into(),
        small: &["network.width=4", "data.augment.shift=1"],
        told: "test accuracy",
    },
    Example { file: "spoken-digits.toml", data: tones, small: &["network.width=8"], told: "test accuracy" },
    Example { file: "spoken-sequences.toml", data: tones, small: &[], told: "test label error rate" },
    Example { file: "documents.toml", data: table, small: &["network.width=8"], told: "test accuracy" },
    Example {
        file: "language-model.toml",
        data: speech,
        small: &["network.width=16", "network.depth=1", "data.text.tokens.context=16"],
        told: "bits per character",
    },
    Example { file: "wide-features.toml", data: libsvm, small: &["network.width=8"], told: "test accuracy" },
];

#[test]
fn each_example_runs_as_it_is_written() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for Example { file, data, small, told } in EXAMPLES {
        let folder = tempfile::tempdir().unwrap();
        let (data, config, run) = (data(folder.path()), examples.join(file), folder.path().join("run"));
        let [data, config, run] = [&data, &config, &run].map(|path| path.to_str().unwrap());
        let mut arguments =
            vec!["train", data, "--config", config, "--run-dir", run, "--epochs", "2", "--batch-size", "16"];
        small.iter().for_each(|setting| arguments.extend(["--set", setting]));
        let report = said(&arguments);
        assert!(report.contains("done after 2 epochs") && report.contains(told), "{file}: {report}");
        said(&["evaluate", run]);
    }
}

#[test]
fn each_example_is_a_row() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for entry in std::fs::read_dir(examples).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // A sweep is for `rarefy compare`.
        let is_row = EXAMPLES.iter().any(|example| example.file == name);
        assert!(is_row || !name.ends_with(".toml") || name.starts_with("compare-"), "{name}");
    }
}

/// Forty recordings of two tones, of different lengths.
fn tones(folder: &Path) -> PathBuf {
    for number in 0..40u32 {
        let (class, hz) = if number % 2 == 0 { ("high", 1500.0) } else { ("low", 300.0) };
        let samples = 2400 + 20 * number;
        let at = |n: u32| (9000.0 * (std::f64::consts::TAU * hz * f64::from(n) / 8000.0).sin()) as i16;
        let mut file = b"RIFF".to_vec();
        file.extend((36 + 2 * samples).to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        file.extend([8000u32, 16_000].map(u32::to_le_bytes).concat());
        file.extend(b"\x02\0\x10\0data");
        file.extend((2 * samples).to_le_bytes());
        file.extend((0..samples).flat_map(|n| at(n).to_le_bytes()));
        std::fs::create_dir_all(folder.join("tones").join(class)).unwrap();
        std::fs::write(folder.join("tones").join(class).join(format!("{number:02}.wav")), file).unwrap();
    }
    folder.join("tones")
}

/// Texts of two topics.
fn table(folder: &Path) -> PathBuf {
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
fn speech(folder: &Path) -> PathBuf {
    std::fs::write(folder.join("speech.txt"), "We go to the moon. We do the other things. ".repeat(60))
        .unwrap();
    folder.join("speech.txt")
}

/// Samples with five of a thousand features, the class being told by one of two.
fn libsvm(folder: &Path) -> PathBuf {
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
