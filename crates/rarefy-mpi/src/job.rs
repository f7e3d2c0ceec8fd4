//! A job: from the moment that ranks find each other to their common end.

use std::sync::Arc;
use std::time::Duration;

use rarefy::distributed::{Comm, Place, Solo};
use rarefy::{Error, Result};

use crate::api::{Api, Handle};
use crate::launcher::Launcher;
use crate::library::{self, Named, Opened};
use crate::ranks::{Member, Ranks};

/// How long ranks wait for each other unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// The ranks that a launcher has started, or this process alone. One that is dropped before its [`end`](Job::end), by an error or
/// a panic, is aborted.
#[derive(Debug)]
pub struct Job {
    /// `None` for a process that is alone.
    ranks: Option<Arc<dyn Member>>,
    library: Option<(Named, &'static str)>,
    has_ended: bool,
}

impl Job {
    /// Finds the other ranks. `last_words` is told why the job ends, should a rank not answer or MPI fail later on.
    ///
    /// # Errors
    /// A launcher whose MPI library is not found or is another one; `RAREFY_MPI` naming none.
    pub fn start(last_words: fn(&Error)) -> Result<Job> {
        let launcher = Launcher::of_this_process()?;
        let Some((opened, named)) = library::open(launcher.as_ref())? else {
            return Ok(Job { ranks: None, library: None, has_ended: false });
        };
        let joined = match opened {
            Opened::Pointers(api) => join(api, last_words),
            Opened::Integers(api) => join(api, last_words),
        };
        let (ranks, level) = joined.map_err(|problem| Error::launch(format!("{} {problem}", named.file)))?;
        let mut job = Job { ranks: Some(ranks), library: Some((named, level)), has_ended: false };
        if let Some(problem) = launcher.and_then(|launcher| job.misfit(&launcher)) {
            job.end(0);
            return Err(Error::launch(problem));
        }
        Ok(job)
    }

    /// What does not fit between a launcher and what MPI says.
    fn misfit(&self, launcher: &Launcher) -> Option<String> {
        let (comm, (library, _)) = (self.ranks.as_ref()?, self.library.as_ref()?);
        let fits = launcher.rank == comm.rank() && launcher.size.is_none_or(|size| size == comm.size());
        (!fits).then(|| {
            format!(
                "{}, but {} ({}) sees {}: launcher and library are of different MPIs; set RAREFY_MPI to the launcher's library",
                launcher.started(),
                library.file,
                library.version,
                comm.size()
            )
        })
    }

    /// How the ranks talk.
    pub fn comm(&self) -> Arc<dyn Comm> {
        match &self.ranks {
            Some(ranks) => Arc::clone(ranks) as Arc<dyn Comm>,
            None => Arc::new(Solo),
        }
    }

    /// How long a message may take before it ends the job, [`DEFAULT_TIMEOUT`] until it is set.
    pub fn set_timeout(&self, timeout: Duration) {
        if let Some(ranks) = &self.ranks {
            ranks.set_timeout(timeout);
        }
    }

    /// Lets ranks go on without those that are lost: a message that fails because of one is an [`Error::Lost`] from now on, after which all
    /// that are left [`regroup`](Job::regroup).
    ///
    /// # Errors
    /// A process that is alone, or an MPI or a launcher that cannot do it.
    pub fn be_elastic(&self) -> Result<()> {
        let restart = "or do without: a job that lost a rank ends, and goes on from its last checkpoint when it is started again with --resume";
        let Some(ranks) = &self.ranks else {
            return Err(Error::launch(
                "there are no ranks to go on with: start them by mpirun --with-ft ulfm -n 4",
            ));
        };
        if !ranks.be_elastic() {
            let version = self.library.as_ref().map_or("this MPI", |(named, _)| &named.version);
            return Err(Error::launch(format!(
                "{version} cannot go on without a rank that is lost: use Open MPI 5 with mpirun --with-ft ulfm, {restart}"
            )));
        }
        // Without it the launcher ends all ranks when one dies.
        if std::env::var("OMPI_MCA_mpi_ft_enable").as_deref() != Ok("1") {
            return Err(Error::launch(format!(
                "the launcher ends all ranks when one is lost: start them by mpirun --with-ft ulfm, {restart}"
            )));
        }
        Ok(())
    }

    /// Waits for all ranks that are left, once work is done or a message was an [`Error::Lost`]. `None` if it is done on all of them. Otherwise they
    /// are the job's ranks from now on, numbered anew in the same order, and the others' names are returned.
    ///
    /// # Panics
    /// If the job is not [elastic](Job::be_elastic).
    pub fn regroup(&mut self, is_done: bool) -> Option<Vec<String>> {
        let ranks = self.ranks.as_ref().filter(|ranks| ranks.is_elastic());
        let (left, lost) = ranks.expect("the job is elastic").regroup(is_done)?;
        self.ranks = Some(left);
        Some(lost)
    }

    /// The MPI library and the thread level that it gives; `None` for a process that is alone.
    pub fn library(&self) -> Option<(&Named, &'static str)> {
        self.library.as_ref().map(|(named, level)| (named, *level))
    }

    /// Where each rank runs; nothing for a process that is alone.
    pub fn places(&self) -> &[Place] {
        self.ranks.as_ref().map_or(&[], |ranks| ranks.places())
    }

    /// A rank that the launcher has bound to fewer cores than are its share, and what to do.
    pub fn warning(&self) -> Option<String> {
        Place::bound(self.places())
    }

    /// Ends the job with an exit code: together with the other ranks for 0, else by taking them along. Messages are no more then.
    pub fn end(&mut self, code: i32) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        match &self.ranks {
            Some(ranks) if code == 0 => ranks.end(),
            Some(ranks) => ranks.abort(code),
            None => {}
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.end(1);
    }
}

fn join<H: Handle>(
    api: Api<H>,
    last_words: fn(&Error),
) -> std::result::Result<(Arc<dyn Member>, &'static str), String> {
    let (ranks, level) = Ranks::join(api, DEFAULT_TIMEOUT, last_words)?;
    Ok((Arc::new(ranks), level))
}
