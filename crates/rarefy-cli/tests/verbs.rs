//! The verbs that use what training left behind say the same to people and to programs, and refuse bad input by name.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use rarefy::data::{DataSettings, TaskChoice};
use rarefy::layers::NetworkSettings;
use rarefy::train::{Control, Event, Run, Settings, TrainSettings};
use serde_json::Value;
use tempfile::TempDir;

fn rarefy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rarefy")).args(arguments).output().unwrap()
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
fn evaluate_scores_the_test_part_of_the_run_or_the_data_that_is_named() {
    let own = object(&["evaluate", digits_run()]);
    assert_eq!((own["part"].as_str(), own["samples"].as_u64()), (Some("the run's test part"), Some(359)));
    let all = object(&["evaluate", digits_run(), "digits"]);
    assert_eq!((all["part"].as_str(), all["samples"].as_u64()), (Some("all samples"), Some(1797)));
    let confusion: Vec<Vec<u64>> = serde_json::from_value(all["confusion"].clone()).unwrap();
    let right: u64 = (0..10).map(|class| confusion[class][class]).sum();
    assert_eq!(all["accuracy"].as_f64(), Some(right as f64 / 1797.0));
    assert_eq!(all["per_class"][3]["class"], "3");
    assert_eq!(all["per_class"][3]["support"], 183);
    assert!(all["loss"].as_f64().unwrap() > 0.0);

    let shown = said(&["evaluate", digits_run(), "digits", "--threads", "2", "--isa", "scalar"]);
    for words in ["all samples: 1797", "accuracy", "macro F1", "recall", "true \\ predicted", "note: these"] {
        assert!(shown.contains(words), "{shown}");
    }
}

#[test]
fn evaluate_scores_a_test_part_that_the_data_has() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, shape: &[u8], byte: fn(usize) -> usize, count: usize| {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|&size| [0, 0, 0, size]));
        bytes.extend((0..count).map(|i| byte(i) as u8));
        std::fs::write(folder.path().join(name), bytes).unwrap();
    };
    for (part, samples) in [("train", 60), ("t10k", 7)] {
        let count = usize::from(samples);
        put(&format!("{part}-images-idx3-ubyte"), &[samples, 1, 2], |i| (i * i) % 11, 2 * count);
        put(&format!("{part}-labels-idx1-ubyte"), &[samples], |i| i % 2, count);
    }
    let run = tempfile::tempdir().unwrap();
    let data = path_text(folder.path());
    train(run.path(), DataSettings { path: data.into(), ..DataSettings::default() });
    let found = object(&["evaluate", path_text(run.path()), data]);
    assert_eq!((found["part"].as_str(), found["samples"].as_u64()), (Some("its test part"), Some(7)));
    let single = folder.path().join("train-images-idx3-ubyte");
    let found = object(&["evaluate", path_text(run.path()), path_text(&single)]);
    assert_eq!((found["part"].as_str(), found["samples"].as_u64()), (Some("all samples"), Some(60)));
}

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
fn predict_gives_one_line_a_sample() {
    let shown = said(&["predict", digits_run(), "digits", "--probabilities"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 1798);
    assert!(lines[0].starts_with("prediction,probability_0,"), "{}", lines[0]);
    let cells: Vec<f32> = lines[1].split(',').map(|cell| cell.parse().unwrap()).collect();
    assert!((cells[1..].iter().sum::<f32>() - 1.0).abs() < 1e-5);
    assert!(cells[1..].iter().all(|&probability| probability <= cells[1 + cells[0] as usize]));

    let answer = object(&["predict", digits_run(), "digits"]);
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!((predictions.len(), predictions[0].as_str()), (1797, lines[1].split(',').next()));
    assert!(answer.get("probabilities").is_none());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.csv");
    let shown = said(&["predict", digits_run(), "digits", "--probabilities", "-o", path_text(&file)]);
    assert!(shown.contains("1797 predictions in"), "{shown}");
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().collect::<Vec<_>>(), lines);
}

