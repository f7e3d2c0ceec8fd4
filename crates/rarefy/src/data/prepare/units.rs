//! Whether new samples look as if they were in other units than the training part. Nobody else would tell: a network has an answer
//! for any numbers.

use super::preparation::Preparation;
use super::scale::Scaler;
use crate::data::dataset::{Dataset, Features};
use crate::data::raw::Raw;

/// How many spreads of the training part from its middle a number hardly ever is.
const FAR: f32 = 10.0;
/// A spread, as a part of the training part's, that images hardly ever have: those of 0 to 1 have 1/255 of those of 0 to 255.
const NARROW: f64 = 0.02;
/// Columns that are told by name.
const NAMED: usize = 3;

impl Preparation {
    /// What is to be told of new samples: what their source has to tell, and what looks wrong once they are made ready.
    pub(crate) fn doubts(&self, raw: &Raw, samples: &Dataset) -> Vec<String> {
        let mut notes = raw.notes.clone();
        notes.extend(self.other_units(samples));
        notes
    }

    /// What of new samples, made ready, looks as if it were in other units: inputs that are far off in more than half of them
    /// and, of arrays and images, numbers that hardly differ. Samples that stayed in a file are not looked at.
    fn other_units(&self, samples: &Dataset) -> Vec<String> {
        let Features::Dense(numbers) = &samples.features else { return Vec::new() };
        let inputs = samples.shape.features();
        if self.scaler == Scaler::None || numbers.is_empty() {
            return Vec::new();
        }
        let far = if self.scaler.is_by_input(inputs) {
            self.far_columns(numbers, inputs)
        } else {
            is_mostly_far(numbers).then(|| "all inputs".to_string())
        };
        if let Some(far) = far {
            return vec![format!(
                "{far}: most of the numbers lie far beyond those of the training part (more than {FAR} times their spread from the middle); are they in other units?"
            )];
        }
        match spread(numbers, inputs) {
            spread if self.columns.is_empty() && spread > 0.0 && spread < NARROW => vec![format!(
                "the numbers differ from sample to sample by {:.2} % of what those of the training part did; are they in other units, such as 0 to 1 in place of 0 to 255?",
                spread * 100.0
            )],
            _ => Vec::new(),
        }
    }

    /// The names of the columns that are far off in more than half of the samples, if there are any.
    fn far_columns(&self, numbers: &[f32], inputs: usize) -> Option<String> {
        let mut far = vec![0; inputs];
        for sample in numbers.chunks_exact(inputs) {
            far.iter_mut().zip(sample).for_each(|(far, &number)| *far += usize::from(is_far(number)));
        }
        let samples = numbers.len() / inputs;
        let mut found: Vec<usize> = (0..inputs).filter(|&input| far[input] * 2 > samples).collect();
        let others = found.split_off(found.len().min(NAMED)).len();
        let names = self.input_names();
        let named = found.iter().map(|&input| names[input].as_str()).collect::<Vec<_>>().join(", ");
        match (found.len(), others) {
            (0, _) => None,
            (1, _) => Some(format!("column {named}")),
            (_, 0) => Some(format!("columns {named}")),
            _ => Some(format!("columns {named} and {others} more")),
        }
    }
}

fn is_far(number: f32) -> bool {
    number.abs() > FAR
}

fn is_mostly_far(numbers: &[f32]) -> bool {
    numbers.iter().filter(|number| is_far(**number)).count() * 2 > numbers.len()
}

/// The root mean square of how far numbers are from the mean of their input.
fn spread(numbers: &[f32], inputs: usize) -> f64 {
    let samples = (numbers.len() / inputs) as f64;
    let mut means = vec![0.0; inputs];
    for sample in numbers.chunks_exact(inputs) {
        means.iter_mut().zip(sample).for_each(|(mean, &number)| *mean += f64::from(number) / samples);
    }
    let off = |sample: &[f32]| -> f64 {
        sample.iter().zip(&means).map(|(&number, mean)| (f64::from(number) - mean).powi(2)).sum()
    };
    (numbers.chunks_exact(inputs).map(off).sum::<f64>() / numbers.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::data::read::npy;
    use crate::data::{DataSettings, load, load_with};

    #[test]
    fn new_samples_in_other_units_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |path: &Path| DataSettings { path: path.to_str().unwrap().into(), ..<_>::default() };
        let write = |name: &str, bytes: Vec<u8>| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let table = |name, unit: f64| {
            let line = |i: u32| format!("{},{},{}\n", f64::from(150 + i % 40) * unit, i * 7 % 90, i % 2);
            write(name, format!("height,age,y\n{}", (0..100).map(line).collect::<String>()).into())
        };
        let array = |name, element, shape, bytes: Vec<u8>| {
            write(name, npy::tests::file(element, "False", shape, &bytes))
        };
        let level = |i: u32| (i * 37 % 251) as f32;
        let images = |name, most: f32| {
            let numbers = (0..60 * 16).map(|i| level(i) / 250.0 * most);
            array(name, "<f4", "(60, 4, 4, 1)", numbers.flat_map(f32::to_le_bytes).collect())
        };
        let dark = |name, unit: f32| {
            array(name, "|u1", "(60, 4, 4, 1)", (0..60 * 16).map(|i| (level(i) / unit) as u8).collect())
        };
        let y = array("y.npy", "|u1", "(60,)", [0, 1].repeat(30));
        let of_images = |path: &Path| DataSettings { label_path: settings(&y).path.into(), ..settings(path) };
        let (cm, bytes, units) = (table("cm.csv", 1.0), images("b.npy", 255.0), images("u.npy", 1.0));
        let (low, levels) = (dark("low.npy", 100.0), dark("levels.npy", 1.0));
        for (settings, same, other, start) in [
            (settings(&cm), cm, table("m.csv", 0.01), "column height: most of the numbers lie far"),
            (
                of_images(&bytes),
                bytes.clone(),
                units.clone(),
                "the numbers differ from sample to sample by 0.4",
            ),
            (of_images(&units), units, bytes, "columns 1, 2, 3 and 13 more: most of"),
            (of_images(&low), low, levels, "all inputs: most of"),
        ] {
            let splits = load(&settings, 1).unwrap();
            let notes =
                |path: &Path| load_with(&splits.preparation, path.to_str().unwrap(), false).unwrap().notes;
            assert_eq!(notes(&same), Vec::<String>::new(), "{}", same.display());
            assert!(matches!(&notes(&other)[..], [note] if note.starts_with(start)), "{:?}", notes(&other));
        }
        let test_path = settings(&folder.path().join("m.csv")).path.into();
        let told =
            load(&DataSettings { test_path, ..settings(&folder.path().join("cm.csv")) }, 1).unwrap().notes;
        assert!(told.iter().any(|note| note.starts_with("test part: column height")), "{told:?}");
    }
}
