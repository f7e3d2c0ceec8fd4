//! However few connections are asked for, each output starts with one, and what that makes of the density is said.

use rarefy::data;
use rarefy::kernels::Activation;
use rarefy::layers::{EmbeddingSpec, LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::tiles::Shape;
use rarefy::topology::Method;
use rarefy::train::{Control, Settings, Trainer};

fn fan_ins(network: &Network) -> Vec<Vec<usize>> {
    let of = |rows: usize, cells: &mut dyn Iterator<Item = usize>, cols: usize| {
        let mut fan_ins = vec![0; rows];
        cells.for_each(|cell| fan_ins[cell / cols] += 1);
        fan_ins
    };
    let weights = network.weights().map(|(_, parameter)| &parameter.weights);
    weights.map(|it| of(it.rows(), &mut it.connections().map(|(cell, _)| cell), it.cols())).collect()
}

#[test]
fn tiny_networks_train_by_every_method() {
    for method in Method::ALL.iter().copied() {
        let mut settings = Settings { threads: 1, ..Settings::default() };
        settings.network.hidden = vec![2, 2];
        settings.sparsity.density = 0.1;
        settings.topology.method = method;
        settings.train.epochs = 1;
        let splits = data::load(&settings.data, 1).unwrap();
        let mut trainer = Trainer::new(settings, splits).unwrap();
        // 15 of 152 cells by density; one more for the second layer, eight for the last.
        let raised = "a density of 0.158 in place of 0.100: each output starts with a connection";
        assert_eq!(trainer.notes(), [raised], "{method}");
        let starts = fan_ins(trainer.network());
        assert!(starts.concat().iter().all(|&fan_in| fan_in > 0), "{method}: {starts:?}");
        trainer.train(&mut |_| Control::Continue).unwrap_or_else(|error| panic!("{method}: {error}"));
    }
}

#[test]
fn what_is_dense_enough_keeps_its_count_and_has_no_empty_row() {
    let layers = vec![LayerSpec::linear(400, Activation::Relu), LayerSpec::linear(10, Activation::Identity)];
    let spec = NetworkSpec { inputs: Shape::flat(30), layers };
    // Of 30 inputs each row has two or three: at random some 30 of 400 rows would have none.
    let sparsity = SparsitySettings { density: 0.08, ..SparsitySettings::default() };
    let network = Network::random(&spec, &sparsity, 1).unwrap();
    assert_eq!(network.connections().0, (0.08_f64 * 16_000.0).round() as usize);
    assert!(fan_ins(&network).concat().iter().all(|&fan_in| fan_in > 0));
}

#[test]
fn a_table_of_vectors_has_no_floor_and_a_target_is_met() {
    let table = EmbeddingSpec { vocabulary: 5000, channels: 8, padding: false };
    let layers =
        vec![table.into(), LayerSpec::global_average_pool(), LayerSpec::linear(2, Activation::Identity)];
    let spec = NetworkSpec { inputs: Shape::sequence(7, 1), layers };
    let sparsity = SparsitySettings { density: 0.01, ..SparsitySettings::default() };
    let network = Network::random(&spec, &sparsity, 1).unwrap();
    assert!(network.connections().0 < 500, "{:?}", network.connections());

    let mut settings = Settings { threads: 1, ..Settings::default() };
    settings.network.hidden = vec![30];
    settings.target.nnz = Some(60);
    settings.topology.method = Method::Static;
    let trainer = Trainer::new(settings.clone(), data::load(&settings.data, 1).unwrap()).unwrap();
    assert!(trainer.network().connections().0 <= 60);
    assert!(trainer.notes().is_empty(), "{:?}", trainer.notes());
}
