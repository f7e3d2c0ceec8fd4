//! Gated recurrent units.

use serde::{Deserialize, Serialize};

use super::cell::{Backward, BackwardPiece, Cell, Forward, ForwardPiece, PARTS, WIDTH, lanes, put};
use super::{Plan, Recurrent};
use crate::kernels::Activation;
use crate::layers::{Builder, Describe, Layer, Properties};
use crate::math::{self, select};
use crate::tiles::Shape;

/// Gated recurrent units (Cho et al. 2014) by torch's equations; files keep it so.
///
/// ```text
/// r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)      z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)      x [steps x channels]
/// n = tanh(W_in x + b_in + r (W_hn h + b_hn))     h' = (1 - z) n + z h                            y = h' [steps x hidden]
/// ```
/// Parameters, their rows in torch's order of gates: `weight_ih` `[3 hidden x channels]`, `bias_ih` `[3 hidden]`, `weight_hh`
/// `[3 hidden x hidden]`, `bias_hh` `[3 hidden]`, and `reverse.weight_ih` and so on of the way from the end, whose outputs stand
/// beside.
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
    /// So many units that read a sequence from its start and begin each batch anew.
    pub fn new(hidden: usize) -> Self {
        GruSpec { hidden, bidirectional: false, carry: false }
    }

    fn plan(&self) -> Plan {
        Plan { hidden: self.hidden, is_bidirectional: self.bidirectional, carries: self.carry }
    }
}

impl Describe for GruSpec {
    fn properties(&self) -> Properties<'_> {
        self.plan().properties("gru")
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

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

    fn add_products(&self, step: &Forward<'_>, piece: &mut ForwardPiece<'_>) {
        let [reset, update, ..] = &mut piece.gates;
        for (gate, rows) in [reset, update].into_iter().enumerate() {
            step.weights.add(step.states, step.lines(gate, &piece.units), rows);
        }
        step.weights.assign(step.states, step.lines(2, &piece.units), step.bias, piece.apart);
    }

    #[inline(always)]
    fn forward(&self, step: &Forward<'_>, piece: ForwardPiece<'_>) {
        let ForwardPiece { units, gates: [reset, update, new, _], apart, hidden, output, .. } = piece;
        for (at, unit) in units.enumerate() {
            for part in 0..step.live.parts() {
                let (mut r, mut z) = (lanes(&reset[at], part), lanes(&update[at], part));
                let (mut n, q) = (lanes(&new[at], part), lanes(&apart[at], part));
                let mut h = lanes(&step.states.rows[unit], part);
                let (live, mut y) = (step.live.part(part), [0.0; WIDTH]);
                for lane in 0..WIDTH {
                    r[lane] = math::sigmoid(r[lane]);
                    z[lane] = math::sigmoid(z[lane]);
                    n[lane] = math::tanh(n[lane] + r[lane] * q[lane]);
                    let state = (1.0 - z[lane]) * n[lane] + z[lane] * h[lane];
                    h[lane] = select(live[lane] > 0.0, state, h[lane]);
                    y[lane] = select(live[lane] > 0.0, state, 0.0);
                }
                put(&mut reset[at], part, r);
                put(&mut update[at], part, z);
                put(&mut new[at], part, n);
                put(&mut hidden[at], part, h);
                put(&mut output[at], part, y);
            }
        }
    }

    #[inline(always)]
    fn backward(&self, step: &Backward<'_>, piece: BackwardPiece<'_>) {
        let BackwardPiece { units, gates: [reset, update, new, _], apart, hidden, .. } = piece;
        let [reset_apart, update_apart, new_apart, _] = apart;
        for (at, unit) in units.enumerate() {
            for part in 0..PARTS {
                let (mut r, mut z) = (lanes(&reset[at], part), lanes(&update[at], part));
                let (mut n, mut q) = (lanes(&new[at], part), lanes(&new_apart[at], part));
                let (h, dy) = (lanes(&step.hidden[unit], part), lanes(&step.outputs[unit], part));
                let (mut dh, live) = (lanes(&hidden[at], part), step.live.part(part));
                for lane in 0..WIDTH {
                    let d = select(live[lane] > 0.0, dh[lane] + dy[lane], 0.0);
                    dh[lane] = d * z[lane];
                    let dn = d * (1.0 - z[lane]) * (1.0 - n[lane] * n[lane]);
                    let dr = dn * q[lane];
                    z[lane] = d * (h[lane] - n[lane]) * z[lane] * (1.0 - z[lane]);
                    n[lane] = dn;
                    q[lane] = dn * r[lane];
                    r[lane] = dr * r[lane] * (1.0 - r[lane]);
                }
                put(&mut reset[at], part, r);
                put(&mut update[at], part, z);
                put(&mut new[at], part, n);
                put(&mut reset_apart[at], part, r);
                put(&mut update_apart[at], part, z);
                put(&mut new_apart[at], part, q);
                put(&mut hidden[at], part, dh);
            }
        }
    }
}
