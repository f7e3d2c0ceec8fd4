//! Each layer's gradients are what finite differences of the loss say, one row per network.

use rarefy::data::BatchTargets;
use rarefy::kernels::Isa;
use rarefy::layers::{ActivationName, Network, NetworkSettings, Pass, SparsitySettings};
use rarefy::losses::{LossSettings, Task};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{Allocation, Storage};
use rarefy::tiles::{Shape, Tiles};
use rarefy::train::score;

const SAMPLES: usize = 70;

#[test]
fn gradients_match_finite_differences() {
    use ActivationName::*;
    for activation in [Tanh, Sigmoid, Gelu, Silu, Identity, AllRelu] {
        for (storage, density) in [(Storage::Sparse, 0.4), (Storage::Dense, 0.4), (Storage::Auto, 1.0)] {
            for dropout in [0.0, 0.25] {
                // All-ReLU has a kink; its fused and unfused halves are linear almost everywhere.
                check(activation, storage, density, dropout);
            }
        }
    }
}

fn check(activation: ActivationName, storage: Storage, density: f64, dropout: f32) {
    let what = format!("{activation:?} {storage:?} dropout {dropout}");
    let settings =
        NetworkSettings { hidden: vec![9, 8], activation, slope: 0.6, dropout, ..NetworkSettings::default() };
    let sparsity =
        SparsitySettings { density, storage, allocation: Allocation::Uniform, ..Default::default() };
    let mut network = Network::random(&settings.spec(Shape::flat(6), 4).unwrap(), &sparsity, 5).unwrap();
    let mut stream = Stream::new(3, Purpose::Bench, 0, 0);
    let mut input = Tiles::zeros(6, SAMPLES);
    for sample in 0..SAMPLES {
        input.set_sample(sample, &std::array::from_fn::<f32, 6, _>(|_| stream.normal()));
    }
    let targets = BatchTargets::Classes((0..SAMPLES).map(|_| stream.below(4) as u32).collect());
    let loss = LossSettings::default().build(Task::Classification { counts: &[1; 4] }).unwrap();
    let pass = Pass { isa: Isa::detect(), training: Some((1, 1)) };
    let mut buffers = network.buffers(SAMPLES, true);
    for parameter in network.parameters_mut() {
        parameter.gradient = vec![f32::NAN; parameter.weights.values().len()];
    }
    network.forward(&pass, &input, &mut buffers);
    let (output, gradient) = buffers.output_and_gradient();
    score(&loss, pass.isa, output, &targets, Some(gradient));
    network.backward(&pass, &input, &mut buffers);
    let gradients: Vec<Vec<f32>> = network.parameters().map(|parameter| parameter.gradient.clone()).collect();

    for (index, gradients) in gradients.iter().enumerate() {
        let live: Vec<usize> =
            network.parameters().nth(index).unwrap().weights.connections().map(|(_, slot)| slot).collect();
        for &slot in live.iter().step_by(3) {
            let mut loss_at = |shift: f32| {
                network.parameters_mut().nth(index).unwrap().weights.values_mut()[slot] += shift;
                network.forward(&pass, &input, &mut buffers);
                let loss = score(&loss, pass.isa, buffers.output(), &targets, None).loss();
                network.parameters_mut().nth(index).unwrap().weights.values_mut()[slot] -= shift;
                loss
            };
            let expected = (loss_at(4e-3) - loss_at(-4e-3)) / 8e-3;
            let tolerance = if activation == ActivationName::AllRelu { 2e-2 } else { 2e-3 };
            let got = f64::from(gradients[slot]);
            assert!(
                (got - expected).abs() < tolerance,
                "{what}, parameter {index}, slot {slot}: {got} {expected}"
            );
        }
    }
}
