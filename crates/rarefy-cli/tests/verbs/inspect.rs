//! `rarefy inspect`.

use super::*;

#[test]
fn inspect_tells_layers_and_training() {
    let found = object(&["inspect", digits_run()]);
    assert_eq!((found["inputs"].as_u64(), found["outputs"].as_u64()), (Some(64), Some(10)));
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    let nnz: u64 = layers.iter().map(|layer| layer["nnz"].as_u64().unwrap()).sum();
    assert_eq!(found["nnz"].as_u64(), Some(nnz));
    let (first, bytes) = (&layers[0], layers[0]["disk_bytes"].as_u64().unwrap());
    assert_eq!((first["outputs"].as_u64(), first["inputs"].as_u64()), (Some(32), Some(64)));
    assert_eq!(bytes, 4 * (33 + 2 * first["nnz"].as_u64().unwrap()));
    assert_eq!((found["run"]["epochs"].as_u64(), found["run"]["last"]["epoch"].as_u64()), (Some(2), Some(2)));

    let shown = said(&["inspect", digits_run()]);
    for words in ["layers.0.weight", "32x64", "fan-in", "classification, 10 classes", "2 of 2 epochs", "best"]
    {
        assert!(shown.contains(words), "{shown}");
    }
    // A model away from its run is a model still.
    let alone = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(Path::new(digits_run()).join(name), alone.path().join(name)).unwrap();
    }
    let file = alone.path().join("model.safetensors");
    assert!(object(&["inspect", path_text(&file)]).get("run").is_none());
    let message = refusal(&["evaluate", path_text(&file)]);
    assert!(message.contains("config.toml") && message.contains("give DATA"), "{message}");
}

/// A penalty took whole neurons: their cells are gone from the model, and count still.
#[test]
fn the_sparsity_of_a_run_is_told_the_same_by_all() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let trained = object(&[
        "train",
        "digits",
        "--hidden",
        "24",
        "--epochs",
        "4",
        "--penalty",
        "l1",
        "--lambda",
        "0.003",
        "--no-twin",
        "--run-dir",
        path_text(&run),
    ]);
    let found = object(&["inspect", path_text(&run)]);
    let left: u64 = found["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["inputs"].as_u64().unwrap() * layer["outputs"].as_u64().unwrap())
        .sum();
    assert!(left < 24 * 74, "no neuron was lost: {found}");
    assert_eq!(found["cells"], 24 * 74);
    assert_eq!(found["sparsity"], trained["sparsity"]);
    let network = object(&["inspect", "--network", path_text(&run)]);
    assert_eq!((&network["cells"], &network["nnz"]), (&found["cells"], &found["nnz"]));
    let shown = said(&["inspect", path_text(&run)]);
    assert!(shown.contains("cells left the model with neurons"), "{shown}");
}

