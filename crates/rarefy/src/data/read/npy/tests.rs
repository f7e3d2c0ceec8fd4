//! NPY and NPZ files, good and bad.

use std::io::Write;

use super::*;
use crate::data::raw::Labels;
use crate::data::read::gzip;
use crate::data::reading::{ArrayReading, Broken, Keep};

pub(crate) fn file(kind: &str, fortran: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers);
    bytes
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read(path: &Path, label_path: Option<&str>, task: TaskChoice) -> Result<Source> {
    read_parts(path, label_path, task, How { shifting: Shifting::WhereNeeded, streaming: None })
}

fn read_unlabelled(path: &Path) -> Result<Raw> {
    let reading = Reading::Npy(ArrayReading::default());
    reread(
        path,
        &reading,
        Wanted { labels: None, broken: Broken::LeaveOut, keep: Keep::Nothing, streaming: None },
    )
}

#[test]
fn folders_and_archives_hold_the_same_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let x = file("<f4", "False", "(3, 2)", &floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    // The same by columns, and from a machine of the other byte order.
    let turned: Vec<u8> = [1.0f32, 3.0, 5.0, 2.0, 4.0, 6.0].iter().flat_map(|n| n.to_be_bytes()).collect();
    let x_turned = file(">f4", "True", "(3, 2)", &turned);
    let y = file("<i8", "False", "(3,)", &[0i64, 1, 1].map(i64::to_le_bytes).concat());
    let x_test = file("|u1", "False", "(1, 2)", &[7, 8]);
    let y_test = file("|b1", "False", "(1,)", &[1]);
    std::fs::write(folder.path().join("X.npy"), &x).unwrap();
    std::fs::write(folder.path().join("y.npy"), &y).unwrap();
    let packed = folder.path().join("data.npz");
    let entries = [
        ("x_train.npy", &x_turned[..]),
        ("y_train.npy", &y),
        ("x_test.npy", &x_test),
        ("y_test.npy", &y_test),
    ];
    std::fs::write(&packed, archive(&entries)).unwrap();
    for path in [folder.path(), &packed] {
        let train = read(path, None, TaskChoice::Auto).unwrap().train;
        let mut row = [0.0; 2];
        train.copy_row(1, &mut row);
        assert_eq!((train.samples(), train.width, row), (3, 2, [3.0, 4.0]));
        assert!(
            matches!(train.labels, Some(Labels::Numbers { values, outputs: 1 }) if values == [0.0, 1.0, 1.0])
        );
    }
    assert_eq!(read(&packed, None, TaskChoice::Auto).unwrap().test.unwrap().samples(), 1);
    assert_eq!(read_unlabelled(&packed).unwrap().samples(), 1);
    assert_eq!(read_unlabelled(&folder.path().join("X.npy")).unwrap().samples(), 3);
}

#[test]
fn labels_are_numbers_or_texts_and_lie_beside_the_features_or_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (solo, at) = (folder.path().join("solo.npy"), folder.path().join("lab.npy"));
    std::fs::write(&solo, file("<f2", "False", "(2, 1)", &[0, 0x3c, 0, 0xc0])).unwrap();
    let wide = |big: bool| -> Vec<u8> {
        let letters = ["\u{e9}b", "a\0"].concat();
        let code = |c: char| if big { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() };
        letters.chars().flat_map(code).collect()
    };
    let large = [9007199254740992u64, 9007199254740993];
    for (labels, expected) in [
        (file("|S2", "False", "(2,)", b"bba\0"), ["bb", "a"]),
        (file("<U2", "False", "(2, 1)", &wide(false)), ["\u{e9}b", "a"]),
        (file(">U2", "False", "(2,)", &wide(true)), ["\u{e9}b", "a"]),
        (
            file("<u8", "False", "(2,)", &large.map(u64::to_le_bytes).concat()),
            ["9007199254740992", "9007199254740993"],
        ),
        (
            file(">i8", "False", "(2,)", &large.map(|n| (n as i64).to_be_bytes()).concat()),
            ["9007199254740992", "9007199254740993"],
        ),
    ] {
        std::fs::write(&at, labels).unwrap();
        let raw = read(&solo, at.to_str(), TaskChoice::Classification).unwrap().train;
        let Some(Labels::Text { codes, vocabulary }) = raw.labels else { panic!("texts") };
        assert_eq!((&codes[..], &vocabulary[..]), (&[0, 1][..], &expected.map(String::from)[..]));
        let mut row = [0.0];
        raw.cells.copy_row(1, 1, &mut row);
        assert_eq!(row, [-2.0]);
    }
    // Values stay numbers.
    let raw = read(&solo, at.to_str(), TaskChoice::Regression).unwrap().train;
    assert!(matches!(raw.labels, Some(Labels::Numbers { .. })));
}

