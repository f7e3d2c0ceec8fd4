//! Images: PNG and JPEG files of one size, as bytes `[y][x][channel]`.

#[cfg_attr(not(feature = "images"), path = "no_decode.rs")]
mod decode;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{self, Kept, Kind, Listing};
use super::sink::{Sink, sink};
use crate::data::raw::{Cells, LabelledFile, Labels, Places, Raw, Source};
use crate::data::reading::{Broken, ImageReading, Reading, Wanted};
use crate::data::settings::{DataSettings, ImageColor, ImageSize};
use crate::data::stream::{Decode, Streaming};
use crate::tiles::Shape;
use crate::{Error, Result};

/// A decoded image.
#[derive(Debug, Clone, PartialEq)]
struct Decoded {
    height: usize,
    width: usize,
    /// 1 for grey, 3 for red, green and blue.
    channels: usize,
    /// `height x width x channels` bytes.
    pixels: Vec<u8>,
    /// Whether the file tells more levels apart than bytes do.
    is_rounded: bool,
}

impl Decoded {
    /// Its size in pixels.
    fn size(&self) -> ImageSize {
        ImageSize { height: self.height as u32, width: self.width as u32 }
    }
}

/// Reads the images of a folder or list to train on.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Source> {
    let Listing { classes, parts, .. } = files::list(path, Kind::Images)?.with_known_classes()?;
    let streaming = settings.streaming();
    let parts = parts.try_map(|part| {
        let decode =
            |file: &LabelledFile| decode::read(&file.path, settings.image_color, settings.image_size);
        Pictures::read(part, Broken::of(settings.skip_bad), streaming.as_ref(), decode)
    })?;
    let all = || parts.iter().flat_map(|part| part.kept.files.iter().zip(&part.kept.contents));
    let (first, image) = all().next().expect("a part has a file");
    if let Some((other, found)) = all().find(|(_, found)| found.size() != image.size()) {
        let problem = format!(
            "is {}, but {} is {}; set data.image_size to bring all to one size",
            show(found.size()),
            first.path.display(),
            show(image.size())
        );
        return Err(Error::data(&other.path, problem));
    }
    let channels = all().map(|(_, image)| image.channels).max().expect("a part has a file");
    let reading = ImageReading {
        size: image.size(),
        channels,
        resize: settings.image_size.is_some(),
        color: settings.image_color,
    };
    parts.try_map(|part| part.into_raw(path, Some(&classes), reading.clone()))
}

/// Reads images for a model.
pub(super) fn reread(path: &Path, reading: &Reading, wanted: Wanted) -> Result<Raw> {
    let Reading::Images(reading) = reading else { unreachable!("images are read again as images") };
    let (files, classes) = files::list_for_model(path, Kind::Images, wanted.labels.is_some())?;
    let color = if reading.channels == 3 { ImageColor::Rgb } else { reading.color };
    let size = reading.resize.then_some(reading.size);
    let part = Pictures::read(files, wanted.broken, wanted.streaming, |file| {
        let image = decode::read(&file.path, color, size)?;
        if image.size() != reading.size {
            let (found, trained) = (show(image.size()), show(reading.size));
            let problem = format!(
                "is {found}, the model was trained on {trained}; resize it, or train with data.image_size"
            );
            return Err(Error::data(&file.path, problem));
        }
        if image.channels != reading.channels {
            let problem = "is in colour, the model was trained on grey images; convert it, or train with data.image_color = \"grey\"";
            return Err(Error::data(&file.path, problem));
        }
        Ok(image)
    })?;
    part.into_raw(path, classes.as_deref(), reading.clone())
}

fn show(size: ImageSize) -> String {
    format!("{} pixels high and {} wide", size.height, size.width)
}

/// Images as read, their pixels in memory or in a scratch file.
struct Pictures {
    kept: Kept<Decoded>,
    sink: Option<Sink>,
}

impl Pictures {
    fn read(
        files: Vec<LabelledFile>,
        broken: Broken,
        streaming: Option<&Streaming>,
        decode: impl Fn(&LabelledFile) -> Result<Decoded> + Sync,
    ) -> Result<Pictures> {
        let mut sink = sink(streaming)?;
        let kept = files::read_all(files, Kind::Images, broken, decode, |image| match &mut sink {
            Some(sink) => sink.put(&std::mem::take(&mut image.pixels)),
            None => Ok(()),
        })?;
        Ok(Pictures { kept, sink })
    }

    /// Lays images out one after the other, grey ones among colours with their value thrice. Without `classes` there are no
    /// labels.
    fn into_raw(self, path: &Path, classes: Option<&[String]>, reading: ImageReading) -> Result<Raw> {
        let Pictures { kept: part, sink } = self;
        let ImageReading { size: ImageSize { height, width }, channels, .. } = reading;
        let shape = Shape { height: height as usize, width: width as usize, channels };
        let rounded = part.contents.iter().filter(|image| image.is_rounded).count();
        let note = format!(
            "{rounded} of {} images have levels of 16 bits, which are rounded to 8, so that levels less than 257 apart may fall together; stretch them if they use a small part of 0 to 65535, or save all images as one NumPy array",
            part.contents.len()
        );
        let notes = (rounded > 0).then_some(note).into_iter().collect();
        let cells = match sink {
            Some(sink) => sink.into_cells(shape.features(), true, pixels())?,
            None => {
                let mut bytes = Vec::with_capacity(part.contents.len() * shape.features());
                for image in part.contents {
                    if image.channels == channels {
                        bytes.extend(image.pixels);
                    } else {
                        bytes.extend(image.pixels.iter().flat_map(|&pixel| [pixel; 3]));
                    }
                }
                Cells::Bytes(bytes)
            }
        };
        let labels = classes.map(|classes| Labels::of_files(&part.files, classes));
        let files: Vec<PathBuf> = part.files.into_iter().map(|file| file.path).collect();
        Ok(Raw {
            places: Places::Files(files),
            skipped: part.skipped,
            notes,
            ..Raw::new(path, Reading::Images(reading), cells, shape, labels)
        })
    }
}

/// Makes numbers of pixels; of grey ones among colours three each.
fn pixels() -> Decode {
    Arc::new(|bytes, out| {
        let each = (out.len() / bytes.len().max(1)).max(1);
        for (out, &pixel) in out.chunks_exact_mut(each).zip(bytes) {
            out.fill(f32::from(pixel));
        }
    })
}
