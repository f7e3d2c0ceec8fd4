//! The one error type of the library. It is for a world that failed (files, settings, data): each variant names
//! the file, line or key and says what to do. A caller that breaks a contract (shapes) gets a panic instead.

use std::path::{Path, PathBuf};

/// What can go wrong outside the caller's control.
///
/// ```
/// use rarefy::data::Samples;
/// use rarefy::{Error, InputProblem};
///
/// match Samples::dense(&[1.0, 2.0, f32::NAN, 4.0], 2) {
///     Err(Error::Input(InputProblem::NotFinite { row, column, .. })) => assert_eq!((row, column), (1, 0)),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: a file missing, a disk full.
    #[error("{}: {action}", name_of(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done, as in "cannot open".
        action: &'static str,
        /// The system's own reason.
        source: std::io::Error,
    },
    /// A data file that does not hold what it should.
    #[error("{}{}: {problem}", name_of(path), at.as_ref().map(|at| format!(", {at}")).unwrap_or_default())]
    Data {
        /// The file.
        path: PathBuf,
        /// Where in it, as in "line 7, column \"age\"".
        at: Option<String>,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Numbers in memory that cannot be samples.
    #[error(transparent)]
    Input(InputProblem),
    /// A setting with a value that cannot be used.
    #[error("{key}: {problem}")]
    Setting {
        /// The dotted key, as in `sparsity.density`.
        key: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A model or checkpoint that cannot be used.
    #[error("{}: {problem}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A folder for a new run that holds a run already.
    #[error("{}: holds a run already; choose another folder, or resume that run", path.display())]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// A penalty or a constraint has left a layer without a weight. A [`Trainer`](crate::Trainer) makes no error of it: it ends with the
    /// last model that was whole.
    #[error("{key}: has driven every weight of {layer} to zero by step {step}; {cure}")]
    Emptied {
        /// The dotted key of the setting that did it.
        key: String,
        /// The name of the layer's weights.
        layer: String,
        /// The step, counted from 1.
        step: u64,
        /// What to do.
        cure: String,
    },
    /// A rank of several that train together is gone, does not answer, or has other data, settings or weights.
    #[error("rank {rank} ({host}): {problem}")]
    Rank {
        /// The rank, counted from 0.
        rank: usize,
        /// Its machine.
        host: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A rank of several has ended before its time: others may go on without it ([`Run::go_on_with`](crate::train::Run::go_on_with)).
    #[error("{problem}")]
    Lost {
        /// Which one, as far as this rank knows.
        problem: String,
    },
    /// A launcher of ranks and an MPI library of which one is missing or does not fit the other.
    #[error("{problem}")]
    Launch {
        /// What is wrong and what to do.
        problem: String,
    },
    /// Training left the finite numbers.
    #[error("step {step}: {what} is not finite; lower optimizer.learning_rate or set optimizer.clip_norm{}",
        checkpoint.as_ref().map(|path| format!(" (the last good checkpoint is {})", path.display())).unwrap_or_default())]
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// What was not finite, as in "the loss".
        what: String,
        /// The checkpoint that training can go on from.
        checkpoint: Option<PathBuf>,
    },
}

