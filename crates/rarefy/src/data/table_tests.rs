//! Tables and arrays the whole way: weights of samples, faults, parts.

use std::path::{Path, PathBuf};

use super::*;

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Settings for a file of which no part is split off.
fn whole(path: &Path, text: &str) -> DataSettings {
    let given: DataSettings = toml::from_str(text).unwrap();
    let path = path.to_str().unwrap().into();
    DataSettings { path, validation_fraction: 0.0, test_fraction: 0.0, ..given }
}

#[test]
fn weights_of_a_table_count_as_lines_that_stand_twice_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let weighted =
        "size,colour,w,price\n1,red,2,10\n4,blue,1,30\n900,green,0,-7\n,red,0.5,70\n2,red,0.5,20\n";
    let twice = "size,colour,price\n1,red,10\n1,red,10\n1,red,10\n1,red,10\n4,blue,30\n4,blue,30\n,red,70\n2,red,20\n";
    let (weighted, twice) = (write(&folder, "w.csv", weighted), write(&folder, "t.csv", twice));
    let weighted = whole(&weighted, "label = 'price'\nweight = 'w'\ntask = 'regression'");
    let twice = load(&whole(&twice, "label = 'price'\ntask = 'regression'"), 1).unwrap().preparation;
    let splits = load(&weighted, 1).unwrap();
    assert_eq!(splits.train.weights.as_deref(), Some(&[2.0, 1.0, 0.0, 0.5, 0.5][..]));
    let found = &splits.preparation;
    assert_eq!(found.input_names(), ["size", "colour=blue", "colour=red"]);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6 * b.abs().max(1.0), "{a} {b}");
    let (a, b) = (found.target_scaler.mean_and_deviation(0), twice.target_scaler.mean_and_deviation(0));
    close(a.0, b.0);
    close(a.1, b.1);
    let (Scaler::Columns { offsets: a, multipliers: c }, Scaler::Columns { offsets: b, multipliers: d }) =
        (&found.scaler, &twice.scaler)
    else {
        panic!("columns are scaled")
    };
    a.iter().chain(c).zip(b.iter().chain(d)).for_each(|(&a, &b)| close(a.into(), b.into()));
    // The mean that fills a gap: (2 * 1 + 4 + 0.5 * 2) / 3.5.
    let Coding::Number { mean } = found.columns[0].coding else { panic!("a number") };
    assert_eq!(mean, 2.0);
    // A new file may have weights or not, and to predict no labels either.
    let text = serde_json::to_string(found).unwrap();
    assert_eq!(&serde_json::from_str::<Preparation>(&text).unwrap(), found);
    let new = |text: &str, targets| {
        let path = write(&folder, "new.csv", text);
        load_with(found, path.to_str().unwrap(), targets).unwrap().dataset.weights
    };
    assert_eq!(new("w,price,colour,size\n3,1,red,1\n", true), Some(vec![3.0]));
    assert_eq!(new("price,colour,size\n1,red,1\n", true), None);
    assert_eq!(new("colour,size\nred,1\n", false), None);
}

#[test]
fn weights_stand_in_files_without_names_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "w.csv", &"0,1,0.5,a\n1,2,1.5,b\n".repeat(4));
    let preparation = load(&whole(&path, "weight = 3"), 1).unwrap().preparation;
    for (line, targets, weights, numbers) in [
        ("4,5,9,a", true, Some(vec![9.0]), 2),
        ("4,5,a", true, None, 2),
        ("4,5,9,a", false, None, 2),
        ("4,5,9", false, None, 2),
        ("4,5", false, None, 2),
    ] {
        let path = write(&folder, "new.csv", &format!("{line}\n"));
        let found = load_with(&preparation, path.to_str().unwrap(), targets).unwrap().dataset;
        assert_eq!((found.inputs(), found.weights), (numbers, weights), "{line}");
    }
}

