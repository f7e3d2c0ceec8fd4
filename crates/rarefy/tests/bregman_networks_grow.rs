//! Under a Bregman optimizer a network starts almost empty, grows, ends with the connections that its target asks for,
//! and has learnt.

use rarefy::optimizers::Method;
use rarefy::penalties::PenaltyMethod;
use rarefy::topology;
use rarefy::train::{Control, Event, Settings, Trainer};

#[test]
fn from_almost_nothing_to_the_target() {
    for method in [Method::Linbreg, Method::Adabreg] {
        for sparsity in [0.9, 0.98] {
            let mut settings = Settings::default();
            settings.optimizer.method = method;
            settings.topology.method = topology::Method::Static;
            settings.sparsity.density = 1.0;
            settings.penalty.method = PenaltyMethod::L1;
            settings.target.sparsity = Some(sparsity);
            settings.train.epochs = 30;
            let mut run = Trainer::load(settings).unwrap();
            let mut counts = Vec::new();
            let outcome = run
                .train(&mut |event| {
                    if let Event::Epoch { record, .. } = event {
                        counts.push(record.nnz);
                    }
                    Control::Continue
                })
                .unwrap();
            let (nnz, cells) = (outcome.model.network().connections().0, run.network().connections().1);
            let wanted = ((1.0 - sparsity) * cells as f64) as usize;
            assert_eq!(nnz, wanted, "{method:?} at {sparsity}");
            assert!(counts[0] < cells / 40, "{method:?}: starts with {} of {cells}", counts[0]);
            assert!(counts[10] > 2 * counts[0].min(wanted / 3), "{method:?} does not grow: {counts:?}");
            let accuracy = outcome.test.unwrap().accuracy();
            assert!(accuracy > 0.9, "{method:?} at {sparsity}: {accuracy}");
        }
    }
}
