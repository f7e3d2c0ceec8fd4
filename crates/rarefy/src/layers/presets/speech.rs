//! Networks for speech: sequences of features (log-mel, MFCC) of short recordings, each of which is one word.

use super::parts::{dropout, head, lstm, mean, sequence};
use crate::layers::LayerSpec;
use crate::tiles::Shape;

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
    let layers = (0..depth).flat_map(|_| [Some(lstm(width)), dropout(rate)]).flatten();
    Ok(layers.chain([mean(), head()]).collect())
}
