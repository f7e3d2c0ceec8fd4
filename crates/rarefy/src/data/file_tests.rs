//! Images and recordings the whole way, from files written here to data sets and batches.

use std::f64::consts::PI;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};

use super::*;
use crate::random::{Purpose, Stream};
use crate::tiles::Shape;

/// Settings for a folder or list, from TOML.
fn settings(path: &Path, text: &str) -> DataSettings {
    let settings: DataSettings = toml::from_str(text).unwrap();
    DataSettings { path: path.to_str().unwrap().into(), ..settings }
}

fn load_error(path: &Path, text: &str) -> String {
    load(&settings(path, text), 1).unwrap_err().to_string()
}

fn labels(dataset: &Dataset) -> &[u32] {
    match &dataset.targets {
        Targets::Classes { labels, .. } => labels,
        _ => panic!("these are classes"),
    }
}

/// The numbers of a sample.
fn row(dataset: &Dataset, index: usize) -> &[f32] {
    &dataset.dense().unwrap()[index * dataset.inputs()..][..dataset.inputs()]
}

fn save(image: impl Into<DynamicImage>, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.into().save(path).unwrap();
}

/// `count` grey images of `height x width` for each of two classes: bright at the left, or at the top.
fn images(root: &Path, count: u64, height: u32, width: u32) {
    for (class, name) in ["left", "top"].iter().enumerate() {
        for number in 0..count {
            let mut stream = Stream::new(7, Purpose::Bench, class as u64, number);
            let image = GrayImage::from_fn(width, height, |x, y| {
                let bright = if class == 0 { x < width / 2 } else { y < height / 2 };
                Luma([(if bright { 200 } else { 20 }) + stream.below(30) as u8])
            });
            save(image, &root.join(name).join(format!("{number:03}.png")));
        }
    }
}

/// A tone of so many samples.
fn tone(path: &Path, rate: u32, samples: usize, hz: f64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let step = 2.0 * PI * hz / f64::from(rate);
    let samples: Vec<i32> = (0..samples).map(|n| (8000.0 * (step * n as f64).sin()) as i32).collect();
    read::audio::wav_file(path, rate, &samples);
}

/// `count` tones of different lengths for each of two classes.
fn tones(root: &Path, rate: u32, count: usize) {
    for (name, hz) in [("high", 1500.0), ("low", 300.0)] {
        for number in 0..count {
            let path = root.join(name).join(format!("{number:02}.wav"));
            tone(&path, rate, 1600 + 160 * number, hz + 5.0 * number as f64);
        }
    }
}

#[test]
fn a_folder_of_images_is_split_scaled_and_read_again_for_a_model() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 20, 4, 6);
    let splits = load(&settings(folder.path(), ""), 1).unwrap();
    let (validation, test) = (splits.validation.as_ref().unwrap(), splits.test.as_ref().unwrap());
    assert_eq!((splits.train.len(), validation.len(), test.len()), (28, 4, 8));
    assert_eq!(splits.train.shape, Shape { height: 4, width: 6, channels: 1 });
    assert_eq!(splits.preparation.classes, ["left", "top"]);
    assert_eq!((splits.skipped.len(), &splits.augmentation), (0, &None));
    for sample in 0..splits.train.len() {
        let pixels = row(&splits.train, sample);
        let (below_left, above_right) = (pixels[3 * 6], pixels[5]);
        assert_eq!(labels(&splits.train)[sample] == 0, below_left > above_right);
    }
    let numbers = splits.train.dense().unwrap();
    let mean = numbers.iter().sum::<f32>() / numbers.len() as f32;
    assert!(mean.abs() < 1e-5);
    // The model reads the same files to the same numbers, in the order of their names.
    let path = folder.path().to_str().unwrap();
    let again = load_with(&splits.preparation, path, true).unwrap().dataset;
    let unlabelled = load_with(&splits.preparation, path, false).unwrap().dataset;
    assert_eq!(again.features, unlabelled.features);
    assert_eq!(labels(&again), [[0; 20], [1; 20]].concat());
    let names = load_with(&splits.preparation, path, false).unwrap().files;
    assert_eq!(names[21], folder.path().join("top/001.png"));
    let one = load_with(&splits.preparation, names[21].to_str().unwrap(), false).unwrap().dataset;
    assert_eq!(one.dense().unwrap(), row(&again, 21));
    // And the preparation survives its file.
    let text = serde_json::to_string(&splits.preparation).unwrap();
    assert_eq!(serde_json::from_str::<Preparation>(&text).unwrap(), splits.preparation);
}

