//! A run may be killed at any moment: it goes on to the same bytes, a folder never holds a wrong model, and nothing stays behind.
//!
//! The folder is watched, and the process killed as soon as the n-th change is seen, for every n; at moments of time; and, where
//! `strace` is installed, as it enters each system call that changes a file.
//! Every such call and hundreds of moments: `cargo test -p rarefy-cli --test kills -- --ignored`.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A run of some 0.1 s that writes every file several times.
const RUN: &[&str] = &[
    "train",
    "digits",
    "--hidden",
    "8",
    "--epochs",
    "4",
    "--batch-size",
    "256",
    "--threads",
    "1",
    "--quiet",
    "--json",
    "--no-twin",
];

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rarefy"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

/// Names, sizes and identities of the files in a folder.
fn state(folder: &Path) -> Vec<(std::ffi::OsString, u64, Option<std::time::SystemTime>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let about = |entry: std::fs::DirEntry| {
        let about = entry.metadata().ok()?;
        Some((entry.file_name(), about.len(), about.modified().ok()))
    };
    let mut state: Vec<_> = entries.flatten().filter_map(about).collect();
    state.sort();
    state
}

/// Starts a run in `folder` (or goes on with it) and kills it when `when(changes seen, time)` says so; whether it was killed.
fn killed(folder: &Path, mut when: impl FnMut(usize, Duration) -> bool) -> bool {
    let place = folder.to_str().unwrap();
    let begin = Instant::now();
    let mut child = if folder.join("checkpoint.safetensors").exists() {
        start(&["train", "--resume", place, "--quiet", "--json", "--no-twin"])
    } else {
        start(&[RUN, &["--run-dir", place]].concat())
    };
    let (mut last, mut changes) = (state(folder), 0);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let output = ended(child);
            assert!(status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            return false;
        }
        let now = state(folder);
        changes += usize::from(now != last);
        last = now;
        if when(changes, begin.elapsed()) {
            child.kill().unwrap();
            ended(child);
            return true;
        }
    }
}

/// What a folder must satisfy at any moment, and what is left of a run at its end.
struct Expected {
    model: Vec<u8>,
    config: Vec<u8>,
    metrics: Vec<String>,
}

impl Expected {
    fn of(folder: &Path) -> Expected {
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        // Seconds differ from run to run.
        let line = |line: &str| {
            let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["seconds"] = 0.into();
            record.to_string()
        };
        let metrics = String::from_utf8(read("metrics.jsonl")).unwrap();
        Expected {
            model: read("model.safetensors"),
            config: read("config.json"),
            metrics: metrics.lines().map(line).collect(),
        }
    }

    /// After a kill: a model is whole, or there is none.
    fn check_killed(&self, folder: &Path) {
        if folder.join("model.safetensors").exists() {
            let output = ended(start(&["inspect", folder.to_str().unwrap()]));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(std::fs::read(folder.join("config.json")).unwrap(), self.config);
        }
    }

    /// Goes on to the end.
    fn check_end(&self, folder: &Path, what: &str) {
        assert!(!killed(folder, |_, _| false));
        let found = Expected::of(folder);
        assert!(found.model == self.model && found.config == self.config, "{what}: another model");
        assert_eq!(found.metrics, self.metrics, "{what}");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        let all = [
            ".lock",
            "checkpoint.safetensors",
            "config.json",
            "config.toml",
            "environment.json",
            "metrics.jsonl",
            "model.safetensors",
            "summary.json",
        ];
        assert_eq!(names, all, "{what}");
    }
}

fn undisturbed(folder: &Path) -> Expected {
    let whole = folder.join("whole");
    assert!(!killed(&whole, |_, _| false));
    Expected::of(&whole)
}

#[test]
fn a_run_may_be_killed_at_every_write() {
    let folder = tempfile::tempdir().unwrap();
    let expected = undisturbed(folder.path());
    // Of changes that follow at once only one may be seen, so each number is another moment.
    for change in 1.. {
        let run = folder.path().join(change.to_string());
        let was_killed = killed(&run, |changes, _| changes >= change);
        if was_killed {
            expected.check_killed(&run);
        }
        expected.check_end(&run, &format!("killed at change {change}"));
        if !was_killed {
            // On a busy machine most are not seen; `strace` stops at the others.
            assert!(change > 4, "only {change} changes were seen");
            break;
        }
    }
}

/// System calls that change files or folders.
const CHANGES: [&str; 7] = ["mkdir", "flock", "write", "fsync", "rename", "ftruncate", "unlink"];

/// Whether `strace` may look at a process here.
fn has_strace() -> bool {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        eprintln!("strace cannot be used here: no process is killed at a system call");
    }
    works
}

/// Runs `arguments` and kills the process as one of its threads enters `call` for the `count`-th time; whether it came to that.
fn killed_at(call: &str, count: usize, arguments: &[&str]) -> bool {
    let inject = format!("inject={call}:signal=KILL:when={count}");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject])
        .arg(env!("CARGO_BIN_EXE_rarefy"))
        .args(arguments)
        .output()
        .unwrap();
    if output.status.success() {
        return false;
    }
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!words.contains("error"), "{call} {count}: {words}");
    true
}

/// Kills a run at each call from its start, and from its first checkpoint on, where the thread that trains has made none of them
/// before; of these calls every `step`-th.
fn kill_at_calls(step: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let expected = undisturbed(folder.path());
    let begun = folder.path().join("begun");
    assert!(killed_at("write", 3, &[RUN, &["--run-dir", begun.to_str().unwrap()]].concat()));
    let mut kills = 0;
    for from_start in [true, false] {
        for call in CHANGES {
            for count in (1..).step_by(step) {
                let run = folder.path().join(format!("{from_start}-{call}-{count}"));
                let place = run.to_str().unwrap();
                let was_killed = if from_start {
                    killed_at(call, count, &[RUN, &["--run-dir", place]].concat())
                } else {
                    copy(&begun, &run);
                    killed_at(call, count, &["train", "--resume", place, "--quiet", "--json", "--no-twin"])
                };
                if !was_killed {
                    break;
                }
                kills += 1;
                if run.exists() {
                    expected.check_killed(&run);
                }
                expected.check_end(&run, &format!("killed as it entered {call} number {count}"));
            }
        }
    }
    kills
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_run_may_be_killed_as_it_enters_a_system_call() {
    if has_strace() {
        let kills = kill_at_calls(4);
        assert!(kills > 20, "only {kills} kills");
    }
}

#[test]
#[ignore = "takes minutes: each system call that changes a file"]
fn a_run_may_be_killed_as_it_enters_any_system_call() {
    if has_strace() {
        println!("{} kills", kill_at_calls(1));
    }
}

/// Kills a run again and again, each time after a moment drawn anew, until it comes to its end.
#[test]
#[ignore = "takes minutes: hundreds of kills"]
fn a_run_may_be_killed_at_hundreds_of_moments() {
    let folder = tempfile::tempdir().unwrap();
    let expected = undisturbed(folder.path());
    let (mut kills, mut runs, mut random) = (0, 0, 1u64);
    while kills < 700 {
        let run = folder.path().join(format!("random-{runs}"));
        for _ in 0..20 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let moment = Duration::from_micros((random >> 33) % 300_000);
            if !killed(&run, |_, time| time >= moment) {
                break;
            }
            kills += 1;
            expected.check_killed(&run);
        }
        expected.check_end(&run, &format!("run {runs}"));
        runs += 1;
    }
}
