//! What every answer promises, for both losses, both storages, both methods, more and fewer samples than features. The
//! promises are checked with plain loops written here, against the definition.

use super::*;
use crate::control::{PathStart, lambda_grid};
use crate::random::{Purpose, Stream};

/// A problem as plain rows.
struct Case {
    rows: usize,
    cols: usize,
    features: Vec<f32>,
    targets: Vec<f64>,
    loss: Loss,
    intercept: bool,
}

const SHAPES: [(usize, usize); 3] = [(40, 12), (30, 90), (25, 25)];
const LOSSES: [Loss; 2] = [Loss::Squared, Loss::Logistic];
const METHODS: [Method; 3] = Method::ALL;

impl Case {
    /// Half of the values are zeros; the first column is constant; means are not zero.
    fn new(rows: usize, cols: usize, loss: Loss, seed: u64) -> Case {
        let mut random = Stream::new(seed, Purpose::Bench, 0, 0);
        let mut features = vec![0.0; rows * cols];
        for (at, value) in features.iter_mut().enumerate() {
            let drawn = random.normal() + 0.5 * (at % cols % 3) as f32;
            *value = if at % cols == 0 { 3.0 } else { drawn * (random.uniform() < 0.5) as u8 as f32 };
        }
        let score = |row: usize| {
            let x = &features[row * cols..][..cols];
            f64::from(2.0 * x[1] - 1.5 * x[2] + x[3] - 1.0)
        };
        let targets = (0..rows)
            .map(|row| {
                let noisy = score(row) + f64::from(random.normal());
                match loss {
                    Loss::Squared => noisy + 5.0,
                    Loss::Logistic => f64::from(u8::from(noisy > 0.0)),
                }
            })
            .collect();
        Case { rows, cols, features, targets, loss, intercept: true }
    }

    fn problem(&self, sparse: bool) -> Problem {
        self.weighted(sparse, None)
    }

    fn weighted(&self, sparse: bool, weights: Option<Vec<f64>>) -> Problem {
        let (rows, cols) = (self.rows, self.cols);
        let design = if sparse {
            Design::Sparse(SparseColumns::from_rows(rows, cols, &self.features).unwrap())
        } else {
            Design::Dense(DenseColumns::from_rows(rows, cols, &self.features).unwrap())
        };
        let options = ProblemOptions { weights, intercept: self.intercept };
        Problem::with_options(design, self.targets.clone(), self.loss, options).unwrap()
    }

    /// With each row as often as `times` says.
    fn repeated(&self, times: &[usize]) -> Case {
        let row = |&row: &usize| &self.features[row * self.cols..][..self.cols];
        let rows: Vec<usize> =
            times.iter().enumerate().flat_map(|(row, &times)| std::iter::repeat_n(row, times)).collect();
        Case {
            rows: rows.len(),
            features: rows.iter().flat_map(row).copied().collect(),
            targets: rows.iter().map(|&row| self.targets[row]).collect(),
            ..*self
        }
    }

    fn predictions(&self, answer: &Solution) -> Vec<f64> {
        let row = |row: usize| {
            let x = &self.features[row * self.cols..][..self.cols];
            answer.intercept + answer.coefficients.iter().map(|&(j, w)| w * f64::from(x[j])).sum::<f64>()
        };
        (0..self.rows).map(row).collect()
    }

    fn objective(&self, answer: &Solution, penalty: Penalty) -> f64 {
        let losses = self.predictions(answer).into_iter().zip(&self.targets).map(|(z, &y)| match self.loss {
            Loss::Squared => 0.5 * (y - z) * (y - z),
            Loss::Logistic => (1.0 + z.exp()).ln() - y * z,
        });
        let w = answer.coefficients.iter().map(|(_, w)| w);
        let (l1, square) = w.fold((0.0, 0.0), |(l1, square), w| (l1 + w.abs(), square + w * w));
        losses.sum::<f64>() / self.rows as f64
            + penalty.lambda * (penalty.l1_ratio * l1 + 0.5 * (1.0 - penalty.l1_ratio) * square)
    }

