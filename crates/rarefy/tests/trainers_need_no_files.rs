//! A trainer without files trains as a run with them does, byte for byte, and goes on: with more epochs, other data, another
//! network to start from.

use std::path::Path;
use std::sync::Arc;

use rarefy::Error;
use rarefy::data::{Features, Samples, Splits, Targets, from_memory};
use rarefy::layers::Network;
use rarefy::optimizers::Method as Optimizer;
use rarefy::penalties::{PenaltyMethod, PenaltySettings};
use rarefy::random::{Purpose, Stream};
use rarefy::topology::{Method, TopologySettings};
use rarefy::train::{
    Control, Ending, Event, Model, Run, Settings, Trainer, Watched, save_model, thread_pool,
};

const INPUTS: usize = 12;

/// Three classes of points around three centres.
fn splits(samples: usize) -> Splits {
    let mut stream = Stream::new(3, Purpose::Bench, 0, 0);
    let classes: Vec<u32> = (0..samples).map(|sample| sample as u32 % 3).collect();
    let centre = |class: u32, input: usize| if input % 3 == class as usize { 2.0 } else { 0.0 };
    let numbers: Vec<f32> = classes
        .iter()
        .flat_map(|&class| (0..INPUTS).map(move |input| centre(class, input)))
        .map(|mean| mean + stream.normal())
        .collect();
    let samples = Samples::dense(&numbers, INPUTS).unwrap().with_classes(&classes).unwrap();
    from_memory(samples, &Settings::default().data, 1).unwrap()
}

fn settings() -> Settings {
    let mut settings = Settings { threads: 2, ..Settings::default() };
    settings.network.hidden = vec![24, 16];
    settings.topology.method = Method::Static;
    settings.sparsity.density = 0.3;
    settings.train.epochs = 4;
    settings.train.batch_size = Some(20);
    settings
}

/// What a model's two files hold.
fn files(folder: &Path) -> [Vec<u8>; 2] {
    ["model.safetensors", "config.json"].map(|name| std::fs::read(folder.join(name)).unwrap())
}

fn bytes(model: &Model) -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir().unwrap();
    save_model(folder.path(), model.network(), &model.config).unwrap();
    files(folder.path())
}

fn numbers(network: &Network) -> Vec<f32> {
    network.parameters().flat_map(|parameter| parameter.weights.values().to_vec()).collect()
}

fn trained(settings: &Settings, splits: &Arc<Splits>) -> (Trainer, Model) {
    let mut trainer = Trainer::new(settings.clone(), splits.clone()).unwrap();
    let outcome = trainer.train(&mut |_| Control::Continue).unwrap();
    (trainer, outcome.model)
}

#[test]
fn a_run_and_a_trainer_make_the_same_model() {
    let splits = Arc::new(splits(300));
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        settings
    };
    for (name, settings) in [
        ("static", settings()),
        ("rigl", with(&|it| it.topology.method = Method::Rigl)),
        ("gmp", with(&|it| it.topology.method = Method::Gmp)),
        ("top-kast", with(&|it| it.topology.method = Method::TopKast)),
        ("the average of schedule-free", with(&|it| it.optimizer.method = Optimizer::ScheduleFreeAdamw)),
        ("the last epoch", with(&|it| it.train.keep_best = false)),
        ("early stopping", with(&|it| (it.train.epochs, it.train.patience) = (60, Some(1)))),
        (
            "a penalty with a target",
            with(&|it| {
                it.sparsity.density = 1.0;
                it.penalty.method = PenaltyMethod::L1;
                it.target.sparsity = Some(0.8);
            }),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::start_on(settings.clone(), splits.clone(), Some(folder.path())).unwrap();
        let of_run = run.train(&mut |_| Control::Continue).unwrap();
        let mut best = None;
        let mut trainer = Trainer::new(settings.clone(), splits.clone()).unwrap();
        let of_trainer = trainer
            .train(&mut |event| {
                if let Event::Epoch { record, network } = event
                    && record.best
                {
                    best = Some(numbers(network));
                }
                Control::Continue
            })
            .unwrap();
        assert_eq!(files(folder.path()), bytes(&of_trainer.model), "{name}");
        assert_eq!(bytes(&trainer.model()), bytes(&of_trainer.model), "{name}");
        assert_eq!((of_run.epochs, of_run.best_epoch), (of_trainer.epochs, of_trainer.best_epoch), "{name}");
        assert_eq!(of_run.test, of_trainer.test, "{name}");
        if settings.train.keep_best {
            assert_eq!(best, of_trainer.best_epoch.map(|_| numbers(of_trainer.model.network())), "{name}");
        }
    }
}

