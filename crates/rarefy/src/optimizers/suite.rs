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
    let with = |method, momentum, decay: f32| OptimizerSettings {
        method,
        learning_rate: Some(0.1.into()),
        momentum,
        weight_decay: Some(decay),
        rho: if method == Method::Rmsprop { 0.9 } else { 0.99 },
        ..Default::default()
    };
    let row = |name, settings, slots, steps, step_size| Case { name, settings, slots, steps, step_size };
    let nesterov = OptimizerSettings { nesterov: true, ..with(Method::Sgd, 0.9, 0.1) };
    let prodigy = OptimizerSettings { learning_rate: Some(1.0.into()), ..with(Method::Prodigy, 0.0, 0.1) };
    // The first gradient with decay is 0.6, so the adaptive methods first divide by 0.6, and rmsprop by sqrt(0.036).
    // Prodigy's first steps are tiny: its own test follows it further. The Bregman methods run with lambda = 0.02.
    #[rustfmt::skip]
    let rows = vec![
        row("sgd",              with(Method::Sgd, 0.0, 0.0),     0, [0.95, 0.975],               0.1),
        row("sgd decay",        with(Method::Sgd, 0.0, 0.1),     0, [0.94, 0.9556],              0.1),
        row("sgd momentum",     with(Method::Sgd, 0.9, 0.1),     1, [0.94, 0.9016],              1.0),
        row("sgd nesterov",     nesterov,                        1, [0.886, 0.868_066],          1.0),
        row("adam",             with(Method::Adam, 0.0, 0.0),    2, [0.9, 0.873_366_3],          0.2),
        row("adam decay",       with(Method::Adam, 0.0, 0.1),    2, [0.9, 0.854_441_37],         0.166_666_67),
        row("adamw",            with(Method::Adamw, 0.0, 0.1),   2, [0.89, 0.854_466_3],         0.2),
        row("rmsprop",          with(Method::Rmsprop, 0.0, 0.1), 1, [0.683_772_25, 0.779_899], 0.527_046_28),
        row("rmsprop momentum", with(Method::Rmsprop, 0.9, 0.1), 2, [0.683_772_25, 0.495_294],   5.270_461),
        row("adagrad",          with(Method::Adagrad, 0.0, 0.1), 1, [0.9, 0.925_766_3],          0.166_666_67),
        row("prodigy",          prodigy,                         4, [0.999_996_7, 0.999_994_8],  6.324_555e-5),
        row("schedule-free sgd",   with(Method::ScheduleFreeSgd, 0.0, 0.1),   2, [0.94, 0.94858],            0.1),
        row("schedule-free adamw", with(Method::ScheduleFreeAdamw, 0.0, 0.1), 3, [0.89, 0.919_895_3], 0.2),
        row("armijo",           with(Method::Armijo, 0.0, 0.0),         1, [0.95, 0.999_999_7], 0.1),
        row("barzilai-borwein", with(Method::BarzilaiBorwein, 0.0, 0.0), 2, [0.95, 0.966_666_7], 0.1),
        row("linbreg",          with(Method::Linbreg, 0.0, 0.0), 1, [0.95, 0.975],               0.1),
        row("linbreg momentum", with(Method::Linbreg, 0.9, 0.0), 2, [0.995, 0.993],              0.1),
        row("adabreg",          with(Method::Adabreg, 0.0, 0.0), 3, [0.9, 0.873_366_3],          0.2),
    ];
    rows
}

/// A parameter with its optimizer's state.
#[derive(Clone)]
struct Parameter {
    values: Vec<f32>,
    slots: Vec<Vec<f32>>,
    memory: Memory,
}

impl Parameter {
    fn new(values: Vec<f32>, optimizer: &Optimizer) -> Parameter {
        let slots = vec![vec![0.0; values.len()]; optimizer.slots()];
        let mut parameter = Parameter { slots, values, memory: optimizer.memory() };
        let mut slots: Vec<&mut [f32]> = parameter.slots.iter_mut().map(Vec::as_mut_slice).collect();
        optimizer.begin(&parameter.values, &mut slots);
        parameter
    }

    /// A step as the engine makes it. `loss` is that after a trial step; that before it is 0.
    fn step(
        &mut self,
        optimizer: &Optimizer,
        step: StepSize,
        gradients: &[f32],
        loss: &dyn Fn(&[f32]) -> f64,
    ) -> StepSize {
        let Parameter { values, slots, memory } = self;
        let mut slots: Vec<&mut [f32]> = slots.iter_mut().map(Vec::as_mut_slice).collect();
        let mut step = step;
        optimizer.prepare(memory, &mut step);
        if optimizer.gathers() {
            let before = loss(values);
            let sums = optimizer.gather(&step, values, gradients, &mut slots);
            optimizer.decide(memory, &mut step, sums, before);
        }
        optimizer.update(&step, values, gradients, &mut slots);
        while optimizer.searches() && !optimizer.accepts(memory, &mut step, loss(values)) {
            optimizer.update(&step, values, gradients, &mut slots);
        }
        step
    }

    /// A step that any search accepts.
    fn update(&mut self, optimizer: &Optimizer, step: StepSize, gradients: &[f32]) -> StepSize {
        let calls = std::cell::Cell::new(0);
        self.step(optimizer, step, gradients, &|_| {
            calls.set(calls.get() + 1);
            if calls.get() == 1 { 1e9 } else { -1e9 }
        })
    }

