//! From settings to data sets: the whole way, on files written here and on real data.

use std::path::{Path, PathBuf};

use super::*;
use crate::random::{Purpose, Stream};

fn settings(path: &Path) -> DataSettings {
    DataSettings { path: path.to_str().unwrap().into(), ..DataSettings::default() }
}

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn labels(dataset: &Dataset) -> &[u32] {
    match &dataset.targets {
        Targets::Classes { labels, .. } => labels,
        _ => panic!("these are classes"),
    }
}

#[test]
fn digits_are_split_by_class_and_scaled_by_the_training_part() {
    let load = |seed| load(&DataSettings::default(), seed).unwrap();
    let splits = load(1);
    let (validation, test) = (splits.validation.as_ref().unwrap(), splits.test.as_ref().unwrap());
    assert_eq!((splits.train.len(), validation.len(), test.len()), (1258, 180, 359));
    assert_eq!((splits.preparation.task, splits.preparation.outputs), (Task::Classification, 10));
    assert_eq!(splits.preparation.classes[9], "9");
    for class in 0..10 {
        let share = labels(test).iter().filter(|&&label| label == class).count();
        assert!((34..=38).contains(&share), "class {class}: {share}");
    }
    let mean = splits.train.dense().unwrap().iter().map(|&x| f64::from(x)).sum::<f64>()
        / splits.train.dense().unwrap().len() as f64;
    assert!(mean.abs() < 1e-5, "{mean}");
    assert_eq!(splits, load(1));
    assert_ne!(splits.train, load(2).train);
}

#[test]
fn fashion_mnist_comes_with_its_test_part() {
    let named = DataSettings { path: "fashion-mnist".into(), ..DataSettings::default() };
    let splits = match load(&named, 1) {
        Ok(splits) => splits,
        Err(error) => {
            assert!(error.to_string().contains("apt-get install dataset-fashion-mnist"), "{error}");
            println!("skipped: Fashion-MNIST is not installed");
            return;
        }
    };
    let (validation, test) = (splits.validation.unwrap(), splits.test.unwrap());
    assert_eq!((splits.train.len(), validation.len(), test.len()), (54_000, 6_000, 10_000));
    assert_eq!((splits.train.inputs(), splits.train.targets.outputs()), (784, 10));
    // The published mean 0.2860 and deviation 0.3530 of the pixels from 0 to 1.
    let Scaler::Global { offset, multiplier } = splits.preparation.scaler else {
        panic!("images are scaled as one")
    };
    assert!((offset / 255.0 - 0.2860).abs() < 1e-3 && (1.0 / multiplier / 255.0 - 0.3530).abs() < 1e-3);
    assert_eq!(load_with(&splits.preparation, "fashion-mnist", true).unwrap().dataset, test);
}