#[test]
fn a_run_on_data_in_memory_cannot_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    drop(Run::start_on(settings(), splits(60), Some(folder.path())).unwrap());
    let config = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    assert!(config.contains("path = \"memory\""), "{config}");
    match Run::resume(folder.path(), |_| {}).err() {
        Some(Error::Setting { key, problem }) => assert!(key == "data.path" && problem.contains("memory")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn training_stops_within_a_step_and_goes_on_where_it_was() {
    let splits = Arc::new(splits(300));
    for method in [Method::Static, Method::Set] {
        let mut settings = settings();
        settings.topology.method = method;
        let whole = bytes(&trained(&settings, &splits).1);

        let mut trainer = Trainer::new(settings.clone(), splits.clone()).unwrap();
        let mut steps = 0;
        let outcome = trainer.train(&mut |event| {
            steps += u64::from(matches!(event, Event::Step { .. }));
            if steps == 15 { Control::Stop } else { Control::Continue }
        });
        assert_eq!((outcome.unwrap().ending, steps), (Ending::Interrupted, 15));
        let outcome = trainer.train(&mut |_| Control::Continue).unwrap();
        assert_eq!((outcome.ending, bytes(&outcome.model)), (Ending::Finished, whole.clone()));

        let mut trainer = Trainer::new(settings, splits.clone()).unwrap();
        for epoch in 1..=4 {
            assert_eq!(trainer.train_for(1, &mut |_| Control::Continue).unwrap(), Ending::Finished);
            assert_eq!(trainer.epochs_done(), epoch);
        }
        assert_eq!(bytes(&trainer.model()), whole);
    }
}

#[test]
fn beyond_the_plan_connections_stay_and_the_rate_is_the_last() {
    let splits = Arc::new(splits(200));
    let mut settings = settings();
    settings.topology.method = Method::Set;
    settings.schedule = toml::from_str("method = 'linear'\nfinal_fraction = 0.25").unwrap();
    let (mut trainer, _) = trained(&settings, &splits);
    let base = settings.optimizer.learning_rate();
    let more = |trainer: &mut Trainer| {
        let (mut moved, mut rates) = (0, Vec::new());
        trainer
            .train_for(2, &mut |event| {
                if let Event::Epoch { record, .. } = event {
                    moved += record.grown + record.dropped;
                    rates.push(record.learning_rate);
                }
                Control::Continue
            })
            .unwrap();
        (moved, rates)
    };
    let (moved, rates) = more(&mut trainer);
    assert_eq!((moved, rates), (0, vec![0.25 * base; 2]));
    // A longer plan moves both again.
    trainer.set_epochs(12).unwrap();
    let (moved, rates) = more(&mut trainer);
    assert!(moved > 0 && rates[1] > 0.25 * base, "{moved} {rates:?}");
    let (mut ended, _) = trained(&self::settings(), &splits);
    let refused = ended.train_for(1, &mut |_| Control::Continue);
    assert!(matches!(refused, Err(Error::Setting { key, .. }) if key == "schedule.method"));
    assert!(matches!(trainer.set_epochs(3), Err(Error::Setting { key, .. }) if key == "train.epochs"));
}

#[test]
fn other_data_takes_the_place_of_the_first() {
    let first = Arc::new(splits(300));
    let mut constant = settings();
    constant.schedule = toml::from_str("method = 'constant'").unwrap();
    let (mut trainer, _) = trained(&constant, &first);
    let mut other = Splits::clone(&first);
    let Features::Dense(features) = &mut other.train.features else { panic!("dense") };
    features.truncate(50 * INPUTS);
    let Targets::Classes { labels, .. } = &mut other.train.targets else { panic!("classes") };
    labels.truncate(50);
    let before = numbers(trainer.network());
    trainer.set_data(other.clone()).unwrap();
    let mut steps = Vec::new();
    trainer
        .train_for(1, &mut |event| {
            if let Event::Step { progress, .. } = event {
                steps.push((progress.step, progress.epoch, progress.total));
            }
            Control::Continue
        })
        .unwrap();
    // 210 samples in batches of 20 for four epochs, then 50 samples.
    assert_eq!(steps, [(45, 3, 44), (46, 3, 44), (47, 3, 44)]);
    assert_ne!(before, numbers(trainer.network()));

    other.preparation.classes[0] = "another".into();
    let refused = |found: rarefy::Result<()>, words: &str| match found.err() {
        Some(Error::Setting { key, problem }) => {
            assert!(key == "data" && problem.contains(words), "{problem}")
        }
        other => panic!("{other:?}"),
    };
    refused(trainer.set_data(other.clone()), "prepared in another way");
    trainer.train_for(1, &mut |_| Control::Stop).unwrap();
    refused(trainer.set_data(first), "in the middle of an epoch");
}

#[test]
fn training_starts_from_a_network() {
    let splits = Arc::new(splits(300));
    let settings = settings();
    let (mut trainer, _) = trained(&settings, &splits);
    let network = trainer.model().network().clone();
    let given = numbers(&network);
    let mut warm = Trainer::builder(settings.clone(), splits.clone()).network(network).build().unwrap();
    assert_eq!(numbers(warm.network()), given);
    let again = warm.train(&mut |_| Control::Continue).unwrap();
    assert!(again.best_epoch.is_some(), "it is as sparse as it was");

    let mut wide = settings.clone();
    wide.network.hidden = vec![8];
    let (other, _) = trained(&wide, &splits);
    let network = other.network().copy(rarefy::sparse::Storage::Auto);
    // Hidden layers may be others than the settings say; inputs and outputs may not.
    Trainer::builder(settings.clone(), splits.clone()).network(network).build().unwrap();
    let digits = Trainer::load(Settings { threads: 1, ..Settings::default() }).unwrap();
    let network = digits.network().copy(rarefy::sparse::Storage::Auto);
    let refused = Trainer::builder(settings, splits).network(network).build().err();
    assert!(matches!(refused, Some(Error::Setting { key, .. }) if key == "network"));
}

#[test]
fn parts_and_threads_may_be_given() {
    let splits = Arc::new(splits(300));
    let mut rigl = settings();
    rigl.topology.method = Method::Rigl;
    rigl.optimizer.method = Optimizer::Sgd;
    rigl.optimizer.learning_rate = Some(0.01.into());
    let whole = bytes(&trained(&rigl, &splits).1);
    // Given to settings that have others, but for the base learning rate.
    let pool = Arc::new(thread_pool(3).unwrap());
    let mut others = Settings { threads: 1, ..settings() };
    others.optimizer.learning_rate = Some(0.01.into());
    let mut trainer = Trainer::builder(others, splits)
        .pool(pool)
        .topology(rigl.topology.build().unwrap())
        .optimizer(rigl.optimizer.build().unwrap())
        .build()
        .unwrap();
    assert_eq!(trainer.threads(), 3);
    let model = trainer.train(&mut |_| Control::Continue).unwrap().model;
    assert_eq!(bytes(&model), whole);
}

#[test]
fn patience_looks_at_what_it_is_told_to() {
    let mut splits = splits(300);
    let mut settings = settings();
    (settings.train.epochs, settings.train.patience, settings.train.tolerance) = (50, Some(3), 1e9);
    let splits_with = Arc::new(splits.clone());
    let mut trainer = Trainer::new(settings.clone(), splits_with).unwrap();
    let outcome = trainer.train(&mut |_| Control::Continue).unwrap();
    // Nothing exceeds the first epoch by so much; the best model is the best all the same.
    assert_eq!((outcome.ending, outcome.epochs), (Ending::EarlyStopped, 4));
    assert!(outcome.best_epoch.is_some_and(|epoch| epoch > 1));

    splits.validation = None;
    let splits = Arc::new(splits);
    let refused = Trainer::new(settings.clone(), splits.clone()).err();
    assert!(matches!(refused, Some(Error::Setting { key, .. }) if key == "train.patience"));
    settings.train.watch = Watched::Training;
    let outcome = Trainer::new(settings, splits).unwrap().train(&mut |_| Control::Continue).unwrap();
    assert_eq!((outcome.ending, outcome.epochs), (Ending::EarlyStopped, 4));
}

#[test]
fn parts_that_do_not_go_together_are_refused_whoever_made_them() {
    let rigl = TopologySettings { method: Method::Rigl, ..TopologySettings::default() }.build().unwrap();
    let thresholds = PenaltySettings { method: PenaltyMethod::Str, ..PenaltySettings::default() };
    let thresholds = thresholds.build().unwrap().unwrap();
    let builder = Trainer::builder(settings(), splits(60)).topology(rigl).penalty(thresholds);
    let error = builder.build().err().unwrap().to_string();
    let because = "thresholds and gates decide which connections stay";
    let expected = "topology.method: the one that was given does not go with the penalty that was given";
    assert_eq!(error, format!("{expected}: {because}"));
}
