//! Connectionist temporal classification, by the recursions that [`Loss::Ctc`](super::Loss::Ctc) shows: `a` goes forward over
//! the steps, `b` backward.
//!
//! A sample is a lane and steps beyond its own have no part in it. Logarithms are kept in `f64` and only their small
//! differences go through the functions of `f32`, so that errors do not grow with the steps.

use super::cross_entropy::{exp_sums, maxima};
use crate::math::{exp, ln};
use crate::tiles::{LANES, Row};

/// A row of numbers that a loss computes with, one for each lane.
pub type Lanes = [f64; LANES];

/// Nowhere: the logarithm of a probability of 0.
const NEVER: f64 = f64::NEG_INFINITY;

/// The sequences of labels of one tile.
#[derive(Debug, Clone, Copy)]
pub struct SequenceTile<'a> {
    /// The labels of all samples of the batch, one sample after the other: each from 1, 0 being the blank.
    pub labels: &'a [u32],
    /// For each live lane where its labels begin, and then where the last one's end.
    pub offsets: &'a [usize],
    /// How many steps of each lane are there.
    pub steps: &'a [u32; LANES],
    /// Outputs of a step: the labels there are and the blank.
    pub classes: usize,
}

impl<'a> SequenceTile<'a> {
    /// The labels of a live lane.
    pub fn of(&self, lane: usize) -> &'a [u32] {
        &self.labels[self.offsets[lane]..self.offsets[lane + 1]]
    }

    /// Live lanes.
    pub fn live(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Labels of the longest sequence.
    pub fn longest(&self) -> usize {
        self.offsets.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap_or(0)
    }
}

/// Rows to compute with, for a tile of so many steps with sequences of up to `longest` labels.
pub(super) fn workspace(steps: usize, longest: usize) -> usize {
    let states = 2 * longest + 1;
    // The norms of the steps and a for each; b; the class of each label, and whether it may follow the one before.
    steps * (1 + states) + states + 2 * longest
}

/// The loss of each lane, and its gradient. `room` has as many rows as [`workspace`] says, or more.
#[inline(always)]
pub(super) fn lanes(
    output: &[Row],
    tile: &SequenceTile<'_>,
    gradient: Option<&mut [Row]>,
    room: &mut [Lanes],
) -> Lanes {
    let (steps, longest) = (output.len() / tile.classes, tile.longest());
    let states = 2 * longest + 1;
    let (norms, room) = room.split_at_mut(steps);
    let (forward, room) = room.split_at_mut(steps * states);
    let (backward, room) = room.split_at_mut(states);
    let (labels, room) = room.split_at_mut(longest);
    let follows = &mut room[..longest];
    read_labels(tile, labels, follows);
    for (norm, output) in norms.iter_mut().zip(output.chunks_exact(tile.classes)) {
        let max = maxima(output);
        let sums = exp_sums(output, &max, |_, _| {});
        *norm = std::array::from_fn(|lane| f64::from(max.0[lane]) + f64::from(ln(sums.0[lane])));
    }
    let trellis = Trellis { output, tile, states, norms, labels, follows };
    trellis.forward(forward);
    let total: Lanes = std::array::from_fn(|lane| trellis.loss(forward, lane));
    let weights: Lanes = std::array::from_fn(|lane| 1.0 / trellis.length(lane).max(1) as f64);
    if let Some(gradient) = gradient {
        trellis.gradient(forward, backward, &total, &weights.map(|weight| weight as f32), gradient);
    }
    std::array::from_fn(|lane| total[lane] * weights[lane])
}

/// Writes the class of each label, and what it costs to follow on the label before without a blank: nothing, or never.
fn read_labels(tile: &SequenceTile<'_>, labels: &mut [Lanes], follows: &mut [Lanes]) {
    for place in 0..labels.len() {
        (labels[place], follows[place]) = ([0.0; LANES], [NEVER; LANES]);
        for lane in 0..tile.live() {
            let of_lane = tile.of(lane);
            let Some(&label) = of_lane.get(place) else { continue };
            labels[place][lane] = f64::from(label);
            if place > 0 && of_lane[place - 1] != label {
                follows[place][lane] = 0.0;
            }
        }
    }
}

/// The states at each step and the ways between them.
struct Trellis<'a> {
    output: &'a [Row],
    tile: &'a SequenceTile<'a>,
    states: usize,
    /// The logarithm of the sum of a step's exponentials.
    norms: &'a [Lanes],
    labels: &'a [Lanes],
    follows: &'a [Lanes],
}

