//! Imports go down only: the table in ARCHITECTURE.md, enforced.

use std::path::Path;

/// Each module and what it may import, besides `error` (all may).
const TABLE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("metrics", &[]),
    ("math", &[]),
    ("random", &[]),
    ("tiles", &[]),
    ("sparse", &["random"]),
    ("kernels", &["math", "sparse", "tiles"]),
    ("convex", &["kernels", "random"]),
    ("data", &["random", "tiles"]),
    ("layers", &["kernels", "random", "sparse", "tiles"]),
    ("losses", &["math", "tiles", "random"]),
    ("optimizers", &["random"]),
    ("penalties", &["math", "random"]),
    ("topology", &["random", "sparse"]),
    ("control", &[]),
    ("report", &[]),
    (
        "train",
        &[
            "control",
            "convex",
            "data",
            "kernels",
            "layers",
            "losses",
            "metrics",
            "optimizers",
            "penalties",
            "random",
            "sparse",
            "tiles",
            "topology",
        ],
    ),
];

#[test]
fn imports_follow_the_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        if name == "lib" {
            continue;
        }
        let (_, allowed) = TABLE
            .iter()
            .find(|(module, _)| *module == name)
            .unwrap_or_else(|| panic!("module {name} is missing from the table"));
        for (file, text) in rust_files(&path) {
            for other in names.iter().filter(|other| **other != name && **other != "error") {
                if text.contains(&format!("crate::{other}::")) && !allowed.contains(other) {
                    wrong.push(format!("{file}: {name} may not import {other}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The files of a module, with their text up to the tests.
fn rust_files(path: &Path) -> Vec<(String, String)> {
    if path.is_dir() {
        return std::fs::read_dir(path)
            .unwrap()
            .flat_map(|entry| rust_files(&entry.unwrap().path()))
            .collect();
    }
    if path.extension().is_none_or(|extension| extension != "rs") {
        return Vec::new();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap().to_string();
    vec![(path.display().to_string(), code)]
}
