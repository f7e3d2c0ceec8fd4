//! Recordings, from files to what is said in them.

use super::*;

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
