//! A batch is the sum of its samples: micro-batches add up to the same bits, a sample of weight 2 counts as two and one of
//! weight 0 not at all.

use rarefy::data::{Batch, Csr, Dataset, Features, Targets};
use rarefy::kernels::{Activation, Isa};
use rarefy::layers::{LayerSpec, Network, NetworkSettings, NetworkSpec, SparsitySettings};
use rarefy::losses::{LossMethod, LossSettings, Task};
use rarefy::optimizers::{Method, OptimizerSettings};
use rarefy::penalties::{ConstraintSettings, PenaltyMethod, PenaltySettings};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::Storage;
use rarefy::tiles::Shape;
use rarefy::topology::{self, TopologySettings};
use rarefy::train::{
    Control, Engine, EngineParts, Event, Score, Settings, Sparsifier, TrainSettings, Trainer, score_samples,
};

/// Two rows of three positions and two channels.
const SHAPE: Shape = Shape { height: 2, width: 3, channels: 2 };
const INPUTS: usize = 12;
const STEPS: u64 = 4;

fn spec_of(layers: &str, shape: Shape, outputs: usize) -> NetworkSpec {
    let text = format!("layers = [{layers} {{layer = 'linear'}}]");
    toml::from_str::<NetworkSettings>(&text).unwrap().spec(shape, outputs).unwrap()
}

fn spec(outputs: usize) -> NetworkSpec {
    let layers = "
        {layer = 'conv2d', filters = 5, kernel = 3, padding = 'same', activation = 'tanh'},
        {layer = 'flatten'},
        {layer = 'linear', outputs = 20, activation = 'relu'},";
    spec_of(layers, SHAPE, outputs)
}

/// What a training differs in from others.
struct Training<'a> {
    spec: NetworkSpec,
    loss: LossSettings,
    task: Task<'a>,
    optimizer: Method,
    topology: topology::Method,
    penalty: PenaltyMethod,
    has_sparse_inputs: bool,
}

impl Training<'_> {
    fn of(spec: NetworkSpec, loss: LossMethod, task: Task<'_>, optimizer: Method) -> Training<'_> {
        Training {
            spec,
            loss: LossSettings { method: loss, ..LossSettings::default() },
            task,
            optimizer,
            topology: topology::Method::Static,
            penalty: PenaltyMethod::None,
            has_sparse_inputs: false,
        }
    }

    fn engine(&self, batch_size: usize) -> Engine {
        let sparsity = SparsitySettings { density: 0.6, storage: Storage::Sparse, ..Default::default() };
        let network = Network::random(&self.spec, &sparsity, 1).unwrap();
        let targets = network.parameters().map(|parameter| parameter.weights.nnz() / 2).collect();
        let optimizer = OptimizerSettings { method: self.optimizer, ..Default::default() };
        let topology = TopologySettings { method: self.topology, ..Default::default() };
        let penalty = PenaltySettings { method: self.penalty, ..Default::default() };
        Engine::new(EngineParts {
            network,
            loss: self.loss.build(self.task).unwrap(),
            optimizer: optimizer.build().unwrap(),
            clip_norm: Some(1.0),
            clip_value: None,
            topology: topology.build().unwrap(),
            targets,
            sparsifier: Sparsifier::new(&penalty, &ConstraintSettings::default(), None).unwrap(),
            isa: Isa::detect(),
            seed: 1,
            batch_size,
            has_sparse_inputs: self.has_sparse_inputs,
            threads: 1,
        })
    }
}

fn values(engine: &Engine) -> Vec<f32> {
    engine.network.parameters().flat_map(|parameter| parameter.weights.values()).copied().collect()
}

fn features(samples: usize) -> Vec<f32> {
    let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
    (0..samples * INPUTS).map(|_| stream.normal()).collect()
}

fn dataset(features: Vec<f32>, targets: Targets, weights: Option<Vec<f32>>) -> Dataset {
    Dataset { shape: SHAPE, features: Features::Dense(features), lengths: Vec::new(), targets, weights }
}