    /// The largest violation of the optimality conditions, as a part of the L1 factor.
    fn violation(&self, answer: &Solution, penalty: Penalty) -> f64 {
        let residual: Vec<f64> = self
            .predictions(answer)
            .into_iter()
            .zip(&self.targets)
            .map(|(z, y)| match self.loss {
                Loss::Squared => y - z,
                Loss::Logistic => y - 1.0 / (1.0 + (-z).exp()),
            })
            .collect();
        let mut weights = vec![0.0; self.cols];
        answer.coefficients.iter().for_each(|&(feature, weight)| weights[feature] = weight);
        let samples = self.rows as f64;
        let l1 = penalty.lambda * penalty.l1_ratio;
        let slope = |j: usize| {
            let sum: f64 =
                (0..self.rows).map(|i| residual[i] * f64::from(self.features[i * self.cols + j])).sum();
            sum / samples - penalty.lambda * (1.0 - penalty.l1_ratio) * weights[j]
        };
        let of = |j: usize| match weights[j] {
            0.0 => (slope(j).abs() - l1).max(0.0),
            weight => (slope(j) - l1 * weight.signum()).abs(),
        };
        let all = residual.iter().sum::<f64>().abs() / samples;
        let intercept = if self.intercept { all } else { 0.0 };
        (0..self.cols).map(of).fold(intercept, f64::max) / l1
    }
}

fn settings(method: Method, tolerance: f64) -> SolverSettings {
    SolverSettings { method, tolerance, max_iterations: 1_000_000 }
}

fn solve(problem: &Problem, penalty: Penalty, settings: SolverSettings) -> Solution {
    Solver::new(problem, settings).unwrap().solve(penalty).unwrap()
}

/// Both losses, storages and all shapes.
fn each_case(mut check: impl FnMut(&Case, &Problem, &str)) {
    for loss in LOSSES {
        for (rows, cols) in SHAPES {
            for sparse in [false, true] {
                let case = Case::new(rows, cols, loss, 11);
                check(&case, &case.problem(sparse), &format!("{loss:?} {rows}x{cols} sparse: {sparse}"));
            }
        }
    }
}

#[test]
fn answers_meet_the_optimality_conditions() {
    each_case(|case, problem, name| {
        for method in METHODS {
            for (part, l1_ratio) in [(0.5, 1.0), (0.05, 1.0), (0.1, 0.5)] {
                let lambda = part * problem.lambda_max(l1_ratio).unwrap();
                let penalty = Penalty { lambda, l1_ratio };
                let answer = solve(problem, penalty, settings(method, 1e-11));
                let name = format!("{name} {method:?} {part} {l1_ratio}");
                assert!(answer.converged && answer.iterations > 0, "{name}: gap {:e}", answer.gap);
                let violation = case.violation(&answer, penalty);
                assert!(violation < 1e-4, "{name}: {violation:e}");
                let objective = case.objective(&answer, penalty);
                assert!((objective - answer.objective).abs() < 1e-12 * objective, "{name}");
                assert!(answer.coefficients.iter().all(|&(feature, _)| feature != 0), "{name}: constant");
            }
        }
    });
}

#[test]
fn weights_count_samples_and_an_intercept_may_be_left_out() {
    for (loss, (rows, cols)) in LOSSES.into_iter().flat_map(|loss| SHAPES.map(|shape| (loss, shape))) {
        for (intercept, sparse) in [(true, false), (true, true), (false, false), (false, true)] {
            let case = Case { intercept, ..Case::new(rows, cols, loss, 6) };
            let times: Vec<usize> = (0..rows).map(|row| row * 7 % 4).collect();
            let weights = times.iter().map(|&times| 0.5 * times as f64).collect();
            let (weighted, repeated) = (case.weighted(sparse, Some(weights)), case.repeated(&times));
            let whole = repeated.problem(sparse);
            for (method, l1_ratio) in METHODS.into_iter().flat_map(|method| [(method, 1.0), (method, 0.5)]) {
                let name = format!("{loss:?} {rows}x{cols} {intercept} {sparse} {method:?} {l1_ratio}");
                let penalty = Penalty { lambda: 0.1 * whole.lambda_max(l1_ratio).unwrap(), l1_ratio };
                let answer = solve(&weighted, penalty, settings(method, 1e-11));
                assert!(answer.converged, "{name}: gap {:e}", answer.gap);
                assert!(intercept || answer.intercept == 0.0, "{name}");
                let violation = repeated.violation(&answer, penalty);
                assert!(violation < 1e-4, "{name}: {violation:e}");
                let apart = solve(&whole, penalty, settings(method, 1e-11)).objective - answer.objective;
                assert!(apart.abs() < 3e-11 * whole.null_objective(), "{name}: {apart:e}");
                // Without an intercept the constant feature takes its place.
                let uses_constant = answer.coefficients.first().is_some_and(|&(feature, _)| feature == 0);
                assert!(!(uses_constant && intercept), "{name}");
            }
        }
    }
}

