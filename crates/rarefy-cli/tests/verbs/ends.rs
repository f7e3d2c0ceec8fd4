//! How the program ends: exit codes, errors for programs, signals; and what shells and `man` are told.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

/// What a verb that fails prints for programs under `--json`: one object and nothing else, with the exit code in it.
fn failure(arguments: &[&str]) -> Value {
    let output = rarefy(&[arguments, &["--json"]].concat());
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json!(output.status.code()), object["error"]["exit_code"], "{arguments:?}: {object}");
    assert!(text(&output.stderr).starts_with("error: "), "{}", text(&output.stderr));
    object["error"].clone()
}

#[test]
fn an_error_is_an_object_too() {
    let found = failure(&["train", "digits", "--sparsity", "0.9", "--set", "train.checkpoint_minutes=0"]);
    assert_eq!((&found["key"], &found["exit_code"]), (&json!("train.checkpoint_minutes"), &json!(1)));
    assert_eq!(found["message"], "train.checkpoint_minutes: must be above 0");

    let found = failure(&["data", "no-such.csv"]);
    assert_eq!(found["path"], "no-such.csv", "{found}");

    let found = failure(&["train", "digits", "--method", "rigel"]);
    assert_eq!(found["exit_code"], 2);
    assert!(found["message"].as_str().unwrap().contains("invalid value 'rigel' for '--method"), "{found}");
}

/// A run that would go on for hours gets a signal: it is saved, and the program ends soon.
#[cfg(unix)]
#[test]
fn signals_end_soon_with_a_checkpoint_and_their_own_codes() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let run = path_text(folder.path());
        let arguments =
            ["train", "digits", "--hidden", "8", "--epochs", "1000000", "--json", "--run-dir", run];
        let child = Command::new(env!("CARGO_BIN_EXE_rarefy"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !folder.path().join("metrics.jsonl").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Instant::now();
        let kill = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let seconds = sent.elapsed().as_secs_f64();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(seconds < 2.0, "{name}: {seconds} s");
        assert!(error.contains("stopping: saving and reporting"), "{error}");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["ending"], "interrupted");
        assert!(folder.path().join("checkpoint.safetensors").exists());
    }
}

#[test]
fn shells_complete_values() {
    let script = said(&["completions", "bash"]);
    for value in ["rigl gse", "l1 elastic-net", "adam adamw", "lenet5", "multi-label", "scalar"] {
        let [first, rest] = value.split_once(' ').map_or([value, ""], |(first, rest)| [first, rest]);
        let listed = script.lines().filter(|line| line.contains("compgen -W"));
        assert!(listed.clone().any(|line| line.contains(first) && line.contains(rest)), "{value}");
    }
    let script = said(&["completions", "zsh"]);
    for files in [":data -- ", ":model -- ", ":DIR:_files", ":FILE:_files"] {
        let line = script.lines().find(|line| line.contains(files));
        assert!(line.is_some_and(|line| line.contains("_files")), "{files}: {line:?}");
    }
}

#[test]
fn each_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    said(&["man", "--output", path_text(&pages)]);
    for page in ["rarefy.1", "rarefy-train.1", "rarefy-path.1", "rarefy-bench-step.1"] {
        let page = std::fs::read_to_string(pages.join(page)).unwrap();
        assert!(page.starts_with(".ie") && page.contains(".SH SYNOPSIS"), "{page}");
    }
    let main = std::fs::read_to_string(pages.join("rarefy.1")).unwrap();
    assert!(main.contains("143") && main.contains("SIGTERM"), "{main}");
}
