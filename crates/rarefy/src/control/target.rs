//! What the user asks for: `sparsity = 0.98`, `nnz = 50000`, `bytes = 60000` or `flops = 2000000`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, Result};

/// The `[target]` section: bounds, all of which hold at the end; each a number or as people write it: `"98%"`, `"50k"`, `"60kB"`, `"2M"`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetSettings {
    /// The share of all weights that are absent, from 0 to below 1.
    #[serde(deserialize_with = "share")]
    pub sparsity: Option<f64>,
    /// Live weights, biases not counted.
    #[serde(deserialize_with = "number")]
    pub nnz: Option<u64>,
    /// Bytes of the model file.
    #[serde(deserialize_with = "number_of_bytes")]
    pub bytes: Option<u64>,
    /// Floating-point operations of one prediction: two for each live weight.
    #[serde(deserialize_with = "number")]
    pub flops: Option<u64>,
}

impl TargetSettings {
    /// Whether anything is asked for.
    pub fn is_set(&self) -> bool {
        *self != TargetSettings::default()
    }

    /// Checks that the target makes sense by itself.
    ///
    /// # Errors
    /// [`Error::Setting`] for one out of range.
    pub fn check(&self) -> Result<()> {
        if let Some(sparsity) = self.sparsity
            && !(0.0..1.0).contains(&sparsity)
        {
            let problem = if sparsity > 1.0 && sparsity < 100.0 {
                format!(
                    "{sparsity} is not a fraction from 0 to below 1; for {sparsity} % write {}",
                    sparsity / 100.0
                )
            } else {
                format!("{sparsity} is not a fraction from 0 to below 1")
            };
            return Err(Error::setting("target.sparsity", problem));
        }
        for (key, asked) in [("nnz", self.nnz), ("bytes", self.bytes), ("flops", self.flops)] {
            if asked == Some(0) {
                return Err(Error::setting(format!("target.{key}"), "0 leaves no network; use at least 1"));
            }
        }
        Ok(())
    }
}

/// Reads `KEY=VALUE` as a person writes it: `sparsity=0.98`, `sparsity=98%`, `nnz=50k`, `bytes=60kB`, `flops=2M`.
/// Returns the dotted key and the number.
///
/// # Errors
/// [`Error::Setting`] with what can be written.
///
/// ```
/// use rarefy::control::parse_target;
///
/// assert_eq!(parse_target("sparsity=0.9")?, ("target.sparsity".into(), 0.9));
/// assert!(parse_target("colour=red").is_err());
/// # Ok::<(), rarefy::Error>(())
/// ```
pub fn parse_target(text: &str) -> Result<(String, f64)> {
    let hint = "write sparsity=0.98, nnz=50k, bytes=60kB or flops=2M";
    let wrong = || Error::setting("target", format!("\"{text}\" is not understood; {hint}"));
    let (key, value) = text.split_once('=').ok_or_else(wrong)?;
    let (key, value) = (key.trim(), value.trim());
    if !["sparsity", "nnz", "bytes", "flops"].contains(&key) {
        return Err(wrong());
    }
    let number = match key {
        "sparsity" => parse_share(value),
        "bytes" => parse_bytes(value).ok().map(|bytes| bytes as f64),
        _ => parse_number(value),
    };
    Ok((format!("target.{key}"), number.ok_or_else(wrong)?))
}

/// `0.98` or `98%`.
fn parse_share(text: &str) -> Option<f64> {
    match number_and_unit(text)? {
        (share, "") => Some(share),
        // Not times 0.01, which is not a hundredth in binary.
        (percent, "%") => Some(percent / 100.0),
        _ => None,
    }
}

/// `50k`, `2M`, `1G` or a plain number.
fn parse_number(text: &str) -> Option<f64> {
    let (number, unit) = number_and_unit(text)?;
    let scale = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => return None,
    };
    Some((number * scale).round())
}

/// Reads a number of bytes as a person writes it: `800MB`, `8GB`, `8000000`.
///
/// # Errors
/// What can be written.
pub fn parse_bytes(text: &str) -> std::result::Result<usize, String> {
    let bytes = parse_number(text.strip_suffix(['B', 'b']).unwrap_or(text));
    bytes.map(|bytes| bytes as usize).ok_or_else(|| "write a number of bytes such as 800MB or 8GB".into())
}

/// A number in settings, or a text that stands for one.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, or a text such as \"50k\"")]
enum Given {
    Whole(u64),
    Number(f64),
    Text(String),
}

fn share<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<f64>, D::Error> {
    Ok(match Option::<Given>::deserialize(from)? {
        None => None,
        Some(Given::Whole(number)) => Some(number as f64),
        Some(Given::Number(number)) => Some(number),
        Some(Given::Text(text)) => {
            let share = parse_share(&text);
            Some(
                share.ok_or_else(|| {
                    D::Error::custom(format!("{text:?} is no share; write 0.98 or \"98%\""))
                })?,
            )
        }
    })
}

