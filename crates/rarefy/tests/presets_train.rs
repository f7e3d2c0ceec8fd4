//! Every network by name has the layers it says, trains under every kind of method, and is the same after saving, loading
//! and resuming. A new preset joins by a row of each table.

use std::path::Path;

use rarefy::data::Dataset;
use rarefy::kernels::Isa;
use rarefy::layers::{Inputs, LayerFigures, Network, Preset, SparsitySettings};
use rarefy::tiles::Shape;
use rarefy::train::{Control, Event, Model, Run, predict};

use crate::small_networks::{SMALL, methods, settings, settings_of, shape};

const SAMPLES: usize = 150;

/// A network at its known size.
struct Known {
    network: &'static str,
    inputs: [usize; 3],
    /// Tokens there are, where inputs are tokens; 0 for numbers.
    vocabulary: usize,
    /// Steps that have a target, and numbers that are asked for at each.
    outputs: [usize; 2],
    /// Weights, biases and scales; running statistics do not count.
    parameters: usize,
    /// The layers by name, in order, each with how often it stands there one after the other.
    layers: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        network: "preset = 'mlp'\nhidden = [300, 100]\ndropout = 0.1",
        inputs: [28, 28, 1],
        vocabulary: 0,
        outputs: [1, 10],
        // LeNet-300-100 (LeCun et al. 1998).
        parameters: 266_610,
        layers: "linear dropout linear dropout linear",
    },
    Known {
        network: "preset = 'lenet5'",
        inputs: [28, 28, 1],
        vocabulary: 0,
        outputs: [1, 10],
        parameters: 61_706,
        layers: "conv2d max-pool conv2d max-pool flatten linear linear linear",
    },
    Known {
        network: "preset = 'vgg-small'\ndropout = 0.5",
        inputs: [28, 28, 1],
        vocabulary: 0,
        outputs: [1, 10],
        // Convolutions of 1, 32, 32, 64, 64 and 128 channels without biases; two numbers a channel for norms.
        parameters: 9 * (32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
            + 4 * (32 + 64 + 128)
            + (3 * 3 * 128 + 1) * 256
            + 257 * 10,
        layers: "conv2d batch-norm conv2d batch-norm max-pool conv2d batch-norm conv2d batch-norm max-pool \
                 conv2d batch-norm conv2d batch-norm max-pool flatten linear dropout linear",
    },
    Known {
        network: "preset = 'resnet20'",
        inputs: [32, 32, 3],
        vocabulary: 0,
        outputs: [1, 10],
        // As torch's implementations with 1x1 shortcuts count.
        parameters: 272_474,
        layers: "conv2d batch-norm residual residual residual residual residual residual residual residual residual \
                 global-average-pool linear",
    },
    Known {
        network: "preset = 'mobilenet-small'",
        inputs: [32, 32, 3],
        vocabulary: 0,
        outputs: [1, 10],
        // The first convolution with its norm, separable ones of (16, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128).
        parameters: 464 + 752 + 1440 + 2528 + 4928 + 9152 + 18048 + 1290,
        layers: "conv2d batch-norm \
                 conv2d batch-norm conv2d batch-norm conv2d batch-norm conv2d batch-norm \
                 conv2d batch-norm conv2d batch-norm conv2d batch-norm conv2d batch-norm \
                 conv2d batch-norm conv2d batch-norm conv2d batch-norm conv2d batch-norm \
                 global-average-pool linear",
    },
    Known {
        network: "preset = 'kws-cnn'",
        inputs: [1, 98, 40],
        vocabulary: 0,
        outputs: [1, 10],
        parameters: (11 * 40 + 2) * 64 + 3 * (11 + 64 + 2) * 64 + (64 + 2) * 128 + 129 * 10,
        layers: "conv1d batch-norm residual residual residual conv1d batch-norm global-average-pool linear",
    },
    Known {
        network: "preset = 'kws-lstm'\nwidth = 100\ndepth = 2\ndropout = 0.1",
        inputs: [1, 49, 10],
        vocabulary: 0,
        outputs: [1, 12],
        // Four gates, each with one bias: torch has two.
        parameters: 4 * (10 + 100 + 1) * 100 + 4 * (100 + 100 + 1) * 100 + 101 * 12,
        layers: "lstm dropout lstm dropout global-average-pool linear",
    },
    Known {
        network: "preset = 'bag-of-words'\nwidth = 50\ndepth = 2",
        inputs: [1, 1, 1000],
        vocabulary: 0,
        outputs: [1, 20],
        parameters: 1000 * 50 + 50 + 50 * 50 + 50 + 50 * 20 + 20,
        layers: "linear linear linear",
    },
    Known {
        network: "preset = 'text-cnn'\ndropout = 0.5",
        inputs: [1, 60, 1],
        vocabulary: 18_765,
        outputs: [1, 2],
        // CNN-rand of Kim 2014 on MR, whose vocabulary is 18765 words of 300 numbers: 100 filters each of 3, 4, 5 words.
        parameters: 18_765 * 300 + (3 + 4 + 5) * 300 * 100 + 3 * 100 + 301 * 2,
        layers: "embedding parallel dropout linear",
    },
    Known {
        network: "preset = 'text-gru'\nwidth = 50",
        inputs: [1, 40, 1],
        vocabulary: 1000,
        outputs: [1, 4],
        // Three gates of two directions, each with two biases, as torch counts.
        parameters: 1000 * 50 + 2 * 3 * 50 * (50 + 50 + 2) + 101 * 4,
        layers: "embedding gru global-max-pool linear",
    },
    Known {
        network: "preset = 'transformer-classifier'\nwidth = 96\ndepth = 3\ndropout = 0.1",
        inputs: [1, 64, 1],
        vocabulary: 1000,
        outputs: [1, 4],
        // A block has 12 d^2 + 13 d numbers, as in GPT-2 and BERT.
        parameters: (1000 + 64) * 96 + 3 * (12 * 96 * 96 + 13 * 96) + 2 * 96 + 97 * 4,
        layers: "embedding positional-encoding dropout residual residual residual residual residual residual \
                 layer-norm global-average-pool dropout linear",
    },
    Known {
        network: "preset = 'char-transformer'\nwidth = 96\ndepth = 3",
        inputs: [1, 64, 1],
        vocabulary: 100,
        outputs: [64, 100],
        // As above, each of two norms of a block with d numbers less.
        parameters: 100 * 96 + 3 * (12 * 96 * 96 + 11 * 96) + 96 + 97 * 100,
        layers: "embedding residual residual residual residual residual residual rms-norm linear",
    },
];