#[test]
fn a_new_csv_file_is_coded_like_the_training_part() {
    let folder = tempfile::tempdir().unwrap();
    let text: String =
        (0..40).map(|i| format!("{i},{},{}\n", ["red", "green"][i % 2], ["no", "yes"][i / 20])).collect();
    let path = write(&folder, "train.csv", &format!("size,colour,bought\n{text}"));
    let splits = load(&DataSettings { scale: Scale::None, ..settings(&path) }, 3).unwrap();
    assert_eq!(splits.preparation.input_names(), ["size", "colour=green", "colour=red"]);
    let with = |text: &str, targets| {
        load_with(&splits.preparation, write(&folder, "new.csv", text).to_str().unwrap(), targets)
            .map(|loaded| loaded.dataset)
            .map_err(|error| error.to_string())
    };
    // Other order, an extra column, a missing number, an unknown category.
    let new = with("bought,extra,colour,size\nyes,1,red,5\nno,2,blue,NA\n", true).unwrap();
    let mean = match splits.preparation.columns[0].coding {
        Coding::Number { mean } => mean,
        Coding::Category { .. } | Coding::Text(_) => unreachable!(),
    };
    assert_eq!(new.dense().unwrap(), [5.0, 0.0, 1.0, mean, 0.0, 0.0]);
    assert_eq!(labels(&new), [1, 0]);
    let unlabelled = with("size,colour\n5,red\n", false).unwrap();
    assert_eq!((unlabelled.len(), unlabelled.targets.outputs()), (1, 2));
    for (text, targets, problem) in [
        ("size,colour\n5,red\n", true, "no column \"bought\""),
        (
            "sizes,colour,bought\n5,red,yes\n",
            true,
            "no column \"size\", which the training file had; did you mean \"sizes\"?",
        ),
        (
            "size,colour,bought\n5,red,yes\n6,red,perhaps\n",
            true,
            "line 3: the label \"perhaps\" is out of range",
        ),
        ("size,colour\nlarge,red\n", false, "line 2, column \"size\": \"large\" is text"),
        ("size,colour\n", false, "holds no samples"),
    ] {
        let error = with(text, targets).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn columns_without_names_keep_their_positions() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..20).map(|i| format!("{},{i},{}\n", i % 2, 100 - i)).collect();
    let path = write(&folder, "train.csv", &text);
    let chosen = DataSettings { label: vec!["1".into()], scale: Scale::None, ..settings(&path) };
    let splits = load(&chosen, 3).unwrap();
    let with = |text: &str, targets| {
        load_with(&splits.preparation, write(&folder, "new.csv", text).to_str().unwrap(), targets)
            .map(|loaded| loaded.dataset)
            .map_err(|error| error.to_string())
    };
    assert_eq!(with("1,5,6\n", true).unwrap().dense().unwrap(), [5.0, 6.0]);
    assert_eq!(with("1,5,6\n", false).unwrap().dense().unwrap(), [5.0, 6.0]);
    assert_eq!(with("5,6\n7,8\n", false).unwrap().dense().unwrap(), [5.0, 6.0, 7.0, 8.0]);
    assert!(with("5,6\n", true).unwrap_err().contains("has 2 columns, the training file had 3"));
}

#[test]
fn a_test_file_replaces_the_test_fraction() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..20).map(|i| format!("{i},{}\n", i % 2)).collect();
    let train = write(&folder, "train.csv", &text);
    let test = write(&folder, "test.csv", "1,0\n2,1\n3,1\n");
    let with_test = DataSettings { test_path: Some(test.to_str().unwrap().into()), ..settings(&train) };
    let splits = load(&with_test, 1).unwrap();
    assert_eq!((splits.train.len(), splits.test.unwrap().len()), (18, 3));
    std::fs::write(&test, "1,0\n2,7\n").unwrap();
    let error = load(&with_test, 1).unwrap_err().to_string();
    assert!(error.contains("test.csv, line 2: the label \"7\" is out of range"), "{error}");
}

#[test]
fn no_damage_to_a_file_makes_a_reader_panic() {
    let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
    let text: String = (0..8).map(|i| format!("{i},\"w{}\",{}\r\n", i % 2, i % 2)).collect();
    let npy = |descr: &str, shape: &str, numbers: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), numbers].concat()
    };
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("y.npy", &npy("|u1", "(4,)", &[0, 1, 0, 1]));
    put("a-labels-idx1-ubyte", &read::idx::tests::file(&[4], &[0, 1, 0, 1]));
    let images = read::idx::tests::file(&[4, 1, 2], &[0, 1, 2, 3, 4, 5, 6, 7]);
    for (name, path, good) in [
        ("x.npy", "", npy("|u1", "(4, 2)", &[0, 1, 2, 3, 4, 5, 6, 7])),
        ("a-images-idx3-ubyte", "a-images-idx3-ubyte", images.clone()),
        ("a-images-idx3-ubyte", "a-images-idx3-ubyte", read::gzip::tests::packed(&images)),
        ("t.csv", "t.csv", text.clone().into_bytes()),
        ("t.csv", "t.csv", read::gzip::tests::packed(text.as_bytes())),
    ] {
        put(name, &good);
        load(&settings(&folder.path().join(path)), 1).unwrap();
        for _ in 0..400 {
            let mut bad = good.clone();
            for _ in 0..=stream.below(3) {
                let at = stream.below(bad.len());
                match stream.below(4) {
                    0 => bad[at] = stream.bits() as u8,
                    1 => bad.truncate(at.max(1)),
                    2 => bad.insert(at, b"\n\",0\xff"[stream.below(5)]),
                    _ => drop(bad.remove(at)),
                }
                bad.resize(bad.len().max(1), 0);
            }
            put(name, &bad);
            // An error or data; only a panic or a huge allocation would fail the test.
            let _ = load(&settings(&folder.path().join(path)), 1);
        }
    }
}

