//! Samples from memory.

mod lent;
mod tables;
mod zeros;

use std::path::Path;

use crate::data::csr::Csr;
use crate::data::dataset::Task;
use crate::data::lent::Lent;
use crate::data::raw::{Cells, Labels, Raw, Texts};
use crate::data::reading::{Kept, MEMORY, MemoryReading, Reading};
use crate::data::settings::TaskChoice;
use crate::data::span::{Shifting, Span, reader};
use crate::data::table::Table;
use crate::data::wide::{WideCells, WideRows};
use crate::tiles::Shape;
use crate::{Error, InputProblem, Result};
use zeros::{nonzeros, whole};

/// Samples in memory as they are: numbers, what is to be predicted, weights and names. [`from_memory`](super::from_memory)
/// splits and scales them to train on, and a [`Model`](crate::train::Model) predicts them.
///
/// Rows are samples, columns inputs, both counted from 0 in errors. Any type of numbers does that fits in an `f64`.
///
/// ```
/// use rarefy::data::Samples;
///
/// let flowers = Samples::dense(&[5.1, 3.5, 6.2, 2.9, 5.0, 3.4, 6.7, 3.1], 2)?
///     .with_named_classes(&["setosa", "virginica", "setosa", "virginica"])?
///     .with_weights(vec![1.0, 1.0, 0.5, 2.0])?
///     .with_feature_names(&["length", "width"])?;
/// assert_eq!((flowers.len(), flowers.inputs()), (4, 2));
/// # Ok::<(), rarefy::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    pub(in crate::data) rows: Rows,
    pub(in crate::data) shape: Shape,
    /// Real steps of each sample's sequence; empty if all are.
    pub(in crate::data) lengths: Vec<u32>,
    pub(in crate::data) targets: MemoryTargets,
    pub(in crate::data) weights: Option<Vec<f32>>,
    pub(in crate::data) groups: Option<Vec<u32>>,
    pub(in crate::data) feature_names: Vec<String>,
    pub(in crate::data) target_names: Vec<String>,
}

/// The numbers of all samples.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::data) enum Rows {
    /// `samples x inputs`, row-major.
    Narrow(Vec<f32>),
    /// The same in a caller's memory.
    Lent(Lent),
    /// The same, where `f32` would round some.
    Wide(WideRows),
    Sparse(Csr),
    /// `samples x steps` ids below `vocabulary`.
    Tokens {
        ids: Vec<u32>,
        vocabulary: usize,
    },
    /// Rows of a table, or texts, which become numbers as those of files do.
    #[cfg_attr(not(feature = "arrow"), expect(dead_code, reason = "there are no tables then"))]
    Table(Table),
    Texts(Texts),
}

/// What is to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::data) enum MemoryTargets {
    None,
    /// A class per sample, counted from 0.
    Classes(Vec<u32>),
    /// A class per sample as its position in `names`.
    NamedClasses {
        codes: Vec<u32>,
        names: Vec<String>,
    },
    /// `samples x outputs`, row-major.
    Numbers {
        values: Vec<f64>,
        outputs: usize,
    },
    /// `samples x labels`, row-major, each 0 or 1.
    Labels {
        values: Vec<f64>,
        labels: usize,
    },
}

impl Samples {
    /// Samples of `inputs` numbers each, row after row.
    ///
    /// # Errors
    /// [`Error::Input`]: no samples, an array that is not whole rows, or a number that is not finite (as an `f32` too).
    pub fn dense<T: Copy + Into<f64>>(numbers: &[T], inputs: usize) -> Result<Samples> {
        let wide = || numbers.iter().map(|&number| number.into());
        refuse_unfit(wide(), inputs)?;
        if let Some(numbers) = exact(wide()) {
            return Ok(Samples::new(Rows::Narrow(numbers), inputs));
        }
        let (rows, numbers) = (numbers.len() / inputs, wide().collect::<Vec<f64>>());
        Samples::lent_wide(rows, inputs, move |row, out| {
            out.copy_from_slice(&numbers[row * inputs..][..inputs]);
        })
    }

