//! Pooling: several positions become one, each channel for itself.
//!
//! ```text
//! max-pool, average-pool                 a window of positions (max, average)
//! global-average-pool, global-max-pool   all positions (global)
//! last-step                              a sequence's last step (last)
//! attention-pool                         all steps, as much of each as learned weights say (attention)
//! ```
//! All of them look at a sample's real steps only. Of a window that has none, which none begins but may where it is dilated, comes 0.

mod attention;
mod average;
mod global;
mod last;
mod max;

pub use attention::{AttentionPool, AttentionPoolSpec};
pub use average::{AveragePool, AveragePoolSpec};
pub use global::{GlobalAveragePoolSpec, GlobalMaxPoolSpec, GlobalPool};
pub use last::{LastStep, LastStepSpec};
pub use max::{MaxPool, MaxPoolSpec};

use super::conv::{check_reads, check_sides};
use crate::kernels::{Geometry, MAX_OFFSETS, Windows};
use crate::layers::{Properties, Size};
use crate::tiles::{LANES, Shape, Tiles};

/// Rows of 64 samples in a piece of work.
const ROWS: usize = 256;

/// Channels of a tile that one thread takes at a time.
const CHANNELS: usize = 16;

/// Positions of a piece of work.
fn positions_in_piece(channels: usize) -> usize {
    (ROWS / channels).max(1)
}

/// What every kind of pooling says about itself.
fn properties(name: &str, has_windows: bool) -> Properties<'_> {
    let looks_ahead = Some("take it out");
    Properties { name, looks_ahead, is_random: false, is_per_position: false, has_windows }
}

/// What comes out where all steps of a sequence become one position.
fn of_sequence(input: Shape) -> Result<Shape, String> {
    if input.height > 1 {
        return Err("is for sequences, and this is an image; use global-average-pool".into());
    }
    Ok(Shape::flat(input.channels))
}

/// The windows that files describe.
#[derive(Debug, Clone, Copy)]
struct Window {
    kernel: Size,
    stride: Size,
    padding: Size,
    dilation: Size,
}

impl Window {
    /// Which positions of an input each window has.
    fn geometry(self, input: Shape) -> Result<Geometry, String> {
        // On a sequence, whose height is 1, a number is about steps.
        let sides = |size: Size, across: usize| match size {
            Size::Square(steps) if input.height == 1 => [across, steps],
            _ => size.sides(),
        };
        let (kernel, stride) = (sides(self.kernel, 1), sides(self.stride, 1));
        let (padding, dilation) = (sides(self.padding, 0), sides(self.dilation, 1));
        if [kernel, stride, dilation].as_flattened().contains(&0) {
            return Err("kernel, stride and dilation must be at least 1".into());
        }
        check_sides(&[kernel, stride, padding, dilation])?;
        let (filters, groups) = (input.channels, input.channels);
        let geometry = Geometry { input, filters, kernel, stride, padding, dilation, groups };
        if geometry.offsets() > MAX_OFFSETS {
            return Err(format!(
                "a window has at most {MAX_OFFSETS} positions, not {}; for all positions there is global-max-pool or global-average-pool",
                geometry.offsets()
            ));
        }
        let [height, width] = kernel;
        let Some(output) = geometry.output() else {
            return Err(format!(
                "its window of {height} x {width} is larger than the input of {} x {} with {} and {} around it",
                input.height, input.width, padding[0], padding[1]
            ));
        };
        check_reads(&geometry, output)?;
        let sizes = [(input.height, output.height), (input.width, output.width)];
        for (axis, (size, windows)) in sizes.into_iter().enumerate() {
            let is_within = |window: usize, offset: usize| {
                let place = window * stride[axis] + offset * dilation[axis];
                (padding[axis]..padding[axis] + size).contains(&place)
            };
            let reads = |window: usize| (0..kernel[axis]).any(|offset| is_within(window, offset));
            if !(0..windows).all(reads) {
                return Err(format!(
                    "with a padding of {} and {} some windows of {height} x {width} hold nothing but padding; use at most \
                     half of the window",
                    padding[0], padding[1]
                ));
            }
        }
        Ok(geometry)
    }

    fn output(self, input: Shape) -> Result<Shape, String> {
        Ok(self.geometry(input)?.output().expect("checked with the geometry"))
    }

    /// The windows on an input that they were found to fit.
    fn on(self, input: Shape) -> Windows {
        Windows::new(self.geometry(input).expect("a description that was found good"))
    }
}

/// What the windows of one sample hold whose positions are lanes: each channel's number begins as `start`, `add` puts the
/// numbers of the window to it, in order, and `end` is told how many these were.
fn pool_spread(
    windows: &Windows,
    input: &Tiles,
    output: &mut Tiles,
    start: f32,
    add: impl Fn(f32, f32) -> f32,
    end: impl Fn(f32, usize) -> f32,
) {
    for window in 0..output.samples() {
        let lane = window % LANES;
        let rows = output.tile_mut(window / LANES);
        rows.iter_mut().for_each(|row| row.0[lane] = start);
        let mut count = 0;
        for (_, read) in windows.reads_of(window).filter(|&(_, read)| read < input.real_positions()) {
            for (row, from) in rows.iter_mut().zip(input.tile(read / LANES)) {
                row.0[lane] = add(row.0[lane], from.0[read % LANES]);
            }
            count += 1;
        }
        rows.iter_mut().for_each(|row| row.0[lane] = end(row.0[lane], count));
    }
}

fn one() -> Size {
    Size::Square(1)
}

fn none() -> Size {
    Size::Square(0)
}

#[cfg(test)]
mod tests {
    use crate::kernels::Isa;
    use crate::layers::{LayerSpec, Network, NetworkSpec, Pass, Size, SparsitySettings};
    use crate::tiles::{Shape, Tiles};

