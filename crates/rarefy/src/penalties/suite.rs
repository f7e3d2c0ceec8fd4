//! The common suite: a new penalty or constraint joins by adding a row.

use super::*;
use crate::random::{Purpose, Stream};

const L1_RATIO: f64 = 0.25;
const GAMMA: f64 = 2.5;

/// Rows of 1, 3, 0, 5 and 3 weights for the penalties on groups.
const OFFSETS: [u32; 6] = [0, 1, 4, 4, 9, 12];
const SIZE: usize = 12;
/// The slots of the same groups if they are scattered.
const SLOTS: [u32; SIZE] = [7, 0, 5, 10, 1, 2, 6, 9, 11, 3, 4, 8];

struct Case {
    method: PenaltyMethod,
    /// The penalty of 12 weights, from its definition.
    definition: fn(&[f64], f64) -> f64,
    convex: bool,
}

#[rustfmt::skip]
const CASES: [Case; 7] = [
    Case { method: PenaltyMethod::L1,            definition: l1,          convex: true },
    Case { method: PenaltyMethod::L1Subgradient, definition: l1,          convex: true },
    Case { method: PenaltyMethod::ElasticNet,    definition: elastic_net, convex: true },
    Case { method: PenaltyMethod::Mcp,           definition: mcp,         convex: false },
    Case { method: PenaltyMethod::LHalf,         definition: l_half,      convex: false },
    Case { method: PenaltyMethod::GroupNeurons,  definition: group_rows,  convex: true },
    Case { method: PenaltyMethod::GroupInputs,   definition: group_slots, convex: true },
];

fn l1(x: &[f64], lambda: f64) -> f64 {
    x.iter().map(|x| lambda * x.abs()).sum()
}

fn elastic_net(x: &[f64], lambda: f64) -> f64 {
    x.iter().map(|x| lambda * (L1_RATIO * x.abs() + (1.0 - L1_RATIO) / 2.0 * x * x)).sum()
}

fn mcp(x: &[f64], lambda: f64) -> f64 {
    let one = |x: f64| {
        if x.abs() <= GAMMA * lambda {
            lambda * x.abs() - x * x / (2.0 * GAMMA)
        } else {
            GAMMA * lambda * lambda / 2.0
        }
    };
    x.iter().copied().map(one).sum()
}

fn l_half(x: &[f64], lambda: f64) -> f64 {
    x.iter().map(|x| lambda * x.abs().sqrt()).sum()
}

fn group_rows(x: &[f64], lambda: f64) -> f64 {
    let group = |pair: &[u32]| &x[pair[0] as usize..pair[1] as usize];
    OFFSETS.windows(2).map(|pair| lambda * (f64::from(pair[1] - pair[0]) * l2(group(pair))).sqrt()).sum()
}

fn group_slots(x: &[f64], lambda: f64) -> f64 {
    let gathered: Vec<f64> = SLOTS.iter().map(|&slot| x[slot as usize]).collect();
    group_rows(&gathered, lambda)
}

