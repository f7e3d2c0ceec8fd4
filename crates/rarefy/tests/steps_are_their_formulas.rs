//! A step of every optimizer is its formula, from the batch to the weights: the gradient of the mean loss by central differences
//! of a plain reference in f64, clipped number by number and then by the joint norm, and moved as the optimizer's file says.

use std::cell::RefCell;

use crate::reference::Reference;
use rarefy::data::{Batch, Dataset, Features, Targets};
use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::losses::{LossSettings, Task};
use rarefy::optimizers::{Method, OptimizerSettings};
use rarefy::penalties::{ConstraintSettings, PenaltyMethod, PenaltySettings};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::Storage;
use rarefy::tiles::Shape;
use rarefy::train::{Engine, EngineParts, Sparsifier};

const SAMPLES: usize = 20;
const INPUTS: usize = 5;
const CLASSES: usize = 3;
/// Batches of an epoch, by which Armijo's step grows.
const BATCHES: u64 = 4;
/// The L1 penalty of the Bregman methods.
const LAMBDA: f64 = 0.02;

/// Settings, the learning rate of each step, and how many steps are followed.
const ROWS: &[(&str, f64, u64)] = &[
    ("method = 'sgd'", 0.1, 4),
    ("method = 'sgd'\nclip_value = 0.02\nclip_norm = 0.05", 0.1, 4),
    ("method = 'sgd'\nmomentum = 0.9\nweight_decay = 0.1", 0.1, 4),
    ("method = 'sgd'\nmomentum = 0.9\nnesterov = true\nweight_decay = 0.1", 0.1, 4),
    ("method = 'adam'\nweight_decay = 0.1", 0.01, 4),
    ("method = 'adamw'\nweight_decay = 0.1\nclip_norm = 0.1", 0.01, 4),
    ("method = 'rmsprop'\nweight_decay = 0.1", 0.01, 4),
    ("method = 'rmsprop'\nmomentum = 0.5", 0.01, 4),
    ("method = 'adagrad'\nweight_decay = 0.1", 0.01, 4),
    ("method = 'prodigy'\nweight_decay = 0.1", 1.0, 24),
    ("method = 'schedule-free-sgd'\nweight_decay = 0.1", 0.1, 4),
    ("method = 'schedule-free-adamw'\nweight_decay = 0.1", 0.01, 4),
    ("method = 'armijo'\nlearning_rate = 9.0", 9.0, 4),
    ("method = 'barzilai-borwein'\nlearning_rate = 0.1", 0.1, 4),
    ("method = 'linbreg'", 0.1, 4),
    ("method = 'linbreg'\nmomentum = 0.9", 0.1, 4),
    ("method = 'adabreg'", 0.01, 4),
];

/// The trained numbers of a network in a row, and what an optimizer keeps for each.
struct Plain {
    settings: OptimizerSettings,
    w: Vec<f64>,
    /// Whether each is a weight, which decays and is penalised.
    is_weight: Vec<bool>,
    /// State of each number, as the formulas name it.
    m: Vec<f64>,
    v: Vec<f64>,
    z: Vec<f64>,
    start: Vec<f64>,
    /// State of the whole: Prodigy's distance and its numerator; the sum of squared rates; the last step; the losses.
    distance: f64,
    numerator: f64,
    weights: f64,
    reach: f64,
    losses: Vec<f64>,
}

impl Plain {
    fn new(settings: &OptimizerSettings, w: Vec<f64>, is_weight: Vec<bool>) -> Plain {
        let zeros = vec![0.0; w.len()];
        let mut plain = Plain {
            settings: settings.clone(),
            is_weight,
            m: zeros.clone(),
            v: zeros,
            z: w.clone(),
            start: w.clone(),
            w,
            distance: 1e-6,
            numerator: 0.0,
            weights: 0.0,
            reach: 0.0,
            losses: Vec::new(),
        };
        if settings.method.is_bregman() {
            for i in 0..plain.w.len() {
                plain.z[i] += plain.lambda(i) * plain.w[i].signum();
            }
        }
        plain
    }

    fn lambda(&self, i: usize) -> f64 {
        if self.is_weight[i] { LAMBDA } else { 0.0 }
    }

