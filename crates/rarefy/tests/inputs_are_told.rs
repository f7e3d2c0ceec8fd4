//! Which inputs remain in a model, what each is worth, and the coefficients of linear ones: told by name, and true.

use rarefy::data::{self, DataSettings, Dataset, Features, Targets, TaskChoice};
use rarefy::kernels::Activation;
use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::losses::Head;
use rarefy::metrics;
use rarefy::random::{Purpose, Stream};
use rarefy::report::InputReport;
use rarefy::train::{
    Control, Importances, Model, ModelConfig, Settings, Trainer, permutation_importance, thread_pool,
};
use rarefy::{Error, Samples};

const ROWS: usize = 150;
const INPUTS: usize = 12;

/// Numbers of which two thirds are 0, so that samples stay as they are under many shuffles.
fn numbers() -> Vec<f32> {
    let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
    let draw = |_| if stream.below(3) == 0 { stream.normal() } else { 0.0 };
    (0..ROWS * INPUTS).map(draw).collect()
}

fn weights() -> Vec<f32> {
    (0..ROWS).map(|row| 0.5 + (row % 4) as f32).collect()
}

/// A network that has seen nothing, for some samples, and all of these as its data.
fn untrained(samples: Samples, outputs: usize, head: Head) -> (Model, Dataset) {
    let settings = DataSettings { validation_fraction: 0.0, test_fraction: 0.0, ..DataSettings::default() };
    let splits = data::from_memory(samples.with_weights(weights()).unwrap(), &settings, 3).unwrap();
    let layers =
        vec![LayerSpec::linear(9, Activation::Tanh), LayerSpec::linear(outputs, Activation::Identity)];
    let spec = NetworkSpec { inputs: splits.train.shape, layers };
    let sparsity = SparsitySettings { density: 0.1, ..SparsitySettings::default() };
    let network = Network::random(&spec, &sparsity, 1).unwrap();
    let config = ModelConfig::new(&network, head, splits.preparation.clone());
    (Model::new(network, config), splits.train)
}

/// The samples with the numbers of one input in another order.
fn shuffled(dataset: &Dataset, input: usize, order: &[usize]) -> Dataset {
    let mut other = dataset.clone();
    match (&mut other.features, &dataset.features) {
        (Features::Dense(numbers), Features::Dense(from)) => {
            for (row, &donor) in order.iter().enumerate() {
                numbers[row * INPUTS + input] = from[donor * INPUTS + input];
            }
        }
        (Features::Sparse(rows), Features::Sparse(from)) => {
            let entries = |row: usize| {
                let (columns, values) = from.row(row);
                columns.iter().copied().zip(values.iter().copied()).collect::<Vec<_>>()
            };
            *rows = data::Csr::empty(INPUTS);
            for (row, &donor) in order.iter().enumerate() {
                let mut mixed: Vec<(u32, f32)> =
                    entries(row).into_iter().filter(|(column, _)| *column as usize != input).collect();
                mixed.extend(entries(donor).into_iter().filter(|(column, _)| *column as usize == input));
                rows.push(&mut mixed).unwrap();
            }
        }
        _ => unreachable!(),
    }
    other
}

/// The score as the metrics have it.
fn score(model: &Model, dataset: &Dataset) -> f64 {
    let predictions = model.predict_prepared(dataset);
    let weights = dataset.weights.as_deref();
    match &dataset.targets {
        Targets::Classes { labels, classes } => {
            metrics::log_loss(predictions.scores(), *classes, labels, weights)
        }
        Targets::Values { values, outputs } => {
            let targets = model.config.preparation.target_scaler.undo_all(*outputs, values);
            metrics::regression(&predictions.numbers(), *outputs, &targets, weights).r2.unwrap()
        }
        _ => unreachable!(),
    }
}