fn number<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<u64>, D::Error> {
    let parse = |text: &str| parse_number(text).map(|number| number as u64);
    whole(Option::<Given>::deserialize(from)?, parse, "50000 or \"50k\"").map_err(D::Error::custom)
}

fn number_of_bytes<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<u64>, D::Error> {
    let parse = |text: &str| parse_bytes(text).ok().map(|bytes| bytes as u64);
    whole(Option::<Given>::deserialize(from)?, parse, "60000 or \"60kB\"").map_err(D::Error::custom)
}

fn whole(
    given: Option<Given>,
    parse: impl Fn(&str) -> Option<u64>,
    example: &str,
) -> std::result::Result<Option<u64>, String> {
    match given {
        None => Ok(None),
        Some(Given::Whole(number)) => Ok(Some(number)),
        Some(Given::Number(number)) => Err(format!("{number} is no whole number from 0; write {example}")),
        Some(Given::Text(text)) => {
            parse(&text).map(Some).ok_or_else(|| format!("{text:?} is no number; write {example}"))
        }
    }
}

/// Reads a number of bytes in settings, as in [`parse_bytes`] or a plain number.
pub(crate) fn bytes_setting<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<usize>, D::Error> {
    Ok(number_of_bytes(from)?.map(|bytes| bytes as usize))
}

fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, text[digits..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_units() {
        for (text, key, number) in [
            ("sparsity=0.98", "target.sparsity", 0.98),
            ("sparsity=98%", "target.sparsity", 0.98),
            ("nnz=50k", "target.nnz", 50_000.0),
            ("bytes=60kB", "target.bytes", 60_000.0),
            ("bytes = 1.5 MB", "target.bytes", 1_500_000.0),
            ("flops=2M", "target.flops", 2_000_000.0),
            ("nnz=123", "target.nnz", 123.0),
        ] {
            let (got, value) = parse_target(text).unwrap();
            assert!(got == key && (value - number).abs() < 1e-9, "{text}: {got} {value}");
        }
        for text in ["sparsity", "size=3", "nnz=", "nnz=5q", "nnz=-5", "sparsity=5k", "nnz=5kB", "bytes=5%"] {
            let error = parse_target(text).unwrap_err().to_string();
            assert!(error.contains("write sparsity=0.98"), "{text}: {error}");
        }
    }

    #[test]
    fn settings_take_the_same_words() {
        let none = TargetSettings::default;
        for (text, expected) in [
            ("sparsity = '98%'", TargetSettings { sparsity: Some(0.98), ..none() }),
            ("sparsity = 0.9", TargetSettings { sparsity: Some(0.9), ..none() }),
            ("nnz = '50k'", TargetSettings { nnz: Some(50_000), ..none() }),
            ("nnz = 123", TargetSettings { nnz: Some(123), ..none() }),
            ("bytes = '60kB'", TargetSettings { bytes: Some(60_000), ..none() }),
            ("flops = '2M'", TargetSettings { flops: Some(2_000_000), ..none() }),
        ] {
            assert_eq!(toml::from_str::<TargetSettings>(text).unwrap(), expected, "{text}");
        }
        for (text, words) in [
            ("nnz = -5", "-5 is no whole number from 0; write 50000 or \"50k\""),
            ("nnz = '50kB'", "\"50kB\" is no number; write 50000"),
            ("bytes = 1.5", "1.5 is no whole number"),
            ("sparsity = 'most'", "\"most\" is no share; write 0.98 or \"98%\""),
            ("flops = [1]", "expected a number, or a text such as \"50k\""),
        ] {
            let error = toml::from_str::<TargetSettings>(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn people_write_bytes() {
        for (text, bytes) in [("800MB", 800_000_000), ("1.5 GB", 1_500_000_000), ("20k", 20_000), ("7", 7)] {
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
        assert!(["", "GB", "-5", "5 TB", "x"].into_iter().all(|text| parse_bytes(text).is_err()));
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let none = TargetSettings::default;
        for (target, start) in [
            (
                TargetSettings { sparsity: Some(98.0), ..none() },
                "target.sparsity: 98 is not a fraction from 0 to below 1; for 98 % write 0.98",
            ),
            (TargetSettings { sparsity: Some(-0.1), ..none() }, "target.sparsity: -0.1"),
            (TargetSettings { sparsity: Some(f64::NAN), ..none() }, "target.sparsity: NaN"),
            (TargetSettings { nnz: Some(0), ..none() }, "target.nnz: 0 leaves no network"),
            (TargetSettings { nnz: Some(9), flops: Some(0), ..none() }, "target.flops: 0 leaves no network"),
        ] {
            let error = target.check().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        let several = TargetSettings { sparsity: Some(0.9), bytes: Some(9), flops: Some(10), ..none() };
        several.check().unwrap();
        none().check().unwrap();
        assert!(several.is_set() && !none().is_set());
    }
}
