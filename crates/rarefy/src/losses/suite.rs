//! The common suite: a new loss joins by adding a row.

use super::*;
use crate::random::{Purpose, Stream};

struct Case {
    name: &'static str,
    loss: Loss,
    targets: Kind,
    /// Two samples of two outputs, (1, 2) and (3, 0). Targets: classes 1 and 0, or numbers (0, 1) and (1, 0.5), or the
    /// sequences of the label 1 and of none, in one step.
    /// The batch's loss (sum over normaliser), from the formula in f64.
    by_hand: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Classes,
    Values,
    Sequences,
}

fn cases() -> Vec<Case> {
    use Kind::{Classes, Sequences, Values};
    let cross_entropy = |smoothing, weights: Option<&[f32]>| {
        Loss::CrossEntropy(CrossEntropy::new(smoothing, weights.map(<[f32]>::to_vec)))
    };
    let row = |name, loss, targets, by_hand| Case { name, loss, targets, by_hand };
    let weights = Some([3.0, 0.5].as_slice());
    // Negative log-likelihoods: ln(1 + e^-1) = 0.313262 for (1, 2) and class 1, 1.313262 for the other class;
    // ln(1 + e^-3) = 0.048587 for (3, 0) and class 0, 3.048587 for the other.
    #[rustfmt::skip]
    let rows = vec![
        // (0.313262 + 0.048587) / 2
        row("cross-entropy",    cross_entropy(0.0, None),     Classes, 0.180_924_5),
        // (0.9 * 0.313262 + 0.05 * 1.626523 + 0.9 * 0.048587 + 0.05 * 3.097174) / 2
        row("smoothed",         cross_entropy(0.1, None),     Classes, 0.280_924_5),
        // (0.5 * 0.313262 + 3 * 0.048587) / 3.5
        row("weighted",         cross_entropy(0.0, weights),  Classes, 0.086_397_97),
        // the same with 0.9, plus 0.05 * (0.5 * 0.313262 + 3 * 1.313262 + 3 * 0.048587 + 0.5 * 3.048587), over 3.5
        row("smoothed weighted", cross_entropy(0.1, weights), Classes, 0.160_136_34),
        // ln(1 + e), ln(1 + e^-2), ln(1 + e^-3), ln 2: (1.313262 + 0.126928 + 0.048587 + 0.693147) / 4
        row("binary",           Loss::BinaryCrossEntropy,     Values, 0.545_481_06),
        row("binary of classes", Loss::BinaryCrossEntropy,    Classes, 0.545_481_06),
        // errors 1, 1, 2, -0.5
        row("mean squared",     Loss::MeanSquaredError,       Values, 6.25 / 4.0),
        row("squared of classes", Loss::MeanSquaredError,     Classes, 6.0 / 4.0),
        row("sum squared",      Loss::SumSquaredError,        Values, 6.25 / 2.0),
        // delta 0.75: 0.75 (1 - 0.375) twice, 0.75 (2 - 0.375), 0.125
        row("huber",            Loss::Huber(Huber::new(0.75)), Values, 2.281_25 / 4.0),
        // errors 1, 1, 2, -0.5; of classes 1, 1, 2, 0
        row("absolute",         Loss::Absolute,               Values, 4.5 / 4.0),
        row("absolute of classes", Loss::Absolute,            Classes, 1.0),
        // 0.1 for each that is too high, 0.9 for each that is too low
        row("quantile",         Loss::Quantile(Quantile::new(0.9)), Values, 0.85 / 4.0),
        row("median",           Loss::Quantile(Quantile::new(0.5)), Values, 2.25 / 4.0),
        // the same as the cross-entropy: the blank is class 0
        row("ctc",              Loss::Ctc,                    Sequences, 0.180_924_5),
    ];
    rows
}

/// A tile of `features` random outputs with targets, all lanes filled.
struct Batch {
    output: Vec<Row>,
    labels: Vec<u32>,
    values: Vec<Row>,
    /// A sequence for each label, and where it begins.
    sequences: (Vec<u32>, Vec<usize>),
}

