//! Long short-term memory.

use serde::{Deserialize, Serialize};

use super::cell::{Backward, BackwardPiece, Cell, Forward, ForwardPiece, PARTS, WIDTH, lanes, put};
use super::{Plan, Recurrent};
use crate::kernels::Activation;
use crate::layers::{Builder, Describe, Layer, Properties};
use crate::math::{self, select};
use crate::tiles::{Row, Shape};

/// Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000); files keep it so.
///
/// ```text
/// i = sigmoid(W_ii x + b_i + W_hi h)     f = sigmoid(W_if x + b_f + W_hf h)      x [steps x channels]
/// g = tanh(W_ig x + b_g + W_hg h)        o = sigmoid(W_io x + b_o + W_ho h)      y [steps x hidden], twice that from both ends
/// c' = f c + i g                         h' = o tanh(c')                         y = h'
/// ```
/// Parameters, their rows in torch's order of gates: `weight_ih` `[4 hidden x channels]`, `bias_ih` `[4 hidden]`, `weight_hh`
/// `[4 hidden x hidden]`, and `reverse.weight_ih` and so on of the way from the end. One bias stands for the two that torch adds up;
/// that of the forget gate begins at 1, so that at first a cell remembers (Jozefowicz et al. 2015).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmSpec {
    /// Units of each direction.
    pub hidden: usize,
    /// Whether a second layer reads the sequence from its end; the outputs of both stand side by side.
    #[serde(default)]
    pub bidirectional: bool,
    /// Whether a batch begins with the states that the one before ended with.
    #[serde(default)]
    pub carry: bool,
}

impl LstmSpec {
    /// So many units that read a sequence from its start and begin each batch anew.
    pub fn new(hidden: usize) -> Self {
        LstmSpec { hidden, bidirectional: false, carry: false }
    }

    fn plan(&self) -> Plan {
        Plan { hidden: self.hidden, is_bidirectional: self.bidirectional, carries: self.carry }
    }
}

impl Describe for LstmSpec {
    fn properties(&self) -> Properties<'_> {
        self.plan().properties("lstm")
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        self.plan().output(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        Recurrent::build(input, self.plan(), LstmCell, builder)
    }
}

/// An LSTM layer.
pub type Lstm = Recurrent<LstmCell>;

/// The unit of an LSTM. After a pass forward its gates are `i`, `f`, `g`, `o`.
pub struct LstmCell;

impl Cell for LstmCell {
    const GATES: usize = 4;
    const HAS_CELLS: bool = true;
    const KEEPS_APART: bool = false;

    fn start_of_bias(&self, gate: usize) -> f32 {
        if gate == 1 { 1.0 } else { 0.0 }
    }

    #[inline(always)]
    fn forward(&self, step: &Forward<'_>, piece: ForwardPiece<'_>) {
        let ForwardPiece { units, gates: [input, forget, candidate, out], hidden, cells, output, .. } = piece;
        for (at, unit) in units.enumerate() {
            for part in 0..step.live.parts() {
                let (mut i, mut f) = (lanes(&input[at], part), lanes(&forget[at], part));
                let (mut g, mut o) = (lanes(&candidate[at], part), lanes(&out[at], part));
                let (mut h, mut c) = (lanes(&step.states.rows[unit], part), lanes(&step.cells[unit], part));
                let (live, mut y) = (step.live.part(part), [0.0; WIDTH]);
                for lane in 0..WIDTH {
                    i[lane] = math::sigmoid(i[lane]);
                    f[lane] = math::sigmoid(f[lane]);
                    g[lane] = math::tanh(g[lane]);
                    o[lane] = math::sigmoid(o[lane]);
                    let cell = f[lane] * c[lane] + i[lane] * g[lane];
                    let state = o[lane] * math::tanh(cell);
                    c[lane] = select(live[lane] > 0.0, cell, c[lane]);
                    h[lane] = select(live[lane] > 0.0, state, h[lane]);
                    y[lane] = select(live[lane] > 0.0, state, 0.0);
                }
                put(&mut input[at], part, i);
                put(&mut forget[at], part, f);
                put(&mut candidate[at], part, g);
                put(&mut out[at], part, o);
                put(&mut cells[at], part, c);
                put(&mut hidden[at], part, h);
                put(&mut output[at], part, y);
            }
        }
    }

    #[inline(always)]
    fn backward(&self, step: &Backward<'_>, piece: BackwardPiece<'_>) {
        let BackwardPiece { units, gates: [input, forget, candidate, out], hidden, cells, .. } = piece;
        for (at, unit) in units.enumerate() {
            for part in 0..PARTS {
                let (mut i, mut f) = (lanes(&input[at], part), lanes(&forget[at], part));
                let (mut g, mut o) = (lanes(&candidate[at], part), lanes(&out[at], part));
                let (c, dy) = (lanes(&step.cells[unit], part), lanes(&step.outputs[unit], part));
                let (dh, mut dc) = (lanes(&hidden[at], part), lanes(&cells[at], part));
                let live = step.live.part(part);
                for lane in 0..WIDTH {
                    let dh = dh[lane] + dy[lane];
                    let tanh = math::tanh(f[lane] * c[lane] + i[lane] * g[lane]);
                    let d = dc[lane] + dh * o[lane] * (1.0 - tanh * tanh);
                    dc[lane] = select(live[lane] > 0.0, d * f[lane], 0.0);
                    let (di, dg) = (d * g[lane], d * i[lane]);
                    i[lane] = select(live[lane] > 0.0, di * i[lane] * (1.0 - i[lane]), 0.0);
                    f[lane] = select(live[lane] > 0.0, d * c[lane] * f[lane] * (1.0 - f[lane]), 0.0);
                    g[lane] = select(live[lane] > 0.0, dg * (1.0 - g[lane] * g[lane]), 0.0);
                    o[lane] = select(live[lane] > 0.0, dh * tanh * o[lane] * (1.0 - o[lane]), 0.0);
                }
                put(&mut input[at], part, i);
                put(&mut forget[at], part, f);
                put(&mut candidate[at], part, g);
                put(&mut out[at], part, o);
                put(&mut cells[at], part, dc);
            }
            hidden[at] = Row::ZERO;
        }
    }
}
