//! Text for a language model: one file, or all TXT files of a folder one after another, cut by position into a training,
//! a validation and a test part, each into chunks with the next tokens as targets.
//!
//! ```text
//! a.txt b.txt ... -> |------- training -------|- validation -|--- test ---| -> chunks of `context` tokens
//! ```

use std::io::Read;
use std::path::{Path, PathBuf};

use super::dataset::{Dataset, Features, Targets, Task};
use super::prepare::{Coding, Column, Loaded, Preparation, Scaler, TargetScaler};
use super::raw::{LabelledFile, SkippedFile};
use super::read::files::{self, Kept, Kind};
use super::read::{documents, gzip, refuse_settings_of_others};
use super::reading::{Broken, Format, Reading};
use super::settings::{AugmentSettings, DataSettings, Scale, TargetScale};
use super::splits::Splits;
use super::text::{
    Chunks, Excerpt, TextCoding, TextCounts, TextSettings, TokenKind, TokenSettings, Tokenizer,
    cut_by_position, stream,
};
use crate::tiles::Shape;
use crate::{Error, Result};

/// Tokens that are read at a time, unless `data.text.tokens.context` says otherwise.
const CONTEXT: usize = 128;

/// Reads and cuts what the settings name. The fractions are of all bytes.
///
/// # Errors
/// Settings that say something about other data; files that are missing, empty or no UTF-8 text; tokens that are all too rare; a
/// context longer than the training part.
pub(crate) fn load(settings: &DataSettings) -> Result<Splits> {
    let tokens = token_settings(settings)?;
    if settings.fold.is_some() {
        let problem =
            "is for samples; a text is cut by position into one test part (data.test_fraction), leave it out";
        return Err(Error::setting("data.fold", problem));
    }
    let broken = Broken::of(settings.skip_bad);
    let mut kept = read(Path::new(&settings.path), broken)?;
    let documents: Vec<&str> = kept.contents.iter().map(String::as_str).collect();
    let test_fraction = if settings.test_path.is_some() { 0.0 } else { settings.test_fraction };
    let parts = cut_by_position(&documents, settings.validation_fraction, test_fraction);
    let train: Vec<&str> = parts[0].iter().map(|excerpt| excerpt.text).collect();
    let tokenizer = tokens.fit(&train)?;
    let context = tokens.context.unwrap_or(CONTEXT);
    let [train, validation, test] = parts.map(|excerpts| part(&tokenizer, context, &excerpts));
    let whole = train.dataset.lengths.first().copied().unwrap_or(0) as usize;
    if whole < context {
        let problem = format!(
            "{context} is more than the {whole} tokens of the training part; lower it or give more text"
        );
        return Err(Error::setting("data.text.tokens.context", problem));
    }
    let preparation = preparation(TextCoding::Tokens { tokenizer, context, truncate: false });
    let some = |part: Loaded| Some(part).filter(|part| !part.dataset.is_empty());
    let test = match &settings.test_path {
        Some(path) => {
            let (test, skipped) = whole_text(&preparation, path, broken)?;
            kept.skipped.extend(skipped);
            Some(test)
        }
        None => some(test),
    };
    let mut text = Vec::new();
    let mut named = |name, part: Option<Loaded>| {
        part.map(|part| {
            text.extend(part.text.map(|counts| (name, counts)));
            part.dataset
        })
    };
    Ok(Splits {
        train: named("training", Some(train)).expect("it was given"),
        validation: named("validation", some(validation)),
        test: named("test", test),
        // It is cut off by position, the same for all seeds.
        test_over_rest: 0.0,
        window: None,
        preparation,
        augmentation: None,
        skipped: kept.skipped,
        text,
        unknown: Vec::new(),
        notes: Vec::new(),
    })
}

/// Reads a new text for a trained model, all of it.
///
/// # Errors
/// Files that are missing, empty or no UTF-8 text; a text of a single token.
pub(crate) fn load_with(preparation: &Preparation, path: &str, broken: Broken) -> Result<Loaded> {
    let (loaded, skipped) = whole_text(preparation, path, broken)?;
    Ok(Loaded { skipped, ..loaded })
}

fn whole_text(preparation: &Preparation, path: &str, broken: Broken) -> Result<(Loaded, Vec<SkippedFile>)> {
    let Some(TextCoding::Tokens { tokenizer, context, .. }) = preparation.text() else {
        unreachable!("a language model has a tokenizer");
    };
    let kept = read(Path::new(path), broken)?;
    let excerpt = |text| Excerpt { text, begins: true, ends: true };
    let excerpts: Vec<Excerpt> = kept.contents.iter().map(|text| excerpt(text)).collect();
    Ok((part(tokenizer, *context, &excerpts), kept.skipped))
}

