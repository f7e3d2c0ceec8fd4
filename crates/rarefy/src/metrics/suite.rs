//! Every metric against scikit-learn's: a new metric joins by adding its numbers to the rows it fits.

use super::Metric::{
    Accuracy, Auc, AveragePrecision, BalancedAccuracy, Brier, CalibrationError, F1, LabelErrorRate, LogLoss,
    Loss, Mae, Matthews, QuantileLoss, R2, Rmse,
};
use super::*;

/// Predictions and what is true of them.
enum Case {
    /// Scores of two classes, of which that one is positive, or of three.
    Classes { scores: &'static [f32], labels: &'static [u32], positive: usize },
    /// Scores of two labels.
    Labels { scores: &'static [f32], targets: &'static [f32] },
    /// Two numbers of each sample, of which the quantile 0.9 is asked for.
    Numbers { predictions: &'static [f64], targets: &'static [f64] },
}

type Row = (&'static str, Case, Option<&'static [f32]>, &'static [(Metric, f64)]);

/// Known values: scikit-learn 1.9.1, on these numbers in f64, classes one versus the rest and averaged plainly, `mean_pinball_loss`
/// with `alpha = 0.9`; the calibration error, which it has not, by its formula in numpy.
#[rustfmt::skip]
const ROWS: [Row; 12] = [
    (
        "two classes with ties",
        Case::Classes {
            scores: &[0.875, 0.125, 0.75, 0.25, 0.25, 0.75, 0.4375, 0.5625, 0.875, 0.125, 0.5625, 0.4375, 0.5, 0.5, 0.8125, 0.1875, 0.3125, 0.6875, 0.875, 0.125, 0.625, 0.375, 0.5, 0.5],
            labels: &[0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1],
            positive: 1,
        },
        None,
        &[
            (Accuracy, 0.75),
            (BalancedAccuracy, 0.6875),
            (Matthews, 0.408248290463863),
            (F1, 0.5714285714285714),
            (Auc, 0.859375),
            (AveragePrecision, 0.7928571428571429),
            (LogLoss, 0.4439547891013693),
            (Brier, 0.14192708333333334),
            (CalibrationError, 0.17708333333333334),
        ],
    ),
    (
        "two classes with weights",
        Case::Classes {
            scores: &[0.875, 0.125, 0.75, 0.25, 0.25, 0.75, 0.4375, 0.5625, 0.875, 0.125, 0.5625, 0.4375, 0.5, 0.5, 0.8125, 0.1875, 0.3125, 0.6875, 0.875, 0.125, 0.625, 0.375, 0.5, 0.5],
            labels: &[0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1],
            positive: 1,
        },
        Some(&[1.0, 2.0, 0.5, 0.0, 1.0, 3.0, 0.25, 1.0, 1.0, 0.0, 2.0, 1.0]),
        &[
            (Accuracy, 0.7647058823529411),
            (BalancedAccuracy, 0.6666666666666666),
            (Matthews, 0.4944132324730442),
            (F1, 0.5),
            (Auc, 0.8215488215488216),
            (AveragePrecision, 0.7934180514825676),
            (LogLoss, 0.48021848604174294),
            (Brier, 0.1559436274509804),
            (CalibrationError, 0.3382352941176471),
        ],
    ),
    (
        "the first class is the positive one",
        Case::Classes {
            scores: &[0.875, 0.125, 0.75, 0.25, 0.25, 0.75, 0.4375, 0.5625, 0.875, 0.125, 0.5625, 0.4375, 0.5, 0.5, 0.8125, 0.1875, 0.3125, 0.6875, 0.875, 0.125, 0.625, 0.375, 0.5, 0.5],
            labels: &[0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1],
            positive: 0,
        },
        Some(&[1.0, 2.0, 0.5, 0.0, 1.0, 3.0, 0.25, 1.0, 1.0, 0.0, 2.0, 1.0]),
        &[
            (Accuracy, 0.7647058823529411),
            (BalancedAccuracy, 0.6666666666666666),
            (Matthews, 0.4944132324730442),
            (F1, 0.8461538461538461),
            (Auc, 0.8215488215488216),
            (AveragePrecision, 0.9191919191919192),
            (LogLoss, 0.48021848604174294),
            (Brier, 0.1559436274509804),
            (CalibrationError, 0.3382352941176471),
        ],
    ),
    (
        "a class that is never predicted",
        Case::Classes {
            scores: &[0.640625, 0.359375, 0.75, 0.25, 0.796875, 0.203125, 0.6875, 0.3125, 0.96875, 0.03125, 0.71875, 0.28125, 0.84375, 0.15625, 0.953125, 0.046875, 0.734375, 0.265625, 0.625, 0.375],
            labels: &[0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
            positive: 1,
        },
        None,
        &[
            (Accuracy, 0.8),
            (BalancedAccuracy, 0.5),
            (Matthews, 0.0),
            (F1, 0.0),
            (Auc, 0.25),
            (AveragePrecision, 0.19642857142857142),
            (LogLoss, 0.5746656970079184),
            (Brier, 0.19296875),
            (CalibrationError, 0.253125),
        ],
    ),
    (
        "all right and sure",
        Case::Classes {
            scores: &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0],
            labels: &[0, 1, 1, 0],
            positive: 1,
        },
        None,
        &[
            (Accuracy, 1.0),
            (BalancedAccuracy, 1.0),
            (Matthews, 1.0),
            (F1, 1.0),
            (Auc, 1.0),
            (AveragePrecision, 1.0),
            (LogLoss, 2.220446049250313e-16),
            (Brier, 0.0),
            (CalibrationError, 0.0),
        ],
    ),
    (
        "all wrong and sure",
        Case::Classes {
            scores: &[0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0],
            labels: &[0, 1, 1, 0],
            positive: 1,
        },
        None,
        &[
            (Accuracy, 0.0),
            (BalancedAccuracy, 0.0),
            (Matthews, -1.0),
            (F1, 0.0),
            (Auc, 0.0),
            (AveragePrecision, 0.5),
            (LogLoss, 36.04365338911715),
            (Brier, 1.0),
            (CalibrationError, 1.0),
        ],
    ),
    (
        "three classes",
        Case::Classes {
            scores: &[0.6875, 0.125, 0.1875, 0.1875, 0.625, 0.1875, 0.4375, 0.4375, 0.125, 0.4375, 0.375, 0.1875, 0.1875, 0.0625, 0.75, 0.25, 0.5, 0.25, 0.375, 0.1875, 0.4375, 0.5625, 0.3125, 0.125, 0.25, 0.6875, 0.0625, 0.5, 0.25, 0.25, 0.5, 0.4375, 0.0625, 0.1875, 0.625, 0.1875],
            labels: &[0, 1, 2, 2, 1, 0, 0, 1, 2, 1, 0, 2],
            positive: 1,
        },
        None,
        &[
            (Accuracy, 0.25),
            (BalancedAccuracy, 0.25),
            (Matthews, -0.13055824196677338),
            (F1, 0.21666666666666667),
            (Auc, 0.421875),
            (AveragePrecision, 0.39636243386243386),
            (LogLoss, 1.4522487414672518),
            (Brier, 0.8411458333333334),
            (CalibrationError, 0.3125),
        ],
    ),
    (
        "three classes with weights",
        Case::Classes {
            scores: &[0.6875, 0.125, 0.1875, 0.1875, 0.625, 0.1875, 0.4375, 0.4375, 0.125, 0.4375, 0.375, 0.1875, 0.1875, 0.0625, 0.75, 0.25, 0.5, 0.25, 0.375, 0.1875, 0.4375, 0.5625, 0.3125, 0.125, 0.25, 0.6875, 0.0625, 0.5, 0.25, 0.25, 0.5, 0.4375, 0.0625, 0.1875, 0.625, 0.1875],
            labels: &[0, 1, 2, 2, 1, 0, 0, 1, 2, 1, 0, 2],
            positive: 1,
        },
        Some(&[1.0, 2.0, 0.5, 0.0, 1.0, 3.0, 0.25, 1.0, 1.0, 0.0, 2.0, 1.0]),
        &[
            (Accuracy, 0.39215686274509803),
            (BalancedAccuracy, 0.32666666666666666),
            (Matthews, 0.04668871932556708),
            (F1, 0.3072586328400282),
            (Auc, 0.5024202626641652),
            (AveragePrecision, 0.44259031989682146),
            (LogLoss, 1.2962439940676243),
            (Brier, 0.7526041666666666),
            (CalibrationError, 0.20710784313725492),
        ],
    ),
    (
        "labels",
        Case::Labels {
            scores: &[0.8125, 0.125, 0.8125, 0.375, 0.5, 0.1875, 0.6875, 0.3125, 0.8125, 0.3125, 0.5625, 0.4375, 0.625, 0.25, 0.1875, 0.75],
            targets: &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0],
        },
        None,
        &[
            (Accuracy, 0.375),
            (F1, 0.55),
            (Auc, 0.6145833333333333),
            (AveragePrecision, 0.6533730158730159),
            (LogLoss, 0.7252915035870955),
            (Brier, 0.25927734375),
        ],
    ),
    (
        "labels with weights",
        Case::Labels {
            scores: &[0.8125, 0.125, 0.8125, 0.375, 0.5, 0.1875, 0.6875, 0.3125, 0.8125, 0.3125, 0.5625, 0.4375, 0.625, 0.25, 0.1875, 0.75],
            targets: &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0],
        },
        Some(&[1.0, 0.0, 2.0, 1.0, 0.5, 1.0, 1.0, 3.0]),
        &[
            (Accuracy, 0.2631578947368421),
            (F1, 0.625),
            (Auc, 0.5489898989898989),
            (AveragePrecision, 0.776840496964336),
            (LogLoss, 0.7867964520988855),
            (Brier, 0.28351151315789475),
        ],
    ),
    (
        "numbers",
        Case::Numbers {
            predictions: &[0.58, 6.03, 3.54, 1.01, -2.17, 6.36, 5.72, 5.27, 5.5, 3.38, 2.01, 1.16, 2.22, 4.95, 0.21, 1.7],
            targets: &[0.9, 5.81, 2.96, 2.26, -0.44, 6.36, 4.51, 4.51, 5.28, 3.7, 1.72, 1.4, 1.4, 5.74, 0.08, 1.81],
        },
        None,
        &[
            (R2, 0.8465412280821372),
            (Rmse, 0.7374915253750378),
            (Mae, 0.5618750000000001),
            (QuantileLoss, 0.2941875),
        ],
    ),
    (
        "numbers with weights",
        Case::Numbers {
            predictions: &[0.58, 6.03, 3.54, 1.01, -2.17, 6.36, 5.72, 5.27, 5.5, 3.38, 2.01, 1.16, 2.22, 4.95, 0.21, 1.7],
            targets: &[0.9, 5.81, 2.96, 2.26, -0.44, 6.36, 4.51, 4.51, 5.28, 3.7, 1.72, 1.4, 1.4, 5.74, 0.08, 1.81],
        },
        Some(&[1.0, 0.0, 2.0, 1.0, 0.5, 1.0, 1.0, 3.0]),
        &[
            (R2, 0.8362090700530057),
            (Rmse, 0.7174112818798023),
            (Mae, 0.4789473684210527),
            (QuantileLoss, 0.2710526315789474),
        ],
    ),
];

