//! The passes of a step over a batch: forward, loss, backward.

use super::Score;
use super::score::score_in;
use crate::data::Batch;
use crate::layers::{Buffers, Gradient, Network, Pass};
use crate::losses::{Lanes, Loss};

/// Computes the loss of a batch and the gradient of its sum by each parameter, in place of what `gradients` held; the loss comes
/// with memory to compute in.
pub(super) fn gradients(
    network: &Network,
    (gradients, buffers): (&mut [Gradient], &mut Buffers),
    (loss, workspace): (&Loss, &mut Vec<Lanes>),
    pass: &Pass,
    batch: &Batch,
) -> Score {
    buffers.resize_after(pass.earlier(), batch.samples);
    network.forward(pass, &batch.input, buffers);
    let (output, gradient) = buffers.output_and_gradient();
    let score = score_in(workspace, loss, pass.isa, output, batch, Some(gradient));
    network.backward(pass, &batch.input, gradients, buffers);
    score
}
