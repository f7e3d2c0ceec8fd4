//! Outputs and gradients against torch 2.15 in f64, both directions, two samples of 3 and 2 steps as a packed sequence. Weights,
//! inputs and the factors of the outputs in the loss are [`number`] of their places.

use crate::kernels::{Activation, Isa};
use crate::layers::{LayerSpec, Network, NetworkSpec, Pass, Precision, SparsitySettings, Vjp};
use crate::tiles::{Shape, Tiles};

fn number(place: usize) -> f32 {
    ((place * 37 + 11) % 29) as f32 / 29.0 - 0.45
}

/// A description, the outputs, the gradients of the input, and those of some parameters by name.
struct Case {
    layer: &'static str,
    outputs: [f32; 24],
    inputs: [f32; 12],
    parameters: &'static [(&'static str, &'static [f32])],
}

#[rustfmt::skip]
const CASES: [Case; 3] = [
    Case {
        layer: "layer = 'lstm'\nhidden = 2\nbidirectional = true",
        outputs: [
            0.170665, -0.051723, 0.205322, -0.109766, 0.146080, -0.149519, 0.224838, -0.146328,
            0.269865, -0.131716, 0.170549, -0.058933,
            0.051869, -0.001620, 0.134985, -0.033998, 0.275528, -0.080538, 0.185238, -0.073314,
            0.0, 0.0, 0.0, 0.0,
        ],
        inputs: [
            0.025995, 0.061931, -0.049458, -0.039244, 0.020276, -0.024644,
            0.020058, 0.013321, 0.039485, 0.006915, 0.0, 0.0,
        ],
        parameters: &[
            ("weight_ih", &[
                -0.019203, 0.003859, 0.002055, -0.007652, -0.017768, 0.001711, 0.001114, -0.000591,
                -0.078408, 0.055008, -0.034023, 0.013669, -0.031720, 0.006067, 0.004741, -0.007610,
            ]),
            ("weight_hh", &[
                -0.005823, 0.003504, 0.000507, -0.000298, -0.004441, 0.002336, 0.000207, -0.000071,
                -0.025519, 0.012743, -0.001978, 0.001189, -0.009589, 0.006173, 0.000929, -0.000391,
            ]),
            ("reverse.weight_hh", &[
                0.003640, -0.001522, -0.006978, 0.002685, 0.005772, -0.002317, -0.003396, 0.002087,
                0.027818, -0.011150, 0.030120, -0.015004, 0.009352, -0.004011, -0.007048, 0.003361,
            ]),
            ("reverse.bias_ih", &[
                0.080478, -0.011368, 0.031556, -0.015947, 0.279598, 0.010516, 0.122375, -0.018500,
            ]),
        ],
    },
    Case {
        layer: "layer = 'gru'\nhidden = 2\nbidirectional = true",
        outputs: [
            0.347038, -0.268463, 0.407897, -0.173471, 0.372449, -0.581024, 0.296468, -0.204024,
            0.505912, -0.627446, 0.341138, -0.103299,
            0.187501, -0.140243, 0.280882, 0.020045, 0.480203, -0.439917, 0.368745, -0.148080,
            0.0, 0.0, 0.0, 0.0,
        ],
        inputs: [
            0.011525, 0.037308, -0.051035, -0.107945, 0.002964, -0.002891,
            0.045649, 0.047289, 0.024605, 0.081184, 0.0, 0.0,
        ],
        parameters: &[
            ("weight_ih", &[
                -0.009497, 0.011715, 0.003615, 0.000106, 0.001397, -0.010620, -0.015412, 0.008142,
                -0.183218, 0.143920, -0.045817, 0.002155,
            ]),
            ("weight_hh", &[
                -0.007244, 0.006562, -0.000411, 0.000279, 0.008705, -0.010995, -0.000528, 0.000554,
                -0.079597, 0.080747, 0.000192, 0.000173,
            ]),
            ("reverse.weight_hh", &[
                0.006617, -0.002610, 0.001804, -0.001687, 0.004007, -0.001305, 0.022212, -0.007087,
                0.072470, -0.029094, 0.033138, -0.018885,
            ]),
            ("reverse.bias_hh", &[0.040028, -0.013080, -0.127059, 0.035474, 0.423932, -0.003881]),
        ],
    },
    Case {
        layer: "layer = 'rnn'\nhidden = 2\nactivation = 'relu'\nbidirectional = true",
        outputs: [
            0.126944, 0.140856, 0.0, 0.264636, 0.0, 0.964941, 0.0, 0.115629,
            0.020009, 0.587705, 0.0, 0.401141,
            0.034197, 0.0, 0.0, 0.0, 0.168383, 0.243968, 0.0, 0.557384,
            0.0, 0.0, 0.0, 0.0,
        ],
        inputs: [
            -0.067227, 0.338210, 0.088768, 0.276712, -0.068389, -0.244070,
            0.008258, -0.023968, 0.045431, -0.189706, 0.0, 0.0,
        ],
        parameters: &[
            ("weight_ih", &[-0.011954, 0.010822, 0.024613, 0.103703]),
            ("weight_hh", &[-0.002417, -0.267854, -0.001504, -0.011117]),
            ("reverse.weight_hh", &[0.0, 0.0, 0.0, 0.242296]),
            ("reverse.bias_ih", &[0.0, 0.241334]),
        ],
    },
];

