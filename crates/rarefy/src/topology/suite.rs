//! What every method promises, one row each: the counts it passes through and the one it ends with, and what its
//! patterns look like.

use super::*;
use crate::random::Purpose;
use crate::sparse::{Allocation, Init, Storage, Weights, allocate};

/// A method and the connections that the whole network may have on the way, over those at the end.
struct Row {
    name: &'static str,
    settings: TopologySettings,
    start: f64,
    most: f64,
}

fn rows() -> Vec<Row> {
    let with = |method| TopologySettings { method, ..TopologySettings::default() };
    let soft = |method| TopologySettings { drop: Some(DropName::Soft), ..with(method) };
    let global = |method| TopologySettings { scope: Some(Scope::Global), ..with(method) };
    let row = |name, settings, start, most| Row { name, settings, start, most };
    vec![
        row("static", with(Method::Static), 1.0, 1.0),
        row("set", with(Method::Set), 1.0, 1.0),
        row("rigl", with(Method::Rigl), 1.0, 1.0),
        row("rigl soft", soft(Method::Rigl), 1.0, 1.0),
        row("gse", with(Method::Gse), 1.0, 1.0),
        row("gse soft", soft(Method::Gse), 1.0, 1.0),
        row("mest", with(Method::Mest), 1.5, 1.5),
        row("cht", with(Method::Cht), 1.0, 1.0),
        row("cht soft", soft(Method::Cht), 1.0, 1.0),
        row("gmp", with(Method::Gmp), 20.0, 20.0),
        row("gmp global", global(Method::Gmp), 20.0, 20.0),
        row("granet", with(Method::Granet), 10.0, 10.0),
        row("granet global", global(Method::Granet), 10.0, 10.0),
        row("acdc", with(Method::Acdc), 20.0, 20.0),
        row("acdc global", global(Method::Acdc), 20.0, 20.0),
        row("srigl", with(Method::Srigl), 1.0, 1.0),
        row("top-kast", with(Method::TopKast), 2.0, 2.0),
    ]
}

const SHAPES: [(usize, usize); 3] = [(60, 80), (50, 60), (10, 50)];
const DENSITY: f64 = 0.05;

fn counts(density: f64) -> Vec<usize> {
    let shapes: Vec<Vec<usize>> = SHAPES.iter().map(|&(rows, cols)| vec![rows, cols]).collect();
    allocate(Allocation::Erk, density, &shapes, &[0; 3]).unwrap()
}

/// A run of `total` steps without a network: weights and gradients are drawn anew for every update. Calls
/// `look(step, weights)` after each one.
fn run(topology: &Topology, seed: u64, total: u64, mut look: impl FnMut(u64, &[Weights])) {
    let (targets, starts) = (counts(DENSITY), counts(topology.start_density(DENSITY)));
    let mut stream = Stream::new(seed, Purpose::Bench, 0, 0);
    let mut weights: Vec<Weights> = SHAPES
        .iter()
        .zip(starts)
        .map(|(&(rows, cols), nnz)| {
            Weights::zeros(topology.start_pattern(rows, cols, nnz, &mut stream), Storage::Auto)
        })
        .collect();
    look(0, &weights);
    for step in 1..=total {
        let progress = Progress { step, total, epoch: total / 10 };
        if !topology.when.is_due(&progress) {
            continue;
        }
        weights.iter_mut().for_each(|weights| Init::He.fill(weights, &mut stream));
        let gradients: Vec<Vec<f32>> =
            SHAPES.iter().map(|(rows, cols)| (0..rows * cols).map(|_| stream.normal()).collect()).collect();
        let live: Vec<Vec<f32>> =
            weights.iter().map(|it| it.values().iter().map(|_| stream.normal()).collect()).collect();
        let mut views: Vec<View<'_>> = (0..SHAPES.len())
            .map(|index| View {
                absent: testing::cell_gradients(&gradients[index], SHAPES[index].1),
                stream: Stream::new(seed, Purpose::Topology, index as u64, step),
                ..testing::view(&weights[index], &live[index], targets[index], 0)
            })
            .collect();
        let patterns = topology.update(&mut views, &progress);
        drop(views);
        for (weights, pattern) in weights.iter_mut().zip(patterns) {
            if let Some(pattern) = pattern {
                *weights = weights.rewire(pattern, Storage::Auto).0;
            }
        }
        look(step, &weights);
    }
}

#[test]
fn counts_stay_within_bounds_and_end_exactly() {
    for Row { name, settings, start, most } in rows() {
        let topology = settings.build().unwrap();
        let targets = counts(DENSITY);
        let target = targets.iter().sum::<usize>() as f64;
        // Runs shorter than a window, and of lengths that no period divides.
        for total in [10, 1000, 1370] {
            let mut last = Vec::new();
            run(&topology, 1, total, |step, weights| {
                let share = weights.iter().map(Weights::nnz).sum::<usize>() as f64 / target;
                assert!(share < 1.01 * most, "{name}: {share} times the target at {step}");
                assert!(share > 0.99, "{name}: {share} times the target at {step}");
                if step == 0 {
                    assert!(
                        (share - start).abs() < 0.01 * start,
                        "{name} starts with {share} times the target"
                    );
                }
                last = weights.iter().map(Weights::nnz).collect();
            });
            match topology.scope {
                Scope::Layer => assert_eq!(last, targets, "{name} in {total} steps"),
                Scope::Global => {
                    assert_eq!(
                        last.iter().sum::<usize>(),
                        targets.iter().sum::<usize>(),
                        "{name} in {total} steps"
                    );
                    assert!(last != targets && !last.contains(&0), "{name} in {total} steps: {last:?}");
                }
            }
        }
    }
}

#[test]
fn connections_move_and_the_seed_says_where() {
    for Row { name, settings, .. } in rows() {
        let topology = settings.build().unwrap();
        let patterns = |seed| {
            let mut seen = Vec::new();
            run(&topology, seed, 1000, |_, weights| {
                seen.push(weights.iter().map(|it| it.pattern().cloned()).collect::<Vec<_>>());
            });
            seen
        };
        let first = patterns(1);
        assert!(first == patterns(1), "{name}: the same seed");
        assert!(first.last() != patterns(2).last(), "{name}: another seed");
        assert_eq!(first.first() == first.last(), settings.method == Method::Static, "{name}");
    }
}

#[test]
fn srigl_keeps_the_fan_in_of_live_units_constant() {
    let topology = TopologySettings { method: Method::Srigl, ..TopologySettings::default() }.build().unwrap();
    run(&topology, 1, 1000, |step, weights| {
        for (layer, weights) in weights.iter().enumerate() {
            let alive: Vec<usize> = weights.fan_in().into_iter().filter(|&fan_in| fan_in > 0).collect();
            let (most, least) = (alive.iter().max().unwrap(), alive.iter().min().unwrap());
            assert!(most - least <= 1, "layer {layer} at {step}: {alive:?}");
            assert!(layer < 2 || alive.len() == 10, "an output has no connections at {step}");
        }
    });
}
