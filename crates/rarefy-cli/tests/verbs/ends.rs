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

#[test]
fn an_error_names_the_flag_or_the_setting_that_is_to_blame() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = folder.path().join("sweep.toml");
    std::fs::write(&sweep, "[sweep]\n\"topology.method\" = 'rigl'\n").unwrap();
    for (arguments, key) in [
        (&["train", "digits", "--sparsity", "95"][..], json!("--sparsity")),
        (&["train", "digits", "--target", "nnz=9", "--target", "nnz=8"], json!("--target")),
        (&["train", "digits", "--target", "size=9"], json!("target")),
        (&["train", "digits", "--set", "train.epoch=5"], json!("train.epoch")),
        (&["train", "digits", "--set", "train.epochs=five"], json!("train.epochs")),
        (&["train", "digits", "--network", "lenet6"], json!("--network")),
        (&["train", "digits", "--set", "data.image_size=-1"], json!("data.image_size")),
        (&["path", "digits", "--set", "train.epochs=5"], json!("train.epochs")),
        (&["path", "digits", "--set", "penalty.lambda=5"], json!("penalty.lambda")),
        (&["inspect", "--network", "lenet5"], json!("--network")),
        (&["compare", path_text(&sweep)], json!("sweep.topology.method")),
        // What clap refuses.
        (&["train", "digits", "--method", "rigel"], json!("--method")),
        (&["train", "digits", "--epochs", "0"], json!("--epochs")),
        (&["train", "digits", "--metod", "rigl"], json!("--metod")),
        // Nothing of the command line is to blame.
        (&["inspect", "no-such-run"], Value::Null),
    ] {
        let found = failure(arguments);
        assert_eq!(found["key"], key, "{arguments:?}: {found}");
    }
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
    for value in [
        "data.path data.label",
        "topology.method topology.every",
        "rigl gse",
        "l1 elastic-net",
        "adam adamw",
        "lenet5",
        "multi-label",
        "scalar",
    ] {
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
