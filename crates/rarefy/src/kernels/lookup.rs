//! The rows of a matrix `[vocabulary x channels]` that tokens name: `y[step] = W[token[step]]`, and the gradient of those
//! rows alone, the sum over where a token stands. Tokens are whole numbers in `f32`, one a step.
//!
//! ```text
//! places of the batch, sorted by token     3 3 3 | 7 | 9 9      each run gives the gradient of one row of W
//! ```

use super::split::par_chunks;
use super::tree;
use crate::sparse::{Pattern, Touched, Weights};
use crate::tiles::{LANES, Row, Tiles};

/// Tokens whose gradients one piece of work adds up at least.
const TOKENS: usize = 8;

/// Tokens that stand for nothing: their outputs are 0, and no gradient reaches their row.
pub type Padding = Option<usize>;

/// Tokens, whole numbers in `f32`, one a step; those of the padding stand for nothing.
#[derive(Clone, Copy)]
pub struct Tokens<'a> {
    /// A feature for each step.
    pub input: &'a Tiles,
    /// The token that is none, if there is one.
    pub padding: Padding,
}

/// The token at a step of a sample.
///
/// # Panics
/// If there is no such row: data checks come before.
fn token(input: &Tiles, place: usize, vocabulary: usize) -> usize {
    let id = input.rows()[place / LANES].0[place % LANES] as usize;
    assert!(id < vocabulary, "token {id} where only {vocabulary} have a row");
    id
}

/// Writes the rows that tokens name: `y[step] = W[token[step]]`, `weights.cols()` channels a step, or zeros for padding.
///
/// # Panics
/// If shapes do not fit, or a token has no row.
pub fn look_up(weights: &Weights, tokens: Tokens<'_>, output: &mut Tiles) {
    let Tokens { input, padding } = tokens;
    let channels = weights.cols();
    assert_eq!(
        (output.features(), output.samples()),
        (input.features() * channels, input.samples()),
        "features and samples of {channels} channels at {} steps",
        input.features()
    );
    par_chunks(output.rows_mut(), channels, &|start, rows: &mut [Row]| {
        let place = start / channels;
        rows.fill(Row::ZERO);
        for lane in 0..input.live(place / input.features()) {
            let id = token(input, place * LANES + lane, weights.rows());
            if Some(id) == padding {
                continue;
            }
            let (slots, columns) = weights.row(id);
            let values = &weights.values()[slots];
            match columns {
                None => rows.iter_mut().zip(values).for_each(|(row, value)| row.0[lane] = *value),
                Some(columns) => {
                    columns.iter().zip(values).for_each(|(&c, value)| rows[c as usize].0[lane] = *value);
                }
            }
        }
    });
}

/// The living places of a batch sorted by token, then by place, into `order`.
fn sort(Tokens { input, padding }: Tokens<'_>, vocabulary: usize, order: &mut Vec<u32>) {
    order.clear();
    for step in 0..input.tiles() * input.features() {
        let lanes = 0..input.live(step / input.features().max(1));
        order.extend(lanes.map(|lane| (step * LANES + lane) as u32));
    }
    order.retain(|&place| Some(token(input, place as usize, vocabulary)) != padding);
    order.sort_unstable_by_key(|&place| (token(input, place as usize, vocabulary), place));
}

/// The gradient of one cell: that of its channel where its token stands, summed within tiles in order, over tiles in a
/// tree.
fn cell(gradient: &Tiles, steps: usize, channels: usize, channel: usize, places: &[u32]) -> f32 {
    tree::sum_of(0..gradient.tiles(), &|tile| {
        let before = |end: usize| places.partition_point(|&place| (place as usize) < end * steps * LANES);
        let at = |place: usize| gradient.rows()[place / LANES * channels + channel].0[place % LANES];
        let sum = |sum: f32, &place: &u32| sum + at(place as usize);
        // From 0 on: an empty sum of f32 is -0, and that of a share of the batch without the token is 0.
        places[before(tile)..before(tile + 1)].iter().fold(0.0, sum)
    })
}

/// The gradient of every connection of the rows that the batch's tokens name, into `out`, whose slots in `touched` are
/// cleared first; then `touched` has those rows' slots. `order` is workspace.
///
/// # Panics
/// If shapes do not fit, or a token has no row.
pub fn look_up_gradient(
    weights: &Weights,
    gradient: &Tiles,
    tokens: Tokens<'_>,
    out: &mut [f32],
    touched: &mut Touched,
    order: &mut Vec<u32>,
) {
    let input = tokens.input;
    assert_eq!(gradient.features(), input.features() * weights.cols(), "channels of all steps");
    touched.drain(..).for_each(|slots| out[slots].fill(0.0));
    look_up_slots(weights, tokens, touched, order);
    let sums = Sums { weights, gradient, input };
    sums.split(order, out, 0);
    weights.clear_absent(out);
}

/// Lists the slots of the rows that the batch's tokens name, in place of what `met` has. `order` is workspace: it gets the living places,
/// sorted by token.
///
/// # Panics
/// If a token has no row.
pub fn look_up_slots(weights: &Weights, tokens: Tokens<'_>, met: &mut Touched, order: &mut Vec<u32>) {
    sort(tokens, weights.rows(), order);
    let id_of = |place: u32| token(tokens.input, place as usize, weights.rows());
    met.clear();
    met.extend(order.chunk_by(|&a, &b| id_of(a) == id_of(b)).map(|run| weights.row(id_of(run[0])).0));
    met.retain(|slots| !slots.is_empty());
}

/// A gradient being added up.
struct Sums<'a> {
    weights: &'a Weights,
    gradient: &'a Tiles,
    input: &'a Tiles,
}

impl Sums<'_> {
    fn id(&self, place: u32) -> usize {
        token(self.input, place as usize, self.weights.rows())
    }

    /// Halves sorted places between two tokens until a piece is small; `out` begins at slot `first`.
    fn split(&self, places: &[u32], out: &mut [f32], first: usize) {
        let Some(&middle) = places.get(places.len() / 2) else { return };
        let start = places.partition_point(|&place| self.id(place) < self.id(middle));
        if places.len() <= TOKENS || start == 0 {
            return self.add(places, out, first);
        }
        let (left, right) = places.split_at(start);
        let border = self.weights.row(self.id(middle)).0.start;
        let (left_out, right_out) = out.split_at_mut(border - first);
        rayon::join(|| self.split(left, left_out, first), || self.split(right, right_out, border));
    }

    fn add(&self, places: &[u32], out: &mut [f32], first: usize) {
        for run in places.chunk_by(|&a, &b| self.id(a) == self.id(b)) {
            let (slots, columns) = self.weights.row(self.id(run[0]));
            for (at, out) in out[slots.start - first..slots.end - first].iter_mut().enumerate() {
                let channel = columns.map_or(at, |columns| columns[at] as usize);
                *out = cell(self.gradient, self.input.features(), self.weights.cols(), channel, run);
            }
        }
    }
}

/// The gradients that the cells of a pattern would have.
pub(super) fn cell_gradients(cells: &Pattern, gradient: &Tiles, tokens: Tokens<'_>, out: &mut [f32]) {
    let (input, mut order) = (tokens.input, Vec::new());
    sort(tokens, cells.rows(), &mut order);
    for (at, out) in cells.cells().zip(out) {
        let (id, channel) = (at / cells.cols(), at % cells.cols());
        let from =
            |id: usize| order.partition_point(|&place| token(input, place as usize, cells.rows()) < id);
        *out = cell(gradient, input.features(), cells.cols(), channel, &order[from(id)..from(id + 1)]);
    }
}
