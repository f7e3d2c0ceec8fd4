//! Texts: bags of words, tokens, and language models.

use super::*;

#[test]
fn texts_go_from_a_table_to_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let (table, run, new) =
        (folder.path().join("news.tsv"), folder.path().join("run"), folder.path().join("new.tsv"));
    let topics = [["cup", "goal", "match"], ["rain", "sun", "wind"]];
    let lines: String = (0..200)
        .map(|i| {
            let words = topics[i % 2];
            let body = format!("The {} and the {}", words[i % 3], words[(i + 1) % 3]);
            format!("{i}\t{body}\t{}\n", ["sport", "weather"][i % 2])
        })
        .collect();
    std::fs::write(&table, format!("id\tbody\ttopic\n{lines}200\t?!\tsport\n")).unwrap();
    let (table, run) = (path_text(&table), path_text(&run));
    let columns = ["--text", "body", "--label", "topic"];
    let message = refusal(&[&["train", table][..], &columns].concat());
    assert!(message.contains("line 202: the document holds no words"), "{message}");
    let described = said(&[&["data", table, "--skip-bad"][..], &columns].concat());
    for words in ["200 samples", "8 in 8, 4.0 of them not zero", "1000 tokens, 0 of them unknown", "line 202"]
    {
        assert!(described.contains(words), "{words}: {described}");
    }
    let quick = ["--hidden", "32", "--epochs", "20", "--batch-size", "16", "--learning-rate", "0.02"];
    let quick = [&quick[..], &["--density", "0.5", "--run-dir", run]].concat();
    let told = said(&[&["train", table, "--skip-bad"][..], &columns, &quick].concat());
    assert!(told.contains("test text: 200 tokens, 0 of them unknown (0.0 %)"), "{told}");
    // The model leaves out what training left out, and says so.
    let told = said(&["evaluate", run, table]);
    assert!(told.contains("left out 1 sample") && told.contains("line 202"), "{told}");
    std::fs::write(&new, "body\nsnow and wind\nA goal!\n").unwrap();
    let found = rarefy(&["predict", run, path_text(&new)]);
    assert_eq!(text(&found.stdout), "prediction\nweather\nsport\n");
    assert!(text(&found.stderr).contains("text: 5 tokens, 2 of them unknown (40.0 %)"), "{found:?}");
}

/// A text of 2000 characters, in a file.
fn write_text(folder: &Path) -> PathBuf {
    let path = folder.join("speech.txt");
    std::fs::write(&path, "to be or not to be, that is the question. ".repeat(48)).unwrap();
    path
}

#[test]
fn a_language_model_trains_is_scored_in_bits_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (file, run) = (write_text(folder.path()), folder.path().join("run"));
    let (file, run) = (path_text(&file), path_text(&run));
    let described =
        said(&["data", file, "--task", "language-model", "--set", "data.text.tokens.kind=characters"]);
    assert!(
        described.contains("language model, one of ")
            && described.contains("0 of them unknown")
            && described.contains("--network char-transformer"),
        "{described}"
    );
    let given =
        ["--task", "language-model", "--network", "char-transformer", "--epochs", "6", "--batch-size", "8"];
    let sets = ["network.width=16", "network.depth=1", "data.text.tokens.context=16", "sparsity.density=0.5"];
    let mut arguments = [&["train", file, "--run-dir", run], &given[..]].concat();
    arguments.extend(["--set", "data.text.tokens.kind=characters", "--set", "optimizer.learning_rate=0.01"]);
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    let shown = said(&arguments);
    for words in ["bits/character", "perplexity", "test bits per character", "rarefy predict", "--generate"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let lines = std::fs::read_to_string(Path::new(run).join("metrics.jsonl")).unwrap();
    let epochs: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bits = |epoch: &Value| epoch["validation_bits_per_character"].as_f64().unwrap();
    assert!(bits(&epochs[5]) < 0.8 * bits(&epochs[0]), "{lines}");
    let summary: Value =
        serde_json::from_slice(&std::fs::read(Path::new(run).join("summary.json")).unwrap()).unwrap();
    let own = object(&["evaluate", run]);
    assert_eq!(own["bits_per_character"], summary["test_bits_per_character"]);
    assert_eq!(own["perplexity"].as_f64().unwrap(), own["loss"].as_f64().unwrap().exp());
    let nats = own["loss"].as_f64().unwrap() * own["tokens"].as_f64().unwrap();
    let by_hand = nats / own["characters"].as_f64().unwrap() / std::f64::consts::LN_2;
    assert!((own["bits_per_character"].as_f64().unwrap() - by_hand).abs() < 1e-9, "{own}");
    assert!(said(&["evaluate", run]).contains("bits per character"));

    // Another text is scored whole, and what it holds of the unknown is said.
    let other = folder.path().join("other.txt");
    std::fs::write(&other, "to be or not to be, THAT is").unwrap();
    let shown = said(&["evaluate", run, path_text(&other)]);
    assert!(shown.contains("all samples") && shown.contains("4 of them unknown"), "{shown}");

    let write = |more: &[&str]| said(&[&["predict", run, "--generate", "--tokens", "40"], more].concat());
    assert_eq!(write(&["--seed", "3"]), write(&["--seed", "3", "--threads", "2"]));
    assert_ne!(write(&["--seed", "3"]), write(&["--seed", "4"]));
    // 40 tokens after a prompt of 6 are more than the context of 16.
    let likeliest = write(&["--prompt", "to be ", "--temperature", "0"]);
    assert!(likeliest.starts_with("to be ") && likeliest.trim_end().len() > 16, "{likeliest}");
    assert_eq!(likeliest, write(&["--prompt", "to be ", "--top-k", "1", "--seed", "9"]));
    // What is written is what the model holds for likeliest: scored as a document, all but its end surely is.
    let begun = object(&["predict", run, "--generate", "--tokens", "10", "--temperature", "0"]);
    std::fs::write(&other, begun["text"].as_str().unwrap()).unwrap();
    let scored = object(&["evaluate", run, path_text(&other)]);
    assert_eq!(scored["tokens"].as_u64(), Some(11), "{begun}");
    assert!(scored["accuracy"].as_f64().unwrap() * 11.0 > 9.99, "{begun}: {scored}");
    let answer =
        object(&["predict", run, "--generate", "--prompt", "to be ", "--tokens", "5", "--temperature", "0"]);
    assert_eq!((answer["tokens"].as_u64(), answer["ended"].as_bool()), (Some(5), Some(false)));
    assert!(likeliest.starts_with(answer["text"].as_str().unwrap()), "{answer}");

    for (more, words) in [
        (&["--prompt", ""][..], "prompt: holds no token"),
        (&["--prompt", "to be THAT"], "prompt: the model does not know \"T\", \"H\", \"A\"; leave that out"),
        (&["--prompt", "to be or not to be"], "prompt: has 18 tokens, and the model reads 16 at a time"),
        (&["--temperature", "-1"], "temperature: -1 is not a number from 0 on"),
        (&["--top-k", "0"], "top_k: 0 leaves no token"),
    ] {
        let message = refusal(&[&["predict", run, "--generate"], more].concat());
        assert!(message.contains(words), "{message}");
    }
    let message = refusal(&["predict", run, file]);
    assert!(message.contains("give --generate in place of"), "{message}");
    let message = refusal(&["predict", digits_run(), "--generate"]);
    assert!(message.contains("the model predicts no text"), "{message}");
}

