//! A run on samples that were in memory: what of it needs no samples works, and files of arrays do for the rest.

use rarefy::Samples;
use rarefy::data::from_memory;

use super::*;

/// An NPY file of 64-bit floats.
fn npy(path: &Path, shape: &str, numbers: &[f64]) {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{header:117}\n").bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_run_on_samples_in_memory_is_used_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<f64> = (0..80).flat_map(|row| [f64::from(row), f64::from(row * 7 % 10)]).collect();
    let prices: Vec<f64> = rows.chunks(2).map(|row| 1000.0 + 3.5 * row[0] - row[1]).collect();
    let samples = Samples::dense(&rows, 2).unwrap().with_numbers(&prices, 1).unwrap();
    let samples = samples.with_target_names(&["price"]).unwrap();
    let settings = settings(DataSettings::default());
    let splits = from_memory(samples.clone(), &settings.data, settings.seed).unwrap();
    let run = folder.path().join("run");
    let mut started = Run::start_on(settings, splits, Some(&run)).unwrap();
    let model = started.train(&mut |_| Control::Continue).unwrap().model;
    drop(started);

    let run = run.to_str().unwrap();
    assert!(said(&["inspect", run]).contains("targets   price "), "the scale is told under the name");
    let array = folder.path().join("x.npy");
    npy(&array, "80, 2", &rows);
    let predicted = object(&["predict", run, array.to_str().unwrap()]);
    let expected = model.predict(&samples).unwrap().numbers();
    for (found, expected) in predicted["predictions"].as_array().unwrap().iter().zip(expected) {
        assert!((found.as_f64().unwrap() - expected).abs() < 1e-3, "{found} {expected}");
    }
    let table = folder.path().join("t.csv");
    std::fs::write(&table, "a,b\n1,2\n3,4\n").unwrap();
    for (arguments, words) in [
        (&["evaluate", run][..], "memory: the run's samples were in memory; give DATA to evaluate on"),
        (&["train", "--resume", run], "memory"),
        (
            &["predict", run, table.to_str().unwrap()],
            "give numbers in memory, or an IDX, NPY, NPZ or CIFAR file",
        ),
    ] {
        let message = refusal(arguments);
        assert!(message.contains(words), "{message}");
    }
    // A model that is one file.
    let alone = folder.path().join("model.safetensors");
    model.save(&alone).unwrap();
    let again = object(&["predict", alone.to_str().unwrap(), array.to_str().unwrap()]);
    assert_eq!(again["predictions"], predicted["predictions"]);
}
