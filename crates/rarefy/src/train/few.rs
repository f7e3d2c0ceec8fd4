//! An optimizer's step on few weights of many: those with a gradient, as a batch of bags of words gives to the weights of
//! its words. They are gathered, updated as any others, and put back, so that a step's work follows the batch and not the
//! width of the input.
//!
//! The other weights stay as they are: momentum does not move them on and decay does not shrink them until their feature is
//! seen again (the "lazy" updates of torch's `SparseAdam`). With a penalty, which acts on every weight, all are updated.

use crate::layers::Parameter;
use crate::optimizers::Sums;

/// Room for the gathered weights.
#[derive(Default)]
pub(super) struct Few {
    values: Vec<f32>,
    gradients: Vec<f32>,
    slots: Vec<Vec<f32>>,
}

impl Few {
    /// Runs `update(values, gradients, slots)` on the weights that the parameter lists as touched.
    pub(super) fn update(
        &mut self,
        parameter: &mut Parameter,
        slots: &mut [Vec<f32>],
        update: impl FnOnce(&mut [f32], &mut [f32], &mut [Vec<f32>]) -> Sums,
    ) -> Sums {
        let touched = parameter.touched.as_deref().expect("a parameter that lists what was touched");
        gather(touched, parameter.weights.values(), &mut self.values);
        gather(touched, &parameter.gradient, &mut self.gradients);
        self.slots.resize_with(slots.len(), Vec::new);
        for (from, to) in slots.iter().zip(&mut self.slots) {
            gather(touched, from, to);
        }
        let sums = update(&mut self.values, &mut self.gradients, &mut self.slots);
        scatter(touched, &self.values, parameter.weights.values_mut());
        for (from, to) in self.slots.iter().zip(slots) {
            scatter(touched, from, to);
        }
        sums
    }
}

fn gather(touched: &[u32], from: &[f32], to: &mut Vec<f32>) {
    to.clear();
    to.extend(touched.iter().map(|&slot| from[slot as usize]));
}

fn scatter(touched: &[u32], from: &[f32], to: &mut [f32]) {
    touched.iter().zip(from).for_each(|(&slot, &value)| to[slot as usize] = value);
}