/// A WAV file of a tone, 8000 samples of 16 bits a second.
fn write_tone(path: &Path, hz: f64, samples: usize) {
    write_tones(path, &[(hz, samples)]);
}

/// The same of several tones in a row.
fn write_tones(path: &Path, tones: &[(f64, usize)]) {
    let bytes = 2 * tones.iter().map(|(_, samples)| *samples as u32).sum::<u32>();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend([1u16, 1].map(u16::to_le_bytes).concat());
    file.extend([8000u32, 16_000].map(u32::to_le_bytes).concat());
    file.extend([2u16, 16].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    for &(hz, samples) in tones {
        let step = std::f64::consts::TAU * hz / 8000.0;
        file.extend((0..samples).flat_map(|n| ((9000.0 * (step * n as f64).sin()) as i16).to_le_bytes()));
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, file).unwrap();
}

#[test]
fn recordings_are_trained_on_and_predicted_by_name_and_bad_ones_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (folder.path().join("tones"), folder.path().join("run"));
    for number in 0..20 {
        write_tone(
            &data.join(format!("high/{number:02}.wav")),
            1500.0 + 20.0 * number as f64,
            1500 + 9 * number,
        );
        write_tone(
            &data.join(format!("low/{number:02}.wav")),
            300.0 + 5.0 * number as f64,
            1500 + 9 * number,
        );
    }
    std::fs::write(data.join("low/bad.wav"), "RIFF").unwrap();
    let (data, run) = (path_text(&data), path_text(&run));
    let quick = [
        "--hidden",
        "16",
        "--epochs",
        "30",
        "--batch-size",
        "8",
        "--run-dir",
        run,
        "--set",
        "data.audio.mels=20",
    ];
    let message = refusal(&[&["train", data][..], &quick].concat());
    assert!(
        message.contains("bad.wav: is cut short") && message.contains("data.skip_bad = true"),
        "{message}"
    );
    let told =
        said(&[&["train", data, "--skip-bad", "--set", "data.augment.time_masks=1"][..], &quick].concat());
    assert!(
        told.contains("note: left out 1 sample that cannot be read") && told.contains("bad.wav"),
        "{told}"
    );
    let described = said(&["data", data, "--skip-bad"]);
    assert!(described.contains("40 samples") && described.contains("left out 1 sample "), "{described}");
    // New recordings, some of them alone, without folders for classes.
    write_tone(&folder.path().join("new/a.wav"), 1555.0, 1600);
    write_tone(&folder.path().join("new/b.wav"), 333.0, 1600);
    let new = folder.path().join("new");
    let (a, b) = (new.join("a.wav"), new.join("b.wav"));
    let expected = format!("file,prediction\n{},high\n{},low\n", a.display(), b.display());
    assert_eq!(said(&["predict", run, path_text(&new)]), expected);
    let one = object(&["predict", run, path_text(&b)]);
    assert_eq!((&one["files"][0], &one["predictions"][0]), (&path_text(&b).into(), &"low".into()));
    assert_eq!(object(&["evaluate", run])["samples"], 8);
    // A model that was trained without bad files leaves them out of its own folder again.
    let shown = said(&["evaluate", run, data]);
    assert!(shown.contains("40 samples") && shown.contains("left out 1 sample "), "{shown}");
    assert!(object(&["evaluate", run, data])["skipped"][0]["path"].as_str().unwrap().ends_with("bad.wav"));
    // A file without a prediction keeps its place.
    std::fs::write(new.join("aa.wav"), "RIFF").unwrap();
    std::fs::remove_file(Path::new(run).join("config.toml")).unwrap();
    let message = refusal(&["predict", run, path_text(&new)]);
    assert!(message.contains("aa.wav: is cut short") && message.contains("out with --skip-bad"), "{message}");
    let bad = new.join("aa.wav");
    let expected =
        format!("file,prediction\n{},high\n{},\n{},low\n", a.display(), bad.display(), b.display());
    assert_eq!(said(&["predict", run, path_text(&new), "--skip-bad"]), expected);
    let answer = object(&["predict", run, path_text(&new), "--skip-bad", "--probabilities"]);
    assert_eq!(answer["predictions"], serde_json::json!(["high", null, "low"]));
    assert_eq!((answer["samples"].as_u64(), answer["files"][1].as_str()), (Some(2), bad.to_str()));
    assert!(answer["probabilities"][1].is_null() && answer["skipped"][0]["path"] == answer["files"][1]);
    assert!(
        refusal(&["predict", digits_run(), "digits", "--skip-bad"])
            .contains("is for images, WAV files and texts")
    );
}

