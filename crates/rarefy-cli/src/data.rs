//! `rarefy data`: what a file holds, before anything is trained on it.

use anyhow::Result;
use rarefy::data::{
    ColumnDescription, DataSettings, Decimal, Description, Dialect, LabelColumn, SkippedFile, Task, describe,
};

use crate::arguments::{ReadArgs, set};
use crate::output::Output;
use rarefy::names::shell_word;
use rarefy::report::table;
use rarefy::train::SettingsBuilder;

/// Lines of a list unless all are asked for.
const FEW: usize = 30;

/// Characters of the longest bar.
const BAR: f64 = 30.0;

/// Arguments of `rarefy data`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy data digits
  rarefy data table.csv --label price --task regression
  rarefy data table.tsv --delimiter tab --all
  rarefy data export.csv --set data.decimal=, --ignore id
  rarefy data photos --set data.image_size=32 --skip-bad
  rarefy data news.tsv --text body --label topic
  rarefy data speeches.txt --task language-model
  rarefy data table.csv --json | jq '.columns[] | select(.constant) | .name'

Shows the samples, what would be predicted, how often each class occurs, and what each column holds. \
The last line is the command that trains on the data as seen here.

Images (PNG, JPEG), recordings (WAV) and texts (TXT) are a folder with a folder of files for each class, perhaps below train, val and test, or a CSV list of files with the columns path, label and perhaps split (train, val or test). Texts \
are also JSON lines with the keys text and label, or a CSV file with --text. A language model reads a text file or a folder of TXT \
files. Sparse features are a libsvm file or an NPZ file of SciPy.")]
pub struct DataArgs {
    #[arg(help = rarefy::data::what_can_be_read())]
    data: String,
    /// One setting, as in data.image_size=32; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    read: ReadArgs,
    /// Show all classes and columns
    #[arg(long)]
    all: bool,
}

