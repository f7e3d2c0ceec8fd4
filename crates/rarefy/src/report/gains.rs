//! The table that a run ends with: what each figure gains over the dense twin.

use super::figures::Figures;
use super::numbers::{amount, bytes, count};
use super::summary::Summary;

/// What a figure is, that of the run, that of its dense twin, and the gain.
type Row = [String; 4];

/// A figure that nobody has measured.
const NONE: &str = "-";

impl Summary {
    /// The rows of the closing table: what a figure is, that of the run, that of its dense twin, and what is gained: for scores
    /// the difference, for times and sizes how many times less it is.
    pub fn gains(&self) -> Vec<[String; 4]> {
        let (sparse, dense) = (&self.figures, &self.dense_twin);
        let mut rows = scores(sparse, dense);
        rows.extend(self.targets.iter().map(|target| {
            [
                format!("{}, asked {}", target.key, target.text(target.asked)),
                target.text(target.reached),
                target.text(target.of_other(dense)),
                if target.held { "held" } else { "missed" }.into(),
            ]
        }));
        rows.extend(times(sparse, dense));
        for (name, a, b) in
            [("weights", sparse.nnz, dense.nnz), ("operations of a prediction", sparse.flops, dense.flops)]
        {
            rows.push([name.into(), count(a), count(b), ratio(a as f64, b as f64)]);
        }
        for (name, a, b) in [
            ("weights, gradients, optimizer", sparse.training_bytes, dense.training_bytes),
            ("file", sparse.model_bytes, dense.model_bytes),
        ] {
            rows.push([name.into(), bytes(a), bytes(b), ratio(a as f64, b as f64)]);
        }
        rows
    }
}

/// How good predictions for the test part are.
fn scores(sparse: &Figures, dense: &Figures) -> Vec<Row> {
    let mut rows = Vec::new();
    let shares = [
        ("test accuracy", sparse.test_accuracy, dense.test_accuracy),
        ("test label error rate", sparse.test_label_error_rate, dense.test_label_error_rate),
    ];
    if let Some((name, a, b)) = shares.into_iter().find(|(_, a, _)| a.is_some()) {
        let percent = |value: f64| format!("{:.2} %", 100.0 * value);
        let gain = a.zip(b).map(|(a, b)| format!("{:+.2} points", 100.0 * (a - b)));
        rows.push(row(name, a.map(percent), b.map(percent), gain));
    }
    let four: fn(f64) -> String = |value| format!("{value:.4}");
    let three: fn(f64) -> String = |value| format!("{value:.3}");
    // The loss where nothing says more.
    let loss = |figures: &Figures| {
        let says_more = figures.test_accuracy.or(figures.test_label_error_rate).or(figures.test_rmse);
        figures.test_loss.filter(|_| says_more.is_none())
    };
    for (name, number, a, b) in [
        ("test loss", four, loss(sparse), loss(dense)),
        ("test R2", four, sparse.test_r2, dense.test_r2),
        ("test RMSE", amount, sparse.test_rmse, dense.test_rmse),
        ("test perplexity", three, sparse.test_perplexity, dense.test_perplexity),
        ("test bits per character", three, sparse.test_bits_per_character, dense.test_bits_per_character),
    ] {
        if a.is_some() {
            let sign = |gain: f64| if gain < 0.0 { "" } else { "+" };
            let gain = a.zip(b).map(|(a, b)| format!("{}{}", sign(a - b), number(a - b)));
            rows.push(row(name, a.map(number), b.map(number), gain));
        }
    }
    rows
}

/// How long training and predictions take.
fn times(sparse: &Figures, dense: &Figures) -> [Row; 4] {
    let seconds: fn(f64) -> String = |value| format!("{value:.3} s");
    let milliseconds: fn(f64) -> String = |ms| format!("{ms:.3} ms");
    let microseconds: fn(f64) -> String = |ms| format!("{:.1} us", 1e3 * ms);
    let mut rows = [
        ("training time per epoch", seconds, sparse.seconds_per_epoch, dense.seconds_per_epoch),
        ("training step, in turn", milliseconds, sparse.step_ms, dense.step_ms),
        ("inference, 1 sample", microseconds, sparse.inference_1_ms, dense.inference_1_ms),
        ("inference, 256 samples", microseconds, sparse.inference_256_ms, dense.inference_256_ms),
    ]
    .map(|(name, unit, a, b)| row(name, a.map(unit), b.map(unit), a.zip(b).map(|(a, b)| ratio(a, b))));
    if let Some(reason) = &dense.not_timed {
        (rows[1][0], rows[1][2]) = ("training step".into(), reason.clone());
    }
    rows
}

fn row(name: &str, sparse: Option<String>, dense: Option<String>, gain: Option<String>) -> Row {
    let or_none = |text: Option<String>| text.unwrap_or(NONE.into());
    [name.into(), or_none(sparse), or_none(dense), or_none(gain)]
}

fn ratio(sparse: f64, dense: f64) -> String {
    format!("{:.1}x", dense / sparse)
}
