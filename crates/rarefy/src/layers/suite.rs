//! What every layer promises. A new layer joins by a row of [`ROWS`]: its description as in a file, and what it is given.
//!
//! - Gradients of parameters and inputs match central differences of a loss summed in `f64`, in both storages.
//! - Same bits for any number of threads.
//! - When predicting, a sample's output does not depend on its batch.
//! - What stands beyond a sample's length changes nothing that is within it, and gets no gradient.
//! - Gradients of absent connections, as growth rules ask for them, are those of the same connections made live.
//!
//! All of it also for batches so small that they are folded.

use super::*;
use crate::kernels::{Activation, Isa};
use crate::random::{Purpose, Stream};
use crate::sparse::{Allocation, Storage};
use crate::tiles::{LANES, Shape, Tiles};

/// A layer, what goes in, and what the sequences are like.
struct Case {
    layer: &'static str,
    input: Shape,
    /// Whether samples have lengths of their own.
    has_lengths: bool,
    /// Numbers below which inputs are whole numbers: tokens, which have no gradient. 0 for others.
    tokens: usize,
}

const fn case(layer: &'static str, input: [usize; 3]) -> Case {
    let [height, width, channels] = input;
    Case { layer, input: Shape { height, width, channels }, has_lengths: false, tokens: 0 }
}

impl Case {
    const fn of_tokens(self, tokens: usize) -> Case {
        Case { tokens, ..self }
    }

    const fn with_lengths(self) -> Case {
        Case { has_lengths: true, ..self }
    }
}