#[test]
fn a_path_tells_whether_it_has_a_test_part() {
    let folder = tempfile::tempdir().unwrap();
    let has = |path: &Path| part_for_model(path.to_str().unwrap()).unwrap() == Some(Part::Test);
    assert!(!has(Path::new("digits")));
    assert!(!has(&write(&folder, "t.csv", "1,2\n")));
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    for part in ["train", "t10k"] {
        put(&format!("{part}-images-idx3-ubyte"), &read::idx::tests::file(&[2, 1, 1], &[1, 2]));
        put(&format!("{part}-labels-idx1-ubyte"), &read::idx::tests::file(&[2], &[0, 1]));
        assert_eq!(has(folder.path()), part == "t10k");
    }
    assert!(!has(&folder.path().join("train-images-idx3-ubyte")));
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        std::fs::write(folder.path().join(name), read::npy::tests::file("|u1", "False", "(1, 1)", &[1]))
            .unwrap();
    };
    put("x.npy");
    assert!(!has(folder.path()));
    put("x_test.npy");
    assert!(has(folder.path()));
    assert!(!has(&folder.path().join("x.npy")));
    for (names, expected) in [(&["x", "y"][..], false), (&["x", "y", "x_test", "y_test"], true)] {
        let entries: Vec<(String, Vec<u8>)> = names
            .iter()
            .map(|name| (format!("{name}.npy"), read::npy::tests::file("|u1", "False", "(1, 1)", &[1])))
            .collect();
        let entries: Vec<(&str, &[u8])> =
            entries.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        let path = folder.path().join("a.npz");
        std::fs::write(&path, read::npy::tests::archive(&entries)).unwrap();
        assert_eq!(has(&path), expected);
    }
    assert!(part_for_model("/no/such/file").unwrap_err().to_string().contains("no such file"));
}

#[test]
fn several_label_columns_are_labels_or_values() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..20).map(|i| format!("{i},{},{}\n", i % 2, i % 3 / 2)).collect();
    let path = write(&folder, "t.csv", &format!("x,a,b\n{text}"));
    let two = DataSettings { label: vec!["a".into(), "b".into()], ..settings(&path) };
    let splits = load(&two, 1).unwrap();
    assert_eq!((splits.preparation.task, splits.preparation.outputs), (Task::MultiLabel, 2));
    let found = describe(&two).unwrap();
    assert_eq!((found.classes[0].name.as_str(), found.classes[0].samples), ("a", 10));
    let values = load(&DataSettings { task: TaskChoice::Regression, ..two.clone() }, 1).unwrap();
    assert_eq!(values.preparation.task, Task::Regression);
    let asks =
        |notes: &[String]| notes.iter().any(|note| note.contains("set data.task = \"classification\""));
    assert!(!asks(&found.notes));
    // With exactly one 1 in each row they may be classes, named by their columns.
    let text: String = (0..20).map(|i| format!("{i},{},{}\n", i % 2, 1 - i % 2)).collect();
    write(&folder, "t.csv", &format!("x,a,b\n{text}"));
    assert!(asks(&describe(&two).unwrap().notes));
    let splits = load(&DataSettings { task: TaskChoice::Classification, ..two }, 1).unwrap();
    assert_eq!(
        (splits.preparation.task, &splits.preparation.classes[..]),
        (Task::Classification, &["a", "b"].map(String::from)[..])
    );
    let new = write(&folder, "new.csv", "b,a,x\n1,0,5\n0,1,6\n");
    let found = load_with(&splits.preparation, new.to_str().unwrap(), true).unwrap().dataset;
    assert_eq!(labels(&found), [1, 0]);
}

