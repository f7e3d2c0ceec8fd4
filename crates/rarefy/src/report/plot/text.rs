//! A chart in the letters of a terminal: a grid of cells, one marker a point, labels where there is room.

use std::fmt::Write;

use super::{Chart, Look, Point, Span};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextStyle {
    /// Letters in a line; at least 40 are used.
    pub width: usize,
    /// Lines between the axes.
    pub height: usize,
    /// Whether it understands the codes for colours.
    pub has_colors: bool,
    /// Whether it shows more than ASCII.
    pub has_unicode: bool,
}

/// A cell: its letter and the place of its colour in the palette, if any.
type Cell = (char, Option<usize>);

/// What stands left and right of a point that is ringed, for one series of rings after the other, each further away.
const RINGS: [[char; 2]; 2] = [['(', ')'], ['[', ']']];

/// ANSI codes of the colours of series.
const PALETTE: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// The letters to draw with.
struct Letters {
    markers: &'static [char],
    dash: char,
    /// Of a level.
    dot: char,
    across: char,
    up: char,
    corner: char,
    notch: char,
}

const UNICODE: Letters = Letters {
    markers: &['●', '■', '▲', '◆', '▼', '○', '□', '△', '◇', '▽'],
    dash: '·',
    dot: '╌',
    across: '─',
    up: '│',
    corner: '└',
    notch: '┤',
};
const ASCII: Letters = Letters {
    markers: &['o', '#', '^', '*', 'v', 'x', '@', 'A', '%', 'V'],
    dash: '.',
    dot: '-',
    across: '-',
    up: '|',
    corner: '+',
    notch: '+',
};

impl Chart {
    /// The chart as lines of text, without a line break at the end.
    pub fn to_text(&self, style: &TextStyle) -> String {
        let letters = if style.has_unicode { &UNICODE } else { &ASCII };
        let (x, y) = self.spans();
        let height = style.height.max(4);
        let y_ticks = y.ticks((height / 2).min(8));
        let gutter = y_ticks.iter().map(|tick| tick.text.len()).max().unwrap_or(0);
        let width = style.width.max(40) - gutter - 2;
        let palette = self.palette_positions();
        let mut grid = Grid { cells: vec![vec![(' ', None); width]; height], x, y };
        for (series, &position) in self.series.iter().zip(&palette) {
            let shown: Vec<&Point> = series.points.iter().filter(|point| self.can_show(point)).collect();
            match series.look {
                Look::Markers | Look::Rings => {}
                Look::Line => shown
                    .windows(2)
                    .for_each(|ends| grid.line(ends[0], ends[1], (letters.dash, Some(position)))),
                Look::Dashes => {
                    shown.windows(2).for_each(|ends| grid.line(ends[0], ends[1], (letters.dash, None)));
                }
                Look::Level => shown.iter().for_each(|point| grid.level(point, letters.dot)),
            }
        }
        let marker = |position: usize| (letters.markers[position % letters.markers.len()], Some(position));
        let look = |index: usize| self.series[index].look;
        for (index, point) in self.shown().filter(|(index, _)| look(*index) == Look::Markers) {
            let (row, column) = grid.place(point);
            grid.cells[row][column] = marker(palette[index]);
        }
        let free = [' ', letters.dash, letters.dot];
        // Which ring each series has.
        let ring = |index: usize| {
            self.series[..index].iter().filter(|series| series.look == Look::Rings).count() % RINGS.len()
        };
        for (index, point) in self.shown().filter(|(index, _)| look(*index) == Look::Rings) {
            grid.ring(point, ring(index), palette[index], &free);
        }
        let labelled = |index: usize| matches!(look(index), Look::Markers | Look::Rings);
        for (_, point) in self.shown().filter(|(index, _)| labelled(*index)) {
            grid.label(point, &free);
        }

        let mut out = format!("{}\n", printable(&self.title));
        writeln!(out, "{:>gutter$} {}", "", printable(&self.y.label)).expect("a string");
        for (row, cells) in grid.cells.iter().enumerate() {
            let tick = y_ticks.iter().find(|tick| row_of(tick.place, height) == row);
            let edge = if tick.is_some() { letters.notch } else { letters.up };
            let text = tick.map_or("", |tick| &tick.text);
            writeln!(out, "{text:>gutter$} {edge}{}", paint(cells, style)).expect("a string");
        }
        let across = letters.across.to_string().repeat(width);
        writeln!(out, "{:>gutter$} {}{across}", "", letters.corner).expect("a string");
        writeln!(out, "{:>gutter$}  {}", "", x_line(&grid.x, width)).expect("a string");
        let indent = (gutter + 2 + width).saturating_sub(self.x.label.chars().count());
        writeln!(out, "{:indent$}{}", "", printable(&self.x.label)).expect("a string");
        let mut legend = Vec::new();
        for (index, (series, &position)) in self.series.iter().zip(&palette).enumerate() {
            let sign = match series.look {
                _ if series.name.is_empty() => continue,
                Look::Markers => vec![marker(position)],
                Look::Rings => RINGS[ring(index)].map(|letter| (letter, Some(position))).to_vec(),
                Look::Line => vec![(letters.dash, Some(position))],
                Look::Dashes => vec![(letters.dash, None)],
                Look::Level => vec![(letters.dot, None)],
            };
            legend.push(format!("{} {}", paint(&sign, style), printable(&series.name)));
        }
        write!(out, "{:>gutter$}  {}", "", legend.join("   ")).expect("a string");
        if !self.note.is_empty() {
            write!(out, "\n{:>gutter$}  {}", "", printable(&self.note)).expect("a string");
        }
        out
    }
}