    fn network(layer: &str, inputs: Shape) -> Network {
        let spec = NetworkSpec { inputs, layers: vec![toml::from_str::<LayerSpec>(layer).unwrap()] };
        Network::random(&spec, &SparsitySettings::dense(), 0).unwrap()
    }

    /// What comes out for the numbers 0, 1, 2, ... or for others; `length` 0 for all steps.
    fn pooled(network: &Network, values: &[f32], length: u32) -> Vec<f32> {
        let mut input = Tiles::zeros(values.len(), 1);
        input.set_sample(0, values);
        input.set_lengths((length > 0).then_some(length).iter().copied().collect::<Vec<_>>().into_iter());
        let mut buffers = network.buffers(1, true);
        network.forward(&Pass::train(Isa::SCALAR, 1, 1), &input, &mut buffers);
        buffers.output().sample(0)
    }

    #[test]
    fn windows_of_an_image() {
        // 0 1 2
        // 3 4 5
        // 6 7 8
        let values: Vec<f32> = (0..9).map(|value| value as f32).collect();
        let square = Shape { height: 3, width: 3, channels: 1 };
        #[rustfmt::skip]
        let table: &[(&str, &[f32])] = &[
            ("layer = 'max-pool'\nkernel = 2\nstride = 1", &[4.0, 5.0, 7.0, 8.0]),
            ("layer = 'max-pool'\nkernel = 2\npadding = 1", &[0.0, 2.0, 6.0, 8.0]),
            ("layer = 'max-pool'\nkernel = 2\ndilation = 2", &[8.0]),
            ("layer = 'max-pool'\nkernel = [1, 3]", &[2.0, 5.0, 8.0]),
            ("layer = 'average-pool'\nkernel = 2\nstride = 1", &[2.0, 3.0, 5.0, 6.0]),
            ("layer = 'average-pool'\nkernel = 2\npadding = 1", &[0.0, 1.5, 4.5, 6.0]),
            ("layer = 'average-pool'\nkernel = 3", &[4.0]),
            ("layer = 'global-average-pool'", &[4.0]),
            ("layer = 'global-max-pool'", &[8.0]),
        ];
        for (layer, expected) in table {
            assert_eq!(&pooled(&network(layer, square), &values, 0), expected, "{layer}");
        }
    }

    #[test]
    fn steps_beyond_a_sample_s_length_count_nowhere() {
        for (layer, expected) in [
            ("layer = 'global-average-pool'", [2.0, -3.0]),
            ("layer = 'global-max-pool'", [3.0, -2.0]),
            ("layer = 'last-step'", [3.0, -4.0]),
            // Both steps weigh the same, the query being 0.
            ("layer = 'attention-pool'", [2.0, -3.0]),
        ] {
            let mut network = network(layer, Shape::sequence(3, 2));
            network.parameters_mut().for_each(|parameter| parameter.weights.values_mut().fill(0.0));
            for padding in [100.0, -100.0] {
                let values = [1.0, -2.0, 3.0, -4.0, padding, padding];
                assert_eq!(pooled(&network, &values, 2), expected, "{layer}");
            }
        }
    }

    #[test]
    fn attention_weighs_steps_by_what_the_query_says() {
        let mut network = network("layer = 'attention-pool'", Shape::sequence(2, 2));
        // Scores 0 and ln 3: weights 1/4 and 3/4.
        network.parameters_mut().for_each(|query| query.weights.values_mut().copy_from_slice(&[1.0, 0.0]));
        let found = pooled(&network, &[0.0, 8.0, 3f32.ln(), -8.0], 0);
        assert!((found[0] - 0.75 * 3f32.ln()).abs() < 1e-5 && (found[1] + 4.0).abs() < 1e-5, "{found:?}");
    }

    #[test]
    fn a_number_is_about_steps_on_a_sequence_and_gaps_show() {
        let network = network("layer = 'max-pool'\nkernel = 2", Shape::sequence(5, 1));
        assert_eq!(network.output(), Shape::sequence(2, 1));
        assert!(pooled(&network, &[1.0, f32::NAN, 5.0, 4.0, 0.0], 0)[0].is_nan());
        assert_eq!(pooled(&network, &[1.0, 2.0, -5.0, -4.0, 0.0], 0), [2.0, -4.0]);
    }

    #[test]
    fn windows_that_do_not_fit_are_refused() {
        let image = Shape { height: 4, width: 5, channels: 2 };
        for (layer, words) in [
            (
                "layer = 'max-pool'\nkernel = 6",
                "its window of 6 x 6 is larger than the input of 4 x 5 with 0 and 0",
            ),
            ("layer = 'average-pool'\nkernel = 2\nstride = 0", "must be at least 1"),
            ("layer = 'max-pool'\nkernel = 2\npadding = 2", "nothing but padding"),
            (
                "layer = 'max-pool'\nkernel = [2, 300]",
                "at most 256 positions, not 600; for all positions there is global-max-pool or global-average-pool",
            ),
            ("layer = 'last-step'", "is for sequences, and this is an image"),
            ("layer = 'attention-pool'", "is for sequences, and this is an image"),
        ] {
            let spec =
                NetworkSpec { inputs: image, layers: vec![toml::from_str::<LayerSpec>(layer).unwrap()] };
            let error = spec.shapes().unwrap_err();
            assert!(error.contains(words), "{layer}: {error}");
        }
        assert_eq!(toml::from_str::<LayerSpec>("layer = 'max-pool'\nkernel = 2").unwrap(), {
            let kernel = Size::Square(2);
            LayerSpec::MaxPool(super::MaxPoolSpec {
                kernel,
                stride: None,
                padding: super::none(),
                dilation: super::one(),
            })
        });
    }
}