#[test]
fn labels_that_cannot_be_learned_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lines =
        |label: fn(u32) -> f64| (0..30).map(|i| format!("{},{}\n", i % 7, label(i))).collect::<String>();
    for (text, task, problem) in [
        (lines(|_| 1.0), TaskChoice::Classification, "always holds \"1\"; there must be two classes"),
        (lines(|_| 1.0), TaskChoice::Auto, "there must be two classes"),
        (lines(|i| f64::from(i) * 0.1), TaskChoice::Classification, "set data.task = \"regression\""),
        (
            lines(f64::from),
            TaskChoice::MultiLabel,
            "line 3: the label column \"2\" holds 2; multi-label labels are 0 or 1",
        ),
    ] {
        let path = write(&folder, "t.csv", &text);
        let error = load(&DataSettings { task, ..settings(&path) }, 1).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    // Too large for single precision, unless scaled.
    let path = write(&folder, "t.csv", &lines(|i| f64::from(i) * 1e38));
    let numbers =
        |scale| DataSettings { task: TaskChoice::Regression, target_scale: Some(scale), ..settings(&path) };
    let error = load(&numbers(TargetScale::None), 1).unwrap_err().to_string();
    assert!(error.contains("the value to predict is too large for an f32 number"), "{error}");
    load(&numbers(TargetScale::Standard), 1).unwrap();
    for (text, task) in [("1,2,0\n", TaskChoice::Auto), ("a,b,y\n1,2,0.5\n", TaskChoice::Regression)] {
        let path = write(&folder, "t.csv", text);
        let error = load(&DataSettings { task, ..settings(&path) }, 1).unwrap_err().to_string();
        assert!(error.contains("t.csv: holds a single sample; give at least two"), "{error}");
    }
    // Few samples of many classes: some class is alone, and stays in training.
    let path = write(&folder, "t.csv", "1,a\n2,a\n3,b\n4,b\n5,b\n6,c\n");
    let splits = load(&settings(&path), 1).unwrap();
    assert!(labels(&splits.train).contains(&2));
}

#[test]
fn constant_columns_become_zero_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..30).map(|i| format!("5,{i},,{}\n", i % 2)).collect();
    let path = write(&folder, "t.csv", &text);
    for scale in [Scale::Standard, Scale::MinMax] {
        let splits = load(&DataSettings { scale, ..settings(&path) }, 1).unwrap();
        assert_eq!(splits.preparation.constant_inputs, 2);
        assert!(splits.train.dense().unwrap().iter().all(|x| x.is_finite()));
        let numbers = splits.train.dense().unwrap();
        assert!(numbers.chunks(splits.train.inputs()).all(|sample| sample[0] == 0.0 && sample[2] == 0.0));
    }
}

