//! Who is to blame when a message does not come.
//!
//! ```text
//! rank 0 waits for 2, 2 for 3, and 3 hangs: 0 asks 2, which answers "for 3"; 0 asks 3, which does not answer
//! ```
//! A rank that waits itself answers; one that hangs, or works alone for too long, does not.

use std::time::Duration;

use crate::api::Handle;
use crate::ranks::Ranks;

/// Tags of a question, and of its answer: the rank that is waited for.
const QUESTION: i32 = 4;
const ANSWER: i32 = 5;

/// How long an answer may take. Who waits looks for questions at every nap.
const ANSWER_TIME: Duration = Duration::from_secs(1);

impl<H: Handle> Ranks<H> {
    /// Answers a question, if there is one, while waiting for a message to or from `peer`.
    pub(crate) fn answer(&self, peer: Option<usize>) {
        let asker = self.api().probe(self.comm, QUESTION);
        if let Some(asker) = self.unless_wrong(self.rank, asker) {
            self.transfer(QUESTION, asker, &[], asker, &mut [0]);
            let awaited = peer.unwrap_or(self.rank) as u64;
            self.transfer(ANSWER, asker, &awaited.to_le_bytes(), asker, &mut []);
        }
    }

    /// Ends the job because of the rank that `suspect` waits for, or that one waits for, and so on.
    pub(crate) fn blame(&self, mut suspect: usize, problem: &str) -> ! {
        let mut asked = Vec::new();
        while !asked.contains(&suspect) && suspect != self.rank {
            asked.push(suspect);
            let mut answer = [0; 8];
            // SAFETY: both buffers live until the job ends or MPI is done with them: no answer is no return.
            let (question, receipt) = unsafe {
                let question = self.api().start_send(self.comm, suspect, QUESTION, &[0]);
                (question, self.start_receive(Some(suspect), ANSWER, &mut answer))
            };
            let question = self.unless_wrong(suspect, question);
            let is_asked = self.wait_for(question, Some(suspect), ANSWER_TIME).is_some();
            if !is_asked || self.wait_for(receipt, Some(suspect), ANSWER_TIME).is_none() {
                self.give_up(suspect, problem.into());
            }
            suspect = u64::from_le_bytes(answer) as usize;
        }
        self.give_up(self.rank, format!("waits, as ranks {asked:?} do, for one another"))
    }
}
