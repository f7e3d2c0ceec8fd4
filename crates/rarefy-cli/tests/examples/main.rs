//! The examples in `examples/` run as they are written, on small data of the same kind, and so do the commands in README and `docs/`. A
//! new example joins by a row.

mod data;
mod docs;

use std::path::{Path, PathBuf};
use std::process::Command;

use data::{libsvm, speech, table, tones};

/// The text of a command that must succeed.
fn said(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_rarefy")).env("COLUMNS", "1000").args(arguments).output().unwrap();
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