/// Recordings of one to three tones, each told by the letters of its tones, in a list.
fn write_melodies(folder: &Path) -> PathBuf {
    let mut list = "path,label,split\n".to_string();
    for number in 0..96 {
        let tones: Vec<usize> =
            (0..1 + number % 3).map(|place| number / 3usize.pow(place as u32) % 3).collect();
        let label: String = tones.iter().map(|&tone| ["a", "b", "c"][tone]).collect();
        // A breath after each tone.
        let pieces: Vec<(f64, usize)> = tones
            .iter()
            .flat_map(|&tone| [([300.0, 800.0, 2000.0][tone], 500 + 7 * (number % 11)), (0.0, 250)])
            .collect();
        write_tones(&folder.join(format!("{number:02}.wav")), &pieces);
        list += &format!("{number:02}.wav,{label},{}\n", if number % 6 == 5 { "test" } else { "train" });
    }
    let path = folder.join("melodies.csv");
    std::fs::write(&path, list).unwrap();
    path
}

#[test]
fn what_is_said_is_learned_without_knowing_when() {
    let folder = tempfile::tempdir().unwrap();
    let (list, run, net) =
        (write_melodies(folder.path()), folder.path().join("run"), folder.path().join("net.toml"));
    let layers = "layers = [{layer = 'conv1d', filters = 16, kernel = 3, stride = 2, activation = 'relu'}, {layer = 'lstm', hidden = 24}, {layer = 'linear'}]";
    std::fs::write(&net, layers).unwrap();
    let (list, run) = (path_text(&list), path_text(&run));
    let task = "data.task=transcription";
    let begin = [
        ["train", list, "--set", task, "--run-dir", run, "--density", "0.5", "--epochs", "25"],
        [
            "--batch-size",
            "8",
            "--learning-rate",
            "0.01",
            "--set",
            "data.audio.mels=20",
            "--threads",
            "2",
            "--seed",
            "1",
        ],
    ]
    .concat();
    let message = refusal(&begin);
    assert!(message.contains("outputs at each step: write the layers out"), "{message}");
    let (net, hop) = (path_text(&net), "data.audio.hop_ms=60");
    let message = refusal(&[&begin[..], &["--network", net, "--set", hop]].concat());
    assert!(message.contains("network: makes ") && message.contains("take smaller strides"), "{message}");

    let told = said(&[&begin[..], &["--network", net]].concat());
    assert!(told.contains("val errors") && told.contains("test label error rate"), "{told}");
    let metrics = std::fs::read_to_string(Path::new(run).join("metrics.jsonl")).unwrap();
    let rates: Vec<f64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["train_label_error_rate"].as_f64().unwrap())
        .collect();
    assert!(rates[0] > 0.5 && rates[24] < 0.1, "{rates:?}");

    let found = object(&["evaluate", run]);
    let rate = found["label_error_rate"].as_f64().unwrap();
    assert_eq!((&found["task"], &found["loss_method"]), (&"transcription".into(), &"ctc".into()));
    assert!(rate < 0.1 && rate == found["edits"].as_f64().unwrap() / found["labels"].as_f64().unwrap());
    assert!(said(&["evaluate", run, list]).contains("label error rate"));
    // Those that are read without a wrong label are read as they are told.
    let table = said(&["predict", run, list]);
    let wanted = std::fs::read_to_string(list).unwrap();
    let wanted: Vec<&str> = wanted
        .lines()
        .filter(|line| line.ends_with(",test"))
        .map(|line| line.split(',').nth(1).unwrap())
        .collect();
    let read: Vec<&str> = table.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    let right = read.iter().zip(&wanted).filter(|(read, wanted)| read == wanted).count();
    assert_eq!(read.len(), wanted.len());
    assert_eq!(right as f64 / wanted.len() as f64, found["all_right"].as_f64().unwrap());
    let one = object(&["predict", run, path_text(&folder.path().join("05.wav"))]);
    assert_eq!(one["predictions"][0], read[0]);
    assert!(refusal(&["predict", run, list, "--probabilities"]).contains("leave --probabilities out"));
    assert!(
        said(&["data", list, "--task", "transcription"]).contains("transcription, 3 units and the blank")
    );
}

