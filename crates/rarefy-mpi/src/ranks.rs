//! Messages between the ranks of an MPI job.
//!
//! Nothing blocks inside MPI: a message is started, then asked after. Between two questions other processes may have the core, and
//! after some hundred the rank naps, because MPICH spins without yielding: 4 ranks on 2 cores take 8 ms a message that way. So
//! there is a place for a deadline too.
//!
//! A message that does not end, or that MPI finds wrong, ends the job: until it is done, MPI may write into the memory that it was
//! given, so there is no way back from it.

use std::ffi::c_int;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rarefy::distributed::{Comm, Place};
use rarefy::{Error, Result};

use crate::api::{self, Api, Done, Handle};

/// Bytes of a piece of a message: MPI counts with 32 bits.
const PIECE: usize = 4 << 20;

/// Times that a message is asked after before the first nap.
const TRIES: u32 = 200;
/// A nap between two questions.
const NAP: Duration = Duration::from_micros(50);

/// How long a rank may take to end.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a message is: of [`Comm::exchange`], or of [`Comm::send`] its length and then its bytes.
const EXCHANGED: c_int = 1;
const LENGTH: c_int = 2;
const SENT: c_int = 3;

/// A rank of an MPI job.
pub struct Ranks<H> {
    /// Several threads may ask MPI, one at a time.
    api: Mutex<Api<H>>,
    pub(crate) comm: H,
    pub(crate) rank: usize,
    size: usize,
    places: OnceLock<Vec<Place>>,
    timeout_ms: AtomicU64,
    last_words: fn(&Error),
    /// Whether MPI is to be ended here, because it was started here.
    is_own: bool,
    has_ended: AtomicBool,
}

impl<H> fmt::Debug for Ranks<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranks").field("rank", &self.rank).field("size", &self.size).finish_non_exhaustive()
    }
}

/// What a job asks of its ranks, whatever their handles are.
pub trait Member: Comm {
    /// Where each rank runs.
    fn places(&self) -> &[Place];
    /// How long a message may take.
    fn set_timeout(&self, timeout: Duration);
    /// Waits for all ranks to come to their end, then ends MPI.
    fn end(&self);
}

impl<H: Handle> Ranks<H> {
    /// Joins the ranks of a job. `last_words` is told what ends it, should a message fail.
    ///
    /// # Errors
    /// What MPI says.
    pub fn join(
        api: Api<H>,
        timeout: Duration,
        last_words: fn(&Error),
    ) -> std::result::Result<(Ranks<H>, &'static str), String> {
        let (is_own, level) = api.init()?;
        let level = api.level_name(level);
        let comm = api.all_ranks()?;
        let (rank, size) = api.rank_and_size(comm)?;
        let host = api.host()?;
        let ranks = Ranks {
            api: Mutex::new(api),
            comm,
            rank,
            size,
            places: OnceLock::new(),
            timeout_ms: AtomicU64::new(0),
            last_words,
            is_own,
            has_ended: AtomicBool::new(false),
        };
        ranks.set_timeout(timeout);
        let places = Place::of_all(&ranks, host).map_err(|error| error.to_string())?;
        ranks.places.set(places).expect("they are set once");
        Ok((ranks, level))
    }

    pub(crate) fn api(&self) -> MutexGuard<'_, Api<H>> {
        assert!(!self.has_ended.load(Ordering::Relaxed), "a message after the end of the job");
        // A thread that has panicked has left nothing half done: MPI's functions do not panic.
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends and receives pieces until both messages are done.
    pub(crate) fn transfer(&self, tag: c_int, to: usize, give: &[u8], from: usize, take: &mut [u8]) {
        let (mut give, mut take) = (give.chunks(PIECE), take.chunks_mut(PIECE));
        loop {
            let (give, mut take) = (give.next(), take.next());
            if give.is_none() && take.is_none() {
                return;
            }
            // SAFETY: `take` is borrowed beyond the wait below, which does not come back before MPI is done with it.
            let receipt = take.as_mut().map(|room| unsafe { self.start_receive(Some(from), tag, room) });
            // SAFETY: `give` likewise.
            let dispatch = give.map(|bytes| unsafe { self.api().start_send(self.comm, to, tag, bytes) });
            if let Some(dispatch) = dispatch {
                let request = self.unless_wrong(to, dispatch);
                self.wait(request, Some(to));
            }
            if let Some((request, room)) = receipt.zip(take) {
                let Done { length, .. } = self.wait(request, Some(from));
                if length != room.len() {
                    let problem = format!("has sent {length} bytes where {} belong", room.len());
                    self.give_up(from, problem);
                }
            }
        }
    }

