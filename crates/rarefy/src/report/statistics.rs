//! Do two methods differ by more than chance? Means, standard errors, and Student's t-test on a few repetitions, paired: both
//! methods saw the same seeds and folds.
//!
//! The two-sided p-value is `I_x(degrees / 2, 1 / 2)` with `x = degrees / (degrees + t^2)` and `I` the regularised
//! incomplete beta function (DLMF 8.17), by its continued fraction. That is some forty lines against a dependency with a
//! matrix library behind it.

/// The outcome of a t-test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// The difference in means over its standard error.
    pub t: f64,
    /// Degrees of freedom.
    pub degrees: f64,
    /// The chance of so large a `t`, of either sign, if the methods do not differ.
    pub p: f64,
}

/// The arithmetic mean; not a number if there are no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard error of the mean, `s / sqrt(n)` with `s` over `n - 1`; `None` below two values.
pub fn standard_error(values: &[f64]) -> Option<f64> {
    (values.len() >= 2).then(|| (variance(values) / values.len() as f64).sqrt())
}

/// The paired t-test of the differences `d = a - b` of `J` pairs, corrected for parts that overlap:
///
/// ```text
/// t = mean(d) / sqrt((1 / J + test_over_train) var(d))      with J - 1 degrees of freedom
/// ```
///
/// Where each pair is of another draw of a test part from the same samples (seeds, folds of a cross-validation, folds of
/// several of them), training parts share samples, so the scores depend on each other and the plain test finds
/// differences where there are none. `test_over_train` is the size of a test part over that of its training part, 1/4 for five
/// folds (Nadeau and Bengio 2003, "Inference for the generalization error", section 3; for repeated cross-validation
/// Bouckaert and Frank 2004). With 0 it is the plain paired test, right where all pairs have one test part.
///
/// `None` below two pairs, or if the differences do not vary but for rounding.
///
/// # Panics
/// If the lengths differ.
pub fn paired_t_test(a: &[f64], b: &[f64], test_over_train: f64) -> Option<TTest> {
    assert_eq!(a.len(), b.len(), "pairs need as many values on both sides");
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let (pairs, degrees) = (differences.len() as f64, differences.len() as f64 - 1.0);
    let varies = standard_error(&differences)? > 1e-12 * largest(a).max(largest(b));
    let t = mean(&differences) / ((1.0 / pairs + test_over_train) * variance(&differences)).sqrt();
    varies.then(|| TTest { t, degrees, p: two_sided_p(t, degrees) })
}

/// The chance that Student's t with so many degrees of freedom is as far from 0 as `t`, on either side.
pub fn two_sided_p(t: f64, degrees: f64) -> f64 {
    incomplete_beta(0.5 * degrees, 0.5, degrees / (degrees + t * t))
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

/// The regularised incomplete beta function `I_x(a, b)` (DLMF 8.17.2), for positive `a`, `b` and `x` in `[0, 1]`.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast below this point; above it, its mirror image does.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let log_front = a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) - a.ln();
    log_front.exp() / beta_fraction(a, b, x)
}

/// The continued fraction `1 + d1 / (1 + d2 / (1 + ...))` of DLMF 8.17.22, by Lentz's method.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let (mut value, mut above, mut below) = (1.0, 1.0, 0.0);
    for index in 1..=500 {
        let m = f64::from(index / 2);
        let term = if index % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        below = 1.0 / (1.0 + term * below);
        above = 1.0 + term / above;
        value *= above * below;
        if (above * below - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function for positive `x`: Stirling's series (DLMF 5.11.1), after moving `x` to where it
/// is good to the last digits.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 20.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0))) / x;
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, known: f64) {
        assert!((found - known).abs() <= 1e-11 * known.abs().max(1e-3), "{found} is not {known}");
    }

    /// Known values: scipy 1.17.1, `2 * stats.t.sf(abs(t), degrees)`.
    #[test]
    fn p_values_are_those_of_scipy() {
        for (t, degrees, p) in [
            (0.0, 1.0, 1.0),
            (1.0, 1.0, 0.5),
            (2.0, 2.0, 0.18350341907227397),
            (4.30265, 2.0, 0.05000005876450579),
            (2.5, 4.7, 0.05759215934686732),
            (0.3, 9.0, 0.7709907037415248),
            (-3.2, 29.0, 0.003318442463481753),
            (12.0, 3.0, 0.0012450158007893362),
            (1.5, 1000.0, 0.13393003882208626),
        ] {
            close(two_sided_p(t, degrees), p);
        }
    }

    /// Known values: scipy 1.17.1, `special.betainc` and `special.gammaln`.
    #[test]
    fn special_functions_are_those_of_scipy() {
        for (a, b, x, value) in [
            (0.5, 0.5, 0.3, 0.36901011956554536),
            (2.0, 3.0, 0.25, 0.26171875),
            (10.0, 0.5, 0.9, 0.15164090963470994),
            (2.35, 0.5, 0.4, 0.048041868091782895),
            (50.0, 30.0, 0.7, 0.9207207761763279),
        ] {
            close(incomplete_beta(a, b, x), value);
        }
        for (x, value) in [
            (0.5, 0.5723649429247),
            (1.0, 0.0),
            (2.35, 0.184863695097893),
            (10.5, 13.940625219403763),
            (500.5, 2608.2229044109863),
        ] {
            close(ln_gamma(x), value);
        }
    }

    /// Known values: scipy 1.17.1, `stats.sem`, `stats.ttest_rel` where nothing overlaps, else the formula above with numpy's
    /// `var(ddof=1)` and `2 * stats.t.sf`.
    #[test]
    fn tests_are_those_of_scipy() {
        let a = [97.2, 96.9, 98.1, 97.5, 97.0];
        let b = [96.8, 96.1, 97.9, 96.7, 96.9];
        // Five folds, twice.
        let c = [0.91, 0.93, 0.90, 0.94, 0.92, 0.915, 0.925, 0.935, 0.905, 0.93];
        let d = [0.90, 0.925, 0.905, 0.92, 0.91, 0.90, 0.92, 0.925, 0.91, 0.915];
        close(standard_error(&a).unwrap(), 0.21587033144922738);
        for (test, t, degrees, p) in [
            (paired_t_test(&a, &b, 0.0), 3.129903560222891, 4.0, 0.035188529559008135),
            (paired_t_test(&a, &b, 0.25), 2.0866023734819277, 4.0, 0.10523412224147832),
            (paired_t_test(&a, &b, 360.0 / 1437.0), 2.085393379595458, 4.0, 0.10537808125006722),
            (paired_t_test(&c, &d, 0.0), 3.0728851183895065, 9.0, 0.013291878866124098),
            (paired_t_test(&c, &d, 0.25), 1.6425261859899736, 9.0, 0.1348963610857943),
        ] {
            let test = test.unwrap();
            close(test.t, t);
            close(test.degrees, degrees);
            close(test.p, p);
        }
    }

    #[test]
    fn nothing_is_said_without_repetitions_or_spread() {
        assert_eq!(standard_error(&[1.0]), None);
        assert_eq!(paired_t_test(&[1.0], &[2.0], 0.25), None);
        // The differences are all 0.1, but for rounding.
        assert_eq!(paired_t_test(&[0.3, 0.5, 0.7], &[0.2, 0.4, 0.6], 0.25), None);
    }
}
