//! How many connections each layer gets, given the density of the whole network.
//!
//! Erdos-Renyi gives a layer the density `epsilon * (fan_in + fan_out) / (fan_in * fan_out)` (Mocanu et al. 2018);
//! the kernel variant counts kernel offsets too: `epsilon * sum(shape) / product(shape)` (Evci et al. 2020). A layer
//! whose share exceeds 1 becomes dense and epsilon is solved again for the others.

use crate::{Error, Result};

named! {
    /// The rule by which a density is spread over layers.
    #[derive(Default)]
    pub enum Allocation {
        /// Every layer the same density.
        Uniform = "uniform",
        /// Erdos-Renyi on fan-in and fan-out.
        Er = "er",
        /// Erdos-Renyi-kernel; the same as `er` for linear layers.
        #[default]
        Erk = "erk",
    }
}

/// Connections of each layer, so that their sum is `density` of all to within rounding; then at least `least[layer]` of each,
/// which are more than was asked for. A shape is `[fan_out, fan_in, kernel sizes...]`.
///
/// # Errors
/// If the density is not in `(0, 1]`, or leaves a layer without connections whose least is 0.
///
/// ```
/// use rarefy::sparse::{Allocation, allocate};
///
/// // Of two layers with 800 and 200 cells the smaller one is denser (Erdős-Rényi).
/// let counts = allocate(Allocation::Er, 0.1, &[vec![20, 40], vec![10, 20]], &[0, 0])?;
/// assert_eq!(counts.iter().sum::<usize>(), 100);
/// assert!(counts[0] as f64 / 800.0 < counts[1] as f64 / 200.0);
/// # Ok::<(), rarefy::Error>(())
/// ```
pub fn allocate(
    allocation: Allocation,
    density: f64,
    shapes: &[Vec<usize>],
    least: &[usize],
) -> Result<Vec<usize>> {
    check_density("sparsity.density", density)?;
    let sizes: Vec<f64> = shapes.iter().map(|shape| shape.iter().product::<usize>() as f64).collect();
    let raw: Vec<f64> =
        shapes.iter().zip(&sizes).map(|(shape, size)| score(allocation, shape) / size).collect();
    let budget = density * sizes.iter().sum::<f64>();

    let mut dense = vec![false; shapes.len()];
    let epsilon = loop {
        let fixed: f64 = sum_where(&sizes, &dense, true);
        let weights: Vec<f64> = raw.iter().zip(&sizes).map(|(raw, size)| raw * size).collect();
        let epsilon = (budget - fixed) / sum_where(&weights, &dense, false);
        let overflows: Vec<usize> =
            (0..raw.len()).filter(|&layer| !dense[layer] && raw[layer] * epsilon > 1.0).collect();
        if overflows.is_empty() {
            break epsilon;
        }
        for layer in overflows {
            dense[layer] = true;
        }
    };
    shapes
        .iter()
        .enumerate()
        .map(|(layer, shape)| {
            let kept =
                if dense[layer] { sizes[layer] } else { (raw[layer] * epsilon * sizes[layer]).round() };
            let kept = kept.max(least[layer] as f64);
            if kept < 1.0 {
                return Err(Error::setting(
                    "sparsity.density",
                    format!(
                        "{density} leaves layer {} of shape {shape:?} without connections; raise it",
                        layer + 1
                    ),
                ));
            }
            if kept > f64::from(u32::MAX) {
                return Err(Error::setting(
                    "sparsity.density",
                    format!(
                        "{density} gives layer {} of shape {shape:?} {kept} connections, and {} can be counted; lower it",
                        layer + 1,
                        u32::MAX
                    ),
                ));
            }
            Ok(kept as usize)
        })
        .collect()
}

/// A density must lie in `(0, 1]`.
///
/// # Errors
/// Names `key`, and says what was probably meant.
pub fn check_density(key: &str, density: f64) -> Result<()> {
    if density > 0.0 && density <= 1.0 {
        return Ok(());
    }
    let hint = if density > 1.0 && density <= 100.0 {
        format!("; did you mean {}?", density / 100.0)
    } else {
        String::new()
    };
    Err(Error::setting(key, format!("{density} is not a density: a number above 0 and at most 1{hint}")))
}

fn score(allocation: Allocation, shape: &[usize]) -> f64 {
    let sum = |part: &[usize]| part.iter().sum::<usize>() as f64;
    let product = |part: &[usize]| part.iter().product::<usize>() as f64;
    match allocation {
        Allocation::Uniform => product(shape),
        Allocation::Er => sum(&shape[..2]) * product(&shape[2..]),
        Allocation::Erk => sum(shape),
    }
}

fn sum_where(values: &[f64], flags: &[bool], wanted: bool) -> f64 {
    values.iter().zip(flags).filter(|&(_, &flag)| flag == wanted).map(|(value, _)| value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_can_be_counted_are_refused() {
        let shapes = [vec![256, 4_000_000_000], vec![2, 256]];
        let error = allocate(Allocation::Uniform, 0.1, &shapes, &[0; 2]).unwrap_err().to_string();
        assert!(
            error.contains("0.1 gives layer 1 of shape [256, 4000000000] 102400000000 connections"),
            "{error}"
        );
    }

    /// Densities of 784-300-100-10 under ERK, from the published code (reference: jaxpruner).
    #[test]
    fn erk_matches_the_published_densities() {
        let shapes = [vec![300, 784], vec![100, 300], vec![10, 100]];
        for (density, expected, total) in [
            (0.05, [0.0385, 0.111, 0.919], 13_310),
            (0.02, [0.0154, 0.0445, 0.367], 5_324),
            (0.01, [0.0077, 0.0223, 0.184], 2_662),
        ] {
            let kept = allocate(Allocation::Erk, density, &shapes, &vec![0; shapes.len()]).unwrap();
            assert!(kept.iter().sum::<usize>().abs_diff(total) <= 1, "{kept:?}");
            for (layer, shape) in shapes.iter().enumerate() {
                let got = kept[layer] as f64 / (shape[0] * shape[1]) as f64;
                assert!((got - expected[layer]).abs() < 0.001, "{got} {}", expected[layer]);
            }
        }
    }

    #[test]
    fn an_overflowing_layer_becomes_dense_and_the_budget_holds() {
        let shapes = [vec![1024, 784], vec![1024, 1024], vec![10, 1024]];
        let kept = allocate(Allocation::Erk, 0.05, &shapes, &[0; 3]).unwrap();
        assert_eq!(kept[2], 10_240);
        assert!(kept.iter().sum::<usize>().abs_diff(93_082) <= 1);
        assert_eq!(allocate(Allocation::Uniform, 1.0, &shapes, &[0; 3]).unwrap()[0], 1024 * 784);
    }

    #[test]
    fn a_layer_has_its_least_and_the_others_keep_theirs() {
        let shapes = [vec![2, 64], vec![2, 2], vec![10, 2]];
        let kept = |least: &[usize; 3]| allocate(Allocation::Erk, 0.1, &shapes, least).unwrap();
        assert_eq!(kept(&[0; 3]), [12, 1, 2]);
        assert_eq!(kept(&[2, 2, 10]), [12, 2, 10]);
    }

    #[test]
    fn bad_densities_are_refused_with_a_hint() {
        let shapes = [vec![10, 10]];
        for (density, hint) in [(0.0, "above 0"), (95.0, "0.95"), (f64::NAN, "NaN"), (0.001, "raise it")] {
            let error =
                allocate(Allocation::Erk, density, &shapes, &vec![0; shapes.len()]).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