#[test]
fn parts_on_disk_stay_parts() {
    let folder = tempfile::tempdir().unwrap();
    images(&folder.path().join("train"), 6, 3, 3);
    images(&folder.path().join("test"), 2, 3, 3);
    let path = folder.path().to_str().unwrap();
    let test = folder.path().join("test");
    std::fs::rename(&test, folder.path().join("val")).unwrap();
    assert_eq!(part_for_model(path).unwrap(), Some(Part::Validation));
    let splits = load(&settings(folder.path(), "test_fraction = 0"), 1).unwrap();
    let scored = load_with(&splits.preparation, path, true).unwrap().dataset;
    assert_eq!((scored.len(), Some(&scored)), (4, splits.validation.as_ref()));
    assert_eq!(load_with(&splits.preparation, path, false).unwrap().files.len(), 4);
    std::fs::rename(folder.path().join("val"), &test).unwrap();
    assert_eq!(part_for_model(path).unwrap(), Some(Part::Test));
    let splits = load(&settings(folder.path(), "validation_fraction = 0"), 1).unwrap();
    let test = splits.test.unwrap();
    assert_eq!((splits.train.len(), test.len()), (12, 4));
    assert_eq!(load_with(&splits.preparation, path, true).unwrap().dataset, test);
    let described = describe(&settings(folder.path(), "")).unwrap();
    assert_eq!(
        (described.test_samples, described.shape, described.columns.len()),
        (Some(4), splits.train.shape, 0)
    );
    // With a validation part too, none is split off.
    images(&folder.path().join("Val"), 1, 3, 3);
    let splits = load(&settings(folder.path(), ""), 1).unwrap();
    let (validation, own_test) = (splits.validation.unwrap(), splits.test.unwrap());
    assert_eq!((splits.train.len(), validation.len()), (12, 2));
    assert_eq!(own_test, test);
    assert_eq!(describe(&settings(folder.path(), "")).unwrap().validation_samples, Some(2));
    // As two folders they are the same.
    let parts = settings(&folder.path().join("train"), "validation_fraction = 0");
    let test_path = Some(folder.path().join("test").to_str().unwrap().to_string());
    let apart = load(&DataSettings { test_path, ..parts }, 1).unwrap();
    assert_eq!((apart.train, apart.test.unwrap()), (splits.train, test));
}

#[test]
fn levels_that_bytes_cannot_hold_are_noted() {
    for (unit, noted) in [(257, false), (100, true)] {
        let folder = tempfile::tempdir().unwrap();
        images(folder.path(), 5, 5, 6);
        let deep = ImageBuffer::from_fn(6, 5, |x, _| Luma([x as u16 * unit]));
        save(deep, &folder.path().join("top/deep.png"));
        for memory in ["", "memory = '1GB'"] {
            let settings: DataSettings = toml::from_str(memory).unwrap();
            let settings = DataSettings { path: folder.path().to_str().unwrap().into(), ..settings };
            let notes = load(&settings, 1).unwrap().notes;
            let is_noted = notes.iter().any(|note| note.starts_with("1 of 11 images have levels of 16 bits"));
            assert_eq!(is_noted, noted, "{notes:?}");
        }
    }
}

