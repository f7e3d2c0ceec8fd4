//! What a user says of ranks.

use serde::{Deserialize, Serialize};

use super::Precision;
use crate::{Error, Result};

/// The `[distributed]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistributedSettings {
    /// Seconds that a rank waits for another before it ends the job. More than the longest time that one of them works alone, as when
    /// it writes a checkpoint.
    pub timeout: f64,
    /// In how many bits ranks tell each other gradients. With `"bf16"` the number of ranks changes results.
    pub precision: Precision,
}

/// A week, after which nobody waits any more.
const MOST_SECONDS: f64 = 604_800.0;

impl Default for DistributedSettings {
    fn default() -> DistributedSettings {
        DistributedSettings { timeout: 600.0, precision: Precision::F32 }
    }
}

impl DistributedSettings {
    /// Checks the time.
    ///
    /// # Errors
    /// [`Error::Setting`] for one that is no time to wait.
    pub fn check(&self) -> Result<()> {
        if self.timeout > 0.0 && self.timeout <= MOST_SECONDS {
            return Ok(());
        }
        let problem = format!("{} is not above 0 and at most {MOST_SECONDS} seconds", self.timeout);
        Err(Error::setting("distributed.timeout", problem))
    }
}
