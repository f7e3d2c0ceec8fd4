//! `rarefy comm test`: what ranks tell each other, beside what they should.

use anyhow::{Result, ensure};
use rarefy::distributed::{Comm, Packing, sum};
use serde::Serialize;

use crate::output::Output;

/// Arguments of `rarefy comm test`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  mpirun -n 4 rarefy comm test

Ends with exit code 1 if anything that was said is wrong.")]
pub struct TestArgs {}

/// Something that must be so.
#[derive(Serialize)]
struct Check {
    name: &'static str,
    passed: bool,
    /// The ranks that found it wrong.
    wrong_on: Vec<usize>,
}

/// Whether this rank finds something right.
type Probe = fn(&dyn Comm) -> rarefy::Result<bool>;

const PROBES: [(&str, Probe); 5] = [
    ("messages both ways, up to 5 MB", exchanges),
    ("messages to whoever listens", is_heard),
    ("what one tells all", broadcasts),
    ("what each has, for all", gathers),
    ("sums in the order of the tree", sums),
];

/// Checks.
pub fn run(comm: &dyn Comm, output: &Output) -> Result<()> {
    let checks = PROBES.iter().map(|(name, probe)| check(comm, name, *probe));
    let checks: Vec<Check> = checks.collect::<rarefy::Result<_>>()?;
    let line = |check: &Check| match check.passed {
        true => format!("ok      {}", check.name),
        false => format!("FAILED  {}: wrong on ranks {:?}", check.name, check.wrong_on),
    };
    let lines: Vec<String> = checks.iter().map(line).collect();
    output.show(&format!("{} ranks\n{}", comm.size(), lines.join("\n")));
    output.json(&serde_json::json!({ "ranks": comm.size(), "checks": checks }))?;
    let failed: Vec<&str> = checks.iter().filter(|check| !check.passed).map(|check| check.name).collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

fn check(comm: &dyn Comm, name: &'static str, probe: Probe) -> rarefy::Result<Check> {
    let is_right = probe(comm)?;
    let mut all = vec![0; comm.size()];
    comm.all_gather(&[u8::from(is_right)], &mut all)?;
    let wrong_on: Vec<usize> = (0..all.len()).filter(|&rank| all[rank] == 0).collect();
    Ok(Check { name, passed: wrong_on.is_empty(), wrong_on })
}

/// What a rank says in so many bytes.
fn words(rank: usize, length: usize) -> Vec<u8> {
    (0..length).map(|place| (31 * rank + place + place / 251) as u8).collect()
}

/// Rings of messages, the longest of them longer than what MPI is given at once; and some that go one way only.
fn exchanges(comm: &dyn Comm) -> rarefy::Result<bool> {
    let (rank, size) = (comm.rank(), comm.size());
    let mut is_right = true;
    for (length, step) in [(1, 1), (1000, 1), (5_000_003, 1), (77, size - 1)] {
        let (to, from) = ((rank + step) % size, (rank + size - step) % size);
        let mut heard = vec![0; length];
        comm.exchange(to, &words(rank, length), from, &mut heard)?;
        is_right &= heard == words(from, length);
    }
    let mut heard = vec![0; 500];
    match rank {
        0 => comm.exchange(1, &words(0, 500), 1, &mut [])?,
        1 => {
            comm.exchange(0, &[], 0, &mut heard)?;
            is_right &= heard == words(0, 500);
        }
        _ => {}
    }
    Ok(is_right)
}

/// Each rank sends to the first, which answers each.
fn is_heard(comm: &dyn Comm) -> rarefy::Result<bool> {
    let (rank, size) = (comm.rank(), comm.size());
    let length = |rank: usize| 5000 * (rank - 1);
    if rank > 0 {
        comm.send(0, &words(rank, length(rank)))?;
        return Ok(comm.receive(Some(0))? == (0, words(rank, 3)));
    }
    let mut heard = vec![false; size];
    heard[0] = true;
    for _ in 1..size {
        let (from, bytes) = comm.receive(None)?;
        heard[from] = bytes == words(from, length(from));
        comm.send(from, &words(from, 3))?;
    }
    Ok(heard.iter().all(|&is_heard| is_heard))
}

fn broadcasts(comm: &dyn Comm) -> rarefy::Result<bool> {
    let mut is_right = true;
    for from in [0, 1, comm.size() - 1] {
        let mut bytes = words(comm.rank(), 1 + comm.rank());
        if comm.rank() == from {
            bytes = words(from, 100_000);
        }
        comm.broadcast(&mut bytes, from)?;
        is_right &= bytes == words(from, 100_000);
    }
    Ok(is_right)
}

fn gathers(comm: &dyn Comm) -> rarefy::Result<bool> {
    let mut all = vec![0; 100 * comm.size()];
    comm.all_gather(&words(comm.rank(), 100), &mut all)?;
    let expected: Vec<u8> = (0..comm.size()).flat_map(|rank| words(rank, 100)).collect();
    Ok(all == expected)
}

/// Numbers of which another order makes another sum, on all ranks and on some.
fn sums(comm: &dyn Comm) -> rarefy::Result<bool> {
    let number = |rank: usize, place: usize| match place % 3 {
        0 => 1e8 / (1.0 + rank as f32),
        1 => -1e8 / (1.0 + (rank * place) as f32),
        _ => (0.37 * (rank * 31 + place) as f32).sin(),
    };
    let (size, mut is_right) = (comm.size(), true);
    for (parts, length) in [(size, 93_000), (size, 1), (size - 1, 1000), (1, 10)] {
        let mut numbers: Vec<f32> = (0..length).map(|place| number(comm.rank(), place)).collect();
        let mut along = [1.0];
        sum(comm, parts, Packing::F32, &mut numbers, &mut along, &mut Vec::new())?;
        let expected = (0..length).map(|place| tree_sum(0, parts, &|rank| number(rank, place)).to_bits());
        is_right &= numbers.iter().map(|number| number.to_bits()).eq(expected) && along == [parts as f64];
    }
    Ok(is_right)
}

/// A sum over ranks, cut at the largest power of two.
fn tree_sum(start: usize, end: usize, of: &impl Fn(usize) -> f32) -> f32 {
    if end - start == 1 {
        return of(start);
    }
    let middle = start + (end - start).next_power_of_two() / 2;
    tree_sum(start, middle, of) + tree_sum(middle, end, of)
}

#[cfg(test)]
mod tests {
    use rarefy::distributed::Local;

    use super::*;

    #[test]
    fn ranks_that_tell_the_truth_pass() {
        for size in 2..=5 {
            let passed = Local::run(size, |comm| {
                PROBES.iter().all(|(name, probe)| check(&comm, name, *probe).unwrap().passed)
            });
            assert_eq!(passed, vec![true; size]);
        }
    }

    /// A rank of which one byte in each message is wrong.
    #[derive(Debug)]
    struct Liar(Local);

    impl Comm for Liar {
        fn rank(&self) -> usize {
            self.0.rank()
        }
        fn size(&self) -> usize {
            self.0.size()
        }
        fn exchange(&self, to: usize, give: &[u8], from: usize, take: &mut [u8]) -> rarefy::Result<()> {
            let mut give = give.to_vec();
            // The marks of who found what are spared.
            if let [.., last] = &mut give[..]
                && take.len() != 1
            {
                *last ^= 1;
            }
            self.0.exchange(to, &give, from, take)
        }
        fn send(&self, to: usize, bytes: &[u8]) -> rarefy::Result<()> {
            let mut bytes = bytes.to_vec();
            bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            self.0.send(to, &bytes)
        }
        fn receive(&self, from: Option<usize>) -> rarefy::Result<(usize, Vec<u8>)> {
            self.0.receive(from)
        }
        fn host(&self) -> String {
            self.0.host()
        }
        fn abort(&self, code: i32) -> ! {
            self.0.abort(code)
        }
    }

    #[test]
    fn every_check_finds_a_liar() {
        for (name, probe) in PROBES {
            let found = Local::run(2, |comm| {
                let liar = Liar(comm);
                check(&liar, name, probe).unwrap()
            });
            assert!(found.iter().all(|check| !check.passed && !check.wrong_on.is_empty()), "{name}");
        }
    }
}