    /// The model: the average if the optimizer keeps one.
    fn model(&self, optimizer: &Optimizer) -> &[f32] {
        optimizer.average_slot().map_or(&self.values, |slot| &self.slots[slot])
    }

    fn bits(&self) -> Vec<u32> {
        self.slots.iter().chain([&self.values]).flatten().map(|value| value.to_bits()).collect()
    }
}

fn at(case: &Case, step: u64) -> StepSize {
    StepSize { lambda: 0.02, ..StepSize::new(case.settings.learning_rate(), step) }
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
            let made = parameter.update(&optimizer, at(&case, step), &[gradient]);
            let got = parameter.values[0];
            assert!((got - want).abs() < 1e-6, "{}, step {step}: {got}, not {want}", case.name);
            if step == 1 {
                let slots = Slots::of(&mut parameter.slots);
                let mut size = [0.0];
                optimizer.step_size(&made, &slots, &mut size);
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
        parameter.update(&optimizer, at(&case, 1).of_bias(), &[0.0]);
        assert_eq!(parameter.values, [1.0], "{}", case.name);
    }
}

/// Minimises `1/2 sum a (w - target)^2` with curvatures `a` from 0.5 to 2. Bregman iterations converge to the solution
/// without a penalty, whatever lambda.
#[test]
fn converges_on_a_convex_quadratic() {
    let curvatures = [0.5, 1.0, 2.0];
    let targets = [1.0, -2.0, 0.5];
    for case in cases() {
        let settings = OptimizerSettings { weight_decay: Some(0.0), ..case.settings.clone() };
        let optimizer = settings.build().unwrap();
        let schedule = ScheduleSettings {
            method: (!settings.method.is_schedule_free() && !settings.method.searches())
                .then_some(ScheduleMethod::Linear),
            warmup: Some(0.0),
            ..Default::default()
        };
        let schedule = schedule.build(settings.method).unwrap();
        let loss = |values: &[f32]| {
            let terms = values.iter().zip(targets).zip(curvatures);
            terms.map(|((w, target), a)| f64::from(a * (w - target).powi(2) / 2.0)).sum()
        };
        let mut parameter = Parameter::new(vec![0.0; 3], &optimizer);
        let total = 3000;
        for step in 1..=total {
            let gradients: Vec<f32> =
                (0..3).map(|i| curvatures[i] * (parameter.values[i] - targets[i])).collect();
            let mut size = at(&case, step);
            size.learning_rate *= schedule.factor(step, total);
            parameter.step(&optimizer, size, &gradients, &loss);
        }
        for (w, target) in parameter.model(&optimizer).iter().zip(targets) {
            assert!((w - target).abs() < 1e-3, "{}: {:?}", case.name, parameter.values);
        }
    }
}

/// A dead neuron's weights have no gradient any more. Whatever falls for good must end at 0: subnormal numbers are slow.
#[test]
fn what_a_weight_without_gradient_leaves_behind_runs_out() {
    for case in cases() {
        let settings = OptimizerSettings { weight_decay: Some(0.0), ..case.settings.clone() };
        let optimizer = settings.build().unwrap();
        let mut parameter = Parameter::new(vec![1.0], &optimizer);
        parameter.update(&optimizer, at(&case, 1), &[1e-15]);
        // The longest memory is that of beta2, 0.999.
        for step in 2..30_000 {
            parameter.update(&optimizer, at(&case, step), &[0.0]);
        }
        let left = parameter.slots.iter().chain([&parameter.values]).flatten();
        for number in left {
            assert!(!number.is_subnormal(), "{}: {number:e} of {:?}", case.name, parameter.slots);
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
            // Sums may differ in their last bits: the order of the parts is the caller's affair. The size is the same.
            let mut size = at(&case, step);
            optimizer.prepare(&mut whole.memory, &mut size);
            for (parameter, cuts) in [(&mut whole, vec![0, 37]), (&mut parts, vec![0, 1, 20, 37])] {
                for range in cuts.windows(2).rev().map(|cut| cut[0]..cut[1]) {
                    let mut slots: Vec<&mut [f32]> =
                        parameter.slots.iter_mut().map(|slot| &mut slot[range.clone()]).collect();
                    let values = &mut parameter.values[range.clone()];
                    optimizer.gather(&size, values, &gradients[range.clone()], &mut slots);
                    optimizer.update(&size, values, &gradients[range.clone()], &mut slots);
                }
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
        (1..=4).for_each(|step| _ = through.update(&optimizer, at(&case, step), &gradients(step)));
        let text = serde_json::to_string(&through.memory).unwrap();
        let mut restored = Parameter { memory: serde_json::from_str(&text).unwrap(), ..through.clone() };
        (5..=8).for_each(|step| _ = through.update(&optimizer, at(&case, step), &gradients(step)));
        let again = case.settings.build().unwrap();
        (5..=8).for_each(|step| _ = restored.update(&again, at(&case, step), &gradients(step)));
        assert_eq!(through.bits(), restored.bits(), "{}", case.name);
        assert_eq!(through.memory, restored.memory, "{}", case.name);
    }
}

#[test]
#[should_panic(expected = "as long as the values")]
fn a_short_gradient_panics() {
    let optimizer = OptimizerSettings { method: Method::Sgd, ..Default::default() }.build().unwrap();
    optimizer.update(&StepSize::new(0.1, 1), &mut [0.0; 3], &[0.0; 2], &mut []);
}
