//! The table of a convolution: who reads which position. So a kernel knows nothing of stride, padding and dilation, and the gradient of
//! the input, which is the table read from the input's side, is a loop like the others.

use std::ops::Range;

use crate::tiles::{Row, Shape};

/// No position: outside the input.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// Offsets that a kernel has at most: what inner loops have room for.
pub const MAX_OFFSETS: usize = 256;

/// The geometry of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// What goes in.
    pub input: Shape,
    /// Filters: channels of the output.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Positions of zeros around the input, on each side.
    pub padding: [usize; 2],
    /// Steps between the positions of a window.
    pub dilation: [usize; 2],
    /// Groups of channels that are kept apart; as many as channels for a depthwise convolution.
    pub groups: usize,
}

impl Geometry {
    /// What comes out; `None` where the window is larger than the padded input, or a kernel, a stride or a dilation is 0.
    pub fn output(&self) -> Option<Shape> {
        let size = |axis: usize, size: usize| -> Option<usize> {
            let window =
                self.dilation[axis].checked_mul(self.kernel[axis].checked_sub(1)?)?.checked_add(1)?;
            let padded = self.padding[axis].checked_mul(2)?.checked_add(size)?;
            Some(padded.checked_sub(window)?.checked_div(self.stride[axis])? + 1)
        };
        let [height, width] = [size(0, self.input.height)?, size(1, self.input.width)?];
        Some(Shape { height, width, channels: self.filters })
    }

    /// Offsets of the kernel.
    pub fn offsets(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Positions of the input from the first to the last that a window reads.
    pub(super) fn span(&self) -> usize {
        let [rows, columns] = [0, 1].map(|axis| self.dilation[axis] * (self.kernel[axis] - 1));
        rows * self.input.width + columns + 1
    }

    /// Inputs of a filter: channels of its group times offsets.
    pub fn cols(&self) -> usize {
        self.input.channels / self.groups * self.offsets()
    }
}

/// Which positions a convolution reads: for each position of the output and each offset of the kernel one position of the input, or
/// none where the window hangs over the edge, where zeros are read.
///
/// ```text
/// kernel 3, stride 2, padding 1 on 5 steps          offset 0 1 2
///   input    .  0 1 2 3 4  .             output 0:       - 0 1
///   output      0   1   2                       1:       1 2 3
///                                               2:       3 4 -
/// ```
pub struct Windows {
    pub(super) geometry: Geometry,
    output: Shape,
    /// `[output position][offset]`: a position of the input.
    pub(super) reads: Vec<u32>,
    /// `[input position][offset]`: a position of the output.
    pub(super) read_by: Vec<u32>,
    /// For each column of the weights its offset (the low 8 bits) and its channel within the group.
    pub(super) places: Vec<u32>,
    /// What is read outside, for inputs and for outputs.
    pub(super) zeros: Vec<Row>,
}

impl Windows {
    /// The table of a geometry.
    ///
    /// # Panics
    /// If the geometry does not fit the input, if its groups do not cut channels and filters alike, or if it has more than
    /// [`MAX_OFFSETS`] offsets.
    pub fn new(geometry: Geometry) -> Windows {
        let Geometry { filters, groups, input: Shape { channels, .. }, .. } = geometry;
        // Inner loops rely on this: the channels of a filter's group are channels of the input.
        assert!(
            groups > 0 && channels.is_multiple_of(groups) && filters.is_multiple_of(groups),
            "{channels} channels and {filters} filters cannot be cut into {groups} groups alike"
        );
        assert!(channels / groups < 1 << 24, "a group of {channels} / {groups} channels is too large");
        let output = geometry.output().expect("a window no larger than the padded input");
        let offsets = geometry.offsets();
        assert!(offsets <= MAX_OFFSETS, "a kernel of {offsets} offsets has more than {MAX_OFFSETS}");
        let Geometry { input, kernel, stride, padding, dilation, .. } = geometry;
        let mut reads = vec![OUTSIDE; output.positions() * offsets];
        let mut read_by = vec![OUTSIDE; input.positions() * offsets];
        for y in 0..output.height {
            for x in 0..output.width {
                for offset in 0..offsets {
                    let (ky, kx) = (offset / kernel[1], offset % kernel[1]);
                    let row = (y * stride[0] + ky * dilation[0]).checked_sub(padding[0]);
                    let col = (x * stride[1] + kx * dilation[1]).checked_sub(padding[1]);
                    if let (Some(row), Some(col)) = (row, col)
                        && row < input.height
                        && col < input.width
                    {
                        let (from, to) = (row * input.width + col, y * output.width + x);
                        reads[to * offsets + offset] = from as u32;
                        read_by[from * offsets + offset] = to as u32;
                    }
                }
            }
        }
        let places = (0..geometry.cols() as u32).map(|col| {
            let (channel, offset) = (col / offsets as u32, col % offsets as u32);
            channel << 8 | offset
        });
        Windows {
            output,
            reads,
            read_by,
            places: places.collect(),
            zeros: vec![Row::ZERO; input.channels.max(geometry.filters)],
            geometry,
        }
    }

