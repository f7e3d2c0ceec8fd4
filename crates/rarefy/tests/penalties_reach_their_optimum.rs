//! Where the problem is convex, a linear model trained by whole batches ends at the optimum that coordinate descent in f64
//! finds, with the same weights at zero, though zeros leave storage on the way; and networks get connections back that left.

use std::fmt::Write;

use rarefy::data::TargetScale;
use rarefy::losses::LossMethod;
use rarefy::optimizers::Method;
use rarefy::penalties::{ConstraintMethod, PenaltyMethod};
use rarefy::random::{Purpose, Stream};
use rarefy::topology;
use rarefy::train::{Control, EpochRecord, Event, Settings, Trainer};

const SAMPLES: usize = 150;
const FEATURES: usize = 60;

/// Correlated features (a common part makes half of their variance) and a target of mean 0 and deviation 1, of 15 of them.
struct Problem {
    features: Vec<Vec<f64>>,
    target: Vec<f64>,
}

impl Problem {
    fn new() -> Problem {
        let mut stream = Stream::new(7, Purpose::Bench, 0, 0);
        let mut normal = || f64::from((stream.normal() * 1e4).round()) / 1e4;
        let mut features = Vec::new();
        let mut target = Vec::new();
        for _ in 0..SAMPLES {
            let common = normal();
            let row: Vec<f64> = (0..FEATURES).map(|_| (common + normal()) / 2.0).collect();
            let signal: f64 = (0..15).map(|at| row[4 * at] * (if at % 3 == 0 { -1.0 } else { 1.5 })).sum();
            target.push(signal + 2.0 * normal());
            features.push(row);
        }
        let mean = target.iter().sum::<f64>() / SAMPLES as f64;
        let square = target.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / SAMPLES as f64;
        target.iter_mut().for_each(|y| *y = (*y - mean) / square.sqrt());
        Problem { features, target }
    }

    fn csv(&self) -> String {
        let mut text = String::new();
        for (row, y) in self.features.iter().zip(&self.target) {
            row.iter().for_each(|x| write!(text, "{x},").unwrap());
            writeln!(text, "{y:.9}").unwrap();
        }
        text
    }

    /// `1/2 sum (y - w x - b)^2 + l1 sum |w| + l2/2 sum w^2` at the best b.
    fn objective(&self, weights: &[f64], [l1, l2]: [f64; 2]) -> f64 {
        let errors = self.features.iter().zip(&self.target);
        let errors = errors.map(|(row, y)| y - row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>());
        let errors: Vec<f64> = errors.collect();
        let mean = errors.iter().sum::<f64>() / SAMPLES as f64;
        let loss: f64 = errors.iter().map(|error| (error - mean).powi(2) / 2.0).sum();
        loss + weights.iter().map(|w| l1 * w.abs() + l2 * w * w / 2.0).sum::<f64>()
    }

    /// Coordinate descent, each weight at least `lower`, until nothing moves.
    fn solve(&self, [l1, l2]: [f64; 2], lower: f64) -> Vec<f64> {
        let center = |column: Vec<f64>| {
            let mean = column.iter().sum::<f64>() / SAMPLES as f64;
            column.iter().map(|x| x - mean).collect::<Vec<f64>>()
        };
        let columns: Vec<Vec<f64>> = (0..FEATURES)
            .map(|feature| center(self.features.iter().map(|row| row[feature]).collect()))
            .collect();
        let mut errors = center(self.target.clone());
        let mut weights = vec![0.0; FEATURES];
        for _ in 0..3000 {
            for (weight, column) in weights.iter_mut().zip(&columns) {
                let square: f64 = column.iter().map(|x| x * x).sum();
                let pull = column.iter().zip(&errors).map(|(x, e)| x * e).sum::<f64>() + square * *weight;
                let shrunk = pull.signum() * (pull.abs() - l1).max(0.0) / (square + l2);
                let new = shrunk.max(lower);
                errors.iter_mut().zip(column).for_each(|(error, x)| *error -= (new - *weight) * x);
                *weight = new;
            }
        }
        weights
    }
}