    /// One step at learning rate `l`; `t` counts from 1, `loss` is the batch's at any weights.
    #[expect(clippy::too_many_lines, reason = "an arm for each optimizer")]
    fn step(&mut self, t: u64, l: f64, g: &[f64], loss: &dyn Fn(&[f64]) -> f64) {
        let f = |number: f32| f64::from(number);
        let (momentum, rho) = (f(self.settings.momentum), f(self.settings.rho));
        let (beta1, beta2) = (f(self.settings.beta1), f(self.settings.beta2));
        let epsilon = f(self.settings.epsilon());
        let decay: Vec<f64> = self
            .is_weight
            .iter()
            .map(|&is_weight| if is_weight { f(self.settings.weight_decay()) } else { 0.0 })
            .collect();
        let (first, second) = (1.0 - beta1.powi(t as i32), 1.0 - beta2.powi(t as i32));
        let square: f64 = g.iter().map(|g| g * g).sum();
        match self.settings.method {
            Method::Armijo => {
                let growth = 2f64.powf(1.0 / BATCHES as f64);
                self.reach = if t == 1 { l } else { (self.reach * growth).min(10.0) };
                let before = loss(&self.w);
                while loss(&self.moved(self.reach, g)) > before - 0.1 * self.reach * square {
                    self.reach *= 0.7;
                }
                self.w = self.moved(self.reach, g);
                return;
            }
            Method::BarzilaiBorwein => {
                // `z` and `m` are the last weights and gradient.
                let s: Vec<f64> = self.w.iter().zip(&self.z).map(|(w, last)| w - last).collect();
                let y = g.iter().zip(&self.m).map(|(g, last)| g - last);
                let curved: f64 = s.iter().zip(y).map(|(s, y)| s * y).sum();
                let moved: f64 = s.iter().map(|s| s * s).sum();
                self.reach = match t {
                    1 => l,
                    _ if curved > 0.0 => (moved / curved).clamp(1e-6, 1e4),
                    _ => (10.0 * self.reach).clamp(1e-6, 1e4),
                };
                (self.z, self.m) = (self.w.clone(), g.to_vec());
                self.losses.push(loss(&self.w));
                let largest = self.losses.iter().rev().take(10).copied().fold(f64::NEG_INFINITY, f64::max);
                while loss(&self.moved(self.reach, g)) > largest - 1e-4 * self.reach * square {
                    self.reach /= 2.0;
                }
                self.w = self.moved(self.reach, g);
                return;
            }
            Method::Prodigy => {
                let d = self.distance;
                let correlation: f64 = (0..g.len()).map(|i| g[i] * (self.start[i] - self.w[i])).sum();
                for i in 0..g.len() {
                    self.m[i] = beta1 * self.m[i] + (1.0 - beta1) * d * g[i];
                    self.v[i] = beta2 * self.v[i] + (1.0 - beta2) * d * d * g[i] * g[i];
                    // `z` is `s`, which begins at 0.
                    let before = if t == 1 { 0.0 } else { self.z[i] };
                    self.z[i] = beta2.sqrt() * before + d * d / 1e-6 * g[i];
                }
                self.numerator = beta2.sqrt() * self.numerator + d / 1e-6 * d * l * correlation;
                self.distance = d.max(self.numerator / self.z.iter().map(|s| s.abs()).sum::<f64>());
                for i in 0..g.len() {
                    let root = self.v[i].sqrt() + self.distance * epsilon;
                    self.w[i] -= d * l * decay[i] * self.w[i] + d * l * self.m[i] / root;
                }
                return;
            }
            _ => {}
        }
        // What is left looks at each number alone.
        self.reach = self.reach.max(l);
        self.weights += self.reach * self.reach;
        let c = self.reach * self.reach / self.weights;
        for i in 0..g.len() {
            let (w, decay, g) = (self.w[i], decay[i], g[i]);
            let decayed = g + decay * w;
            match self.settings.method {
                Method::Sgd => {
                    self.v[i] = momentum * self.v[i] + decayed;
                    let nesterov = decayed + momentum * self.v[i];
                    self.w[i] -= l * if self.settings.nesterov { nesterov } else { self.v[i] };
                }
                Method::Adam | Method::Adamw => {
                    let is_apart = self.settings.method == Method::Adamw;
                    let g = if is_apart { g } else { decayed };
                    self.m[i] = beta1 * self.m[i] + (1.0 - beta1) * g;
                    self.v[i] = beta2 * self.v[i] + (1.0 - beta2) * g * g;
                    let shrunk = if is_apart { w - l * decay * w } else { w };
                    self.w[i] = shrunk - l * (self.m[i] / first) / ((self.v[i] / second).sqrt() + epsilon);
                }
                Method::Rmsprop => {
                    self.v[i] = rho * self.v[i] + (1.0 - rho) * decayed * decayed;
                    self.m[i] = momentum * self.m[i] + decayed / (self.v[i].sqrt() + epsilon);
                    self.w[i] -= l * self.m[i];
                }
                Method::Adagrad => {
                    self.v[i] += decayed * decayed;
                    self.w[i] -= l * decayed / (self.v[i].sqrt() + epsilon);
                }
                Method::ScheduleFreeSgd | Method::ScheduleFreeAdamw => {
                    // `start` is the average.
                    self.v[i] = beta2 * self.v[i] + (1.0 - beta2) * g * g;
                    let is_adaptive = self.settings.method == Method::ScheduleFreeAdamw;
                    let g = if is_adaptive { g / ((self.v[i] / second).sqrt() + epsilon) } else { g };
                    self.z[i] -= l * (g + decay * w);
                    self.start[i] = (1.0 - c) * self.start[i] + c * self.z[i];
                    self.w[i] = beta1 * self.start[i] + (1.0 - beta1) * self.z[i];
                }
                Method::Linbreg | Method::Adabreg => {
                    let is_adaptive = self.settings.method == Method::Adabreg;
                    let (keep, g) = if is_adaptive { (beta1, g) } else { (momentum, l * g) };
                    self.m[i] = keep * self.m[i] + (1.0 - keep) * g;
                    self.v[i] = beta2 * self.v[i] + (1.0 - beta2) * g * g;
                    self.z[i] -= if is_adaptive {
                        l * (self.m[i] / first) / ((self.v[i] / second).sqrt() + epsilon)
                    } else {
                        self.m[i]
                    };
                    self.w[i] = self.z[i].signum() * (self.z[i].abs() - self.lambda(i)).max(0.0);
                }
                Method::Prodigy | Method::Armijo | Method::BarzilaiBorwein => unreachable!("done above"),
            }
        }
    }

