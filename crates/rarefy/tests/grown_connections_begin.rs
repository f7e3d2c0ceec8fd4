//! A connection that is grown begins as one at the start of a run does: with the state that its optimizer gives a value of
//! that size, whatever stood in the slot before.

use std::collections::HashSet;

use rarefy::data::{Batch, Dataset, Features, Targets};
use rarefy::kernels::Activation;
use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::losses::{LossSettings, Task};
use rarefy::optimizers::{Method, OptimizerSettings, UpdateRule};
use rarefy::tiles::Shape;
use rarefy::topology::{self, TopologySettings};
use rarefy::train::{Engine, EngineParts, Progress};

#[test]
fn state_of_grown_connections_is_that_of_a_start() {
    let samples = 64;
    let dataset = Dataset {
        shape: Shape::flat(30),
        features: Features::Dense((0..30 * samples).map(|i| (i as f32 * 0.37).sin()).collect()),
        lengths: Vec::new(),
        targets: Targets::Classes { labels: (0..samples as u32).map(|i| i % 5).collect(), classes: 5 },
        weights: None,
    };
    let spec = NetworkSpec {
        inputs: Shape::flat(30),
        layers: vec![LayerSpec::linear(40, Activation::Relu), LayerSpec::linear(5, Activation::Identity)],
    };
    // These two fill slots with the values; SET draws the values of what it grows, so they are not zero.
    for method in [Method::Prodigy, Method::ScheduleFreeAdamw] {
        let sparsity = SparsitySettings { density: 0.2, ..Default::default() };
        let network = Network::random(&spec, &sparsity, 0).unwrap();
        let optimizer = OptimizerSettings { method, ..Default::default() }.build().unwrap();
        let set = TopologySettings { method: topology::Method::Set, ..Default::default() };
        let loss = LossSettings::default().build(Task::Classification { counts: &[13; 5] }).unwrap();
        let mut engine = Engine::new(EngineParts {
            topology: set.build().unwrap(),
            ..EngineParts::new(network, loss, optimizer.clone(), samples)
        });
        let mut batch = Batch::new(&dataset, samples);
        batch.fill(&dataset, &(0..samples).collect::<Vec<_>>());
        let cells = |engine: &Engine| -> HashSet<usize> {
            let weights = &engine.network.parameters().next().unwrap().weights;
            weights.connections().map(|(cell, _)| cell).collect()
        };
        let before = cells(&engine);
        (1..=10).for_each(|step| _ = engine.step(&batch, step, 1e-2));
        let churn = engine.rewire(&batch, &Progress { step: 10, total: 100, epoch: 10 }).unwrap();
        assert!(churn.grown > 0);
        let weights = &engine.network.parameters().next().unwrap().weights;
        let mut seen = 0;
        for (_, slot) in weights.connections().filter(|(cell, _)| !before.contains(cell)) {
            let value = weights.values()[slot];
            let mut fresh = vec![[0.0]; optimizer.slots()];
            let mut views: Vec<&mut [f32]> = fresh.iter_mut().map(|slot| &mut slot[..]).collect();
            optimizer.begin(&[value], &mut views);
            let state: Vec<[f32; 1]> = engine.state[0].iter().map(|array| [array[slot]]).collect();
            assert!(value != 0.0 && state == fresh, "{method:?}: {value} begins with {state:?}");
            seen += 1;
        }
        assert!(seen > 0, "{method:?}");
    }
}
