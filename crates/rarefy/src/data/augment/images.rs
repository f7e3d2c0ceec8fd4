//! Changes to a training image, in place. An image is `[y][x][channel]`, scaled, so that 0 is the mean of the pixels.
//!
//! Each function draws what it needs from the stream that it is handed.

use crate::random::Stream;

/// An image and its size.
pub(crate) struct Image<'a> {
    /// `height x width x channels` numbers.
    pub pixels: &'a mut [f32],
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

/// What comes in where an image has moved away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Border {
    /// Zeros.
    Zero,
    /// The pixels at the edge, again and again.
    Repeat,
}

impl Image<'_> {
    /// The numbers of a row.
    fn row(&mut self, y: usize) -> &mut [f32] {
        let width = self.width * self.channels;
        &mut self.pixels[y * width..][..width]
    }

    /// Mirrors left and right, every other time.
    pub(crate) fn flip(&mut self, stream: &mut Stream) {
        if stream.below(2) == 1 {
            self.mirror();
        }
    }

    fn mirror(&mut self) {
        let (width, channels) = (self.width, self.channels);
        for y in 0..self.height {
            let row = self.row(y);
            for x in 0..width / 2 {
                for channel in 0..channels {
                    row.swap(x * channels + channel, (width - 1 - x) * channels + channel);
                }
            }
        }
    }

    /// Moves by up to `most` pixels up or down and left or right, each distance equally likely. With zeros at the border
    /// this is a random crop of the image with `most` zeros around it (He et al. 2016, section 4.2).
    ///
    /// # Panics
    /// If `most` is not below width and height.
    pub(crate) fn shift(&mut self, most: usize, border: Border, stream: &mut Stream) {
        let mut distance = || stream.below(2 * most + 1) as isize - most as isize;
        let (dy, dx) = (distance(), distance());
        self.translate(dy, dx, border);
    }

    /// Pixel `(y, x)` becomes the one at `(y + dy, x + dx)`.
    fn translate(&mut self, dy: isize, dx: isize, border: Border) {
        let (height, channels) = (self.height, self.channels);
        assert!(dy.unsigned_abs() < height && dx.unsigned_abs() < self.width, "an image keeps a pixel");
        let row = self.width * channels;
        // In the order in which no row is overwritten before it is read.
        for step in 0..height {
            let y = if dy >= 0 { step } else { height - 1 - step };
            let source = y as isize + dy;
            let within = (0..height as isize).contains(&source);
            if border == Border::Zero && !within {
                self.row(y).fill(0.0);
                continue;
            }
            let start = source.clamp(0, height as isize - 1) as usize * row;
            let gone = dx.unsigned_abs() * channels;
            let (from, to) = if dx >= 0 { (gone, 0) } else { (0, gone) };
            self.pixels.copy_within(start + from..start + from + row - gone, y * row + to);
            let row = self.row(y);
            let (kept, open) = if dx >= 0 {
                (row.len() - gone - channels, row.len() - gone..row.len())
            } else {
                (gone, 0..gone)
            };
            match border {
                Border::Zero => row[open].fill(0.0),
                Border::Repeat => {
                    for at in open.step_by(channels) {
                        row.copy_within(kept..kept + channels, at);
                    }
                }
            }
        }
    }

    /// Sets a square of `side` pixels to 0, around a pixel drawn from all; so part of it may lie outside
    /// (DeVries and Taylor 2017, section 3.2).
    pub(crate) fn cutout(&mut self, side: usize, stream: &mut Stream) {
        let (y, x) = (stream.below(self.height), stream.below(self.width));
        let range = |centre: usize, size: usize| {
            let first = centre as isize - side as isize / 2;
            first.max(0) as usize..(first + side as isize).clamp(0, size as isize) as usize
        };
        let (rows, columns) = (range(y, self.height), range(x, self.width));
        let channels = self.channels;
        for y in rows {
            self.row(y)[columns.start * channels..columns.end * channels].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn stream(number: u64) -> Stream {
        Stream::new(1, Purpose::Bench, 0, number)
    }

    /// Applies a change to an image of the numbers from 1.
    fn changed(height: usize, width: usize, channels: usize, change: impl Fn(&mut Image)) -> Vec<f32> {
        let mut pixels: Vec<f32> = (1..=height * width * channels).map(|number| number as f32).collect();
        change(&mut Image { pixels: &mut pixels, height, width, channels });
        pixels
    }

    #[test]
    fn a_mirrored_image_keeps_its_channels_in_order() {
        assert_eq!(changed(2, 3, 1, |image| image.mirror()), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        assert_eq!(changed(1, 3, 2, |image| image.mirror()), [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
        let flipped =
            (0..100).filter(|&n| changed(1, 2, 1, |image| image.flip(&mut stream(n))) == [2.0, 1.0]);
        assert!((35..=65).contains(&flipped.count()));
    }

    #[test]
    fn every_move_is_that_of_each_pixel_by_itself() {
        for (height, width, channels) in [(4, 3, 1), (3, 5, 3), (1, 1, 2)] {
            for border in [Border::Zero, Border::Repeat] {
                for dy in 1 - height as isize..height as isize {
                    for dx in 1 - width as isize..width as isize {
                        let found = changed(height, width, channels, |image| image.translate(dy, dx, border));
                        let pixel = |y: usize, x: usize, channel: usize| {
                            let (from_y, from_x) = (y as isize + dy, x as isize + dx);
                            let (in_y, in_x) =
                                (from_y.clamp(0, height as isize - 1), from_x.clamp(0, width as isize - 1));
                            if border == Border::Zero && (in_y, in_x) != (from_y, from_x) {
                                0.0
                            } else {
                                ((in_y as usize * width + in_x as usize) * channels + channel + 1) as f32
                            }
                        };
                        let expected: Vec<f32> = (0..height * width * channels)
                            .map(|at| pixel(at / channels / width, at / channels % width, at % channels))
                            .collect();
                        assert_eq!(found, expected, "{height}x{width}x{channels}, {dy} {dx} {border:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn all_distances_are_drawn() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..500 {
            let pixels = changed(9, 9, 1, |image| image.shift(2, Border::Zero, &mut stream(number)));
            seen.insert(pixels[4 * 9 + 4] as usize);
        }
        let expected = (2..=6).flat_map(|y| (2..=6).map(move |x| y * 9 + x + 1));
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_cut_out_square_is_whole_inside_and_clipped_at_the_border() {
        let mut sizes = std::collections::BTreeSet::new();
        for number in 0..500 {
            let pixels = changed(8, 10, 2, |image| image.cutout(4, &mut stream(number)));
            let zero: Vec<usize> =
                (0..80).filter(|at| pixels[at * 2] == 0.0 && pixels[at * 2 + 1] == 0.0).collect();
            assert_eq!(zero.len() * 2, pixels.iter().filter(|pixel| **pixel == 0.0).count());
            let rows: std::collections::BTreeSet<usize> = zero.iter().map(|at| at / 10).collect();
            let columns: std::collections::BTreeSet<usize> = zero.iter().map(|at| at % 10).collect();
            assert_eq!(zero.len(), rows.len() * columns.len(), "it is a rectangle");
            sizes.insert((rows.len(), columns.len()));
        }
        let expected = (2..=4).flat_map(|rows| (2..=4).map(move |columns| (rows, columns)));
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        // Larger than the image: nothing is left where it reaches all of it.
        assert!(changed(2, 2, 1, |image| image.cutout(9, &mut stream(0))).iter().all(|&pixel| pixel == 0.0));
    }
}
