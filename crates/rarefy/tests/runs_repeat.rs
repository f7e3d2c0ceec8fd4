//! The same seed gives the same model bytes: for one thread and two, and for a run that stopped and went on.

use std::path::Path;

use rarefy::control::TargetSettings;
use rarefy::layers::Precision;
use rarefy::optimizers::Method as Optimizer;
use rarefy::penalties::{ConstraintMethod, ConstraintSettings, PenaltyMethod, PenaltySettings, Scope};
use rarefy::topology::{DropName, Method, TopologySettings};
use rarefy::train::{Control, Ending, Event, Run, Settings, Trainer};

fn settings(method: Method) -> Settings {
    settings_of(TopologySettings { method, ..TopologySettings::default() })
}

fn settings_of(topology: TopologySettings) -> Settings {
    let mut settings = Settings { threads: 2, ..Settings::default() };
    settings.network.hidden = vec![48, 32];
    settings.network.dropout = 0.1;
    settings.topology = topology;
    let unused = [Method::Static, Method::Set, Method::Cht, Method::Acdc];
    if !unused.contains(&settings.topology.method) {
        settings.topology.every = Some(7);
    }
    settings.train.epochs = 3;
    settings.train.batch_size = Some(100);
    settings
}

/// Each penalty steered to a target, and each constraint.
fn regularized() -> Vec<(String, Settings)> {
    use ConstraintMethod::{Box, L1Ball, NonNegative, TopK};
    use PenaltyMethod::{ElasticNet, GroupInputs, GroupNeurons, L1, L1Subgradient, LHalf, Mcp};
    let dense = || {
        let method = Method::Static;
        let mut settings = settings_of(TopologySettings { method, ..TopologySettings::default() });
        settings.sparsity.density = 1.0;
        settings
    };
    let mut rows = Vec::new();
    for method in [L1, L1Subgradient, ElasticNet, GroupNeurons, GroupInputs, Mcp, LHalf] {
        let mut settings = dense();
        settings.penalty.method = method;
        if method != L1Subgradient {
            settings.target.sparsity = Some(0.9);
        }
        rows.push((format!("{method:?}"), settings));
    }
    for method in [L1Ball, TopK, Box, NonNegative] {
        for scope in [None, Some(Scope::Global)] {
            let mut settings = dense();
            settings.constraint = ConstraintSettings {
                method,
                radius: (method == L1Ball).then_some(30.0),
                keep: (method == TopK).then_some(0.1),
                upper: (method == Box).then_some(0.1),
                scope: scope.filter(|_| matches!(method, L1Ball | TopK)),
                ..ConstraintSettings::default()
            };
            rows.push((format!("{method:?} {scope:?}"), settings));
        }
    }
    rows
}

fn model(directory: &Path) -> [Vec<u8>; 2] {
    ["model.safetensors", "config.json"].map(|name| std::fs::read(directory.join(name)).unwrap())
}

fn train(settings: Settings, directory: &Path) -> [Vec<u8>; 2] {
    let mut run = Run::start(settings, Some(directory)).unwrap();
    let outcome = run.train(&mut |_| Control::Continue).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    model(directory)
}

/// A dense start under a penalty, with a target or without.
fn penalised(method: PenaltyMethod, sparsity: Option<f64>) -> Settings {
    let mut settings = settings(Method::Static);
    settings.sparsity.density = 1.0;
    settings.penalty = PenaltySettings { method, ..PenaltySettings::default() };
    settings.target = TargetSettings { sparsity, ..TargetSettings::default() };
    settings
}

#[test]
fn threads_and_stops_change_no_byte() {
    let soft = TopologySettings { drop: Some(DropName::Soft), ..TopologySettings::default() };
    let plain = Method::ALL.map(|method| TopologySettings { method, ..TopologySettings::default() });
    let rows = plain.into_iter().chain([soft]);
    let rows =
        rows.map(|topology| (format!("{:?} {:?}", topology.method, topology.drop), settings_of(topology)));
    let penalised =
        [PenaltyMethod::L1, PenaltyMethod::Str, PenaltyMethod::L0Gates].into_iter().flat_map(|method| {
            [None, Some(0.9)].map(|target| (format!("{method:?} {target:?}"), penalised(method, target)))
        });
    let mut drawn = settings(Method::Set);
    drawn.sparsity.deviation = Some(0.1);
    let mut rounded = settings(Method::Rigl);
    rounded.train.precision = Precision::Bf16;
    let others = [("Set, given deviation".to_string(), drawn), ("bf16".to_string(), rounded)];
    for (name, settings) in rows.chain(regularized()).chain(penalised).chain(others) {
        check_repeats(&name, settings);
    }
}

