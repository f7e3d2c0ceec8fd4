//! Learning-rate schedules.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::Traits;
use crate::error::{Error, Result};

named! {
    /// The shape of the schedule.
    pub enum ScheduleMethod {
        /// The same rate throughout.
        Constant = "constant",
        /// Multiplied by `step_factor` at regular times.
        Step = "step",
        /// Half a cosine down.
        Cosine = "cosine",
        /// A straight line down.
        Linear = "linear",
        /// Up to the base rate, then down.
        OneCycle = "one-cycle",
    }
}

/// What the user asks of the schedule.
///
/// Learning-rate schedules: a factor for the base learning rate, from the step alone, so that a resumed run needs no
/// state. All times are fractions of the run. With `t` from 0 to 1 over what follows the warm-up:
/// ```text
/// constant   1
/// step       step_factor ^ floor(t / step_every)
/// linear     1 -> final_fraction, straight
/// cosine     1 -> final_fraction, half a cosine                  (Loshchilov and Hutter 2017, equation 5)
/// one-cycle  start_fraction -> 1 at peak_at -> final_fraction    (Smith and Topin 2018; cosine, as PyTorch's)
/// ```
/// One-cycle has its foot at the first step, its peak at step `peak_at * total` and its end at the last step, as
/// `OneCycleLR(total_steps)` with `div_factor = 1 / start_fraction` and `final_div_factor = start_fraction / final_fraction`.
/// The warm-up of `n` steps rises straight from `1 / (n + 1)` to 1 (Goyal et al. 2017, section 2.2). One-cycle rises by itself and has none.
///
/// ```
/// use rarefy::optimizers::{Method, ScheduleMethod, ScheduleSettings};
///
/// let settings = ScheduleSettings { method: Some(ScheduleMethod::Cosine), ..ScheduleSettings::default() };
/// let schedule = settings.build(Method::Sgd)?;
/// assert!(schedule.factor(90, 100) < schedule.factor(50, 100));
/// # Ok::<(), rarefy::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleSettings {
    /// The shape; `None` is cosine, or constant for an optimizer that goes with no other.
    pub method: Option<ScheduleMethod>,
    /// Part of the run over which the rate rises from 0, from 0 to below 1; `None` is 0.05, or 0 for an optimizer that
    /// finds each step by itself. Not used by one-cycle.
    pub warmup: Option<f32>,
    /// Step: part of the run (after the warm-up) between drops, above 0 and at most 1.
    pub step_every: f32,
    /// Step: what each drop multiplies by, above 0 and at most 1.
    pub step_factor: f32,
    /// Cosine, linear, one-cycle: the rate at the end, as a fraction of the base rate, from 0 to 1.
    pub final_fraction: f32,
    /// One-cycle: where in the run the rate reaches the base rate, between 0 and 1.
    pub peak_at: f32,
    /// One-cycle: the rate at the start, as a fraction of the base rate, from 0 to 1.
    pub start_fraction: f32,
}

impl Default for ScheduleSettings {
    /// Cosine to 0 after 5 % of warm-up, where the optimizer lets it; the rest as PyTorch's `StepLR` and `OneCycleLR`.
    fn default() -> ScheduleSettings {
        ScheduleSettings {
            method: None,
            warmup: None,
            step_every: 0.3,
            step_factor: 0.1,
            final_fraction: 0.0,
            peak_at: 0.3,
            start_fraction: 0.04,
        }
    }
}

impl ScheduleSettings {
    /// Checks the settings and completes them for an optimizer.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of range, or a schedule that does not go with the optimizer.
    pub fn build(&self, optimizer: impl Into<Traits>) -> Result<Schedule> {
        let optimizer = optimizer.into();
        let (open_zero, open_one) = (f32::MIN_POSITIVE, 1.0 - f32::EPSILON / 2.0);
        let is_constant = optimizer.average.is_some() || optimizer.searches();
        let method = self.method.unwrap_or(if is_constant {
            ScheduleMethod::Constant
        } else {
            ScheduleMethod::Cosine
        });
        let warmup = self.warmup.unwrap_or(if optimizer.searches() { 0.0 } else { 0.05 });
        for (key, value, low, high, range) in [
            ("warmup", warmup, 0.0, open_one, "from 0 to below 1"),
            ("step_every", self.step_every, open_zero, 1.0, "above 0 and at most 1 (a fraction of the run)"),
            ("step_factor", self.step_factor, open_zero, 1.0, "above 0 and at most 1"),
            ("final_fraction", self.final_fraction, 0.0, 1.0, "from 0 to 1"),
            ("peak_at", self.peak_at, open_zero, open_one, "above 0 and below 1"),
            ("start_fraction", self.start_fraction, 0.0, 1.0, "from 0 to 1"),
        ] {
            if !(low..=high).contains(&value) {
                return Err(Error::setting(
                    format!("schedule.{key}"),
                    format!("must be {range}, not {value}"),
                ));
            }
        }
        Ok(Schedule { method, warmup, settings: self.clone() })
    }
}

