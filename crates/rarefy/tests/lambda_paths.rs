//! A lambda path of networks gets sparser as lambda rises, from either end to the other, and is the same for any number
//! of threads.

use rarefy::control::PathStart;
use rarefy::layers::Network;
use rarefy::optimizers;
use rarefy::penalties::PenaltyMethod;
use rarefy::topology;
use rarefy::train::{Control, Ending, Event, LambdaPath, PathEvent, PathOutcome, PathSettings, Settings};

fn settings(method: PenaltyMethod) -> Settings {
    let mut settings = Settings { threads: 2, ..Settings::default() };
    settings.network.hidden = vec![48, 32];
    settings.sparsity.density = 1.0;
    settings.topology.method = topology::Method::Static;
    settings.penalty.method = method;
    settings.train.epochs = 10;
    settings
}

fn path(start: PathStart) -> PathSettings {
    PathSettings { lambdas: 16, start, ..PathSettings::default() }
}

fn follow(settings: Settings, path: &PathSettings) -> PathOutcome {
    LambdaPath::new(settings, path).unwrap().follow(&mut |_| Control::Continue).unwrap()
}

fn bits(network: &Network) -> Vec<u32> {
    network.parameters().flat_map(|parameter| parameter.weights.live_values()).map(f32::to_bits).collect()
}

#[test]
fn either_way_leads_from_nearly_empty_to_nearly_whole() {
    for method in [PenaltyMethod::L1, PenaltyMethod::Mcp, PenaltyMethod::GroupNeurons] {
        for start in [PathStart::Dense, PathStart::Sparse] {
            let case = format!("{method:?} from {start:?}");
            let PathOutcome { points, emptied, ending } = follow(settings(method), &path(start));
            assert_eq!(ending, Ending::Finished, "{case}");
            assert!(points.len() + emptied.len() <= 16 && points.len() >= 6, "{case}: {}", points.len());
            assert!(points.windows(2).all(|pair| pair[0].lambda > pair[1].lambda), "{case}");
            let counts: Vec<usize> = points.iter().map(|point| point.nonzeros).collect();
            let cells = 64 * 48 + 48 * 32 + 32 * 10;
            let (sparsest, densest) = (counts[0], *counts.last().unwrap());
            assert!(sparsest < cells / 5, "{case}: {counts:?}");
            // What grows stops where the loss is content: MCP does not pull at large weights.
            let least = if start == PathStart::Dense { cells * 9 / 10 } else { cells / 5 };
            assert!(densest > least, "{case}: {counts:?}");
            if start == PathStart::Dense {
                let falls = counts.windows(2).all(|pair| pair[0] as f64 <= 1.02 * pair[1] as f64);
                assert!(falls, "{case}: {counts:?}");
                // The last lambda of the way, if any, is the one that leaves nothing.
                assert!(emptied.len() <= 1, "{case}: {emptied:?}");
            }
            for point in &points {
                assert_eq!(point.network.connections().0, point.nonzeros, "{case}");
                assert!((point.density - point.nonzeros as f64 / cells as f64).abs() < 1e-12, "{case}");
                let zeros = point.network.weights().flat_map(|(_, it)| it.weights.live_values());
                assert!(zeros.into_iter().all(|value| value != 0.0), "{case}");
            }
            let best = points.iter().filter_map(|point| point.validation?.accuracy).fold(0.0, f64::max);
            assert!(best > 0.9, "{case}: {best}");
        }
    }
}

#[test]
fn later_lambdas_store_less_from_dense() {
    let mut path = LambdaPath::new(settings(PenaltyMethod::L1), &path(PathStart::Dense)).unwrap();
    let before = path.trainer().training_bytes();
    let outcome = path.follow(&mut |_| Control::Continue).unwrap();
    assert!(outcome.points[0].density < 0.1);
    assert!(path.trainer().training_bytes() < before / 4, "{before} {}", path.trainer().training_bytes());
}

#[test]
fn threads_change_no_bit() {
    for method in [PenaltyMethod::L1, PenaltyMethod::GroupInputs] {
        for start in [PathStart::Dense, PathStart::Sparse] {
            let mut ends = [1, 2].map(|threads| {
                let mut settings = settings(method);
                settings.threads = threads;
                settings.train.epochs = 2;
                let points = follow(settings, &path(start)).points;
                let figures = points.iter().map(|point| {
                    let score = point.validation.unwrap();
                    (
                        point.lambda.to_bits(),
                        point.train_loss.to_bits(),
                        score.loss.to_bits(),
                        bits(&point.network),
                    )
                });
                figures.collect::<Vec<_>>()
            });
            assert!(!ends[0].is_empty());
            let first = std::mem::take(&mut ends[0]);
            assert!(first == ends[1], "{method:?} from {start:?}");
        }
    }
}

