//! What a network costs, in the unit of the target.

use super::TargetSettings;
use crate::{Error, Result};

/// A weight matrix with its bias, as far as their cost goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerCost {
    /// Output features; dead ones do not count where they will be removed.
    pub rows: usize,
    /// Input features, likewise.
    pub cols: usize,
    /// Live connections.
    pub nnz: usize,
    /// How often a prediction uses each connection.
    pub uses: usize,
}

impl LayerCost {
    /// Cells.
    pub fn cells(&self) -> usize {
        self.rows * self.cols
    }
}

/// A limit on the cost of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// So many live weights.
    Weights(f64),
    /// So many bytes on disk, of which `fixed` go to what no weight can save (names, shapes).
    Bytes {
        /// The limit.
        limit: f64,
        /// Bytes besides weights and biases.
        fixed: f64,
    },
    /// So many floating-point operations of a prediction.
    Flops(f64),
}

impl Budget {
    /// The budget that a target asks for on these layers, given with all their connections; `None` without a target.
    /// `fixed_bytes` is as in [`Budget::Bytes`].
    ///
    /// # Errors
    /// [`Error::Setting`] if not even one connection per output of each layer fits in it, or it is above what the
    /// network has.
    pub fn new(target: &TargetSettings, whole: &[LayerCost], fixed_bytes: usize) -> Result<Option<Budget>> {
        target.check()?;
        let cells: f64 = whole.iter().map(|layer| layer.cells() as f64).sum();
        let (key, budget) = match target {
            TargetSettings { sparsity: Some(sparsity), .. } => {
                ("sparsity", Budget::Weights((1.0 - sparsity) * cells))
            }
            TargetSettings { nnz: Some(nnz), .. } => ("nnz", Budget::Weights(*nnz as f64)),
            TargetSettings { bytes: Some(bytes), .. } => {
                ("bytes", Budget::Bytes { limit: *bytes as f64, fixed: fixed_bytes as f64 })
            }
            TargetSettings { flops: Some(flops), .. } => ("flops", Budget::Flops(*flops as f64)),
            _ => return Ok(None),
        };
        let thin: Vec<LayerCost> =
            whole.iter().map(|layer| LayerCost { nnz: layer.rows, ..*layer }).collect();
        let least = budget.cost(&thin);
        if budget.limit() < least {
            return Err(Error::setting(
                format!("target.{key}"),
                format!(
                    "cannot be reached: one weight for each output of each layer already makes {}; ask for less sparsity or a smaller network",
                    budget.describe(least)
                ),
            ));
        }
        let most = budget.cost(whole);
        if budget.limit() > most.max(cells) {
            return Err(Error::setting(
                format!("target.{key}"),
                format!("is more than the whole network has: {}", budget.describe(most)),
            ));
        }
        Ok(Some(budget))
    }

    /// What layers cost.
    pub fn cost(&self, layers: &[LayerCost]) -> f64 {
        let sum = |each: &dyn Fn(&LayerCost) -> f64| layers.iter().map(each).sum::<f64>();
        match *self {
            Budget::Weights(_) => sum(&|layer| layer.nnz as f64),
            Budget::Flops(_) => sum(&|layer| 2.0 * (layer.nnz * layer.uses) as f64),
            Budget::Bytes { fixed, .. } => {
                fixed
                    + sum(&|layer| {
                        // A full matrix is stored without an index.
                        let is_full = layer.nnz == layer.rows * layer.cols;
                        let bytes =
                            if is_full { 4 * layer.nnz } else { 8 * layer.nnz + 4 * (layer.rows + 1) };
                        (bytes + 4 * layer.rows) as f64
                    })
            }
        }
    }

    /// Adds to the bytes besides weights and biases.
    pub fn correct(&mut self, more: f64) {
        if let Budget::Bytes { fixed, .. } = self {
            *fixed += more;
        }
    }

