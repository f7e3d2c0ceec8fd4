//! Every topology method trains at 98 % sparsity and ends with the connections asked for, layer by layer; the model that is
//! kept has no more, and of these the ones that are not 0. So do penalties that are steered to a target, over all layers.

use rarefy::penalties::PenaltyMethod;
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
        settings.train.batch_size = Some(32);
        settings.optimizer.learning_rate = Some(0.01.into());
        if matches!(settings.topology.method, Method::Granet | Method::Gmp | Method::Mest) {
            settings.topology.every = Some(5);
        }
        let shapes = [vec![128, 64], vec![96, 128], vec![10, 96]];
        let expected = allocate(settings.sparsity.allocation, 0.02, &shapes, &[0; 3]).unwrap();
        // Saved, because the model that is kept is then that of the best epoch and not of the last.
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::start(settings, Some(&folder.path().join("run"))).unwrap();
        let (mut moved, mut losses) = (0, Vec::new());
        let outcome = run
            .train(&mut |event| {
                if let Event::Epoch { record, .. } = event {
                    moved += record.dropped + record.grown;
                    losses.push(record.train_loss);
                }
                Control::Continue
            })
            .unwrap();
        let counts = |network: &rarefy::layers::Network| -> Vec<usize> {
            let weights = network.parameters().filter(|parameter| parameter.is_weight());
            weights.map(|parameter| Weights::nnz(&parameter.weights)).collect()
        };
        assert_eq!(counts(run.trainer().network()), expected, "{name}: the last state");
        // It stores no zeros: connections grown at 0 whose gradient is 0, of which CHT makes the most.
        let kept = counts(outcome.model.network());
        let fits = kept.iter().zip(&expected).all(|(kept, asked)| kept <= asked && 2 * kept > *asked);
        assert!(fits, "{name}: the model has {kept:?} of {expected:?}");
        assert_eq!(moved > 0, !name.starts_with("Static"), "{name} moved {moved}");
        assert!(losses.iter().any(|loss| loss + 0.2 < losses[0]), "{name}: {losses:?}");
    }
}

#[test]
fn steered_runs_end_at_their_target() {
    for method in [PenaltyMethod::L1, PenaltyMethod::Str, PenaltyMethod::L0Gates] {
        let mut settings = Settings { threads: 2, ..Settings::default() };
        settings.network.hidden = vec![128, 96];
        settings.sparsity.density = 1.0;
        settings.topology.method = Method::Static;
        settings.penalty.method = method;
        settings.target.sparsity = Some(0.95);
        settings.train.epochs = 20;
        settings.optimizer.learning_rate = Some(0.003.into());
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::start(settings, Some(&folder.path().join("run"))).unwrap();
        let mut densities = Vec::new();
        let outcome = run
            .train(&mut |event| {
                if let Event::Epoch { record, .. } = event {
                    densities.push(record.density);
                }
                Control::Continue
            })
            .unwrap();
        let cells = 64 * 128 + 128 * 96 + 96 * 10;
        assert_eq!(run.trainer().network().connections(), (cells / 20, cells), "{method:?}: the last state");
        assert_eq!(outcome.model.network().connections().0, cells / 20, "{method:?}: the model");
        // The pressure did most of it, not the cut at the end.
        assert!(densities[8] < 0.5, "{method:?}: {densities:?}");
        assert!(outcome.test.unwrap().accuracy() > 0.8, "{method:?}: {:?}", outcome.test);
    }
}
