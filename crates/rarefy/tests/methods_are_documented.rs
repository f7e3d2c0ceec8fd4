//! `docs/methods.md` and `docs/training.md` name every method that settings offer, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use serde::de::DeserializeOwned;

/// The names that a setting accepts, from the error that an unknown one gets.
fn names<T: DeserializeOwned + std::fmt::Debug>() -> BTreeSet<String> {
    let error = serde_json::from_str::<T>("\"?\"").unwrap_err().to_string();
    // unknown variant `?`, expected one of `a`, `b`
    error.split('`').skip(3).step_by(2).map(String::from).collect()
}

/// The names in the first column of the table under a heading.
fn documented(text: &str, heading: &str) -> BTreeSet<String> {
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).expect("the section");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).unwrap().to_string()).collect()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)).unwrap()
}

#[test]
fn the_page_of_training_lists_losses_and_schedules() {
    let text = page("training.md");
    let mut losses = names::<rarefy::losses::LossMethod>();
    losses.remove("auto");
    assert_eq!(documented(&text, "Losses"), losses);
    for name in names::<rarefy::optimizers::ScheduleMethod>() {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_page_of_metrics_lists_them_and_which_way_they_get_better() {
    let text = page("metrics.md");
    for metric in rarefy::metrics::Metric::ALL {
        let better = if metric.is_higher_better() { "higher" } else { "lower" };
        let row = text.lines().find(|line| line.starts_with(&format!("| `{metric}` |")));
        let row = row.unwrap_or_else(|| panic!("no row for {metric}"));
        assert_eq!(row.split('|').nth(3).unwrap().trim(), better, "{metric}");
    }
}

#[test]
fn the_page_lists_what_there_is() {
    let text = page("methods.md");
    for (heading, names) in [
        ("Topology", names::<rarefy::topology::Method>()),
        ("Penalties", names::<rarefy::penalties::PenaltyMethod>()),
        ("Constraints", names::<rarefy::penalties::ConstraintMethod>()),
        ("Optimizers", names::<rarefy::optimizers::Method>()),
    ] {
        assert!(names.len() > 4, "{heading}: {names:?}");
        assert_eq!(documented(&text, heading), names, "{heading}");
    }
}
