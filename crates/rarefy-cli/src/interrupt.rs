//! Ctrl-C (SIGINT), what `kill` sends (SIGTERM), and SIGUSR1, which job schedulers send ahead of time and every launcher of ranks
//! hands on: work stops at the next step, and what there is by then is saved. A second Ctrl-C or SIGTERM ends the program at once,
//! unless it is one of several ranks: their launcher ends them when it is asked twice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use rarefy::Control;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use crate::job;
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

/// Watches from the first call on. Before, a signal ends the program as it ends any other.
pub fn watch_for_interrupt() -> Result<&'static Interrupt> {
    if let Some(interrupt) = INTERRUPT.get() {
        return Ok(interrupt);
    }
    let interrupt = INTERRUPT.get_or_init(Interrupt::default);
    for signal in [SIGINT, SIGTERM, SIGUSR1] {
        let (raised, number) = (&interrupt.is_raised, &interrupt.signal);
        let ends_at_once = signal != SIGUSR1 && !job::is_shared();
        // In this order, so that the first signal finds the flag down.
        let shutdown = match ends_at_once {
            true => flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(raised)).map(drop),
            false => Ok(()),
        };
        shutdown
            .and_then(|()| flag::register(signal, Arc::clone(raised)))
            .and_then(|_| flag::register_usize(signal, Arc::clone(number), signal as usize))
            .context("cannot watch for Ctrl-C")?;
    }
    Ok(interrupt)
}

/// The exit code of a program that a signal has interrupted. SIGUSR1 asks for no more than what has been done.
pub fn exit_code() -> Option<u8> {
    let signal = INTERRUPT.get()?.signal.load(Ordering::Relaxed);
    (signal != 0 && signal != SIGUSR1 as usize).then_some(128 + signal as u8)
}

impl Interrupt {
    /// Whether to stop. Says so the first time.
    pub fn is_raised(&self) -> bool {
        let is_raised = self.is_raised.load(Ordering::Relaxed);
        if is_raised {
            self.tell();
        }
        is_raised
    }

    /// Says the first time that work stops: for a signal to this rank, or to another one that was faster.
    pub fn tell(&self) {
        if !self.is_told.swap(true, Ordering::Relaxed) && job::speaks() {
            let how_to_end = if job::is_shared() { "" } else { " (once more to stop at once)" };
            complain(&format!("\nstopping: saving and reporting{how_to_end}"));
        }
    }

    /// Whether training goes on.
    pub fn control(&self) -> Control {
        if self.is_raised() { Control::Stop } else { Control::Continue }
    }
}