#[test]
fn numbers_are_predicted_from_a_table_without_its_labels() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), |i| format!("{}.5", i));
    let run = folder.path().join("run");
    let data = DataSettings {
        path: path_text(&table).into(),
        task: TaskChoice::Regression,
        ..DataSettings::default()
    };
    train(&run, data);
    let run = path_text(&run);

    let found = object(&["evaluate", run, path_text(&table)]);
    let (rmse, loss) = (found["rmse"].as_f64().unwrap(), found["loss"].as_f64().unwrap());
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(Path::new(run).join("config.json")).unwrap()).unwrap();
    let unit = config["preparation"]["target_scaler"]["standard"]["deviations"][0].as_f64().unwrap();
    assert!(((rmse / unit).powi(2) - loss).abs() < 1e-3 * loss, "{rmse} {unit} {loss}");
    assert!(found["mae"].as_f64().unwrap() <= rmse && found["per_output"][0]["r2"].is_number());

    let unlabelled = folder.path().join("new.csv");
    std::fs::write(&unlabelled, "1,2,3\n4,5,6\n").unwrap();
    let shown = said(&["predict", run, path_text(&unlabelled)]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "prediction"));
    assert!(lines[1].parse::<f32>().unwrap().is_finite());
    let message = refusal(&["predict", run, path_text(&unlabelled), "--probabilities"]);
    assert!(message.contains("numbers, not probabilities"), "{message}");

    std::fs::write(&unlabelled, "1,2\n4,5\n").unwrap();
    let message = refusal(&["predict", run, path_text(&unlabelled)]);
    assert!(message.contains("new.csv: has 2 columns, the training file had 4"), "{message}");
}

#[test]
fn inspect_tells_layers_and_training() {
    let found = object(&["inspect", digits_run()]);
    assert_eq!((found["inputs"].as_u64(), found["outputs"].as_u64()), (Some(64), Some(10)));
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    let nnz: u64 = layers.iter().map(|layer| layer["nnz"].as_u64().unwrap()).sum();
    assert_eq!(found["nnz"].as_u64(), Some(nnz));
    let (first, bytes) = (&layers[0], layers[0]["disk_bytes"].as_u64().unwrap());
    assert_eq!((first["outputs"].as_u64(), first["inputs"].as_u64()), (Some(32), Some(64)));
    assert_eq!(bytes, 4 * (33 + 2 * first["nnz"].as_u64().unwrap()));
    assert_eq!((found["run"]["epochs"].as_u64(), found["run"]["last"]["epoch"].as_u64()), (Some(2), Some(2)));

    let shown = said(&["inspect", digits_run()]);
    for words in ["layers.0.weight", "32x64", "fan-in", "classification, 10 classes", "2 of 2 epochs", "best"]
    {
        assert!(shown.contains(words), "{shown}");
    }
    // A model away from its run is a model still.
    let alone = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(Path::new(digits_run()).join(name), alone.path().join(name)).unwrap();
    }
    let file = alone.path().join("model.safetensors");
    assert!(object(&["inspect", path_text(&file)]).get("run").is_none());
    let message = refusal(&["evaluate", path_text(&file)]);
    assert!(message.contains("config.toml") && message.contains("give DATA"), "{message}");
}

