//! Ctrl-C: work stops at the next step, and what there is by then is saved.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;

use crate::output::complain;

/// A flag that Ctrl-C raises; a second Ctrl-C ends the program at once.
pub fn watch_for_interrupt() -> Result<&'static AtomicBool> {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        complain("\nstopping: saving and reporting (once more to stop at once)");
    })?;
    Ok(&INTERRUPTED)
}
