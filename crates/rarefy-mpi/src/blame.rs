//! Who is to blame when a message does not come.
//!
//! ```text
//! rank 0 waits for 2, 2 for 3, and 3 hangs: 0 asks all, 1 and 2 answer, 3 does not
//! ```
//! A rank that waits itself answers; one that hangs, or works alone for too long, does not. All are asked, not the one that is waited
//! for alone: a rank that was stopped amid a message may keep others from hearing anything, and they are not to be blamed without it.

use std::time::{Duration, Instant};

use rarefy::{Error, Result};

use crate::api::Handle;
use crate::ranks::Ranks;

/// Tags of a question, and of its answer.
const QUESTION: i32 = 4;
const ANSWER: i32 = 5;

/// How long answers may take. Who waits looks for questions at every nap.
const ANSWER_TIME: Duration = Duration::from_secs(1);

impl<H: Handle> Ranks<H> {
    /// Answers a question, if there is one, while waiting for a message.
    pub(crate) fn answer(&self) -> Result<()> {
        // One thread at a time, or two would take the same question.
        let Ok(_answers) = self.answers.try_lock() else { return Ok(()) };
        let asker = self.api().probe(self.comm, QUESTION);
        if let Some(asker) = self.unless_wrong(self.rank, asker)? {
            self.transfer(QUESTION, asker, &[], asker, &mut [0])?;
            self.transfer(ANSWER, asker, &[0], asker, &mut [])?;
        }
        Ok(())
    }

    /// Ends the job because of the ranks that do not answer. It comes back where a rank is found lost meanwhile.
    pub(crate) fn blame(&self, seconds: f64) -> Error {
        let silent = match self.silent() {
            Ok(silent) => silent,
            Err(lost) => return lost,
        };
        let Some((&first, others)) = silent.split_first() else {
            self.give_up(
                self.rank,
                format!("has waited for {seconds} s, as all ranks have, for one another"),
            );
        };
        let others: String = others.iter().map(|&rank| format!(", nor has {}", self.name_of(rank))).collect();
        self.give_up(first, format!("has not answered for {seconds} s{others}"))
    }

    /// The other ranks that do not answer.
    fn silent(&self) -> Result<Vec<usize>> {
        let mut asked = Vec::new();
        for rank in (0..self.size).filter(|&rank| rank != self.rank) {
            // MPI's for ever, should there be no answer.
            let answer = Box::leak(Box::new([0]));
            // SAFETY: both buffers are never freed.
            let (receipt, question) = unsafe {
                let receipt = self.start_receive(Some(rank), ANSWER, answer)?;
                (receipt, self.api().start_send(self.comm, rank, QUESTION, &[0]))
            };
            asked.push((rank, self.unless_wrong(rank, question)?, receipt));
        }
        let start = Instant::now();
        let mut silent = Vec::new();
        for (rank, question, receipt) in asked {
            let mut is_done = true;
            for request in [question, receipt] {
                let left = ANSWER_TIME.saturating_sub(start.elapsed());
                is_done &= self.wait_for(request, Some(rank), left)?.is_some();
            }
            if !is_done {
                silent.push(rank);
            }
        }
        Ok(silent)
    }
}
