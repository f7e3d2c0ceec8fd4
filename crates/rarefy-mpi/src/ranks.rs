//! Messages between the ranks of an MPI job.
//!
//! Nothing blocks inside MPI: a message is started, then asked after. Between two questions other processes may have the core, and
//! after some hundred the rank naps, because MPICH spins without yielding: 4 ranks on 2 cores take 8 ms a message that way. So
//! there is a place for a deadline too.
//!
//! A message that does not end, or that MPI finds wrong, ends the job: until it is done, MPI may write into the memory that it was
//! given, so there is no way back from it. There is one where a rank is lost and the library can go on without it: all messages are revoked,
//! which ends them, and ranks that are left form a new group.

use std::ffi::c_int;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rarefy::distributed::{Comm, Place};
use rarefy::{Error, Result};

use crate::api::{self, Api, Done, Handle, Problem};

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
    api: Arc<Mutex<Api<H>>>,
    pub(crate) comm: H,
    pub(crate) rank: usize,
    pub(crate) size: usize,
    /// The number of each rank when the job began: what messages name it by.
    names: OnceLock<Vec<usize>>,
    places: OnceLock<Vec<Place>>,
    timeout_ms: AtomicU64,
    last_words: fn(&Error),
    /// Whether MPI is to be ended here, because it was started here.
    is_own: bool,
    /// Held by the thread that answers who asks.
    pub(crate) answers: Mutex<()>,
    /// Whether ranks go on without those that are lost.
    is_elastic: AtomicBool,
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
    /// Says that ranks go on without those that are lost: a message that fails because of one is an error then. `false` where the library
    /// cannot do that.
    fn be_elastic(&self) -> bool;
    /// Whether ranks go on without those that are lost.
    fn is_elastic(&self) -> bool;
    /// Waits for all ranks that are left: `None` if all of them have done their work, otherwise these ranks and the names of those that are lost.
    fn regroup(&self, is_done: bool) -> Option<(Arc<dyn Member>, Vec<String>)>;
    /// The number of each rank when the job began.
    fn names(&self) -> &[usize];
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
            api: Arc::new(Mutex::new(api)),
            comm,
            rank,
            size,
            names: OnceLock::from((0..size).collect::<Vec<_>>()),
            places: OnceLock::new(),
            timeout_ms: AtomicU64::new(0),
            last_words,
            is_own,
            answers: Mutex::default(),
            is_elastic: AtomicBool::new(false),
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

    /// Sends and receives pieces until both messages are done. After an error MPI is done with them too.
    pub(crate) fn transfer(
        &self,
        tag: c_int,
        to: usize,
        give: &[u8],
        from: usize,
        take: &mut [u8],
    ) -> Result<()> {
        let (mut give, mut take) = (give.chunks(PIECE), take.chunks_mut(PIECE));
        loop {
            let (give, mut take) = (give.next(), take.next());
            if give.is_none() && take.is_none() {
                return Ok(());
            }
            // SAFETY: `take` is borrowed beyond the waits below, which do not come back before MPI is done with it.
            let receipt = take.as_mut().map(|room| unsafe { self.start_receive(Some(from), tag, room) });
            let receipt = receipt.transpose()?;
            let sent = give.map_or(Ok(()), |bytes| {
                // SAFETY: `bytes` likewise.
                let dispatch = unsafe { self.api().start_send(self.comm, to, tag, bytes) };
                self.wait(self.unless_wrong(to, dispatch)?, Some(to)).map(drop)
            });
            if let (Err(_), Some(request)) = (&sent, receipt) {
                self.let_go(request);
            }
            sent?;
            if let Some((request, room)) = receipt.zip(take) {
                let Done { length, .. } = self.wait(request, Some(from))?;
                if length != room.len() {
                    let problem = format!("has sent {length} bytes where {} belong", room.len());
                    self.give_up(from, problem);
                }
            }
        }
    }

    /// # Safety
    /// As [`Api::start_receive`].
    pub(crate) unsafe fn start_receive(&self, from: Option<usize>, tag: c_int, room: &mut [u8]) -> Result<H> {
        // SAFETY: the caller's.
        let request = unsafe { self.api().start_receive(self.comm, from, tag, room) };
        self.unless_wrong(from.unwrap_or(self.rank), request)
    }

    /// Waits until MPI is done with a message to or from `peer`, or from any rank.
    fn wait(&self, request: H, peer: Option<usize>) -> Result<Done> {
        let most = self.timeout();
        if let Some(done) = self.wait_for(request, peer, most)? {
            return Ok(done);
        }
        let lost = self.blame(most.as_secs_f64());
        self.let_go(request);
        Err(lost)
    }

    /// Waits so long at most; after `None` MPI still holds the message's memory, after an error it does not.
    pub(crate) fn wait_for(
        &self,
        mut request: H,
        peer: Option<usize>,
        most: Duration,
    ) -> Result<Option<Done>> {
        self.ask_after(&mut request, peer, most).inspect_err(|_| self.let_go(request))
    }

    fn ask_after(&self, request: &mut H, peer: Option<usize>, most: Duration) -> Result<Option<Done>> {
        let mut start = None;
        for tries in 0u32.. {
            let done = self.api().test(request);
            if let Some(done) = self.unless_wrong(peer.unwrap_or(self.rank), done)? {
                return Ok(Some(done));
            }
            if tries < TRIES {
                std::thread::yield_now();
                continue;
            }
            if start.get_or_insert_with(Instant::now).elapsed() > most {
                break;
            }
            self.answer()?;
            std::thread::sleep(NAP);
        }
        Ok(None)
    }

    /// Waits until MPI is done with a message of a revoked group: it ends by an error, or has come before.
    fn let_go(&self, mut request: H) {
        let start = Instant::now();
        // What has ended by an error is no request any more, and that MPI calls done.
        while !matches!(self.api().test(&mut request), Ok(Some(_))) {
            if start.elapsed() > self.timeout() {
                self.give_up(self.rank, "cannot end its messages after the loss of a rank".into());
            }
            std::thread::sleep(NAP);
        }
    }

    /// Ends the job because of what MPI says of a message to or from `peer`, unless ranks go on without one that is lost. Then all others
    /// hear of it by their own messages.
    pub(crate) fn unless_wrong<T>(&self, peer: usize, result: api::Result<T>) -> Result<T> {
        result.map_err(|Problem { said, is_loss }| {
            if !(is_loss && self.is_elastic()) {
                self.give_up(peer, said);
            }
            self.api().revoke(self.comm);
            Error::lost(format!("a rank is lost: {said}"))
        })
    }

    /// Ends the job because of a rank.
    pub(crate) fn give_up(&self, rank: usize, problem: String) -> ! {
        (self.last_words)(&Error::rank(self.number_of(rank), self.host_of(rank), problem));
        self.abort(1)
    }

    /// Waits for all ranks that are left, and says whether all have done their work: to all the same.
    fn agree(&self, is_done: bool) -> bool {
        let mut flag = c_int::from(is_done);
        // SAFETY: the flag lives until the request is done or wrong, or the job ends.
        let request = unsafe { self.api().start_agreement(self.comm, &mut flag) };
        let mut request = request.unwrap_or_else(|problem| self.give_up(self.rank, problem.said));
        let start = Instant::now();
        loop {
            let answer = self.api().test(&mut request);
            match answer {
                // That some are lost is no news, and the flag is right all the same.
                Ok(Some(_)) | Err(Problem { is_loss: true, .. }) => return flag != 0,
                Err(problem) => self.give_up(self.rank, problem.said),
                Ok(None) if start.elapsed() > self.timeout() => {
                    let seconds = self.timeout().as_secs_f64();
                    self.give_up(
                        self.rank,
                        format!("has waited for {seconds} s for all that are left after a loss"),
                    );
                }
                Ok(None) => std::thread::sleep(NAP),
            }
        }
    }

    /// The ranks that are left. It is called when all have come together, so that it need not wait.
    fn shrink(&self) -> Ranks<H> {
        let api = self.api();
        let made = api.shrink(self.comm).and_then(|comm| Ok((comm, api.rank_and_size(comm)?)));
        drop(api);
        let (comm, (rank, size)) = made.unwrap_or_else(|problem| self.give_up(self.rank, problem.said));
        Ranks {
            api: Arc::clone(&self.api),
            comm,
            rank,
            size,
            names: OnceLock::new(),
            places: OnceLock::new(),
            timeout_ms: AtomicU64::new(self.timeout_ms.load(Ordering::Relaxed)),
            last_words: self.last_words,
            is_own: self.is_own,
            answers: Mutex::default(),
            is_elastic: AtomicBool::new(true),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Tells the others who this is, whose name and machine are given.
    fn introduce(&self, name: usize, host: &str) -> Result<()> {
        let mut names = vec![0; 8 * self.size];
        self.all_gather(&(name as u64).to_le_bytes(), &mut names)?;
        let names = names.as_chunks().0.iter().map(|name| u64::from_le_bytes(*name) as usize);
        let (names, places) = (names.collect(), Place::of_all(self, host.into())?);
        self.names.set(names).expect("they are set once");
        self.places.set(places).expect("they are set once");
        Ok(())
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.load(Ordering::Relaxed))
    }

    /// The number that a rank had when the job began.
    fn number_of(&self, rank: usize) -> usize {
        self.names.get().map_or(rank, |names| names[rank])
    }

    /// What messages call a rank.
    pub(crate) fn name_of(&self, rank: usize) -> String {
        format!("rank {} ({})", self.number_of(rank), self.host_of(rank))
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
        self.transfer(EXCHANGED, to, give, from, take)
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        self.transfer(LENGTH, to, &(bytes.len() as u64).to_le_bytes(), to, &mut [])?;
        self.transfer(SENT, to, bytes, to, &mut [])
    }

    fn receive(&self, from: Option<usize>) -> Result<(usize, Vec<u8>)> {
        let mut length = [0; 8];
        // SAFETY: `length` lives on, and the wait does not come back before MPI is done with it.
        let request = unsafe { self.start_receive(from, LENGTH, &mut length) }?;
        let source = self.wait(request, from)?.source;
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        self.transfer(SENT, source, &[], source, &mut bytes)?;
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

    fn be_elastic(&self) -> bool {
        let can = self.api().can_leave();
        self.is_elastic.store(can, Ordering::Relaxed);
        can
    }

    fn is_elastic(&self) -> bool {
        self.is_elastic.load(Ordering::Relaxed)
    }

    fn regroup(&self, is_done: bool) -> Option<(Arc<dyn Member>, Vec<String>)> {
        if self.agree(is_done) {
            return None;
        }
        let (name, host) = (self.names()[self.rank], self.host());
        let mut left = self.shrink();
        // More may be lost meanwhile.
        while left.introduce(name, &host).is_err() {
            left.agree(false);
            left = left.shrink();
        }
        let is_lost = |(_, name): &(usize, &usize)| !left.names().contains(name);
        let lost = self.names().iter().enumerate().filter(is_lost);
        let lost = lost.map(|(rank, _)| self.name_of(rank)).collect();
        Some((Arc::new(left), lost))
    }

    fn names(&self) -> &[usize] {
        self.names.get().expect("ranks have told their names before they had joined")
    }

    fn end(&self) {
        if self.is_elastic() {
            // They have come together by then, and MPI would wait for those that are lost (Open MPI 5 for rank 0).
            return self.has_ended.store(true, Ordering::Relaxed);
        }
        // Not left to MPI, which would wait without napping and without a deadline.
        self.barrier().unwrap_or_else(|error| unreachable!("a message that fails ends the job: {error}"));
        let result = if self.is_own { self.api().finalize() } else { Ok(()) };
        if let Err(problem) = result {
            self.give_up(self.rank, problem.said);
        }
        self.has_ended.store(true, Ordering::Relaxed);
    }
}
