//! Whatever a file holds, its reader gives data or an error: it never panics, never asks for much more memory than the file is
//! worth, and is done within seconds. Small good files are changed at random, the same way each time.
//!
//! A new reader joins by a row. For hours, with other changes in each round, until something is found or it is stopped:
//! `just fuzz`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use rarefy::data::{DataSettings, load, load_with};
use rarefy::kernels::Isa;
use rarefy::train::{Control, Model, Run, Settings, predict};

/// Bytes that all that is alive may take: no file here is larger than some kilobytes.
const MOST_BYTES: isize = 1 << 30;

/// How long one file may take.
const LONGEST: Duration = Duration::from_secs(1);

/// Refuses memory beyond the limit, which ends the process, and says what was read.
struct Limited;

static ALIVE: AtomicIsize = AtomicIsize::new(0);
static READER: AtomicUsize = AtomicUsize::new(0);

// SAFETY: calls go to the system's allocator, or return null, which says that there is no memory.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn take(bytes: usize) -> bool {
    let alive = ALIVE.fetch_add(bytes as isize, Ordering::Relaxed);
    let is_too_much = bytes > MOST_BYTES as usize || alive + bytes as isize > MOST_BYTES;
    if is_too_much {
        let reader = READER.load(Ordering::Relaxed);
        let _ = writeln!(std::io::stderr(), "reader {reader}, counted from 0, asks for {bytes} bytes more");
    }
    !is_too_much
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// A change to the bytes of a file.
#[derive(Debug, Clone)]
enum Edit {
    Put(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    Cut(Index),
    Again(Index, Index),
    /// Another number for the digits from there on.
    Number(Index, &'static str),
    /// The byte that a field or a list ends with.
    Letter(Index, char),
}

fn edit() -> impl Strategy<Value = Edit> {
    let extremes = prop::sample::select(vec![
        vec![0u8],
        vec![0xff],
        vec![0x7f],
        vec![0xff; 4],
        vec![0xff, 0xff, 0xff, 0x7f],
        vec![0x7f, 0xff, 0xff, 0xff],
        vec![0; 4],
        vec![0xff; 8],
        vec![0, 0, 0, 0, 1, 0, 0, 0],
        vec![0, 0, 0xc0, 0x7f],
    ]);
    let bytes = prop_oneof![extremes, prop::collection::vec(any::<u8>(), 1..6)];
    let numbers = [
        "0",
        "-1",
        "1e308",
        "1e-320",
        "nan",
        "inf",
        "4294967295",
        "3000000000",
        "9223372036854775807",
        "18446744073709551615",
        "340282366920938463463374607431768211456",
        "1073741824",
        "65536",
        "null",
        "",
    ];
    prop_oneof![
        1 => (any::<Index>(), bytes.clone()).prop_map(|(at, bytes)| Edit::Put(at, bytes)),
        1 => (any::<Index>(), bytes).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, count)| Edit::Remove(at, count)),
        1 => any::<Index>().prop_map(Edit::Cut),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Again(from, to)),
        3 => (any::<Index>(), prop::sample::select(numbers.to_vec())).prop_map(|(at, number)| Edit::Number(at, number)),
        1 => (any::<Index>(), prop::sample::select(vec![',', ':', '\n', '"', '[', '{', ' ', ';', '\t']))
            .prop_map(|(at, letter)| Edit::Letter(at, letter)),
    ]
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Edit::Put(at, new) => {
                let at = at.index(length);
                let end = length.min(at + new.len());
                bytes[at..end].copy_from_slice(&new[..end - at]);
            }
            Edit::Insert(at, new) => {
                drop(bytes.splice(at.index(length)..at.index(length), new.iter().copied()))
            }
            Edit::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..length.min(at + usize::from(*count)));
            }
            Edit::Cut(at) => bytes.truncate(at.index(length)),
            Edit::Again(from, to) => {
                let piece: Vec<u8> = bytes[from.index(length)..].iter().take(64).copied().collect();
                drop(bytes.splice(to.index(length)..to.index(length), piece));
            }
            Edit::Number(at, number) => {
                let is_digit = |byte: &u8| byte.is_ascii_digit();
                let at = at.index(length);
                let Some(start) = bytes[at..].iter().position(is_digit).map(|more| at + more) else { return };
                let end = bytes[start..]
                    .iter()
                    .position(|byte| !is_digit(byte))
                    .map_or(length, |more| start + more);
                drop(bytes.splice(start..end, number.bytes()));
            }
            Edit::Letter(at, letter) => bytes[at.index(length)] = *letter as u8,
        }
    }
}

