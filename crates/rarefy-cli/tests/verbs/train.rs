//! `rarefy train`: its flags, its refusals, and runs that stop and go on.

use super::*;

#[test]
fn train_takes_the_flags_that_data_takes() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table.csv");
    std::fs::write(&table, (0..40).map(|i| format!("{i}\t{}\t{}\n", i % 2, i % 3 % 2)).collect::<String>())
        .unwrap();
    let flags = ["--label", "2", "--label", "3", "--task", "regression", "--delimiter", "tab"];
    let found = object(&[&["data", path_text(&table)][..], &flags].concat());
    assert_eq!((found["task"].as_str(), found["outputs"].as_u64()), (Some("regression"), Some(2)));
    let shown = said(&[&["train", path_text(&table), "--print-config"][..], &flags].concat());
    let settings: Settings = toml::from_str(&shown).unwrap();
    assert_eq!(settings.data.task, TaskChoice::Regression);
    assert_eq!((settings.data.label.len(), settings.data.delimiter), (2, Some('\t')));
}

#[test]
fn train_says_whether_a_target_was_held() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let train = ["train", "digits", "--hidden", "32", "--epochs", "1", "--run-dir", path_text(&run)];
    let found = object(&[&train[..], &["--target", "nnz=600"]].concat());
    let target = &found["target"];
    assert_eq!((target["key"].as_str(), target["held"].as_bool()), (Some("nnz"), Some(true)));
    assert_eq!((target["asked"].as_f64(), target["reached"].as_f64()), (Some(600.0), found["nnz"].as_f64()));
    assert_eq!(found["flops"].as_u64(), Some(2 * found["nnz"].as_u64().unwrap()));
    let saved = std::fs::read(run.join("summary.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&saved).unwrap(), found);

    // A file of layers so full that they train in dense storage still holds their index.
    std::fs::remove_dir_all(&run).unwrap();
    let found = object(&[&train[..], &["--target", "bytes=8kB"]].concat());
    assert_eq!(found["target"]["held"].as_bool(), Some(true), "{found}");
    // The header's own length follows the digits of the numbers in it.
    assert!((7_900..=8_000).contains(&found["model_bytes"].as_u64().unwrap()), "{found}");

    std::fs::remove_dir_all(&run).unwrap();
    let shown = said(&[&train[..], &["--target", "sparsity=90%"]].concat());
    for words in ["sparsity 0.9 at the end", "sparsity, asked 90.00 %", "held"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    std::fs::remove_dir_all(&run).unwrap();
    assert!(object(&train).get("target").is_none());
}

#[test]
fn train_refuses_by_name_and_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t.csv");
    std::fs::write(&table, (0..30).map(|i| format!("{i},{},{}\n", i % 3, i % 2)).collect::<String>())
        .unwrap();
    let run = folder.path().join("run");
    for (arguments, problem) in [
        (&["--density", "0"][..], "sparsity.density: 0 is not a density"),
        (&["--density", "95"], "did you mean 0.95?"),
        (&["--density", "-1"], "sparsity.density: -1"),
        (&["--sparsity", "100%"], "--sparsity 1: is not from 0 to below 1"),
        (&["--sparsity", "95"], "did you mean 0.95?"),
        (&["--target", "sparsity=95"], "for 95 % write 0.95"),
        (&["--batch-size", "32"], "train.batch_size: 32 is more than the 21 training samples"),
    ] {
        let message =
            refusal(&[&["train", path_text(&table), "--run-dir", path_text(&run)][..], arguments].concat());
        assert!(message.contains(problem), "{message}");
        assert!(!run.exists(), "{message}");
    }
    // The default fits few samples, is told, and is written down.
    let shown =
        said(&["train", path_text(&table), "--run-dir", path_text(&run), "--epochs", "1", "--hidden", "4"]);
    assert!(shown.contains("note: batches of 8 samples, for there are but 21 to train on"), "{shown}");
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert_eq!(toml::from_str::<Settings>(&config).unwrap().train.batch_size, Some(8));
    let shown = said(&["train", "digits", "--sparsity", "95%", "--print-config"]);
    assert_eq!(toml::from_str::<Settings>(&shown).unwrap().sparsity.density, 0.05);
    for arguments in [["--seed", "-1"], ["--hidden", "4,-4"], ["--epochs", "0"], ["--sparsity", "95x"]] {
        let output = rarefy(&[&["train", "digits"], &arguments[..]].concat());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(arguments[0]), "{message}");
    }
}

