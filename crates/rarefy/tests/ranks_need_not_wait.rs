//! Where a rank serves the others, nobody waits for a slow one, no gradient is later than it may be, and all agree where they meet. Where
//! all wait, it is told for whom.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rarefy::distributed::{Comm, ExchangeMethod, Local};
use rarefy::optimizers::{LearningRate, Method as Optimizer};
use rarefy::topology::Method as Topology;
use rarefy::train::{Control, Ending, Event, Run, Settings, Staleness};

use crate::small_networks::{SMALL, settings};

/// Settings of a run on digits that a server trains.
fn served(exchange: ExchangeMethod) -> Settings {
    let mut settings = Settings { threads: 1, ..Settings::default() };
    (settings.optimizer.method, settings.topology.method) = (Optimizer::Adam, Topology::Set);
    (settings.train.batch_size, settings.train.epochs) = (Some(256), 8);
    settings.optimizer.learning_rate = Some(LearningRate::Fixed(0.005));
    settings.distributed.exchange = exchange;
    settings
}

/// What a rank has come to.
struct Found {
    ending: Ending,
    model: Vec<u8>,
    accuracy: f64,
    staleness: Vec<Staleness>,
    /// Of its epochs.
    seconds: f64,
    /// Of each rank, in these epochs and in all.
    waiting: [Vec<f64>; 2],
    /// The slow rank of each epoch that has one.
    slow: Vec<usize>,
    notes: Vec<String>,
}

fn finish(mut run: Run, mut watch: impl FnMut(&Event<'_>) -> Control + Send) -> Found {
    let (mut staleness, mut seconds, mut slow) = (Vec::new(), 0.0, Vec::new());
    let mut waiting = Vec::new();
    let outcome = run.train(&mut |event| {
        if let Event::Epoch { record, .. } = &event {
            staleness.extend(record.staleness);
            seconds += record.seconds;
            waiting.resize(record.seconds_waiting.len(), 0.0);
            waiting.iter_mut().zip(&record.seconds_waiting).for_each(|(sum, waiting)| *sum += waiting);
            slow.extend(record.slow_rank.as_ref().map(|slow| slow.rank));
        }
        watch(&event)
    });
    let outcome = outcome.unwrap();
    Found {
        ending: outcome.ending,
        model: outcome.model.to_bytes(),
        accuracy: outcome.test.map_or(0.0, |score| score.accuracy()),
        staleness,
        seconds,
        waiting: [waiting, outcome.seconds_waiting],
        slow,
        notes: run.trainer().notes().to_vec(),
    }
}

#[test]
fn digits_are_learned_and_all_ranks_have_the_same_network() {
    for exchange in [ExchangeMethod::Server, ExchangeMethod::Wasap] {
        let settings = served(exchange);
        let found = Local::run(4, |rank| {
            finish(Run::start_with(settings.clone(), None, Arc::new(rank)).unwrap(), |_| Control::Continue)
        });
        assert!(found.iter().all(|it| it.model == found[0].model), "{exchange}");
        assert!(found[0].accuracy > 0.85, "{exchange}: {}", found[0].accuracy);
        // A server tells of each epoch; after 70 % of them workers take steps of their own.
        let epochs = if exchange == ExchangeMethod::Server { 8 } else { 6 };
        let told: Vec<usize> = found.iter().map(|it| it.staleness.len()).collect();
        assert_eq!(told, [epochs, 0, 0, 0], "{exchange}");
        assert!(found[0].staleness.iter().all(|late| late.most <= 4.0));
        assert!(found[1].notes.iter().any(|note| note.starts_with("not reproducible: ")), "{exchange}");
    }
}

/// What the first rank of a training comes to whose last rank of four needs 30 ms a share and the others 10.
fn with_a_slow_rank(settings: &Settings) -> Found {
    let found = Local::run(4, |rank| {
        let pause = Duration::from_millis(if rank.rank() == 3 { 30 } else { 10 });
        finish(Run::start_with(settings.clone(), None, Arc::new(rank)).unwrap(), |event| {
            if matches!(event, Event::Step { .. }) {
                std::thread::sleep(pause);
            }
            Control::Continue
        })
    });
    found.into_iter().next().unwrap()
}

#[test]
fn a_slow_rank_slows_nobody_unless_its_gradients_would_come_too_late() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = settings(&SMALL[0], 6000, folder.path());
    (all.threads, all.train.batch_size, all.optimizer.method) = (1, Some(256), Optimizer::Adam);
    (all.topology.method, all.topology.every) = (Topology::Set, None);
    let exact = with_a_slow_rank(&all);
    let epochs = all.train.epochs as usize;
    let [waiting, of_all] = &exact.waiting;
    // A machine that is full of other work may hide it in some epoch.
    let is_told = 2 * exact.slow.len() > epochs && exact.slow.iter().all(|&rank| rank == 3);
    assert!(is_told && waiting == of_all, "{:?}: {waiting:?} {of_all:?}", exact.slow);
    assert!(
        (0..3).all(|rank| waiting[rank] > 0.3 * exact.seconds && waiting[rank] > 2.0 * waiting[3]),
        "{waiting:?}"
    );
    all.distributed.exchange = ExchangeMethod::Server;
    let Found { seconds: served, staleness: late, slow, .. } = with_a_slow_rank(&all);
    println!("{served:.2} s, and {:.2} s where all wait for each other", exact.seconds);
    assert!(
        exact.seconds > 1.5 * served,
        "{served} s, and {} s where all wait for each other",
        exact.seconds
    );
    assert!(slow.is_empty(), "{slow:?}");
    assert!(late.iter().all(|late| late.most > 1.0 && late.most <= 4.0), "{late:?}");
    all.distributed.staleness = Some(1);
    let late = with_a_slow_rank(&all).staleness;
    assert!(late.iter().all(|late| late.waits > 0 && late.most <= 1.0), "{late:?}");
}

