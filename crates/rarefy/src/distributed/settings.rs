//! What a user says of ranks.

use serde::{Deserialize, Serialize};

use super::Packing;
use crate::names::refuse_ignored;
use crate::{Error, Result};

named! {
    /// How what workers find becomes one network.
    #[derive(Default)]
    pub enum ExchangeMethod {
        /// The gradients of a step are added up, and then weights move: the number of ranks changes no bit.
        #[default]
        Exact = "exact",
        /// The same sum moves weights one step later, after the next pass: gradients are those of the weights before.
        Stale = "stale",
        /// Workers take steps of their own, each on its part of every batch, and their weights are averaged now and then (DiLoCo: Douillard
        /// et al. 2023, arXiv 2311.08105).
        Local = "local",
        /// The first rank holds the weights, each rank takes the next share of a batch when it has done one, and its gradient moves weights
        /// when it comes (Ho et al. 2013). Not reproducible.
        Server = "server",
        /// As `"server"` for 70 % of the epochs, then as `"local"` with a worker for each rank (WASAP-SGD: Curci et al. 2021, arXiv
        /// 2102.01732). Not reproducible.
        Wasap = "wasap",
        /// The threads of one process move the same weights without locks, each by its own batches (Hogwild!: Niu et al. 2011). Not
        /// reproducible.
        Hogwild = "hogwild",
    }
}

impl ExchangeMethod {
    /// Whether the same settings give the same bits.
    pub fn is_reproducible(self) -> bool {
        !self.is_served() && self != ExchangeMethod::Hogwild
    }

    /// Whether a rank serves others, at least at first.
    pub fn is_served(self) -> bool {
        matches!(self, ExchangeMethod::Server | ExchangeMethod::Wasap)
    }
}

/// The `[distributed]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistributedSettings {
    /// Seconds that a rank waits for another before it ends the job. More than the longest time that one of them works alone, as when
    /// it writes a checkpoint.
    pub timeout: f64,
    /// In how many bits ranks tell each other gradients, and what moves weights. With `"bf16"` the number of ranks changes results.
    pub precision: Packing,
    /// How what ranks or workers find becomes one network.
    pub exchange: ExchangeMethod,
    /// Workers of `"local"`, each with `train.batch_size` over so many samples of every batch and an optimizer state of its own. They
    /// share out over the ranks: the number of workers changes results, that of ranks does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// Steps that a gradient of `"server"` or `"wasap"` may be late, 4 if not given: a step is as many gradients as there are ranks. Where
    /// one could come later, ranks wait for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staleness: Option<u64>,
    /// Steps from one average of `"local"` or `"wasap"` to the next, 16 if not given. Weights are averaged at the end of an epoch too, and where
    /// connections move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// How far weights go at an average of `"local"` or `"wasap"`, times the way to it; if not given 1 for sgd, else 0.7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer_learning_rate: Option<f32>,
    /// Nesterov's momentum of these moves, from 0 to below 1; if not given 0 for sgd, else 0.9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer_momentum: Option<f32>,
}

/// A week, after which nobody waits any more.
const MOST_SECONDS: f64 = 604_800.0;

/// The most steps that a gradient may be late.
const MOST_STALENESS: u64 = 1000;

/// The most workers: each has weights and optimizer state of its own.
const MOST_WORKERS: usize = 1 << 16;

impl Default for DistributedSettings {
    fn default() -> DistributedSettings {
        DistributedSettings {
            timeout: 600.0,
            precision: Packing::F32,
            exchange: ExchangeMethod::Exact,
            workers: None,
            staleness: None,
            period: None,
            outer_learning_rate: None,
            outer_momentum: None,
        }
    }
}