#[test]
fn known_data_and_a_folder_of_that_name_are_not_mixed_up() {
    let folder = tempfile::tempdir().unwrap();
    let table = "1,a\n2,b\n3,a\n4,b\n";
    std::fs::write(folder.path().join("digits"), table).unwrap();
    let data = |path: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rarefy"));
        command.current_dir(folder.path()).args(["data", path]).output().unwrap()
    };
    assert!(text(&data("digits").stderr).contains("give ./digits for what is here"));
    assert!(text(&data("./digits").stdout).contains("./digits: 4 samples"));
}

#[test]
fn runs_that_cannot_go_on_say_why() {
    let run = copied_run();
    let path = |name: &str| run.path().join(name);
    let message = refusal(&["train", "digits", "--run-dir", path_text(run.path())]);
    assert!(
        message.contains(
            "holds a run already; choose another --run-dir, or go on with that run by  rarefy train --resume"
        ),
        "{message}"
    );

    let config = std::fs::read_to_string(path("config.toml")).unwrap();
    std::fs::write(path("config.toml"), config.replace("epochs = 2", "epochs = 4")).unwrap();
    let resume = ["train", "--resume", path_text(run.path())];
    let message = refusal(&resume);
    assert!(message.contains("config.toml: has another \"train.epochs\""), "{message}");
    std::fs::write(path("config.toml"), config).unwrap();
    said(&resume);

    let checkpoint = std::fs::read(path("checkpoint.safetensors")).unwrap();
    let format = br#"\"format\":3"#;
    let at = checkpoint.windows(format.len()).position(|bytes| bytes == format).unwrap();
    let mut newer = checkpoint.clone();
    newer[at + format.len() - 1] = b'9';
    for (bytes, problem) in [
        (&checkpoint[..checkpoint.len() - 1], "is not a whole safetensors file"),
        (&newer[..], "is in format 9, this version reads format 3: go on with the rarefy that wrote it"),
    ] {
        std::fs::write(path("checkpoint.safetensors"), bytes).unwrap();
        let message = refusal(&resume);
        assert!(message.contains(problem), "{message}");
    }
}

/// A limit on the size of files stands for a full disk: it needs no rights, and fails in the same calls.
#[cfg(unix)]
#[test]
fn a_run_that_finds_no_room_stops_and_goes_on_when_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let stop_after_an_epoch = |event: Event<'_>| match event {
        Event::Epoch { .. } => Control::Stop,
        _ => Control::Continue,
    };
    let mut run = Run::start(settings(DataSettings::default()), Some(folder.path())).unwrap();
    run.train(&mut { stop_after_an_epoch }).unwrap();
    drop(run);
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name)).unwrap();
    let before = read(folder.path(), "checkpoint.safetensors");

    let run = path_text(folder.path());
    let program = env!("CARGO_BIN_EXE_rarefy");
    let limited = "trap '' XFSZ; ulimit -f 2; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", limited, "sh", program, "train", "--quiet", "--resume", run])
        .output()
        .unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    for words in [run, "cannot save", "the run has stopped", &format!("rarefy train --resume {run}")] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(message.matches("(os error").count(), 1, "{message}");
    assert_eq!(read(folder.path(), "checkpoint.safetensors"), before);
    let left = std::fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with(".saving-")), "{left:?}");

    said(&["train", "--resume", run]);
    for name in ["model.safetensors", "config.json"] {
        assert_eq!(read(folder.path(), name), read(Path::new(digits_run()), name), "{name}");
    }
}