/// NaN is a gap, as an empty cell of a CSV file is: the same numbers give the same samples and the same model, in all parts.
#[test]
fn nan_is_a_gap_like_an_empty_cell_of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<[f32; 2]> = (0..12u8)
        .map(|row| [if row % 4 == 1 { f32::NAN } else { row.into() }, f32::from(row * 3 % 7)])
        .collect();
    let cell = |number: &f32| if number.is_nan() { String::new() } else { number.to_string() };
    let lines = (0..).zip(&rows).map(|(row, [a, b])| format!("{},{},{}\n", cell(a), cell(b), row % 2));
    let (table, arrays) = (folder.path().join("t.csv"), folder.path().join("t.npz"));
    std::fs::write(&table, format!("a,b,y\n{}", lines.collect::<String>())).unwrap();
    let x = file("<f4", "False", "(12, 2)", &floats(rows.as_flattened()));
    let y = file("|u1", "False", "(12,)", &[0, 1].repeat(6));
    std::fs::write(&arrays, archive(&[("x.npy", &x), ("y.npy", &y)])).unwrap();
    let settings = |path: &Path, more: &str| -> DataSettings {
        let settings: DataSettings = toml::from_str(more).unwrap();
        DataSettings { path: path.to_str().unwrap().into(), ..settings }
    };
    let load = |path: &Path, more: &str| crate::data::load(&settings(path, more), 3);
    for more in ["", "scale = 'min-max'", "scale = 'none'"] {
        let (of_table, of_arrays) = (load(&table, more).unwrap(), load(&arrays, more).unwrap());
        assert_eq!(of_arrays.train.dense(), of_table.train.dense(), "{more}");
        let test = |splits: crate::data::Splits| splits.test.unwrap().dense().unwrap().to_vec();
        assert!(of_arrays.notes[0].contains("3 numbers are missing (NaN)"), "{:?}", of_arrays.notes);
        let text = serde_json::to_string(&of_arrays.preparation).unwrap();
        let again: crate::data::Preparation = serde_json::from_str(&text).unwrap();
        again.check().unwrap();
        assert_eq!(again, of_arrays.preparation);
        assert_eq!(test(of_arrays), test(of_table), "{more}");
    }
    // Where gaps are refused, where the model knows no means, and where a label is one.
    let error = load(&arrays, "missing = 'error'").unwrap_err().to_string();
    assert!(error.contains("t.npz, sample 2, column 1: NaN is a missing number"), "{error}");
    let bytes = file("|u1", "False", "(12, 2)", &[5; 24]);
    std::fs::write(folder.path().join("u.npz"), archive(&[("x.npy", &bytes), ("y.npy", &y)])).unwrap();
    let of_bytes = load(&folder.path().join("u.npz"), "").unwrap().preparation;
    let error = crate::data::load_with(&of_bytes, arrays.to_str().unwrap(), true).unwrap_err().to_string();
    assert!(error.contains("sample 2, column 1: NaN is a missing number"), "{error}");
    let y = file("<f4", "False", "(12,)", &floats(&[&[0.0; 11][..], &[f32::NAN]].concat()));
    std::fs::write(&arrays, archive(&[("x.npy", &x), ("y.npy", &y)])).unwrap();
    let error = load(&arrays, "").unwrap_err().to_string();
    assert!(error.contains("y.npy, sample 12: the label NaN is not a finite number"), "{error}");
}