impl DistributedSettings {
    /// Checks the numbers, and that the exchange uses them.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is out of range or that the exchange would ignore.
    pub fn check(&self) -> Result<()> {
        let wrong = |key: &str, problem: String| Err(Error::setting(format!("distributed.{key}"), problem));
        if !(self.timeout > 0.0 && self.timeout <= MOST_SECONDS) {
            let problem = format!("{} is not above 0 and at most {MOST_SECONDS} seconds", self.timeout);
            return wrong("timeout", problem);
        }
        let local = &[ExchangeMethod::Local][..];
        let averages = &[ExchangeMethod::Local, ExchangeMethod::Wasap][..];
        let served = &[ExchangeMethod::Server, ExchangeMethod::Wasap][..];
        let told: Vec<ExchangeMethod> =
            ExchangeMethod::ALL.iter().copied().filter(|&it| it != ExchangeMethod::Hogwild).collect();
        refuse_ignored(
            "distributed.exchange",
            self.exchange,
            &[
                ("precision", self.precision != Packing::F32, &told),
                ("workers", self.workers.is_some(), local),
                ("staleness", self.staleness.is_some(), served),
                ("period", self.period.is_some(), averages),
                ("outer_learning_rate", self.outer_learning_rate.is_some(), averages),
                ("outer_momentum", self.outer_momentum.is_some(), averages),
            ],
        )?;
        if self.exchange == ExchangeMethod::Local {
            let Some(workers) = self.workers else {
                let problem = "must be given for distributed.exchange = \"local\": 4, for example";
                return wrong("workers", problem.into());
            };
            if !(1..=MOST_WORKERS).contains(&workers) {
                return wrong("workers", format!("{workers} is not between 1 and {MOST_WORKERS}"));
            }
        }
        if let Some(steps) = self.staleness.filter(|steps| !(1..=MOST_STALENESS).contains(steps)) {
            return wrong("staleness", format!("{steps} is not between 1 and {MOST_STALENESS} steps"));
        }
        if self.period == Some(0) {
            return wrong("period", "0 is not a number of steps; use at least 1".into());
        }
        if let Some(rate) = self.outer_learning_rate.filter(|&rate| rate <= 0.0) {
            return wrong("outer_learning_rate", format!("{rate} is not above 0"));
        }
        if let Some(momentum) = self.outer_momentum.filter(|momentum| !(0.0..1.0).contains(momentum)) {
            return wrong("outer_momentum", format!("{momentum} is not from 0 to below 1"));
        }
        Ok(())
    }

    /// The settings of one rank, for who does alone what these want several for.
    #[must_use]
    pub fn alone(&self) -> DistributedSettings {
        if self.exchange.is_reproducible() { self.clone() } else { DistributedSettings::default() }
    }

    /// How many of the workers a rank has where there are so many ranks, each of which has a run of a power of two: then sums over
    /// workers are a tree whose subtrees are ranks, and the number of these changes no bit.
    ///
    /// # Errors
    /// [`Error::Setting`] for workers that so many ranks cannot share.
    pub fn workers_of_rank(&self, ranks: usize) -> Result<usize> {
        let workers = self.workers.unwrap_or(1);
        let each = workers / ranks;
        if ranks == 1 || (workers.is_multiple_of(ranks) && each.is_power_of_two()) {
            return Ok(each);
        }
        let problem = format!(
            "{workers} cannot be shared out over {ranks} ranks, of which each has one, or 2, 4, 8 ...; use {ranks}, {} or {}, or another \
             number of ranks",
            2 * ranks,
            4 * ranks
        );
        Err(Error::setting("distributed.workers", problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (text, message) in [
            ("timeout = 0.0", "distributed.timeout: 0 is not above 0"),
            (
                "workers = 4",
                "distributed.workers: distributed.exchange = \"exact\" does not use it; remove it, or choose \"local\"",
            ),
            (
                "exchange = 'stale'\nperiod = 4",
                "distributed.period: distributed.exchange = \"stale\" does not use it",
            ),
            (
                "exchange = 'local'",
                "distributed.workers: must be given for distributed.exchange = \"local\": 4, for example",
            ),
            (
                "exchange = 'server'\nworkers = 4",
                "distributed.workers: distributed.exchange = \"server\" does not use it",
            ),
            (
                "exchange = 'server'\nstaleness = 0",
                "distributed.staleness: 0 is not between 1 and 1000 steps",
            ),
            (
                "exchange = 'hogwild'\nstaleness = 2",
                "distributed.staleness: distributed.exchange = \"hogwild\" does not use it",
            ),
            (
                "exchange = 'hogwild'\nprecision = 'bf16'",
                "distributed.precision: distributed.exchange = \"hogwild\" does not use it; remove it, or choose \"exact\",",
            ),
            ("staleness = 2", "distributed.staleness: distributed.exchange = \"exact\" does not use it"),
            ("exchange = 'local'\nworkers = 0", "distributed.workers: 0 is not between 1 and 65536"),
            ("exchange = 'local'\nworkers = 4\nperiod = 0", "distributed.period: 0 is not a number of steps"),
            (
                "exchange = 'local'\nworkers = 4\nouter_learning_rate = 0.0",
                "distributed.outer_learning_rate: 0 is not above 0",
            ),
            (
                "exchange = 'local'\nworkers = 4\nouter_momentum = 1.0",
                "distributed.outer_momentum: 1 is not from 0",
            ),
        ] {
            let settings: DistributedSettings = toml::from_str(text).unwrap();
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn ranks_have_runs_of_a_power_of_two_of_workers() {
        for (workers, ranks, expected) in
            [(1, 1, Some(1)), (6, 1, Some(6)), (6, 2, None), (6, 3, Some(2)), (8, 4, Some(2)), (2, 4, None)]
        {
            let settings = DistributedSettings { workers: Some(workers), ..Default::default() };
            assert_eq!(settings.workers_of_rank(ranks).ok(), expected, "{workers} workers, {ranks} ranks");
        }
    }
}
