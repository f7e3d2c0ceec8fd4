//! The last step of a sequence.

use serde::{Deserialize, Serialize};

use super::{CHANNELS, of_sequence, positions_in_piece, properties};
use crate::kernels::{Activation, par_chunks};
use crate::layers::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Vjp, Workspace};
use crate::tiles::{LANES, Row, Shape, Tiles};

/// The last step that a sample has; files keep it so.
///
/// `y = x[length - 1]`: `x [steps x channels]` becomes `y [channels]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastStepSpec {}

impl Describe for LastStepSpec {
    fn properties(&self) -> Properties<'_> {
        properties("last-step", false)
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        of_sequence(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.part();
        Ok(Box::new(LastStep { input }))
    }
}

/// The last step of a sequence.
pub struct LastStep {
    input: Shape,
}

impl LastStep {
    /// The last step of each lane; the first in a lane that has none.
    fn last(&self, input: &Tiles, tile: usize) -> [u32; LANES] {
        input.real_steps(tile, self.input.width).map(|steps| steps.max(1) - 1)
    }
}

impl Layer for LastStep {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        Shape::flat(self.input.channels)
    }

    fn spreads(&self) -> bool {
        true
    }

    fn forward(&self, pass: &Pass, _: &[Parameter], input: &Tiles, output: &mut Tiles, _: &mut Workspace) {
        let channels = self.input.channels;
        if input.is_spread() {
            let last = input.real_positions().max(1) - 1;
            let from = &input.tile(last / LANES)[..channels];
            return output
                .rows_mut()
                .iter_mut()
                .zip(from)
                .for_each(|(to, row)| to.0[0] = row.0[last % LANES]);
        }
        par_chunks(output.rows_mut(), channels, &|start, rows: &mut [Row]| {
            let tile = start / channels;
            let last = self.last(input, tile);
            let (shortest, longest) = last.iter().fold((u32::MAX, 0), |(a, b), &it| (a.min(it), b.max(it)));
            par_chunks(rows, CHANNELS, &|first, rows: &mut [Row]| {
                crate::vectorize!(pass.isa, {
                    for step in shortest..=longest {
                        let inputs = &input.tile(tile)[step as usize * channels + first..];
                        for (row, input) in rows.iter_mut().zip(inputs) {
                            for lane in 0..LANES {
                                row.0[lane] = if last[lane] == step { input.0[lane] } else { row.0[lane] };
                            }
                        }
                    }
                });
            });
        });
    }

    fn backward(&self, pass: &Pass, _: &[Parameter], _: &mut [Gradient], vjp: Vjp<'_>, _: &mut Workspace) {
        let Some(gradient_input) = vjp.gradient_input else { return };
        let (channels, steps) = (self.input.channels, self.input.width);
        par_chunks(
            gradient_input.rows_mut(),
            positions_in_piece(channels) * channels,
            &|start, rows: &mut [Row]| {
                crate::vectorize!(pass.isa, {
                    for (place, rows) in (start / channels..).zip(rows.chunks_exact_mut(channels)) {
                        let (tile, step) = (place / steps, (place % steps) as u32);
                        let last = self.last(vjp.input, tile);
                        let inputs = &vjp.input.rows()[place * channels..];
                        for (row, (gradient, input)) in
                            rows.iter_mut().zip(vjp.gradient.tile(tile).iter().zip(inputs))
                        {
                            for lane in 0..LANES {
                                row.0[lane] = if last[lane] == step { gradient.0[lane] } else { 0.0 };
                            }
                            vjp.gate.gate(&mut row.0, input);
                        }
                    }
                });
            },
        );
    }
}