/// A checked schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    method: ScheduleMethod,
    warmup: f32,
    settings: ScheduleSettings,
}

impl Schedule {
    /// What to multiply the base learning rate by at `step` (from 1) of `total`; at most 1. Past the end it stays at
    /// the end's value.
    pub fn factor(&self, step: u64, total: u64) -> f32 {
        let Schedule { method, warmup, settings } = self;
        let done = step.saturating_sub(1) as f64;
        let total = total.max(1) as f64;
        if *method == ScheduleMethod::OneCycle {
            return one_cycle(done.min(total - 1.0), total, settings) as f32;
        }
        let warm = (f64::from(*warmup) * total).round().min(total - 1.0);
        if done < warm {
            return ((done + 1.0) / (warm + 1.0)) as f32;
        }
        let t = ((done - warm) / (total - warm)).min(1.0);
        let end = f64::from(settings.final_fraction);
        let factor = match method {
            ScheduleMethod::Constant => 1.0,
            ScheduleMethod::Step => {
                // The little extra: 0.3 as an f32 is above 0.3, and must not put a drop off by a step.
                let drops = (t / f64::from(settings.step_every) + 1e-6) as i32;
                f64::from(settings.step_factor).powi(drops)
            }
            ScheduleMethod::Linear => 1.0 + (end - 1.0) * t,
            ScheduleMethod::Cosine => end + (1.0 - end) * half_cosine(t),
            ScheduleMethod::OneCycle => unreachable!("returned above"),
        };
        factor as f32
    }
}

/// After `done` of `total` steps.
fn one_cycle(done: f64, total: f64, settings: &ScheduleSettings) -> f64 {
    let (peak, last) = ((f64::from(settings.peak_at) * total - 1.0).max(0.0), total - 1.0);
    let (foot, fall) = if done < peak {
        (settings.start_fraction, 1.0 - done / peak)
    } else {
        (settings.final_fraction, if last > peak { (done - peak) / (last - peak) } else { 0.0 })
    };
    let foot = f64::from(foot);
    foot + (1.0 - foot) * half_cosine(fall)
}