#[test]
fn an_answer_that_was_stopped_says_so_and_ends_the_path() {
    let problem = Case::new(30, 90, Loss::Logistic, 4).problem(false);
    let lambdas = lambda_grid(problem.lambda_max(1.0).unwrap(), 0.01, 9).unwrap();
    for method in METHODS {
        let asked = std::cell::Cell::new(0);
        let stops = || {
            asked.set(asked.get() + 1);
            asked.get() > 12
        };
        let mut solver = Solver::new(&problem, settings(method, 1e-9)).unwrap().stopped_by(stops);
        let mut solved = Vec::new();
        solver.follow(&lambdas, 1.0, PathStart::Sparse, |answer| solved.push(answer)).unwrap();
        assert!(!solved.is_empty() && solved.len() < 9 && solved.iter().all(|answer| answer.converged));
        assert!(!solver.solve(Penalty::l1(lambdas[8])).unwrap().converged, "{method:?}");
    }
}

#[test]
fn the_gap_bounds_how_far_the_optimum_is() {
    each_case(|case, problem, name| {
        for l1_ratio in [1.0, 0.3] {
            let penalty = Penalty { lambda: 0.1 * problem.lambda_max(l1_ratio).unwrap(), l1_ratio };
            let best = solve(problem, penalty, settings(Method::Fista, 1e-13));
            let mut stopped = 0;
            for max_iterations in [1, 2, 5, 10, 20, 40] {
                let limits = SolverSettings { max_iterations, ..settings(Method::Ista, 1e-10) };
                let answer = solve(problem, penalty, limits);
                let above = case.objective(&answer, penalty) - case.objective(&best, penalty);
                let slack = 1e-12 * best.objective;
                assert!(above <= answer.gap + slack, "{name}: {above:e} above, gap {:e}", answer.gap);
                assert!(answer.gap <= problem.null_objective() * 1.5, "{name}: gap {}", answer.gap);
                assert!(answer.iterations <= max_iterations, "{name}");
                stopped += usize::from(!answer.converged);
            }
            assert!(stopped > 0, "{name}: nothing was cut short");
        }
    });
}

#[test]
fn from_lambda_max_on_nothing_is_used_and_just_below_something_is() {
    each_case(|_, problem, name| {
        for l1_ratio in [1.0, 0.5] {
            let most = problem.lambda_max(l1_ratio).unwrap();
            let mut solver = Solver::new(problem, settings(Method::Fista, 1e-10)).unwrap();
            for factor in [0.9, 1.0, 2.0] {
                let answer = solver.solve(Penalty { lambda: factor * most, l1_ratio }).unwrap();
                assert!(answer.converged);
                assert_eq!(answer.coefficients.is_empty(), factor >= 1.0, "{name} {factor}");
                if factor >= 1.0 {
                    assert_eq!(answer.objective, problem.null_objective());
                }
            }
        }
    });
}

#[test]
fn a_target_that_never_changes_leaves_no_lambda() {
    let mut case = Case::new(40, 12, Loss::Squared, 4);
    // Of which forty do not sum to forty times it.
    case.targets.fill(3.7);
    let weights = (0..40).map(|sample| [0.1, 0.7, 0.0][sample % 3]).collect();
    case.targets[2] = 9.0;
    let weighted = case.weighted(false, Some(weights));
    case.targets[2] = 3.7;
    for problem in [case.problem(false), case.problem(true), weighted] {
        assert_eq!(problem.lambda_max(1.0).unwrap(), 0.0);
        let answer = solve(&problem, Penalty::l1(1e-30), settings(Method::CoordinateDescent, 1e-6));
        assert!(answer.converged && answer.coefficients.is_empty(), "{answer:?}");
        assert!((answer.intercept - 3.7).abs() < 1e-12);
    }
}

