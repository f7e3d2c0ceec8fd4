//! rarefy trains neural networks that are sparse from the first step to the last: weights, gradients, optimizer state
//! and checkpoints exist only for the connections that the network keeps. So time, memory and file size fall with density,
//! on an ordinary CPU. The same seed gives the same bits for any number of threads.
//!
//! # From arrays in memory
//!
//! ```
//! use rarefy::{Control, Samples, Settings, Trainer, data};
//!
//! let (pixels, digits) = data::digits(); // 1,797 rows of 64 numbers, and as many classes
//! let samples = Samples::dense(&pixels, 64)?.with_classes(&digits)?;
//! let mut settings = Settings::default();
//! settings.sparsity.density = 0.2; // of five connections one
//! settings.train.epochs = 20;
//! let splits = data::from_memory(samples, &settings.data, settings.seed)?;
//! let mut trainer = Trainer::new(settings, splits)?;
//! let outcome = trainer.train(&mut |_| Control::Continue)?;
//! assert!(outcome.test.is_some_and(|score| score.accuracy() >= 0.95));
//!
//! let model = outcome.model;
//! let new = Samples::dense(&pixels[..3 * 64], 64)?;
//! assert_eq!(model.predict(&new)?.classes(), digits[..3]);
//! # assert_eq!(model.predict(&new)?.iter().next(), Some(rarefy::Prediction::Class("0")));
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("digits.safetensors");
//! model.save(&path)?; // opens with rarefy::Model::open, and as a file of arrays in any safetensors reader
//! # assert_eq!(rarefy::Model::open(&path)?.to_bytes(), model.to_bytes());
//! # Ok::<(), rarefy::Error>(())
//! ```
//!
//! Samples may be sparse rows ([`Samples::csr`]) or tokens, an image or a sequence ([`Samples::with_shape`]), or numbers that are
//! read where they lie ([`Samples::lent`]); what is predicted may be classes, numbers or several labels; each sample may have a
//! weight. What cannot be samples is an
//! [`InputProblem`] with its row and column.
//!
//! # From a file
//!
//! The same settings name a file or folder: CSV, NPY, IDX, libsvm, images, recordings, text ([`data`] lists them).
//! A [`Run`] is a [`Trainer`] with a folder: it saves settings, figures, the best model and checkpoints, and goes on where it
//! was killed.
//!
//! ```
//! use rarefy::{Control, Event, Model, Run, Settings};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("table.csv");
//! # let rows: String = (0..200).map(|i| format!("{},{},{}.5\n", i % 17, i % 11, 300 + 3 * (i % 17) - 2 * (i % 11))).collect();
//! # std::fs::write(&path, format!("width,height,price\n{rows}")).unwrap();
//! # let (table, runs) = (path.to_str().unwrap(), folder.path().join("run"));
//! let mut settings = Settings::default();
//! settings.data.path = table.into(); // with the columns width, height and price
//! settings.data.label = vec!["price".into()];
//! settings.train.epochs = 5;
//! let mut run = Run::start(settings, Some(&runs))?;
//! let outcome = run.train(&mut |event| {
//!     if let Event::Epoch { record, .. } = event {
//!         println!("epoch {}: R2 {:?}", record.epoch, record.validation_r2);
//!     }
//!     Control::Continue
//! })?;
//! let model = Model::open(&runs)?;
//! let predicted = model.predict(&rarefy::Samples::dense(&[12.0, 3.0], 2)?)?.numbers();
//! # assert!(predicted[0].is_finite() && outcome.epochs == 5);
//! # Ok::<(), rarefy::Error>(())
//! ```
//!
//! # A training loop of one's own
//!
//! Between the backward pass and the update stands whoever wants to: gradients are sums over the batch, one for each
//! connection that there is.
//!
//! ```
//! use rarefy::data::{self, Batch, epoch_order};
//! use rarefy::kernels::{Activation, Isa};
//! use rarefy::layers::{LayerSpec, Network, NetworkSpec, Pass, SparsitySettings};
//! use rarefy::losses::{LossSettings, Task};
//! use rarefy::train::score;
//!
//! let train = data::load(&data::DataSettings::default(), 1)?.train; // the built-in digits
//! let layers = vec![LayerSpec::linear(64, Activation::Relu), LayerSpec::linear(10, Activation::Identity)];
//! let spec = NetworkSpec { inputs: train.shape, layers };
//! let mut network = Network::random(&spec, &SparsitySettings { density: 0.2, ..SparsitySettings::default() }, 1)?;
//! let mut gradients = network.gradients();
//! let loss = LossSettings::default().build(Task::Classification { counts: &[1; 10] })?;
//! let (isa, mut batch, mut buffers) = (Isa::detect(), Batch::new(&train, 64), network.buffers(64, true));
//! let mut losses = Vec::new();
//! for (step, samples) in (1..).zip(epoch_order(train.len(), 1, 0).chunks_exact(64)) {
//!     batch.fill(&train, samples);
//!     let pass = Pass::train(isa, 1, step);
//!     network.forward(&pass, &batch.input, &mut buffers);
//!     let (outputs, gradient) = buffers.output_and_gradient();
//!     let score = score(&loss, isa, outputs, &batch, Some(gradient));
//!     network.backward(&pass, &batch.input, &mut gradients, &mut buffers);
//!     for (parameter, gradient) in network.parameters_mut().zip(&gradients) {
//!         for (weight, gradient) in parameter.weights.values_mut().iter_mut().zip(&gradient.values) {
//!             *weight -= 0.2 * gradient / score.normaliser as f32;
//!         }
//!     }
//!     losses.push(score.loss());
//! }
//! assert!(losses.last() < losses.first());
//! # Ok::<(), rarefy::Error>(())
//! ```
//!
//! [`train::Engine`] does such a step with any optimizer, penalty and topology method, in two calls.
//!
//! # Parts of one's own
//!
//! A type of yours that implements one of these traits is an equal of the library's own, without a fork:
//!
//! | what | trait | becomes |
//! |---|---|---|
//! | layer | [`layers::Describe`], [`layers::Layer`] | [`LayerSpec::Custom`]; a saved one opens with [`Model::open_with`] |
//! | update rule | [`optimizers::UpdateRule`] | [`optimizers::Optimizer::Custom`] |
//! | which connections go, which come | [`topology::DropRule`], [`topology::GrowRule`] | [`topology::Drop::Custom`], [`topology::Grow::Custom`] |
//! | penalty | [`penalties::PenaltyRule`] | a [`penalties::Penalty`] |
//! | loss | [`losses::LossFunction`] | [`losses::Loss::Custom`] |
//!
//! [`Trainer::builder`] takes them.
//!
//! # Where things are
//!
//! | module | what |
//! |---|---|
//! | [`data`] | from files or memory to samples ready for a network, and back to the user's units |
//! | [`layers`] | layers, networks and their presets, as values or as TOML |
//! | [`train`] | settings, trainer, run, model, predictions; paths of lambdas; engine |
//! | [`topology`] | which connections there are, and when they move: RigL, SET, gradual pruning, ... |
//! | [`penalties`], [`control`] | L1 and its kin, constraints, and what steers them to a size that was asked for |
//! | [`optimizers`], [`losses`], [`metrics`] | what they say |
//! | [`compare`] | every run of a sweep, and which differences are more than chance |
//! | [`convex`] | the Lasso and its kin: linear models and their paths of lambdas |
//! | [`sparse`], [`tiles`], [`kernels`], [`math`], [`random`], [`machine`] | inner: patterns, activations, arithmetic, draws, memory that is left |
//!
//! What is at the root and in the upper eight rows is meant to stay as it is from version to version, names in files and
//! settings above all. The inner modules are public for who adds layers and rules, or measures kernels; they change with any
//! version.
#![deny(unsafe_code)]

#[macro_use]
pub mod names;

#[cfg(feature = "report")]
pub mod compare;
pub mod control;
pub mod convex;
pub mod data;
pub mod distributed;
pub mod error;
pub mod kernels;
pub mod layers;
pub mod losses;
pub mod machine;
pub mod math;
pub mod metrics;
pub mod optimizers;
pub mod penalties;
pub mod random;
#[cfg(feature = "report")]
pub mod report;
pub mod sparse;
pub mod tiles;
pub mod topology;
pub mod train;

pub use data::{DataSettings, Dataset, Samples, Splits};
pub use error::{Error, InputProblem, Result};
pub use layers::{LayerSpec, Network, NetworkSpec};
pub use train::{Control, Event, Model, Outcome, Prediction, Predictions, Run, Settings, Trainer};
