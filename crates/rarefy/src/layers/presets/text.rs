//! Networks for text.

use super::parts::{dropout, head};
use crate::kernels::Activation::Relu;
use crate::layers::LayerSpec;
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
            "is for a number for each word, and the samples are {inputs}: make features of the text by data.text, or take text-cnn or text-gru"
        ));
    }
    let hidden = [Some(LayerSpec::linear(width, Relu)), dropout(rate)];
    let hidden = (0..depth).flat_map(|_| hidden.clone()).flatten();
    Ok(hidden.chain([head()]).collect())
}
