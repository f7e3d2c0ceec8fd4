//! Threads that move the same weights without locks learn what they should; one alone does what a step of all would; and what they cannot
//! do is refused.

use std::path::Path;
use std::sync::Arc;

use rarefy::distributed::{ExchangeMethod, Local};
use rarefy::optimizers::{LearningRate, Method as Optimizer};
use rarefy::report::{Summary, Twin};
use rarefy::topology::Method as Topology;
use rarefy::train::{Control, Ending, Event, Run, Settings};

use crate::small_networks::{SMALL, settings};

/// Settings of a run on digits by so many threads.
fn hogwild(threads: usize) -> Settings {
    let mut settings = Settings { threads, ..Settings::default() };
    (settings.topology.method, settings.train.epochs) = (Topology::Set, 6);
    (settings.optimizer.method, settings.optimizer.momentum) = (Optimizer::Sgd, 0.0);
    settings.optimizer.learning_rate = Some(LearningRate::Fixed(0.2));
    settings.distributed.exchange = ExchangeMethod::Hogwild;
    settings
}

/// As that, on samples of 900 features of which each has six.
fn on_nonzeros(threads: usize, folder: &Path) -> Settings {
    let path = folder.join("few.libsvm");
    let line = |sample: usize| {
        let features = (0..6).map(|k| 1 + 100 * k + 30 * (sample % 3) + (sample * 7 + k * sample) % 30);
        let text: Vec<String> = features.map(|feature| format!("{feature}:1.5")).collect();
        format!("{} {}\n", sample % 3, text.join(" "))
    };
    std::fs::write(&path, (0..1100).map(line).collect::<String>()).unwrap();
    let mut settings = hogwild(threads);
    settings.data.path = path.to_str().unwrap().into();
    (settings.optimizer.method, settings.train.batch_size) = (Optimizer::Adam, Some(16));
    settings.optimizer.learning_rate = Some(LearningRate::Fixed(0.005));
    settings
}

/// The model, the accuracy on the test part and the notes of a run.
fn train(settings: Settings) -> (Vec<u8>, f64, Vec<String>) {
    let mut run = Run::start(settings, None).unwrap();
    let outcome = run.train(&mut |_| Control::Continue).unwrap();
    let accuracy = outcome.test.map_or(0.0, |score| score.accuracy());
    (outcome.model.to_bytes(), accuracy, run.trainer().notes().to_vec())
}

#[test]
fn digits_and_nonzeros_are_learned() {
    let folder = tempfile::tempdir().unwrap();
    let adam = |threads| {
        let mut settings = hogwild(threads);
        settings.optimizer.method = Optimizer::Adam;
        settings.optimizer.learning_rate = Some(LearningRate::Fixed(0.005));
        settings
    };
    let momentum = |threads| {
        let mut settings = hogwild(threads);
        (settings.optimizer.momentum, settings.optimizer.clip_norm) = (0.5, Some(1.0));
        settings
    };
    for (what, settings) in [
        ("sgd", hogwild(2)),
        ("more threads than cores", hogwild(5)),
        ("momentum", momentum(2)),
        ("adam", adam(2)),
        ("nonzeros", on_nonzeros(2, folder.path())),
    ] {
        let (_, accuracy, notes) = train(settings);
        assert!(accuracy > 0.85, "{what}: {accuracy}");
        assert!(notes.iter().any(|note| note.starts_with("not reproducible: ")), "{what}");
    }
}

#[test]
fn a_summary_says_that_it_cannot_be_repeated() {
    let mut run = Run::start(hogwild(2), None).unwrap();
    let outcome = run.train(&mut |_| Control::Continue).unwrap();
    let summary = Summary::new(run.trainer_mut(), &outcome, None, Twin::Count).unwrap();
    assert!(!summary.reproducible);
}

