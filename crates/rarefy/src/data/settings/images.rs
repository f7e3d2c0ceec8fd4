//! What the user may say about images: `data.image_size` and `data.image_color`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The size that all images are brought to, in pixels: a number for a square, or `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// How many channels an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageColor {
    /// One if all files are stored as grey, else three.
    #[default]
    Auto,
    /// One; colour becomes its luma.
    Grey,
    /// Three: red, green and blue.
    Rgb,
}

/// The largest side that images may be brought to.
const LARGEST: u32 = 4096;

impl<'de> Deserialize<'de> for ImageSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<ImageSize, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a size in pixels, such as 32, or [height, width]")]
        enum Given {
            Square(u32),
            Sides([u32; 2]),
        }
        let [height, width] = match Given::deserialize(from)? {
            Given::Square(side) => [side, side],
            Given::Sides(sides) => sides,
        };
        if (1..=LARGEST).contains(&height) && (1..=LARGEST).contains(&width) {
            Ok(ImageSize { height, width })
        } else {
            Err(serde::de::Error::custom(format!("a side must be from 1 to {LARGEST} pixels")))
        }
    }
}

impl Serialize for ImageSize {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        [self.height, self.width].serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Section {
        image_size: ImageSize,
    }

    #[test]
    fn a_size_is_a_number_or_height_and_width() {
        for (text, height, width) in [("image_size = 32", 32, 32), ("image_size = [24, 48]", 24, 48)] {
            let section: Section = toml::from_str(text).unwrap();
            assert_eq!(section.image_size, ImageSize { height, width });
            let again: Section = toml::from_str(&toml::to_string(&section).unwrap()).unwrap();
            assert_eq!(again.image_size, section.image_size);
        }
        for (text, problem) in [
            ("image_size = 0", "a side must be from 1 to 4096"),
            ("image_size = [32, 5000]", "a side must be from 1 to 4096"),
            ("image_size = [32]", "expected a size in pixels"),
            ("image_size = 'big'", "expected a size in pixels"),
        ] {
            let error = toml::from_str::<Section>(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
