//! The settings as the library's source has them: structs whose fields have types and doc comments, and the values of enums. It relies
//! on the form that `cargo fmt` gives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A struct or an enum of the library; several may have one name.
struct Item {
    name: String,
    path: PathBuf,
    body: Vec<String>,
    /// Whether its variants are written with `-` between small words.
    is_kebab: bool,
}

/// A key of the settings, or a section of them.
pub struct Field {
    pub key: String,
    pub is_section: bool,
    /// What it may be, where the type says that in few words.
    pub values: String,
    /// The doc comment.
    pub meaning: String,
}

/// The fields of `Settings` and of the sections in it, in their order.
pub fn fields(source: &Path) -> Vec<Field> {
    let mut items = Vec::new();
    read(source, &mut items);
    let root = items.iter().find(|item| item.name == "Settings").expect("the settings are a struct");
    let mut fields = Vec::new();
    walk(root, "", &items, &mut fields);
    fields
}

fn read(folder: &Path, items: &mut Vec<Item>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, items);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            items.extend((0..lines.len()).filter_map(|at| item(&lines, at, &path)));
        }
    }
}

/// The item that begins in this line.
fn item(lines: &[&str], at: usize, path: &Path) -> Option<Item> {
    let line = lines[at].trim_start();
    let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))?;
    let name = rest.strip_suffix(" {")?.to_string();
    let margin = lines[at].len() - line.len();
    let end = format!("{}}}", " ".repeat(margin));
    let body = lines[at + 1..].iter().take_while(|line| **line != end);
    let attributes = lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with(['#', '/']));
    let is_kebab = attributes.clone().any(|line| line.contains("rename_all = \"kebab-case\""));
    let body = body.map(|line| line.trim().to_string()).collect();
    Some(Item { name, path: path.into(), body, is_kebab })
}

/// The item that a type in a file means: of those with the name, the one whose file is nearest.
fn find<'a>(name: &str, from: &Path, items: &'a [Item]) -> Option<&'a Item> {
    let shared = |path: &Path| path.components().zip(from.components()).take_while(|(a, b)| a == b).count();
    let last = name.rsplit("::").next().unwrap_or(name);
    let named = items.iter().filter(|item| item.name == last);
    named.max_by_key(|item| (item.path == from, shared(&item.path)))
}

fn walk(item: &Item, section: &str, items: &[Item], fields: &mut Vec<Field>) {
    let mut doc = Vec::new();
    for line in &item.body {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|line| line.split_once(": ")) {
            let kind = kind.trim_end_matches(',');
            let kind = kind.strip_prefix("Option<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind);
            let of = find(kind, &item.path, items);
            let key = format!("{section}{name}");
            let is_section = kind.ends_with("Settings") && of.is_some();
            // A link of rustdoc's is a word here.
            let meaning = doc.join(" ").replace("[`", "`").replace("`]", "`");
            let values = if is_section { String::new() } else { values(kind, of) };
            fields.push(Field { key: key.clone(), is_section, values, meaning });
            if let Some(inner) = of.filter(|_| is_section) {
                walk(inner, &format!("{key}."), items, fields);
            }
            doc.clear();
        }
    }
}

/// What a value of a type may be; nothing where its meaning has to say that.
fn values(kind: &str, of: Option<&Item>) -> String {
    match kind {
        "bool" => "`true` `false`".into(),
        "u32" | "u64" | "usize" => "whole number".into(),
        "f32" | "f64" => "number".into(),
        "String" => "text".into(),
        "char" => "character".into(),
        "Vec<String>" => "list of texts".into(),
        "Vec<usize>" => "list of whole numbers".into(),
        _ => of.map(variants).unwrap_or_default(),
    }
}

/// The names that the variants of an enum have in settings; nothing if one of them has none.
fn variants(item: &Item) -> String {
    let mut names = Vec::new();
    let mut renamed = None;
    for line in item.body.iter().map(|line| line.trim_end_matches(',')) {
        if let Some(name) = line.strip_prefix("#[serde(rename = \"") {
            renamed = name.strip_suffix("\")]").map(String::from);
        } else if line.starts_with(|c: char| c.is_ascii_uppercase()) {
            let written = line.split_once(" = \"").map(|(_, name)| name.trim_end_matches('"').to_string());
            // A variant with fields is no name.
            let is_plain = line.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let kebab = (item.is_kebab && is_plain).then(|| kebab(line));
            names.push(renamed.take().or(written).or(kebab).map(|name| format!("`{name}`")));
        }
    }
    let names: Option<Vec<String>> = names.into_iter().collect();
    names.unwrap_or_default().join(" ")
}

/// `MinMax` as `min-max`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if at > 0 && c.is_ascii_uppercase() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Keys and their defaults, where a run that sets nothing but opens a section has one.
pub fn defaults(sections: &[&str]) -> BTreeMap<String, toml::Value> {
    let mut found = BTreeMap::new();
    for section in sections {
        let settings: rarefy::Settings = toml::from_str(section).unwrap();
        flatten("", &toml::Value::try_from(settings).unwrap(), &mut found);
    }
    found
}

fn flatten(key: &str, value: &toml::Value, found: &mut BTreeMap<String, toml::Value>) {
    let toml::Value::Table(table) = value else {
        found.insert(key.into(), value.clone());
        return;
    };
    for (name, value) in table {
        let dot = if key.is_empty() { "" } else { "." };
        flatten(&format!("{key}{dot}{name}"), value, found);
    }
}