#[test]
fn warm_cold_up_down_and_both_storages_agree() {
    for loss in LOSSES {
        for (rows, cols) in SHAPES {
            let case = Case::new(rows, cols, loss, 5);
            let problem = case.problem(false);
            let lambdas = lambda_grid(problem.lambda_max(1.0).unwrap(), 0.02, 12).unwrap();
            let whole = |problem: &Problem, start, method| {
                let mut answers = Vec::new();
                path(problem, &lambdas, 1.0, settings(method, 1e-11), start, |answer| answers.push(answer))
                    .unwrap();
                answers.sort_by(|a, b| b.lambda.total_cmp(&a.lambda));
                answers
            };
            let down = whole(&problem, PathStart::Sparse, Method::Fista);
            for (other, start, method) in [
                (&case.problem(false), PathStart::Dense, Method::Fista),
                (&case.problem(true), PathStart::Sparse, Method::Fista),
                (&case.problem(true), PathStart::Sparse, Method::Ista),
                (&case.problem(false), PathStart::Sparse, Method::CoordinateDescent),
                (&case.problem(true), PathStart::Dense, Method::CoordinateDescent),
            ] {
                for (a, b) in down.iter().zip(whole(other, start, method)) {
                    assert!(b.converged && a.lambda == b.lambda);
                    let apart = (a.objective - b.objective).abs();
                    assert!(apart <= 2e-11 * problem.null_objective(), "{loss:?} {rows}x{cols}: {apart:e}");
                }
            }
            for answer in &down {
                let cold = solve(&problem, Penalty::l1(answer.lambda), settings(Method::Fista, 1e-11));
                assert!((cold.objective - answer.objective).abs() <= 2e-11 * problem.null_objective());
            }
        }
    }
}

#[test]
fn the_gram_matrix_and_the_design_give_the_same_function() {
    use super::proximal::Smooth;
    let case = Case::new(30, 20, Loss::Squared, 3);
    for sparse in [false, true] {
        let problem = case.problem(sparse);
        let set = [3, 7, 2, 19, 11];
        let weights = [0.5, -1.0, 0.0, 2.0, 0.25];
        let mut gram = super::gram::Gram::default();
        gram.of(&problem, &[11, 4, 3]);
        let mut on_set = gram.of(&problem, &set);
        let mut direct = super::direct::Direct::new(&problem, &set, 0.0);
        let figures = |smooth: &mut dyn Smooth| {
            let mut image = vec![0.0; smooth.image_len()];
            let (mut gradient, mut hessian) = (vec![0.0; 5], vec![0.0; 5]);
            smooth.image(&weights, &mut image);
            let curvature = smooth.curvature(&weights, &image);
            smooth.hessian(&weights, &image, &mut hessian);
            smooth.gradient(&image, &mut gradient);
            let (value, dual) = smooth.values(&weights, &image, 0.7, 0.4);
            [gradient, hessian, vec![curvature, value, dual]].concat()
        };
        for (a, b) in figures(&mut on_set).into_iter().zip(figures(&mut direct)) {
            assert!((a - b).abs() < 1e-12 * a.abs().max(1.0), "{a} {b}");
        }
    }
}

#[test]
fn large_means_do_no_harm() {
    let mut case = Case::new(40, 12, Loss::Squared, 8);
    let plain = case.problem(false);
    let penalty = Penalty::l1(0.05 * plain.lambda_max(1.0).unwrap());
    // Whole numbers, so that the shift is exact in f32.
    case.features.iter_mut().for_each(|value| *value = value.round());
    let near = solve(&case.problem(false), penalty, settings(Method::Fista, 1e-9));
    case.features.iter_mut().for_each(|value| *value += 1e5);
    let far = solve(&case.problem(false), penalty, settings(Method::Fista, 1e-9));
    assert!(near.converged && far.converged);
    assert!((near.objective - far.objective).abs() < 1e-8 * near.objective);
}

#[test]
fn threads_change_no_bit() {
    let pool = |count| rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    for loss in LOSSES {
        for sparse in [false, true] {
            // More rows than one task combines, more columns than one task multiplies.
            let case = Case::new(1100, 150, loss, 2);
            let run = || {
                let problem = case.problem(sparse);
                let lambdas = lambda_grid(problem.lambda_max(1.0).unwrap(), 0.05, 4).unwrap();
                let mut answers = Vec::new();
                let settings = SolverSettings::default();
                path(&problem, &lambdas, 1.0, settings, PathStart::Sparse, |answer| answers.push(answer))
                    .unwrap();
                answers
            };
            assert_eq!(pool(1).install(run), pool(3).install(run), "{loss:?} sparse: {sparse}");
        }
    }
}

#[test]
fn an_answer_that_did_not_get_there_says_so() {
    let case = Case::new(30, 90, Loss::Squared, 4);
    let problem = case.problem(false);
    let limits = SolverSettings { max_iterations: 3, ..SolverSettings::default() };
    let answer = solve(&problem, Penalty::l1(0.01 * problem.lambda_max(1.0).unwrap()), limits);
    assert!(!answer.converged && answer.iterations == 3 && answer.gap > 1e-6 * problem.null_objective());
}

