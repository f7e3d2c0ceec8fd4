//! A chart as an SVG file: one self-contained picture, made for light pages, with a style that a viewer in dark mode
//! takes instead. Colours are those of Okabe and Ito, which people with colour blindness can tell apart; shapes repeat
//! what colours say.

use std::fmt::Write;

use super::{Chart, Look, Point, Span};

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 480.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 64.0;
const LEFT: f64 = 76.0;
/// To the right of the axes where there is no legend.
const RIGHT: f64 = 24.0;
/// The radius of an ordinary marker.
const RADIUS: f64 = 5.0;
/// The width of a letter of ordinary text, at most times.
const LETTER: f64 = 6.6;
/// The height of a line of text.
const LINE: f64 = 15.0;
/// Colours of series, in light and in dark.
const PALETTE: [(&str, &str); 7] = [
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff9248"),
    ("#009e73", "#3fd0a4"),
    ("#b04a8a", "#e39bc9"),
    ("#8c6d00", "#e6c229"),
    ("#5b5fc7", "#a5a8ff"),
    ("#a8323e", "#ff8b94"),
];
/// Greys: text, small text, grid, ground, in light and in dark.
const INK: (&str, &str) = ("#1f2328", "#e6edf3");
const SOFT: (&str, &str) = ("#59636e", "#9aa4af");
const FAINT: (&str, &str) = ("#e3e7ec", "#2b3138");
const GROUND: (&str, &str) = ("#ffffff", "#0d1117");

/// A rectangle, as left, top, right, bottom.
type Area = (f64, f64, f64, f64);

impl Chart {
    /// The chart as the text of an SVG file.
    pub fn to_svg(&self) -> String {
        let picture = Picture::new(self);
        let mut out = String::new();
        picture.write(&mut out).expect("a string can be written to");
        out
    }
}

/// A chart with the places of its parts.
struct Picture<'a> {
    chart: &'a Chart,
    x: Span,
    y: Span,
    right: f64,
    palette: Vec<usize>,
}