    fn moved(&self, step: f64, g: &[f64]) -> Vec<f64> {
        self.w.iter().zip(g).map(|(w, g)| w - step * g).collect()
    }
}

fn dataset() -> Dataset {
    let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
    Dataset {
        shape: Shape::flat(INPUTS),
        features: Features::Dense((0..SAMPLES * INPUTS).map(|_| stream.normal()).collect()),
        lengths: Vec::new(),
        targets: Targets::Classes {
            labels: (0..SAMPLES).map(|_| stream.below(CLASSES) as u32).collect(),
            classes: CLASSES,
        },
        weights: None,
    }
}

fn engine(settings: &OptimizerSettings, storage: Storage) -> Engine {
    let layers = [
        "layer = 'elementwise'\nactivation = 'tanh'",
        "layer = 'linear'\noutputs = 6\nactivation = 'tanh'",
        "layer = 'layer-norm'",
        "layer = 'linear'\noutputs = 3",
    ];
    let layers: Vec<LayerSpec> = layers.iter().map(|layer| toml::from_str(layer).unwrap()).collect();
    let spec = NetworkSpec { inputs: Shape::flat(INPUTS), layers };
    let sparsity = SparsitySettings { density: 0.6, storage, ..SparsitySettings::default() };
    let network = Network::random(&spec, &sparsity, 1).unwrap();
    let penalty = if settings.method.is_bregman() {
        PenaltySettings { method: PenaltyMethod::L1, lambda: Some(LAMBDA as f32), ..Default::default() }
    } else {
        PenaltySettings::default()
    };
    let loss = LossSettings::default().build(Task::Classification { counts: &[1; CLASSES] }).unwrap();
    let optimizer = settings.build().unwrap().with_epoch(BATCHES);
    Engine::new(EngineParts {
        clip_norm: settings.clip_norm,
        clip_value: settings.clip_value,
        sparsifier: Sparsifier::new(&penalty, &ConstraintSettings::default(), None).unwrap(),
        seed: 1,
        ..EngineParts::new(network, loss, optimizer, SAMPLES)
    })
}