const ROWS: &[Case] = &[
    case("layer = 'linear'\noutputs = 5\nactivation = 'tanh'", [1, 1, 7]),
    case("layer = 'linear'\noutputs = 5", [1, 6, 7]),
    case("layer = 'conv2d'\nfilters = 5\nkernel = 3\npadding = 'same'\nactivation = 'tanh'", [5, 6, 4]),
    case(
        "layer = 'conv2d'\nfilters = 3\nkernel = [2, 3]\nstride = [2, 1]\npadding = [1, 0]\nbias = false",
        [5, 7, 2],
    ),
    case("layer = 'conv2d'\nfilters = 6\nkernel = 3\ngroups = 2\ndilation = 2\npadding = 2", [5, 4, 4]),
    case("layer = 'conv2d'\nfilters = 8\nkernel = 3\ngroups = 4\nstride = 2\npadding = 1", [6, 7, 4]),
    case("layer = 'conv2d'\nfilters = 5\nkernel = 1", [3, 3, 4]),
    case("layer = 'conv2d'\nfilters = 4\nkernel = 7\npadding = 3", [6, 5, 2]),
    case("layer = 'conv1d'\nfilters = 7\nkernel = 5\npadding = 2\nstride = 2", [1, 19, 9]),
    case("layer = 'conv1d'\nfilters = 4\nkernel = 3\npadding = 1\nactivation = 'tanh'", [1, 7, 3]).with_lengths(),
    case("layer = 'conv1d'\nfilters = 6\nkernel = 3\ngroups = 3\nstride = 2\ndilation = 2", [1, 9, 3]).with_lengths(),
    case("layer = 'max-pool'\nkernel = 2", [5, 4, 3]),
    case("layer = 'max-pool'\nkernel = 3\nstride = 2\npadding = 1\ndilation = [1, 2]", [5, 7, 3]),
    case("layer = 'max-pool'\nkernel = 3\nstride = 2", [1, 9, 2]).with_lengths(),
    case("layer = 'max-pool'\nkernel = 3\nstride = 1\npadding = 1\ndilation = 2", [1, 7, 2]).with_lengths(),
    case("layer = 'average-pool'\nkernel = [2, 3]\nstride = 1\npadding = 1", [4, 5, 3]),
    case("layer = 'average-pool'\nkernel = 2", [1, 7, 4]).with_lengths(),
    case("layer = 'average-pool'\nkernel = 3\nstride = 1\npadding = 1", [1, 7, 2]).with_lengths(),
    case("layer = 'global-average-pool'", [3, 3, 20]),
    case("layer = 'global-average-pool'", [1, 6, 5]).with_lengths(),
    case("layer = 'global-max-pool'", [3, 3, 20]),
    case("layer = 'global-max-pool'", [1, 6, 5]).with_lengths(),
    case("layer = 'last-step'", [1, 5, 18]),
    case("layer = 'last-step'", [1, 6, 5]).with_lengths(),
    case("layer = 'attention-pool'", [1, 5, 18]),
    case("layer = 'attention-pool'", [1, 6, 5]).with_lengths(),
    case("layer = 'elementwise'\nactivation = 'gelu'", [1, 3, 4]),
    case("layer = 'dropout'\nrate = 0.4", [1, 2, 9]),
    case("layer = 'flatten'", [3, 2, 2]),
    case("layer = 'embedding'\nvocabulary = 7\nchannels = 5", [1, 6, 1]).of_tokens(7),
    case("layer = 'embedding'\nvocabulary = 90\nchannels = 3\npadding = true", [1, 4, 1]).of_tokens(90),
    case("layer = 'positional-encoding'\npositions = 'learned'", [1, 5, 6]),
    case("layer = 'positional-encoding'\npositions = 'sinusoidal'", [1, 5, 6]).with_lengths(),
    case("layer = 'attention'\nheads = 2", [1, 5, 6]),
    case("layer = 'attention'\nheads = 1\ncausal = true", [1, 21, 4]),
    case("layer = 'attention'\nheads = 3\nrotary = true", [1, 4, 12]).with_lengths(),
    case("layer = 'attention'\nheads = 2\ncausal = true\nrotary = true", [1, 18, 8]).with_lengths(),
    case("layer = 'lstm'\nhidden = 5", [1, 6, 4]),
    case("layer = 'lstm'\nhidden = 4", [1, 5, 3]).with_lengths(),
    case("layer = 'lstm'\nhidden = 3\nbidirectional = true", [1, 4, 3]),
    case("layer = 'lstm'\nhidden = 3\nbidirectional = true", [1, 5, 2]).with_lengths(),
    case("layer = 'lstm'\nhidden = 3\ncarry = true", [1, 4, 2]),
    case("layer = 'gru'\nhidden = 5", [1, 6, 4]),
    case("layer = 'gru'\nhidden = 3\nbidirectional = true", [1, 5, 4]).with_lengths(),
    case("layer = 'rnn'\nhidden = 5", [1, 6, 4]),
    case("layer = 'rnn'\nhidden = 4\nbidirectional = true", [1, 5, 3]).with_lengths(),
    case("layer = 'residual'\nbody = [{layer = 'linear', outputs = 6}]\nactivation = 'tanh'", [1, 1, 6]),
    case(
        "layer = 'residual'\nactivation = 'tanh'
        body = [{layer = 'conv2d', filters = 3, kernel = 3, stride = 2, padding = 1, activation = 'tanh'},
                {layer = 'conv2d', filters = 5, kernel = 3, padding = 1, activation = 'sigmoid'}]
        shortcut = [{layer = 'conv2d', filters = 5, kernel = 1, stride = 2}]",
        [5, 4, 4],
    ),
    case(
        "layer = 'residual'\nbody = [{layer = 'residual', body = [{layer = 'linear', outputs = 4}]},
                {layer = 'elementwise', activation = 'gelu'}]",
        [1, 6, 4],
    )
    .with_lengths(),
    case(
        "layer = 'parallel'\njoin = 'concat'\nbranches = [[{layer = 'linear', outputs = 3, activation = 'tanh'}], [],
                [{layer = 'dropout', rate = 0.3}, {layer = 'linear', outputs = 4}]]",
        [2, 3, 4],
    ),
    case(
        "layer = 'parallel'\njoin = 'concat'\nbranches = [[], [{layer = 'conv1d', filters = 3, kernel = 3, padding = 1}]]",
        [1, 7, 2],
    )
    .with_lengths(),
    case(
        "layer = 'parallel'\njoin = 'add'\nbranches = [[{layer = 'linear', outputs = 4, activation = 'sigmoid'}],
                [{layer = 'linear', outputs = 4}], []]",
        [1, 1, 4],
    ),
    case("layer = 'batch-norm'", [3, 2, 5]),
    case("layer = 'batch-norm'\nactivation = 'tanh'", [1, 1, 40]),
    case("layer = 'batch-norm'\nactivation = 'sigmoid'", [1, 6, 3]).with_lengths(),
    case("layer = 'layer-norm'", [1, 6, 5]).with_lengths(),
    case("layer = 'layer-norm'", [1, 1, 9]),
    case("layer = 'rms-norm'", [1, 6, 5]).with_lengths(),
    case("layer = 'rms-norm'", [3, 2, 9]),
    case("layer = 'group-norm'\ngroups = 2", [3, 3, 6]),
    case("layer = 'group-norm'\ngroups = 1", [1, 6, 4]).with_lengths(),
    case(
        "layer = 'residual'\nbody = [{layer = 'layer-norm'}, {layer = 'linear', outputs = 4}, {layer = 'batch-norm'}]",
        [2, 3, 4],
    ),
];

