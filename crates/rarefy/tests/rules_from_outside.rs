//! Rules of one's own plug in without a fork: they train the bits that the library's own rules train, keep any number of slots,
//! and are told what they did wrong.

use std::sync::Arc;

use rarefy::data::{self, Splits};
use rarefy::optimizers::{Optimizer, Sgd, StepSize, Traits, UpdateRule};
use rarefy::penalties::{L1, Penalty, PenaltyForm, PenaltyRule, Regularizer};
use rarefy::topology::{Drop, DropRule, Grow, GrowRule, Method, Topology, TopologySettings, View};
use rarefy::train::{Control, Progress, Settings, Trainer, TrainerBuilder};

/// Gradient descent, written again.
#[derive(Debug)]
struct OwnDescent;

impl UpdateRule for OwnDescent {
    fn traits(&self) -> Traits {
        Traits::PLAIN
    }

    fn slots(&self) -> usize {
        0
    }

    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], _: &mut [&mut [f32]]) {
        for (value, gradient) in values.iter_mut().zip(gradients) {
            *value -= step.learning_rate * gradient;
        }
    }

    fn step_size(&self, step: &StepSize, _: &[&mut [f32]], out: &mut [f32]) {
        out.fill(step.learning_rate);
    }
}

/// The mean of five momenta of different lengths: one slot each.
#[derive(Debug)]
struct FiveMomenta;

const BETAS: [f32; 5] = [0.0, 0.5, 0.8, 0.9, 0.95];

impl UpdateRule for FiveMomenta {
    fn traits(&self) -> Traits {
        Traits::PLAIN
    }

    fn slots(&self) -> usize {
        BETAS.len()
    }

    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        assert_eq!(slots.len(), BETAS.len());
        for (slot, beta) in slots.iter_mut().zip(BETAS) {
            assert_eq!((slot.len(), gradients.len()), (values.len(), values.len()));
            for ((value, momentum), gradient) in values.iter_mut().zip(slot.iter_mut()).zip(gradients) {
                *momentum = beta * *momentum + (1.0 - beta) * gradient;
                *value -= step.learning_rate / 5.0 * *momentum;
            }
        }
    }

    fn step_size(&self, step: &StepSize, _: &[&mut [f32]], out: &mut [f32]) {
        out.fill(step.learning_rate);
    }
}

/// The lasso's penalty, by the library's own.
#[derive(Debug)]
struct OwnL1;

impl PenaltyRule for OwnL1 {
    fn value(&self, lambda: f32, w: f32) -> f64 {
        L1.value(lambda, w)
    }

    fn slope(&self, lambda: f32, w: f32) -> f32 {
        L1.slope(lambda, w)
    }

    fn slope_at_zero(&self, lambda: f32) -> f32 {
        lambda
    }

    fn lambda_that_empties(&self, slope: f32, _: f32) -> f32 {
        slope
    }

    fn prox(&self, lambda: f32, w: f32, step: f32) -> f32 {
        L1.prox(lambda, w, step)
    }
}

/// The largest magnitudes stay, by sorting.
#[derive(Debug)]
struct OwnDrop;

impl DropRule for OwnDrop {
    fn keep(&self, view: &mut View<'_>, count: usize, _: &Progress) -> Vec<usize> {
        let values = view.weights.values();
        let mut order: Vec<(usize, usize)> = view.weights.connections().collect();
        order.sort_by(|a, b| values[b.1].abs().total_cmp(&values[a.1].abs()));
        let mut kept: Vec<usize> = order[..count].iter().map(|(cell, _)| *cell).collect();
        kept.sort();
        kept
    }
}

/// Where the gradient is largest, among all that are absent after the drop.
#[derive(Debug)]
struct OwnGrow;

impl GrowRule for OwnGrow {
    fn draws_values(&self) -> bool {
        false
    }

    fn cells(&self, view: &mut View<'_>, kept: &[usize], count: usize) -> Vec<usize> {
        let cells = view.weights.rows() * view.weights.cols();
        let mut gradients = vec![0.0; cells];
        (view.absent.rows)(0..view.weights.rows(), &mut gradients);
        let mut order: Vec<usize> = (0..cells).filter(|cell| kept.binary_search(cell).is_err()).collect();
        order.sort_by(|&a, &b| gradients[b].abs().total_cmp(&gradients[a].abs()));
        let mut grown = order[..count].to_vec();
        grown.sort();
        grown
    }
}