/// Describes.
pub fn run(args: &DataArgs, output: &Output) -> Result<()> {
    let mut config = SettingsBuilder::default();
    for assignment in &args.set {
        set(&mut config, assignment)?;
    }
    config.flag("data.path", Some(args.data.clone()));
    args.read.lay_over(&mut config);
    let settings = config.settings()?.data;
    let found = describe(&settings)?;
    let most = if args.all { usize::MAX } else { FEW };
    let width = output.width();
    let parts = [totals(&found, &settings), classes(&found, most), columns(&found, most, width)];
    output.show(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"));
    output.say(&format!("\nnext     {}", training_command(args, found.task)));
    output.json(&found)
}

/// Characters of a line of a command.
const COMMAND_LINE: usize = 70;

/// What trains on the data as it was read here, a long command on several lines that a shell takes as one.
fn training_command(args: &DataArgs, task: Task) -> String {
    let assignments = args.set.iter().flat_map(|assignment| ["--set".to_string(), shell_word(assignment)]);
    let words = ["rarefy", "train"].map(String::from).into_iter().chain([shell_word(&args.data)]);
    let (mut command, mut line) = (String::new(), 0);
    // The usual network reads no tokens.
    let network: &[&str] = if task == Task::LanguageModel { &["--network", "char-transformer"] } else { &[] };
    let network = network.iter().map(|word| word.to_string());
    for word in words.chain(args.read.words()).chain(network).chain(assignments) {
        let length = word.chars().count() + 1;
        if line > 0 && line + length > COMMAND_LINE {
            command += "\\\n           ";
            line = 0;
        }
        line += length;
        command += &word;
        command.push(' ');
    }
    command.trim_end().to_string()
}

fn totals(found: &Description, settings: &DataSettings) -> String {
    let parts = [("validation", found.validation_samples), ("test", found.test_samples)];
    let own_parts: String = parts
        .into_iter()
        .filter_map(|(name, samples)| {
            samples.map(|samples| format!(", {samples} in a {name} part of its own"))
        })
        .collect();
    let task = task_text(found.task, found.outputs);
    let (one, many) = if found.columns.is_empty() { ("input", "inputs") } else { ("column", "columns") };
    let constant = match found.constant_columns {
        0 => String::new(),
        1 => format!("\nnote: 1 {one} never changes, as it is read; it teaches nothing"),
        count => format!("\nnote: {count} {many} never change, as they are read; they teach nothing"),
    };
    let inputs = match found.columns.len() {
        0 => format!("inputs   {} in {}", found.inputs, found.shape),
        count => format!("columns  {count}, which become {} inputs", found.inputs),
    };
    let nonzeros = match found.nonzeros {
        Some(nonzeros) => {
            let each = nonzeros as f64 / found.samples.max(1) as f64;
            format!(", {each:.1} of them not zero in a sample")
        }
        None => String::new(),
    };
    let text = match &found.text {
        Some(counts) => format!("\ntext     {counts}"),
        None => String::new(),
    };
    let table = match &found.dialect {
        Some(dialect) => format!("\n{}", table_text(dialect, &found.labels, settings)),
        None => String::new(),
    };
    let notes: String = found.notes.iter().map(|note| format!("\nnote: {note}")).collect();
    let skipped = match &found.skipped[..] {
        [] => String::new(),
        skipped => format!("\n{}", skipped_text(skipped)),
    };
    format!(
        "{}: {} samples{own_parts}\n{inputs}{nonzeros}{text}{table}\ntask     {task}{constant}{notes}{skipped}",
        found.path, found.samples
    )
}

/// How a table is read: what was chosen for the user, and the setting that chooses otherwise.
pub fn table_text(dialect: &Dialect, labels: &[LabelColumn], settings: &DataSettings) -> String {
    let names = labels.iter().map(|label| label.name.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match labels {
        [label] if settings.label.is_empty() && label.position + 1 == dialect.columns => {
            " (the last column; --label chooses another)"
        }
        [label] if settings.label.is_empty() && dialect.header && label.is_named_so() => {
            " (by its name; --label chooses another)"
        }
        [_] if settings.label.is_empty() => " (the last that may be one; --label chooses another)",
        _ => "",
    };
    if dialect.typed {
        return format!("label    {names}{chosen}\nlayout   columns with names and types");
    }
    let header = if dialect.header { "line 1 names the columns" } else { "line 1 is a sample" };
    let decimal = match dialect.decimal {
        Decimal::Comma => "decimal comma",
        Decimal::Auto | Decimal::Point => "decimal point",
    };
    let quotes = if dialect.quote { "" } else { ", quotes are plain characters" };
    let delimiter = dialect.delimiter;
    format!(
        "label    {names}{chosen}\nlayout   {header}, {delimiter:?} between cells, {decimal}{quotes}\n         (data.header, data.delimiter, data.decimal, data.quote)"
    )
}

/// The files and texts that were left out, the first few by name.
pub fn skipped_text(skipped: &[SkippedFile]) -> String {
    const NAMED: usize = 5;
    let samples = if skipped.len() == 1 { "sample" } else { "samples" };
    let mut lines = vec![format!("note: left out {} {samples} that cannot be read", skipped.len())];
    lines.extend(skipped.iter().take(NAMED).map(|file| format!("  {}", file.problem)));
    if skipped.len() > NAMED {
        lines.push(format!("  ... and {} more", skipped.len() - NAMED));
    }
    lines.join("\n")
}

/// What is predicted, in words.
pub fn task_text(task: Task, outputs: usize) -> String {
    match task {
        Task::Classification => format!("classification, {outputs} classes"),
        Task::MultiLabel => format!("multi-label, {outputs} labels"),
        Task::Regression if outputs == 1 => "regression, one number".to_string(),
        Task::Regression => format!("regression, {outputs} numbers"),
        Task::Transcription => format!("transcription, {} units and the blank", outputs - 1),
        Task::LanguageModel => format!("language model, one of {outputs} tokens at each step"),
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
    let (kind, counted, all) = match found.task {
        Task::MultiLabel => ("label", "samples", found.samples),
        // A unit may be in a recording several times.
        Task::Transcription => {
            ("unit", "times", found.classes.iter().map(|class| class.samples).sum::<usize>())
        }
        _ => ("class", "samples", found.samples),
    };
    let mut lines = vec![format!("{kind:width$}  {counted:>8}")];
    lines.extend(found.classes.iter().take(most).map(|class| {
        let share = 100.0 * class.samples as f64 / all.max(1) as f64;
        let bar = "#".repeat((BAR * class.samples as f64 / longest as f64).round() as usize);
        format!("{:width$}  {:>8}  {share:>5.1} %  {bar}", class.name, class.samples)
    }));
    lines.extend(rest(found.classes.len(), most));
    lines.join("\n")
}

fn columns(found: &Description, most: usize, width: usize) -> String {
    if found.columns.is_empty() {
        return String::new();
    }
    let lines = table(
        &["column", "kind", "missing", "min", "max", "mean", "note"],
        found.columns.iter().take(most).map(column),
    );
    let lines = lines.spare(&["mean", "min", "max", "missing"]).text(width);
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
fn short(value: f64) -> String {
    let size = value.abs();
    if value == value.trunc() && size < 1e15 {
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
