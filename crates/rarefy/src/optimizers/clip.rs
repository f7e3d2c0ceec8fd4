//! Gradient clipping: by the joint norm of all gradients (Pascanu, Mikolov and Bengio 2013, algorithm 1, as
//! `torch.nn.utils.clip_grad_norm_`) or number by number. Sums run in a fixed order, so the scale is the same for any
//! number of threads: one squared norm per parameter, then their sum in the order of the parameters.

/// Partial sums that the squared norm is spread over, so that it vectorises.
const PARTS: usize = 16;

/// The sum of the squares of one parameter's gradients.
pub fn squared_norm(gradients: &[f32]) -> f64 {
    let mut sums = [0.0; PARTS];
    let (chunks, rest) = gradients.as_chunks::<PARTS>();
    for chunk in chunks {
        for (sum, &g) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(g) * f64::from(g);
        }
    }
    for (sum, &g) in sums.iter_mut().zip(rest) {
        *sum += f64::from(g) * f64::from(g);
    }
    sums.iter().sum()
}

/// What to multiply every gradient by so that their joint norm is at most `clip_norm`: `clip_norm / (norm + 1e-6)`, at
/// most 1. `squared_norm` is the sum of those of all parameters. NaN if a gradient was not finite.
pub fn norm_scale(squared_norm: f64, clip_norm: f32) -> f32 {
    let norm = squared_norm.sqrt();
    if !norm.is_finite() {
        return f32::NAN;
    }
    (f64::from(clip_norm) / (norm + 1e-6)).min(1.0) as f32
}

/// Clips each gradient to plus or minus `clip_value`, which must not be negative. NaN stays NaN.
pub fn clip_values(gradients: &mut [f32], clip_value: f32) {
    for g in gradients {
        *g = g.clamp(-clip_value, clip_value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norm_is_joint_and_never_scales_up() {
        // Parameters (3, 0) and (4): the joint norm is 5.
        let square = squared_norm(&[3.0, 0.0]) + squared_norm(&[4.0]);
        assert!((norm_scale(square, 1.0) - 0.2).abs() < 1e-6);
        assert_eq!(norm_scale(square, 10.0), 1.0);
        assert_eq!(norm_scale(0.0, 1.0), 1.0);
        assert!(norm_scale(squared_norm(&[f32::INFINITY]), 1.0).is_nan());
    }

    #[test]
    fn squared_norm_counts_every_element() {
        for length in [0, 1, 15, 16, 17, 100] {
            assert_eq!(squared_norm(&vec![2.0; length]), 4.0 * length as f64);
        }
        assert!(squared_norm(&[f32::MAX; 3]).is_finite());
    }

    #[test]
    fn values_are_clipped_one_by_one() {
        let mut gradients = [-3.0, -0.5, 0.0, 2.0, f32::NAN];
        clip_values(&mut gradients, 1.0);
        assert_eq!(gradients[..4], [-1.0, -0.5, 0.0, 1.0]);
        assert!(gradients[4].is_nan());
    }
}
