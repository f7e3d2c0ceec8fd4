//! Networks small enough to train many times, with data for them: all presets, and what every one of them must go with.

use std::path::Path;

use rarefy::data::text::{TextSettings, TokenKind, TokenSettings};
use rarefy::data::{Scale, TaskChoice};
use rarefy::layers::{NetworkSettings, Precision};
use rarefy::penalties::PenaltyMethod;
use rarefy::tiles::Shape;
use rarefy::topology::Method;
use rarefy::train::Settings;

/// The settings of a network from lines of TOML.
pub fn settings_of(network: &str) -> NetworkSettings {
    toml::from_str(network).unwrap_or_else(|error| panic!("{network}: {error}"))
}

/// A shape.
pub fn shape([height, width, channels]: [usize; 3]) -> Shape {
    Shape { height, width, channels }
}

/// A network small enough to train many times, and data for it.
pub struct Small {
    /// Settings of a network.
    pub network: &'static str,
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

/// All presets, and what none of them has.
pub const SMALL: &[Small] = &[
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

const CLASSES: usize = 3;

/// A number that looks drawn.
fn hash(at: usize) -> usize {
    ((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

/// A folder with an array of samples and one of their classes.
fn write_numbers(folder: &Path, count: usize, shape: [usize; 3]) {
    let features: usize = shape.iter().product();
    let value = |at: usize| (hash(at) % 1000) as f32 / 500.0 - 1.0;
    let samples: Vec<u8> = (0..count * features).flat_map(|at| value(at).to_le_bytes()).collect();
    let classes: Vec<u8> = (0..count).flat_map(|at| ((at % CLASSES) as f32).to_le_bytes()).collect();
    for (name, shape, data) in
        [("x.npy", format!("({count}, {features})"), samples), ("y.npy", format!("({count},)"), classes)]
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
fn write_documents(path: &Path, count: usize) {
    let line = |sample: usize| {
        format!(
            "{{\"text\": \"{}\", \"label\": \"c{}\"}}\n",
            words(9 * sample, 1 + sample % 9),
            sample % CLASSES
        )
    };
    std::fs::write(path, (0..count).map(line).collect::<String>()).unwrap();
}

/// Settings of a run on so many samples for a network, which are written to a folder.
pub fn settings(small: &Small, samples: usize, folder: &Path) -> Settings {
    let mut settings = Settings { threads: 2, ..Settings::default() };
    settings.network = settings_of(small.network);
    let data = &mut settings.data;
    match small.data {
        Numbers(of) => {
            write_numbers(folder, samples, of);
            data.path = folder.to_str().unwrap().into();
            data.task = TaskChoice::Classification;
            (data.shape, data.scale) = (Some(shape(of)), Scale::None);
        }
        Documents => {
            let path = folder.join("documents.jsonl");
            write_documents(&path, samples);
            data.path = path.to_str().unwrap().into();
            data.text =
                Some(TextSettings { tokens: Some(TokenSettings::default()), ..TextSettings::default() });
        }
        Running => {
            let path = folder.join("text.txt");
            std::fs::write(&path, words(0, 7 * samples / 3)).unwrap();
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

/// What every network must go with: topologies by gradients, of all absent connections and of some, row blocks, and a penalty.
pub fn methods(settings: &Settings) -> Vec<(&'static str, Settings)> {
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings.clone();
        change(&mut settings);
        settings
    };
    vec![
        ("rigl", with(|settings| settings.topology.method = Method::Rigl)),
        ("gse", with(|settings| settings.topology.method = Method::Gse)),
        (
            "rigl in blocks",
            with(|settings| (settings.topology.method, settings.sparsity.block) = (Method::Rigl, 4.into())),
        ),
        (
            "rigl in bf16",
            with(|settings| {
                (settings.topology.method, settings.train.precision) = (Method::Rigl, Precision::Bf16)
            }),
        ),
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

/// What a run has left in its folder: the numbers of checkpoint and model, and the lines of metrics without seconds and without what
/// ranks have said to each other.
pub fn results(folder: &Path) -> [Vec<u8>; 3] {
    let numbers = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    let metrics = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let without_seconds = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        let keys = ["seconds", "bytes_sent", "seconds_waiting", "slow_rank"];
        value.as_object_mut().unwrap().retain(|key, _| !keys.contains(&&key[..]));
        format!("{value}\n")
    };
    let lines: String = metrics.lines().map(without_seconds).collect();
    [numbers("checkpoint.safetensors"), numbers("model.safetensors"), lines.into_bytes()]
}
