//! Recurrent layers: a state of `hidden` numbers goes from step to step of a sequence, and is the output at each.
//!
//! ```text
//! state before step t + 1 = cell(W_ih x[t] + b_ih, W_hh state before step t)
//! ```
//! What a cell does is its own file ([`lstm`], [`gru`], [`rnn`]); here is what they share. Steps go one after the other, cut into pieces
//! of units that do both products and the cell: sums of gates do not leave the cache before they are used. Both weights are sparse or
//! dense as any other. Products that only a backward pass makes go over all steps at once.
//!
//! Samples may be shorter than the sequence: beyond its last step a sample's state stays what it was and its outputs are 0; the
//! backward direction of a bidirectional layer begins at each sample's own last step, as torch does with packed sequences.
//! A layer that carries its state begins a batch with the states that the batch before ended with (truncated backpropagation
//! through time, Williams and Peng 1990); gradients do not go back that far.

mod cell;
mod gru;
mod lstm;
mod rnn;
mod sweep;
#[cfg(test)]
mod tests;

pub use gru::{Gru, GruSpec};
pub use lstm::{Lstm, LstmSpec};
pub use rnn::{Rnn, RnnSpec};

use self::cell::Cell;
use self::sweep::{Direction, Parameters, Room, Sweep};
use super::limits::check_units;
use super::{
    Builder, Carried, Gradient, Layer, Parameter, Pass, Properties, Role, Vjp, WeightShape, Workspace,
};
use crate::kernels::{self, Activation, Epilogue, Product};
use crate::tiles::{Shape, Tiles};

/// What all recurrent layers are told.
#[derive(Debug, Clone, Copy)]
struct Plan {
    hidden: usize,
    is_bidirectional: bool,
    carries: bool,
}

impl Plan {
    fn properties(self, name: &str) -> Properties<'_> {
        let looks_ahead = self.is_bidirectional.then_some("leave bidirectional out");
        Properties { name, looks_ahead, is_random: false, is_per_position: false, has_windows: false }
    }

    fn output(self, input: Shape) -> Result<Shape, String> {
        if input.height != 1 {
            return Err("is for sequences, and this is an image".into());
        }
        if self.hidden == 0 {
            return Err("hidden must be at least 1".into());
        }
        check_units("hidden", self.hidden)?;
        if self.is_bidirectional && self.carries {
            return Err(
                "a bidirectional layer cannot carry its state: it reads each sequence from both ends; \
                        leave one of bidirectional and carry out"
                    .into(),
            );
        }
        Ok(Shape { channels: self.directions() * self.hidden, ..input })
    }

    fn directions(self) -> usize {
        1 + usize::from(self.is_bidirectional)
    }
}

/// Of the arrays of the workspace the sum of the biases of a direction.
const MERGED: usize = 0;

/// A recurrent layer. Parameters of each direction: `weight_ih`, `bias_ih`, `weight_hh` and, where the cell keeps the two
/// products apart, `bias_hh`; of the backward direction `reverse.weight_ih` and so on.
pub struct Recurrent<C> {
    input: Shape,
    plan: Plan,
    cell: C,
}

impl<C: Cell + 'static> Recurrent<C> {
    fn build(input: Shape, plan: Plan, cell: C, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        for direction in 0..plan.directions() {
            match direction {
                0 => Self::parameters(input, plan, &cell, builder)?,
                _ => builder.within("reverse", |builder| Self::parameters(input, plan, &cell, builder))?,
            }
        }
        builder.part();
        Ok(Box::new(Recurrent { input, plan, cell }))
    }

    fn parameters(input: Shape, plan: Plan, cell: &C, builder: &mut Builder<'_>) -> crate::Result<()> {
        let rows = C::GATES * plan.hidden;
        let weight = |cols: usize| WeightShape {
            alike: plan.hidden,
            ..WeightShape::linear(rows, cols, input.positions())
        };
        builder.weight("weight_ih", weight(input.channels), cell.activation())?;
        builder.values("bias_ih", rows, |row| cell.start_of_bias(row / plan.hidden), Role::Bias)?;
        builder.weight("weight_hh", weight(plan.hidden), cell.activation())?;
        if C::KEEPS_APART {
            builder.vector("bias_hh", rows, 0.0, Role::Bias)?;
        }
        Ok(())
    }

    fn directions(&self) -> impl Iterator<Item = Direction> + use<C> {
        let (plan, steps) = (self.plan, self.input.positions());
        (0..plan.directions()).map(move |index| Direction {
            index,
            count: plan.directions(),
            steps,
            hidden: plan.hidden,
            gates: C::GATES,
        })
    }

    /// Parameters of a direction.
    const COUNT: usize = if C::KEEPS_APART { 4 } else { 3 };

    /// The gradients of what the recurrent products gave, after a backward pass.
    fn recurrent_gradient(room: &[Tiles]) -> &Tiles {
        &room[if C::KEEPS_APART { Room::APART } else { Room::GATES }]
    }
}

