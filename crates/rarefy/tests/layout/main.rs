//! The source's layout: modules import what the table in ARCHITECTURE.md allows, files do not import each other in a circle,
//! and no file is long. How long a function may be, and how many parameters it may have, clippy checks (`clippy.toml`).

mod imports;
mod source;

use std::path::{Path, PathBuf};

use imports::Imports;
use source::File;

/// Most lines of a file.
const MOST_LINES: usize = 600;

/// What tests may import beyond the table.
const TESTS_MAY: [&str; 1] = ["random"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What each module may import, by the table in ARCHITECTURE.md; `None` for all.
fn table() -> Vec<(String, Option<Vec<String>>)> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("| module | imports")).skip(2);
    let mut table = Vec::new();
    for line in lines.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        // What follows a colon or a semicolon explains.
        let imports = cells[1].split([':', ';']).next().unwrap();
        let imports = match imports {
            "all" => None,
            "nothing" => Some(Vec::new()),
            some => Some(some.split(", ").map(String::from).collect()),
        };
        for module in cells[0].split(", ") {
            table.push((module.trim_matches('`').to_string(), imports.clone()));
        }
    }
    table
}

/// A module just below the crate's root, and the root itself by an empty name.
fn top(file: &File) -> &str {
    file.module.get(1).map_or("", String::as_str)
}

#[test]
fn every_file_of_tests_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let promises = std::fs::read_to_string(folder.join("tests/promises.rs")).unwrap();
    for entry in std::fs::read_dir(folder.join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_run =
            manifest.contains(&format!("name = \"{name}\"")) || promises.contains(&format!("mod {name};"));
        assert!(is_run, "tests/{name} is neither in tests/promises.rs nor a [[test]] of Cargo.toml");
    }
}

#[test]
fn imports_follow_the_table() {
    let table = table();
    let files = source::files(&root());
    let mut wrong = Vec::new();
    for tests in [false, true] {
        let imports = Imports::read(&files, tests);
        for (at, file) in files.iter().enumerate() {
            if file.module[0] != "rarefy" || top(file).is_empty() {
                continue;
            }
            let Some((_, allowed)) = table.iter().find(|(module, _)| module == top(file)) else {
                wrong.push(format!("{}: {} is missing from the table", file.path, top(file)));
                continue;
            };
            let Some(allowed) = allowed else { continue };
            for other in imports.of(at) {
                let other = top(&files[other]);
                let may = other == top(file)
                    || ["", "error", "names"].contains(&other)
                    || allowed.iter().any(|module| module == other)
                    || tests && TESTS_MAY.contains(&other);
                if !may {
                    let who = if tests { "tests of " } else { "" };
                    wrong.push(format!("{}: {who}{} may not import {other}", file.path, top(file)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let files = source::files(&root());
    let line = |(file, used): (&usize, &Vec<usize>)| {
        let used: Vec<&str> = used.iter().map(|&other| files[other].path.as_str()).collect();
        format!("{} -> {}", files[*file].path, used.join(", "))
    };
    let circles = Imports::read(&files, false).circles();
    let lines: Vec<String> = circles.iter().flatten().map(line).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn no_file_is_long() {
    let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
    let all = source::rust_files(&root().join("crates"));
    let long: Vec<String> = all
        .iter()
        .map(|path| (path, lines(path)))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "above {MOST_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn imports_are_seen_in_all_their_forms() {
    let file = |module: &str, code: &str| File {
        path: module.to_string(),
        module: module.split("::").map(String::from).collect(),
        code: source::plain(code),
        tests: String::new(),
    };
    let files = [
        file("k", "mod a; mod b; pub use b::{One, Two as Three};"),
        file("k::a", "use crate::{b::inner, Three}; // crate::c::x"),
        file("k::b", "use crate::a;\nfn f<'a>() -> impl Fn() + use<'a> { a::g(\"crate::c::x\", '{') }"),
        file("k::b::inner", "fn f() { super::super::c::g() }"),
        file("k::c", "use std::fmt; pub use crate::d::{self, Deep};"),
        file("k::d", "fn f() { crate::c::Deep::new() }"),
        file("k::e", "use super::c::Deep;"),
    ];
    let imports = Imports::read(&files, false);
    let of = |at: usize| imports.of(at).into_iter().collect::<Vec<_>>();
    assert_eq!((of(1), of(2), of(3), of(6)), (vec![2, 3], vec![1], vec![4], vec![5]));
    // `d` asks `c` for what is its own, and `b` and its child are one.
    let circles: Vec<Vec<usize>> = imports.circles().into_iter().map(|it| it.into_keys().collect()).collect();
    assert_eq!(circles, [[1, 2]]);
}
