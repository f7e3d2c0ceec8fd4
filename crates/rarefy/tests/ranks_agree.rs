//! However many ranks and threads train a network, the bytes of model, checkpoint and metrics are those of one.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rarefy::data::{self, TaskChoice};
use rarefy::distributed::{Comm, ExchangeMethod, Local, Packing};
use rarefy::losses::{CustomLoss, Lanes, Loss, LossFunction, TargetTile};
use rarefy::optimizers::Method as Optimizer;
use rarefy::penalties::PenaltyMethod;
use rarefy::tiles::{LANES, Row};
use rarefy::topology::Method as Topology;
use rarefy::train::{Control, Event, Run, Settings, Trainer};

use crate::small_networks::{SMALL, methods, results, settings};

const SAMPLES: usize = 1100;

/// What each of some ranks comes to.
fn in_ranks<T: Send>(ranks: usize, work: impl Fn(Local) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let ranks = Local::group(ranks, Duration::from_secs(60));
        let threads: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(|| work(rank))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a rank works to its end")).collect()
    })
}

/// The results of a run whose folder is made in `folder`, and its score on the test part.
fn train(settings: &Settings, ranks: usize, folder: &Path) -> [Vec<u8>; 4] {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let outcomes = in_ranks(ranks, |rank| {
        let mut run = Run::start_with(settings.clone(), Some(folder.path()), Arc::new(rank))?;
        run.train(&mut |_| Control::Continue)
    });
    let scores: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap().test).collect();
    assert!(scores.iter().all(|score| *score == scores[0]), "all ranks know the test score: {scores:?}");
    let [state, model, metrics] = results(folder.path());
    [state, model, metrics, format!("{:?}", scores[0]).into_bytes()]
}

/// Batches of so many samples, of which the last of an epoch leaves ranks without any, and how many ranks they give work to.
type Sizes = (usize, &'static [usize]);

const EIGHT_TILES: Sizes = (512, &[2, 4, 8]);
const FIVE_TILES: Sizes = (320, &[3, 5]);
const SEVEN_TILES: Sizes = (448, &[7]);

fn agree(what: &str, all: &Settings, (batch_size, ranks): Sizes, folder: &Path) {
    let mut settings = all.clone();
    (settings.train.batch_size, settings.threads) = (Some(batch_size), 1);
    let one = train(&settings, 1, folder);
    for &ranks in ranks {
        let many = train(&Settings { threads: 1 + ranks % 2, ..settings.clone() }, ranks, folder);
        let same: Vec<bool> = one.iter().zip(&many).map(|(one, many)| one == many).collect();
        assert!(same == [true; 4], "{what}, {ranks} ranks: state, model, metrics, test score {same:?}");
    }
}

#[test]
fn every_network_and_method_is_the_same_in_any_number_of_ranks() {
    for small in SMALL {
        let folder = tempfile::tempdir().unwrap();
        for (method, settings) in methods(&settings(small, SAMPLES, folder.path())) {
            // Each network meets each number of ranks, under one method or another.
            let sizes = match method {
                "rigl" => EIGHT_TILES,
                "gse" => FIVE_TILES,
                _ => SEVEN_TILES,
            };
            agree(&format!("{} under {method}", small.network), &settings, sizes, folder.path());
        }
    }
}

#[test]
fn every_optimizer_and_topology_is_the_same_in_any_number_of_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = settings(&SMALL[0], SAMPLES, folder.path());
    all.topology.method = Topology::Rigl;
    for method in Optimizer::ALL {
        let mut settings = all.clone();
        settings.optimizer.method = method;
        if method.is_bregman() {
            (settings.topology.method, settings.topology.every) = (Topology::Static, None);
            (settings.sparsity.density, settings.target.sparsity) = (1.0, Some(0.8));
            settings.penalty.method = PenaltyMethod::L1;
        }
        let mut sizes = EIGHT_TILES;
        if method.traits().needs_full_batch {
            (settings.data.validation_fraction, settings.data.test_fraction) = (0.0, 0.0);
            settings.network.dropout = 0.0;
            sizes = (SAMPLES, &[2]);
        }
        agree(&format!("{method:?}"), &settings, sizes, folder.path());
    }
    for method in Topology::ALL {
        let mut settings = all.clone();
        settings.topology.method = method;
        if [Topology::Static, Topology::Set, Topology::Cht, Topology::Acdc].contains(&method) {
            settings.topology.every = None;
        }
        agree(&format!("{method:?}"), &settings, (320, &[5]), folder.path());
    }
}