fn answers<'a>(case: &'a Case, weights: Option<&'a [f32]>) -> Answers<'a> {
    let found = match *case {
        Case::Classes { scores, labels, positive } => Found::Classes {
            scores,
            are_probabilities: true,
            decision: Decision { positive, ..Decision::default() },
            labels,
            classes: scores.len() / labels.len(),
        },
        Case::Labels { scores, targets } => {
            Found::Labels { scores, are_probabilities: true, targets, outputs: 2 }
        }
        Case::Numbers { predictions, targets } => Found::Numbers {
            predictions: predictions.to_vec(),
            targets: targets.to_vec(),
            outputs: 2,
            quantile: Some(0.9),
        },
    };
    Answers { found, weights, loss: 0.25 }
}

#[test]
fn metrics_are_those_of_scikit_learn() {
    for (name, case, weights, expected) in &ROWS {
        let answers = answers(case, *weights);
        let found = Metrics::of(&answers, &Metric::ALL);
        let fitting = found.iter().map(|(metric, _)| metric);
        let mut listed: Vec<Metric> = expected.iter().map(|row| row.0).chain([Loss]).collect();
        listed.sort_by_key(|metric| Metric::ALL.iter().position(|other| other == metric));
        assert_eq!(fitting.collect::<Vec<_>>(), listed, "{name}");
        assert_eq!(found.get(Loss), Some(0.25));
        for (metric, expected) in *expected {
            let found = found.get(*metric).unwrap();
            assert!((found - expected).abs() < 1e-9, "{name}: {metric} {found}, not {expected}");
        }
    }
}