    /// The geometry.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// What comes out.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// How many windows begin within the first `steps` steps of a sequence.
    pub(crate) fn begin_within(&self, steps: u32) -> u32 {
        steps.div_ceil(self.geometry.stride[1] as u32).min(self.output.width as u32)
    }

    /// What a position of the output reads: offsets of the kernel with positions of the input, in order.
    pub fn reads_of(&self, output: usize) -> impl Iterator<Item = (usize, usize)> {
        listed(&self.reads, self.geometry.offsets(), output)
    }

    /// Who reads a position of the input: offsets of the kernel with positions of the output, in order.
    pub fn readers_of(&self, input: usize) -> impl Iterator<Item = (usize, usize)> {
        listed(&self.read_by, self.geometry.offsets(), input)
    }

    /// Whether each position is read alone and once, as by a linear layer.
    pub fn is_pointwise(&self) -> bool {
        self.geometry.offsets() == 1
            && self.geometry.groups == 1
            && self.output.positions() == self.geometry.input.positions()
            && self.geometry.padding == [0, 0]
    }
}

impl Windows {
    /// Whether so many filters and channels are those of the geometry: then [`Windows::first_channel`] of a filter and the channel of any
    /// column make up a channel of the input.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    #[inline(always)]
    pub(super) fn reads_rows(&self, filters: usize, channels: usize) -> bool {
        (filters, channels) == (self.geometry.filters, self.geometry.input.channels)
    }

    /// The channels that a filter reads.
    #[inline(always)]
    pub(super) fn channels_of_group(&self) -> usize {
        self.geometry.input.channels / self.geometry.groups
    }

    /// The filters that read the same channels.
    #[inline(always)]
    pub(super) fn filters_of_group(&self) -> usize {
        self.geometry.filters / self.geometry.groups
    }

    /// The first channel of a filter's group.
    #[inline(always)]
    pub(super) fn first_channel(&self, filter: usize) -> usize {
        match self.geometry.groups {
            1 => 0,
            _ => filter / self.filters_of_group() * self.channels_of_group(),
        }
    }

    /// The group of a channel as its channels before and its filters; all filters where there are no groups.
    #[inline(always)]
    pub(super) fn group_of(&self, channel: usize) -> (usize, Range<u32>) {
        let (filters, channels) = (self.filters_of_group(), self.channels_of_group());
        let group = channel / channels;
        (group * channels, (group * filters) as u32..((group + 1) * filters) as u32)
    }
}

fn listed(table: &[u32], offsets: usize, position: usize) -> impl Iterator<Item = (usize, usize)> {
    let line = table[position * offsets..][..offsets].iter().enumerate();
    line.filter(|(_, at)| **at != OUTSIDE).map(|(offset, &at)| (offset, at as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_read_what_the_picture_says() {
        let windows = Windows::new(Geometry {
            input: Shape::sequence(5, 1),
            filters: 1,
            kernel: [1, 3],
            stride: [1, 2],
            padding: [0, 1],
            dilation: [1, 1],
            groups: 1,
        });
        assert_eq!(windows.output(), Shape::sequence(3, 1));
        assert_eq!(windows.reads, [OUTSIDE, 0, 1, 1, 2, 3, 3, 4, OUTSIDE]);
        // Step 1 is read at offset 2 by window 0 and at offset 0 by window 1.
        assert_eq!(windows.read_by[3..6], [1, OUTSIDE, 0]);
        assert_eq!(windows.reads_of(0).collect::<Vec<_>>(), [(1, 0), (2, 1)]);
        assert_eq!(windows.readers_of(1).collect::<Vec<_>>(), [(0, 1), (2, 0)]);
    }

    /// The fifth of 5 filters in 2 groups would read the channels of a third group.
    #[test]
    fn groups_that_do_not_cut_channels_and_filters_alike_are_refused() {
        for (channels, filters, groups) in [(4, 5, 2), (5, 4, 2), (4, 4, 0)] {
            let geometry = Geometry {
                input: Shape::sequence(5, channels),
                filters,
                kernel: [1, 1],
                stride: [1, 1],
                padding: [0, 0],
                dilation: [1, 1],
                groups,
            };
            let made = std::panic::catch_unwind(|| Windows::new(geometry));
            assert!(made.is_err(), "{channels} channels, {filters} filters, {groups} groups");
        }
    }
}