/// Whether a file was read, or why not.
type Read = Result<(), String>;

fn told<T, E: ToString>(read: Result<T, E>) -> Result<T, String> {
    read.map_err(|error| error.to_string())
}

type Wrap = Box<dyn Fn(&[u8]) -> Vec<u8>>;
type ReadBytes = Box<dyn Fn(&[u8]) -> Read>;

/// A kind of file: a good one, how its changed bytes become a file, and what reads it.
struct Reader {
    name: &'static str,
    good: Vec<u8>,
    wrap: Wrap,
    read: ReadBytes,
}

fn data_settings(path: &Path) -> DataSettings {
    DataSettings { path: path.to_str().unwrap().into(), ..DataSettings::default() }
}

/// A reader of data that lie at `file`, wrapped.
fn data(
    name: &'static str,
    file: PathBuf,
    good: Vec<u8>,
    wrap: impl Fn(&[u8]) -> Vec<u8> + 'static,
    change: impl Fn(&mut DataSettings) + 'static,
) -> Reader {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut settings = data_settings(&file);
    change(&mut settings);
    let read = move |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        told(load(&settings, 0)).map(drop)
    };
    Reader { name, good, wrap: Box::new(wrap), read: Box::new(read) }
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), bytes].concat()
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A PNG file whose chunks have the sums that belong to them.
fn summed(png: &[u8]) -> Vec<u8> {
    let mut bytes = png.to_vec();
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let Some(end) = at.checked_add(8 + length).filter(|end| end + 4 <= bytes.len()) else { break };
        let mut sum = flate2::Crc::new();
        sum.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&sum.sum().to_be_bytes());
        at = end + 4;
    }
    bytes
}