#[test]
fn bad_input_is_named() {
    let dense = |values: &[f32]| DenseColumns::new(2, 2, values.to_vec()).map(Design::Dense);
    let sparse = |ccol: &[usize], rows: &[u32], values: &[f32]| {
        SparseColumns::new(2, 2, ccol.to_vec(), rows.to_vec(), values.to_vec()).map(Design::Sparse)
    };
    let good = || dense(&[1.0, 2.0, 3.0, 5.0]).unwrap();
    let problem = |targets: &[f64], loss| Problem::new(good(), targets.to_vec(), loss).map(|_| good());
    let weighted = |weights: &[f64]| {
        let options = ProblemOptions { weights: Some(weights.to_vec()), intercept: true };
        Problem::with_options(good(), vec![0.0, 1.0], Loss::Logistic, options).map(|_| good())
    };
    let table = [
        (dense(&[1.0; 3]), "design: 2 x 2 features are not 3 values"),
        (dense(&[1.0, 2.0, f32::NAN, 1.0]), "row 0, column 1: NaN"),
        (DenseColumns::new(0, 2, vec![]).map(Design::Dense), "there are none"),
        (Design::from_rows(2, 2, &[1.0; 5]), "not 5 values"),
        (Design::from_rows(2, 2, &[f32::INFINITY; 4]), "inf is not finite"),
        (sparse(&[0, 1], &[0], &[1.0]), "column offsets must be 3 numbers"),
        (sparse(&[0, 2, 1], &[0], &[1.0]), "never descend"),
        (sparse(&[0, 1, 2], &[0, 2], &[1.0, 1.0]), "column 1: its rows must ascend and be below 2"),
        (sparse(&[0, 2, 2], &[1, 0], &[1.0, 1.0]), "column 0: its rows must ascend"),
        (sparse(&[0, 1, 2], &[0], &[1.0, 1.0]), "1 row indices are not 2 values"),
        (sparse(&[0, 1, 1], &[0], &[f32::NAN]), "column 0: NaN is not finite"),
        (problem(&[1.0], Loss::Squared), "targets: 1 targets do not fit 2 samples"),
        (problem(&[1.0, f64::NAN], Loss::Squared), "sample 1: NaN is not finite"),
        (problem(&[1.0, 2.0], Loss::Logistic), "sample 1: 2 is neither 0 nor 1"),
        (problem(&[1.0, 1.0], Loss::Logistic), "needs both 0 and 1"),
        (weighted(&[1.0]), "weights: 1 weights do not fit 2 samples"),
        (weighted(&[1.0, -1.0]), "weights: sample 1: -1 is no weight"),
        (weighted(&[1.0, f64::NAN]), "sample 1: NaN is no weight"),
        (weighted(&[0.0, 0.0]), "weights: all are 0"),
        (weighted(&[0.0, 1.0]), "targets: all are 1; logistic loss needs both"),
    ];
    for (made, words) in table {
        let error = made.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(words), "{error} lacks {words}");
    }
    let problem = Problem::new(good(), vec![1.0, 2.0], Loss::Squared).unwrap();
    for (lambda, l1_ratio, words) in [
        (-1.0, 1.0, "lambda: -1"),
        (0.0, 1.0, "lambda: 0"),
        (f64::NAN, 1.0, "lambda: NaN"),
        (1.0, 0.0, "l1_ratio: 0"),
        (1.0, 1.5, "l1_ratio: 1.5"),
    ] {
        let mut solver = Solver::new(&problem, SolverSettings::default()).unwrap();
        let error = solver.solve(Penalty { lambda, l1_ratio }).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
    for (tolerance, max_iterations, words) in
        [(0.0, 10, "tolerance"), (f64::NAN, 10, "tolerance"), (0.1, 0, "max_iterations")]
    {
        let settings = SolverSettings { tolerance, max_iterations, method: Method::Fista };
        assert!(Solver::new(&problem, settings).err().unwrap().to_string().starts_with(words));
    }
}

#[test]
fn compressed_rows_become_the_same_columns() {
    // 0 1 0
    // 2 0 3
    let rows = SparseColumns::from_csr(2, 3, &[0, 1, 3], &[1, 0, 2], &[1.0, 2.0, 3.0]).unwrap();
    let columns = SparseColumns::new(2, 3, vec![0, 1, 2, 3], vec![1, 0, 1], vec![2.0, 1.0, 3.0]).unwrap();
    assert_eq!(rows, columns);
    assert_eq!(rows, SparseColumns::from_rows(2, 3, &[0.0, 1.0, 0.0, 2.0, 0.0, 3.0]).unwrap());
}
