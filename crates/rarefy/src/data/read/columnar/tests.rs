//! Parquet and Arrow files beside the CSV file of the same table.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringDictionaryBuilder, UInt8Builder};
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array,
    RecordBatch, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::data::{
    DataSettings, Format, Preparation, Samples, Splits, Table, from_memory, from_memory_parts, load,
    load_with,
};

/// The table of `batch` as Parquet in groups of 7 rows, packed in each way, and as Arrow.
fn files(folder: &Path, batch: &RecordBatch) -> Vec<PathBuf> {
    let at = |name: &str| folder.join(name);
    let packings = [
        ("plain", Compression::UNCOMPRESSED),
        ("snappy", Compression::SNAPPY),
        ("gzip", Compression::GZIP(GzipLevel::default())),
        ("zstd", Compression::ZSTD(ZstdLevel::default())),
        ("lz4", Compression::LZ4_RAW),
    ];
    let mut paths = Vec::new();
    for (name, packing) in packings {
        let path = at(&format!("{name}.parquet"));
        let properties =
            WriterProperties::builder().set_compression(packing).set_max_row_group_row_count(Some(7)).build();
        let mut writer =
            ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        paths.push(path);
    }
    let path = at("table.feather");
    let packed =
        IpcWriteOptions::default().try_with_compression(Some(arrow_ipc::CompressionType::LZ4_FRAME)).unwrap();
    let mut writer =
        FileWriter::try_new_with_options(File::create(&path).unwrap(), &batch.schema(), packed).unwrap();
    let half = batch.num_rows() / 2;
    writer.write(&batch.slice(0, half)).unwrap();
    writer.write(&batch.slice(half, batch.num_rows() - half)).unwrap();
    writer.finish().unwrap();
    paths.push(path);
    let path = at("table.arrows");
    let mut writer = StreamWriter::try_new(File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    paths.push(path);
    paths
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn settings(path: &Path, more: &str) -> DataSettings {
    let settings: DataSettings = toml::from_str(more).unwrap();
    DataSettings { path: path.to_str().unwrap().into(), ..settings }
}

fn refusal(path: &Path, more: &str) -> String {
    load(&settings(path, more), 1).unwrap_err().to_string()
}

/// 24 rows of all that a column may be, and the same as CSV.
fn table() -> (RecordBatch, String) {
    let rows = 0..24i64;
    let sizes: Float64Array = rows.clone().map(|row| (row % 5 != 3).then_some(row as f64 / 3.0)).collect();
    let floors: Int64Array = rows.clone().map(|row| Some((1 << 60) + row % 7)).collect();
    let shares: Float32Array =
        rows.clone().map(|row| Some(if row == 4 { f32::NAN } else { row as f32 * 0.1 })).collect();
    let paid: Vec<i128> = rows.clone().map(|row| i128::from(row) * 1005).collect();
    let paid = Decimal128Array::from(paid).with_precision_and_scale(12, 2).unwrap();
    let garden: BooleanArray = rows.clone().map(|row| (row % 6 != 5).then_some(row % 2 == 0)).collect();
    let towns = ["Bonn", "Ulm", "a \"quoted\", town"];
    let town: StringViewArray = rows.clone().map(|row| Some(towns[row as usize % 3])).collect();
    let mut kind = StringDictionaryBuilder::<Int8Type>::new();
    rows.clone().for_each(|row| {
        if row % 8 == 7 { kind.append_null() } else { kind.append_value(["flat", "house"][row as usize % 2]) }
    });
    let day: Date32Array = rows.clone().map(|row| Some(19_722 + (row % 4) as i32)).collect();
    let seen: TimestampMicrosecondArray =
        rows.clone().map(|row| Some(1_704_067_200_000_000 + (row % 3) * 3_600_000_000)).collect();
    let label: Int64Array = rows.clone().map(|row| Some(row % 2)).collect();
    let mut text = "size,floors,share,paid,garden,town,kind,day,seen,label\n".to_string();
    for row in 0..24usize {
        let cells = [
            if row % 5 == 3 { String::new() } else { (row as f64 / 3.0).to_string() },
            ((1i64 << 60) + row as i64 % 7).to_string(),
            if row == 4 { String::new() } else { (row as f32 * 0.1).to_string() },
            format!("{}.{:02}", row * 1005 / 100, row * 1005 % 100),
            if row % 6 == 5 { String::new() } else { (row % 2 == 0).to_string() },
            format!("\"{}\"", towns[row % 3].replace('"', "\"\"")),
            if row % 8 == 7 { String::new() } else { ["flat", "house"][row % 2].to_string() },
            format!("2023-12-{}", 31)
                .replace("2023-12-31", ["2023-12-31", "2024-01-01", "2024-01-02", "2024-01-03"][row % 4]),
            format!("2024-01-01 0{}:00:00", row % 3),
            (row % 2).to_string(),
        ];
        text.push_str(&(cells.join(",") + "\n"));
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("size", Arc::new(sizes)),
        ("floors", Arc::new(floors)),
        ("share", Arc::new(shares)),
        ("paid", Arc::new(paid)),
        ("garden", Arc::new(garden)),
        ("town", Arc::new(town)),
        ("kind", Arc::new(kind.finish())),
        ("day", Arc::new(day)),
        ("seen", Arc::new(seen)),
        ("label", Arc::new(label)),
    ];
    (batch(columns), text)
}

#[test]
fn a_table_is_the_same_in_each_format_and_a_model_takes_any() {
    let folder = tempfile::tempdir().unwrap();
    let (batch, text) = table();
    let csv = folder.path().join("table.csv");
    std::fs::write(&csv, text).unwrap();
    let of_text = load(&settings(&csv, ""), 1).unwrap();
    let parts = |splits: &Splits| {
        let test = splits.test.as_ref().unwrap();
        (splits.train.dense().unwrap().to_vec(), splits.train.targets.clone(), test.dense().unwrap().to_vec())
    };
    for path in files(folder.path(), &batch) {
        let name = path.display().to_string();
        let found = load(&settings(&path, ""), 1).unwrap();
        assert_eq!(found.preparation.columns, of_text.preparation.columns, "{name}");
        assert_eq!(parts(&found), parts(&of_text), "{name}");
        assert_eq!(found.preparation.format(), Format::Csv);
        assert!(found.preparation.dialect().unwrap().typed);
        // A model of one is given the other, before and after it was stored.
        let stored = serde_json::to_string(&found.preparation).unwrap();
        let again: Preparation = serde_json::from_str(&stored).unwrap();
        again.check().unwrap();
        assert_eq!(again, found.preparation);
        for (preparation, new) in [(&again, &csv), (&of_text.preparation, &path), (&again, &path)] {
            let given = load_with(preparation, new.to_str().unwrap(), true).unwrap().dataset;
            let expected = load_with(&of_text.preparation, csv.to_str().unwrap(), true).unwrap().dataset;
            assert_eq!((given.dense(), &given.targets), (expected.dense(), &expected.targets), "{name}");
        }
    }
}

/// The features of a batch as a table in two pieces, with the classes of its last column.
fn in_memory(batch: &RecordBatch) -> Samples {
    let features: Vec<usize> = (0..batch.num_columns() - 1).collect();
    let features = batch.project(&features).unwrap();
    let rows = batch.num_rows();
    let pieces = vec![features.slice(0, rows / 3), features.slice(rows / 3, rows - rows / 3)];
    let classes: Vec<u32> = (0..rows as u32).map(|row| row % 2).collect();
    Samples::table(Table::new(features.schema(), pieces).unwrap()).with_classes(&classes).unwrap()
}

#[test]
fn a_table_in_memory_is_the_same_as_in_a_file_and_a_model_takes_either() {
    let folder = tempfile::tempdir().unwrap();
    let (batch, text) = table();
    let csv = folder.path().join("table.csv");
    std::fs::write(&csv, text).unwrap();
    for more in
        ["", "date = ['day', 'seen']", "categorical = ['share']\nignore = ['town']", "weight = 'floors'"]
    {
        let settings = settings(&csv, more);
        let of_file = load(&settings, 1).unwrap();
        let of_memory = from_memory(in_memory(&batch), &settings, 1).unwrap();
        assert_eq!(of_memory.preparation.columns, of_file.preparation.columns, "{more}");
        let parts = |splits: &Splits| {
            let test = splits.test.as_ref().unwrap();
            let train = &splits.train;
            (
                train.dense().unwrap().to_vec(),
                train.targets.clone(),
                train.weights.clone(),
                test.dense().unwrap().to_vec(),
            )
        };
        assert_eq!(parts(&of_memory), parts(&of_file), "{more}");
        let stored = serde_json::to_string(&of_memory.preparation).unwrap();
        let again: Preparation = serde_json::from_str(&stored).unwrap();
        again.check().unwrap();
        assert_eq!(again, of_memory.preparation, "{more}");
        // A model of either takes both.
        let expected = load_with(&of_file.preparation, csv.to_str().unwrap(), false).unwrap().dataset;
        let of_csv = load_with(&again, csv.to_str().unwrap(), false).unwrap().dataset;
        assert_eq!(of_csv.dense(), expected.dense(), "{more}");
        for preparation in [&again, &of_file.preparation] {
            let new = preparation.prepare(&in_memory(&batch), false).unwrap();
            assert_eq!(new.dense(), expected.dense(), "{more}");
        }
    }
}

#[test]
fn tables_in_memory_are_refused_by_name_and_tell_new_categories() {
    let (batch, _) = table();
    let path = Path::new("memory");
    let error = |samples, more: &str| from_memory(samples, &settings(path, more), 1).unwrap_err().to_string();
    for (more, part) in [
        ("label = 'day'", "data.label: is for labels in a file"),
        ("ignore = ['twon']", "the table has no column \"twon\"; did you mean \"town\"?"),
        (
            "missing = 'error'",
            "the table: 13 places are faulty:\n  row 4, column \"size\": the cell is missing",
        ),
        ("delimiter = ';'", "data.delimiter: says how text is laid out"),
        ("image_color = 'grey'", "data.image_color"),
    ] {
        let found = error(in_memory(&batch), more);
        assert!(found.contains(part), "{found}");
    }
    let weighted = in_memory(&batch).with_weights(vec![1.0; 24]).unwrap();
    assert!(error(weighted, "weight = 'floors'").contains("data.weight: is given beside the table too"));
    let all = settings(path, "test_fraction = 0.0\nvalidation_fraction = 0.0\nignore = ['seen']");
    let known = in_memory(&batch.slice(0, 12));
    let new = in_memory(&batch.slice(12, 12));
    let preparation = from_memory_parts(known.clone(), Some(new.clone()), None, &all, 1).unwrap().preparation;
    assert!(preparation.load(&new, false).unwrap().unknown.is_empty());
    let size: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let town: ArrayRef = Arc::new(StringArray::from(vec!["Rome"]));
    let label: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let few = in_memory(&super::tests::batch(vec![("size", size), ("town", town), ("label", label)]));
    let lacks = preparation.load(&few, false).unwrap_err().to_string();
    assert!(lacks.contains("the table: has no column \"floors\", which the training file had"), "{lacks}");
    let mut columns = batch.slice(12, 12).columns().to_vec();
    columns[5] = Arc::new(StringArray::from(vec!["Rome"; 12]));
    let fields: Vec<(&str, ArrayRef)> =
        ["size", "floors", "share", "paid", "garden", "town", "kind", "day", "seen", "label"]
            .into_iter()
            .zip(columns)
            .collect();
    let unknown = preparation.load(&in_memory(&super::tests::batch(fields)), false).unwrap().unknown;
    assert_eq!(unknown[0].to_string(), "column town: 12 of 12 cells hold a category that training had not");
    // Numbers are no table, and a table no numbers.
    let numbers = Samples::dense(&[1.0; 24], 2).unwrap();
    assert!(preparation.prepare(&numbers, false).unwrap_err().to_string().contains("texts or categories"));
    let classes: Vec<u32> = (0..12).map(|row| row % 2).collect();
    let plain =
        from_memory(numbers.with_classes(&classes).unwrap(), &all_but_ignored(), 1).unwrap().preparation;
    assert!(plain.prepare(&new, false).unwrap_err().to_string().contains("a table where"));
}

fn all_but_ignored() -> DataSettings {
    DataSettings { test_fraction: 0.0, validation_fraction: 0.0, ..DataSettings::default() }
}

#[test]
fn texts_stay_texts_and_nulls_are_gaps_however_gaps_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 0..24usize;
    let codes: StringArray =
        rows.clone().map(|row| (row % 4 != 3).then_some(["010", "2", "3e5"][row % 3])).collect();
    let sizes: Float64Array = rows.clone().map(|row| (row % 4 != 1).then_some(row as f64)).collect();
    let labels: StringArray = rows.map(|row| Some(["7", "08"][row % 2])).collect();
    let columns: Vec<(&str, ArrayRef)> =
        vec![("code", Arc::new(codes)), ("size", Arc::new(sizes)), ("label", Arc::new(labels))];
    for path in files(folder.path(), &batch(columns)) {
        for more in ["", "missing_markers = ['?']", "missing_markers = []"] {
            let preparation = load(&settings(&path, more), 1).unwrap().preparation;
            assert_eq!(preparation.input_names(), ["code=010", "code=2", "code=3e5", "size"], "{more}");
            assert_eq!(preparation.classes, ["08", "7"]);
        }
        let error = refusal(&path, "missing = 'error'");
        assert!(error.contains("row 2, column \"size\": the cell is missing"), "{error}");
    }
}

/// A Parquet file whose first page, a dictionary, has this number at a place of its header: 1 how long it is unpacked, 2 how long
/// packed, 3 how many values it has.
fn with_promise(place: usize, number: u32) -> Vec<u8> {
    let texts = StringArray::from_iter_values((0..24).map(|row| ["red", "blue"][row % 2].repeat(40)));
    let labels = Int64Array::from_iter_values((0..24).map(|row| row % 3));
    let batch = batch(vec![("colour", Arc::new(texts)), ("y", Arc::new(labels))]);
    let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(snappy)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let varint = |mut number: u64| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    // After the magic word: each number behind a byte that names it, the first the type of the page; the third is followed by a
    // struct, whose first field counts values.
    let mut at = 4;
    for _ in 0..place {
        at += 1;
        while bytes[at] >= 0x80 {
            at += 1;
        }
        at += 1;
        if bytes[at] & 0xf == 0xc {
            at += 1;
        }
    }
    let start = at + 1;
    let end = start + bytes[start..].iter().position(|&byte| byte < 0x80).unwrap() + 1;
    let before = bytes.len();
    drop(bytes.splice(start..end, varint(u64::from(number) << 1)));
    // What came longer is taken from the page behind it, so that the rest lies where it lay.
    let more = bytes.len() - before;
    drop(bytes.drain(120..120 + more));
    bytes
}

/// What is promised is looked at before there is room for it.
#[test]
fn pages_that_promise_much_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    for (place, problem) in [
        (1, "a page promises to become more than it can"),
        (2, "a page promises more than the file holds"),
        (3, "a dictionary promises more values than it has bytes"),
    ] {
        std::fs::write(&path, with_promise(place, i32::MAX as u32)).unwrap();
        let error = refusal(&path, "");
        assert!(error.contains(problem) && error.contains("get or save it again"), "{place}: {error}");
    }
}

