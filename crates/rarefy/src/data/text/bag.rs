//! Bags of words.

use std::ops::RangeInclusive;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::count::{choose, count};
use super::murmur::signed_place;
use super::vocabulary::Vocabulary;
use super::words::each_ngram;
use crate::data::csr::Csr;
use crate::{Error, Result};

/// Words of the longest run that may be a feature.
const NGRAMS: RangeInclusive<usize> = 1..=8;

/// Bits that words may be hashed to.
const HASH_BITS: RangeInclusive<u32> = 1..=30;

/// How the counts of a document are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// Rare words weigh more, and documents have length 1.
    #[default]
    TfIdf,
    /// As they are.
    Counts,
    /// 1 if the word is there.
    Binary,
}

/// What a bag of words holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BagSettings {
    /// How the counts of a document are written.
    pub weighting: Weighting,
    /// Whether TF-IDF takes `1 + ln(count)` for the count.
    pub sublinear: bool,
    /// Words of the longest run that counts as a feature: 1 for words alone, 2 for pairs too.
    pub ngrams: usize,
    /// Training documents that must hold a word or run, for it to be a feature; not with `hash_bits`.
    pub min_documents: u32,
    /// At most so many features, those that the most documents hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_features: Option<usize>,
    /// Hash words to 2^bits features instead of learning which there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_bits: Option<u32>,
}

impl Default for BagSettings {
    fn default() -> BagSettings {
        let weighting = Weighting::TfIdf;
        BagSettings {
            weighting,
            sublinear: false,
            ngrams: 1,
            min_documents: 2,
            max_features: None,
            hash_bits: None,
        }
    }
}

impl BagSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// The key that cannot be used, and what it may be.
    pub fn check(&self) -> Result<()> {
        let refuse =
            |key: &str, problem: String| Err(Error::setting(format!("data.text.bag.{key}"), problem));
        if !NGRAMS.contains(&self.ngrams) {
            return refuse("ngrams", format!("{} is not a number of words from 1 to 8", self.ngrams));
        }
        if self.sublinear && self.weighting != Weighting::TfIdf {
            return refuse("sublinear", "is for TF-IDF; leave it out, or set weighting = \"tf-idf\"".into());
        }
        if self.max_features == Some(0) {
            return refuse("max_features", "0 leaves no features; give more, or leave it out".into());
        }
        match self.hash_bits {
            Some(bits) if !HASH_BITS.contains(&bits) => {
                refuse("hash_bits", format!("{bits} is not from 1 to 30; 18 gives 262144 features"))
            }
            Some(_) if self.max_features.is_some() => refuse(
                "max_features",
                "does nothing where words are hashed; leave it or hash_bits out".into(),
            ),
            _ => Ok(()),
        }
    }
}

/// A fitted bag of words: it turns a document into the counts of its words, or runs of words, whatever their order.
///
/// ```text
/// TF-IDF   value = tf * idf, then the row divided by its length (the root of its sum of squares)
///          tf = count, or 1 + ln(count) if sublinear        idf = ln((1 + documents) / (1 + documents with it)) + 1
/// ```
///
/// Formulas and hash are scikit-learn's (`TfidfVectorizer`, `HashingVectorizer`), so the figures compare; words are cut
/// where Unicode puts word boundaries (UAX #29), in lower case. Hashing needs no vocabulary: of `2^bits` features, words that collide share
/// one, with a sign each so that they cancel rather than add up (Weinberger et al. 2009, "Feature Hashing for Large Scale
/// Multitask Learning").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bag {
    features: Features,
    weighting: Weighting,
    sublinear: bool,
    ngrams: usize,
    /// Documents of the training part.
    documents: u32,
    /// For TF-IDF, how many of them hold each feature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    document_counts: Vec<u32>,
}

/// What the features are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Features {
    /// These words and runs, sorted.
    Known(Vocabulary),
    /// The hashes of all, to so many bits.
    Hashed(u32),
}

/// Features with their values.
type Row = Vec<(u32, f32)>;

/// Documents as rows.
#[derive(Debug, Clone, PartialEq)]
pub struct BagRows {
    /// A row per document.
    pub rows: Csr,
    /// Words and runs of all documents.
    pub words: usize,
    /// Those of them that are no feature.
    pub unknown: usize,
}

