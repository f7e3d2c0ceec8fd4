//! `rarefy comm info`: the MPI library, and which rank runs where.

use anyhow::Result;
use rarefy::distributed::Place;
use rarefy::report::table;
use rarefy_mpi::{Job, Library, installed};
use serde::Serialize;

use crate::output::Output;

/// Arguments of `rarefy comm info`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy comm info                     which MPI libraries this machine has
  mpirun -n 4 rarefy comm info
  srun --mpi=pmix -n 64 rarefy comm info --json

RAREFY_MPI=FILE chooses a library, RAREFY_MPI=off none.")]
pub struct InfoArgs {}

#[derive(Serialize)]
struct Findings {
    ranks: usize,
    library: Option<Loaded>,
    places: Vec<RankPlace>,
    warning: Option<String>,
    /// Looked for where no launcher has chosen one.
    installed: Vec<LibraryInfo>,
}

#[derive(Serialize)]
struct LibraryInfo {
    file: String,
    interface: &'static str,
    version: String,
}

#[derive(Serialize)]
struct Loaded {
    #[serde(flatten)]
    library: LibraryInfo,
    thread_level: &'static str,
}

#[derive(Serialize)]
struct RankPlace {
    rank: usize,
    host: String,
    cores: usize,
    threads: usize,
}

impl From<&Library> for LibraryInfo {
    fn from(library: &Library) -> LibraryInfo {
        LibraryInfo { file: library.file.clone(), interface: library.abi, version: library.version.clone() }
    }
}

/// Shows.
pub fn run(job: &Job, output: &Output) -> Result<()> {
    let place = |(rank, place): (usize, &Place)| RankPlace {
        rank,
        host: place.host.clone(),
        cores: place.cores,
        threads: place.threads,
    };
    let library =
        job.library().map(|(library, thread_level)| Loaded { library: library.into(), thread_level });
    let found = Findings {
        ranks: job.comm().size(),
        places: job.places().iter().enumerate().map(place).collect(),
        warning: job.warning(),
        installed: if library.is_none() { installed().iter().map(Into::into).collect() } else { Vec::new() },
        library,
    };
    output.show(&text(&found, output.width()));
    output.json(&found)
}

fn text(found: &Findings, width: usize) -> String {
    let Some(Loaded { library, thread_level }) = &found.library else {
        let mut lines = vec!["one rank: no launcher has started others beside it".to_string()];
        lines.extend(found.installed.iter().map(|it| format!("found    {}, {}", it.file, it.version)));
        if found.installed.is_empty() {
            lines.push("no MPI library is found".into());
        }
        return lines.join("\n");
    };
    let mut lines = vec![
        format!("library  {}, {}", library.file, library.version),
        format!("         interface of {}, thread level {thread_level}", library.interface),
    ];
    let rows = found.places.iter().map(|place| {
        vec![place.rank.to_string(), place.host.clone(), place.cores.to_string(), place.threads.to_string()]
    });
    lines.push(table(&["rank", "host", "cores it may use", "threads of its own"], rows).text(width));
    lines.extend(found.warning.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n")
}