fn assert_near(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours - theirs).abs() < 2e-6, "{what}, {at}: {ours} here, {theirs} in torch");
    }
}

#[test]
fn layers_compute_what_torch_does() {
    for case in CASES {
        let layer: LayerSpec = toml::from_str(case.layer).unwrap();
        let spec = NetworkSpec { inputs: Shape::sequence(3, 2), layers: vec![layer] };
        let mut network = Network::random(&spec, &SparsitySettings::dense(), 1).unwrap();
        let mut place = 0;
        for parameter in network.parameters_mut() {
            for value in parameter.weights.values_mut() {
                *value = number(place);
                place += 1;
            }
        }
        let mut input = Tiles::zeros(6, 2);
        let mut buffers = network.buffers(2, true);
        for sample in 0..2 {
            let values: Vec<f32> = (0..6).map(|feature| 2.0 * number(sample * 6 + feature)).collect();
            input.set_sample(sample, &values);
            let factors: Vec<f32> = (0..12).map(|feature| number(100 + sample * 12 + feature)).collect();
            buffers.output_and_gradient().1.set_sample(sample, &factors);
        }
        input.set_lengths([3, 2].into_iter());
        let pass = Pass::train(Isa::detect(), 1, 1);
        network.forward(&pass, &input, &mut buffers);
        let outputs = [buffers.output().sample(0), buffers.output().sample(1)].concat();
        assert_near(case.layer, &outputs, &case.outputs);
        let gradient = buffers.output_and_gradient().1.clone();
        let mut inputs = Tiles::zeros(6, 2);
        let gradient_input = Some(&mut inputs);
        let vjp = Vjp { input: &input, gradient: &gradient, gradient_input, gate: Activation::Identity };
        let mut gradients = network.gradients();
        network.sequence.backward(&pass, &network.parameters, &mut gradients, vjp, &mut buffers);
        assert_near(case.layer, &[inputs.sample(0), inputs.sample(1)].concat(), &case.inputs);
        for (name, theirs) in case.parameters {
            let index = network.parameters().position(|it| it.name == format!("layers.0.{name}")).unwrap();
            assert_near(&format!("{}: {name}", case.layer), &gradients[index].values, theirs);
        }
    }
}

/// A sequence cut in two, carried on, is the whole sequence; forgetting begins it anew; a pass made twice is the same.
#[test]
fn a_carried_state_goes_on_where_the_batch_before_ended() {
    for layer in ["lstm", "gru", "rnn"] {
        let network = |steps: usize, carry: bool| {
            let layer = toml::from_str(&format!("layer = '{layer}'\nhidden = 3\ncarry = {carry}")).unwrap();
            let spec = NetworkSpec { inputs: Shape::sequence(steps, 2), layers: vec![layer] };
            Network::random(&spec, &SparsitySettings::dense(), 1).unwrap()
        };
        let (whole, half) = (network(6, false), network(3, true));
        let steps: Vec<f32> = (0..12).map(number).collect();
        let run = |network: &Network, buffers: &mut crate::layers::Buffers, numbers: &[f32]| {
            let mut input = Tiles::zeros(numbers.len(), 70);
            input.set_sample(66, numbers);
            network.forward(&Pass::predict(Isa::detect()), &input, buffers);
            buffers.output().sample(66)
        };
        let all = run(&whole, &mut whole.buffers(70, false), &steps);
        let mut buffers = half.buffers(70, false);
        let first = run(&half, &mut buffers, &steps[..6]);
        assert_eq!(first, run(&half, &mut buffers, &steps[..6]), "{layer}");
        buffers.carry_on();
        let second = run(&half, &mut buffers, &steps[6..]);
        assert_eq!([&first[..], &second].concat(), all, "{layer}");
        buffers.carry_on();
        buffers.forget();
        assert_eq!(first, run(&half, &mut buffers, &steps[..6]), "{layer}");
    }
}

/// Of 40 samples the state stays 0, and 24 lanes of the tile are dead: with inputs of 0 theirs would grow until they are infinite.
#[test]
fn dead_lanes_do_not_reach_gradients() {
    let layer = toml::from_str("layer = 'rnn'\nhidden = 4\nactivation = 'relu'").unwrap();
    let spec = NetworkSpec { inputs: Shape::sequence(200, 1), layers: vec![layer] };
    let mut network = Network::random(&spec, &SparsitySettings::dense(), 1).unwrap();
    for (parameter, value) in network.parameters_mut().zip([-100.0, 1.0, 3.0]) {
        parameter.weights.values_mut().fill(value);
    }
    let (mut input, mut buffers) = (Tiles::zeros(200, 40), network.buffers(40, true));
    for sample in 0..40 {
        input.set_sample(sample, &[1.0; 200]);
        buffers.output_and_gradient().1.set_sample(sample, &[1.0; 800]);
    }
    let pass = Pass::train(Isa::detect(), 1, 1);
    network.forward(&pass, &input, &mut buffers);
    let mut gradients = network.gradients();
    network.backward(&pass, &input, &mut gradients, &mut buffers);
    assert!(gradients.iter().flat_map(|it| &it.values).all(|&value| value == 0.0), "{gradients:?}");
}

