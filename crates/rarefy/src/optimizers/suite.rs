//! The common suite: a new optimizer joins by adding a row.

use super::*;

struct Case {
    name: &'static str,
    settings: OptimizerSettings,
    slots: usize,
    /// One weight from 1.0, learning rate 0.1, gradients 0.5 then -0.25: after each step, from the formula in f64.
    steps: [f32; 2],
    /// The step size for a proximal penalty after the first of these steps.
    step_size: f32,
}

fn cases() -> Vec<Case> {
    let base =
        || OptimizerSettings { learning_rate: Some(0.1), weight_decay: Some(0.0), ..Default::default() };
    let with = |method, momentum, decay: f32| OptimizerSettings {
        method,
        momentum,
        weight_decay: Some(decay),
        rho: 0.9,
        ..base()
    };
    let row = |name, settings, slots, steps, step_size| Case { name, settings, slots, steps, step_size };
    let nesterov = OptimizerSettings { nesterov: true, ..with(Method::Sgd, 0.9, 0.1) };
    // The first gradient with decay is 0.6, so the adaptive methods first divide by 0.6, and rmsprop by sqrt(0.036).
    #[rustfmt::skip]
    let rows = vec![
        row("sgd",              with(Method::Sgd, 0.0, 0.0),     0, [0.95, 0.975],               0.1),
        row("sgd decay",        with(Method::Sgd, 0.0, 0.1),     0, [0.94, 0.9556],              0.1),
        row("sgd momentum",     with(Method::Sgd, 0.9, 0.1),     1, [0.94, 0.9016],              0.1),
        row("sgd nesterov",     nesterov,                        1, [0.886, 0.868_066],          0.1),
        row("adam",             with(Method::Adam, 0.0, 0.0),    2, [0.9, 0.873_366_3],          0.2),
        row("adam decay",       with(Method::Adam, 0.0, 0.1),    2, [0.9, 0.854_441_37],         0.166_666_67),
        row("adamw",            with(Method::Adamw, 0.0, 0.1),   2, [0.89, 0.854_466_3],         0.2),
        row("rmsprop",          with(Method::Rmsprop, 0.0, 0.1), 1, [0.683_772_25, 0.779_899], 0.527_046_28),
        row("rmsprop momentum", with(Method::Rmsprop, 0.9, 0.1), 2, [0.683_772_25, 0.495_294],   0.527_046_28),
        row("adagrad",          with(Method::Adagrad, 0.0, 0.1), 1, [0.9, 0.925_766_3],          0.166_666_67),
    ];
    rows
}

/// A parameter with its optimizer's state.
#[derive(Clone)]
struct Parameter {
    values: Vec<f32>,
    slots: Vec<Vec<f32>>,
}

impl Parameter {
    fn new(values: Vec<f32>, optimizer: &Optimizer) -> Parameter {
        Parameter { slots: vec![vec![0.0; values.len()]; optimizer.slots()], values }
    }

    fn update(&mut self, optimizer: &Optimizer, step: StepSize, gradients: &[f32]) {
        let mut slots: Vec<&mut [f32]> = self.slots.iter_mut().map(Vec::as_mut_slice).collect();
        optimizer.update(&step, &mut self.values, gradients, &mut slots);
    }

    fn bits(&self) -> Vec<u32> {
        self.slots.iter().chain([&self.values]).flatten().map(|value| value.to_bits()).collect()
    }
}

fn at(step: u64) -> StepSize {
    StepSize { learning_rate: 0.1, step, decay: true }
}

/// Awkward lengths matter: 37 is no multiple of a vector.
fn start() -> Vec<f32> {
    (0..37).map(|i| (i as f32 * 0.7).sin()).collect()
}

fn gradients(step: u64) -> Vec<f32> {
    (0..37).map(|i| (i as f32 + step as f32 * 1.3).cos()).collect()
}

