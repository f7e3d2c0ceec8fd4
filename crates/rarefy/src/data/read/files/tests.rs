//! Finding and reading files, on folders made here.

use super::*;
use crate::data::raw::{LabelledFile, SkippedFile};
use crate::data::reading::Broken;

/// Makes empty files.
fn tree(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    root
}

/// The files of a part as `path=class`, relative to `root`.
fn shown(root: &Path, files: &[LabelledFile]) -> Vec<String> {
    let name = |file: &LabelledFile| file.path.strip_prefix(root).unwrap().display().to_string();
    files.iter().map(|file| format!("{}={}", name(file), file.class)).collect()
}

#[test]
fn a_folder_per_class_is_listed_by_name_with_hidden_files_passed_over() {
    let root = tree(&[
        "b/2.PNG",
        "b/3.jfif",
        "b/4.jpe",
        "b/deep/0.jpg",
        "a/z.jpeg",
        "a/.DS_Store",
        ".git/x",
        "README.md",
        "__MACOSX/a/._z.png",
        "a/Thumbs.db",
        "b/DESKTOP.INI",
    ]);
    assert_eq!(kind(root.path()).unwrap(), Some(Kind::Images));
    let found = list(root.path(), Kind::Images).unwrap();
    assert_eq!(found.classes, ["a", "b"]);
    assert_eq!(
        shown(root.path(), &found.parts.train),
        ["a/z.jpeg=0", "b/2.PNG=1", "b/3.jfif=1", "b/4.jpe=1", "b/deep/0.jpg=1"]
    );
    assert_eq!((found.parts.test, part_for_model(root.path(), Kind::Images).unwrap()), (None, None));
}

#[test]
fn a_text_is_a_sample_only_where_nothing_else_is() {
    let notes = tree(&["a/1.wav", "README.txt", "b/2.wav"]);
    assert_eq!(kind(notes.path()).unwrap(), Some(Kind::Audio));
    assert_eq!(list(notes.path(), Kind::Audio).unwrap().parts.train.len(), 2);
    let texts = tree(&["a/1.txt", "b/2.TXT"]);
    assert_eq!(kind(texts.path()).unwrap(), Some(Kind::Text));
    assert_eq!(
        shown(texts.path(), &list(texts.path(), Kind::Text).unwrap().parts.train),
        ["a/1.txt=0", "b/2.TXT=1"]
    );
    // One alone may be a table, a list, or (for a model) a document.
    let (alone, listed) = (texts.path().join("a/1.txt"), texts.path().join("list.txt"));
    std::fs::write(&alone, "a,b\n1,2\n").unwrap();
    std::fs::write(&listed, "path,label\na/1.txt,x\n").unwrap();
    assert_eq!((kind(&alone).unwrap(), kind(&listed).unwrap()), (None, Some(Kind::Text)));
    assert_eq!(list(&listed, Kind::Text).unwrap().classes, ["x"]);
    for path in [&alone, &listed] {
        let (files, _) = list_for_model(path, Kind::Text, false).unwrap();
        assert_eq!(files[0].path, alone);
    }
}

#[test]
fn train_and_test_folders_are_the_parts() {
    let root = tree(&["train/yes/1.wav", "train/no/2.wav", "test/yes/3.wav"]);
    assert_eq!(kind(root.path()).unwrap(), Some(Kind::Audio));
    assert_eq!(part_for_model(root.path(), Kind::Audio).unwrap(), Some(Part::Test));
    let found = list(root.path(), Kind::Audio).unwrap();
    assert_eq!(found.classes, ["no", "yes"]);
    assert_eq!(shown(root.path(), &found.parts.train), ["train/no/2.wav=0", "train/yes/1.wav=1"]);
    assert_eq!(shown(root.path(), &found.parts.test.unwrap()), ["test/yes/3.wav=1"]);
}