#[test]
fn names_are_those_in_files() {
    for case in ROWS {
        let layer: LayerSpec = toml::from_str(case.layer).unwrap();
        assert_eq!(serde_json::to_value(&layer).unwrap()["layer"], layer.name());
    }
}

/// A network of the one layer, its parameters all away from their starts.
fn network(case: &Case, density: f64, storage: Storage) -> Network {
    network_of(case, Vec::new(), density, storage)
}

/// The same after other layers.
fn network_of(case: &Case, mut layers: Vec<LayerSpec>, density: f64, storage: Storage) -> Network {
    let layer = toml::from_str(case.layer).unwrap_or_else(|error| panic!("{}: {error}", case.layer));
    layers.push(layer);
    let spec = NetworkSpec { inputs: case.input, layers };
    let sparsity =
        SparsitySettings { density, allocation: Allocation::Uniform, storage, ..Default::default() };
    let mut network = Network::random(&spec, &sparsity, 3).unwrap();
    let mut stream = Stream::new(5, Purpose::Bench, 0, 0);
    for parameter in network.parameters_mut() {
        if !parameter.is_weight() && parameter.is_trained() {
            parameter.weights.values_mut().iter_mut().for_each(|value| *value += 0.3 * stream.normal());
        }
    }
    network
}

fn input(case: &Case, samples: usize) -> Tiles {
    let mut stream = Stream::new(7, Purpose::Bench, 0, 0);
    let mut input = Tiles::zeros(case.input.features(), samples);
    for sample in 0..samples {
        let mut draw = || match case.tokens {
            0 => stream.normal(),
            tokens => (stream.uniform() * tokens as f32).floor(),
        };
        let values: Vec<f32> = (0..case.input.features()).map(|_| draw()).collect();
        input.set_sample(sample, &values);
    }
    if case.has_lengths {
        let steps = case.input.width as u32;
        input.set_lengths((0..samples as u32).map(|sample| 1 + sample % steps));
    }
    input
}

/// The factor of each output in the loss.
fn factor(sample: usize, feature: usize) -> f32 {
    ((sample * 31 + feature * 17) % 13) as f32 / 6.0 - 1.0
}

fn loss(network: &Network, pass: &Pass, input: &Tiles, buffers: &mut Buffers) -> f64 {
    network.forward(pass, input, buffers);
    let output = buffers.output();
    let mut sum = 0.0;
    for sample in 0..output.samples() {
        for feature in 0..output.features() {
            sum += f64::from(output.at(sample, feature)) * f64::from(factor(sample, feature));
        }
    }
    sum
}

/// A forward and a backward pass; returns the gradients of the parameters and that of the input.
fn train(network: &Network, pass: &Pass, input: &Tiles, buffers: &mut Buffers) -> (Vec<Gradient>, Tiles) {
    network.forward(pass, input, buffers);
    let fused = network.sequence.fused();
    let (output, gradient) = buffers.output_and_gradient();
    let features = output.features();
    for (index, row) in gradient.rows_mut().iter_mut().enumerate() {
        let (tile, feature) = (index / features, index % features);
        row.0 = std::array::from_fn(|lane| {
            if lane < output.live(tile) { factor(tile * LANES + lane, feature) } else { 0.0 }
        });
        fused.gate(&mut row.0, &output.rows()[index]);
    }
    let gradient = std::mem::take(buffers.output_and_gradient().1);
    let mut gradient_input = Tiles::zeros(input.features(), input.samples());
    let vjp = Vjp {
        input,
        gradient: &gradient,
        gradient_input: Some(&mut gradient_input),
        gate: Activation::Identity,
    };
    let mut gradients = network.gradients();
    network.sequence.backward(pass, &network.parameters, &mut gradients, vjp, buffers);
    *buffers.output_and_gradient().1 = gradient;
    (gradients, gradient_input)
}

