//! Rows out of runs: means over seeds and folds, standard errors, and whether a row differs from the baseline by more than
//! chance.

use crate::data::Fold;
use crate::report::{TTest, mean, paired_t_test, standard_error};
use serde::Serialize;

use super::baseline::Baseline;
use super::result::{Ended, Figures, RunResult};
use super::row::Planned;
use super::score::Score;
use super::sweep::Sweep;

/// Below so many pairs of runs nobody should judge.
const FEWEST: usize = 3;
/// Differences with a smaller p-value are marked.
const LEVEL: f64 = 0.05;

/// The comparison.
#[derive(Serialize)]
pub struct Summary {
    /// What is compared.
    pub score: Score,
    /// The row that others are compared with, or the group of such rows.
    pub baseline: String,
    /// Whether the baseline is a group of several rows: each row is compared with that of them that agrees with it in all else.
    pub pairs_rows: bool,
    /// Seeds of each row.
    pub seeds: usize,
    /// Folds of each seed, in a cross-validation.
    pub folds: Option<u32>,
    /// The rows, in the order of the sweep.
    pub rows: Vec<RowSummary>,
}

/// A row of the table.
#[derive(Serialize)]
pub struct RowSummary {
    /// Its name.
    pub name: String,
    /// The colour it gets in the plot, by name.
    #[serde(skip)]
    pub group: String,
    /// What it is called beside that colour.
    #[serde(skip)]
    pub label: String,
    /// The settings that differ from row to row.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Runs with figures.
    pub finished: usize,
    /// Runs that failed.
    pub failed: usize,
    /// The figures; absent if no run has any.
    #[serde(flatten)]
    pub figures: Option<RowFigures>,
    /// Whether others are compared with it.
    #[serde(skip)]
    pub is_baseline: bool,
    /// How it differs from the baseline.
    pub against_baseline: Option<Difference>,
    /// Its runs.
    pub runs: Vec<RunSummary>,
}

/// Means over the finished runs of a row.
#[derive(Serialize)]
pub struct RowFigures {
    /// The mean of the score.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: Option<f64>,
    /// The mean of the errors of predicted numbers (RMSE) on the test part, in the target's unit, if all runs have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_rmse: Option<f64>,
    /// Live connections.
    pub nnz: f64,
    /// Live connections over all cells.
    pub density: f64,
    /// Bytes of the model.
    pub model_bytes: f64,
    /// Seconds of an epoch: the median of the runs.
    pub seconds_per_epoch: f64,
    /// Seconds of training a run.
    pub total_seconds: f64,
}

/// A row against the baseline.
#[derive(Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The row that it is compared with.
    pub row: String,
    /// The mean of the row less that row's, over runs of one seed and fold that both have.
    pub difference: f64,
    /// How many such pairs of runs there are.
    pub pairs: usize,
    /// The test, unless there are too few pairs.
    pub test: Option<Test>,
    /// The chance of such a difference if there were none; absent without a test, and if scores do not vary.
    pub p_value: Option<f64>,
    /// Whether the p-value is below 0.05.
    pub significant: bool,
}

/// A test of means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Student's, on the differences run by run: all runs have one test part.
    Paired,
    /// The same, corrected for training parts that share samples: each seed or fold draws a test part of its own.
    CorrectedResampled,
}

/// A run.
#[derive(Serialize)]
pub struct RunSummary {
    /// Its seed.
    pub seed: u64,
    /// The fold that it is tested on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
    /// Its folder, within that of the comparison.
    pub folder: String,
    /// How it ended, or `missing`.
    #[serde(flatten)]
    pub ended: RunEnd,
}

/// How a run ended, if it did.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Figures.
    Finished(Box<Figures>),
    /// The reason.
    Failed(String),
    /// It has not been trained to its end yet.
    Missing,
}

impl RunSummary {
    /// A run by what its folder says, or by how it failed in this sitting.
    pub fn new(
        run: &Planned,
        folder: String,
        result: Option<RunResult>,
        failure: Option<String>,
    ) -> RunSummary {
        let ended = match (result.map(|result| result.ended), failure) {
            (Some(Ended::Finished(figures)), _) => RunEnd::Finished(figures),
            (Some(Ended::Failed(reason)), _) | (None, Some(reason)) => RunEnd::Failed(reason),
            (None, None) => RunEnd::Missing,
        };
        RunSummary { seed: run.seed, fold: run.fold, folder, ended }
    }

    fn figures(&self) -> Option<&Figures> {
        match &self.ended {
            RunEnd::Finished(figures) => Some(figures),
            _ => None,
        }
    }
}

impl Summary {
    /// Sums up.
    pub fn new(sweep: &Sweep, runs: Vec<Vec<RunSummary>>, baseline: &Baseline) -> Summary {
        let rows = &sweep.rows;
        let score = Score::of_all(runs.iter().flatten().filter_map(RunSummary::figures));
        let of_run = |run: &RunSummary| {
            let figures = run.figures()?;
            let (seed, fold, test_over_rest) = (run.seed, run.fold, figures.test_over_rest);
            Some(Scored { seed, fold, score: score.of(figures)?, test_over_rest })
        };
        let scores: Vec<Vec<Scored>> =
            runs.iter().map(|runs| runs.iter().filter_map(of_run).collect()).collect();
        let seeds = rows[0].runs.len() / sweep.folds.unwrap_or(1) as usize;
        let summaries = rows.iter().zip(runs).enumerate().map(|(index, (row, runs))| {
            let finished = scores[index].len();
            let partner = baseline.partner(rows, index).filter(|&partner| partner != index);
            let settings = row.keys.iter().map(|(key, value)| {
                (key.clone(), serde_json::to_value(value).expect("a setting is plain data"))
            });
            RowSummary {
                name: row.name.clone(),
                group: row.group.clone(),
                label: row.label.clone(),
                settings: settings.collect(),
                finished,
                failed: runs.iter().filter(|run| matches!(run.ended, RunEnd::Failed(_))).count(),
                figures: (finished > 0).then(|| RowFigures::new(&runs, &scores[index])),
                against_baseline: partner
                    .and_then(|partner| difference(&scores[index], &scores[partner], &rows[partner].name)),
                is_baseline: baseline.partner(rows, index) == Some(index),
                runs,
            }
        });
        Summary {
            score,
            baseline: baseline.name(rows).into(),
            pairs_rows: baseline.pairs_rows(rows),
            seeds,
            folds: sweep.folds,
            rows: summaries.collect(),
        }
    }

