//! What a network says for a sequence of labels (Graves et al. 2006, section 3.2): the best class of each step, equal ones
//! in a row taken once and blanks left out; and how far that is from what should be said.

use super::ctc::{Lanes, SequenceTile};
use crate::tiles::Row;

/// The labels, each from 1, that the first `steps` steps of a lane say; a step has `classes` rows. Of equal outputs the first
/// counts.
pub fn best_path(output: &[Row], classes: usize, lane: usize, steps: usize) -> impl Iterator<Item = u32> {
    let best = output.chunks_exact(classes).take(steps).map(move |rows| {
        (1..classes)
            .fold(0, |best, class| if rows[class].0[lane] > rows[best].0[lane] { class } else { best })
    });
    let mut before = 0;
    best.filter_map(move |class| {
        let is_new = class != 0 && class != before;
        before = class;
        is_new.then_some(class as u32)
    })
}

/// Labels that must be put in, left out or changed in what a lane of a tile says (Levenshtein 1966). `workspace` has a row for
/// each label of the longest sequence and one more.
pub fn edits(output: &[Row], tile: &SequenceTile<'_>, lane: usize, workspace: &mut [Lanes]) -> usize {
    let wanted = tile.of(lane);
    // workspace[j]: from what was said so far to the first j labels.
    (0..=wanted.len()).for_each(|j| workspace[j][lane] = j as f64);
    for said in best_path(output, tile.classes, lane, tile.steps[lane] as usize) {
        let mut diagonal = workspace[0][lane];
        workspace[0][lane] += 1.0;
        for (j, &label) in wanted.iter().enumerate() {
            let changed = diagonal + f64::from(u8::from(said != label));
            diagonal = workspace[j + 1][lane];
            workspace[j + 1][lane] = changed.min(diagonal + 1.0).min(workspace[j][lane] + 1.0);
        }
    }
    workspace[wanted.len()][lane] as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::LANES;

    #[test]
    fn what_is_said_and_how_far_it_is_from_what_should_be() {
        //     best classes          said          wanted    edits
        type Case = (&'static [usize], &'static [u32], &'static [u32], usize);
        let cases: [Case; 7] = [
            (&[0, 1, 1, 0, 2], &[1, 2], &[1, 2], 0),
            (&[1, 1, 0, 1, 2], &[1, 1, 2], &[1, 2], 1),
            (&[2, 2, 2, 2, 2], &[2], &[1, 2, 3], 2),
            (&[0, 0, 0, 0, 0], &[], &[3, 3], 2),
            (&[1, 2, 3, 1, 2], &[1, 2, 3, 1, 2], &[], 5),
            (&[3, 0, 1, 1, 3], &[3, 1, 3], &[1, 3, 1], 2),
            (&[1, 0, 2, 0, 3], &[1, 2, 3], &[1, 3, 3], 1),
        ];
        for (best, said, wanted, expected) in cases {
            let mut output = vec![Row::ZERO; 5 * 4];
            best.iter().enumerate().for_each(|(step, &class)| output[step * 4 + class].0[1] = 1.0);
            assert_eq!(best_path(&output, 4, 1, 5).collect::<Vec<_>>(), said);
            // Lane 0 should say nothing, and does: of equal outputs the first counts, and that is the blank.
            let tile = SequenceTile {
                labels: wanted,
                offsets: &[0, 0, wanted.len()],
                steps: &[5; LANES],
                classes: 4,
            };
            let mut room = vec![[7.0; LANES]; wanted.len() + 1];
            assert_eq!(edits(&output, &tile, 0, &mut room), 0);
            assert_eq!(edits(&output, &tile, 1, &mut room), expected, "{best:?} {wanted:?}");
        }
        let mut output = vec![Row::ZERO; 5 * 4];
        (0..5).for_each(|step| output[step * 4 + 1 + step % 3].0[0] = 1.0);
        assert_eq!(
            best_path(&output, 4, 0, 2).collect::<Vec<_>>(),
            [1, 2],
            "steps that are not there say nothing"
        );
    }
}
