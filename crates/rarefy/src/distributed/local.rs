//! Ranks that are threads of one process: what tests are made with.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::Comm;
use crate::{Error, Result};

/// One of several ranks in this process. A rank that is dropped is gone: who waits for it gets an error, and after that whoever waits
/// for any rank, because the ranks that were told so have stopped. Those that are left [`shrink`](Local::shrink).
#[derive(Debug)]
pub struct Local {
    post: Arc<Post>,
    rank: usize,
}

/// What is on its way.
#[derive(Debug)]
struct Post {
    boxes: Mutex<Boxes>,
    changed: Condvar,
    timeout: Duration,
}

#[derive(Debug)]
struct Boxes {
    /// For each rank what it has not yet received: what is exchanged, then what is sent.
    waiting: Vec<[VecDeque<Message>; 2]>,
    /// Memory of messages that were received.
    spare: Vec<Vec<u8>>,
    gone: Vec<bool>,
    /// The rank that was first found gone.
    lost: Option<usize>,
    /// Who waits to go on without those that are gone, and where these ranks go on once all have come.
    shrinking: Vec<bool>,
    smaller: Option<Vec<Option<Local>>>,
}

/// A sender and what it has sent.
type Message = (usize, Vec<u8>);

const EXCHANGED: usize = 0;
const SENT: usize = 1;

impl Local {
    /// So many ranks, who wait for each other so long at most.
    pub fn group(size: usize, timeout: Duration) -> Vec<Local> {
        let waiting = (0..size).map(|_| Default::default()).collect();
        let boxes = Boxes {
            waiting,
            spare: Vec::new(),
            gone: vec![false; size],
            lost: None,
            shrinking: vec![false; size],
            smaller: None,
        };
        let post = Arc::new(Post { boxes: Mutex::new(boxes), changed: Condvar::new(), timeout });
        (0..size).map(|rank| Local { post: post.clone(), rank }).collect()
    }

    /// Runs `work` once for each of `size` ranks, in threads, and returns what each made.
    ///
    /// # Panics
    /// If one of them panics.
    pub fn run<T: Send>(size: usize, work: impl Fn(Local) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let ranks = Local::group(size, Duration::from_secs(60));
            let threads: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(|| work(rank))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a rank works to its end")).collect()
        })
    }

    /// The ranks that are left, numbered anew in the same order, when all of them have called this. Afterwards nobody can say anything by
    /// `self`.
    ///
    /// # Errors
    /// A rank that is neither gone nor comes in time.
    pub fn shrink(&self) -> Result<Local> {
        let mut boxes = self.boxes();
        boxes.shrinking[self.rank] = true;
        self.post.changed.notify_all();
        let missing = |boxes: &Boxes| {
            let ranks = boxes.gone.iter().zip(&boxes.shrinking);
            ranks.enumerate().find(|&(_, (&gone, &shrinking))| !gone && !shrinking).map(|(rank, _)| rank)
        };
        let waits = |boxes: &mut Boxes| boxes.smaller.is_none() && missing(boxes).is_some();
        let waited = self.post.changed.wait_timeout_while(boxes, self.post.timeout, waits);
        let (mut boxes, _) = waited.expect("nobody panics with the post in hand");
        if boxes.smaller.is_none() {
            if let Some(rank) = missing(&boxes) {
                return Err(self.silence(rank));
            }
            let mut left =
                Local::group(boxes.gone.iter().filter(|&&gone| !gone).count(), self.post.timeout).into_iter();
            let smaller = boxes.gone.iter().map(|&gone| if gone { None } else { left.next() }).collect();
            boxes.smaller = Some(smaller);
        }
        let mine = boxes.smaller.as_mut().and_then(|smaller| smaller[self.rank].take());
        Ok(mine.expect("a rank shrinks once"))
    }

    /// A rank that does not answer in time.
    fn silence(&self, rank: usize) -> Error {
        let seconds = self.post.timeout.as_secs_f64();
        Error::rank(rank, &self.host(), format!("has not answered for {seconds} s"))
    }

    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        self.post.boxes.lock().expect("nobody panics with the post in hand")
    }

    fn put(&self, to: usize, kind: usize, bytes: &[u8]) {
        let mut boxes = self.boxes();
        let mut message = boxes.spare.pop().unwrap_or_default();
        message.clear();
        message.extend_from_slice(bytes);
        boxes.waiting[to][kind].push_back((self.rank, message));
        self.post.changed.notify_all();
    }

    /// Waits for the first message of a kind from a rank, or from any.
    fn take(&self, from: Option<usize>, kind: usize) -> Result<Message> {
        let is_wanted = |(sender, _): &Message| from.is_none_or(|from| from == *sender);
        let gone = |boxes: &Boxes| match from {
            Some(from) => boxes.gone[from].then_some(from),
            None => boxes.gone.iter().position(|gone| *gone),
        };
        let nothing_comes = |boxes: &mut Boxes| {
            let is_here = boxes.waiting[self.rank][kind].iter().any(is_wanted);
            !is_here && boxes.lost.is_none() && gone(boxes).is_none()
        };
        let boxes = self.boxes();
        let waited = self.post.changed.wait_timeout_while(boxes, self.post.timeout, nothing_comes);
        let (mut boxes, _) = waited.expect("nobody panics with the post in hand");
        let waiting = &mut boxes.waiting[self.rank][kind];
        if let Some(place) = waiting.iter().position(is_wanted)
            && let Some(message) = waiting.remove(place)
        {
            return Ok(message);
        }
        if boxes.lost.is_none() {
            boxes.lost = gone(&boxes);
            self.post.changed.notify_all();
        }
        Err(match boxes.lost {
            Some(rank) => Error::lost(format!("rank {rank} ({}): has ended before its time", self.host())),
            None => self.silence(from.unwrap_or(self.rank)),
        })
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Ok(mut boxes) = self.post.boxes.lock() {
            boxes.gone[self.rank] = true;
        }
        self.post.changed.notify_all();
    }
}