#[test]
fn data_describes_what_is_there() {
    let shown = said(&["data", "digits"]);
    assert!(shown.contains("classification, 10 classes") && shown.contains("####"), "{shown}");
    assert!(shown.contains("... and 34 more"), "{shown}");
    assert_eq!(said(&["data", "digits", "--all"]).lines().count(), shown.lines().count() + 33);
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), |i| ["yes", "no"][i % 2].to_string());
    let found =
        object(&["data", path_text(&table), "--label", "4", "--task", "classification", "--delimiter", ","]);
    assert_eq!((found["samples"].as_u64(), found["inputs"].as_u64()), (Some(60), Some(3)));
    assert_eq!(found["classes"][0]["samples"], 30);
    let message = refusal(&["data", path_text(&folder.path().join("none.csv"))]);
    assert!(message.contains("none.csv: there is no such file"), "{message}");
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
            "holds a run already; choose another folder, or go on with that run by  rarefy train --resume"
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
        Event::Epoch(_) => Control::Stop,
        Event::Step { .. } => Control::Continue,
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

#[test]
fn inspect_shows_a_network_that_is_not_trained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.toml");
    let layers =
        "layers = [{layer = 'conv2d', filters = 4, kernel = 3}, {layer = 'flatten'}, {layer = 'linear'}]";
    std::fs::write(&file, layers).unwrap();
    let named = path_text(&file);
    let given = object(&["inspect", "--network", named, "--inputs", "8,8,1", "--outputs", "10"]);
    assert_eq!(given, object(&["inspect", "--network", named, "--data", "digits"]));
    assert_eq!(given["layers"][0]["output"], serde_json::json!([6, 6, 4]));
    // 36 weights at 36 positions, and 1440 once; two operations each.
    assert_eq!((given["cells"].as_u64(), given["flops"].as_u64()), (Some(1476), Some(2 * (36 * 36 + 1440))));
    assert_eq!(given["parameters"], 1476 + 4 + 10);
    let sparse = object(&["inspect", "--network", named, "--data", "digits", "--density", "0.1"]);
    assert_eq!((sparse["nnz"].as_u64(), sparse["layers"][1]["density"].as_f64()), (Some(148), None));
    let shown = said(&["inspect", "--network", named, "--data", "digits"]);
    assert!(shown.contains("1 conv2d") && shown.contains("8 x 8 x 1") && shown.contains("144"), "{shown}");

    // What is printed as TOML is the same network.
    let written = said(&["inspect", "--network", named, "--data", "digits", "--toml"]);
    let again = folder.path().join("again.toml");
    std::fs::write(&again, written).unwrap();
    let again = object(&["inspect", "--network", path_text(&again), "--data", "digits"]);
    assert_eq!(again["layers"], given["layers"]);

    let model = object(&["inspect", "--network", digits_run()]);
    assert_eq!(model["nnz"], object(&["inspect", digits_run()])["nnz"]);
    for (arguments, words) in [
        (&["--network", named][..], "give --data NAME, or --inputs and --outputs"),
        (
            &["--network", named, "--inputs", "2,2,1", "--outputs", "10"],
            "layer 1 (conv2d) on 2 x 2 x 1: its window",
        ),
        (&["--network", digits_run(), "--density", "0.5"], "a model has its own inputs"),
        (&["--network", "lenet55", "--data", "digits"], "neither a file nor one of"),
        (&["--network", named, "--inputs", "1,2,3,4", "--outputs", "10"], "give one size, two"),
    ] {
        let message = refusal(&[&["inspect"], arguments].concat());
        assert!(message.contains(words), "{arguments:?}: {message}");
    }
}

