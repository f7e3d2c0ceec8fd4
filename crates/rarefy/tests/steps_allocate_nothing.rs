//! A training step after the first allocates nothing, compressed layers all the way. (Layers in dense storage do: `gemm`
//! makes room for its packed operands at each call.)

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rarefy::data::{DataSettings, Dataset, Features, Shares, Targets};
use rarefy::distributed::Local;
use rarefy::kernels::Activation;
use rarefy::layers::{LayerSpec, Network, NetworkSpec, Precision, SparsitySettings};
use rarefy::losses::{LossSettings, Task};
use rarefy::optimizers::{Method, Optimizer, OptimizerSettings, StepSize, Traits, UpdateRule};
use rarefy::penalties::{ConstraintSettings, PenaltyMethod, PenaltySettings};
use rarefy::sparse::Storage;
use rarefy::tiles::Shape;
use rarefy::topology::{self, TopologySettings};
use rarefy::train::{Control, Engine, EngineParts, Event, Settings, Sparsifier, Trainer};

/// Counts what the whole process asks for.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all calls go to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn recurrent(description: &str) -> LayerSpec {
    toml::from_str(description).unwrap()
}

const SAMPLES: usize = 300;

/// Samples of 100 numbers.
fn dataset(targets: Targets) -> Dataset {
    Dataset {
        shape: Shape::sequence(5, 20),
        features: Features::Dense((0..100 * SAMPLES).map(|i| (i as f32 * 0.37).sin()).collect()),
        lengths: Vec::new(),
        targets,
        weights: None,
    }
}

/// A rule with more slots than any of the library has.
#[derive(Debug)]
struct FiveSlots;

impl UpdateRule for FiveSlots {
    fn traits(&self) -> Traits {
        Traits::PLAIN
    }

    fn slots(&self) -> usize {
        5
    }

    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        for slot in slots.iter_mut() {
            for ((value, sum), gradient) in values.iter_mut().zip(slot.iter_mut()).zip(gradients) {
                *sum += gradient;
                *value -= step.learning_rate * *sum;
            }
        }
    }

    fn step_size(&self, step: &StepSize, _: &[&mut [f32]], out: &mut [f32]) {
        out.fill(step.learning_rate);
    }
}

/// What trains 10 % of a network.
fn engine(
    (spec, precision): (&NetworkSpec, Precision),
    task: Task<'_>,
    optimizer: Optimizer,
    topology: topology::Method,
    penalty: PenaltyMethod,
) -> Engine {
    let sparsity = SparsitySettings { density: 0.1, storage: Storage::Sparse, ..Default::default() };
    let mut network = Network::random(spec, &sparsity, 0).unwrap();
    network.set_precision(precision);
    let targets = network.parameters().map(|parameter| parameter.weights.nnz() / 2).collect();
    let penalty = PenaltySettings { method: penalty, ..Default::default() };
    let topology = TopologySettings { method: topology, ..Default::default() };
    let loss = LossSettings::default().build(task).unwrap();
    Engine::new(EngineParts {
        clip_norm: Some(1.0),
        clip_value: Some(0.5),
        topology: topology.build().unwrap(),
        targets,
        sparsifier: Sparsifier::new(&penalty, &ConstraintSettings::default(), None).unwrap(),
        threads: 2,
        isa: precision.detect_isa(),
        ..EngineParts::new(network, loss, optimizer, SAMPLES)
    })
}

/// Fails if four steps allocate, whenever they are done.
fn check(what: &str, mut engine: Engine, dataset: &Dataset) {
    let order: Vec<usize> = (0..SAMPLES).collect();
    assert_eq!(engine.workers(), 2);
    let mut batch = Shares::new(dataset, SAMPLES, engine.workers());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| {
        // A smaller batch and a full one, so that every buffer has had its size.
        for (step, count) in [(1, 40), (2, SAMPLES)] {
            batch.fill_for_training(dataset, &order[..count], None, 0);
            engine.step(&batch, step, 1e-3);
        }
        // What a step allocates, each such round does; what the thread pool does for itself now and then, not all.
        let fewest = (0..20).map(|round| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            for (step, count) in [(3, SAMPLES), (4, 40), (5, 128), (6, SAMPLES)] {
                batch.fill_for_training(dataset, &order[..count], None, 0);
                engine.step(&batch, 4 * round + step, 1e-3);
            }
            ALLOCATIONS.load(Ordering::Relaxed) - before
        });
        assert_eq!(fewest.min(), Some(0), "{what}: allocations in four steps");
    });
}

