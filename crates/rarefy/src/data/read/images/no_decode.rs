//! In place of `decode` where the library is built without the feature `images`.

use std::path::Path;

use super::Decoded;
use crate::data::settings::{ImageColor, ImageSize};
use crate::{Error, Result};

/// Refuses.
pub(crate) fn read(path: &Path, _: ImageColor, _: Option<ImageSize>) -> Result<Decoded> {
    let problem = "is an image, and rarefy was built without its feature `images`; build it with that";
    Err(Error::data(path, problem))
}