#[test]
fn one_colourful_image_makes_all_three_channels() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 4, 2, 2);
    save(RgbImage::from_pixel(2, 2, Rgb([250, 10, 20])), &folder.path().join("top/red.png"));
    let all = "validation_fraction = 0\ntest_fraction = 0\nscale = 'none'";
    let splits = load(&settings(folder.path(), all), 1).unwrap();
    assert_eq!(splits.train.shape.channels, 3);
    assert_eq!(row(&splits.train, 8)[..6], [250.0, 10.0, 20.0, 250.0, 10.0, 20.0]);
    let grey = row(&splits.train, 0);
    assert!(grey.chunks(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
    let one = load(&settings(folder.path(), &format!("{all}\nimage_color = 'grey'")), 1).unwrap();
    assert_eq!((one.train.shape.channels, one.train.len()), (1, 9));
}

#[test]
fn images_of_mixed_sizes_are_refused_with_two_names_or_resized() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 5, 4, 6);
    save(GrayImage::from_pixel(6, 5, Luma([9])), &folder.path().join("top/odd.png"));
    let error = load_error(folder.path(), "");
    let odd = folder.path().join("top/odd.png").display().to_string();
    assert!(error.starts_with(&format!("{odd}: is 5 pixels high and 6 wide, but ")), "{error}");
    assert!(error.contains("000.png is 4 pixels high and 6 wide; set data.image_size"), "{error}");
    let splits = load(&settings(folder.path(), "image_size = [3, 2]"), 1).unwrap();
    assert_eq!(splits.train.shape, Shape { height: 3, width: 2, channels: 1 });
    // A model that resizes takes any size, another one only its own.
    assert_eq!(load_with(&splits.preparation, &odd, false).unwrap().dataset.len(), 1);
    std::fs::remove_file(&odd).unwrap();
    let strict = load(&settings(folder.path(), ""), 1).unwrap().preparation;
    save(GrayImage::from_pixel(6, 5, Luma([9])), Path::new(&odd));
    let error = load_with(&strict, &odd, false).unwrap_err().to_string();
    assert!(error.contains("the model was trained on 4 pixels high and 6 wide"), "{error}");
    save(RgbImage::from_pixel(6, 4, Rgb([9, 0, 0])), Path::new(&odd));
    let error = load_with(&strict, &odd, false).unwrap_err().to_string();
    assert!(error.contains("is in colour, the model was trained on grey"), "{error}");
}

#[test]
fn a_bad_file_is_named_or_left_out_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    images(&folder.path().join("i"), 5, 4, 4);
    tones(&folder.path().join("a"), 8000, 5);
    for (root, bad) in [("i", "top/bad.png"), ("a", "low/bad.wav")] {
        let (root, bad) = (folder.path().join(root), folder.path().join(root).join(bad));
        let all = "validation_fraction = 0\ntest_fraction = 0";
        let before = load(&settings(&root, all), 1).unwrap();
        std::fs::write(&bad, "no such thing").unwrap();
        let error = load_error(&root, "");
        assert!(error.starts_with(&bad.display().to_string()), "{error}");
        assert!(error.ends_with("or leave such files out with data.skip_bad = true"), "{error}");
        let splits = load(&settings(&root, &format!("{all}\nskip_bad = true")), 1).unwrap();
        assert_eq!(splits.skipped.len(), 1);
        assert_eq!(splits.skipped[0].path, bad);
        assert_eq!((splits.train, splits.preparation), (before.train, before.preparation.clone()));
        let described = describe(&settings(&root, "skip_bad = true")).unwrap();
        assert_eq!((described.samples, described.skipped), (10, splits.skipped));
        // A model leaves it out only if asked to.
        let error = load_with(&before.preparation, root.to_str().unwrap(), true).unwrap_err().to_string();
        assert!(error.starts_with(&bad.display().to_string()), "{error}");
        assert!(error.ends_with("or leave such files out with data.skip_bad = true"), "{error}");
        let kept = load_readable(&before.preparation, root.to_str().unwrap(), true).unwrap();
        assert_eq!((kept.dataset.len(), kept.files.len(), kept.skipped.len()), (10, 10, 1));
        assert_eq!((&kept.skipped[0].path, kept.skipped[0].position), (&bad, 10));
    }
}

