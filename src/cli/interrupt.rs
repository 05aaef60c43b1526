//! Ctrl-C: the run is asked to stop, so that what it has found is still reported; a second one leaves at once.

use super::CliError;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once the user wants an end.
static STOP: AtomicBool = AtomicBool::new(false);

/// The flag that runs watch, and from now on the handler that sets it.
pub(super) fn watch() -> Result<&'static AtomicBool, CliError> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        super::remark("stopping: what was found so far is being reported; Ctrl-C again leaves at once");
    })?;
    Ok(&STOP)
}
