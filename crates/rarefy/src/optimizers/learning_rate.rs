//! A learning rate as it is written in settings: a number, or `"auto"` for a method that needs none.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The `learning_rate` of the `[optimizer]` section.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LearningRate {
    /// So much.
    Fixed(f32),
    /// Whatever the optimizer finds: [`super::Method::AUTO`] with its defaults.
    Auto,
}

impl From<f32> for LearningRate {
    fn from(rate: f32) -> LearningRate {
        LearningRate::Fixed(rate)
    }
}

impl Serialize for LearningRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            LearningRate::Fixed(rate) => serializer.serialize_f32(*rate),
            LearningRate::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for LearningRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LearningRate, D::Error> {
        struct Words;

        impl Visitor<'_> for Words {
            type Value = LearningRate;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number or \"auto\"")
            }

            fn visit_f64<E>(self, rate: f64) -> Result<LearningRate, E> {
                Ok(LearningRate::Fixed(rate as f32))
            }

            fn visit_i64<E>(self, rate: i64) -> Result<LearningRate, E> {
                Ok(LearningRate::Fixed(rate as f32))
            }

            fn visit_u64<E>(self, rate: u64) -> Result<LearningRate, E> {
                Ok(LearningRate::Fixed(rate as f32))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<LearningRate, E> {
                match word {
                    "auto" => Ok(LearningRate::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }

        deserializer.deserialize_any(Words)
    }
}
