//! A run may be killed at any moment: it goes on to the same bytes, a folder never holds a wrong model, and nothing stays behind.
//!
//! The folder is watched, and the process killed as soon as the n-th change is seen, for every n; and at moments of time.
//! Hundreds of random moments: `cargo test -p rarefy-cli --test kills -- --ignored`.

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
    let mut child = match folder.join("checkpoint.safetensors").exists() {
        true => start(&["train", "--resume", place, "--quiet", "--json", "--no-twin"]),
        false => start(&[RUN, &["--run-dir", place]].concat()),
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
            assert!(change > 10, "only {change} changes were seen");
            break;
        }
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
