//! Proximal gradient steps on a set of features.

use super::Penalty;

/// Steps between two looks at the gap.
const LOOK: usize = 10;

/// Power iterations for the first L.
const POWER: usize = 10;

/// The square of a step over that of the weights, below which its image is lost in their rounding.
const ROUNDING: f64 = 1e-18;

named! {
    /// Which steps.
    ///
    /// Proximal gradient steps on a set of features: ISTA, and FISTA with restarts; or one feature after another.
    ///
    /// ```text
    /// step      w+ = prox(v - g(v) / L),    prox(x) = soft_threshold(x, l1 / L) / (1 + ridge / L)
    /// ista      v = w
    /// fista     v = w + (t_before - 1) / t (w - w_before),    t = (1 + sqrt(1 + 4 t_before^2)) / 2
    /// restart   t = 1 when (v - w+) . (w+ - w) > 0: the momentum points uphill
    /// ```
    ///
    /// L starts from a few power iterations, which come from below, and grows whenever a step is seen to curve more: for
    /// both losses `d' H d`, the bound that the step needs, costs nothing beyond what is computed anyway, and unlike a
    /// difference of objectives it loses no digits near the optimum.
    ///
    /// Sources: Beck and Teboulle 2009 (FISTA); O'Donoghue and Candes 2015, section 3.2 (gradient restart).
    #[derive(Default)]
    pub enum Method {
        /// Proximal gradient descent.
        Ista = "ista",
        /// With momentum and restarts.
        Fista = "fista",
        #[default]
        /// One feature after another to its optimum, inside proximal Newton steps.
        CoordinateDescent = "coordinate-descent",
    }
}

/// Asks whether to stop here.
pub(super) type Watch<'a> = &'a dyn Fn() -> bool;

/// A smooth convex function of the weights of a set of features. The `image` of weights is linear in them and holds
/// all that is costly.
pub(super) trait Smooth {
    /// Length of an image.
    fn image_len(&self) -> usize;

    /// The image of weights.
    fn image(&mut self, weights: &[f64], out: &mut [f64]);

    /// The gradient at the weights with this image.
    fn gradient(&mut self, image: &[f64], out: &mut [f64]);

    /// `out = H step` for the constant matrix H that bounds second derivatives.
    fn hessian(&mut self, step: &[f64], image: &[f64], out: &mut [f64]);

    /// `step' H step`.
    fn curvature(&self, step: &[f64], image: &[f64]) -> f64;

    /// The function at these weights, and the dual objective at the best multiple, at most `limit`, of the residuals;
    /// `ridge` is `mu |w|^2`.
    fn values(&mut self, weights: &[f64], image: &[f64], ridge: f64, limit: f64) -> (f64, f64);
}

/// Improves `weights` until the gap on this set is at most `gap`, or `most` steps are taken. Gives the steps taken.
pub(super) fn minimise(
    smooth: &mut impl Smooth,
    method: Method,
    penalty: Penalty,
    weights: &mut Vec<f64>,
    (gap, most): (f64, usize),
    watch: Watch<'_>,
) -> usize {
    let size = weights.len();
    let (l1, ridge) = (penalty.l1_part(), penalty.ridge_part());
    let mut lipschitz = largest_curvature(smooth, size);
    let mut gradient = vec![0.0; size];
    let mut image = vec![0.0; smooth.image_len()];
    smooth.image(weights, &mut image);
    let (mut point, mut point_image) = (weights.clone(), image.clone());
    let (mut next, mut next_image) = (weights.clone(), image.clone());
    let (mut step, mut step_image) = (weights.clone(), image.clone());
    let mut momentum = 1.0f64;
    let mut best_dual = f64::NEG_INFINITY;
    let mut taken = 0;
    loop {
        if taken % LOOK == 0 || taken >= most {
            smooth.gradient(&image, &mut gradient);
            let steepest =
                gradient.iter().zip(&*weights).fold(0.0f64, |most, (g, w)| most.max((g + ridge * w).abs()));
            let limit = if steepest > 0.0 { l1 / steepest } else { f64::MAX };
            let square: f64 = weights.iter().map(|w| w * w).sum();
            let (value, dual) = smooth.values(weights, &image, ridge * square, limit);
            best_dual = best_dual.max(dual);
            let found = value + penalty.value(weights.iter().copied()) - best_dual;
            if found <= gap || taken >= most || watch() {
                return taken;
            }
        }
        smooth.gradient(&point_image, &mut gradient);
        loop {
            for i in 0..size {
                let moved = point[i] - gradient[i] / lipschitz;
                next[i] = soft_threshold(moved, l1 / lipschitz) / (1.0 + ridge / lipschitz);
            }
            smooth.image(&next, &mut next_image);
            subtract(&next, &point, &mut step);
            subtract(&next_image, &point_image, &mut step_image);
            let square: f64 = step.iter().map(|d| d * d).sum();
            let whole: f64 = next.iter().map(|w| w * w).sum();
            // The curvature of a step near rounding is noise.
            if square <= ROUNDING * whole
                || smooth.curvature(&step, &step_image) <= lipschitz * square * (1.0 + 1e-9)
            {
                break;
            }
            lipschitz *= 1.1;
        }
        taken += 1;
        let uphill: f64 = (0..size).map(|i| (point[i] - next[i]) * (next[i] - weights[i])).sum();
        let before = if uphill > 0.0 { 1.0 } else { momentum };
        momentum = 0.5 * (1.0 + (1.0 + 4.0 * before * before).sqrt());
        let ahead = match method {
            Method::Fista => (before - 1.0) / momentum,
            _ => 0.0,
        };
        extrapolate(&next, weights, ahead, &mut point);
        extrapolate(&next_image, &image, ahead, &mut point_image);
        std::mem::swap(weights, &mut next);
        std::mem::swap(&mut image, &mut next_image);
    }
}

/// The largest eigenvalue of H, from below; a positive number in any case.
fn largest_curvature(smooth: &mut impl Smooth, size: usize) -> f64 {
    let mut vector: Vec<f64> = (0..size).map(|i| 1.0 + (i % 7) as f64 / 7.0).collect();
    let mut product = vec![0.0; size];
    let mut image = vec![0.0; smooth.image_len()];
    let mut found = 0.0;
    for _ in 0..POWER {
        let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm == 0.0 {
            break;
        }
        vector.iter_mut().for_each(|v| *v /= norm);
        smooth.image(&vector, &mut image);
        found = smooth.curvature(&vector, &image).max(found);
        smooth.hessian(&vector, &image, &mut product);
        std::mem::swap(&mut vector, &mut product);
    }
    if found > 0.0 { found } else { 1.0 }
}

/// `sign(x) max(|x| - threshold, 0)`.
pub(super) fn soft_threshold(x: f64, threshold: f64) -> f64 {
    (x.abs() - threshold).max(0.0).copysign(x)
}

fn subtract(a: &[f64], b: &[f64], out: &mut [f64]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a - b;
    }
}

/// `out = now + ahead (now - before)`.
fn extrapolate(now: &[f64], before: &[f64], ahead: f64, out: &mut [f64]) {
    for ((out, now), before) in out.iter_mut().zip(now).zip(before) {
        *out = now + ahead * (now - before);
    }
}
