//! A run is judged by what its settings ask for: the best epoch, early stopping and the threshold follow a metric of the validation
//! part, and what does not fit the data is refused.

use std::path::Path;

use rarefy::data::TaskChoice;
use rarefy::metrics::{Decision, Found, Metric, Metrics};
use rarefy::train::{Control, EpochRecord, Event, Model, Outcome, Run, Settings, Trainer};
use serde_json::Value;

/// A table of 400 lines in which one of ten or so is of the class "fraud", and two measurements tell it, more or less.
fn table(folder: &Path) -> String {
    let path = folder.join("cards.csv");
    let line = |i: u32| {
        let [a, b, noise] = [37, 53, 71].map(|factor| f64::from(i * factor % 97) / 97.0);
        let class = if a * b + 0.3 * noise > 0.62 { "fraud" } else { "ok" };
        format!("{a:.4},{b:.4},{:.1},{class}\n", 100.0 * b)
    };
    std::fs::write(&path, format!("a,b,price,class\n{}", (0..400).map(line).collect::<String>())).unwrap();
    path.to_str().unwrap().into()
}

fn settings(path: &str, more: &str) -> Settings {
    let text = format!(
        "[data]\npath = '{path}'\nvalidation_fraction = 0.3\n[network]\nhidden = [8]\n[sparsity]\ndensity = 1.0\n\
         [topology]\nmethod = 'static'\n[train]\nepochs = 8\n{more}"
    );
    toml::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn trained(settings: Settings) -> (Vec<EpochRecord>, Outcome, Trainer) {
    let mut trainer = Trainer::load(settings).unwrap();
    let mut records = Vec::new();
    let outcome = trainer.train(&mut |event| {
        if let Event::Epoch { record, .. } = event {
            records.push(record.clone());
        }
        Control::Continue
    });
    (records, outcome.unwrap(), trainer)
}

#[test]
fn the_best_epoch_is_that_of_the_metric() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    for (name, label) in [
        ("auc", "class"),
        ("average-precision", "class"),
        ("log-loss", "class"),
        ("balanced-accuracy", "class"),
        ("loss", "class"),
        ("mae", "price"),
    ] {
        let mut settings = settings(&path, &format!("metric = '{name}'"));
        settings.data.label = vec![label.into()];
        if label == "price" {
            settings.data.task = TaskChoice::Regression;
        }
        let metric = settings.train.metric.unwrap();
        let (records, outcome, trainer) = trained(settings);
        let sign = if metric.is_higher_better() { 1.0 } else { -1.0 };
        let found: Vec<f64> = records.iter().map(|record| sign * record.validation_metric.unwrap()).collect();
        let best = found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let kept = outcome.best_epoch.unwrap() as usize;
        assert_eq!(found[kept - 1], best, "{name}: {found:?}");
        assert!(records.iter().all(|record| record.metric == Some(metric)));
        // The model that was kept has the number that was told of it.
        let validation = trainer.splits().validation.as_ref().unwrap();
        let (score, predictions) = outcome.model.evaluate(validation);
        let again = metric.of(&predictions.answers(validation, &score)).unwrap();
        assert!((sign * again - best).abs() < 1e-6, "{name}: {again}, not {best}");
    }
}

#[test]
fn early_stopping_waits_for_the_metric_in_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    let of = |threads: usize| {
        let more = "metric = 'auc'\npatience = 2\ntolerance = 0.5\n";
        trained(Settings { threads, ..settings(&path, more) })
    };
    let (records, outcome, _) = of(1);
    // Nothing gets better by as much as that.
    assert_eq!((records.len(), outcome.epochs), (3, 3));
    let (others, ..) = of(3);
    let numbers = |records: &[EpochRecord]| {
        records.iter().map(|record| record.validation_metric.unwrap().to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&records), numbers(&others));
}

#[test]
fn a_resumed_run_goes_on_by_its_metric() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    let lines = |directory: &Path| -> Vec<(Value, Value)> {
        let text = std::fs::read_to_string(directory.join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (line["validation_metric"].clone(), line["best"].clone())).collect()
    };
    let more = "metric = 'matthews'\nthreshold = 'matthews'\n";
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    Run::start(settings(&path, more), Some(&whole)).unwrap().train(&mut |_| Control::Continue).unwrap();
    let mut run = Run::start(settings(&path, more), Some(&parts)).unwrap();
    run.train(&mut |event| match event {
        Event::Epoch { record, .. } if record.epoch == 3 => Control::Stop,
        _ => Control::Continue,
    })
    .unwrap();
    drop(run);
    Run::resume(&parts, |_| ()).unwrap().train(&mut |_| Control::Continue).unwrap();
    assert_eq!(lines(&whole), lines(&parts));
    assert!(lines(&whole).iter().all(|(metric, _)| metric.is_f64()));
    let [whole, parts] = [whole, parts].map(|directory| Model::open(&directory).unwrap().config.decision);
    assert_eq!(whole, parts);
}