/// Settings of a run whose inputs are given as nonzeros.
fn nonzeros(folder: &Path) -> Settings {
    let path = folder.join("few.libsvm");
    let line = |sample: usize| {
        let features = (0..6).map(|k| 1 + 100 * k + (sample * 7 + k * sample) % 90);
        let text: Vec<String> = features.map(|feature| format!("{feature}:1.5")).collect();
        format!("{} {}\n", sample * sample % 3, text.join(" "))
    };
    std::fs::write(&path, (0..SAMPLES).map(line).collect::<String>()).unwrap();
    let mut all = Settings::default();
    (all.data.path, all.network.hidden) = (path.to_str().unwrap().into(), vec![12]);
    (all.sparsity.density, all.train.epochs, all.topology.every) = (0.1, 2, Some(2));
    all
}

/// Of the weights of a first layer only those move that some rank's samples touch.
#[test]
fn inputs_given_as_nonzeros_are_the_same_in_any_number_of_ranks() {
    let folder = tempfile::tempdir().unwrap();
    for (method, settings) in methods(&nonzeros(folder.path())) {
        agree(&format!("nonzeros under {method}"), &settings, EIGHT_TILES, folder.path());
        agree(&format!("nonzeros under {method}"), &settings, FIVE_TILES, folder.path());
    }
}

#[test]
fn micro_batches_and_ranks_compose() {
    let folder = tempfile::tempdir().unwrap();
    for (method, mut settings) in methods(&settings(&SMALL[0], SAMPLES, folder.path())) {
        settings.train.accumulate = 2;
        agree(method, &settings, (256, &[2, 4]), folder.path());
        agree(&format!("{method}, stale"), &stale(&settings), (256, &[4]), folder.path());
    }
}

/// The settings with gradients that move weights one step late.
fn stale(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.distributed.exchange = ExchangeMethod::Stale;
    settings
}

/// The settings with four workers that take steps of their own.
fn local(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.distributed.exchange = ExchangeMethod::Local;
    (settings.distributed.workers, settings.distributed.period) = (Some(4), Some(3));
    settings
}

