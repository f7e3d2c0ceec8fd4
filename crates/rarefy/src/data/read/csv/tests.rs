//! CSV files, good and bad, as a user would give them.

use super::*;
use crate::data::raw::{Labels, Raw};
use crate::data::settings::{DataSettings, Decimal, Header, LabelType, Missing, Quote, TaskChoice};

fn read_text(text: &str, change: impl Fn(&mut DataSettings)) -> std::result::Result<Raw, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    let mut settings = DataSettings::default();
    change(&mut settings);
    read(&path, &settings).map(|source| source.train).map_err(|error| error.to_string())
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
        // As many commas as semicolons, and more.
        ("0,5;3,25;low\n1,5;4,25;high\n", false, ';'),
        ("0,5;3,25;1,5\n1,5;4,25;2,5\n", false, ';'),
        ("0,5\t3,25\tlow\n1,5\t4,25\thigh\n", false, '\t'),
        ("1,2,x;y\n3,4,x;z\n", false, ','),
        ("a\tb\ty\n1\t2\t0\n3\t4\t1", true, '\t'),
        ("\u{feff}a,b,y\n1,2,0\n3,4,1\n", true, ','),
        // A file of categories alone: words that come again are no names.
        ("x,s,e\nb,s,p\nx,t,e\n", false, ','),
        ("cap,odor,kind\nx,s,e\nb,s,p\nx,t,e\n", true, ','),
        ("1 , 2 , 0\n 3,4,1\n", false, ','),
        ("id,\"last, first\",y\n1,\"a, b\",0\n2,\"c, d\",1\n", true, ','),
    ] {
        let raw = read_text(text, |_| ()).unwrap();
        let dialect = raw.reading.dialect().unwrap();
        assert_eq!((dialect.header, dialect.delimiter), (header, delimiter), "{text}");
    }
    let raw = read_text("\u{feff}a,b,y\n1,2,0\n3,4,1\n", |_| ()).unwrap();
    assert_eq!(names(&raw), ["a", "b"]);
}

#[test]
fn labels_are_found_by_name_position_or_place() {
    let text = "u,a,z\n7,1,0\n8,2,1\n";
    for (label, expected) in
        [(&[][..], [0.0, 1.0]), (&["u"], [7.0, 8.0]), (&["1"], [7.0, 8.0]), (&["a"], [1.0, 2.0])]
    {
        let raw = read_text(text, |settings| settings.label = label.iter().map(|l| l.to_string()).collect())
            .unwrap();
        assert!(matches!(raw.labels, Some(Labels::Numbers { values, outputs: 1 }) if values == expected));
    }
    let raw = read_text(text, |settings| settings.label = vec!["z".into(), "u".into()]).unwrap();
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
    assert_eq!(raw.columns[2].vocabulary.as_ref().unwrap(), &["7", "8"]);
    assert_eq!(row(&raw, 0), [1.5, 0.0, 0.0]);
    assert!(row(&raw, 1)[0].is_nan() && row(&raw, 1)[1].is_nan());
    assert_eq!(row(&raw, 2), [2000.0, 0.0, 0.0]);
    assert!(
        matches!(raw.labels, Some(Labels::Text { codes, vocabulary }) if codes == [0, 1, 0] && vocabulary == ["a", "b"])
    );
}

