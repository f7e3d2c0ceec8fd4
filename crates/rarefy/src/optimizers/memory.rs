//! What an optimizer remembers of the run as a whole.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What an optimizer remembers from step to step besides the slots of each weight: a few numbers, saved in checkpoints.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// The learning rate that the last step took, the rule's own estimate included.
    pub learning_rate: f32,
    /// Numbers whose meaning is the rule's own. Not a number stands for what is not known yet.
    // Version 0.1 wrote them by name, as `estimate`.
    #[serde(alias = "estimate", deserialize_with = "numbers")]
    numbers: Vec<f64>,
}

impl Memory {
    /// A memory of these numbers.
    pub fn of(numbers: &[f64]) -> Memory {
        Memory { learning_rate: 0.0, numbers: numbers.to_vec() }
    }

    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether it has no numbers.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The numbers.
    ///
    /// # Panics
    /// If they are not `N`.
    pub fn numbers<const N: usize>(&mut self) -> &mut [f64; N] {
        let count = self.numbers.len();
        let numbers = self.numbers.as_mut_slice();
        numbers.try_into().unwrap_or_else(|_| panic!("a memory of {count} numbers, not {N}"))
    }
}

/// All numbers within a value, in order.
fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    fn collect(value: &Value, out: &mut Vec<f64>) {
        match value {
            // JSON has no word for what is not a number.
            Value::Null => out.push(f64::NAN),
            Value::Number(number) => out.extend(number.as_f64()),
            Value::Array(values) => values.iter().for_each(|value| collect(value, out)),
            Value::Object(fields) => fields.values().for_each(|value| collect(value, out)),
            Value::Bool(_) | Value::String(_) => {}
        }
    }
    let mut out = Vec::new();
    collect(&Value::deserialize(deserializer)?, &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_versions_wrote_is_read() {
        for (text, numbers) in [
            (r#""Nothing""#, vec![]),
            (r#"{"Distance": {"distance": 0.5, "numerator": 2.0}}"#, vec![0.5, 2.0]),
            (
                r#"{"Secant": {"step": 1.0, "losses": [3.0, 4.0], "seen": 2, "slope": 0.1}}"#,
                vec![1.0, 3.0, 4.0, 2.0, 0.1],
            ),
            (r#"{"Threshold": 0.25}"#, vec![0.25]),
        ] {
            let text = format!(r#"{{"learning_rate": 0.5, "estimate": {text}}}"#);
            let memory: Memory = serde_json::from_str(&text).unwrap();
            assert_eq!(memory, Memory { learning_rate: 0.5, numbers }, "{text}");
            let again = serde_json::to_string(&memory).unwrap();
            assert_eq!(serde_json::from_str::<Memory>(&again).unwrap(), memory);
        }
        let unknown: Memory =
            serde_json::from_str(r#"{"learning_rate": 0.5, "estimate": {"Threshold": null}}"#).unwrap();
        assert!(unknown.clone().numbers::<1>()[0].is_nan());
        let again = serde_json::to_string(&unknown).unwrap();
        assert!(serde_json::from_str::<Memory>(&again).unwrap().numbers::<1>()[0].is_nan());
    }
}
