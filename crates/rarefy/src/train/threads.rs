//! The threads of a run.

use std::sync::Arc;

use crate::distributed::Comm;
use crate::{Error, Result};

/// The most threads that may be asked for: more than machines have cores, so a slip.
const MAX_THREADS: usize = 1024;

/// Checks a number of threads.
pub(super) fn check_threads(count: usize) -> Result<()> {
    if count <= MAX_THREADS {
        Ok(())
    } else {
        Err(Error::setting("threads", format!("{count} is more than {MAX_THREADS}; 0 means one per core")))
    }
}

/// So many threads, or one for each core for 0.
///
/// # Errors
/// If they are too many, or the system gives no more.
pub fn thread_pool(count: usize) -> Result<rayon::ThreadPool> {
    check_threads(count)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
    pool.map_err(|error| {
        Error::setting("threads", format!("the system gives no more ({error}); ask for fewer"))
    })
}

/// The threads of a rank: as many as were asked for, or for 0 those that are its own.
pub(super) fn rank_pool(asked: usize, comm: &dyn Comm) -> Result<Arc<rayon::ThreadPool>> {
    let count = if asked == 0 { comm.threads() } else { asked };
    Ok(Arc::new(thread_pool(count)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_limited() {
        assert_eq!(thread_pool(2).unwrap().current_num_threads(), 2);
        let error = thread_pool(4096).unwrap_err().to_string();
        assert!(error.starts_with("threads: 4096 is more than 1024"), "{error}");
    }
}