#[test]
fn scores_are_those_of_the_whole_part_and_their_errors_those_of_its_samples() {
    let mut small = settings(PenaltyMethod::L1);
    small.loss =
        toml::from_str("class_weights = [1.0, 2.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 3.0]").unwrap();
    for settings in [settings(PenaltyMethod::L1), small] {
        let mut path =
            LambdaPath::new(settings, &PathSettings { lambdas: 2, ..path(PathStart::Dense) }).unwrap();
        let outcome = path.follow(&mut |_| Control::Continue).unwrap();
        let (point, part) = (&outcome.points[0], path.trainer().splits().test.clone().unwrap());
        let whole = path.trainer().evaluate(&point.network, &part, &[]).score;
        let score = path.score(&point.network, &part);
        assert!((score.loss - whole.loss()).abs() < 1e-9 * whole.loss());
        assert_eq!(score.accuracy, Some(whole.accuracy()));
        // The same samples four times: the same mean, half the error.
        let samples: Vec<usize> = (0..4).flat_map(|_| 0..part.len()).collect();
        let fourfold = path.score(&point.network, &part.subset(&samples));
        assert!((fourfold.loss - score.loss).abs() < 1e-9 * score.loss);
        assert!((score.standard_error / fourfold.standard_error - 2.0).abs() < 0.01);
        let errors = [score, fourfold].map(|score| score.accuracy_standard_error.unwrap());
        assert!((errors[0] / errors[1] - 2.0).abs() < 0.01);
    }
}

#[test]
fn who_watches_can_stop_it_and_keeps_the_whole_points() {
    let mut path = LambdaPath::new(settings(PenaltyMethod::L1), &path(PathStart::Dense)).unwrap();
    let mut seen = 0;
    let outcome = path
        .follow(&mut |event| {
            seen += usize::from(matches!(event, PathEvent::Point(_)));
            let stops = seen == 2 && matches!(event, PathEvent::Train(Event::Step { .. }));
            if stops { Control::Stop } else { Control::Continue }
        })
        .unwrap();
    assert_eq!((outcome.ending, outcome.points.len()), (Ending::Interrupted, 2));
}

#[test]
fn what_cannot_be_a_path_is_refused_by_name() {
    type Change = fn(&mut Settings, &mut PathSettings);
    let cases: [(Change, &str); 12] = [
        (
            |it, _| it.penalty.method = PenaltyMethod::None,
            "penalty.method: \"none\" does not go with a path of lambdas: a path needs",
        ),
        (
            |it, _| it.penalty.method = PenaltyMethod::L1Subgradient,
            "penalty.method: \"l1-subgradient\" does not go with a path",
        ),
        (
            |it, _| it.penalty.method = PenaltyMethod::L0Gates,
            "penalty.method: \"l0-gates\" does not go with a path",
        ),
        (
            |it, _| {
                it.penalty.method = PenaltyMethod::ElasticNet;
                it.penalty.l1_ratio = Some(0.0);
            },
            "penalty.l1_ratio: is 0",
        ),
        (|it, _| it.penalty.lambda = Some(1e-3), "penalty.lambda: a path goes through many"),
        (|it, _| it.target.sparsity = Some(0.9), "target: this does not go with a path"),
        (
            |it, _| it.topology.method = topology::Method::Rigl,
            "topology.method: \"rigl\" does not go with a path",
        ),
        (
            |it, _| it.optimizer.method = optimizers::Method::Linbreg,
            "optimizer.method: \"linbreg\" does not go with a path",
        ),
        (|it, _| it.train.patience = Some(2), "train.patience: must be 0"),
        (
            |it, path| (it.sparsity.density, path.start) = (0.5, PathStart::Sparse),
            "sparsity.density: must be 1 from sparse",
        ),
        (|_, path| path.lambda_min_ratio = 1.0, "lambda_min_ratio: 1 is not between 0 and 1"),
        (|_, path| path.lambdas = 0, "lambdas: 0"),
    ];
    for (change, words) in cases {
        let (mut settings, mut path) = (settings(PenaltyMethod::L1), path(PathStart::Dense));
        change(&mut settings, &mut path);
        let error = LambdaPath::new(settings, &path).err().expect(words).to_string();
        assert!(error.starts_with(words), "{error}");
    }
    // Every lambda leaves nothing.
    for start in [PathStart::Dense, PathStart::Sparse] {
        let path = PathSettings { lambda_max: Some(1e6), lambda_min_ratio: 0.1, lambdas: 2, start };
        let mut path = LambdaPath::new(settings(PenaltyMethod::L1), &path).unwrap();
        let error = path.follow(&mut |_| Control::Continue).err().unwrap().to_string();
        assert!(error.starts_with("lambda_max: ") && error.contains("lower it"), "{error}");
    }
}
