//! One head of 16 samples of an attention: its matrices, in memory of its own, and what it computes with them.
//!
//! A product of two matrices is one of each lane ([`LaneMatrix`]). Of the probabilities only a few queries' ever exist: backward makes
//! them again from `ln sum_j exp(s[i, j])`, as FlashAttention does (Dao et al. 2022, section 3.1).

use std::ops::Range;

use crate::kernels::arch::fetch::fetch;
use crate::kernels::arch::lanes::{
    Arithmetic, COLUMNS, LaneMatrix, LaneSums, Lanes, NONE, OnLanes, ROWS, WIDTH, product,
};
use crate::math::{exp, ln};
use crate::tiles::{HALF, LANES, Row, Tiles};

/// Units that a tile is cut into.
pub(super) const GROUPS: usize = LANES / WIDTH;

/// Queries whose probabilities exist at a time.
const QUERIES: usize = 16;

/// The shape of scaled dot-product attention (Vaswani et al. 2017, eq. 1), and the angles that its queries and keys are turned by.
///
/// ```text
/// s[i, j] = q[i] . k[j] / sqrt(size)      p[i] = softmax(s[i])      o[i] = sum_j p[i, j] v[j]
/// ```
/// Queries, keys, values and outputs have `heads * size` channels at each of `steps` steps; each head attends for itself.
#[derive(Debug, Clone)]
pub struct Heads {
    pub(super) steps: usize,
    pub(super) heads: usize,
    pub(super) size: usize,
    is_causal: bool,
    /// Cosine and sine of each pair of channels at each step; empty unless positions are told by turning.
    angles: Vec<(f32, f32)>,
}

impl Heads {
    /// `heads` heads of `size` channels each over `steps` steps; if causal, a step sees none after it. With `rotary`,
    /// channels `2 i` and `2 i + 1` of queries and keys are turned by `step * 10000^(-2 i / size)` (Su et al. 2021, eq. 34).
    ///
    /// # Panics
    /// If an odd number of channels is to be turned, or there is more than can be counted.
    pub fn new(steps: usize, heads: usize, size: usize, is_causal: bool, rotary: bool) -> Heads {
        assert!(!rotary || size.is_multiple_of(2), "{size} channels are no pairs");
        // So that no product of these overflows where memory is measured by it.
        let numbers = 32.0 * (steps as f64 + 1.0) * heads.max(1) as f64 * (size as f64 + 1.0);
        assert!(numbers < usize::MAX as f64 / 2.0, "{heads} heads of {size} channels over {steps} steps");
        let pairs = if rotary { size / 2 } else { 0 };
        let angle = |step: usize, pair: usize| {
            let angle = step as f64 * 10_000f64.powf(-2.0 * pair as f64 / size as f64);
            (angle.cos() as f32, angle.sin() as f32)
        };
        let angles = (0..steps).flat_map(|step| (0..pairs).map(move |pair| angle(step, pair))).collect();
        Heads { steps, heads, size, is_causal, angles }
    }

    /// Features of the [`Tiles`] that [`attend`](crate::kernels::attend) works in.
    pub fn work_features(&self, training: bool) -> usize {
        self.heads
            * Part::ALL[..if training { 9 } else { 6 }].iter().map(|part| part.length(self)).sum::<usize>()
    }

    /// Rows of a matrix do not begin a power of two apart, which would crowd them into a part of the cache.
    pub(super) fn stride(&self) -> usize {
        self.size + 1
    }
}

/// What a unit's memory holds.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Queries,
    Keys,
    Values,
    /// Then their gradients.
    Outputs,
    /// `ln sum_j exp(s[i, j])`, then with it the sums of a query's probabilities times their gradients.
    Sums,
    Probabilities,
    ScoreGradients,
    KeyGradients,
    ValueGradients,
}

impl Part {
    /// The last three are for training.
    pub(super) const ALL: [Part; 9] = [
        Part::Queries,
        Part::Keys,
        Part::Values,
        Part::Outputs,
        Part::Sums,
        Part::Probabilities,
        Part::ScoreGradients,
        Part::KeyGradients,
        Part::ValueGradients,
    ];

    pub(super) fn length(self, heads: &Heads) -> usize {
        match self {
            Part::Sums => 2 * heads.steps,
            Part::Probabilities | Part::ScoreGradients => QUERIES * (heads.steps + 1),
            _ => heads.steps * heads.stride(),
        }
    }
}