#[test]
fn networks_are_those_of_their_papers() {
    for known in KNOWN {
        let vocabulary = Some(known.vocabulary).filter(|&vocabulary| vocabulary > 0);
        let inputs = Inputs { shape: shape(known.inputs), vocabulary };
        let outputs = Shape::sequence(known.outputs[0], known.outputs[1]);
        let spec = settings_of(known.network).spec(inputs, outputs).unwrap();
        let network = Network::random(&spec, &SparsitySettings::dense(), 0).unwrap();
        let figures = network.figures();
        let outer = figures.iter().filter(|layer| !layer.place.contains('.'));
        let names: Vec<&str> = outer.map(|layer| layer.layer.as_str()).collect();
        assert_eq!(names.join(" "), known.layers, "{}", known.network);
        let trained = network.parameters().filter(|parameter| parameter.is_trained());
        let parameters: usize = trained.map(|parameter| parameter.weights.nnz()).sum();
        assert_eq!(parameters, known.parameters, "{}", known.network);
        let LayerFigures { output, .. } = figures.last().unwrap();
        assert_eq!(*output, outputs, "{}", known.network);
    }
    for preset in Preset::ALL {
        let line = format!("preset = '{}'", preset.name());
        assert!(KNOWN.iter().any(|known| known.network.starts_with(&line)), "{line} is no row of the table");
    }
}

fn predictions(network: &Network, dataset: &Dataset) -> Vec<u32> {
    let mut bits = Vec::new();
    predict(network, Isa::detect(), dataset, 64, |_, outputs| {
        bits.extend((0..outputs.samples()).flat_map(|sample| outputs.sample(sample)).map(f32::to_bits));
    });
    bits
}

#[test]
fn every_preset_trains_saves_loads_and_resumes_under_every_kind_of_method() {
    for small in SMALL {
        let folder = tempfile::tempdir().unwrap();
        for (method, settings) in methods(&settings(small, SAMPLES, folder.path())) {
            let what = format!("{} under {method}", small.network);
            let fail = |error: rarefy::Error| -> ! { panic!("{what}: {error}") };
            let whole = folder.path().join(format!("{method}-whole"));
            let mut run = Run::start(settings.clone(), Some(&whole)).unwrap_or_else(|error| fail(error));
            let before = run.trainer().network().connections().0;
            let outcome = run.train(&mut |_| Control::Continue).unwrap_or_else(|error| fail(error));
            assert!(outcome.test.unwrap().loss_sum.is_finite(), "{what}");
            assert_eq!(method == "l1", run.trainer().network().connections().0 < before, "{what}");
            let test = run.trainer().splits().test.as_ref().unwrap();
            let loaded = Model::open(&whole).unwrap();
            let (trained, again) =
                (predictions(run.trainer().network(), test), predictions(loaded.network(), test));
            // Under a penalty neurons may have left the model.
            assert!(method == "l1" || trained == again, "{what}: the model predicts otherwise once loaded");
            assert!(again.len() == test.len() * loaded.network().output().features(), "{what}");

            let cut = folder.path().join(format!("{method}-cut"));
            let stop = |event: Event<'_>| match event {
                Event::Step { progress, .. } if progress.step == 4 => Control::Stop,
                _ => Control::Continue,
            };
            Run::start(settings.clone(), Some(&cut)).unwrap().train(&mut { stop }).unwrap();
            let mut resumed = Run::resume(&cut, |settings| settings.threads = 1).unwrap();
            resumed.train(&mut |_| Control::Continue).unwrap();
            let bytes = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
            assert!(bytes(&cut) == bytes(&whole), "{what}: a resumed run differs");
        }
    }
    for preset in Preset::ALL {
        let line = format!("preset = '{}'", preset.name());
        assert!(SMALL.iter().any(|small| small.network.starts_with(&line)), "{line} is no row of the table");
    }
}
