//! Who is to blame when a message does not come.
//!
//! ```text
//! rank 0 waits for 2, 2 for 3, and 3 hangs: 0 asks 2, which answers "for 3"; 0 asks 3, which does not answer
//! ```
//! A rank that waits itself answers; one that hangs, or works alone for too long, does not.

use std::time::Duration;

use rarefy::{Error, Result};

use crate::api::Handle;
use crate::ranks::Ranks;

/// Tags of a question, and of its answer: the rank that is waited for.
const QUESTION: i32 = 4;
const ANSWER: i32 = 5;

/// How long an answer may take. Who waits looks for questions at every nap.
const ANSWER_TIME: Duration = Duration::from_secs(1);

impl<H: Handle> Ranks<H> {
    /// Answers a question, if there is one, while waiting for a message to or from `peer`.
    pub(crate) fn answer(&self, peer: Option<usize>) -> Result<()> {
        let asker = self.api().probe(self.comm, QUESTION);
        if let Some(asker) = self.unless_wrong(self.rank, asker)? {
            self.transfer(QUESTION, asker, &[], asker, &mut [0])?;
            let awaited = peer.unwrap_or(self.rank) as u64;
            self.transfer(ANSWER, asker, &awaited.to_le_bytes(), asker, &mut [])?;
        }
        Ok(())
    }

    /// Ends the job because of the rank that `suspect` waits for, or that one waits for, and so on. It comes back where a rank is found
    /// lost meanwhile.
    pub(crate) fn blame(&self, mut suspect: usize, problem: &str) -> Error {
        let mut asked = Vec::new();
        while !asked.contains(&suspect) && suspect != self.rank {
            asked.push(suspect);
            match self.ask(suspect) {
                Ok(Some(awaited)) => suspect = awaited,
                Ok(None) => self.give_up(suspect, problem.into()),
                Err(lost) => return lost,
            }
        }
        self.give_up(self.rank, format!("waits, as ranks {asked:?} do, for one another"))
    }

    /// The rank that another one waits for; `None` if it does not answer.
    fn ask(&self, suspect: usize) -> Result<Option<usize>> {
        // MPI's for ever, should there be no answer.
        let answer = Box::leak(Box::new([0; 8]));
        // SAFETY: both buffers are never freed, and the answer is looked at when MPI is done with it.
        let (receipt, question) = unsafe {
            let receipt = self.start_receive(Some(suspect), ANSWER, answer)?;
            (receipt, self.api().start_send(self.comm, suspect, QUESTION, &[0]))
        };
        let question = self.unless_wrong(suspect, question)?;
        let is_asked = self.wait_for(question, Some(suspect), ANSWER_TIME)?.is_some();
        if !is_asked || self.wait_for(receipt, Some(suspect), ANSWER_TIME)?.is_none() {
            return Ok(None);
        }
        Ok(Some(u64::from_le_bytes(*answer) as usize))
    }
}