#[test]
fn weights_that_cannot_be_are_named_by_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.csv");
    for (weights, problem) in [
        (["1", "-2", "1"], "line 3, column \"w\": the weight is -2; give 0 or more"),
        (["1", "", "1"], "line 3, column \"w\": the weight is missing"),
        (["1", "inf", "1"], "line 3, column \"w\": \"inf\" is not a finite"),
        (["1", "much", "1"], "line 3, column \"w\": \"much\" is text"),
        (["0", "0", "0"], "all weights are 0 (data.weight)"),
    ] {
        let lines: String = weights.iter().map(|weight| format!("1,{weight},2\n")).collect();
        std::fs::write(&path, format!("x,w,y\n{lines}")).unwrap();
        let error = load(&whole(&path, "weight = 'w'\ntask = 'regression'"), 1).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let error = load(&whole(&path, "weight = 'w'\nlabel = 'w'"), 1).unwrap_err().to_string();
    assert!(error.contains("data.weight: column \"w\" is the label too"), "{error}");
    let text = "weight = 'x'\ntext.column = 'x'\nlabel = 'y'";
    let error = load(&whole(&path, text), 1).unwrap_err().to_string();
    assert!(error.contains("data.weight: column \"x\" is the text too"), "{error}");
    let error = load(&DataSettings { weight: Some("w".into()), ..DataSettings::default() }, 1).unwrap_err();
    assert!(error.to_string().contains("data.weight: is for CSV files"), "{error}");
}

#[test]
fn all_faulty_lines_of_a_table_come_in_one_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.csv");
    let error = |text: &str| {
        std::fs::write(&path, text).unwrap();
        load(&whole(&path, "missing = 'error'"), 1).unwrap_err().to_string()
    };
    let found = error("a,b,y\n1,2,x\n1,2\n3,4,z\n5,6,7,x\n");
    assert!(found.contains("2 lines are faulty:\n  line 3: has 2 cells where"), "{found}");
    assert!(found.contains("\n  line 5: has 4 cells"), "{found}");
    let found = error("a,b,y\n1,,x\n,2,\n3,4,z\n");
    assert!(found.contains("3 places are faulty:\n  line 2, column \"b\": the cell is"), "{found}");
    assert!(found.contains("line 3, column \"y\": the label is missing"), "{found}");
    let many = format!("a,b,y\n{}", "1,,x\n".repeat(30));
    let found = error(&(many + "1,2,z\n"));
    assert!(
        found.contains("30 places") && found.contains("line 11, ") && !found.contains("line 12,"),
        "{found}"
    );
    assert!(found.ends_with("... and 20 more"), "{found}");
    let found = error("a,b,y\n1,2,x\nl,2,z\n3,4,z\nO,4,z\n5,5,x\n");
    assert!(
        found.contains("line 3, column \"a\": \"l\" is text, but 3 of") && found.contains("on line 5 too"),
        "{found}"
    );
}

#[test]
fn a_model_is_applied_to_the_validation_part_of_arrays_that_have_no_test_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let x = read::npy::tests::file("|u1", "False", "(4, 1)", &[1, 2, 3, 4]);
    let y = read::npy::tests::file("|u1", "False", "(4,)", &[0, 1, 0, 1]);
    let [x_val, y_val] = [[9, 8], [0, 1]].map(|numbers| {
        let shape = if numbers == [9, 8] { "(2, 1)" } else { "(2,)" };
        read::npy::tests::file("|u1", "False", shape, &numbers)
    });
    let entries = [("x.npy", &x[..]), ("y.npy", &y), ("x_val.npy", &x_val), ("y_val.npy", &y_val)];
    std::fs::write(&path, read::npy::tests::archive(&entries)).unwrap();
    let preparation = load(&whole(&path, "scale = 'none'"), 1).unwrap().preparation;
    let path = path.to_str().unwrap();
    assert_eq!(part_for_model(path).unwrap(), Some(Part::Validation));
    for targets in [true, false] {
        let found = load_with(&preparation, path, targets).unwrap().dataset;
        assert_eq!(found.dense().unwrap(), [9.0, 8.0]);
    }
}