impl Comm for Local {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.boxes().gone.len()
    }

    fn exchange(&self, to: usize, give: &[u8], from: usize, take: &mut [u8]) -> Result<()> {
        if !give.is_empty() {
            self.put(to, EXCHANGED, give);
        }
        if !take.is_empty() {
            let (_, message) = self.take(Some(from), EXCHANGED)?;
            if message.len() != take.len() {
                let problem = format!("has sent {} bytes where {} belong", message.len(), take.len());
                return Err(Error::rank(from, &self.host(), problem));
            }
            take.copy_from_slice(&message);
            self.boxes().spare.push(message);
        }
        Ok(())
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        self.put(to, SENT, bytes);
        Ok(())
    }

    fn receive(&self, from: Option<usize>) -> Result<(usize, Vec<u8>)> {
        self.take(from, SENT)
    }

    fn host(&self) -> String {
        "this process".into()
    }

    fn abort(&self, code: i32) -> ! {
        panic!("rank {} ends with code {code}", self.rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_what_everyone_has() {
        for size in 1..=9 {
            let found = Local::run(size, |rank| {
                let mut all = vec![0; 2 * size];
                rank.all_gather(&[rank.rank() as u8, 7], &mut all).unwrap();
                all
            });
            let expected: Vec<u8> = (0..size).flat_map(|rank| [rank as u8, 7]).collect();
            assert!(found.iter().all(|all| *all == expected), "{size} ranks: {found:?}");
        }
    }

    #[test]
    fn what_one_tells_all_know() {
        for size in 1..=9 {
            for from in 0..size {
                let found = Local::run(size, |rank| {
                    let mut bytes = vec![rank.rank() as u8; 1 + rank.rank()];
                    rank.broadcast(&mut bytes, from).unwrap();
                    bytes
                });
                assert!(
                    found.iter().all(|bytes| *bytes == vec![from as u8; 1 + from]),
                    "{size} ranks, {from}"
                );
            }
        }
    }

    #[test]
    fn a_rank_that_is_gone_or_silent_is_named() {
        let mut ranks = Local::group(3, Duration::from_millis(20));
        ranks.pop();
        let gone = ranks[0].exchange(2, &[1], 2, &mut [0]).unwrap_err().to_string();
        assert_eq!(gone, "rank 2 (this process): has ended before its time");
        let ranks = Local::group(2, Duration::from_millis(20));
        let silent = ranks[0].exchange(1, &[1], 1, &mut [0]).unwrap_err().to_string();
        assert_eq!(silent, "rank 1 (this process): has not answered for 0.02 s");
        ranks[1].exchange(0, &[1, 2], 0, &mut []).unwrap();
        let other = ranks[0].exchange(1, &[], 1, &mut [0]).unwrap_err().to_string();
        assert_eq!(other, "rank 1 (this process): has sent 2 bytes where 1 belong");
    }

    #[test]
    fn ranks_that_are_left_go_on_with_new_numbers() {
        let mut ranks = Local::group(4, Duration::from_secs(60));
        drop(ranks.remove(1));
        std::thread::scope(|scope| {
            let threads = ranks.into_iter().map(|rank| {
                scope.spawn(move || {
                    // Rank 2 waits for rank 0, which is there and has nothing to say.
                    let lost = rank.receive(Some(if rank.rank() == 0 { 1 } else { 0 })).unwrap_err();
                    assert_eq!(lost.to_string(), "rank 1 (this process): has ended before its time");
                    let (left, mut all) = (rank.shrink().unwrap(), [0; 3]);
                    drop(rank);
                    left.all_gather(&[10 + left.rank() as u8], &mut all).unwrap();
                    assert_eq!((left.size(), all), (3, [10, 11, 12]));
                })
            });
            threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        });
        let alone = Local::group(2, Duration::from_millis(20)).swap_remove(0);
        assert!(alone.shrink().is_ok(), "the other one was dropped");
        let ranks = Local::group(2, Duration::from_millis(20));
        let silent = ranks[0].shrink().unwrap_err().to_string();
        assert_eq!(silent, "rank 1 (this process): has not answered for 0.02 s");
    }
}
