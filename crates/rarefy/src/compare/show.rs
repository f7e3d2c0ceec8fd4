//! A comparison for people: the table, what to know about it, and the plot of score against nonzeros.

use crate::report::plot::{Axis, Chart, Look, Point, Scale, Series, pareto_front};
use crate::report::{Table, amount, bytes, mean, table};

use super::score::Score;
use super::summary::{Difference, RowFigures, RowSummary, RunEnd, RunSummary, Summary, Test};

/// Letters of a cell or a header before it goes on in the next line.
const CELL: usize = 20;

/// A column of the table.
struct Column {
    header: String,
    cell: Cell,
}

/// What a row with figures has in a column.
type Cell = Box<dyn Fn(&RowSummary, &RowFigures) -> String>;

/// The table for a terminal. The last columns are the first to be left out.
pub fn table_of(summary: &Summary) -> Table {
    let columns = columns(summary);
    let header: Vec<String> = columns.iter().map(|column| wrapped(&column.header)).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let cells = |row| cells(&columns, row).iter().map(|cell| wrapped(cell)).collect();
    table(&header, summary.rows.iter().map(cells))
}

/// The whole table, what to know about it and the plot as Markdown.
pub fn markdown(summary: &Summary, title: &str) -> String {
    let line = |cells: Vec<String>| {
        let cells: Vec<String> =
            cells.iter().map(|cell| cell.replace('|', "\\|").replace('*', "\\*")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let columns = columns(summary);
    let header = columns.iter().map(|column| column.header.clone()).collect();
    let rule = format!("|---|{}\n", "---:|".repeat(columns.len() - 1));
    let rows: String = summary.rows.iter().map(|row| line(cells(&columns, row))).collect();
    let notes: String =
        notes(summary).iter().map(|note| format!("- {}\n", note.replace('*', "\\*"))).collect();
    format!("# {title}\n\n{}{rule}{rows}\n{notes}\n![{title}](pareto.svg)\n", line(header))
}

/// The columns, those that matter least last.
fn columns(summary: &Summary) -> Vec<Column> {
    let mut columns = Vec::new();
    let mut add = |header: &str, cell: Cell| {
        columns.push(Column { header: header.into(), cell });
    };
    let kind = summary.score;
    add("", Box::new(|row, _| row.name.clone()));
    add(&kind.name(), Box::new(move |_, figures| score(kind, figures)));
    add(
        &format!("to {}", summary.baseline),
        Box::new(move |row, _| match &row.against_baseline {
            _ if row.is_baseline => "baseline".into(),
            Some(found) => difference(kind, found),
            None => "-".into(),
        }),
    );
    let p = |row: &RowSummary| row.against_baseline.as_ref()?.p_value.map(p_value);
    add("p", Box::new(move |row, _| p(row).unwrap_or("-".into())));
    add("nonzeros", Box::new(|_, figures| format!("{:.0}", figures.nnz)));
    if summary.rows.iter().filter_map(|row| row.figures.as_ref()).any(|found| found.test_rmse.is_some()) {
        add("test RMSE", Box::new(|_, figures| figures.test_rmse.map_or("-".into(), amount)));
    }
    add("s/epoch", Box::new(|_, figures| format!("{:.3}", figures.seconds_per_epoch)));
    add("model", Box::new(|_, figures| bytes(figures.model_bytes.round() as usize)));
    add("density", Box::new(|_, figures| format!("{:.4}", figures.density)));
    add("s/run", Box::new(|_, figures| format!("{:.1}", figures.total_seconds)));
    add(
        "runs",
        Box::new(|row, _| match row.failed {
            0 => row.finished.to_string(),
            failed => format!("{}, {failed} failed", row.finished),
        }),
    );
    columns
}

fn cells(columns: &[Column], row: &RowSummary) -> Vec<String> {
    match &row.figures {
        Some(figures) => columns.iter().map(|column| (column.cell)(row, figures)).collect(),
        None => {
            let is_finished = |run: &RunSummary| matches!(run.ended, RunEnd::Finished(_));
            let word = match row.failed {
                _ if row.runs.iter().any(is_finished) => "not defined",
                0 => "not done",
                _ => "failed",
            };
            let mut cells = vec![row.name.clone(), word.into()];
            cells.resize(columns.len(), "-".into());
            cells
        }
    }
}

/// A cell with line breaks after spaces and hyphens, so that no line is longer than `CELL` unless a single word is.
fn wrapped(text: &str) -> String {
    let (mut out, mut length) = (String::new(), 0);
    for word in text.split_inclusive([' ', '-']) {
        if length > 0 && length + word.trim_end().chars().count() > CELL {
            out.truncate(out.trim_end().len());
            out.push('\n');
            length = 0;
        }
        out.push_str(word);
        length += word.chars().count();
    }
    out
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
    if summary.rows.iter().filter_map(|row| row.figures.as_ref()).any(|found| found.standard_error.is_some())
    {
        notes.push(format!("± is the standard error over {}.", repetitions(summary)));
    }
    let tests: Vec<Test> = differences().filter_map(|found| found.test).collect();
    if !tests.is_empty() {
        let which = if summary.pairs_rows {
            format!("the row of {} that agrees in all else", summary.baseline)
        } else {
            summary.baseline.clone()
        };
        let test = if tests.contains(&Test::CorrectedResampled) {
            "paired t-test, corrected for training parts that share samples (Nadeau and Bengio 2003),"
        } else {
            "paired t-test"
        };
        let several = if tests.len() > 1 { ", not corrected for the number of rows" } else { "" };
        notes.push(format!("p is that of a {test} against {which}; * marks p < 0.05{several}."));
    }
    if summary.has_too_few_pairs() {
        notes.push(
            "Significance cannot be judged with fewer than 3 pairs of runs; add seeds to sweep.seed, or compare.folds = 5."
                .into(),
        );
    }
    if differences().any(|found| found.test.is_some() && found.p_value.is_none()) {
        notes.push("p is - where differences do not vary from run to run.".into());
    }
    let planned = |row: &RowSummary| row.runs.len();
    if summary.rows.iter().any(|row| differs(row, planned(row))) {
        notes.push("Runs that only one of two rows has are left out where the two are compared.".into());
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
            "Seconds of training, {jobs} runs at once with {threads} threads each; one job at a time measures them undisturbed."
        )),
        _ => notes.push("Seconds are not comparable: the runs had different numbers of threads or neighbours.".into()),
    }
    for row in &summary.rows {
        for run in &row.runs {
            if let RunEnd::Failed(reason) = &run.ended {
                let fold = run.fold.map_or(String::new(), |fold| format!(" fold {fold}"));
                notes.push(format!("{} seed {}{fold} failed: {reason}", row.name, run.seed));
            }
        }
    }
    let has_no_score = |run: &&RunSummary| matches!(&run.ended, RunEnd::Finished(figures) if summary.score.of(figures).is_none());
    let unscored = ended().filter(has_no_score).count();
    if unscored > 0 {
        let score = summary.score.name();
        notes.push(format!(
            "{unscored} finished runs are left out: {score} is not defined on their test part."
        ));
    }
    let missing = ended().filter(|run| matches!(run.ended, RunEnd::Missing)).count();
    if missing > 0 {
        notes.push(format!("{missing} runs are not done yet."));
    }
    notes
}

/// What the runs of a row differ in, as in `5 folds`.
fn repetitions(summary: &Summary) -> String {
    match (summary.folds, summary.seeds) {
        (None, seeds) => format!("{seeds} seeds"),
        (Some(folds), 1) => format!("{folds} folds"),
        (Some(folds), seeds) => format!("{folds} folds of {seeds} seeds each"),
    }
}

/// Whether a row has figures, but not of all its runs.
fn differs(row: &RowSummary, planned: usize) -> bool {
    row.figures.is_some() && row.finished < planned
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
    let dense = done.iter().zip(&places).find(|((_, figures), _)| figures.density >= 1.0);
    series.extend(dense.map(|(_, &(x, y))| Series {
        name: "as good as dense".into(),
        look: Look::Level,
        points: vec![Point::at(x, y)],
    }));
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
        let of_group = |series: &&mut Series| series.look == Look::Markers && series.name == row.group;
        match series.iter_mut().find(of_group) {
            Some(series) => series.points.push(point),
            None => series.push(Series { name: row.group.clone(), look: Look::Markers, points: vec![point] }),
        }
    }
    let errors = if done.iter().any(|(_, figures)| figures.standard_error.is_some()) {
        "; bars: standard error"
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