impl Trellis<'_> {
    /// `ln y_t(l_s)`.
    #[inline(always)]
    fn told(&self, step: usize, state: usize) -> Lanes {
        let (output, norm) = (self.outputs(step), &self.norms[step]);
        match state % 2 {
            0 => std::array::from_fn(|lane| f64::from(output[0].0[lane]) - norm[lane]),
            _ => {
                let labels = &self.labels[state / 2];
                std::array::from_fn(|lane| f64::from(output[labels[lane] as usize].0[lane]) - norm[lane])
            }
        }
    }

    #[inline(always)]
    fn outputs(&self, step: usize) -> &[Row] {
        &self.output[step * self.tile.classes..][..self.tile.classes]
    }

    /// Labels of a lane; of a dead one none.
    fn length(&self, lane: usize) -> usize {
        if lane < self.tile.live() { self.tile.of(lane).len() } else { 0 }
    }

    /// Writes `a`, step by step.
    #[inline(always)]
    fn forward(&self, a: &mut [Lanes]) {
        let states = self.states;
        for step in 0..self.norms.len() {
            let (before, now) = a.split_at_mut(step * states);
            let before = &before[before.len() - if step > 0 { states } else { 0 }..];
            for state in 0..states {
                let told = self.told(step, state);
                now[state] = match (step, state) {
                    (0, 0 | 1) => told,
                    (0, _) => [NEVER; LANES],
                    _ => {
                        let can_skip = state % 2 == 1 && state > 1;
                        let skip = can_skip.then(|| (&before[state - 2], &self.follows[state / 2]));
                        after(&told, &before[state], state.checked_sub(1).map(|one| &before[one]), skip)
                    }
                };
            }
        }
    }

    /// A lane's negative log-likelihood, not divided by its labels.
    #[inline(always)]
    fn loss(&self, a: &[Lanes], lane: usize) -> f64 {
        let length = self.length(lane);
        let steps = if lane < self.tile.live() { self.tile.steps[lane] as usize } else { 0 };
        if steps == 0 {
            return if length == 0 { 0.0 } else { f64::INFINITY };
        }
        let last = &a[(steps - 1) * self.states..][..self.states];
        let in_label = if length > 0 { last[2 * length - 1][lane] } else { NEVER };
        -log_sum(last[2 * length][lane], in_label, NEVER)
    }

    /// Writes the gradient, going backward over the steps; `b` is memory for a step's states.
    #[inline(always)]
    fn gradient(
        &self,
        a: &[Lanes],
        b: &mut [Lanes],
        total: &Lanes,
        weights: &[f32; LANES],
        gradient: &mut [Row],
    ) {
        b.fill([NEVER; LANES]);
        for step in (0..self.norms.len()).rev() {
            let gradient = &mut gradient[step * self.tile.classes..][..self.tile.classes];
            for (slope, output) in gradient.iter_mut().zip(self.outputs(step)) {
                for lane in 0..LANES {
                    let share = exp((f64::from(output.0[lane]) - self.norms[step][lane]) as f32);
                    slope.0[lane] = weights[lane] * share;
                }
            }
            for state in 0..self.states {
                let told = self.told(step, state);
                let now = self.backward(step, state, &told, b);
                b[state] = now;
                let a = &a[step * self.states + state];
                for lane in 0..LANES {
                    let share = exp((a[lane] + now[lane] - told[lane] + total[lane]) as f32);
                    let class = if state % 2 == 1 { self.labels[state / 2][lane] as usize } else { 0 };
                    gradient[class].0[lane] -= weights[lane] * share;
                }
            }
            for slope in gradient {
                for lane in 0..LANES {
                    let is_there = step < self.tile.steps[lane] as usize;
                    slope.0[lane] = if is_there { slope.0[lane] } else { 0.0 };
                }
            }
        }
    }

    /// `b` of a state, from that of the step after it in `b`, of which this state and those after it still stand there.
    #[inline(always)]
    fn backward(&self, step: usize, state: usize, told: &Lanes, b: &[Lanes]) -> Lanes {
        let (one, two) = (b.get(state + 1), b.get(state + 2));
        let skip = two.filter(|_| state % 2 == 1).map(|two| (two, &self.follows[state / 2 + 1]));
        let mut now = after(told, &b[state], one, skip);
        // A lane begins at its own last step, in its last label or the blank after it.
        for lane in 0..self.tile.live() {
            let (steps, length) = (self.tile.steps[lane] as usize, self.length(lane));
            if step + 1 >= steps {
                let is_end = step + 1 == steps && (state == 2 * length || state + 1 == 2 * length);
                now[lane] = if is_end { told[lane] } else { NEVER };
            }
        }
        now
    }
}

/// `told` and the sum of the ways to it: from the same state, from one beside it, and from two away with what that costs.
#[inline(always)]
fn after(told: &Lanes, same: &Lanes, one: Option<&Lanes>, two: Option<(&Lanes, &Lanes)>) -> Lanes {
    const NOWHERE: Lanes = [NEVER; LANES];
    let one = one.unwrap_or(&NOWHERE);
    let (two, cost) = two.unwrap_or((&NOWHERE, &NOWHERE));
    std::array::from_fn(|lane| told[lane] + log_sum(same[lane], one[lane], two[lane] + cost[lane]))
}