#[test]
fn an_idx_test_label_beyond_the_training_classes_is_out_of_range() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, shape: &[u32], numbers: &[u8]| {
        std::fs::write(folder.path().join(name), read::idx::tests::file(shape, numbers)).unwrap();
    };
    put("train-images-idx3-ubyte", &[6, 1, 2], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    put("train-labels-idx1-ubyte", &[6], &[0, 1, 0, 1, 0, 1]);
    put("t10k-images-idx3-ubyte", &[1, 1, 2], &[1, 2]);
    put("t10k-labels-idx1-ubyte", &[1], &[2]);
    let error = load(&settings(folder.path()), 1).unwrap_err().to_string();
    assert!(error.contains("t10k-labels-idx1-ubyte, sample 1: the label \"2\" is out of range"), "{error}");
    put("t10k-labels-idx1-ubyte", &[1], &[1]);
    let splits = load(&settings(folder.path()), 1).unwrap();
    assert_eq!(splits.test.unwrap().len(), 1);
    let csv = write(&folder, "new.csv", "1,2\n");
    let error = load_with(&splits.preparation, csv.to_str().unwrap(), false).unwrap_err().to_string();
    assert!(
        error.contains("is not what the model was trained on; give an IDX, NPY, NPZ or CIFAR file"),
        "{error}"
    );
}

/// Lines of a file of two columns, whose label is each other line `b`.
fn alternating(numbers: impl Iterator<Item = f64>) -> String {
    let lines = numbers.enumerate().map(|(i, number)| format!("{number},{}\n", ["a", "b"][i % 2]));
    format!("x,label\n{}", lines.collect::<String>())
}

#[test]
fn numbers_that_f32_would_join_stay_apart_and_a_model_reads_them_alike() {
    let folder = tempfile::tempdir().unwrap();
    for (name, number) in [
        ("days", (|i| 20_240_101.0 + i) as fn(f64) -> f64),
        ("milliseconds", |i| 1.7e12 + 1000.0 * i),
        ("offset", |i| 101_325_000.0 + 3.0 * (i % 2.0)),
        ("tiny", |i| 1e-50 * (i - 20.0)),
    ] {
        let all: Vec<f64> = (0..60).map(|i| number(f64::from(i))).collect();
        let path = write(&folder, "t.csv", &alternating(all.iter().copied()));
        for scale in [Scale::Standard, Scale::MinMax] {
            let settings = DataSettings { scale, validation_fraction: 0.0, ..settings(&path) };
            let splits = load(&DataSettings { test_fraction: 0.0, ..settings.clone() }, 1).unwrap();
            assert!(splits.notes.is_empty() && splits.preparation.constant_inputs == 0, "{name}");
            let (mean, least) = match scale {
                Scale::MinMax => (0.0, all.iter().copied().fold(f64::INFINITY, f64::min)),
                _ => (all.iter().sum::<f64>() / 60.0, 0.0),
            };
            let spread = match scale {
                Scale::MinMax => all.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least,
                _ => {
                    (all.iter().map(|x| ((x - mean) / all[59]).powi(2)).sum::<f64>() / 60.0).sqrt() * all[59]
                }
            };
            for (&coded, &number) in splits.train.dense().unwrap().iter().zip(&all) {
                let expected = (number - mean - least) / spread;
                assert!((f64::from(coded) - expected).abs() < 1e-4, "{name}: {coded} {expected}");
            }
            // A few lines alone, and the model's file.
            let text = serde_json::to_string(&splits.preparation).unwrap();
            let preparation: Preparation = serde_json::from_str(&text).unwrap();
            let new = write(&folder, "new.csv", &alternating(all[7..9].iter().copied()));
            let found = load_with(&preparation, new.to_str().unwrap(), false).unwrap().dataset;
            assert_eq!(found.dense().unwrap(), &splits.train.dense().unwrap()[7..9], "{name}");
        }
        let found = describe(&settings(&path)).unwrap();
        let numbers = found.columns[0].numbers.unwrap();
        assert!((numbers.max / all[59] - 1.0).abs() < 1e-6 || name == "offset", "{name}: {numbers:?}");
    }
}

