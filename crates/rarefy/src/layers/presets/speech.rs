//! Networks for speech: sequences of features (log-mel, MFCC) of short recordings, each of which is one word.

use super::parts::{conv1d, dropout, head, over_time_norm, sequence};
use crate::kernels::Activation::{Identity, Relu};
use crate::layers::{Conv1dSpec, LayerSpec, ResidualSpec};
use crate::tiles::Shape;

/// Depthwise-separable convolutions over time, features being channels, with a way past each block (Majumdar and Ginsburg
/// 2020, MatchboxNet; the separable convolution as in Zhang, Suda, Lai and Chandra 2017, section 3.6).
///
/// ```text
/// conv1d width (64) of 11 steps, every second step, batch-norm relu
/// residual (conv1d 11 of each channel, conv1d width 1 batch-norm) relu    for each of depth (3)
/// conv1d 2 width 1 batch-norm relu
/// global-average-pool, dropout, linear
/// ```
pub(super) fn kws_cnn(
    width: usize,
    depth: usize,
    rate: f32,
    inputs: Shape,
) -> Result<Vec<LayerSpec>, String> {
    sequence(inputs)?;
    let mut layers = over_time_norm(width, 11, 2, Relu).to_vec();
    for _ in 0..depth {
        let each = Conv1dSpec { groups: width, bias: false, ..conv1d(width, 11, Identity) };
        let body = [&[LayerSpec::Conv1d(each)][..], &over_time_norm(width, 1, 1, Identity)].concat();
        layers.push(LayerSpec::Residual(ResidualSpec { body, shortcut: Vec::new(), activation: Relu }));
    }
    layers.extend(over_time_norm(2 * width, 1, 1, Relu));
    layers.push(LayerSpec::global_average_pool());
    layers.extend(dropout(rate));
    layers.push(head());
    Ok(layers)
}

/// Recurrent layers over the steps (Zhang, Suda, Lai and Chandra 2017, "Hello Edge", section 3.4), whose outputs are
/// averaged over the steps that are there instead of the last one's being taken.
///
/// ```text
/// lstm width, dropout    for each of depth (2)            width 128
/// global-average-pool, linear
/// ```
pub(super) fn kws_lstm(
    width: usize,
    depth: usize,
    rate: f32,
    inputs: Shape,
) -> Result<Vec<LayerSpec>, String> {
    sequence(inputs)?;
    let layers = (0..depth).flat_map(|_| [Some(LayerSpec::lstm(width)), dropout(rate)]).flatten();
    Ok(layers.chain([LayerSpec::global_average_pool(), head()]).collect())
}