/// The squared norm.
fn l2(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

/// A penalty with its groups, if it has any.
#[derive(Clone)]
enum Subject {
    Each(Penalty),
    Groups(GroupL1, Groups<'static>),
}

impl Case {
    fn build(&self, lambda: f32) -> Subject {
        let settings = PenaltySettings {
            method: self.method,
            lambda: Some(lambda),
            l1_ratio: (self.method == PenaltyMethod::ElasticNet).then_some(L1_RATIO as f32),
            gamma: (self.method == PenaltyMethod::Mcp).then_some(GAMMA as f32),
        };
        match settings.build().unwrap().unwrap() {
            Regularizer::Prox(penalty) | Regularizer::Subgradient(penalty) => Subject::Each(penalty),
            Regularizer::Groups(penalty, GroupBy::Neurons | GroupBy::Blocks) => {
                Subject::Groups(penalty, Groups { offsets: &OFFSETS, slots: None })
            }
            Regularizer::Groups(penalty, GroupBy::Inputs) => {
                Subject::Groups(penalty, Groups { offsets: &OFFSETS, slots: Some(&SLOTS) })
            }
            Regularizer::Thresholds { .. } | Regularizer::Gates { .. } => {
                unreachable!("it is no penalty on stored weights")
            }
        }
    }
}

impl Subject {
    fn value(&self, values: &[f32]) -> f64 {
        match self {
            Subject::Each(penalty) => penalty.value(values),
            Subject::Groups(penalty, groups) => penalty.value(values, *groups),
        }
    }

    fn subgradient(&self, values: &[f32]) -> Vec<f32> {
        let mut gradients = vec![0.0; values.len()];
        match self {
            Subject::Each(penalty) => penalty.add_subgradient(values, &mut gradients),
            Subject::Groups(penalty, groups) => penalty.add_subgradient(values, *groups, &mut gradients),
        }
        gradients
    }

    fn prox(&self, values: &[f32], steps: Steps<'_>) -> Vec<f32> {
        let mut values = values.to_vec();
        match self {
            Subject::Each(penalty) => penalty.prox(&mut values, steps),
            Subject::Groups(penalty, groups) => penalty.prox(&mut values, steps, *groups),
        }
        values
    }
}

fn stream(round: u64) -> Stream {
    Stream::new(11, Purpose::Bench, 0, round)
}

/// Weights around 1 and step sizes from 0.01 to 100: on both sides of gamma.
fn draw(stream: &mut Stream) -> (Vec<f32>, Vec<f32>) {
    let weights = (0..SIZE).map(|_| stream.normal() * 2.0).collect();
    let steps = (0..SIZE).map(|_| 10f32.powf(stream.uniform() * 4.0 - 2.0)).collect();
    (weights, steps)
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn the_prox_beats_every_other_point() {
    for case in &CASES {
        let mut moved = 0;
        for round in 0..60 {
            let mut stream = stream(round);
            let (weights, steps) = draw(&mut stream);
            let lambda = [0.0, 0.01, 0.1, 0.5, 1.0, 3.0][round as usize % 6];
            let point = wide(&case.build(lambda).prox(&weights, Steps::Each(&steps)));
            let (w, s) = (wide(&weights), wide(&steps));
            let objective = |x: &[f64]| {
                let distance: f64 = (0..SIZE).map(|i| (x[i] - w[i]).powi(2) / (2.0 * s[i])).sum();
                distance + (case.definition)(x, f64::from(lambda))
            };
            let reached = objective(&point);
            // Room for the rounding of lambda * step and of the point to f32.
            let limit = reached * (1.0 - 1e-6);
            let check = |x: &[f64]| {
                let other = objective(x);
                assert!(other >= limit, "{:?}: {other} at {x:?}, {reached} at {point:?}", case.method);
            };
            // Each weight on a fine grid, the others as they are.
            for i in 0..SIZE {
                let mut x = point.clone();
                for k in -300..=1300 {
                    x[i] = w[i] * f64::from(k) * 1e-3;
                    check(&x);
                }
            }
            // All weights at once: near by, far away, the old point, nothing.
            for k in 0..600 {
                let size = 10f64.powi(-(k % 7));
                let x: Vec<f64> = point.iter().map(|x| x + size * f64::from(stream.normal())).collect();
                check(&x);
                let shrunk: Vec<f64> = point.iter().map(|x| x * f64::from(k) * 2e-3).collect();
                check(&shrunk);
            }
            check(&w);
            check(&[0.0; SIZE]);
            moved += usize::from(point != w);
        }
        assert!(moved >= 30, "{:?}: moved in {moved} rounds", case.method);
    }
}

#[test]
fn a_large_lambda_empties_all_and_zero_none() {
    for case in &CASES {
        for round in 0..20 {
            let (weights, steps) = draw(&mut stream(round));
            let empty = case.build(1e6).prox(&weights, Steps::Each(&steps));
            assert_eq!(empty, [0.0; SIZE], "{:?}", case.method);
            assert_eq!(case.build(1.0).prox(&empty, Steps::Each(&steps)), empty, "{:?}", case.method);
            let mut start = weights.clone();
            start[3] = 0.0;
            for steps in [Steps::Each(&steps), Steps::Same(0.1)] {
                assert_eq!(case.build(0.0).prox(&start, steps), start, "{:?}", case.method);
            }
            assert_eq!(case.build(1.0).prox(&start, Steps::Same(0.0)), start, "{:?}", case.method);
        }
    }
}

/// In the norm of the steps: `sum (p - q)^2 / s <= sum (w - v)^2 / s`.
#[test]
fn convex_penalties_bring_points_together() {
    for case in CASES.iter().filter(|case| case.convex) {
        for round in 0..300 {
            let mut stream = stream(round);
            let (first, steps) = draw(&mut stream);
            let (second, _) = draw(&mut stream);
            let subject = case.build(stream.uniform() * 2.0);
            let distance = |a: &[f32], b: &[f32]| -> f64 {
                (0..SIZE).map(|i| (f64::from(a[i]) - f64::from(b[i])).powi(2) / f64::from(steps[i])).sum()
            };
            let prox = |w: &[f32]| subject.prox(w, Steps::Each(&steps));
            let (before, after) = (distance(&first, &second), distance(&prox(&first), &prox(&second)));
            assert!(after <= before * (1.0 + 1e-6), "{:?}: {before} became {after}", case.method);
        }
    }
}

#[test]
fn value_and_subgradient_match_the_definition() {
    for case in &CASES {
        for round in 0..50 {
            // Away from the kink at 0; MCP's seam is smooth.
            let weights: Vec<f32> =
                draw(&mut stream(round)).0.iter().map(|w| w + 0.05_f32.copysign(*w)).collect();
            let lambda = 0.7_f32;
            let subject = case.build(lambda);
            let w = wide(&weights);
            let definition = |x: &[f64]| (case.definition)(x, f64::from(lambda));
            let (value, want) = (subject.value(&weights), definition(&w));
            assert!((value - want).abs() <= 1e-6 * want, "{:?}: {value}, not {want}", case.method);
            for (i, slope) in subject.subgradient(&weights).into_iter().enumerate() {
                let at = |step: f64| {
                    let mut x = w.clone();
                    x[i] += step;
                    definition(&x)
                };
                let want = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((f64::from(slope) - want).abs() < 1e-5, "{:?}: {slope}, not {want}", case.method);
            }
        }
        assert_eq!(case.build(0.7).subgradient(&[0.0; SIZE]), [0.0; SIZE], "{:?}", case.method);
    }
}

/// Weights alone may be cut anywhere, rows between rows, scattered groups by slot.
#[test]
fn sub_slices_give_the_bits_of_the_whole() {
    for case in &CASES {
        for round in 0..20 {
            let (weights, steps) = draw(&mut stream(round));
            let subject = case.build(0.4);
            let whole = subject.prox(&weights, Steps::Each(&steps));
            let mut parts = weights.clone();
            match subject {
                Subject::Each(penalty) => {
                    for range in [5..12, 0..1, 1..5] {
                        penalty.prox(&mut parts[range.clone()], Steps::Each(&steps[range]));
                    }
                }
                Subject::Groups(penalty, Groups { slots: None, .. }) => {
                    for lines in [2..5, 0..2] {
                        let offsets = &OFFSETS[lines.start..=lines.end];
                        let range = offsets[0] as usize..offsets[offsets.len() - 1] as usize;
                        let steps = Steps::Each(&steps[range.clone()]);
                        penalty.prox(&mut parts[range], steps, Groups { offsets, slots: None });
                    }
                }
                Subject::Groups(penalty, groups) => {
                    let shrinkages: Vec<Shrinkage> = (0..groups.count())
                        .map(|group| penalty.shrinkage(&weights, Steps::Each(&steps), groups, group))
                        .collect();
                    for (entry, &slot) in SLOTS.iter().enumerate() {
                        let group = OFFSETS.iter().rposition(|&offset| offset as usize <= entry).unwrap();
                        let slot = slot as usize;
                        parts[slot] = shrinkages[group].apply(parts[slot], steps[slot]);
                    }
                }
            }
            assert_eq!(bits(&whole), bits(&parts), "{:?}", case.method);
        }
    }
}

#[test]
fn one_step_for_all_equals_the_same_step_for_each() {
    for case in &CASES {
        for round in 0..50 {
            let (weights, steps) = draw(&mut stream(round));
            let subject = case.build(0.3);
            let same = subject.prox(&weights, Steps::Same(steps[0]));
            let each = subject.prox(&weights, Steps::Each(&[steps[0]; SIZE]));
            for (a, b) in same.iter().zip(&each) {
                assert!((a - b).abs() <= 1e-6 * a.abs(), "{:?}: {a}, {b}", case.method);
            }
        }
    }
}

#[test]
fn nan_shows() {
    for case in &CASES {
        let (weights, steps) = draw(&mut stream(0));
        for i in 0..SIZE {
            for lambda in [0.0, 0.3, 1e6] {
                let subject = case.build(lambda);
                let mut weights = weights.clone();
                weights[i] = f32::NAN;
                for steps in [Steps::Each(&steps), Steps::Same(1.0)] {
                    assert!(subject.prox(&weights, steps)[i].is_nan(), "{:?}", case.method);
                }
                assert!(subject.value(&weights).is_nan(), "{:?}", case.method);
                assert!(subject.subgradient(&weights)[i].is_nan(), "{:?}", case.method);
            }
            // A step that is not a number may leave the weight, but not empty it.
            let mut steps = steps.clone();
            steps[i] = f32::NAN;
            let after = case.build(0.3).prox(&weights, Steps::Each(&steps))[i];
            assert!(after != 0.0, "{:?}", case.method);
        }
    }
}

#[test]
#[should_panic(expected = "as many steps as values")]
fn too_few_steps_panic() {
    CASES[0].build(1.0).prox(&[1.0; SIZE], Steps::Each(&[1.0; 3]));
}

/// A constraint of the suite.
struct Limit {
    settings: &'static str,
    /// How far outside the set a vector is, 0 inside.
    excess: fn(&[f64]) -> f64,
    /// Makes any vector a member of the set.
    member: fn(Vec<f64>) -> Vec<f64>,
    convex: bool,
}

const RADIUS: f64 = 2.5;
const KEEP: f64 = 0.25;

#[rustfmt::skip]
const LIMITS: [Limit; 5] = [
    Limit { settings: "method = 'l1-ball'\nradius = 2.5", excess: ball_excess, member: into_ball, convex: true },
    Limit { settings: "method = 'top-k'\nkeep = 0.25", excess: count_excess, member: into_count, convex: false },
    Limit { settings: "method = 'box'\nlower = -0.5\nupper = 0.25", excess: box_excess, member: into_box, convex: true },
    Limit { settings: "method = 'box'\nupper = 0.25", excess: upper_excess, member: into_upper, convex: true },
    Limit { settings: "method = 'non-negative'", excess: negative, member: into_positive, convex: true },
];

fn ball_excess(x: &[f64]) -> f64 {
    (l1(x, 1.0) - RADIUS * (1.0 + 1e-7)).max(0.0)
}

fn into_ball(x: Vec<f64>) -> Vec<f64> {
    let factor = (RADIUS / l1(&x, 1.0)).min(1.0);
    x.into_iter().map(|x| x * factor).collect()
}

fn kept(length: usize) -> usize {
    ((KEEP * length as f64).round() as usize).max(1)
}

fn count_excess(x: &[f64]) -> f64 {
    x.iter().filter(|x| **x != 0.0).count().saturating_sub(kept(x.len())) as f64
}

fn into_count(mut x: Vec<f64>) -> Vec<f64> {
    let start = kept(x.len());
    x[start..].fill(0.0);
    x
}

fn box_excess(x: &[f64]) -> f64 {
    x.iter().map(|x| (x - 0.25).max(-0.5 - x).max(0.0)).sum()
}

fn into_box(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|x| x.clamp(-0.5, 0.25)).collect()
}

fn upper_excess(x: &[f64]) -> f64 {
    x.iter().map(|x| (x - 0.25).max(0.0)).sum()
}

fn into_upper(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|x| x.min(0.25)).collect()
}

fn negative(x: &[f64]) -> f64 {
    x.iter().map(|x| (-x).max(0.0)).sum()
}

fn into_positive(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(f64::abs).collect()
}

/// Projects a vector that lies in three slices.
fn project(limit: &Limit, values: &[f32]) -> Vec<f32> {
    let constraint = toml::from_str::<ConstraintSettings>(limit.settings).unwrap().build().unwrap().unwrap();
    let (a, b) = (values.len() / 3, values.len() / 2);
    let slices = [&values[..a], &values[a..b], &values[b..]];
    let projection = constraint.projection(slices.into_iter(), values.len(), &mut vec![9.0; 3]);
    let mut whole = values.to_vec();
    projection.apply(&mut whole, 0);
    // Cut elsewhere than the slices were.
    let mut parts = values.to_vec();
    let cut = values.len() * 2 / 5;
    projection.apply(&mut parts[cut..], cut);
    projection.apply(&mut parts[..cut], 0);
    assert_eq!(bits(&whole), bits(&parts), "{}", limit.settings);
    whole
}

/// Vectors of many lengths: normal, with ties and zeros, inside the set, all equal.
fn vectors() -> Vec<Vec<f32>> {
    let mut vectors = Vec::new();
    for (round, length) in [1, 2, 3, 7, 16, 33, 100, 1000].into_iter().cycle().take(80).enumerate() {
        let mut stream = stream(round as u64);
        vectors.push((0..length).map(|_| stream.normal()).collect());
        vectors.push((0..length).map(|_| stream.below(5) as f32 * 0.5 - 1.0).collect());
        vectors.push((0..length).map(|_| stream.uniform() / length as f32).collect());
        vectors.push(vec![stream.normal(); length]);
    }
    vectors
}

#[test]
fn projections_are_feasible_and_stay_put() {
    for limit in &LIMITS {
        for values in vectors() {
            let point = project(limit, &values);
            let excess = (limit.excess)(&wide(&point));
            assert_eq!(excess, 0.0, "{}: {values:?}", limit.settings);
            assert_eq!(bits(&project(limit, &point)), bits(&point), "{}: {values:?}", limit.settings);
            if (limit.excess)(&wide(&values)) == 0.0 {
                assert_eq!(point, values, "{}: it was inside", limit.settings);
            }
        }
    }
}

/// No member of the set is nearer; in a convex set the angle at the projection is obtuse: `(w - p) (v - p) <= 0`.
#[test]
fn no_member_is_nearer() {
    for limit in &LIMITS {
        for (round, values) in vectors().into_iter().enumerate() {
            let (w, p) = (wide(&values), wide(&project(limit, &values)));
            let distance = |v: &[f64]| w.iter().zip(v).map(|(w, v)| (w - v) * (w - v)).sum::<f64>();
            let (mut stream, origin) = (stream(round as u64), vec![0.0; w.len()]);
            for k in 0..50 {
                // Near the projection, near the vector, anywhere.
                let size = 10f64.powi(-(k % 5));
                let center = [&p, &w, &origin][k as usize % 3];
                let v: Vec<f64> = center.iter().map(|x| x + size * f64::from(stream.normal())).collect();
                let v = (limit.member)(v);
                assert!(distance(&v) >= distance(&p) * (1.0 - 1e-6) - 1e-12, "{}", limit.settings);
                if limit.convex {
                    let angle: f64 = (0..w.len()).map(|i| (w[i] - p[i]) * (v[i] - p[i])).sum();
                    let scale = distance(&p).sqrt() * (1.0 + l2(&p).sqrt() + l2(&v).sqrt());
                    assert!(angle <= 1e-6 * scale, "{}: {angle}", limit.settings);
                }
            }
        }
    }
}

#[test]
fn top_k_is_what_sorting_keeps() {
    for values in vectors() {
        let mut order: Vec<usize> = (0..values.len()).collect();
        // Stable: of ties the lower position comes first.
        order.sort_by(|&a, &b| values[b].abs().total_cmp(&values[a].abs()));
        let mut want = vec![0.0; values.len()];
        order[..kept(values.len())].iter().for_each(|&i| want[i] = values[i]);
        assert_eq!(project(&LIMITS[1], &values), want);
    }
}

#[test]
fn projections_show_nan() {
    for limit in &LIMITS {
        for length in [1, 5, 40] {
            for i in 0..length {
                let mut values = vec![1.0; length];
                values[i] = f32::NAN;
                assert!(project(limit, &values)[i].is_nan(), "{}", limit.settings);
            }
        }
    }
}