    /// Samples that are a list of numbers each.
    ///
    /// # Errors
    /// As for [`Samples::dense`], and lists of different length.
    pub fn rows<T: Copy + Into<f64>>(rows: &[impl AsRef<[T]>]) -> Result<Samples> {
        let inputs = rows.first().map_or(0, |row| row.as_ref().len());
        if let Some(row) = rows.iter().position(|row| row.as_ref().len() != inputs) {
            let found = rows[row].as_ref().len();
            return input(InputProblem::RowLength { row, found, expected: inputs });
        }
        let numbers: Vec<T> = rows.iter().flat_map(|row| row.as_ref()).copied().collect();
        Samples::dense(&numbers, inputs)
    }

    /// Samples of which only the numbers other than 0 are given, as compressed sparse rows: row `r` has those from
    /// `offsets[r]` to `offsets[r + 1]`, each with its column. SciPy calls these `indptr`, `indices` and `data`.
    ///
    /// # Errors
    /// [`Error::Input`]: no samples, offsets that fall or do not end at the number of values, columns that are out of range,
    /// unsorted or twice in a row, or a number that is not finite.
    ///
    /// # Example
    /// ```
    /// use rarefy::data::Samples;
    ///
    /// // [ . 2 . 1 ]
    /// // [ 5 . . . ]
    /// let samples = Samples::csr(4, vec![0, 2, 3], vec![1, 3, 0], vec![2.0, 1.0, 5.0])?;
    /// assert_eq!(samples.len(), 2);
    /// # Ok::<(), rarefy::Error>(())
    /// ```
    pub fn csr(inputs: usize, offsets: Vec<usize>, columns: Vec<u32>, values: Vec<f32>) -> Result<Samples> {
        refuse_empty(offsets.len().saturating_sub(1), inputs)?;
        let rows = Csr::new(inputs, offsets, columns, values).map_err(Error::Input)?;
        Ok(Samples::new(Rows::Sparse(rows), inputs))
    }

    /// Samples of `steps` tokens each, row after row, for networks that begin with an embedding. Tokens are below
    /// `vocabulary`; 0 is padding, which [`Samples::with_lengths`] tells from what is there.
    ///
    /// # Errors
    /// [`Error::Input`]: no samples, an array that is not whole rows, or a token beyond the vocabulary.
    pub fn tokens(ids: &[u32], steps: usize, vocabulary: usize) -> Result<Samples> {
        refuse_empty(ids.len().checked_div(steps).unwrap_or(0), steps)?;
        if !ids.len().is_multiple_of(steps) {
            return input(InputProblem::NotWholeRows { numbers: ids.len(), inputs: steps });
        }
        if let Some(at) = ids.iter().position(|&id| id as usize >= vocabulary) {
            let (row, step, token) = (at / steps, at % steps, ids[at]);
            return input(InputProblem::TokenOutOfRange { row, step, token, vocabulary });
        }
        let rows = Rows::Tokens { ids: ids.to_vec(), vocabulary };
        Ok(Samples { shape: Shape::sequence(steps, 1), ..Samples::new(rows, steps) })
    }

    pub(in crate::data) fn new(rows: Rows, inputs: usize) -> Samples {
        Samples {
            rows,
            shape: Shape::flat(inputs),
            lengths: Vec::new(),
            targets: MemoryTargets::None,
            weights: None,
            groups: None,
            feature_names: Vec::new(),
            target_names: Vec::new(),
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Narrow(numbers) => numbers.len() / self.inputs(),
            Rows::Lent(lent) => lent.numbers().len() / self.inputs(),
            Rows::Wide(rows) => rows.rows,
            Rows::Sparse(rows) => rows.rows(),
            Rows::Tokens { ids, .. } => ids.len() / self.inputs(),
            Rows::Table(table) => table.rows(),
            Rows::Texts(texts) => texts.len(),
        }
    }

    /// Whether there is no sample; there is always one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of a sample, or columns of a table.
    pub fn inputs(&self) -> usize {
        self.shape.features()
    }

