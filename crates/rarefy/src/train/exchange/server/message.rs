//! What a worker and the rank that serves it tell each other, as bytes.
//!
//! ```text
//! a report    what it wishes | score | for each parameter the slots that were touched, and its gradients
//! an answer   the share that is next, or where all ends | the score so far | all values
//! ```

use crate::distributed::Packing;
use crate::layers::{Gradient, Network};
use crate::train::Score;

/// What a worker tells of its share: nothing the first time, and of a share without samples.
pub(super) struct Report {
    /// Whether its rank wants training to end, and a checkpoint.
    pub(super) wishes: [bool; 2],
    /// What it has found.
    pub(super) score: Option<Score>,
}

/// What a worker is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Answer {
    /// It has that share of the epoch next, with these values.
    Next {
        share: usize,
        /// Of all workers.
        so_far: Score,
    },
    /// There is nothing more to do before all meet: this is the first share that nobody has had.
    Meet { end: usize },
}

/// Bytes of a report before gradients.
const REPORT: usize = 8 + 48;
/// Bytes of an answer before values.
const ANSWER: usize = 16 + 48;
/// That every slot of a parameter was touched.
const ALL: u64 = u64::MAX;

/// Writes a report, whose gradients are these.
pub(super) fn write_report(report: &Report, gradients: &[Gradient], packing: Packing, bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend([report.wishes[0], report.wishes[1], report.score.is_some()].map(u8::from));
    bytes.resize(8, 0);
    bytes.extend_from_slice(bytemuck::bytes_of(&report.score.unwrap_or_default().numbers()));
    if report.score.is_none() {
        return;
    }
    for Gradient { values, touched } in gradients {
        let Some(touched) = touched else {
            bytes.extend(ALL.to_ne_bytes());
            packing.write(values, bytes);
            continue;
        };
        bytes.extend((touched.len() as u64).to_ne_bytes());
        bytes.extend(
            touched.iter().flat_map(|it| [it.start as u64, it.end as u64]).flat_map(u64::to_ne_bytes),
        );
        touched.iter().for_each(|slots| packing.write(&values[slots.clone()], bytes));
    }
}

/// Reads a report, and its gradients in place of those that are there; `None` if the bytes are none.
pub(super) fn read_report(bytes: &[u8], gradients: &mut [Gradient], packing: Packing) -> Option<Report> {
    let (head, mut rest) = bytes.split_at_checked(REPORT)?;
    let wishes = [head[0] > 0, head[1] > 0];
    if head[2] == 0 {
        return Some(Report { wishes, score: None });
    }
    for Gradient { values, touched } in gradients {
        let count = number(&mut rest)?;
        // What is not written is 0.
        match touched.take() {
            Some(before) => before.into_iter().for_each(|slots| values[slots].fill(0.0)),
            None if count != ALL => values.fill(0.0),
            None => {}
        }
        if count != ALL {
            let mut ranges = Vec::new();
            for _ in 0..count {
                let slots = number(&mut rest)? as usize..number(&mut rest)? as usize;
                values.get(slots.clone())?;
                ranges.push(slots);
            }
            *touched = Some(ranges);
        }
        let all = 0..values.len();
        for slots in touched.as_deref().unwrap_or(std::slice::from_ref(&all)) {
            let (told, others) = rest.split_at_checked(packing.bytes() * slots.len())?;
            packing.read(told, &mut values[slots.clone()], |number, told| *number = told);
            rest = others;
        }
    }
    rest.is_empty().then_some(Report { wishes, score: Some(score(&head[8..])) })
}

/// Writes an answer, with a network's values where they are needed.
pub(super) fn write_answer(answer: Answer, network: &Network, bytes: &mut Vec<u8>) {
    let (is_next, share, so_far) = match answer {
        Answer::Next { share, so_far } => (1u64, share, so_far),
        Answer::Meet { end } => (0, end, Score::default()),
    };
    bytes.clear();
    bytes.extend([is_next, share as u64].into_iter().flat_map(u64::to_ne_bytes));
    bytes.extend_from_slice(bytemuck::bytes_of(&so_far.numbers()));
    if is_next == 1 {
        write_values(network, bytes);
    }
}

/// Reads an answer, and values into a network; `None` if the bytes are none.
pub(super) fn read_answer(bytes: &[u8], network: &mut Network) -> Option<Answer> {
    let (head, values) = bytes.split_at_checked(ANSWER)?;
    let mut numbers = head;
    let (is_next, share) = (number(&mut numbers)?, number(&mut numbers)? as usize);
    if is_next == 0 {
        return values.is_empty().then_some(Answer::Meet { end: share });
    }
    read_values(values, network)?;
    Some(Answer::Next { share, so_far: score(numbers) })
}

/// Adds a network's values to a message.
pub(super) fn write_values(network: &Network, bytes: &mut Vec<u8>) {
    for parameter in network.parameters() {
        Packing::F32.write(parameter.weights.values(), bytes);
    }
}

/// Reads a network's values; `None` if there are more or fewer.
pub(super) fn read_values(mut bytes: &[u8], network: &mut Network) -> Option<()> {
    for parameter in network.parameters_mut() {
        let values = parameter.weights.values_mut();
        let (told, others) = bytes.split_at_checked(4 * values.len())?;
        Packing::F32.read(told, values, |value, told| *value = told);
        bytes = others;
    }
    bytes.is_empty().then_some(())
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_ne_bytes(*number))
}

/// The score of six numbers.
fn score(bytes: &[u8]) -> Score {
    let mut numbers = [0.0; 6];
    for (number, told) in numbers.iter_mut().zip(bytes.as_chunks().0) {
        *number = f64::from_ne_bytes(*told);
    }
    Score::of_numbers(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written_over_what_was_there() {
        let all = Gradient { values: vec![1.0, 2.0, 3.0], touched: None };
        let mut some = Gradient { values: vec![0.0, 5.0, 6.0, 0.0, 7.0], touched: Some(vec![1..3, 4..5]) };
        let mut read = [
            Gradient { values: vec![9.0; 3], touched: Some(vec![0..1, 1..3]) },
            Gradient { values: vec![9.0; 5], touched: None },
        ];
        let score = Score { loss_sum: 1.5, normaliser: 64.0, samples: 64.0, ..Score::default() };
        let mut bytes = Vec::new();
        for _ in 0..2 {
            let report = Report { wishes: [true, false], score: Some(score) };
            write_report(&report, &[all.clone(), some.clone()], Packing::F32, &mut bytes);
            let found = read_report(&bytes, &mut read, Packing::F32).unwrap();
            assert_eq!((found.wishes, found.score), ([true, false], Some(score)));
            for (read, written) in read.iter().zip([&all, &some]) {
                assert_eq!((&read.values, &read.touched), (&written.values, &written.touched));
            }
            some = Gradient { values: vec![8.0, 0.0, 4.0, 0.0, 0.0], touched: Some(vec![0..1, 2..3]) };
        }
        assert!(read_report(&bytes[..bytes.len() - 1], &mut read, Packing::F32).is_none());
        write_report(&Report { wishes: [false; 2], score: None }, &read, Packing::F32, &mut bytes);
        assert_eq!(bytes.len(), REPORT);
    }
}
