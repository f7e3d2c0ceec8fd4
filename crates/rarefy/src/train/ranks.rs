//! The ranks of a training, seen from one of them: what they add up, what they tell each other, and whether they still agree.
//!
//! A failure is kept: from then on nothing is said any more, and whoever can return an error asks for it ([`Ranks::check`]). So the
//! passes of a network, which return none, need not know.

use std::mem::take;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::share::{Cut, Share};
use super::{Score, Settings, SlowRank};
use crate::distributed::{self, Comm, Meter, Packing, Peers, Solo};
use crate::layers::{Gradient, Network, Parameter, Pass};
use crate::losses::Loss;
use crate::sparse::Touched;
use crate::{Error, Result};

/// The ranks that train together.
#[derive(Debug)]
pub(super) struct Ranks {
    comm: Meter,
    /// How numbers are told that are added up.
    packing: Packing,
    /// Whether ranks may be left without samples of full batches.
    may_idle: bool,
    /// Each rank's machine.
    hosts: Vec<String>,
    /// What this rank has of the batch under way.
    share: Share,
    /// Gradients of all parameters, one after the other.
    fused: Vec<f32>,
    /// What this rank wants, of all [`Wish`]es, and what any rank wanted when gradients were last summed.
    wishes: [AtomicBool; 2],
    heard: [bool; 2],
    talk: Mutex<Talk>,
}

/// What a rank wants all to do after the next step: it rides on the sum of the gradients, so that all do it after the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Training is to end.
    Stop,
    /// A checkpoint is to be written, for which ranks tell what each alone has.
    Save,
}

/// Memory for messages, and the first failure.
#[derive(Debug, Default)]
struct Talk {
    bytes: Vec<u8>,
    numbers: Vec<f32>,
    failure: Option<Error>,
}

/// Bytes of a machine's name that are told.
const HOST: usize = 64;

impl Ranks {
    /// The only rank.
    pub(super) fn alone() -> Ranks {
        Ranks::new(Arc::new(Solo), Packing::F32)
    }

    /// One that works alone on what comes after `earlier` samples of each batch.
    pub(super) fn alone_after(earlier: usize) -> Ranks {
        let share = Share { first: earlier, ..Share::of(0, 1, 0, 1) };
        Ranks { share, ..Ranks::alone() }
    }

    pub(super) fn new(comm: Arc<dyn Comm>, packing: Packing) -> Ranks {
        Ranks {
            hosts: vec![comm.host(); comm.size()],
            share: Share::of(0, 1, 0, 1),
            fused: Vec::new(),
            wishes: Default::default(),
            heard: Default::default(),
            talk: Mutex::default(),
            comm: Meter::new(comm),
            packing,
            may_idle: false,
        }
    }

    /// The same, of which some may be left without samples of full batches.
    pub(super) fn that_may_idle(self, may_idle: bool) -> Ranks {
        Ranks { may_idle, ..self }
    }

    pub(super) fn is_alone(&self) -> bool {
        self.comm.size() == 1
    }

