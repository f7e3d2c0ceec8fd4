//! The whole flow: settings, reading, splitting, preparing.

use super::augment::Augmentation;
use super::dataset::{Dataset, Features, Task};
use super::language;
use super::memory::Samples;
use super::parts::Parts;
use super::prepare::split::{self, Apart, Split, Whole};
use super::prepare::{Loaded, Preparation, UnknownCategories, classes};
use super::raw::{Places, Raw, Source};
use super::read;
use super::read::texts::without_empty;
use super::reading::{Broken, Keep, Reading, Wanted};
use super::settings::{DataSettings, Fold, TaskChoice};
use super::splits::Splits;
use super::text::{TextCounts, token_kind};
use crate::machine::free_memory_bytes;
use crate::{Error, Result};

/// Reads, splits and scales what the settings name. The same seed gives the same parts.
///
/// # Errors
/// Settings that contradict each other; files that are missing, damaged, empty or ragged; labels that do not fit the
/// task. Each error names the key, or the file and the place in it, and says what to do.
///
/// # Example
/// ```
/// let splits = rarefy::data::load(&rarefy::data::DataSettings::default(), 1)?;
/// assert_eq!((splits.train.inputs(), splits.train.targets.outputs()), (64, 10));
/// # Ok::<(), rarefy::Error>(())
/// ```
pub fn load(settings: &DataSettings, seed: u64) -> Result<Splits> {
    load_within(settings, seed, free_memory_bytes().unwrap_or(u64::MAX))
}

/// As [`load`], if the samples of a file take no more bytes than there is room for.
pub(crate) fn load_within(settings: &DataSettings, seed: u64, room: u64) -> Result<Splits> {
    settings.check()?;
    if settings.task == TaskChoice::LanguageModel {
        return language::load(settings);
    }
    divide(&read::read_within(settings, room)?, settings, seed, None, None)
}

/// Splits and scales samples in memory, as [`load`] does those of a file: validation and test parts of the fractions that
/// the settings name are split off, and everything is learned from the rest. `settings.path` is not looked at. The same
/// samples in a file give the same numbers.
///
/// # Errors
/// [`Error::Input`]: samples that have nothing to predict, or are all of one class. Settings that are for files, or do not
/// fit.
///
/// # Example
/// ```
/// use rarefy::data::{DataSettings, Samples, from_memory};
///
/// let squares: Vec<f64> = (0..100).map(f64::from).collect();
/// let samples = Samples::dense(&squares, 1)?.with_numbers(&squares, 1)?;
/// let splits = from_memory(samples, &DataSettings::default(), 1)?;
/// assert_eq!((splits.train.len(), splits.validation.unwrap().len(), splits.test.unwrap().len()), (70, 10, 20));
/// # Ok::<(), rarefy::Error>(())
/// ```
pub fn from_memory(samples: Samples, settings: &DataSettings, seed: u64) -> Result<Splits> {
    from_memory_parts(samples, None, None, settings, seed)
}

/// As [`from_memory`], with a validation part, a test part or both given; a fraction of `train` is split off for one that
/// is not.
///
/// # Errors
/// As for [`from_memory`], and parts that are not of the kind of `train`: another number of inputs, classes that it lacks.
pub fn from_memory_parts(
    train: Samples,
    validation: Option<Samples>,
    test: Option<Samples>,
    settings: &DataSettings,
    seed: u64,
) -> Result<Splits> {
    if settings.test_path.is_some() {
        return Err(Error::setting("data.test_path", "is for files; give the test part in memory"));
    }
    train.check_classes()?;
    let task = train.task(settings.task)?;
    let settings = DataSettings { path: train.name().into(), task, ..settings.clone() };
    settings.check()?;
    read::refuse_settings_of_others(&settings, train.format())?;
    let train = train.into_training(&settings)?;
    let part = |samples: Option<Samples>| {
        samples.map(|samples| samples.named(&train.classes)?.into_new(&train.reading)).transpose()
    };
    let (validation, test) = (part(validation)?, part(test)?);
    let kind = token_kind(settings.text.as_ref());
    let without_empty = |part| without_empty(part, kind, Broken::of(settings.skip_bad));
    divide(&Parts { train, validation, test }.try_map(without_empty)?, &settings, seed, None, None)
}