/// Where steps stand: in folded tiles the later half of them has the later half of the lanes.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    /// Rows of tiles have so many steps.
    pub(super) count: usize,
    /// Samples of a tile have so many units.
    pub(super) groups: usize,
}

impl Steps {
    pub(super) fn of(heads: &Heads, work: &Tiles) -> Steps {
        let parts = if work.is_folded() { 2 } else { 1 };
        Steps { count: heads.steps / parts, groups: GROUPS / parts }
    }

    /// Among the rows, and the first lane.
    #[inline(always)]
    pub(super) fn place(self, step: usize) -> (usize, usize) {
        (step % self.count, step / self.count * HALF)
    }
}

/// A head of 16 samples.
pub(super) struct Unit<'a> {
    pub(super) heads: &'a Heads,
    /// Steps of each sample that are there, and the most of any.
    pub(super) lengths: [f32; WIDTH],
    pub(super) longest: usize,
    pub(super) parts: [&'a mut [Lanes]; 9],
}

/// Computes the outputs of a unit.
pub(super) struct Forward<'a, 'b>(pub(super) &'a mut Unit<'b>);

impl OnLanes for Forward<'_, '_> {
    #[inline(always)]
    fn run<A: Arithmetic, const BLOCK: usize>(self, arithmetic: A) {
        self.0.forward::<A, BLOCK>(arithmetic);
    }
}

/// Computes the gradients of a unit's queries, keys and values.
pub(super) struct Backward<'a, 'b>(pub(super) &'a mut Unit<'b>);

impl OnLanes for Backward<'_, '_> {
    #[inline(always)]
    fn run<A: Arithmetic, const BLOCK: usize>(self, arithmetic: A) {
        self.0.backward::<A, BLOCK>(arithmetic);
    }
}