    /// This rank's number, and how many there are.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.comm.rank(), self.comm.size())
    }

    /// How this rank reaches the others.
    pub(super) fn comm(&self) -> &dyn Comm {
        &self.comm
    }

    /// How numbers are told.
    pub(super) fn packing(&self) -> Packing {
        self.packing
    }

    /// Bytes that this rank has sent since this was last asked; `None` of the only rank.
    pub(super) fn take_sent(&self) -> Option<u64> {
        (!self.is_alone()).then(|| self.comm.take_sent())
    }

    /// How long this rank has waited.
    pub(super) fn waited(&self) -> Duration {
        self.comm.waited()
    }

    /// Seconds that each rank has waited since it had waited so long; none of the only rank.
    pub(super) fn waiting_since(&self, before: Duration) -> Vec<f64> {
        if self.is_alone() {
            Vec::new()
        } else {
            self.gather_lists(&[(self.waited() - before).as_secs_f64()])
        }
    }

    /// The rank that has kept the others waiting in an epoch of so many seconds, where each has waited so long.
    pub(super) fn slow_rank(&self, waiting: &[f64], seconds: f64) -> Option<SlowRank> {
        SlowRank::find(waiting, seconds, &self.hosts)
    }

    /// Waits until all ranks have come here.
    pub(super) fn meet(&self) {
        if !self.is_alone() {
            self.talk(|comm, _| comm.barrier());
        }
    }

    /// Takes back what was counted as waiting and was work.
    pub(super) fn hide(&self, time: Duration) {
        self.comm.hide(time);
    }

    /// This rank's share of a batch of `samples` samples, where full ones have `most`.
    pub(super) fn share(&self, samples: usize, most: usize) -> Share {
        Share::of(samples, most, self.comm.rank(), self.comm.size())
    }

    /// How batches are shared out over the ranks, where full ones have `most` samples.
    pub(super) fn cut(&self, most: usize) -> Cut {
        let (rank, ranks) = self.place();
        Cut::Tiles { most, rank, ranks }
    }

    /// Says that all ranks have a part of what is summed next.
    pub(super) fn begin_together(&mut self) {
        self.share.parts = self.comm.size();
    }

    /// Says what this rank has of the batch under way.
    pub(super) fn begin(&mut self, share: Share) {
        self.share = share;
    }

    /// What this rank has of the batch under way.
    pub(super) fn batch(&self) -> Share {
        self.share
    }

    /// Samples of the batch under way, of which this rank has `samples`.
    pub(super) fn whole(&self, samples: usize) -> usize {
        if self.is_alone() { samples } else { self.share.whole }
    }

    /// A pass over this rank's share of the batch under way, where `earlier` samples of the step were in batches before.
    pub(super) fn pass<'a>(&'a self, pass: Pass<'a>, earlier: usize) -> Pass<'a> {
        let pass = pass.after(earlier + self.share.first);
        if self.is_alone() { pass } else { pass.with_peers(self) }
    }

    /// Bytes of gradients.
    pub(super) fn bytes(&self) -> usize {
        4 * self.fused.len()
    }

    /// Makes what each rank has found for its share what is true of the batch: gradients, and the score.
    pub(super) fn sum_gradients(&mut self, gradients: &mut [Gradient], score: Score, loss: &Loss) -> Score {
        if self.is_alone() {
            return score;
        }
        let mut fused = take(&mut self.fused);
        fused.clear();
        for Gradient { values, touched } in &mut *gradients {
            match touched {
                None => fused.extend_from_slice(values),
                Some(touched) => {
                    self.unite(touched);
                    touched.iter().for_each(|slots| fused.extend_from_slice(&values[slots.clone()]));
                }
            }
        }
        let score = self.sum_with_wishes(&mut fused, score, loss);
        let mut rest = &fused[..];
        for Gradient { values, touched } in gradients {
            let all = 0..values.len();
            for slots in touched.as_deref().unwrap_or(std::slice::from_ref(&all)) {
                let (numbers, others) = rest.split_at(slots.len());
                values[slots.clone()].copy_from_slice(numbers);
                rest = others;
            }
        }
        self.fused = fused;
        score
    }

    /// Adds up numbers and scores of all that have a part; what ranks wish goes along.
    pub(super) fn sum_with_wishes(&mut self, numbers: &mut [f32], score: Score, loss: &Loss) -> Score {
        if self.is_alone() {
            return score;
        }
        let wishes = self.wishes.each_ref().map(|wish| f64::from(u8::from(wish.load(Ordering::Relaxed))));
        let mut along = [0.0; 8];
        along[..6].copy_from_slice(&score.numbers());
        along[6..].copy_from_slice(&wishes);
        self.sum(numbers, &mut along);
        self.heard = [along[6] > 0.0, along[7] > 0.0];
        whole_score(&along, score, loss)
    }

    /// The score of the batch under way, of which each rank has its share's.
    pub(super) fn sum_scores(&self, score: Score, loss: &Loss) -> Score {
        if self.is_alone() {
            return score;
        }
        let mut along = score.numbers();
        self.sum(&mut [], &mut along);
        whole_score(&along, score, loss)
    }

    /// Adds up numbers of the batch under way, in the tree of tiles.
    pub(super) fn sum_numbers(&self, numbers: &mut [f32]) {
        self.sum(numbers, &mut []);
    }

    /// Adds up numbers in lines of so many, each for one rank alone; returns which lines this one has.
    pub(super) fn sum_lines(&self, numbers: &mut [f32], line: usize) -> Vec<Range<usize>> {
        let (parts, packing) = (self.share.parts, self.packing);
        let (mut shares, lines) = (None, 0..numbers.len() / line);
        self.talk(|comm, talk| {
            shares = Some(distributed::sum_lines(comm, parts, packing, numbers, line, &mut talk.bytes)?);
            Ok(())
        });
        // After a failure all that it has: whoever asks for the error will know.
        let Some(shares) = shares else { return Vec::from([lines]) };
        shares.into_iter().map(|share| share.start / line..share.end / line).collect()
    }

    fn sum(&self, numbers: &mut [f32], along: &mut [f64]) {
        if !self.is_alone() {
            let (parts, packing) = (self.share.parts, self.packing);
            self.talk(|comm, talk| distributed::sum(comm, parts, packing, numbers, along, &mut talk.bytes));
        }
    }

    /// Makes ranges those of all ranks; two of different ranks are the same or apart.
    fn unite(&self, ranges: &mut Touched) {
        let flat: Vec<u64> = ranges.iter().flat_map(|it| [it.start as u64, it.end as u64]).collect();
        let all = self.gather_lists(&flat);
        ranges.clear();
        ranges.extend(all.as_chunks().0.iter().map(|&[start, end]| start as usize..end as usize));
        ranges.sort_unstable_by_key(|slots| slots.start);
        ranges.dedup();
    }

    /// What all ranks have, one after the other; each may have another number of things.
    pub(super) fn gather_lists<T: bytemuck::Pod>(&self, mine: &[T]) -> Vec<T> {
        if self.is_alone() {
            return mine.to_vec();
        }
        let mut all = Vec::new();
        self.talk(|comm, _| {
            let mut counts = vec![0u64; comm.size()];
            comm.all_gather(
                bytemuck::bytes_of(&(mine.len() as u64)),
                bytemuck::cast_slice_mut(&mut counts[..]),
            )?;
            let most = counts.iter().copied().max().unwrap_or(0) as usize;
            let mut padded = mine.to_vec();
            padded.resize(most, T::zeroed());
            let mut found = vec![T::zeroed(); most * comm.size()];
            comm.all_gather(bytemuck::cast_slice(&padded), bytemuck::cast_slice_mut(&mut found))?;
            for (found, count) in found.chunks(most.max(1)).zip(counts) {
                all.extend_from_slice(&found[..count as usize]);
            }
            Ok(())
        });
        all
    }

    /// The scores of cells that all ranks have found.
    pub(super) fn gather_scores(&self, mine: &[(f32, usize)]) -> Vec<(f32, usize)> {
        let mine: Vec<[u64; 2]> =
            mine.iter().map(|&(score, cell)| [score.to_bits().into(), cell as u64]).collect();
        let all = self.gather_lists(&mine);
        // None after a failure.
        let all = if all.is_empty() { mine } else { all };
        all.into_iter().map(|[score, cell]| (f32::from_bits(score as u32), cell as usize)).collect()
    }

    /// Brings to the first rank what each other one has, in their order; they get nothing.
    pub(super) fn bring_to_first(&self, mine: &[f32]) -> Vec<Vec<f32>> {
        let mut all = Vec::new();
        self.talk(|comm, _| {
            if comm.rank() > 0 {
                return comm.send(0, bytemuck::cast_slice(mine));
            }
            for rank in 1..comm.size() {
                let (_, bytes) = comm.receive(Some(rank))?;
                let numbers = bytes.as_chunks().0.iter().map(|number| f32::from_ne_bytes(*number));
                all.push(numbers.collect());
            }
            Ok(())
        });
        all
    }

    /// Makes numbers those of the first rank.
    pub(super) fn tell_all<'a>(&self, numbers: impl Iterator<Item = &'a mut Vec<f32>>) {
        self.talk(|comm, _| {
            for numbers in numbers {
                let mut bytes = bytemuck::cast_slice(numbers).to_vec();
                comm.broadcast(&mut bytes, 0)?;
                Packing::F32.read(&bytes, numbers, |number, told| *number = told);
            }
            Ok(())
        });
    }

    /// What ranks have of some things that they took in turn, in the order of the things, of which `sizes` says how much there is of
    /// each.
    pub(super) fn gather_turns<T: bytemuck::Pod>(
        &self,
        mine: Vec<T>,
        sizes: impl Iterator<Item = usize>,
    ) -> Vec<T> {
        if self.is_alone() {
            return mine;
        }
        let (all, sizes) = (self.gather_lists(&mine), sizes.collect::<Vec<_>>());
        if all.len() != sizes.iter().sum::<usize>() {
            // Something has failed, and whoever asks for the error will know.
            return mine;
        }
        let ranks = self.comm.size();
        let mut start = 0;
        let mut starts = Vec::new();
        for rank in 0..ranks {
            starts.push(start);
            start += sizes.iter().skip(rank).step_by(ranks).sum::<usize>();
        }
        let mut ordered = Vec::with_capacity(all.len());
        for (turn, size) in sizes.into_iter().enumerate() {
            let start = &mut starts[turn % ranks];
            ordered.extend_from_slice(&all[*start..*start + size]);
            *start += size;
        }
        ordered
    }

    /// Says what this rank wants, or does not want any more.
    pub(super) fn wish(&self, wish: Wish, is_wanted: bool) {
        self.wishes[wish as usize].store(is_wanted, Ordering::Relaxed);
    }

    /// Whether all do now what this rank wants or any wanted when gradients were last summed.
    pub(super) fn is_granted(&self, wish: Wish) -> bool {
        if self.is_alone() {
            return self.wishes[wish as usize].load(Ordering::Relaxed);
        }
        self.heard[wish as usize]
    }

    /// Forgets wishes that were granted.
    pub(super) fn forget(&mut self, wish: Wish) {
        self.wish(wish, false);
        self.heard[wish as usize] = false;
    }

    /// Checks that all ranks have the same data, settings, version and instruction set.
    pub(super) fn check_same(&mut self, settings: &Settings, isa: &str, data: u64) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let mut name = self.comm.host().into_bytes();
        name.resize(HOST, 0);
        let names = self.gather_lists(&name);
        self.check()?;
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_string();
        self.hosts = names.chunks(HOST).map(name).collect();
        // Threads and the memory limit change no bit.
        let settings = Settings { threads: 0, memory_limit: None, ..settings.clone() };
        let settings = serde_json::to_string(&settings).expect("settings are plain data");
        self.compare(&[
            (
                hash(env!("CARGO_PKG_VERSION").bytes()),
                "is of another version of rarefy than rank 0: install the same on all hosts",
            ),
            (
                hash(isa.bytes()),
                "computes with another instruction set than rank 0: set isa to one that all hosts have",
            ),
            (hash(settings.bytes()), "has other settings than rank 0: start all ranks with the same ones"),
            (data, "has read other data than rank 0: copy the same files to all hosts"),
        ])
    }

    /// Checks that all ranks have the same connections.
    pub(super) fn check_patterns(&self, network: &Network) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let cells = |parameter: &Parameter| {
            hash(parameter.weights.connections().flat_map(|(cell, _)| (cell as u64).to_le_bytes()))
        };
        self.compare_parameters("connections", network.weights().map(|(_, it)| (it, cells(it))))
    }

    /// Checks that all ranks have the same numbers: hosts of different C libraries, or broken ones, may drift apart.
    pub(super) fn check_values(&self, network: &Network) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let values = |parameter: &Parameter| {
            hash(parameter.weights.values().iter().flat_map(|value| value.to_bits().to_le_bytes()))
        };
        self.compare_parameters("numbers", network.parameters().map(|it| (it, values(it))))
    }

    fn compare_parameters<'a>(
        &self,
        what: &str,
        hashes: impl Iterator<Item = (&'a Parameter, u64)>,
    ) -> Result<()> {
        let problem = |parameter: &Parameter| {
            format!(
                "has other {what} in {} than rank 0: its memory, its processor or its system's C library may be at fault",
                parameter.name
            )
        };
        let hashes: Vec<(u64, String)> = hashes.map(|(parameter, hash)| (hash, problem(parameter))).collect();
        let hashes: Vec<(u64, &str)> = hashes.iter().map(|(hash, problem)| (*hash, &problem[..])).collect();
        self.compare(&hashes)
    }

    /// Checks that all ranks have the same numbers; each comes with what is said of the first rank that has another one.
    fn compare(&self, numbers: &[(u64, &str)]) -> Result<()> {
        let mine: Vec<u64> = numbers.iter().map(|(number, _)| *number).collect();
        let all = self.gather_lists(&mine);
        self.check()?;
        let (first, others) = all.split_at(mine.len());
        for (rank, theirs) in (1..).zip(others.chunks(mine.len().max(1))) {
            if let Some(at) = theirs.iter().zip(first).position(|(theirs, first)| theirs != first) {
                return Err(Error::rank(rank, &self.hosts[rank], numbers[at].1));
            }
        }
        Ok(())
    }

    /// Checks that each rank gets samples of a full batch of `most`, unless it may do without.
    pub(super) fn check_batches(&self, most: usize) -> Result<()> {
        let ranks = self.comm.size();
        let has_work = self.share(most, most).parts;
        if has_work == ranks || self.may_idle {
            return Ok(());
        }
        let least = crate::tiles::LANES * ranks;
        Err(Error::setting(
            "train.batch_size",
            format!(
                "{most} gives work to {has_work} of {ranks} ranks; use {least}, {} or another multiple of {least} by a power of two \
                 (64 samples for each at least)",
                2 * least
            ),
        ))
    }

    /// What has failed since training began, if anything has.
    ///
    /// # Errors
    /// That.
    pub(super) fn check(&self) -> Result<()> {
        self.lock().failure.take().map_or(Ok(()), Err)
    }

    /// Whether something has failed: then nobody has what the others should have told.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().failure.is_some()
    }

    fn talk(&self, what: impl FnOnce(&dyn Comm, &mut Talk) -> Result<()>) {
        let mut talk = self.lock();
        if talk.failure.is_none()
            && let Err(error) = what(&self.comm, &mut talk)
        {
            talk.failure = Some(error);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peers for Ranks {
    fn index(&self) -> usize {
        self.comm.rank()
    }

    fn join(&self, numbers: &mut [f32], join: &dyn Fn(&mut [f32], &[f32])) {
        let length = numbers.len();
        self.talk(|comm, Talk { numbers: all, .. }| {
            all.resize(length * comm.size(), 0.0);
            comm.all_gather(bytemuck::cast_slice(numbers), bytemuck::cast_slice_mut(all))?;
            let mut distance = 1;
            while distance < self.share.parts {
                for left in (0..self.share.parts - distance).step_by(2 * distance) {
                    let (left, right) = all[left * length..].split_at_mut(distance * length);
                    join(&mut left[..length], &right[..length]);
                }
                distance *= 2;
            }
            numbers.copy_from_slice(&all[..length]);
            Ok(())
        });
    }
}

/// The score of a batch from its shares' sums; a loss that is no mean is not divided, however many shares there are.
fn whole_score(sums: &[f64], mine: Score, loss: &Loss) -> Score {
    let sum = Score::of_numbers(sums[..6].try_into().expect("six numbers"));
    Score { normaliser: if loss.is_mean() { sum.normaliser } else { mine.normaliser }, ..sum }
}

/// The same number for the same bytes, on any machine (FNV-1a).
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributed::Local;
    use crate::kernels::Activation;
    use crate::layers::{LayerSpec, NetworkSpec, SparsitySettings};
    use crate::tiles::Shape;

    #[test]
    fn ranks_that_drift_apart_are_told_with_the_parameter() {
        let spec = NetworkSpec {
            inputs: Shape::flat(4),
            layers: vec![LayerSpec::linear(8, Activation::Relu), LayerSpec::linear(2, Activation::Identity)],
        };
        let check = |odd: usize, seed: u64| {
            Local::run(3, |comm| {
                let is_odd = comm.rank() == odd;
                let sparsity = SparsitySettings { density: 0.5, ..SparsitySettings::default() };
                let mut network = Network::random(&spec, &sparsity, if is_odd { seed } else { 1 }).unwrap();
                if is_odd && seed == 1 {
                    let value = &mut network.parameter_mut(2).weights.values_mut()[1];
                    *value = f32::from_bits(value.to_bits() + 1);
                }
                let ranks = Ranks::new(Arc::new(comm), Packing::F32);
                [ranks.check_patterns(&network), ranks.check_values(&network)]
                    .map(|found| found.err().map(|error| error.to_string()))
            })
        };
        for found in check(2, 1) {
            let [patterns, values] = found;
            assert_eq!(patterns, None);
            let message = "rank 2 (this process): has other numbers in layers.1.weight than rank 0";
            assert!(values.as_ref().is_some_and(|it| it.starts_with(message)), "{values:?}");
        }
        for [patterns, _] in check(1, 2) {
            let message = "rank 1 (this process): has other connections in layers.0.weight than rank 0";
            assert!(patterns.as_ref().is_some_and(|it| it.starts_with(message)), "{patterns:?}");
        }
        assert!(check(3, 1).iter().flatten().all(Option::is_none));
    }
}