/// As [`from_memory_parts`], made ready as the training part of a model was that is to be trained further (a warm start): what
/// was learned from that, such as scales and classes, stays as it is.
///
/// # Errors
/// As for [`from_memory_parts`] and [`Preparation::prepare`].
pub fn from_memory_as(
    preparation: &Preparation,
    train: Samples,
    validation: Option<Samples>,
    settings: &DataSettings,
    seed: u64,
) -> Result<Splits> {
    let task = train.task(settings.task)?;
    let settings = DataSettings { path: train.name().into(), task, ..settings.clone() };
    settings.check()?;
    let broken = Broken::of(settings.skip_bad);
    let train = preparation.raw(train, true, broken)?;
    let validation = validation.map(|samples| preparation.raw(samples, true, broken)).transpose()?;
    divide(&Parts { train, validation, test: None }, &settings, seed, None, Some(preparation))
}

/// Samples that were read once, for a cross-validation that chooses between models: the test part stays apart, and each fold
/// of the others is the validation part once.
pub struct CrossValidation {
    source: Source,
    settings: DataSettings,
    seed: u64,
    /// How many folds there are.
    pub folds: u32,
}

impl CrossValidation {
    /// Reads what the settings name, to be validated on so many folds. A validation part of the source's own is left alone.
    ///
    /// # Errors
    /// As for [`load`]; a language model, whose text is cut by position.
    pub fn read(settings: &DataSettings, seed: u64, folds: u32) -> Result<CrossValidation> {
        settings.check()?;
        if settings.task == TaskChoice::LanguageModel {
            let problem = "a language model has no folds: its text is cut by position; leave the folds out";
            return Err(Error::setting("data.task", problem));
        }
        let mut source = read::read(settings)?;
        source.validation = None;
        let settings = DataSettings { validation_fraction: 0.0, ..settings.clone() };
        Ok(CrossValidation { source, settings, seed, folds })
    }

    /// Everything but the test part to train on, and nothing to validate on.
    ///
    /// # Errors
    /// As for [`load`].
    pub fn whole(&self) -> Result<Splits> {
        divide(&self.source, &self.settings, self.seed, None, None)
    }

    /// The fold of this number, from 1, to validate on, and the others to train on and to learn from how samples are made
    /// ready.
    ///
    /// # Errors
    /// Fewer samples or groups than folds; a class that a training part would lack.
    pub fn fold(&self, number: u32) -> Result<Splits> {
        let fold = Fold { number, of: self.folds };
        divide(&self.source, &self.settings, self.seed, Some(fold), None)
    }
}

/// Splits what a source does not say the parts of, learns from the training part, and makes all parts ready. With
/// `validation_fold` that fold is the validation part. Where a preparation is known, nothing is learned.
fn divide(
    source: &Source,
    settings: &DataSettings,
    seed: u64,
    validation_fold: Option<Fold>,
    known: Option<&Preparation>,
) -> Result<Splits> {
    let raw = &source.train;
    if raw.samples() < 2 {
        return Err(Error::data(&raw.path, "holds a single sample; give at least two to learn from"));
    }
    let task = classes::task(raw, settings.task)?;
    let (names, parts) = split_up(source, settings, task, seed, validation_fold)?;
    let (preparation, train) = match known {
        Some(known) => (known.clone(), known.encode(raw, &parts.train, true)?),
        None => Preparation::fit(raw, task, names, settings, &parts.train)?,
    };
    let mut told = Told::default();
    // What is unknown in the training part stands in samples that weigh nothing.
    let mut train = told.take("training", Loaded { unknown: Vec::new(), ..train });
    let mut part = |name, own: Option<&Raw>, split_off: &[usize]| {
        let part = encode_part(&preparation, raw, name, own, split_off)?;
        Ok::<_, Error>(part.map(|part| told.take(name, part)))
    };
    let validation = part("validation", source.validation.as_ref(), &parts.validation)?;
    let mut skipped = source.skipped();
    // A fold is tested on in place of a test part of the source's own.
    let own_test = source.test.as_ref().filter(|_| settings.fold.is_none());
    let given = if settings.fold.is_none() { read_test(&preparation, settings)? } else { None };
    skipped.extend(given.iter().flat_map(|given| given.skipped.iter().cloned()));
    let test = part("test", given.as_ref().or(own_test), &parts.test)?;
    let augmentation = augmentation(&preparation, &train, settings, seed)?;
    if augmentation.is_some() && matches!(train.features, Features::Lent(_)) {
        train = train.with_own_numbers().into_owned();
    }
    let mut notes = raw.notes.clone();
    notes.extend(preparation.fallen_together(raw));
    notes.extend(classes::doubt(raw, settings.task, task));
    if settings.fold.is_some() && has_own_test(source, settings) {
        notes.push("the folds are cut from the training part; the test part of its own is left alone".into());
    }
    let test_over_rest = parts.test.len() as f64 / (raw.samples() - parts.test.len()) as f64;
    let Told { text, unknown, notes: of_parts } = told;
    notes.extend(of_parts);
    source.iter().chain(&given).try_for_each(|raw| raw.cells.check_read())?;
    let window = window(&train, settings);
    Ok(Splits {
        train,
        validation,
        test,
        test_over_rest,
        window,
        preparation,
        augmentation,
        skipped,
        text,
        unknown,
        notes,
    })
}

