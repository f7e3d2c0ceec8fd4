//! Who asks for a result gets it: every penalty is steered to the target, whatever its unit and first lambda, and the model
//! that is kept is the one asked for.

use rarefy::control::TargetSettings;
use rarefy::penalties::PenaltyMethod;
use rarefy::topology::Method;
use rarefy::train::{Control, Ending, Outcome, Settings, Trainer};

fn settings(penalty: PenaltyMethod, target: TargetSettings) -> Settings {
    let mut settings = Settings { threads: 2, target, ..Settings::default() };
    settings.network.hidden = vec![96, 64];
    settings.penalty.method = penalty;
    if penalty != PenaltyMethod::None {
        settings.sparsity.density = 1.0;
        settings.topology.method = Method::Static;
    }
    settings.train.epochs = 25;
    settings.optimizer.learning_rate = Some(0.003.into());
    settings
}

fn train(settings: Settings) -> Outcome {
    let mut run = Trainer::load(settings).unwrap();
    let outcome = run.train(&mut |_| Control::Continue).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    outcome
}

/// 64 x 96 + 96 x 64 + 64 x 10.
const CELLS: f64 = 12_928.0;

#[test]
fn every_penalty_ends_at_its_target() {
    use PenaltyMethod::{ElasticNet, GroupInputs, GroupNeurons, L1, LHalf, Mcp, None};
    let none = TargetSettings::default;
    for penalty in [None, L1, ElasticNet, GroupNeurons, GroupInputs, Mcp, LHalf] {
        for target in [
            TargetSettings { sparsity: Some(0.9), ..none() },
            TargetSettings { nnz: Some(800), ..none() },
            TargetSettings { bytes: Some(12_000), ..none() },
            TargetSettings { flops: Some(1_500), ..none() },
        ] {
            let outcome = train(settings(penalty, target.clone()));
            let (nnz, _) = outcome.model.network().connections();
            let name = format!("{penalty:?} {target:?}: {nnz} weights, {} bytes", outcome.model_bytes);
            // Within the budget, and not far below.
            let close = |reached: f64, asked: f64| reached <= asked && reached > 0.98 * asked;
            if let Some(sparsity) = target.sparsity {
                assert!(close(nnz as f64 / CELLS, 1.0 - sparsity), "{name}");
            }
            assert!(target.nnz.is_none_or(|asked| close(nnz as f64, asked as f64)), "{name}");
            assert!(target.flops.is_none_or(|asked| close(2.0 * nnz as f64, asked as f64)), "{name}");
            assert!(
                target.bytes.is_none_or(|asked| close(outcome.model_bytes as f64, asked as f64)),
                "{name}"
            );
            let mut weights = outcome.model.network().weights();
            assert!(
                weights.all(|(_, it)| it.weights.live_values().iter().all(|&value| value != 0.0)),
                "{name}"
            );
            let accuracy = outcome.test.unwrap().accuracy();
            assert!(accuracy > 0.7, "{name}: {accuracy}");
        }
    }
}

#[test]
fn a_first_lambda_decades_off_reaches_the_target_too() {
    for lambda in [1e-8, 0.1] {
        let mut settings =
            settings(PenaltyMethod::L1, TargetSettings { sparsity: Some(0.95), ..Default::default() });
        settings.penalty.lambda = Some(lambda);
        let outcome = train(settings);
        let (nnz, _) = outcome.model.network().connections();
        assert!((1.0 - nnz as f64 / CELLS - 0.95).abs() < 0.002, "lambda {lambda}: {nnz}");
        let accuracy = outcome.test.unwrap().accuracy();
        assert!(accuracy > 0.85, "lambda {lambda}: {accuracy}");
    }
}

/// Without a target lambda stays and zeros leave: the larger lambda, the fewer weights, and none of them is zero.
#[test]
fn a_fixed_lambda_empties_storage() {
    let mut counts = Vec::new();
    for lambda in [1e-4, 1e-3] {
        let mut settings = settings(PenaltyMethod::L1, TargetSettings::default());
        settings.penalty.lambda = Some(lambda);
        let model = train(settings).model;
        let network = model.network();
        let weights = network.parameters().filter(|parameter| parameter.is_weight());
        assert!(
            weights.clone().all(|weights| weights.weights.live_values().iter().all(|&value| value != 0.0))
        );
        counts.push(network.connections().0);
    }
    assert!(counts[1] < counts[0] && (counts[0] as f64) < CELLS, "{counts:?}");

    let mut settings = settings(PenaltyMethod::L1, TargetSettings::default());
    settings.penalty.lambda = Some(10.0);
    let outcome = Trainer::load(settings).unwrap().train(&mut |_| Control::Continue).unwrap();
    assert_eq!(outcome.ending, Ending::Emptied);
    let told = outcome.emptied.expect("it is told").to_string();
    assert!(told.starts_with("penalty.lambda: has driven every weight of layers."), "{told}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let sparse = || TargetSettings { sparsity: Some(0.9), ..Default::default() };
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings(PenaltyMethod::L1, sparse());
        change(&mut settings);
        Trainer::load(settings).err().expect("it must be refused").to_string()
    };
    let error = with(&|settings| settings.topology.method = Method::Rigl);
    assert!(
        error.starts_with("topology.method: \"rigl\" does not go with a penalty that a target"),
        "{error}"
    );
    let error = with(&|settings| settings.penalty.method = PenaltyMethod::L1Subgradient);
    assert!(error.starts_with("penalty.method: \"l1-subgradient\""), "{error}");
    let error = with(&|settings| {
        settings.constraint.method = rarefy::penalties::ConstraintMethod::NonNegative;
    });
    assert!(error.starts_with("constraint.method: \"non-negative\" does not go with a target"), "{error}");
    let error = with(&|settings| settings.target = TargetSettings { nnz: Some(100), ..Default::default() });
    assert!(error.starts_with("target.nnz: cannot be reached"), "{error}");
    let error = with(&|settings| settings.sparsity.density = 0.05);
    assert!(error.starts_with("target: is 1293 weights, but at sparsity.density = 0.05"), "{error}");
}
