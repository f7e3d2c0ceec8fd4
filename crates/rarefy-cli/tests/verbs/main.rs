//! The verbs that use what training left behind say the same to people and to programs, and refuse bad input by name.

mod comm;
mod ends;
mod evaluate;
mod inspect;
mod memory;
mod predict;
mod recordings;
mod tables;
mod text;
mod train;
mod width;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use rarefy::data::{DataSettings, TaskChoice};
use rarefy::layers::NetworkSettings;
use rarefy::train::{Control, Event, Run, Settings, Threshold, TrainSettings};
use serde_json::Value;
use tempfile::TempDir;

fn rarefy(arguments: &[&str]) -> Output {
    // So wide that no line of text is broken, which would hide what is looked for.
    Command::new(env!("CARGO_BIN_EXE_rarefy")).env("COLUMNS", "1000").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What a verb prints for people.
fn said(arguments: &[&str]) -> String {
    let output = rarefy(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).to_string()
}

/// What a verb prints for programs: one object and nothing else.
fn object(arguments: &[&str]) -> Value {
    let output = rarefy(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The message of a verb that fails as it should: exit code 1, nothing on stdout, no panic.
fn refusal(arguments: &[&str]) -> String {
    let output = rarefy(arguments);
    let message = text(&output.stderr).to_string();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""), "{arguments:?}: {message}");
    assert!(message.starts_with("error: "), "{message}");
    message
}

/// A run of two epochs with 32 hidden units.
fn settings(data: DataSettings) -> Settings {
    Settings {
        data,
        threads: 1,
        network: NetworkSettings { hidden: vec![32], ..NetworkSettings::default() },
        train: TrainSettings { epochs: 2, batch_size: Some(16), ..TrainSettings::default() },
        ..Settings::default()
    }
}

fn train(folder: &Path, data: DataSettings) {
    Run::start(settings(data), Some(folder)).unwrap().train(&mut |_| Control::Continue).unwrap();
}

/// A small run on the digits, made once.
fn digits_run() -> &'static str {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        train(folder.path(), DataSettings::default());
        folder
    });
    folder.path().to_str().unwrap()
}

/// A folder with a copy of that run, to damage.
fn copied_run() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(digits_run()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    folder
}

/// A table without names in its first line: three numbers and a class, or as `label` says.
fn write_table(folder: &Path, label: impl Fn(usize) -> String) -> PathBuf {
    let path = folder.join("table.csv");
    let line = |i: usize| format!("{},{},{},{}\n", i % 7, i % 5, (i * i) % 11, label(i));
    std::fs::write(&path, (0..60).map(line).collect::<String>()).unwrap();
    path
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn doctor_and_completions_work() {
    let found = object(&["doctor"]);
    assert!(found["checks"].as_array().unwrap().iter().all(|check| check["passed"] == true), "{found}");
    assert!(found["peak_gflops"].as_f64().unwrap() > 0.0);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = said(&["completions", shell]);
        assert!(script.contains("rarefy") && script.contains("evaluate"), "{shell}");
    }
}

#[test]
fn models_that_cannot_be_used_are_named() {
    let message = refusal(&["evaluate", "no-such-run", "digits"]);
    assert!(message.contains("no-such-run: there is no such file or folder"), "{message}");

    let run = copied_run();
    let file = run.path().join("model.safetensors");
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 7, 100, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        for verb in [&["evaluate", path_text(run.path()), "digits"][..], &["inspect", path_text(run.path())]]
        {
            let message = refusal(verb);
            assert!(message.contains("model.safetensors: is not a whole safetensors file"), "{message}");
        }
    }
    std::fs::write(&file, &whole).unwrap();

    let config = run.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"format\": 1", "\"format\": 99")).unwrap();
    let message = refusal(&["predict", path_text(run.path()), "digits"]);
    assert!(
        message.contains("config.json: was written by") && message.contains("update rarefy"),
        "{message}"
    );
    std::fs::remove_file(&config).unwrap();
    let message = refusal(&["inspect", path_text(run.path())]);
    assert!(message.contains("config.json: cannot read the model's description"), "{message}");
}

#[test]
fn benchmarks_of_nothing_and_without_end_are_refused() {
    for (arguments, problem) in [
        (&["step", "--batch", "0"][..], "--batch must be at least 1"),
        (&["scale", "--batch", "0"], "--batch must be at least 1"),
        (&["step", "--seconds", "inf"], "--seconds must be a number"),
        (&["kernels", "--rounds", "0"], "--sizes, --batch and --rounds must be at least 1"),
        (&["kernels", "--sizes", "0"], "--sizes, --batch and --rounds must be at least 1"),
    ] {
        let message = refusal(&[&["bench"], arguments].concat());
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let arguments =
        [&["predict", digits_run(), "digits", "--probabilities"][..], &["data", "digits", "--all"]];
    for arguments in arguments {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rarefy"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    }
}

#[test]
fn each_verb_teaches_and_wrong_usage_ends_with_2() {
    for verb in ["evaluate", "predict", "inspect", "data", "doctor", "completions"] {
        assert!(said(&[verb, "--help"]).contains(&format!("Examples:\n  rarefy {verb}")), "{verb}");
    }
    assert_eq!(rarefy(&["evaluate"]).status.code(), Some(2));
    assert_eq!(rarefy(&["data", "digits", "--task", "guess"]).status.code(), Some(2));
}