/// What is wrong with samples that were handed over in memory. Rows (samples) and columns (inputs) are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputProblem {
    /// There is no sample, or a sample has no numbers.
    #[error("{samples} samples of {inputs} numbers are nothing to work with")]
    Empty {
        /// Samples.
        samples: usize,
        /// Inputs of a sample.
        inputs: usize,
    },
    /// A flat array that does not divide into rows.
    #[error("{numbers} numbers are not whole rows of {inputs} inputs")]
    NotWholeRows {
        /// Numbers of the array.
        numbers: usize,
        /// Inputs of a sample.
        inputs: usize,
    },
    /// A row that is longer or shorter than the first.
    #[error("row {row} has {found} numbers where row 0 has {expected}")]
    RowLength {
        /// The row.
        row: usize,
        /// Its numbers.
        found: usize,
        /// Those of row 0.
        expected: usize,
    },
    /// NaN or an infinite number.
    #[error("row {row}, column {column}: {value} is not a finite number that 32 bits can hold")]
    NotFinite {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The number.
        value: f64,
    },
    /// A list that should have an entry for each sample (or another number of entries) and has not.
    #[error("{found} {what} for {expected}")]
    Count {
        /// What is listed, as in "weights".
        what: &'static str,
        /// How many are listed.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A class that is not among those that there are.
    #[error("row {row}: the class {label} is out of range, for there are {classes} classes, counted from 0")]
    ClassOutOfRange {
        /// The row.
        row: usize,
        /// The class.
        label: u32,
        /// How many classes there are.
        classes: usize,
    },
    /// A class by a name that is not among those that there are.
    #[error("row {row}: there is no class {class:?} among those named")]
    UnknownClass {
        /// The row.
        row: usize,
        /// The class.
        class: String,
    },
    /// Samples of one class, which leave nothing to tell apart.
    #[error("all samples are of the class {class:?}; give samples of two at least")]
    SingleClass {
        /// The class.
        class: String,
    },
    /// A label of several that is neither 0 nor 1.
    #[error("row {row}, label {column}: {value} is neither 0 nor 1")]
    NotALabel {
        /// The row.
        row: usize,
        /// Which of the labels.
        column: usize,
        /// The number.
        value: f64,
    },
    /// A sample's weight that is negative or not finite.
    #[error("row {row}: the weight {weight} is not a finite number from 0 on")]
    Weight {
        /// The row.
        row: usize,
        /// The weight.
        weight: f32,
    },
    /// Weights that are 0 for all samples.
    #[error("the weights of all samples are 0, which leaves none")]
    NoWeight,
    /// Offsets of sparse rows that do not begin at 0, fall, or do not end at the number of values.
    #[error("the offset of row {row} is {offset}: offsets rise from 0 to the {values} values")]
    Offset {
        /// The row; one more than the last for the end.
        row: usize,
        /// Its offset.
        offset: usize,
        /// How many values there are.
        values: usize,
    },
    /// Columns of a sparse row that do not ascend.
    #[error("row {row}: column {column} comes after a higher one; sort the columns of a row")]
    Unsorted {
        /// The row.
        row: usize,
        /// The column.
        column: u32,
    },
    /// A column that a sparse row has twice.
    #[error("row {row}: column {column} comes twice; add its values up")]
    Twice {
        /// The row.
        row: usize,
        /// The column.
        column: u32,
    },
    /// A column beyond the inputs.
    #[error("row {row}: column {column} is beyond the {inputs} inputs")]
    ColumnOutOfRange {
        /// The row.
        row: usize,
        /// The column.
        column: u32,
        /// Inputs of a sample.
        inputs: usize,
    },
    /// A token beyond the vocabulary.
    #[error("row {row}, step {step}: the token {token} is beyond a vocabulary of {vocabulary}")]
    TokenOutOfRange {
        /// The row.
        row: usize,
        /// The step.
        step: usize,
        /// The token.
        token: u32,
        /// How many tokens there are.
        vocabulary: usize,
    },
    /// A sequence of no steps, or of more than a row has.
    #[error("row {row}: {length} steps of a sequence, where a row has room for 1 to {steps}")]
    SequenceLength {
        /// The row.
        row: usize,
        /// Its steps.
        length: u32,
        /// Steps that a row has room for.
        steps: usize,
    },
    /// Rows of another kind or another number of inputs than what they are for.
    #[error("{found} where {expected} are asked for")]
    Mismatch {
        /// What was given, as in "rows of 63 inputs".
        found: String,
        /// What is asked for.
        expected: String,
    },
}

/// `std::result::Result` with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What a file is called: its path, or what `-` stands for.
fn name_of(path: &Path) -> std::borrow::Cow<'_, str> {
    if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() }
}

impl Error {
    /// An [`Error::Io`] for use in `map_err`.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { path, action, source }
    }

    /// An [`Error::Data`] about the file as a whole.
    pub fn data(path: &Path, problem: impl Into<String>) -> Error {
        Error::Data { path: path.to_path_buf(), at: None, problem: problem.into() }
    }

    /// An [`Error::Data`] about one place in the file.
    pub fn data_at(path: &Path, at: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Data { path: path.to_path_buf(), at: Some(at.into()), problem: problem.into() }
    }

    /// The same error, said to be about a part of the file, as in "sample 3 of the test part".
    pub(crate) fn of_part(self, part: &str) -> Error {
        match self {
            Error::Data { path, at: Some(at), problem } if at.starts_with("sample ") => {
                Error::Data { path, at: Some(format!("{at} of the {part} part")), problem }
            }
            other => other,
        }
    }

    /// An [`Error::Setting`].
    pub fn setting(key: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Setting { key: key.into(), problem: problem.into() }
    }

    /// An [`Error::Rank`].
    pub fn rank(rank: usize, host: &str, problem: impl Into<String>) -> Error {
        Error::Rank { rank, host: host.into(), problem: problem.into() }
    }

    /// An [`Error::Lost`].
    pub fn lost(problem: impl Into<String>) -> Error {
        Error::Lost { problem: problem.into() }
    }

    /// An [`Error::Launch`].
    pub fn launch(problem: impl Into<String>) -> Error {
        Error::Launch { problem: problem.into() }
    }

    /// An [`Error::Model`].
    pub fn model(path: &Path, problem: impl Into<String>) -> Error {
        Error::Model { path: path.to_path_buf(), problem: problem.into() }
    }
}