#[test]
fn a_threshold_is_chosen_kept_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    let more = "positive = 'fraud'\nthreshold = 'f1'\n";
    let (_, outcome, trainer) = trained(settings(&path, more));
    let decision = outcome.model.config.decision;
    assert_eq!(trainer.splits().preparation.classes, ["fraud", "ok"]);
    assert_eq!(decision.positive, 0);
    let validation = trainer.splits().validation.as_ref().unwrap();
    let f1 = |model: &Model| {
        let (score, predictions) = model.evaluate(validation);
        Metric::F1.of(&predictions.answers(validation, &score)).unwrap()
    };
    let mut plain = Model::from_bytes(&outcome.model.to_bytes()).unwrap();
    assert_eq!(plain.config.decision, decision);
    plain.config.decision = Decision { threshold: 0.5, ..decision };
    assert!(decision.threshold != 0.5 && f1(&outcome.model) > f1(&plain), "{decision:?}");
    // Predictions follow it.
    let predictions = outcome.model.predict_prepared(validation);
    for (sample, class) in predictions.classes().into_iter().enumerate() {
        let is_fraud = predictions.scores_of(sample)[0] > decision.threshold;
        assert_eq!(class == 0, is_fraud, "sample {sample}");
    }
    // A number is taken as it is, while training too; models of earlier versions have none.
    let (_, outcome, _) = trained(settings(&path, "threshold = 0.25\nmetric = 'f1'\n"));
    assert_eq!(outcome.model.config.decision, Decision { positive: 1, threshold: 0.25 });
    let text = serde_json::to_string(&outcome.model.config).unwrap();
    let old = text.replace(",\"decision\":{\"positive\":1,\"threshold\":0.25}", "");
    assert!(old != text);
    let old: rarefy::train::ModelConfig = serde_json::from_str(&old).unwrap();
    assert_eq!(old.decision, Decision::default());
}

#[test]
fn a_class_that_is_never_predicted_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    // Nobody is sure of that.
    let (_, outcome, trainer) = trained(settings(&path, "positive = 'fraud'\nthreshold = 0.9999\n"));
    assert_eq!(outcome.never_predicted, [0]);
    assert_eq!(outcome.test_metrics.get(Metric::F1), Some(0.0));
    assert!(outcome.test_metrics.get(Metric::AveragePrecision).unwrap() > 0.3);
    let test = trainer.splits().test.as_ref().unwrap();
    let (score, predictions) = outcome.model.evaluate(test);
    let answers = predictions.answers(test, &score);
    assert_eq!(answers.never_predicted(), [0]);
    assert_eq!(Metrics::of(&answers, &Metric::ALL), outcome.test_metrics);
}

#[test]
fn a_class_that_weighs_more_by_name_is_predicted_more_often() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    let predicted = |more: &str| {
        let (_, outcome, trainer) = trained(settings(&path, more));
        let classes = outcome.model.predict_prepared(&trainer.splits().train).classes();
        classes.into_iter().filter(|&class| class == 0).count()
    };
    let (plain, weighted) = (predicted(""), predicted("[loss]\nclass_weights = {fraud = 10}\n"));
    assert!(weighted > plain, "{weighted} {plain}");
}

#[test]
fn a_quantile_is_what_a_share_of_targets_is_below() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    let mut settings = settings(&path, "[loss]\nmethod = 'quantile'\nquantile = 0.75\n");
    settings.train.epochs = 60;
    settings.data.label = vec!["a".into()];
    settings.data.ignore = vec!["class".into(), "price".into()];
    settings.data.task = TaskChoice::Regression;
    let (_, outcome, trainer) = trained(settings);
    assert_eq!(outcome.model.config.quantile, Some(0.75));
    assert!(outcome.test_metrics.get(Metric::QuantileLoss).unwrap() > 0.0);
    let train = &trainer.splits().train;
    let (score, predictions) = outcome.model.evaluate(train);
    let Found::Numbers { predictions, targets, .. } = predictions.answers(train, &score).found else {
        panic!("numbers are predicted")
    };
    let below = predictions.iter().zip(&targets).filter(|(prediction, target)| target <= prediction).count();
    let share = below as f64 / targets.len() as f64;
    assert!((0.65..0.85).contains(&share), "{share}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    for (more, problem) in [
        ("metric = 'r2'", "train.metric: r2 does not fit what is predicted; choose \"loss\", \"accuracy\""),
        ("metric = 'quantile-loss'", "train.metric: quantile-loss does not fit"),
        (
            "metric = 'log-loss'\n[loss]\nmethod = 'mean-squared-error'",
            "train.metric: log-loss does not fit what is predicted",
        ),
        ("metric = 'auc'\nwatch = 'training'", "train.metric: auc is taken on the validation part"),
        ("positive = 'fruad'", "train.positive: there is no class \"fruad\"; did you mean \"fraud\"?"),
        ("positive = 'x'", "train.positive: there is no class \"x\"; the classes are \"fraud\" and \"ok\""),
        (
            "threshold = 'f1'\n[loss]\nmethod = 'mean-squared-error'",
            "train.threshold: is for two classes and loss.method = \"cross-entropy\"",
        ),
        ("[loss]\nclass_weights = {fruad = 2}", "loss.class_weights: there is no class \"fruad\""),
    ] {
        let error = Trainer::load(settings(&path, more)).err().unwrap().to_string();
        assert!(error.starts_with(problem), "{more}: {error}");
    }
    let mut none = settings(&path, "metric = 'auc'");
    none.data.validation_fraction = 0.0;
    let error = Trainer::load(none).err().unwrap().to_string();
    assert!(error.starts_with("train.metric: needs a validation part"), "{error}");
    // The digits have ten classes.
    for (more, problem) in [
        ("threshold = 'f1'", "train.threshold: is for two classes"),
        ("positive = '3'", "train.positive: is one of two classes, which this data has not"),
    ] {
        let error = Trainer::load(settings("digits", more)).err().unwrap().to_string();
        assert!(error.starts_with(problem), "{error}");
    }
}
