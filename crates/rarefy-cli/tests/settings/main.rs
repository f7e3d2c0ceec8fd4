//! `docs/settings.md` tells of every setting what the library's source says of it, and `--print-config` shows them all. The page is
//! written from the source: `cargo test -p rarefy-cli --test settings -- --ignored`.

mod source;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::{Field, defaults, fields};

const HEAD: &str = "\
# Settings

Every key of a run's settings. `rarefy train --set key=value` sets one, `--config FILE` reads a TOML file of them, flags such as
`--epochs` are short for some; later ones win: defaults < `--config` < `--network` < `--set` < flags. `rarefy train DATA --print-config`
prints what a run would take as such a file, and every key that is not set as a comment. An unknown key is an error with a suggestion.
Sweeps of `rarefy compare` take the same keys.

```
rarefy train digits --set train.epochs=20 --set optimizer.method=sgd
rarefy train digits --print-config > run.toml
```

Where the default is `-`, nothing is set, and the meaning says what that does; penalties, topologies and optimizers then take what
[methods.md](methods.md) says of each. Numbers stand as they are, texts and names in quotes; on the command line quotes may be left out.

<!-- Written from the doc comments of the settings in crates/rarefy/src: cargo test -p rarefy-cli --test settings -- --ignored -->
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn keys() -> Vec<Field> {
    fields(&root().join("crates/rarefy/src"))
}

/// The page as the source says.
fn page() -> String {
    let defaults = defaults(&["", "[data.text.bag]", "[data.text.tokens]"]);
    let fields = keys();
    let sections = std::iter::once(("", "")).chain(
        fields
            .iter()
            .filter(|field| field.is_section)
            .map(|field| (field.key.as_str(), field.meaning.as_str())),
    );
    let mut page = HEAD.to_string();
    for (section, meaning) in sections {
        let is_within = |field: &&Field| {
            let parent = field.key.rsplit_once('.').map_or("", |(parent, _)| parent);
            !field.is_section && parent == section
        };
        let mut rows = fields.iter().filter(is_within).peekable();
        if rows.peek().is_none() {
            continue;
        }
        match section {
            "" => page += "\n## Above all sections\n",
            _ => write!(page, "\n## `[{section}]`\n\n{meaning}\n").unwrap(),
        }
        page += "\n| key | default | values | meaning |\n|---|---|---|---|\n";
        for field in rows {
            let default = defaults.get(&field.key).map_or("-".into(), |value| format!("`{value}`"));
            let [values, meaning] = [&field.values, &field.meaning].map(|text| text.replace('|', "\\|"));
            writeln!(page, "| `{}` | {default} | {values} | {meaning} |", field.key).unwrap();
        }
    }
    page
}

#[test]
fn the_page_tells_of_every_setting() {
    let found = std::fs::read_to_string(root().join("docs/settings.md")).unwrap_or_default();
    let page = page();
    let is_old = |line: &&str| !found.lines().any(|other| other == *line);
    let missing: Vec<&str> = page.lines().filter(is_old).collect();
    assert!(
        found == page,
        "docs/settings.md is not what the doc comments of the settings say; write it anew:\n  \
         cargo test -p rarefy-cli --test settings -- --ignored\nIt lacks {missing:#?}"
    );
}

#[test]
#[ignore = "writes docs/settings.md"]
fn write_the_page() {
    std::fs::write(root().join("docs/settings.md"), page()).unwrap();
}

/// Serde's own list of keys, from its error for an unknown one.
#[test]
fn the_source_is_read_rightly() {
    let fields = keys();
    let sections = fields.iter().filter(|field| field.is_section).map(|field| format!("{}.", field.key));
    for section in std::iter::once(String::new()).chain(sections) {
        let error = toml::from_str::<rarefy::Settings>(&format!("{section}no_such_key = 1")).unwrap_err();
        let names = error.message().split('`').skip(3).step_by(2);
        let known: BTreeSet<String> = names.map(|name| format!("{section}{name}")).collect();
        let is_within = |key: &&str| {
            key.strip_prefix(section.as_str()).is_some_and(|rest| !rest.contains('.') && !rest.is_empty())
        };
        let read: BTreeSet<String> =
            fields.iter().map(|field| field.key.as_str()).filter(is_within).map(String::from).collect();
        assert_eq!(read, known, "[{section}]: the page would be wrong");
    }
    let values = |key: &str| &fields.iter().find(|field| field.key == key).unwrap().values;
    assert_eq!(values("train.watch"), "`validation` `training`");
    assert!(values("topology.method").contains(" `rigl` "));
    assert!(values("optimizer.method").contains("adam"));
    assert_eq!(values("seed"), "whole number");
}

#[test]
fn print_config_shows_every_setting_and_is_read_again() {
    let printed = |more: &[&str]| {
        let arguments = [&["train", "digits", "--print-config"], more].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_rarefy")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    for more in [&[][..], &["--network", "lenet5", "--set", "data.text.column=body"], &["--penalty", "l1"]] {
        let text = printed(more);
        // Each key is set or told of, in its section.
        let (mut section, mut shown) = (String::new(), BTreeSet::new());
        for line in text.lines() {
            let line = line.trim_start_matches("# ");
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = format!("{name}.");
            } else if let Some((key, _)) = line.split_once(" = ") {
                shown.insert(format!("{section}{key}"));
            }
        }
        for field in keys().iter().filter(|field| !field.is_section) {
            assert!(shown.contains(&field.key), "{more:?}: {} is not in\n{text}", field.key);
        }
        std::fs::write(&file, &text).unwrap();
        assert_eq!(printed(&["--config", file.to_str().unwrap()]), text, "{more:?}");
    }
}