#[test]
fn a_weight_counts_a_sample_so_many_times() {
    let Some((_, Case::Classes { scores, labels, .. }, ..)) =
        ROWS.into_iter().find(|row| row.0 == "three classes")
    else {
        panic!("there is such a row")
    };
    let weights: Vec<f32> = (0..labels.len()).map(|sample| [1.0, 0.0, 2.0][sample % 3]).collect();
    let again = (0..labels.len()).flat_map(|sample| std::iter::repeat_n(sample, weights[sample] as usize));
    let (mut scores_again, mut labels_again) = (Vec::new(), Vec::new());
    for sample in again {
        scores_again.extend(&scores[3 * sample..][..3]);
        labels_again.push(labels[sample]);
    }
    let all = |scores: &[f32], labels: &[u32], weights: Option<&[f32]>| {
        let decision = Decision::default();
        let found = Found::Classes { scores, are_probabilities: true, decision, labels, classes: 3 };
        Metrics::of(&Answers { found, weights, loss: 0.0 }, &Metric::ALL)
    };
    let expected = all(&scores_again, &labels_again, None);
    for (metric, found) in all(scores, labels, Some(&weights)).iter() {
        let expected = expected.get(metric).unwrap();
        assert!((found.unwrap() - expected).abs() < 1e-12, "{metric}: {found:?}, not {expected}");
    }
}