fn cases() -> Vec<(&'static str, Model, Dataset)> {
    let numbers = numbers();
    let dense = || Samples::dense(&numbers, INPUTS).unwrap();
    let sparse = || {
        let (mut offsets, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in numbers.chunks_exact(INPUTS) {
            for (column, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                columns.push(column as u32);
                values.push(*value);
            }
            offsets.push(columns.len());
        }
        Samples::csr(INPUTS, offsets, columns, values).unwrap()
    };
    let targets: Vec<f64> =
        numbers.chunks_exact(INPUTS).flat_map(|row| [1e6 + f64::from(row[0]), row[1].into()]).collect();
    let classes: Vec<u32> = (0..ROWS as u32).map(|row| row % 3).collect();
    let row = |name, samples, outputs, head| {
        let (model, dataset) = untrained(samples, outputs, head);
        (name, model, dataset)
    };
    vec![
        row("numbers", dense().with_numbers(&targets, 2).unwrap(), 2, Head::Identity),
        row("classes", dense().with_classes(&classes).unwrap(), 3, Head::Softmax),
        row("classes of nonzeros", sparse().with_classes(&classes).unwrap(), 3, Head::Softmax),
    ]
}

fn importance(model: &Model, dataset: &Dataset, threads: usize) -> Importances {
    let features: Vec<Vec<usize>> = (0..INPUTS).map(|input| vec![input]).collect();
    let pool = thread_pool(threads).unwrap();
    pool.install(|| permutation_importance(model, dataset, &features, 4, 7)).unwrap()
}

#[test]
fn importance_is_what_the_score_loses_whatever_the_threads() {
    for (name, model, dataset) in cases() {
        let found = importance(&model, &dataset, 1);
        assert_eq!(found, importance(&model, &dataset, 3), "{name}");
        let whole = score(&model, &dataset);
        assert!((found.value - whole).abs() < 1e-9, "{name}: {} is not {whole}", found.value);
        let worse = if found.score == "R2" { -1.0 } else { 1.0 };
        let connections = model.network().input_connections().unwrap().nnz;
        let mut used = 0;
        for (input, of) in found.of_features.iter().enumerate() {
            if connections[input] == 0 {
                assert_eq!((of.importance, of.standard_error), (0.0, 0.0), "{name}");
                continue;
            }
            let losses = (0..4).map(|repeat| {
                let mut order: Vec<usize> = (0..ROWS).collect();
                Stream::new(7, Purpose::Importance, 0, repeat).shuffle(&mut order);
                worse * (score(&model, &shuffled(&dataset, input, &order)) - whole)
            });
            let expected = losses.sum::<f64>() / 4.0;
            assert!((of.importance - expected).abs() < 1e-9, "{name}, input {input}: {of:?}, not {expected}");
            used += usize::from(of.standard_error > 0.0);
        }
        assert!((2..INPUTS).contains(&used), "{name}: {used} inputs are used");
    }
}

#[test]
fn inputs_of_a_category_are_told_and_shuffled_together_and_coefficients_are_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table.csv");
    // The second column is too far from 0 for 32 bits.
    let line = |row: usize| {
        let (width, colour) = ((row * 7 % 23) as f64, ["red", "green", "blue"][row % 3]);
        let day = 20_240_000_000.0 + (row * 5 % 31) as f64;
        let price =
            3.0 * width - 20.0 * f64::from(u8::from(colour == "red")) + 2.0 * (day - 20_240_000_000.0);
        format!("{width},{day},{},{colour},{price}\n", row * 13 % 17)
    };
    let text = "width,day,noise,colour,price\n".to_string() + &(0..300).map(line).collect::<String>();
    std::fs::write(&file, text).unwrap();
    let mut settings = Settings { threads: 1, ..Settings::default() };
    settings.data.path = file.to_str().unwrap().into();
    settings.data.task = TaskChoice::Regression;
    settings.network.hidden = Vec::new();
    settings.sparsity.density = 1.0;
    settings.train.epochs = 60;
    settings.optimizer.learning_rate = Some(0.01.into());
    let mut trainer = Trainer::load(settings).unwrap();
    trainer.train(&mut |_| Control::Continue).unwrap();
    let model = trainer.model();
    let mut report = InputReport::of(&model).unwrap();
    assert_eq!((report.by, report.inputs, report.used), ("feature", 4, 4));
    let [of] = &report.coefficients[..] else { panic!("{:?}", report.coefficients) };
    let coefficient = |name: &str| of.terms.iter().find(|(term, _)| term == name).unwrap().1;
    let close = |found: f64, expected: f64| (found - expected).abs() < 0.05 * expected.abs().max(1.0);
    assert!(close(coefficient("width"), 3.0) && close(coefficient("day"), 2.0), "{of:?}");
    let (red, green) = (coefficient("colour=red"), coefficient("colour=green"));
    assert!(close(red - green, -20.0) && close(coefficient("noise"), 0.0), "{of:?}");
    // What the coefficients say of a sample is what the model predicts for it.
    let validation = trainer.splits().validation.clone().unwrap();
    let row = 7;
    let predicted = model.predict_prepared(&validation).numbers()[row];
    let inputs = &validation.dense().unwrap()[row * 6..][..6];
    let by_hand: f64 = of.intercept
        + (inputs.iter().enumerate().zip(&of.terms))
            .map(|((input, scaled), (_, value))| {
                let (offset, multiplier) = model.config.preparation.scale_of(input);
                value * (f64::from(*scaled) / multiplier + offset)
            })
            .sum::<f64>();
    assert!((predicted - by_hand).abs() < 1e-2, "{predicted} and {by_hand}");

    let found = permutation_importance(&model, &validation, &report.groups(), 5, 0).unwrap();
    report.add_importance(found);
    let names: Vec<&str> = report.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!((report.important(), names[3]), (Some(3), "noise"), "{report:?}");
    let colour = report.features.iter().find(|feature| feature.name == "colour").unwrap();
    assert_eq!((colour.inputs.clone(), colour.nnz), (vec![3, 4, 5], 3));
}

#[test]
fn what_has_no_importance_is_refused_with_a_reason() {
    let (numbers, same) = (numbers(), vec![5.0; ROWS]);
    let (model, dataset) = untrained(
        Samples::dense(&numbers, INPUTS).unwrap().with_numbers(&same, 1).unwrap(),
        1,
        Head::Identity,
    );
    let error = permutation_importance(&model, &dataset, &[vec![0]], 2, 0).unwrap_err();
    assert!(matches!(&error, Error::Setting { problem, .. } if problem.contains("never changes")), "{error}");
    let (_, model, mut dataset) = cases().swap_remove(1);
    dataset.features = Features::Dense(vec![f32::NAN; ROWS * INPUTS]);
    let error = permutation_importance(&model, &dataset, &[vec![0]], 2, 0).unwrap_err();
    assert!(matches!(&error, Error::Setting { problem, .. } if problem.contains("diverged")), "{error}");
}
