//! Which settings are for which formats.

use crate::data::reading::Format;
use crate::data::settings::{AudioSettings, DataSettings, Decimal, Header, ImageColor, LabelType, Quote};
use crate::{Error, Result};

/// Refuses settings that say something about another kind of file.
pub(crate) fn refuse_settings_of_others(settings: &DataSettings, format: Format) -> Result<()> {
    let (csv, images, audio) = (&[Format::Csv][..], &[Format::Images][..], &[Format::Audio][..]);
    let (text, libsvm) = (&[Format::Csv, Format::Jsonl, Format::Text][..], &[Format::Libsvm][..]);
    let streamed =
        &[Format::Npy, Format::Idx, Format::Csv, Format::Libsvm, Format::Images, Format::Audio][..];
    let labelled = &[Format::Csv, Format::Jsonl][..];
    let skippable: &[Format] = match settings.text {
        Some(_) => &[Format::Images, Format::Audio, Format::Text, Format::Jsonl, Format::Csv],
        None => &[Format::Images, Format::Audio, Format::Text, Format::Jsonl],
    };
    for (key, given, formats, what) in [
        ("data.label", !settings.label.is_empty(), labelled, "CSV files and JSON lines"),
        ("data.text", settings.text.is_some(), text, "CSV files, JSON lines and text files"),
        ("data.first_index", settings.first_index.is_some(), libsvm, "libsvm files"),
        ("data.features", settings.features.is_some(), libsvm, "libsvm files"),
        ("data.label_path", settings.label_path.is_some(), &[Format::Npy], "NPY and NPZ files"),
        ("data.weight", settings.weight.is_some(), csv, "CSV files"),
        ("data.group", settings.group.is_some(), csv, "CSV files"),
        ("data.categorical", !settings.categorical.is_empty(), csv, "CSV files"),
        ("data.ignore", !settings.ignore.is_empty(), csv, "CSV files"),
        ("data.date", !settings.date.is_empty(), csv, "CSV files"),
        ("data.keep", !settings.keep.is_empty(), csv, "CSV files"),
        ("data.delimiter", settings.delimiter.is_some(), csv, "CSV files"),
        ("data.quote", settings.quote != Quote::Auto, csv, "CSV files"),
        ("data.decimal", settings.decimal != Decimal::Auto, csv, "CSV files"),
        ("data.label_type", settings.label_type != LabelType::Auto, csv, "CSV files"),
        ("data.header", settings.header != Header::Auto, csv, "CSV files"),
        ("data.image_size", settings.image_size.is_some(), images, "PNG and JPEG files"),
        ("data.image_color", settings.image_color != ImageColor::Auto, images, "PNG and JPEG files"),
        ("data.sample_rate", settings.sample_rate.is_some(), audio, "WAV files"),
        ("data.audio", settings.audio != AudioSettings::default(), audio, "WAV files"),
        (
            "data.memory",
            settings.memory.is_some(),
            streamed,
            "NPY, NPZ, IDX and libsvm files, tables, images and WAV files",
        ),
        ("data.skip_bad", settings.skip_bad, skippable, "images, WAV files and texts"),
    ] {
        if given && !formats.contains(&format) {
            let problem = format!("is for {what}, and {} holds none; leave it out", settings.path);
            return Err(Error::setting(key, problem));
        }
    }
    Ok(())
}