/// The cells between the axes, the highest row first.
struct Grid {
    cells: Vec<Vec<Cell>>,
    x: Span,
    y: Span,
}

impl Grid {
    fn place(&self, point: &Point) -> (usize, usize) {
        let last = self.cells[0].len() - 1;
        let column = (self.x.place(point.x) * last as f64).round() as usize;
        (row_of(self.y.place(point.y), self.cells.len()), column.min(last))
    }

    /// A straight line of cells.
    fn line(&mut self, from: &Point, to: &Point, cell: Cell) {
        let ((row, column), (to_row, to_column)) = (self.place(from), self.place(to));
        let steps = row.abs_diff(to_row).max(column.abs_diff(to_column)).max(1);
        let between = |from: usize, to: usize, step: usize| {
            (from as f64 + (to as f64 - from as f64) * step as f64 / steps as f64).round() as usize
        };
        for step in 0..=steps {
            self.cells[between(row, to_row, step)][between(column, to_column, step)] = cell;
        }
    }

    /// A line from side to side at the height of a point, below everything else.
    fn level(&mut self, point: &Point, dot: char) {
        let (row, _) = self.place(point);
        self.cells[row].iter_mut().filter(|cell| cell.0 == ' ').for_each(|cell| *cell = (dot, None));
    }

    /// Brackets around a point, at a distance by which of the rings it is, where there is nothing else than lines.
    fn ring(&mut self, point: &Point, which: usize, position: usize, free: &[char]) {
        let (row, column) = self.place(point);
        let places = [column.checked_sub(which + 1), Some(column + which + 1)];
        for (place, letter) in places.into_iter().zip(RINGS[which]) {
            if let Some(cell) = place.and_then(|place| self.cells[row].get_mut(place))
                && free.contains(&cell.0)
            {
                *cell = (letter, Some(position));
            }
        }
    }

    /// Writes a point's label beside its marker, over what is `free` but over nothing else, or nowhere.
    fn label(&mut self, point: &Point, free: &[char]) {
        let label: Vec<char> = printable(&point.label).chars().collect();
        let (row, column) = self.place(point);
        let (length, width) = (label.len() as i64, self.cells[0].len() as i64);
        let (row, column) = (row as i64, column as i64);
        let starts = [
            (0, 2),
            (0, -1 - length),
            (-1, 1),
            (1, 1),
            (-1, -length),
            (1, -length),
            (-1, -length / 2),
            (1, -length / 2),
        ];
        for (down, right) in starts {
            let (row, start) = (row + down, column + right);
            if length == 0 || row < 0 || row >= self.cells.len() as i64 || start < 0 || start + length > width
            {
                continue;
            }
            let cells = &mut self.cells[row as usize];
            // One cell of air on either side.
            let around = (start - 1).max(0) as usize..(start + length + 1).min(width) as usize;
            let is_own = |at: usize| down == 0 && at as i64 == column;
            let is_free = |at: usize| free.contains(&cells[at].0) || is_own(at);
            if around.clone().all(is_free) {
                around.filter(|&at| !is_own(at)).for_each(|at| cells[at] = (' ', None));
                for (offset, &letter) in label.iter().enumerate() {
                    cells[start as usize + offset] = (letter, None);
                }
                return;
            }
        }
    }
}