#[test]
fn recordings_of_different_lengths_are_filled_up_with_the_mean() {
    let folder = tempfile::tempdir().unwrap();
    tones(folder.path(), 8000, 10);
    let text = "validation_fraction = 0\ntest_fraction = 0\naudio.mels = 20";
    let splits = load(&settings(folder.path(), text), 1).unwrap();
    // 200 samples a frame, every 80: 1600 samples have 18 frames, 3040 have 36.
    assert_eq!(splits.train.shape, Shape::sequence(36, 20));
    let lengths: Vec<u32> = (0..10).map(|number| 18 + 2 * number).collect();
    assert_eq!(splits.train.lengths, [lengths.clone(), lengths].concat());
    assert_eq!(splits.preparation.classes, ["high", "low"]);
    // Each band has mean 0 and deviation 1 over the frames that are there; the others are 0.
    for band in 0..20 {
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (sample, &length) in splits.train.lengths.iter().enumerate() {
            for (frame, features) in row(&splits.train, sample).chunks(20).enumerate() {
                if frame < length as usize {
                    count += 1.0;
                    sum += f64::from(features[band]);
                    squares += f64::from(features[band]).powi(2);
                } else {
                    assert_eq!(features[band], 0.0)
                }
            }
        }
        assert!((sum / count).abs() < 1e-5 && (squares / count - 1.0).abs() < 1e-4, "band {band}");
    }
    // A batch knows the lengths.
    let mut batch = Batch::new(&splits.train, 4);
    batch.fill(&splits.train, &[3, 0, 19]);
    assert_eq!(batch.input.lengths(), [24, 18, 36]);
    assert_eq!(splits.train.subset(&[9, 1]).lengths, [36, 20]);
}

#[test]
fn a_list_with_a_test_part_gives_both_and_a_model_reads_them_alike() {
    let folder = tempfile::tempdir().unwrap();
    tones(folder.path(), 8000, 8);
    let lines = |name: &str| -> String {
        (0..8)
            .map(|i| format!("{name}/{i:02}.wav,{name},{}\n", if i < 6 { "train" } else { "test" }))
            .collect()
    };
    let list = folder.path().join("list.csv");
    std::fs::write(&list, format!("path,label,split\n{}{}", lines("high"), lines("low"))).unwrap();
    let text = "validation_fraction = 0\naudio.features = 'mfcc'\naudio.deltas = true";
    let splits = load(&settings(&list, text), 1).unwrap();
    let test = splits.test.unwrap();
    // The longest is in the test part, and nothing is cut.
    assert_eq!((splits.train.len(), test.len(), test.shape), (12, 4, Shape::sequence(32, 39)));
    let path = list.to_str().unwrap();
    assert_eq!(part_for_model(path).unwrap(), Some(Part::Test));
    assert_eq!(load_with(&splits.preparation, path, true).unwrap().dataset, test);
    assert_eq!(load_with(&splits.preparation, path, false).unwrap().files.len(), 4);
    // Without a test part it is the validation part that a model is applied to.
    let text_of_list = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text_of_list.replace(",test\n", ",val\n")).unwrap();
    assert_eq!(part_for_model(path).unwrap(), Some(Part::Validation));
    assert_eq!(load_with(&splits.preparation, path, true).unwrap().dataset, test);
    std::fs::write(&list, text_of_list).unwrap();
    // A longer recording than any is refused by name.
    let long = folder.path().join("long.wav");
    tone(&long, 8000, 4000, 500.0);
    let error = load_with(&splits.preparation, long.to_str().unwrap(), false).unwrap_err().to_string();
    assert!(error.contains("long.wav: has 48 frames of 10 ms, the model takes 32; cut it"), "{error}");
    // Of many files it is one that can be left out: high, long and low, as nothing has classes here.
    let kept = load_readable(&splits.preparation, folder.path().to_str().unwrap(), false).unwrap();
    assert_eq!((kept.dataset.len(), kept.skipped.len()), (16, 1));
    let short = folder.path().join("short.wav");
    tone(&short, 8000, 100, 500.0);
    let error = load_with(&splits.preparation, short.to_str().unwrap(), false).unwrap_err().to_string();
    assert!(error.contains("short.wav: lasts 12.500 ms, less than a frame of 25 ms"), "{error}");
    let text = format!("{text}\naudio.seconds = 0.25");
    let splits = load(&settings(&list, &text), 1).unwrap();
    assert_eq!(splits.train.shape, Shape::sequence(23, 39));
    let cut = load_with(&splits.preparation, long.to_str().unwrap(), false).unwrap().dataset;
    assert_eq!((cut.lengths, cut.shape.width), (vec![23], 23));
}