impl<C: Cell + 'static> Layer for Recurrent<C> {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.plan.output(self.input).expect("checked when it was built")
    }

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        let (steps, hidden) = (self.input.positions(), self.plan.hidden);
        let mut tiles = Vec::new();
        for _ in 0..self.plan.directions() {
            let features = Room::features::<C>(steps, hidden, training);
            tiles.extend(features.map(|features| Tiles::zeros(features, samples)));
        }
        if training && self.plan.is_bidirectional {
            // The gradient of the input by one direction.
            tiles.push(Tiles::zeros(self.input.features(), samples));
        }
        let states = if self.plan.carries { 1 + usize::from(C::HAS_CELLS) } else { 0 };
        let carried = (0..states).map(|_| Carried::zeros(hidden, samples)).collect();
        Workspace { tiles, numbers: vec![Vec::new()], carried, ..Workspace::default() }
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    ) {
        let rooms = work.tiles.chunks_exact_mut(Room::COUNT);
        for ((direction, room), parameters) in
            self.directions().zip(rooms).zip(parameters.chunks_exact(Self::COUNT))
        {
            let bias = parameters[1].weights.values();
            let recurrent_bias = parameters.get(3).map_or(&[][..], |bias| bias.weights.values());
            // But for the gate that is kept apart, both biases are added to the same sum.
            let merged = &mut work.numbers[MERGED];
            merged.clear();
            merged.extend_from_slice(bias);
            let shared = (C::GATES - 1) * self.plan.hidden;
            for (bias, more) in merged.iter_mut().zip(recurrent_bias).take(shared) {
                *bias += more;
            }
            for (state, tiles) in [Room::HIDDEN, Room::CELLS].into_iter().enumerate() {
                direction.begin(&mut room[tiles], work.carried.get(state).map(|carried| &carried.begin));
            }
            let sweep = Sweep { isa: pass.isa, precision: pass.precision, cell: &self.cell, direction };
            let [input_weights, recurrent] = [0, 2].map(|at| &parameters[at].weights);
            let parameters = Parameters { input: input_weights, bias: merged, recurrent, recurrent_bias };
            sweep.forward(&parameters, room, input, output);
            for (state, carried) in work.carried.iter_mut().enumerate() {
                direction.copy_end(state, &room[Room::EDGE], &mut carried.end);
            }
        }
    }

    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let isa = pass.isa;
        let rooms = work.tiles.chunks_exact_mut(Room::COUNT);
        let scratch = &mut work.scratch;
        let parts = parameters.chunks_exact(Self::COUNT).zip(gradients.chunks_exact_mut(Self::COUNT));
        for ((direction, room), (parameters, gradients)) in self.directions().zip(rooms).zip(parts) {
            let [weight, bias, recurrent, recurrent_bias @ ..] = gradients else { unreachable!() };
            let (weights, recurrent_weights) = (&parameters[0].weights, &parameters[2].weights);
            let sweep = Sweep { isa, precision: pass.precision, cell: &self.cell, direction };
            // The gradient is computed after this.
            sweep.backward(recurrent_weights, &mut recurrent.values, room, vjp.input, vjp.gradient);
            let (gates, apart) = (&room[Room::GATES], Self::recurrent_gradient(room));
            kernels::weight_gradient(isa, weights, gates, vjp.input, &mut weight.values, scratch);
            kernels::bias_gradient(isa, gates, &mut bias.values);
            let (hidden, out) = (&room[Room::HIDDEN], &mut recurrent.values);
            kernels::weight_gradient(isa, recurrent_weights, apart, hidden, out, scratch);
            if let [recurrent_bias] = recurrent_bias {
                kernels::bias_gradient(isa, apart, &mut recurrent_bias.values);
            }
        }
        let Some(gradient_input) = vjp.gradient_input else { return };
        let (rooms, sum) = work.tiles.split_at_mut(self.plan.directions() * Room::COUNT);
        let outputs = vjp.input.rows();
        let weights = &parameters[0].weights;
        let [sum] = sum else {
            let epilogue = Epilogue::Gate { activation: vjp.gate, outputs };
            return kernels::multiply_transposed(
                isa,
                weights,
                &rooms[Room::GATES],
                gradient_input,
                epilogue,
                scratch,
            );
        };
        let epilogue = Epilogue::Gate { activation: Activation::Identity, outputs: &[] };
        kernels::multiply_transposed(isa, weights, &rooms[Room::GATES], sum, epilogue, scratch);
        let epilogue = Epilogue::Add { terms: sum.rows(), activation: vjp.gate, outputs };
        let weights = &parameters[Self::COUNT].weights;
        let gates = &rooms[Room::COUNT + Room::GATES];
        kernels::multiply_transposed(isa, weights, gates, gradient_input, epilogue, scratch);
    }

    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        _: &'a Tiles,
        work: &'a Workspace,
    ) -> Product<'a> {
        let (direction, parameter) = (parameter / Self::COUNT, parameter % Self::COUNT);
        let room = &work.tiles[direction * Room::COUNT..][..Room::COUNT];
        match parameter {
            0 => Product::new(input, &room[Room::GATES]),
            2 => Product::new(&room[Room::HIDDEN], Self::recurrent_gradient(room)),
            _ => panic!("only the weights of a recurrent layer have connections"),
        }
    }
}