/// Four steps an epoch: connections move at the second, workers meet at the third, and where an epoch ends.
#[test]
fn every_exchange_is_the_same_in_any_number_of_ranks() {
    const FOUR_TILES: Sizes = (256, &[2, 4]);
    for small in SMALL
        .iter()
        .filter(|small| ["mlp", "gru", "batch-norm"].iter().any(|name| small.network.contains(name)))
    {
        let folder = tempfile::tempdir().unwrap();
        let all = settings(small, SAMPLES, folder.path());
        for method in [Topology::Static, Topology::Rigl, Topology::Mest, Topology::Set] {
            let mut settings = all.clone();
            (settings.topology.method, settings.optimizer.method) = (method, Optimizer::Adagrad);
            if [Topology::Static, Topology::Set].contains(&method) {
                (settings.topology.every, settings.optimizer.method) = (None, Optimizer::Adam);
            }
            let what = format!("{} under {method}", small.network);
            agree(&format!("{what}, stale"), &stale(&settings), FOUR_TILES, folder.path());
            if !small.network.contains("carry") {
                agree(&format!("{what}, local"), &local(&settings), FOUR_TILES, folder.path());
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut blocks = local(&settings(&SMALL[0], SAMPLES, folder.path()));
    (blocks.sparsity.block, blocks.topology.method) = (4.into(), Topology::Rigl);
    agree("row blocks under rigl, local", &blocks, FOUR_TILES, folder.path());
    let folder = tempfile::tempdir().unwrap();
    for (method, settings) in methods(&nonzeros(folder.path())) {
        agree(&format!("nonzeros under {method}, stale"), &stale(&settings), FOUR_TILES, folder.path());
        if method != "l1" {
            agree(&format!("nonzeros under {method}, local"), &local(&settings), FOUR_TILES, folder.path());
        }
    }
}

/// A rank's own two halves of a step, each of which waits until the other is under way, too.
#[derive(Debug, Default)]
struct Meeting {
    /// Whether they are to meet in this step; whether passes are under way; whether a message is.
    state: Mutex<[bool; 3]>,
    changed: Condvar,
}

impl Meeting {
    fn meet(&self, mine: usize) {
        let mut state = self.state.lock().unwrap();
        state[mine] = true;
        self.changed.notify_all();
        let is_missing = |state: &mut [bool; 3]| state[0] && !(state[1] && state[2]);
        let waited = self.changed.wait_timeout_while(state, Duration::from_secs(20), is_missing).unwrap().1;
        assert!(!waited.timed_out(), "passes and messages are under way at the same time");
    }

    fn begin_step(&self, meets: bool) {
        *self.state.lock().unwrap() = [meets, false, false];
    }
}

#[derive(Debug)]
struct MeetingComm(Local, Arc<Meeting>);

impl Comm for MeetingComm {
    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn exchange(&self, to: usize, give: &[u8], from: usize, take: &mut [u8]) -> rarefy::Result<()> {
        self.1.meet(2);
        self.0.exchange(to, give, from, take)
    }

    fn send(&self, to: usize, bytes: &[u8]) -> rarefy::Result<()> {
        self.0.send(to, bytes)
    }

    fn receive(&self, from: Option<usize>) -> rarefy::Result<(usize, Vec<u8>)> {
        self.0.receive(from)
    }

    fn host(&self) -> String {
        self.0.host()
    }

    fn abort(&self, code: i32) -> ! {
        self.0.abort(code)
    }
}

struct MeetingLoss(Arc<Meeting>);

impl LossFunction for MeetingLoss {
    fn lanes(&self, output: &[Row], _: TargetTile<'_>, gradient: Option<&mut [Row]>) -> Lanes {
        // Where nothing is to be learned nobody waits.
        if let Some(gradient) = gradient {
            self.0.meet(1);
            gradient.copy_from_slice(output);
        }
        [1.0; LANES]
    }
}

#[test]
fn a_late_sum_is_under_way_while_the_next_passes_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = stale(&settings(&SMALL[0], SAMPLES, folder.path()));
    (all.data.task, all.train.batch_size, all.threads) = (TaskChoice::Regression, Some(128), 1);
    (all.topology.method, all.topology.every) = (Topology::Static, None);
    let steps = in_ranks(2, |rank| {
        let meeting = Arc::new(Meeting::default());
        let loss = Loss::Custom(CustomLoss::new(MeetingLoss(meeting.clone())));
        let splits = data::load(&all.data, all.seed).unwrap();
        let comm = Arc::new(MeetingComm(rank, meeting.clone()));
        let mut trainer = Trainer::builder(all.clone(), splits).comm(comm).loss(loss).build().unwrap();
        let mut steps = 0;
        trainer
            .train(&mut |event| {
                if let Event::Step { progress, .. } = event {
                    // The first step of an epoch has nothing to add up; of its last one the second rank has no samples.
                    let meets = (1..progress.epoch - 1).contains(&(progress.step % progress.epoch));
                    meeting.begin_step(meets);
                    steps += u64::from(meets);
                }
                Control::Continue
            })
            .unwrap();
        steps
    });
    assert!(steps[0] > 4 && steps[0] == steps[1], "{steps:?}");
}

/// All ranks hold the same rounded sums, at half the bytes.
#[test]
fn gradients_in_16_bits_are_the_same_on_all_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = settings(&SMALL[0], SAMPLES, folder.path());
    (all.train.batch_size, all.threads, all.network.hidden) = (Some(256), 1, vec![200, 200]);
    let train = |packing: Packing| {
        let mut settings = all.clone();
        settings.distributed.precision = packing;
        let found = in_ranks(4, |rank| {
            let mut run = Run::start_with(settings.clone(), None, Arc::new(rank)).unwrap();
            let mut sent = 0;
            let outcome = run.train(&mut |event| {
                if let Event::Epoch { record, .. } = event {
                    assert!(
                        record.seconds_waiting.len() == 4
                            && record.seconds_waiting.iter().all(|&it| it > 0.0)
                    );
                    sent += record.bytes_sent.unwrap();
                }
                Control::Continue
            });
            (outcome.unwrap().model.to_bytes(), sent)
        });
        assert!(found.iter().all(|(model, _)| *model == found[0].0), "{packing}");
        found.into_iter().next().unwrap()
    };
    let ((exact, all_bytes), (rounded, bytes)) = (train(Packing::F32), train(Packing::Bf16));
    assert!(exact != rounded && bytes < all_bytes * 6 / 10, "{bytes} of {all_bytes} bytes");
}

/// Each rank has the sums of its rows alone, and tells the best cells of these: `4 cells (p - 1) / p + 16 count p` bytes.
#[test]
fn growth_by_gradients_sends_half_of_a_dense_gradient() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = settings(&SMALL[0], SAMPLES, folder.path());
    (all.train.batch_size, all.threads, all.network.hidden) = (Some(256), 1, vec![200, 200]);
    // One update in six steps.
    (all.train.epochs, all.topology.every) = (2, Some(3));
    let sent = |method: Topology, ranks: usize| {
        let mut settings = all.clone();
        settings.topology.method = method;
        settings.topology.every = settings.topology.every.filter(|_| method == Topology::Rigl);
        let found = in_ranks(ranks, |rank| {
            let mut run = Run::start_with(settings.clone(), None, Arc::new(rank)).unwrap();
            let mut told = (0, 0);
            run.train(&mut |event| {
                if let Event::Epoch { record, .. } = event {
                    told.0 += record.bytes_sent.unwrap();
                    told.1 += record.grown as u64;
                }
                Control::Continue
            })
            .unwrap();
            told
        });
        found.into_iter().max().unwrap()
    };
    let cells = 36 * 200 + 200 * 200 + 200 * 3;
    for ranks in [2, 4] {
        let ((with, grown), (without, _)) = (sent(Topology::Rigl, ranks), sent(Topology::Static, ranks));
        let count = ranks as u64;
        let limit = 4 * cells * (count - 1) / count + 16 * grown * count;
        // Counts of cells, and hashes of patterns.
        assert!(grown > 0 && with - without <= limit + 100 * count, "{} of {limit}", with - without);
    }
}