/// Blocks of rows move as connections do.
#[test]
fn threads_and_stops_change_no_byte_of_row_blocks() {
    let methods = Method::ALL.map(|method| (method, 4));
    for (method, block) in methods.into_iter().chain([2, 8, 16].map(|block| (Method::Rigl, block))) {
        let mut settings = settings(method);
        settings.sparsity.block = block.into();
        check_repeats(&format!("{method:?}, blocks of {block}"), settings);
    }
    let of_layers = |(name, _): &(String, Settings)| ["TopK None", "L1Ball None"].contains(&name.as_str());
    let others = [(Some(0.9), PenaltyMethod::L1), (None, PenaltyMethod::GroupInputs)]
        .map(|(target, method)| (format!("{method:?} {target:?}"), penalised(method, target)))
        .into_iter()
        .chain(regularized().into_iter().filter(of_layers));
    for (name, mut settings) in others {
        settings.sparsity.block = 4.into();
        check_repeats(&format!("{name} in blocks"), settings);
    }
    let mut rounded = settings(Method::Rigl);
    (rounded.sparsity.block, rounded.train.precision) = (16.into(), Precision::Bf16);
    check_repeats("blocks of 16 in bf16", rounded);
}

#[test]
fn threads_and_stops_change_no_byte_under_any_optimizer() {
    for method in Optimizer::ALL {
        check_repeats(&format!("{method:?}"), optimized(method));
    }
}

/// Weights of a wide first layer are stored by input, whatever touches them: few at a time, or a penalty all.
#[test]
fn threads_and_stops_change_no_byte_where_few_inputs_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("few.libsvm");
    let line = |sample: usize| {
        let features = (0..6).map(|k| 1 + 100 * k + (sample * 7 + k * sample) % 90);
        let text: Vec<String> = features.map(|feature| format!("{feature}:1.5")).collect();
        format!("{} {}\n", sample * sample % 3, text.join(" "))
    };
    std::fs::write(&path, (0..1700).map(line).collect::<String>()).unwrap();
    let rows =
        [Method::Static, Method::Rigl, Method::Gmp].map(|method| (format!("{method:?}"), settings(method)));
    let penalised = [PenaltyMethod::L1, PenaltyMethod::GroupInputs, PenaltyMethod::Str]
        .map(|method| (format!("{method:?}"), penalised(method, Some(0.9))));
    let mut blocks = settings(Method::Rigl);
    blocks.sparsity.block = 8.into();
    let blocks = [("blocks of 8".to_string(), blocks)];
    for (name, mut settings) in rows.into_iter().chain(penalised).chain(blocks) {
        settings.data.path = path.display().to_string();
        check_repeats(&format!("few inputs, {name}"), settings);
    }
}

/// Connections move under every optimizer that lets them, and layers are wide enough for threads to share.
fn optimized(method: Optimizer) -> Settings {
    let mut settings = settings(Method::Rigl);
    settings.network.hidden = vec![300, 300];
    settings.sparsity.density = 0.2;
    settings.optimizer.method = method;
    if matches!(method, Optimizer::Sgd | Optimizer::Linbreg) {
        settings.optimizer.momentum = 0.9;
    }
    if method == Optimizer::BarzilaiBorwein {
        settings.network.dropout = 0.0;
        settings.train.batch_size = Some(1258);
        settings.train.epochs = 30;
    }
    if method.is_bregman() {
        settings.topology.method = Method::Static;
        settings.topology.every = None;
        settings.sparsity.density = 1.0;
        settings.penalty.method = PenaltyMethod::L1;
        settings.target.sparsity = Some(0.9);
    }
    settings
}

fn check_repeats(name: &str, settings: Settings) {
    let folder = tempfile::tempdir().unwrap();
    let whole = train(settings.clone(), &folder.path().join("whole"));
    let one = train(Settings { threads: 1, ..settings.clone() }, &folder.path().join("one"));
    assert!(whole == one, "{name}: one thread and two differ");

    // Stopped in the middle of the second epoch, as by a kill: nothing is saved after the last checkpoint.
    let cut = folder.path().join("cut");
    let mut run = Run::start(settings.clone(), Some(&cut)).unwrap();
    let kept = cut.join("checkpoint.safetensors");
    let mut at_epoch_end = Vec::new();
    run.train(&mut |event| match event {
        Event::Epoch { record, .. } if record.epoch == 1 => {
            at_epoch_end = std::fs::read(&kept).unwrap();
            Control::Continue
        }
        Event::Step { progress, .. } if progress.step == 18 => Control::Stop,
        _ => Control::Continue,
    })
    .unwrap();
    drop(run);
    let saved_mid_epoch = std::fs::read(&kept).unwrap();
    for checkpoint in [at_epoch_end, saved_mid_epoch] {
        std::fs::write(&kept, checkpoint).unwrap();
        let mut run = Run::resume(&cut, |settings| settings.threads = 1).unwrap();
        run.train(&mut |_| Control::Continue).unwrap();
        assert!(model(&cut) == whole, "{name}: a resumed run differs");
        let lines = std::fs::read_to_string(cut.join("metrics.jsonl")).unwrap().lines().count();
        assert_eq!(lines as u64, settings.train.epochs);
    }
}

