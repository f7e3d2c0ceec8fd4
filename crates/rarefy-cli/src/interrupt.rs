//! Ctrl-C (SIGINT) and what `kill` sends (SIGTERM): work stops at the next step, and what there is by then is saved. A second
//! one ends the program at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use rarefy::Control;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::output::complain;

/// What has arrived.
#[derive(Default)]
pub struct Interrupt {
    /// The signal's number; 0 for none.
    signal: Arc<AtomicUsize>,
    is_raised: Arc<AtomicBool>,
    is_told: AtomicBool,
}

static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// Watches from now on. Before, a signal ends the program as it ends any other.
pub fn watch_for_interrupt() -> Result<&'static Interrupt> {
    let interrupt = INTERRUPT.get_or_init(Interrupt::default);
    for signal in [SIGINT, SIGTERM] {
        let (raised, number) = (&interrupt.is_raised, &interrupt.signal);
        // In this order, so that the first signal finds the flag down.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(raised))
            .and_then(|_| flag::register(signal, Arc::clone(raised)))
            .and_then(|_| flag::register_usize(signal, Arc::clone(number), signal as usize))
            .context("cannot watch for Ctrl-C")?;
    }
    Ok(interrupt)
}

/// The number of the signal that has arrived, if one has.
pub fn signal() -> Option<usize> {
    let signal = INTERRUPT.get()?.signal.load(Ordering::Relaxed);
    (signal != 0).then_some(signal)
}

impl Interrupt {
    /// Whether to stop. Says so the first time.
    pub fn is_raised(&self) -> bool {
        let is_raised = self.is_raised.load(Ordering::Relaxed);
        if is_raised && !self.is_told.swap(true, Ordering::Relaxed) {
            complain("\nstopping: saving and reporting (once more to stop at once)");
        }
        is_raised
    }

    /// Whether training goes on.
    pub fn control(&self) -> Control {
        if self.is_raised() { Control::Stop } else { Control::Continue }
    }
}
