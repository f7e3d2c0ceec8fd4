//! Samples in memory are as good as samples in a file: the same numbers, the same parts, the same bits; what cannot be
//! samples is refused by a variant with its place.

use std::fmt::Write;
use std::path::Path;

use rarefy::data::{
    self, DataSettings, Features, Format, Samples, Scale, Splits, Targets, Task, TaskChoice, from_memory,
    from_memory_as, from_memory_parts,
};
use rarefy::kernels::Activation;
use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::losses::Head;
use rarefy::tiles::Shape;
use rarefy::train::{Model, ModelConfig, Prediction};
use rarefy::{Control, Error, InputProblem, Run, Settings, Trainer};

/// Three columns: one plain, one of days that `f32` cannot tell apart, one of fractions.
fn columns(row: usize) -> [f64; 3] {
    let row = row as f64;
    [row * 7.0 % 13.0, 20_240_101.0 + row % 29.0, (row * 0.37).sin() / 3.0]
}

const ROWS: usize = 90;

fn numbers() -> Vec<f64> {
    (0..ROWS).flat_map(columns).collect()
}

/// The same rows in a CSV file, `label` being the last column.
fn file(folder: &Path, label: impl Fn(usize) -> String) -> DataSettings {
    let mut text = "a,b,c,label\n".to_string();
    for row in 0..ROWS {
        let [a, b, c] = columns(row);
        writeln!(text, "{a},{b},{c},{}", label(row)).unwrap();
    }
    let path = folder.join("t.csv");
    std::fs::write(&path, text).unwrap();
    DataSettings { path: path.to_str().unwrap().into(), ..DataSettings::default() }
}

/// That both are the same parts, scaled by the same figures.
fn assert_same(memory: &Splits, file: &Splits) {
    assert_eq!(
        (&memory.train, &memory.validation, &memory.test),
        (&file.train, &file.validation, &file.test)
    );
    let figures = |splits: &Splits| {
        let found = splits.preparation.clone();
        (
            found.scaler,
            found.target_scaler,
            found.classes,
            found.reading.shifts().to_vec(),
            found.task,
            found.constant_inputs,
        )
    };
    assert_eq!(figures(memory), figures(file));
    assert_eq!(memory.fingerprint(), file.fingerprint());
}

