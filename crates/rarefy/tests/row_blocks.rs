//! With `sparsity.block` neighbouring outputs keep connections to the same inputs, whatever a method moves; such models
//! learn, are kept in files and predict the same from there; what does not go with blocks is refused.

use rarefy::layers::Network;
use rarefy::sparse::{Weights, allocate, block_height};
use rarefy::topology::Method;
use rarefy::train::{Control, Model, Settings, Trainer, save_model};

/// Blocks of 4 and of 8 in the first layer, of 2 in the last; single connections in the second.
const HIDDEN: [usize; 2] = [56, 33];

fn settings(method: Method, block: usize) -> Settings {
    let mut settings = Settings { threads: 2, ..Settings::default() };
    settings.network.hidden = HIDDEN.to_vec();
    settings.sparsity.density = 0.2;
    settings.sparsity.block = block.into();
    settings.topology.method = method;
    if !matches!(method, Method::Static | Method::Set | Method::Cht | Method::Acdc) {
        settings.topology.every = Some(7);
    }
    settings.train.epochs = 12;
    settings.optimizer.learning_rate = Some(0.01.into());
    settings.train.batch_size = Some(100);
    settings
}

/// Connections of each weight, where rows of a block share theirs.
fn counts(network: &Network, block: usize) -> Vec<usize> {
    let count = |weights: &Weights| {
        let height = block_height(block, weights.rows());
        assert_eq!(weights.block_height(), height, "{}", weights.storage_name());
        let mut rows = vec![Vec::new(); weights.rows()];
        weights.connections().for_each(|(cell, _)| rows[cell / weights.cols()].push(cell % weights.cols()));
        let is_shared = |rows: &[Vec<usize>]| rows.iter().all(|row| *row == rows[0]);
        assert!(rows.chunks(height).all(is_shared), "rows of a block have the same inputs");
        weights.nnz()
    };
    network.weights().map(|(_, parameter)| count(&parameter.weights)).collect()
}

#[test]
fn they_stay_whole_and_models_learn_and_come_back() {
    use Method::{Acdc, Cht, Gmp, Granet, Gse, Mest, Rigl, Set, Srigl, Static};
    let folder = tempfile::tempdir().unwrap();
    for method in [Static, Set, Rigl, Gse, Mest, Cht, Gmp, Granet, Acdc, Srigl] {
        for block in [4, 8] {
            let what = format!("{method} in blocks of {block}");
            let mut settings = settings(method, block);
            settings.train.keep_best = false;
            let (allocation, density) = (settings.sparsity.allocation, settings.sparsity.density);
            let shapes = [vec![HIDDEN[0], 64], vec![HIDDEN[1], HIDDEN[0]], vec![10, HIDDEN[1]]];
            let asked = allocate(allocation, density, &shapes, &[0; 3]).unwrap();
            let mut trainer = Trainer::load(settings).unwrap();
            let outcome = trainer.train(&mut |_| Control::Continue).unwrap();
            for (found, asked) in counts(trainer.network(), block).into_iter().zip(asked) {
                assert!(found <= asked && found + block > asked, "{what}: {found} connections for {asked}");
            }
            counts(outcome.model.network(), block);
            let accuracy = outcome.test.expect("digits have a test part").accuracy();
            assert!(accuracy > 0.6, "{what}: {accuracy}");

            let path = folder.path().join("model.safetensors");
            outcome.model.save(&path).unwrap();
            let model = Model::open(&path).unwrap();
            assert_eq!(model.to_bytes(), outcome.model.to_bytes(), "{what}");
            let weights = model.network().weights().zip(outcome.model.network().weights());
            assert!(weights.into_iter().all(|((_, a), (_, b))| a.weights.values() == b.weights.values()));
            for (csr, (_, parameter)) in model.weights().zip(model.network().weights()) {
                let cells = (0..csr.shape[0]).flat_map(|row| {
                    let line = csr.crow_indices[row] as usize..csr.crow_indices[row + 1] as usize;
                    let cols = csr.shape[1];
                    csr.col_indices[line].iter().map(move |&col| row * cols + col as usize)
                });
                assert!(cells.eq(parameter.weights.connections().map(|(cell, _)| cell)), "{what}");
            }
        }
    }
}

