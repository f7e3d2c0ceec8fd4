//! Transformers for text: blocks of attention and of a layer at each step, each normalised at its start and added to what came
//! before (Vaswani et al. 2017; norms in front as in Xiong et al. 2020).
//!
//! ```text
//! block   x + dropout(attention(norm(x)))      x + dropout(linear width(gelu(linear 4 width(norm(x)))))
//! ```

use super::parts::{dropout, head};
use crate::kernels::Activation::{Gelu, Identity};
use crate::layers::{AttentionSpec, LayerSpec, Positions};

/// Channels of a head, where the width divides so.
const HEAD: usize = 32;

/// For documents (Devlin et al. 2019, BERT, trained from the start and with the norms in front): positions are learned, and begin
/// at zero, so that they do not drown tokens that are seldom seen.
///
/// ```text
/// embedding width, learned positions, dropout                     width 128
/// block with layer-norm    for each of depth (2)
/// layer-norm, global-average-pool, dropout, linear
/// ```
pub(super) fn transformer_classifier(width: usize, depth: usize, rate: f32) -> Vec<LayerSpec> {
    let norm = || LayerSpec::layer_norm();
    let attention = AttentionSpec::new(heads(width));
    let positions = LayerSpec::positional_encoding(Positions::Learned);
    let mut layers = vec![LayerSpec::embedding(width), positions];
    layers.extend(dropout(rate));
    layers.extend((0..depth).flat_map(|_| block(norm(), &attention, width, rate)));
    layers.extend([norm(), LayerSpec::global_average_pool()]);
    layers.extend(dropout(rate));
    layers.push(head());
    layers
}

/// For language models, of characters above all, each step predicting the token after it (Al-Rfou et al. 2019; Radford et al. 2019,
/// GPT-2), as Touvron et al. 2023 (LLaMA) norm and place: RMS norms, which have half the numbers and one sum less and are as good
/// (Zhang and Sennrich 2019), and rotary positions, which are relative, so that text that slides through the context looks the
/// same, and cost no numbers. The feed-forward layer keeps GELU.
///
/// ```text
/// embedding width, dropout                                        width 128
/// block with rms-norm, attention causal and rotary    for each of depth (4)
/// rms-norm, linear at each step
/// ```
pub(super) fn char_transformer(width: usize, depth: usize, rate: f32) -> Vec<LayerSpec> {
    let norm = || LayerSpec::rms_norm();
    let attention = AttentionSpec { heads: heads(width), causal: true, rotary: true };
    let mut layers = vec![LayerSpec::embedding(width)];
    layers.extend(dropout(rate));
    layers.extend((0..depth).flat_map(|_| block(norm(), &attention, width, rate)));
    layers.extend([norm(), head()]);
    layers
}

fn block(norm: LayerSpec, attention: &AttentionSpec, width: usize, rate: f32) -> [LayerSpec; 2] {
    let residual = |inner: Vec<LayerSpec>| {
        let body = std::iter::once(norm.clone()).chain(inner).chain(dropout(rate)).collect();
        LayerSpec::residual(body)
    };
    [
        residual(vec![LayerSpec::Attention(attention.clone())]),
        residual(vec![LayerSpec::linear(4 * width, Gelu), LayerSpec::linear(width, Identity)]),
    ]
}

/// As many heads as have [`HEAD`] channels, or the next smaller number that cuts the channels alike.
fn heads(width: usize) -> usize {
    (1..=width / HEAD).rev().find(|&heads| width.is_multiple_of(heads)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::heads;

    #[test]
    fn heads_cut_the_channels_alike() {
        for (width, expected) in [(1, 1), (31, 1), (64, 2), (100, 2), (128, 4), (97, 1), (384, 12)] {
            assert_eq!(heads(width), expected, "{width}");
        }
    }
}