fn filled(dataset: &Dataset, order: &[usize]) -> Batch {
    let mut batch = Batch::new(dataset, order.len());
    batch.fill(dataset, order);
    batch
}

/// Steps on all samples at once, and on micro-batches of so many.
fn both_ways(training: &Training<'_>, dataset: &Dataset, micro: usize) -> [(Vec<u32>, Score); 2] {
    let all: Vec<usize> = (0..dataset.len()).collect();
    let mut whole = training.engine(all.len());
    let batch = filled(dataset, &all);
    let scores = (1..=STEPS).map(|step| whole.step(&batch, step, 1e-2)).collect::<Vec<_>>();
    let mut parts = training.engine(micro);
    let batches: Vec<Batch> = all.chunks(micro).map(|order| filled(dataset, order)).collect();
    let (last, before) = batches.split_last().unwrap();
    let mut score = Score::default();
    for step in 1..=STEPS {
        before.iter().for_each(|batch| parts.accumulate(batch, step));
        score = parts.step(last, step, 1e-2);
    }
    let bits = |engine: &Engine| values(engine).into_iter().map(f32::to_bits).collect();
    [(bits(&whole), scores[scores.len() - 1]), (bits(&parts), score)]
}

#[test]
fn micro_batches_add_up_to_the_bits_of_a_batch() {
    use Method::{Adam, Prodigy, ScheduleFreeSgd, Sgd};
    // The last micro-batch is so small that it would be folded, were it a batch.
    let samples = 6 * 64 + 20;
    let labels = (0..samples as u32).map(|sample| sample * sample % 5).collect();
    let weights = (0..samples).map(|sample| [1.0, 0.0, 2.0][sample % 3]).collect();
    let dataset = dataset(features(samples), Targets::Classes { labels, classes: 5 }, Some(weights));
    let task = Task::Classification { counts: &[1; 5] };
    for (loss, optimizer) in [
        (LossMethod::CrossEntropy, Sgd),
        (LossMethod::BinaryCrossEntropy, Adam),
        (LossMethod::SumSquaredError, Prodigy),
        (LossMethod::MeanSquaredError, ScheduleFreeSgd),
    ] {
        let training = Training::of(spec(5), loss, task, optimizer);
        // As seven micro-batches, as four, the last of a tile, and as two.
        for micro in [64, 128, 256] {
            let [whole, parts] = both_ways(&training, &dataset, micro);
            assert!(whole == parts, "{loss:?} {optimizer:?}, micro-batches of {micro}");
        }
    }
    let sequence = Shape::sequence(6, 2);
    let sequences = Dataset { shape: sequence, ..dataset.clone() };
    for layers in [
        "{layer = 'linear', outputs = 8}, {layer = 'attention', heads = 2}, {layer = 'dropout', rate = 0.3}, \
         {layer = 'global-average-pool'},",
        "{layer = 'lstm', hidden = 5, bidirectional = true}, {layer = 'last-step'},",
        "{layer = 'layer-norm'}, {layer = 'linear', outputs = 8}, {layer = 'rms-norm'}, {layer = 'group-norm', groups = 4}, \
         {layer = 'flatten'},",
    ] {
        let training = Training::of(spec_of(layers, sequence, 5), LossMethod::CrossEntropy, task, Adam);
        for micro in [64, 128] {
            let [whole, parts] = both_ways(&training, &sequences, micro);
            assert!(whole == parts, "{layers}, micro-batches of {micro}");
        }
    }
    // Methods that compute with other values than the stored ones.
    for (topology, penalty) in [
        (topology::Method::TopKast, PenaltyMethod::None),
        (topology::Method::Static, PenaltyMethod::Str),
        (topology::Method::Static, PenaltyMethod::L0Gates),
    ] {
        let plain = Training::of(spec(5), LossMethod::CrossEntropy, task, Adam);
        let [whole, parts] = both_ways(&Training { topology, penalty, ..plain }, &dataset, 128);
        assert!(whole == parts, "{topology:?} {penalty:?}");
    }
}

