//! A path as a plot of score against nonzeros, with the Pareto front; and how its table names points.

use rarefy::report::plot::{Axis, Better, Chart, Look, Point, Scale, Series, pareto_front};

use crate::output::Output;
use crate::text_plot::text_plot;

/// What the score of a path is.
#[derive(Clone, Copy)]
pub enum ScoreKind {
    /// A share.
    Accuracy,
    /// The coefficient of determination.
    R2,
    /// The lower, the better.
    Loss,
}

impl ScoreKind {
    /// The kind of points some of which have such scores.
    pub fn of(has_accuracy: bool, has_r2: bool) -> ScoreKind {
        match (has_accuracy, has_r2) {
            (true, _) => ScoreKind::Accuracy,
            (false, true) => ScoreKind::R2,
            (false, false) => ScoreKind::Loss,
        }
    }
}

/// Where a model stands in the plot.
pub struct Mark {
    /// Its weights.
    pub nonzeros: usize,
    /// Its score on the validation part.
    pub score: f64,
    /// The standard error of that; 0 if unknown.
    pub error: f64,
}

/// The positions of the models that no smaller one beats.
pub fn front(marks: &[Mark], kind: ScoreKind) -> Vec<usize> {
    let places: Vec<(f64, f64)> = marks.iter().map(|mark| (mark.nonzeros as f64, mark.score)).collect();
    let better = if matches!(kind, ScoreKind::Loss) { Better::Lower } else { Better::Higher };
    pareto_front(&places, better)
}

/// The plot. A model without nonzeros has no place on the logarithmic axis.
pub fn chart(title: &str, marks: &[Mark], kind: ScoreKind, chosen: [(&str, Option<usize>); 2]) -> Chart {
    let (factor, label) = match kind {
        ScoreKind::Accuracy => (100.0, "validation accuracy, %"),
        ScoreKind::R2 => (1.0, "validation R2"),
        ScoreKind::Loss => (1.0, "validation loss"),
    };
    let place = |at: usize, label: &str| {
        let Mark { nonzeros, score, error } = marks[at];
        let error = factor * error;
        Point { error, label: label.into(), ..Point::at(nonzeros as f64, factor * score) }
    };
    let bare = |at: usize| Point { error: 0.0, ..place(at, "") };
    // One around the other where both are one point.
    let named = chosen.into_iter().zip([2.6, 5.2]).filter_map(|((name, at), size)| Some((name, at?, size)));
    let mut series = vec![
        Series {
            name: "Pareto front".into(),
            look: Look::Dashes,
            points: front(marks, kind).into_iter().map(bare).collect(),
        },
        Series {
            name: "path".into(),
            look: Look::Markers,
            points: (0..marks.len()).map(|at| place(at, "")).collect(),
        },
    ];
    series.extend(named.map(|(name, at, size)| Series {
        name: name.into(),
        look: Look::Rings,
        points: vec![Point { size, error: 0.0, ..place(at, name) }],
    }));
    let has_errors = marks.iter().any(|mark| mark.error > 0.0);
    Chart {
        title: title.into(),
        note: if has_errors { "bars: standard error over validation samples" } else { "" }.into(),
        x: Axis { label: "nonzeros".into(), scale: Scale::Log },
        y: Axis { label: label.into(), scale: Scale::Linear },
        series,
    }
}

/// The plot for a terminal; `None` if fewer than two models have a place in it.
pub fn plot(chart: &Chart, output: &Output) -> Option<String> {
    let shown = chart.series.iter().filter(|series| series.name == "path").flat_map(|series| &series.points);
    let places = shown.filter(|point| point.x > 0.0 && point.y.is_finite()).count();
    (places > 1).then(|| text_plot(chart, output))
}

/// What to say where there is neither best nor knee.
pub const NOT_JUDGED: &str =
    "\nnote: there is no validation part to choose by; set data.validation_fraction above 0";

/// What models are judged on, for people.
pub fn validation(folds: Option<u32>, samples: usize) -> String {
    match folds {
        Some(folds) => format!("validated in {folds} folds"),
        None => format!("{samples} validation samples"),
    }
}

/// The words for a point of the table.
pub fn notes(at: usize, best: Option<usize>, knee: Option<usize>, front: &[usize]) -> Vec<&'static str> {
    let words = [("best", best == Some(at)), ("knee", knee == Some(at)), ("front", front.contains(&at))];
    words.into_iter().filter(|(_, holds)| *holds).map(|(word, _)| word).collect()
}
