//! Every topology method trains at 98 % sparsity and ends with the connections asked for, layer by layer; the model that is
//! kept has no more.

use rarefy::sparse::{Weights, allocate};
use rarefy::topology::{DropName, Method, TopologySettings};
use rarefy::train::{Control, Event, Run, Settings};

/// Each method as it is, and those that can with soft drop.
fn rows() -> Vec<TopologySettings> {
    let soft = [Method::Rigl, Method::Gse, Method::Cht].map(|method| TopologySettings {
        method,
        drop: Some(DropName::Soft),
        ..TopologySettings::default()
    });
    let plain = Method::ALL.map(|method| TopologySettings { method, ..TopologySettings::default() });
    plain.into_iter().chain(soft).collect()
}

#[test]
fn runs_end_with_the_connections_asked_for() {
    for topology in rows() {
        let name = format!("{:?} {:?}", topology.method, topology.drop);
        let mut settings = Settings { threads: 2, topology, ..Settings::default() };
        settings.network.hidden = vec![128, 96];
        settings.sparsity.density = 0.02;
        settings.train.epochs = 6;
        settings.train.batch_size = 32;
        settings.optimizer.learning_rate = Some(0.01);
        if matches!(settings.topology.method, Method::Granet | Method::Gmp | Method::Mest) {
            settings.topology.every = Some(5);
        }
        let shapes = [vec![128, 64], vec![96, 128], vec![10, 96]];
        let expected = allocate(settings.sparsity.allocation, 0.02, &shapes).unwrap();
        // Saved, because the model that is kept is then that of the best epoch and not of the last.
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::start(settings, Some(&folder.path().join("run"))).unwrap();
        let (mut moved, mut losses) = (0, Vec::new());
        let outcome = run
            .train(&mut |event| {
                if let Event::Epoch(record) = event {
                    moved += record.dropped + record.grown;
                    losses.push(record.train_loss);
                }
                Control::Continue
            })
            .unwrap();
        let counts = |network: &rarefy::layers::Network| -> Vec<usize> {
            let weights = network.parameters().filter(|parameter| parameter.is_weight);
            weights.map(|parameter| Weights::nnz(&parameter.weights)).collect()
        };
        assert_eq!(counts(run.network()), expected, "{name}: the last state");
        assert_eq!(counts(&outcome.model.network), expected, "{name}: the model");
        assert_eq!(moved > 0, !name.starts_with("Static"), "{name} moved {moved}");
        assert!(losses.iter().any(|loss| loss + 0.2 < losses[0]), "{name}: {losses:?}");
    }
}
