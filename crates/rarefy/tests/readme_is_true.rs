//! README's program in Rust is the one on the crate's first page, which runs as a test there.

use std::path::Path;

#[test]
fn readmes_program_is_the_crates_first_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (readme, page) = (read("../../README.md"), read("src/lib.rs"));
    let shown =
        readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
    let example = page.split("//! ```\n").nth(1).expect("an example");
    let lines = example.lines().filter(|line| !line.starts_with("//! # "));
    let expected: Vec<&str> = lines.map(|line| line.trim_start_matches("//!").trim_start()).collect();
    assert_eq!(shown.lines().map(str::trim_start).collect::<Vec<_>>(), expected);
}
