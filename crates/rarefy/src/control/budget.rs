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
    /// Rows of a block, which has one place in the index; 1 for connections one by one.
    pub block: usize,
}

impl LayerCost {
    /// Cells.
    pub fn cells(&self) -> usize {
        self.rows * self.cols
    }

    /// Bytes on disk: of biases, and of the connections with their index.
    pub fn bytes(&self) -> usize {
        let lines = self.rows / self.block;
        let height = usize::from(self.block > 1);
        4 * (self.rows + self.nnz + self.nnz / self.block + lines + 1 + height)
    }
}

/// What a network's cost is counted in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    /// Live weights.
    Weights,
    /// Bytes on disk, of which `fixed` go to what no weight can save (names, shapes).
    Bytes { fixed: f64 },
    /// Floating-point operations of a prediction.
    Flops,
}

impl Unit {
    fn cost(self, layers: &[LayerCost]) -> f64 {
        let sum = |each: &dyn Fn(&LayerCost) -> f64| layers.iter().map(each).sum::<f64>();
        match self {
            Unit::Weights => sum(&|layer| layer.nnz as f64),
            Unit::Flops => sum(&|layer| 2.0 * (layer.nnz * layer.uses) as f64),
            Unit::Bytes { fixed } => {
                fixed
                    + sum(&|layer| {
                        // A full matrix is stored without an index, unless it is in blocks.
                        let is_full = layer.nnz == layer.cells() && layer.block == 1;
                        (if is_full { 4 * (layer.nnz + layer.rows) } else { layer.bytes() }) as f64
                    })
            }
        }
    }

    /// A cost for people.
    fn text(self, cost: f64) -> String {
        let unit = match self {
            Unit::Weights => "weights",
            Unit::Bytes { .. } => "bytes",
            Unit::Flops => "FLOP a prediction",
        };
        format!("{cost:.0} {unit}")
    }
}

/// At most so much of something.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bound {
    /// The key of `[target]` that asks for it.
    key: &'static str,
    unit: Unit,
    limit: f64,
}

impl Bound {
    /// # Errors
    /// If not even one connection per output of each layer fits, or more is allowed than the network has.
    fn check(&self, whole: &[LayerCost]) -> Result<()> {
        let Bound { key, unit, limit } = *self;
        let thin: Vec<LayerCost> =
            whole.iter().map(|layer| LayerCost { nnz: layer.rows, ..*layer }).collect();
        let least = unit.cost(&thin);
        if limit < least {
            let problem = format!(
                "cannot be reached: one weight for each output of each layer already makes {}; ask for less sparsity or a smaller network",
                unit.text(least)
            );
            return Err(Error::setting(format!("target.{key}"), problem));
        }
        let most = unit.cost(whole);
        if limit > most.max(cells(whole)) {
            let problem = format!("is more than the whole network has: {}", unit.text(most));
            return Err(Error::setting(format!("target.{key}"), problem));
        }
        Ok(())
    }
}

/// Limits on the cost of a network, all of which hold. Costs in several units compare as shares of their limits, so what
/// counts is the largest share.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    bounds: Vec<Bound>,
}

impl Budget {
    /// The budget that a target asks for on these layers, given with all their connections; `None` without a target.
    /// `fixed_bytes` of a file go to what no weight can save.
    ///
    /// # Errors
    /// [`Error::Setting`] if not even one connection per output of each layer fits in it, or it is above what the
    /// network has.
    pub fn new(target: &TargetSettings, whole: &[LayerCost], fixed_bytes: usize) -> Result<Option<Budget>> {
        target.check()?;
        let bytes = Unit::Bytes { fixed: fixed_bytes as f64 };
        let bounds: Vec<Bound> = [
            ("sparsity", Unit::Weights, target.sparsity.map(|sparsity| (1.0 - sparsity) * cells(whole))),
            ("nnz", Unit::Weights, target.nnz.map(|nnz| nnz as f64)),
            ("bytes", bytes, target.bytes.map(|bytes| bytes as f64)),
            ("flops", Unit::Flops, target.flops.map(|flops| flops as f64)),
        ]
        .into_iter()
        .filter_map(|(key, unit, limit)| Some(Bound { key, unit, limit: limit? }))
        .collect();
        bounds.iter().try_for_each(|bound| bound.check(whole))?;
        Ok((!bounds.is_empty()).then_some(Budget { bounds }))
    }

    /// How much of the budget layers use: the largest share of a limit. Above 1 is too much.
    pub fn used(&self, layers: &[LayerCost]) -> f64 {
        self.bounds.iter().map(|bound| bound.unit.cost(layers) / bound.limit).fold(0.0, f64::max)
    }

    /// The limit of bytes, if there is one.
    pub fn bytes(&self) -> Option<f64> {
        let bound = self.bounds.iter().find(|bound| matches!(bound.unit, Unit::Bytes { .. }))?;
        Some(bound.limit)
    }

