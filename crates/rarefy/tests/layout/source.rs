//! Source files: where they stand, and their text without comments and strings, in code and tests apart.

use std::path::Path;

/// A file of a crate's `src`.
pub struct File {
    /// The path from the root of the repository.
    pub path: String,
    /// The module it is, the crate's name first: `rarefy`, `data`, `csv`.
    pub module: Vec<String>,
    /// Its text without comments, strings and what stands behind `cfg(test)`.
    pub code: String,
    /// What stands behind `cfg(test)`.
    pub tests: String,
}

/// The files of all crates' `src` folders, in order of their paths.
pub fn files(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    for krate in list(&root.join("crates")) {
        let name = krate.file_name().unwrap().to_str().unwrap().replace('-', "_");
        let source = krate.join("src");
        for path in rust_files(&source) {
            let mut module = vec![name.clone()];
            let below = path.strip_prefix(&source).unwrap().with_extension("");
            module.extend(below.iter().map(|part| part.to_str().unwrap().to_string()));
            if ["lib", "main", "mod"].contains(&module.last().unwrap().as_str()) {
                module.pop();
            }
            let (code, tests) = apart(&plain(&std::fs::read_to_string(&path).unwrap()));
            let path = path.strip_prefix(root).unwrap().display().to_string();
            files.push(File { path, module, code, tests });
        }
    }
    move_test_modules(&mut files);
    files
}

/// The Rust files in a folder and below it, in order.
pub fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let below =
        list(folder).into_iter().flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn list(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// A file that its parent declares behind `cfg(test)`, and all below it, are tests as a whole.
fn move_test_modules(files: &mut [File]) {
    let mut test_modules = Vec::new();
    for file in files.iter() {
        for declared in file.tests.split("mod ").skip(1) {
            let name: String = declared.chars().take_while(|&c| is_word(c)).collect();
            if declared[name.len()..].starts_with(';') {
                test_modules.push([&file.module[..], &[name]].concat());
            }
        }
    }
    for file in files {
        if test_modules.iter().any(|module| file.module.starts_with(module)) {
            file.tests = std::mem::take(&mut file.code);
        }
    }
}

/// Whether a name may hold this character.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text without comments, and with nothing in its strings and characters.
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_after_word = out.ends_with(is_word);
        let raw = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r').filter(|_| !is_after_word);
        let hashes = raw.map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
        rest = if rest.starts_with("//") {
            &rest[rest.find('\n').unwrap_or(rest.len())..]
        } else if rest.starts_with("/*") {
            &rest[rest.find("*/").map_or(rest.len(), |end| end + 2)..]
        } else if let Some(inside) = raw.and_then(|raw| raw[hashes..].strip_prefix('"')) {
            let end = format!("\"{}", "#".repeat(hashes));
            out.push_str("\"\"");
            &inside[inside.find(&end).map_or(inside.len(), |at| at + end.len())..]
        } else if first == '"' {
            out.push_str("\"\"");
            after_quoted(&rest[1..], '"')
        } else if first == '\'' && is_character(&rest[1..]) {
            out.push_str("''");
            after_quoted(&rest[1..], '\'')
        } else {
            out.push(first);
            &rest[first.len_utf8()..]
        };
    }
    out
}

/// Whether a quote is of a character rather than of a lifetime.
fn is_character(after: &str) -> bool {
    let mut next = after.chars();
    next.next() == Some('\\') || next.next() == Some('\'')
}

fn after_quoted(inside: &str, quote: char) -> &str {
    let mut is_escaped = false;
    for (at, c) in inside.char_indices() {
        if c == quote && !is_escaped {
            return &inside[at + c.len_utf8()..];
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    ""
}

/// What is compiled always, and what stands behind `cfg(test)`: an item to its `;` or closing brace.
fn apart(plain: &str) -> (String, String) {
    let (mut code, mut tests) = (String::new(), String::new());
    let mut pieces = plain.split("#[cfg(test)]");
    code.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let mut depth = 0;
        let end = piece.char_indices().find_map(|(at, c)| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            (depth == 0 && (c == ';' || c == '}')).then_some(at + 1)
        });
        let (test, after) = piece.split_at(end.unwrap_or(piece.len()));
        tests.push_str(test);
        code.push_str(after);
    }
    (code, tests)
}
