//! `rarefy path` tells people and programs the same, marks which model to take, and refuses what it cannot solve.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn rarefy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rarefy")).args(arguments).output().unwrap()
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
fn both_ends_and_both_solvers_find_the_same_optima() {
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
    let fista = objectives(&[]);
    for more in [&["--from", "dense"][..], &["--solver", "ista"], &["--threads", "1"]] {
        for (a, b) in fista.iter().zip(objectives(more)) {
            assert!((a - b).abs() < 2e-8, "{more:?}: {a} {b}");
        }
    }
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
    for (more, words) in [
        (&["--loss", "logistic"][..], "is neither 0 nor 1"),
        (&["--lambda-min-ratio", "2"], "lambda_min_ratio: 2 is not between 0 and 1"),
        (&["--lambdas", "0"], "lambdas: 0"),
        (&["--tolerance", "0"], "tolerance: 0"),
        (&["--max-iterations", "0"], "max_iterations: 0"),
        (&["--set", "network.hidden=[3]"], "a path knows the settings of [data]"),
        (&["--save-coefficients", "/no/such/folder/w.npy"], "cannot write the coefficients"),
    ] {
        let message = refusal(&[&["path", data], more].concat());
        assert!(message.contains(words), "{message}");
    }
    let flat = write_table(folder.path(), |_| "2.5".into());
    let message = refusal(&["path", path_text(&flat), "--set", "data.task=regression"]);
    assert!(message.contains("never change"), "{message}");

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

#[test]
fn it_teaches_and_is_completed() {
    assert!(said(&["path", "--help"]).contains("Examples:\n  rarefy path"));
    assert!(said(&["completions", "bash"]).contains("--lambda-min-ratio"));
    assert_eq!(rarefy(&["path"]).status.code(), Some(2));
    assert_eq!(rarefy(&["path", "digits", "--solver", "newton"]).status.code(), Some(2));
}