#[test]
fn every_common_way_to_write_nothing_is_a_gap() {
    for marker in
        ["", " ", "?", "NA", "N/A", "n/a", "nan", "-nan", "NaN", "null", "NULL", "None", "<NA>", "#N/A"]
    {
        let text = format!("size,colour,y\n1,red,0\n{marker},{marker},1\n3,green,0\n");
        let raw = read_text(&text, |_| ()).unwrap();
        assert!(raw.columns[0].vocabulary.is_none(), "{marker:?} makes numbers text");
        assert_eq!(raw.columns[1].vocabulary.as_ref().unwrap(), &["red", "green"], "{marker:?}");
        assert!(row(&raw, 1).iter().all(|cell| cell.is_nan()), "{marker:?}");
    }
    // Among numbers a word can mean nothing else; among words Na is sodium and Null a name, as in pandas.
    for marker in ["Na", "na", "Nan", "NAN", "Null", "none"] {
        let text = format!("size,element,y\n1,K,0\n{marker},{marker},1\n3,K,0\n");
        let raw = read_text(&text, |_| ()).unwrap();
        assert!(row(&raw, 1)[0].is_nan(), "{marker:?} is text among numbers");
        assert_eq!(raw.columns[1].vocabulary.as_ref().unwrap(), &["K", marker]);
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
#[expect(clippy::too_many_lines)]
fn bad_files_are_named_with_line_column_and_advice() {
    let good = "a,b,y\n1,2,0\n3,4,1\n";
    type Change = fn(&mut DataSettings);
    let cases: [(&str, Change, &[&str]); 39] = [
        (
            "# made in May\na,b,y\n1,2,0\n3,4,1\n",
            |_| (),
            &["line 1", "has 1 cell where the lines below have 3", "a title or a comment"],
        ),
        (
            "a,price,y\n1,\"1,234\",0\n3,\"2,345\",1\n",
            |_| (),
            &["column \"price\"", "look like numbers, such as \"1,234\"", "data.decimal", "data.categorical"],
        ),
        (
            "a,price,y\n1,500,0\n3,\"1,500\",1\n",
            |_| (),
            &["line 3, column \"price\"", "\"1,500\" is text", "data.decimal = \".\""],
        ),
        ("a,b,y\n1,10 %,0\n3,20 %,1\n", |_| (), &["column \"b\"", "\"10 %\"; take the percent signs away"]),
        ("a,b,y\n1,$5.50,0\n3,$6,1\n", |_| (), &["\"$5.50\"; take the currency signs away"]),
        ("a,b,y\n1,12 345,0\n3,23 456,1\n", |_| (), &["take out what stands between the digits"]),
        (
            "a,b,y\n1,2,\"100,000\"\n3,4,\"200,000\"\n",
            |_| (),
            &["column \"y\"", "\"100,000\"", "data.decimal", "data.label_type = \"text\""],
        ),
        ("target,b,class\n1,2,0\n3,4,1\n", |s| s.label = vec!["3".into()], &[]),
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
        ("5,1,y\n1,2,0\n3,4,1\n", |_| (), &["line 1, column 3", "data.header = \"yes\""]),
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
        ("a,y\n1,a\n2,\"b\n\0\"\n3,b\n", |_| (), &["line 3", "holds a NUL byte", "remove it"]),
        ("a,y,b,y\r\n1,2,3,0\r\n", |_| (), &["line 1", "two columns are named \"y\"", "rename one"]),
        (good, |s| s.label = vec!["Y".into()], &["data.label", "no column \"Y\"", "did you mean \"y\"?"]),
        (good, |s| s.ignore = vec!["y".into()], &["data.ignore", "column \"y\" is the label too"]),
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
fn a_label_is_known_by_its_name() {
    for (header, expected) in [
        ("label,p,q", Ok("label")),
        ("p,Target,q", Ok("Target")),
        ("p,CLASS,q", Ok("CLASS")),
        ("y,p,q", Ok("y")),
        ("p,q,r", Ok("r")),
        ("p,y,label", Ok("label")),
        // A place.
        ("x,y,price", Ok("price")),
        (
            "label,class,q",
            Err("has the columns \"label\" and \"class\", and each may be the label; say which"),
        ),
    ] {
        let found = read_text(&format!("{header}\n1,2,0\n3,4,1\n1,5,0\n"), |_| ());
        match (found, expected) {
            (Ok(raw), Ok(name)) => assert_eq!(raw.reading.labels()[0].name, name),
            (Err(error), Err(problem)) => assert!(error.contains(problem), "{error}"),
            (found, _) => panic!("{header}: {:?}", found.err()),
        }
    }
}

#[test]
fn numbers_have_a_decimal_point_or_comma() {
    let read = |text: &str, decimal| read_text(text, |settings| settings.decimal = decimal);
    for (text, decimal, expected) in [
        ("a;b;y\n0,5;3,25;low\n1,5;1.234,5;high\n", Decimal::Auto, [0.5, 3.25, 1.5, 1234.5]),
        ("0,5;3,25;low\n1,5;4;high\n", Decimal::Auto, [0.5, 3.25, 1.5, 4.0]),
        ("a,b,y\n\"0,5\",2,low\n\"1,5\",3,high\n", Decimal::Comma, [0.5, 2.0, 1.5, 3.0]),
        ("a,b,y\n\"1,234\",2.5,low\n\"5,678\",3,high\n", Decimal::Point, [1234.0, 2.5, 5678.0, 3.0]),
        ("a,b,y\n\u{2212}1,2.5,low\n7,3,high\n", Decimal::Auto, [-1.0, 2.5, 7.0, 3.0]),
    ] {
        let raw = read(text, decimal).unwrap();
        assert!(raw.columns.iter().all(|column| column.vocabulary.is_none()), "{text}");
        assert_eq!([row(&raw, 0), row(&raw, 1)].concat(), expected, "{text}");
        assert!(
            matches!(&raw.labels, Some(Labels::Text { vocabulary, .. }) if *vocabulary == ["low", "high"])
        );
    }
    // A model reads its files alike.
    let raw = read("a;y\n0,5;1,5\n1,5;2,5\n1,7;3,5\n", Decimal::Auto).unwrap();
    assert_eq!(raw.reading.dialect().unwrap().decimal, Decimal::Comma);
    assert!(matches!(&raw.labels, Some(Labels::Numbers { values, .. }) if *values == [1.5, 2.5, 3.5]));
    // Points and commas in one file: nobody knows.
    let error = read("a;b;y\n0,5;3.25;low\n1,5;4.25;high\n", Decimal::Auto).err().unwrap();
    assert!(error.contains("column \"a\"") && error.contains("data.decimal"), "{error}");
}

#[test]
fn all_columns_that_need_a_decision_are_in_one_report() {
    let lines: String = (0..30).map(|i| format!("name{i},\"1,{i:03}\",{i},{},x\n", i % 3)).collect();
    let text = format!("who,price,mixed,z,kind\n{lines}last,\"1,000\",n.v.,1,y\n");
    let error = read_text(&text, |_| ()).err().unwrap();
    for part in [
        "t.csv: 3 columns need a decision:",
        "\n  column \"who\": holds 31 different texts in 31 lines",
        "\n  column \"price\": holds texts that look like numbers, such as \"1,000\"",
        "\n  line 32, column \"mixed\": \"n.v.\" is text, but 30 of",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn lines_longer_than_the_first_look_are_read_whole() {
    let columns = 30_000;
    let names: Vec<String> = (0..columns).map(|column| format!("gene{column:09}")).collect();
    let numbers = |row: usize| (0..columns).map(|_| (row % 3).to_string()).collect::<Vec<_>>().join(",");
    let lines: String = (0..4).map(|row| format!("{},{}\n", numbers(row), row % 2)).collect();
    let raw = read_text(&format!("{},y\n{lines}", names.join(",")), |_| ()).unwrap();
    assert_eq!((raw.columns.len(), raw.samples()), (columns, 4));
    let raw = read_text(&lines.repeat(8), |_| ()).unwrap();
    assert_eq!((raw.columns.len(), raw.samples()), (columns, 32));
    // A name, and a document, that the first look would cut.
    let long = "word, ".repeat(60_000);
    let raw = read_text(&format!("a,b,{}\n1,2,0\n3,4,1\n", "n".repeat(300_000)), |_| ()).unwrap();
    assert_eq!(raw.reading.labels()[0].name.len(), 300_000);
    let raw = read_text(&format!("\"{long}\n{long}\",x\n\"{long}\",y\na,x\n"), |settings| {
        settings.text = Some(toml::from_str("column = '1'").unwrap());
        settings.label = vec!["2".into()];
    });
    assert_eq!(raw.unwrap().samples(), 3);
}

#[test]
fn columns_without_a_name_are_left_out_if_they_say_nothing() {
    let raw = read_text(",0,1,species\n0,5,6,x\n1,7,8,y\n2,7,8,x\n", |_| ()).unwrap();
    assert_eq!((names(&raw), raw.samples()), (vec!["0", "1"], 3));
    assert!(raw.notes[0].contains("counts the lines, so it is left out"), "{:?}", raw.notes);
    // A delimiter at the end of each line.
    for text in ["a,b,y,\n1,2,0,\n3,4,1,\n", "1,2,0,\n3,4,1,\n"] {
        let raw = read_text(text, |_| ()).unwrap();
        assert_eq!((raw.columns.len(), raw.reading.labels()[0].position), (2, 2), "{text}");
        assert!(raw.notes[0].contains("column 4 has no name and holds nothing"), "{:?}", raw.notes);
    }
    // A name is a reason to keep a column; but it is told of.
    let raw = read_text("id,a,y\n1,5,0\n2,7,1\n3,7,0\n", |_| ()).unwrap();
    assert_eq!(names(&raw), ["id", "a"]);
    assert!(raw.notes[0].contains("\"id\" counts the lines"), "{:?}", raw.notes);
}

#[test]
fn labels_stay_apart_as_text_and_beyond_f64() {
    let vocabulary = |text: &str, label_type| {
        let raw = read_text(text, |settings| settings.label_type = label_type).unwrap();
        match raw.labels {
            Some(Labels::Text { vocabulary, .. }) => vocabulary,
            _ => panic!("these are numbers"),
        }
    };
    let zip = "a,zip\n1,01\n2,1\n3,01\n4,1\n";
    assert_eq!(vocabulary(zip, LabelType::Text), ["01", "1"]);
    for (label, code) in
        [("01", true), ("1e5", true), ("1e+05", false), ("0.1", false), ("0", false), ("10", false)]
    {
        let raw = read_text(&format!("a,y\n1,{label}\n2,2\n5,{label}\n"), |_| ()).unwrap();
        let note = format!(
            "column \"y\" holds {label:?} and is read as numbers; if these are codes, data.label_type"
        );
        assert_eq!(raw.notes.iter().any(|found| found.starts_with(&note)), code, "{:?}", raw.notes);
    }
    let ids = "a,id\n1,9007199254740993\n2,9007199254740992\n3,9007199254740993\n4,9007199254740992\n";
    assert_eq!(vocabulary(ids, LabelType::Auto), ["9007199254740993", "9007199254740992"]);
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

#[test]
fn layouts_of_other_programs_are_read() {
    let numbers = |raw: &Raw| (0..raw.samples()).map(|sample| row(raw, sample)).collect::<Vec<_>>().concat();
    for (text, delimiter) in [
        ("a,b,y\r1,2,0\r3,4,1\r", None),
        ("a,b,y\r\n1,2,0\r\n3,4,1\r\n", None),
        ("sep=;\r\na;b;y\r\n1;2;0\r\n3;4;1\r\n", None),
        ("\u{feff}sep=|\na|b|y\n1|2|0\n3|4|1\n", None),
        ("   1    2  0\n   3\t 4  1  \n", Some(' ')),
        ("a  b  y\n1  2  0\n3  4  1\n", Some(' ')),
    ] {
        let raw = read_text(text, |settings| settings.delimiter = delimiter).unwrap();
        assert_eq!(numbers(&raw), [1.0, 2.0, 3.0, 4.0], "{text:?}");
        assert!(
            matches!(&raw.labels, Some(Labels::Numbers { values, .. }) if *values == [0.0, 1.0]),
            "{text:?}"
        );
    }
    // Lines keep their numbers.
    let error = read_text("sep=;\na;b;y\n1;2;0\n3;x;1\n5;6;0\n", |_| ()).err().unwrap();
    assert!(error.contains("line 4, column \"b\""), "{error}");
}

#[test]
fn lone_quotes_join_no_lines() {
    let lines = |lone: &str| -> String {
        (0..8).map(|i| format!("{}\t{lone}text {i}\n", ["ham", "spam"][i % 2])).collect()
    };
    let read = |text: &str, quote| {
        read_text(text, |settings| {
            settings.text = Some(toml::from_str("column = '2'").unwrap());
            settings.quote = quote;
        })
    };
    for lone in ["", "\"", "\"so\" "] {
        let raw = read(&lines(lone), Quote::Auto).unwrap();
        assert_eq!((raw.samples(), raw.reading.dialect().unwrap().quote), (8, lone.is_empty()), "{lone}");
    }
    let quoted = format!("\"kind\"\t\"text\"\n{}", lines("\""));
    assert!(read(&quoted, Quote::Auto).err().unwrap().contains("line 2: a quote that opens here"));
    assert!(read(&lines("\""), Quote::Yes).err().unwrap().contains("line 1: a quote that opens here"));
    // Where commas separate, nobody knows.
    let commas = lines("\"").replace('\t', ",");
    let error = read(&commas, Quote::Auto).err().unwrap();
    assert!(error.contains("line 1: a quote that opens here") && error.contains("data.quote"), "{error}");
    assert_eq!(read(&commas, Quote::No).unwrap().samples(), 8);
    // Cells that are quoted as a whole stay so, over lines too.
    let raw = read_text("a\tb\ty\n1\t\"2\"\t\"0\"\n\"3\"\t4\t1\n", |_| ()).unwrap();
    assert_eq!((row(&raw, 1), names(&raw)), (vec![3.0, 4.0], vec!["a", "b"]));
}

#[test]
fn what_looks_odd_is_noted() {
    for (cells, notes) in [
        (["red", "blue"], &[][..]),
        (["red", "RED"], &["column \"c\": \"red\" and \"RED\" differ in case alone"]),
        (["2024-01-05", "2024-01-06"], &["column \"c\" holds dates, read as 2 categories"]),
        (
            ["9007199254740992", "9007199254740993"],
            &["column \"c\" holds 9007199254740992 and 9007199254740993, which fall together in 64 bits"],
        ),
        // One boolean, however it is written.
        (["TRUE", "true"], &[]),
    ] {
        let raw = read_text(&format!("a,c,y\n1,{0},{0}\n7,{1},{1}\n", cells[0], cells[1]), |settings| {
            settings.ignore = vec!["a".into()];
        });
        let raw = raw.unwrap();
        let of_feature = raw.notes.iter().filter(|note| note.starts_with("column \"c\""));
        assert_eq!(of_feature.clone().count(), notes.len(), "{:?}", raw.notes);
        assert!(of_feature.zip(notes).all(|(note, start)| note.starts_with(start)), "{:?}", raw.notes);
        let kinds = if cells[0] == "TRUE" { 1 } else { 2 };
        assert!(matches!(&raw.labels, Some(Labels::Text { vocabulary, .. }) if vocabulary.len() == kinds));
    }
}