/// What a token is, a character unless the settings say another, and how many are read at a time.
fn token_settings(settings: &DataSettings) -> Result<TokenSettings> {
    refuse_settings_of_others(settings, Format::Text)?;
    let text = settings.text.clone().unwrap_or_default();
    let TextSettings { column, bag, tokens } = &text;
    for (key, is_given) in [
        ("data.text.column", column.is_some()),
        ("data.text.bag", bag.is_some()),
        ("data.text.tokens.truncate", tokens.as_ref().is_some_and(|tokens| tokens.truncate)),
        ("data.shape", settings.shape.is_some()),
        ("data.scale", !matches!(settings.scale, Scale::Auto | Scale::None)),
        ("data.target_scale", !matches!(settings.target_scale, None | Some(TargetScale::None))),
        ("data.augment", settings.augment != AugmentSettings::default()),
    ] {
        if is_given {
            let problem = "says nothing about the running text of a language model; leave it out";
            return Err(Error::setting(key, problem));
        }
    }
    let tokens = text.tokens.unwrap_or_default();
    Ok(TokenSettings { kind: tokens.kind.or(Some(TokenKind::Characters)), ..tokens })
}

fn preparation(coding: TextCoding) -> Preparation {
    let TextCoding::Tokens { tokenizer, context, .. } = &coding else { unreachable!("made above") };
    Preparation {
        reading: Reading::Text,
        task: Task::LanguageModel,
        shape: Shape::sequence(*context, 1),
        outputs: tokenizer.size(),
        classes: Vec::new(),
        units: None,
        columns: vec![Column { name: "text".into(), coding: Coding::Text(coding) }],
        scaler: Scaler::None,
        target_scaler: TargetScaler::None,
        fill: Vec::new(),
        constant_inputs: 0,
    }
}

/// Codes a part of the text.
fn part(tokenizer: &Tokenizer, context: usize, excerpts: &[Excerpt]) -> Loaded {
    let stream = stream(tokenizer, excerpts);
    let Chunks { inputs, targets, lengths, unknown, .. } = Chunks::new(&stream, context);
    let vocabulary = tokenizer.size();
    let counts = TextCounts {
        documents: excerpts.len(),
        characters: excerpts.iter().map(|excerpt| excerpt.text.chars().count()).sum(),
        tokens: stream.len(),
        unknown,
        truncated: 0,
    };
    let dataset = Dataset {
        shape: Shape::sequence(context, 1),
        features: Features::Tokens { ids: inputs, vocabulary },
        lengths,
        targets: Targets::Steps { labels: targets, steps: context, classes: vocabulary },
        weights: None,
    };
    Loaded { text: Some(counts), ..Loaded::new(dataset) }
}

/// Reads the documents of a file, plain or gzipped, or a folder, in the order of their paths; none of them empty.
fn read(path: &Path, broken: Broken) -> Result<Kept<String>> {
    let files = match path.is_dir() {
        true if files::part_for_model(path, Kind::Text)?.is_some() => {
            let problem = "holds folders of parts, but a language model's parts are cut by position; give one of them, the other by data.test_path";
            return Err(Error::data(path, problem));
        }
        true => files::list_for_model(path, Kind::Text, false)?.0,
        false if holds_samples(path) => {
            let problem = "holds samples, each for itself, but a language model reads running text; give a TXT file or a folder of them";
            return Err(Error::data(path, problem));
        }
        false => {
            let files = vec![LabelledFile { path: PathBuf::from(path), class: 0 }];
            return Ok(Kept { files, contents: vec![read_document(path)?], skipped: Vec::new() });
        }
    };
    files::read_all(files, Kind::Text, broken, |file| read_document(&file.path), |_| Ok(()))
}

/// Whether a file's name says that it is a table.
fn holds_samples(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".csv", ".tsv", ".jsonl", ".ndjson"].iter().any(|end| name.ends_with(end))
}