/// The names of the classes, and which samples are in which part.
fn split_up(
    source: &Source,
    settings: &DataSettings,
    task: Task,
    seed: u64,
    validation_fold: Option<Fold>,
) -> Result<(Vec<String>, Split)> {
    let raw = &source.train;
    let (names, codes) = if task == Task::Classification {
        let names = classes::names(raw)?;
        let codes = classes::codes(raw, &names)?;
        (names, Some(codes))
    } else {
        (Vec::new(), None)
    };
    let fraction = |is_there: bool, fraction| if is_there { 0.0 } else { fraction };
    let apart = Apart {
        validation: fraction(source.validation.is_some(), settings.validation_fraction),
        test: fraction(has_own_test(source, settings), settings.test_fraction),
        fold: settings.fold,
        validation_fold,
    };
    let classes = codes.as_deref().map(|codes| (codes, &names[..]));
    let whole = Whole { samples: raw.samples(), classes, groups: raw.groups.as_deref() };
    let split = split::split(whole, apart, seed)?;
    Ok((names, split))
}

/// Whether there is a test part that is not split off.
fn has_own_test(source: &Source, settings: &DataSettings) -> bool {
    settings.test_path.is_some() || source.test.is_some()
}

/// How many samples are shuffled together, where not all are: those of half the memory, for the next ones are read meanwhile.
fn window(train: &Dataset, settings: &DataSettings) -> Option<usize> {
    Some(train.in_file()?.held_in(settings.memory? / 2))
}