    /// # Safety
    /// As [`Api::start_receive`].
    pub(crate) unsafe fn start_receive(&self, from: Option<usize>, tag: c_int, room: &mut [u8]) -> H {
        // SAFETY: the caller's.
        let request = unsafe { self.api().start_receive(self.comm, from, tag, room) };
        self.unless_wrong(from.unwrap_or(self.rank), request)
    }

    /// Waits until MPI is done with a message to or from `peer`, or from any rank.
    fn wait(&self, request: H, peer: Option<usize>) -> Done {
        let most = Duration::from_millis(self.timeout_ms.load(Ordering::Relaxed));
        self.wait_for(request, peer, most).unwrap_or_else(|| {
            let seconds = most.as_secs_f64();
            match peer {
                Some(peer) => self.blame(peer, &format!("has not answered for {seconds} s")),
                None => self.give_up(self.rank, format!("has heard of no other rank for {seconds} s")),
            }
        })
    }

    /// Waits so long at most; after `None` MPI still holds the message's memory.
    pub(crate) fn wait_for(&self, mut request: H, peer: Option<usize>, most: Duration) -> Option<Done> {
        let mut start = None;
        for tries in 0u32.. {
            let done = self.api().test(&mut request);
            if let Some(done) = self.unless_wrong(peer.unwrap_or(self.rank), done) {
                return Some(done);
            }
            if tries < TRIES {
                std::thread::yield_now();
                continue;
            }
            if start.get_or_insert_with(Instant::now).elapsed() > most {
                break;
            }
            self.answer(peer);
            std::thread::sleep(NAP);
        }
        None
    }

    pub(crate) fn unless_wrong<T>(&self, peer: usize, result: api::Result<T>) -> T {
        result.unwrap_or_else(|problem| self.give_up(peer, problem))
    }

    /// Ends the job because of a rank.
    pub(crate) fn give_up(&self, rank: usize, problem: String) -> ! {
        (self.last_words)(&Error::rank(rank, self.host_of(rank), problem));
        self.abort(1)
    }

    fn host_of(&self, rank: usize) -> &str {
        self.places.get().map_or("a host that has not told its name yet", |places| &places[rank].host)
    }
}

impl<H: Handle> Comm for Ranks<H> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&self, to: usize, give: &[u8], from: usize, take: &mut [u8]) -> Result<()> {
        self.transfer(EXCHANGED, to, give, from, take);
        Ok(())
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        self.transfer(LENGTH, to, &(bytes.len() as u64).to_le_bytes(), to, &mut []);
        self.transfer(SENT, to, bytes, to, &mut []);
        Ok(())
    }

    fn receive(&self, from: Option<usize>) -> Result<(usize, Vec<u8>)> {
        let mut length = [0; 8];
        // SAFETY: `length` lives on, and the wait does not come back before MPI is done with it.
        let request = unsafe { self.start_receive(from, LENGTH, &mut length) };
        let source = self.wait(request, from).source;
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        self.transfer(SENT, source, &[], source, &mut bytes);
        Ok((source, bytes))
    }

    fn host(&self) -> String {
        self.host_of(self.rank).into()
    }

    fn threads(&self) -> usize {
        self.places()[self.rank].threads
    }

    fn abort(&self, code: i32) -> ! {
        if !self.has_ended.load(Ordering::Relaxed) {
            // MPICH's MPI_Abort says goodbye to all ranks before it ends this one, and to one that hangs for ever. A rank that dies
            // takes the others along under every launcher.
            std::thread::spawn(|| {
                std::thread::sleep(GOODBYE);
                std::process::abort();
            });
            self.api().abort(self.comm, code);
        }
        std::process::exit(code)
    }
}

impl<H: Handle> Member for Ranks<H> {
    fn places(&self) -> &[Place] {
        self.places.get().expect("ranks have told their places before they had joined")
    }

    fn set_timeout(&self, timeout: Duration) {
        self.timeout_ms.store(timeout.as_millis() as u64, Ordering::Relaxed);
    }

    fn end(&self) {
        // Not left to MPI, which would wait without napping and without a deadline.
        self.barrier().unwrap_or_else(|error| unreachable!("a message that fails ends the job: {error}"));
        let result = if self.is_own { self.api().finalize() } else { Ok(()) };
        self.unless_wrong(self.rank, result);
        self.has_ended.store(true, Ordering::Relaxed);
    }
}
