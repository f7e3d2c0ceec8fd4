//! `rarefy data`, and how tables are read.

use super::*;

#[test]
fn data_describes_what_is_there() {
    let shown = said(&["data", "digits"]);
    assert!(shown.contains("classification, 10 classes") && shown.contains("####"), "{shown}");
    assert!(shown.contains("... and 34 more"), "{shown}");
    assert_eq!(said(&["data", "digits", "--all"]).lines().count(), shown.lines().count() + 33);
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), |i| ["yes", "no"][i % 2].to_string());
    let found =
        object(&["data", path_text(&table), "--label", "4", "--task", "classification", "--delimiter", ","]);
    assert_eq!((found["samples"].as_u64(), found["inputs"].as_u64()), (Some(60), Some(3)));
    assert_eq!(found["classes"][0]["samples"], 30);
    let message = refusal(&["data", path_text(&folder.path().join("none.csv"))]);
    assert!(message.contains("none.csv: there is no such file"), "{message}");
}

#[test]
fn tables_say_how_they_are_read_and_how_many_categories_are_new() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("label;size;colour\n{lines}")).unwrap();
        path
    };
    let line = |i: usize| format!("{};{},5;{}\n", ["a", "b"][i % 2], i % 7, ["red", "blue"][i % 2]);
    let table = write("t.csv", &(0..60).map(line).collect::<String>());
    let new = write("new.csv", "a;1,5;green\nb;2,5;blue\na;3,5;Red\n");
    let (table, new, run) = (path_text(&table), path_text(&new), folder.path().join("run"));
    let run = path_text(&run);
    let told =
        said(&["train", table, "--epochs", "1", "--hidden", "8", "--batch-size", "16", "--run-dir", run]);
    for told in [&said(&["data", table]), &told] {
        for words in [
            "label    label (by its name; --label chooses another)",
            "layout   line 1 names the columns, ';' between cells, decimal comma",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
    let found = object(&["data", table]);
    assert_eq!((&found["dialect"]["decimal"], &found["labels"][0]["name"]), (&",".into(), &"label".into()));
    let note = "note: column colour: 2 of 3 cells hold a category that training had not";
    assert!(text(&rarefy(&["predict", run, new]).stderr).contains(note));
    assert!(said(&["evaluate", run, new]).contains(note));
    for verb in ["predict", "evaluate"] {
        assert_eq!(object(&[verb, run, new])["unknown_categories"][0]["unknown"], 2);
    }
}
