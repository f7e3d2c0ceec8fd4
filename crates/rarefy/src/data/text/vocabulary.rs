//! A list of tokens, and the place of each in it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Tokens by place; stored as the list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Vocabulary {
    tokens: Vec<String>,
    places: HashMap<String, u32>,
}

impl Vocabulary {
    /// Tokens known.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether no token is known.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// All tokens, by place.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The place of a token, if it is known.
    pub fn place(&self, token: &str) -> Option<u32> {
        self.places.get(token).copied()
    }
}

impl TryFrom<Vec<String>> for Vocabulary {
    type Error = String;

    fn try_from(tokens: Vec<String>) -> Result<Vocabulary, String> {
        let mut places = HashMap::with_capacity(tokens.len());
        for (token, place) in tokens.iter().zip(0..) {
            if places.insert(token.clone(), place).is_some() {
                return Err(format!("the vocabulary holds {token:?} twice"));
            }
        }
        Ok(Vocabulary { tokens, places })
    }
}

impl From<Vocabulary> for Vec<String> {
    fn from(vocabulary: Vocabulary) -> Vec<String> {
        vocabulary.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vocabulary_is_stored_as_its_list_and_knows_places_again() {
        let vocabulary: Vocabulary = serde_json::from_str(r#"["b","a"]"#).unwrap();
        assert_eq!((vocabulary.place("a"), vocabulary.place("c"), vocabulary.len()), (Some(1), None, 2));
        assert_eq!(serde_json::to_string(&vocabulary).unwrap(), r#"["b","a"]"#);
        let error = serde_json::from_str::<Vocabulary>(r#"["b","b"]"#).unwrap_err().to_string();
        assert!(error.contains("\"b\" twice"), "{error}");
    }
}
