//! All positions pooled.

use serde::{Deserialize, Serialize};

use super::max::exceeds;
use super::{CHANNELS, positions_in_piece, properties};
use crate::kernels::{Activation, Vectorized, par_chunk_pairs, par_chunks};
use crate::layers::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Vjp, Workspace};
use crate::tiles::{LANES, Row, Shape, Tiles};

/// What is taken of all positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Average,
    Max,
}

/// The mean of all positions of each channel (Lin, Chen and Yan 2014, section 3.2); files keep it so.
///
/// `y[c] = mean over t of x[t, c]`, of a sequence over the steps that a sample has: `x [positions x channels]` becomes
/// `y [channels]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAveragePoolSpec {}

/// The largest number of all positions of each channel; files keep it so.
///
/// `y[c] = max over t of x[t, c]`, of a sequence over the steps that a sample has: `x [positions x channels]` becomes
/// `y [channels]`. The gradient goes to the first position that has the largest number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalMaxPoolSpec {}

impl Describe for GlobalAveragePoolSpec {
    fn properties(&self) -> Properties<'_> {
        properties("global-average-pool", false)
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(Shape::flat(input.channels))
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.part();
        Ok(Box::new(GlobalPool { input, kind: Kind::Average }))
    }
}

impl Describe for GlobalMaxPoolSpec {
    fn properties(&self) -> Properties<'_> {
        properties("global-max-pool", false)
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(Shape::flat(input.channels))
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.part();
        Ok(Box::new(GlobalPool { input, kind: Kind::Max }))
    }
}

/// Pooling over all positions.
pub struct GlobalPool {
    input: Shape,
    kind: Kind,
}

impl GlobalPool {
    /// Real steps of each lane; a lane that is nobody's has one, so that numbers stay finite.
    fn steps(&self, input: &Tiles, tile: usize) -> [u32; LANES] {
        input.real_steps(tile, self.input.positions()).map(|steps| steps.max(1))
    }
}

/// One sample whose positions are lanes: its channels side by side, each over the positions in order.
struct SpreadPool<'a> {
    kind: Kind,
    input: &'a Tiles,
    output: &'a mut [Row],
}

impl Vectorized for SpreadPool<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let steps = self.input.real_positions().max(1);
        for (piece, output) in self.output.chunks_mut(CHANNELS).enumerate() {
            let inputs = |position: usize| {
                let rows = &self.input.tile(position / LANES)[piece * CHANNELS..][..output.len()];
                rows.iter().map(move |row| row.0[position % LANES])
            };
            let mut numbers = [0.0; CHANNELS];
            match self.kind {
                Kind::Average => {
                    for position in 0..steps {
                        numbers.iter_mut().zip(inputs(position)).for_each(|(sum, input)| *sum += input);
                    }
                    numbers.iter_mut().for_each(|sum| *sum /= steps as f32);
                }
                Kind::Max => {
                    numbers.iter_mut().zip(inputs(0)).for_each(|(largest, input)| *largest = input);
                    for position in 1..steps {
                        for (largest, input) in numbers.iter_mut().zip(inputs(position)) {
                            *largest = if exceeds(input, *largest) { input } else { *largest };
                        }
                    }
                }
            }
            output.iter_mut().zip(numbers).for_each(|(row, number)| row.0[0] = number);
        }
    }
}

impl Layer for GlobalPool {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        Shape::flat(self.input.channels)
    }

    fn spreads(&self) -> bool {
        true
    }

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        // The position at which each maximum was found.
        let features = if training && self.kind == Kind::Max { self.input.channels } else { 0 };
        Workspace { tiles: vec![Tiles::zeros(features, samples)], ..Workspace::default() }
    }

    fn forward(&self, pass: &Pass, _: &[Parameter], input: &Tiles, output: &mut Tiles, work: &mut Workspace) {
        let (channels, positions) = (self.input.channels, self.input.positions());
        if input.is_spread() {
            return pass.isa.vectorize(SpreadPool { kind: self.kind, input, output: output.rows_mut() });
        }
        let (found, sizes) = (work.tiles[0].rows_mut(), (channels, channels));
        par_chunk_pairs(found, output.rows_mut(), sizes, &|tile, found: &mut [Row], rows: &mut [Row]| {
            let steps = self.steps(input, tile);
            par_chunk_pairs(found, rows, (CHANNELS, CHANNELS), &|piece, found: &mut [Row], rows| {
                let inputs = |position: usize| &input.tile(tile)[position * channels + piece * CHANNELS..];
                crate::vectorize!(
                    pass.isa,
                    match self.kind {
                        Kind::Average => {
                            rows.fill(Row::ZERO);
                            for position in 0..positions {
                                for (row, input) in rows.iter_mut().zip(inputs(position)) {
                                    for lane in 0..LANES {
                                        let is_real = (position as u32) < steps[lane];
                                        row.0[lane] += if is_real { input.0[lane] } else { 0.0 };
                                    }
                                }
                            }
                            for row in rows {
                                (0..LANES).for_each(|lane| row.0[lane] /= steps[lane] as f32);
                            }
                        }
                        Kind::Max => {
                            rows.copy_from_slice(&inputs(0)[..rows.len()]);
                            found.fill(Row::ZERO);
                            for position in 1..positions {
                                for (index, (row, input)) in rows.iter_mut().zip(inputs(position)).enumerate()
                                {
                                    let is_larger = |lane: usize, row: &Row| {
                                        (position as u32) < steps[lane] && exceeds(input.0[lane], row.0[lane])
                                    };
                                    if let Some(found) = found.get_mut(index) {
                                        for lane in 0..LANES {
                                            let before = found.0[lane];
                                            found.0[lane] =
                                                if is_larger(lane, row) { position as f32 } else { before };
                                        }
                                    }
                                    for lane in 0..LANES {
                                        let before = row.0[lane];
                                        row.0[lane] =
                                            if is_larger(lane, row) { input.0[lane] } else { before };
                                    }
                                }
                            }
                        }
                    }
                );
            });
        });
    }

    fn backward(&self, pass: &Pass, _: &[Parameter], _: &mut [Gradient], vjp: Vjp<'_>, work: &mut Workspace) {
        let Some(gradient_input) = vjp.gradient_input else { return };
        let (channels, positions) = (self.input.channels, self.input.positions());
        let found = &work.tiles[0];
        par_chunks(
            gradient_input.rows_mut(),
            positions_in_piece(channels) * channels,
            &|start, rows: &mut [Row]| {
                crate::vectorize!(pass.isa, {
                    for (place, rows) in (start / channels..).zip(rows.chunks_exact_mut(channels)) {
                        let (tile, position) = (place / positions, (place % positions) as u32);
                        let steps = self.steps(vjp.input, tile);
                        let shares =
                            steps.map(|steps| if position < steps { 1.0 / steps as f32 } else { 0.0 });
                        let inputs = &vjp.input.rows()[place * channels..];
                        let gradients = vjp.gradient.tile(tile);
                        for (channel, (row, gradient)) in rows.iter_mut().zip(gradients).enumerate() {
                            match self.kind {
                                Kind::Average => {
                                    (0..LANES).for_each(|lane| row.0[lane] = gradient.0[lane] * shares[lane]);
                                }
                                Kind::Max => {
                                    let found = &found.tile(tile)[channel];
                                    for lane in 0..LANES {
                                        let is_it = found.0[lane] == position as f32;
                                        row.0[lane] = if is_it { gradient.0[lane] } else { 0.0 };
                                    }
                                }
                            }
                            vjp.gate.gate(&mut row.0, &inputs[channel]);
                        }
                    }
                });
            },
        );
    }
}
