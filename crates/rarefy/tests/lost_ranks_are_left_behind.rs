//! Ranks that are left when others were lost go on from the last checkpoint, to the bytes of a run that lost none.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rarefy::distributed::{Comm, ExchangeMethod, Local};
use rarefy::topology::Method as Topology;
use rarefy::train::{Control, Run, Settings};
use rarefy::{Error, Result};

use crate::small_networks::{SMALL, results, settings};

/// A rank that is lost after so many messages, perhaps in the middle of a sum.
#[derive(Debug)]
struct Mortal {
    local: Mutex<Option<Arc<Local>>>,
    place: (usize, usize),
    messages: Arc<AtomicUsize>,
    most: usize,
}

impl Mortal {
    fn new(local: Local, messages: Arc<AtomicUsize>, most: usize) -> Mortal {
        let place = (local.rank(), local.size());
        Mortal { local: Mutex::new(Some(Arc::new(local))), place, messages, most }
    }

    fn local(&self) -> Result<Arc<Local>> {
        let mut local = self.local.lock().unwrap();
        if self.messages.fetch_add(1, Ordering::Relaxed) >= self.most {
            *local = None;
        }
        local.clone().ok_or_else(|| Error::rank(self.place.0, "this process", "was killed"))
    }
}

impl Comm for Mortal {
    fn rank(&self) -> usize {
        self.place.0
    }

    fn size(&self) -> usize {
        self.place.1
    }

    fn exchange(&self, to: usize, give: &[u8], from: usize, take: &mut [u8]) -> Result<()> {
        self.local()?.exchange(to, give, from, take)
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        self.local()?.send(to, bytes)
    }

    fn receive(&self, from: Option<usize>) -> Result<(usize, Vec<u8>)> {
        self.local()?.receive(from)
    }

    fn host(&self) -> String {
        "this process".into()
    }

    fn abort(&self, code: i32) -> ! {
        panic!("ends with code {code}")
    }
}

/// A rank that is lost and one number for each: after how many messages.
type Deaths<'a> = &'a [(usize, usize)];

/// Trains in ranks of which some are lost; how many messages each rank has sent or received.
fn train(settings: &Settings, folder: &Path, ranks: usize, deaths: Deaths<'_>) -> Vec<usize> {
    let live = |rank: Local| {
        let death = deaths.iter().find(|(lost, _)| *lost == rank.rank());
        let (messages, most) = (Arc::default(), death.map_or(usize::MAX, |(_, most)| *most));
        let mut comm = Arc::new(Mortal::new(rank, Arc::clone(&messages), most));
        let mut run = Run::start_with(settings.clone(), Some(folder), comm.clone());
        loop {
            match run.and_then(|mut run| run.train(&mut |_| Control::Continue)) {
                Err(Error::Lost { .. }) => {
                    // A rank that is lost while others shrink does not shrink.
                    let Ok(local) = comm.local() else { break };
                    let left = local.shrink().unwrap();
                    drop(local);
                    comm = Arc::new(Mortal::new(left, Arc::clone(&messages), most));
                    run = Run::go_on_with(Some(settings), folder, comm.clone(), |_| ());
                }
                Err(error) => break assert!(error.to_string().contains("was killed"), "{error}"),
                Ok(_) => break,
            }
        }
        messages.load(Ordering::Relaxed)
    };
    std::thread::scope(|scope| {
        let ranks = Local::group(ranks, Duration::from_secs(60));
        let threads: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(|| live(rank))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a rank works to its end")).collect()
    })
}

fn small(folder: &Path) -> Settings {
    let mut settings = settings(&SMALL[0], 1100, folder);
    (settings.topology.method, settings.train.batch_size, settings.threads) = (Topology::Rigl, Some(256), 1);
    settings
}

#[test]
fn ranks_that_are_left_come_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let exact = small(folder.path());
    let mut stale = exact.clone();
    stale.distributed.exchange = ExchangeMethod::Stale;
    let mut local = exact.clone();
    local.distributed.exchange = ExchangeMethod::Local;
    (local.distributed.workers, local.distributed.period) = (Some(4), Some(3));
    for (settings, ranks) in [(exact, 4), (stale, 4), (local, 2)] {
        let whole = tempfile::tempdir().unwrap();
        let messages = train(&settings, whole.path(), ranks, &[]);
        let expected = results(whole.path());
        let at = |part: f64| (part * messages[0] as f64) as usize;
        // While ranks find each other, in the middle of it, and at the end; the first rank, another one, and two of four.
        let mut cases = vec![
            vec![(0, 1)],
            vec![(1, 4)],
            vec![(0, at(0.4))],
            vec![(1, at(0.7))],
            vec![(0, messages[0] - 1)],
        ];
        if ranks > 2 {
            cases.extend([
                vec![(0, at(0.3)), (2, at(0.6))],
                vec![(0, at(0.5)), (1, at(0.5))],
                vec![(3, at(0.5)), (2, at(0.5) + 2)],
            ]);
        }
        for deaths in cases {
            let folder = tempfile::tempdir().unwrap();
            train(&settings, folder.path(), ranks, &deaths);
            let what = format!("{}, {deaths:?} of {messages:?}", settings.distributed.exchange);
            assert!(results(folder.path()) == expected, "{what}: other bytes");
        }
    }
}

/// Its bits cannot be compared, so that it comes to its end is what can be told.
#[test]
fn a_server_that_is_lost_has_a_successor() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = small(folder.path());
    (settings.distributed.exchange, settings.train.batch_size) = (ExchangeMethod::Server, Some(384));
    let epochs = settings.train.epochs as usize;
    for lost in [0, 2] {
        let folder = tempfile::tempdir().unwrap();
        train(&settings, folder.path(), 3, &[(lost, 60)]);
        let metrics = std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
        assert_eq!(metrics.lines().count(), epochs, "rank {lost} was lost");
    }
}