#[test]
fn groups_of_a_table_are_no_feature_and_are_never_cut() {
    let folder = tempfile::tempdir().unwrap();
    let line = |i: usize| format!("{},c{},{},{}\n", i % 13, i / 6, i % 5, ["no", "yes"][i / 2 % 2]);
    let lines: String = (0..120).map(line).collect();
    let path = write(&folder, "g.csv", &format!("size,customer,visits,label\n{lines}"));
    let settings = |text: &str| DataSettings {
        path: path.to_str().unwrap().into(),
        scale: Scale::None,
        ..toml::from_str(text).unwrap()
    };
    let mut tested = 0;
    for number in 1..=5 {
        let splits = load(&settings(&format!("group = 'customer'\nfold = '{number}/5'")), 1).unwrap();
        assert_eq!(splits.preparation.input_names(), ["size", "visits"]);
        let test = splits.test.unwrap();
        tested += test.len();
        // Customers have six visits each, so parts are of whole customers.
        assert!([test.len(), splits.train.len()].iter().all(|samples| samples.is_multiple_of(6)));
        assert!(splits.validation.unwrap().len() == 12 && test.len() == 24);
        assert_eq!(splits.test_over_rest, 0.25);
    }
    assert_eq!(tested, 120);
    for (text, problem) in [
        ("group = 'custmer'", "data.group: "),
        ("group = 'label'\nlabel = 'label'", "data.group: column \"label\" is the label too"),
        ("group = 'customer'\nweight = 'customer'", "data.group: column \"customer\" is in data.weight too"),
        (
            "group = 'customer'\ncategorical = 'customer'",
            "data.group: column \"customer\" is in data.categorical too",
        ),
        (
            "group = 'customer'\nfold = '2/21'",
            "data.group: 20 groups cannot make 21 folds; ask for 20 at most",
        ),
    ] {
        let error = load(&settings(text), 1).err().unwrap_or_else(|| panic!("{text}")).to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
    let path = write(&folder, "gap.csv", "a,customer,label\n1,x,no\n2,,yes\n3,y,no\n4,y,yes\n");
    let error = load(&whole(&path, "group = 'customer'"), 1).err().unwrap().to_string();
    assert!(error.contains("line 3, column \"customer\": the group is missing"), "{error}");
}

#[test]
fn samples_in_memory_have_groups_and_folds_too() {
    let numbers: Vec<f64> = (0..60).map(f64::from).collect();
    let groups: Vec<u32> = (0..60).map(|i| i / 10).collect();
    let samples = || Samples::dense(&numbers, 1).unwrap().with_numbers(&numbers, 1).unwrap();
    let settings = |text: &str| -> DataSettings { toml::from_str(text).unwrap() };
    let fold = settings("fold = '2/3'\nscale = 'none'\ntarget_scale = 'none'\nvalidation_fraction = 0.2");
    let splits = from_memory(samples().with_groups(&groups).unwrap(), &fold, 1).unwrap();
    let test = splits.test.unwrap();
    let of_test: Vec<u32> = test.dense().unwrap().iter().map(|&number| number as u32 / 10).collect();
    assert_eq!((test.len(), splits.train.len(), splits.validation.unwrap().len()), (20, 30, 10));
    assert!(of_test.chunks(10).all(|group| group.iter().all(|it| *it == group[0])), "{of_test:?}");
    assert!(samples().with_groups(&groups[1..]).unwrap_err().to_string().contains("59 groups for 60"));
    // A test part of its own is left alone, and its fold is of the others.
    let parts = from_memory_parts(samples(), None, Some(samples()), &fold, 1).unwrap();
    assert_eq!(parts.test.as_ref().unwrap().len(), 20);
    assert!(parts.notes.iter().any(|note| note.contains("test part of its own is left alone")));
    let whole =
        from_memory_parts(samples(), None, Some(samples()), &settings("task = 'regression'"), 1).unwrap();
    assert_eq!((whole.test.unwrap().len(), whole.test_over_rest), (60, 0.0));
}

#[test]
fn dates_become_numbers_and_a_model_reads_them_again() {
    let folder = tempfile::tempdir().unwrap();
    let lines = ["2024-01-01,1,5", "2024-01-03 12:00,2,6", ",3,7", "2023-12-31T06:00:00+01:00,4,8"];
    let path = write(&folder, "d.csv", &format!("at,x,y\n{}\n", lines.join("\n")));
    let given = "date = 'at'\ntask = 'regression'\nscale = 'none'";
    let splits = load(&whole(&path, given), 1).unwrap();
    let found = &splits.preparation;
    let names = "at days, at year sin, at year cos, at week sin, at week cos, at day sin, at day cos, x";
    assert_eq!(found.input_names().join(", "), names);
    let row = |dataset: &Dataset, sample: usize| dataset.dense().unwrap()[8 * sample..][..8].to_vec();
    assert_eq!(row(&splits.train, 0), [19723.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
    assert_eq!(row(&splits.train, 1)[0], 19725.5);
    // A gap is the mean of the others.
    assert!((row(&splits.train, 2)[0] - (19723.0 + 19725.5 + 19722.25) / 3.0).abs() < 0.01);
    let text = serde_json::to_string(found).unwrap();
    let again: Preparation = serde_json::from_str(&text).unwrap();
    assert_eq!(&again, found);
    again.check().unwrap();
    // Without a time too, for training had some; in another order.
    let new = write(&folder, "new.csv", "x,at\n1,2024-01-01\n");
    let dataset = load_with(&again, new.to_str().unwrap(), false).unwrap().dataset;
    assert_eq!(row(&dataset, 0), row(&splits.train, 0));
    let bad = write(&folder, "bad.csv", "x,at\n1,2024-01-01\n2,yesterday\n");
    let error = load_with(&again, bad.to_str().unwrap(), false).unwrap_err().to_string();
    assert!(error.contains("bad.csv, line 3, column \"at\": \"yesterday\" is no date such as"), "{error}");
    // Days of one century are told apart to the second where numbers are scaled.
    let scaled = load(&whole(&path, "date = 'at'\ntask = 'regression'"), 1).unwrap().preparation;
    assert_eq!(scaled.reading.shifts().len(), 0);
}

#[test]
fn dates_have_the_layout_that_the_settings_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(
        &folder,
        "d.csv",
        "y,at,short\n1,31.01.2024,31.01.24\n2,01.02.2024,01.02.24\n3,02.02.2024,02.02.24\n",
    );
    let good = "date = 'at'\ndate_format = '%d.%m.%Y'\nignore = 'short'\nlabel = 'y'\ntask = 'regression'\nscale = 'none'";
    let splits = load(&whole(&path, good), 1).unwrap();
    assert_eq!((splits.train.inputs(), splits.train.dense().unwrap()[0]), (5, 19753.0));
    for (given, problem) in [
        ("date = 'at'", "3 places are faulty:\n  line 2, column \"at\": \"31.01.2024\" is no date"),
        ("date = 'at'\ndate_format = '%Y-%m-%d'", "\"31.01.2024\" is no date in the layout \"%Y-%m-%d\""),
        (
            "date = 'short'\ndate_format = '%d.%m.%Y'",
            "(data.date_format); %Y is a year of four digits, %y of two",
        ),
        ("date = 'at'\ndate_format = '%Q'", "data.date_format: is no layout of dates"),
        ("date_format = '%d'", "data.date_format: is for columns of dates, and data.date names none"),
        ("date = 'att'", "data.date: "),
        ("date = 'at'\nignore = 'at'", "data.date: column \"at\" is in data.ignore too"),
        ("date = 'y'", "data.date: column \"y\" is the label too"),
    ] {
        let error = load(&whole(&path, &format!("label = 'y'\n{given}")), 1).unwrap_err().to_string();
        assert!(error.contains(problem), "{given}: {error}");
    }
}

#[test]
fn dates_and_ids_are_pointed_out_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let notes = |header: &str, line: &dyn Fn(usize) -> String| {
        let lines: String = (0..120).map(|i| format!("{},{}\n", line(i), i % 2)).collect();
        let path = write(&folder, "t.csv", &format!("{header},label\n{lines}"));
        load(&whole(&path, ""), 1)
            .map(|splits| splits.notes.join("\n"))
            .unwrap_or_else(|error| error.to_string())
    };
    type Line = fn(usize) -> String;
    let cases: [(&str, Line, &str); 8] = [
        (
            "id,x",
            |i| format!("{},{}", i + 1, i % 7),
            "column \"id\" counts the lines; data.ignore (--ignore id) leaves it out",
        ),
        (
            "Order No,x",
            |i| format!("{},{}", i * 7919 % 10007, i % 7),
            "each line, as ids do; data.ignore (--ignore 'Order No') leaves",
        ),
        (
            "shopId,x",
            |i| format!("{},{}", i % 5, i % 7),
            "column \"shopId\" is named as ids are and read as numbers",
        ),
        ("size,x", |i| format!("{},{}", i % 5, i % 7), ""),
        ("paid,x", |i| format!("{},{}", i % 2, i % 7), ""),
        (
            "at,x",
            |i| format!("2024-01-0{},{}", 1 + i % 9, i % 7),
            "read as 9 categories, and a new date will be none of them; data.date (--set data.date=at) makes numbers",
        ),
        (
            "at,x",
            |i| format!("0{}.02.2024,{}", 1 + i % 9, i % 7),
            "data.date (--set data.date=at) with its layout in data.date_format",
        ),
        (
            "my at,x",
            |i| format!("2024-01-01 00:{:02}:{:02},{}", i / 60, i % 60, i % 7),
            "column \"my at\": holds dates; data.date (--set 'data.date=my at') makes numbers",
        ),
    ];
    for (header, line, expected) in cases {
        let found = notes(header, &line);
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{header}: {found}");
    }
}
