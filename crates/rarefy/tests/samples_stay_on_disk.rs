//! Training on samples that stay on the disk (`data.memory`) gives the bytes of training on the same ones in memory, in any number of
//! threads and ranks, and for a run that stopped and went on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rarefy::data::{self, DataSettings, Splits};
use rarefy::distributed::{ExchangeMethod, Local};
use rarefy::topology::Method;
use rarefy::train::{Control, Ending, Event, Run, Settings};

use crate::small_networks::{SMALL, settings};

/// Memory for a window of this many samples of 36 numbers, and as many that are read ahead.
const fn memory(window: usize) -> usize {
    2 * window * (36 * 4 + 12)
}

/// Settings of runs on 1100 samples, of which few are in memory.
fn streamed(folder: &Path) -> Settings {
    let mut settings = settings(&SMALL[0], 1100, folder);
    (settings.topology.method, settings.topology.every) = (Method::Rigl, Some(3));
    (settings.train.batch_size, settings.train.epochs) = (Some(192), 3);
    settings.data.memory = Some(memory(300));
    settings
}

/// The same of samples of 3 to 5 nonzeros.
fn nonzeros(folder: &Path) -> Settings {
    let path = folder.join("few.libsvm");
    let line = |sample: usize| {
        let entries =
            (0..3 + sample % 3).map(|k| format!(" {}:1.5", 1 + 100 * k + (sample * 7 + k * sample) % 90));
        format!("{}{}\n", sample * sample % 3, entries.collect::<String>())
    };
    std::fs::write(&path, (0..1100).map(line).collect::<String>()).unwrap();
    let mut settings = streamed(folder);
    settings.data = DataSettings { path: path.display().to_string(), ..DataSettings::default() };
    settings.data.memory = Some(2 * 300 * (4 * 8 + 12));
    settings
}

fn model(folder: &Path) -> [Vec<u8>; 2] {
    ["model.safetensors", "config.json"].map(|name| std::fs::read(folder.join(name)).unwrap())
}

/// The model of a run that is stopped after some steps and goes on, or is not.
fn train(settings: &Settings, ranks: usize, stop: Option<u64>, folder: &Path) -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let comms = Local::group(ranks, Duration::from_secs(60));
    std::thread::scope(|scope| {
        for comm in comms {
            let (settings, folder) = (settings.clone(), folder.path());
            scope.spawn(move || {
                let comm = Arc::new(comm);
                let mut run = Run::start_with(settings, Some(folder), comm.clone()).unwrap();
                let outcome = run.train(&mut |event| match event {
                    Event::Step { progress, .. } if Some(progress.step) == stop => Control::Stop,
                    _ => Control::Continue,
                });
                if outcome.unwrap().ending == Ending::Interrupted {
                    drop(run);
                    let mut run = Run::resume_with(folder, comm, |_| {}).unwrap();
                    run.train(&mut |_| Control::Continue).unwrap();
                }
            });
        }
    });
    model(folder.path())
}

/// The model of a run on samples in memory, shuffled as those on the disk are.
fn in_memory(settings: &Settings, folder: &Path) -> [Vec<u8>; 2] {
    let window = data::load(&settings.data, settings.seed).unwrap().window;
    let data = DataSettings { memory: None, ..settings.data.clone() };
    let splits = Splits { window, ..data::load(&data, settings.seed).unwrap() };
    let folder = tempfile::tempdir_in(folder).unwrap();
    let mut run = Run::start_on(Settings { data, ..settings.clone() }, splits, Some(folder.path())).unwrap();
    run.train(&mut |_| Control::Continue).unwrap();
    model(folder.path())
}

#[test]
fn threads_ranks_and_stops_change_no_byte_of_what_memory_gives() {
    let folder = tempfile::tempdir().unwrap();
    let settings = streamed(folder.path());
    let expected = in_memory(&settings, folder.path());
    for (threads, ranks, stop) in [(1, 1, None), (2, 1, Some(4)), (1, 2, Some(9)), (1, 3, None)] {
        let settings = Settings { threads, ..settings.clone() };
        let found = train(&settings, ranks, stop, folder.path());
        assert!(found == expected, "{threads} threads, {ranks} ranks, stopped after {stop:?}");
    }
    for exchange in [ExchangeMethod::Stale, ExchangeMethod::Local] {
        let mut settings = settings.clone();
        settings.distributed.exchange = exchange;
        settings.distributed.workers = (exchange == ExchangeMethod::Local).then_some(2);
        let expected = in_memory(&settings, folder.path());
        assert!(train(&settings, 2, Some(4), folder.path()) == expected, "{exchange}");
    }
    let mut accumulating = settings;
    (accumulating.train.accumulate, accumulating.train.batch_size) = (2, Some(64));
    let expected = in_memory(&accumulating, folder.path());
    assert!(train(&accumulating, 1, None, folder.path()) == expected, "micro-batches");
}

#[test]
fn nonzeros_are_read_as_those_of_memory_are() {
    let folder = tempfile::tempdir().unwrap();
    let settings = nonzeros(folder.path());
    let expected = in_memory(&settings, folder.path());
    for (ranks, stop) in [(1, Some(4)), (2, None)] {
        assert!(
            train(&settings, ranks, stop, folder.path()) == expected,
            "{ranks} ranks, stopped after {stop:?}"
        );
    }
}

#[test]
fn a_window_for_all_shuffles_as_memory_does_and_too_small_a_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = streamed(folder.path());
    settings.data.memory = Some(memory(1100));
    let all = train(&settings, 1, None, folder.path());
    settings.data.memory = None;
    assert!(all == train(&settings, 1, None, folder.path()));
    settings.data.memory = Some(memory(100));
    let error = Run::start(settings, None).err().unwrap().to_string();
    assert!(error.starts_with("data.memory: is enough for 100 samples"), "{error}");
}
