//! How many neighbouring outputs share their inputs, as settings say it.

use serde::{Deserialize, Serialize};

use crate::sparse::{BLOCK_HEIGHTS, block_height};
use crate::{Error, Result};

/// The highest blocks that are chosen: on 784-1024-1024-10 blocks of 16 were no faster.
const MOST: usize = 8;
/// Different sets of inputs that a choice leaves a layer, or a gate or group of it.
const LEAST_LINES: usize = 32;

named! {
    /// A choice that is left to rarefy.
    pub enum Auto {
        /// What is known of a layer decides.
        Auto = "auto",
    }
}

/// Neighbouring outputs that have connections to the same inputs (`sparsity.block`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected 1, 2, 4, 8, 16 or \"auto\"")]
pub enum BlockHeight {
    /// So many, or the largest of 8, 4, 2 and 1 below that divides a layer's outputs.
    Of(usize),
    /// As many as leave a layer enough different sets of inputs ([`BlockHeight::in_layer`]).
    Chosen(Auto),
}

impl From<usize> for BlockHeight {
    fn from(outputs: usize) -> BlockHeight {
        BlockHeight::Of(outputs)
    }
}

impl BlockHeight {
    /// Whether connections may be in blocks at all.
    pub fn has_blocks(self) -> bool {
        self != BlockHeight::Of(1)
    }

    /// The rows of a block in a layer whose outputs are alike in runs of `alike` (all of them, the units of a gate, the filters of a
    /// group): a power of two that divides them. What is chosen is the largest up to 8 that leaves 32 blocks of a column in a run.
    pub fn in_layer(self, alike: usize) -> usize {
        let most = match self {
            BlockHeight::Of(most) => most,
            BlockHeight::Chosen(Auto::Auto) => (alike / LEAST_LINES).clamp(1, MOST),
        };
        block_height(most, alike)
    }

    pub(super) fn check(self) -> Result<()> {
        match self {
            BlockHeight::Of(height) if height != 1 && !BLOCK_HEIGHTS.contains(&height) => {
                let problem =
                    format!("must be 1, for connections one by one, 2, 4, 8, 16 or \"auto\", not {height}");
                Err(Error::setting("sparsity.block", problem))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_leaves_enough_sets_of_inputs() {
        let auto = BlockHeight::Chosen(Auto::Auto);
        for (alike, height) in [
            (1024, 8),
            (4096, 8),
            (256, 8),
            (255, 1),
            (250, 2),
            (300, 4),
            (128, 4),
            (64, 2),
            (63, 1),
            (10, 1),
        ] {
            assert_eq!(auto.in_layer(alike), height, "{alike}");
        }
        assert_eq!([1, 2, 16].map(|most| BlockHeight::Of(most).in_layer(24)), [1, 2, 8]);
    }
}
