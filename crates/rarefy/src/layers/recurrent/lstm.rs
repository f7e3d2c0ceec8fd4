//! Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), in torch's order of
//! gates:
//! ```text
//! i = sigmoid(W_ii x + b_i + W_hi h)     f = sigmoid(W_if x + b_f + W_hf h)
//! g = tanh(W_ig x + b_g + W_hg h)        o = sigmoid(W_io x + b_o + W_ho h)
//! c' = f c + i g                         h' = o tanh(c')
//! ```
//! One bias stands for the two that torch adds up. That of the forget gate begins at 1, so that at first a cell remembers
//! (Jozefowicz et al. 2015).

use serde::{Deserialize, Serialize};

use super::cell::{Backward, BackwardPiece, Cell, Forward, ForwardPiece};
use super::{Plan, Recurrent};
use crate::kernels::Activation;
use crate::layers::{Builder, Describe, Layer};
use crate::math;
use crate::tiles::{LANES, Shape};

/// An LSTM as files keep it.
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
    fn plan(&self) -> Plan {
        Plan { hidden: self.hidden, is_bidirectional: self.bidirectional, carries: self.carry }
    }
}

impl Describe for LstmSpec {
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

    fn forward(&self, step: &Forward<'_>, piece: ForwardPiece<'_>) {
        let ForwardPiece { units, mut gates, hidden, cells, output, .. } = piece;
        step.add_products(&units, &mut gates);
        let [input, forget, candidate, out] = gates;
        step.isa.vectorize(|| {
            for (at, unit) in units.enumerate() {
                // Through arrays of their own, which cannot overlap: so the loops over lanes are vectorised.
                let (mut i, mut f, mut g, mut o) = (input[at].0, forget[at].0, candidate[at].0, out[at].0);
                Activation::Sigmoid.apply(&mut i);
                Activation::Sigmoid.apply(&mut f);
                Activation::Tanh.apply(&mut g);
                Activation::Sigmoid.apply(&mut o);
                (input[at].0, forget[at].0, candidate[at].0, out[at].0) = (i, f, g, o);
                let (h, c) = (step.hidden[unit].0, step.cells[unit].0);
                let (mut new_h, mut new_c, mut y) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
                for lane in 0..LANES {
                    let cell = f[lane] * c[lane] + i[lane] * g[lane];
                    let state = o[lane] * math::tanh(cell);
                    new_c[lane] = step.live.choose(lane, cell, c[lane]);
                    new_h[lane] = step.live.choose(lane, state, h[lane]);
                    y[lane] = step.live.choose(lane, state, 0.0);
                }
                (hidden[at].0, cells[at].0, output[at].0) = (new_h, new_c, y);
            }
        });
    }

    fn backward(&self, step: &Backward<'_>, piece: BackwardPiece<'_>) {
        let BackwardPiece { units, gates: [input, forget, candidate, out], hidden, cells, .. } = piece;
        step.add_products(&units, hidden);
        step.isa.vectorize(|| {
            for (at, unit) in units.enumerate() {
                let (mut i, mut f, mut g, mut o) = (input[at].0, forget[at].0, candidate[at].0, out[at].0);
                let (c, dy, dh, mut dc) =
                    (step.cells[unit].0, step.outputs[unit].0, hidden[at].0, cells[at].0);
                for lane in 0..LANES {
                    let live = |gradient: f32| step.live.choose(lane, gradient, 0.0);
                    let dh = dh[lane] + dy[lane];
                    let tanh = math::tanh(f[lane] * c[lane] + i[lane] * g[lane]);
                    let d = dc[lane] + dh * o[lane] * (1.0 - tanh * tanh);
                    dc[lane] = live(d * f[lane]);
                    let (di, dg) = (d * g[lane], d * i[lane]);
                    i[lane] = live(di * i[lane] * (1.0 - i[lane]));
                    f[lane] = live(d * c[lane] * f[lane] * (1.0 - f[lane]));
                    g[lane] = live(dg * (1.0 - g[lane] * g[lane]));
                    o[lane] = live(dh * tanh * o[lane] * (1.0 - o[lane]));
                }
                (input[at].0, forget[at].0, candidate[at].0, out[at].0) = (i, f, g, o);
                (hidden[at].0, cells[at].0) = ([0.0; LANES], dc);
            }
        });
    }
}