/// A list of recordings of 23 frames and what is said in them.
fn told(folder: &Path, lines: &[(&str, &str)]) -> std::path::PathBuf {
    let mut text = "label,path,split\n".to_string();
    for (number, (label, split)) in lines.iter().enumerate() {
        tone(&folder.join(format!("{number}.wav")), 8000, 2000, 300.0 + number as f64);
        text += &format!("{label},{number}.wav,{split}\n");
    }
    let list = folder.join("list.csv");
    std::fs::write(&list, text).unwrap();
    list
}

#[test]
fn what_is_said_becomes_a_sequence_of_the_units_of_the_training_part() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [("no one", "train"), ("on", "train"), ("one no no", "test"), ("on", "test")];
    let list = told(folder.path(), &lines);
    for (units, names, train, test) in [
        // 1 space, 2 e, 3 n, 4 o
        (
            "characters",
            &[" ", "e", "n", "o"][..],
            &[3, 4, 1, 4, 3, 2, 4, 3][..],
            &[4, 3, 2, 1, 3, 4, 1, 3, 4, 4, 3][..],
        ),
        ("words", &["no", "on", "one"], &[1, 3, 2], &[3, 1, 1, 2]),
    ] {
        let text = format!("validation_fraction = 0\ntask = 'transcription'\nunits = '{units}'");
        let Splits { train: found, test: found_test, preparation, .. } =
            load(&settings(&list, &text), 1).unwrap();
        assert_eq!(
            (&preparation.classes[..], preparation.outputs),
            (&names.iter().map(|name| name.to_string()).collect::<Vec<_>>()[..], names.len() + 1)
        );
        let Targets::Sequences { labels, offsets, classes } = &found.targets else { panic!("sequences") };
        assert_eq!((labels.as_slice(), offsets.len(), *classes), (train, 3, names.len() + 1));
        let found_test = found_test.unwrap();
        let Targets::Sequences { labels, .. } = &found_test.targets else { panic!("sequences") };
        assert_eq!(labels, test);
        assert_eq!(preparation.text_of(train.iter().copied().take(offsets[1])), "no one");
        let again = load_with(&preparation, list.to_str().unwrap(), true).unwrap().dataset;
        assert_eq!(again, found_test);
        let end = test.len() - if units == "words" { 1 } else { 2 };
        let Targets::Sequences { labels, offsets, .. } = found_test.subset(&[1, 0]).targets else { panic!() };
        assert_eq!(
            (labels, offsets),
            ([&test[end..], &test[..end]].concat(), vec![0, test.len() - end, test.len()])
        );
        let unlabelled = load_with(&preparation, list.to_str().unwrap(), false).unwrap().dataset;
        assert_eq!(
            unlabelled.targets,
            Targets::Sequences { labels: vec![], offsets: vec![0; 3], classes: names.len() + 1 }
        );
    }
}