    /// Lays the numbers of a sample out as an image or a sequence, position by position.
    ///
    /// # Errors
    /// [`Error::Input`]: a shape of another number of inputs; any but a plain one for sparse rows and tokens.
    pub fn with_shape(self, shape: Shape) -> Result<Samples> {
        let is_dense = matches!(self.rows, Rows::Narrow(_) | Rows::Lent(_) | Rows::Wide(_));
        if shape.features() != self.inputs() || (shape != self.shape && !is_dense) {
            let found = if is_dense { "" } else { "sparse rows or tokens " };
            let found = format!("{found}of {} inputs", self.inputs());
            return input(InputProblem::Mismatch { found, expected: format!("samples of {shape}") });
        }
        Ok(Samples { shape, ..self })
    }

    /// Says how many steps of each sample's sequence are there, the others being filled up.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of lengths than samples, or one that is not from 1 to the steps of a row.
    pub fn with_lengths(self, lengths: Vec<u32>) -> Result<Samples> {
        self.expect("lengths", lengths.len(), self.len())?;
        let steps = self.shape.width;
        let is_wrong = |&length: &u32| length == 0 || length as usize > steps;
        match lengths.iter().position(is_wrong) {
            Some(row) => input(InputProblem::SequenceLength { row, length: lengths[row], steps }),
            None => Ok(Samples { lengths, ..self }),
        }
    }

    /// Classes to predict, counted from 0. There are as many as the highest says, or as [`Samples::with_target_names`]
    /// names.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of classes than samples; a class as high as there are samples, which is no count.
    pub fn with_classes(self, classes: &[u32]) -> Result<Samples> {
        self.expect("classes", classes.len(), self.len())?;
        let most = self.target_names.len().max(self.len());
        if let Some(row) = classes.iter().position(|&label| label as usize >= most) {
            return input(InputProblem::ClassOutOfRange { row, label: classes[row], classes: most });
        }
        self.with_targets(MemoryTargets::Classes(classes.to_vec()))
    }

    /// Classes to predict, by name. They are numbered in the order of the alphabet, or in that of
    /// [`Samples::with_target_names`].
    ///
    /// # Errors
    /// [`Error::Input`]: another number of names than samples.
    pub fn with_named_classes(self, classes: &[impl AsRef<str>]) -> Result<Samples> {
        self.expect("classes", classes.len(), self.len())?;
        let mut names: Vec<String> = classes.iter().map(|class| class.as_ref().to_string()).collect();
        names.sort_unstable();
        names.dedup();
        let code = |class: &str| names.partition_point(|name| name.as_str() < class) as u32;
        let codes = classes.iter().map(|class| code(class.as_ref())).collect();
        self.with_targets(MemoryTargets::NamedClasses { codes, names })
    }

