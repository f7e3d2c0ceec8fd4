//! Every network by name has the layers it says, trains under every kind of method, and is the same after saving, loading
//! and resuming. A new preset joins by a row of each table.

use std::path::Path;

use rarefy::data::text::{TextSettings, TokenKind, TokenSettings};
use rarefy::data::{Dataset, Scale, TaskChoice};
use rarefy::kernels::Isa;
use rarefy::layers::{Inputs, LayerFigures, Network, NetworkSettings, Preset, SparsitySettings};
use rarefy::penalties::PenaltyMethod;
use rarefy::tiles::Shape;
use rarefy::topology::Method;
use rarefy::train::{Control, Event, Model, Run, Settings, predict};

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

fn settings_of(network: &str) -> NetworkSettings {
    toml::from_str(network).unwrap_or_else(|error| panic!("{network}: {error}"))
}

fn shape([height, width, channels]: [usize; 3]) -> Shape {
    Shape { height, width, channels }
}

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

/// A network small enough to train many times, and data for it.
struct Small {
    network: &'static str,
    data: Data,
}

#[derive(Clone, Copy)]
enum Data {
    /// Samples of a shape.
    Numbers([usize; 3]),
    /// Words, of which there are 20, in documents of up to 9.
    Documents,
    /// The same words as the text of a language model, 8 characters at a time.
    Running,
}

use Data::{Documents, Numbers, Running};

const SMALL: &[Small] = &[
    Small { network: "preset = 'mlp'\nhidden = [12, 10]\ndropout = 0.1", data: Numbers([6, 6, 1]) },
    Small { network: "preset = 'lenet5'\nwidth = 2", data: Numbers([12, 14, 2]) },
    Small { network: "preset = 'vgg-small'\nwidth = 3\ndepth = 2\ndropout = 0.1", data: Numbers([8, 9, 2]) },
    Small { network: "preset = 'resnet20'\nwidth = 3\ndepth = 1", data: Numbers([8, 7, 2]) },
    Small { network: "preset = 'mobilenet-small'\nwidth = 3\ndepth = 2", data: Numbers([7, 6, 2]) },
    Small { network: "preset = 'kws-cnn'\nwidth = 6\ndepth = 1", data: Numbers([1, 14, 5]) },
    Small { network: "preset = 'kws-lstm'\nwidth = 6\ndropout = 0.1", data: Numbers([1, 7, 5]) },
    Small { network: "preset = 'bag-of-words'\nwidth = 12", data: Numbers([1, 1, 40]) },
    Small { network: "preset = 'text-cnn'\nwidth = 4\ndropout = 0.1", data: Documents },
    Small { network: "preset = 'text-gru'\nwidth = 6\ndropout = 0.1", data: Documents },
    Small { network: "preset = 'transformer-classifier'\nwidth = 8\ndepth = 1\ndropout = 0.1", data: Documents },
    Small { network: "preset = 'char-transformer'\nwidth = 8\ndepth = 1\ndropout = 0.1", data: Running },
    // No preset: states that are carried over the text.
    Small {
        network: "layers = [{layer = 'embedding', channels = 5}, {layer = 'gru', hidden = 6, carry = true}, {layer = 'linear'}]",
        data: Running,
    },
    // No preset: what is carried from batch to batch must be in checkpoints, and forgotten when an epoch begins.
    Small {
        network: "layers = [{layer = 'lstm', hidden = 6, carry = true}, {layer = 'gru', hidden = 5, carry = true}, \
                  {layer = 'flatten'}, {layer = 'linear'}]",
        data: Numbers([1, 4, 5]),
    },
    // Running averages, and layers within layers.
    Small {
        network: "layers = [{layer = 'conv2d', filters = 6, kernel = 3, bias = false},
            {layer = 'residual', activation = 'relu', body = [{layer = 'batch-norm', activation = 'relu'},
                {layer = 'conv2d', filters = 6, kernel = 3, padding = 'same', bias = false}, {layer = 'group-norm', groups = 2}]},
            {layer = 'global-average-pool'}, {layer = 'layer-norm'}, {layer = 'linear'}]",
        data: Numbers([7, 6, 2]),
    },
];

