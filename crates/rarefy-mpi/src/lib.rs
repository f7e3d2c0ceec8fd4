//! Ranks of an MPI job that train one network together.
//!
//! MPI is found when the program starts: one binary runs under Open MPI, MPICH and its family, libraries of MPI-5.0, or none. A process
//! that no launcher has started opens no library and is alone.
//!
//! ```
//! use rarefy::distributed::Comm;
//! use rarefy_mpi::Job;
//!
//! let mut job = Job::start(|error| eprintln!("{error}"))?;
//! let comm = job.comm();
//! println!("rank {} of {} on {}", comm.rank(), comm.size(), comm.host());
//! job.end(0); // a job that is dropped without it is aborted: the other ranks must not wait for ever
//! # Ok::<(), rarefy::Error>(())
//! ```

mod api;
mod blame;
mod job;
mod launcher;
mod library;
mod ranks;

pub use job::{DEFAULT_TIMEOUT, Job};
pub use launcher::Launcher;
pub use library::{Named as Library, installed};