/// Names connections that are none.
#[derive(Debug)]
struct WrongDrop;

impl DropRule for WrongDrop {
    fn keep(&self, _: &mut View<'_>, count: usize, _: &Progress) -> Vec<usize> {
        (0..count).collect()
    }
}

fn settings() -> (Settings, Arc<Splits>) {
    let mut settings = Settings { threads: 2, ..Settings::default() };
    settings.network.hidden = vec![48];
    settings.sparsity.density = 0.2;
    settings.topology = TopologySettings { every: Some(20), ..TopologySettings::default() };
    settings.optimizer.method = rarefy::optimizers::Method::Sgd;
    settings.optimizer.learning_rate = Some(0.1.into());
    settings.train.epochs = 3;
    let splits = data::load(&settings.data, settings.seed).unwrap();
    (settings, Arc::new(splits))
}

/// The model's arrays and its accuracy after training.
fn trained(builder: TrainerBuilder) -> (Vec<u8>, f64) {
    let mut trainer = builder.build().unwrap();
    let outcome = trainer.train(&mut |_| Control::Continue).unwrap();
    (outcome.model.to_bytes(), outcome.test.unwrap().accuracy())
}

#[test]
fn rules_from_outside_train_the_bits_of_the_librarys_own() {
    let (settings, splits) = settings();
    let expected = trained(Trainer::builder(settings.clone(), splits.clone()));
    let named = Trainer::builder(settings.clone(), splits.clone()).optimizer(Optimizer::Sgd(Sgd::default()));
    assert!(trained(named) == expected, "the rule itself and its name");
    let own =
        Trainer::builder(settings.clone(), splits.clone()).optimizer(Optimizer::Custom(Arc::new(OwnDescent)));
    assert!(trained(own) == expected, "an optimizer");

    let rigl = settings.topology.build().unwrap();
    let (drop, grow) = (Drop::Custom(Arc::new(OwnDrop)), Grow::Custom(Arc::new(OwnGrow)));
    let own = Trainer::builder(settings.clone(), splits.clone()).topology(Topology { drop, grow, ..rigl });
    assert!(trained(own) == expected, "a drop rule and a grow rule");

    let mut fixed = settings;
    fixed.topology = TopologySettings { method: Method::Static, ..TopologySettings::default() };
    let penalised = |form| {
        let penalty = Regularizer::Prox(Penalty { form, lambda: 1e-3 });
        trained(Trainer::builder(fixed.clone(), splits.clone()).penalty(penalty))
    };
    let expected = penalised(PenaltyForm::L1(L1));
    assert!(penalised(PenaltyForm::Custom(Arc::new(OwnL1))) == expected, "a penalty");
    assert!(
        expected.0.len() < trained(Trainer::builder(fixed.clone(), splits.clone())).0.len(),
        "zeros have left"
    );
}

/// Five slots are more than any optimizer of the library has; connections move, and so does the state.
#[test]
fn an_optimizer_may_keep_any_number_of_slots() {
    let (mut settings, splits) = settings();
    settings.optimizer.learning_rate = Some(0.3.into());
    settings.train.epochs = 6;
    let own = |threads| {
        let settings = Settings { threads, ..settings.clone() };
        let optimizer = Optimizer::Custom(Arc::new(FiveMomenta));
        trained(Trainer::builder(settings, splits.clone()).optimizer(optimizer))
    };
    let (bytes, accuracy) = own(1);
    assert!(accuracy > 0.9, "{accuracy}");
    assert!(own(2).0 == bytes, "two threads");
}

#[test]
#[should_panic(expected = "WrongDrop keeps cells that are no connections")]
fn a_rule_that_breaks_its_contract_is_named() {
    let (settings, splits) = settings();
    let topology = settings.topology.build().unwrap();
    let topology = Topology { drop: Drop::Custom(Arc::new(WrongDrop)), ..topology };
    trained(Trainer::builder(settings, splits).topology(topology));
}
