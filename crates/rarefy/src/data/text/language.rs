//! Text for a language model: one file, or all TXT files of a folder one after another, cut by position into a training,
//! a validation and a test part, each into chunks with the next tokens as targets.

use std::io::Read;
use std::path::Path;

use super::super::files::{self as sources, Kind};
use super::super::gzip;
use super::chunks::{Chunks, Excerpt, cut_by_position, stream};
use super::files;
use super::settings::TokenSettings;
use super::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Text as a language model reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageData {
    /// What turns text into tokens, learned from the training part.
    pub tokenizer: Tokenizer,
    /// To train on.
    pub train: LanguagePart,
    /// To watch training; absent if its fraction is 0 or leaves no token.
    pub validation: Option<LanguagePart>,
    /// For the final test; absent if its fraction is 0 or leaves no token.
    pub test: Option<LanguagePart>,
}

/// A part of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguagePart {
    /// Its tokens.
    pub chunks: Chunks,
    /// Its characters, by which the summed loss in bits is divided for the bits per character.
    pub characters: usize,
}

/// Reads a file, plain or gzipped, or a folder. The fractions are of all bytes; chunks have `tokens.context` tokens.
///
/// # Errors
/// Files that are missing, empty or no UTF-8 text; tokens that are all too rare; a context that is not given or longer than the training part.
pub fn read_language(
    path: &Path,
    tokens: &TokenSettings,
    validation: f64,
    test: f64,
) -> Result<LanguageData> {
    let context = tokens.context.ok_or_else(|| {
        let problem = "a language model reads so many tokens at a time; give a number such as 128";
        Error::setting("data.text.tokens.context", problem)
    })?;
    let documents = read_documents(path)?;
    let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
    let parts = cut_by_position(&texts, validation, test);
    let train: Vec<&str> = parts[0].iter().map(|excerpt| excerpt.text).collect();
    let tokenizer = tokens.fit(&train)?;
    let part = |excerpts: &[Excerpt]| LanguagePart {
        chunks: Chunks::new(&stream(&tokenizer, excerpts), context),
        characters: excerpts.iter().map(|excerpt| excerpt.text.chars().count()).sum(),
    };
    let [train, validation, test] = parts.map(|excerpts| part(&excerpts));
    let whole = train.chunks.lengths.first().copied().unwrap_or(0) as usize;
    if whole < context {
        let problem = format!(
            "{context} is more than the {whole} tokens of the training part; lower it or give more text"
        );
        return Err(Error::setting("data.text.tokens.context", problem));
    }
    let some = |part: LanguagePart| Some(part).filter(|part| !part.chunks.is_empty());
    Ok(LanguageData { train, validation: some(validation), test: some(test), tokenizer })
}

/// The documents of a file or folder, in the order of their paths; none of them empty.
fn read_documents(path: &Path) -> Result<Vec<String>> {
    let files = match path.is_dir() {
        true if sources::has_test_part(path, Kind::Text)? => {
            let problem = "holds the folders train and test, but a language model's parts are cut by position; give one of them";
            return Err(Error::data(path, problem));
        }
        true => {
            sources::list_for_model(path, Kind::Text, false)?.0.into_iter().map(|file| file.path).collect()
        }
        false => vec![path.to_path_buf()],
    };
    let read = |file: &std::path::PathBuf| {
        let mut bytes = Vec::new();
        gzip::open(file)?.reader.read_to_end(&mut bytes).map_err(gzip::read_error(file))?;
        let text = files::text(file, bytes)?;
        match text.trim().is_empty() {
            true => Err(Error::data(file, "holds nothing but blanks; remove it")),
            false => Ok(text),
        }
    };
    files.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tokenizer::TokenKind;
    use super::*;

    fn characters(context: usize) -> TokenSettings {
        TokenSettings { kind: TokenKind::Characters, context: Some(context), ..TokenSettings::default() }
    }

    #[test]
    fn a_file_and_a_folder_are_read_in_order_and_cut_by_position() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = ("to be or not to be ".repeat(20), "that is the question ".repeat(20));
        for (name, text) in [("b.txt", &second), ("a.txt", &first)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let data = read_language(folder.path(), &characters(16), 0.1, 0.2).unwrap();
        let all = first.clone() + &second;
        let (train, validation, test) =
            (&data.train, data.validation.as_ref().unwrap(), data.test.as_ref().unwrap());
        assert_eq!(train.characters + validation.characters + test.characters, all.len());
        let read: Vec<u32> = train.chunks.inputs.clone();
        assert!(data.tokenizer.decode(&read).starts_with("to be or not to be to be"));
        let targets: u32 = [train, validation, test].iter().flat_map(|part| &part.chunks.lengths).sum();
        // A begin and an end for each document, and the first token of each part is no target.
        assert_eq!(targets as usize, all.len() + 4 - 3);
        let one = read_language(&folder.path().join("a.txt"), &characters(16), 0.0, 0.0).unwrap();
        assert!(one.validation.is_none() && one.test.is_none() && one.train.characters == first.len());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for (bytes, context, problem) in [
            (&b"abc \xff"[..], 2, "a.txt, line 1: is not UTF-8 text"),
            (b" \n", 2, "a.txt: holds nothing but blanks"),
            (b"", 2, "the file is empty"),
            (b"ab ab", 100, "data.text.tokens.context: 100 is more than the 6 tokens"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read_language(&path, &characters(context), 0.0, 0.0).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let error = read_language(&path, &TokenSettings::default(), 0.0, 0.0).unwrap_err().to_string();
        assert!(error.contains("data.text.tokens.context: a language model"), "{error}");
        for part in ["train", "test"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        let error = read_language(folder.path(), &characters(2), 0.0, 0.0).unwrap_err().to_string();
        assert!(error.contains("give one of them"), "{error}");
    }
}
