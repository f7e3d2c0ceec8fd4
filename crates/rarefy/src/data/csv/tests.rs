//! CSV files, good and bad, as a user would give them.

use super::super::settings::{DataSettings, Header, Missing, TaskChoice};
use super::super::source::{Labels, Raw};
use super::*;

fn read_text(text: &str, change: impl Fn(&mut DataSettings)) -> std::result::Result<Raw, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    let mut settings = DataSettings::default();
    change(&mut settings);
    read(&path, &settings).map_err(|error| error.to_string())
}

fn row(raw: &Raw, sample: usize) -> Vec<f32> {
    let mut out = vec![0.0; raw.width];
    raw.copy_row(sample, &mut out);
    out
}

fn names(raw: &Raw) -> Vec<&str> {
    raw.columns.iter().map(|column| column.name.as_str()).collect()
}

#[test]
fn header_and_delimiter_are_found() {
    for (text, header, delimiter) in [
        ("a,b,y\n1,2,0\n3,4,1\n", true, ','),
        ("1,2,0\n3,4,1\n", false, ','),
        ("a;b;y\r\n1,5;2;0\r\n3;4;1\r\n", true, ';'),
        ("a\tb\ty\n1\t2\t0\n3\t4\t1", true, '\t'),
        ("\u{feff}a,b,y\n1,2,0\n3,4,1\n", true, ','),
        // A file of categories alone: words that come again are no names.
        ("x,s,e\nb,s,p\nx,t,e\n", false, ','),
        ("cap,odor,kind\nx,s,e\nb,s,p\nx,t,e\n", true, ','),
        ("1 , 2 , 0\n 3,4,1\n", false, ','),
        ("id,\"last, first\",y\n1,\"a, b\",0\n2,\"c, d\",1\n", true, ','),
    ] {
        let raw = read_text(text, |settings| settings.missing_markers.push("1,5".into())).unwrap();
        let dialect = raw.dialect.unwrap();
        assert_eq!((dialect.header, dialect.delimiter), (header, delimiter), "{text}");
    }
    let raw = read_text("\u{feff}a,b,y\n1,2,0\n3,4,1\n", |_| ()).unwrap();
    assert_eq!(names(&raw), ["a", "b"]);
}

#[test]
fn labels_are_found_by_name_position_or_place() {
    let text = "y,a,z\n7,1,0\n8,2,1\n";
    for (label, expected) in
        [(&[][..], [0.0, 1.0]), (&["y"], [7.0, 8.0]), (&["1"], [7.0, 8.0]), (&["a"], [1.0, 2.0])]
    {
        let raw = read_text(text, |settings| settings.label = label.iter().map(|l| l.to_string()).collect())
            .unwrap();
        assert!(matches!(raw.labels, Some(Labels::Numbers { values, outputs: 1 }) if values == expected));
    }
    let raw = read_text(text, |settings| settings.label = vec!["z".into(), "y".into()]).unwrap();
    assert!(
        matches!(raw.labels, Some(Labels::Numbers { values, outputs: 2 }) if values == [0.0, 7.0, 1.0, 8.0])
    );
    assert_eq!(raw.columns.len(), 1);
}

#[test]
fn text_and_chosen_columns_become_categories_and_gaps_nan() {
    let text = "id,size,colour,code,y\n1,1.5,red,7,a\n2,NA,,8,b\n3,2e3,red,07,a\n";
    let raw = read_text(text, |settings| {
        settings.categorical = vec!["code".into()];
        settings.ignore = vec!["id".into()];
    })
    .unwrap();
    assert_eq!(names(&raw), ["size", "colour", "code"]);
    assert_eq!(raw.columns[2].vocabulary.as_ref().unwrap(), &["7", "8", "07"]);
    assert_eq!(row(&raw, 0), [1.5, 0.0, 0.0]);
    assert!(row(&raw, 1)[0].is_nan() && row(&raw, 1)[1].is_nan());
    assert_eq!(row(&raw, 2), [2000.0, 0.0, 2.0]);
    assert!(
        matches!(raw.labels, Some(Labels::Text { codes, vocabulary }) if codes == [0, 1, 0] && vocabulary == ["a", "b"])
    );
}