/// Pandas writes an index without a name as the last column.
#[test]
fn an_index_is_no_feature_and_no_label() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = || Arc::new(Float64Array::from_iter_values((0..24).map(|row| f64::from(row * row))));
    let prices = || Arc::new(Float64Array::from_iter_values((0..24).map(|row| f64::from(row) * 1.5)));
    let index = || Arc::new(Int64Array::from_iter_values((0..24).map(|row| row * 3 % 7)));
    let columns: Vec<(&str, ArrayRef)> =
        vec![("size", sizes()), ("price", prices()), ("__index_level_0__", index())];
    for path in files(folder.path(), &batch(columns)) {
        let splits = load(&settings(&path, "task = 'regression'"), 1).unwrap();
        assert_eq!(splits.preparation.input_names(), ["size"]);
        let note = "column \"__index_level_0__\" is the index that pandas has written";
        assert!(splits.notes.iter().any(|text| text.starts_with(note)), "{:?}", splits.notes);
        // Who asks for it gets it.
        let kept = load(&settings(&path, "task = 'regression'\nkeep = '__index_level_0__'"), 1).unwrap();
        assert!(!kept.notes.iter().any(|text| text.starts_with(note)), "{:?}", kept.notes);
    }
}

#[test]
fn what_is_no_table_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut tags = ListBuilder::new(UInt8Builder::new());
    (0..8).for_each(|_| tags.append_value([Some(1), Some(2)]));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..8));
    let place = StructArray::try_from(vec![("x", numbers.clone())]).unwrap();
    let label: ArrayRef = Arc::new(StringArray::from_iter_values((0..8).map(|row| ["a", "b"][row % 2])));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Float64Array::from_iter_values((0..8).map(|row| f64::from(row * row))))),
        ("tags", Arc::new(tags.finish())),
        ("place", Arc::new(place)),
        ("label", label),
    ];
    let batch = batch(columns);
    for path in files(folder.path(), &batch) {
        let error = refusal(&path, "");
        for part in
            ["2 columns cannot be read", "column \"tags\": holds lists", "column \"place\": holds structs"]
        {
            assert!(error.contains(part), "{error}");
        }
        let splits = load(&settings(&path, "ignore = ['tags', 'place']"), 1).unwrap();
        assert_eq!(splits.preparation.input_names(), ["n"]);
        assert!(
            refusal(&path, "ignore = ['tags', 'place']\ndelimiter = ';'")
                .starts_with("data.delimiter: says how text")
        );
        assert!(refusal(&path, "label = 'lable'").contains("did you mean \"label\"?"));
        // Cut short, and packed once more.
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let error = refusal(&path, "ignore = ['tags', 'place']");
        assert!(error.contains(path.to_str().unwrap()) && error.contains("get or save it again"), "{error}");
        std::fs::write(&path, crate::data::read::gzip::tests::packed(&bytes)).unwrap();
        assert!(refusal(&path, "").contains("unpack it with gunzip"));
    }
    let none = batch.slice(0, 0);
    for path in files(folder.path(), &none.project(&[0, 3]).unwrap()) {
        assert!(refusal(&path, "").contains("holds no rows"));
    }
}
