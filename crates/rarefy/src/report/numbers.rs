//! Numbers as people read them: counts, bytes, shares, and errors of predictions, which may be of any size.

/// A number with five digits that count: `331369`, `1234.5`, `0.0071234`, `3.1235e-7`.
pub fn amount(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{value:.4e}");
    }
    let first = if size == 0.0 { 0.0 } else { size.log10().floor() };
    format!("{value:.*}", (4.0 - first).max(0.0) as usize)
}

/// A sparsity in percent, with as many digits as tell it from 100 %.
pub fn sparsity(share: f64) -> String {
    let text = |digits: usize| format!("{:.digits$}", 100.0 * share);
    let tells = |digits: &usize| share >= 1.0 || !text(*digits).starts_with("100");
    format!("{} %", text((2..9).find(tells).unwrap_or(9)))
}

/// A share of explained variance.
pub fn r2(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |value| format!("{value:.4}"))
}

/// What to say of a model that has learned nothing of use for some samples.
pub fn worse_than_mean(r2: Option<f64>) -> Option<&'static str> {
    let note =
        "note: R2 is below 0: on these samples the mean of their targets would predict better than the model";
    r2.is_some_and(|r2| r2 < 0.0).then_some(note)
}

/// A number of things for people.
pub fn count(number: usize) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..10_000_000 => format!("{:.1} k", number as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        _ => format!("{:.1} G", number as f64 / 1e9),
    }
}

/// A number of bytes for people.
pub fn bytes(count: usize) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_show_five_digits() {
        for (value, expected) in [
            (0.0, "0.0000"),
            (331_369.4, "331369"),
            (1_234.56, "1234.6"),
            (-1.0, "-1.0000"),
            (0.071_234_4, "0.071234"),
            (3.123_46e-7, "3.1235e-7"),
            (2.5e12, "2.5000e12"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(amount(value), expected);
        }
    }

    #[test]
    fn a_sparsity_below_100_percent_is_not_shown_as_100() {
        for (share, expected) in
            [(0.9, "90.00 %"), (1.0, "100.00 %"), (0.99998, "99.998 %"), (0.999_951, "99.995 %")]
        {
            assert_eq!(sparsity(share), expected);
        }
    }
}
