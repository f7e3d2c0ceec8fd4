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
    let [target] = &found["targets"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!((target["key"].as_str(), target["held"].as_bool()), (Some("nnz"), Some(true)));
    assert_eq!((target["asked"].as_f64(), target["reached"].as_f64()), (Some(600.0), found["nnz"].as_f64()));
    assert_eq!(found["flops"].as_u64(), Some(2 * found["nnz"].as_u64().unwrap()));
    let saved = std::fs::read(run.join("summary.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&saved).unwrap(), found);

    // A file of layers so full that they train in dense storage still holds their index.
    std::fs::remove_dir_all(&run).unwrap();
    let found = object(&[&train[..], &["--target", "bytes=8kB"]].concat());
    assert_eq!(found["targets"][0]["held"].as_bool(), Some(true), "{found}");
    // The header's own length follows the digits of the numbers in it.
    assert!((7_900..=8_000).contains(&found["model_bytes"].as_u64().unwrap()), "{found}");

    std::fs::remove_dir_all(&run).unwrap();
    let shown = said(&[&train[..], &["--target", "sparsity=90%"]].concat());
    for words in ["sparsity 0.9 at the end", "sparsity, asked 90.00 %", "held"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    std::fs::remove_dir_all(&run).unwrap();
    assert!(object(&train).get("targets").is_none());
}

#[test]
fn a_run_ends_within_several_targets() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let train = ["train", "digits", "--hidden", "32", "--epochs", "1", "--run-dir", path_text(&run)];
    // The tight one first and last, with and without a penalty.
    for (flags, tight) in [
        (&["--target", "nnz=600", "--target", "bytes=9kB"][..], 0),
        (&["--target", "bytes=6kB", "--target", "flops=4k", "--penalty", "l1"], 0),
        (&["--target", "sparsity=50%", "--target", "flops=900", "--penalty", "l1"], 1),
        (&["--target", "sparsity=50%", "--set", "target.bytes='8kB'"], 1),
    ] {
        let found = object(&[&train[..], flags].concat());
        let targets = found["targets"].as_array().unwrap();
        assert_eq!(targets.len(), 2, "{found}");
        assert!(targets.iter().all(|target| target["held"] == true), "{found}");
        let of = |key: &str| targets[tight][key].as_f64().unwrap();
        assert!(of("reached") > 0.95 * of("asked"), "{found}");
        std::fs::remove_dir_all(&run).unwrap();
    }
    let shown = said(&[&train[..], &["--target", "sparsity=90%", "--target", "bytes=9kB"]].concat());
    for words in
        ["sparsity 0.9, at most 9000 bytes at the end", "sparsity, asked 90.00 %", "bytes, asked 9000 B"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
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
        (&["--target", "sparsity=0", "--penalty", "l1"], "ask for less, or leave the target out"),
        (&["--target", "nnz=600", "--target", "bytes=1"], "target.bytes: cannot be reached"),
        (&["--target", "nnz=600", "--target", "nnz=700"], "--target nnz=700: target.nnz is there twice"),
        (&["--elastic"], "--elastic: there are no ranks to go on with"),
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
    let shown = said(&["train", "digits", "--sparsity", "95%", "--block", "8", "--print-config"]);
    let same = object(&["train", "digits", "--sparsity", "95%", "--block", "8", "--print-config"]);
    assert_eq!(same["sparsity"]["block"], 8);
    let sparsity = toml::from_str::<Settings>(&shown).unwrap().sparsity;
    assert_eq!((sparsity.density, sparsity.block), (0.05, 8.into()));
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
    std::fs::write(path("config.toml"), config.replace("batch_size = 16", "batch_size = 8")).unwrap();
    let resume = ["train", "--resume", path_text(run.path())];
    let message = refusal(&resume);
    assert!(message.contains("config.toml: has another \"train.batch_size\""), "{message}");
    std::fs::write(path("config.toml"), config).unwrap();
    said(&resume);
    // Nothing is read where there is no room for it.
    let message = refusal(&[&resume[..], &["--memory-limit", "1000"]].concat());
    assert!(message.contains("memory_limit: the run's checkpoint takes 0.0"), "{message}");

    let message = refusal(&["inspect", path_text(&path("checkpoint.safetensors"))]);
    assert!(message.contains("is the checkpoint of a run, from which training goes on"), "{message}");
    let checkpoint = std::fs::read(path("checkpoint.safetensors")).unwrap();
    let format = br#"\"format\":3"#;
    let at = checkpoint.windows(format.len()).position(|bytes| bytes == format).unwrap();
    let mut newer = checkpoint.clone();
    newer[at + format.len() - 1] = b'9';
    let damaged = newer.clone();
    // Without its checksum.
    let key = b"\"checksum\"";
    let at = checkpoint.windows(key.len()).position(|bytes| bytes == key).unwrap();
    newer[at..at + key.len()].copy_from_slice(b"\"unsigned\"");
    for (bytes, problem) in [
        (&checkpoint[..checkpoint.len() - 1], "is not a whole safetensors file"),
        (&damaged[..], "checkpoint.safetensors: is damaged: its checksum is"),
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

/// What a penalty that is too strong leaves behind is a model, told as what it is.
#[test]
fn a_penalty_that_empties_a_layer_ends_with_the_last_whole_model() {
    let folder = tempfile::tempdir().unwrap();
    // By the first look, and after epochs that were whole.
    for (lambda, is_at_start) in [("10", true), ("0.15", false)] {
        let run = folder.path().join(lambda);
        let run = path_text(&run);
        let train = |lambda: &str, run: &str| {
            rarefy(&[
                "train",
                "digits",
                "--hidden",
                "32",
                "--epochs",
                "20",
                "--penalty",
                "l1",
                "--lambda",
                lambda,
                "--no-twin",
                "--run-dir",
                run,
                "--json",
            ])
        };
        let ended = train(lambda, run);
        let message = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{message}");
        let found: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(
            (&found["ending"], &found["emptied"]["key"]),
            (&"emptied".into(), &"penalty.lambda".into())
        );
        let (epoch, tried) =
            (found["emptied"]["epoch"].as_u64().unwrap(), found["emptied"]["lambda"].to_string());
        assert_eq!(epoch == 0, is_at_start, "{message}");
        for words in
            ["penalty.lambda: has driven every weight of layers.", "exit code 1", "as in penalty.lambda = "]
        {
            assert!(message.contains(words), "{message}");
        }
        let inspected = object(&["inspect", run]);
        assert!(inspected["layers"].as_array().unwrap().iter().all(|layer| layer["nnz"].as_u64() > Some(0)));
        object(&["evaluate", run]);
        // What is advised does not empty it.
        let gentle = train(&tried, &format!("{run}-gentle"));
        assert_eq!(gentle.status.code(), Some(0), "{tried}: {}", text(&gentle.stderr));
    }
}

#[test]
fn a_run_may_be_planned_for_more_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let start = |name: &str, epochs: &str, more: &[&str]| {
        let (directory, mut arguments) = (run(name), vec!["train", "digits", "--hidden", "24", "--no-twin"]);
        arguments.extend(["--epochs", epochs, "--run-dir", &directory]);
        object(&[&arguments, more].concat())
    };
    let model = |name: &str| std::fs::read(Path::new(&run(name)).join("model.safetensors")).unwrap();
    // Nothing here depends on how long a run is planned: raised later is planned from the start.
    let plain = ["--method", "static", "--set", "schedule.method=constant", "--set", "schedule.warmup=0"];
    start("whole", "4", &plain);
    start("raised", "2", &plain);
    let resumed = object(&["train", "--resume", &run("raised"), "--epochs", "4", "--no-twin"]);
    assert_eq!((&resumed["epochs"], &resumed["ending"]), (&4.into(), &"finished".into()));
    assert!(model("whole") == model("raised"));
    // The new plan is the run's own from then on.
    assert_eq!(object(&["inspect", &run("raised")])["run"]["settings"]["train"]["epochs"], 4);
    assert_eq!(object(&["train", "--resume", &run("raised"), "--no-twin"])["epochs"], 4);

    start("scheduled", "2", &[]);
    let output = rarefy(&["train", "--resume", &run("scheduled"), "--epochs", "6", "--no-twin"]);
    let words = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("planned for 6 epochs, not 2, of which 2 are done: the learning rate was"),
        "{words}"
    );

    let message = refusal(&["train", "--resume", &run("whole"), "--epochs", "3"]);
    assert!(message.contains("train.epochs: 3 is fewer than the 4 that are done"), "{message}");
    start("target", "4", &["--penalty", "l1", "--target", "sparsity=0.8"]);
    let message = refusal(&["train", "--resume", &run("target"), "--epochs", "8"]);
    assert!(
        message.contains("train.epochs: 8 cannot take the place of 4") && message.contains("target"),
        "{message}"
    );
    start("stopped", "40", &["--set", "train.patience=1", "--set", "train.tolerance=0.5"]);
    let message = refusal(&["train", "--resume", &run("stopped"), "--epochs", "80"]);
    assert!(message.contains("train.patience: 1 has stopped this run after"), "{message}");
}

#[test]
fn train_says_what_it_trains_on_where_nothing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let flags = ["--epochs", "1", "--hidden", "8", "--no-twin", "--run-dir", path_text(&run)];
    let note = "no DATA is given, so it is digits";
    assert!(said(&[&["train"], &flags[..]].concat()).starts_with(note));
    std::fs::remove_dir_all(&run).unwrap();
    assert!(!said(&[&["train", "digits"], &flags[..]].concat()).contains(note));
}