#[test]
fn numbers_that_still_fall_together_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let far = (0..60).map(|i| if i == 30 { 1e12 } else { f64::from(i) });
    let path = write(&folder, "t.csv", &alternating(far));
    let notes = describe(&settings(&path)).unwrap().notes;
    assert!(
        notes.iter().any(|note| note.contains("column \"x\" holds 0 and 1, which fall together")),
        "{notes:?}"
    );
    let days = write(&folder, "d.csv", &alternating((0..60).map(|i| 20_240_101.0 + f64::from(i))));
    let plain = DataSettings { scale: Scale::None, ..settings(&days) };
    let notes = describe(&plain).unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("set data.scale = \"standard\"")), "{notes:?}");
}

#[test]
fn categories_mean_what_they_say_and_unknown_ones_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String =
        (0..40).map(|i| format!("{},{},{}\n", i % 4, ["True", "FALSE"][i % 2], i % 2)).collect();
    let path = write(&folder, "t.csv", &format!("code,flag,y\n{lines}"));
    let settings = DataSettings { categorical: vec!["code".into()], ..settings(&path) };
    let preparation = load(&settings, 1).unwrap().preparation;
    assert_eq!(
        preparation.input_names(),
        ["code=0", "code=1", "code=2", "code=3", "flag=FALSE", "flag=True"]
    );
    let new = |text: &str| {
        let path = write(&folder, "new.csv", &format!("code,flag\n{text}"));
        load_with(&preparation, path.to_str().unwrap(), false).unwrap()
    };
    let known = new("1,True\n2,FALSE\n");
    for same in ["1.0,TRUE\n2.0,false\n", "01,true\n002,False\n", "1e0,True\n2.,FALSE\n"] {
        assert_eq!(new(same), known, "{same}");
    }
    assert!(known.unknown.is_empty());
    let found = new("7,True\n,maybe\n1,\n");
    let counts: Vec<String> = found.unknown.iter().map(|found| found.to_string()).collect();
    assert_eq!(
        counts,
        [
            "column code: 1 of 2 cells holds a category that training had not",
            "column flag: 1 of 2 cells holds a category that training had not"
        ]
    );
    // The parts of a file too.
    let rare: String =
        (0..40).map(|i| format!("{},{}\n", if i == 0 { "gold" } else { "red" }, i % 2)).collect();
    let test = write(&folder, "rare.csv", &format!("flag,y\n{rare}"));
    let plain = write(&folder, "plain.csv", &format!("flag,y\n{}", rare.replace("gold", "red")));
    let test_path = test.to_str().map(String::from);
    let settings = DataSettings { test_path, ..self::settings(&plain) };
    let unknown = load(&settings, 1).unwrap().unknown;
    assert_eq!((unknown.len(), unknown[0].0, unknown[0].1.unknown), (1, "test", 1));
}

#[test]
fn arrays_of_large_numbers_are_scaled_in_f64_too() {
    let folder = tempfile::tempdir().unwrap();
    let times: Vec<u8> = (0..60u64).flat_map(|i| (1.7e12 + 1000.0 * i as f64).to_le_bytes()).collect();
    let labels: Vec<u8> = (0..60).map(|i| i % 2).collect();
    let x = read::npy::tests::file("<f8", "False", "(60, 1)", &times);
    let path = folder.path().join("t.npz");
    let y = read::npy::tests::file("|u1", "False", "(60,)", &labels);
    let entries = [("x.npy", &x[..]), ("x_test.npy", &x), ("y.npy", &y), ("y_test.npy", &y)];
    std::fs::write(&path, read::npy::tests::archive(&entries)).unwrap();
    let splits = load(&DataSettings { validation_fraction: 0.0, ..settings(&path) }, 1).unwrap();
    let numbers = splits.train.dense().unwrap();
    assert!(numbers.windows(2).all(|pair| (pair[1] - pair[0] - 0.057735).abs() < 1e-4), "{numbers:?}");
    assert_eq!(splits.test.unwrap().dense().unwrap(), numbers);
    let again = load_with(&splits.preparation, path.to_str().unwrap(), false).unwrap();
    assert_eq!(again.dataset.dense().unwrap(), numbers);
}