/// What is to be told of the parts.
#[derive(Default)]
struct Told {
    text: Vec<(&'static str, TextCounts)>,
    unknown: Vec<(&'static str, UnknownCategories)>,
    notes: Vec<String>,
}

impl Told {
    /// The samples of a part, whose counts are kept.
    fn take(&mut self, name: &'static str, part: Loaded) -> Dataset {
        self.text.extend(part.text.map(|counts| (name, counts)));
        self.unknown.extend(part.unknown.into_iter().map(|found| (name, found)));
        self.notes.extend(part.notes.into_iter().map(|note| format!("{name} part: {note}")));
        part.dataset
    }
}

/// A part of its own, or that was split off, if there is one.
fn encode_part(
    preparation: &Preparation,
    train: &Raw,
    name: &'static str,
    own: Option<&Raw>,
    split_off: &[usize],
) -> Result<Option<Loaded>> {
    match own {
        Some(own) => {
            let all: Vec<usize> = (0..own.samples()).collect();
            let of_part = |error: Error| if own.label_path.is_none() { error.of_part(name) } else { error };
            let loaded = preparation.encode(own, &all, true).map_err(of_part)?;
            Ok(Some(Loaded { notes: preparation.doubts(own, &loaded.dataset), ..loaded }))
        }
        None if split_off.is_empty() => Ok(None),
        None => preparation.encode(train, split_off, true).map(Some),
    }
}

/// How training samples are changed, if the settings ask for it.
fn augmentation(
    preparation: &Preparation,
    train: &Dataset,
    settings: &DataSettings,
    seed: u64,
) -> Result<Option<Augmentation>> {
    let bands = match &preparation.reading {
        Reading::Audio(reading) => reading.features.bands(),
        _ => train.shape.channels,
    };
    let augmentation = Augmentation::new(&settings.augment, train.shape, bands, seed)?;
    if augmentation.is_some() && (train.is_sparse() || train.vocabulary().is_some()) {
        let problem = "is for dense data: it would fill the zeros of these sparse samples; leave it out";
        return Err(Error::setting("data.augment", problem));
    }
    Ok(augmentation)
}

/// Reads the test part that the settings name, if they do.
pub(crate) fn read_test(preparation: &Preparation, settings: &DataSettings) -> Result<Option<Raw>> {
    let Some(path) = &settings.test_path else { return Ok(None) };
    let (broken, streaming) = (Broken::of(settings.skip_bad), settings.streaming());
    let labels = Some(preparation.task);
    let wanted = Wanted { labels, broken, keep: Keep::Nothing, streaming: streaming.as_ref() };
    reread(preparation, path, wanted).map(Some)
}

/// Reads a new file for a trained model.
pub(crate) fn reread(preparation: &Preparation, path: &str, wanted: Wanted) -> Result<Raw> {
    let raw = read::reread(&preparation.reading, path, wanted)?;
    preparation.refuse_names(&raw)?;
    match preparation.text() {
        Some(text) => without_empty(raw, text.kind(), wanted.broken),
        None => Ok(raw),
    }
}

/// Reads a new file for a trained model, coded and scaled as its training part was. A path with a test part of its own
/// (see [`part_for_model`](crate::data::part_for_model)) gives that part. Without `targets` the labels are not read (the file need not have any), and
/// the targets are all zero: class 0 or value 0. A language model's targets are the text itself and always read.
///
/// # Errors
/// As for [`load`]; and columns that the model needs and the file lacks, or classes that the model does not know.
pub fn load_with(preparation: &Preparation, path: &str, targets: bool) -> Result<Loaded> {
    load_new(preparation, path, targets, Broken::of(false), Keep::Nothing)
}

/// As [`load_with`], but leaves out images and recordings that cannot be read or that the model cannot take, and empty texts,
/// and reports them.
///
/// # Errors
/// As for [`load_with`]; a model of other data; and if nothing is left.
pub fn load_readable(preparation: &Preparation, path: &str, targets: bool) -> Result<Loaded> {
    load_new(preparation, path, targets, leaving_out(preparation)?, Keep::Nothing)
}

/// Reads new samples to predict: as [`load_with`] or, if `skip_bad` says so, as [`load_readable`], without targets, and with the
/// columns of a table or the keys of JSON lines that are to stand beside their predictions ([`Loaded::kept`]): those that
/// `keep` names, or, where it names none, those of `data.keep` that the file has.
///
/// # Errors
/// As for [`load_readable`]; a column that is not there; columns to keep of what has none.
pub fn load_to_predict(
    preparation: &Preparation,
    path: &str,
    keep: &[String],
    skip_bad: bool,
) -> Result<Loaded> {
    let broken = if skip_bad { leaving_out(preparation)? } else { Broken::of(false) };
    let keep = if keep.is_empty() { Keep::AsTrained } else { Keep::Columns(keep) };
    load_new(preparation, path, false, broken, keep)
}

/// Reads a new file as [`load_with`], [`load_readable`] or [`load_to_predict`] does, for a model of a run on samples that stayed on the
/// disk, with settings of that run: `memory`, `scratch`, `skip_bad` and `keep` count. Whoever has gone through the samples asks
/// [`Dataset::check_read`] whether all could be read.
///
/// # Errors
/// As for [`load_to_predict`]; a scratch file that cannot be written.
pub fn load_streamed(
    preparation: &Preparation,
    settings: &DataSettings,
    path: &str,
    targets: bool,
) -> Result<Loaded> {
    let broken = if settings.skip_bad { leaving_out(preparation)? } else { Broken::of(false) };
    let keep = match &settings.keep[..] {
        _ if targets => Keep::Nothing,
        [] => Keep::AsTrained,
        keep => Keep::Columns(keep),
    };
    let streaming = settings.streaming();
    let labels = targets.then_some(preparation.task);
    load_raw(preparation, path, Wanted { labels, broken, keep, streaming: streaming.as_ref() })
}

/// That samples which cannot be read are left out, where samples may be such.
fn leaving_out(preparation: &Preparation) -> Result<Broken> {
    let is_skippable =
        preparation.text().is_some() || matches!(preparation.reading, Reading::Images(_) | Reading::Audio(_));
    if !is_skippable {
        let problem = "is for images, WAV files and texts, and the model was trained on none; leave it out";
        return Err(Error::setting("data.skip_bad", problem));
    }
    Ok(Broken::of(true))
}

fn load_new(
    preparation: &Preparation,
    path: &str,
    targets: bool,
    broken: Broken,
    keep: Keep,
) -> Result<Loaded> {
    if preparation.task == Task::LanguageModel {
        return language::load_with(preparation, path, broken);
    }
    let labels = targets.then_some(preparation.task);
    load_raw(preparation, path, Wanted { labels, broken, keep, streaming: None })
}

fn load_raw(preparation: &Preparation, path: &str, wanted: Wanted) -> Result<Loaded> {
    let raw = reread(preparation, path, wanted)?;
    let all: Vec<usize> = (0..raw.samples()).collect();
    let loaded = preparation.encode(&raw, &all, wanted.labels.is_some())?;
    raw.cells.check_read()?;
    let notes = preparation.doubts(&raw, &loaded.dataset);
    let files = match raw.places {
        Places::Files(files) => files,
        Places::InOrder | Places::Lines(_) => Vec::new(),
    };
    Ok(Loaded { files, skipped: raw.skipped, kept: raw.kept, notes, ..loaded })
}