fn picture(format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let pixel = |x, y| image::Rgb([x as u8 * 9, y as u8 * 7, 3]);
    image::DynamicImage::from(image::RgbImage::from_fn(9, 7, pixel)).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn sound() -> Vec<u8> {
    let samples: Vec<u8> = (0..400u16).flat_map(|at| (at * 163).to_le_bytes()).collect();
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    bytes.extend([8000u32, 16000].map(u32::to_le_bytes).concat());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((samples.len() as u32).to_le_bytes());
    [bytes, samples].concat()
}

/// The readers of batches of CIFAR.
fn cifar_readers(folder: &Path) -> [Reader; 2] {
    let at = |name: &str| folder.join("cifar").join(name);
    std::fs::create_dir(folder.join("cifar")).unwrap();
    let images: Vec<u8> = (0..6).flat_map(|image| [&[image % 2][..], &[image; 3072]].concat()).collect();
    let classes: Vec<u8> = (0..6).flat_map(|image| [b'K', image % 2]).collect();
    let pickle = [
        &b"\x80\x02}(U\x06labels]("[..],
        &classes,
        b"eU\x04datacnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x06M\x00\x0c\x86",
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89T",
        &(6 * 3072u32).to_le_bytes(),
        &[9; 6 * 3072],
        b"tbu.",
    ];
    std::fs::write(at("batches.meta.txt"), "plane\ncar\n").unwrap();
    std::fs::write(at("batches.meta"), b"\x80\x02}U\x0blabel_names](U\x05planeU\x03cares.").unwrap();
    [
        data("cifar", at("test_batch.bin"), images, plain, |_| ()),
        data("cifar, pickled", at("test_batch"), pickle.concat(), plain, |_| ()),
    ]
}

/// The readers of tables whose columns have types.
fn columnar_readers(folder: &Path) -> [Reader; 3] {
    let rows = 0..24usize;
    let numbers: Float64Array = rows.clone().map(|row| (row % 5 != 3).then_some(row as f64)).collect();
    let colours: StringArray = rows.clone().map(|row| Some(["red", "blue"][row % 2])).collect();
    let labels = Int64Array::from_iter_values(rows.map(|row| row as i64 % 3));
    let columns: [(&str, ArrayRef); 3] =
        [("a", Arc::new(numbers)), ("colour", Arc::new(colours)), ("y", Arc::new(labels))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let (mut parquet, mut file, mut stream) = (Vec::new(), Vec::new(), Vec::new());
    let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut writer = FileWriter::try_new(&mut file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let mut writer = StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    [("t.parquet", parquet), ("t.feather", file), ("t.arrows", stream)]
        .map(|(name, good)| data(name, folder.join(name), good, plain, |_| ()))
}

/// The readers of everything that `load` takes.
fn data_readers(folder: &Path) -> Vec<Reader> {
    let at = |name: &str| folder.join(name);
    let table: String =
        (0..24).map(|row| format!("{},{},{}\n", row % 5, ["red", "blue"][row % 2], row % 3)).collect();
    let table = format!("a,colour,y\n{table}").into_bytes();
    let lines: String =
        (0..24).map(|row| format!("{{\"text\": \"a b c{row}\", \"label\": {}}}\n", row % 2)).collect();
    let svm: String = (0..24).map(|row| format!("{} 1:{row} {}:0.5\n", row % 2, 2 + row % 7)).collect();
    let x = npy("<f4", "(12, 3)", &words(&[0x3f80_0000; 36]));
    let y = npy("<i4", "(12,)", &words(&[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]));
    let images = [&[0, 0, 8, 3, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0, 3][..], &[7; 72]].concat();
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 12][..], &[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]].concat();
    let labels_path = at("npy/y.npy").to_str().unwrap().to_string();
    let mut readers = vec![
        data("csv", at("t.csv"), table.clone(), plain, |_| ()),
        data("csv, gzipped", at("t.csv.gz"), table.clone(), gzipped, |_| ()),
        data("gzip", at("g.csv.gz"), gzipped(&table), plain, |_| ()),
        data("json lines", at("t.jsonl"), lines.into_bytes(), plain, |_| ()),
        data("libsvm", at("t.libsvm"), svm.into_bytes(), plain, |_| ()),
        data("npy", at("npy/x.npy"), x.clone(), plain, move |settings| {
            settings.label_path = Some(labels_path.clone())
        }),
        data("zip", at("z.npz"), zipped(&[("x.npy", &x), ("y.npy", &y)]), plain, |_| ()),
        data("idx", at("idx/train-images-idx3-ubyte"), images, plain, |_| ()),
        data("text", at("t.txt"), "to be or not to be ".repeat(30).into_bytes(), plain, |settings| {
            settings.task = rarefy::data::TaskChoice::LanguageModel;
            settings.text = Some(toml::from_str("tokens.context = 8").unwrap());
        }),
    ];
    readers.extend(cifar_readers(folder));
    readers.extend(columnar_readers(folder));
    std::fs::write(at("npy/y.npy"), &y).unwrap();
    std::fs::write(at("idx/train-labels-idx1-ubyte"), &labels).unwrap();
    let inner = y.clone();
    readers.push(data("npz", at("n.npz"), x, move |x| zipped(&[("x.npy", x), ("y.npy", &inner)]), |_| ()));
    // Each array of SciPy's in turn.
    let arrays: [(&str, Vec<u8>); 6] = [
        ("indices.npy", npy("<i4", "(12,)", &words(&[0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]))),
        ("indptr.npy", npy("<i4", "(13,)", &words(&(0..13).collect::<Vec<_>>()))),
        ("shape.npy", npy("<i8", "(2,)", &words(&[12, 0, 4, 0]))),
        ("data.npy", npy("<f4", "(12,)", &words(&[0x3f80_0000; 12]))),
        ("format.npy", npy("|S3", "()", b"csr")),
        ("y.npy", y),
    ];
    for (place, name) in ["scipy indices", "scipy indptr", "scipy shape"].into_iter().enumerate() {
        let arrays = arrays.clone();
        let good = arrays[place].1.clone();
        let wrap = move |changed: &[u8]| {
            let files: Vec<(&str, &[u8])> = arrays
                .iter()
                .enumerate()
                .map(|(at, (name, bytes))| (*name, if at == place { changed } else { &bytes[..] }))
                .collect();
            zipped(&files)
        };
        readers.push(data(name, at(&format!("s{place}.npz")), good, wrap, |_| ()));
    }
    // Pictures and sounds: one file of several is changed.
    let png = picture(image::ImageFormat::Png);
    let jpeg = picture(image::ImageFormat::Jpeg);
    for (name, end, good) in [("png", "png", png), ("jpeg", "jpg", jpeg), ("wav", "wav", sound())] {
        let classes = at(name);
        for class in ["a", "b"] {
            std::fs::create_dir_all(classes.join(class)).unwrap();
            for number in 0..6 {
                std::fs::write(classes.join(class).join(format!("{number}.{end}")), &good).unwrap();
            }
        }
        let mut reader = data(
            name,
            classes.join("a").join(format!("0.{end}")),
            good,
            if end == "png" { summed } else { plain },
            |_| (),
        );
        let (settings, file) = (data_settings(&classes), classes.join("a").join(format!("0.{end}")));
        reader.read = Box::new(move |bytes| {
            std::fs::write(&file, bytes).unwrap();
            told(load(&settings, 0)).map(drop)
        });
        readers.push(reader);
    }
    readers
}

/// A run of one epoch on the data at `path`.
fn trained(run: &Path, settings: &str, path: &str) {
    let mut settings: Settings = toml::from_str(settings).unwrap();
    (settings.data.path, settings.threads) = (path.into(), 1);
    (settings.train.epochs, settings.train.batch_size) = (1, Some(4));
    Run::start(settings, Some(run)).unwrap().train(&mut |_| Control::Continue).unwrap();
}

/// A reader of a file of a model, which then predicts.
fn model(name: &'static str, run: &Path, file: &'static str, path: String) -> Reader {
    let (run, good) = (run.to_path_buf(), std::fs::read(run.join(file)).unwrap());
    let whole = good.clone();
    let read = move |bytes: &[u8]| {
        std::fs::write(run.join(file), bytes).unwrap();
        let opened = Model::open(&run);
        std::fs::write(run.join(file), &whole).unwrap();
        let model = told(opened)?;
        let loaded = told(load_with(&model.config.preparation, &path, true))?;
        predict(model.network(), Isa::detect(), &loaded.dataset, 64, |_, _| ());
        Ok(())
    };
    Reader { name, good, wrap: Box::new(unsummed), read: Box::new(read) }
}

/// A file of arrays without its checksum, which would keep every change from what reads on.
fn unsummed(bytes: &[u8]) -> Vec<u8> {
    let (key, other) = (b"\"checksum\"", b"\"unsigned\"");
    let mut bytes = bytes.to_vec();
    if let Some(at) = bytes.windows(key.len()).position(|part| part == key) {
        bytes[at..at + key.len()].copy_from_slice(other);
    }
    bytes
}

/// The readers of what runs write.
fn run_readers(folder: &Path) -> Vec<Reader> {
    let table: String =
        (0..24).map(|row| format!("{},{},{}\n", row % 5, ["red", "blue"][row % 2], row % 3)).collect();
    std::fs::write(folder.join("table.csv"), format!("a,colour,y\n{table}")).unwrap();
    let texts: String = (0..24).map(|row| format!("a b c,{}\n", ["no", "yes"][row % 2])).collect();
    std::fs::write(folder.join("texts.csv"), format!("text,y\n{texts}")).unwrap();
    std::fs::write(folder.join("speech.txt"), "to be or not to be ".repeat(30)).unwrap();
    let at = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let small = "[sparsity]\ndensity = 0.5\n[network]\nhidden = [3]\n";
    let embedded = "[network]\nlayers = [{layer = 'embedding', channels = 4}, {layer = 'lstm', hidden = 4}, {layer = 'linear'}]";
    let convolved =
        "[network]\nlayers = [{layer = 'conv2d', filters = 2, kernel = 3}, {layer = 'max-pool', kernel = 2},
        {layer = 'batch-norm'}, {layer = 'flatten'}, {layer = 'linear'}]\n[data]\nvalidation_fraction = 0.7";
    let mut readers = Vec::new();
    for (names, settings, path) in [
        (["config.json of a table", "model of a table"], small.to_string(), at("table.csv")),
        (
            ["config.json of words", "model of words"],
            format!("{small}[data]\nlabel = 'y'\ntext.column = 'text'"),
            at("texts.csv"),
        ),
        (
            ["config.json of tokens", "model of tokens"],
            format!("{embedded}\n[data]\ntask = 'language-model'\ntext.tokens.context = 8"),
            at("speech.txt"),
        ),
        (["config.json of images", "model of images"], convolved.to_string(), "digits".to_string()),
    ] {
        let run = folder.join(names[0]);
        trained(&run, &settings, &path);
        for (name, file) in names.into_iter().zip(["config.json", "model.safetensors"]) {
            readers.push(model(name, &run, file, path.clone()));
        }
    }
    let run = folder.join("config.json of a table");
    let (checkpoint, config) = (run.join("checkpoint.safetensors"), run.join("config.toml"));
    let good = std::fs::read(&checkpoint).unwrap();
    let (settings, text) = (std::fs::read(&config).unwrap(), std::fs::read(&config).unwrap());
    let resumed = move |bytes: &[u8]| {
        std::fs::write(&checkpoint, bytes).unwrap();
        std::fs::write(run.join("config.toml"), &text).unwrap();
        told(Run::resume(&run, |settings| settings.threads = 1)).map(drop)
    };
    let checked = |bytes: &[u8]| {
        let settings = told(toml::from_str::<Settings>(&String::from_utf8_lossy(bytes)))?;
        told(settings.check())?;
        // What was found good can be written.
        toml::to_string(&settings).expect("every number can be written");
        Ok(())
    };
    let reader = |name, good, read: ReadBytes| Reader { name, good, wrap: Box::new(unsummed), read };
    readers.push(reader("checkpoint", good, Box::new(resumed)));
    readers.push(reader("config.toml", settings, Box::new(checked)));
    readers
}