    /// Numbers to predict, `outputs` for each sample, row after row.
    ///
    /// # Errors
    /// [`Error::Input`]: no outputs, another number of rows than samples, or a number that is not finite.
    pub fn with_numbers<T: Copy + Into<f64>>(self, numbers: &[T], outputs: usize) -> Result<Samples> {
        refuse_empty(self.len(), outputs)?;
        self.expect("numbers to predict", numbers.len(), self.len().saturating_mul(outputs))?;
        let values: Vec<f64> = numbers.iter().map(|&number| number.into()).collect();
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (row, column) = (at / outputs, at % outputs);
            return input(InputProblem::NotFinite { row, column, value: values[at] });
        }
        self.with_targets(MemoryTargets::Numbers { values, outputs })
    }

    /// Labels to predict, any number of which a sample may have: for each sample `labels` times 0 or 1, row after row.
    ///
    /// # Errors
    /// [`Error::Input`]: no labels, another number of rows than samples, or a number that is neither 0 nor 1.
    pub fn with_labels<T: Copy + Into<f64>>(self, values: &[T], labels: usize) -> Result<Samples> {
        refuse_empty(self.len(), labels)?;
        self.expect("labels", values.len(), self.len().saturating_mul(labels))?;
        let values: Vec<f64> = values.iter().map(|&value| value.into()).collect();
        if let Some(at) = values.iter().position(|&value| value != 0.0 && value != 1.0) {
            let (row, column) = (at / labels, at % labels);
            return input(InputProblem::NotALabel { row, column, value: values[at] });
        }
        self.with_targets(MemoryTargets::Labels { values, labels })
    }

    /// How much each sample counts in losses, gradients and metrics: 2 as if it stood twice, 0 as if it were not there.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of weights than samples, one that is negative or not finite, or all 0.
    pub fn with_weights(self, weights: Vec<f32>) -> Result<Samples> {
        self.expect("weights", weights.len(), self.len())?;
        if let Some(row) = weights.iter().position(|&weight| !(weight >= 0.0 && weight.is_finite())) {
            return input(InputProblem::Weight { row, weight: weights[row] });
        }
        if weights.iter().all(|&weight| weight == 0.0) {
            return input(InputProblem::NoWeight);
        }
        Ok(Samples { weights: Some(weights), ..self })
    }

    /// Which group each sample belongs to, such as a customer, in any numbers: no split cuts a group.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of groups than samples.
    pub fn with_groups(self, groups: &[u32]) -> Result<Samples> {
        self.expect("groups", groups.len(), self.len())?;
        Ok(Samples { groups: Some(groups.to_vec()), ..self })
    }

    /// A name for each input.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of names than inputs; a table or texts, whose features have names of their own.
    pub fn with_feature_names(self, names: &[impl AsRef<str>]) -> Result<Samples> {
        if matches!(self.rows, Rows::Table(_) | Rows::Texts(_)) {
            let expected = "a table or texts, whose features have names of their own".into();
            return input(InputProblem::Mismatch { found: "names of features".into(), expected });
        }
        self.expect("names", names.len(), self.inputs())?;
        Ok(Samples { feature_names: strings(names), ..self })
    }

    /// A name for each class (in their order, also for such as no sample is of), each label or each number to predict.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of names than labels or numbers; a class without a name.
    pub fn with_target_names(mut self, names: &[impl AsRef<str>]) -> Result<Samples> {
        let targets = std::mem::replace(&mut self.targets, MemoryTargets::None);
        Samples { target_names: strings(names), ..self }.with_targets(targets)
    }

    /// The samples with these targets, which must fit the names.
    fn with_targets(self, targets: MemoryTargets) -> Result<Samples> {
        let names = self.target_names.len();
        match &targets {
            _ if names == 0 => {}
            MemoryTargets::None => {}
            MemoryTargets::NamedClasses { codes, names } => {
                let is_known = |&code: &u32| self.target_names.contains(&names[code as usize]);
                if let Some(row) = codes.iter().position(|code| !is_known(code)) {
                    return input(InputProblem::UnknownClass {
                        row,
                        class: names[codes[row] as usize].clone(),
                    });
                }
            }
            MemoryTargets::Classes(classes) => {
                if let Some(row) = classes.iter().position(|&label| label as usize >= names) {
                    let (label, classes) = (classes[row], names);
                    return input(InputProblem::ClassOutOfRange { row, label, classes });
                }
            }
            MemoryTargets::Numbers { outputs, .. } => self.expect("names", names, *outputs)?,
            MemoryTargets::Labels { labels, .. } => self.expect("names", names, *labels)?,
        }
        Ok(Samples { targets, ..self })
    }

    fn expect(&self, what: &'static str, found: usize, expected: usize) -> Result<()> {
        if found == expected { Ok(()) } else { input(InputProblem::Count { what, found, expected }) }
    }
}

/// What reading a file makes of it, made of memory.
impl Samples {
    /// Refuses samples of one class, of which a model has nothing to learn; one that knows others may be shown them.
    pub(in crate::data) fn check_classes(&self) -> Result<()> {
        if let (Some(Labels::Text { codes, vocabulary }), _) = self.labels()
            && codes.iter().all(|&code| code == codes[0])
        {
            return input(InputProblem::SingleClass { class: vocabulary[codes[0] as usize].clone() });
        }
        Ok(())
    }

    /// The task that there is to learn, which is the one chosen if any is.
    pub(in crate::data) fn task(&self, chosen: TaskChoice) -> Result<TaskChoice> {
        let (task, what) = match self.own_task() {
            Some(Task::Classification) => (TaskChoice::Classification, "classes"),
            Some(Task::Regression) => (TaskChoice::Regression, "numbers"),
            Some(Task::MultiLabel) => (TaskChoice::MultiLabel, "labels"),
            _ => {
                let found = "samples with nothing to predict".into();
                return input(InputProblem::Mismatch {
                    found,
                    expected: "classes, numbers or labels".into(),
                });
            }
        };
        if chosen != TaskChoice::Auto && chosen != task {
            return Err(Error::setting("data.task", format!("the samples have {what}; leave it out")));
        }
        Ok(task)
    }

