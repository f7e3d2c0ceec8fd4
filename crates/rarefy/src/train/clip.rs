//! What bounds the gradients of a step.

use crate::layers::Gradient;
use crate::optimizers::clip;

/// The bounds of a step's gradients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clip {
    /// The largest joint norm of all.
    pub(super) norm: Option<f32>,
    /// The largest magnitude of one.
    pub(super) value: Option<f32>,
}

impl Clip {
    /// Clips gradients, which are to be multiplied by `scale`; returns what they are then to be multiplied by: the pass over all of them
    /// is left to the optimizer where none is made here.
    pub(super) fn apply(self, gradients: &mut [Gradient], mut scale: f32) -> f32 {
        if let Some(limit) = self.value {
            for gradient in &mut *gradients {
                gradient.change(|number| {
                    *number *= scale;
                    clip::clip_values(std::slice::from_mut(number), limit);
                });
            }
            scale = 1.0;
        }
        if let Some(limit) = self.norm {
            let square_of = |gradient: &Gradient| match gradient.touched {
                None => clip::squared_norm(&gradient.values),
                Some(_) => gradient.numbers().map(|number| f64::from(number).powi(2)).sum(),
            };
            let square: f64 = gradients.iter().map(square_of).sum();
            scale *= clip::norm_scale(square * f64::from(scale).powi(2), limit);
        }
        scale
    }
}
