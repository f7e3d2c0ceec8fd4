//! Dates and times as features. A column of them becomes numbers:
//!
//! ```text
//! days             days since 1970-01-01, the time of day as their fraction
//! year sin, cos    sin a, cos a  with a = 2 pi (day of the year, from 0) / (days of the year)
//! week sin, cos    a = 2 pi (day of the week, Monday being 0) / 7
//! day sin, cos     a = 2 pi (seconds since midnight) / 86400, where some cell has a time
//! ```
//!
//! So that the last of December is beside the first of January. What counts is the clock as it is written: an offset from UTC is
//! read and passed over.

use std::f64::consts::TAU;

use chrono::format::{Item, StrftimeItems};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

const DAY: f64 = 86_400.0;

named! {
    /// One of the numbers that a date becomes.
    pub enum DatePart {
        /// Days since 1970-01-01.
        Days = "days",
        /// Where in the year, on a circle.
        YearSin = "year sin",
        /// Where in the year, on a circle.
        YearCos = "year cos",
        /// Where in the week.
        WeekSin = "week sin",
        /// Where in the week.
        WeekCos = "week cos",
        /// Where in the day.
        DaySin = "day sin",
        /// Where in the day.
        DayCos = "day cos",
    }
}

impl DatePart {
    /// What a column of dates becomes, or one of dates with times.
    pub(crate) fn of(has_times: bool) -> &'static [DatePart] {
        const ALL: [DatePart; DatePart::ALL.len()] = DatePart::ALL;
        if has_times { &ALL } else { &ALL[..5] }
    }

    /// The number of a moment.
    pub(crate) fn value(self, moment: &Moment) -> f64 {
        let clock = moment.clock;
        let seconds = f64::from(clock.num_seconds_from_midnight()) + f64::from(clock.nanosecond()) * 1e-9;
        let year = || {
            let days = if clock.date().leap_year() { 366.0 } else { 365.0 };
            TAU * f64::from(clock.ordinal0()) / days
        };
        let week = || TAU * f64::from(clock.weekday().num_days_from_monday()) / 7.0;
        match self {
            DatePart::Days => {
                let since = clock.date().signed_duration_since(NaiveDate::default());
                since.num_days() as f64 + seconds / DAY
            }
            DatePart::YearSin => year().sin(),
            DatePart::YearCos => year().cos(),
            DatePart::WeekSin => week().sin(),
            DatePart::WeekCos => week().cos(),
            DatePart::DaySin => (TAU * seconds / DAY).sin(),
            DatePart::DayCos => (TAU * seconds / DAY).cos(),
        }
    }
}

/// A day, perhaps with a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moment {
    clock: NaiveDateTime,
    pub has_time: bool,
}

impl Moment {
    /// Reads a cell: in the given layout, or else as ISO 8601 writes it.
    pub(crate) fn read(cell: &str, layout: Option<&str>) -> Option<Moment> {
        match layout {
            Some(layout) => Moment::read_as(cell, layout),
            None => Moment::read_iso(cell),
        }
    }

    fn on(date: NaiveDate, time: Option<NaiveTime>) -> Moment {
        Moment { clock: date.and_time(time.unwrap_or(NaiveTime::MIN)), has_time: time.is_some() }
    }

    fn read_as(cell: &str, layout: &str) -> Option<Moment> {
        // An offset is read with a time, which alone cannot tell it.
        let with_time = NaiveDateTime::parse_from_str(cell, layout).ok();
        let moment = match with_time {
            Some(clock) => Some(Moment { clock, has_time: true }),
            None => NaiveDate::parse_from_str(cell, layout).ok().map(|date| Moment::on(date, None)),
        };
        // chrono takes the two digits of 31.01.24 for %Y too, as the year 24.
        moment.filter(|moment| moment.clock.year() >= 1000)
    }

    /// `2024-01-31`, `20240131`, `2024-01-31T12:30`, `2024-01-31 12:30:05.25`, each with a time perhaps with `Z` or an offset
    /// such as `+01:00`.
    fn read_iso(cell: &str) -> Option<Moment> {
        let (date, time) = match cell.split_once(['T', 't', ' ']) {
            Some((date, time)) => (date, Some(time.trim_start())),
            None => (cell, None),
        };
        let is_digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        let date = match date.split('-').collect::<Vec<_>>()[..] {
            [year, month, day] if is_digits(year, 4) && is_digits(month, 2) && is_digits(day, 2) => {
                NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?
            }
            [all] if is_digits(all, 8) => NaiveDate::parse_from_str(all, "%Y%m%d").ok()?,
            _ => return None,
        };
        let Some(time) = time else { return Some(Moment::on(date, None)) };
        let time = without_offset(time)?;
        let layout = if time.matches(':').count() == 1 { "%H:%M" } else { "%H:%M:%S%.f" };
        Some(Moment::on(date, Some(NaiveTime::parse_from_str(time, layout).ok()?)))
    }
}

