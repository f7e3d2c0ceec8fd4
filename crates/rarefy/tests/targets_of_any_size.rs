//! Numbers to predict may be of any size: what is learned does not depend on their unit, and whatever is told of them is told in
//! it, by a run, by its saved model, and by one that is older than the scaling.

use std::path::{Path, PathBuf};

use rarefy::data::{Dataset, TargetScale, Task, TaskChoice, load_with};
use rarefy::kernels::Isa;
use rarefy::metrics::{Metric, Metrics};
use rarefy::optimizers::LearningRate;
use rarefy::topology::Method;
use rarefy::train::{Control, Ending, Event, Model, Run, Settings, Trainer, predict};

use crate::broken_models_are_refused::without_checksum;

/// Numbers that look random, and targets of them.
fn write(folder: &Path, targets: &[fn(f64) -> f64]) -> PathBuf {
    let path = folder.join("table.csv");
    let line = |i: u64| {
        let cells = [7, 11, 13].map(|prime| (i * i * 31 + i * 17) % prime);
        let sum = cells[0] as f64 + 2.0 * cells[1] as f64 - 0.5 * cells[2] as f64;
        let labels = targets.iter().map(|target| format!(",{}", target(sum)));
        format!("{},{},{}{}\n", cells[0], cells[1], cells[2], labels.collect::<String>())
    };
    std::fs::write(&path, (0..200).map(line).collect::<String>()).unwrap();
    path
}

fn settings(data: &Path, outputs: usize, scale: Option<TargetScale>) -> Settings {
    let mut settings = Settings::default();
    settings.data.path = data.to_str().unwrap().into();
    settings.data.label = (4..4 + outputs).map(|column| column.to_string()).collect();
    settings.data.task = TaskChoice::Regression;
    settings.data.target_scale = scale;
    settings.network.hidden = vec![16];
    settings.sparsity.density = 0.5;
    settings.topology.method = Method::Static;
    settings.optimizer.learning_rate = Some(LearningRate::Fixed(0.02));
    settings.train.epochs = 20;
    settings
}

/// What a model predicts for a file, in the unit of the targets.
fn predictions(model: &Model, data: &Path) -> Vec<f64> {
    let preparation = &model.config.preparation;
    let dataset = load_with(preparation, data.to_str().unwrap(), false).unwrap().dataset;
    let mut outputs = Vec::new();
    predict(model.network(), Isa::detect(), &dataset, 64, |batch, output| {
        (0..batch.samples).for_each(|sample| outputs.extend(output.sample(sample)));
    });
    preparation.target_scaler.undo_all(preparation.outputs, &outputs)
}

fn train(settings: Settings, directory: Option<&Path>) -> rarefy::train::Outcome {
    Run::start(settings, directory).unwrap().train(&mut |_| Control::Continue).unwrap()
}

#[test]
fn another_unit_changes_predictions_by_that_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let of = |target: fn(f64) -> f64| {
        let data = write(folder.path(), &[target]);
        let outcome = train(settings(&data, 1, None), None);
        (predictions(&outcome.model, &data), outcome.test_numbers.unwrap())
    };
    let (plain, score) = of(|sum| sum);
    assert!(score.r2.unwrap() > 0.98, "{score:?}");
    type Case = (fn(f64) -> f64, f64, f64);
    let cases: [Case; 4] = [
        (|sum| 1000.0 + 140.0 * sum, 140.0, 1000.0),
        (|sum| 1e-4 * sum, 1e-4, 0.0),
        (|sum| 1.7e12 + 2000.0 * sum, 2000.0, 1.7e12),
        (|sum| 1e-30 * sum, 1e-30, 0.0),
    ];
    for (target, factor, offset) in cases {
        let (found, of_unit) = of(target);
        for (found, plain) in found.iter().zip(&plain) {
            let off = (found - (offset + factor * plain)) / factor;
            assert!(off.abs() < 1e-3, "{factor} {offset}: {found}, not {}", offset + factor * plain);
        }
        assert!((of_unit.rmse / factor / score.rmse - 1.0).abs() < 1e-2, "{of_unit:?} {score:?}");
        assert!((of_unit.r2.unwrap() - score.r2.unwrap()).abs() < 1e-4, "{of_unit:?} {score:?}");
    }
}

#[test]
fn a_run_goes_on_with_targets_in_its_unit_only() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let data = write(folder.path(), &[|sum| sum]);
    let mut settings = settings(&data, 1, None);
    settings.train.epochs = 1;
    train(settings, Some(&run));
    write(folder.path(), &[|sum| 2.0 * sum]);
    let error = Run::resume(&run, |_| ()).err().unwrap().to_string();
    assert!(error.contains("was written for other data"), "{error}");
}

