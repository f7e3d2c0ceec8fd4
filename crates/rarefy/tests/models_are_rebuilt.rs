//! A model's two files say all there is to know of it: `examples/rebuild.py`, plain Python that knows nothing of this library,
//! makes the same outputs and predictions of them, for every kind of layer. Its formulas are those of `docs/networks.md`.

use std::path::Path;
use std::process::Command;

use crate::networks::{Draw, Inputs, KINDS, Place};
use rarefy::data::Preparation;
use rarefy::kernels::{Activation, Isa};
use rarefy::layers::{LayerSpec, Network, Pass};
use rarefy::losses::Head;
use rarefy::random::{Purpose, Stream};
use rarefy::tiles::Tiles;
use rarefy::train::{ModelConfig, save_model};
use serde_json::{Value, json};

const SAMPLES: usize = 3;

/// How numbers were prepared: tokens not at all, others each channel by itself; what is predicted in one of all ways where it
/// is numbers.
fn preparation(inputs: Inputs, network: &Network, head: Head, draw: &mut Draw) -> Preparation {
    let channels = inputs.shape.channels;
    let mut numbers = |at: f32| (0..channels).map(|_| at + 0.3 * draw.0.normal()).collect::<Vec<f32>>();
    let columns = json!({"columns": {"offsets": numbers(0.0), "multipliers": numbers(1.0)}});
    let outputs = network.output().features();
    let figures = json!({"means": vec![0.7; outputs], "deviations": vec![0.2; outputs]});
    let ways = [json!("none"), json!({ "standard": figures }), json!({ "log": figures })];
    let target_scaler = &ways[if head == Head::Identity { draw.0.below(3) } else { 0 }];
    let described = json!({
        "format": "npy",
        "task": "classification",
        "inputs": inputs.shape,
        "outputs": network.output().channels,
        "classes": [],
        "missing": "error",
        "missing_markers": [],
        "scaler": if inputs.is_tokens { json!("none") } else { columns },
        "target_scaler": target_scaler,
        "constant_inputs": 0,
    });
    serde_json::from_value(described).unwrap()
}

/// The input as the network is given it.
fn prepared(input: &Tiles, preparation: &Value, inputs: Inputs) -> Tiles {
    let mut prepared = input.clone();
    for sample in 0..SAMPLES {
        let mut values = input.sample(sample);
        if let Some(about) = preparation["scaler"].get("columns") {
            let number = |list: &str, at: usize| about[list][at % inputs.shape.channels].as_f64().unwrap();
            for (at, value) in values.iter_mut().enumerate() {
                *value = ((f64::from(*value) - number("offsets", at)) * number("multipliers", at)) as f32;
            }
        }
        let steps = input.real_steps(0, inputs.shape.positions())[sample] as usize;
        values[steps * inputs.shape.channels..].fill(0.0);
        prepared.set_sample(sample, &values);
    }
    prepared
}

fn assert_near(found: &Value, expected: &[f32], what: &str) {
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, &expected)) in found.iter().zip(expected).enumerate() {
        let (found, expected) = (found.as_f64().unwrap(), f64::from(expected));
        assert!(
            (found - expected).abs() < 1e-5 * (1.0 + expected.abs()),
            "{what}, {at}: {expected}, rebuilt {found}"
        );
    }
}

fn check(draw: &mut Draw, inputs: Inputs, layers: &[LayerSpec]) {
    let network = draw.built(inputs, layers);
    let head = draw.of(&[Head::Softmax, Head::Sigmoid, Head::Identity]);
    let config = ModelConfig::new(&network, head, preparation(inputs, &network, head, draw));
    let folder = tempfile::tempdir().unwrap();
    save_model(folder.path(), &network, &config).unwrap();
    let (input, batch) = draw.batch(inputs, SAMPLES);
    let given = json!({"samples": batch.samples, "lengths": batch.lengths});
    std::fs::write(folder.path().join("samples.json"), given.to_string()).unwrap();

    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rebuild.py");
    let mut command = Command::new("python3");
    command.arg(program).arg(folder.path()).arg(folder.path().join("samples.json"));
    let said = command.output().expect("python3, which this test needs, is not there");
    let title = format!("{inputs:?}, {}", serde_json::to_string(layers).unwrap());
    assert!(said.status.success(), "{title}: {}", String::from_utf8_lossy(&said.stderr));
    let rebuilt: Value = serde_json::from_slice(&said.stdout).unwrap();

    let preparation = serde_json::to_value(&config.preparation).unwrap();
    let input = prepared(&input, &preparation, inputs);
    let mut buffers = network.buffers(SAMPLES, false);
    network.forward(&Pass::predict(Isa::detect()), &input, &mut buffers);
    let mut output = buffers.output().clone();
    let channels = network.output().channels;
    for sample in 0..SAMPLES {
        assert_near(&rebuilt["outputs"][sample], &output.sample(sample), &title);
    }
    output.rows_mut().chunks_exact_mut(channels).for_each(|rows| head.apply(rows));
    let in_its_unit = |y: f32| match &preparation["target_scaler"] {
        scaler if scaler.get("standard").is_some() => 0.2 * y + 0.7,
        scaler if scaler.get("log").is_some() => (0.2 * y + 0.7).exp(),
        _ => y,
    };
    for sample in 0..SAMPLES {
        let expected: Vec<f32> = output.sample(sample).into_iter().map(in_its_unit).collect();
        assert_near(&rebuilt["predictions"][sample], &expected, &format!("{title}, {head:?}"));
    }
}

#[test]
#[ignore = "needs python3; .ci/run runs it"]
fn models_are_rebuilt_from_their_files() {
    let cases = KINDS.iter().flat_map(|kind| [(kind, Place::First, false), (kind, Place::First, true)]);
    for (number, (kind, place, is_nested)) in cases.enumerate() {
        let mut draw = Draw(Stream::new(19, Purpose::Bench, number as u64, 0));
        let network = (0..3000).find_map(|_| draw.network(kind, place, is_nested));
        let (inputs, mut layers) = network.unwrap_or_else(|| panic!("no network with {kind}"));
        layers.push(LayerSpec::linear(3, Activation::Identity));
        check(&mut draw, inputs, &layers);
    }
}
