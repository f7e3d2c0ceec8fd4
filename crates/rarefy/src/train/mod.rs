//! Training: the conductor, the only module that sees all others.

mod assemble;
mod checkpoint;
mod directory;
mod effective;
mod engine;
mod generate;
mod lambda_path;
mod language;
mod live;
mod model;
mod plan;
mod record;
mod revive;
mod run;
mod sample_score;
mod save;
mod score;
mod settings;
mod sparse_start;
mod sparsify;
mod transcripts;

pub use crate::topology::Progress;
pub use directory::{RunDirectory, free_run_directory, peak_rss_bytes, processor};
pub use engine::{Churn, Engine, EngineParts};
pub use generate::{Sampling, Writer};
pub use lambda_path::{LambdaPath, PathEvent, PathOutcome, PathPoint, PathSettings};
pub use language::LanguageScore;
pub use model::{Model, ModelConfig, model_bytes, save_model};
pub use record::{Control, Ending, EpochRecord, Event, Outcome};
pub use run::{Run, evaluate};
pub use sample_score::{SampleScore, score_samples};
pub use score::{Score, predict, score};
pub use settings::{Settings, TrainSettings};
pub use sparsify::{Sparsifier, Zeros};
pub use transcripts::check_transcripts;
