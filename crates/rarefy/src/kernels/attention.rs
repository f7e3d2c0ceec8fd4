//! Scaled dot-product attention (Vaswani et al. 2017, eq. 1) of each head of each sample:
//! ```text
//! s[i, j] = q[i] . k[j] / sqrt(size)      p[i] = softmax(s[i])      o[i] = sum_j p[i, j] v[j]
//! ```
//! A sample is a lane here too, so a product of two matrices is one of each lane: loops over [`Lanes`] of 16 samples whose
//! sums stay in registers in blocks of queries and keys. A unit of work is a head of 16 samples: its rows are copied from
//! every 64th number to a piece of memory of its own, where they fit in the cache. Of the probabilities only a few
//! queries' ever exist: backward makes them again from `ln sum_j exp(s[i, j])`, as FlashAttention does (Dao et al. 2022,
//! section 3.1). Units whose lanes are all dead are left out.

use std::ops::Range;

use super::fetch::fetch;
use super::isa::{Isa, Kind};
use super::par_chunks;
use crate::math::{exp, ln};
use crate::tiles::{HALF, LANES, Row, Tiles};

/// Samples of a unit.
const WIDTH: usize = 16;

/// One number of each sample of a unit.
pub(super) type Lanes = [f32; WIDTH];

/// Units that a tile is cut into.
const GROUPS: usize = LANES / WIDTH;

/// Queries whose probabilities exist at a time.
const QUERIES: usize = 16;

const NONE: Lanes = [0.0; WIDTH];

/// The shape of an attention, and the angles that its queries and keys are turned by.
#[derive(Debug, Clone)]
pub struct Heads {
    steps: usize,
    heads: usize,
    size: usize,
    is_causal: bool,
    /// Cosine and sine of each pair of channels at each step; empty unless positions are told by turning.
    angles: Vec<(f32, f32)>,
}

impl Heads {
    /// `heads` heads of `size` channels each over `steps` steps; if causal, a step sees none after it. With `rotary`,
    /// channels `2 i` and `2 i + 1` of queries and keys are turned by `step * 10000^(-2 i / size)` (Su et al. 2021, eq. 34).
    ///
    /// # Panics
    /// If an odd number of channels is to be turned.
    pub fn new(steps: usize, heads: usize, size: usize, is_causal: bool, rotary: bool) -> Heads {
        assert!(!rotary || size.is_multiple_of(2), "{size} channels are no pairs");
        let pairs = if rotary { size / 2 } else { 0 };
        let angle = |step: usize, pair: usize| {
            let angle = step as f64 * 10_000f64.powf(-2.0 * pair as f64 / size as f64);
            (angle.cos() as f32, angle.sin() as f32)
        };
        let angles = (0..steps).flat_map(|step| (0..pairs).map(move |pair| angle(step, pair))).collect();
        Heads { steps, heads, size, is_causal, angles }
    }

    /// Features of the [`Tiles`] that [`attend`] works in.
    pub fn work_features(&self, training: bool) -> usize {
        self.heads
            * Part::ALL[..if training { 9 } else { 6 }].iter().map(|part| part.length(self)).sum::<usize>()
    }

    /// Rows of a matrix do not begin a power of two apart, which would crowd them into a part of the cache.
    fn stride(&self) -> usize {
        self.size + 1
    }
}

/// What a unit's memory holds.
#[derive(Clone, Copy)]
enum Part {
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
    const ALL: [Part; 9] = [
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

    fn length(self, heads: &Heads) -> usize {
        match self {
            Part::Sums => 2 * heads.steps,
            Part::Probabilities | Part::ScoreGradients => QUERIES * (heads.steps + 1),
            _ => heads.steps * heads.stride(),
        }
    }
}

/// Where steps stand: in folded tiles the later half of them has the later half of the lanes.
#[derive(Clone, Copy)]
struct Steps {
    /// Rows of tiles have so many steps.
    count: usize,
    /// Samples of a tile have so many units.
    groups: usize,
}

impl Steps {
    fn of(heads: &Heads, work: &Tiles) -> Steps {
        match work.is_folded() {
            true => Steps { count: heads.steps / 2, groups: GROUPS / 2 },
            false => Steps { count: heads.steps, groups: GROUPS },
        }
    }