/// Compares a gradient with the differences of `loss` at changes of that number. At a kink, as where two numbers of a pooling
/// window are as large, it must lie between the slopes of both sides.
fn assert_near(what: &str, analytic: f32, mut loss: impl FnMut(f32) -> f64) {
    const STEP: f32 = 0.01;
    let (analytic, step) = (f64::from(analytic), f64::from(STEP));
    let (before, here, after) = (loss(-STEP), loss(0.0), loss(STEP));
    let (left, right) = ((here - before) / step, (after - here) / step);
    let middle = (left + right) / 2.0;
    let allowed = 0.01 * (1.0 + middle.abs());
    let is_kink = (right - left).abs() > 20.0 * allowed;
    let error = if is_kink {
        (left.min(right) - analytic).max(analytic - left.max(right))
    } else {
        (analytic - middle).abs()
    };
    assert!(error < allowed, "{what}: gradient {analytic}, slopes {left} and {right}");
}

#[test]
fn gradients_match_finite_differences() {
    let pass = Pass::train(Isa::detect(), 1, 2);
    for case in ROWS {
        let kinds = [(0.6, Storage::Sparse), (0.6, Storage::Dense), (1.0, Storage::Dense)];
        for ((density, storage), samples) in kinds.into_iter().flat_map(|kind| [(kind, 67), (kind, 11)]) {
            let mut network = network(case, density, storage);
            let mut input = input(case, samples);
            let mut buffers = network.buffers(samples, true);
            let (gradients, gradient_input) = train(&network, &pass, &input, &mut buffers);
            let name = |part: &str, at: usize| {
                format!("{} ({storage:?}, {samples} samples), {part} {at}", case.layer)
            };
            for index in 0..network.parameters.len() {
                if !network.parameters[index].is_trained() {
                    continue;
                }
                let slots: Vec<usize> =
                    network.parameters[index].weights.connections().map(|(_, slot)| slot).collect();
                for &slot in slots.iter().step_by(slots.len().div_ceil(12)) {
                    let parameter = &network.parameters[index];
                    let (name, analytic) = (name(&parameter.name, slot), gradients[index].values[slot]);
                    assert_near(&name, analytic, |change: f32| {
                        let values = network.parameters[index].weights.values_mut();
                        let before = values[slot];
                        values[slot] += change;
                        let loss = loss(&network, &pass, &input, &mut buffers);
                        network.parameters[index].weights.values_mut()[slot] = before;
                        loss
                    });
                }
            }
            for at in (0..if case.tokens > 0 { 0 } else { samples * input.features() }).step_by(29) {
                let (sample, feature) = (at / input.features(), at % input.features());
                let analytic = gradient_input.at(sample, feature);
                assert_near(&name("input", at), analytic, |change: f32| {
                    let lane = &mut input.tile_mut(sample / LANES)[feature].0[sample % LANES];
                    let before = *lane;
                    *lane += change;
                    let loss = loss(&network, &pass, &input, &mut buffers);
                    input.tile_mut(sample / LANES)[feature].0[sample % LANES] = before;
                    loss
                });
            }
        }
    }
}

#[test]
fn threads_change_no_bit() {
    for case in ROWS {
        let storages = [Storage::Sparse, Storage::Dense];
        for (storage, samples) in storages.into_iter().flat_map(|storage| [(storage, 200), (storage, 20)]) {
            let results = [1, 2, 5].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let pass = Pass::train(Isa::detect(), 1, 2);
                    let network = network(case, 0.6, storage);
                    let input = input(case, samples);
                    let mut buffers = network.buffers(samples, true);
                    let (gradients, gradient_input) = train(&network, &pass, &input, &mut buffers);
                    let mut bits: Vec<u32> = Vec::new();
                    let rows = buffers.output().rows().iter().chain(gradient_input.rows());
                    bits.extend(rows.flat_map(|row| row.0.map(f32::to_bits)));
                    let gradients = gradients.iter().flat_map(|gradient| &gradient.values);
                    bits.extend(gradients.map(|gradient| gradient.to_bits()));
                    bits
                })
            });
            assert!(results[0] == results[1] && results[0] == results[2], "{} ({storage:?})", case.layer);
        }
    }
}

