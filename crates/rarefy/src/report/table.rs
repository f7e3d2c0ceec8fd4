//! Tables of text, and those of metrics.

use comfy_table::{CellAlignment, Table, presets};

use crate::metrics::Hits;

/// A plain table, all columns but the first to the right.
pub fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    // The last column is padded too; nobody wants its spaces.
    table.lines().map(|line| line.trim_end().to_string()).collect::<Vec<_>>().join("\n")
}

/// Precision, recall and F1 of each class or label (`kind` says which), and how many samples have it and were predicted to.
pub fn hits_table(kind: &str, names: &[String], hits: &[Hits]) -> String {
    let rows = names.iter().zip(hits).map(|(name, hits)| {
        let figures = [hits.precision, hits.recall, hits.f1].map(|share| format!("{:.2} %", 100.0 * share));
        let mut row = vec![name.clone()];
        row.extend(figures);
        row.extend([hits.support.to_string(), hits.predicted.to_string()]);
        row
    });
    table(&[kind, "precision", "recall", "F1", "samples", "predicted"], rows)
}

/// How many samples of each class, a row each, were taken for which class; a dot for none.
pub fn confusion_table(names: &[String], confusion: &[Vec<usize>]) -> String {
    let mut header = vec!["true \\ predicted"];
    header.extend(names.iter().map(String::as_str));
    let cell = |&count: &usize| if count == 0 { ".".to_string() } else { count.to_string() };
    let rows = names.iter().zip(confusion).map(|(name, counts)| {
        let mut row = vec![name.clone()];
        row.extend(counts.iter().map(cell));
        row
    });
    table(&header, rows)
}
