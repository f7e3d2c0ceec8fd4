//! What the user asks for: `sparsity = 0.98`, `nnz = 50000`, `bytes = 60000` or `flops = 2000000`.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The `[target]` section: at most one of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetSettings {
    /// The share of all weights that are absent, from 0 to below 1.
    pub sparsity: Option<f64>,
    /// Live weights, biases not counted.
    pub nnz: Option<u64>,
    /// Bytes of the model file.
    pub bytes: Option<u64>,
    /// Floating-point operations of one prediction: two for each live weight.
    pub flops: Option<u64>,
}

impl TargetSettings {
    /// Whether anything is asked for.
    pub fn is_set(&self) -> bool {
        !self.given().is_empty()
    }

    /// Checks that the target makes sense by itself.
    ///
    /// # Errors
    /// [`Error::Setting`] for two targets at once or one out of range.
    pub fn check(&self) -> Result<()> {
        if let [first, second, ..] = self.given()[..] {
            return Err(Error::setting(
                format!("target.{second}"),
                format!("contradicts target.{first}: one target fixes the others; remove one"),
            ));
        }
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
        match self.given()[..] {
            [key] if [self.nnz, self.bytes, self.flops].contains(&Some(0)) => {
                Err(Error::setting(format!("target.{key}"), "0 leaves no network; use at least 1"))
            }
            _ => Ok(()),
        }
    }

    fn given(&self) -> Vec<&'static str> {
        let keys = [
            ("sparsity", self.sparsity.is_some()),
            ("nnz", self.nnz.is_some()),
            ("bytes", self.bytes.is_some()),
            ("flops", self.flops.is_some()),
        ];
        keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect()
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
    let (number, unit) = number_and_unit(value).ok_or_else(wrong)?;
    let scale = match (key, unit.strip_suffix(['B', 'b']).filter(|_| key == "bytes").unwrap_or(unit)) {
        (_, "") => 1.0,
        ("sparsity", "%") => 0.01,
        ("nnz" | "bytes" | "flops", "k" | "K") => 1e3,
        ("nnz" | "bytes" | "flops", "M") => 1e6,
        ("nnz" | "bytes" | "flops", "G") => 1e9,
        _ => return Err(wrong()),
    };
    let number = if key == "sparsity" { number * scale } else { (number * scale).round() };
    Ok((format!("target.{key}"), number))
}

/// Reads a number of bytes as a person writes it: `800MB`, `8GB`, `8000000`.
///
/// # Errors
/// What can be written.
pub fn parse_bytes(text: &str) -> std::result::Result<usize, String> {
    let scale = |unit: &str| match unit.strip_suffix(['B', 'b']).unwrap_or(unit) {
        "" => Some(1.0),
        "k" | "K" => Some(1e3),
        "M" => Some(1e6),
        "G" => Some(1e9),
        _ => None,
    };
    let bytes = number_and_unit(text).and_then(|(number, unit)| Some(number * scale(unit)?));
    bytes
        .map(|bytes| bytes.round() as usize)
        .ok_or_else(|| "write a number of bytes such as 800MB or 8GB".into())
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
    fn people_write_bytes() {
        for (text, bytes) in [("800MB", 800_000_000), ("1.5 GB", 1_500_000_000), ("20k", 20_000), ("7", 7)] {
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
        assert!(["", "GB", "-5", "5 TB", "x"].into_iter().all(|text| parse_bytes(text).is_err()));
    }

    #[test]
    fn contradictions_are_refused() {
        let none = TargetSettings::default;
        for (target, start) in [
            (
                TargetSettings { sparsity: Some(0.9), nnz: Some(10), ..none() },
                "target.nnz: contradicts target.sparsity",
            ),
            (
                TargetSettings { bytes: Some(9), flops: Some(10), ..none() },
                "target.flops: contradicts target.bytes",
            ),
            (
                TargetSettings { sparsity: Some(98.0), ..none() },
                "target.sparsity: 98 is not a fraction from 0 to below 1; for 98 % write 0.98",
            ),
            (TargetSettings { sparsity: Some(-0.1), ..none() }, "target.sparsity: -0.1"),
            (TargetSettings { sparsity: Some(f64::NAN), ..none() }, "target.sparsity: NaN"),
            (TargetSettings { nnz: Some(0), ..none() }, "target.nnz: 0 leaves no network"),
        ] {
            let error = target.check().unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        none().check().unwrap();
        assert!(!none().is_set());
    }
}
