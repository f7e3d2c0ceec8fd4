//! Texts from files to samples, the whole way.

use std::path::Path;

use super::*;
use crate::data::dataset::{Features, Targets};
use crate::data::load::{load, load_readable, load_with};
use crate::data::prepare::Loaded;
use crate::data::settings::DataSettings;
use crate::data::splits::Splits;
use crate::tiles::Shape;

const CLASSES: [&str; 2] = ["sport", "weather"];

fn document(number: usize) -> String {
    let topic = [["cup", "goal", "match"], ["rain", "sun", "wind"]][number % 2];
    format!("The {} and the {}, again", topic[number % 3], topic[(number + 1) % 3])
}

fn settings(path: &Path, text: Option<&str>) -> DataSettings {
    DataSettings {
        path: path.to_str().unwrap().into(),
        text: text.map(|text| toml::from_str(text).unwrap()),
        ..DataSettings::default()
    }
}

/// The same 40 documents as a table, as JSON lines, and as a file each.
fn write(folder: &Path) -> [std::path::PathBuf; 3] {
    let paths = [folder.join("d.tsv"), folder.join("d.jsonl"), folder.join("d")];
    let (mut table, mut lines) = (String::from("id\ttext\tlabel\n"), String::new());
    for number in 0..40 {
        // By class and then by name, as files are read.
        let number = if number < 20 { 2 * number } else { 2 * number - 39 };
        let (text, label) = (document(number), CLASSES[number % 2]);
        table += &format!("{number}\t{text}\t{label}\n");
        lines += &format!("{}\n", serde_json::json!({ "text": text, "label": label }));
        let class = paths[2].join(label);
        std::fs::create_dir_all(&class).unwrap();
        std::fs::write(class.join(format!("{number:02}.txt")), text).unwrap();
    }
    std::fs::write(&paths[0], table).unwrap();
    std::fs::write(&paths[1], lines).unwrap();
    paths
}

#[test]
fn tables_lines_and_files_give_the_same_samples() {
    let folder = tempfile::tempdir().unwrap();
    let [table, lines, files] = write(folder.path());
    for text in [
        "bag.weighting = 'counts'",
        "tokens = {}",
        "tokens.kind = 'byte-pairs'",
        "tokens.kind = 'characters'",
    ] {
        let read = |path: &Path| load(&settings(path, Some(text)), 3).unwrap();
        let splits = read(&table);
        for other in [read(&lines), read(&files)] {
            assert_eq!(other.train, splits.train, "{text}");
            assert_eq!((other.validation, other.test), (splits.validation.clone(), splits.test.clone()));
        }
        let sizes = [&Some(splits.train.clone()), &splits.validation, &splits.test]
            .map(|part| part.as_ref().unwrap().len());
        assert_eq!(sizes, [28, 4, 8]);
        assert_eq!(splits.preparation.classes, CLASSES);
        let parts: Vec<&str> = splits.text.iter().map(|(part, _)| *part).collect();
        assert_eq!(parts, ["training", "validation", "test"]);
        assert!(splits.text.iter().all(|(_, counts)| counts.unknown == 0 && counts.truncated == 0));
        let json = serde_json::to_string(&splits.preparation).unwrap();
        assert_eq!(serde_json::from_str::<super::super::Preparation>(&json).unwrap(), splits.preparation);
    }
}

#[test]
fn a_bag_is_sparse_with_a_word_for_each_input() {
    let folder = tempfile::tempdir().unwrap();
    let [table, ..] = write(folder.path());
    let Splits { train, preparation, .. } =
        load(&settings(&table, Some("bag.weighting = 'counts'")), 3).unwrap();
    assert_eq!(
        preparation.input_names(),
        ["again", "and", "cup", "goal", "match", "rain", "sun", "the", "wind"]
    );
    let Features::Sparse(rows) = &train.features else { panic!("sparse") };
    assert_eq!((rows.features(), rows.rows(), rows.nnz()), (9, 28, 28 * 5));
    assert_eq!(rows.row(0).1, [1.0, 1.0, 1.0, 1.0, 2.0]);
    assert!(train.lengths.is_empty());
}

