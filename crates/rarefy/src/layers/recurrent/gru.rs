//! Gated recurrent unit (Cho et al. 2014) by torch's equations, in its order of gates:
//! ```text
//! r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)      z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
//! n = tanh(W_in x + b_in + r (W_hn h + b_hn))     h' = (1 - z) n + z h
//! ```

use serde::{Deserialize, Serialize};

use super::cell::{Backward, BackwardPiece, Cell, Forward, ForwardPiece};
use super::{Plan, Recurrent};
use crate::kernels::Activation;
use crate::layers::{Builder, Describe, Layer};
use crate::math;
use crate::tiles::{LANES, Shape};

/// A GRU as files keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruSpec {
    /// Units of each direction.
    pub hidden: usize,
    /// Whether a second layer reads the sequence from its end; the outputs of both stand side by side.
    #[serde(default)]
    pub bidirectional: bool,
    /// Whether a batch begins with the states that the one before ended with.
    #[serde(default)]
    pub carry: bool,
}

impl GruSpec {
    fn plan(&self) -> Plan {
        Plan { hidden: self.hidden, is_bidirectional: self.bidirectional, carries: self.carry }
    }
}

impl Describe for GruSpec {
    fn output(&self, input: Shape) -> Result<Shape, String> {
        self.plan().output(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        Recurrent::build(input, self.plan(), GruCell, builder)
    }
}

/// A GRU layer.
pub type Gru = Recurrent<GruCell>;

/// The unit of a GRU. After a pass forward its gates are `r`, `z`, `n`, and `W_hn h + b_hn` is kept apart.
pub struct GruCell;

impl Cell for GruCell {
    const GATES: usize = 3;
    const HAS_CELLS: bool = false;
    const KEEPS_APART: bool = true;

    fn forward(&self, step: &Forward<'_>, piece: ForwardPiece<'_>) {
        let ForwardPiece { units, gates: [reset, update, new, _], apart, hidden, output, .. } = piece;
        step.add_products(&units, &mut [&mut *reset, &mut *update]);
        step.weights.assign(step.isa, step.hidden, step.lines(2, &units), step.bias, apart);
        step.isa.vectorize(|| {
            for (at, unit) in units.enumerate() {
                let (mut r, mut z, mut n) = (reset[at].0, update[at].0, new[at].0);
                let (q, h) = (apart[at].0, step.hidden[unit].0);
                Activation::Sigmoid.apply(&mut r);
                Activation::Sigmoid.apply(&mut z);
                let (mut new_h, mut y) = ([0.0; LANES], [0.0; LANES]);
                for lane in 0..LANES {
                    n[lane] = math::tanh(n[lane] + r[lane] * q[lane]);
                    let state = (1.0 - z[lane]) * n[lane] + z[lane] * h[lane];
                    new_h[lane] = step.live.choose(lane, state, h[lane]);
                    y[lane] = step.live.choose(lane, state, 0.0);
                }
                (reset[at].0, update[at].0, new[at].0) = (r, z, n);
                (hidden[at].0, output[at].0) = (new_h, y);
            }
        });
    }

    fn backward(&self, step: &Backward<'_>, piece: BackwardPiece<'_>) {
        let BackwardPiece { units, gates: [reset, update, new, _], apart, hidden, .. } = piece;
        let [reset_apart, update_apart, new_apart, _] = apart;
        step.add_products(&units, hidden);
        step.isa.vectorize(|| {
            for (at, unit) in units.enumerate() {
                let (mut r, mut z, mut n, mut q) = (reset[at].0, update[at].0, new[at].0, new_apart[at].0);
                let (h, dy, mut dh) = (step.hidden[unit].0, step.outputs[unit].0, hidden[at].0);
                for lane in 0..LANES {
                    let live = |gradient: f32| step.live.choose(lane, gradient, 0.0);
                    let d = dh[lane] + dy[lane];
                    dh[lane] = live(d * z[lane]);
                    let dn = live(d * (1.0 - z[lane]) * (1.0 - n[lane] * n[lane]));
                    let dr = dn * q[lane];
                    z[lane] = live(d * (h[lane] - n[lane]) * z[lane] * (1.0 - z[lane]));
                    n[lane] = dn;
                    q[lane] = dn * r[lane];
                    r[lane] = live(dr * r[lane] * (1.0 - r[lane]));
                }
                (reset[at].0, update[at].0, new[at].0) = (r, z, n);
                (reset_apart[at].0, update_apart[at].0, new_apart[at].0) = (r, z, q);
                hidden[at].0 = dh;
            }
        });
    }
}
