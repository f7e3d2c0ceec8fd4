//! Numbers to predict are learned whatever their size, by default, and told in their own unit by every verb.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn rarefy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rarefy")).env("COLUMNS", "1000").args(arguments).output().unwrap()
}

/// What it prints for people, and the object that it prints for programs.
fn told(arguments: &[&str]) -> (String, Value) {
    let output = rarefy(&[arguments, &["--json"]].concat());
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {shown}");
    (shown, serde_json::from_slice(&output.stdout).unwrap())
}

fn number(object: &Value, key: &str) -> f64 {
    object[key].as_f64().unwrap_or_else(|| panic!("{key}: {object}"))
}

/// A table of homes, exactly linear but for the label's unit.
fn homes(folder: &Path, unit: f64) -> PathBuf {
    let path = folder.join("homes.csv");
    let line = |i: i32| {
        let (size, rooms) = (40 + i, i % 6 + 1);
        format!("{size},{rooms},{}\n", unit * f64::from(size * 2000 + rooms * 10_000))
    };
    std::fs::write(&path, format!("size,rooms,price\n{}", (0..160).map(line).collect::<String>())).unwrap();
    path
}

#[test]
fn the_command_of_the_readme_learns_prices() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (homes(folder.path(), 1.0), folder.path().join("run"));
    let [data, run] = [&data, &run].map(|path| path.to_str().unwrap());
    let (shown, trained) =
        told(&["train", data, "--label", "price", "--task", "regression", "--run-dir", run]);
    assert!(number(&trained, "test_r2") >= 0.99, "{trained}");
    for words in ["targets price 2", " ± 9", "val RMSE ", "val R2 ", "test R2", "test RMSE"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("test loss") && !shown.contains("R2 is below 0"), "{shown}");

    let (shown, evaluated) = told(&["evaluate", run]);
    for (trained_as, key) in [("test_rmse", "rmse"), ("test_r2", "r2"), ("test_loss", "loss")] {
        assert_eq!(number(&evaluated, key), number(&trained, trained_as), "{key}");
    }
    assert!(shown.contains("loss (mean-squared-error of scaled targets)"), "{shown}");

    let inspected = told(&["inspect", run]).0;
    for words in ["targets   price 2", "validation R2 ", "validation RMSE "] {
        assert!(inspected.contains(words), "{words}: {inspected}");
    }

    let (_, predicted) = told(&["predict", run, data]);
    let prices = predicted["predictions"].as_array().unwrap();
    let off = |(i, price): (i32, &Value)| {
        price.as_f64().unwrap() - f64::from((40 + i) * 2000 + (i % 6 + 1) * 10_000)
    };
    let squares: f64 = (0..).zip(prices).map(off).map(|off| off * off).sum();
    assert!((squares / 160.0).sqrt() < 10_000.0, "{predicted}");
}

#[test]
fn what_is_worse_than_the_mean_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // What rises in training falls in the test part.
    let write = |name: &str, sign: i32| {
        let path = folder.path().join(name);
        let line = |i: i32| format!("{i},{},{}.5\n", i * i % 97, sign * i);
        std::fs::write(&path, (0..120).map(line).collect::<String>()).unwrap();
        path
    };
    let (data, test, run) = (write("rises.csv", 1), write("falls.csv", -1), folder.path().join("run"));
    let [data, test, run] = [&data, &test, &run].map(|path| path.to_str().unwrap());
    let test_path = format!("data.test_path={test}");
    let (shown, trained) = told(&["train", data, "--run-dir", run, "--hidden", "32", "--set", &test_path]);
    assert!(number(&trained, "test_r2") < 0.0, "{trained}");
    assert!(shown.contains("note: R2 is below 0"), "{shown}");
    assert!(told(&["evaluate", run, test]).0.contains("note: R2 is below 0"));
}

