//! A set of features seen through its Gram matrix, for squared loss: a step costs `set x support` instead of
//! `2 x samples x support`, and the sets along a path share nearly all of it.
//!
//! ```text
//! G = Xc' Xc / n,  q = Xc' yc / n  (columns and targets less their means, samples by their weights)
//! gradient = G w - q,     |yc - Xc w|^2 / n = |yc|^2 / n - 2 q w + w' G w
//! ```

use rayon::prelude::*;

use super::Problem;
use super::loss::squared_dual;
use super::proximal::Smooth;
use crate::kernels::Isa;

/// Features kept at most, 64 MB of products; a larger set is solved through the design.
pub(super) const MOST: usize = 4096;

/// Features that coordinate descent takes up at once at most: making the products of more costs more than the passes over the
/// design that they save.
pub(super) const NEW_BY_COORDINATES: usize = 512;

/// Not kept.
const NOWHERE: u32 = u32::MAX;

/// Products of all features that were ever in a set.
#[derive(Default)]
pub(super) struct Gram {
    /// Per feature of the design, its place here.
    places: Vec<u32>,
    features: Vec<usize>,
    /// Row `i` holds the products with features `0..=i`.
    rows: Vec<Vec<f64>>,
    targets: Vec<f64>,
}

impl Gram {
    /// The function on a set of features, computing the products that are missing.
    pub(super) fn of(&mut self, problem: &Problem, features: &[usize]) -> OnSet {
        self.places.resize(problem.design.cols(), NOWHERE);
        if self.features.len() + self.missing(features) > MOST {
            self.places.fill(NOWHERE);
            (self.features, self.rows, self.targets) = Default::default();
        }
        let start = self.features.len();
        for &feature in features {
            if self.places[feature] == NOWHERE {
                self.places[feature] = self.features.len() as u32;
                self.features.push(feature);
            }
        }
        self.extend(problem, start);
        let size = features.len();
        let at: Vec<usize> = features.iter().map(|&feature| self.places[feature] as usize).collect();
        let mut products = vec![0.0; size * size];
        for i in 0..size {
            for j in 0..=i {
                let product = self.rows[at[i].max(at[j])][at[i].min(at[j])];
                (products[i * size + j], products[j * size + i]) = (product, product);
            }
        }
        let residual = &problem.null.residual;
        let size_of = |at: usize, _| residual[at] * residual[at];
        OnSet {
            isa: problem.isa,
            products,
            targets: at.iter().map(|&place| self.targets[place]).collect(),
            square: problem.targets.mean(size_of),
        }
    }

    /// How many of a set's features have no products yet.
    pub(super) fn missing(&self, features: &[usize]) -> usize {
        let is_missing = |&&feature: &&usize| self.places.get(feature).is_none_or(|&place| place == NOWHERE);
        features.iter().filter(is_missing).count()
    }

    /// Fills the rows from `start` on; each by one task.
    fn extend(&mut self, problem: &Problem, start: usize) {
        let (design, isa) = (&problem.design, problem.isa);
        let new = &self.features[start..];
        self.targets.extend(new.iter().map(|&feature| problem.null.correlation[feature]));
        let features = &self.features;
        let rows = (start..features.len()).into_par_iter().map(|row| {
            let centred = design.less(features[row], problem.means[features[row]]);
            let centred = problem.targets.weighted(&centred);
            // Zero but for rounding, which a large mean would blow up.
            let rest: f64 = centred.iter().sum();
            let product = |&feature: &usize| {
                (design.dot(isa, feature, &centred) - problem.means[feature] * rest) / problem.targets.total
            };
            features[..=row].iter().map(product).collect()
        });
        self.rows.extend(rows.collect::<Vec<Vec<f64>>>());
    }
}

/// Squared loss on one set.
pub(super) struct OnSet {
    isa: Isa,
    /// `size x size`, symmetric.
    products: Vec<f64>,
    targets: Vec<f64>,
    /// `|yc|^2 / n`.
    square: f64,
}

impl OnSet {
    /// The product of a feature with itself.
    pub(super) fn square_of(&self, feature: usize) -> f64 {
        self.products[feature * self.targets.len() + feature]
    }

    /// `image += step * products of the feature with all`.
    pub(super) fn add(&self, feature: usize, step: f64, image: &mut [f64]) {
        let column = &self.products[feature * image.len()..][..image.len()];
        crate::vectorize!(
            self.isa,
            image.iter_mut().zip(column).for_each(|(image, product)| *image += step * product)
        );
    }

    /// The products of all features with the targets.
    pub(super) fn targets(&self) -> &[f64] {
        &self.targets
    }
}

impl Smooth for OnSet {
    fn image_len(&self) -> usize {
        self.targets.len()
    }

    fn image(&mut self, weights: &[f64], out: &mut [f64]) {
        let column = |column: usize| &self.products[column * weights.len()..][..weights.len()];
        out.fill(0.0);
        let mut four = [(0, 0.0); 4];
        let mut filled = 0;
        for live in weights.iter().copied().enumerate().filter(|(_, weight)| *weight != 0.0) {
            four[filled] = live;
            filled = (filled + 1) % 4;
            if filled == 0 {
                let (columns, weights) = (four.map(|(at, _)| column(at)), four.map(|(_, weight)| weight));
                // A closure as small as this is inlined, without which it would not be vectorised.
                crate::vectorize!(self.isa, add_four(columns, weights, out));
            }
        }
        for &(at, weight) in &four[..filled] {
            for (out, product) in out.iter_mut().zip(column(at)) {
                *out += weight * product;
            }
        }
    }

    fn gradient(&mut self, image: &[f64], out: &mut [f64]) {
        for ((out, image), target) in out.iter_mut().zip(image).zip(&self.targets) {
            *out = image - target;
        }
    }

    fn hessian(&mut self, _: &[f64], image: &[f64], out: &mut [f64]) {
        out.copy_from_slice(image);
    }

    fn curvature(&self, step: &[f64], image: &[f64]) -> f64 {
        step.iter().zip(image).map(|(a, b)| a * b).sum()
    }

    fn values(&mut self, weights: &[f64], image: &[f64], ridge: f64, limit: f64) -> (f64, f64) {
        let along: f64 = weights.iter().zip(&self.targets).map(|(w, q)| w * q).sum();
        let bent: f64 = weights.iter().zip(image).map(|(w, u)| w * u).sum();
        let square = (self.square - 2.0 * along + bent).max(0.0);
        (0.5 * square, squared_dual(square + ridge, self.square - along, limit))
    }
}

/// Four columns at a time: `out` is read and written once for them.
#[inline(always)]
fn add_four(columns: [&[f64]; 4], weights: [f64; 4], out: &mut [f64]) {
    let [a, b, c, d] = columns.map(|column| &column[..out.len()]);
    for i in 0..out.len() {
        out[i] += (weights[0] * a[i] + weights[1] * b[i]) + (weights[2] * c[i] + weights[3] * d[i]);
    }
}