fn row_of(place: f64, height: usize) -> usize {
    let last = height - 1;
    last - ((place * last as f64).round() as usize).min(last)
}

/// The numbers of the x axis, each centred under its place, those without room left out.
fn x_line(span: &Span, width: usize) -> String {
    let mut line = String::new();
    for tick in span.ticks((width / 9).max(2)) {
        let center = (tick.place * (width - 1) as f64).round() as usize;
        let start = center.saturating_sub(tick.text.len() / 2);
        let has_room = line.is_empty() || start > line.len();
        if has_room && start + tick.text.len() <= width {
            line.push_str(&" ".repeat(start - line.len()));
            line.push_str(&tick.text);
        }
    }
    line
}

/// Cells as text, spaces at the end cut off.
fn paint(cells: &[Cell], style: &TextStyle) -> String {
    let length = cells.iter().rposition(|cell| cell.0 != ' ').map_or(0, |last| last + 1);
    let mut out = String::new();
    for (letter, color) in &cells[..length] {
        match color {
            Some(position) if style.has_colors => {
                let code = PALETTE[position % PALETTE.len()];
                write!(out, "\x1b[{code}m{letter}\x1b[0m").expect("a string");
            }
            _ => out.push(*letter),
        }
    }
    out
}

/// Text without line breaks and codes that a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Series, example};
    use super::*;

    const PLAIN: TextStyle = TextStyle { width: 70, height: 12, has_colors: false, has_unicode: false };

    #[test]
    fn the_example_looks_like_this() {
        let expected = r#"
Accuracy & <size>
   test accuracy, %
98 +
   |                                            ........... dense #
   |                        .o rigl 0.05 .......
96 +                     ...
   |                   ..
   |                ...
94 +             ...
   |          ...
   |        ..
92 +     ...
   |   o rigl 0.01
   |
   +------------------------------------------------------------------
        1k       2k          5k        10k      20k         50k
                                                              nonzeros
    . Pareto front   o rigl   # dense
    marker area: seconds "per" epoch"#;
        let text = example().to_text(&PLAIN);
        assert_eq!(text, expected.trim_start(), "\n{text}");
    }

    #[test]
    fn points_stay_to_be_seen_in_rings_and_above_a_level() {
        let series = |name: &str, look, points: &[(f64, f64)]| Series {
            name: name.into(),
            look,
            points: points.iter().map(|&(x, y)| Point::at(x, y)).collect(),
        };
        let chart = Chart {
            title: "path".into(),
            note: String::new(),
            series: vec![
                series("dense", Look::Level, &[(1_000.0, 4.0)]),
                series("path", Look::Markers, &[(1.0, 1.0), (30.0, 3.0), (1_000.0, 3.0)]),
                series("best", Look::Rings, &[(30.0, 3.0)]),
                series("knee", Look::Rings, &[(30.0, 3.0)]),
            ],
            ..example()
        };
        let text = chart.to_text(&PLAIN);
        assert!(text.contains("[(o)]") && text.contains("- dense   o path   () best   [] knee"), "{text}");
        assert!(text.contains(&format!("+{}", "-".repeat(60))), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_colors_are_only_added() {
        for width in [40, 57, 80, 200] {
            let style = TextStyle { width, has_unicode: true, ..PLAIN };
            let text = example().to_text(&style);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            let colored = example().to_text(&TextStyle { has_colors: true, ..style });
            let mut stripped = String::new();
            for (index, piece) in colored.split('\x1b').enumerate() {
                stripped.push_str(if index == 0 { piece } else { piece.split_once('m').unwrap().1 });
            }
            assert!(colored.contains("\x1b[36m") && stripped == text, "{colored}");
        }
    }

    #[test]
    fn crowds_and_empty_charts_do_not_break_it() {
        let mut chart = example();
        chart.series = vec![Series {
            name: "crowd\u{7}".into(),
            look: Look::Markers,
            points: vec![Point { label: "a label".into(), ..Point::at(10.0, 1.0) }; 50],
        }];
        let text = chart.to_text(&PLAIN);
        assert!(text.contains("o a label") && !text.contains('\u{7}'), "{text}");
        chart.series.clear();
        chart.to_text(&TextStyle { width: 0, height: 0, ..PLAIN });
    }
}