/// All sequences of two labels that fit into four steps, but for some.
const SEQUENCES: [&[u32]; STEPS * 3] = [
    &[],
    &[1],
    &[2],
    &[1, 2],
    &[2, 1],
    &[1, 1],
    &[2, 2],
    &[1, 2, 1],
    &[2, 1, 2],
    &[1, 1, 2],
    &[1, 2, 2],
    &[2, 1, 2, 1],
];

const STEPS: usize = 4;

fn sequences(labels: &[u32]) -> (Vec<u32>, Vec<usize>) {
    let (mut all, mut offsets) = (Vec::new(), vec![0]);
    for &label in labels {
        all.extend(SEQUENCES[label as usize]);
        offsets.push(all.len());
    }
    (all, offsets)
}

fn batch(features: usize, spread: f32) -> Batch {
    let mut stream = Stream::new(5, Purpose::Bench, 0, 0);
    let mut rows = |spread: f32| -> Vec<Row> {
        (0..features).map(|_| Row(std::array::from_fn(|_| spread * stream.normal()))).collect()
    };
    let output = rows(spread);
    let values = rows(1.0).iter().map(|row| Row(row.0.map(|value| value.clamp(0.0, 1.0)))).collect();
    let labels: Vec<u32> = (0..LANES).map(|lane| (lane * 7 % features) as u32).collect();
    Batch { output, values, sequences: sequences(&labels), labels }
}

impl Batch {
    fn expected(&self, case: &Case, live: usize) -> Expected<'_> {
        expected(self.targets(case, live), live)
    }

    fn targets(&self, case: &Case, live: usize) -> TargetTile<'_> {
        match case.targets {
            Kind::Classes => TargetTile::Classes(&self.labels[..live]),
            Kind::Values => TargetTile::Values(&self.values),
            Kind::Sequences => {
                let classes = if self.output.len() == STEPS * 3 { 3 } else { 2 };
                let steps = if classes == 3 { &[STEPS as u32; LANES] } else { &[1; LANES] };
                let (labels, offsets) = &self.sequences;
                TargetTile::Sequences(SequenceTile { labels, offsets: &offsets[..=live], steps, classes })
            }
        }
    }
}

