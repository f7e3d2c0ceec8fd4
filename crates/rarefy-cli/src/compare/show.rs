//! A comparison for people: the table, what to know about it, and the plot of score against nonzeros.

use rarefy::report::plot::{Axis, Chart, Look, Point, Scale, Series, pareto_front};
use rarefy::report::{amount, bytes, mean, table};

use super::score::Score;
use super::summary::{Difference, RowFigures, RowSummary, RunEnd, Summary};

/// The table for a terminal.
pub fn text_table(summary: &Summary) -> String {
    let header = header(summary);
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    table(&header, summary.rows.iter().map(|row| cells(summary, row)))
}

/// The table, what to know about it and the plot as Markdown.
pub fn markdown(summary: &Summary, title: &str) -> String {
    let line = |cells: Vec<String>| {
        let cells: Vec<String> =
            cells.iter().map(|cell| cell.replace('|', "\\|").replace('*', "\\*")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let header = header(summary);
    let rule = format!("|---|{}\n", "---:|".repeat(header.len() - 1));
    let rows: String = summary.rows.iter().map(|row| line(cells(summary, row))).collect();
    let notes: String =
        notes(summary).iter().map(|note| format!("- {}\n", note.replace('*', "\\*"))).collect();
    format!("# {title}\n\n{}{rule}{rows}\n{notes}\n![{title}](pareto.svg)\n", line(header))
}

fn header(summary: &Summary) -> Vec<String> {
    let difference = format!("to {}", summary.baseline);
    let rmse = has_rmse(summary).then_some("test RMSE");
    let judged = ["", "runs", summary.score.name(), &difference, "p"];
    let rest = ["nonzeros", "density", "s/epoch", "s/run", "model"];
    judged.into_iter().chain(rmse).chain(rest).map(String::from).collect()
}

fn has_rmse(summary: &Summary) -> bool {
    summary.rows.iter().filter_map(|row| row.figures.as_ref()).any(|figures| figures.test_rmse.is_some())
}

fn cells(summary: &Summary, row: &RowSummary) -> Vec<String> {
    let runs = match row.failed {
        0 => row.finished.to_string(),
        failed => format!("{}, {failed} failed", row.finished),
    };
    let mut cells = vec![row.name.clone(), runs];
    let Some(figures) = &row.figures else {
        let word = if row.failed > 0 { "failed" } else { "not done" };
        cells.push(word.into());
        cells.resize(header(summary).len(), "-".into());
        return cells;
    };
    let (difference, p) = match &row.against_baseline {
        _ if row.name == summary.baseline => ("baseline".into(), "-".into()),
        Some(found) => (difference(summary.score, found), found.p_value.map_or("-".into(), p_value)),
        None => ("-".into(), "-".into()),
    };
    cells.extend([score(summary.score, figures), difference, p]);
    if has_rmse(summary) {
        cells.push(figures.test_rmse.map_or("-".into(), amount));
    }
    cells.extend([
        format!("{:.0}", figures.nnz),
        format!("{:.4}", figures.density),
        format!("{:.3}", figures.seconds_per_epoch),
        format!("{:.1}", figures.total_seconds),
        bytes(figures.model_bytes.round() as usize),
    ]);
    cells
}

fn score(score: Score, figures: &RowFigures) -> String {
    let (factor, decimals, unit) = score.look();
    let number = |value: f64| format!("{:.decimals$}", factor * value);
    let error = figures.standard_error.map_or(String::new(), |error| format!(" ± {}", number(error)));
    format!("{}{error}{unit}", number(figures.mean))
}

/// The difference, with a mark if it is significant and as many columns if it is not.
fn difference(score: Score, found: &Difference) -> String {
    let mark = if found.significant { "*" } else { " " };
    let (factor, decimals, _) = score.look();
    format!("{:+.decimals$}{mark}", factor * found.difference)
}

fn p_value(p: f64) -> String {
    if p < 0.0001 { "<0.0001".into() } else { format!("{p:.4}") }
}

/// What to know about the table.
pub fn notes(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    let differences = || summary.rows.iter().filter_map(|row| row.against_baseline.as_ref());
    let tested = differences().filter(|found| found.test.is_some()).count();
    if tested > 0 {
        let several = if tested > 1 { ", not corrected for the number of rows" } else { "" };
        notes.push(format!(
            "± is the standard error over seeds. p is that of a t-test against {}, paired by seed (Welch's where seeds differ); * marks p < 0.05{several}.",
            summary.baseline
        ));
    }
    if summary.has_too_few_seeds() {
        notes.push("Significance cannot be judged with fewer than 3 seeds; add some to sweep.seed.".into());
    }
    if differences().any(|found| found.test.is_some() && found.p_value.is_none()) {
        notes.push("p is - where scores do not vary over seeds.".into());
    }
    let ended = || summary.rows.iter().flat_map(|row| &row.runs);
    let mut shares: Vec<(usize, usize)> = ended()
        .filter_map(|run| match &run.ended {
            RunEnd::Finished(figures) => Some((figures.jobs, figures.threads)),
            _ => None,
        })
        .collect();
    shares.sort_unstable();
    shares.dedup();
    match shares.as_slice() {
        [] => {}
        [(1, threads)] => notes.push(format!("Seconds of training, {threads} threads.")),
        [(jobs, threads)] => notes.push(format!(
            "Seconds of training, {jobs} runs at once with {threads} threads each; --jobs 1 measures them undisturbed."
        )),
        _ => notes.push("Seconds are not comparable: the runs had different numbers of threads or neighbours.".into()),
    }
    for row in &summary.rows {
        for run in &row.runs {
            if let RunEnd::Failed(reason) = &run.ended {
                notes.push(format!("{} seed {} failed: {reason}", row.name, run.seed));
            }
        }
    }
    let missing = ended().filter(|run| matches!(run.ended, RunEnd::Missing)).count();
    if missing > 0 {
        notes.push(format!("{missing} runs are not done yet."));
    }
    notes
}

/// The score against nonzeros: a marker a row, its area by the seconds of an epoch, and the Pareto front.
pub fn chart(summary: &Summary, title: &str) -> Chart {
    let (factor, _, unit) = summary.score.look();
    let unit = if unit.is_empty() { String::new() } else { format!(",{unit}") };
    let done: Vec<(&RowSummary, &RowFigures)> =
        summary.rows.iter().filter_map(|row| Some((row, row.figures.as_ref()?))).collect();
    let places: Vec<(f64, f64)> =
        done.iter().map(|(_, figures)| (figures.nnz, factor * figures.mean)).collect();
    let front = pareto_front(&places, summary.score.better());
    let mut series = vec![Series {
        name: "Pareto front".into(),
        look: Look::Dashes,
        points: front.iter().map(|&at| Point::at(places[at].0, places[at].1)).collect(),
    }];
    // An ordinary marker is a row of ordinary speed.
    let seconds: Vec<f64> = done.iter().map(|(_, figures)| figures.seconds_per_epoch).collect();
    let ordinary = mean(&seconds).max(f64::MIN_POSITIVE);
    for ((row, figures), (x, y)) in done.iter().zip(places) {
        let point = Point {
            x,
            y,
            error: factor * figures.standard_error.unwrap_or(0.0),
            size: 1.5 * figures.seconds_per_epoch / ordinary,
            label: row.label.clone(),
        };
        match series.iter_mut().skip(1).find(|series| series.name == row.group) {
            Some(series) => series.points.push(point),
            None => series.push(Series { name: row.group.clone(), look: Look::Markers, points: vec![point] }),
        }
    }
    let errors = if done.iter().any(|(_, figures)| figures.standard_error.is_some()) {
        "; bars: standard error over seeds"
    } else {
        ""
    };
    Chart {
        title: title.into(),
        note: format!("marker area: seconds per epoch{errors}"),
        x: Axis { label: "nonzeros".into(), scale: Scale::Log },
        y: Axis { label: format!("{}{unit}", summary.score.name()), scale: Scale::Linear },
        series,
    }
}