impl<'a> Picture<'a> {
    fn new(chart: &'a Chart) -> Picture<'a> {
        let (x, y) = chart.spans();
        let longest = chart.series.iter().map(|series| series.name.chars().count()).max().unwrap_or(0);
        let legend = if longest == 0 { 0.0 } else { 34.0 + LETTER * longest.min(32) as f64 };
        Picture { chart, x, y, right: WIDTH - RIGHT - legend, palette: chart.palette_positions() }
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let title = escape(&self.chart.title);
        writeln!(
            out,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12">"#
        )?;
        writeln!(out, "<title>{title}</title>")?;
        self.write_style(out)?;
        writeln!(out, r#"<rect width="{WIDTH}" height="{HEIGHT}" class="ground" fill="{}"/>"#, GROUND.0)?;
        let ink = INK.0;
        writeln!(
            out,
            r#"<text x="{LEFT}" y="28" class="ink" fill="{ink}" font-size="16" font-weight="600">{title}</text>"#
        )?;
        self.write_axes(out)?;
        self.write_legend(out)?;
        self.write_lines(out)?;
        self.write_markers(out)?;
        self.write_labels(out)?;
        writeln!(out, "</svg>")
    }

    /// What dark mode changes; light colours are attributes, for viewers that know no style sheets.
    fn write_style(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "<style>@media (prefers-color-scheme: dark) {{")?;
        for (class, (_, dark)) in [("ink", INK), ("soft", SOFT), ("ground", GROUND)] {
            write!(out, " .{class} {{ fill: {dark} }}")?;
        }
        write!(
            out,
            " .faint {{ stroke: {} }} .frame {{ stroke: {} }} .edge {{ stroke: {} }}",
            FAINT.1, SOFT.1, GROUND.1
        )?;
        for (position, (_, dark)) in PALETTE.iter().enumerate() {
            write!(out, " .fill{position} {{ fill: {dark} }} .stroke{position} {{ stroke: {dark} }}")?;
        }
        writeln!(out, " }}</style>")
    }

    fn write_axes(&self, out: &mut String) -> std::fmt::Result {
        let (right, bottom, soft, faint) = (self.right, HEIGHT - BOTTOM, SOFT.0, FAINT.0);
        let center = 0.5 * (LEFT + right);
        for tick in self.x.ticks(8) {
            let x = LEFT + tick.place * (right - LEFT);
            writeln!(
                out,
                r#"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}" class="faint" stroke="{faint}"/><text x="{x:.1}" y="{:.1}" text-anchor="middle" class="soft" fill="{soft}">{}</text>"#,
                bottom + 18.0,
                tick.text
            )?;
        }
        for tick in self.y.ticks(8) {
            let y = bottom - tick.place * (bottom - TOP);
            writeln!(
                out,
                r#"<line x1="{LEFT}" y1="{y:.1}" x2="{right:.1}" y2="{y:.1}" class="faint" stroke="{faint}"/><text x="{:.1}" y="{:.1}" text-anchor="end" class="soft" fill="{soft}">{}</text>"#,
                LEFT - 8.0,
                y + 4.0,
                tick.text
            )?;
        }
        writeln!(
            out,
            r#"<path d="M{LEFT} {TOP}V{bottom}H{right:.1}" class="frame" fill="none" stroke="{soft}"/>"#
        )?;
        let (ink, middle) = (INK.0, 0.5 * (TOP + bottom));
        writeln!(
            out,
            r#"<text x="{center:.1}" y="{:.1}" text-anchor="middle" class="ink" fill="{ink}">{}</text>"#,
            bottom + 38.0,
            escape(&self.chart.x.label)
        )?;
        writeln!(
            out,
            r#"<text x="20" y="{middle:.1}" text-anchor="middle" transform="rotate(-90 20 {middle:.1})" class="ink" fill="{ink}">{}</text>"#,
            escape(&self.chart.y.label)
        )?;
        writeln!(
            out,
            r#"<text x="{LEFT}" y="{:.1}" class="soft" fill="{soft}" font-size="11">{}</text>"#,
            HEIGHT - 8.0,
            escape(&self.chart.note)
        )
    }

    fn write_legend(&self, out: &mut String) -> std::fmt::Result {
        let x = self.right + 22.0;
        let named = self.chart.series.iter().zip(&self.palette).filter(|(series, _)| !series.name.is_empty());
        for (row, (series, &position)) in named.enumerate() {
            let y = TOP + 8.0 + 20.0 * row as f64;
            match series.look {
                look @ (Look::Markers | Look::Rings) => {
                    write_shape(out, Mark::new(look, position), x, y, RADIUS)?
                }
                look => write_path(out, look, position, &[(x - 9.0, y), (x + 9.0, y)])?,
            }
            let name: String = match series.name.chars().count() {
                0..=32 => series.name.clone(),
                _ => series.name.chars().take(31).chain(['…']).collect(),
            };
            writeln!(
                out,
                r#"<text x="{:.1}" y="{:.1}" class="ink" fill="{}">{}</text>"#,
                x + 14.0,
                y + 4.0,
                INK.0,
                escape(&name)
            )?;
        }
        Ok(())
    }

    fn write_lines(&self, out: &mut String) -> std::fmt::Result {
        for (series, &position) in self.chart.series.iter().zip(&self.palette) {
            let shown = series.points.iter().filter(|point| self.chart.can_show(point));
            let places: Vec<_> = shown.map(|point| self.place(point)).collect();
            match series.look {
                Look::Markers | Look::Rings => {}
                Look::Line | Look::Dashes => write_path(out, series.look, position, &places)?,
                Look::Level => {
                    for (_, y) in places {
                        write_path(out, series.look, position, &[(LEFT, y), (self.right, y)])?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_markers(&self, out: &mut String) -> std::fmt::Result {
        for (mark, point) in self.markers() {
            let ((x, y), radius) = (self.place(point), radius(point));
            writeln!(out, "<g><title>{}</title>", escape(&hint(point)))?;
            if point.error.is_finite() && point.error > 0.0 {
                let reach = |value| HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - BOTTOM - TOP);
                let (high, low) = (reach(point.y + point.error), reach(point.y - point.error));
                let position = mark.position % PALETTE.len();
                writeln!(
                    out,
                    r#"<path d="M{x:.1} {high:.1}V{low:.1}M{:.1} {high:.1}h6M{:.1} {low:.1}h6" class="stroke{position}" fill="none" stroke="{}" stroke-width="1.2"/>"#,
                    x - 3.0,
                    x - 3.0,
                    PALETTE[position].0
                )?;
            }
            write_shape(out, mark, x, y, radius)?;
            writeln!(out, "</g>")?;
        }
        Ok(())
    }

    /// Labels, each where it covers neither a marker nor an earlier label; the rest is left to the hints.
    fn write_labels(&self, out: &mut String) -> std::fmt::Result {
        let around = |point: &Point| {
            let ((x, y), radius) = (self.place(point), radius(point));
            (x - radius, y - radius, x + radius, y + radius)
        };
        let mut taken: Vec<Area> = self.markers().map(|(_, point)| around(point)).collect();
        for (_, point) in self.markers().filter(|(_, point)| !point.label.is_empty()) {
            let width = LETTER * point.label.chars().count() as f64;
            let (left, top, right, bottom) = around(point);
            let (x, y, gap) = (0.5 * (left + right), 0.5 * (top + bottom), 4.0);
            let half = 0.5 * LINE;
            let corners = [
                (right + gap, y - half),
                (left - gap - width, y - half),
                (x - 0.5 * width, top - LINE),
                (x - 0.5 * width, bottom),
                (right, top - LINE),
                (right, bottom),
                (left - width, top - LINE),
                (left - width, bottom),
                (x - 0.5 * width, top - 2.0 * LINE),
                (x - 0.5 * width, bottom + LINE),
            ];
            let areas = corners.into_iter().map(|(left, top)| (left, top, left + width, top + LINE));
            let is_free = |area: &Area| {
                let inside = area.0 >= LEFT && area.1 >= TOP - LINE && area.3 <= HEIGHT - BOTTOM;
                inside && area.2 <= self.right + 4.0 && !taken.iter().any(|other| overlap(area, other))
            };
            if let Some(area) = areas.into_iter().find(is_free) {
                taken.push(area);
                let (x, y, label) = (area.0, area.3 - 4.0, escape(&point.label));
                // A halo keeps a line behind the text from running through it.
                writeln!(
                    out,
                    r#"<text x="{x:.1}" y="{y:.1}" class="ground edge" fill="{0}" stroke="{0}" stroke-width="3" aria-hidden="true">{label}</text><text x="{x:.1}" y="{y:.1}" class="ink" fill="{1}">{label}</text>"#,
                    GROUND.0, INK.0
                )?;
            }
        }
        Ok(())
    }

    /// The points that are drawn as markers.
    fn markers(&self) -> impl Iterator<Item = (Mark, &Point)> {
        let look = |index: usize| self.chart.series[index].look;
        let shown = self.chart.shown();
        shown
            .filter(move |(index, _)| matches!(look(*index), Look::Markers | Look::Rings))
            .map(move |(index, point)| (Mark::new(look(index), self.palette[index]), point))
    }

    fn place(&self, point: &Point) -> (f64, f64) {
        let bottom = HEIGHT - BOTTOM;
        (LEFT + self.x.place(point.x) * (self.right - LEFT), bottom - self.y.place(point.y) * (bottom - TOP))
    }
}

/// What a series' markers look like: the shape and the colour by its place in the palette, filled or open.
#[derive(Clone, Copy)]
struct Mark {
    position: usize,
    is_open: bool,
}

impl Mark {
    /// After five series the five shapes come open, so that ten differ in grey too.
    fn new(look: Look, position: usize) -> Mark {
        Mark { position, is_open: look == Look::Rings || position / 5 % 2 == 1 }
    }
}

fn radius(point: &Point) -> f64 {
    let size = if point.size.is_finite() { point.size } else { 1.0 };
    RADIUS * size.clamp(0.3, 16.0).sqrt()
}

/// What a viewer shows when the pointer rests on a marker.
fn hint(point: &Point) -> String {
    format!("{} ({}, {})", point.label, point.x, point.y).trim_start().to_string()
}

fn overlap(a: &Area, b: &Area) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

fn write_path(out: &mut String, look: Look, position: usize, places: &[(f64, f64)]) -> std::fmt::Result {
    if places.is_empty() {
        return Ok(());
    }
    let places: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let (class, color, dashes) = match look {
        Look::Dashes => ("frame".to_string(), SOFT.0, r#" stroke-dasharray="5 4""#),
        Look::Level => ("frame".to_string(), SOFT.0, r#" stroke-dasharray="1.5 3.5""#),
        _ => {
            let position = position % PALETTE.len();
            (format!("stroke{position}"), PALETTE[position].0, "")
        }
    };
    let points = places.join(" ");
    writeln!(
        out,
        r#"<polyline points="{points}" class="{class}" fill="none" stroke="{color}" stroke-width="1.6"{dashes}/>"#
    )
}

/// A marker: the colour by the palette, the shape too.
fn write_shape(out: &mut String, mark: Mark, x: f64, y: f64, radius: f64) -> std::fmt::Result {
    let (position, r) = (mark.position, radius);
    // Widths are chosen so that all shapes of one radius cover about the same area.
    let shape = match position % 5 {
        0 => format!(r#"circle cx="{x:.1}" cy="{y:.1}" r="{r:.1}""#),
        1 => {
            let a = 0.89 * r;
            format!(
                r#"rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}""#,
                x - a,
                y - a,
                2.0 * a,
                2.0 * a
            )
        }
        2 => {
            format!(r#"path d="M{x:.1} {:.1}l{:.1} {:.1}h{:.1}z""#, y - 1.4 * r, 1.35 * r, 2.3 * r, -2.7 * r)
        }
        3 => {
            let a = 1.25 * r;
            format!(r#"path d="M{x:.1} {:.1}l{a:.1} {a:.1}l-{a:.1} {a:.1}l-{a:.1} -{a:.1}z""#, y - a)
        }
        _ => {
            format!(r#"path d="M{x:.1} {:.1}l{:.1} {:.1}h{:.1}z""#, y + 1.4 * r, 1.35 * r, -2.3 * r, -2.7 * r)
        }
    };
    let position = position % PALETTE.len();
    let (color, ground) = (PALETTE[position].0, GROUND.0);
    if mark.is_open {
        return writeln!(
            out,
            r#"<{shape} class="stroke{position}" fill="none" stroke="{color}" stroke-width="1.8"/>"#
        );
    }
    writeln!(
        out,
        r#"<{shape} class="fill{position} edge" fill="{color}" fill-opacity="0.85" stroke="{ground}" stroke-width="0.8"/>"#
    )
}

/// Text that an XML file can hold, as content or attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(' '),
            // XML 1.0 has no place for these, not even escaped.
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Series, example};
    use super::*;

    /// Checks that tags nest and text is escaped, and returns the names of the elements.
    fn elements(svg: &str) -> Vec<String> {
        let (mut open, mut seen) = (Vec::new(), Vec::new());
        let mut pieces = svg.split('<');
        assert_eq!(pieces.next(), Some(""));
        for piece in pieces {
            let (tag, text) = piece.split_once('>').expect("a tag ends");
            assert!(!text.contains('>'), "{text}");
            for entity in text.split('&').skip(1).chain(tag.split('&').skip(1)) {
                let (name, _) = entity.split_once(';').expect("an entity ends");
                assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "{name}");
            }
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name.to_string()));
                continue;
            }
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag.split([' ', '/']).next().unwrap().to_string();
            seen.push(name.clone());
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        seen
    }

    #[test]
    fn the_file_is_well_formed_and_repeats() {
        let chart = example();
        let svg = chart.to_svg();
        assert_eq!(svg, chart.clone().to_svg());
        let elements = elements(&svg);
        let count = |name: &str| elements.iter().filter(|element| *element == name).count();
        // One group a point that has a place; the front's dashes, in the picture and the legend.
        assert_eq!((count("g"), count("polyline"), count("svg")), (3, 2, 1));
        assert!(svg.contains("Accuracy &amp; &lt;size&gt;") && svg.contains("&quot;per&quot;"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        for label in ["rigl 0.01", "rigl 0.05", "dense", "20k"] {
            assert!(svg.contains(&format!(">{label}</text>")), "{label}");
        }
    }

    #[test]
    fn charts_without_room_or_data_are_well_formed_too() {
        let mut chart = example();
        chart.title = "odd \u{1}\u{0} letters\n\t\"'&".into();
        // Fifty labels in one place: most have no room.
        chart.series = vec![Series {
            name: "x".repeat(500),
            look: Look::Markers,
            points: vec![Point { label: "a label".into(), ..Point::at(10.0, 1.0) }; 50],
        }];
        let svg = chart.to_svg();
        elements(&svg);
        let shown = svg.matches(">a label</text>").count() / 2;
        assert!((1..20).contains(&shown), "{shown}");
        chart.series[0].points = vec![Point::at(f64::NAN, 1.0), Point::at(-1.0, f64::INFINITY)];
        elements(&chart.to_svg());
        chart.series.clear();
        elements(&chart.to_svg());
    }
}