/// One rank's watcher stops all after the next step; the run goes on in more ranks, and ends in one, carried states and all.
#[test]
fn a_run_goes_on_in_any_number_of_ranks() {
    for small in
        SMALL.iter().filter(|small| small.network.contains("carry") || small.network.contains("'mlp'"))
    {
        let folder = tempfile::tempdir().unwrap();
        let all = settings(small, SAMPLES, folder.path());
        goes_on(small.network, &all);
        goes_on(&format!("{}, stale", small.network), &stale(&all));
        if !small.network.contains("carry") {
            goes_on(&format!("{}, local", small.network), &local(&all));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let all = nonzeros(folder.path());
    goes_on("nonzeros, stale", &stale(&all));
    goes_on("nonzeros, local", &local(&all));
}

fn goes_on(what: &str, all: &Settings) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = all.clone();
    (all.train.batch_size, all.train.keep_best) = (Some(256), true);
    let whole = train(&all, 1, folder.path());
    let cut = folder.path().join("cut");
    let until = |rank: &Local, last: u64| {
        let stops = rank.rank() + 1 == rank.size();
        move |event: Event<'_>| match event {
            Event::Step { progress, .. } if stops && progress.step == last => Control::Stop,
            _ => Control::Continue,
        }
    };
    in_ranks(2, |rank| {
        let mut watch = until(&rank, 1);
        Run::start_with(all.clone(), Some(&cut), Arc::new(rank)).unwrap().train(&mut watch).unwrap();
    });
    in_ranks(4, |rank| {
        let mut watch = until(&rank, 5);
        let mut run = Run::resume_with(&cut, Arc::new(rank), |settings| settings.threads = 1).unwrap();
        run.train(&mut watch).unwrap();
    });
    let mut run = Run::resume(&cut, |_| ()).unwrap();
    run.train(&mut |_| Control::Continue).unwrap();
    assert!(results(&cut) == whole[..3], "{what}");
}

