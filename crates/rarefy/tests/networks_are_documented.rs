//! `docs/networks.md` names every layer with all its keys, every activation and every preset with its settings, and no
//! others; the network it shows can be built.

use std::collections::BTreeSet;
use std::path::Path;

use rarefy::kernels::Activation;
use rarefy::layers::{Choices, LayerSpec, NetworkSettings, Preset};
use rarefy::tiles::Shape;
use rarefy::train::ModelConfig;
use serde::de::DeserializeOwned;
use serde_json::json;

/// The names that a setting accepts, from the error that an unknown one gets.
fn accepted<T: DeserializeOwned + std::fmt::Debug>(value: serde_json::Value) -> BTreeSet<String> {
    let error = serde_json::from_value::<T>(value).unwrap_err().to_string();
    // unknown variant `?`, expected one of `a`, `b`
    assert!(error.starts_with("unknown"), "{error}");
    error.split('`').skip(3).step_by(2).map(String::from).collect()
}

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/networks.md")).unwrap()
}

/// The rows of the table under a heading: the name, and the second column.
fn rows(page: &str, heading: &str) -> Vec<(String, String)> {
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).expect("the section");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        (cells[1].split('`').nth(1).unwrap().to_string(), cells[2].trim().to_string())
    })
    .collect()
}

/// The words in backquotes, each with what follows it up to a comma.
fn keys(cell: &str) -> Vec<(String, String)> {
    let mut parts = cell.split('`').skip(1);
    std::iter::from_fn(|| {
        let (name, after) = (parts.next()?, parts.next().unwrap_or(""));
        Some((name.to_string(), after.trim().trim_end_matches(',').to_string()))
    })
    .collect()
}

#[test]
fn the_page_lists_layers_with_their_keys() {
    let documented = rows(&page(), "Layers");
    let names: BTreeSet<String> = documented.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, accepted::<LayerSpec>(json!({ "layer": "?" })));
    for (name, cell) in &documented {
        let expected = accepted::<LayerSpec>(json!({ "layer": name, "?": 0 }));
        let names: BTreeSet<String> = keys(cell).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, expected, "{name}");

        // A layer of which only the keys without a default are given has the defaults of the page.
        let mut given = json!({ "layer": name });
        for (key, default) in keys(cell) {
            if default.is_empty() {
                given[&key] = match key.as_str() {
                    "activation" => json!("relu"),
                    "body" => json!([]),
                    "branches" => json!([[]]),
                    "join" => json!("add"),
                    "kind" => json!("somebody's"),
                    _ => json!(1),
                };
            }
        }
        let layer: LayerSpec =
            serde_json::from_value(given).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = serde_json::to_value(layer).unwrap();
        for (key, default) in keys(cell).into_iter().filter(|(_, default)| !default.is_empty()) {
            let value = written[&key].as_str().map_or_else(|| written[&key].to_string(), String::from);
            assert_eq!(value, default, "{name}: {key}");
        }
    }
}

#[test]
fn the_page_lists_activations() {
    let names: BTreeSet<String> = rows(&page(), "Activations").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, accepted::<Activation>(json!("?")));
}

#[test]
fn the_page_lists_presets_with_their_settings() {
    let documented = rows(&page(), "Presets");
    let names: Vec<&str> = documented.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, Preset::ALL.map(Preset::name), "in the order of the code");
    assert_eq!(names.into_iter().map(String::from).collect::<BTreeSet<_>>(), accepted::<Preset>(json!("?")));
    for (preset, (name, cell)) in Preset::ALL.into_iter().zip(&documented).skip(1) {
        let Choices { width, depth, has_dropout } = preset.choices();
        let expected = [("width", width), ("depth", depth), ("dropout", has_dropout.then_some(0))];
        let expected: Vec<(String, String)> = expected
            .into_iter()
            .filter_map(|(key, default)| Some((key.to_string(), default?.to_string())))
            .collect();
        assert_eq!(keys(cell), expected, "{name}");
    }
    let written = toml::Table::try_from(NetworkSettings::default()).unwrap();
    let expected: Vec<&String> = written.keys().filter(|key| *key != "preset").collect();
    let found = keys(&documented[0].1);
    assert_eq!(found.iter().map(|(key, _)| key).collect::<Vec<_>>(), expected, "mlp");
}

#[test]
fn the_network_on_the_page_can_be_built() {
    let page = page();
    let text = page.split("```toml").nth(1).unwrap().split("```").next().unwrap();
    let settings: NetworkSettings = toml::from_str(text).unwrap();
    settings.spec(Shape { height: 28, width: 28, channels: 1 }, 10).unwrap();
}

#[test]
fn the_description_that_the_file_format_shows_can_be_read() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/file-format.md");
    let page = std::fs::read_to_string(page).unwrap();
    let shown = page.split("```json").nth(1).unwrap().split("```").next().unwrap();
    let config: ModelConfig = serde_json::from_str(shown).unwrap();
    config.network.check().unwrap();
    for key in serde_json::to_value(&config.preparation).unwrap().as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
}