const SAMPLES: usize = 150;
const CLASSES: usize = 3;

/// A number that looks drawn.
fn hash(at: usize) -> usize {
    ((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

/// A folder with an array of samples and one of their classes.
fn write_numbers(folder: &Path, shape: [usize; 3]) {
    let features: usize = shape.iter().product();
    let value = |at: usize| (hash(at) % 1000) as f32 / 500.0 - 1.0;
    let samples: Vec<u8> = (0..SAMPLES * features).flat_map(|at| value(at).to_le_bytes()).collect();
    let classes: Vec<u8> = (0..SAMPLES).flat_map(|at| ((at % CLASSES) as f32).to_le_bytes()).collect();
    for (name, shape, data) in
        [("x.npy", format!("({SAMPLES}, {features})"), samples), ("y.npy", format!("({SAMPLES},)"), classes)]
    {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend(data);
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Some words that look drawn, the first of them being `from`.
fn words(from: usize, count: usize) -> String {
    (from..from + count).map(|at| format!("w{}", hash(at) % 20)).collect::<Vec<_>>().join(" ")
}

/// A line with a text and its class for each sample.
fn write_documents(path: &Path) {
    let line = |sample: usize| {
        format!(
            "{{\"text\": \"{}\", \"label\": \"c{}\"}}\n",
            words(9 * sample, 1 + sample % 9),
            sample % CLASSES
        )
    };
    std::fs::write(path, (0..SAMPLES).map(line).collect::<String>()).unwrap();
}

/// Settings of a run on the data of a network, which is written to a folder.
fn settings(small: &Small, folder: &Path) -> Settings {
    let mut settings = Settings { threads: 2, ..Settings::default() };
    settings.network = settings_of(small.network);
    let data = &mut settings.data;
    match small.data {
        Numbers(of) => {
            write_numbers(folder, of);
            data.path = folder.to_str().unwrap().into();
            data.task = TaskChoice::Classification;
            (data.shape, data.scale) = (Some(shape(of)), Scale::None);
        }
        Documents => {
            let path = folder.join("documents.jsonl");
            write_documents(&path);
            data.path = path.to_str().unwrap().into();
            data.text =
                Some(TextSettings { tokens: Some(TokenSettings::default()), ..TextSettings::default() });
        }
        Running => {
            let path = folder.join("text.txt");
            std::fs::write(&path, words(0, 350)).unwrap();
            data.path = path.to_str().unwrap().into();
            data.task = TaskChoice::LanguageModel;
            let tokens = TokenSettings {
                kind: Some(TokenKind::Characters),
                context: Some(8),
                ..TokenSettings::default()
            };
            data.text = Some(TextSettings { tokens: Some(tokens), ..TextSettings::default() });
        }
    }
    settings.sparsity.density = 0.1;
    // Three steps of an epoch, and connections move at the second.
    (settings.train.epochs, settings.train.batch_size, settings.train.keep_best) = (2, Some(40), false);
    settings.topology.every = Some(2);
    settings
}

/// What every network must go with: topologies by gradients, of all absent connections and of some, and a penalty.
fn methods(settings: &Settings) -> Vec<(&'static str, Settings)> {
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings.clone();
        change(&mut settings);
        settings
    };
    vec![
        ("rigl", with(|settings| settings.topology.method = Method::Rigl)),
        ("gse", with(|settings| settings.topology.method = Method::Gse)),
        (
            "l1",
            with(|settings| {
                (settings.topology.method, settings.topology.every) = (Method::Static, None);
                settings.sparsity.density = 1.0;
                settings.penalty.method = PenaltyMethod::L1;
                settings.target.sparsity = Some(0.8);
            }),
        ),
    ]
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
        for (method, settings) in methods(&settings(small, folder.path())) {
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
                (predictions(run.trainer().network(), test), predictions(&loaded.network, test));
            // Under a penalty neurons may have left the model.
            assert!(method == "l1" || trained == again, "{what}: the model predicts otherwise once loaded");
            assert!(again.len() == test.len() * loaded.network.output().features(), "{what}");

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
