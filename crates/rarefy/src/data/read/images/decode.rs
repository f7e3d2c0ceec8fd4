//! One PNG or JPEG file as bytes `[y][x][channel]`, from 0 to 255. What the file holds counts, not what it is called.
//!
//! Colour becomes grey by Rec. 709 luma, 16 bits are rounded to 8, and a photograph is turned as its EXIF orientation says.

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::Decoded;
use crate::data::settings::{ImageColor, ImageSize};
use crate::{Error, Result};

/// The most bytes of a decoded image.
const MOST_BYTES: u64 = 512 << 20;

/// Reads a file. With `color` auto the file decides; with a `size` the image is stretched or shrunk to it.
///
/// # Errors
/// A file that is neither PNG nor JPEG, is damaged or cut short, is transparent, or larger than 512 MiB when decoded.
pub(crate) fn read(path: &Path, color: ImageColor, size: Option<ImageSize>) -> Result<Decoded> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "cannot open"))?;
    BufReader::new(file).read_to_end(&mut bytes).map_err(Error::io(path, "cannot read"))?;
    if bytes.is_empty() {
        return Err(Error::data(path, "the file is empty"));
    }
    let image = decode(path, &bytes)?;
    let is_rounded = loses_levels(&image);
    let image = match size {
        Some(ImageSize { height, width }) if (image.height(), image.width()) != (height, width) => {
            image.resize_exact(width, height, FilterType::Triangle)
        }
        _ => image,
    };
    let grey = match color {
        ImageColor::Auto => !image.color().has_color(),
        ImageColor::Grey => true,
        ImageColor::Rgb => false,
    };
    let (height, width) = (image.height() as usize, image.width() as usize);
    Ok(if grey {
        Decoded { height, width, channels: 1, pixels: image.into_luma8().into_raw(), is_rounded }
    } else {
        Decoded { height, width, channels: 3, pixels: image.into_rgb8().into_raw(), is_rounded }
    })
}

