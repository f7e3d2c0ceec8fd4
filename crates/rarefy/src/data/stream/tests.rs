//! Samples that stay in a file are those that would be in memory.

use std::io::Write;
use std::path::Path;

use crate::data::dataset::Dataset;
use crate::data::read::audio::wav_file;
use crate::data::read::idx::tests::file as idx;
use crate::data::read::npy::tests::{archive, file as npy};
use crate::data::stream::{Ahead, InFile};
use crate::data::{Batch, DataSettings, Splits, load, load_streamed, load_with};

const SAMPLES: usize = 200;
/// Samples that are shuffled together.
const WINDOW: usize = 20;

/// A number that looks drawn.
fn number(at: usize) -> u64 {
    (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

/// Numbers of samples, and their labels, as NPY files.
fn arrays(kind: &str, shape: &str, each: usize, bytes: impl Fn(usize) -> Vec<u8>) -> [Vec<u8>; 2] {
    let features: Vec<u8> = (0..SAMPLES * each).flat_map(bytes).collect();
    let labels: Vec<u8> = (0..SAMPLES).map(|at| (number(at) % 3) as u8).collect();
    let shape = format!("({SAMPLES}, {shape})");
    [npy(kind, "False", &shape, &features), npy("|u1", "False", &format!("({SAMPLES},)"), &labels)]
}

fn float(at: usize) -> Vec<u8> {
    (number(at) as f32 / 1e3).to_le_bytes().to_vec()
}

/// Some are missing.
fn gappy(at: usize) -> Vec<u8> {
    if at % 17 == 3 { f32::NAN.to_le_bytes().to_vec() } else { float(at) }
}

/// Milliseconds of a day, which `f32` would join.
fn time(at: usize) -> Vec<u8> {
    (1_700_000_000_000u64 + number(at) % 100_000).to_be_bytes().to_vec()
}

fn byte(at: usize) -> Vec<u8> {
    vec![number(at) as u8]
}

fn folder(at: &Path, [x, y]: [Vec<u8>; 2]) {
    std::fs::write(at.join("x.npy"), x).unwrap();
    std::fs::write(at.join("y.npy"), y).unwrap();
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A source: what it is, how it is written, and the path and the settings to read it with.
type Row = (&'static str, fn(&Path), &'static str, &'static str);

const ROWS: &[Row] = &[
    ("floats", |at| folder(at, arrays("<f4", "6", 6, float)), "", ""),
    ("floats with gaps", |at| folder(at, arrays("<f4", "6", 6, gappy)), "", "scale = 'min-max'"),
    ("wide integers", |at| folder(at, arrays(">u8", "3", 3, time)), "", ""),
    ("bytes", |at| folder(at, arrays("|u1", "4, 5, 2", 40, byte)), "", "scale = 'channel'"),
    ("sequences", |at| folder(at, arrays("<f4", "4, 3", 12, float)), "", "scale = 'none'\nfold = '1/3'"),
    (
        "moved images",
        |at| folder(at, arrays("|u1", "6, 6", 36, byte)),
        "",
        "augment = {shift = 1, noise = 0.1}",
    ),
    (
        "archive",
        |at| {
            let [x, y] = arrays("<f8", "6", 6, |at| (number(at) as f64).to_le_bytes().to_vec());
            let entries = [("x.npy", &x[..]), ("y.npy", &y), ("x_test.npy", &x), ("y_test.npy", &y)];
            std::fs::write(at.join("a.npz"), archive(&entries)).unwrap();
        },
        "a.npz",
        "",
    ),
    (
        "IDX, packed",
        |at| {
            let pixels: Vec<u8> = (0..SAMPLES * 20).flat_map(byte).collect();
            let images = idx(&[SAMPLES as u32, 4, 5], &pixels);
            std::fs::write(at.join("train-images-idx3-ubyte.gz"), packed(&images)).unwrap();
            let labels: Vec<u8> = (0..SAMPLES).map(|at| (number(at) % 3) as u8).collect();
            std::fs::write(at.join("train-labels-idx1-ubyte"), idx(&[SAMPLES as u32], &labels)).unwrap();
        },
        "",
        "",
    ),
    (
        "table",
        |at| std::fs::write(at.join("t.csv"), table()).unwrap(),
        "t.csv",
        "date = 'day'\nweight = 'weight'",
    ),
    (
        "table, packed",
        |at| std::fs::write(at.join("t.csv.gz"), packed(table().as_bytes())).unwrap(),
        "t.csv.gz",
        "ignore = 'weight'\nfold = '2/4'",
    ),
    ("nonzeros", |at| std::fs::write(at.join("n.svm"), nonzeros()).unwrap(), "n.svm", "test_fraction = 0.3"),
    (
        "nonzeros counted from 0, packed",
        |at| {
            std::fs::write(at.join("n.svm.gz"), packed(nonzeros().replace(" 1:", " 0:").as_bytes())).unwrap()
        },
        "n.svm.gz",
        "features = 99",
    ),
    (
        "compressed rows",
        |at| std::fs::write(at.join("m.npz"), compressed_rows()).unwrap(),
        "m.npz",
        "test_fraction = 0.3",
    ),
    ("pictures", pictures, "", "validation_fraction = 0.2"),
    ("sounds", sounds, "", "test_fraction = 0.3\naugment = {noise = 0.1}"),
];

/// Numbers of which some are missing, categories of which some are rare, days and weights.
fn table() -> String {
    let line = |at: usize| {
        let gap = |is_gap: bool, cell: String| if is_gap { String::new() } else { cell };
        let size = gap(at % 11 == 5, format!("{}.5", number(at) % 100));
        let colour = gap(at % 7 == 1, format!("c{}", number(at) % if at.is_multiple_of(9) { 40 } else { 4 }));
        let (day, weight) = (1 + number(at) % 28, number(at) % 3);
        format!("{size},{colour},2024-02-{day:02},{weight},{}\n", ["yes", "no"][at % 2])
    };
    "size,colour,day,weight,label\n".to_string() + &(0..SAMPLES).map(line).collect::<String>()
}

/// Samples of as many nonzeros as each other, so that as many fill a window, one of them a written zero; some features nobody has.
fn nonzeros() -> String {
    let line = |at: usize| {
        let entry = |k: usize| {
            format!(" {}:{}", 1 + 9 * k + number(7 * at + k) as usize % 7, number(at + k) % 50 + 1)
        };
        format!("{}{} 60:0\n", at % 3, (0..5).map(entry).collect::<String>())
    };
    (0..SAMPLES).map(line).collect()
}

/// The same as an archive of SciPy's, whose columns come in any order.
fn compressed_rows() -> Vec<u8> {
    let array = |kind: &str, count: usize, each: &dyn Fn(usize) -> u32| {
        let bytes: Vec<u8> = (0..count).flat_map(|at| each(at).to_le_bytes()).collect();
        npy(kind, "False", &format!("({count},)"), &bytes)
    };
    let column = |at: usize| (9 * (4 - at % 5) + number(at) as usize % 7) as u32;
    let value = |at: usize| ((number(at) % 50 + 1) as f32).to_bits();
    archive(&[
        ("indices.npy", &array("<i4", 5 * SAMPLES, &column)),
        ("indptr.npy", &array("<i4", SAMPLES + 1, &|at| 5 * at as u32)),
        ("format.npy", &npy("|S3", "False", "()", b"csr")),
        ("shape.npy", &array("<i4", 2, &|at| [SAMPLES as u32, 60][at])),
        ("data.npy", &array("<f4", 5 * SAMPLES, &value)),
        ("y.npy", &array("<i4", SAMPLES, &|at| at as u32 % 3)),
    ])
}

/// Grey ones and some in colour.
fn pictures(at: &Path) {
    for sample in 0..SAMPLES {
        let folder = at.join(["a", "b"][sample % 2]);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{sample:03}.png"));
        let pixel = |x: u32, y: u32| number(sample * 64 + (8 * y + x) as usize) as u8;
        match sample % 5 {
            0 => {
                image::RgbImage::from_fn(6, 5, |x, y| image::Rgb([pixel(x, y), x as u8, y as u8])).save(path)
            }
            _ => image::GrayImage::from_fn(6, 5, |x, y| image::Luma([pixel(x, y)])).save(path),
        }
        .unwrap();
    }
}

/// Recordings of several lengths.
fn sounds(at: &Path) {
    for sample in 0..90 {
        let folder = at.join(["a", "b"][sample % 2]);
        std::fs::create_dir_all(&folder).unwrap();
        let wave: Vec<i32> =
            (0..500 + 40 * (sample % 9)).map(|at| (number(sample * 1000 + at) % 9000) as i32).collect();
        wav_file(&folder.join(format!("{sample:02}.wav")), 8000, &wave);
    }
}

/// The source of a row in memory and streamed.
fn both(at: &Path, &(name, write, path, more): &Row) -> [Splits; 2] {
    write(at);
    let settings: DataSettings = toml::from_str(more).unwrap();
    let settings = DataSettings { path: at.join(path).to_str().unwrap().into(), ..settings };
    let load = |memory: Option<usize>| {
        let settings = DataSettings { memory, ..settings.clone() };
        load(&settings, 1).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let size = in_file(&load(Some(1)).train).records.held_size();
    [load(None), load(Some(2 * WINDOW * size))]
}

fn in_file(dataset: &Dataset) -> InFile<'_> {
    dataset.in_file().expect("samples that are streamed")
}

#[test]
fn what_is_learned_and_every_sample_are_as_in_memory() {
    for row in ROWS {
        let folder = tempfile::tempdir().unwrap();
        let [memory, streamed] = both(folder.path(), row);
        assert_eq!(streamed.preparation, memory.preparation, "{}", row.0);
        assert_eq!((&streamed.notes, &streamed.unknown), (&memory.notes, &memory.unknown), "{}", row.0);
        let parts = |splits: &Splits| {
            let parts = [Some(&splits.train), splits.validation.as_ref(), splits.test.as_ref()];
            parts.map(|part| part.map(|part| part.with_own_numbers().into_owned()))
        };
        assert_eq!(parts(&streamed), parts(&memory), "{}", row.0);
        streamed.train.check_read().unwrap();
        assert!(streamed.train.len() > 2 * WINDOW && streamed.window == Some(WINDOW), "{}", row.0);
        assert_ne!(streamed.fingerprint(), 0);
    }
}

#[test]
fn batches_are_filled_alike_whether_or_not_they_were_read_ahead() {
    for row in ROWS {
        let folder = tempfile::tempdir().unwrap();
        let [memory, streamed] = both(folder.path(), row);
        let order = crate::data::windowed_order(memory.train.len(), WINDOW, 1, 0);
        let [mut expected, mut found] = [&memory, &streamed].map(|splits| Batch::new(&splits.train, 10));
        for ahead in [false, true] {
            let mut ahead = ahead.then(|| Ahead::new(in_file(&streamed.train), 2));
            for (batch, samples) in order.chunks(10).enumerate() {
                if let Some(ahead) = &mut ahead {
                    ahead.reach(batch, |batch| order.chunks(10).nth(batch).unwrap_or_default());
                }
                expected.fill_for_training(&memory.train, samples, memory.augmentation.as_ref(), 3);
                found.fill_for_training(&streamed.train, samples, streamed.augmentation.as_ref(), 3);
                assert_eq!(found.input.columns(), expected.input.columns(), "{}", row.0);
                let places = if found.input.columns().is_some() { 0..0 } else { 0..samples.len() };
                for place in places {
                    assert_eq!(found.input.sample(place), expected.input.sample(place), "{}", row.0);
                }
            }
        }
        streamed.train.check_read().unwrap();
    }
}

#[test]
fn a_file_that_changes_meanwhile_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let [_, streamed] = both(folder.path(), &ROWS[0]);
    let path = folder.path().join("x.npy");
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    (&file).write_all(b"more").unwrap();
    let mut ahead = Ahead::new(in_file(&streamed.train), 1);
    ahead.reach(0, |batch| if batch < 2 { &[0, 1, 2] } else { &[] });
    let error = streamed.train.check_read().unwrap_err().to_string();
    assert!(error.contains("x.npy: has changed while samples were read from it"), "{error}");
}

#[test]
fn what_cannot_stay_on_the_disk_says_so() {
    let at = tempfile::tempdir().unwrap();
    let [x, y] = arrays("<f4", "6", 6, float);
    let turned = npy("<f4", "True", "(2, 6)", &(0..12).flat_map(float).collect::<Vec<_>>());
    let entries = [("x.npy", &x[..]), ("y.npy", &y)];
    std::fs::write(at.path().join("a.npz"), archive(&entries)).unwrap();
    std::fs::write(at.path().join("turned.npy"), turned).unwrap();
    let [format, shape] = [npy("|S3", "False", "()", b"coo"), npy("|u1", "False", "(2,)", &[2, 6])];
    std::fs::write(
        at.path().join("m.npz"),
        archive(&[
            ("format.npy", &format),
            ("shape.npy", &shape),
            ("data.npy", &npy("|u1", "False", "(1,)", &[1])),
        ]),
    )
    .unwrap();
    std::fs::write(at.path().join("t.jsonl"), "{\"text\": \"a\", \"label\": \"b\"}\n").unwrap();
    let path = |name: &str| at.path().join(name).to_str().unwrap().to_string();
    for (name, more, problem) in [
        ("a.npz", "scratch = '/tmp'", "data.scratch: is for data.memory"),
        (
            "a.npz",
            "memory = 1000\nscratch = '/no/such'",
            "/no/such: cannot make a scratch file (data.scratch)",
        ),
        ("a.npz", "memory = 1000\ntask = 'language-model'", "data.memory: is for numbers"),
        ("t.jsonl", "memory = 1000", "data.memory: is for "),
        ("m.npz", "memory = 1000", "of the format \"coo\", which is all in memory; save it with scipy"),
        ("turned.npy", "memory = 1000\nlabel_path = 'y.npy'", "is in Fortran order"),
    ] {
        let settings: DataSettings = toml::from_str(more).unwrap();
        let error = load(&DataSettings { path: path(name), ..settings }, 1).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_model_reads_what_it_was_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let [memory, streamed] = both(folder.path(), &ROWS[1]);
    let path = folder.path().to_str().unwrap();
    let found = load_with(&memory.preparation, path, true).unwrap().dataset;
    let settings = DataSettings { memory: Some(1), ..DataSettings::default() };
    let again = load_streamed(&streamed.preparation, &settings, path, true).unwrap().dataset;
    assert_eq!(again.with_own_numbers().into_owned(), found);
    again.check_read().unwrap();
}