#[test]
fn a_run_of_accumulated_steps_is_one_of_larger_batches() {
    let trained = |part: &str, batch_size: usize, accumulate: usize| {
        let mut settings: Settings = toml::from_str(part).unwrap();
        settings.network.hidden = vec![20];
        settings.sparsity.density = if part.contains("method = 'static'") { 1.0 } else { 0.2 };
        settings.train = TrainSettings {
            epochs: 12,
            batch_size: Some(batch_size),
            accumulate,
            ..TrainSettings::default()
        };
        let splits = rarefy::data::load(&settings.data, settings.seed).unwrap();
        let mut trainer = Trainer::new(settings, splits).unwrap();
        let steps = trainer.steps_per_epoch();
        let (mut dropped, mut grown) = (0, 0);
        let mut watch = |event: Event<'_>| {
            if let Event::Epoch { record, .. } = event {
                (dropped, grown) = (dropped + record.dropped, grown + record.grown);
            }
            Control::Continue
        };
        let outcome = trainer.train(&mut watch).unwrap();
        let parameters = outcome.model.network().parameters();
        let values = parameters.flat_map(|it| it.weights.values().to_vec()).collect::<Vec<f32>>();
        assert!(grown > 0, "{part}: nothing grew, {dropped} were dropped");
        (steps, dropped, grown, values)
    };
    for part in [
        "topology.method = 'set'",
        "topology = {method = 'rigl', every = 2}",
        "topology = {method = 'srigl', every = 2}",
        "topology = {method = 'gse', every = 2}",
        // Zeros that come back where a batch, or the micro-batches of a step, are the whole training part.
        "topology.method = 'static'\npenalty = {method = 'l1', lambda = 0.01}\noptimizer = {method = 'sgd', learning_rate = 0.5}",
        "topology.method = 'static'\nconstraint = {method = 'top-k', keep = 0.3}",
    ] {
        let sizes = if part.contains("static") { [(1024, 1), (256, 4)] } else { [(256, 1), (128, 2)] };
        let [whole, parts] = sizes.map(|(batch_size, accumulate)| trained(part, batch_size, accumulate));
        assert!(
            whole == parts,
            "{part}: {:?} {:?}",
            (whole.0, whole.1, whole.2),
            (parts.0, parts.1, parts.2)
        );
    }
}

#[test]
fn micro_batches_of_nonzeros_add_up_too() {
    let (inputs, samples) = (200, 300);
    let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
    let (mut offsets, mut indices) = (vec![0], Vec::new());
    for _ in 0..samples {
        indices.extend(stream.choose(inputs, 3).into_iter().map(|feature| feature as u32));
        offsets.push(indices.len());
    }
    let nonzeros = indices.iter().map(|_| stream.normal()).collect();
    let dataset = Dataset {
        shape: Shape::flat(inputs),
        features: Features::Sparse(Csr::new(inputs, offsets, indices, nonzeros).unwrap()),
        lengths: Vec::new(),
        targets: Targets::Classes { labels: (0..samples as u32).map(|it| it % 3).collect(), classes: 3 },
        weights: None,
    };
    let spec = NetworkSpec {
        inputs: Shape::flat(inputs),
        layers: vec![LayerSpec::linear(30, Activation::Relu), LayerSpec::linear(3, Activation::Identity)],
    };
    let task = Task::Classification { counts: &[1; 3] };
    let plain = Training::of(spec, LossMethod::CrossEntropy, task, Method::Adam);
    let training = Training { has_sparse_inputs: true, ..plain };
    let [whole, parts] = both_ways(&training, &dataset, 128);
    assert!(whole == parts);
}

/// A data set with weights 0, 1, 2 and 3, and the one in which each sample stands as often.
fn weighted_and_repeated(targets: &Targets) -> [Dataset; 2] {
    let samples = 50;
    let weights: Vec<f32> = (0..samples).map(|sample| [2.0, 0.0, 1.0, 3.0, 1.0][sample % 5]).collect();
    let repeated: Vec<usize> =
        (0..samples).flat_map(|sample| std::iter::repeat_n(sample, weights[sample] as usize)).collect();
    let features = features(samples);
    let all: Vec<usize> = (0..samples).collect();
    let plain = dataset(features, targets.subset(&all), None);
    let weighted = Dataset { weights: Some(weights), ..plain.clone() };
    [weighted, plain.subset(&repeated)]
}

