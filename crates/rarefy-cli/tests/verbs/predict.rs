//! `rarefy predict`.

use super::*;

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

/// One that has half of it is taken for all of it.
#[cfg(unix)]
#[test]
fn a_file_of_predictions_is_whole_or_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("old.csv"), "old").unwrap();
    std::os::unix::fs::symlink(at("old.csv"), at("link.csv")).unwrap();
    // The system ends a process that writes more than so many blocks.
    let limited = |output: &Path| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -f 1; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_rarefy"), "predict"]);
        shell.args([digits_run(), "digits", "--probabilities", "-o", path_text(output)]).output().unwrap()
    };
    for name in ["new.csv", "old.csv", "link.csv"] {
        assert!(!limited(&at(name)).status.success(), "{name}");
    }
    assert!(!at("new.csv").exists());
    assert_eq!(std::fs::read_to_string(at("old.csv")).unwrap(), "old");

    said(&["predict", digits_run(), "digits", "-o", path_text(&at("link.csv"))]);
    assert!(at("link.csv").is_symlink());
    assert_eq!(std::fs::read_to_string(at("old.csv")).unwrap().lines().count(), 1798);
    // A pipe or a device stays what it is.
    let shown = said(&["predict", digits_run(), "digits", "-o", "/dev/stdout"]);
    assert_eq!(shown.lines().count(), 1799);
    said(&["predict", digits_run(), "digits", "-o", "/dev/null"]);
    assert!(!Path::new("/dev/null").is_file());
}

/// It would be gone for good.
#[test]
fn what_is_read_is_not_overwritten() {
    let folder = copied_run();
    let at = |name: &str| folder.path().join(name);
    let data = write_table(folder.path(), |_| "a".into());
    let mut outputs = vec![data.clone(), at("model.safetensors"), at("config.json")];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&data, at("symbolic.csv")).unwrap();
        std::fs::hard_link(&data, at("hard.csv")).unwrap();
        outputs.extend(["symbolic.csv", "hard.csv"].map(at));
    }
    let before: Vec<Vec<u8>> = outputs.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for (output, bytes) in outputs.iter().zip(before) {
        let (run, data, output) = (path_text(folder.path()), path_text(&data), path_text(output));
        for verb in [
            &["predict", run, data, "-o", output][..],
            &["inspect", run, "--inputs", "--data", data, "--csv", output],
        ] {
            let message = refusal(verb);
            assert!(message.contains(&format!("{output}: is the same file as")), "{message}");
        }
        assert!(std::fs::read(output).unwrap() == bytes, "{output}");
    }
}

/// A Parquet file of predictions holds what the CSV file holds, and is a table like that.
#[test]
fn predictions_are_parquet_by_the_name_of_the_file_or_by_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let about = |name: &str| {
        let file = folder.path().join(name);
        let file = path_text(&file);
        said(&["predict", digits_run(), "digits", "--probabilities", "-o", file]);
        object(&["data", file, "--label", "prediction"])
    };
    let (columns, lines) = (about("p.parquet"), about("p.csv"));
    for key in ["samples", "classes", "columns"] {
        assert_eq!(columns[key], lines[key], "{key}");
    }
    assert_eq!((columns["samples"].as_u64(), columns["columns"].as_array().unwrap().len()), (Some(1797), 10));
    let shown = rarefy(&["predict", digits_run(), "digits", "--probabilities", "--format", "parquet"]);
    assert_eq!(shown.stdout, std::fs::read(folder.path().join("p.parquet")).unwrap());
    let shown = said(&["data", path_text(&folder.path().join("p.parquet")), "--label", "prediction"]);
    assert!(shown.contains("layout   columns with names and types"), "{shown}");
}

#[test]
fn predictions_from_outputs_that_are_no_numbers_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let [table, new, run] = ["table.csv", "new.csv", "run"].map(|name| folder.path().join(name));
    let row = |i: usize| format!("{}e-3,{}e-3,{}\n", i % 7, i % 5, i % 7 + i % 5);
    std::fs::write(&table, format!("a,b,y\n{}", (0..60).map(row).collect::<String>())).unwrap();
    let data = DataSettings {
        path: path_text(&table).into(),
        task: TaskChoice::Regression,
        ..DataSettings::default()
    };
    train(&run, data);
    // To all sides, so that no unit is silent on all.
    std::fs::write(&new, "a,b\n3e38,3e38\n3e38,-3e38\n-3e38,3e38\n-3e38,-3e38\n").unwrap();
    let found = rarefy(&["predict", path_text(&run), path_text(&new)]);
    let [shown, told] = [found.stdout, found.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let astray = shown.lines().filter(|line| ["NaN", "inf", "-inf"].contains(line)).count();
    let note = format!("for {astray} of 4 samples the network's outputs are no numbers");
    assert!(astray > 0 && told.replace('\n', " ").contains(&note), "{shown}{told}");
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