    /// Lets the bytes know that a file of these layers has so many: how long its header is depends on the digits in it.
    pub fn correct_bytes(&mut self, layers: &[LayerCost], bytes: f64) {
        for bound in &mut self.bounds {
            let more = bytes - bound.unit.cost(layers);
            if let Unit::Bytes { fixed } = &mut bound.unit {
                *fixed += more;
            }
        }
    }

    /// The limits with their units, for people.
    pub fn text(&self) -> String {
        let limits: Vec<String> = self.bounds.iter().map(|bound| bound.unit.text(bound.limit)).collect();
        limits.join(" and ")
    }

    /// What layers cost in each unit, for people.
    pub fn cost_text(&self, layers: &[LayerCost]) -> String {
        let costs = self.bounds.iter().map(|bound| bound.unit.text(bound.unit.cost(layers)));
        costs.collect::<Vec<_>>().join(" and ")
    }

    /// The largest number from `low` to `high` whose layers, as `layers` tells, fit; `low` if none does. What they cost must
    /// not fall as the number grows.
    pub fn most_within(
        &self,
        low: usize,
        high: usize,
        layers: &mut dyn FnMut(usize) -> Vec<LayerCost>,
    ) -> usize {
        let (mut low, mut high) = (low, high);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.used(&layers(middle)) <= 1.0 { low = middle } else { high = middle - 1 }
        }
        low
    }
}

/// All cells.
fn cells(layers: &[LayerCost]) -> f64 {
    layers.iter().map(|layer| layer.cells() as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[LayerCost] = &[
        LayerCost { rows: 100, cols: 50, nnz: 5000, uses: 1, block: 1 },
        LayerCost { rows: 10, cols: 100, nnz: 1000, uses: 1, block: 1 },
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
            let used = budget(target).unwrap().unwrap().used(&layers);
            assert!((used - cost / limit).abs() < 1e-12, "{used}");
        }
        assert_eq!(budget(none()).unwrap(), None);
    }

    #[test]
    fn operations_count_at_each_position() {
        let budget = budget(TargetSettings { flops: Some(9000), ..Default::default() }).unwrap().unwrap();
        assert_eq!(budget.used(&[LayerCost { nnz: 250, uses: 16, ..WHOLE[0] }]), 8000.0 / 9000.0);
    }

    #[test]
    fn a_full_matrix_has_no_index() {
        let budget = budget(TargetSettings { bytes: Some(6000), ..Default::default() }).unwrap().unwrap();
        assert_eq!(budget.used(&[WHOLE[1]]), (500.0 + 4040.0) / 6000.0);
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
        let budget = budget(TargetSettings { nnz: Some(110), ..Default::default() }).unwrap().unwrap();
        let mut layers =
            |count: usize| vec![LayerCost { rows: 1, cols: 1, nnz: 3 * count, uses: 1, block: 1 }];
        assert_eq!(budget.most_within(0, 1000, &mut layers), 36);
        assert_eq!(budget.most_within(0, 20, &mut layers), 20);
    }

    /// 650 weights of 5,000 and 1,000 cells: 1,300 operations, and a file of 6,588 bytes.
    #[test]
    fn the_tightest_of_several_bounds_counts() {
        let layers = [LayerCost { nnz: 250, ..WHOLE[0] }, LayerCost { nnz: 400, ..WHOLE[1] }];
        for (nnz, bytes, flops, used) in [
            (Some(700), Some(6000), None, 6588.0 / 6000.0),
            (Some(600), Some(8000), Some(1400), 650.0 / 600.0),
            (Some(700), Some(8000), Some(1000), 1300.0 / 1000.0),
            (Some(700), Some(8000), Some(1400), 650.0 / 700.0),
        ] {
            let target = TargetSettings { nnz, bytes, flops, ..Default::default() };
            let budget = budget(target).unwrap().unwrap();
            assert!((budget.used(&layers) - used).abs() < 1e-12, "{budget:?}");
        }
        let target = TargetSettings { nnz: Some(700), bytes: Some(6000), ..Default::default() };
        let mut budget = budget(target).unwrap().unwrap();
        assert_eq!(budget.text(), "700 weights and 6000 bytes");
        assert_eq!(budget.cost_text(&layers), "650 weights and 6588 bytes");
        budget.correct_bytes(&layers, 6600.0);
        assert_eq!(
            (budget.cost_text(&layers).as_str(), budget.bytes()),
            ("650 weights and 6600 bytes", Some(6000.0))
        );
        let target = TargetSettings { nnz: Some(700), bytes: Some(1000), ..Default::default() };
        let error = Budget::new(&target, WHOLE, 500).unwrap_err().to_string();
        assert!(error.starts_with("target.bytes: cannot be reached"), "{error}");
    }
}
