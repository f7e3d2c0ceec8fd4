//! `rarefy path` tells people and programs the same, marks which model to take, saves it for the other verbs, and refuses
//! what it cannot solve.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn rarefy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rarefy")).env("COLUMNS", "1000").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What it prints for people.
fn said(arguments: &[&str]) -> String {
    let output = rarefy(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).to_string()
}

/// What it prints for programs: one object and nothing else.
fn object(arguments: &[&str]) -> Value {
    let output = rarefy(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The message of a call that fails as it should.
fn refusal(arguments: &[&str]) -> String {
    let output = rarefy(arguments);
    let message = text(&output.stderr).to_string();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""), "{arguments:?}: {message}");
    assert!(message.starts_with("error: "), "{message}");
    message
}

/// Six columns of whole numbers that look random, and a label of the first two.
fn write_table(folder: &Path, label: impl Fn(i64) -> String) -> PathBuf {
    let path = folder.join("table.csv");
    let line = |i: i64| {
        let cells = [7, 11, 13, 17, 19, 23].map(|prime| (i * i * 31 + i * 17) % prime);
        let noise = (i * 7919 % 101 - 50) / 10;
        format!(
            "{},{}\n",
            cells.map(|cell| cell.to_string()).join(","),
            label(4 * cells[0] - 2 * cells[1] + noise)
        )
    };
    std::fs::write(&path, (0..200).map(line).collect::<String>()).unwrap();
    path
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn numbers_get_a_table_with_the_best_and_the_knee() {
    let folder = tempfile::tempdir().unwrap();
    let data = write_table(folder.path(), |score| format!("{score}.5"));
    let arguments = ["path", path_text(&data), "--lambdas", "20", "--tolerance", "1e-8"];
    let found = object(&arguments);
    assert_eq!((found["loss"].as_str(), found["features"].as_u64()), (Some("squared"), Some(6)));
    let points = found["points"].as_array().unwrap();
    assert_eq!((points.len(), points[0]["nonzeros"].as_u64()), (20, Some(0)));
    let number = |point: &Value, key: &str| point[key].as_f64().unwrap();
    for pair in points.windows(2) {
        assert!(number(&pair[0], "lambda") > number(&pair[1], "lambda"));
        assert!(number(&pair[0], "objective") > number(&pair[1], "objective"));
    }
    assert!(points.iter().all(|point| point["converged"] == true));
    let chosen = |name: &str| &points[found[name]["point"].as_u64().unwrap() as usize];
    let (best, knee) = (chosen("best"), chosen("knee"));
    let loss = |point: &Value| number(&point["validation"], "loss");
    let most = loss(best) + number(&best["validation"], "standard_error");
    for point in points {
        assert!(loss(best) <= loss(point));
        let near = loss(point) <= most;
        assert!(!near || point["nonzeros"].as_u64() >= knee["nonzeros"].as_u64());
    }
    assert!(loss(knee) <= most && number(&found["best"]["test"], "r2") > 0.9);

    let shown = said(&arguments);
    for words in [
        "140 training, 20 validation",
        "lambda",
        "nonzeros",
        "R2",
        "best  ",
        "knee  ",
        "test loss",
        "20 points in",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn both_ends_and_all_solvers_find_the_same_optima() {
    let folder = tempfile::tempdir().unwrap();
    let data = write_table(folder.path(), |score| if score > 3 { "yes" } else { "no" }.to_string());
    let base = ["path", path_text(&data), "--lambdas", "8", "--tolerance", "1e-8"];
    let objectives = |more: &[&str]| -> Vec<f64> {
        let found = object(&[&base, more].concat());
        assert_eq!(found["loss"], "logistic");
        let points = found["points"].as_array().unwrap();
        assert!(points.iter().all(|point| point["validation"]["accuracy"].is_number()));
        points.iter().map(|point| point["objective"].as_f64().unwrap()).collect()
    };
    let first = objectives(&[]);
    let ways = [&["--from", "dense"][..], &["--solver", "fista"], &["--solver", "ista"], &["--threads", "1"]];
    for more in ways {
        for (a, b) in first.iter().zip(objectives(more)) {
            assert!((a - b).abs() < 2e-8, "{more:?}: {a} {b}");
        }
    }
}

/// The same as scikit-learn's ElasticNet(alpha=lambda, l1_ratio=r, tol=1e-14), recorded: coefficients, then the intercept.
#[test]
fn elastic_nets_are_scikit_learns() {
    let folder = tempfile::tempdir().unwrap();
    let data = write_table(folder.path(), |score| format!("{score}.5"));
    let file = folder.path().join("w.npy");
    #[rustfmt::skip]
    let table = [
        ("0.5", [[2.86879048, -1.51538723, 0.0, 0.0, 0.0, 0.0, 1.5742137],
                 [3.99476004, -1.96230536, 0.0, -0.00255278, 0.0, 0.00494148, -0.05285619]]),
        ("0.9", [[3.33666892, -1.59595582, 0.0, 0.0, 0.0, 0.0, 0.49358077],
                 [4.07413067, -1.97831826, 0.0, 0.0, 0.0, 0.00151355, -0.20985027]]),
    ];
    for (ratio, models) in table {
        let ratio = format!("penalty.l1_ratio={ratio}");
        let grid =
            ["--lambda-max", "4", "--lambda-min-ratio", "0.1", "--lambdas", "2", "--tolerance", "1e-13"];
        let plain = ["data.scale=none", "data.validation_fraction=0", "data.test_fraction=0", &ratio];
        let sets: Vec<&str> = plain.iter().flat_map(|setting| ["--set", setting]).collect();
        let penalty = ["--penalty", "elastic-net", "--save-coefficients", path_text(&file)];
        let found = object(&[&["path", path_text(&data)][..], &grid, &sets, &penalty].concat());
        assert_eq!(found["points"].as_array().unwrap().len(), 2);
        let bytes = std::fs::read(&file).unwrap();
        let (numbers, _) = bytes[bytes.len() - 2 * 7 * 8..].as_chunks::<8>();
        for (number, want) in numbers.iter().zip(models.as_flattened()) {
            let number = f64::from_le_bytes(*number);
            assert!((number - want).abs() < 2e-6, "{ratio}: {number}, not {want}");
        }
    }
}

/// A table of five groups, each of which is a fold of five.
fn write_groups(folder: &Path) -> String {
    let line = |i: i64| {
        let (a, b, c, d) = (i * 7 % 11 - 5, i * 5 % 13 - 6, i * i % 7 - 3, i * 3 % 5 - 2);
        format!("{a},{b},{c},{d},g{},{}\n", i % 5, 3 * a - 2 * b + c + i * i % 17 - 8)
    };
    let path = folder.join("groups.csv");
    std::fs::write(&path, format!("a,b,c,d,group,y\n{}", (0..60).map(line).collect::<String>())).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn folds_choose_lambda_as_scikit_learn_does() {
    let folder = tempfile::tempdir().unwrap();
    let data = write_groups(folder.path());
    let settings = "--label y --set data.task=regression --set data.group=group --set data.scale=none --set data.test_fraction=0";
    let grid = "--lambdas 4 --lambda-max 8 --tolerance 1e-10 --folds 5";
    let arguments: Vec<&str> =
        ["path", &data].into_iter().chain(settings.split(' ')).chain(grid.split(' ')).collect();
    let path = object(&arguments);
    // scikit-learn 1.9.1: halves of `LassoCV(alphas=..., cv=PredefinedSplit(group)).mse_path_`, the mean over folds and the
    // standard error of that mean.
    let known = [
        (8.0, 24.945177535107387, 3.4553148709760366),
        (1.7235477520255071, 19.614266085548696, 1.4792082179917734),
        (0.37132710668902236, 18.683375081821715, 1.1915064354339395),
        (0.08, 18.672376341652168, 1.1536170136003527),
    ];
    for (point, (lambda, loss, error)) in path["points"].as_array().unwrap().iter().zip(known) {
        let close = |key: &str, found: &Value, known: f64| {
            let found = found.as_f64().unwrap();
            assert!((found - known).abs() < 1e-4 * known, "{key} at {lambda}: {found}, not {known}");
        };
        close("lambda", &point["lambda"], lambda);
        close("loss", &point["validation"]["loss"], loss);
        close("standard error", &point["validation"]["standard_error"], error);
    }
    assert_eq!(
        (&path["folds"], &path["samples"], &path["validation_samples"]),
        (&json!(5), &json!(60), &json!(60))
    );
    assert_eq!((&path["best"]["point"], &path["knee"]["point"]), (&json!(3), &json!(1)));
    assert!(said(&arguments).contains("60 training, validated in 5 folds"));
    // A saved model is one of all samples.
    let model = folder.path().join("model");
    let saved = ["--save-model", model.to_str().unwrap()];
    said(&[&arguments[..], &saved].concat());
    assert_eq!(object(&["evaluate", model.to_str().unwrap(), &data])["samples"], 60);
}

#[test]
fn networks_are_judged_by_folds_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = write_groups(folder.path());
    let model = folder.path().join("model");
    let arguments =
        ["path", &data, "--label", "y", "--hidden", "6", "--lambdas", "3", "--epochs", "2", "--folds", "3"];
    let path = object(&[&arguments[..], &["--save-model", model.to_str().unwrap()]].concat());
    assert_eq!(
        (&path["folds"], &path["samples"], &path["validation_samples"]),
        (&json!(3), &json!(48), &json!(48))
    );
    let judged = path["points"].as_array().unwrap().iter().filter(|point| {
        let score = &point["validation"];
        score["loss"].is_number()
            && score["standard_error"].as_f64().unwrap() > 0.0
            && score["rmse"].is_number()
    });
    assert!(judged.count() > 0 && path["best"]["point"].is_number(), "{path}");
    // The test part is the one of the choice.
    let evaluated = object(&["evaluate", model.to_str().unwrap()]);
    let (told, found) = (&path["knee"]["test"]["rmse"], &evaluated["rmse"]);
    assert!((told.as_f64().unwrap() - found.as_f64().unwrap()).abs() < 1e-4, "{told} {found}");
    // A metric that epochs are judged by is told over the folds too, and one that does not fit is refused before any work.
    let by = |metric: &'static str| [&arguments[..], &["--set", metric]].concat();
    let path = object(&by("train.metric=mae"));
    let judged =
        path["points"].as_array().unwrap().iter().filter(|it| it["validation"]["metric"].is_number());
    assert!(judged.count() > 0, "{path}");
    let message = refusal(&by("train.metric=auc"));
    assert!(message.contains("train.metric: auc does not fit what is predicted"), "{message}");
}

#[test]
fn saved_coefficients_give_the_objectives() {
    let folder = tempfile::tempdir().unwrap();
    let data = write_table(folder.path(), |score| format!("{score}.5"));
    let file = folder.path().join("w.npy");
    let found =
        object(&["path", path_text(&data), "--lambdas", "5", "--save-coefficients", path_text(&file)]);
    let bytes = std::fs::read(&file).unwrap();
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = text(&bytes[10..10 + length]);
    assert!(
        header.contains("'shape': (5, 7)") && header.ends_with('\n') && (10 + length) % 64 == 0,
        "{header:?}"
    );
    let (numbers, rest) = bytes[10 + length..].as_chunks::<8>();
    let numbers: Vec<f64> = numbers.iter().map(|&number| f64::from_le_bytes(number)).collect();
    assert!(numbers.len() == 35 && rest.is_empty());
    for (row, point) in numbers.chunks_exact(7).zip(found["points"].as_array().unwrap()) {
        let nonzeros = row[..6].iter().filter(|weight| **weight != 0.0).count();
        assert_eq!(point["nonzeros"].as_u64(), Some(nonzeros as u64));
    }
}

#[test]
fn what_cannot_be_solved_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = write_table(folder.path(), |score| format!("{score}.5"));
    let data = path_text(&data);
    let message = refusal(&["path", "digits"]);
    assert!(message.contains("10 classes") && message.contains("two classes or for numbers"), "{message}");
    assert!(message.contains("--hidden 64"), "{message}");
    for (more, words) in [
        (&["--loss", "logistic"][..], "is neither 0 nor 1"),
        (&["--lambda-min-ratio", "2"], "lambda_min_ratio: 2 is not between 0 and 1"),
        (&["--lambdas", "0"], "lambdas: 0"),
        (&["--tolerance", "0"], "tolerance: 0"),
        (&["--max-iterations", "0"], "max_iterations: 0"),
        (&["--set", "penalty.method=mcp"], "penalty.method: linear models have l1 or elastic-net"),
        (&["--set", "optimizer.method=sgd"], "linear models know the settings of [data]"),
        (&["--lambda-max", "-1"], "lambda: the largest is -1"),
        (&["--epochs", "3"], "--epochs: is for networks; give --hidden"),
        (&["--penalty", "mcp"], "penalty.method: linear models have l1 or elastic-net"),
        (&["--penalty", "l1", "--set", "penalty.lambda=1.0"], "give the largest as --lambda-max"),
        (&["--svg", "/no/such/folder/p.svg"], "p.svg: cannot save"),
        (&["--svg", "p.svg", "--set", "data.validation_fraction=0"], "--svg: there is no validation part"),
        (
            &["--save-model", "m", "--set", "data.validation_fraction=0"],
            "--save-model: there is no validation",
        ),
        (&["--svg", data], "is the same file as"),
        (&["--save-coefficients", data], "is the same file as"),
        (&["--save-coefficients", "/no/such/folder/w.npy"], "w.npy: cannot save"),
    ] {
        let message = refusal(&[&["path", data], more].concat());
        assert!(message.contains(words), "{message}");
    }
    // The mean of the second is not it but for rounding.
    for number in ["2.5", "3.7"] {
        let flat = write_table(folder.path(), |_| number.into());
        let message = refusal(&["path", path_text(&flat), "--set", "data.task=regression"]);
        assert!(message.contains("never change"), "{message}");
    }

    let data = write_table(folder.path(), |score| format!("{score}.5"));
    let shown = said(&[
        "path",
        path_text(&data),
        "--tolerance",
        "1e-13",
        "--max-iterations",
        "1",
        "--set",
        "data.validation_fraction=0",
    ]);
    assert!(shown.contains("not converged") && shown.contains("did not reach the tolerance"), "{shown}");
    assert!(shown.contains("no validation part"), "{shown}");
}

/// The score that `evaluate` finds is the one that the path told, to single precision.
fn assert_evaluates_to(folder: &Path, choice: &Value, factor: f64) {
    let found = object(&["evaluate", path_text(folder)]);
    let number = |value: &Value| value.as_f64().unwrap();
    // The loss of numbers is of scaled ones, their error in the target's unit.
    let (score, told) = match choice["test"]["rmse"].as_f64() {
        Some(told) => (number(&found["rmse"]), told),
        None => (number(&found["loss"]), factor * number(&choice["test"]["loss"])),
    };
    assert!((score - told).abs() < 1e-5 * told, "{score} {told}");
    if found["task"] == "classification" {
        assert_eq!(number(&found["accuracy"]), number(&choice["test"]["accuracy"]));
    }
}

#[test]
fn saved_linear_models_are_models_of_the_other_verbs() {
    let folder = tempfile::tempdir().unwrap();
    type Label = fn(i64) -> String;
    let number: Label = |score| format!("{score}.5");
    let class: Label = |score| if score > 3 { "yes" } else { "no" }.to_string();
    let one: Label = |score| i32::from(score > 3).to_string();
    // The loss of two outputs for a class is twice the half squared error that a path minimises.
    for (name, label, more, factor) in [
        ("squared", number, &[][..], 1.0),
        ("logistic", class, &[], 1.0),
        ("squared-classes", class, &["--loss", "squared"], 2.0),
        ("logistic-numbers", one, &["--loss", "logistic", "--set", "data.task=regression"], 1.0),
    ] {
        let data = write_table(folder.path(), label);
        let model = folder.path().join(name);
        let svg = folder.path().join("path.svg");
        let base = ["path", path_text(&data), "--lambdas", "10", "--save-model", path_text(&model)];
        let found = object(&[&base, more, &["--choose", "best", "--svg", path_text(&svg)]].concat());
        assert!(std::fs::read_to_string(&svg).unwrap().contains("validation"), "{name}");
        assert_eq!(found["saved"]["choice"], "best");
        assert_evaluates_to(&model, &found["best"], factor);
        let lambda = found["points"][found["best"]["point"].as_u64().unwrap() as usize]["lambda"].as_f64();
        let inspected = object(&["inspect", path_text(&model)]);
        let kept = inspected["run"]["settings"]["penalty"]["lambda"].as_f64();
        assert!((kept.unwrap() / lambda.unwrap() - 1.0).abs() < 1e-6, "{name}");
        let predicted = said(&["predict", path_text(&model), path_text(&data)]);
        assert!(predicted.lines().count() >= 200, "{name}: {predicted}");
        let message = refusal(&[&base, more].concat());
        assert!(message.contains("holds a run already") && !message.contains("--run-dir"), "{message}");
    }
}

/// The arguments of a short path of small networks on the digits.
const NETWORKS: [&str; 8] = ["path", "digits", "--hidden", "32,16", "--epochs", "4", "--set", "seed=3"];

#[test]
fn networks_get_a_table_a_plot_and_a_model_that_evaluates_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (from, penalty) in [("dense", "l1"), ("sparse", "mcp")] {
        let (model, svg) = (folder.path().join(from), folder.path().join(format!("{from}.svg")));
        let arguments = [&NETWORKS[..], &["--lambdas", "8", "--from", from, "--penalty", penalty]].concat();
        let files = ["--save-model", path_text(&model), "--svg", path_text(&svg)];
        let found = object(&[&arguments[..], &files].concat());
        assert_eq!((&found["from"], &found["penalty"]), (&from.into(), &penalty.into()));
        assert_eq!(found["units"], serde_json::json!([64, 32, 16, 10]));
        let points = found["points"].as_array().unwrap();
        let number = |point: &Value, key: &str| point[key].as_f64().unwrap();
        assert!(points.len() >= 4, "{found}");
        for pair in points.windows(2) {
            assert!(number(&pair[0], "lambda") > number(&pair[1], "lambda"));
        }
        let loss = |point: &Value| number(&point["validation"], "loss");
        let chosen = |name: &str| &points[found[name]["point"].as_u64().unwrap() as usize];
        let (best, knee) = (chosen("best"), chosen("knee"));
        let most = loss(best) + number(&best["validation"], "standard_error");
        assert!(points.iter().all(|point| loss(point) >= loss(best)));
        assert!(loss(knee) <= most && number(knee, "nonzeros") <= number(best, "nonzeros"));
        // No model of the front is beaten by a smaller one.
        let accuracy = |point: &Value| number(&point["validation"], "accuracy");
        let front = found["front"].as_array().unwrap();
        for at in front.iter().map(|at| &points[at.as_u64().unwrap() as usize]) {
            let beats = |other: &&Value| {
                number(other, "nonzeros") < number(at, "nonzeros") && accuracy(other) >= accuracy(at)
            };
            assert!(!points.iter().any(|other| beats(&other)));
        }
        assert_evaluates_to(&model, &found["knee"], 1.0);
        let inspected = object(&["inspect", path_text(&model)]);
        assert_eq!(inspected["nnz"], knee["nonzeros"]);
        let whole: Value =
            serde_json::from_str(&std::fs::read_to_string(model.join("path.json")).unwrap()).unwrap();
        assert_eq!(whole, found);
        let drawn = std::fs::read_to_string(&svg).unwrap();
        for words in ["<svg", "knee", "best", "Pareto front", "validation accuracy, %", "nonzeros"] {
            assert!(drawn.contains(words), "{words}");
        }
        let shown = said(&arguments);
        for words in [
            "network 64-32-16-10",
            "nonzeros, loss",
            "density",
            "train loss",
            "validation loss",
            "±",
            "seconds",
            "knee",
            "front",
            "points in",
            "test loss",
            "Pareto front",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        let lines = |name: &str| shown.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!((lines("best  "), lines("knee  "), lines("epoch")), (1, 1, 0), "{shown}");
    }
}

#[test]
fn networks_predict_numbers_too_and_threads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = write_table(folder.path(), |score| format!("{score}.5"));
    let base = ["path", path_text(&data), "--set", "network.hidden=[8]", "--lambdas", "4", "--epochs", "3"];
    let bare = |more: &[&str]| {
        let mut found = object(&[&base, more].concat());
        found["seconds"].take();
        found["points"].as_array_mut().unwrap().iter_mut().for_each(|point| drop(point["seconds"].take()));
        found
    };
    let found = bare(&["--threads", "1"]);
    assert!(found["points"][0]["validation"]["accuracy"].is_null(), "{found}");
    assert_eq!(found, bare(&["--threads", "2"]));
    let model = folder.path().join("model");
    let found = object(&[&base[..], &["--save-model", path_text(&model)]].concat());
    assert_evaluates_to(&model, &found["knee"], 1.0);
}

#[test]
fn paths_of_networks_that_cannot_be_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("config.toml"), "").unwrap();
    let free = folder.path().join("free");
    let no_validation = ["--set", "data.validation_fraction=0"];
    for (more, words) in [
        (vec!["--penalty", "str"], "penalty.method: \"str\" does not go with a path of lambdas"),
        (vec!["--penalty", "l2"], "invalid value 'l2' for '--penalty"),
        (vec!["--lambda-min-ratio", "1.5"], "lambda_min_ratio: 1.5 is not between 0 and 1"),
        (vec!["--lambda-max", "0"], "lambda: the largest is 0"),
        (
            vec!["--lambda-max", "1e6", "--lambda-min-ratio", "0.5"],
            "leaves no way from inputs to outputs; lower it",
        ),
        (vec!["--lambdas", "0"], "lambdas: 0"),
        (vec!["--set", "penalty.lambda=0.1"], "penalty.lambda: a path goes through many"),
        (vec!["--set", "target.sparsity=0.9"], "target: this does not go with a path"),
        (vec!["--set", "topology.method=rigl"], "topology.method: \"rigl\" does not go with a path"),
        (vec!["--solver", "ista"], "--solver: is for linear models"),
        (vec!["--save-coefficients", "w.npy"], "--save-coefficients: is for linear models"),
        (vec!["--save-model", path_text(&taken)], "holds a run already"),
        (
            [&no_validation[..], &["--save-model", path_text(&free)]].concat(),
            "--save-model: there is no validation",
        ),
        ([&no_validation[..], &["--svg", path_text(&free)]].concat(), "--svg: there is no validation part"),
    ] {
        let output = rarefy(&[&NETWORKS[..], &more].concat());
        let message = text(&output.stderr);
        assert!(!output.status.success() && message.starts_with("error: "), "{more:?}: {message}");
        assert!(message.contains(words), "{words}: {message}");
    }
    assert!(!free.exists(), "what fails leaves no folder");
    let shown = said(&[&NETWORKS[..], &no_validation].concat());
    assert!(shown.contains("no validation part to choose by") && !shown.contains("knee"), "{shown}");
    let shown = said(&[&NETWORKS[..], &["--lambda-max", "1e-3"]].concat());
    assert!(shown.contains("raise --lambda-max"), "{shown}");
}

#[test]
fn it_teaches_and_is_completed() {
    assert!(said(&["path", "--help"]).contains("Examples:\n  rarefy path"));
    assert!(
        said(&["path", "--help"])
            .contains("--hidden or --network (or --set network...=...) makes it a path of networks")
    );
    assert!(said(&["completions", "bash"]).contains("--lambda-min-ratio"));
    assert_eq!(rarefy(&["path"]).status.code(), Some(2));
    assert_eq!(rarefy(&["path", "digits", "--solver", "newton"]).status.code(), Some(2));
}

#[test]
fn a_path_is_of_any_network() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.toml");
    let layers = "layers = [{layer = 'conv2d', filters = 4, kernel = 3, activation = 'relu'}, {layer = 'flatten'}, {layer = 'linear'}]";
    std::fs::write(&file, layers).unwrap();
    let found = object(&[
        "path",
        "digits",
        "--network",
        path_text(&file),
        "--epochs",
        "1",
        "--lambdas",
        "3",
        "--batch-size",
        "128",
    ]);
    assert_eq!(
        (found["units"].clone(), found["cells"].as_u64()),
        (serde_json::json!([64, 4, 10]), Some(1476))
    );
    assert_eq!(found["points"].as_array().unwrap().len(), 3);
}
