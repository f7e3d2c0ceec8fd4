//! What training, saving, opening, scoring and resuming take of the memory follows connections and neurons, not the cells
//! between them: of a network of 4.4 G cells nothing is ever allocated for each.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rarefy::penalties::PenaltyMethod;
use rarefy::topology::Method;
use rarefy::train::{Control, Ending, Event, Model, Run, Settings, Trainer};

/// Knows how much the whole process holds, and the most that it has held.
struct Measuring;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all calls go to the system's allocator unchanged.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

/// More than 2^32 cells between two hidden layers; a tile of one takes 17 MB.
const WIDTH: usize = 66_000;

/// Activations and their gradients of some tiles, and little for some 50,000 connections. A byte for each cell would be 4.4 GB.
const MOST_BYTES: usize = 300 << 20;

fn settings(folder: &Path, method: Method) -> Settings {
    let table = folder.join("table.csv");
    let line = |i: usize| format!("{},{},{},{}\n", i % 7, i % 5, (i * i) % 11, ["a", "b"][i % 2]);
    std::fs::write(&table, (0..60).map(line).collect::<String>()).unwrap();
    let mut settings = Settings { threads: 2, ..Settings::default() };
    settings.data.path = table.to_str().unwrap().into();
    settings.network.hidden = vec![WIDTH, WIDTH];
    settings.sparsity.density = 1e-5;
    settings.topology.method = method;
    settings.train.batch_size = Some(20);
    settings.train.epochs = 2;
    settings
}

/// Trains in two sittings, then opens the model.
fn train(settings: Settings, run_folder: &Path) {
    let mut run = Run::start(settings, Some(run_folder)).unwrap();
    let mut watch = |event: Event<'_>| match event {
        Event::Epoch { .. } => Control::Stop,
        _ => Control::Continue,
    };
    assert_eq!(run.train(&mut watch).unwrap().ending, Ending::Interrupted);
    drop(run);
    let mut run = Run::resume(run_folder, |_| {}).unwrap();
    let outcome = run.train(&mut |_| Control::Continue).unwrap();
    assert!(outcome.test.unwrap().loss().is_finite());
    let costs = run.trainer().twin_costs().unwrap();
    assert!(costs.nnz > 1 << 32 && costs.model_bytes > 4 * costs.nnz);
    assert_eq!(
        Model::open(run_folder).unwrap().network().connections(),
        outcome.model.network().connections()
    );
}

#[test]
fn nothing_grows_with_the_cells() {
    let folder = tempfile::tempdir().unwrap();
    for method in [Method::Static, Method::Set, Method::Gse, Method::Mest, Method::Cht, Method::TopKast] {
        MOST.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
        let mut settings = settings(folder.path(), method);
        if matches!(method, Method::Gse | Method::Mest | Method::TopKast) {
            settings.topology.every = Some(2);
        }
        train(settings, &folder.path().join(method.name()));
        let most = MOST.load(Ordering::Relaxed);
        assert!(most < MOST_BYTES, "{method:?} held {most} bytes");
    }
    MOST.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
    let mut settings = settings(folder.path(), Method::Static);
    settings.penalty.method = PenaltyMethod::L1;
    settings.sparsity.density = 1e-4;
    settings.target.nnz = Some(200_000);
    train(settings, &folder.path().join("l1"));
    let most = MOST.load(Ordering::Relaxed);
    assert!(most < MOST_BYTES, "l1 held {most} bytes");
}

/// What starts with every cell cannot be had here, and says so before anything is allocated.
#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for method in [Method::Gmp, Method::Granet, Method::Acdc] {
        let mut settings = Settings { memory_limit: Some(1 << 31), ..settings(folder.path(), method) };
        // So many cells can still be counted.
        settings.network.hidden = vec![60_000; 2];
        let error = Trainer::load(settings).err().unwrap().to_string();
        assert!(error.starts_with("memory_limit: the run needs"), "{error}");
    }
}