/// The end of an epoch is not waited for where the validation part is large.
#[test]
fn a_stop_while_the_validation_part_is_looked_at_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    // An average of weights is swapped in for the look.
    for method in [Optimizer::Adam, Optimizer::ScheduleFreeAdamw] {
        let mut settings = settings(Method::Rigl);
        settings.optimizer.method = method;
        settings.data.validation_fraction = 0.25;
        let [whole, cut] = ["whole", "cut"].map(|name| folder.path().join(format!("{name} {method:?}")));
        let whole = train(settings.clone(), &whole);
        let mut run = Run::start(settings.clone(), Some(&cut)).unwrap();
        let mut looks = Vec::new();
        let outcome = run
            .train(&mut |event| match event {
                Event::Validation { samples } => {
                    looks.push(samples);
                    if looks.len() == 3 { Control::Stop } else { Control::Continue }
                }
                _ => Control::Continue,
            })
            .unwrap();
        assert_eq!((outcome.ending, outcome.epochs), (Ending::Interrupted, 1));
        assert!(looks[0] < looks[1] && looks[2] == looks[0], "two batches in each epoch: {looks:?}");
        drop(run);
        let mut run = Run::resume(&cut, |_| ()).unwrap();
        run.train(&mut |_| Control::Continue).unwrap();
        assert!(model(&cut) == whole, "{method:?}: a resumed run differs");
        let lines = std::fs::read_to_string(cut.join("metrics.jsonl")).unwrap().lines().count();
        assert_eq!(lines as u64, settings.train.epochs);
    }
}

#[test]
fn bad_runs_are_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    train(settings(Method::Static), &directory);
    let refused = |result: rarefy::Result<Run>, words: &str| {
        let error = result.err().expect("it must be refused").to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(Run::start(settings(Method::Static), Some(&directory)), "holds a run already");
    refused(Run::resume(&directory, |settings| settings.seed = 9), "another \"seed\"");
    refused(Run::resume(folder.path(), |_| {}), "holds no run");
    let open = Run::resume(&directory, |_| {}).unwrap();
    refused(Run::resume(&directory, |_| {}), "another run is at work");
    drop(open);
    let checkpoint = directory.join("checkpoint.safetensors");
    let bytes = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    refused(Run::resume(&directory, |_| {}), "cut short");

    let model = directory.join("model.safetensors");
    let bytes = std::fs::read(&model).unwrap();
    std::fs::write(&model, &bytes[..bytes.len() - 5]).unwrap();
    let error = rarefy::train::Model::open(&directory).err().unwrap().to_string();
    assert!(error.contains("cut short"), "{error}");
    std::fs::write(&model, &bytes).unwrap();
    let config = directory.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap().replacen("\"format\": 1", "\"format\": 99", 1);
    std::fs::write(&config, text).unwrap();
    let error = rarefy::train::Model::open(&directory).err().unwrap().to_string();
    assert!(error.contains("update rarefy"), "{error}");

    let mut large = settings(Method::Static);
    large.train.batch_size = Some(100_000);
    refused(Run::start(large, None), "train.batch_size");
    let mut wild = settings(Method::Static);
    wild.optimizer.learning_rate = Some(1e30.into());
    let error = Trainer::load(wild).unwrap().train(&mut |_| Control::Continue).err().unwrap().to_string();
    assert!(error.contains("not finite") && error.contains("step"), "{error}");
}

#[test]
fn a_run_goes_on_with_its_own_data_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.csv");
    let line = |index: usize| format!("{},{},{}\n", index % 7, index % 3, ["no", "yes"][index % 2]);
    let rows: String = (0..40).map(line).collect();
    std::fs::write(&file, format!("a,b,label\n{rows}")).unwrap();
    let mut settings = settings(Method::Static);
    settings.data.path = file.display().to_string();
    settings.data.test_path = Some(folder.path().join("test.csv").display().to_string());
    settings.train.batch_size = Some(4);
    std::fs::write(folder.path().join("test.csv"), "a,b,label\n1,2,no\n2,0,yes\n").unwrap();
    let directory = folder.path().join("run");
    train(settings, &directory);
    assert!(Run::resume(&directory, |_| {}).is_ok());
    // Of the test part alone.
    std::fs::write(folder.path().join("test.csv"), "a,b,label\n1,2,no\n2,1,yes\n").unwrap();
    let error = Run::resume(&directory, |_| {}).err().expect("it must be refused").to_string();
    assert!(error.contains("the files have changed since"), "{error}");
}

#[test]
fn a_run_that_stopped_early_stays_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let mut patient = settings(Method::Static);
    (patient.train.epochs, patient.train.patience) = (200, Some(1));
    let mut run = Run::start(patient, Some(&directory)).unwrap();
    let first = run.train(&mut |_| Control::Continue).unwrap();
    assert!(first.ending == Ending::EarlyStopped && first.epochs < 200, "after {} epochs", first.epochs);
    drop(run);
    let again = Run::resume(&directory, |_| {}).unwrap().train(&mut |_| Control::Continue).unwrap();
    assert_eq!((again.ending, again.epochs), (Ending::EarlyStopped, first.epochs));
}