impl Unit<'_> {
    /// Copies the unit's lanes of its channels at all steps.
    pub(super) fn read(&mut self, part: Part, rows: &[Row], steps: Steps, lane: usize, channel: usize) {
        let channels = self.heads.heads * self.heads.size;
        for (step, to) in self.parts[part as usize].chunks_exact_mut(self.heads.stride()).enumerate() {
            let (place, first) = steps.place(step);
            let (rows, lane) = (&rows[place * channels + channel..], first + lane);
            for (at, to) in to.iter_mut().take(self.heads.size).enumerate() {
                if let Some(next) = rows.get(at + channels) {
                    fetch(&next.0[lane..][..WIDTH]);
                }
                to.copy_from_slice(&rows[at].0[lane..][..WIDTH]);
            }
        }
    }

    /// Puts the gradients of the outputs in their place, after their products with the outputs: what the softmax of each
    /// query takes from its gradients, because `sum_j p[j] (g . v[j]) = g . o`.
    pub(super) fn read_gradient(&mut self, rows: &[Row], steps: Steps, lane: usize, channel: usize) {
        let stride = self.heads.stride();
        let channels = self.heads.heads * self.heads.size;
        let [_, _, _, outputs, sums, ..] = &mut self.parts;
        let products = &mut sums[self.heads.steps..];
        for (step, product) in products.iter_mut().enumerate() {
            *product = NONE;
            let (place, first) = steps.place(step);
            let (rows, lane) = (&rows[place * channels + channel..], first + lane);
            for (at, output) in outputs[step * stride..].iter_mut().take(self.heads.size).enumerate() {
                if let Some(next) = rows.get(at + channels) {
                    fetch(&next.0[lane..][..WIDTH]);
                }
                let values = &rows[at].0[lane..][..WIDTH];
                for at in 0..WIDTH {
                    product[at] += output[at] * values[at];
                }
                output[..WIDTH].copy_from_slice(values);
            }
        }
    }

    /// How many keys some query of a block looks at.
    #[inline(always)]
    fn keys(&self, queries: &Range<usize>) -> usize {
        self.longest.min(if self.heads.is_causal { queries.end } else { self.heads.steps })
    }

    /// Of the `keys` of a block, those before what this query looks at no more.
    #[inline(always)]
    fn seen(&self, query: usize, keys: usize) -> usize {
        keys.min(if self.heads.is_causal { query + 1 } else { self.heads.steps })
    }

    #[inline(always)]
    fn forward<A: Arithmetic, const BLOCK: usize>(&mut self, arithmetic: A) {
        let (steps, size, stride) = (self.heads.steps, self.heads.size, self.heads.stride());
        let scale = 1.0 / (size as f32).sqrt();
        self.turn(Part::Queries, 1.0, scale);
        self.turn(Part::Keys, 1.0, 1.0);
        for first in (0..steps).step_by(QUERIES) {
            let queries = first..(first + QUERIES).min(steps);
            let keys = self.keys(&queries);
            self.scores::<A, BLOCK>(arithmetic, &queries, keys);
            for query in queries.clone() {
                self.softmax(query, query - first, keys);
            }
            let [_, _, values, outputs, _, probabilities, ..] = &mut self.parts;
            product::<A, BLOCK, ROWS, COLUMNS>(
                arithmetic,
                LaneMatrix { data: probabilities, stride: steps + 1 },
                LaneMatrix { data: values, stride },
                LaneSums { data: &mut outputs[first * stride..], stride, accumulate: false },
                [queries.len(), size, keys],
            );
        }
    }

    /// The scores of a block of queries.
    #[inline(always)]
    fn scores<A: Arithmetic, const BLOCK: usize>(
        &mut self,
        arithmetic: A,
        queries: &Range<usize>,
        keys: usize,
    ) {
        let (steps, size, stride) = (self.heads.steps, self.heads.size, self.heads.stride());
        let [rows, columns, _, _, _, scores, ..] = &mut self.parts;
        product::<A, BLOCK, ROWS, ROWS>(
            arithmetic,
            LaneMatrix { data: &rows[queries.start * stride..], stride },
            LaneMatrix { data: columns, stride },
            LaneSums { data: scores, stride: steps + 1, accumulate: false },
            [queries.len(), keys, size],
        );
    }

    /// Turns a query's scores into probabilities.
    #[inline(always)]
    fn softmax(&mut self, query: usize, place: usize, keys: usize) {
        let (seen, row) = (self.seen(query, keys), place * (self.heads.steps + 1));
        let lengths = self.lengths;
        let [_, _, _, _, sums, scores, ..] = &mut self.parts;
        let (scores, hidden) = scores[row..][..keys].split_at_mut(seen);
        hidden.fill(NONE);
        let mut max = [f32::NEG_INFINITY; WIDTH];
        for (key, score) in scores.iter_mut().enumerate() {
            let key = key as f32;
            for at in 0..WIDTH {
                score[at] = if key < lengths[at] { score[at] } else { f32::NEG_INFINITY };
                max[at] = if score[at] > max[at] { score[at] } else { max[at] };
            }
        }
        let mut total = NONE;
        for score in scores.iter_mut() {
            for at in 0..WIDTH {
                score[at] = probability(score[at] - max[at]);
            }
            for at in 0..WIDTH {
                total[at] += score[at];
            }
        }
        let mut factors = NONE;
        for at in 0..WIDTH {
            factors[at] = 1.0 / total[at];
        }
        for at in 0..WIDTH {
            sums[query][at] = max[at] + ln(total[at]);
        }
        for score in scores {
            for at in 0..WIDTH {
                score[at] *= factors[at];
            }
        }
    }

    #[inline(always)]
    fn backward<A: Arithmetic, const BLOCK: usize>(&mut self, arithmetic: A) {
        let (steps, size, stride) = (self.heads.steps, self.heads.size, self.heads.stride());
        // From the last on, which look at all keys that any does: they write the gradients to which the others add.
        for first in (0..steps).step_by(QUERIES).rev() {
            let queries = first..(first + QUERIES).min(steps);
            let (keys, count) = (self.keys(&queries), queries.len());
            let is_last = queries.end == steps;
            if is_last {
                for part in [Part::KeyGradients, Part::ValueGradients] {
                    self.parts[part as usize][keys * stride..].fill(NONE);
                }
            }
            self.scores::<A, BLOCK>(arithmetic, &queries, keys);
            let [_, _, values, gradients, _, _, score_gradients, ..] = &mut self.parts;
            product::<A, BLOCK, ROWS, ROWS>(
                arithmetic,
                LaneMatrix { data: &gradients[first * stride..], stride },
                LaneMatrix { data: values, stride },
                LaneSums { data: score_gradients, stride: steps + 1, accumulate: false },
                [count, keys, size],
            );
            for query in queries.clone() {
                self.softmax_backward(query, query - first, keys);
            }
            let [rows, columns, _, gradients, _, probabilities, score_gradients, of_keys, of_values] =
                &mut self.parts;
            product::<A, BLOCK, COLUMNS, COLUMNS>(
                arithmetic,
                LaneMatrix { data: probabilities, stride: steps + 1 },
                LaneMatrix { data: &gradients[first * stride..], stride },
                LaneSums { data: of_values, stride, accumulate: !is_last },
                [keys, size, count],
            );
            product::<A, BLOCK, COLUMNS, COLUMNS>(
                arithmetic,
                LaneMatrix { data: score_gradients, stride: steps + 1 },
                LaneMatrix { data: &rows[first * stride..], stride },
                LaneSums { data: of_keys, stride, accumulate: !is_last },
                [keys, size, count],
            );
            // These queries are not needed any more.
            product::<A, BLOCK, ROWS, COLUMNS>(
                arithmetic,
                LaneMatrix { data: score_gradients, stride: steps + 1 },
                LaneMatrix { data: columns, stride },
                LaneSums { data: &mut rows[first * stride..], stride, accumulate: false },
                [count, size, keys],
            );
        }
        self.turn(Part::Queries, -1.0, 1.0 / (size as f32).sqrt());
        self.turn(Part::KeyGradients, -1.0, 1.0);
    }

    /// Makes a query's probabilities again, and the gradients of its scores from those of its probabilities.
    #[inline(always)]
    fn softmax_backward(&mut self, query: usize, place: usize, keys: usize) {
        let (seen, steps) = (self.seen(query, keys), self.heads.steps);
        let lengths = self.lengths;
        let [_, _, _, _, sums, scores, gradients, ..] = &mut self.parts;
        let (sum, taken) = (sums[query], sums[steps + query]);
        let row = place * (steps + 1);
        let (scores, hidden) = scores[row..][..keys].split_at_mut(seen);
        let (gradients, hidden_gradients) = gradients[row..][..keys].split_at_mut(seen);
        hidden.fill(NONE);
        hidden_gradients.fill(NONE);
        for (key, (score, gradient)) in scores.iter_mut().zip(gradients).enumerate() {
            // In loops of their own, or they would not become instructions for all lanes at once.
            for at in 0..WIDTH {
                score[at] = probability(score[at] - sum[at]);
            }
            let key = key as f32;
            for at in 0..WIDTH {
                score[at] = if key < lengths[at] { score[at] } else { 0.0 };
            }
            for at in 0..WIDTH {
                gradient[at] = score[at] * (gradient[at] - taken[at]);
            }
        }
    }

    /// Turns each pair of channels by its angle, if positions are told so, and multiplies by `scale`.
    #[inline(always)]
    fn turn(&mut self, part: Part, direction: f32, scale: f32) {
        let (size, stride) = (self.heads.size, self.heads.stride());
        for (step, row) in self.parts[part as usize].chunks_exact_mut(stride).enumerate() {
            let angles = self.heads.angles.get(step * size / 2..(step + 1) * size / 2).unwrap_or_default();
            for (pair, &(cos, sin)) in row.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                let [x, y] = *pair;
                for at in 0..WIDTH {
                    pair[0][at] = x[at] * cos - direction * y[at] * sin;
                    pair[1][at] = direction * x[at] * sin + y[at] * cos;
                }
            }
            for lanes in &mut row[..size] {
                lanes.iter_mut().for_each(|number| *number *= scale);
            }
        }
    }
}

/// `e^x` for x up to 0, which is 0 where it is too small to change a sum that holds a 1: the products of such numbers with
/// gradients are subnormal, which takes processors a hundred cycles each, and where attention is sharp most are such.
#[inline(always)]
fn probability(x: f32) -> f32 {
    let power = exp(x);
    if power < 1e-20 { 0.0 } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Their products with gradients as small as 1e-17 are normal numbers.
    #[test]
    fn no_probability_is_so_small_that_it_costs_time() {
        for tenths in 0..=2000 {
            let x = -0.1 * tenths as f32;
            let (got, exact) = (probability(x), f64::from(x).exp());
            assert!(got == 0.0 || got > 1e-21, "e^{x} is {got:e}");
            assert!((f64::from(got) - exact).abs() < 1e-20 + 2e-7 * exact, "e^{x} is {got:e}");
        }
    }
}
