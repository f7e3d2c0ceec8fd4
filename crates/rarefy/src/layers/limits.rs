//! Sizes beyond which a number in a file or a setting is a slip.

/// The most units of a layer, filters, or vectors of an embedding.
pub const MAX_UNITS: usize = 1 << 24;

/// The most layers in a row.
pub const MAX_LAYERS: usize = 1024;

/// Checks a number of units.
///
/// # Errors
/// If it is beyond [`MAX_UNITS`].
pub(super) fn check_units(what: &str, count: usize) -> Result<(), String> {
    if count > MAX_UNITS {
        return Err(format!("{what} may be at most {MAX_UNITS}, not {count}"));
    }
    Ok(())
}