impl Bag {
    /// Learns the features of the training part, and how many of its documents hold each.
    ///
    /// # Errors
    /// If no word is left as a feature.
    pub fn fit(settings: &BagSettings, documents: &[&str]) -> Result<Bag> {
        let mut bag = Bag {
            features: Features::Hashed(0),
            weighting: settings.weighting,
            sublinear: settings.sublinear,
            ngrams: settings.ngrams,
            documents: documents.len() as u32,
            document_counts: Vec::new(),
        };
        if let Some(bits) = settings.hash_bits {
            bag.features = Features::Hashed(bits);
            if bag.weighting == Weighting::TfIdf {
                bag.document_counts = bag.count_hashed(documents);
            }
            return Ok(bag);
        }
        let counts = count(documents, |text, see| each_ngram(text, bag.ngrams, see));
        let least = settings.min_documents.into();
        let mut chosen = choose(counts, |count| count.documents.into(), least, settings.max_features);
        if chosen.is_empty() {
            return Err(Error::setting(
                "data.text.bag.min_documents",
                format!(
                    "no word comes in {} of the {} training documents, so there is nothing to learn from; lower it or give more text",
                    settings.min_documents,
                    documents.len()
                ),
            ));
        }
        chosen.par_sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        if bag.weighting == Weighting::TfIdf {
            bag.document_counts = chosen.iter().map(|(_, count)| count.documents).collect();
        }
        let words: Vec<String> = chosen.into_iter().map(|(word, _)| word).collect();
        bag.features = Features::Known(Vocabulary::try_from(words).expect("keys of a map are unique"));
        Ok(bag)
    }