/// `count` samples of others, from `first` on.
fn part(all: &Tiles, first: usize, count: usize) -> Tiles {
    let mut part = Tiles::zeros(all.features(), count);
    (0..count).for_each(|sample| part.set_sample(sample, &all.sample(first + sample)));
    let lengths: Vec<u32> = all.lengths().iter().skip(first).take(count).copied().collect();
    part.set_lengths(lengths.into_iter());
    part
}

/// Fails if the samples of a batch are predicted otherwise alone, or in a batch of another size.
fn assert_same_in_any_batch(what: &str, isa: Isa, network: &Network, all: &Tiles) {
    let pass = Pass::predict(isa);
    let mut whole = network.buffers(all.samples(), false);
    network.forward(&pass, all, &mut whole);
    let mut buffers = network.buffers(64, false);
    for (first, count) in [(129, 1), (63, 2), (0, 3), (50, 16), (64, 17), (66, 64), (1, 1)] {
        buffers.resize(count);
        network.forward(&pass, &part(all, first, count), &mut buffers);
        for sample in 0..count {
            let [alone, within] = [(&buffers, sample), (&whole, first + sample)]
                .map(|(buffers, sample)| buffers.output().sample(sample));
            assert_eq!(alone, within, "{what}: sample {sample} of {count}, {isa}");
        }
    }
}

#[test]
fn a_sample_is_predicted_the_same_in_any_batch() {
    for case in ROWS {
        let all = input(case, 130);
        for isa in Isa::available() {
            assert_same_in_any_batch(case.layer, isa, &network(case, 0.6, Storage::Sparse), &all);
        }
        assert_same_in_any_batch(case.layer, Isa::detect(), &network(case, 0.6, Storage::Dense), &all);
        if case.tokens == 0 {
            // One that has no weights is not spread for a sample unless it comes after some.
            let before = vec![LayerSpec::linear(case.input.channels, Activation::Tanh)];
            let network = network_of(case, before, 0.6, Storage::Auto);
            assert_same_in_any_batch(case.layer, Isa::detect(), &network, &all);
        }
    }
}

/// Each network by name, small, with samples of a shape and how many tokens there are.
const PRESETS: &[(&str, Case)] = &[
    ("preset = 'mlp'\nhidden = [40, 30]", case("", [1, 1, 20])),
    ("preset = 'lenet5'\nwidth = 4", case("", [12, 12, 1])),
    ("preset = 'vgg-small'\nwidth = 4", case("", [8, 8, 3])),
    ("preset = 'resnet20'\nwidth = 4\ndepth = 1", case("", [9, 8, 3])),
    ("preset = 'mobilenet-small'\nwidth = 4", case("", [8, 8, 3])),
    ("preset = 'kws-cnn'\nwidth = 8", case("", [1, 70, 5]).with_lengths()),
    ("preset = 'kws-lstm'\nwidth = 8", case("", [1, 9, 5]).with_lengths()),
    ("preset = 'text-cnn'\nwidth = 8", case("", [1, 9, 1]).of_tokens(30)),
    ("preset = 'text-gru'\nwidth = 8", case("", [1, 9, 1]).of_tokens(30)),
    ("preset = 'transformer-classifier'\nwidth = 8", case("", [1, 8, 1]).of_tokens(30)),
];

#[test]
fn networks_by_name_predict_a_sample_the_same_in_any_batch() {
    for (preset, case) in PRESETS {
        let settings: NetworkSettings = toml::from_str(preset).unwrap();
        let vocabulary = (case.tokens > 0).then_some(case.tokens);
        let spec = settings.spec(Inputs { shape: case.input, vocabulary }, 4).unwrap();
        for storage in [Storage::Sparse, Storage::Dense] {
            let sparsity = SparsitySettings { density: 0.5, storage, ..Default::default() };
            let network = Network::random(&spec, &sparsity, 3).unwrap();
            assert_same_in_any_batch(preset, Isa::detect(), &network, &input(case, 130));
        }
    }
}