fn settings(path: &std::path::Path) -> Settings {
    let mut settings = Settings { threads: 1, ..Settings::default() };
    settings.data.path = path.to_str().unwrap().into();
    settings.data.task = toml::Value::from("regression").try_into().unwrap();
    settings.data.scale = toml::Value::from("none").try_into().unwrap();
    settings.data.target_scale = toml::Value::from("none").try_into().ok();
    settings.data.target_scale = Some(TargetScale::None);
    settings.data.validation_fraction = 0.0;
    settings.data.test_fraction = 0.0;
    settings.network.hidden = vec![];
    settings.loss.method = LossMethod::SumSquaredError;
    settings.topology.method = topology::Method::Static;
    settings.sparsity.density = 1.0;
    settings.optimizer.method = Method::Sgd;
    settings.optimizer.learning_rate = Some(3.5e-4.into());
    settings.schedule = toml::from_str("method = 'constant'").unwrap();
    settings.train.batch_size = Some(SAMPLES);
    settings
}

/// The weights that training ends with, and the connections that came back on the way.
fn train(settings: Settings) -> (Vec<f64>, usize) {
    let mut grown = 0;
    let mut run = Trainer::load(settings).unwrap();
    let outcome = run
        .train(&mut |event| {
            if let Event::Epoch { record: EpochRecord { grown: new, .. }, .. } = event {
                grown += new;
            }
            Control::Continue
        })
        .unwrap();
    let weights = &outcome.model.network().parameters().next().unwrap().weights;
    let mut all = vec![0.0; FEATURES];
    weights.connections().for_each(|(cell, slot)| all[cell] = f64::from(weights.values()[slot]));
    assert!(weights.live_values().iter().all(|&value| value != 0.0));
    (all, grown)
}

