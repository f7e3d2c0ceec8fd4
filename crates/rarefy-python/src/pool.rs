//! Threads of an object, made when they are first needed, and anew in a forked process, which has none of its parent's.

use std::sync::{Arc, Mutex, PoisonError};

use rarefy::train::thread_pool;
use rayon::ThreadPool;

/// Threads to come.
pub struct Pool {
    /// How many; 0 for one per core.
    threads: usize,
    made: Mutex<Option<(u32, Arc<ThreadPool>)>>,
}

impl Pool {
    pub fn new(threads: usize) -> Pool {
        Pool { threads, made: Mutex::new(None) }
    }

    /// The threads of this process.
    pub fn get(&self) -> rarefy::Result<Arc<ThreadPool>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if let Some((owner, pool)) = &*made
            && *owner == process
        {
            return Ok(pool.clone());
        }
        let pool = Arc::new(thread_pool(self.threads)?);
        // Threads of the parent cannot be told to end here.
        if let Some(parents) = made.replace((process, pool.clone())) {
            std::mem::forget(parents);
        }
        Ok(pool)
    }
}