    /// Among the rows, and the first lane.
    #[inline(always)]
    fn place(self, step: usize) -> (usize, usize) {
        (step % self.count, step / self.count * HALF)
    }
}

/// A head of 16 samples.
pub(super) struct Unit<'a> {
    heads: &'a Heads,
    /// Steps of each sample that are there, and the most of any.
    lengths: [f32; WIDTH],
    longest: usize,
    parts: [&'a mut [Lanes]; 9],
}

/// Samples, whose later steps are not counted as others.
fn samples_of(tiles: &Tiles) -> usize {
    tiles.samples() - if tiles.is_folded() { HALF } else { 0 }
}

/// Calls `work` with each living unit of the tiles in parallel, its tile, the first lane and the first of its channels.
fn for_each_unit(
    heads: &Heads,
    lengths: &[u32],
    work: &mut Tiles,
    run: &(impl Fn(&mut Unit<'_>, usize, usize, usize) + Sync),
) {
    let samples = samples_of(work);
    let per_tile = Steps::of(heads, work).groups * heads.heads;
    let memory: &mut [Lanes] = bytemuck::must_cast_slice_mut(work.rows_mut());
    let size = memory.len() / (samples.div_ceil(LANES) * per_tile).max(1);
    par_chunks(memory, size.max(1), &|start, mut rest| {
        let (tile, place) = (start / size / per_tile, start / size % per_tile);
        let (lane, head) = (place / heads.heads * WIDTH, place % heads.heads);
        let first = tile * LANES + lane;
        if first >= samples {
            return;
        }
        let parts = Part::ALL.map(|part| {
            // What is for training only is not there when predicting.
            let length = part.length(heads).min(rest.len());
            let (part, after) = std::mem::take(&mut rest).split_at_mut(length);
            rest = after;
            part
        });
        // A sample without a step would have nothing to look at: it sees its first, which is padding.
        let length =
            |sample: usize| lengths.get(sample).map_or(heads.steps, |&length| length.max(1) as usize);
        let counts: [usize; WIDTH] = std::array::from_fn(|at| length((first + at).min(samples - 1)));
        let longest = counts.into_iter().max().unwrap_or(0).min(heads.steps);
        let mut unit = Unit { heads, lengths: counts.map(|count| count as f32), longest, parts };
        run(&mut unit, tile, lane, head * heads.size);
    });
}

/// Writes attention's outputs: `inputs` are queries, keys and values; all have `heads * size` channels at each step. `work`
/// has [`Heads::work_features`]. Beyond `lengths` (a number for each sample, or none if all steps are there) there is
/// nothing to look at.
///
/// # Panics
/// If shapes do not fit.
pub fn attend(
    isa: Isa,
    heads: &Heads,
    inputs: [&Tiles; 3],
    lengths: &[u32],
    output: &mut Tiles,
    work: &mut Tiles,
) {
    check(heads, &[inputs[0], inputs[1], inputs[2], output], work);
    let steps = Steps::of(heads, work);
    for_each_unit(heads, lengths, work, &|unit, tile, lane, channel| {
        for (part, input) in [Part::Queries, Part::Keys, Part::Values].into_iter().zip(inputs) {
            unit.read(part, input.tile(tile), steps, lane, channel);
        }
        run(isa, unit, Step::Forward);
    });
    write(heads, Part::Outputs, work, output);
}

/// Writes the gradients of queries, keys and values from that of the outputs, after [`attend`] with the same `work`.
///
/// # Panics
/// If shapes do not fit, or `work` is for predicting.
pub fn attend_backward(
    isa: Isa,
    heads: &Heads,
    gradient: &Tiles,
    lengths: &[u32],
    gradient_inputs: [&mut Tiles; 3],
    work: &mut Tiles,
) {
    check(heads, &[gradient, gradient_inputs[0], gradient_inputs[1], gradient_inputs[2]], work);
    let steps = Steps::of(heads, work);
    let room = heads.work_features(true) * steps.groups / GROUPS;
    assert_eq!(work.features(), room, "room for training");
    for_each_unit(heads, lengths, work, &|unit, tile, lane, channel| {
        unit.read_gradient(gradient.tile(tile), steps, lane, channel);
        run(isa, unit, Step::Backward);
    });
    let parts = [Part::Queries, Part::KeyGradients, Part::ValueGradients];
    for (part, gradient_input) in parts.into_iter().zip(gradient_inputs) {
        write(heads, part, work, gradient_input);
    }
}

fn check(heads: &Heads, activations: &[&Tiles], work: &Tiles) {
    let features = Steps::of(heads, work).count * heads.heads * heads.size;
    for tiles in activations {
        assert_eq!(
            (tiles.features(), tiles.samples()),
            (features, work.samples()),
            "features and samples of {} heads of {} channels over {} steps",
            heads.heads,
            heads.size,
            heads.steps
        );
    }
}

/// Copies a matrix of every unit to the rows of `output`; dead units give zeros.
fn write(heads: &Heads, part: Part, work: &Tiles, output: &mut Tiles) {
    let (samples, steps) = (samples_of(output), Steps::of(heads, work));
    let channels = heads.heads * heads.size;
    let memory: &[Lanes] = bytemuck::must_cast_slice(work.rows());
    let unit = memory.len() / (work.tiles() * steps.groups * heads.heads).max(1);
    let offset: usize = Part::ALL[..part as usize].iter().map(|part| part.length(heads)).sum();
    par_chunks(output.rows_mut(), channels, &|start, rows: &mut [Row]| {
        let (tile, place) = (start / channels / steps.count, start / channels % steps.count);
        for at in 0..GROUPS {
            let (group, step) = (at % steps.groups, place + at / steps.groups * steps.count);
            let lanes = at * WIDTH..(at + 1) * WIDTH;
            if tile * LANES + group * WIDTH >= samples {
                rows.iter_mut().for_each(|row| row.0[lanes.clone()].fill(0.0));
                continue;
            }
            for (head, rows) in rows.chunks_exact_mut(heads.size).enumerate() {
                let place = (tile * steps.groups + group) * heads.heads + head;
                let source = &memory[place * unit + offset + step * heads.stride()..][..heads.size];
                for (row, source) in rows.iter_mut().zip(source) {
                    row.0[lanes.clone()].copy_from_slice(source);
                }
            }
        }
    });
}

/// Which pass.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Forward,
    Backward,
}

/// Runs a pass as suits the instruction set: its products in blocks of as many rows and columns as registers hold
/// the sums of.
fn run(isa: Isa, unit: &mut Unit<'_>, step: Step) {
    match isa.kind() {
        Kind::Scalar => unit.run::<Plain, 2>(step),
        // SAFETY: an `Isa` of this kind exists only where the processor has these features.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { super::avx2::attention(unit, step) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { super::avx512::attention(unit, step) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => unit.run::<super::neon::FourRegisters, 2>(step),
    }
}

impl Unit<'_> {
    /// Copies the unit's lanes of its channels at all steps.
    fn read(&mut self, part: Part, rows: &[Row], steps: Steps, lane: usize, channel: usize) {
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
    fn read_gradient(&mut self, rows: &[Row], steps: Steps, lane: usize, channel: usize) {
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

    #[inline(always)]
    pub(super) fn run<A: Arithmetic, const BLOCK: usize>(&mut self, step: Step) {
        match step {
            Step::Forward => self.forward::<A, BLOCK>(),
            Step::Backward => self.backward::<A, BLOCK>(),
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
    fn forward<A: Arithmetic, const BLOCK: usize>(&mut self) {
        let (steps, size, stride) = (self.heads.steps, self.heads.size, self.heads.stride());
        let scale = 1.0 / (size as f32).sqrt();
        self.turn(Part::Queries, 1.0, scale);
        self.turn(Part::Keys, 1.0, 1.0);
        for first in (0..steps).step_by(QUERIES) {
            let queries = first..(first + QUERIES).min(steps);
            let keys = self.keys(&queries);
            self.scores::<A, BLOCK>(&queries, keys);
            for query in queries.clone() {
                self.softmax(query, query - first, keys);
            }
            let [_, _, values, outputs, _, probabilities, ..] = &mut self.parts;
            product::<A, BLOCK, ROWS, COLUMNS>(
                Matrix { data: probabilities, stride: steps + 1 },
                Matrix { data: values, stride },
                &mut outputs[first * stride..],
                stride,
                [queries.len(), size, keys],
                false,
            );
        }
    }

    /// The scores of a block of queries.
    #[inline(always)]
    fn scores<A: Arithmetic, const BLOCK: usize>(&mut self, queries: &Range<usize>, keys: usize) {
        let (steps, size, stride) = (self.heads.steps, self.heads.size, self.heads.stride());
        let [rows, columns, _, _, _, scores, ..] = &mut self.parts;
        product::<A, BLOCK, ROWS, ROWS>(
            Matrix { data: &rows[queries.start * stride..], stride },
            Matrix { data: columns, stride },
            scores,
            steps + 1,
            [queries.len(), keys, size],
            false,
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
    fn backward<A: Arithmetic, const BLOCK: usize>(&mut self) {
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
            self.scores::<A, BLOCK>(&queries, keys);
            let [_, _, values, gradients, _, _, score_gradients, ..] = &mut self.parts;
            product::<A, BLOCK, ROWS, ROWS>(
                Matrix { data: &gradients[first * stride..], stride },
                Matrix { data: values, stride },
                score_gradients,
                steps + 1,
                [count, keys, size],
                false,
            );
            for query in queries.clone() {
                self.softmax_backward(query, query - first, keys);
            }
            let [rows, columns, _, gradients, _, probabilities, score_gradients, of_keys, of_values] =
                &mut self.parts;
            product::<A, BLOCK, COLUMNS, COLUMNS>(
                Matrix { data: probabilities, stride: steps + 1 },
                Matrix { data: &gradients[first * stride..], stride },
                of_values,
                stride,
                [keys, size, count],
                !is_last,
            );
            product::<A, BLOCK, COLUMNS, COLUMNS>(
                Matrix { data: score_gradients, stride: steps + 1 },
                Matrix { data: &rows[first * stride..], stride },
                of_keys,
                stride,
                [keys, size, count],
                !is_last,
            );
            // These queries are not needed any more.
            product::<A, BLOCK, ROWS, COLUMNS>(
                Matrix { data: score_gradients, stride: steps + 1 },
                Matrix { data: columns, stride },
                &mut rows[first * stride..],
                stride,
                [count, size, keys],
                false,
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

/// A matrix for each lane, of which a product takes lines one by one and their numbers in order.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    data: &'a [Lanes],
    stride: usize,
}

/// How the lines of a product's matrices lie in memory: as rows, a number next to the other, or as columns. Told at compile
/// time, because a product in registers has none left for steps.
const ROWS: bool = true;
const COLUMNS: bool = false;

impl<'a> Matrix<'a> {
    /// Where number `k` of line `m` stands.
    #[inline(always)]
    fn at<const LINES: bool>(self, m: usize, k: usize) -> usize {
        if LINES == ROWS { m * self.stride + k } else { k * self.stride + m }
    }

    /// The matrix from a line on.
    #[inline(always)]
    fn from<const LINES: bool>(self, line: usize) -> Matrix<'a> {
        Matrix { data: &self.data[self.at::<LINES>(line, 0)..], ..self }
    }
}

/// `out[m, n] = sum_k a[m, k] b[n, k]`, or added to what is there; `sizes` are those of m, n and k, `PA` and `PB` say how the
/// lines of `a` and `b` lie.
#[inline(always)]
fn product<A: Arithmetic, const BLOCK: usize, const PA: bool, const PB: bool>(
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [Lanes],
    stride: usize,
    sizes: [usize; 3],
    accumulate: bool,
) {
    let [rows, columns, depth] = sizes;
    if rows == 0 || columns == 0 || depth == 0 {
        assert!(accumulate || rows == 0 || columns == 0, "a sum of nothing");
        return;
    }
    assert!(
        a.at::<PA>(rows - 1, depth - 1) < a.data.len() && b.at::<PB>(columns - 1, depth - 1) < b.data.len()
    );
    let mut n = 0;
    while n < columns {
        let wide = n + BLOCK <= columns;
        let mut m = 0;
        while m < rows {
            let tall = m + BLOCK <= rows;
            let (a, b) = (a.from::<PA>(m), b.from::<PB>(n));
            let out = &mut out[m * stride + n..];
            match (tall, wide) {
                (true, true) => block::<A, BLOCK, BLOCK, PA, PB>(a, b, out, stride, depth, accumulate),
                (true, false) => block::<A, BLOCK, 1, PA, PB>(a, b, out, stride, depth, accumulate),
                (false, true) => block::<A, 1, BLOCK, PA, PB>(a, b, out, stride, depth, accumulate),
                (false, false) => block::<A, 1, 1, PA, PB>(a, b, out, stride, depth, accumulate),
            }
            m += if tall { BLOCK } else { 1 };
        }
        n += if wide { BLOCK } else { 1 };
    }
}

/// `M` rows and `N` columns of a product, whose sums stay in registers.
#[inline(always)]
fn block<A: Arithmetic, const M: usize, const N: usize, const PA: bool, const PB: bool>(
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [Lanes],
    stride: usize,
    depth: usize,
    accumulate: bool,
) {
    let zero = A::load(&NONE);
    let mut sums = [[zero; N]; M];
    if accumulate {
        for m in 0..M {
            for n in 0..N {
                sums[m][n] = A::load(&out[m * stride + n]);
            }
        }
    }
    for k in 0..depth {
        let mut rows = [zero; M];
        for m in 0..M {
            // SAFETY: `product` has asserted that the last of all these elements is there.
            rows[m] = A::load(unsafe { a.data.get_unchecked(a.at::<PA>(m, k)) });
        }
        for n in 0..N {
            // SAFETY: as above.
            let column = A::load(unsafe { b.data.get_unchecked(b.at::<PB>(n, k)) });
            for m in 0..M {
                sums[m][n] = A::multiply_add(rows[m], column, sums[m][n]);
            }
        }
    }
    for m in 0..M {
        for n in 0..N {
            A::store(sums[m][n], &mut out[m * stride + n]);
        }
    }
}

/// How an instruction set multiplies and adds the numbers of a unit's samples.
pub(super) trait Arithmetic {
    /// 16 numbers in registers.
    type Sums: Copy;
    fn load(from: &Lanes) -> Self::Sums;
    fn multiply_add(a: Self::Sums, b: Self::Sums, sum: Self::Sums) -> Self::Sums;
    fn store(sums: Self::Sums, to: &mut Lanes);
}

/// Plain Rust.
struct Plain;

impl Arithmetic for Plain {
    type Sums = Lanes;

    #[inline(always)]
    fn load(from: &Lanes) -> Lanes {
        *from
    }

    #[inline(always)]
    fn multiply_add(a: Lanes, b: Lanes, sum: Lanes) -> Lanes {
        std::array::from_fn(|at| a[at] * b[at] + sum[at])
    }

    #[inline(always)]
    fn store(sums: Lanes, to: &mut Lanes) {
        *to = sums;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

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

    /// Attention of one head of one sample as the formulas say it, in `f64`: outputs and, given their gradients, those of
    /// queries, keys and values. Matrices are `[step][channel]`.
    fn by_the_formulas(
        [q, k, v, g]: &[Vec<Vec<f64>>; 4],
        sees: impl Fn(usize, usize) -> bool,
    ) -> [Vec<Vec<f64>>; 4] {
        let (steps, size) = (q.len(), q[0].len());
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let scale = 1.0 / (size as f64).sqrt();
        let mut results = [(); 4].map(|()| vec![vec![0.0; size]; steps]);
        for i in 0..steps {
            let power = |j: usize| if sees(i, j) { (scale * dot(&q[i], &k[j])).exp() } else { 0.0 };
            let sum: f64 = (0..steps).map(power).sum();
            let p: Vec<f64> = (0..steps).map(|j| power(j) / sum).collect();
            let dp: Vec<f64> = (0..steps).map(|j| dot(&g[i], &v[j])).collect();
            let taken = dot(&p, &dp);
            for j in 0..steps {
                let ds = p[j] * (dp[j] - taken) * scale;
                for c in 0..size {
                    results[0][i][c] += p[j] * v[j][c];
                    results[1][i][c] += ds * k[j][c];
                    results[2][j][c] += ds * q[i][c];
                    results[3][j][c] += p[j] * g[i][c];
                }
            }
        }
        results
    }

    #[test]
    fn agrees_with_the_formulas_on_every_instruction_set() {
        for (steps, heads, size, is_causal, has_lengths) in
            [(1, 1, 1, false, false), (5, 2, 3, true, false), (33, 1, 8, true, true), (18, 3, 5, false, true)]
        {
            let (samples, features) = (70, steps * heads * size);
            let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
            let inputs = [(); 4].map(|()| {
                let mut tiles = Tiles::zeros(features, samples);
                for sample in 0..samples {
                    let values: Vec<f32> = (0..features).map(|_| 2.0 * stream.normal()).collect();
                    tiles.set_sample(sample, &values);
                }
                tiles
            });
            let lengths: Vec<u32> = match has_lengths {
                true => (0..samples as u32).map(|sample| 1 + sample % steps as u32).collect(),
                false => Vec::new(),
            };
            for isa in Isa::available() {
                let shape = Heads::new(steps, heads, size, is_causal, false);
                let mut work = Tiles::zeros(shape.work_features(true), samples);
                let mut results = [(); 4].map(|()| Tiles::zeros(features, samples));
                let [q, k, v, g] = &inputs;
                let [output, dq, dk, dv] = &mut results;
                attend(isa, &shape, [q, k, v], &lengths, output, &mut work);
                attend_backward(isa, &shape, g, &lengths, [dq, dk, dv], &mut work);
                for (sample, head) in
                    (0..samples).flat_map(|sample| (0..heads).map(move |head| (sample, head)))
                {
                    let of = |tiles: &Tiles, step: usize, channel: usize| {
                        f64::from(tiles.at(sample, (step * heads + head) * size + channel))
                    };
                    let matrix = |tiles: &Tiles| -> Vec<Vec<f64>> {
                        (0..steps).map(|step| (0..size).map(|c| of(tiles, step, c)).collect()).collect()
                    };
                    let length = lengths.get(sample).map_or(steps, |&length| length as usize);
                    let sees = |i: usize, j: usize| j < length && (j <= i || !is_causal);
                    let expected = by_the_formulas(&inputs.each_ref().map(matrix), sees);
                    for (expected, got) in expected.iter().zip(&results) {
                        for (expected, got) in expected.iter().flatten().zip(matrix(got).iter().flatten()) {
                            let near = (expected - got).abs() < 2e-4 * (1.0 + expected.abs());
                            assert!(near, "{isa}, {steps} steps, sample {sample}: {got} for {expected}");
                        }
                    }
                }
            }
        }
    }
}
