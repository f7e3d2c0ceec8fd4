//! The simple recurrent layer.

use serde::{Deserialize, Serialize};

use super::cell::{Backward, BackwardPiece, Cell, Forward, ForwardPiece};
use super::{Plan, Recurrent};
use crate::kernels::Activation;
use crate::layers::{Builder, Describe, Layer, Properties};
use crate::math::select;
use crate::tiles::{LANES, Row, Shape};

/// The simple recurrent layer (Elman 1990); files keep it so.
///
/// `h' = f(W_ih x + b + W_hh h)`, `f` the hyperbolic tangent or a rectifier; `x [steps x channels]`, `y = h'` `[steps x hidden]`.
/// Parameters: `weight_ih` `[hidden x channels]`, `bias_ih` `[hidden]`, which stands for the two biases that torch adds up, `weight_hh`
/// `[hidden x hidden]`, and `reverse.weight_ih` and so on of the way from the end, whose outputs stand beside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RnnSpec {
    /// Units of each direction.
    pub hidden: usize,
    /// The function: `tanh` or `relu`.
    #[serde(default = "tanh")]
    pub activation: Activation,
    /// Whether a second layer reads the sequence from its end; the outputs of both stand side by side.
    #[serde(default)]
    pub bidirectional: bool,
    /// Whether a batch begins with the states that the one before ended with.
    #[serde(default)]
    pub carry: bool,
}

fn tanh() -> Activation {
    Activation::Tanh
}

impl RnnSpec {
    /// So many units that read a sequence from its start and begin each batch anew.
    pub fn new(hidden: usize) -> Self {
        RnnSpec { hidden, activation: Activation::Tanh, bidirectional: false, carry: false }
    }

    fn plan(&self) -> Plan {
        Plan { hidden: self.hidden, is_bidirectional: self.bidirectional, carries: self.carry }
    }
}

impl Describe for RnnSpec {
    fn properties(&self) -> Properties<'_> {
        self.plan().properties("rnn")
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        if !matches!(self.activation, Activation::Tanh | Activation::Relu) {
            return Err(format!("its activation is tanh or relu, not {:?}", self.activation));
        }
        self.plan().output(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        Recurrent::build(input, self.plan(), RnnCell(self.activation), builder)
    }
}

/// A simple recurrent layer.
pub type Rnn = Recurrent<RnnCell>;

/// The unit of a simple recurrent layer, with its function. After a pass forward its gate is the new state.
pub struct RnnCell(Activation);

impl Cell for RnnCell {
    const GATES: usize = 1;
    const HAS_CELLS: bool = false;
    const KEEPS_APART: bool = false;

    fn activation(&self) -> Activation {
        self.0
    }

    #[inline(always)]
    fn forward(&self, step: &Forward<'_>, piece: ForwardPiece<'_>) {
        let ForwardPiece { units, gates: [sums, ..], hidden, output, .. } = piece;
        for (at, unit) in units.enumerate() {
            let (mut state, h, live) = (sums[at].0, step.states.rows[unit].0, step.live.all());
            self.0.apply(&mut state);
            let (mut new_h, mut y) = ([0.0; LANES], [0.0; LANES]);
            for lane in 0..LANES {
                new_h[lane] = select(live[lane] > 0.0, state[lane], h[lane]);
                y[lane] = select(live[lane] > 0.0, state[lane], 0.0);
            }
            (sums[at].0, hidden[at].0, output[at].0) = (state, new_h, y);
        }
    }

    #[inline(always)]
    fn backward(&self, step: &Backward<'_>, piece: BackwardPiece<'_>) {
        let BackwardPiece { units, gates: [state, ..], hidden, .. } = piece;
        for (at, unit) in units.enumerate() {
            let (mut d, dy, live) = (hidden[at].0, step.outputs[unit].0, step.live.all());
            for lane in 0..LANES {
                d[lane] += dy[lane];
            }
            self.0.gate(&mut d, &Row(state[at].0));
            for lane in 0..LANES {
                d[lane] = select(live[lane] > 0.0, d[lane], 0.0);
            }
            (state[at].0, hidden[at].0) = (d, [0.0; LANES]);
        }
    }
}