#[test]
fn parts_are_known_by_any_of_their_names_in_any_case() {
    for (train, validation, test) in [
        ("Train", None, Some("Test")),
        ("Training", None, Some("Testing")),
        ("seg_train", None, Some("seg_test")),
        ("TRAIN", Some("Val"), None),
        ("train", Some("valid"), Some("test")),
        ("training", Some("validation"), Some("testing")),
    ] {
        let parts = [Some(train), validation, test];
        let files: Vec<String> = parts
            .iter()
            .enumerate()
            .flat_map(|(number, part)| {
                part.map(|part| [format!("{part}/a/{number}.png"), format!("{part}/b/{number}.png")])
            })
            .flatten()
            .collect();
        let root = tree(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let found = list(root.path(), kind(root.path()).unwrap().unwrap()).unwrap();
        assert_eq!(found.classes, ["a", "b"], "{train}");
        let shown = |part: &Vec<LabelledFile>| shown(root.path(), part);
        let expected =
            |part: &str, number| vec![format!("{part}/a/{number}.png=0"), format!("{part}/b/{number}.png=1")];
        assert_eq!(shown(&found.parts.train), expected(train, 0));
        assert_eq!(found.parts.validation.as_ref().map(shown), validation.map(|part| expected(part, 1)));
        assert_eq!(found.parts.test.as_ref().map(shown), test.map(|part| expected(part, 2)));
        // A model is applied to the test part, or else to the validation part, or else to all, with labels or without.
        let classes = found.parts.for_model().len();
        let (unlabelled, _) = list_for_model(root.path(), Kind::Images, false).unwrap();
        assert_eq!((classes, unlabelled.len()), (2, 2));
    }
    // As an archive that holds each part twice.
    let root =
        tree(&["seg_train/seg_train/a/1.png", "seg_train/seg_train/b/1.png", "seg_test/seg_test/a/2.png"]);
    assert_eq!(kind(root.path()).unwrap(), Some(Kind::Images));
    assert_eq!(list(root.path(), Kind::Images).unwrap().classes, ["a", "b"]);
}

#[test]
fn folders_that_could_be_misread_are_refused_by_name() {
    for (files, at, problem) in [
        (&["a/1.png", "b/2.bmp"][..], "b/2.bmp", "is not a PNG or JPEG file"),
        (&["a/1.png", "b/2.wav"], "b/2.wav", "is not a PNG or JPEG file"),
        (&["a/1.png", "b/.hidden", "b/Thumbs.db"], "b", "holds no PNG or JPEG files"),
        (&["a/1.png", "2.png"], "2.png", "beside the folders of the classes"),
        (&["1.png"], "1.png", "beside the folders of the classes"),
        (&["train/a/1.png", "bus/2.png"], "bus", "where only a validation and a test part may"),
        (&["train/a/1.png", "Training/a/2.png"], "train", "is a training part, and so is"),
        (&["Test/a/1.png"], "", "holds a folder Test but no folder train"),
        (&["val/a/1.png", "test/a/1.png"], "", "no folder train"),
        (
            &["fit/a/1.png", "fit/b/1.png", "hold/a/1.png", "hold/b/1.png"],
            "",
            "all hold the same folders a, b",
        ),
        (&["train/a/1.png", "test/a/1.png", "val/b/1.png"], "val/b/1.png", "of the class \"b\", of which"),
        (&["train/a/1.png", "test/b/1.png"], "test/b/1.png", "of the class \"b\", of which"),
        (&["train/x.txt", "test/a/1.png"], "train", "holds no folders"),
    ] {
        let root = tree(files);
        let error =
            list(root.path(), Kind::Images).and_then(Listing::with_known_classes).unwrap_err().to_string();
        let place = root.path().join(at).display().to_string();
        assert!(
            error.starts_with(place.trim_end_matches('/')) && error.contains(problem),
            "{files:?}: {error}"
        );
    }
}

#[test]
fn a_list_names_files_labels_and_parts_in_any_order_of_columns() {
    let root = tree(&[]);
    let csv = root.path().join("list.csv");
    std::fs::write(
        &csv,
        "\"label\",split,path\r\nten,train,r/a.wav\r\n2,TEST,\"r/b, c.wav\"\n2,train,r/d.wav\n2,Val,r/e.wav\n",
    )
    .unwrap();
    assert_eq!(kind(&csv).unwrap(), Some(Kind::Audio));
    let found = list(&csv, Kind::Audio).unwrap();
    assert_eq!(found.classes, ["2", "ten"]);
    assert_eq!(shown(root.path(), &found.parts.train), ["r/a.wav=1", "r/d.wav=0"]);
    assert_eq!(shown(root.path(), &found.parts.test.unwrap()), ["r/b, c.wav=0"]);
    assert_eq!(shown(root.path(), &found.parts.validation.unwrap()), ["r/e.wav=0"]);
    std::fs::write(&csv, "path,label\na.png,x\n").unwrap();
    assert_eq!(kind(&csv).unwrap(), Some(Kind::Images));
    assert_eq!(list(&csv, Kind::Images).unwrap().parts.test, None);
    assert_eq!(part_for_model(&csv, Kind::Images).unwrap(), None);
}

#[test]
fn a_list_is_known_by_files_that_are_there_whatever_its_columns_are_called() {
    let root = tree(&["cold/0.png", "warm/1.png", "0.png"]);
    let csv = root.path().join("list.csv");
    for text in [
        "\u{feff}path,label\ncold/0.png,cold\nwarm/1.png,warm\n",
        "Filename,Label\ncold/0.png,cold\nwarm/1.png,warm\n",
        "path;label\ncold/0.png;cold\nwarm/1.png;warm\n",
        "label\timage\ncold\tcold/0.png\nwarm\twarm/1.png\n",
        "path,label,width\ncold/0.png,cold,16\nwarm/1.png,warm,16\n",
        ",path,label\n0,cold/0.png,cold\n1,warm/1.png,warm\n",
        "id,width,file,class\n0,16,cold/0.png,cold\n1,16,warm/1.png,warm\n",
        "file,weather\ncold/0.png,cold\nwarm/1.png,warm\n",
    ] {
        std::fs::write(&csv, text).unwrap();
        assert_eq!(kind(&csv).unwrap(), Some(Kind::Images), "{text}");
        let found = list(&csv, Kind::Images).unwrap();
        assert_eq!(shown(root.path(), &found.parts.train), ["cold/0.png=0", "warm/1.png=1"], "{text}");
        assert_eq!(found.classes, ["cold", "warm"]);
    }
    // Which column is the label, or the file, is not clear.
    for text in ["file,width,height\ncold/0.png,16,9\n", "file,thumbnail,label\ncold/0.png,0.png,cold\n"] {
        std::fs::write(&csv, text).unwrap();
        assert_eq!(kind(&csv).unwrap(), None, "{text}");
        assert_eq!(named_file(&csv).unwrap(), Some((1, "cold/0.png".into())));
    }
}

#[test]
fn other_tables_are_no_lists() {
    let root = tree(&[]);
    let csv = root.path().join("table.csv");
    for text in [
        "filename,label\na.wav,1\n",
        "path,label\n5,1\n",
        "path,label\n",
        "1,2\n3,4\n",
        "label,label\na.wav,b\n",
    ] {
        std::fs::write(&csv, text).unwrap();
        assert_eq!(kind(&csv).unwrap(), None, "{text}");
    }
}

#[test]
fn wrong_lines_of_a_list_are_named() {
    let root = tree(&[]);
    let csv = root.path().join("list.csv");
    for (text, problem) in [
        ("path,label\na.wav,\n", "line 2: has no path or no label"),
        ("path,label\na.wav,x\nb.wav,y,z\n", "line 3: has 3 cells"),
        ("path,label\na.wav,x\n\na.wav,y\n", "line 4: names \"a.wav\" again, as line 2"),
        ("path,label,split\na.wav,x,rest\n", "line 2: the split \"rest\" is unknown"),
        ("path,label,split\na.wav,x,test\n", "lists no training files"),
        ("file,label\na.wav,x\n", "needs a first line with path,label"),
    ] {
        std::fs::write(&csv, text).unwrap();
        let error = list(&csv, Kind::Audio).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn bad_files_end_the_reading_or_are_left_out_and_reported() {
    let files: Vec<LabelledFile> =
        (0..200).map(|i| LabelledFile { path: format!("{i}.png").into(), class: i % 3 }).collect();
    let bad_from = |first: u32| {
        move |file: &LabelledFile| {
            let number: u32 = file.path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            if number >= first && number.is_multiple_of(7) {
                Err(Error::data(&file.path, "is bad"))
            } else {
                Ok(number)
            }
        }
    };
    let read = |files, skip_bad, first| {
        read_all(files, Kind::Images, Broken::of(skip_bad), bad_from(first), |_| Ok(()))
    };
    let error = read(files.clone(), false, 1).unwrap_err().to_string();
    assert_eq!(error, "7.png: is bad; or leave such files out with data.skip_bad = true");
    let kept = read(files.clone(), true, 1).unwrap();
    let expected: Vec<u32> = (0..200).filter(|number| *number == 0 || number % 7 != 0).collect();
    assert_eq!(kept.contents, expected);
    assert!(kept.files.iter().zip(&expected).all(|(file, number)| file.class == number % 3));
    assert_eq!(kept.skipped.len(), 28);
    assert_eq!(
        kept.skipped[0],
        SkippedFile { path: "7.png".into(), problem: "7.png: is bad".into(), position: 7 }
    );
    let none = read(files[..1].to_vec(), true, 0).unwrap_err().to_string();
    assert_eq!(none, "0.png: is bad");
    // A file of another kind is one more that cannot be read.
    let note = LabelledFile { path: "note.txt".into(), class: 0 };
    let mixed = vec![files[1].clone(), note];
    let error = read(mixed.clone(), false, 7).unwrap_err().to_string();
    assert!(error.starts_with("note.txt: is not a PNG or JPEG file"), "{error}");
    assert_eq!(read(mixed, true, 7).unwrap().skipped[0].position, 1);
    // Of a single file there are no others to go on with.
    let one = read_all(files[7..8].to_vec(), Kind::Images, Broken::of(false), bad_from(1), |_| Ok(()));
    assert_eq!(one.unwrap_err().to_string(), "7.png: is bad");
}
