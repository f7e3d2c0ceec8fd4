//! The dense row of a sweep over densities: what the same network does with every connection, so that the table tells
//! what sparsity costs.

use crate::layers::SparsitySettings;
use toml::Value;

use super::row::{Assignments, DENSITY, Lists, Repetitions, Row, SPARSITY, name_part, product};

/// Sections that say which connections live. A dense network has its own answer, as the dense twin of a run has.
const SPARSE: [&str; 5] = ["sparsity.", "topology.", "penalty.", "constraint.", "target."];

/// A dense row for each combination of the other lists; none if no list is of densities, if a row is dense already, or if
/// the settings cannot be dense (an optimizer that needs a penalty).
pub fn rows(base: &Assignments, lists: &Lists, sparse: &[Row], repetitions: &Repetitions) -> Vec<Row> {
    let is_density = |(key, _): &(String, Vec<Value>)| key == DENSITY || key == SPARSITY;
    let is_dense = |row: &Row| {
        row.runs.iter().all(|run| run.settings.sparsity.density == SparsitySettings::dense().density)
    };
    if !lists.iter().any(is_density) || sparse.iter().any(is_dense) {
        return Vec::new();
    }
    let is_kept = |key: &str| !SPARSE.iter().any(|section| key.starts_with(section));
    let base: Assignments = base.iter().filter(|(key, _)| is_kept(key)).cloned().collect();
    let lists: Lists = lists.iter().filter(|(key, _)| is_kept(key)).cloned().collect();
    let dense = [(DENSITY.to_string(), Value::Float(1.0)), ("topology.method".to_string(), "static".into())];
    let row = |choice: Assignments| {
        let rest = choice.iter().map(|(key, value)| name_part(key, value)).collect::<Vec<_>>().join("-");
        let name = if rest.is_empty() { "dense".to_string() } else { format!("dense-{rest}") };
        let keys = dense.iter().cloned().chain(choice).collect();
        Row::new(name, "dense".into(), rest, (&base, keys), repetitions).ok()
    };
    product(&lists).into_iter().filter_map(row).collect()
}
