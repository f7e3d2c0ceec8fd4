//! Whether a network leaves enough steps of each recording to tell what is said in it.

use crate::data::{self, Dataset, Preparation, Targets};
use crate::layers::Network;
use crate::{Error, Result};

/// Checks that each sequence of labels fits into the steps that the network makes of its sample, of which `lost` may be cut
/// off; there is nothing to check for other targets.
///
/// # Errors
/// Tells the text that does not fit.
pub fn check_transcripts(
    network: &Network,
    preparation: &Preparation,
    dataset: &Dataset,
    lost: usize,
) -> Result<()> {
    let Targets::Sequences { labels, offsets, .. } = &dataset.targets else { return Ok(()) };
    for (sample, ends) in offsets.windows(2).enumerate() {
        let labels = &labels[ends[0]..ends[1]];
        let frames = dataset.lengths.get(sample).map_or(dataset.shape.width, |&steps| steps as usize);
        let steps = network.steps(frames.saturating_sub(lost).max(1) as u32);
        let fewest = data::fewest_steps(labels);
        if fewest > steps as usize {
            let text = preparation.text_of(labels.iter().copied());
            let cut = match lost {
                0 => String::new(),
                _ => format!(" of which data.augment.time_shift may cut {lost} off,"),
            };
            let problem = format!(
                "makes {steps} steps of the {frames} frames of the recording of {text:?},{cut} and that takes {fewest} at least: take smaller strides, or a smaller data.audio.hop_ms"
            );
            return Err(Error::setting("network", problem));
        }
    }
    Ok(())
}