/// A time without the `Z` or the offset that may follow it; nothing where the rest is no offset.
fn without_offset(time: &str) -> Option<&str> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some(time);
    }
    let Some(at) = time.find(['+', '-']) else { return Some(time) };
    let (time, offset) = time.split_at(at);
    let digits = offset[1..].replacen(':', "", 1);
    let fits = matches!(digits.len(), 2 | 4) && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| time.trim_end())
}

/// Whether a layout is one that dates can be read by.
pub(crate) fn is_layout(layout: &str) -> bool {
    let mut items = StrftimeItems::new(layout).peekable();
    items.peek().is_some() && items.all(|item| item != Item::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_are_written() {
        let day = |date: &str| Some((date.to_string(), false));
        let moment = |date: &str| Some((date.to_string(), true));
        for (cell, layout, expected) in [
            ("2024-01-31", None, day("2024-01-31T00:00:00")),
            ("20240131", None, day("2024-01-31T00:00:00")),
            ("2024-01-31T12:30", None, moment("2024-01-31T12:30:00")),
            ("2024-01-31 12:30:05.25", None, moment("2024-01-31T12:30:05.250")),
            ("2024-01-31T23:30:00Z", None, moment("2024-01-31T23:30:00")),
            ("2024-01-31 23:30:00+01:00", None, moment("2024-01-31T23:30:00")),
            ("2024-01-31T23:30:00-0530", None, moment("2024-01-31T23:30:00")),
            ("31.01.2024", Some("%d.%m.%Y"), day("2024-01-31T00:00:00")),
            ("1/31/24 4:05 PM", Some("%m/%d/%y %I:%M %p"), moment("2024-01-31T16:05:00")),
            ("2024-02-30", None, None),
            ("2024-1-31", None, None),
            ("31.01.2024", None, None),
            ("2024-01-31 25:00", None, None),
            ("2024-01-31 12:30 +x", None, None),
            ("2024-01-31x", None, None),
            ("12:30", None, None),
            ("", None, None),
            ("ä-ö-ü", None, None),
            ("2024-01-31", Some("%d.%m.%Y"), None),
            // Two digits are no year of the first century.
            ("31.01.24", Some("%d.%m.%Y"), None),
            ("31.01.24 12:30", Some("%d.%m.%Y %H:%M"), None),
            ("31.01.24", Some("%d.%m.%y"), day("2024-01-31T00:00:00")),
        ] {
            let found = Moment::read(cell, layout);
            assert_eq!(found.map(|found| (format!("{:?}", found.clock), found.has_time)), expected, "{cell}");
        }
        for (layout, is_good) in [("%d.%m.%Y", true), ("%Q", false), ("", false)] {
            assert_eq!(is_layout(layout), is_good, "{layout}");
        }
    }

    #[test]
    fn what_comes_again_lies_on_a_circle() {
        let value = |cell: &str, part: DatePart| part.value(&Moment::read(cell, None).unwrap());
        for (cell, part, expected) in [
            ("1970-01-01", DatePart::Days, 0.0),
            ("1969-12-31T12:00", DatePart::Days, -0.5),
            ("2024-03-01", DatePart::Days, 19783.0),
            // A Monday, and the first of January.
            ("2024-01-01", DatePart::WeekSin, 0.0),
            ("2024-01-01", DatePart::YearCos, 1.0),
            // Half of the 366 days are gone.
            ("2024-07-02", DatePart::YearCos, -1.0),
            ("2024-01-03", DatePart::WeekSin, (TAU * 2.0 / 7.0).sin()),
            ("2024-01-01 06:00", DatePart::DaySin, 1.0),
            ("2024-01-01 12:00", DatePart::DayCos, -1.0),
        ] {
            assert!((value(cell, part) - expected).abs() < 1e-12, "{cell} {part}: {}", value(cell, part));
        }
    }
}