fn read_document(file: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    gzip::open(file)?.reader.read_to_end(&mut bytes).map_err(gzip::read_error(file))?;
    let text = documents::text(file, bytes)?;
    if text.trim().is_empty() {
        Err(Error::data(file, "holds nothing but blanks; remove it"))
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::batches::{Batch, BatchTargets, run_order};
    use crate::data::describe::describe;
    use crate::data::load::load_with;
    use crate::data::settings::TaskChoice;

    fn settings(path: &Path, text: &str) -> DataSettings {
        DataSettings {
            path: path.to_str().unwrap().into(),
            task: TaskChoice::LanguageModel,
            validation_fraction: 0.1,
            test_fraction: 0.2,
            text: Some(toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))),
            ..DataSettings::default()
        }
    }

    const SIXTEEN: &str = "tokens.kind = 'characters'\ntokens.context = 16";

    fn ids(dataset: &Dataset) -> &[u32] {
        let Features::Tokens { ids, .. } = &dataset.features else { panic!("these are tokens") };
        ids
    }

    #[test]
    fn a_file_and_a_folder_are_read_in_order_and_cut_by_position() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = ("to be or not to be ".repeat(20), "that is the question ".repeat(20));
        for (name, text) in [("b.txt", &second), ("a.txt", &first)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let splits = load(&settings(folder.path(), SIXTEEN)).unwrap();
        let all = first.clone() + &second;
        let characters = ["training", "validation", "test"].map(|part| splits.characters(part).unwrap());
        assert_eq!(characters.iter().sum::<usize>(), all.len());
        let Some(TextCoding::Tokens { tokenizer, .. }) = splits.preparation.text() else { panic!() };
        assert!(tokenizer.decode(ids(&splits.train)).starts_with("to be or not to be to be"));
        let parts = [&splits.train, splits.validation.as_ref().unwrap(), splits.test.as_ref().unwrap()];
        let targets: u32 = parts.iter().flat_map(|part| &part.lengths).sum();
        // A begin and an end for each document, and the first token of each part is no target.
        assert_eq!(targets as usize, all.len() + 4 - 3);
        let mut one = settings(&folder.path().join("a.txt"), SIXTEEN);
        (one.validation_fraction, one.test_fraction) = (0.0, 0.0);
        let found = load(&one).unwrap();
        assert!(found.validation.is_none() && found.test.is_none());
        assert_eq!(found.characters("training"), Some(first.len()));
        // Another text is read whole, with the same tokens.
        let path = folder.path().join("b.txt");
        let new = load_with(&found.preparation, path.to_str().unwrap(), true).unwrap();
        assert_eq!(new.text.unwrap().characters, second.len());
        assert!(new.text.unwrap().unknown > 0, "h, a, q, u and others are not in the first");
        one.test_path = Some(path.to_str().unwrap().into());
        assert_eq!(load(&one).unwrap().test, Some(new.dataset));
        let found = describe(&settings(folder.path(), SIXTEEN)).unwrap();
        assert_eq!((found.task, found.text.unwrap().characters), (Task::LanguageModel, all.len()));
    }

    #[test]
    fn each_step_has_the_token_after_it_as_target_and_runs_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "abcdefghijklmnopqrstuvwxyz ".repeat(10)).unwrap();
        // Characters, whatever else is said about tokens.
        let splits = load(&settings(&path, "tokens.context = 6")).unwrap();
        let mut batch = Batch::new(&splits.train, 3);
        let order = run_order(splits.train.len(), 3);
        let mut before = None;
        for samples in order.chunks(3).take(3) {
            batch.fill(&splits.train, samples);
            let BatchTargets::Steps(targets) = &batch.targets else { panic!("each step has a target") };
            for sample in 0..3 {
                let inputs = batch.input.sample(sample);
                let targets: Vec<f32> = targets[6 * sample..][..6].iter().map(|&id| id as f32).collect();
                assert_eq!(inputs[1..], targets[..5]);
            }
            if let Some(last) = before.replace(targets[5]) {
                assert_eq!(
                    batch.input.sample(0)[0],
                    last as f32,
                    "the next batch begins with what came next"
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let context = |context: usize| format!("tokens.kind = 'characters'\ntokens.context = {context}");
        let refused = |settings: &DataSettings| load(settings).unwrap_err().to_string();
        for (bytes, context, problem) in [
            (&b"abc \xff"[..], context(2), "a.txt, line 1: is not UTF-8 text"),
            (b" \n", context(2), "a.txt: holds nothing but blanks"),
            (b"", context(2), "the file is empty"),
            (b"ab ab ab ab", context(100), "data.text.tokens.context: 100 is more than the 8 tokens"),
            (b"ab ab ab ab", "tokens = {}".into(), "data.text.tokens.context: 128 is more than the 8 tokens"),
            (
                b"ab ab ab ab",
                "tokens.kind = 'words'".into(),
                "data.text.tokens.context: 128 is more than the 3 tokens",
            ),
            (b"ab ab", "bag = {}".into(), "data.text.bag: says nothing about the running text"),
            (b"ab ab", "tokens.truncate = true".into(), "data.text.tokens.truncate: says nothing"),
            (b"ab ab", "column = 'a'".into(), "data.text.column: says nothing"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = refused(&settings(&path, &context));
            assert!(error.contains(problem), "{error}");
        }
        let table = folder.path().join("a.jsonl");
        std::fs::write(&table, "{}").unwrap();
        assert!(refused(&settings(&table, SIXTEEN)).contains("holds samples, each for itself"));
        for (key, problem) in [
            ("label = 'x'", "data.label: is for CSV files"),
            ("scale = 'standard'", "data.scale: says nothing"),
        ] {
            let given: DataSettings = toml::from_str(key).unwrap();
            let settings =
                DataSettings { label: given.label, scale: given.scale, ..settings(&path, SIXTEEN) };
            assert!(refused(&settings).starts_with(problem), "{}", refused(&settings));
        }
        // Empty files of a folder may be left out.
        std::fs::remove_file(&table).unwrap();
        std::fs::write(&path, "abc ".repeat(20)).unwrap();
        std::fs::write(folder.path().join("b.txt"), " ").unwrap();
        let mut both = settings(folder.path(), SIXTEEN);
        assert!(
            refused(&both).contains("b.txt: holds nothing but blanks; remove it; or leave such files out")
        );
        both.skip_bad = true;
        assert_eq!(load(&both).unwrap().skipped.len(), 1);
        for part in ["train", "test"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        let error = refused(&settings(folder.path(), SIXTEEN));
        assert!(error.contains("give one of them"), "{error}");
    }
}