#[test]
fn tokens_are_ids_in_order_and_batches_hold_them_with_their_lengths() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.csv");
    std::fs::write(&path, "text,label\na b,x\na b a,y\nb,x\na,y\n").unwrap();
    let mut given = settings(&path, Some("tokens.min_count = 1"));
    (given.validation_fraction, given.test_fraction) = (0.0, 0.0);
    let splits = load(&given, 1).unwrap();
    let ids = |ids: &[u32]| Features::Tokens { ids: ids.to_vec(), vocabulary: 6 };
    assert_eq!(splits.train.features, ids(&[4, 5, 0, 4, 5, 4, 5, 0, 0, 4, 0, 0]));
    assert_eq!((&splits.train.lengths[..], splits.train.shape), (&[2, 3, 1, 1][..], Shape::sequence(3, 1)));
    assert_eq!(splits.train.subset(&[1]).features, ids(&[4, 5, 4]));
    let mut batch = super::super::Batch::new(&splits.train, 2);
    batch.fill(&splits.train, &[2, 0]);
    assert_eq!((batch.input.sample(0), batch.input.sample(1)), (vec![5.0, 0.0, 0.0], vec![4.0, 5.0, 0.0]));
    assert_eq!(batch.input.lengths(), [1, 2]);
    // Longer documents are refused, or cut if that was said.
    std::fs::write(&path, "text,label\na z,x\nb b b b,y\n").unwrap();
    let name = path.to_str().unwrap();
    let error = load_with(&splits.preparation, name, true).unwrap_err().to_string();
    assert!(
        error.contains(
            "line 3: the document has 4 tokens and the context is 3; shorten it, or train with a larger data.text.tokens.context"
        ),
        "{error}"
    );
    let TextCoding::Tokens { tokenizer, context, .. } = splits.preparation.text().unwrap().clone() else {
        panic!()
    };
    let mut cutting = splits.preparation.clone();
    cutting.columns[0].coding =
        super::super::Coding::Text(TextCoding::Tokens { tokenizer, context, truncate: true });
    let Loaded { dataset, text, .. } = load_with(&cutting, name, true).unwrap();
    assert_eq!(dataset.features, ids(&[4, UNKNOWN, 0, 5, 5, 5]));
    let counts = TextCounts { documents: 2, characters: 10, tokens: 5, unknown: 1, truncated: 1 };
    assert_eq!(text, Some(counts));
    assert_eq!(counts.to_string(), "5 tokens, 1 of them unknown (20.0 %), 1 document cut");
}

#[test]
fn new_texts_need_no_labels_and_a_single_file_is_a_document() {
    let folder = tempfile::tempdir().unwrap();
    let [table, lines, files] = write(folder.path());
    let new = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let kinds = [
        (&table, new("n.tsv", "text\tid\nrain and wind\t1\n")),
        (&lines, new("n.jsonl", "{\"text\":\"rain and wind\"}\n")),
        (&files, new("n.txt", "rain and wind\n")),
    ];
    for (path, new) in &kinds {
        let preparation = load(&settings(path, Some("")), 3).unwrap().preparation;
        let found = load_with(&preparation, new, false).unwrap().dataset;
        let Features::Sparse(rows) = found.features else { panic!("sparse") };
        assert_eq!((rows.rows(), rows.nnz()), (1, 3), "{new}");
        for (_, other) in kinds.iter().filter(|(other, _)| other != path) {
            let error = load_with(&preparation, other, true).unwrap_err().to_string();
            assert!(
                error.contains("is not what the model was trained on") || error.contains("has no column"),
                "{error}"
            );
        }
    }
    let preparation = load(&settings(&files, None), 3).unwrap().preparation;
    let all = load_with(&preparation, files.to_str().unwrap(), true).unwrap().dataset;
    assert!(matches!(all.targets, Targets::Classes { labels, classes: 2 } if labels.len() == 40));
}