/// The trained numbers of a network: where each stands among the arrays, its value, and whether it is a weight.
fn numbers(network: &Network) -> Vec<((String, usize), f64, bool)> {
    let trained = network.parameters().filter(|parameter| parameter.is_trained());
    let all = trained.flat_map(|parameter| {
        parameter.weights.connections().map(|(cell, slot)| {
            let value = f64::from(parameter.weights.values()[slot]);
            ((parameter.name.clone(), cell), value, parameter.is_weight())
        })
    });
    all.collect()
}

/// The mean cross-entropy of the batch.
fn loss(reference: &Reference, batch: &crate::reference::Batch, labels: &[u32]) -> f64 {
    let losses = reference
        .forward(batch)
        .samples
        .into_iter()
        .zip(labels)
        .map(|(z, &label)| z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[label as usize]);
    losses.sum::<f64>() / labels.len() as f64
}

/// As the settings say: first each number, then all of them by their joint norm.
fn clip(settings: &OptimizerSettings, g: &mut [f64]) {
    if let Some(limit) = settings.clip_value.map(f64::from) {
        g.iter_mut().for_each(|g| *g = g.clamp(-limit, limit));
    }
    if let Some(limit) = settings.clip_norm.map(f64::from) {
        let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        g.iter_mut().for_each(|g| *g *= (limit / (norm + 1e-6)).min(1.0));
    }
}

#[test]
fn steps_are_their_formulas() {
    for method in Method::ALL {
        let name = serde_json::to_value(method).unwrap();
        let row = format!("method = '{}'", name.as_str().unwrap());
        assert!(ROWS.iter().any(|(text, ..)| text.starts_with(&row)), "no row for {row}");
    }
    let data = dataset();
    let mut batch = Batch::new(&data, SAMPLES);
    batch.fill(&data, &(0..SAMPLES).collect::<Vec<_>>());
    let (Features::Dense(features), Targets::Classes { labels, .. }) = (&data.features, &data.targets) else {
        unreachable!("made so")
    };
    let samples = features.chunks(INPUTS).map(|sample| sample.iter().copied().map(f64::from).collect());
    let plain_batch =
        crate::reference::Batch { shape: data.shape, samples: samples.collect(), lengths: None };
    for &(text, learning_rate, steps) in ROWS {
        let settings: OptimizerSettings = toml::from_str(text).unwrap();
        for storage in [Storage::Sparse, Storage::Dense] {
            let mut engine = engine(&settings, storage);
            let start = numbers(&engine.network);
            let w = start.iter().map(|(_, value, _)| *value).collect();
            let mut plain =
                Plain::new(&settings, w, start.iter().map(|(.., is_weight)| *is_weight).collect());
            let reference = RefCell::new(Reference::new(&engine.network, Vec::new()));
            let loss_at = |w: &[f64]| {
                let mut reference = reference.borrow_mut();
                for (((name, cell), ..), value) in start.iter().zip(w) {
                    reference.arrays.get_mut(name).unwrap()[*cell] = *value;
                }
                loss(&reference, &plain_batch, labels)
            };
            for t in 1..=steps {
                let slope = |i: usize| {
                    let at = |by: f64| {
                        let mut w = plain.w.clone();
                        w[i] += by;
                        loss_at(&w)
                    };
                    (at(1e-5) - at(-1e-5)) / 2e-5
                };
                let mut g: Vec<f64> = (0..plain.w.len()).map(slope).collect();
                clip(&settings, &mut g);
                plain.step(t, learning_rate, &g, &loss_at);
                engine.step(&batch, t, learning_rate as f32);
                let moved = plain.w.iter().zip(&start).map(|(w, (_, start, _))| (w - start).abs());
                // Prodigy's first steps are as small as the rounding of the weights, and their sizes decide the later ones.
                let share = if settings.method == Method::Prodigy { 0.05 } else { 1e-3 };
                let tolerance = 5e-6 + share * moved.fold(0.0, f64::max);
                for (((name, cell), found, _), expected) in numbers(&engine.network).iter().zip(&plain.w) {
                    let is_near = (found - expected).abs() <= tolerance;
                    assert!(is_near, "{text}, {storage:?}, step {t}, {name} {cell}: {found}, not {expected}");
                }
            }
        }
    }
}
