//! A training step after the first allocates nothing, compressed layers all the way. (Layers in dense storage do: `gemm`
//! makes room for its packed operands at each call.)

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use rarefy::data::{Batch, Dataset, Features, Targets};
use rarefy::kernels::{Activation, Isa};
use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::losses::{LossSettings, Task};
use rarefy::optimizers::{Method, OptimizerSettings};
use rarefy::penalties::{ConstraintSettings, PenaltyMethod, PenaltySettings};
use rarefy::sparse::Storage;
use rarefy::tiles::Shape;
use rarefy::topology::{self, TopologySettings};
use rarefy::train::{Engine, EngineParts, Sparsifier};

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

#[test]
fn steps_after_the_first_allocate_nothing() {
    let samples = 300;
    let dataset = Dataset {
        shape: Shape::flat(100),
        features: Features::Dense((0..100 * samples).map(|i| (i as f32 * 0.37).sin()).collect()),
        lengths: Vec::new(),
        targets: Targets::Classes { labels: (0..samples as u32).map(|i| i % 5).collect(), classes: 5 },
    };
    let order: Vec<usize> = (0..samples).collect();
    let spec = NetworkSpec {
        inputs: Shape::sequence(5, 20),
        layers: vec![
            recurrent("layer = 'lstm'\nhidden = 12\nbidirectional = true"),
            recurrent("layer = 'gru'\nhidden = 20"),
            LayerSpec::flatten(),
            LayerSpec::linear(300, Activation::Relu),
            LayerSpec::dropout(0.2),
            LayerSpec::linear(300, Activation::Identity),
            LayerSpec::elementwise(Activation::Gelu),
            LayerSpec::linear(5, Activation::Identity),
        ],
    };
    let plain = Method::ALL.map(|method| (method, topology::Method::Static, PenaltyMethod::None));
    // Those that compute with other values than the stored ones.
    let effective = [
        (topology::Method::TopKast, PenaltyMethod::None),
        (topology::Method::Static, PenaltyMethod::Str),
        (topology::Method::Static, PenaltyMethod::L0Gates),
    ]
    .map(|(topology, penalty)| (Method::Adam, topology, penalty));
    for (method, topology, penalty) in plain.into_iter().chain(effective) {
        let sparsity = SparsitySettings { density: 0.1, storage: Storage::Sparse, ..Default::default() };
        let network = Network::random(&spec, &sparsity, 0).unwrap();
        let targets = network.parameters().map(|parameter| parameter.weights.nnz() / 2).collect();
        let settings = OptimizerSettings {
            method,
            momentum: if method == Method::Sgd { 0.9 } else { 0.0 },
            ..Default::default()
        };
        let penalty = PenaltySettings { method: penalty, ..Default::default() };
        let topology = TopologySettings { method: topology, ..Default::default() };
        let mut engine = Engine::new(EngineParts {
            network,
            loss: LossSettings::default().build(Task::Classification { counts: &[60; 5] }).unwrap(),
            optimizer: settings.build().unwrap(),
            clip_norm: Some(1.0),
            clip_value: Some(0.5),
            topology: topology.build().unwrap(),
            targets,
            sparsifier: Sparsifier::new(&penalty, &ConstraintSettings::default(), None).unwrap(),
            isa: Isa::named("auto").unwrap(),
            seed: 0,
            batch_size: samples,
        });
        let mut batch = Batch::new(&dataset, samples);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| {
            // A smaller batch and a full one, so that every buffer has had its size.
            for (step, count) in [(1, 40), (2, samples)] {
                batch.fill(&dataset, &order[..count]);
                engine.step(&batch, step, 1e-3);
            }
            // What a step allocates, each such round does; what the thread pool does for itself now and then, not all.
            let fewest = (0..20).map(|round| {
                let before = ALLOCATIONS.load(Ordering::Relaxed);
                for (step, count) in [(3, samples), (4, 40), (5, 128), (6, samples)] {
                    batch.fill(&dataset, &order[..count]);
                    engine.step(&batch, 4 * round + step, 1e-3);
                }
                ALLOCATIONS.load(Ordering::Relaxed) - before
            });
            assert_eq!(
                fewest.min(),
                Some(0),
                "{method:?} {topology:?} {penalty:?}: allocations in four steps"
            );
        });
    }
}