#[test]
fn what_cannot_be_is_told() {
    let sequence = Shape::sequence(4, 2);
    for (layer, input, problem) in [
        ("layer = 'lstm'\nhidden = 0", sequence, "hidden must be at least 1"),
        ("layer = 'gru'\nhidden = 2", Shape { height: 2, ..sequence }, "for sequences"),
        (
            "layer = 'lstm'\nhidden = 2\nbidirectional = true\ncarry = true",
            sequence,
            "cannot carry its state",
        ),
        ("layer = 'rnn'\nhidden = 2\nactivation = 'gelu'", sequence, "tanh or relu"),
    ] {
        let layer: LayerSpec = toml::from_str(layer).unwrap();
        let spec = NetworkSpec { inputs: input, layers: vec![layer] };
        let error = spec.shapes().unwrap_err();
        assert!(error.contains(problem) && error.starts_with("layer 1"), "{error}");
    }
}

/// Outputs of some samples and the gradients of their inputs, of a network that reads bf16 numbers, then the gradients of its weights.
fn pass_in_bf16(network: &Network, isa: Isa, samples: usize) -> [Vec<f32>; 2] {
    let rounded = network.with_rounded_weights(isa);
    let steps = network.spec().inputs.width;
    let features = network.spec().inputs.features();
    let (mut input, mut buffers) = (Tiles::zeros(features, samples), rounded.buffers(samples, true));
    for sample in 0..samples {
        let numbers: Vec<f32> = (0..features).map(|feature| number(31 * sample + feature)).collect();
        input.set_sample(sample, &numbers);
    }
    input.set_lengths((0..samples).map(|sample| 1 + (sample % steps) as u32));
    let pass = Pass::train(isa, 1, 1);
    rounded.forward(&pass, &input, &mut buffers);
    let outputs: Vec<f32> = (0..samples).flat_map(|sample| buffers.output().sample(sample)).collect();
    let mut predicting = rounded.buffers(samples, false);
    rounded.forward(&Pass::predict(isa), &input, &mut predicting);
    let predicted: Vec<f32> = (0..samples).flat_map(|sample| predicting.output().sample(sample)).collect();
    assert_eq!(outputs, predicted, "{isa}, {samples} samples");
    for sample in 0..samples {
        let factors: Vec<f32> = (0..buffers.output().features()).map(|at| number(17 * sample + at)).collect();
        buffers.output_and_gradient().1.set_sample(sample, &factors);
    }
    let mut gradients = rounded.gradients();
    rounded.backward(&pass, &input, &mut gradients, &mut buffers);
    [outputs, gradients.into_iter().flat_map(|gradient| gradient.values).collect()]
}

/// By pairs and by tiles, cut into pieces, and of any number of samples.
#[test]
fn states_in_bf16_are_the_same_however_they_are_multiplied() {
    for layer in ["lstm", "gru", "rnn"] {
        let layer: LayerSpec =
            toml::from_str(&format!("layer = '{layer}'\nhidden = 64\nbidirectional = true")).unwrap();
        let spec = NetworkSpec { inputs: Shape::sequence(5, 32), layers: vec![layer.clone(), layer] };
        for (density, block) in [(1.0, 1), (0.3, 1), (0.3, 4), (0.3, 16)] {
            let sparsity = SparsitySettings { density, block: block.into(), ..SparsitySettings::default() };
            let mut network = Network::random(&spec, &sparsity, 1).unwrap();
            network.set_precision(Precision::Bf16);
            let [outputs, gradients] = pass_in_bf16(&network, Isa::detect(), 70);
            for isa in Isa::available_bf16() {
                let what = format!("{:?}, density {density}, blocks of {block}, {isa}", spec.layers[0]);
                let [all, theirs] = pass_in_bf16(&network, isa, 70);
                let are_alike = |ours: &[f32], theirs: &[f32], tolerance: f32| {
                    let largest = ours.iter().fold(0.0, |largest: f32, it| largest.max(it.abs()));
                    assert!(largest > 0.01, "{what}");
                    for (ours, theirs) in ours.iter().zip(theirs) {
                        assert!((ours - theirs).abs() < tolerance * largest, "{what}: {ours}, {theirs}");
                    }
                };
                are_alike(&outputs, &all, 0.02);
                are_alike(&gradients, &theirs, 0.02);
                if Some(isa) == Isa::avx512_bf16() && density < 1.0 {
                    assert_eq!(outputs, all, "{what}: pairs are summed as numbers are");
                }
                for samples in [1, 2, 33, 64] {
                    let [few, _] = pass_in_bf16(&network, isa, samples);
                    assert!(few == all[..few.len()], "{what}, {samples} samples");
                }
            }
        }
    }
}
