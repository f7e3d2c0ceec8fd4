//! Data that needs no path. `digits` is inside the program: 1797 handwritten digits, 8 x 8 pixels from 0 to 16, the test
//! part of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository,
//! doi:10.24432/C50P49, licence CC BY 4.0. `digits.bin.gz` holds 1797 x 64 pixels and then 1797 labels, a byte each,
//! in the order of the original file. `fashion-mnist` and `mnist` are names for folders in well-known places.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::data::raw::{Cells, Labels, Raw};
use crate::data::reading::Reading;
use crate::tiles::Shape;
use crate::{Error, Result};

const DIGITS: &[u8] = include_bytes!("digits.bin.gz");
const SAMPLES: usize = 1797;
const PIXELS: usize = 64;
const SHAPE: Shape = Shape { height: 8, width: 8, channels: 1 };

/// The name of the built-in digits.
pub(crate) const DIGITS_NAME: &str = "digits";

/// Names of data sets that are folders of IDX files.
pub(crate) const KNOWN: [&str; 2] = ["fashion-mnist", "mnist"];

/// The built-in handwritten digits as arrays: 1797 x 64 pixels from 0 to 16, row-major, and the digit of each, from 0 to 9.
///
/// They are the test part of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak (1998), UCI Machine
/// Learning Repository, doi:10.24432/C50P49, licence CC BY 4.0.
pub fn digits() -> (Vec<u8>, Vec<u32>) {
    let mut pixels = Vec::with_capacity(SAMPLES * (PIXELS + 1));
    flate2::read::GzDecoder::new(DIGITS).read_to_end(&mut pixels).expect("the embedded digits are sound");
    let classes = pixels.split_off(SAMPLES * PIXELS);
    (pixels, classes.into_iter().map(u32::from).collect())
}

/// The built-in digits as a source.
pub(super) fn raw() -> Raw {
    let (pixels, classes) = digits();
    let labels = Labels::Numbers { values: classes.into_iter().map(f64::from).collect(), outputs: 1 };
    Raw::new(Path::new(DIGITS_NAME), Reading::Digits, Cells::Bytes(pixels), SHAPE, Some(labels))
}

/// The folder of a known data set: Debian's place, then `data/NAME` here.
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    let places = [Path::new("data").join(name), Path::new("/usr/share/datasets").join(name)];
    places.iter().find(|place| super::idx::has_parts(place)).cloned().ok_or_else(|| {
        let install = match name {
            "fashion-mnist" => "install it with `apt-get install dataset-fashion-mnist`, or ",
            _ => "",
        };
        Error::data(
            Path::new(name),
            format!(
                "is neither in {} nor in {}; {install}put the four IDX files (train- and t10k-, images-idx3-ubyte and labels-idx1-ubyte, .gz or not) into one of them, or give the path of a folder that holds them",
                places[0].display(),
                places[1].display()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_whole() {
        let raw = raw();
        assert_eq!((raw.samples(), raw.width), (1797, 64));
        let Cells::Bytes(pixels) = &raw.cells else { panic!("pixels are bytes") };
        assert_eq!(pixels.iter().max(), Some(&16));
        // The first row of the original file.
        assert_eq!(pixels[..9], [0, 0, 5, 13, 9, 1, 0, 0, 0]);
        let Some(Labels::Numbers { values, .. }) = &raw.labels else { panic!("labels are numbers") };
        let count = |digit: u8| values.iter().filter(|&&value| value == f64::from(digit)).count();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(count),
            [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
        );
    }

    #[test]
    fn a_data_set_that_is_not_installed_says_how_to_get_it() {
        let error = find("no-such-set").unwrap_err().to_string();
        assert!(
            error.contains("four IDX files") && error.contains("/usr/share/datasets/no-such-set"),
            "{error}"
        );
    }
}