#[test]
fn what_cannot_be_told_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let ask = "validation_fraction = 0\ntask = 'transcription'";
    for (lines, text, expected) in [
        (
            [("ab", "train"), ("abba", "train"), ("cab", "test")],
            ask,
            "2.wav: its label \"cab\" has the character \"c\"",
        ),
        // 12 labels and 11 blanks fit into 23 frames, 12 equal pairs do not.
        (
            [("aaaaaaaaaaaa", "train"), ("aaaaaaaaaaaaa", "train"), ("a", "test")],
            ask,
            "1.wav: has 23 frames, and its label \"aaaaaaaaaaaaa\" takes 25 at least",
        ),
        (
            [("a b", "train"), ("c", "train"), ("d", "test")],
            "units = 'words'",
            "data.units: is for data.task = \"transcription\"",
        ),
        (
            [("a", "train"), ("b", "train"), ("c", "test")],
            "",
            "2.wav: is of the class \"c\", of which the training part has no file",
        ),
        (
            [("a", "train"), ("b", "train"), ("b", "test")],
            "",
            "set data.task = \"transcription\" if the labels are what is said",
        ),
    ] {
        let error = load_error(&told(folder.path(), &lines), text);
        assert!(error.contains(expected), "{error}");
    }
    let digits = DataSettings { task: TaskChoice::Transcription, ..DataSettings::default() };
    let error = load(&digits, 1).unwrap_err().to_string();
    assert!(error.starts_with("data.task: transcription is of recordings"), "{error}");
}

#[test]
fn mixed_sample_rates_are_refused_with_two_names_or_resampled() {
    let folder = tempfile::tempdir().unwrap();
    tones(folder.path(), 8000, 6);
    let odd = folder.path().join("low/odd.wav");
    tone(&odd, 16_000, 4000, 310.0);
    let error = load_error(folder.path(), "");
    assert!(error.starts_with(&format!("{}: has 16000 samples a second, but ", odd.display())), "{error}");
    assert!(error.contains("00.wav has 8000; set data.sample_rate"), "{error}");
    let all = "validation_fraction = 0\ntest_fraction = 0\nscale = 'none'";
    let splits = load(&settings(folder.path(), &format!("{all}\nsample_rate = 8000")), 1).unwrap();
    // A quarter of a second, resampled: the features of nearly the same tone at 8000.
    let (resampled, plain) = (row(&splits.train, 12), row(&splits.train, 8));
    assert_eq!(splits.train.lengths[12], 23);
    let loudest =
        |frame: &[f32]| (0..40).fold(0, |best, band| if frame[band] > frame[best] { band } else { best });
    assert_eq!(loudest(&resampled[10 * 40..][..40]), loudest(&plain[10 * 40..][..40]));
    // A model that was not told to resample refuses other rates.
    std::fs::remove_file(&odd).unwrap();
    let strict = load(&settings(folder.path(), all), 1).unwrap().preparation;
    tone(&odd, 16_000, 3000, 310.0);
    let error = load_with(&strict, odd.to_str().unwrap(), false).unwrap_err().to_string();
    assert!(error.contains("has 16000 samples a second, the model was trained on 8000"), "{error}");
    assert!(load_with(&splits.preparation, odd.to_str().unwrap(), false).is_ok());
    // A header with a rate that is none.
    tone(&odd, 12, 3000, 1.0);
    for text in ["", "sample_rate = 8000"] {
        let error = load_error(folder.path(), text);
        assert!(
            error.contains("odd.wav: says it has 12 samples a second, which cannot be resampled"),
            "{error}"
        );
    }
}

