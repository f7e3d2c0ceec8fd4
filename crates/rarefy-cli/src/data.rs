//! `rarefy data`: what a file holds, before anything is trained on it.

use anyhow::Result;
use rarefy::data::{ColumnDescription, DataSettings, Description, Task, TaskChoice, describe};

use crate::output::{Output, table};

/// Lines of a list unless all are asked for.
const FEW: usize = 30;

/// What `--task` may be.
pub const TASKS: [&str; 4] = ["auto", "classification", "multi-label", "regression"];

/// Characters of the longest bar.
const BAR: f64 = 30.0;

/// Arguments of `rarefy data`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy data digits
  rarefy data table.csv --label price --task regression
  rarefy data table.tsv --delimiter tab --all
  rarefy data table.csv --json | jq '.columns[] | select(.constant) | .name'

Shows the samples, what would be predicted, how often each class occurs, and what each column holds. \
To train on the data as seen here, give `rarefy train` the same --label, --task and --delimiter.")]
pub struct DataArgs {
    /// digits, fashion-mnist, mnist, or a file or folder (CSV, IDX, NPY, NPZ)
    data: String,
    /// Label column of a CSV file, by name or position from 1; repeat it for several [default: the last]
    #[arg(long)]
    label: Vec<String>,
    /// What to predict
    #[arg(long, default_value = "auto", value_parser = TASKS)]
    task: String,
    /// What separates the cells of a CSV file: a character, or tab [default: found out]
    #[arg(long, value_parser = delimiter)]
    delimiter: Option<char>,
    /// Show all classes and columns
    #[arg(long)]
    all: bool,
}

/// Reads `--delimiter`.
pub fn delimiter(text: &str) -> Result<char, String> {
    match text {
        "tab" | "\\t" => Ok('\t'),
        _ => text.parse().map_err(|_| "give one character, or tab".to_string()),
    }
}

/// Describes.
pub fn run(args: &DataArgs, output: &Output) -> Result<()> {
    let task: TaskChoice = serde_json::from_value(args.task.as_str().into())?;
    let found = describe(&DataSettings {
        path: args.data.clone(),
        label: args.label.clone(),
        task,
        delimiter: args.delimiter,
        ..DataSettings::default()
    })?;
    let most = if args.all { usize::MAX } else { FEW };
    let parts = [totals(&found), classes(&found, most), columns(&found, most)];
    output.show(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"));
    output.json(&found)
}

fn totals(found: &Description) -> String {
    let own_test = match found.test_samples {
        Some(samples) => format!(" and {samples} in a test part of its own"),
        None => String::new(),
    };
    let task = task_text(found.task, found.outputs);
    let constant = match found.constant_columns {
        0 => String::new(),
        1 => "\nnote: 1 column never changes; it teaches nothing".to_string(),
        count => format!("\nnote: {count} columns never change; they teach nothing"),
    };
    format!(
        "{}: {} samples{own_test}\ncolumns  {}, which become {} inputs\ntask     {task}{constant}",
        found.path,
        found.samples,
        found.columns.len(),
        found.inputs
    )
}

/// What is predicted, in words.
pub fn task_text(task: Task, outputs: usize) -> String {
    match task {
        Task::Classification => format!("classification, {outputs} classes"),
        Task::MultiLabel => format!("multi-label, {outputs} labels"),
        Task::Regression if outputs == 1 => "regression, one number".to_string(),
        Task::Regression => format!("regression, {outputs} numbers"),
    }
}

/// How often each class or label occurs, with a bar.
fn classes(found: &Description, most: usize) -> String {
    let longest = found.classes.iter().map(|class| class.samples).max().unwrap_or(0).max(1);
    if found.classes.is_empty() {
        return String::new();
    }
    let width =
        found.classes.iter().take(most).map(|class| class.name.chars().count()).max().unwrap_or(0).max(5);
    let kind = if found.task == Task::MultiLabel { "label" } else { "class" };
    let mut lines = vec![format!("{kind:width$}  {:>8}", "samples")];
    lines.extend(found.classes.iter().take(most).map(|class| {
        let share = 100.0 * class.samples as f64 / found.samples.max(1) as f64;
        let bar = "#".repeat((BAR * class.samples as f64 / longest as f64).round() as usize);
        format!("{:width$}  {:>8}  {share:>5.1} %  {bar}", class.name, class.samples)
    }));
    lines.extend(rest(found.classes.len(), most));
    lines.join("\n")
}

fn columns(found: &Description, most: usize) -> String {
    let lines = table(
        &["column", "kind", "missing", "min", "max", "mean", "note"],
        found.columns.iter().take(most).map(column),
    );
    [Some(lines), rest(found.columns.len(), most)].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn column(column: &ColumnDescription) -> Vec<String> {
    let kind = match column.categories {
        Some(count) => format!("{count} categories"),
        None => "number".to_string(),
    };
    let [min, max, mean] = match column.numbers {
        Some(numbers) => [numbers.min, numbers.max, numbers.mean].map(short),
        None => ["-"; 3].map(String::from),
    };
    let note = if column.constant { "constant" } else { "" };
    vec![column.name.clone(), kind, column.missing.to_string(), min, max, mean, note.to_string()]
}

/// A number in few characters.
fn short(value: f32) -> String {
    let size = value.abs();
    if value == value.trunc() && size < 1e7 {
        format!("{value}")
    } else if (1e-3..1e6).contains(&size) {
        format!("{value:.3}")
    } else {
        format!("{value:.2e}")
    }
}

fn rest(count: usize, most: usize) -> Option<String> {
    (count > most).then(|| format!("... and {} more (--all shows them)", count - most))
}