#[test]
fn every_common_way_to_write_nothing_is_a_gap() {
    for marker in ["", " ", "?", "NA", "na", "N/A", "nan", "NaN", "NAN", "null", "NULL", "Null"] {
        let text = format!("size,colour,y\n1,red,0\n{marker},{marker},1\n3,green,0\n");
        let raw = read_text(&text, |_| ()).unwrap();
        assert!(raw.columns[0].vocabulary.is_none(), "{marker:?} makes numbers text");
        assert_eq!(raw.columns[1].vocabulary.as_ref().unwrap(), &["red", "green"], "{marker:?}");
        assert!(row(&raw, 1).iter().all(|cell| cell.is_nan()), "{marker:?}");
    }
    // The list is the user's to change; without it every cell counts.
    let text = "size,colour,y\n1,red,0\n2,-,1\n-,NA,0\n";
    let raw = read_text(text, |settings| settings.missing_markers = vec!["-".into()]).unwrap();
    assert_eq!(raw.columns[1].vocabulary.as_ref().unwrap(), &["red", "NA"]);
    assert!(row(&raw, 2)[0].is_nan() && row(&raw, 1)[1].is_nan());
}

#[test]
fn a_mixed_column_is_read_as_the_error_says() {
    let text = "a,b,y\n1,2,no\n3,4more,1\n5,-,no\n";
    let raw = read_text(text, |settings| {
        settings.categorical = vec!["b".into()];
        settings.task = TaskChoice::Classification;
    })
    .unwrap();
    assert_eq!(raw.columns[1].vocabulary.as_ref().unwrap(), &["2", "4more", "-"]);
    assert!(matches!(raw.labels, Some(Labels::Text { vocabulary, .. }) if vocabulary == ["no", "1"]));
    let raw = read_text(text, |settings| {
        settings.missing_markers = vec!["4more".into(), "-".into()];
        settings.label = vec!["a".into()];
        settings.ignore = vec!["y".into()];
    })
    .unwrap();
    assert_eq!((row(&raw, 0)[0], row(&raw, 1)[0].is_nan()), (2.0, true));
}