#[test]
fn a_quoted_cell_of_nothing_is_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "t.csv", &alternating((0..40).map(f64::from)));
    let preparation = load(&settings(&path), 1).unwrap().preparation;
    for text in ["x\n1\n\n2\n\"\"\n3\n", "x\r\n1\r\n\r\n2\r\n\"\"\r\n3"] {
        let new = write(&folder, "new.csv", text);
        let found = load_with(&preparation, new.to_str().unwrap(), false).unwrap();
        assert_eq!(found.dataset.len(), 4, "{text:?}");
    }
}

#[test]
fn a_preparation_saved_by_an_earlier_version_reads_as_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let saved = r#"{"format": "csv", "task": "classification", "inputs": [1, 1, 4], "outputs": 2, "classes": ["0", "1"],
        "columns": [{"name": "size", "position": 0, "coding": {"number": {"mean": 0.1}}},
            {"name": "code", "position": 1, "coding": {"category": {"values": ["01", "1", "red"]}}}],
        "labels": [{"name": "y", "position": 2}], "dialect": {"delimiter": ",", "header": true, "columns": 3},
        "missing": "mean", "missing_markers": ["", "?", "NA", "N/A", "NaN", "null"],
        "scaler": {"columns": {"offsets": [0.1, 0.0, 0.0, 0.0], "multipliers": [2.0, 1.0, 1.0, 1.0]}},
        "constant_inputs": 0}"#;
    let preparation: Preparation = serde_json::from_str(saved).unwrap();
    let new = write(&folder, "new.csv", "size,code,y\n0.6,01,0\nna,1,1\n?,na,0\n0.1,red,1\n0.1,Null,1\n");
    let found = load_with(&preparation, new.to_str().unwrap(), true).unwrap().dataset;
    let expected: [[f32; 4]; 5] = [
        [1.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
        [0.0, 0.0, 0.0, 0.0],
    ];
    assert_eq!(found.dense().unwrap(), expected.concat());
    assert_eq!(labels(&found), [0, 1, 0, 1, 1]);
}

#[test]
fn many_whole_numbers_may_be_classes_or_values() {
    let folder = tempfile::tempdir().unwrap();
    let too_many = "holds 102 different whole numbers, too many to be taken for classes";
    for (kinds, step, task, expected) in [
        (102, 1, TaskChoice::Auto, Some(too_many)),
        (102, 3, TaskChoice::Auto, None),
        (100, 1, TaskChoice::Auto, Some("holds 100 different whole numbers, which are taken for classes")),
        (21, 3, TaskChoice::Auto, Some("to predict the number set data.task = \"regression\"")),
        (20, 1, TaskChoice::Auto, None),
        (60, 1, TaskChoice::Classification, None),
        (60, 1, TaskChoice::Regression, None),
    ] {
        let lines: String =
            (0..4 * kinds).map(|i| format!("{},{}\n", f64::from(i) / 7.0, step * (i % kinds))).collect();
        let path = write(&folder, "t.csv", &format!("x,y\n{lines}"));
        let settings = DataSettings { task, ..settings(&path) };
        let notes = load(&settings, 1).unwrap().notes;
        let found = notes.iter().find(|note| note.contains("different whole numbers"));
        assert_eq!(found.is_some(), expected.is_some(), "{notes:?}");
        assert!(found.zip(expected).is_none_or(|(note, hint)| note.contains(hint)), "{notes:?}");
        assert_eq!(describe(&settings).unwrap().notes, notes);
    }
}