#[test]
fn settings_of_another_kind_of_data_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    images(&folder.path().join("i"), 5, 4, 4);
    tones(&folder.path().join("a"), 8000, 5);
    let one = folder.path().join("i/top/000.png");
    for (path, text, problem) in [
        ("i", "sample_rate = 8000", "data.sample_rate: is for WAV files"),
        ("i", "audio.mels = 20", "data.audio: is for WAV files"),
        ("i", "label = 'x'", "data.label: is for CSV files"),
        ("i", "augment.time_masks = 1", "data.augment.time_masks: is for sequences"),
        ("i", "task = 'regression'", "holds text, so it can only be classes"),
        ("a", "image_size = 8", "data.image_size: is for PNG and JPEG files"),
        ("a", "image_color = 'rgb'", "data.image_color: is for PNG and JPEG files"),
        ("a", "augment.flip = true", "data.augment.flip: is for images"),
        ("a", "audio.high_hz = 5000", "data.audio.high_hz: 5000 is above 4000 Hz"),
    ] {
        let error = load_error(&folder.path().join(path), text);
        assert!(error.contains(problem), "{error}");
    }
    assert!(load_error(&one, "").contains("is a single file without a label"));
    let digits = DataSettings { skip_bad: true, ..DataSettings::default() };
    let error = load(&digits, 1).unwrap_err().to_string();
    assert!(
        error.contains("data.skip_bad: is for images, WAV files and texts, and digits holds none"),
        "{error}"
    );
    // A model for one kind names what it takes.
    let images = load(&settings(&folder.path().join("i"), ""), 1).unwrap().preparation;
    let error = load_with(&images, folder.path().join("a").to_str().unwrap(), true).unwrap_err().to_string();
    assert!(error.contains("give a folder or a CSV list of PNG or JPEG files"), "{error}");
    let digits = load(&DataSettings::default(), 1).unwrap().preparation;
    let error = load_with(&digits, one.to_str().unwrap(), false).unwrap_err().to_string();
    assert!(error.contains("give an IDX, NPY, NPZ or CIFAR file"), "{error}");
}

#[test]
fn training_batches_change_from_epoch_to_epoch_and_not_with_threads() {
    let folder = tempfile::tempdir().unwrap();
    images(&folder.path().join("i"), 20, 8, 8);
    tones(&folder.path().join("a"), 8000, 10);
    for (path, text) in [
        ("i", "augment = { flip = true, crop = 2, cutout = 2 }"),
        ("a", "augment = { time_shift = 4, time_masks = 1, frequency_masks = 2, noise = 0.1 }"),
    ] {
        let splits = load(&settings(&folder.path().join(path), text), 3).unwrap();
        let (train, augmentation) = (&splits.train, splits.augmentation.as_ref());
        assert!(augmentation.is_some());
        let filled = |epoch, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut batch = Batch::new(train, train.len());
            let order = epoch_order(train.len(), 1, 0);
            pool.install(|| batch.fill_for_training(train, &order, augmentation, epoch));
            let samples: Vec<Vec<f32>> = (0..train.len()).map(|sample| batch.input.sample(sample)).collect();
            (samples, batch.input.lengths().to_vec())
        };
        assert_eq!(filled(0, 1), filled(0, 4));
        assert_ne!(filled(0, 1), filled(1, 1));
        // The data set itself stays as it was, and so does a batch that is not for training.
        let mut plain = Batch::new(train, 1);
        plain.fill(train, &[5]);
        assert_eq!(plain.input.sample(0), row(train, 5));
        let (samples, lengths) = filled(0, 1);
        for (sample, &length) in samples.iter().zip(&lengths) {
            let rest = &sample[length as usize * train.shape.channels..];
            assert!(rest.iter().all(|&number| number == 0.0), "what fills up stays zero");
        }
    }
}

#[test]
fn every_setting_of_files_is_documented() {
    /// The fields that settings have, from the error that an unknown one gets.
    fn fields<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
        let error = serde_json::from_str::<T>("{\"?\": 0}").unwrap_err().to_string();
        error.split('`').skip(3).step_by(2).map(String::from).collect()
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images-and-speech.md");
    let text = std::fs::read_to_string(page).unwrap();
    assert!(text.contains("| `data.units` |"));
    for (section, fields) in
        [("data.audio", fields::<AudioSettings>()), ("data.augment", fields::<AugmentSettings>())]
    {
        assert!(fields.len() > 5, "{fields:?}");
        for field in fields {
            assert!(text.contains(&format!("| `{section}.{field}` |")), "{section}.{field}");
        }
    }
}