/// The first of three columns is all that counts.
#[test]
fn inputs_are_listed_by_what_they_are_worth() {
    let folder = tempfile::tempdir().unwrap();
    let (table, run, csv) =
        (folder.path().join("t.csv"), folder.path().join("run"), folder.path().join("inputs.csv"));
    let colour = |i: usize| ["red", "blue"][i * 5 % 7 % 2];
    let line = |i: usize| format!("{},{},{},{}\n", i % 23, i * i % 11, colour(i), 3 * (i % 23));
    std::fs::write(
        &table,
        "size,noise,colour,price\n".to_string() + &(0..1200).map(line).collect::<String>(),
    )
    .unwrap();
    let (table, run, csv) = (path_text(&table), path_text(&run), path_text(&csv));
    let arguments =
        ["train", table, "--label", "price", "--task", "regression", "--epochs", "8", "--hidden", "16"];
    let shown = said(&[&arguments[..], &["--density", "0.5", "--no-twin", "--run-dir", run]].concat());
    assert!(shown.contains("3 of 3 columns are used") && shown.contains("--inputs"), "{shown}");

    let found = object(&["inspect", run, "--inputs", "--csv", csv]);
    let first = &found["features"][0];
    assert_eq!(
        (&found["by"], &found["inputs"], &first["name"]),
        (&"feature".into(), &3.into(), &"size".into())
    );
    assert!(first["important"] == true && first["importance"].as_f64() > Some(0.2), "{found}");
    assert!(first["nnz"].as_u64() > Some(0) && first["norm"].as_f64() > Some(0.0));
    assert_eq!((&found["score"]["name"], &found["score"]["samples"]), (&"R2".into(), &120.into()));
    let lines = std::fs::read_to_string(csv).unwrap();
    assert!(lines.starts_with("feature,weights,norm,importance,standard_error\nsize,"), "{lines}");
    assert_eq!(lines.lines().count(), 4);
    let shown = said(&["inspect", run, "--inputs"]);
    assert!(shown.contains("3 of 3 features are used") && shown.contains("colour"), "{shown}");
    let elsewhere = object(&["inspect", run, "--inputs", "--data", table]);
    assert_eq!(elsewhere["score"]["samples"], 1200);

    // Without its samples the rest is listed still.
    std::fs::remove_file(table).unwrap();
    let shown = said(&["inspect", run, "--inputs"]);
    assert!(shown.contains("note: importance was not measured") && shown.contains("--data"), "{shown}");
    let message = refusal(&["inspect", run, "--inputs", "--data", table]);
    assert!(message.contains("t.csv"), "{message}");

    // Of a linear model the coefficients.
    std::fs::write(
        table,
        "size,noise,price\n".to_string()
            + &(0..300)
                .map(|i| format!("{},{},{}\n", i % 23, i * i % 11, 3 * (i % 23) + 100))
                .collect::<String>(),
    )
    .unwrap();
    let linear = |name, scale| {
        let model = folder.path().join(name);
        let settings = ["--set", "data.task=regression", "--set", scale, "--choose", "best"];
        let command =
            [&["path", table, "--label", "price", "--save-model", path_text(&model)], &settings[..]];
        object(&command.concat());
        object(&["inspect", path_text(&model), "--inputs"])
    };
    let found = linear("linear", "data.target_scale=standard");
    let of = &found["coefficients"][0];
    let (size, intercept) = (of["terms"][0][1].as_f64().unwrap(), of["intercept"].as_f64().unwrap());
    assert_eq!((&of["output"], &of["terms"][0][0]), (&"price".into(), &"size".into()));
    assert!((size - 3.0).abs() < 0.1 && (intercept - 100.0).abs() < 2.0, "{found}");
    let found = linear("log", "data.target_scale=log");
    assert_eq!(found["coefficients"][0]["output"], "ln price");
}

#[test]
fn inspect_shows_a_network_that_is_not_trained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.toml");
    let layers =
        "layers = [{layer = 'conv2d', filters = 4, kernel = 3}, {layer = 'flatten'}, {layer = 'linear'}]";
    std::fs::write(&file, layers).unwrap();
    let named = path_text(&file);
    let given = object(&["inspect", "--network", named, "--shape", "8,8,1", "--outputs", "10"]);
    assert_eq!(given, object(&["inspect", "--network", named, "--data", "digits"]));
    assert_eq!(given["layers"][0]["output"], serde_json::json!([6, 6, 4]));
    // 36 weights at 36 positions, and 1440 once; two operations each.
    assert_eq!((given["cells"].as_u64(), given["flops"].as_u64()), (Some(1476), Some(2 * (36 * 36 + 1440))));
    assert_eq!(given["parameters"], 1476 + 4 + 10);
    let sparse = object(&["inspect", "--network", named, "--data", "digits", "--density", "0.1"]);
    assert_eq!((sparse["nnz"].as_u64(), sparse["layers"][1]["density"].as_f64()), (Some(148), None));
    let shown = said(&["inspect", "--network", named, "--data", "digits"]);
    assert!(shown.contains("1 conv2d") && shown.contains("8 x 8 x 1") && shown.contains("144"), "{shown}");

    // What is printed as TOML is the same network.
    let written = said(&["inspect", "--network", named, "--data", "digits", "--toml"]);
    let same = object(&["inspect", "--network", named, "--data", "digits", "--toml"]);
    assert_eq!(same["layers"][0]["layer"], "conv2d");
    let again = folder.path().join("again.toml");
    std::fs::write(&again, written).unwrap();
    let again = object(&["inspect", "--network", path_text(&again), "--data", "digits"]);
    assert_eq!(again["layers"], given["layers"]);

    let model = object(&["inspect", "--network", digits_run()]);
    assert_eq!(model["nnz"], object(&["inspect", digits_run()])["nnz"]);
    for (arguments, words) in [
        (&["--network", named][..], "give --data NAME, or --shape and --outputs"),
        (
            &["--network", named, "--shape", "2,2,1", "--outputs", "10"],
            "layer 1 (conv2d) on 2 x 2 x 1: its window",
        ),
        (&["--network", digits_run(), "--density", "0.5"], "a model has its own inputs"),
        (&["--network", "lenet55", "--data", "digits"], "neither a file nor one of"),
        (&["--network", named, "--shape", "1,2,3,4", "--outputs", "10"], "give one size, two"),
    ] {
        let message = refusal(&[&["inspect"], arguments].concat());
        assert!(message.contains(words), "{arguments:?}: {message}");
    }
}
