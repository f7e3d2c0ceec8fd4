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
    let far = write("far.csv", "a;1500;red\nb;2500;blue\n");
    let note = "column size: most of the numbers lie far beyond those of the training part";
    for verb in ["predict", "evaluate"] {
        let run = rarefy(&[verb, run, path_text(&far)]);
        assert!([run.stdout, run.stderr].iter().any(|out| text(out).contains(&format!("note: {note}"))));
        let object = object(&[verb, path_text(&folder.path().join("run")), path_text(&far)]);
        assert!(object["notes"][0].as_str().unwrap().starts_with(note));
    }
}

#[test]
fn ids_are_kept_beside_predictions_and_are_no_features() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let line = |i: usize| format!("c{i},{},{}\n", i % 7, ["a", "b"][i % 2]);
    let lines: String = (0..60).map(line).collect();
    let table = write("t.csv", format!("Order Id,size,label\n{lines}"));
    let new = write("new.csv", "size,Order Id,label\n1, x1 ,a\n2,\"x,2\",b\n".into());
    let bare = write("bare.csv", "size\n1\n".into());
    let (table, new, bare, run) =
        (path_text(&table), path_text(&new), path_text(&bare), folder.path().join("run"));
    let run = path_text(&run);
    let short = ["--epochs", "1", "--hidden", "8", "--batch-size", "16", "--run-dir", run];
    said(&[&["train", table, "--keep", "Order Id"], &short[..]].concat());

    let shown = said(&["predict", run, new]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines[0], lines.len()), ("Order Id,prediction", 3));
    assert!(lines[1].starts_with("x1,") && lines[2].starts_with("\"x,2\","), "{shown}");
    // Not all new files have it.
    assert!(said(&["predict", run, bare]).starts_with("prediction\n"));
    // What is asked for by name must be there.
    assert!(said(&["predict", run, new, "--keep", "label,1"]).starts_with("label,size,prediction\na,1,"));
    let message = refusal(&["predict", run, new, "--keep", "order_id"]);
    assert!(message.contains("--keep: ") && message.contains("did you mean \"Order Id\"?"), "{message}");

    let lines = said(&["predict", run, new, "--format", "jsonl", "--probabilities"]);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["Order Id"], "x1");
    let sum = first["probability_a"].as_f64().unwrap() + first["probability_b"].as_f64().unwrap();
    assert!((sum - 1.0).abs() < 1e-6 && first["prediction"].is_string(), "{first}");
    let file = folder.path().join("p.jsonl");
    said(&["predict", run, new, "--probabilities", "-o", path_text(&file)]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), lines);
    let answer = object(&["predict", run, new]);
    assert_eq!(answer["kept"][0]["cells"][1], "x,2");

    let message = refusal(&["predict", digits_run(), "digits", "--keep", "id"]);
    assert!(message.contains("--keep: is for CSV files and JSON lines"), "{message}");
}

#[test]
fn the_command_to_train_ends_what_data_shows() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("my table.csv");
    std::fs::write(&table, "id,size,it's,kind\n7,1,5,a\n9,2,6,b\n8,3,5,a\n6,4,1,b\n").unwrap();
    let table = path_text(&table);
    let flags = ["--label", "kind", "--ignore", "id,it's", "--set", "data.scale=none"];
    let shown = said(&[&["data", table], &flags[..]].concat());
    let command =
        format!("next     rarefy train '{table}' --label kind --ignore 'id,it'\\''s' --set data.scale=none");
    // A shell takes lines that end with a backslash as one.
    let shown = shown.replace("\\\n           ", "");
    assert_eq!(shown.lines().last(), Some(command.as_str()));
    let message = refusal(&["data", table, "--ignore", "id", "--keep", "id"]);
    assert!(message.contains("data.ignore: column \"id\" is in data.keep too"), "{message}");
    let message = refusal(&["data", table, "--ignore", "ib"]);
    assert!(message.contains("has no column \"ib\"; did you mean \"id\"?"), "{message}");
    let message = refusal(&["data", table, "--ignore", "kind"]);
    assert!(message.contains("column \"kind\" is the label too; name the label"), "{message}");
}

/// What a verb prints where a table comes through a pipe.
fn piped(arguments: &[&str], table: &[u8]) -> Output {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_rarefy"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(table).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn tables_come_through_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..60).map(|i| format!("{},{},{}\n", i % 7, i % 5, ["a", "b"][i % 2])).collect();
    let table = format!("size,age,label\n{lines}");
    let file = folder.path().join("t.csv");
    std::fs::write(&file, &table).unwrap();
    let run = folder.path().join("run");
    let run = path_text(&run);
    let flags = ["--epochs", "1", "--hidden", "8", "--batch-size", "16", "--run-dir", run];
    let trained = piped(&[&["train", "-"], &flags[..]].concat(), table.as_bytes());
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    let expected = said(&["predict", run, path_text(&file)]);
    for name in ["-", "/dev/stdin"].into_iter().filter(|name| *name == "-" || cfg!(unix)) {
        let found = piped(&["predict", run, name], table.as_bytes());
        assert_eq!((text(&found.stdout), text(&found.stderr)), (expected.as_str(), ""), "{name}");
    }
    let found = piped(&["data", "-", "--label", "label"], table.as_bytes());
    assert!(
        text(&found.stdout).contains("\nnext     rarefy train - --label label"),
        "{}",
        text(&found.stdout)
    );
    let scored = piped(&["evaluate", run, "-", "--json"], table.as_bytes());
    assert_eq!(serde_json::from_slice::<Value>(&scored.stdout).unwrap()["samples"], 60);
    for (table, problem) in [
        (&b""[..], "error: standard input: the file is empty"),
        (b"size,age,label\n1,2\n", "standard input, line 2: has 2 cells"),
    ] {
        let refused = piped(&["data", "-"], table);
        assert!(text(&refused.stderr).contains(problem), "{}", text(&refused.stderr));
    }
}

/// The crates that decode panic on some damaged files. That is an error like others, and no line of the panic is seen.
#[test]
fn damaged_tables_are_errors_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t.parquet");
    let good = rarefy(&["predict", digits_run(), "digits", "--format", "parquet"]).stdout;
    let mut caught = 0;
    // Around the header of the page behind the dictionary.
    for at in 60..110 {
        let mut bytes = good.clone();
        bytes[at] = 0xff;
        std::fs::write(&table, bytes).unwrap();
        let output = rarefy(&["data", path_text(&table), "--label", "prediction"]);
        let error = text(&output.stderr);
        assert!(!error.contains("panicked") && !error.contains("RUST_BACKTRACE"), "{at}: {error}");
        assert!(output.status.code().is_some_and(|code| code < 2), "{at}: {error}");
        caught += usize::from(error.contains("its parts contradict each other"));
    }
    assert!(caught > 0, "none of these made the crates panic; damage others");
}