/// Reads `cases` changed files with each reader; `round` names the changes.
fn survive(cases: u32, round: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut readers = data_readers(folder.path());
    readers.extend(run_readers(folder.path()));
    for (number, reader) in readers.iter().enumerate() {
        READER.store(number, Ordering::Relaxed);
        let good = (reader.read)(&(reader.wrap)(&reader.good));
        assert_eq!(good, Ok(()), "{}: the good file", reader.name);
        let mut seed = [number as u8; 32];
        seed[..8].copy_from_slice(&round.to_le_bytes());
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
        let result = runner.run(&prop::collection::vec(edit(), 0..5), |edits| {
            let mut bytes = reader.good.clone();
            edits.iter().for_each(|edit| edit.apply(&mut bytes));
            let wrapped = (reader.wrap)(&bytes);
            let is_fast = || {
                let start = Instant::now();
                let _ = (reader.read)(&wrapped);
                start.elapsed() < LONGEST
            };
            // What else the machine does may take a moment, but hardly three in a row.
            if (0..3).any(|_| is_fast()) { Ok(()) } else { Err(TestCaseError::fail("it takes too long")) }
        });
        result.unwrap_or_else(|error| panic!("reader {number}, {}, round {round}: {error}", reader.name));
    }
}

/// Some bytes that promise more than there is memory: what is promised is looked at before there is room for it.
#[test]
fn small_files_that_ask_for_much_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let labels = npy("<i4", "(2,)", &words(&[0, 1]));
    let chunk = |name: &[u8], contents: &[u8]| {
        [&(contents.len() as u32).to_be_bytes()[..], name, contents, &[0; 4]].concat()
    };
    let side = 100_000u32.to_be_bytes();
    let picture = [
        &b"\x89PNG\r\n\x1a\n"[..],
        &chunk(b"IHDR", &[&side[..], &side, &[8, 2, 0, 0, 0]].concat()),
        &chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0, 0, 0, 1, 0, 1]),
        &chunk(b"IEND", b""),
    ];
    let matrix = [
        ("indices.npy", npy("<i4", "(2,)", &words(&[0, 1]))),
        ("indptr.npy", npy("<i4", "(3,)", &words(&[0, 1, 2]))),
        ("shape.npy", npy("<i8", "(2,)", &words(&[2, 0, 4_000_000_000, 0]))),
        ("data.npy", npy("<f4", "(2,)", &words(&[0x3f80_0000; 2]))),
        ("format.npy", npy("|S3", "()", b"csr")),
        ("y.npy", labels.clone()),
    ];
    let matrix: Vec<(&str, &[u8])> = matrix.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let array = npy("<f4", "(4000000000, 1000000000)", &[0; 64]);
    let images = [&[0, 0, 8, 3][..], &[0xff; 12], &[7; 64]].concat();
    let mut sound = sound();
    sound[40..44].copy_from_slice(&0x4000_0000u32.to_le_bytes());
    // What is read, the file in it, and what is said; the folders hold it in both of two classes.
    for (read, name, bytes, problem) in [
        ("pictures", "1.png", summed(&picture.concat()), "larger than 512 MiB"),
        ("sounds", "1.wav", sound, "is cut short"),
        ("t.libsvm", "", b"0 3000000000:1\n1 1:1\n0 2:1\n".to_vec(), "more than the 1073741824"),
        ("s.npz", "", zipped(&matrix), "more than the 1073741824"),
        ("n.npz", "", zipped(&[("x.npy", &array), ("y.npy", &labels)]), "x.npy"),
        ("x-images-idx3-ubyte", "", images, "x-images"),
    ] {
        let path = folder.path().join(read);
        if name.is_empty() {
            std::fs::write(&path, bytes).unwrap();
        } else {
            for class in ["a", "b"] {
                std::fs::create_dir_all(path.join(class)).unwrap();
                std::fs::write(path.join(class).join(name), &bytes).unwrap();
            }
        }
        let error = load(&data_settings(&path), 0).unwrap_err().to_string();
        assert!(error.contains(problem), "{read}: {error}");
    }
}

#[test]
fn readers_survive_changed_files() {
    survive(60, 0);
}

#[test]
#[ignore = "never ends by itself"]
fn readers_survive_for_hours() {
    for round in 1.. {
        let start = Instant::now();
        survive(500, round);
        println!("round {round}: {:.0} s", start.elapsed().as_secs_f64());
    }
}