/// QMNIST has its class in the first of eight columns.
#[test]
fn rows_of_whole_numbers_may_hold_a_class() {
    let folder = tempfile::tempdir().unwrap();
    let file = read::idx::tests::file;
    let images: Vec<u8> = (0..80).map(|pixel| pixel * 3).collect();
    let path = folder.path().join("a-images-idx3-ubyte");
    std::fs::write(&path, file(&[20, 2, 2], &images)).unwrap();
    let hint = "a row of 2 whole numbers, all of which are predicted";
    for (largest, task, noted) in
        [(5, TaskChoice::Auto, true), (1, TaskChoice::Auto, false), (5, TaskChoice::Regression, false)]
    {
        let labels: Vec<u8> = (0..40).map(|label| label % (largest + 1)).collect();
        std::fs::write(folder.path().join("a-labels-idx1-ubyte"), file(&[20, 2], &labels)).unwrap();
        let settings = DataSettings { task, ..settings(&path) };
        let notes = load(&settings, 1).unwrap().notes;
        assert_eq!(notes.iter().any(|note| note.contains(hint)), noted, "{notes:?}");
        assert_eq!(describe(&settings).unwrap().notes, notes);
    }
}

#[test]
fn what_is_wrong_with_a_file_for_a_model_can_be_mended_without_settings() {
    let folder = tempfile::tempdir().unwrap();
    let trained = |text: &str, settings: &str| {
        let path = write(&folder, "train.csv", text);
        let settings: DataSettings = toml::from_str(settings).unwrap();
        load(&DataSettings { path: path.to_str().unwrap().into(), ..settings }, 1).unwrap().preparation
    };
    let lines = |line: fn(usize) -> String| (0..20).map(line).collect::<String>();
    let numbers = trained(&lines(|i| format!("{}.5,{},{}\n", i % 7, i % 5, i % 2)), "");
    let commas = trained(&lines(|i| format!("{},5;{};{}\n", i % 7, i % 5, i % 2)), "");
    let strict = trained(&lines(|i| format!("{}.5,{},{}\n", i % 7, i % 5, i % 2)), "missing = 'error'");
    let amounts = trained(&lines(|i| format!("{},{},{}.25\n", i % 7, i % 5, i)), "task = 'regression'");
    let dates = trained(
        &format!("on,a,y\n{}", lines(|i| format!("2024-01-{:02},{},{}\n", i + 1, i % 5, i % 2))),
        "date = ['on']",
    );
    let words = trained(&lines(|i| format!("r{},s{},{}\n", i % 3, i % 4, i % 2)), "header = 'no'");
    for (preparation, text, targets, problem) in [
        (&numbers, "\"1,5\",2\n", false, "write it with a decimal point, as the training file was read"),
        (&commas, "1.5;2\n", false, "write it with a decimal comma, as the training file was read"),
        (&numbers, "size,weight\n1,2\n", false, "if this line names the columns remove it"),
        (&numbers, "1,2\nx,2\n", false, "mend the cell; leave it empty if nothing is known"),
        (&numbers, "1,2\ninf,2\n", false, "mend the cell, or leave it empty if nothing is known"),
        (&strict, "1,2\ninf,2\n", false, "mend the cell, or remove the line"),
        (&strict, "1,2\n,2\n", false, "fill it, or train with data.missing = \"mean\""),
        (&numbers, "1,2,1\n1,2,\n", true, "the label is missing; fill it in, or remove the line"),
        (&amounts, "1,2,1\n1,2,x\n", true, "the model was trained on numbers here"),
        (&dates, "on,a\n1.2.2024,2\n", false, "as in the training file; write it so, or leave it empty"),
        (&words, "region,shop\nr1,s1\nr2,s0\n", false, "line 1: none of its words is one that training had"),
    ] {
        let path = write(&folder, "new.csv", text);
        let error = load_with(preparation, path.to_str().unwrap(), targets).err().unwrap().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(!error.contains("set data."), "{error}");
    }
    for text in ["r9,s9\n", "r9,s1\nr1,s1\n", "r9,s9\nr1,s9\nr2,s0\n", "r1,s1\nr9,s9\n"] {
        let path = write(&folder, "new.csv", text);
        load_with(&words, path.to_str().unwrap(), false).unwrap();
    }
}
