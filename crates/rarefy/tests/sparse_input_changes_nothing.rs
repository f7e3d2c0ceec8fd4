//! A batch given as its nonzeros trains the network that the same batch given whole does: outputs, gradients, growth; and
//! the order that its weights are stored in does not change a bit.

use rarefy::data::{Batch, Csr, Dataset, Features, Targets};
use rarefy::kernels::{Activation, Isa};
use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::losses::{LossSettings, Task};
use rarefy::optimizers::{LearningRate, Method, OptimizerSettings};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{Order, Storage};
use rarefy::tiles::Shape;
use rarefy::topology::{self, TopologySettings};
use rarefy::train::{Engine, EngineParts, Progress, predict};

const INPUTS: usize = 300;
const SAMPLES: usize = 200;

/// The same samples whole and as nonzeros.
fn datasets() -> [Dataset; 2] {
    let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
    let (mut whole, mut offsets, mut indices, mut values) = (Vec::new(), vec![0], Vec::new(), Vec::new());
    for sample in 0..SAMPLES {
        let mut row = vec![0.0; INPUTS];
        // One sample has nothing.
        if sample != 70 {
            stream.choose(INPUTS, 9).into_iter().for_each(|feature| row[feature] = stream.normal());
        }
        for (feature, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            indices.push(feature as u32);
            values.push(*value);
        }
        offsets.push(indices.len());
        whole.extend(row);
    }
    let rows = Csr::new(INPUTS, offsets, indices, values).unwrap();
    let labels = (0..SAMPLES as u32).map(|sample| sample % 3).collect();
    [Features::Dense(whole), Features::Sparse(rows)].map(|features| Dataset {
        shape: Shape::flat(INPUTS),
        features,
        lengths: Vec::new(),
        targets: Targets::Classes { labels: Vec::clone(&labels), classes: 3 },
        weights: None,
    })
}

fn engine(storage: Storage, method: topology::Method, has_sparse_inputs: bool) -> Engine {
    let spec = NetworkSpec {
        inputs: Shape::flat(INPUTS),
        layers: vec![LayerSpec::linear(40, Activation::Tanh), LayerSpec::linear(3, Activation::Identity)],
    };
    let sparsity = SparsitySettings { density: 0.2, storage, ..SparsitySettings::default() };
    let network = Network::random(&spec, &sparsity, 1).unwrap();
    let optimizer = OptimizerSettings {
        method: Method::Sgd,
        learning_rate: Some(LearningRate::Fixed(0.1)),
        momentum: 0.0,
        clip_norm: Some(0.3),
        weight_decay: Some(0.0),
        ..OptimizerSettings::default()
    };
    let topology = TopologySettings {
        method,
        every: (method != topology::Method::Static).then_some(4),
        ..TopologySettings::default()
    };
    let loss = LossSettings::default().build(Task::Classification { counts: &[70, 70, 60] }).unwrap();
    Engine::new(EngineParts {
        clip_norm: optimizer.clip_norm,
        clip_value: Some(0.5),
        topology: topology.build().unwrap(),
        seed: 1,
        has_sparse_inputs,
        ..EngineParts::new(network, loss, optimizer.build().unwrap(), SAMPLES)
    })
}

#[test]
fn nonzeros_train_as_the_whole_does() {
    let datasets = datasets();
    for storage in [Storage::Sparse, Storage::Dense] {
        for method in [topology::Method::Static, topology::Method::Rigl, topology::Method::Gse] {
            let ways = [(0, false), (1, false), (1, true)];
            let [whole, nonzeros, by_input] = ways.map(|(which, has_sparse_inputs)| {
                let mut engine = engine(storage, method, has_sparse_inputs);
                let mut batch = Batch::new(&datasets[which], SAMPLES);
                let mut losses = Vec::new();
                for step in 1..=10 {
                    // Other samples each time, so that touched weights differ from step to step.
                    let order: Vec<usize> =
                        (0..150).map(|i| (i * 7 + step as usize * 31) % SAMPLES).collect();
                    batch.fill(&datasets[which], &order);
                    losses.push(engine.step(&batch, step, 0.1).loss());
                    engine.rewire(&batch, &Progress { step, total: 20, epoch: 2 });
                }
                let order = engine.network.parameter(0).weights.order();
                assert_eq!(order == Order::Columns, has_sparse_inputs, "{storage:?} {method:?}");
                let weights: Vec<f32> = engine
                    .network
                    .parameters()
                    .flat_map(|parameter| parameter.weights.live_values())
                    .collect();
                (losses, weights, outputs(&engine.network, &datasets[0]))
            });
            assert_eq!(nonzeros, by_input, "{storage:?} {method:?}");
            assert_eq!(whole.1.len(), nonzeros.1.len());
            for (a, b) in whole.0.iter().zip(&nonzeros.0) {
                assert!((a - b).abs() < 1e-5, "{storage:?} {method:?}: losses {whole:?} and {nonzeros:?}");
            }
            for (a, b) in whole.1.iter().zip(&nonzeros.1) {
                assert!((a - b).abs() < 1e-4, "{storage:?} {method:?}: weights {a} and {b}");
            }
        }
    }
}

/// What a network makes of all samples.
fn outputs(network: &Network, dataset: &Dataset) -> Vec<f32> {
    let mut found = Vec::new();
    predict(network, Isa::detect(), dataset, SAMPLES, |_, outputs| {
        found.extend(outputs.rows().iter().flat_map(|row| row.0));
    });
    found
}