/// `(1 + cos(pi t)) / 2` for t from 0 to 1: by the sine's series, because the standard library's cosine may differ in
/// the last bit between machines, and then their runs would too.
fn half_cosine(t: f64) -> f64 {
    let x = (0.5 - t) * PI;
    let (mut term, mut sine) = (x, x);
    for k in 1..12 {
        let k = f64::from(k);
        term *= -x * x / (2.0 * k * (2.0 * k + 1.0));
        sine += term;
    }
    (0.5 + 0.5 * sine).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizers::Method;

    fn schedule(method: ScheduleMethod, warmup: f32) -> Schedule {
        let settings = ScheduleSettings { method: Some(method), warmup: Some(warmup), ..Default::default() };
        settings.build(Method::Adam).unwrap()
    }

    #[test]
    fn factors_by_hand() {
        use ScheduleMethod::*;
        #[rustfmt::skip]
        let table = [
            // method, warm-up, step, total, factor
            (Constant, 0.0,     1, 100, 1.0),
            (Constant, 0.1,     1, 100, 1.0 / 11.0), // ten warm steps: 1/11, 2/11, ..., then 1
            (Constant, 0.1,    10, 100, 10.0 / 11.0),
            (Constant, 0.1,    11, 100, 1.0),
            (Step,     0.0,    30, 100, 1.0),
            (Step,     0.0,    31, 100, 0.1),
            (Step,     0.0,    90, 100, 0.01),
            (Step,     0.0,    91, 100, 0.001),
            (Linear,   0.0,    51, 100, 0.5),
            (Linear,   0.5,    76, 100, 0.5),
            (Cosine,   0.0,     1, 100, 1.0),
            (Cosine,   0.0,    26, 100, 0.5 + 0.5 * std::f32::consts::FRAC_1_SQRT_2),
            (Cosine,   0.0,    51, 100, 0.5),
            (Cosine,   0.0,   101, 100, 0.0),
            (Cosine,   0.0,   999, 100, 0.0),
            (Cosine,   0.05,    1,   1, 1.0),
            (OneCycle, 0.05,    1, 100, 0.04),
            (OneCycle, 0.05,   30, 100, 1.0),
            (OneCycle, 0.05,   65, 100, 0.5),
            (OneCycle, 0.05,  100, 100, 0.0),
            (OneCycle, 0.05,  101, 100, 0.0),
        ];
        for (method, warmup, step, total, factor) in table {
            let got = schedule(method, warmup).factor(step, total);
            assert!(
                (got - factor).abs() < 1e-6,
                "{method:?}, {warmup} warm-up, step {step}: {got}, not {factor}"
            );
        }
    }

    /// Recorded from torch.optim.lr_scheduler.OneCycleLR(total_steps) of PyTorch 2, div_factor 25, final_div_factor 1e4.
    #[test]
    fn one_cycle_is_torchs() {
        let settings = ScheduleSettings {
            method: Some(ScheduleMethod::OneCycle),
            final_fraction: 4e-6,
            ..Default::default()
        };
        let schedule = settings.build(Method::Sgd).unwrap();
        let ten = [
            0.04,
            0.52,
            1.0,
            0.950_484_6,
            0.811_745_7,
            0.611_262,
            0.388_742,
            0.188_258_3,
            0.049_519_37,
            4e-6,
        ];
        let hundred =
            [(1, 0.04), (2, 0.042_813_78), (30, 1.0), (31, 0.999_496_5), (61, 0.589_280_1), (100, 4e-6)];
        let of_ten = (1..).zip(ten).map(|(step, factor)| (10, step, factor));
        for (total, step, factor) in of_ten.chain(hundred.map(|(step, factor)| (100, step, factor))) {
            let got = schedule.factor(step, total);
            assert!((got - factor).abs() < 1e-6, "step {step} of {total}: {got}, not {factor}");
        }
    }

    #[test]
    fn factors_stay_from_0_to_1() {
        use ScheduleMethod::*;
        for method in [Constant, Step, Linear, Cosine, OneCycle] {
            let schedule = schedule(method, 0.3);
            for total in [0, 1, 2, 7, 1000] {
                for step in 0..=total + 2 {
                    let factor = schedule.factor(step, total);
                    assert!((0.0..=1.0).contains(&factor), "{method:?} {step}/{total}: {factor}");
                }
            }
        }
    }

    #[test]
    fn half_cosine_is_the_cosine() {
        for i in 0..=1000 {
            let t = f64::from(i) / 1000.0;
            assert!((half_cosine(t) - 0.5 * (1.0 + (PI * t).cos())).abs() < 1e-15);
        }
    }

    #[test]
    fn settings_out_of_range_name_their_key() {
        for (optimizer, text, message) in [
            (Method::Adam, "warmup = 1.0", "schedule.warmup: must be from 0 to below 1, not 1"),
            (Method::Adam, "method = 'step'\nstep_every = 0.0", "schedule.step_every: must be above 0"),
            (Method::Adam, "final_fraction = nan", "schedule.final_fraction: must be from 0 to 1, not NaN"),
            (
                Method::Adam,
                "method = 'one-cycle'\npeak_at = 1.0",
                "schedule.peak_at: must be above 0 and below",
            ),
        ] {
            let settings: ScheduleSettings = toml::from_str(text).unwrap();
            let error = settings.build(optimizer).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn the_default_goes_with_every_optimizer() {
        for optimizer in Method::ALL {
            let schedule = ScheduleSettings::default().build(optimizer).unwrap();
            let last = schedule.factor(100, 100);
            let constant = optimizer.is_schedule_free() || optimizer.searches();
            assert!(if constant { last == 1.0 } else { last < 0.01 }, "{optimizer:?}: {last}");
        }
    }
}
