//! A cell of a file in a message.

/// Characters of a long one.
const MOST: usize = 60;

/// The cell in quotes, or its start alone if it is long.
pub(crate) fn shown(cell: &str) -> String {
    match cell.char_indices().nth(MOST) {
        None => format!("{cell:?}"),
        Some((end, _)) => format!("{:?}... ({} characters)", &cell[..end], cell.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cells_are_cut() {
        assert_eq!(shown("a\"b"), "\"a\\\"b\"");
        assert_eq!(shown(&"ä".repeat(60)), format!("\"{}\"", "ä".repeat(60)));
        assert_eq!(shown(&"7".repeat(300_000)), format!("\"{}\"... (300000 characters)", "7".repeat(60)));
    }
}