/// Targets of samples that count once.
fn expected(targets: TargetTile<'_>, live: usize) -> Expected<'_> {
    Expected { targets, live, weights: &UNWEIGHTED }
}

/// Cases whose class weights are for two classes get as many outputs, sequences three at each step, the others five.
fn features(case: &Case) -> usize {
    match &case.loss {
        Loss::CrossEntropy(loss) if loss.weights().is_some() => 2,
        Loss::Ctc => 3 * STEPS,
        _ => 5,
    }
}

/// Memory for any of the cases.
fn workspace() -> Vec<Lanes> {
    vec![[f64::NAN; LANES]; Loss::Ctc.workspace(3 * STEPS, 3, 4)]
}

#[test]
fn small_cases_by_hand() {
    let lanes = |first, second| {
        let mut row = Row::ZERO;
        row.0[..2].copy_from_slice(&[first, second]);
        row
    };
    let output = [lanes(1.0, 3.0), lanes(2.0, 0.0)];
    let batch = Batch {
        output: output.to_vec(),
        labels: vec![1, 0],
        values: vec![lanes(0.0, 1.0), lanes(1.0, 0.5)],
        sequences: sequences(&[1, 0]),
    };
    for case in cases() {
        let sum = case.loss.value(&output, batch.expected(&case, 2), &mut workspace());
        let label = |sample: usize| (case.targets == Kind::Classes).then_some(batch.labels[sample]);
        let weight = (0..2).map(|sample| case.loss.class_weight(label(sample))).sum();
        let mean = sum / case.loss.normaliser(weight, 2);
        assert!((mean - case.by_hand).abs() < 1e-6, "{}: {mean}, not {}", case.name, case.by_hand);
    }
}

/// The loss of one sample in f64, straight from the definition.
fn definition(loss: &Loss, z: &[f64], target: &[f64]) -> f64 {
    let each = |element: &dyn Fn(f64, f64) -> f64| z.iter().zip(target).map(|(&z, &t)| element(z, t)).sum();
    match loss {
        Loss::CrossEntropy(loss) => {
            let weight = |class: usize| loss.weights().map_or(1.0, |weights| f64::from(weights[class]));
            let label = target.iter().position(|&t| t == 1.0).unwrap();
            let log_sum = z.iter().map(|z| z.exp()).sum::<f64>().ln();
            let smoothing = f64::from(loss.smoothing());
            let nll = |class: usize| weight(class) * (log_sum - z[class]);
            (1.0 - smoothing) * nll(label) + smoothing / z.len() as f64 * (0..z.len()).map(nll).sum::<f64>()
        }
        Loss::BinaryCrossEntropy => each(&|z, t| {
            let p = 1.0 / (1.0 + (-z).exp());
            -t * p.ln() - (1.0 - t) * (1.0 - p).ln()
        }),
        Loss::MeanSquaredError => each(&|z, t| (z - t) * (z - t)),
        Loss::SumSquaredError => each(&|z, t| 0.5 * (z - t) * (z - t)),
        Loss::Huber(huber) => {
            let delta = f64::from(huber.delta());
            each(&|z, t| {
                let size = (z - t).abs();
                if size <= delta { 0.5 * size * size } else { delta * (size - 0.5 * delta) }
            })
        }
        Loss::Absolute => each(&|z, t| (z - t).abs()),
        Loss::Quantile(quantile) => {
            let q = f64::from(quantile.quantile());
            each(&|z, t| (q * (t - z)).max((1.0 - q) * (z - t)))
        }
        Loss::Ctc => {
            // Over all 81 ways to take a class at each step.
            let labels: Vec<u32> = target.iter().map(|&label| label as u32).collect();
            let way = |number: usize| (0..STEPS as u32).map(move |step| number / 3usize.pow(step) % 3);
            let says = |number| {
                let mut classes: Vec<usize> = way(number).collect();
                classes.dedup();
                classes
                    .into_iter()
                    .filter(|&class| class > 0)
                    .map(|class| class as u32)
                    .eq(labels.iter().copied())
            };
            let share = |(step, class): (usize, usize)| {
                let of_step = &z[3 * step..][..3];
                of_step[class].exp() / of_step.iter().map(|z| z.exp()).sum::<f64>()
            };
            let ways = (0..81).filter(|&number| says(number));
            let likelihood: f64 =
                ways.map(|number| way(number).enumerate().map(share).product::<f64>()).sum();
            -likelihood.ln() / labels.len().max(1) as f64
        }
        Loss::Custom(_) => unreachable!("no row has one"),
    }
}

#[test]
fn values_and_gradients_match_the_definition() {
    for case in cases() {
        let features = features(&case);
        let batch = batch(features, 2.0);
        let expected = batch.expected(&case, LANES);
        let mut gradient = vec![Row::ZERO; features];
        let sum = case.loss.tile(&batch.output, expected, &mut gradient, &mut workspace());
        assert_eq!(sum, case.loss.value(&batch.output, expected, &mut workspace()), "{}", case.name);

        let mut want_sum = 0.0;
        for lane in 0..LANES {
            let column = |rows: &[Row]| rows.iter().map(|row| f64::from(row.0[lane])).collect::<Vec<f64>>();
            let label = batch.labels[lane] as usize;
            let target = match case.targets {
                Kind::Classes => (0..features).map(|k| f64::from(u8::from(label == k))).collect(),
                Kind::Values => column(&batch.values),
                Kind::Sequences => SEQUENCES[label].iter().map(|&label| f64::from(label)).collect(),
            };
            let z = column(&batch.output);
            want_sum += definition(&case.loss, &z, &target);
            for feature in 0..features {
                let h = 1e-5;
                let moved = |by: f64| {
                    let mut z = z.clone();
                    z[feature] += by;
                    definition(&case.loss, &z, &target)
                };
                let want = (moved(h) - moved(-h)) / (2.0 * h);
                let got = f64::from(gradient[feature].0[lane]);
                assert!((got - want).abs() < 2e-6 * (1.0 + want.abs()), "{}: {got}, not {want}", case.name);
            }
        }
        assert!((sum - want_sum).abs() < 1e-5 * want_sum, "{}: {sum}, not {want_sum}", case.name);
    }
}

#[test]
fn dead_lanes_get_no_gradient_and_do_not_count() {
    for case in cases() {
        let live = 5;
        let mut batch = batch(features(&case), 2.0);
        let mut run = |junk: f32| {
            batch.output.iter_mut().for_each(|row| row.0[live..].fill(junk));
            batch.values.iter_mut().for_each(|row| row.0[live..].fill(-junk));
            let mut gradient = vec![Row([7.0; LANES]); batch.output.len()];
            let sum =
                case.loss.tile(&batch.output, batch.expected(&case, live), &mut gradient, &mut workspace());
            (sum, gradient)
        };
        let (sum, gradient) = run(0.0);
        assert_eq!((sum, &gradient), (run(3e38).0, &run(3e38).1), "{}", case.name);
        assert!(gradient.iter().all(|row| row.0[live..].iter().all(|&g| g.to_bits() == 0)), "{}", case.name);
    }
}

#[test]
fn a_sample_does_not_depend_on_its_lane() {
    for case in cases() {
        let mut batch = batch(features(&case), 2.0);
        let mut first = vec![Row::ZERO; batch.output.len()];
        let sum_first = case.loss.tile(&batch.output, batch.expected(&case, 1), &mut first, &mut workspace());
        // Move sample 0 to lane 41 and make it the last live one: the sum of the others is the sum without it.
        for rows in [&mut batch.output, &mut batch.values] {
            rows.iter_mut().for_each(|row| row.0[41] = row.0[0]);
        }
        batch.labels[41] = batch.labels[0];
        batch.sequences = sequences(&batch.labels);
        let mut moved = vec![Row::ZERO; batch.output.len()];
        let sum = case.loss.tile(&batch.output, batch.expected(&case, 42), &mut moved, &mut workspace());
        let without = case.loss.value(&batch.output, batch.expected(&case, 41), &mut workspace());
        assert_eq!(sum, without + sum_first, "{}", case.name);
        for (first, moved) in first.iter().zip(&moved) {
            assert_eq!(first.0[0].to_bits(), moved.0[41].to_bits(), "{}", case.name);
        }
    }
}

#[test]
fn extreme_logits_stay_finite() {
    for case in cases() {
        let batch = batch(features(&case), 1.0);
        let output: Vec<Row> =
            batch.output.iter().map(|row| Row(row.0.map(|z| 1e4f32.copysign(z)))).collect();
        let mut gradient = vec![Row::ZERO; output.len()];
        let sum = case.loss.tile(&output, batch.expected(&case, LANES), &mut gradient, &mut workspace());
        assert!(sum.is_finite() && sum >= 0.0, "{}: {sum}", case.name);
        assert!(gradient.iter().all(|row| row.0.iter().all(|g| g.is_finite())), "{}", case.name);
    }
}

#[test]
fn not_a_number_is_not_hidden() {
    for case in cases() {
        let mut batch = batch(features(&case), 1.0);
        batch.output[0].0[3] = f32::NAN;
        assert!(
            case.loss.value(&batch.output, batch.expected(&case, LANES), &mut workspace()).is_nan(),
            "{}",
            case.name
        );
    }
}

#[test]
fn a_batch_without_weight_has_loss_and_gradient_0() {
    let loss = Loss::CrossEntropy(CrossEntropy::new(0.0, Some(vec![0.0, 1.0])));
    assert_eq!(loss.class_weight(Some(0)), 0.0);
    let mut gradient = [Row::ZERO; 2];
    let output = [Row([0.5; LANES]), Row([-0.5; LANES])];
    let targets = expected(TargetTile::Classes(&[0]), 1);
    assert_eq!(loss.tile(&output, targets, &mut gradient, &mut workspace()), 0.0);
    assert!(gradient.iter().all(|row| row.0.iter().all(|&g| g == 0.0)));
}

#[test]
fn heads_predict() {
    let logits = [1.0f32, 3.0, -1e4];
    let rows = || logits.map(|z| Row([z; LANES]));
    let apply = |head: Head| {
        let mut rows = rows();
        head.apply(&mut rows);
        rows.map(|row| row.0[LANES - 1])
    };
    let close = |got: [f32; 3], want: [f32; 3]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6);
    assert!(close(apply(Head::Softmax), [0.119_202_92, 0.880_797_1, 0.0]));
    assert!(close(apply(Head::Sigmoid), [0.731_058_6, 0.952_574_1, 0.0]));
    assert_eq!(apply(Head::Identity), logits);
}

