//! Charts: markers and lines over two axes, as an SVG file ([`Chart::to_svg`]) or in the letters of a terminal
//! ([`Chart::to_text`]). Both are functions of the chart alone: the same chart gives the same bytes.
//!
//! Points that an axis cannot show (not finite, or not above 0 on a logarithmic axis) are left out.

mod axis;
mod pareto;
mod svg;
mod text;

pub use axis::{Axis, Scale};
pub use pareto::{Better, pareto_front};
pub use text::TextStyle;

use axis::Span;

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The line at the top.
    pub title: String,
    /// A line in small print at the bottom; empty for none.
    pub note: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upwards.
    pub y: Axis,
    /// What stands between them; later ones lie over earlier ones.
    pub series: Vec<Series>,
}

/// Points that belong together: one colour, one entry in the legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name in the legend; empty for no entry.
    pub name: String,
    /// How its points are drawn.
    pub look: Look,
    /// The points, in the order in which a line joins them.
    pub points: Vec<Point>,
}

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A marker each; every such series has its own shape and colour. Ten shapes differ without colour too.
    Markers,
    /// An open marker around a point of another series, which stays to be seen. Two such series differ by their size.
    Rings,
    /// A line through them, in the series' own colour.
    Line,
    /// A dashed grey line through them: a bound or a front that other series make up.
    Dashes,
    /// A dotted grey line from side to side at the height of each: a value to compare with.
    Level,
}

/// A point of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its place on the x axis.
    pub x: f64,
    /// Its place on the y axis.
    pub y: f64,
    /// Half the height of its error bar; 0 for none.
    pub error: f64,
    /// The marker's area, relative to an ordinary one.
    pub size: f64,
    /// The text beside its marker; left out where there is no room. Empty for none.
    pub label: String,
}

impl Point {
    /// A point of ordinary size without error bar and label.
    pub fn at(x: f64, y: f64) -> Point {
        Point { x, y, error: 0.0, size: 1.0, label: String::new() }
    }
}

impl Chart {
    /// The axes, fitted to all points that can be shown.
    fn spans(&self) -> (Span, Span) {
        let points = || self.shown().map(|(_, point)| point);
        let error = |point: &Point| if point.error.is_finite() { point.error } else { 0.0 };
        let x = self.x.fit(points().map(|point| point.x));
        let y =
            self.y.fit(points().flat_map(|point| [point.y - error(point), point.y, point.y + error(point)]));
        (x, y)
    }

    /// The points that both axes can show, with the position of their series.
    fn shown(&self) -> impl Iterator<Item = (usize, &Point)> {
        self.series.iter().enumerate().flat_map(move |(index, series)| {
            series.points.iter().filter(|point| self.can_show(point)).map(move |point| (index, point))
        })
    }

    fn can_show(&self, point: &Point) -> bool {
        self.x.can_show(point.x) && self.y.can_show(point.y)
    }

    /// Which colour and shape each series has: grey lines take none.
    fn palette_positions(&self) -> Vec<usize> {
        let mut next = 0;
        let position = |series: &Series| {
            let position = next;
            next += usize::from(!matches!(series.look, Look::Dashes | Look::Level));
            position
        };
        self.series.iter().map(position).collect()
    }
}

#[cfg(test)]
pub(super) fn example() -> Chart {
    let point = |x, y, size, label: &str| Point { error: 0.3, size, label: label.into(), ..Point::at(x, y) };
    Chart {
        title: "Accuracy & <size>".into(),
        note: "marker area: seconds \"per\" epoch".into(),
        x: Axis { label: "nonzeros".into(), scale: Scale::Log },
        y: Axis { label: "test accuracy, %".into(), scale: Scale::Linear },
        series: vec![
            Series {
                name: "Pareto front".into(),
                look: Look::Dashes,
                points: vec![Point::at(900.0, 91.0), Point::at(4_500.0, 96.5), Point::at(70_000.0, 97.5)],
            },
            Series {
                name: "rigl".into(),
                look: Look::Markers,
                points: vec![point(900.0, 91.0, 1.0, "rigl 0.01"), point(4_500.0, 96.5, 2.0, "rigl 0.05")],
            },
            Series {
                name: "dense".into(),
                look: Look::Markers,
                points: vec![point(70_000.0, 97.5, 3.0, "dense"), point(0.0, 97.0, 1.0, "not on a log axis")],
            },
        ],
    }
}
