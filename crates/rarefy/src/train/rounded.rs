//! The copy of the weights that the products of a step read, where these are of fewer bits than the weights themselves: a step's passes
//! find it in the network's place of them, and the optimizer finds the weights again.

use crate::kernels::Isa;
use crate::layers::{Network, Precision};

/// Room for the values of each weight, rounded; while these are in the network, the values as they are trained.
#[derive(Default)]
pub(super) struct Rounded(Vec<Vec<f32>>);

impl Rounded {
    /// Puts rounded weights into the network, if its products read such.
    pub(super) fn swap_in(&mut self, network: &mut Network, isa: Isa) {
        let precision = network.precision();
        if precision == Precision::F32 {
            return;
        }
        self.0.resize_with(network.weights().count(), Vec::new);
        let weights = network.parameters_mut().filter(|parameter| parameter.is_weight());
        for (weight, values) in weights.zip(&mut self.0) {
            values.clear();
            values.extend_from_slice(weight.weights.values());
            precision.round(isa, values);
            weight.weights.swap_values(values);
        }
    }

    /// Puts the weights back as they are trained.
    pub(super) fn swap_out(&mut self, network: &mut Network) {
        let weights = network.parameters_mut().filter(|parameter| parameter.is_weight());
        weights.zip(&mut self.0).for_each(|(weight, values)| weight.weights.swap_values(values));
    }

    /// Bytes of them.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|values| size_of_val(&values[..])).sum()
    }
}