/// What makes zeros makes whole blocks of them, which leave; a target is a bound in blocks, too.
#[test]
fn penalties_constraints_and_targets_take_them() {
    let folder = tempfile::tempdir().unwrap();
    let dense = "[sparsity]\ndensity = 1.0\n[topology]\nmethod = 'static'\n";
    #[rustfmt::skip]
    let cases = [
        (dense, "[penalty]\nmethod = 'l1'\nlambda = 0.01", 0.4),
        (dense, "[penalty]\nmethod = 'group-inputs'\nlambda = 0.01", 0.6),
        (dense, "[penalty]\nmethod = 'l1'\n[target]\nsparsity = 0.85", 0.15),
        (dense, "[penalty]\nmethod = 'l1'\n[target]\nbytes = 9000", 0.5),
        (dense, "[constraint]\nmethod = 'top-k'\nkeep = 0.2", 0.201),
        (dense, "[constraint]\nmethod = 'l1-ball'\nradius = 20.0", 0.5),
        (dense, "[constraint]\nmethod = 'non-negative'", 1.0),
        ("[topology]\nmethod = 'rigl'\n", "[target]\nbytes = 9000", 0.5),
        ("[topology]\nmethod = 'rigl'\n", "[target]\nnnz = 1000", 0.2),
        ("[topology]\nmethod = 'gmp'\nscope = 'global'\n[sparsity]\ndensity = 0.15\n", "", 0.15),
        ("[topology]\nmethod = 'top-kast'\n[sparsity]\ndensity = 0.15\n", "", 0.15),
    ];
    for (start, text, most) in cases {
        for block in [4, 8] {
            let what = format!("{start}{text} in blocks of {block}");
            let mut settings: Settings = toml::from_str(&format!("{start}{text}")).unwrap();
            settings.network.hidden = vec![56, 32];
            settings.sparsity.block = block.into();
            (settings.threads, settings.train.epochs, settings.train.batch_size) = (2, 12, Some(100));
            (settings.optimizer.learning_rate, settings.train.keep_best) = (Some(0.01.into()), false);
            let bytes = settings.target.bytes;
            let outcome = Trainer::load(settings).unwrap().train(&mut |_| Control::Continue).unwrap();
            let model = outcome.model;
            counts(model.network(), block);
            let share = 1.0 - model.sparsity();
            let accuracy = outcome.test.expect("digits have a test part").accuracy();
            assert!(share <= most + 1e-9 && share > 0.02, "{what}: {share}");
            assert!(accuracy > 0.6, "{what}: {accuracy}");
            let path = folder.path().join("model");
            std::fs::create_dir_all(&path).unwrap();
            save_model(&path, model.network(), &model.config).unwrap();
            let found = std::fs::metadata(path.join("model.safetensors")).unwrap().len();
            assert!(bytes.is_none_or(|bytes| found <= bytes), "{what}: {found} bytes");
            assert_eq!(Model::open(&path).unwrap().to_bytes(), model.to_bytes(), "{what}");
        }
    }
}

#[test]
fn what_does_not_go_with_them_is_refused() {
    #[rustfmt::skip]
    let cases = [
        ("[sparsity]\nblock = 3", "sparsity.block: must be 1, for connections one by one, 2, 4, 8, 16 or \"auto\", not 3"),
        ("[sparsity]\nblock = 0", "sparsity.block: must be 1"),
        ("[sparsity]\nblock = 4\nstorage = 'dense'", "sparsity.block: is for compressed storage"),
        ("[sparsity]\nblock = 4\n[penalty]\nmethod = 'mcp'\n[topology]\nmethod = 'static'", "sparsity.block: this does not go with penalty.method = \"mcp\": "),
        ("[sparsity]\nblock = 4\n[penalty]\nmethod = 'group-neurons'\n[topology]\nmethod = 'static'", "sparsity.block: this does not go with penalty.method = \"group-neurons\": "),
        ("[sparsity]\nblock = 4\n[penalty]\nmethod = 'str'\n[topology]\nmethod = 'static'", "sparsity.block: this does not go with penalty.method = \"str\": "),
        ("[sparsity]\nblock = 4\n[penalty]\nmethod = 'l1'\n[topology]\nmethod = 'static'\n[optimizer]\nmethod = 'linbreg'", "sparsity.block: this does not go with optimizer.method = \"linbreg\": "),
        ("[sparsity]\nblock = 4\n[constraint]\nmethod = 'top-k'\nkeep = 0.1\nscope = 'global'", "sparsity.block: this does not go with constraint.scope = \"global\": "),
    ];
    for (text, words) in cases {
        let settings: Settings = toml::from_str(text).unwrap();
        let error = Trainer::load(settings).err().expect(text).to_string();
        assert!(error.starts_with(words), "{text}: {error}");
    }
    // A network that was given has its connections one by one.
    let single = Trainer::load(settings(Method::Static, 1)).unwrap();
    let network = single.network().clone();
    let blocks = settings(Method::Rigl, 8);
    let splits = rarefy::data::load(&blocks.data, 1).unwrap();
    let error = Trainer::builder(blocks, splits).network(network).build().err().unwrap().to_string();
    assert!(error.starts_with("sparsity.block: asks for blocks of 8 in \"layers.0.weight\""), "{error}");
}
