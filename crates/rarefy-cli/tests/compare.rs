//! `rarefy compare` trains what is missing, tells people and programs the same, ranks runs by what their data asks for, and
//! takes no run for another.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn rarefy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rarefy")).env("COLUMNS", "1000").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a comparison prints for people, what it prints for programs, and its table as Markdown.
fn compared(folder: &Path, sweep: &str) -> (String, Value, String) {
    let file = folder.join("sweep.toml");
    std::fs::write(&file, sweep).unwrap();
    let out = folder.join("out");
    let arguments = ["compare", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let [shown, json] = [&arguments[..], &[&arguments[..], &["--json"]].concat()].map(|arguments| {
        let output = rarefy(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    });
    let table = std::fs::read_to_string(out.join("table.md")).unwrap();
    assert!(out.join("pareto.svg").exists());
    (shown, serde_json::from_str(&json).unwrap(), table)
}

const DIGITS: &str = "[base]
data.path = 'digits'
network.hidden = [16]
train = { epochs = 2, batch_size = 64 }
[sweep]
topology.method = ['static', 'rigl']
seed = [0, 1, 2]
";

#[test]
fn rows_are_compared_by_the_metric_that_judges_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = "[base]
data.path = 'digits'
network.hidden = [16]
train = { epochs = 1, batch_size = 64, metric = 'brier' }
[sweep]
topology.method = ['static', 'rigl']
";
    let (shown, json, _) = compared(folder.path(), sweep);
    assert!(shown.contains("test Brier score"), "{shown}");
    assert_eq!(json["score"], "test_brier");
    let means: Vec<f64> =
        json["rows"].as_array().unwrap().iter().map(|row| row["mean"].as_f64().unwrap()).collect();
    let finished = |row: usize| &json["rows"][row]["runs"][0]["finished"];
    assert_eq!(finished(0)["test_metrics"]["brier"].as_f64(), Some(means[0]));
}

#[test]
fn runs_are_trained_once_and_told_alike_to_people_and_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (shown, json, table) = compared(folder.path(), DIGITS);
    assert!(shown.contains("6 runs in 2 rows, 0 done already"), "{shown}");
    assert_eq!(json["score"], "test_accuracy");
    for (row, name) in json["rows"].as_array().unwrap().iter().zip(["static", "rigl"]) {
        let accuracies: Vec<f64> =
            (0..3).map(|run| row["runs"][run]["finished"]["test_accuracy"].as_f64().unwrap()).collect();
        let mean = accuracies.iter().sum::<f64>() / 3.0;
        assert!((row["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{row}");
        let cell = format!("{:.2} ± {:.2} %", 100.0 * mean, 100.0 * row["standard_error"].as_f64().unwrap());
        assert!(shown.contains(&cell) && table.contains(&cell), "{cell}: {shown}");
        // A run is one for the other verbs.
        let run = folder.path().join("out").join(name).join("seed-1");
        let evaluated = rarefy(&["evaluate", run.to_str().unwrap(), "--json"]);
        let evaluated: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
        assert_eq!(evaluated["accuracy"].as_f64(), Some(accuracies[1]), "{name}");
    }

    // With a seed more only what is new is trained.
    let (again, more, _) = compared(folder.path(), &DIGITS.replace("[0, 1, 2]", "[0, 1, 2, 3]"));
    assert!(again.contains("8 runs in 2 rows, 6 done already"), "{again}");
    assert_eq!(more["rows"][0]["runs"][0], json["rows"][0]["runs"][0]);

    std::fs::write(folder.path().join("sweep.toml"), DIGITS.replace("[16]", "[17]")).unwrap();
    let [sweep, out] = ["sweep.toml", "out"].map(|name| folder.path().join(name));
    let refused = rarefy(&["compare", sweep.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let message = text(&refused.stderr);
    assert!(
        !refused.status.success() && message.contains("was trained with [16], now the sweep says [17]"),
        "{message}"
    );
}

#[test]
fn each_fold_is_the_test_part_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let line = |i: usize| format!("{},{},c{},{}\n", i % 7, i % 5, i / 4, ["no", "yes"][i % 7 / 4]);
    let lines: String = (0..96).map(line).collect();
    let data = folder.path().join("data.csv");
    std::fs::write(&data, format!("a,b,customer,label\n{lines}")).unwrap();
    let sweep = format!(
        "[compare]
folds = 4
[base]
data = {{ path = '{}', group = 'customer' }}
network.hidden = [8]
train = {{ epochs = 3, batch_size = 8 }}
[sweep]
topology.method = ['static', 'rigl']
sparsity.density = [0.3, 0.6]
",
        data.display()
    );
    let (shown, json, table) = compared(folder.path(), &sweep);
    assert!(shown.contains("20 runs in 5 rows, 4 folds, 0 done already"), "{shown}");
    assert!(shown.contains("± is the standard error over 4 folds."), "{shown}");
    assert!(table.contains("corrected for training parts that share samples"), "{table}");
    let rows = json["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["static-density-0.3", "static-density-0.6", "rigl-density-0.3", "rigl-density-0.6", "dense"]
    );
    // Each at its own density.
    let against = [2, 3].map(|row: usize| rows[row]["against_baseline"]["row"].as_str().unwrap());
    assert_eq!(against, [names[0], names[1]]);
    assert_eq!(rows[2]["against_baseline"]["test"], "corrected-resampled");
    assert!([0, 1, 4].iter().all(|&row: &usize| rows[row]["against_baseline"].is_null()));
    assert_eq!(rows[4]["density"], 1.0);
    // The three other folds are left: 72 of 96 samples.
    let run = &rows[3]["runs"][2];
    assert_eq!(
        (run["fold"].as_str(), run["folder"].as_str()),
        (Some("3/4"), Some("rigl-density-0.6/seed-0-fold-3-of-4"))
    );
    assert!((run["finished"]["test_over_rest"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12);
    let path = folder.path().join("out").join(run["folder"].as_str().unwrap());
    let evaluated = rarefy(&["evaluate", path.to_str().unwrap(), "--json"]);
    let evaluated: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["accuracy"], run["finished"]["test_accuracy"]);
    let [sweep, out] = ["sweep.toml", "out"].map(|name| folder.path().join(name));
    let mut program = Command::new(env!("CARGO_BIN_EXE_rarefy"));
    let narrow = program.env("COLUMNS", "80").arg("compare").arg(&sweep).arg("--out").arg(&out).output();
    let narrow = text(&narrow.unwrap().stdout);
    assert!(narrow.lines().all(|line| line.chars().count() <= 80 || line.contains("/tmp")), "{narrow}");

    // More folds than groups: nothing is trained.
    let file = folder.path().join("sweep.toml");
    let other = folder.path().join("other");
    let arguments = ["compare", file.to_str().unwrap(), "--out", other.to_str().unwrap(), "--folds", "25"];
    let refused = rarefy(&arguments);
    let message = text(&refused.stderr);
    let problem = "data.group: 24 groups cannot make 25 folds; ask for 24 at most";
    assert!(!refused.status.success() && message.contains(problem), "{message}");
}

#[test]
fn runs_on_data_that_has_changed_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let line = |index: usize| format!("{},{},{}\n", index % 7, index % 3, ["no", "yes"][index % 2]);
    let data = folder.path().join("data.csv");
    let rows: String = (0..80).map(line).collect();
    std::fs::write(&data, format!("a,b,label\n{rows}")).unwrap();
    let sweep = format!(
        "[base]
data.path = '{}'
network.hidden = [4]
sparsity.density = 0.9
train = {{ epochs = 1, batch_size = 8 }}
[sweep]
seed = [0, 1]
",
        data.display()
    );
    compared(folder.path(), &sweep);
    let more = sweep.replace("[0, 1]", "[0, 1, 2]");
    let file = folder.path().join("sweep.toml");
    // One number of one sample, whichever part it is in.
    std::fs::write(&data, format!("a,b,label\n{}", rows.replacen("6,0,no", "6,5,no", 1))).unwrap();
    let out = folder.path().join("out");
    // Whether or not there is more to train.
    for sweep in [&sweep, &more] {
        std::fs::write(&file, sweep).unwrap();
        let refused = rarefy(&["compare", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
        let message = text(&refused.stderr);
        let problem = "seed-0: was trained on other data";
        assert!(!refused.status.success() && message.contains(problem), "{message}");
    }
    assert!(!out.join("base/seed-2").exists());

    std::fs::write(&data, format!("a,b,label\n{rows}")).unwrap();
    let (shown, _, _) = compared(folder.path(), &more);
    assert!(shown.contains("3 runs in 1 rows, 2 done already"), "{shown}");
}

#[test]
fn a_run_that_no_test_part_can_judge_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..60).map(|i| format!("{},{},{}\n", i % 7, i % 5, i % 7 + i % 5)).collect();
    let [data, test, file, out] =
        ["data.csv", "test.csv", "sweep.toml", "out"].map(|name| folder.path().join(name));
    std::fs::write(&data, format!("a,b,y\n{rows}")).unwrap();
    // So far out, to all sides, that squared errors are no numbers.
    std::fs::write(&test, "a,b,y\n3e38,3e38,1\n3e38,-3e38,2\n-3e38,3e38,1\n-3e38,-3e38,2\n").unwrap();
    let sweep = format!(
        "[base]
data = {{ path = '{}', test_path = '{}', label = 'y', task = 'regression' }}
network.hidden = [8]
train = {{ epochs = 2, batch_size = 8 }}
[sweep]
seed = [0, 1]
",
        data.display(),
        test.display()
    );
    std::fs::write(&file, sweep).unwrap();
    // The second time nothing is trained again.
    for runs in ["2 runs in 1 rows, 0 done already", "2 runs in 1 rows, 2 done already"] {
        let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
        let found = rarefy(&["compare", file, "--out", out]);
        let shown = text(&found.stdout);
        assert!(!found.status.success() && shown.contains(runs), "{shown}");
        for seed in [0, 1] {
            let problem = format!("base seed {seed} failed: the loss on the test part is ");
            assert!(shown.contains(&problem), "{shown}");
        }
        assert!(!shown.contains("not done"), "{shown}");
        let shard = text(&rarefy(&["compare", file, "--out", out, "--shard", "1/1"]).stderr);
        assert!(shard.contains(&format!("rarefy compare {file} --out {out} tells why")), "{shard}");
    }
}

#[test]
fn runs_are_left_out_where_their_metric_is_not_defined() {
    let folder = tempfile::tempdir().unwrap();
    let line = |i: usize| format!("{},{},{}\n", i % 7, i % 5, ["no", "yes"][i % 2]);
    let [data, test] = ["data.csv", "test.csv"].map(|name| folder.path().join(name));
    std::fs::write(&data, format!("a,b,y\n{}", (0..60).map(line).collect::<String>())).unwrap();
    // One class, which nothing is to be told from.
    std::fs::write(&test, "a,b,y\n1,2,no\n3,4,no\n5,1,no\n").unwrap();
    let sweep = format!(
        "[base]
data = {{ path = '{}', test_path = '{}' }}
network.hidden = [8]
train = {{ epochs = 1, batch_size = 8, metric = 'auc' }}
[sweep]
seed = [0, 1]
",
        data.display(),
        test.display()
    );
    let (shown, _, table) = compared(folder.path(), &sweep);
    let note = "2 finished runs are left out: test ROC AUC is not defined on their test part.";
    assert!(shown.contains(note) && table.contains("| base | not defined |"), "{shown}");
}

#[test]
fn language_models_are_ranked_by_bits_per_character() {
    let folder = tempfile::tempdir().unwrap();
    let speech = folder.path().join("speech.txt");
    std::fs::write(&speech, "to be or not to be, that is the question. ".repeat(48)).unwrap();
    let sweep = format!(
        "[base]
data = {{ path = '{}', task = 'language-model', text = {{ tokens = {{ kind = 'characters', context = 16 }} }} }}
network = {{ preset = 'char-transformer', width = 16, depth = 1 }}
sparsity.density = 0.5
train = {{ epochs = 2, batch_size = 8 }}
[sweep]
optimizer.learning_rate = [0.0001, 0.01]
",
        speech.display()
    );
    let (shown, json, _) = compared(folder.path(), &sweep);
    assert!(shown.contains("test bits per character"), "{shown}");
    assert_eq!(json["score"], "test_bits_per_character");
    let [slow, fast] = [0, 1].map(|row: usize| &json["rows"][row]);
    let figures = &fast["runs"][0]["finished"];
    assert_eq!(fast["mean"], figures["test_bits_per_character"]);
    assert!(fast["mean"].as_f64().unwrap() < slow["mean"].as_f64().unwrap(), "{json}");
    let nats = figures["test_loss"].as_f64().unwrap();
    let bits = figures["test_bits_per_character"].as_f64().unwrap();
    // A document's end is a token, not a character.
    assert!((bits / (nats / std::f64::consts::LN_2) - 1.0).abs() < 0.05, "{figures}");
}

#[test]
fn shards_share_the_runs_and_the_plain_command_reports_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sweep.toml");
    std::fs::write(&file, DIGITS).unwrap();
    let out = folder.path().join("out");
    let arguments = ["compare", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let shard = |shard: &str| {
        let output = rarefy(&[&arguments[..], &["--shard", shard]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(shard("2/4").contains("[2/2]"), "two of six");
    assert!(!out.join("results.json").exists());
    // Done already.
    assert!(!shard("2/4").contains("[1/"));
    for other in ["1/4", "3/4", "4/4"] {
        shard(other);
    }
    let output = rarefy(&arguments);
    assert!(output.status.success() && !text(&output.stdout).contains("[1/"), "{}", text(&output.stdout));
    let results: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("results.json")).unwrap()).unwrap();
    assert!(results["rows"].as_array().unwrap().iter().all(|row| row["finished"] == 3));
    let wrong = rarefy(&[&arguments[..], &["--shard", "5/4"]].concat());
    assert!(text(&wrong.stderr).contains("3/8 for the third of eight"), "{}", text(&wrong.stderr));
}
