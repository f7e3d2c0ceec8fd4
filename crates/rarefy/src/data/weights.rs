//! How much each sample counts.

use super::dataset::Dataset;
use crate::{Error, Result};

impl Dataset {
    /// How much a sample counts; 1 where there are no weights.
    pub fn weight(&self, sample: usize) -> f32 {
        self.weights.as_ref().map_or(1.0, |weights| weights[sample])
    }

    /// The samples that count, in order: all but those of weight 0.
    pub fn counted(&self) -> Vec<usize> {
        (0..self.len()).filter(|&sample| self.weight(sample) != 0.0).collect()
    }

    /// Refuses weights that cannot be used; `part` is its name, as in "training".
    ///
    /// # Errors
    /// As many weights as there are samples, each finite and not negative, and one above 0: anything else.
    pub fn check_weights(&self, part: &str) -> Result<()> {
        let Some(weights) = &self.weights else { return Ok(()) };
        let wrong = |problem: String| Err(Error::setting("data.weight", format!("{part} part: {problem}")));
        if weights.len() != self.len() {
            return wrong(format!("{} weights for {} samples", weights.len(), self.len()));
        }
        let bad = weights.iter().position(|&weight| !(weight >= 0.0 && weight.is_finite()));
        if let Some(sample) = bad {
            return wrong(format!("sample {sample} weighs {}; give 0 or more", weights[sample]));
        }
        if weights.iter().all(|&weight| weight == 0.0) {
            return wrong("all weights are 0: nothing would be learnt".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{Dataset, Features, Targets};
    use crate::tiles::Shape;

    fn weighing(weights: &[f32]) -> Dataset {
        Dataset {
            shape: Shape::flat(1),
            features: Features::Dense(vec![1.0, 2.0, 3.0]),
            lengths: Vec::new(),
            targets: Targets::Classes { labels: vec![0, 1, 0], classes: 2 },
            weights: Some(weights.to_vec()),
        }
    }

    #[test]
    fn samples_of_weight_0_do_not_count() {
        let dataset = weighing(&[0.5, 0.0, 2.0]);
        assert!(dataset.check_weights("training").is_ok());
        assert_eq!(dataset.counted(), [0, 2]);
        assert_eq!(dataset.subset(&dataset.counted()).weights, Some(vec![0.5, 2.0]));
    }

    #[test]
    fn weights_that_cannot_be_used_are_refused() {
        let cases: [(&[f32], &str); 5] = [
            (&[1.0, 2.0], "2 weights for 3 samples"),
            (&[1.0, -1.0, 0.0], "sample 1 weighs -1; give 0 or more"),
            (&[1.0, 1.0, f32::NAN], "sample 2 weighs NaN; give 0 or more"),
            (&[f32::INFINITY, 1.0, 1.0], "sample 0 weighs inf; give 0 or more"),
            (&[0.0; 3], "all weights are 0: nothing would be learnt"),
        ];
        for (weights, problem) in cases {
            let error = weighing(weights).check_weights("training").unwrap_err().to_string();
            assert_eq!(error, format!("data.weight: training part: {problem}"));
        }
    }
}