#[test]
fn a_validation_part_in_the_archive_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let x = file("|u1", "False", "(2, 1)", &[1, 2]);
    let y = file("|u1", "False", "(2,)", &[0, 1]);
    let wide = file("|u1", "False", "(2, 2)", &[1, 2, 3, 4]);
    let entries = [("x.npy", &x[..]), ("y.npy", &y), ("x_val.npy", &x), ("y_val.npy", &y)];
    std::fs::write(&path, archive(&entries)).unwrap();
    let found = read(&path, None, TaskChoice::Auto).unwrap();
    assert_eq!((found.validation.unwrap().samples(), found.test.is_none()), (2, true));
    let entries = [("x.npy", &x[..]), ("y.npy", &y), ("val_x.npy", &wide), ("val_y.npy", &y)];
    std::fs::write(&path, archive(&entries)).unwrap();
    let error = read(&path, None, TaskChoice::Auto).err().unwrap().to_string();
    assert!(error.contains("the validation part has 2 columns, the training part 1"), "{error}");
    // A class that the training part has not is of that part.
    let (x, y) = (file("|u1", "False", "(4, 1)", &[1, 2, 3, 4]), file("|u1", "False", "(4,)", &[0, 1, 0, 1]));
    let other = file("|u1", "False", "(4,)", &[0, 1, 2, 1]);
    let entries = [("x.npy", &x[..]), ("y.npy", &y), ("x_val.npy", &x), ("y_val.npy", &other)];
    std::fs::write(&path, archive(&entries)).unwrap();
    let settings = DataSettings { path: path.to_str().unwrap().into(), ..DataSettings::default() };
    let error = crate::data::load(&settings, 1).unwrap_err().to_string();
    assert!(error.contains("sample 3 of the validation part: the label \"2\" is out of range"), "{error}");
}

/// A file with a hole: it takes no room on the disk, and would take more memory than any machine has.
#[test]
fn an_array_beyond_memory_is_refused_with_the_setting_that_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let (samples, path) = (1usize << 38, folder.path().join("x.npy"));
    let start = file("<f4", "False", &format!("({samples}, 15)"), &[]);
    std::fs::write(&path, &start).unwrap();
    let hole = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    if hole.set_len((start.len() + 4 * 15 * samples) as u64).is_err() {
        eprintln!("this file system has no files of 16 TB: not tried");
        return;
    }
    std::fs::write(folder.path().join("y.npy"), file("|u1", "False", "(2,)", &[0, 1])).unwrap();
    let error = read(folder.path(), None, TaskChoice::Auto).err().unwrap().to_string();
    assert!(error.contains("x.npy: holds 16492.7 GB and ") && error.contains("data.memory = "), "{error}");
}

#[test]
fn damaged_and_unfit_arrays_are_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let good = file("<f4", "False", "(2, 1)", &floats(&[1.0, 2.0]));
    let labels = file("|u1", "False", "(2,)", &[0, 1]);
    let mut version = good.clone();
    version[6] = 9;
    let mut long_header = good.clone();
    (long_header[6], long_header[10], long_header[11]) = (2, 0xff, 0xff);
    for (x, y, problem) in [
        (b"\x93NUMPX\x01\x00".to_vec(), labels.clone(), "does not start with"),
        (good[..5].to_vec(), labels.clone(), "cut short inside its header"),
        (good[..30].to_vec(), labels.clone(), "cut short inside its header"),
        (good[..good.len() - 1].to_vec(), labels.clone(), "more than the file can hold"),
        ([&good[..], &[0]].concat(), labels.clone(), "goes on after"),
        (version, labels.clone(), "version 9 is unknown"),
        (long_header, labels.clone(), "header is too long"),
        (file("<f4", "False", "(2, -1)", &[]), labels.clone(), "shape cannot be read"),
        (
            file("<f4", "False", "(18446744073709551615, 3)", &[]),
            labels.clone(),
            "more than the file can hold",
        ),
        (file("<f4", "True", "(1099511627776, 0)", &[]), labels.clone(), "no samples"),
        (file("<f4", "False", "()", &floats(&[1.0])), labels.clone(), "at least two dimensions"),
        (file("<f4", "False", "(2,)", &floats(&[1.0, 2.0])), labels.clone(), "at least two dimensions"),
        (file("<f4", "True", "(1, 1, 1)", &floats(&[1.0])), labels.clone(), "ascontiguousarray"),
        (file("<c8", "False", "(2, 1)", &[0; 16]), labels.clone(), "astype"),
        (file("<U1", "False", "(2, 1)", &[0; 8]), labels.clone(), "astype"),
        (file("|O", "False", "(2, 1)", &[0; 4]), labels.clone(), "astype"),
        (
            file("<f4", "False", "(2, 1)", &floats(&[1.0, f32::INFINITY])),
            labels.clone(),
            "sample 2, column 1",
        ),
        (good.clone(), file("|u1", "False", "(3,)", &[0, 1, 0]), "3 labels for 2 samples"),
        (good.clone(), file("|S1", "False", "(3,)", b"aba"), "3 labels for 2 samples"),
        (good.clone(), file("|O", "False", "(2,)", &[0; 4]), "as in y.astype(str)"),
        (good.clone(), file("|S1", "False", "(2, 2)", b"abab"), "texts as labels need one dimension"),
        (good.clone(), file("|S1", "False", "(2,)", b"a\0"), "sample 2: its label is empty"),
        (good.clone(), file("|S1", "False", "(2,)", b"a\xff"), "sample 2: its label is no text"),
        (good.clone(), file("<U1", "False", "(2,)", &[0xff; 8]), "sample 1: its label is no text"),
        (good.clone(), file("|S0", "False", "(2,)", b""), "no samples"),
        (good.clone(), file("|S9", "False", "(2,)", b"ab"), "more than the file can hold"),
    ] {
        std::fs::write(folder.path().join("x.npy"), x).unwrap();
        std::fs::write(folder.path().join("y.npy"), y).unwrap();
        let error = read(folder.path(), None, TaskChoice::Auto).err().unwrap().to_string();
        assert!(error.contains(problem), "{problem}: {error}");
    }
}

