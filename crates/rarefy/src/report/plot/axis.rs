//! Axes: the range that holds the data, and round numbers along it. Linear ticks are 1, 2 or 5 times a power of ten apart;
//! logarithmic ones lie on powers of ten, with 3 or 2 and 5 between them where there is room.

/// An axis before it has seen data.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it counts, with the unit.
    pub label: String,
    /// How values lie along it.
    pub scale: Scale,
}

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally far apart.
    Linear,
    /// Equal ratios are equally far apart; only numbers above 0 have a place.
    Log,
}

/// An axis fitted to data.
pub(super) struct Span {
    low: f64,
    high: f64,
    scale: Scale,
}

/// A number written along an axis.
#[derive(Debug, PartialEq)]
pub(super) struct Tick {
    /// Where: 0 at the low end, 1 at the high end.
    pub(super) place: f64,
    /// The number.
    pub(super) text: String,
}

impl Axis {
    /// Whether a value has a place on the axis.
    pub(super) fn can_show(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    /// The range that holds the values, with some air around them.
    pub(super) fn fit(&self, values: impl Iterator<Item = f64>) -> Span {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|&value| self.can_show(value)) {
            let value = self.scale.along(value);
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // Values that are (nearly) one get a range around them, rather than a picture of their last digits.
        let air = match self.scale {
            Scale::Linear => (0.06 * (high - low)).max(1e-3 * low.abs().max(high.abs())).max(1e-9),
            Scale::Log => (0.06 * (high - low)).max(0.1),
        };
        Span { low: low - air, high: high + air, scale: self.scale }
    }
}

impl Scale {
    /// Where a value lies, in units in which the axis is even.
    fn along(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Log => value.log10(),
        }
    }
}

impl Span {
    /// Where a value lies: 0 at the low end, 1 at the high end.
    pub(super) fn place(&self, value: f64) -> f64 {
        (self.scale.along(value) - self.low) / (self.high - self.low)
    }

    /// At most `most` round numbers (at least 2) along the axis, from low to high.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        match self.scale {
            Scale::Linear => self.even_ticks(self.low, self.high, most),
            Scale::Log => {
                let finest = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]]
                    .into_iter()
                    .map(|multiples| self.decade_ticks(multiples, 1));
                let sparse = (2..).map(|step| self.decade_ticks(&[1.0], step));
                let ticks = finest.chain(sparse).find(|ticks| ticks.len() <= most).expect("steps do not end");
                // Within a fraction of a decade, round numbers at equal distances say more.
                if ticks.len() >= 3 {
                    return ticks;
                }
                let even = self.even_ticks(10f64.powf(self.low), 10f64.powf(self.high), most);
                if even.len() > ticks.len() && self.high - self.low < 1.5 { even } else { ticks }
            }
        }
    }

    /// Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, all in one unit and with as many decimals.
    fn even_ticks(&self, low: f64, high: f64, most: usize) -> Vec<Tick> {
        let rough = (high - low) / most as f64;
        let power = 10f64.powf(rough.log10().floor());
        let count = |step: f64| (high / step).floor() - (low / step).ceil() + 1.0;
        let step = [1.0, 2.0, 5.0, 10.0, 20.0].into_iter().map(|multiple| multiple * power);
        let step = step.into_iter().find(|&step| count(step) <= most as f64).unwrap_or(50.0 * power);
        let (unit, suffix) = unit_of(low.abs().max(high.abs()));
        let decimals = (-(step / unit * 1.000_001).log10().floor()).max(0.0) as usize;
        let first = (low / step).ceil() as i64;
        (0..count(step).max(0.0) as i64)
            .map(|index| {
                let value = (first + index) as f64 * step;
                Tick { place: self.place(value), text: format!("{:.decimals$}{suffix}", value / unit) }
            })
            .collect()
    }

    /// Some multiples of every `step`-th power of ten.
    fn decade_ticks(&self, multiples: &[f64], step: i32) -> Vec<Tick> {
        let decades = (self.low.floor() as i32..=self.high.ceil() as i32).filter(|power| power % step == 0);
        decades
            .flat_map(|power| multiples.iter().map(move |multiple| multiple * 10f64.powi(power)))
            .map(|value| Tick { place: self.place(value), text: short(value) })
            .filter(|tick| (0.0..=1.0).contains(&tick.place))
            .collect()
    }
}

/// A unit in which a number is short to write.
fn unit_of(value: f64) -> (f64, &'static str) {
    match value {
        1e12.. => (1e12, "T"),
        1e9.. => (1e9, "G"),
        1e6.. => (1e6, "M"),
        1e3.. => (1e3, "k"),
        _ => (1.0, ""),
    }
}

/// A round number in few letters: `20k`, `0.003`, `1e-7`.
fn short(value: f64) -> String {
    if value < 0.99e-4 {
        return format!("{value:.0e}");
    }
    // A power of ten may come out a hair below itself.
    let (unit, suffix) = unit_of(value * 1.000_001);
    let text = format!("{:.4}", value / unit);
    format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale, values: &[f64], most: usize) -> String {
        let span = Axis { label: String::new(), scale }.fit(values.iter().copied());
        let ticks = span.ticks(most);
        assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&tick.place)), "{ticks:?}");
        assert!(ticks.windows(2).all(|pair| pair[0].place < pair[1].place), "{ticks:?}");
        assert!(ticks.len() <= most, "{ticks:?}");
        ticks.iter().map(|tick| tick.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round() {
        for (scale, values, most, expected) in [
            (Scale::Linear, &[91.0, 97.5][..], 6, "92 94 96"),
            (Scale::Linear, &[0.0, 1.0], 6, "0.0 0.2 0.4 0.6 0.8 1.0"),
            (Scale::Linear, &[-3e5, 1e6], 5, "0.0M 0.5M 1.0M"),
            (Scale::Linear, &[97.2], 5, "97.15 97.20 97.25"),
            (Scale::Log, &[900.0, 70_000.0], 7, "1k 2k 5k 10k 20k 50k"),
            (Scale::Log, &[1e-6, 1e6], 8, "1e-6 0.0001 0.01 1 100 10k 1M"),
            (Scale::Log, &[1e3, 1e6], 5, "1k 10k 100k 1M"),
            (Scale::Log, &[2100.0, 2900.0], 5, "2.0k 2.5k 3.0k 3.5k"),
            (Scale::Log, &[5.0], 4, "4 5 6"),
            (Scale::Linear, &[], 4, "0.0 0.5 1.0"),
        ] {
            assert_eq!(texts(scale, values, most), expected);
        }
    }
}
