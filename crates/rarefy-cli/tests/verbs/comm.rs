//! A program that a launcher has started either finds the other ranks or says what is missing: it never works alone by mistake.
//! Launchers are played here; `crates/rarefy-mpi/tests/launchers.py` starts real ones.

use std::process::Command;

use crate::{object, refusal, text};

/// The message of a verb that fails under a launcher that sets these variables.
fn refusal_under(variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rarefy"));
    let output =
        command.envs(variables.iter().copied()).env("COLUMNS", "1000").args(arguments).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""), "{arguments:?}");
    text(&output.stderr).to_string()
}

const SECOND_OF_TWO: [(&str, &str); 2] = [("PMI_RANK", "1"), ("PMI_SIZE", "2")];

#[test]
fn a_process_that_is_alone_says_so() {
    let found = object(&["comm", "info"]);
    assert_eq!((&found["ranks"], found["library"].is_null()), (&1.into(), true), "{found}");
    for verb in ["test", "bench"] {
        let message = refusal(&["comm", verb]);
        assert!(message.contains(&format!("mpirun -n 2 rarefy comm {verb}")), "{message}");
    }
}

#[test]
fn a_launcher_without_its_library_is_an_error() {
    let library = ("RAREFY_MPI", "/nowhere/libmpi.so");
    let message = refusal_under(&[SECOND_OF_TWO[0], SECOND_OF_TWO[1], library], &["comm", "info"]);
    assert!(message.starts_with("error: rank 1: RAREFY_MPI=/nowhere/libmpi.so: "), "{message}");
    assert!(message.contains("set RAREFY_MPI to the file of an MPI library, or to off"), "{message}");
}

#[test]
fn what_is_no_mpi_is_not_taken_for_one() {
    let message = refusal_under(&[("RAREFY_MPI", "libm.so.6")], &["comm", "info"]);
    assert!(message.contains("libm.so.6 is no MPI library"), "{message}");
}

#[test]
fn verbs_that_work_alone_do_not_run_several_times() {
    let message = refusal_under(&[("PMI_RANK", "0"), ("PMI_SIZE", "2")], &["data", "digits"]);
    assert!(message.contains("mpiexec has started 2 ranks, and this verb works alone"), "{message}");
    let message = refusal_under(&[("SLURM_STEP_NUM_TASKS", "8")], &["data", "digits"]);
    assert!(message.contains("srun --mpi=pmix"), "{message}");
    let mut alone = Command::new(env!("CARGO_BIN_EXE_rarefy"));
    alone.envs(SECOND_OF_TWO).env("RAREFY_MPI", "off").args(["data", "digits"]);
    assert!(alone.status().unwrap().success());
}
