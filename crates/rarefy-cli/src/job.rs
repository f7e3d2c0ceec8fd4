//! The program as one of several ranks: rank 0 talks, and the others only of what went wrong.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use rarefy::Error;
use rarefy_mpi::{Job, Launcher};

use crate::output::complain_of;

/// How long a rank above 0 waits before it says what went wrong. What all ranks find, rank 0 says, and takes them along; MPICH needs
/// a second for that.
const COURTESY: Duration = Duration::from_secs(3);

/// Finds the ranks of the job for a verb that shares its work over them. Others would do the same work several times.
pub fn start(shares: bool) -> Result<Job> {
    match Launcher::of_this_process()? {
        Some(launcher) if !shares => bail!(
            "{}, and this verb works alone: run it without {}, or set RAREFY_MPI=off if each is to work for itself",
            launcher.started(),
            launcher.name
        ),
        _ => {}
    }
    let job = Job::start(last_words)?;
    HOST.get_or_init(|| job.comm().host());
    Ok(job)
}

/// This rank's machine, once ranks have found each other.
static HOST: OnceLock<String> = OnceLock::new();

/// Whether a launcher has started several ranks.
pub fn is_shared() -> bool {
    Launcher::of_this_process().is_ok_and(|launcher| launcher.is_some())
}

/// Whether this rank talks, because the one that did is lost.
static SPEAKS: AtomicBool = AtomicBool::new(false);

/// Lets this rank talk.
pub fn take_over() {
    SPEAKS.store(true, Ordering::Relaxed);
}

/// Whether this rank talks for all.
pub fn speaks() -> bool {
    rank() == 0 || SPEAKS.load(Ordering::Relaxed)
}

/// Which rank this is, as far as the launcher says.
pub fn rank() -> usize {
    Launcher::of_this_process().ok().flatten().map_or(0, |launcher| launcher.rank)
}

/// Says why the job ends.
fn last_words(error: &Error) {
    complain(&error.to_string());
}

/// Says what went wrong on this rank, whose name stands before it unless it talks for all.
pub fn complain(problem: &str) {
    match rank() {
        _ if speaks() => complain_of(problem),
        rank => {
            std::thread::sleep(COURTESY);
            let host = HOST.get().map_or_else(String::new, |host| format!(" ({host})"));
            complain_of(&format!("rank {rank}{host}: {problem}"));
        }
    }
}
