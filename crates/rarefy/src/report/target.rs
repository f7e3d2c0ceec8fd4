//! Whether a network ended as it was asked to.

use serde::Serialize;

use super::figures::Figures;
use super::numbers::bytes;
use crate::control::TargetSettings;

/// The rounding of a share.
const ROUNDING: f64 = 1e-9;

/// Whether a network ended as it was asked to. A target is a budget: at most so many connections, bytes or operations, or at
/// least so sparse.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Target {
    /// `sparsity`, `nnz`, `bytes` or `flops`.
    pub key: &'static str,
    /// What was asked for.
    pub asked: f64,
    /// What the kept model has.
    pub reached: f64,
    /// Whether it is within what was asked for.
    pub held: bool,
}

impl Target {
    /// The verdicts on a model of these figures, one for each bound that was asked for.
    pub fn all(settings: &TargetSettings, figures: &Figures) -> Vec<Target> {
        let whole = |asked: Option<u64>| asked.map(|asked| asked as f64);
        let asked = [
            ("sparsity", settings.sparsity),
            ("nnz", whole(settings.nnz)),
            ("bytes", whole(settings.bytes)),
            ("flops", whole(settings.flops)),
        ];
        let asked = asked.into_iter().filter_map(|(key, asked)| Some((key, asked?)));
        asked.map(|(key, asked)| Target::of(key, asked, figures)).collect()
    }

    fn of(key: &'static str, asked: f64, figures: &Figures) -> Target {
        let reached = reached(key, figures);
        let held = match key {
            "sparsity" => reached >= asked - ROUNDING,
            _ => reached <= asked,
        };
        Target { key, asked, reached, held }
    }

    /// What another network has of what was asked for.
    pub fn of_other(&self, figures: &Figures) -> f64 {
        reached(self.key, figures)
    }

    /// A value of the target's kind for people.
    pub fn text(&self, value: f64) -> String {
        match self.key {
            "sparsity" => format!("{:.2} %", 100.0 * value),
            "bytes" => bytes(value as usize),
            _ => format!("{value:.0}"),
        }
    }
}

fn reached(key: &str, figures: &Figures) -> f64 {
    match key {
        "sparsity" => figures.sparsity,
        "nnz" => figures.nnz as f64,
        "bytes" => figures.model_bytes as f64,
        _ => figures.flops as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_bound() {
        let none = TargetSettings::default;
        for (settings, sparsity, nnz, held) in [
            (TargetSettings { sparsity: Some(0.98), ..none() }, 0.98, 0, true),
            (TargetSettings { sparsity: Some(0.98), ..none() }, 0.9799, 0, false),
            (TargetSettings { sparsity: Some(0.98), ..none() }, 0.99, 0, true),
            (TargetSettings { nnz: Some(1000), ..none() }, 0.9, 1000, true),
            (TargetSettings { nnz: Some(1000), ..none() }, 0.9, 1001, false),
            (TargetSettings { nnz: Some(1000), ..none() }, 0.9, 10, true),
            (TargetSettings { flops: Some(2000), ..none() }, 0.9, 1001, false),
            (TargetSettings { bytes: Some(8000), ..none() }, 0.9, 1000, true),
            (TargetSettings { bytes: Some(8000), ..none() }, 0.9, 1001, false),
        ] {
            let figures =
                Figures { sparsity, nnz, flops: 2 * nnz, model_bytes: 8 * nnz, ..Figures::default() };
            let targets = Target::all(&settings, &figures);
            assert!(matches!(targets[..], [Target { held: found, .. }] if found == held), "{targets:?}");
        }
        assert_eq!(Target::all(&none(), &Figures::default()), []);
        let several = TargetSettings { sparsity: Some(0.9), bytes: Some(8000), flops: Some(10), ..none() };
        let figures = Figures { sparsity: 0.95, model_bytes: 7000, flops: 12, ..Figures::default() };
        let verdicts = Target::all(&several, &figures).into_iter().map(|it| (it.key, it.held));
        assert!(verdicts.eq([("sparsity", true), ("bytes", true), ("flops", false)]));
    }
}
