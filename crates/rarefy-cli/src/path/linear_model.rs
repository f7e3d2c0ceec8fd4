//! A linear model of a path as a network that the other verbs read.

use rarefy::convex::{Loss, Solution};
use rarefy::data::Task;
use rarefy::kernels::Activation;
use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::losses::Head;
use rarefy::penalties::PenaltyMethod;
use rarefy::sparse::{Pattern, Storage, Weights};
use rarefy::tiles::Shape;
use rarefy::topology;
use rarefy::train::Settings;

/// The settings that `rarefy train` would begin such a model with.
pub fn saved_settings(settings: &Settings, answer: &Solution) -> Settings {
    let mut settings = settings.clone();
    settings.network.hidden = Vec::new();
    settings.sparsity = SparsitySettings::dense();
    settings.topology.method = topology::Method::Static;
    if settings.penalty.method == PenaltyMethod::None {
        settings.penalty.method = PenaltyMethod::L1;
    }
    settings.penalty.lambda = Some(answer.lambda as f32);
    settings
}

/// The model as a network without hidden layers, and how its outputs become predictions.
///
/// ```text
/// numbers, squared        z                  label 1 of numbers, logistic     sigmoid(z)
/// two classes, squared    1 - z, z           two classes, logistic            softmax(0, z)
/// ```
///
/// Its outputs are those of scaled targets, whose `mean` and `deviation` the model undoes.
pub fn linear_network(
    answer: &Solution,
    inputs: Shape,
    loss: Loss,
    task: Task,
    (mean, deviation): (f64, f64),
) -> (Network, Head) {
    // For each output what it takes of z, and what is added.
    let (outputs, head): (&[(f64, f64)], Head) = match (task, loss) {
        (Task::Classification, Loss::Squared) => (&[(-1.0, 1.0), (1.0, 0.0)], Head::Identity),
        (Task::Classification, Loss::Logistic) => (&[(0.0, 0.0), (1.0, 0.0)], Head::Softmax),
        (_, Loss::Squared) => (&[(1.0, 0.0)], Head::Identity),
        (_, Loss::Logistic) => (&[(1.0, 0.0)], Head::Sigmoid),
    };
    let links: Vec<(usize, f32)> = outputs
        .iter()
        .enumerate()
        .filter(|(_, (share, _))| *share != 0.0)
        .flat_map(|(row, (share, _))| {
            let weights = answer.coefficients.iter();
            weights.map(move |&(feature, weight)| {
                (row * inputs.features() + feature, (share * weight / deviation) as f32)
            })
        })
        .collect();
    let inputs = Shape::flat(inputs.features());
    let spec = NetworkSpec { inputs, layers: vec![LayerSpec::linear(outputs.len(), Activation::Identity)] };
    let mut network = Network::load(&spec, Storage::Auto, |_, rows, cols| {
        let pattern = Pattern::from_cells(rows, cols, links.iter().map(|(cell, _)| *cell));
        let mut weights = Weights::zeros(pattern, Storage::Auto);
        let slots: Vec<usize> = weights.connections().map(|(_, slot)| slot).collect();
        for (slot, (_, weight)) in slots.into_iter().zip(&links) {
            weights.values_mut()[slot] = *weight;
        }
        Ok(weights)
    })
    .expect("weights in memory can be had");
    let bias = network.parameters_mut().find(|parameter| !parameter.is_weight()).expect("a layer has a bias");
    for (bias, (share, more)) in bias.weights.values_mut().iter_mut().zip(outputs) {
        *bias = ((share * answer.intercept + more - mean) / deviation) as f32;
    }
    (network, head)
}