/// The last rank stops all in the second epoch; others go on, and end.
fn goes_on(exchange: ExchangeMethod, stop: u64) {
    let folder = tempfile::tempdir().unwrap();
    let (settings, directory) = (served(exchange), folder.path().join("cut"));
    let cut = Local::run(4, |rank| {
        let stops = rank.rank() == 3;
        let run = Run::start_with(settings.clone(), Some(&directory), Arc::new(rank)).unwrap();
        finish(run, |event| match event {
            Event::Step { progress, .. } if stops && progress.step >= stop => Control::Stop,
            _ => Control::Continue,
        })
    });
    assert!(cut.iter().all(|it| it.ending == Ending::Interrupted), "{exchange}");
    let found = Local::run(4, |rank| {
        let run = Run::resume_with(&directory, Arc::new(rank), |settings| settings.threads = 2).unwrap();
        finish(run, |_| Control::Continue)
    });
    assert!(found.iter().all(|it| it.ending == Ending::Finished && it.model == found[0].model));
    assert!(found[0].accuracy > 0.85, "{exchange}: {}", found[0].accuracy);
    assert_eq!(metrics(&directory), 8);
}

fn metrics(directory: &Path) -> usize {
    std::fs::read_to_string(directory.join("metrics.jsonl")).unwrap().lines().count()
}

#[test]
fn a_run_that_was_stopped_goes_on() {
    goes_on(ExchangeMethod::Server, 7);
    // Where workers take steps of their own.
    goes_on(ExchangeMethod::Wasap, 33);
}

/// A server answers where inputs are nonzeros, and where gradients are told in 16 bits.
#[test]
fn inputs_given_as_nonzeros_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("few.libsvm");
    let line = |sample: usize| {
        let features = (0..6).map(|k| 1 + 100 * k + 30 * (sample % 3) + (sample * 7 + k * sample) % 30);
        let text: Vec<String> = features.map(|feature| format!("{feature}:1.5")).collect();
        format!("{} {}\n", sample % 3, text.join(" "))
    };
    std::fs::write(&path, (0..1100).map(line).collect::<String>()).unwrap();
    let mut all = served(ExchangeMethod::Server);
    (all.data.path, all.train.batch_size) = (path.to_str().unwrap().into(), Some(255));
    all.distributed.precision = rarefy::distributed::Packing::Bf16;
    let found = Local::run(3, |rank| {
        finish(Run::start_with(all.clone(), None, Arc::new(rank)).unwrap(), |_| Control::Continue)
    });
    assert!(found.iter().all(|it| it.model == found[0].model && it.accuracy > 0.9), "{}", found[0].accuracy);
}

#[test]
fn a_rank_that_ends_ends_all() {
    let mut settings = served(ExchangeMethod::Server);
    settings.train.batch_size = Some(255);
    let found = Local::run(3, |rank| {
        let is_last = rank.rank() == 2;
        let mut run = Run::start_with(settings.clone(), None, Arc::new(rank)).unwrap();
        (!is_last).then(|| run.train(&mut |_| Control::Continue).err().unwrap().to_string())
    });
    // Rank 1 waits for rank 0, and hears who is gone.
    for rank in [0, 1] {
        assert_eq!(found[rank].as_deref(), Some("rank 2 (this process): has ended before its time"));
    }
}

#[test]
fn what_a_server_cannot_do_is_refused() {
    let small = |name: &str| {
        let small = SMALL.iter().find(|small| small.network.contains(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(small, 1100, folder.path());
        (settings.distributed.exchange, settings.optimizer.method) =
            (ExchangeMethod::Server, Optimizer::Adam);
        (settings, folder)
    };
    let ((norms, _kept), (carries, _too)) = (small("batch-norm"), small("carry"));
    let with = |change: fn(&mut Settings)| {
        let mut settings = served(ExchangeMethod::Server);
        change(&mut settings);
        settings
    };
    for (settings, ranks, message) in [
        (
            with(|_| ()),
            1,
            "distributed.exchange: \"server\" needs two ranks or more: start them by mpirun -n 4, or use \"exact\"",
        ),
        (
            with(|it| it.distributed.exchange = ExchangeMethod::Wasap),
            1,
            "distributed.exchange: \"wasap\" needs two ranks or more",
        ),
        (
            with(|it| it.train.batch_size = Some(2)),
            3,
            "train.batch_size: 2 samples cannot be shared out alike over 3 workers; use 3 or 6",
        ),
        (
            with(|it| (it.optimizer.method, it.optimizer.momentum) = (Optimizer::Sgd, 0.9)),
            2,
            "optimizer.momentum: 0.9 is too much for gradients that come late, as distributed.exchange = \"server\" makes them",
        ),
        (norms, 2, "distributed.exchange: \"server\" does not go with batch norms"),
        (carries, 2, "distributed.exchange: \"server\" does not go with layers that carry their states"),
    ] {
        let found = Local::run(ranks, |rank| {
            Run::start_with(settings.clone(), None, Arc::new(rank)).err().map(|error| error.to_string())
        });
        assert!(
            found.iter().all(|error| error.as_ref().unwrap().starts_with(message)),
            "{message}: {found:?}"
        );
    }
}
