//! Dropout.

use serde::{Deserialize, Serialize};

use super::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Training, Vjp, Workspace};
use crate::kernels::{Activation, par_chunks};
use crate::random::{Purpose, Stream};
use crate::tiles::{LANES, Row, Shape, Tiles};

/// Rows of 64 samples that one piece of elementwise work covers.
const ROWS: usize = 64;

/// Inverted dropout (Srivastava et al. 2014); files keep it so.
///
/// ```text
/// training     y = m x / (1 - rate)      m = 0 with probability rate, else 1
/// predicting   y = x
/// ```
/// The mask is not stored: it is a hash of seed, step, layer, feature and sample, so that the backward pass has it too, and a
/// resumed run draws what the run would have drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropoutSpec {
    /// The share of numbers that are zeroed while training.
    pub rate: f32,
}

impl Describe for DropoutSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "dropout",
            looks_ahead: None,
            is_random: true,
            is_per_position: true,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(format!("dropout rate {} is not in [0, 1)", self.rate));
        }
        Ok(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        Ok(Box::new(Dropout::new(input, self.rate, builder.number())))
    }
}

/// Zeroes some of its input while training.
pub struct Dropout {
    shape: Shape,
    rate: f32,
    /// Which dropout layer of the network this is, so that two draw different masks.
    layer: u64,
}

impl Dropout {
    /// Drops a share `rate` of the features; `layer` tells this layer's masks from another's.
    pub fn new(shape: Shape, rate: f32, layer: u64) -> Dropout {
        Dropout { shape, rate, layer }
    }

    /// Writes `source`, masked, to `target`, and gates it by the derivative of `gate` at `outputs`.
    fn mask(&self, pass: &Pass, source: &Tiles, target: &mut Tiles, gate: Option<(Activation, &Tiles)>) {
        let key = pass
            .training
            .map(|Training { seed, step, .. }| Stream::new(seed, Purpose::Dropout, self.layer, step).bits());
        let earlier = pass.earlier() / LANES * self.shape.features();
        let keep = (f64::from(1.0 - self.rate) * f64::from(u32::MAX)) as u32;
        let scale = 1.0 / (1.0 - self.rate);
        par_chunks(target.rows_mut(), ROWS, &|start, rows: &mut [Row]| {
            crate::vectorize!(pass.isa, {
                for (index, row) in (start..).zip(rows.iter_mut()) {
                    row.0 = source.rows()[index].0;
                    if let Some(key) = key {
                        let row_key =
                            (key ^ ((earlier + index) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 16;
                        for lane in 0..LANES {
                            let kept = hash(row_key as u32, lane as u32) <= keep;
                            row.0[lane] *= if kept { scale } else { 0.0 };
                        }
                    }
                    if let Some((activation, outputs)) = gate {
                        activation.gate(&mut row.0, &outputs.rows()[index]);
                    }
                }
            });
        });
    }
}

impl Layer for Dropout {
    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn folds(&self) -> bool {
        true
    }

    fn spreads(&self) -> bool {
        true
    }

    fn forward(&self, pass: &Pass, _: &[Parameter], input: &Tiles, output: &mut Tiles, _: &mut Workspace) {
        self.mask(pass, input, output, None);
    }

    fn backward(&self, pass: &Pass, _: &[Parameter], _: &mut [Gradient], vjp: Vjp<'_>, _: &mut Workspace) {
        if let Some(gradient_input) = vjp.gradient_input {
            self.mask(pass, vjp.gradient, gradient_input, Some((vjp.gate, vjp.input)));
        }
    }
}

/// 32 well-mixed bits of a key and a counter (the finaliser of MurmurHash3).
#[inline(always)]
fn hash(key: u32, counter: u32) -> u32 {
    let mut h = key ^ counter.wrapping_mul(0x9e37_79b9);
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;

    #[test]
    fn drops_the_share_asked_for_and_keeps_the_mean() {
        let layer = Dropout::new(Shape::flat(100), 0.3, 0);
        let mut input = Tiles::zeros(100, 640);
        input.rows_mut().fill(Row([1.0; LANES]));
        let mut output = Tiles::zeros(100, 640);
        layer.forward(&Pass::train(Isa::detect(), 1, 2), &[], &input, &mut output, &mut Workspace::default());
        let values: Vec<f32> = output.rows().iter().flat_map(|row| row.0).collect();
        let dropped = values.iter().filter(|&&value| value == 0.0).count() as f64 / values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
        assert!((dropped - 0.3).abs() < 0.01 && (mean - 1.0).abs() < 0.01, "{dropped} {mean}");
        let mut again = Tiles::zeros(100, 640);
        layer.forward(&Pass::train(Isa::SCALAR, 1, 2), &[], &input, &mut again, &mut Workspace::default());
        assert_eq!(again.rows(), output.rows());
        layer.forward(&Pass::train(Isa::SCALAR, 1, 3), &[], &input, &mut again, &mut Workspace::default());
        assert_ne!(again.rows(), output.rows());
        layer.forward(&Pass::predict(Isa::SCALAR), &[], &input, &mut again, &mut Workspace::default());
        assert_eq!(again.rows(), input.rows());
    }
}