#[test]
fn what_is_not_defined_is_absent() {
    let of_classes = |labels: &'static [u32], scores: &'static [f32]| {
        Metrics::of(&answers(&Case::Classes { scores, labels, positive: 1 }, None), &Metric::ALL)
    };
    // Samples of the second class alone, and of the first alone.
    let found = of_classes(&[1, 1], &[0.5, 0.5, 0.25, 0.75]);
    assert_eq!((found.get(Auc), found.get(AveragePrecision)), (None, Some(1.0)));
    assert_eq!((found.get(BalancedAccuracy), found.get(Matthews)), (Some(0.5), Some(0.0)));
    let found = of_classes(&[0, 0], &[0.5, 0.5, 0.25, 0.75]);
    assert_eq!((found.get(Auc), found.get(AveragePrecision), found.get(F1)), (None, None, Some(0.0)));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!((&json["auc"], &json["balanced_accuracy"]), (&serde_json::Value::Null, &0.5.into()));
    assert_eq!(serde_json::from_value::<Metrics>(json).unwrap(), found);
    // A class without samples is left out of the mean of three.
    let found = of_classes(&[0, 1], &[0.5, 0.25, 0.25, 0.25, 0.5, 0.25]);
    assert_eq!((found.get(Auc), found.get(AveragePrecision)), (Some(1.0), Some(1.0)));
    // No numbers.
    let found = of_classes(&[0, 1], &[f32::NAN, f32::NAN, 0.25, 0.75]);
    assert_eq!((found.get(Auc), found.get(LogLoss), found.get(Brier)), (None, None, None));
    let numbers = Case::Numbers { predictions: &[1.0, 2.0], targets: &[1.0, 1.0] };
    let found = Metrics::of(&answers(&numbers, None), &Metric::ALL);
    assert_eq!((found.get(R2), found.get(Rmse)), (None, Some(0.5f64.sqrt())));
}

#[test]
fn scores_that_are_no_probabilities_are_ranked_alone() {
    let decision = Decision::default();
    let (scores, labels) = (&[3.0, -1.0, 0.0, 2.0], &[0, 1]);
    let found = Found::Classes { scores, are_probabilities: false, decision, labels, classes: 2 };
    let answers = Answers { found, weights: None, loss: 0.0 };
    let found: Vec<Metric> = Metrics::of(&answers, &Metric::ALL).iter().map(|it| it.0).collect();
    assert_eq!(found, [Loss, Accuracy, BalancedAccuracy, F1, Matthews, Auc, AveragePrecision]);
    assert_eq!(LogLoss.of(&answers), None);
}

#[test]
fn texts_and_recordings_have_figures_of_their_own() {
    let said = Answers { found: Found::Transcripts { label_error_rate: 0.5 }, weights: None, loss: 2.0 };
    assert_eq!((LabelErrorRate.of(&said), Loss.of(&said), Accuracy.of(&said)), (Some(0.5), Some(2.0), None));
    let text = Answers { found: Found::Tokens { accuracy: 0.75 }, weights: None, loss: 1.0 };
    assert_eq!((Accuracy.of(&text), LabelErrorRate.of(&text)), (Some(0.75), None));
}