#[test]
fn what_ranks_do_not_have_alike_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = settings(&SMALL[0], SAMPLES, folder.path());
    let start = |settings: &Settings, rank: Local| {
        Run::start_with(settings.clone(), None, Arc::new(rank)).err().map(|error| error.to_string())
    };
    all.train.batch_size = Some(32);
    let found = in_ranks(4, |rank| start(&all, rank));
    let message = "train.batch_size: 32 gives work to 1 of 4 ranks; use 256, 512 or another";
    assert!(found.iter().all(|error| error.as_ref().unwrap().starts_with(message)), "{found:?}");
    all.train.batch_size = Some(192);
    let found = in_ranks(3, |rank| {
        let seed = all.seed + u64::from(rank.rank() == 2);
        start(&Settings { seed, ..all.clone() }, rank)
    });
    let message = "rank 2 (this process): has other settings than rank 0";
    assert!(found.iter().all(|error| error.as_ref().unwrap().starts_with(message)), "{found:?}");
}

#[test]
fn a_rank_that_ends_ends_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = settings(&SMALL[0], SAMPLES, folder.path());
    all.train.batch_size = Some(192);
    let found = in_ranks(3, |rank| {
        let is_last = rank.rank() == 2;
        let mut run = Run::start_with(all.clone(), None, Arc::new(rank)).unwrap();
        if is_last {
            None
        } else {
            run.train(&mut |_| Control::Continue).err().map(|error| error.to_string())
        }
    });
    let errors: Vec<String> = found.into_iter().flatten().collect();
    assert_eq!(errors.len(), 2);
    assert!(errors.iter().all(|error| error.ends_with("has ended before its time")), "{errors:?}");
}

#[test]
fn what_an_exchange_cannot_do_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let all = settings(&SMALL[0], SAMPLES, folder.path());
    let carries = SMALL.iter().find(|small| small.network.contains("carry")).unwrap();
    let carries =
        tempfile::tempdir().map(|folder| (settings(carries, SAMPLES, folder.path()), folder)).unwrap();
    let with = |settings: Settings, change: fn(&mut Settings)| {
        let mut settings = settings;
        settings.train.batch_size = Some(256);
        change(&mut settings);
        settings
    };
    for (settings, ranks, message) in [
        (
            with(local(&all), |it| it.distributed.workers = Some(6)),
            2,
            "distributed.workers: 6 cannot be shared out over 2 ranks",
        ),
        (
            with(local(&all), |it| it.train.batch_size = Some(254)),
            1,
            "train.batch_size: 254 samples cannot be shared out alike over 4 workers; use 252 or 256",
        ),
        (
            with(local(&carries.0), |_| ()),
            1,
            "distributed.exchange: \"local\" does not go with layers that carry",
        ),
        (
            with(stale(&all), |it| (it.optimizer.method, it.optimizer.momentum) = (Optimizer::Sgd, 0.9)),
            1,
            "optimizer.momentum: 0.9 is too much for gradients that come late",
        ),
    ] {
        let found = in_ranks(ranks, |rank| {
            Run::start_with(settings.clone(), None, Arc::new(rank)).err().map(|error| error.to_string())
        });
        assert!(
            found.iter().all(|error| error.as_ref().unwrap().starts_with(message)),
            "{message}: {found:?}"
        );
    }
}