#[test]
fn a_run_older_than_the_scaling_is_evaluated_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (homes(folder.path(), 1e-5), folder.path().join("run"));
    let [data, run] = [&data, &run].map(|path| path.to_str().unwrap());
    let unscaled = ["--set", "data.target_scale=none", "--hidden", "8", "--epochs", "2", "--density", "0.5"];
    let (_, trained) = told(&[&["train", data, "--run-dir", run], &unscaled[..]].concat());
    let config = Path::new(run).join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let older = text.replace("target_scale = \"none\"\n", "");
    assert_ne!(text, older);
    std::fs::write(&config, older).unwrap();
    let (shown, evaluated) = told(&["evaluate", run]);
    for (trained_as, key) in [("test_rmse", "rmse"), ("test_r2", "r2"), ("test_loss", "loss")] {
        assert_eq!(number(&evaluated, key), number(&trained, trained_as), "{key}");
    }
    assert!(shown.contains("loss (mean-squared-error)"), "{shown}");
}

#[test]
fn a_path_is_the_same_in_any_unit() {
    let folder = tempfile::tempdir().unwrap();
    let of = |unit: f64, more: &[&str]| {
        let data = homes(folder.path(), unit);
        told(&[&["path", data.to_str().unwrap(), "--set", "data.task=regression"], more].concat())
    };
    let (few, unit) = (["--lambdas", "5"], 1e-9);
    let (large, tiny) = (of(1.0, &few).1, of(unit, &few).1);
    assert!((number(&large, "lambda_max") * unit / number(&tiny, "lambda_max") - 1.0).abs() < 1e-6);
    for (a, b) in large["points"].as_array().unwrap().iter().zip(tiny["points"].as_array().unwrap()) {
        let [a, b] = [a, b].map(|point| &point["validation"]);
        assert!((number(a, "rmse") * unit / number(b, "rmse") - 1.0).abs() < 1e-3, "{a} {b}");
        assert!((number(a, "r2") - number(b, "r2")).abs() < 1e-4, "{a} {b}");
    }
    let networks = ["--lambdas", "2", "--hidden", "16", "--epochs", "20", "--learning-rate", "0.02"];
    let (shown, path) = of(1.0, &networks);
    let test = &path["best"]["test"];
    assert!(number(test, "r2") > 0.9 && number(test, "rmse") > 100.0, "{path}");
    assert!(shown.contains("val RMSE") && shown.contains(", R2 "), "{shown}");
}

#[test]
fn a_comparison_ranks_by_r2_whatever_the_scale_of_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    let (sweep, out) = (folder.path().join("sweep.toml"), folder.path().join("out"));
    let data = homes(folder.path(), 1.0);
    let text = format!(
        "[base]
data = {{ path = '{}', label = 'price', task = 'regression' }}
network.hidden = [8]
train.epochs = 3
[sweep]
data.target_scale = ['standard', 'none']
",
        data.display()
    );
    std::fs::write(&sweep, text).unwrap();
    let (shown, found) =
        told(&["compare", sweep.to_str().unwrap(), "--out", out.to_str().unwrap(), "--jobs", "1"]);
    assert_eq!(found["score"], "test_r2");
    assert!(shown.contains("test R2") && shown.contains("test RMSE"), "{shown}");
    let [standard, none] = [0, 1].map(|row: usize| &found["rows"][row]);
    assert!(number(standard, "mean") > number(none, "mean"), "{found}");
    assert!(number(standard, "test_rmse") < number(none, "test_rmse"), "{found}");
}

#[test]
fn a_scale_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("d.csv");
    std::fs::write(&data, "a,price\n1,1.5\n2,0\n3,2.5\n4,-1\n").unwrap();
    for (arguments, words) in [
        (
            ["train", data.to_str().unwrap(), "log"],
            "d.csv, line 3: the value to predict is 0, and data.target_scale",
        ),
        (["train", "digits", "log"], "data.target_scale: scales numbers to predict"),
        (["data", "digits", "standard"], "data.target_scale: scales numbers to predict"),
        (["train", "digits", "square"], "unknown variant `square`"),
    ] {
        let [verb, data, scale] = arguments;
        let output = rarefy(&[verb, data, "--set", &format!("data.target_scale={scale}")]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(words), "{arguments:?}: {message}");
    }
}