    /// Whether some row has too few pairs for a test.
    pub fn has_too_few_pairs(&self) -> bool {
        self.rows.iter().any(|row| row.against_baseline.as_ref().is_some_and(|found| found.test.is_none()))
    }
}

impl RowFigures {
    fn new(runs: &[RunSummary], scores: &[Scored]) -> RowFigures {
        let of = |figure: fn(&Figures) -> f64| -> Vec<f64> {
            runs.iter().filter_map(RunSummary::figures).map(figure).collect()
        };
        let scores: Vec<f64> = scores.iter().map(|run| run.score).collect();
        let mut seconds = of(|figures| figures.seconds_per_epoch);
        seconds.sort_by(f64::total_cmp);
        let rmse: Option<Vec<f64>> =
            runs.iter().filter_map(RunSummary::figures).map(|figures| figures.test_rmse).collect();
        RowFigures {
            mean: mean(&scores),
            standard_error: standard_error(&scores),
            test_rmse: rmse.map(|all| mean(&all)),
            nnz: mean(&of(|figures| figures.nnz as f64)),
            density: mean(&of(|figures| figures.density)),
            model_bytes: mean(&of(|figures| figures.model_bytes as f64)),
            seconds_per_epoch: seconds[seconds.len() / 2],
            total_seconds: mean(&of(|figures| figures.total_seconds)),
        }
    }
}

/// What a run says about its row.
#[derive(Debug, Clone, Copy)]
struct Scored {
    seed: u64,
    fold: Option<Fold>,
    score: f64,
    test_over_rest: f64,
}

/// A row's scores against those of another, pair by pair; `None` if they have no seed and fold in common.
fn difference(row: &[Scored], other: &[Scored], name: &str) -> Option<Difference> {
    let partner = |run: &Scored| other.iter().find(|it| (it.seed, it.fold) == (run.seed, run.fold));
    let pairs: Vec<(Scored, Scored)> = row.iter().filter_map(|run| Some((*run, *partner(run)?))).collect();
    if pairs.is_empty() {
        return None;
    }
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().map(|(a, b)| (a.score, b.score)).unzip();
    let overlaps: Vec<f64> = pairs.iter().map(|(a, _)| a.test_over_rest).collect();
    let overlap = mean(&overlaps);
    let found = Difference {
        row: name.into(),
        difference: mean(&a) - mean(&b),
        pairs: pairs.len(),
        test: None,
        p_value: None,
        significant: false,
    };
    if pairs.len() < FEWEST {
        return Some(found);
    }
    let test = if overlap > 0.0 { Test::CorrectedResampled } else { Test::Paired };
    let p_value = paired_t_test(&a, &b, overlap).map(|TTest { p, .. }| p);
    Some(Difference { test: Some(test), p_value, significant: p_value.is_some_and(|p| p < LEVEL), ..found })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(scores: &[f64], test_over_rest: f64) -> Vec<Scored> {
        let run = |(seed, &score)| Scored { seed, fold: None, score, test_over_rest };
        (0..).zip(scores).map(run).collect()
    }

    #[test]
    fn runs_of_one_seed_and_fold_are_paired() {
        let (a, b) = ([0.971, 0.962, 0.979, 0.953], [0.96, 0.95, 0.97, 0.94]);
        let found = |a: &[Scored], b: &[Scored]| difference(a, b, "other").unwrap();
        let paired = found(&runs(&a, 0.0), &runs(&b, 0.0));
        assert_eq!((paired.test, paired.pairs, paired.significant), (Some(Test::Paired), 4, true));
        assert!((paired.difference - 0.01125).abs() < 1e-12 && paired.p_value.unwrap() < 0.001);
        // With parts drawn by the seeds the same differences say less.
        let drawn = found(&runs(&a, 0.25), &runs(&b, 0.25));
        assert_eq!(drawn.test, Some(Test::CorrectedResampled));
        assert!(drawn.p_value.unwrap() > 1.5 * paired.p_value.unwrap());
        // What only one of them has is left out.
        let mut others = runs(&b, 0.0);
        others[0].fold = Some(Fold { number: 1, of: 2 });
        let three = found(&runs(&a, 0.0), &others);
        assert_eq!((three.pairs, three.row.as_str()), (3, "other"));
        assert!((three.difference - (0.012 + 0.009 + 0.013) / 3.0).abs() < 1e-12);
        let few = found(&runs(&a[..2], 0.0), &runs(&b, 0.0));
        assert_eq!((few.pairs, few.test, few.p_value, few.significant), (2, None, None, false));
        let equal = found(&runs(&b, 0.0), &runs(&b, 0.0));
        assert_eq!((equal.test, equal.p_value, equal.significant), (Some(Test::Paired), None, false));
        assert_eq!(difference(&runs(&a, 0.0)[..1], &runs(&b, 0.0)[1..], "other"), None);
    }
}