#[test]
fn a_weight_counts_a_sample_so_many_times() {
    let classes = Targets::Classes { labels: (0..50).map(|it| it * it % 5).collect(), classes: 5 };
    let numbers: Vec<f32> = (0..150).map(|it| (it as f32 * 0.7).sin()).collect();
    let numbers = Targets::Values { values: numbers, outputs: 3 };
    let labels = (0..150).map(|it| f32::from(u8::from(it * it % 7 < 3))).collect();
    let labels = Targets::Values { values: labels, outputs: 3 };
    let sequences = Targets::Sequences {
        labels: (0..50).map(|it| 1 + it % 4).collect(),
        offsets: (0..=50).collect(),
        classes: 5,
    };
    let classification = Task::Classification { counts: &[1; 5] };
    let at_each_step = NetworkSpec {
        inputs: Shape::sequence(6, 2),
        layers: vec![LayerSpec::linear(9, Activation::Tanh), LayerSpec::linear(5, Activation::Identity)],
    };
    let cases = [
        (LossMethod::CrossEntropy, classification, &classes, spec(5)),
        (LossMethod::BinaryCrossEntropy, Task::MultiLabel, &labels, spec(3)),
        (LossMethod::MeanSquaredError, Task::Regression, &numbers, spec(3)),
        (LossMethod::SumSquaredError, Task::Regression, &numbers, spec(3)),
        (LossMethod::Huber, Task::Regression, &numbers, spec(3)),
        (LossMethod::Absolute, Task::Regression, &numbers, spec(3)),
        (LossMethod::Quantile, Task::Regression, &numbers, spec(3)),
        (LossMethod::Ctc, Task::Transcription, &sequences, at_each_step),
    ];
    for (loss, task, targets, spec) in cases {
        let [mut weighted, mut repeated] = weighted_and_repeated(targets);
        (weighted.shape, repeated.shape) = (spec.inputs, spec.inputs);
        for optimizer in [Method::Sgd, Method::Adagrad, Method::Rmsprop] {
            let training = Training::of(spec.clone(), loss, task, optimizer);
            let found = [&weighted, &repeated].map(|dataset| {
                let mut engine = training.engine(dataset.len());
                let batch = filled(dataset, &(0..dataset.len()).collect::<Vec<_>>());
                let scores = (1..=STEPS).map(|step| engine.step(&batch, step, 1e-3)).collect::<Vec<_>>();
                (values(&engine), scores, engine)
            });
            let [(weights, scores, engine), (expected, expected_scores, _)] = &found;
            let what = format!("{loss:?} {optimizer:?}");
            for (found, expected) in weights.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{what}: {found}, not {expected}");
            }
            for (found, expected) in scores.iter().zip(expected_scores) {
                let close = |a: f64, b: f64| (a - b).abs() < 1e-5 * (1.0 + b.abs());
                assert!(close(found.loss(), expected.loss()), "{what}: {found:?}, not {expected:?}");
                assert_eq!(
                    (found.correct, found.samples, found.edits, found.labels),
                    (expected.correct, expected.samples, expected.edits, expected.labels),
                    "{what}"
                );
            }
            let loss = training.loss.build(task).unwrap();
            let [found, expected] =
                [&weighted, &repeated].map(|it| score_samples(&engine.network, Isa::detect(), &loss, it));
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b.abs());
            assert!(close(found.loss, expected.loss), "{what}: {found:?}, not {expected:?}");
            assert!(
                close(found.standard_error, expected.standard_error),
                "{what}: {found:?}, not {expected:?}"
            );
            assert_eq!(found.accuracy, expected.accuracy, "{what}");
        }
    }
}