#[test]
fn damaged_archives_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let x = file("<f4", "False", "(2, 1)", &floats(&[1.0, 2.0]));
    let whole = archive(&[("x.npy", &x)]);
    let mut flipped = archive(&[("x.npy", &x), ("y.npy", &x)]);
    flipped[45] ^= 0xff;
    let other = archive(&[("weights.npy", &x)]);
    for (bytes, problem) in [
        (whole[..whole.len() / 2].to_vec(), "not a sound NPZ"),
        (b"PK".to_vec(), "not a sound NPZ"),
        (flipped, "a.npz/x.npy"),
        (whole, "but no labels"),
        (other, "holds no array named x, X, features, x_train, X_train, train_x, only weights; rename"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, None, TaskChoice::Auto).err().unwrap().to_string();
        assert!(error.contains(problem), "{problem}: {error}");
    }
    let twice = folder.path().join("a.npz.gz");
    std::fs::write(&twice, gzip::tests::packed(&archive(&[("x.npy", &x)]))).unwrap();
    assert!(
        read(&twice, None, TaskChoice::Auto).err().unwrap().to_string().contains("unpack it with gunzip")
    );
    let single = folder.path().join("x.npy");
    std::fs::write(&single, x).unwrap();
    assert!(read(&single, None, TaskChoice::Auto).err().unwrap().to_string().contains("put x.npy and y.npy"));
}

#[test]
fn images_that_seem_to_have_their_channels_first_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let y = file("|u1", "False", "(8,)", &[0, 1].repeat(4));
    for (shape, noted) in [
        ([3, 6, 5], true),
        ([1, 6, 6], true),
        ([6, 5, 3], false),
        ([3, 6, 4], false),
        ([4, 2, 6], false),
        ([8, 6, 6], false),
    ] {
        let [height, width, channels] = shape;
        let pixels: Vec<u8> = (0..8 * shape.iter().product::<usize>()).map(|pixel| pixel as u8).collect();
        let x = file("|u1", "False", &format!("(8, {height}, {width}, {channels})"), &pixels);
        std::fs::write(&path, archive(&[("x.npy", &x), ("y.npy", &y)])).unwrap();
        for memory in ["", "memory = '1GB'"] {
            let settings: DataSettings = toml::from_str(memory).unwrap();
            let settings = DataSettings { path: path.to_str().unwrap().into(), ..settings };
            let notes = crate::data::load(&settings, 1).unwrap().notes;
            let hint = format!(
                "samples of the shape {shape:?} are read as {height} high, {width} wide, {channels} channels"
            );
            assert_eq!(notes.iter().any(|note| note.starts_with(&hint)), noted, "{notes:?}");
        }
    }
    // To a model of images with their channels last they are no images.
    let settings = |shape: &str| DataSettings {
        path: path.to_str().unwrap().into(),
        ..toml::from_str(&format!("shape = {shape}")).unwrap()
    };
    let pixels: Vec<u8> = (0..8 * 90).map(|pixel| pixel as u8).collect();
    let write = |shape: &str| {
        let x = file("|u1", "False", shape, &pixels);
        std::fs::write(&path, archive(&[("x.npy", &x), ("y.npy", &y)])).unwrap();
    };
    write("(8, 6, 5, 3)");
    let preparation = crate::data::load(&settings("[6, 5, 3]"), 1).unwrap().preparation;
    write("(8, 3, 6, 5)");
    for error in [
        crate::data::load_with(&preparation, path.to_str().unwrap(), false).err().unwrap(),
        crate::data::load(&settings("[6, 5, 3]"), 1).err().unwrap(),
    ] {
        assert!(error.to_string().contains("as with channels first, and the model takes"), "{error}");
    }
}