#[test]
fn ignored_lanes_have_no_part_in_it() {
    for case in cases().iter().filter(|case| case.targets == Kind::Classes) {
        let mut batch = batch(features(case), 2.0);
        let rows = batch.output.len();
        let some: Vec<u32> = (0..LANES).filter(|lane| lane % 3 > 0).map(|lane| batch.labels[lane]).collect();
        let mut alone = vec![Row::ZERO; rows];
        for (row, from) in alone.iter_mut().zip(&batch.output) {
            let kept = (0..LANES).filter(|lane| lane % 3 > 0).map(|lane| from.0[lane]);
            row.0.iter_mut().zip(kept).for_each(|(to, from)| *to = from);
        }
        batch.labels.iter_mut().step_by(3).for_each(|label| *label = IGNORED);
        let mut gradient = vec![Row::ZERO; rows];
        let sum = case.loss.tile(&batch.output, batch.expected(case, LANES), &mut gradient, &mut workspace());
        let targets = expected(TargetTile::Classes(&some), some.len());
        let without = case.loss.value(&alone, targets, &mut workspace());
        assert!((sum - without).abs() < 1e-9 * (1.0 + without), "{}: {sum} {without}", case.name);
        assert!(gradient.iter().all(|row| row.0.iter().step_by(3).all(|&slope| slope == 0.0)));
        assert_eq!(case.loss.class_weight(Some(IGNORED)), 0.0, "{}", case.name);
    }
}