    /// The task of what is to be predicted, if there is anything.
    fn own_task(&self) -> Option<Task> {
        match self.targets {
            MemoryTargets::None => None,
            MemoryTargets::Classes(_) | MemoryTargets::NamedClasses { .. } => Some(Task::Classification),
            MemoryTargets::Numbers { .. } => Some(Task::Regression),
            MemoryTargets::Labels { .. } => Some(Task::MultiLabel),
        }
    }

    /// How these samples are taken, and others for a model that is trained on them. Sparse rows are kept whole where little
    /// of them is 0: whole ones are then computed faster.
    pub(in crate::data) fn reading(&self) -> MemoryReading {
        let kept = match &self.rows {
            Rows::Sparse(rows) if rows.density() < SPARSE => Kept::Nonzeros,
            Rows::Tokens { vocabulary, .. } => Kept::Tokens(*vocabulary),
            _ => Kept::All,
        };
        let targets = match self.own_task() {
            Some(Task::Classification) => Vec::new(),
            _ => self.target_names.clone(),
        };
        MemoryReading { kept, features: self.feature_names.clone(), targets, shifts: Vec::new() }
    }

    /// The samples with these names for their classes, those of the training part; none of other targets.
    pub(in crate::data) fn named(self, names: &[String]) -> Result<Samples> {
        match self.targets {
            MemoryTargets::Classes(_) if !self.target_names.is_empty() => Ok(self),
            _ if names.is_empty() => Ok(self),
            _ => self.with_target_names(names),
        }
    }

    /// A copy of the rows alone.
    pub(in crate::data) fn without_targets(&self) -> Samples {
        let (rows, lengths) = (self.rows.clone(), self.lengths.clone());
        Samples { shape: self.shape, lengths, ..Samples::new(rows, self.inputs()) }
    }

    /// The samples as a source, their rows kept as `reading` says and shifted as `shifting` says.
    pub(in crate::data) fn into_raw(self, reading: &MemoryReading, shifting: &Shifting) -> Result<Raw> {
        let (labels, classes) = self.labels();
        let Samples { rows, shape, lengths, weights, groups, .. } = self;
        let inputs = shape.features();
        let (mut shifts, mut close) = (Vec::new(), Vec::new());
        let rows = match rows {
            // Who changes them needs a copy.
            Rows::Lent(lent) if !lengths.is_empty() || !shifting.shifts(&[]).is_empty() => {
                Rows::Narrow(lent.numbers().to_vec())
            }
            rows => rows,
        };
        let sparse = |numbers: &[f32]| Cells::Sparse(nonzeros(numbers.chunks_exact(inputs), inputs));
        let mut cells = match (rows, reading.kept) {
            (Rows::Lent(lent), Kept::All) => Cells::Lent(lent),
            (Rows::Lent(lent), Kept::Nonzeros) => sparse(lent.numbers()),
            (Rows::Sparse(rows), Kept::Nonzeros) => Cells::Sparse(rows),
            (Rows::Narrow(numbers), Kept::Nonzeros) => sparse(&numbers),
            (Rows::Wide(rows), Kept::Nonzeros) => sparse(&WideCells { rows, shifts: Vec::new() }.to_narrow()),
            (Rows::Sparse(rows), Kept::All) => Cells::Numbers(whole(&rows)),
            (Rows::Narrow(numbers), Kept::All) => {
                // What was shifted in training is shifted here.
                shifts = shifting.shifts(&[]);
                let mut read = reader(&shifts, inputs);
                Cells::Numbers(if shifts.is_empty() {
                    numbers
                } else {
                    numbers.into_iter().map(|number| read(number.into())).collect()
                })
            }
            (Rows::Wide(rows), Kept::All) => {
                let spans = rows.spans();
                shifts = shifting.shifts(&spans);
                if !spans.iter().all(Span::is_exact) {
                    close = (0..).zip(&spans).filter_map(|(at, span)| span.close(at)).collect();
                }
                let cells = WideCells { rows, shifts: shifts.clone() };
                // Who changes them needs a copy.
                if lengths.is_empty() { Cells::Wide(cells) } else { Cells::Numbers(cells.to_narrow()) }
            }
            (Rows::Tokens { ids, vocabulary }, Kept::Tokens(most)) if vocabulary <= most => {
                Cells::Tokens { ids, vocabulary: most }
            }
            (rows, kept) => return input(mismatch(&rows, kept)),
        };
        if let Cells::Numbers(numbers) = &mut cells {
            // Steps that fill a sample up count for no mean.
            for (sample, &length) in numbers.chunks_exact_mut(inputs).zip(&lengths) {
                sample[length as usize * shape.channels..].fill(f32::NAN);
            }
        }
        let reading = Reading::Memory(MemoryReading { shifts, ..reading.clone() });
        let raw = Raw::new(Path::new(MEMORY), reading, cells, shape, labels);
        Ok(Raw { close, classes, weights, groups, lengths, ..raw })
    }