#[test]
fn convex_problems_end_at_their_optimum() {
    let (problem, folder) = (Problem::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("table.csv");
    std::fs::write(&path, problem.csv()).unwrap();
    let (l1, net) = (PenaltyMethod::L1, PenaltyMethod::ElasticNet);
    let (any, positive) = (ConstraintMethod::None, ConstraintMethod::NonNegative);
    let lasso = problem.solve([8.0, 0.0], f64::NEG_INFINITY);
    let radius = lasso.iter().map(|w| w.abs()).sum::<f64>() as f32;
    for (penalty, lambda, constraint, momentum) in [
        (l1, 8.0, any, 0.0),
        (l1, 8.0, any, 0.9),
        (l1, 3.0, positive, 0.0),
        (net, 12.0, any, 0.0),
        // With one output an input has one weight, and the group lasso is the lasso.
        (PenaltyMethod::GroupInputs, 8.0, any, 0.0),
        (PenaltyMethod::None, 0.0, positive, 0.0),
        (PenaltyMethod::None, 0.0, ConstraintMethod::L1Ball, 0.0),
    ] {
        let is_ball = constraint == ConstraintMethod::L1Ball;
        let mut settings = settings(&path);
        settings.penalty.method = penalty;
        settings.penalty.lambda = (penalty != PenaltyMethod::None).then_some(lambda);
        settings.constraint.method = constraint;
        // The ball on which the Lasso's optimum lies has the same one.
        settings.constraint.radius = is_ball.then_some(radius);
        settings.optimizer.momentum = momentum;
        if momentum > 0.0 {
            settings.optimizer.learning_rate = Some(3.5e-5.into());
        }
        settings.train.epochs = 5000;
        let strength = if penalty == net { [lambda / 2.0; 2] } else { [lambda, 0.0] }.map(f64::from);
        let lower = if constraint == positive { 0.0 } else { f64::NEG_INFINITY };
        let best = if is_ball { lasso.clone() } else { problem.solve(strength, lower) };
        let (weights, grown) = train(settings);
        let case = format!("{penalty:?} {constraint:?} momentum {momentum}");
        let [got, want] = [&weights, &best].map(|weights| problem.objective(weights, strength));
        assert!((got / want - 1.0).abs() < 1e-6, "{case}: {got}, not {want}");
        let supports = [&weights, &best].map(|weights| {
            weights.iter().enumerate().filter(|(_, w)| **w != 0.0).map(|(at, _)| at).collect::<Vec<usize>>()
        });
        assert_eq!(supports[0], supports[1], "{case}");
        assert!(
            supports[0].len() < FEATURES && grown > 0,
            "{case}: {} weights, {grown} came back",
            supports[0].len()
        );
    }
}

/// At the end no connection that top-k leaves out is pulled so hard that a step would put it in place of one that stays (a
/// stationary point of hard thresholding: Beck and Eldar 2013, definition 2.2): whichever were chosen early, others may come back.
#[test]
fn connections_come_back_under_top_k() {
    let (problem, folder) = (Problem::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("table.csv");
    std::fs::write(&path, problem.csv()).unwrap();
    let mut settings = settings(&path);
    settings.constraint.method = ConstraintMethod::TopK;
    settings.constraint.keep = Some(15.0 / FEATURES as f64);
    settings.train.epochs = 2000;
    let rate = f64::from(settings.optimizer.learning_rate());
    let (weights, _) = train(settings);
    let errors = problem.features.iter().zip(&problem.target);
    let errors = errors.map(|(row, y)| y - row.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>());
    let errors: Vec<f64> = errors.collect();
    let mean = errors.iter().sum::<f64>() / SAMPLES as f64;
    let slope = |feature: usize| -> f64 {
        problem.features.iter().zip(&errors).map(|(row, error)| row[feature] * (error - mean)).sum()
    };
    let kept = weights.iter().filter(|w| **w != 0.0).map(|w| w.abs());
    assert_eq!(kept.clone().count(), 15);
    let smallest = kept.fold(f64::INFINITY, f64::min);
    let absent = (0..FEATURES).filter(|&feature| weights[feature] == 0.0);
    let largest = absent.map(|feature| rate * slope(feature).abs()).fold(0.0, f64::max);
    assert!(
        largest <= smallest * 1.001,
        "a step moves an absent weight to {largest}, one that stays is {smallest}"
    );
}

/// In few steps a run is where plain proximal descent with every zero stored is, or nearly.
#[test]
fn leaving_zeros_out_costs_few_steps() {
    let (problem, folder) = (Problem::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("table.csv");
    std::fs::write(&path, problem.csv()).unwrap();
    let mut settings = settings(&path);
    settings.penalty.method = PenaltyMethod::L1;
    settings.penalty.lambda = Some(8.0);
    settings.train.epochs = 100;
    let start = Trainer::load(settings.clone()).unwrap();
    let mut weights: Vec<f64> =
        start.network().parameters().next().unwrap().weights.values().iter().map(|&w| w.into()).collect();
    let mut bias = 0.0;
    for _ in 0..100 {
        let rows = problem.features.iter().zip(&problem.target);
        let errors =
            rows.map(|(row, y)| bias + row.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>() - y);
        let errors: Vec<f64> = errors.collect();
        for (at, weight) in weights.iter_mut().enumerate() {
            let slope: f64 = errors.iter().zip(&problem.features).map(|(e, row)| e * row[at]).sum();
            let moved = *weight - 3.5e-4 * slope;
            *weight = moved.signum() * (moved.abs() - 3.5e-4 * 8.0).max(0.0);
        }
        bias -= 3.5e-4 * errors.iter().sum::<f64>();
    }
    let plain = problem.objective(&weights, [8.0, 0.0]);
    let got = problem.objective(&train(settings).0, [8.0, 0.0]);
    assert!(got < 1.01 * plain, "{got}, plain descent {plain}");
}

/// With mini-batches too, a few of the connections that left come back.
#[test]
fn networks_get_connections_back() {
    let mut settings = Settings { threads: 1, ..Settings::default() };
    settings.penalty.method = PenaltyMethod::L1;
    settings.penalty.lambda = Some(1e-3);
    settings.sparsity.density = 1.0;
    settings.topology.method = topology::Method::Static;
    settings.network.hidden = vec![32];
    settings.train.epochs = 5;
    let (mut grown, mut dropped) = (0, 0);
    let mut run = Trainer::load(settings).unwrap();
    run.train(&mut |event| {
        if let Event::Epoch { record, .. } = event {
            (grown, dropped) = (grown + record.grown, dropped + record.dropped);
        }
        Control::Continue
    })
    .unwrap();
    assert!(grown > 0 && dropped > grown, "{grown} grown, {dropped} dropped");
}