#[test]
fn texts_go_from_a_table_to_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let (table, run, new) =
        (folder.path().join("news.tsv"), folder.path().join("run"), folder.path().join("new.tsv"));
    let topics = [["cup", "goal", "match"], ["rain", "sun", "wind"]];
    let lines: String = (0..200)
        .map(|i| {
            let words = topics[i % 2];
            let body = format!("The {} and the {}", words[i % 3], words[(i + 1) % 3]);
            format!("{i}\t{body}\t{}\n", ["sport", "weather"][i % 2])
        })
        .collect();
    std::fs::write(&table, format!("id\tbody\ttopic\n{lines}200\t?!\tsport\n")).unwrap();
    let (table, run) = (path_text(&table), path_text(&run));
    let columns = ["--text", "body", "--label", "topic"];
    let message = refusal(&[&["train", table][..], &columns].concat());
    assert!(message.contains("line 202: the document holds no words"), "{message}");
    let described = said(&[&["data", table, "--skip-bad"][..], &columns].concat());
    for words in ["200 samples", "8 in 8, 4.0 of them not zero", "1000 tokens, 0 of them unknown", "line 202"]
    {
        assert!(described.contains(words), "{words}: {described}");
    }
    let quick = ["--hidden", "32", "--epochs", "20", "--batch-size", "16", "--learning-rate", "0.02"];
    let quick = [&quick[..], &["--density", "0.5", "--run-dir", run]].concat();
    let told = said(&[&["train", table, "--skip-bad"][..], &columns, &quick].concat());
    assert!(told.contains("test text: 200 tokens, 0 of them unknown (0.0 %)"), "{told}");
    // The model leaves out what training left out, and says so.
    let told = said(&["evaluate", run, table]);
    assert!(told.contains("left out 1 sample") && told.contains("line 202"), "{told}");
    std::fs::write(&new, "body\nsnow and wind\nA goal!\n").unwrap();
    let found = rarefy(&["predict", run, path_text(&new)]);
    assert_eq!(text(&found.stdout), "prediction\nweather\nsport\n");
    assert!(text(&found.stderr).contains("text: 5 tokens, 2 of them unknown (40.0 %)"), "{found:?}");
}

