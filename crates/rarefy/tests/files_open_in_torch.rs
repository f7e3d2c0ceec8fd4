//! The loaders on the page of the file format make of a model's file the weights that it holds, in torch and in NumPy.

use std::path::Path;
use std::process::Command;

use rarefy::data::{DataSettings, load};
use rarefy::kernels::Activation;
use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::losses::Head;
use rarefy::sparse::Storage;
use rarefy::tiles::Shape;
use rarefy::train::{ModelConfig, save_model};

/// The blocks of Python on the page.
fn blocks() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/file-format.md");
    let page = std::fs::read_to_string(page).unwrap();
    let parts = page.split("```python\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_string()).collect()
}

/// What Python makes of a program in a folder.
fn numbers(folder: &Path, program: &str) -> Vec<Vec<f32>> {
    let said = Command::new("python3").current_dir(folder).args(["-W", "ignore", "-c", program]).output();
    let said = said.expect("python3, which this test needs, is not there");
    assert!(said.status.success(), "{program}\n{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap()
}

fn assert_same(found: &[Vec<f32>], expected: &[Vec<f32>], who: &str) {
    assert_eq!((found.len(), found[0].len()), (expected.len(), expected[0].len()), "{who}");
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "{who}, row {row}");
    }
}

#[test]
#[ignore = "needs python3 with torch, safetensors and numpy, which CI has not"]
fn the_pages_loaders_give_the_weights_that_were_saved() {
    let layers = vec![LayerSpec::linear(256, Activation::Relu), LayerSpec::linear(10, Activation::Identity)];
    let spec = NetworkSpec { inputs: Shape::flat(64), layers };
    let sparsity = SparsitySettings { storage: Storage::Sparse, density: 0.2, ..SparsitySettings::default() };
    let network = Network::random(&spec, &sparsity, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let preparation = load(&DataSettings::default(), 1).unwrap().preparation;
    let config = ModelConfig::new(&network, Head::Softmax, preparation);
    save_model(folder.path(), &network, &config).unwrap();

    let weights = &network.parameter(0).weights;
    assert_eq!((weights.rows(), weights.cols(), weights.is_compressed()), (256, 64, true));
    let mut expected = vec![vec![0.0; 64]; 256];
    for (cell, slot) in weights.connections() {
        expected[cell / 64][cell % 64] = weights.values()[slot];
    }
    let [torch, numpy] = blocks().try_into().expect("a loader for torch and one for NumPy");
    let found = numbers(folder.path(), &format!("{torch}\nimport json; print(json.dumps(w.tolist()))"));
    assert_same(&found, &expected, "torch");
    let program = format!("{numpy}\nprint(json.dumps(weight('layers.0.weight', 64).tolist()))");
    assert_same(&numbers(folder.path(), &program), &expected, "NumPy");
}
