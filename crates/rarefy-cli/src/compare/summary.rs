//! Rows out of runs: means over seeds, standard errors, and whether a row differs from the baseline by more than chance.

use rarefy::report::{TTest, mean, paired_t_test, standard_error, welch_t_test};
use serde::Serialize;

use super::result::{Ended, Figures, RunResult};
use super::score::Score;
use super::sweep::Row;

/// Below so many seeds a side nobody should judge.
const FEWEST: usize = 3;
/// Differences with a smaller p-value are marked.
const LEVEL: f64 = 0.05;

/// The comparison.
#[derive(Serialize)]
pub struct Summary {
    /// What is compared.
    pub score: Score,
    /// The row that others are compared with.
    pub baseline: String,
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
    /// The row's mean less the baseline's.
    pub difference: f64,
    /// The test, unless there are too few seeds.
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
    /// Student's, on the differences seed by seed.
    Paired,
    /// Welch's, where the two sides have different seeds.
    Welch,
}

/// A run.
#[derive(Serialize)]
pub struct RunSummary {
    /// Its seed.
    pub seed: u64,
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
    Finished(Figures),
    /// The reason.
    Failed(String),
    /// It has not been trained to its end yet.
    Missing,
}

impl RunSummary {
    /// A run by what its folder says, or by how it failed in this sitting.
    pub fn new(seed: u64, folder: String, result: Option<RunResult>, failure: Option<String>) -> RunSummary {
        let ended = match (result.map(|result| result.ended), failure) {
            (Some(Ended::Finished(figures)), _) => RunEnd::Finished(figures),
            (Some(Ended::Failed(reason)), _) | (None, Some(reason)) => RunEnd::Failed(reason),
            (None, None) => RunEnd::Missing,
        };
        RunSummary { seed, folder, ended }
    }

    fn figures(&self) -> Option<&Figures> {
        match &self.ended {
            RunEnd::Finished(figures) => Some(figures),
            _ => None,
        }
    }
}

impl Summary {
    /// Sums up; `baseline` is the position of a row.
    pub fn new(rows: &[Row], runs: Vec<Vec<RunSummary>>, baseline: usize) -> Summary {
        let score = Score::of_all(runs.iter().flatten().filter_map(RunSummary::figures));
        let of_run = |run: &RunSummary| Some((run.seed, score.of(run.figures()?)?));
        let scores: Vec<Vec<(u64, f64)>> =
            runs.iter().map(|runs| runs.iter().filter_map(of_run).collect()).collect();
        let baseline_name = rows[baseline].name.clone();
        let rows = rows.iter().zip(runs).enumerate().map(|(index, (row, runs))| {
            let finished = scores[index].len();
            let both_have_runs = finished > 0 && !scores[baseline].is_empty();
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
                against_baseline: (both_have_runs && index != baseline)
                    .then(|| difference(&scores[index], &scores[baseline])),
                runs,
            }
        });
        Summary { score, baseline: baseline_name, rows: rows.collect() }
    }

    /// Whether some row has too few seeds for a test.
    pub fn has_too_few_seeds(&self) -> bool {
        self.rows.iter().any(|row| row.against_baseline.as_ref().is_some_and(|found| found.test.is_none()))
    }
}

impl RowFigures {
    fn new(runs: &[RunSummary], scores: &[(u64, f64)]) -> RowFigures {
        let of = |figure: fn(&Figures) -> f64| -> Vec<f64> {
            runs.iter().filter_map(RunSummary::figures).map(figure).collect()
        };
        let scores: Vec<f64> = scores.iter().map(|(_, score)| *score).collect();
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

/// A row's scores against the baseline's: paired if both have the same seeds.
fn difference(row: &[(u64, f64)], baseline: &[(u64, f64)]) -> Difference {
    let values = |scores: &[(u64, f64)]| scores.iter().map(|(_, score)| *score).collect::<Vec<f64>>();
    let (a, b) = (values(row), values(baseline));
    let same_seeds = row.iter().map(|(seed, _)| seed).eq(baseline.iter().map(|(seed, _)| seed));
    let difference = mean(&a) - mean(&b);
    if a.len().min(b.len()) < FEWEST {
        return Difference { difference, test: None, p_value: None, significant: false };
    }
    let (test, found) =
        if same_seeds { (Test::Paired, paired_t_test(&a, &b)) } else { (Test::Welch, welch_t_test(&a, &b)) };
    let p_value = found.map(|TTest { p, .. }| p);
    Difference { difference, test: Some(test), p_value, significant: p_value.is_some_and(|p| p < LEVEL) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_decide_on_the_test() {
        let baseline = [(0, 0.96), (1, 0.95), (2, 0.97), (3, 0.94)];
        let row = [(0, 0.971), (1, 0.962), (2, 0.979), (3, 0.953)];
        let paired = difference(&row, &baseline);
        assert_eq!((paired.test, paired.significant), (Some(Test::Paired), true));
        assert!((paired.difference - 0.01125).abs() < 1e-12 && paired.p_value.unwrap() < 0.001);
        // Without pairs, the spread over seeds hides it.
        let welch = difference(&row[..3], &baseline);
        assert_eq!((welch.test, welch.significant), (Some(Test::Welch), false));
        let few = difference(&row[..2], &baseline[..2]);
        assert_eq!((few.test, few.p_value, few.significant), (None, None, false));
        let equal = difference(&baseline, &baseline);
        assert_eq!((equal.test, equal.p_value, equal.significant), (Some(Test::Paired), None, false));
    }
}