fn decode(path: &Path, bytes: &[u8]) -> Result<DynamicImage> {
    let reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(Error::io(path, "cannot read"))?;
    let format = reader.format();
    if !matches!(format, Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err(Error::data(path, "is neither a PNG nor a JPEG file, whatever its name; convert it"));
    }
    if format == Some(ImageFormat::Jpeg) && !has_end(bytes) {
        return Err(Error::data(path, "is cut short: the end of the picture is missing; get the file again"));
    }
    let refuse = |error: ImageError| match error {
        ImageError::Limits(_) => Error::data(path, "is larger than 512 MiB when decoded; shrink it"),
        ImageError::IoError(source) if source.kind() != ErrorKind::UnexpectedEof => {
            Error::io(path, "cannot read")(source)
        }
        error => {
            // The decoders break their lines.
            let error = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            Error::data(path, format!("is a damaged image ({error}); get the file again"))
        }
    };
    let mut decoder = reader.into_decoder().map_err(refuse)?;
    // The decoder makes room for what the header says before it reads a pixel.
    if decoder.total_bytes() > MOST_BYTES {
        let (width, height) = decoder.dimensions();
        let problem =
            format!("is {height} pixels high and {width} wide: larger than 512 MiB when decoded; shrink it");
        return Err(Error::data(path, problem));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(refuse)?;
    image.apply_orientation(orientation);
    if is_transparent(&image) {
        return Err(Error::data(
            path,
            "has transparent pixels, which have no colour; put it on a background",
        ));
    }
    Ok(image)
}

/// Whether 8 bits do not hold all pixels: they have 16, and not those of 8 bits that were stretched.
fn loses_levels(image: &DynamicImage) -> bool {
    const STRETCHED: u16 = u16::MAX / u8::MAX as u16;
    let are_stretched = |levels: &[u16]| levels.iter().all(|level| level % STRETCHED == 0);
    match image {
        DynamicImage::ImageLuma16(image) => !are_stretched(image),
        DynamicImage::ImageLumaA16(image) => !are_stretched(image),
        DynamicImage::ImageRgb16(image) => !are_stretched(image),
        DynamicImage::ImageRgba16(image) => !are_stretched(image),
        _ => false,
    }
}

/// Whether any pixel is not wholly opaque.
fn is_transparent(image: &DynamicImage) -> bool {
    match image.color() {
        ColorType::La8 | ColorType::Rgba8 => image.to_rgba8().pixels().any(|pixel| pixel[3] < u8::MAX),
        color => color.has_alpha() && image.to_rgba16().pixels().any(|pixel| pixel[3] < u16::MAX),
    }
}

/// Whether a JPEG file has its end marker. The decoder fills up a file that is cut short with grey, without an error; a
/// thumbnail inside the header has an end of its own, so the header is passed over.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) =
        bytes.get(at..at + 4).and_then(|four| four.first_chunk::<4>())
    {
        let length = usize::from(u16::from_be_bytes([high, low]));
        match marker {
            // A filler byte before a marker.
            0xff => at += 1,
            // Start of scan: compressed data follow, in which 0xff is never followed by 0xd9.
            0xda => return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            _ => at += 2 + length,
        }
    }
    // No header as it should be: the decoder says what is wrong.
    true
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{GrayImage, ImageEncoder, Luma, RgbImage};

    use super::*;

    const GREY: ImageColor = ImageColor::Grey;
    const AUTO: ImageColor = ImageColor::Auto;
    const RGB: ImageColor = ImageColor::Rgb;

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        encoded(image, ImageFormat::Png)
    }

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// 2 x 3 pixels: 10 20 30 / 40 50 60.
    fn grey() -> GrayImage {
        GrayImage::from_raw(3, 2, vec![10, 20, 30, 40, 50, 60]).unwrap()
    }

    /// 1 x 2 pixels: red and a bluish grey.
    fn colourful() -> RgbImage {
        RgbImage::from_raw(2, 1, vec![255, 0, 0, 50, 60, 70]).unwrap()
    }

    fn read_bytes(bytes: &[u8], color: ImageColor, size: Option<ImageSize>) -> Result<Decoded> {
        let folder = tempfile::tempdir().unwrap();
        // The name says nothing true.
        let path = folder.path().join("a.jpeg");
        std::fs::write(&path, bytes).unwrap();
        read(&path, color, size)
    }

    #[test]
    fn pixels_come_row_by_row_with_their_channels_together() {
        let deep = DynamicImage::from(grey()).into_luma16();
        let grey_pixels = [10, 20, 30, 40, 50, 60];
        let rgb_pixels = [255, 0, 0, 50, 60, 70];
        let twice = grey_pixels.map(|pixel| [pixel; 3]).concat();
        for (what, bytes, color, shape, pixels) in [
            ("grey", png(grey()), AUTO, (2, 3, 1), &grey_pixels[..]),
            ("16 bits", png(deep), AUTO, (2, 3, 1), &grey_pixels),
            (
                "grey with alpha",
                png(DynamicImage::from(grey()).into_luma_alpha8()),
                AUTO,
                (2, 3, 1),
                &grey_pixels,
            ),
            ("grey as RGB", png(grey()), RGB, (2, 3, 3), &twice),
            ("RGB", png(colourful()), AUTO, (1, 2, 3), &rgb_pixels),
            (
                "RGB with alpha",
                png(DynamicImage::from(colourful()).into_rgba8()),
                AUTO,
                (1, 2, 3),
                &rgb_pixels,
            ),
            // 0.2126 red + 0.7152 green + 0.0722 blue
            ("RGB as grey", png(colourful()), GREY, (1, 2, 1), &[54, 59]),
        ] {
            let found = read_bytes(&bytes, color, None).unwrap();
            assert_eq!((found.height, found.width, found.channels), shape, "{what}");
            assert_eq!(found.pixels, pixels, "{what}");
        }
        for (image, channels) in [(DynamicImage::from(grey()), 1), (colourful().into(), 3)] {
            let exact = image.as_bytes().to_vec();
            let found = read_bytes(&encoded(image, ImageFormat::Jpeg), AUTO, None).unwrap();
            assert_eq!((found.channels, found.pixels.len()), (channels, exact.len()));
            // JPEG halves the colour's resolution: here only grey is near.
            if channels == 1 {
                assert!(
                    found.pixels.iter().zip(exact).all(|(&a, b)| a.abs_diff(b) < 8),
                    "{:?}",
                    found.pixels
                );
            }
        }
    }

    #[test]
    fn a_size_stretches_and_smooths() {
        let checkers = GrayImage::from_fn(64, 32, |x, y| Luma([if (x + y) % 2 == 0 { 255 } else { 0 }]));
        let size = Some(ImageSize { height: 4, width: 6 });
        let found = read_bytes(&png(checkers), AUTO, size).unwrap();
        assert_eq!((found.height, found.width, found.pixels.len()), (4, 6, 24));
        // Every pixel is the mean of many, not one of them.
        assert!(found.pixels.iter().all(|&pixel| pixel.abs_diff(127) < 16), "{:?}", found.pixels);
        let same = read_bytes(&png(grey()), AUTO, Some(ImageSize { height: 2, width: 3 })).unwrap();
        assert_eq!(same.pixels, [10, 20, 30, 40, 50, 60]);
    }

    #[test]
    fn a_photograph_is_turned_as_it_says() {
        let image = GrayImage::from_fn(32, 16, |x, _| Luma([if x < 16 { 0 } else { 255 }]));
        // TIFF, one entry: tag 0x112 (orientation), a short: 6, to be turned clockwise by a quarter.
        let exif = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00";
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new(&mut bytes);
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        encoder.encode_image(&image).unwrap();
        let found = read_bytes(&bytes, AUTO, None).unwrap();
        assert_eq!((found.height, found.width), (32, 16));
        assert!(found.pixels[0] < 16 && found.pixels[31 * 16] > 239);
    }

    #[test]
    fn damaged_files_are_refused_by_name() {
        let noisy =
            RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 37 + y * 11) as u8, (x * y) as u8, y as u8]));
        let (small, jpeg) = (png(noisy.clone()), encoded(noisy, ImageFormat::Jpeg));
        let mut flipped = small.clone();
        flipped[small.len() / 2] ^= 0x10;
        let mut clear = DynamicImage::from(colourful()).into_rgba8();
        clear.get_pixel_mut(1, 0)[3] = 254;
        let mut clear_deep = DynamicImage::from(colourful()).into_rgba16();
        clear_deep.get_pixel_mut(0, 0)[3] = u16::MAX - 1;
        for (bytes, problem) in [
            (vec![], "the file is empty"),
            (b"GIF89a and so on".to_vec(), "is neither a PNG nor a JPEG file"),
            (small[..20].to_vec(), "is a damaged image"),
            (small[..small.len() / 2].to_vec(), "is a damaged image"),
            (flipped, "is a damaged image"),
            (jpeg[..jpeg.len() / 2].to_vec(), "is cut short"),
            (jpeg[..jpeg.len() - 2].to_vec(), "is cut short"),
            (jpeg[..100].to_vec(), "is a damaged image"),
            (png(clear), "has transparent pixels"),
            (png(clear_deep), "has transparent pixels"),
        ] {
            let error = read_bytes(&bytes, AUTO, None).unwrap_err().to_string();
            assert!(error.contains("a.jpeg: ") && error.contains(problem), "{problem}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn no_damaged_byte_brings_a_panic() {
        for good in [png(grey()), encoded(colourful(), ImageFormat::Jpeg)] {
            for at in 0..good.len() {
                for byte in [0, 0x7f, 0xff] {
                    let mut bytes = good.clone();
                    bytes[at] = byte;
                    let _ = decode(Path::new("a"), &bytes);
                }
            }
        }
    }
}