#[test]
fn what_is_no_language_model_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_text(folder.path());
    let run = folder.path().join("run");
    let characters = ["data.text.tokens.kind=characters", "data.text.tokens.context=16"];
    for (more, words) in [
        (&["--network", "mlp"][..], "network.preset: mlp: reads numbers, and the samples are tokens"),
        (&["--network", "text-gru"], "text-gru: gives one answer a document"),
        (
            &[
                "--set",
                "network.layers=[{layer='embedding',channels=4},{layer='attention',heads=1},{layer='linear'}]",
            ],
            "network: layer 2 (attention) looks at later steps: give it causal = true",
        ),
        (
            &["--network", "char-transformer", "--set", "data.text.tokens.context=9999"],
            "context: 9999 is more than the",
        ),
        (&["--network", "char-transformer", "--label", "x"], "data.label: is for CSV files"),
        (
            &["--network", "char-transformer", "--set", "loss.method=binary-cross-entropy"],
            "loss.method: must be cross-entropy",
        ),
    ] {
        let mut arguments =
            vec!["train", path_text(&file), "--task", "language-model", "--run-dir", path_text(&run)];
        characters.iter().for_each(|set| arguments.extend(["--set", set]));
        arguments.extend(more);
        let message = refusal(&arguments);
        assert!(message.contains(words), "{message}");
        assert!(!run.exists());
    }
}

#[test]
fn documents_become_tokens_that_networks_read() {
    let folder = tempfile::tempdir().unwrap();
    let line = |i: usize| match i % 2 {
        0 => format!("{{\"text\": \"rain and wind {} all day\", \"label\": \"weather\"}}\n", i % 5),
        _ => format!("{{\"text\": \"a goal {} and a draw\", \"label\": \"sport\"}}\n", i % 5),
    };
    let file = folder.path().join("news.jsonl");
    std::fs::write(&file, (0..80).map(line).collect::<String>()).unwrap();
    let run = folder.path().join("run");
    let (file, run) = (path_text(&file), path_text(&run));
    let train = |more: &str| {
        let tokens = "--set data.text.tokens.kind=words";
        format!("train {file} --run-dir {run} {tokens} --epochs 8 --batch-size 8 --learning-rate 0.02 {more}")
    };
    let text_cnn = train("--network text-cnn --set network.width=8 --density 0.5");
    let shown = said(&text_cnn.split_whitespace().collect::<Vec<_>>());
    assert!(shown.contains("network text-cnn: 6 steps x 1 to 2"), "{shown}");
    assert_eq!(object(&["evaluate", run])["accuracy"], 1.0);
    let new = folder.path().join("new.jsonl");
    std::fs::write(&new, "{\"text\": \"rain and snow all day\"}\n{\"text\": \"a late goal\"}\n").unwrap();
    assert_eq!(said(&["predict", run, path_text(&new)]), "prediction\nweather\nsport\n");
    std::fs::write(&new, "{\"text\": \"rain and wind and rain and wind all day\"}\n").unwrap();
    let message = refusal(&["predict", run, path_text(&new)]);
    assert!(message.contains("line 1: the document has 9 tokens and the context is 6"), "{message}");
    std::fs::remove_dir_all(run).unwrap();
    let transformer = train("--network char-transformer");
    let message = refusal(&transformer.split_whitespace().collect::<Vec<_>>());
    assert!(message.contains("char-transformer: predicts a token at each step"), "{message}");
    let message = refusal(&["inspect", "--network", "text-gru", "--shape", "9,1", "--outputs", "2"]);
    assert!(message.contains("text-gru: reads tokens, and the samples are numbers"), "{message}");
    let found = object(&[
        "inspect",
        "--network",
        "text-gru",
        "--shape",
        "9,1",
        "--outputs",
        "2",
        "--vocabulary",
        "7",
    ]);
    assert_eq!(found["layers"][0]["layer"], "embedding");
}
