//! Which file uses which: paths in the code, followed through `pub use` to the file that has the item.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{File, is_word};

/// The items that a file uses, as paths.
struct Uses {
    /// What each name of the file's `use` lines stands for; all of a module stands under `*`.
    names: BTreeMap<String, Vec<Vec<String>>>,
    /// The paths that stand elsewhere in the code.
    paths: Vec<Vec<String>>,
}

/// The imports of all files.
pub struct Imports<'a> {
    files: &'a [File],
    by_module: BTreeMap<&'a [String], usize>,
    uses: Vec<Uses>,
}

impl<'a> Imports<'a> {
    /// Reads the imports of all files, those of tests if `tests`.
    pub fn read(files: &'a [File], tests: bool) -> Imports<'a> {
        let uses = |file: &File| uses(if tests { &file.tests } else { &file.code });
        Imports {
            files,
            by_module: files.iter().enumerate().map(|(at, file)| (&file.module[..], at)).collect(),
            uses: files.iter().map(uses).collect(),
        }
    }

    /// The positions of the files that a file uses items of.
    pub fn of(&self, file: usize) -> BTreeSet<usize> {
        let uses = &self.uses[file];
        let paths = uses.names.values().flatten().chain(&uses.paths);
        paths.filter_map(|path| self.find(file, path, 0)).filter(|&other| other != file).collect()
    }

    /// The file that has what a path of `file` leads to; `None` outside of the crates.
    fn find(&self, file: usize, path: &[String], depth: usize) -> Option<usize> {
        let module = &self.files[file].module;
        let (mut start, mut rest) = (module.as_slice(), path);
        while let Some(first) = rest.first() {
            match first.as_str() {
                "crate" => start = &module[..1],
                "self" => {}
                "super" => start = &start[..start.len().saturating_sub(1)],
                _ => break,
            }
            rest = &rest[1..];
        }
        let is_relative = rest.len() == path.len();
        let found = self.descend(*self.by_module.get(start)?, rest, depth)?;
        // A name that is no module here and not imported is of another crate.
        (found != file || !is_relative).then_some(found)
    }

    /// The file that has an item of a module, or the item's own module.
    fn descend(&self, at: usize, rest: &[String], depth: usize) -> Option<usize> {
        const DEEPEST: usize = 8;
        let Some((name, after)) = rest.split_first() else { return Some(at) };
        let below = [&self.files[at].module[..], std::slice::from_ref(name)].concat();
        if let Some(&child) = self.by_module.get(below.as_slice()) {
            return self.descend(child, after, depth);
        }
        if depth < DEEPEST {
            for path in self.uses[at].names.get(name).into_iter().flatten() {
                let path = [path, after].concat();
                // `use x::x` would lead here again.
                if path != rest {
                    return self.find(at, &path, depth + 1).or(Some(at));
                }
            }
        }
        Some(at)
    }

    /// Groups of files that lead back to themselves, parents and children aside: each file with those of its group that it
    /// uses.
    pub fn circles(&self) -> Vec<BTreeMap<usize, Vec<usize>>> {
        let is_aside = |a: usize, b: usize| {
            let (a, b) = (&self.files[a].module, &self.files[b].module);
            a.starts_with(b) || b.starts_with(a)
        };
        let arrows: Vec<Vec<usize>> = (0..self.files.len())
            .map(|file| self.of(file).into_iter().filter(|&other| !is_aside(file, other)).collect())
            .collect();
        let reached: Vec<BTreeSet<usize>> = (0..arrows.len()).map(|file| reached(&arrows, file)).collect();
        let circle = |file: usize| -> Vec<usize> {
            reached[file].iter().copied().filter(|&other| reached[other].contains(&file)).collect()
        };
        let circles: BTreeSet<Vec<usize>> = (0..arrows.len()).map(circle).collect();
        let with_arrows = |circle: &Vec<usize>| {
            let used = |file: usize| arrows[file].iter().copied().filter(|it| circle.contains(it)).collect();
            circle.iter().map(|&file| (file, used(file))).collect()
        };
        circles.iter().filter(|circle| !circle.is_empty()).map(with_arrows).collect()
    }
}

fn reached(arrows: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = arrows[from].clone();
    while let Some(file) = open.pop() {
        if reached.insert(file) {
            open.extend(&arrows[file]);
        }
    }
    reached
}

/// Words and signs of a text.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

fn uses(code: &str) -> Uses {
    let tokens = tokens(code);
    let mut uses = Uses { names: BTreeMap::new(), paths: Vec::new() };
    let mut at = 0;
    while at < tokens.len() {
        // `use<'a>` is no import.
        if tokens[at] == "use" && tokens.get(at + 1) != Some(&"<") {
            at = tree(&tokens, at + 1, &[], &mut uses.names);
        } else if tokens[at].starts_with(is_word) && tokens.get(at + 1) == Some(&"::") {
            let mut path = vec![tokens[at].to_string()];
            at += 1;
            while tokens.get(at) == Some(&"::")
                && tokens.get(at + 1).is_some_and(|it| it.starts_with(is_word))
            {
                path.push(tokens[at + 1].to_string());
                at += 2;
            }
            uses.paths.push(path);
        }
        at += 1;
    }
    // A path may begin with a name that a `use` has brought.
    for path in &mut uses.paths {
        if let Some(full) = uses.names.get(&path[0]).and_then(|paths| paths.first()) {
            path.splice(..1, full.iter().cloned());
        }
    }
    uses
}

/// Reads `a::{b, c::d as e, *}` from a position on; returns the position after it.
fn tree(
    tokens: &[&str],
    mut at: usize,
    before: &[String],
    names: &mut BTreeMap<String, Vec<Vec<String>>>,
) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at).copied() {
            Some("::") => at += 1,
            Some("{") => {
                while tokens.get(at).is_some_and(|&token| token != "}") {
                    at = tree(tokens, at + 1, &path, names);
                }
                return at + 1;
            }
            Some("as") => {
                names.entry(tokens[at + 1].to_string()).or_default().push(path);
                return at + 2;
            }
            Some(token) if token.starts_with(is_word) || token == "*" => {
                // `a::{self}` is `a`.
                if token != "self" || path.is_empty() {
                    path.push(token.to_string());
                }
                at += 1;
            }
            _ => {
                if path.last().is_some_and(|last| last == "*") {
                    path.pop();
                    names.entry("*".to_string()).or_default().push(path);
                } else if let Some(last) = path.last() {
                    names.entry(last.clone()).or_default().push(path.clone());
                }
                return at;
            }
        }
    }
}