/// `ln(e^a + e^b + e^c)`.
#[inline(always)]
fn log_sum(a: f64, b: f64, c: f64) -> f64 {
    let max = if a > b { a } else { b };
    let max = if c > max { c } else { max };
    let max = if max > NEVER { max } else { 0.0 };
    max + f64::from(ln(exp((a - max) as f32) + exp((b - max) as f32) + exp((c - max) as f32)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::{Expected, Loss, TargetTile, UNWEIGHTED};

    /// Outputs `2 sin(1.3 t + 0.7 k^2)` of four classes at each step, in all lanes.
    fn output(steps: usize) -> Vec<Row> {
        let at = |t: usize, k: usize| (2.0 * (1.3 * t as f64 + 0.7 * (k * k) as f64).sin()) as f32;
        (0..4 * steps).map(|row| Row([at(row / 4, row % 4); LANES])).collect()
    }

    /// The loss of a single sample, and the gradient of its outputs.
    fn loss(output: &[Row], labels: &[u32], real: usize) -> (f64, Vec<f32>) {
        let tile =
            SequenceTile { labels, offsets: &[0, labels.len()], steps: &[real as u32; LANES], classes: 4 };
        let mut gradient = vec![Row([9.0; LANES]); output.len()];
        let mut workspace = vec![[f64::NAN; LANES]; Loss::Ctc.workspace(output.len(), 4, labels.len())];
        let expected = Expected { targets: TargetTile::Sequences(tile), live: 1, weights: &UNWEIGHTED };
        let sum = Loss::Ctc.tile(output, expected, &mut gradient, &mut workspace);
        (sum, gradient.iter().map(|row| row.0[0]).collect())
    }

    #[test]
    fn losses_and_gradients_are_those_of_torch() {
        // torch.nn.functional.ctc_loss of torch 2, in f64; the gradient of the middle step's outputs.
        let cases: [(usize, &[u32], f64, [f64; 4]); 5] = [
            (5, &[1, 2], 0.945425409837195, [-0.183520079, -0.015781289, -0.011184962, 0.21048633]),
            (5, &[2, 2], 1.6961574253516525, [-0.250675289, 0.05636721, -0.016178251, 0.21048633]),
            (3, &[1, 2, 3], 2.0823538829643335, [0.113600656, 0.101917918, -0.330114501, 0.114595926]),
            (8, &[3, 1, 1, 2], 2.435831431445039, [-0.019786361, -0.053339201, 0.067734644, 0.005390918]),
            (
                40,
                &[1, 2, 3, 3, 2, 1, 1, 1],
                5.4169929614122685,
                [-0.035834624, 0.03940265, -0.006691423, 0.003123398],
            ),
        ];
        for (steps, labels, expected, slopes) in cases {
            let (found, gradient) = loss(&output(steps), labels, steps);
            assert!((found - expected).abs() < 1e-6, "{steps} {labels:?}: {found}, not {expected}");
            for (found, expected) in gradient[steps / 2 * 4..].iter().zip(slopes) {
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-6,
                    "{steps} {labels:?}: {found}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn steps_that_are_not_there_have_no_part_in_it() {
        let short = loss(&output(7), &[2, 1], 7);
        let (found, gradient) = loss(&output(12), &[2, 1], 7);
        assert_eq!(found, short.0);
        assert_eq!(gradient[..28], short.1);
        assert!(gradient[28..].iter().all(|&slope| slope == 0.0));
    }

    #[test]
    fn a_sequence_fits_into_its_fewest_steps_and_no_fewer() {
        // A blank stands between equal labels.
        for (labels, fewest) in [(&[][..], 0), (&[1, 2], 2), (&[2, 2], 3), (&[1, 1, 1, 3], 6usize)] {
            assert!(loss(&output(6), labels, fewest.max(1)).0.is_finite());
            if fewest > 1 {
                assert_eq!(loss(&output(6), labels, fewest - 1).0, f64::INFINITY);
            }
        }
    }

    #[test]
    fn a_long_recording_is_as_exact_as_a_short_one() {
        // All classes alike: each of C(T + L, T - L) ways has the probability K^-T.
        let (steps, labels) = (1000, (0..50).map(|i| 1 + i % 3).collect::<Vec<u32>>());
        let flat = vec![Row::ZERO; 4 * steps];
        let ways: f64 = (0..steps - 50).map(|i| ((steps + 50 - i) as f64 / (i + 1) as f64).ln()).sum();
        let expected = (steps as f64 * 4f64.ln() - ways) / 50.0;
        let found = loss(&flat, &labels, steps).0;
        assert!((found / expected - 1.0).abs() < 1e-7, "{found} {expected}");
    }
}
