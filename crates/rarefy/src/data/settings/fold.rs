//! `data.fold`: which part of a cross-validation a run is tested on.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A fold of a cross-validation, written `2/5`: the second of five. The samples are cut into that many parts of one size;
/// this one is the test part, and the others are trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fold {
    /// Which, from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Fold {
    /// All folds of so many.
    pub fn all(of: u32) -> impl Iterator<Item = Fold> {
        (1..=of).map(move |number| Fold { number, of })
    }

    /// That there is such a fold.
    pub(super) fn check(self) -> Result<()> {
        let wrong = |problem: String| Err(Error::setting("data.fold", format!("{self} {problem}")));
        match self {
            Fold { of: 0 | 1, .. } => wrong("is not one of two folds at least, as 1/2 is".into()),
            Fold { number, of } if !(1..=of).contains(&number) => {
                wrong(format!("is no fold; they count from 1/{of} to {of}/{of}"))
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for Fold {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl<'de> Deserialize<'de> for Fold {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Fold, D::Error> {
        let text = String::deserialize(from)?;
        let numbers = text.split_once('/').map(|(number, of)| (number.parse(), of.parse()));
        match numbers {
            Some((Ok(number), Ok(of))) => Ok(Fold { number, of }),
            _ => Err(serde::de::Error::custom(format!(
                "{text:?} is no fold; write \"2/5\" for the second of five"
            ))),
        }
    }
}

impl Serialize for Fold {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSettings;

    #[test]
    fn a_fold_is_written_as_a_fraction() {
        let settings: DataSettings = toml::from_str("fold = '2/5'").unwrap();
        assert_eq!(settings.fold, Some(Fold { number: 2, of: 5 }));
        settings.check().unwrap();
        assert!(toml::to_string(&settings).unwrap().contains("fold = \"2/5\""));
        for (bad, problem) in [
            ("fold = '2'", "\"2\" is no fold; write \"2/5\""),
            ("fold = '2/x'", "is no fold"),
            ("fold = '0/5'", "data.fold: 0/5 is no fold; they count from 1/5 to 5/5"),
            ("fold = '6/5'", "data.fold: 6/5 is no fold"),
            ("fold = '1/1'", "data.fold: 1/1 is not one of two folds"),
            ("fold = '1/2'\nvalidation_fraction = 0.5", "none are left to train on"),
        ] {
            let read = toml::from_str::<DataSettings>(bad).map_err(|error| error.to_string());
            let found = read.and_then(|settings| settings.check().map_err(|error| error.to_string()));
            assert!(found.as_ref().is_err_and(|error| error.contains(problem)), "{bad}: {found:?}");
        }
    }
}