    /// Checks what came from a file.
    ///
    /// # Errors
    /// What cannot be.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        if !NGRAMS.contains(&self.ngrams) {
            return Err(format!("{} words make no run", self.ngrams));
        }
        if let Features::Hashed(bits) = self.features
            && !HASH_BITS.contains(&bits)
        {
            return Err(format!("words are hashed to {bits} bits"));
        }
        let counts = if self.weighting == Weighting::TfIdf { self.features() } else { 0 };
        if self.document_counts.len() != counts {
            let found = self.document_counts.len();
            return Err(format!("{found} features of {} have a count of documents", self.features()));
        }
        Ok(())
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        match &self.features {
            Features::Known(words) => words.len(),
            Features::Hashed(bits) => 1 << bits,
        }
    }

    /// The words and runs that are features, by place; none if they are hashed.
    pub fn words(&self) -> &[String] {
        match &self.features {
            Features::Known(words) => words.tokens(),
            Features::Hashed(_) => &[],
        }
    }

    /// The rows of some documents.
    pub fn rows(&self, documents: &[&str]) -> BagRows {
        let idf: Vec<f32> = self.document_counts.iter().map(|&count| self.idf(count)).collect();
        let found: Vec<(Row, usize, usize)> = documents
            .par_iter()
            .map(|text| {
                let (mut row, words, unknown) = self.counts(text);
                self.weigh(&mut row, &idf);
                (row, words, unknown)
            })
            .collect();
        let mut rows = Csr::empty(self.features());
        let (mut words, mut unknown) = (0, 0);
        for (mut row, all, missed) in found {
            rows.push(&mut row).expect("features are in range, unique and finite");
            words += all;
            unknown += missed;
        }
        BagRows { rows, words, unknown }
    }

    /// The features of a document with their counts, sorted; its words; and how many of these are no feature.
    fn counts(&self, text: &str) -> (Row, usize, usize) {
        let (mut row, mut words) = (Row::new(), 0);
        each_ngram(text, self.ngrams, |word| {
            words += 1;
            match &self.features {
                Features::Known(known) => row.extend(known.place(word).map(|place| (place, 1.0))),
                Features::Hashed(bits) => row.push(signed_place(word, *bits)),
            }
        });
        let unknown = words - row.len();
        row.sort_unstable_by_key(|&(place, _)| place);
        row.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        (row, words, unknown)
    }

    fn weigh(&self, row: &mut [(u32, f32)], idf: &[f32]) {
        match self.weighting {
            Weighting::Counts => {}
            Weighting::Binary => row.iter_mut().for_each(|(_, value)| *value = 1.0),
            Weighting::TfIdf => {
                let mut squares = 0.0f64;
                for (place, value) in row.iter_mut() {
                    if self.sublinear && *value != 0.0 {
                        *value = value.signum() * (1.0 + value.abs().ln());
                    }
                    *value *= idf[*place as usize];
                    squares += f64::from(*value).powi(2);
                }
                if squares > 0.0 {
                    let length = squares.sqrt();
                    row.iter_mut().for_each(|(_, value)| *value = (f64::from(*value) / length) as f32);
                }
            }
        }
    }

    fn idf(&self, documents_with_it: u32) -> f32 {
        let ratio = (1.0 + f64::from(self.documents)) / (1.0 + f64::from(documents_with_it));
        (ratio.ln() + 1.0) as f32
    }

    /// How many documents hold each hash.
    fn count_hashed(&self, documents: &[&str]) -> Vec<u32> {
        let add = |mut sums: Vec<u32>, text: &&str| {
            self.counts(text).0.iter().for_each(|&(place, _)| sums[place as usize] += 1);
            sums
        };
        let zeros = || vec![0; self.features()];
        let chunk = documents.len().div_ceil(rayon::current_num_threads()).max(1);
        let parts: Vec<Vec<u32>> =
            documents.par_chunks(chunk).map(|documents| documents.iter().fold(zeros(), add)).collect();
        parts.iter().fold(zeros(), |mut sums, part| {
            sums.iter_mut().zip(part).for_each(|(sum, more)| *sum += more);
            sums
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTS: [&str; 4] = ["the cat sat", "The cat the cat, the end", "a dog sat", "nothing else"];

    fn row(rows: &Csr, row: usize) -> Row {
        let (indices, values) = rows.row(row);
        indices.iter().copied().zip(values.iter().copied()).collect()
    }

    fn fit(change: impl Fn(&mut BagSettings)) -> Bag {
        let mut settings = BagSettings::default();
        change(&mut settings);
        settings.check().unwrap();
        Bag::fit(&settings, &DOCUMENTS).unwrap()
    }

    #[test]
    fn counts_and_zeros_and_ones_are_by_sorted_words() {
        let bag = fit(|settings| settings.weighting = Weighting::Counts);
        assert_eq!(bag.words(), ["cat", "sat", "the"]);
        let found = bag.rows(&["the end the cat", "none of it"]);
        assert_eq!(row(&found.rows, 0), [(0, 1.0), (2, 2.0)]);
        assert_eq!((found.rows.row(1).0.len(), found.words, found.unknown), (0, 7, 4));
        let binary = fit(|settings| settings.weighting = Weighting::Binary);
        assert_eq!(row(&binary.rows(&["the end the cat"]).rows, 0), [(0, 1.0), (2, 1.0)]);
    }

    #[test]
    fn tf_idf_is_scikit_learns() {
        // TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", min_df=2), then sublinear_tf=True, then ngram_range=(1, 2);
        // TfidfTransformer on HashingVectorizer(n_features=8, norm=None)
        const THIRD: f32 = 0.577_350;
        type Change = fn(&mut BagSettings);
        type Entries = &'static [(u32, f32)];
        let cases: [(Change, Entries, Entries); 4] = [
            (|_| (), &[(0, THIRD), (1, THIRD), (2, THIRD)], &[(0, 0.554_700), (2, 0.832_050)]),
            (
                |s| s.sublinear = true,
                &[(0, THIRD), (1, THIRD), (2, THIRD)],
                &[(0, 0.627_914), (2, 0.778_283)],
            ),
            (
                |s| s.ngrams = 2,
                &[(0, 0.5), (1, 0.5), (2, 0.5), (3, 0.5)],
                &[(0, 0.485_071), (2, 0.727_607), (3, 0.485_071)],
            ),
            (
                |s| s.hash_bits = Some(3),
                &[(4, 0.613_667), (6, -0.613_667), (7, 0.496_816)],
                &[(5, 0.281_476), (6, -0.844_427), (7, 0.455_757)],
            ),
        ];
        for (change, first, second) in cases {
            let rows = fit(change).rows(&DOCUMENTS).rows;
            for (found, expected) in [(row(&rows, 0), first), (row(&rows, 1), second)] {
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-6,
                        "{found:?} {expected:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn most_features_are_the_most_frequent_and_none_is_an_error() {
        let bag = fit(|settings| (settings.min_documents, settings.max_features) = (1, Some(2)));
        assert_eq!(bag.words(), ["cat", "sat"]);
        let settings = BagSettings { min_documents: 3, ..BagSettings::default() };
        let error = Bag::fit(&settings, &DOCUMENTS).unwrap_err().to_string();
        assert!(error.contains("data.text.bag.min_documents: no word comes in 3 of the 4"), "{error}");
    }

    #[test]
    fn settings_that_do_nothing_or_cannot_be_are_refused() {
        type Change = fn(&mut BagSettings);
        let cases: [(Change, &str); 6] = [
            (|s| s.ngrams = 0, "data.text.bag.ngrams: 0 is not"),
            (
                |s| (s.sublinear, s.weighting) = (true, Weighting::Counts),
                "data.text.bag.sublinear: is for TF-IDF",
            ),
            (|s| s.max_features = Some(0), "data.text.bag.max_features: 0"),
            (|s| s.hash_bits = Some(31), "data.text.bag.hash_bits: 31"),
            (|s| s.hash_bits = Some(0), "data.text.bag.hash_bits: 0"),
            (
                |s| (s.hash_bits, s.max_features) = (Some(4), Some(4)),
                "data.text.bag.max_features: does nothing",
            ),
        ];
        for (change, problem) in cases {
            let mut settings = BagSettings::default();
            change(&mut settings);
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
    }

    #[test]
    fn any_number_of_threads_and_json_keep_every_bit() {
        let text: Vec<String> =
            (0..2000u32).map(|i| format!("w{} w{} all", i % 97, i.wrapping_mul(7919) % 89)).collect();
        let documents: Vec<&str> = text.iter().map(String::as_str).collect();
        for hash_bits in [None, Some(7)] {
            let settings = BagSettings { ngrams: 2, hash_bits, ..BagSettings::default() };
            let fit = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let bag = Bag::fit(&settings, &documents).unwrap();
                    let rows = bag.rows(&documents);
                    (bag, rows)
                })
            };
            let (bag, rows) = fit(1);
            assert_eq!((bag.clone(), rows.clone()), fit(3));
            let again: Bag = serde_json::from_str(&serde_json::to_string(&bag).unwrap()).unwrap();
            assert_eq!(again.rows(&documents), rows);
        }
    }
}
