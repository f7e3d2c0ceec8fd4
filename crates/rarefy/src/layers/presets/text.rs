//! Networks for text: bags of words, and documents as tokens in order.

use super::parts::{conv1d, dropout, head};
use crate::kernels::Activation::Relu;
use crate::layers::{Conv1dSpec, GruSpec, Join, LayerSpec, Padding, ParallelSpec, Size};
use crate::tiles::Shape;

/// For documents as counts or weights of words, one feature each (TF-IDF, hashing): as Joulin et al. 2017 (fastText), with
/// a rectifier after the words' sum as in Iyyer et al. 2015, equation 3. An input costs its nonzeros only.
///
/// ```text
/// linear width relu, dropout    for each of depth
/// linear
/// ```
pub(super) fn bag_of_words(
    width: usize,
    depth: usize,
    rate: f32,
    inputs: Shape,
) -> Result<Vec<LayerSpec>, String> {
    if inputs.positions() > 1 {
        return Err(format!(
            "is for a number for each word, and the samples are {inputs}: make features of the text by data.text, or take another network"
        ));
    }
    let hidden = [Some(LayerSpec::linear(width, Relu)), dropout(rate)];
    let hidden = (0..depth).flat_map(|_| hidden.clone()).flatten();
    Ok(hidden.chain([head()]).collect())
}

/// The runs of tokens that the filters of [`text_cnn`] look for.
const WINDOWS: [usize; 3] = [3, 4, 5];

/// The strongest answer anywhere in the document of filters for runs of 3, 4 and 5 tokens (Kim 2014, CNN-rand). A width of 100
/// is Kim's: vectors of 300 numbers, 100 filters for each length.
///
/// ```text
/// embedding 3 width                                               width 100
/// (conv1d width of 3 steps relu, global-max-pool), the same of 4, of 5: side by side
/// dropout, linear
/// ```
pub(super) fn text_cnn(width: usize, rate: f32, inputs: Shape) -> Result<Vec<LayerSpec>, String> {
    let longest = WINDOWS[WINDOWS.len() - 1];
    if inputs.width < longest {
        return Err(format!(
            "looks for runs of up to {longest} tokens, and the samples have {}: set data.text.tokens.context to {longest} or more",
            inputs.width
        ));
    }
    let branch = |steps| {
        let conv = Conv1dSpec { padding: Padding::By(Size::Square(0)), ..conv1d(width, steps, Relu) };
        vec![LayerSpec::Conv1d(conv), LayerSpec::global_max_pool()]
    };
    let branches = WINDOWS.map(branch).to_vec();
    let mut layers = vec![
        LayerSpec::embedding(WINDOWS.len() * width),
        LayerSpec::Parallel(ParallelSpec { branches, join: Join::Concat }),
    ];
    layers.extend(dropout(rate));
    layers.push(head());
    Ok(layers)
}

/// Recurrent layers that read from both ends, and the largest of their outputs over the steps that are there (Conneau et al.
/// 2017, section 3.2, "BiLSTM with max pooling", which they find better than the mean and the last step), with gated units.
///
/// ```text
/// embedding width                                                 width 128
/// gru width from both ends, dropout    for each of depth (1)
/// global-max-pool, linear
/// ```
pub(super) fn text_gru(width: usize, depth: usize, rate: f32) -> Vec<LayerSpec> {
    let gru = LayerSpec::Gru(GruSpec { hidden: width, bidirectional: true, carry: false });
    let recurrent = (0..depth).flat_map(|_| [Some(gru.clone()), dropout(rate)]).flatten();
    std::iter::once(LayerSpec::embedding(width))
        .chain(recurrent)
        .chain([LayerSpec::global_max_pool(), head()])
        .collect()
}
