//! A loss that a user of the library writes.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use super::{Head, Lanes, TargetTile};
use crate::tiles::Row;

/// A loss of a user's own, for [`Loss::Custom`](super::Loss::Custom). Weights of samples and lanes that do not count are
/// [`Loss::tile`](super::Loss::tile)'s affair.
///
/// # Example
/// The mean of `ln cosh(p - t)` over samples and outputs:
/// ```
/// use rarefy::losses::{CustomLoss, Head, Lanes, Loss, LossFunction, TargetTile};
/// use rarefy::tiles::{LANES, Row};
///
/// struct LogCosh;
///
/// impl LossFunction for LogCosh {
///     fn lanes(&self, output: &[Row], targets: TargetTile<'_>, mut gradient: Option<&mut [Row]>) -> Lanes {
///         let TargetTile::Values(targets) = targets else { panic!("this loss is for numbers") };
///         let mut sums = [0.0; LANES];
///         for (feature, (row, target)) in output.iter().zip(targets).enumerate() {
///             for lane in 0..LANES {
///                 let error = row.0[lane] - target.0[lane];
///                 sums[lane] += f64::from(error.cosh().ln());
///                 if let Some(gradient) = &mut gradient {
///                     gradient[feature].0[lane] = error.tanh();
///                 }
///             }
///         }
///         sums
///     }
///
///     fn normaliser(&self, weight: f64, outputs: usize) -> f64 {
///         weight * outputs as f64
///     }
/// }
///
/// let loss = Loss::Custom(CustomLoss::new(LogCosh));
/// assert_eq!(loss.head(), Head::Identity);
/// assert_eq!(loss.normaliser(8.0, 3), 24.0);
/// ```
pub trait LossFunction: Send + Sync {
    /// The loss of each lane of a tile, all its outputs together, and where `gradient` is given its derivative by each output.
    /// `output` and `gradient` have a row for each output. What stands in dead lanes does not matter.
    fn lanes(&self, output: &[Row], targets: TargetTile<'_>, gradient: Option<&mut [Row]>) -> Lanes;

    /// What the sum over a batch is divided by; `weight` is the sum of the samples' weights, their number where there are
    /// none. It must be proportional to `weight`, or 1 for a loss that is a sum.
    fn normaliser(&self, weight: f64, outputs: usize) -> f64 {
        let _ = outputs;
        weight
    }

    /// How outputs become predictions: as they are, unless said otherwise.
    fn head(&self) -> Head {
        Head::Identity
    }
}

/// A [`LossFunction`] that [`Loss`](super::Loss) holds. Two are equal if they share the function.
#[derive(Clone)]
pub struct CustomLoss(Arc<dyn LossFunction>);

impl CustomLoss {
    /// Holds a loss.
    pub fn new(function: impl LossFunction + 'static) -> CustomLoss {
        CustomLoss(Arc::new(function))
    }

    pub(super) fn function(&self) -> &dyn LossFunction {
        &*self.0
    }
}

impl PartialEq for CustomLoss {
    fn eq(&self, other: &CustomLoss) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Debug for CustomLoss {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("CustomLoss")
    }
}
