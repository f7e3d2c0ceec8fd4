//! `rarefy evaluate`.

use super::*;

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
fn evaluate_shows_every_metric_of_two_classes_and_what_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), |i| if i % 7 + i % 5 > 7 { "fraud".into() } else { "ok".into() });
    let run = folder.path().join("run");
    let data = DataSettings { path: path_text(&table).into(), ..DataSettings::default() };
    let mut settings = settings(data);
    settings.train.positive = Some("fraud".into());
    // So high that nothing is.
    settings.train.threshold = Some(Threshold::At(0.999));
    Run::start(settings, Some(&run)).unwrap().train(&mut |_| Control::Continue).unwrap();
    let (run, table) = (path_text(&run), path_text(&table));
    let found = object(&["evaluate", run, table]);
    for key in ["balanced_accuracy", "f1", "matthews", "auc", "average_precision", "log_loss", "brier", "ece"]
    {
        assert!(found[key].is_f64(), "{key}: {found}");
    }
    assert_eq!((&found["positive"], &found["f1"]), (&"fraud".into(), &0.0.into()));
    assert_eq!(found["never_predicted"], serde_json::json!(["fraud"]));
    // That of either class, whichever is the positive one.
    assert_eq!(found["per_class"][0]["average_precision"], found["average_precision"]);
    assert!(found["per_class"][1]["average_precision"].as_f64() > found["average_precision"].as_f64());
    let shown = said(&["evaluate", run, table]);
    for words in [
        "average precision",
        "F1 and average precision are of the class \"fraud\", which is predicted above a probability of 0.9990",
        "note: never predicted, though samples are of it: \"fraud\"",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
    let block: Vec<&str> = shown.split("\n\n").nth(1).unwrap().lines().collect();
    assert!(block.len() == 5 && block.iter().all(|line| line.len() <= 80), "{shown}");
    // Predictions follow the threshold, and are told so beside them.
    let output = rarefy(&["predict", run, table]);
    assert!(
        !text(&output.stdout).contains("fraud\n") && text(&output.stderr).contains("above a probability")
    );
}