#[test]
fn a_weight_multiplies_and_0_leaves_out() {
    for case in cases() {
        let mut batch = batch(features(&case), 2.0);
        let weights = Row(std::array::from_fn(|lane| [1.0, 2.0, 0.0, 0.25][lane % 4]));
        // What does not count may be anything.
        batch.output.iter_mut().for_each(|row| row.0[2] = f32::NAN);
        let expected = Expected { weights: &weights, ..batch.expected(&case, LANES) };
        let mut gradients = [vec![Row::ZERO; batch.output.len()], vec![Row::ZERO; batch.output.len()]];
        let sum = case.loss.tile(&batch.output, expected, &mut gradients[0], &mut workspace());
        assert_eq!(sum, case.loss.value(&batch.output, expected, &mut workspace()), "{}", case.name);
        let unweighted = batch.expected(&case, LANES);
        case.loss.tile(&batch.output, unweighted, &mut gradients[1], &mut workspace());
        let mut of_lanes = 0.0;
        for (lane, weight) in weights.0.into_iter().enumerate().filter(|(_, weight)| *weight > 0.0) {
            let weights = Row(std::array::from_fn(|other| if other == lane { 1.0 } else { 0.0 }));
            let alone = Expected { weights: &weights, ..batch.expected(&case, LANES) };
            of_lanes += f64::from(weight) * case.loss.value(&batch.output, alone, &mut workspace());
        }
        assert!((sum - of_lanes).abs() < 1e-12 * of_lanes.abs(), "{}: {sum}, not {of_lanes}", case.name);
        for (found, unweighted) in gradients[0].iter().zip(&gradients[1]) {
            for (lane, weight) in weights.0.into_iter().enumerate() {
                let wanted = if weight > 0.0 { weight * unweighted.0[lane] } else { 0.0 };
                assert_eq!(found.0[lane], wanted, "{} lane {lane}", case.name);
            }
        }
    }
}