#[test]
fn tables_say_how_they_are_read_and_how_many_categories_are_new() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("label;size;colour\n{lines}")).unwrap();
        path
    };
    let line = |i: usize| format!("{};{},5;{}\n", ["a", "b"][i % 2], i % 7, ["red", "blue"][i % 2]);
    let table = write("t.csv", &(0..60).map(line).collect::<String>());
    let new = write("new.csv", "a;1,5;green\nb;2,5;blue\na;3,5;Red\n");
    let (table, new, run) = (path_text(&table), path_text(&new), folder.path().join("run"));
    let run = path_text(&run);
    let told =
        said(&["train", table, "--epochs", "1", "--hidden", "8", "--batch-size", "16", "--run-dir", run]);
    for told in [&said(&["data", table]), &told] {
        for words in [
            "label    label (by its name; --label chooses another)",
            "layout   line 1 names the columns, ';' between cells, decimal comma",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
    let found = object(&["data", table]);
    assert_eq!((&found["dialect"]["decimal"], &found["labels"][0]["name"]), (&",".into(), &"label".into()));
    let note = "note: column colour: 2 of 3 cells hold a category that training had not";
    assert!(text(&rarefy(&["predict", run, new]).stderr).contains(note));
    assert!(said(&["evaluate", run, new]).contains(note));
    for verb in ["predict", "evaluate"] {
        assert_eq!(object(&[verb, run, new])["unknown_categories"][0]["unknown"], 2);
    }
}

/// A text of 2000 characters, in a file.
fn write_text(folder: &Path) -> PathBuf {
    let path = folder.join("speech.txt");
    std::fs::write(&path, "to be or not to be, that is the question. ".repeat(48)).unwrap();
    path
}

#[test]
fn a_language_model_trains_is_scored_in_bits_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (file, run) = (write_text(folder.path()), folder.path().join("run"));
    let (file, run) = (path_text(&file), path_text(&run));
    let described =
        said(&["data", file, "--task", "language-model", "--set", "data.text.tokens.kind=characters"]);
    assert!(
        described.contains("language model, one of ") && described.contains("0 of them unknown"),
        "{described}"
    );
    let given =
        ["--task", "language-model", "--network", "char-transformer", "--epochs", "6", "--batch-size", "8"];
    let sets = ["network.width=16", "network.depth=1", "data.text.tokens.context=16", "sparsity.density=0.5"];
    let mut arguments = [&["train", file, "--run-dir", run], &given[..]].concat();
    arguments.extend(["--set", "data.text.tokens.kind=characters", "--set", "optimizer.learning_rate=0.01"]);
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    let shown = said(&arguments);
    for words in ["bits/character", "perplexity", "test bits per character", "rarefy predict", "--generate"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let lines = std::fs::read_to_string(Path::new(run).join("metrics.jsonl")).unwrap();
    let epochs: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bits = |epoch: &Value| epoch["validation_bits_per_character"].as_f64().unwrap();
    assert!(bits(&epochs[5]) < 0.8 * bits(&epochs[0]), "{lines}");
    let summary: Value =
        serde_json::from_slice(&std::fs::read(Path::new(run).join("summary.json")).unwrap()).unwrap();
    let own = object(&["evaluate", run]);
    assert_eq!(own["bits_per_character"], summary["test_bits_per_character"]);
    assert_eq!(own["perplexity"].as_f64().unwrap(), own["loss"].as_f64().unwrap().exp());
    let nats = own["loss"].as_f64().unwrap() * own["tokens"].as_f64().unwrap();
    let by_hand = nats / own["characters"].as_f64().unwrap() / std::f64::consts::LN_2;
    assert!((own["bits_per_character"].as_f64().unwrap() - by_hand).abs() < 1e-9, "{own}");
    assert!(said(&["evaluate", run]).contains("bits per character"));

    // Another text is scored whole, and what it holds of the unknown is said.
    let other = folder.path().join("other.txt");
    std::fs::write(&other, "to be or not to be, THAT is").unwrap();
    let shown = said(&["evaluate", run, path_text(&other)]);
    assert!(shown.contains("all samples") && shown.contains("4 of them unknown"), "{shown}");

    let write = |more: &[&str]| said(&[&["predict", run, "--generate", "--tokens", "40"], more].concat());
    assert_eq!(write(&["--seed", "3"]), write(&["--seed", "3", "--threads", "2"]));
    assert_ne!(write(&["--seed", "3"]), write(&["--seed", "4"]));
    // 40 tokens after a prompt of 6 are more than the context of 16.
    let likeliest = write(&["--prompt", "to be ", "--temperature", "0"]);
    assert!(likeliest.starts_with("to be ") && likeliest.trim_end().len() > 16, "{likeliest}");
    assert_eq!(likeliest, write(&["--prompt", "to be ", "--top-k", "1", "--seed", "9"]));
    // What is written is what the model holds for likeliest: scored as a document, all but its end surely is.
    let begun = object(&["predict", run, "--generate", "--tokens", "10", "--temperature", "0"]);
    std::fs::write(&other, begun["text"].as_str().unwrap()).unwrap();
    let scored = object(&["evaluate", run, path_text(&other)]);
    assert_eq!(scored["tokens"].as_u64(), Some(11), "{begun}");
    assert!(scored["accuracy"].as_f64().unwrap() * 11.0 > 9.99, "{begun}: {scored}");
    let answer =
        object(&["predict", run, "--generate", "--prompt", "to be ", "--tokens", "5", "--temperature", "0"]);
    assert_eq!((answer["tokens"].as_u64(), answer["ended"].as_bool()), (Some(5), Some(false)));
    assert!(likeliest.starts_with(answer["text"].as_str().unwrap()), "{answer}");

    for (more, words) in [
        (&["--prompt", ""][..], "prompt: holds no token"),
        (&["--prompt", "to be THAT"], "prompt: the model does not know \"T\", \"H\", \"A\"; leave that out"),
        (&["--prompt", "to be or not to be"], "prompt: has 18 tokens, and the model reads 16 at a time"),
        (&["--temperature", "-1"], "temperature: -1 is not a number from 0 on"),
        (&["--top-k", "0"], "top_k: 0 leaves no token"),
    ] {
        let message = refusal(&[&["predict", run, "--generate"], more].concat());
        assert!(message.contains(words), "{message}");
    }
    let message = refusal(&["predict", run, file]);
    assert!(message.contains("give --generate in place of"), "{message}");
    let message = refusal(&["predict", digits_run(), "--generate"]);
    assert!(message.contains("the model predicts no text"), "{message}");
}

#[test]
fn what_is_no_language_model_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_text(folder.path());
    let run = folder.path().join("run");
    let characters = ["data.text.tokens.kind=characters", "data.text.tokens.context=16"];
    for (more, words) in [
        (&["--network", "mlp"][..], "network.preset: mlp: reads numbers, and the samples are tokens"),
        (&["--network", "text-gru"], "text-gru: gives one answer a document"),
        (
            &[
                "--set",
                "network.layers=[{layer='embedding',channels=4},{layer='attention',heads=1},{layer='linear'}]",
            ],
            "network: layer 2 (attention) looks at later steps: give it causal = true",
        ),
        (
            &["--network", "char-transformer", "--set", "data.text.tokens.context=9999"],
            "context: 9999 is more than the",
        ),
        (&["--network", "char-transformer", "--label", "x"], "data.label: is for CSV files"),
        (
            &["--network", "char-transformer", "--set", "loss.method=binary-cross-entropy"],
            "loss.method: must be cross-entropy",
        ),
    ] {
        let mut arguments =
            vec!["train", path_text(&file), "--task", "language-model", "--run-dir", path_text(&run)];
        characters.iter().for_each(|set| arguments.extend(["--set", set]));
        arguments.extend(more);
        let message = refusal(&arguments);
        assert!(message.contains(words), "{message}");
        assert!(!run.exists());
    }
}