    /// The limit, in the same unit.
    pub fn limit(&self) -> f64 {
        match *self {
            Budget::Weights(limit) | Budget::Bytes { limit, .. } | Budget::Flops(limit) => limit,
        }
    }

    /// A cost with its unit, for people.
    pub fn describe(&self, cost: f64) -> String {
        let unit = match self {
            Budget::Weights(_) => "weights",
            Budget::Bytes { .. } => "bytes",
            Budget::Flops(_) => "FLOP a prediction",
        };
        format!("{cost:.0} {unit}")
    }

    /// The largest number from `low` to `high` whose layers, as `layers` tells, cost no more than `limit`. The cost
    /// must not fall as the number grows.
    pub fn most_within(
        &self,
        limit: f64,
        low: usize,
        high: usize,
        layers: &mut dyn FnMut(usize) -> Vec<LayerCost>,
    ) -> usize {
        let (mut low, mut high) = (low, high);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.cost(&layers(middle)) <= limit { low = middle } else { high = middle - 1 }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[LayerCost] = &[
        LayerCost { rows: 100, cols: 50, nnz: 5000, uses: 1 },
        LayerCost { rows: 10, cols: 100, nnz: 1000, uses: 1 },
    ];

    fn budget(target: TargetSettings) -> Result<Option<Budget>> {
        Budget::new(&target, WHOLE, 500)
    }

    #[test]
    fn each_unit_counts_its_own() {
        let layers = [LayerCost { nnz: 250, ..WHOLE[0] }, LayerCost { nnz: 400, ..WHOLE[1] }];
        let none = TargetSettings::default;
        for (target, limit, cost) in [
            (TargetSettings { sparsity: Some(0.9), ..none() }, 600.0, 650.0),
            (TargetSettings { nnz: Some(700), ..none() }, 700.0, 650.0),
            (TargetSettings { flops: Some(800), ..none() }, 800.0, 1300.0),
            (TargetSettings { bytes: Some(6000), ..none() }, 6000.0, 500.0 + 8.0 * 650.0 + 804.0 + 84.0),
        ] {
            let budget = budget(target).unwrap().unwrap();
            assert!((budget.limit() - limit).abs() < 1e-9 && (budget.cost(&layers) - cost).abs() < 1e-9);
        }
        assert_eq!(budget(none()).unwrap(), None);
    }

    #[test]
    fn operations_count_at_each_position() {
        let budget = budget(TargetSettings { flops: Some(9000), ..Default::default() }).unwrap().unwrap();
        assert_eq!(budget.cost(&[LayerCost { nnz: 250, uses: 16, ..WHOLE[0] }]), 8000.0);
    }

    #[test]
    fn a_full_matrix_has_no_index() {
        let budget = budget(TargetSettings { bytes: Some(6000), ..Default::default() }).unwrap().unwrap();
        assert_eq!(budget.cost(&[WHOLE[1]]), 500.0 + 4040.0);
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        let none = TargetSettings::default;
        for target in [
            TargetSettings { sparsity: Some(0.999), ..none() },
            TargetSettings { nnz: Some(109), ..none() },
            TargetSettings { bytes: Some(1000), ..none() },
            TargetSettings { flops: Some(219), ..none() },
        ] {
            assert!(budget(target).unwrap_err().to_string().contains("cannot be reached"));
        }
        assert!(
            budget(TargetSettings { nnz: Some(6001), ..none() })
                .unwrap_err()
                .to_string()
                .contains("more than")
        );
        assert!(budget(TargetSettings { nnz: Some(110), ..none() }).is_ok());
    }

    #[test]
    fn bisection_finds_the_last_that_fits() {
        let budget = Budget::Weights(0.0);
        let mut layers = |count: usize| vec![LayerCost { rows: 1, cols: 1, nnz: 3 * count, uses: 1 }];
        assert_eq!(budget.most_within(100.0, 0, 1000, &mut layers), 33);
        assert_eq!(budget.most_within(100.0, 0, 20, &mut layers), 20);
    }
}