#[test]
fn steps_after_the_first_allocate_nothing() {
    let classes: Vec<u32> = (0..SAMPLES as u32).map(|i| i % 5).collect();
    let classes = dataset(Targets::Classes { labels: classes, classes: 5 });
    let recurrent_layers = [
        recurrent("layer = 'lstm'\nhidden = 12\nbidirectional = true"),
        recurrent("layer = 'gru'\nhidden = 20"),
    ];
    let spec = NetworkSpec {
        inputs: Shape::sequence(5, 20),
        layers: [
            &recurrent_layers[..],
            &[
                LayerSpec::flatten(),
                LayerSpec::linear(300, Activation::Relu),
                LayerSpec::dropout(0.2),
                LayerSpec::linear(300, Activation::Identity),
                LayerSpec::elementwise(Activation::Gelu),
                LayerSpec::linear(5, Activation::Identity),
            ],
        ]
        .concat(),
    };
    let plain = Method::ALL.map(|method| (method, topology::Method::Static, PenaltyMethod::None));
    // Those that compute with other values than the stored ones.
    let effective = [
        (topology::Method::TopKast, PenaltyMethod::None),
        (topology::Method::Static, PenaltyMethod::Str),
        (topology::Method::Static, PenaltyMethod::L0Gates),
    ]
    .map(|(topology, penalty)| (Method::Adam, topology, penalty));
    let task = || Task::Classification { counts: &[60; 5] };
    for (method, topology, penalty) in plain.into_iter().chain(effective) {
        let momentum = if method == Method::Sgd { 0.9 } else { 0.0 };
        let optimizer = OptimizerSettings { method, momentum, ..Default::default() };
        let optimizer = optimizer.build().unwrap();
        let engine = engine((&spec, Precision::F32), task(), optimizer, topology, penalty);
        check(&format!("{method:?} {topology:?} {penalty:?}"), engine, &classes);
    }
    let five = Optimizer::Custom(Arc::new(FiveSlots));
    let of = |precision, optimizer| {
        engine((&spec, precision), task(), optimizer, topology::Method::Static, PenaltyMethod::None)
    };
    check("five slots", of(Precision::F32, five), &classes);
    check("bf16", of(Precision::Bf16, OptimizerSettings::default().build().unwrap()), &classes);
    // Sequences of labels, which leave no two samples alike in length.
    let mut offsets = vec![0];
    offsets.extend((0..SAMPLES).scan(0, |end, sample| {
        *end += sample % 3;
        Some(*end)
    }));
    let labels = (0..offsets[SAMPLES] as u32).map(|place| 1 + place % 4).collect();
    let sequences = dataset(Targets::Sequences { labels, offsets, classes: 5 });
    let layers = [&recurrent_layers[..], &[LayerSpec::linear(5, Activation::Identity)]].concat();
    let spec = NetworkSpec { inputs: Shape::sequence(5, 20), layers };
    let optimizer = OptimizerSettings::default().build().unwrap();
    let network = (&spec, Precision::F32);
    let engine =
        engine(network, Task::Transcription, optimizer, topology::Method::Static, PenaltyMethod::None);
    check("CTC", engine, &sequences);
    ranks_allocate_nothing();
}

/// From one step to the next two ranks allocate nothing either: messages have their memory.
fn ranks_allocate_nothing() {
    let splits = Arc::new(rarefy::data::load(&DataSettings::default(), 1).unwrap());
    let mut settings = Settings { threads: 1, ..Settings::default() };
    (settings.topology.method, settings.sparsity.storage) = (topology::Method::Static, Storage::Sparse);
    (settings.train.batch_size, settings.train.epochs) = (Some(128), 2);
    let fewest = Local::run(2, |rank| {
        let mut trainer =
            Trainer::builder(settings.clone(), splits.clone()).comm(Arc::new(rank)).build().unwrap();
        let (mut before, mut fewest) = (0, usize::MAX);
        let watch = &mut |event: Event<'_>| {
            if let Event::Step { .. } = event {
                let now = ALLOCATIONS.load(Ordering::Relaxed);
                fewest = fewest.min(now - before);
                before = now;
            }
            Control::Continue
        };
        trainer.train(watch).unwrap();
        fewest
    });
    assert_eq!(fewest, [0, 0], "allocations from step to step");
}