#[test]
fn columns_are_found_by_name_by_position_or_as_the_other_of_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.csv");
    let read = |text: &str, column: &str, label: &[&str]| {
        std::fs::write(&path, text).unwrap();
        let mut settings = settings(&path, Some(column));
        settings.label = label.iter().map(|name| name.to_string()).collect();
        (settings.validation_fraction, settings.test_fraction) = (0.0, 0.0);
        load(&settings, 1)
            .map(|splits| (splits.preparation.columns[0].name.clone(), splits.preparation.classes))
    };
    let bag = "bag.min_documents = 1";
    for (text, column, label) in [
        ("Label,Text\n0,a b\n1,c\n0,a\n1,c\n", bag, &[][..]),
        ("kind,words\n0,a b\n1,c\n0,a\n1,c\n", "column = 'words'\nbag.min_documents = 1", &[]),
        ("kind,words\n0,a b\n1,c\n0,a\n1,c\n", bag, &["kind"]),
        ("0,a b\n1,c\n0,a\n1,c\n", bag, &["1"]),
        ("0,9,a b\n1,9,c\n0,9,a\n1,9,c\n", "column = '3'\nbag.min_documents = 1", &["1"]),
    ] {
        assert_eq!(read(text, column, label).unwrap().1, ["0", "1"], "{text}");
    }
    for (text, column, label, problem) in [
        ("a,b,c\n1,2,x\n", bag, &[][..], "data.text.column: say which column holds the text; "),
        ("a,text,c\n1,t,x\n", bag, &[], "data.label: say which column holds the label; "),
        ("a,text\n1,t\n", bag, &["text"], "data.text.column: \"text\" is also the label"),
        ("a,text\n1,t\n", "column = 'txt'", &[], "has no column \"txt\"; did you mean \"text\"?"),
    ] {
        let error = read(text, column, label).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn empty_documents_are_named_or_left_out_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (table, lines, files) =
        (folder.path().join("d.csv"), folder.path().join("d.jsonl"), folder.path().join("d"));
    std::fs::write(&table, "text,label\na b,x\n\"\",y\n?!,x\nb c,x\na c,y\na,y\n").unwrap();
    let line = |text: &str, label: &str| format!("{}\n", serde_json::json!({ "text": text, "label": label }));
    let good = line("a b", "x") + &line("a c", "y") + &line("b c", "x") + &line("c", "y");
    std::fs::write(&lines, line(" ", "y") + &good + &line("...", "x")).unwrap();
    for (class, name, text) in [
        ("x", "1", "a b"),
        ("x", "2", "b c"),
        ("x", "3", "--"),
        ("y", "1", ""),
        ("y", "2", "a c"),
        ("y", "3", "c"),
    ] {
        std::fs::create_dir_all(files.join(class)).unwrap();
        std::fs::write(files.join(class).join(format!("{name}.txt")), text).unwrap();
    }
    for (path, place) in [(&table, "line 3: "), (&lines, "line 1: "), (&files, "3.txt: ")] {
        let mut given = settings(path, Some("bag.weighting = 'counts'"));
        (given.validation_fraction, given.test_fraction) = (0.0, 0.0);
        let error = load(&given, 1).unwrap_err().to_string();
        assert!(error.contains(&format!("{place}the document holds no words")), "{error}");
        assert!(error.contains("data.skip_bad"), "{error}");
        given.skip_bad = true;
        let splits = load(&given, 1).unwrap();
        assert_eq!((splits.train.len(), splits.skipped.len()), (4, 2), "{}", path.display());
        assert!(splits.skipped[0].problem.contains(place), "{}", splits.skipped[0].problem);
        let Targets::Classes { labels, .. } = &splits.train.targets else { panic!() };
        assert_eq!(labels.iter().sum::<u32>(), 2);
        let error = load_with(&splits.preparation, path.to_str().unwrap(), true).unwrap_err().to_string();
        assert!(error.contains("leave such documents out with data.skip_bad = true"), "{error}");
    }
    // For a model each keeps its place, also after a file that is no text.
    let mut given = settings(&files, Some("bag.weighting = 'counts'"));
    given.skip_bad = true;
    let preparation = load(&given, 1).unwrap().preparation;
    std::fs::write(files.join("x/1.txt"), b"\xff").unwrap();
    let kept = load_readable(&preparation, files.to_str().unwrap(), false).unwrap();
    let left_out: Vec<usize> = kept.skipped.iter().map(|file| file.position).collect();
    assert_eq!((kept.dataset.len(), left_out), (3, vec![0, 2, 3]));
    // Marks are characters.
    let given = DataSettings {
        skip_bad: true,
        ..settings(&table, Some("tokens = {kind = 'characters', min_count = 1}"))
    };
    assert_eq!(load(&given, 1).unwrap().skipped.len(), 1);
    std::fs::write(&table, "text,label\n.,x\n?,y\n").unwrap();
    let given = DataSettings { skip_bad: true, ..settings(&table, Some("")) };
    assert!(load(&given, 1).unwrap_err().to_string().contains("of all samples the document holds no words"));
}

#[test]
fn settings_that_do_nothing_for_texts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [table, lines, _] = write(folder.path());
    type Change = fn(&mut DataSettings);
    let cases: [(&Path, Change, &str); 6] = [
        (&table, |s| s.categorical = vec!["id".into()], "data.categorical: does nothing beside data.text"),
        (&table, |s| s.ignore = vec!["id".into()], "data.ignore: does nothing beside data.text"),
        (&table, |s| s.scale = super::super::Scale::MinMax, "data.scale: would make numbers"),
        (
            &table,
            |s| s.shape = Some(Shape { height: 1, width: 9, channels: 1 }),
            "data.shape: is for numbers without gaps",
        ),
        (&lines, |s| s.delimiter = Some(';'), "data.delimiter: is for CSV files"),
        (
            &lines,
            |s| s.label = vec!["a".into(), "b".into()],
            "data.label: a document of JSON lines has one label",
        ),
    ];
    for (path, change, problem) in cases {
        let mut settings = settings(path, Some(""));
        change(&mut settings);
        let error = load(&settings, 1).unwrap_err().to_string();
        assert!(error.contains(problem), "{problem}: {error}");
    }
    let error = load(&DataSettings { text: Some(TextSettings::default()), ..DataSettings::default() }, 1)
        .unwrap_err();
    assert!(error.to_string().contains("data.text: is for CSV files, JSON lines and text files"), "{error}");
}
