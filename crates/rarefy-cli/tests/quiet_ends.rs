//! The program ends with an error and never with a panic, whoever listens and whatever is asked for.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn rarefy(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rarefy"));
    command.args(arguments).stdin(Stdio::null()).env("COLUMNS", "1000");
    command
}

fn refused(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{:?}: {error}", output.status);
    error
}

#[test]
fn numbers_beyond_all_bounds_are_refused_by_key() {
    for (arguments, problem) in [
        (&["--threads", "4096"][..], "threads: 4096 is more than 1024"),
        (&["--hidden", "99999999999"], "network.hidden: a layer may have at most 16777216 units"),
        (&["--set", "seed=9223372036854775808"], "above 9223372036854775807"),
        (&["--set", "train.checkpoint_minutes=inf"], "train.checkpoint_minutes: must be a finite number"),
        (
            &[
                "--set",
                "network.layers=[{layer=\'conv2d\',filters=1,kernel=9223372036854775807},{layer=\'linear\'}]",
            ],
            "at most 1048576",
        ),
        (&["--set", "data.shape=[4611686018427387904,4,1]"], "data.shape: samples of"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let arguments = [&["train", "digits", "--run-dir", run.to_str().unwrap()], arguments].concat();
        let error = refused(rarefy(&arguments).output().unwrap());
        assert!(error.contains(problem), "{arguments:?}: {error}");
        assert!(!run.exists(), "{arguments:?} leaves a folder");
    }
}

/// `/dev/full` takes nothing.
#[cfg(target_os = "linux")]
#[test]
fn an_error_that_nobody_can_read_is_no_panic() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let status = rarefy(&["data", "/no/such/file"]).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(1));
    let output = rarefy(&["data", "digits"]).stdout(full()).output().unwrap();
    assert!(refused(output).contains("cannot write to stdout"));
    let status = rarefy(&["data", "digits"]).stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn a_folder_that_no_text_can_name_is_refused_before_any_work() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join(Path::new(OsStr::from_bytes(b"run-\xff")));
    for flag in ["--run-dir", "--resume"] {
        let output = rarefy(&["train", flag]).arg(&run).output().unwrap();
        assert!(refused(output).contains("UTF-8"));
    }
    assert!(!run.exists());
}

#[cfg(target_arch = "x86_64")]
#[test]
fn going_on_with_another_instruction_set_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().to_str().unwrap();
    let begun = [
        "train",
        "digits",
        "--hidden",
        "8",
        "--epochs",
        "1",
        "--isa",
        "scalar",
        "--no-twin",
        "--run-dir",
        run,
    ];
    assert!(rarefy(&begun).output().unwrap().status.success());
    // As if another machine had begun it.
    let path = folder.path().join("checkpoint.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    // The settings name it first, and then what computed.
    let field: &[u8] = br#"isa\":\"scalar"#;
    let at = bytes.windows(field.len()).rposition(|part| part == field).expect("the checkpoint names it");
    let mut changed = bytes.clone();
    changed[at + field.len() - 6..at + field.len()].copy_from_slice(b"avx512");
    // Without its checksum.
    let key = b"\"checksum\"";
    let at = bytes.windows(key.len()).position(|part| part == key).unwrap();
    changed[at..at + key.len()].copy_from_slice(b"\"unsigned\"");
    std::fs::write(&path, changed).unwrap();
    let output = rarefy(&["train", "--resume", run, "--no-twin"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("note: computed with avx512 so far"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