#[test]
fn documents_become_tokens_that_networks_read() {
    let folder = tempfile::tempdir().unwrap();
    let line = |i: usize| match i % 2 {
        0 => format!("{{\"text\": \"rain and wind {} all day\", \"label\": \"weather\"}}\n", i % 5),
        _ => format!("{{\"text\": \"a goal {} and a draw\", \"label\": \"sport\"}}\n", i % 5),
    };
    let file = folder.path().join("news.jsonl");
    std::fs::write(&file, (0..80).map(line).collect::<String>()).unwrap();
    let run = folder.path().join("run");
    let (file, run) = (path_text(&file), path_text(&run));
    let train = |more: &str| {
        let tokens = "--set data.text.tokens.kind=words";
        format!("train {file} --run-dir {run} {tokens} --epochs 8 --batch-size 8 --learning-rate 0.02 {more}")
    };
    let text_cnn = train("--network text-cnn --set network.width=8 --density 0.5");
    let shown = said(&text_cnn.split_whitespace().collect::<Vec<_>>());
    assert!(shown.contains("network text-cnn: 6 steps x 1 to 2"), "{shown}");
    assert_eq!(object(&["evaluate", run])["accuracy"], 1.0);
    let new = folder.path().join("new.jsonl");
    std::fs::write(&new, "{\"text\": \"rain and snow all day\"}\n{\"text\": \"a late goal\"}\n").unwrap();
    assert_eq!(said(&["predict", run, path_text(&new)]), "prediction\nweather\nsport\n");
    std::fs::write(&new, "{\"text\": \"rain and wind and rain and wind all day\"}\n").unwrap();
    let message = refusal(&["predict", run, path_text(&new)]);
    assert!(message.contains("line 1: the document has 9 tokens and the context is 6"), "{message}");
    std::fs::remove_dir_all(run).unwrap();
    let transformer = train("--network char-transformer");
    let message = refusal(&transformer.split_whitespace().collect::<Vec<_>>());
    assert!(message.contains("char-transformer: predicts a token at each step"), "{message}");
    let message = refusal(&["inspect", "--network", "text-gru", "--inputs", "9,1", "--outputs", "2"]);
    assert!(message.contains("text-gru: reads tokens, and the samples are numbers"), "{message}");
    let found = object(&[
        "inspect",
        "--network",
        "text-gru",
        "--inputs",
        "9,1",
        "--outputs",
        "2",
        "--vocabulary",
        "7",
    ]);
    assert_eq!(found["layers"][0]["layer"], "embedding");
}