/// What a thread reads, and when, loses nothing: where nobody else writes, steps are those of `exact`.
#[test]
fn one_thread_alone_comes_to_the_bits_of_exact() {
    let folder = tempfile::tempdir().unwrap();
    let words = SMALL.iter().find(|small| small.network.contains("text-gru")).unwrap();
    let mut of_words = settings(words, 1100, folder.path());
    (of_words.threads, of_words.distributed.exchange) = (1, ExchangeMethod::Hogwild);
    (of_words.topology.method, of_words.topology.every) = (Topology::Set, None);
    of_words.optimizer.method = Optimizer::Adam;
    let mut clipped = hogwild(1);
    (clipped.optimizer.momentum, clipped.optimizer.weight_decay) = (0.5, Some(0.01));
    (clipped.optimizer.clip_norm, clipped.optimizer.clip_value) = (Some(0.1), Some(0.01));
    for (what, settings) in [
        ("digits", hogwild(1)),
        ("clipped", clipped),
        ("nonzeros", on_nonzeros(1, folder.path())),
        ("words", of_words),
    ] {
        let mut exact = settings.clone();
        exact.distributed.exchange = ExchangeMethod::Exact;
        let (alone, _, notes) = train(settings);
        assert!(alone == train(exact).0, "{what}");
        assert!(notes.iter().any(|note| note.starts_with("one thread shares weights with nobody")), "{what}");
    }
}

#[test]
fn a_run_that_was_stopped_goes_on_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("cut");
    let mut run = Run::start(hogwild(2), Some(&directory)).unwrap();
    let cut = run.train(&mut |event| match event {
        Event::Step { progress, .. } if progress.step >= 13 => Control::Stop,
        _ => Control::Continue,
    });
    assert_eq!(cut.unwrap().ending, Ending::Interrupted);
    drop(run);
    let mut run = Run::resume(&directory, |settings| settings.threads = 3).unwrap();
    let outcome = run.train(&mut |_| Control::Continue).unwrap();
    assert_eq!((outcome.ending, outcome.epochs), (Ending::Finished, 6));
    assert!(outcome.test.unwrap().accuracy() > 0.85);
}

#[test]
fn what_threads_without_locks_cannot_do_is_refused() {
    let small = |name: &str| {
        let small = SMALL.iter().find(|small| small.network.contains(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(small, 1100, folder.path());
        settings.distributed.exchange = ExchangeMethod::Hogwild;
        settings.optimizer.method = Optimizer::Adam;
        (settings, folder)
    };
    let ((norms, _kept), (carries, _too)) = (small("batch-norm"), small("carry"));
    let with = |change: fn(&mut Settings)| {
        let mut settings = hogwild(2);
        change(&mut settings);
        settings
    };
    for (settings, message) in [
        (
            with(|it| it.optimizer.momentum = 0.9),
            "optimizer.momentum: 0.9 is too much for gradients that come late, as distributed.exchange = \"hogwild\" makes them",
        ),
        (
            with(|it| (it.optimizer.method, it.optimizer.learning_rate) = (Optimizer::Prodigy, None)),
            "distributed.exchange: \"hogwild\" does not go with optimizer.method = \"prodigy\": ",
        ),
        (
            with(|it| it.train.accumulate = 2),
            "distributed.exchange: \"hogwild\" does not go with train.accumulate = 2: ",
        ),
        (norms, "distributed.exchange: \"hogwild\" does not go with batch norms"),
        (carries, "distributed.exchange: \"hogwild\" does not go with layers that carry their states"),
    ] {
        let error = Run::start(settings, None).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with(message), "{message}: {error}");
    }
    let errors = Local::run(2, |rank| {
        Run::start_with(hogwild(1), None, Arc::new(rank)).err().map(|error| error.to_string())
    });
    let message =
        "distributed.exchange: \"hogwild\" is for the threads of one process, which share its memory";
    assert!(errors.iter().all(|error| error.as_ref().unwrap().starts_with(message)), "{errors:?}");
}