    /// The targets as labels, and the classes in their order.
    pub(in crate::data) fn labels(&self) -> (Option<Labels>, Vec<String>) {
        let given = &self.target_names;
        match &self.targets {
            MemoryTargets::None => (None, Vec::new()),
            MemoryTargets::Numbers { values, outputs: columns }
            | MemoryTargets::Labels { values, labels: columns } => {
                (Some(Labels::Numbers { values: values.clone(), outputs: *columns }), Vec::new())
            }
            MemoryTargets::Classes(codes) => {
                let all = 0..=codes.iter().max().copied().unwrap_or(0);
                let names =
                    if given.is_empty() { all.map(|code| code.to_string()).collect() } else { given.clone() };
                (Some(Labels::Text { codes: codes.clone(), vocabulary: names.clone() }), names)
            }
            MemoryTargets::NamedClasses { codes, names } => {
                let labels = Labels::Text { codes: codes.clone(), vocabulary: names.clone() };
                (Some(labels), if given.is_empty() { names.clone() } else { given.clone() })
            }
        }
    }
}

/// Of rows whose density is below this the nonzeros alone are kept.
const SPARSE: f64 = 1.0 / 8.0;

fn strings(names: &[impl AsRef<str>]) -> Vec<String> {
    names.iter().map(|name| name.as_ref().to_string()).collect()
}

/// Refuses numbers that are not whole rows, and such as are not finite, as an `f32` too.
fn refuse_unfit(numbers: impl ExactSizeIterator<Item = f64>, inputs: usize) -> Result<()> {
    let count = numbers.len();
    refuse_empty(count.checked_div(inputs).unwrap_or(0), inputs)?;
    if !count.is_multiple_of(inputs) {
        return input(InputProblem::NotWholeRows { numbers: count, inputs });
    }
    match endless(numbers) {
        Some((at, value)) => input(InputProblem::NotFinite { row: at / inputs, column: at % inputs, value }),
        None => Ok(()),
    }
}

/// The first number that is not finite, as an `f32` too, and its place.
fn endless(numbers: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    numbers.enumerate().find(|(_, value)| !(*value as f32).is_finite())
}

/// The numbers as `f32`, if it rounds none.
fn exact(numbers: impl Iterator<Item = f64> + Clone) -> Option<Vec<f32>> {
    let is_exact = numbers.clone().all(|number| f64::from(number as f32) == number);
    is_exact.then(|| numbers.map(|number| number as f32).collect())
}

fn refuse_empty(samples: usize, inputs: usize) -> Result<()> {
    if samples == 0 || inputs == 0 { input(InputProblem::Empty { samples, inputs }) } else { Ok(()) }
}

/// That rows are not what a reading takes.
fn mismatch(rows: &Rows, kept: Kept) -> InputProblem {
    let found = match rows {
        Rows::Tokens { vocabulary, .. } => format!("tokens of a vocabulary of {vocabulary}"),
        Rows::Table(_) => "a table".into(),
        Rows::Texts(_) => "texts".into(),
        _ => "rows of numbers".into(),
    };
    let expected = match kept {
        Kept::Tokens(most) => format!("tokens of a vocabulary of {most}"),
        _ => "rows of numbers".into(),
    };
    InputProblem::Mismatch { found, expected }
}

fn input<T>(problem: InputProblem) -> Result<T> {
    Err(Error::Input(problem))
}