#[test]
fn first_two_steps_follow_the_formula() {
    for case in cases() {
        let optimizer = case.settings.build().unwrap();
        assert_eq!(optimizer.slots(), case.slots, "{}", case.name);
        let mut parameter = Parameter::new(vec![1.0], &optimizer);
        for (step, (gradient, want)) in (1..).zip([0.5, -0.25].into_iter().zip(case.steps)) {
            parameter.update(&optimizer, at(step), &[gradient]);
            let got = parameter.values[0];
            assert!((got - want).abs() < 1e-6, "{}, step {step}: {got}, not {want}", case.name);
            if step == 1 {
                let slots: Vec<&[f32]> = parameter.slots.iter().map(Vec::as_slice).collect();
                let mut size = [0.0];
                optimizer.step_size(&at(1), &slots, &mut size);
                assert!((size[0] - case.step_size).abs() < 1e-6, "{}: step size {}", case.name, size[0]);
            }
        }
    }
}

#[test]
fn biases_do_not_decay() {
    for case in cases() {
        let optimizer = case.settings.build().unwrap();
        let mut parameter = Parameter::new(vec![1.0], &optimizer);
        parameter.update(&optimizer, StepSize { decay: false, ..at(1) }, &[0.0]);
        assert_eq!(parameter.values, [1.0], "{}", case.name);
    }
}

/// Minimises `1/2 sum a (w - target)^2` with curvatures `a` from 0.5 to 2.
#[test]
fn converges_on_a_convex_quadratic() {
    let curvatures = [0.5, 1.0, 2.0];
    let targets = [1.0, -2.0, 0.5];
    for case in cases() {
        let settings = OptimizerSettings { weight_decay: Some(0.0), ..case.settings };
        let optimizer = settings.build().unwrap();
        let mut parameter = Parameter::new(vec![0.0; 3], &optimizer);
        let total = 3000;
        for step in 1..=total {
            let gradients: Vec<f32> =
                (0..3).map(|i| curvatures[i] * (parameter.values[i] - targets[i])).collect();
            let learning_rate = 0.1 * (1.0 - (step - 1) as f32 / total as f32);
            parameter.update(&optimizer, StepSize { learning_rate, step, decay: true }, &gradients);
        }
        for (w, target) in parameter.values.iter().zip(targets) {
            assert!((w - target).abs() < 1e-3, "{}: {:?}", case.name, parameter.values);
        }
    }
}

#[test]
fn sub_slices_give_the_bits_of_the_whole() {
    for case in cases() {
        let optimizer = case.settings.build().unwrap();
        let mut whole = Parameter::new(start(), &optimizer);
        let mut parts = whole.clone();
        for step in 1..=3 {
            let gradients = gradients(step);
            whole.update(&optimizer, at(step), &gradients);
            for range in [20..37, 0..1, 1..20] {
                let mut slots: Vec<&mut [f32]> =
                    parts.slots.iter_mut().map(|slot| &mut slot[range.clone()]).collect();
                let values = &mut parts.values[range.clone()];
                optimizer.update(&at(step), values, &gradients[range.clone()], &mut slots);
            }
        }
        assert_eq!(whole.bits(), parts.bits(), "{}", case.name);
    }
}

#[test]
fn restored_state_continues_alike() {
    for case in cases() {
        let optimizer = case.settings.build().unwrap();
        let mut through = Parameter::new(start(), &optimizer);
        (1..=4).for_each(|step| through.update(&optimizer, at(step), &gradients(step)));
        let mut restored = through.clone();
        (5..=8).for_each(|step| through.update(&optimizer, at(step), &gradients(step)));
        let again = case.settings.build().unwrap();
        (5..=8).for_each(|step| restored.update(&again, at(step), &gradients(step)));
        assert_eq!(through.bits(), restored.bits(), "{}", case.name);
    }
}

#[test]
#[should_panic(expected = "as long as the values")]
fn a_short_gradient_panics() {
    let optimizer = OptimizerSettings { method: Method::Sgd, ..Default::default() }.build().unwrap();
    optimizer.update(&at(1), &mut [0.0; 3], &[0.0; 2], &mut []);
}