#[test]
fn what_stands_beyond_a_sample_s_length_changes_nothing() {
    let pass = Pass::train(Isa::detect(), 1, 2);
    for (case, samples) in ROWS.iter().flat_map(|case| [(case, 130), (case, 20)]) {
        if !case.has_lengths {
            continue;
        }
        let results = [0.0, 100.0].map(|padding| {
            let network = network(case, 0.6, Storage::Sparse);
            let mut input = input(case, samples);
            let real = |tiles: &Tiles, sample: usize, steps: usize| {
                tiles.real_steps(sample / LANES, steps)[sample % LANES] as usize
            };
            for sample in 0..samples {
                let mut values = input.sample(sample);
                values[real(&input, sample, 0) * case.input.channels..].fill(padding);
                input.set_sample(sample, &values);
            }
            let mut buffers = network.buffers(samples, true);
            network.forward(&pass, &input, &mut buffers);
            let (shape, fused) = (network.output(), network.sequence.fused());
            let (output, gradient) = buffers.output_and_gradient();
            let mut outputs = Vec::new();
            for sample in 0..samples {
                let made = output.sample(sample);
                let numbers = real(output, sample, shape.positions()) * shape.channels;
                let factors = (0..made.len()).map(|at| if at < numbers { factor(sample, at) } else { 0.0 });
                gradient.set_sample(sample, &factors.collect::<Vec<_>>());
                outputs.push(made[..numbers].to_vec());
            }
            let rows = gradient.rows_mut().iter_mut().zip(output.rows());
            rows.for_each(|(row, output)| fused.gate(&mut row.0, output));
            let mut gradient_input = Tiles::zeros(input.features(), samples);
            let mut gradients = network.gradients();
            let room = Some(&mut gradient_input);
            network.backward_to_input(&pass, &input, room, &mut gradients, &mut buffers);
            for sample in 0..samples {
                let beyond = real(&input, sample, 0) * case.input.channels;
                let gradient = gradient_input.sample(sample);
                assert!(gradient[beyond..].iter().all(|&number| number == 0.0), "{}", case.layer);
            }
            let gradients: Vec<_> = gradients.into_iter().map(|gradient| gradient.values).collect();
            (outputs, gradients)
        });
        assert!(results[0] == results[1], "{} ({samples} samples)", case.layer);
    }
}

#[test]
fn absent_connections_have_the_gradients_of_live_ones() {
    let pass = Pass::train(Isa::detect(), 1, 2);
    for (case, samples) in ROWS.iter().flat_map(|case| [(case, 130), (case, 20)]) {
        let sparse = network(case, 0.6, Storage::Sparse);
        let mut full = network(case, 0.6, Storage::Sparse);
        for parameter in full.parameters_mut().filter(|parameter| parameter.is_weight()) {
            let weights = &parameter.weights;
            let pattern = crate::sparse::Pattern::full(weights.rows(), weights.cols());
            parameter.weights = weights.rewire(pattern, Storage::Sparse).0;
        }
        let input = input(case, samples);
        let mut buffers = [&sparse, &full].map(|network| network.buffers(samples, true));
        train(&sparse, &pass, &input, &mut buffers[0]);
        let (gradients, _) = train(&full, &pass, &input, &mut buffers[1]);
        for (index, parameter) in full.weights() {
            let shape = (parameter.weights.rows(), parameter.weights.cols());
            let product = sparse.product(index, &input, &buffers[0]);
            let mut rows = vec![f32::NAN; shape.0 * shape.1];
            product.row_gradients(pass.isa, shape, 0..shape.0, &mut rows, &mut Vec::new());
            let mut cells = vec![f32::NAN; shape.0 * shape.1];
            product.cell_gradients(pass.isa, parameter.weights.pattern().unwrap(), &mut cells);
            for ((row, cell), live) in rows.iter().zip(&cells).zip(&gradients[index].values) {
                let tolerance = 1e-3 * (1.0 + live.abs());
                assert!((row - live).abs() < tolerance && (cell - live).abs() < tolerance, "{}", case.layer);
            }
        }
    }
}
