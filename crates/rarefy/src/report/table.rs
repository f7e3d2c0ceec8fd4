//! Tables of text, as wide as their place, and those of metrics.

use comfy_table::{CellAlignment, ContentArrangement, presets};

use crate::metrics::Hits;

/// A table that leaves out columns where there is no room for all, and says which.
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// The columns that may be left out, by name, the first one first.
    spare: Vec<String>,
}

/// A plain table, all columns but the first to the right.
pub fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let header = header.iter().map(ToString::to_string).collect();
    Table { header, rows: rows.collect(), spare: Vec::new() }
}

impl Table {
    /// Says which columns are left out where there is no room, the least important first; after them it is the last one that goes.
    #[must_use]
    pub fn spare(self, columns: &[&str]) -> Table {
        Table { spare: columns.iter().map(ToString::to_string).collect(), ..self }
    }

    /// The table as text of at most so many columns of letters. Where even the first two of its columns are too wide, their cells are
    /// broken.
    pub fn text(&self, width: usize) -> String {
        let mut kept: Vec<usize> = (0..self.header.len()).collect();
        let mut left_out = Vec::new();
        while self.width(&kept) > width && kept.len() > 2 {
            let spare = self
                .spare
                .iter()
                .find_map(|name| kept.iter().position(|&column| column > 0 && self.header[column] == *name));
            let column = kept.remove(spare.unwrap_or(kept.len() - 1));
            left_out.push(self.header[column].trim().replace('\n', " "));
        }
        let mut table = self.of(&kept);
        // The blank at the end, which counts here, is cut off.
        let width = u16::try_from(width + 1).unwrap_or(u16::MAX);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        let text = table.lines().map(|line| line.trim_end().to_string()).collect::<Vec<_>>().join("\n");
        // A column without a name holds remarks.
        left_out.iter_mut().filter(|name| name.is_empty()).for_each(|name| *name = "remarks".into());
        if left_out.is_empty() { text } else { format!("{text}\n(no room for: {})", left_out.join(", ")) }
    }

    /// How wide these columns are, a blank on each side of a cell but at the line's end.
    fn width(&self, columns: &[usize]) -> usize {
        let widths = self.of(columns).column_max_content_widths();
        (widths.iter().map(|&width| usize::from(width) + 2).sum::<usize>()).saturating_sub(1)
    }

    fn of(&self, columns: &[usize]) -> comfy_table::Table {
        let pick = |row: &[String]| -> Vec<String> {
            columns.iter().map(|&column| row.get(column).cloned().unwrap_or_default()).collect()
        };
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_header(pick(&self.header));
        table.add_rows(self.rows.iter().map(|row| pick(row)));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// Precision, recall, F1 and average precision (AP) of each class or label (`kind` says which), and how many samples have it and were
/// predicted to.
pub fn hits_table(kind: &str, names: &[String], hits: &[Hits], average_precisions: &[Option<f64>]) -> Table {
    let rows = names.iter().zip(hits).zip(average_precisions).map(|((name, hits), average)| {
        let figures = [hits.precision, hits.recall, hits.f1].map(|share| format!("{:.2} %", 100.0 * share));
        let mut row = vec![name.clone()];
        row.extend(figures);
        row.push(average.map_or_else(|| "-".into(), |average| format!("{average:.4}")));
        row.extend([hits.support.to_string(), hits.predicted.to_string()]);
        row
    });
    table(&[kind, "precision", "recall", "F1", "AP", "samples", "predicted"], rows)
}

/// How many samples of each class, a row each, were taken for which class; a dot for none.
pub fn confusion_table(names: &[String], confusion: &[Vec<usize>]) -> Table {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_left_out_and_named() {
        let row = ["a layer", "12", "345", "x"].map(String::from).to_vec();
        let table = table(&["name", "in", "out", ""], [row].into_iter()).spare(&["out"]);
        for (width, expected) in [
            (80, " name     in  out\n a layer  12  345  x"),
            (20, " name     in  out\n a layer  12  345  x"),
            (19, " name     in\n a layer  12  x\n(no room for: out)"),
            (14, " name     in\n a layer  12\n(no room for: out, remarks)"),
        ] {
            assert_eq!(table.text(width), expected, "{width}");
        }
        let narrow = table.text(9);
        assert!(narrow.lines().take(3).all(|line| line.len() <= 9), "{narrow}");
    }
}
