//! Who has started this process: `mpirun`, `mpiexec` and `srun` say so in the environment of each rank.

use rarefy::{Error, Result};

/// What a launcher says of a rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// Its name, for messages.
    pub name: &'static str,
    /// The number of this rank.
    pub rank: usize,
    /// The number of ranks, where the launcher says it.
    pub size: Option<usize>,
    /// The MPI libraries that understand it, the likeliest first.
    pub libraries: &'static [&'static str],
}

const OPEN_MPI: &str = "libmpi.so.40";
/// MPI-5.0's own binary interface.
const STANDARD: &str = "libmpi_abi.so.1";
/// MPICH, Intel MPI, MVAPICH, Cray; and MPICH as Debian names it.
const MPICH: [&str; 2] = ["libmpi.so.12", "libmpich.so.12"];

impl Launcher {
    /// The launcher that has started this process and others beside it; `None` for a process that is alone, or is to be so because
    /// of `RAREFY_MPI=off`.
    ///
    /// # Errors
    /// Ranks that were started without a way to find each other.
    pub fn of_this_process() -> Result<Option<Launcher>> {
        Launcher::seen(|name| std::env::var(name).ok())
    }

    fn seen(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Launcher>> {
        if variable("RAREFY_MPI").is_some_and(|choice| choice == "off") {
            return Ok(None);
        }
        Ok(Launcher::told_by(variable)?.filter(|launcher| launcher.size != Some(1)))
    }

    /// The launcher that variables tell of.
    fn told_by(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Launcher>> {
        let number = |name: &str| {
            let read = |text: String| {
                text.parse::<usize>().map_err(|_| {
                    Error::launch(format!("the launcher has set {name} to {text:?}, which is no number"))
                })
            };
            variable(name).map(read).transpose()
        };
        let launcher = |name, rank, size, libraries| Some(Launcher { name, rank, size, libraries });
        if let Some(rank) = number("OMPI_COMM_WORLD_RANK")? {
            let size = number("OMPI_COMM_WORLD_SIZE")?;
            return Ok(launcher("mpirun", rank, size, &[OPEN_MPI, STANDARD]));
        }
        if let Some(rank) = number("PMI_RANK")? {
            let size = number("PMI_SIZE")?;
            return Ok(launcher("mpiexec", rank, size, &[STANDARD, MPICH[0], MPICH[1]]));
        }
        // Not SLURM_NTASKS: any shell within a job has it.
        let tasks = number("SLURM_STEP_NUM_TASKS")?;
        if let Some(rank) = number("PMIX_RANK")? {
            return Ok(launcher("srun", rank, tasks, &[OPEN_MPI, STANDARD, MPICH[0], MPICH[1]]));
        }
        match tasks {
            Some(tasks) if tasks > 1 => Err(Error::launch(format!(
                "srun has started {tasks} tasks that cannot find each other: use srun --mpi=pmix (Open MPI) or srun --mpi=pmi2 (MPICH), or set RAREFY_MPI=off if each is to work for itself"
            ))),
            _ => Ok(None),
        }
    }

    /// What it has started, for messages.
    pub fn started(&self) -> String {
        match self.size {
            Some(size) => format!("{} has started {size} ranks", self.name),
            None => format!("{} has started rank {}", self.name, self.rank),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(variables: &[(&str, &str)]) -> Result<Option<Launcher>> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name);
        Launcher::seen(|name| find(name).map(|(_, value)| value.to_string()))
    }

    #[test]
    fn launchers_are_known_by_what_they_set() {
        for (variables, expected) in [
            (
                &[("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "4"), ("PMIX_RANK", "2")][..],
                "mpirun",
            ),
            (&[("PMI_RANK", "2"), ("PMI_SIZE", "4"), ("MPI_LOCALNRANKS", "4")], "mpiexec"),
            (&[("PMIX_RANK", "2"), ("SLURM_STEP_NUM_TASKS", "4")], "srun"),
        ] {
            let found = seen(variables).unwrap().unwrap();
            assert_eq!((found.name, found.rank, found.size), (expected, 2, Some(4)));
        }
    }

    #[test]
    fn a_process_that_is_alone_has_no_launcher() {
        for variables in [
            &[][..],
            // A shell within a job.
            &[("SLURM_NTASKS", "4")],
            &[("SLURM_STEP_NUM_TASKS", "1")],
            &[("PMI_RANK", "0"), ("PMI_SIZE", "1")],
            &[("SLURM_STEP_NUM_TASKS", "4"), ("RAREFY_MPI", "off")],
        ] {
            assert_eq!(seen(variables).unwrap(), None);
        }
    }

    #[test]
    fn tasks_that_cannot_find_each_other_are_refused() {
        let problem = seen(&[("SLURM_STEP_NUM_TASKS", "4")]).unwrap_err().to_string();
        assert!(problem.starts_with("srun has started 4 tasks that cannot find each other"), "{problem}");
        let problem = seen(&[("PMI_RANK", "x")]).unwrap_err().to_string();
        assert_eq!(problem, "the launcher has set PMI_RANK to \"x\", which is no number");
    }
}