#[test]
fn bad_files_are_named_with_line_column_and_advice() {
    let good = "a,b,y\n1,2,0\n3,4,1\n";
    type Change = fn(&mut DataSettings);
    let cases: [(&str, Change, &[&str]); 30] = [
        ("a,b,y\n1,2,0\n3,4\n", |_| (), &["line 3", "has 2 cells where the first line has 3"]),
        ("a,b,y\n1,2,0\n\n\n3,4,1,9\n", |_| (), &["line 5", "has 4 cells"]),
        ("a,b,y\r\n1,2,0\r\n\r\n3,4,1,9", |_| (), &["line 4", "has 4 cells"]),
        ("a,b,y\n1,\"2\n2\",0\n3,4\n", |_| (), &["line 4", "has 2 cells"]),
        ("a,b,y\n1,\"2,0\n3,4,1\n", |_| (), &["line 2", "a quote that opens here"]),
        ("a,b,y\n1,2,0\n3,4,\"1\n", |_| (), &["line 3", "a quote that opens here"]),
        (
            "a,b,y\n1,2,0\n3,four,1\n5,6,0\n",
            |_| (),
            &["line 3, column \"b\"", "\"four\" is text", "data.categorical"],
        ),
        ("1,2,0\n3,four,1\n5,6,0\n", |_| (), &["line 2, column 2", "\"four\" is text"]),
        ("0,1,y\n1,2,0\n3,4,1\n", |_| (), &["line 1, column 3", "data.header = \"yes\""]),
        ("a,b,y\n1,2,0\n3,inf,1\n", |_| (), &["line 3, column \"b\"", "\"inf\" is not a finite"]),
        (
            "a,b,y\n1,2,0\n3,-inf,1\n",
            |_| (),
            &["line 3, column \"b\"", "\"-inf\" is not a finite", "data.missing_markers"],
        ),
        ("a,b,y\n1,2,0\n3,1e40,1\n", |_| (), &["line 3, column \"b\"", "\"1e40\" is not a finite"]),
        ("a,b,y\n1,2,0\n3,,1\n", |s| s.missing = Missing::Error, &["line 3, column \"b\"", "missing"]),
        ("a,b,y\n1,2,0\n3,4,?\n", |_| (), &["line 3, column \"y\"", "the label is missing"]),
        (
            "a,b,y\n1,2,0.5\n3,4,x\n1,2,0.1\n",
            |_| (),
            &["line 3, column \"y\"", "data.task = \"classification\""],
        ),
        (
            "a,b,y\n1,red,0\n3,green,1\n5,6,0\n7,blue,1\n",
            |_| (),
            &[
                "line 2, column \"b\"",
                "\"red\" is text, but 1 of the column's 4 cells is a number",
                "data.categorical",
            ],
        ),
        (
            "a,b,y\n1,2,no\n3,4,yes\n5,6,1\n",
            |_| (),
            &["line 2, column \"y\"", "\"no\" is text, but 1 of", "data.task = \"classification\""],
        ),
        ("a,b,y\n1,2,0\n3,4,nan\n", |_| (), &["line 3, column \"y\"", "the label is missing"]),
        ("\u{feff}a,b,y\r\n1,\"2\r\n2\",0\r\n3,4\r\n", |_| (), &["line 4", "has 2 cells"]),
        ("a,b,y\n", |_| (), &["holds no samples, only a header", "data.header = \"no\""]),
        ("a,y,b,y\r\n1,2,3,0\r\n", |_| (), &["line 1", "two columns are named \"y\"", "rename one"]),
        (good, |s| s.label = vec!["Y".into()], &["data.label", "no column \"Y\"", "did you mean \"y\"?"]),
        (good, |s| s.ignore = vec!["y".into()], &["data.ignore", "also the label"]),
        (good, |s| s.ignore = vec!["a".into(), "b".into()], &["no column is left"]),
        ("a,b,y\n", |s| s.header = Header::Yes, &["holds no samples"]),
        ("\n\n", |_| (), &["holds no lines"]),
        ("a\n1\n2\n", |_| (), &["single column", "data.delimiter"]),
        ("a,a,y\n1,2,0\n", |_| (), &["two columns are named \"a\""]),
        (good, |s| s.label = vec!["a".into(), "b".into(), "y".into()], &["no column is left"]),
        ("a,b,y\n1,x,0\n2,y,1\n", |s| s.task = TaskChoice::Regression, &[]),
    ];
    for (text, change, expected) in cases {
        let found = read_text(text, change);
        if expected.is_empty() {
            assert!(found.is_ok());
            continue;
        }
        let error = found.err().unwrap();
        for part in expected {
            assert!(error.contains(part), "{text:?}: {error}");
        }
        assert!(error.contains("t.csv") || error.starts_with("data."), "{error}");
    }
}

#[test]
fn free_text_is_not_taken_for_categories() {
    let text: String = (0..50).map(|i| format!("name{i},{},{}\n", i % 7, i % 2)).collect();
    let error = read_text(&text, |_| ()).err().unwrap();
    assert!(
        error.contains("column \"1\": holds 50 different texts") && error.contains("data.ignore"),
        "{error}"
    );
    assert!(read_text(&text, |settings| settings.categorical = vec!["1".into()]).is_ok());
    assert!(read_text(&text, |settings| settings.ignore = vec!["1".into()]).is_ok());
}

#[test]
fn other_encodings_are_refused_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, b"a,b,y\n1,2,0\n3,caf\xe9,1\n").unwrap();
    let error = read(&path, &DataSettings::default()).err().unwrap().to_string();
    assert!(error.contains("line 3") && error.contains("UTF-8"), "{error}");
}