fn problem<T>(found: rarefy::Result<T>) -> InputProblem {
    match found.err() {
        Some(Error::Input(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

/// A network with random weights for a preparation.
fn model(splits: &Splits, outputs: usize, head: Head) -> Model {
    let layers = vec![
        LayerSpec::flatten(),
        LayerSpec::linear(40, Activation::Relu),
        LayerSpec::linear(outputs, Activation::Identity),
    ];
    let spec = NetworkSpec { inputs: splits.train.shape, layers };
    let sparsity = SparsitySettings { density: 0.3, ..SparsitySettings::default() };
    let network = Network::random(&spec, &sparsity, 1).unwrap();
    let config = ModelConfig::new(&network, head, splits.preparation.clone());
    Model::new(network, config)
}

#[test]
fn classes_numbers_and_labels_are_those_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = DataSettings::default();
    let samples = || Samples::dense(&numbers(), 3).unwrap();

    let names: Vec<&str> = (0..ROWS).map(|row| ["oak", "elm", "ash"][row % 3]).collect();
    let memory = from_memory(samples().with_named_classes(&names).unwrap(), &settings, 3).unwrap();
    let from_file = data::load(&file(folder.path(), |row| names[row].into()), 3).unwrap();
    assert_same(&memory, &from_file);
    assert_eq!(memory.preparation.format(), Format::Memory);

    let classes: Vec<u32> = (0..ROWS as u32).map(|row| row % 4).collect();
    let memory = from_memory(samples().with_classes(&classes).unwrap(), &settings, 3).unwrap();
    assert_same(&memory, &data::load(&file(folder.path(), |row| classes[row].to_string()), 3).unwrap());

    // Numbers that f32 cannot tell apart.
    let values: Vec<f64> = (0..ROWS).map(|row| 1.7e12 + (row * row) as f64 / 3.0).collect();
    let memory = from_memory(samples().with_numbers(&values, 1).unwrap(), &settings, 3).unwrap();
    let from_file = file(folder.path(), |row| values[row].to_string());
    assert_same(&memory, &data::load(&from_file, 3).unwrap());
    assert_eq!(memory.preparation.reading.shifts().len(), 1);
}

#[test]
fn the_built_in_digits_are_the_same_whole_or_as_their_nonzeros() {
    let (pixels, digits) = data::digits();
    let settings = DataSettings { scale: Scale::Global, ..DataSettings::default() };
    let shape = Shape { height: 8, width: 8, channels: 1 };
    let dense = Samples::dense(&pixels, 64).unwrap().with_classes(&digits).unwrap();
    let memory = from_memory(dense.clone().with_shape(shape).unwrap(), &settings, 1).unwrap();
    assert_same(&memory, &data::load(&DataSettings::default(), 1).unwrap());

    let (mut offsets, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in pixels.chunks(64) {
        for (column, &pixel) in (0..).zip(row).filter(|(_, pixel)| **pixel != 0) {
            columns.push(column);
            values.push(f32::from(pixel));
        }
        offsets.push(columns.len());
    }
    let sparse = Samples::csr(64, offsets, columns, values).unwrap().with_classes(&digits).unwrap();
    let settings = DataSettings::default();
    let (dense, sparse) =
        (from_memory(dense, &settings, 1).unwrap(), from_memory(sparse, &settings, 1).unwrap());
    assert_same(&sparse, &dense);

    // And so are the models: from memory, as nonzeros, and by a run with a folder.
    let settings = |scale| {
        let mut settings = Settings::default();
        settings.data.scale = scale;
        (settings.seed, settings.train.epochs) = (1, 3);
        settings
    };
    let train = |splits: Splits| {
        let mut trainer = Trainer::new(settings(Scale::Auto), splits).unwrap();
        trainer.train(&mut |_| Control::Continue).unwrap().model.to_bytes()
    };
    assert!(train(dense) == train(sparse));
    let mut trainer = Trainer::new(settings(Scale::Global), memory).unwrap();
    let model = trainer.train(&mut |_| Control::Continue).unwrap().model;
    let mut run = Run::start(settings(Scale::Auto), None).unwrap();
    let of_file = run.train(&mut |_| Control::Continue).unwrap().model;
    let values = |model: &Model| -> Vec<f32> {
        model.network().parameters().flat_map(|it| it.weights.live_values()).collect()
    };
    assert!(values(&model) == values(&of_file) && model.weights().eq(of_file.weights()));
}

#[test]
fn predictions_do_not_depend_on_how_rows_are_given() {
    // 2 of 50 columns are not 0.
    let mut whole = vec![0.0f32; 100 * 50];
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    for row in 0..100 {
        for column in [row % 25, 25 + row % 20] {
            whole[row * 50 + column] = 1.0 + row as f32 / 9.0;
            columns.push(column as u32);
            values.push(whole[row * 50 + column]);
        }
    }
    let offsets: Vec<usize> = (0..=100).map(|row| 2 * row).collect();
    let classes: Vec<u32> = (0..100).map(|row| row % 3).collect();
    let sparse = Samples::csr(50, offsets, columns, values).unwrap();
    let dense = Samples::dense(&whole, 50).unwrap();
    for trained in [&sparse, &dense] {
        let splits =
            from_memory(trained.clone().with_classes(&classes).unwrap(), &DataSettings::default(), 1);
        let splits = splits.unwrap();
        let is_sparse = matches!(splits.train.features, Features::Sparse(_));
        assert_eq!(is_sparse, std::ptr::eq(trained, &sparse));
        let model = model_of(&splits);
        let expected = model.predict(&sparse).unwrap();
        assert_eq!(model.predict(&dense).unwrap(), expected);
        // One at a time, and in several threads at once.
        std::thread::scope(|scope| {
            for start in 0..4 {
                let (model, whole, expected) = (&model, &whole, &expected);
                scope.spawn(move || {
                    for row in (start..100).step_by(4) {
                        let one = Samples::dense(&whole[row * 50..][..50], 50).unwrap();
                        assert_eq!(model.predict(&one).unwrap().scores(), expected.scores_of(row));
                    }
                });
            }
        });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let model = model.with_pool(pool.into());
        assert_eq!(model.predict(&dense).unwrap().classes().len(), 100);
    }
}

/// Without a flatten layer, which sparse rows have no use for.
fn model_of(splits: &Splits) -> Model {
    let layers = vec![LayerSpec::linear(30, Activation::Relu), LayerSpec::linear(3, Activation::Identity)];
    let spec = NetworkSpec { inputs: splits.train.shape, layers };
    let network = Network::random(&spec, &SparsitySettings::default(), 1).unwrap();
    let config = ModelConfig::new(&network, Head::Softmax, splits.preparation.clone());
    Model::new(network, config)
}

#[test]
fn a_model_is_one_file_or_bytes_and_its_weights_are_rows() {
    let samples = Samples::dense(&numbers(), 3).unwrap().with_feature_names(&["a", "b", "c"]).unwrap();
    let values: Vec<f64> = (0..2 * ROWS).map(|at| 1000.0 + at as f64).collect();
    let named = samples.clone().with_numbers(&values, 2).unwrap().with_target_names(&["x", "y"]).unwrap();
    let splits = from_memory(named, &DataSettings::default(), 1).unwrap();
    let model = model(&splits, 2, Head::Identity);
    let bytes = model.to_bytes();
    assert_eq!(bytes, model.to_bytes());
    let again = Model::from_bytes(&bytes).unwrap();
    assert_eq!(again.config, model.config);
    let found = model.predict(&samples).unwrap();
    assert_eq!(again.predict(&samples).unwrap().numbers(), found.numbers());
    // In the target's own unit.
    assert!(found.numbers().iter().all(|number| (500.0..2000.0).contains(number)), "{:?}", found.numbers());
    assert!(matches!(found.get(0), Prediction::Numbers(numbers) if numbers.len() == 2));
    let preparation = &again.config.preparation;
    assert_eq!(
        (preparation.input_names(), preparation.output_names()),
        (["a", "b", "c"].map(String::from).to_vec(), ["x", "y"].map(String::from).to_vec(),)
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(Model::open(&path).unwrap().config, model.config);
    // Cut short, and without its description.
    assert!(matches!(Model::from_bytes(&bytes[..bytes.len() - 1]), Err(Error::Model { .. })));
    rarefy::train::save_model(folder.path(), model.network(), &model.config).unwrap();
    let arrays = std::fs::read(&path).unwrap();
    let error = Model::from_bytes(&arrays).err().unwrap().to_string();
    assert!(error.contains("has no description of its network"), "{error}");
    assert_eq!(Model::open(folder.path()).unwrap().config, model.config);

    for (weights, (_, parameter)) in model.weights().zip(model.network().weights()) {
        assert_eq!(weights.shape, [parameter.weights.rows(), parameter.weights.cols()]);
        assert_eq!(weights.crow_indices.len(), weights.shape[0] + 1);
        assert_eq!(weights.crow_indices[weights.shape[0]] as usize, weights.values.len());
        assert_eq!((weights.col_indices.len(), weights.name), (weights.values.len(), &*parameter.name));
    }
}

#[test]
fn a_model_of_memory_takes_arrays_from_files_and_says_what_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let settings = file(folder.path(), |row| (row % 2).to_string());
    let classes: Vec<u32> = (0..ROWS as u32).map(|row| row % 2).collect();
    let samples = Samples::dense(&numbers(), 3).unwrap().with_classes(&classes).unwrap();
    let splits = from_memory(samples.clone(), &DataSettings::default(), 1).unwrap();
    let error = data::load_with(&splits.preparation, &settings.path, false).unwrap_err().to_string();
    assert!(error.contains("give numbers in memory, or an IDX, NPY, NPZ or CIFAR file"), "{error}");
    let array = folder.path().join("x.npy");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({ROWS}, 3), }}");
    bytes.extend(format!("{header:117}\n").bytes());
    bytes.extend(numbers().iter().flat_map(|number| number.to_le_bytes()));
    std::fs::write(&array, bytes).unwrap();
    let loaded = data::load_with(&splits.preparation, array.to_str().unwrap(), false).unwrap();
    assert_eq!(loaded.dataset.features, splits.preparation.prepare(&samples, true).unwrap().features);

    // A model of a table takes rows of numbers too, unless it has categories.
    let table =
        data::load(&DataSettings { task: TaskChoice::Classification, ..settings.clone() }, 1).unwrap();
    let rows = table.preparation.prepare(&samples, true).unwrap();
    assert_eq!(rows, data::load_with(&table.preparation, &settings.path, true).unwrap().dataset);
    let settings = DataSettings { categorical: vec!["a".into()], ..settings };
    let table = data::load(&settings, 1).unwrap();
    let found = problem(table.preparation.prepare(&samples, false));
    assert!(matches!(found, InputProblem::Mismatch { .. }), "{found}");
}

#[test]
fn parts_weights_lengths_and_tokens_arrive() {
    let sequences: Vec<f32> = (0..40 * 6).map(|at| at as f32).collect();
    let weights: Vec<f32> = (0..40).map(|sample| sample as f32 / 2.0).collect();
    let labels: Vec<u8> = (0..80).map(|at| u8::from(at % 3 == 0)).collect();
    let samples = Samples::dense(&sequences, 6)
        .and_then(|samples| samples.with_shape(Shape::sequence(3, 2)))
        .and_then(|samples| samples.with_lengths((0..40).map(|sample| 1 + sample % 3).collect()))
        .and_then(|samples| samples.with_labels(&labels, 2))
        .and_then(|samples| samples.with_weights(weights))
        .unwrap();
    let settings = DataSettings { validation_fraction: 0.0, test_fraction: 0.0, ..DataSettings::default() };
    let splits = from_memory(samples.clone(), &settings, 1).unwrap();
    let train = &splits.train;
    assert_eq!(
        (splits.preparation.task, train.lengths[1], train.shape),
        (Task::MultiLabel, 2, Shape::sequence(3, 2))
    );
    assert_eq!(train.weights.as_ref().unwrap()[3], 1.5);
    // Steps that are not there are 0 and count for no mean.
    assert_eq!(train.dense().unwrap()[2..6], [0.0; 4]);
    assert!(matches!(&train.targets, Targets::Values { outputs: 2, .. }));

    let parts = from_memory_parts(samples.clone(), None, Some(samples.clone()), &settings, 1).unwrap();
    assert_eq!((parts.train.len(), parts.validation, parts.test.unwrap()), (40, None, parts.train));

    let ids: Vec<u32> = (0..40 * 5).map(|at| at % 7).collect();
    let classes: Vec<u32> = (0..40).map(|sample| sample % 2).collect();
    let tokens = Samples::tokens(&ids, 5, 7).unwrap().with_classes(&classes).unwrap();
    let splits = from_memory(tokens, &settings, 1).unwrap();
    assert_eq!(splits.train.vocabulary(), Some(7));
    let others = Samples::tokens(&ids, 5, 8).unwrap();
    let found = problem(splits.preparation.prepare(&others, false));
    assert!(matches!(found, InputProblem::Mismatch { .. }), "{found}");
}

#[test]
fn a_warm_start_makes_its_samples_ready_as_those_before() {
    let rows = |from: u32| (from..from + 40).map(|at| [f64::from(at), 1.0]).collect::<Vec<_>>();
    let classes: Vec<u32> = (0..40).map(|sample| sample % 2).collect();
    let samples = |from| Samples::rows(&rows(from)).unwrap().with_classes(&classes).unwrap();
    let settings = DataSettings { test_fraction: 0.0, ..DataSettings::default() };
    let before = from_memory(samples(0), &settings, 1).unwrap();
    let after = from_memory_as(&before.preparation, samples(100), None, &settings, 1).unwrap();
    assert_eq!(after.preparation, before.preparation);
    assert_eq!((after.train.len(), after.validation.unwrap().len()), (36, 4));
    assert!(after.train.dense().unwrap().chunks_exact(2).all(|row| row[0] > 4.0 && row[1] == 0.0));

    let given = from_memory_as(&before.preparation, samples(0), Some(samples(0)), &settings, 1).unwrap();
    assert_eq!((given.train.len(), given.validation.unwrap()), (40, given.train));
    let three: Vec<u32> = (0..40).map(|sample| sample % 3).collect();
    let found = Samples::rows(&rows(0)).unwrap().with_classes(&three).unwrap();
    let found = problem(from_memory_as(&before.preparation, found, None, &settings, 1));
    assert!(matches!(found, InputProblem::ClassOutOfRange { .. }), "{found}");
}

#[test]
fn what_cannot_be_samples_is_refused_with_its_place() {
    use InputProblem::*;
    let dense = |numbers: &[f64]| Samples::dense(numbers, 2);
    let three = || Samples::dense(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], 2).unwrap();
    let csr = |offsets: &[usize], columns: &[u32]| {
        Samples::csr(3, offsets.to_vec(), columns.to_vec(), vec![1.0; columns.len()])
    };
    let settings = DataSettings::default();
    for (found, expected) in [
        (dense(&[]), Empty { samples: 0, inputs: 2 }),
        (Samples::dense(&[1.0], 0), Empty { samples: 0, inputs: 0 }),
        (dense(&[1.0, 2.0, 3.0]), NotWholeRows { numbers: 3, inputs: 2 }),
        (
            Samples::rows(&[vec![1.0, 2.0], vec![1.0, 2.0], vec![3.0]]),
            RowLength { row: 2, found: 1, expected: 2 },
        ),
        (dense(&[1.0, 2.0, 3.0, f64::INFINITY]), NotFinite { row: 1, column: 1, value: f64::INFINITY }),
        (dense(&[1.0, 1e300]), NotFinite { row: 0, column: 1, value: 1e300 }),
        (csr(&[0, 1, 2], &[0]), Offset { row: 2, offset: 2, values: 1 }),
        (csr(&[0, 2, 1, 2], &[0, 1]), Offset { row: 2, offset: 1, values: 2 }),
        (csr(&[0, 0, 2], &[2, 1]), Unsorted { row: 1, column: 1 }),
        (csr(&[0, 0, 2], &[1, 1]), Twice { row: 1, column: 1 }),
        (csr(&[0, 1, 2], &[0, 3]), ColumnOutOfRange { row: 1, column: 3, inputs: 3 }),
        (Samples::tokens(&[0, 1, 2, 9], 2, 5), TokenOutOfRange { row: 1, step: 1, token: 9, vocabulary: 5 }),
        (three().with_classes(&[0, 1]), Count { what: "classes", found: 2, expected: 3 }),
        (three().with_classes(&[0, 1, 7]), ClassOutOfRange { row: 2, label: 7, classes: 3 }),
        (
            three().with_classes(&[0, 1, 2]).unwrap().with_target_names(&["a", "b"]),
            ClassOutOfRange { row: 2, label: 2, classes: 2 },
        ),
        (three().with_numbers(&[1.0, 2.0], 1), Count { what: "numbers to predict", found: 2, expected: 3 }),
        (three().with_numbers(&[1.0, f64::NAN, 2.0], 0), Empty { samples: 3, inputs: 0 }),
        (
            three().with_labels(&[0, 1, 1], usize::MAX),
            Count { what: "labels", found: 3, expected: usize::MAX },
        ),
        (three().with_labels(&[0, 1, 2], 1), NotALabel { row: 2, column: 0, value: 2.0 }),
        (three().with_weights(vec![1.0, -1.0, 1.0]), Weight { row: 1, weight: -1.0 }),
        (three().with_weights(vec![0.0; 3]), NoWeight),
        (three().with_lengths(vec![1, 2, 1]), SequenceLength { row: 1, length: 2, steps: 1 }),
        (three().with_feature_names(&["a"]), Count { what: "names", found: 1, expected: 2 }),
    ] {
        assert_eq!(problem(found), expected);
    }
    assert!(matches!(problem(three().with_shape(Shape::flat(3))), Mismatch { .. }));
    assert!(matches!(problem(from_memory(three(), &settings, 1)), Mismatch { .. }));
    let one = three().with_classes(&[1, 1, 1]).unwrap();
    assert_eq!(problem(from_memory(one, &settings, 1)), SingleClass { class: "1".into() });
    let classes = |classes: &[u32]| three().with_classes(classes).unwrap();
    let found = from_memory_parts(classes(&[0, 1, 0]), Some(classes(&[0, 2, 0])), None, &settings, 1);
    assert_eq!(problem(found), ClassOutOfRange { row: 1, label: 2, classes: 2 });
    let words = |words: &[&str]| three().with_named_classes(words).unwrap();
    let found = from_memory_parts(words(&["a", "b", "a"]), None, Some(words(&["a", "c", "a"])), &settings, 1);
    assert_eq!(problem(found), UnknownClass { row: 1, class: "c".into() });
    // Settings that are for files.
    for settings in [
        DataSettings { label: vec!["y".into()], ..settings.clone() },
        DataSettings { test_path: Some("t.csv".into()), ..settings.clone() },
        DataSettings { task: TaskChoice::Regression, ..settings.clone() },
    ] {
        let error = from_memory(classes(&[0, 1, 0]), &settings, 1).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
    }
    let splits = from_memory(classes(&[0, 1, 0]), &settings, 1).unwrap();
    let found = problem(model_for(&splits).predict(&Samples::dense(&[1.0; 3], 3).unwrap()));
    assert!(matches!(found, Mismatch { .. }), "{found}");
}

fn model_for(splits: &Splits) -> Model {
    model(splits, 2, Head::Softmax)
}

/// What is lent is not copied, and gives the bits of a copy: training, other parts, weights, images, predictions.
#[test]
fn lent_numbers_are_as_good_as_a_copy_of_them() {
    let (pixels, digits) = data::digits();
    let pixels: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) * 0.1).collect();
    let owner = std::sync::Arc::new(pixels.clone());
    for (scale, is_image) in
        [(Scale::Standard, false), (Scale::Global, false), (Scale::Channel, true), (Scale::None, true)]
    {
        let mut settings = Settings { threads: 2, ..Settings::default() };
        settings.data.scale = scale;
        settings.train.epochs = 2;
        settings.network.hidden = vec![16];
        let ready = |samples: Samples| {
            let weights = (0..digits.len()).map(|sample| 1.0 + (sample % 3) as f32).collect();
            let samples = samples.with_classes(&digits).unwrap().with_weights(weights).unwrap();
            if !is_image {
                return samples;
            }
            let shape = Shape { height: 8, width: 8, channels: 1 };
            samples.with_shape(shape).unwrap()
        };
        let trained = |samples: Samples| {
            let splits = from_memory(samples, &settings.data, settings.seed).unwrap();
            let fingerprint = splits.fingerprint();
            let is_lent = matches!(splits.train.features, Features::Lent(_));
            let mut trainer = Trainer::new(settings.clone(), splits).unwrap();
            let outcome = trainer.train(&mut |_| Control::Continue).unwrap();
            (is_lent, fingerprint, outcome.test.unwrap().loss(), outcome.model)
        };
        let copied = trained(ready(Samples::dense(&pixels, 64).unwrap()));
        let lent = trained(ready(Samples::lent(owner.clone(), 64).unwrap()));
        assert_eq!((copied.0, lent.0), (false, true), "{scale:?}");
        assert_eq!((copied.1, copied.2), (lent.1, lent.2), "{scale:?}");
        assert_eq!(copied.3.to_bytes(), lent.3.to_bytes(), "{scale:?}");
        let scores = |samples: Samples| lent.3.predict(&ready(samples)).unwrap().scores().to_vec();
        let of_copy = scores(Samples::dense(&pixels, 64).unwrap());
        assert_eq!(of_copy, scores(Samples::lent(owner.clone(), 64).unwrap()), "{scale:?}");
    }
    // Wide numbers too, whether or not f32 would round them.
    for divisor in [1.0, 3.0] {
        let wide: Vec<f64> = pixels.iter().map(|&pixel| f64::from(pixel) / divisor).collect();
        let copied = Samples::dense(&wide, 64).unwrap().with_classes(&digits).unwrap();
        // Its columns one after the other, which are read in their place.
        let (rows, numbers) = (digits.len(), wide.clone());
        let columns: Vec<f64> = (0..64).flat_map(|at| wide.iter().skip(at).step_by(64).copied()).collect();
        let by_row = move |row: usize, out: &mut [f64]| out.copy_from_slice(&numbers[row * 64..][..64]);
        let by_column = move |row: usize, out: &mut [f64]| {
            out.iter_mut().enumerate().for_each(|(at, out)| *out = columns[at * rows + row]);
        };
        let by_row = Samples::lent_wide(rows, 64, by_row).unwrap().with_classes(&digits).unwrap();
        let by_column = Samples::lent_wide(rows, 64, by_column).unwrap().with_classes(&digits).unwrap();
        let ready = |samples: Samples| from_memory(samples, &DataSettings::default(), 1).unwrap();
        let copied = ready(copied);
        assert_eq!(copied, ready(by_row), "{divisor}");
        assert_eq!(copied, ready(by_column), "{divisor}");
    }
    // What is changed is copied.
    let mut settings = Settings::default();
    settings.data.augment.flip = true;
    let shape = Shape { height: 8, width: 8, channels: 1 };
    let samples = Samples::lent(owner.clone(), 64).unwrap().with_shape(shape).unwrap();
    let splits = from_memory(samples.with_classes(&digits).unwrap(), &settings.data, 1).unwrap();
    assert!(splits.train.dense().is_some() && splits.validation.unwrap().dense().is_none());

    let owner = std::sync::Arc::new(vec![1.0, f32::NAN]);
    let error = Samples::lent(owner, 1).unwrap_err();
    assert!(matches!(error, Error::Input(InputProblem::NotFinite { row: 1, column: 0, .. })), "{error}");
    let error = Samples::lent_wide(2, 1, |row, out| out[0] = [0.1, 1e300][row]).unwrap_err();
    assert!(matches!(error, Error::Input(InputProblem::NotFinite { row: 1, column: 0, .. })), "{error}");
}