#[test]
fn several_targets_have_a_scale_each_and_the_saved_model_undoes_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), &[|sum| 1e-4 * sum, |_| 7.0, |sum| 3e6 - 1e5 * sum]);
    let run = folder.path().join("run");
    let mut settings = settings(&data, 3, None);
    settings.sparsity.density = 1.0;
    settings.train.epochs = 40;
    let outcome = train(settings, Some(&run));
    let model = Model::open(&run).unwrap();
    assert_eq!(model.config, outcome.model.config);
    let (mut tiny, mut large) = (0.0, 0.0);
    let found = predictions(&model, &data);
    for (i, row) in found.chunks(3).enumerate() {
        let cells = [7, 11, 13].map(|prime| ((i * i * 31 + i * 17) % prime) as f64);
        let sum = cells[0] + 2.0 * cells[1] - 0.5 * cells[2];
        tiny += (row[0] * 1e4 - sum).powi(2);
        large += ((3e6 - row[2]) / 1e5 - sum).powi(2);
        assert!((row[1] - 7.0).abs() < 1.0, "{row:?}");
    }
    // The sums have a variance of about 47.
    let [tiny, large] = [tiny, large].map(|squares| squares / (found.len() / 3) as f64);
    assert!(tiny < 5.0 && large < 5.0, "{tiny} {large}");
    // A target that never changes has no R2.
    assert_eq!(outcome.test_numbers.unwrap().r2, None);
}

#[test]
fn logarithms_are_undone_before_anything_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), &[|sum| (0.3 * sum).exp()]);
    let outcome = train(settings(&data, 1, Some(TargetScale::Log)), None);
    let r2 = outcome.test_numbers.unwrap().r2.unwrap();
    let plain = train(settings(&data, 1, None), None).test_numbers.unwrap().r2.unwrap();
    assert!(r2 > 0.97 && r2 > plain, "{r2} {plain}");
    assert!(predictions(&outcome.model, &data).iter().all(|&number| number > 0.0));
    std::fs::write(&data, "1,2,3,1.5\n1,2,4,0\n2,2,4,-1\n").unwrap();
    let error = Run::start(settings(&data, 1, Some(TargetScale::Log)), None).err().unwrap().to_string();
    assert!(error.contains("table.csv, line 2: the value to predict is 0"), "{error}");
    let mut digits = Settings::default();
    digits.data.target_scale = Some(TargetScale::Standard);
    let error = Trainer::load(digits).err().unwrap().to_string();
    assert!(error.starts_with("data.target_scale: scales numbers to predict"), "{error}");
}

/// A model without the field, and a checkpoint in the format before it, are of targets as they were.
#[test]
fn what_is_older_than_the_scaling_goes_on_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), &[|sum| sum / 10.0]);
    let [whole, halved] = ["whole", "halved"].map(|name| folder.path().join(name));
    let unscaled = settings(&data, 1, Some(TargetScale::None));
    train(unscaled.clone(), Some(&whole));
    let config = std::fs::read_to_string(whole.join("config.json")).unwrap();
    assert!(!config.contains("target_scaler"), "{config}");

    let mut run = Run::start(unscaled, Some(&halved)).unwrap();
    let stop = |event: Event<'_>| match event {
        Event::Epoch { record, .. } if record.epoch == 3 => Control::Stop,
        _ => Control::Continue,
    };
    assert_eq!(run.train(&mut { stop }).unwrap().ending, Ending::Interrupted);
    drop(run);
    let checkpoint = halved.join("checkpoint.safetensors");
    let mut bytes = without_checksum(&std::fs::read(&checkpoint).unwrap());
    for (from, to) in [
        (r#"\"format\":3"#, r#"\"format\":2"#),
        // As long as it was, because the file says how long its header is.
        (r#"\"target_scale\":\"none\","#, "                             "),
    ] {
        let to = &to[..from.len()];
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
    std::fs::write(&checkpoint, bytes).unwrap();
    let config = halved.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("target_scale = \"none\"\n", "");
    std::fs::write(&config, text).unwrap();
    // Twice, for the second time it goes on from a checkpoint of its own.
    let stop = |event: Event<'_>| match event {
        Event::Epoch { record, .. } if record.epoch == 5 => Control::Stop,
        _ => Control::Continue,
    };
    Run::resume(&halved, |_| ()).unwrap().train(&mut { stop }).unwrap();
    Run::resume(&halved, |_| ()).unwrap().train(&mut |_| Control::Continue).unwrap();
    let model = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    assert!(model(&whole) == model(&halved));
}

#[test]
fn a_run_scores_what_its_saved_model_scores() {
    let folder = tempfile::tempdir().unwrap();
    let data = write(folder.path(), &[|sum| 1e6 + 5e4 * sum]);
    let directory = folder.path().join("run");
    let mut run = Run::start(settings(&data, 1, None), Some(&directory)).unwrap();
    let outcome = run.train(&mut |_| Control::Continue).unwrap();
    let model = Model::open(&directory).unwrap();
    let test: &Dataset = run.trainer().splits().test.as_ref().unwrap();
    assert_eq!(model.config.preparation.task, Task::Regression);
    let found = run.trainer().evaluate(model.network(), test, &Metric::ALL);
    assert_eq!((Some(found.score), found.numbers()), (outcome.test, outcome.test_numbers));
    let (score, predictions) = model.evaluate(test);
    assert_eq!(Metrics::of(&predictions.answers(test, &score), &Metric::ALL), outcome.test_metrics);
    let last = std::fs::read_to_string(directory.join("metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert!(
        last["validation_rmse"].as_f64().unwrap() > 100.0 && last["validation_r2"].as_f64().unwrap() > 0.9
    );
}
