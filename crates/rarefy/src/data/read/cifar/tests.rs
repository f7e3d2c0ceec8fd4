//! Batches of all four forms, good and bad.

use super::*;
use crate::data::{DataSettings, load};

/// The planes of an image: red, green and blue pixels that differ from place to place and image to image.
fn planes(image: u8) -> Vec<u8> {
    (0..IMAGE).map(|at| (at % PLANE) as u8 ^ (at / PLANE) as u8 ^ image).collect()
}

fn records(images: &[(&[u8], u8)]) -> Vec<u8> {
    images.iter().flat_map(|&(classes, image)| [classes, &planes(image)].concat()).collect()
}

/// A text as Python 2 pickles it.
fn text(text: &str) -> Vec<u8> {
    [b"U", &[text.len() as u8][..], text.as_bytes()].concat()
}

/// A batch as Python 2 pickled it (`cPickle`, protocol 2).
fn pickled(key: &str, classes: &[u8], by_columns: bool) -> Vec<u8> {
    let images: Vec<u8> = (0..classes.len() as u8).flat_map(planes).collect();
    let classes: Vec<u8> = classes.iter().flat_map(|&class| [b'K', class]).collect();
    [
        &b"\x80\x02}q\x01("[..],
        &text("batch_label"),
        b"q\x02",
        &text("training batch 1 of 5"),
        b"q\x03",
        &text(key),
        b"q\x04]q\x05(",
        &classes,
        b"e",
        &text("data"),
        b"q\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01",
        &[b'K', images.len().div_ceil(IMAGE) as u8],
        b"M\x00\x0c\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
        if by_columns { b"\x88" } else { b"\x89" },
        b"T",
        &(images.len() as u32).to_le_bytes(),
        &images,
        b"tbu.",
    ]
    .concat()
}

/// Names as Python 2 pickled them.
fn pickled_names(key: &str, names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| text(name)).collect();
    [&b"\x80\x02}q\x01"[..], &text(key), b"]q\x02(", &names, b"es."].concat()
}

#[test]
fn all_forms_give_the_same_images_with_the_names_of_their_classes() {
    let batch = |number: usize, end: &str| format!("data_batch_{number}{end}");
    let two = records(&[(&[1], 0), (&[0], 1)]);
    let two_coarse = records(&[(&[9, 1], 0), (&[8, 0], 1)]);
    let pickle = pickled("labels", &[1, 0], false);
    let many = |end: &str, contents: &[u8]| -> Vec<(String, Vec<u8>)> {
        (1..=5).map(|number| (batch(number, end), contents.to_vec())).collect()
    };
    let files = |more: [(&str, Vec<u8>); 2]| more.map(|(name, contents)| (name.to_string(), contents));
    let forms = [
        [
            &many(".bin", &two)[..],
            &files([("test_batch.bin", two.clone()), ("batches.meta.txt", b"plane\ncar\n\n".to_vec())]),
        ]
        .concat(),
        [
            &files([("train.bin", two_coarse.repeat(5)), ("test.bin", two_coarse.clone())])[..],
            &files([("fine_label_names.txt", b"plane\r\ncar\r\n".to_vec()), ("file.txt~", Vec::new())]),
        ]
        .concat(),
        [
            &many("", &pickle)[..],
            &files([
                ("test_batch", pickle.clone()),
                ("batches.meta", pickled_names("label_names", &["plane", "car"])),
            ]),
        ]
        .concat(),
        [
            &files([
                ("train", pickled("fine_labels", &[1, 0, 1, 0, 1, 0, 1, 0, 1, 0], false)),
                ("test", pickled("fine_labels", &[1, 0], false)),
            ])[..],
            &files([
                ("meta", pickled_names("fine_label_names", &["plane", "car"])),
                ("file.txt~", Vec::new()),
            ]),
        ]
        .concat(),
    ];
    for form in forms {
        let folder = tempfile::tempdir().unwrap();
        form.iter().for_each(|(name, contents)| std::fs::write(folder.path().join(name), contents).unwrap());
        let settings =
            DataSettings { path: folder.path().to_str().unwrap().into(), ..DataSettings::default() };
        let splits = load(&settings, 1).unwrap();
        assert_eq!(splits.preparation.classes, ["plane", "car"]);
        assert_eq!((splits.train.shape, splits.test.unwrap().len()), (SHAPE, 2));
        // By hand: pixel 3 of image 1 is 3 ^ 1 in the plane of red, and 3 ^ 1 ^ 1 and 3 ^ 2 ^ 1 in those of green and blue.
        let Source { train, test, .. } = read(folder.path()).unwrap();
        assert_eq!((train.samples(), test.as_ref().unwrap().samples()), (10, 2));
        let mut image = vec![0.0; IMAGE];
        train.copy_row(1, &mut image);
        assert_eq!(image[9..12], [2.0, 3.0, 0.0]);
        let Some(Labels::Text { codes, vocabulary }) = &train.labels else { panic!("classes have names") };
        assert_eq!((&codes[..2], &vocabulary[..]), (&[1, 0][..], &["plane", "car"].map(String::from)[..]));
        // A single batch is data too, and has the classes that lie beside it.
        let single = folder.path().join(&form[form.len() - 2].0);
        if form_of(&single).is_some() {
            assert_eq!(read(&single).unwrap().train.classes, ["plane", "car"]);
        }
    }
}

