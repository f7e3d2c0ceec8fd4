//! However many threads train a network, each with a share of every batch, the bytes of model, checkpoint and metrics are those of
//! one.

use std::path::Path;

use rarefy::optimizers::Method as Optimizer;
use rarefy::penalties::PenaltyMethod;
use rarefy::topology::Method as Topology;
use rarefy::train::{Control, Event, Run, Settings};

use crate::small_networks::{SMALL, methods, results, settings};

const SAMPLES: usize = 1100;

fn train(settings: &Settings, threads: usize, folder: &Path) -> [Vec<u8>; 3] {
    let settings = Settings { threads, ..settings.clone() };
    let mut run = Run::start(settings, Some(folder)).unwrap();
    run.train(&mut |_| Control::Continue).unwrap();
    results(folder)
}

/// Trains with one thread, and with each of `threads`.
fn agree(what: &str, settings: &Settings, threads: &[usize]) {
    let folder = tempfile::tempdir().unwrap();
    let place = |threads: usize| folder.path().join(threads.to_string());
    let one = train(settings, 1, &place(1));
    for &threads in threads {
        let many = train(settings, threads, &place(threads));
        let same: Vec<bool> = one.iter().zip(&many).map(|(one, many)| one == many).collect();
        assert!(same == [true; 3], "{what}, {threads} threads: state, model, metrics {same:?}");
    }
}

#[test]
fn every_network_and_method_is_the_same_in_any_number_of_threads() {
    for (place, small) in SMALL.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut all = settings(small, SAMPLES, folder.path());
        // Seven or eight tiles, and then a batch that leaves workers without any.
        all.train.batch_size = Some([512, 448][place % 2]);
        for (method, settings) in methods(&all) {
            let threads: &[usize] = if method == "rigl" { &[2, 3, 8] } else { &[4] };
            agree(&format!("{} under {method}", small.network), &settings, threads);
        }
    }
}

#[test]
fn every_optimizer_and_topology_is_the_same_in_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = settings(&SMALL[0], SAMPLES, folder.path());
    all.train.batch_size = Some(320);
    all.topology.method = Topology::Rigl;
    for method in Optimizer::ALL {
        let mut settings = all.clone();
        settings.optimizer.method = method;
        if method.is_bregman() {
            (settings.topology.method, settings.topology.every) = (Topology::Static, None);
            settings.penalty.method = PenaltyMethod::L1;
            (settings.sparsity.density, settings.target.sparsity) = (1.0, Some(0.9));
        }
        if method.traits().needs_full_batch {
            (settings.data.validation_fraction, settings.data.test_fraction) = (0.0, 0.0);
            (settings.network.dropout, settings.train.batch_size) = (0.0, Some(SAMPLES));
        }
        agree(&format!("{method:?}"), &settings, &[3, 5]);
    }
    for method in Topology::ALL {
        let mut settings = all.clone();
        settings.topology.method = method;
        if [Topology::Static, Topology::Set, Topology::Cht, Topology::Acdc].contains(&method) {
            settings.topology.every = None;
        }
        agree(&format!("{method:?}"), &settings, &[4]);
    }
}

/// A run that stops in mid-epoch goes on in another number of threads, carried states and all.
#[test]
fn a_run_goes_on_in_any_number_of_threads() {
    for small in
        SMALL.iter().filter(|small| small.network.contains("carry") || small.network.contains("'mlp'"))
    {
        let folder = tempfile::tempdir().unwrap();
        let mut all = settings(small, SAMPLES, folder.path());
        all.train.batch_size = Some(256);
        let whole = train(&all, 1, &folder.path().join("whole"));
        let cut = folder.path().join("cut");
        let stop = |event: Event<'_>| match event {
            Event::Step { progress, .. } if progress.step == 2 => Control::Stop,
            _ => Control::Continue,
        };
        Run::start(Settings { threads: 4, ..all }, Some(&cut)).unwrap().train(&mut { stop }).unwrap();
        let mut resumed = Run::resume(&cut, |settings| settings.threads = 2).unwrap();
        resumed.train(&mut |_| Control::Continue).unwrap();
        assert!(results(&cut) == whole, "{}", small.network);
    }
}
