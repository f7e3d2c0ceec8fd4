//! An update carries what belongs to a connection with it: for every topology method the values and optimizer state of
//! connections that stay are the same bits after as before, and grown connections start without state.

use std::collections::HashMap;

use rarefy::data::{self, Batch, DataSettings, Splits};
use rarefy::layers::{Network, NetworkSettings, SparsitySettings};
use rarefy::losses::{self, LossSettings};
use rarefy::optimizers::OptimizerSettings;
use rarefy::topology::{Method, TopologySettings};
use rarefy::train::{Engine, EngineParts, Progress};

const BATCH: usize = 64;

fn engine(method: Method, splits: &Splits) -> Engine {
    let topology = TopologySettings { method, ..TopologySettings::default() }.build().unwrap();
    let spec = NetworkSettings { hidden: vec![40, 30], ..NetworkSettings::default() }
        .spec(splits.train.shape, splits.train.targets.outputs())
        .unwrap();
    let at = |density| SparsitySettings { density, ..SparsitySettings::default() };
    let draw = |density| {
        let counts = spec.connections(at(density).allocation, density, |shape| shape.least).unwrap();
        Network::drawn(&spec, &at(density), &counts, 1, |rows, cols, nnz, stream| {
            topology.start_pattern(rows, cols, nnz, stream)
        })
        .unwrap()
    };
    let targets = draw(0.1).parameters().map(|parameter| parameter.weights.nnz()).collect();
    let network = draw(topology.start_density(0.1));
    let loss = LossSettings::default().build(losses::Task::Classification { counts: &[1; 10] }).unwrap();
    let optimizer = OptimizerSettings::default().build().unwrap();
    Engine::new(EngineParts {
        topology,
        targets,
        seed: 1,
        ..EngineParts::new(network, loss, optimizer, BATCH)
    })
}

/// The value and state of every connection, by parameter and cell.
fn connections(engine: &Engine) -> HashMap<(usize, usize), Vec<u32>> {
    let mut all = HashMap::new();
    for (index, (parameter, state)) in engine.network.parameters().zip(&engine.state).enumerate() {
        let weights = &parameter.weights;
        assert_eq!(engine.gradients[index].values.len(), weights.values().len());
        for (cell, slot) in weights.connections() {
            let mut numbers = vec![weights.values()[slot].to_bits()];
            numbers.extend(state.iter().map(|array| array[slot].to_bits()));
            all.insert((index, cell), numbers);
        }
    }
    all
}

#[test]
fn state_stays_with_its_connection() {
    let splits = data::load(&DataSettings::default(), 0).unwrap();
    for method in Method::ALL.into_iter().filter(|&method| method != Method::Static) {
        let mut engine = engine(method, &splits);
        let mut batch = Batch::new(&splits.train, BATCH);
        let total = 600;
        let mut updates = 0;
        for step in 1..=total {
            let first = step as usize * BATCH % (splits.train.len() - BATCH);
            batch.fill(&splits.train, &(first..first + BATCH).collect::<Vec<_>>());
            engine.step(&batch, step, 0.01);
            let before = connections(&engine);
            let progress = Progress { step, total, epoch: 50 };
            let Some(churn) = engine.rewire(&batch, &progress) else { continue };
            updates += 1;
            let after = connections(&engine);
            let mut grown = 0;
            for (connection, numbers) in &after {
                match before.get(connection) {
                    Some(same) => assert_eq!(same, numbers, "{method:?} at {step}: {connection:?}"),
                    None => {
                        grown += 1;
                        let blank = &numbers[1..];
                        assert!(blank.iter().all(|&bits| bits == 0), "{method:?}: {connection:?} has state");
                        let draws = method == Method::Set;
                        assert_eq!(numbers[0] != 0, draws, "{method:?}: {connection:?} has a value");
                    }
                }
            }
            assert_eq!(churn.grown, grown, "{method:?} at {step}");
            assert_eq!(churn.dropped, before.len() + grown - after.len(), "{method:?} at {step}");
        }
        assert!(updates >= 3, "{method:?} made {updates} updates");
    }
}