#[test]
fn damaged_batches_and_other_pickles_are_named_with_what_to_do() {
    let names = pickled_names("label_names", &["plane", "car"]);
    let good = pickled("labels", &[1, 0], false);
    let with = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|window| window == from).unwrap();
        [&good[..at], to, &good[at + from.len()..]].concat()
    };
    let two = records(&[(&[1], 0), (&[0], 1)]);
    for (name, contents, problem) in [
        ("test_batch.bin", two[..two.len() - 1].to_vec(), "not a whole number of images of 3073 bytes"),
        (
            "test_batch.bin",
            records(&[(&[0], 0), (&[7], 1)]),
            "sample 2: the label 7 is none of the 2 classes",
        ),
        ("test.bin", records(&[(&[0, 0], 0)]), "fine_label_names.txt"),
        ("test_batch", good[..good.len() - 1].to_vec(), "cut short"),
        ("test_batch", good[..300].to_vec(), "cut short"),
        ("test_batch", b"\x80\x02.".to_vec(), "its stack is empty"),
        ("test_batch", b"\x80\x02e".to_vec(), "no mark"),
        ("test_batch", b"\x80\x02Ka.".to_vec(), "no dictionary"),
        ("test_batch", b"\x80\x02}q\x01h\x02.".to_vec(), "calls what it has not named"),
        ("test_batch", b"\x80\x04i".to_vec(), "the instruction 0x69"),
        ("test_batch", pickled("labels", &[1, 0], true), "no array of bytes in row-major order"),
        ("test_batch", pickled("classes", &[1, 0], false), "no key \"labels\""),
        ("test_batch", with(b"K\x02M", b"K\x03M"), "2 labels and images of the shape [3, 3072]"),
        ("test_batch", with(b"u1", b"f4"), "no array of bytes"),
        ("test_batch", with(b"K\x01K\x00e", b"NK\x00e"), "no whole numbers"),
        ("model.pkl", good.clone(), "is a Python pickle; if it is a batch of CIFAR"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("batches.meta"), &names).unwrap();
        std::fs::write(folder.path().join("batches.meta.txt"), "plane\ncar\n").unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        let settings = DataSettings { path: path.to_str().unwrap().into(), ..DataSettings::default() };
        let error = load(&settings, 1).unwrap_err().to_string();
        assert!(
            error.contains(problem) && error.contains(folder.path().to_str().unwrap()),
            "{problem}: {error}"
        );
    }
    // A batch is missing.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data_batch_1.bin"), &two).unwrap();
    std::fs::write(folder.path().join("batches.meta.txt"), "plane\ncar\n").unwrap();
    let error = read(folder.path()).err().unwrap().to_string();
    assert!(error.contains("data_batch_2.bin: cannot open"), "{error}");
}
