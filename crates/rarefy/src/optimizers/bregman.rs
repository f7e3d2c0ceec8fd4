//! The step that the Bregman optimizers have in common (Bungert, Roith, Tenbrinck and Burger 2022, equation 1.9 with
//! `J = lambda |w|_1` and `delta = 1`): gradients move a hidden `v`, and a weight is what of it exceeds lambda:
//! ```text
//! v <- v - move
//! w <- sign(v) max(|v| - lambda, 0)
//! ```
//! A weight at zero stays there until gradients have carried its `v` past lambda, and is not pulled back to zero: the
//! network grows. Instead of `v` a slot keeps `q = (v - w) / lambda`, from -1 to 1, a subgradient of `|w|`: so lambda
//! may change between steps, and no weight jumps. A connection begins with `q = sign(w)`.

/// Fills the slot of `q` for weights that begin.
pub(super) fn begin(values: &[f32], subgradients: &mut [f32]) {
    for (q, &w) in subgradients.iter_mut().zip(values) {
        *q = if w == 0.0 { 0.0 } else { w.signum() };
    }
}

/// The weight and its `q` after `v` was moved by `-by`.
#[inline(always)]
pub(super) fn carry(w: &mut f32, q: &mut f32, lambda: f32, by: f32) {
    let v = *w + lambda * *q - by;
    let within = v.clamp(-lambda, lambda);
    *w = v - within;
    // Without a penalty there is no threshold to stand before.
    *q = match lambda > 0.0 {
        true => within / lambda,
        false if *w == 0.0 => *q,
        false => w.signum(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `q` is a subgradient of `|w|` after every step, whatever lambda does, and a zero move changes no weight.
    #[test]
    fn the_slot_stays_a_subgradient() {
        for i in -40..=40 {
            let (mut w, mut q) = (i as f32 * 0.05, 0.0);
            begin(&[w], std::slice::from_mut(&mut q));
            for (step, lambda) in [0.5, 0.1, 0.0, 2.0, 0.3].into_iter().enumerate() {
                let before = w;
                carry(&mut w, &mut q, lambda, 0.0);
                assert!((w - before).abs() < 1e-6, "lambda {lambda} moved {before} to {w}");
                carry(&mut w, &mut q, lambda, ((i * 7 + step as i32) as f32).sin());
                assert!(q.abs() <= 1.0);
                if w != 0.0 && lambda > 0.0 {
                    assert_eq!(q, w.signum());
                }
            }
        }
    }
}
