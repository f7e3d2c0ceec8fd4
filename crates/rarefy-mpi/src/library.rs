//! Finding an MPI library and telling which of three binary interfaces it has.
//!
//! | | Open MPI | MPICH, Intel MPI, MVAPICH, Cray | MPI-5.0 |
//! |---|---|---|---|
//! | handles | addresses of its symbols | integers | small pointers |
//! | told by | `ompi_mpi_comm_world` | the rest | `MPI_Abi_get_version`, and `abi` in the file's name |
//!
//! Numbers are those of the libraries' `mpi.h` and of the MPI-5.0 standard, section 20.

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use rarefy::{Error, Result};

use crate::api::{Api, Constants, Pointer};
use crate::launcher::Launcher;

/// A library of MPI, by what its handles are.
pub enum Opened {
    /// Open MPI, or a library of MPI-5.0.
    Pointers(Api<Pointer>),
    /// MPICH and its family.
    Integers(Api<c_int>),
}

/// A library and what it is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The file, as it was asked for.
    pub file: String,
    /// Its binary interface.
    pub abi: &'static str,
    /// What it calls itself.
    pub version: String,
}

/// The file that `RAREFY_MPI` names, if it names one.
fn asked_for() -> Option<String> {
    std::env::var("RAREFY_MPI").ok().filter(|file| !["", "off"].contains(&file.as_str()))
}

/// Opens the file that `RAREFY_MPI` names, or else the first of those that fit the launcher; `None` where neither is there.
///
/// # Errors
/// No such library, or one that is no MPI.
pub fn open(launcher: Option<&Launcher>) -> Result<Option<(Opened, Named)>> {
    if let Some(file) = asked_for() {
        let opened = open_file(&file, RTLD_GLOBAL).map_err(|problem| {
            let cure = "set RAREFY_MPI to the file of an MPI library, or to off";
            Error::launch(format!("RAREFY_MPI={file}: {problem}; {cure}"))
        });
        return opened.map(Some);
    }
    let Some(launcher) = launcher else { return Ok(None) };
    let mut problems = Vec::new();
    for file in launcher.libraries {
        match open_file(file, RTLD_GLOBAL) {
            Ok(opened) => return Ok(Some(opened)),
            Err(problem) => problems.push(format!("  {problem}")),
        }
    }
    Err(Error::launch(format!(
        "{}, but its MPI library is not found: install it on each host, put its folder into LD_LIBRARY_PATH, or set RAREFY_MPI to its file. Tried:\n{}",
        launcher.started(),
        problems.join("\n")
    )))
}

/// The MPI libraries that this machine's loader finds.
pub fn installed() -> Vec<Named> {
    let files = ["libmpi.so.40", "libmpi_abi.so.1", "libmpi.so.12", "libmpich.so.12"];
    files.iter().filter_map(|file| open_file(file, RTLD_LOCAL).ok()).map(|(_, named)| named).collect()
}

/// Opens a file, its symbols being for all (Open MPI's plugins want that) or for those who ask for them.
fn open_file(file: &str, scope: c_int) -> std::result::Result<(Opened, Named), String> {
    // SAFETY: the libraries of MPI may be loaded at any time.
    let library = unsafe { Library::open(Some(file), RTLD_NOW | scope) };
    // Never unloaded: MPI may have threads.
    let library = ManuallyDrop::new(library.map_err(|error| said(&error))?);
    let (opened, abi) =
        api(&library, file).map_err(|error| format!("{file} is no MPI library: {}", said(&error)))?;
    let version = match &opened {
        Opened::Pointers(api) => api.version(),
        Opened::Integers(api) => api.version(),
    };
    Ok((opened, Named { file: file.to_string(), abi, version }))
}

/// What the loader says, in one line.
fn said(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    source.unwrap_or_else(|| error.to_string())
}

fn api(library: &Library, file: &str) -> std::result::Result<(Opened, &'static str), libloading::Error> {
    let has = |name: &[u8]| {
        // SAFETY: the symbol is looked for, not at.
        unsafe { library.get::<*mut c_void>(name) }.is_ok()
    };
    if has(b"ompi_mpi_comm_world\0") {
        let address = |name: &[u8]| -> std::result::Result<Pointer, libloading::Error> {
            // SAFETY: what the symbol holds is not looked at: its address is the handle.
            let symbol = unsafe { library.get::<*mut c_void>(name) }?;
            Ok(Pointer(symbol.into_raw()))
        };
        let constants = Constants {
            world: address(b"ompi_mpi_comm_world\0")?,
            byte: address(b"ompi_mpi_byte\0")?,
            errors_return: address(b"ompi_mpi_errors_return\0")?,
            serialized: 2,
            any_source: -1,
            source: 0,
            // MPI_ERR_PROC_FAILED, .._PENDING and MPI_ERR_REVOKED of Open MPI 5.
            lost: &[75, 76, 77],
        };
        // SAFETY: only Open MPI has these symbols, and the library is not unloaded.
        return Ok((Opened::Pointers(unsafe { Api::load(library, constants) }?), "Open MPI"));
    }
    let base = file.rsplit('/').next().unwrap_or(file);
    if has(b"MPI_Abi_get_version\0") && base.contains("abi") {
        let handle = |number: usize| Pointer(std::ptr::without_provenance_mut(number));
        let constants = Constants {
            world: handle(0x101),
            byte: handle(0x247),
            errors_return: handle(0x143),
            serialized: 2048,
            any_source: -1,
            source: 0,
            lost: &[],
        };
        // SAFETY: the library has the standard's binary interface, and is not unloaded.
        return Ok((Opened::Pointers(unsafe { Api::load(library, constants) }?), "MPI-5.0"));
    }
    let constants = Constants {
        world: 0x4400_0000,
        byte: 0x4c00_010d,
        errors_return: 0x5400_0001,
        serialized: 2,
        any_source: -2,
        source: 2,
        lost: &[],
    };
    // SAFETY: MPI libraries of other kinds have MPICH's binary interface, and the library is not unloaded.
    Ok((Opened::Integers(unsafe { Api::load(library, constants) }?), "MPICH"))
}
