//! A chart in the letters of the place where answers go: as wide as that, in its colours, in letters that it has.

use std::io::IsTerminal;

use rarefy::report::plot::{Chart, TextStyle};

use crate::output::Output;

/// Lines between the axes of a plot in the terminal.
const PLOT_HEIGHT: usize = 18;
/// The widest plot of letters.
const PLOT_WIDTH: usize = 110;

/// The plot for the place where the answer goes.
pub fn text_plot(chart: &Chart, output: &Output) -> String {
    let terminal = !output.json && std::io::stdout().is_terminal();
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    // The first of these that is set decides, as in the C library.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let locale = locale.unwrap_or_default().to_lowercase();
    let style = TextStyle {
        width: output.width().min(PLOT_WIDTH),
        height: PLOT_HEIGHT,
        has_colors: terminal && !is_set("NO_COLOR") && std::env::var("TERM").is_ok_and(|term| term != "dumb"),
        has_unicode: locale.contains("utf-8") || locale.contains("utf8"),
    };
    // Letters have one size and no bars.
    Chart { note: String::new(), ..chart.clone() }.to_text(&style)
}
