//! Whether the first line of a table names its columns. Names may be numbers (`0,1,species`, years, the empty name that
//! pandas gives row numbers), so signs are looked for: how a cell of the line differs from the cells below it.

use std::collections::HashSet;

use super::numbers::parse;
use super::survey::is_missing;
use crate::data::settings::{DataSettings, Decimal};

/// Whole numbers that are taken for years.
const YEARS: std::ops::RangeInclusive<f64> = 1800.0..=2200.0;

/// The first lines of a table, as what its first line may be and what stands below.
struct Start<'a> {
    first: &'a [String],
    below: &'a [Vec<String>],
    decimal: Decimal,
    markers: &'a [String],
}

/// Whether the first of these lines names the columns.
pub(super) fn names_columns(lines: &[Vec<String>], settings: &DataSettings, decimal: Decimal) -> bool {
    let start = Start { first: &lines[0], below: &lines[1..], decimal, markers: &settings.missing_markers };
    let text = settings.text.iter().flat_map(|text| &text.column);
    let DataSettings { label, categorical, date, ignore, keep, .. } = settings;
    let mut named = [label, categorical, date, ignore, keep].into_iter().flatten().chain(text);
    if named.any(|name| start.first.contains(name) && parse(name, decimal).is_none()) {
        return true;
    }
    let numbers = start.numbers();
    match numbers[..] {
        [] => start.words_are_names(),
        _ => start.numbers_are_names(&numbers),
    }
}

impl Start<'_> {
    /// The numbers of the first line and their columns.
    fn numbers(&self) -> Vec<(usize, f64)> {
        let number = |(column, cell): (usize, &String)| Some((column, parse(cell, self.decimal)?));
        self.first.iter().enumerate().filter_map(number).collect()
    }

    /// The columns above which the first line has a word.
    fn words(&self) -> impl Iterator<Item = usize> {
        (0..self.first.len()).filter(|&column| {
            let cell = &self.first[column];
            !is_missing(cell, self.markers) && parse(cell, self.decimal).is_none()
        })
    }

    /// The filled cells below the first line.
    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        let cells = self.below.iter().filter_map(move |line| line.get(column));
        cells.map(String::as_str).filter(|cell| !is_missing(cell, self.markers))
    }

    fn comes_again(&self, column: usize) -> bool {
        self.cells(column).any(|cell| cell == self.first[column])
    }

    fn are_numbers(&self, column: usize) -> bool {
        let mut cells = self.cells(column).peekable();
        cells.peek().is_some() && cells.all(|cell| parse(cell, self.decimal).is_some())
    }

    /// Whether each cell below comes twice or more, on average.
    fn repeat(&self, column: usize) -> bool {
        let kinds = self.cells(column).collect::<HashSet<_>>().len();
        kinds > 0 && kinds * 2 <= self.cells(column).count()
    }

    /// A first line without numbers. It names columns if a number stands below, or if none of its words comes again in its
    /// column (so a file of categories alone has no header). A missing marker is no name.
    fn words_are_names(&self) -> bool {
        let is_new = || !self.words().any(|column| self.comes_again(column));
        let names = self.first.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        // The first name may be empty (pandas' row numbers), and the last ones (a delimiter at the end of each line).
        if self.first[..names].iter().skip(1).any(String::is_empty) {
            return false;
        }
        if self.first.iter().any(|cell| !cell.is_empty() && is_missing(cell, self.markers)) {
            return is_new() && self.words().any(|column| self.are_numbers(column));
        }
        let numbers_below = || {
            let mut cells = (0..self.first.len()).flat_map(|column| self.cells(column));
            cells.any(|cell| parse(cell, self.decimal).is_some())
        };
        (names == self.first.len() && numbers_below()) || is_new()
    }

    /// A first line with numbers. It names columns only if the numbers look like names, and its words, or else its last
    /// number, do not come again below though other cells do.
    fn numbers_are_names(&self, numbers: &[(usize, f64)]) -> bool {
        let is_index = self.first[0].is_empty() && self.counts_rows(0);
        let years = self.are_years(numbers);
        if !(is_index || years || is_series(numbers)) || self.words().any(|column| self.comes_again(column)) {
            return false;
        }
        if numbers.len() < self.first.len() {
            let is_name = |column| self.are_numbers(column) || self.repeat(column);
            return is_index || (years && numbers.len() > 1) || self.words().any(is_name);
        }
        let last = numbers.len() - 1;
        let is_fraction = |cell: &str| parse(cell, self.decimal).is_some_and(|number| number.fract() != 0.0);
        let all_fractions = || (0..last).all(|column| self.cells(column).any(is_fraction));
        numbers.len() > 2 && !self.comes_again(last) && (self.repeat(last) || all_fractions())
    }

    /// Whether the numbers are years, one after the other, and those below are not.
    fn are_years(&self, numbers: &[(usize, f64)]) -> bool {
        let is_year = |number: f64| number.fract() == 0.0 && YEARS.contains(&number);
        let rise = numbers.windows(2).all(|pair| pair[0].1 < pair[1].1);
        let years_below =
            |column| self.cells(column).all(|cell| parse(cell, self.decimal).is_some_and(is_year));
        rise && numbers.iter().all(|&(column, number)| is_year(number) && !years_below(column))
    }

    /// Whether the cells below count the lines.
    fn counts_rows(&self, column: usize) -> bool {
        let numbers: Vec<Option<f64>> = self.cells(column).map(|cell| parse(cell, self.decimal)).collect();
        numbers.len() == self.below.len()
            && !numbers.is_empty()
            && numbers.iter().all(Option::is_some)
            && numbers.windows(2).all(|pair| pair[0].zip(pair[1]).is_some_and(|(a, b)| b == a + 1.0))
    }
}

/// Whether the numbers count from 0 or 1, as positions do.
fn is_series(numbers: &[(usize, f64)]) -> bool {
    let start = numbers[0].1;
    (start == 0.0 || start == 1.0) && numbers.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_samples() {
        for (first, below, expected) in [
            ("0,1,species", "1.5,2,a;1,1,b;2,1,a;3,1,b", true),
            ("0,1,2", "1.5,2.5,1;1.2,1.1,0;2.2,1.1,1;3.3,1.4,0", true),
            ("0,1,2", "1.5,2.5,1.1;1.2,1.1,0.2;2.2,1.1,1.7", true),
            ("0,1,label", "1.5,2,1;1,1,0;2,1,1;3,1,0", true),
            ("region,2019,2020,grade", "a,1,2,x;b,3,4,y;a,1,2,y;b,1,2,x", true),
            ("region,2019,2020,2021", "a,1,2,5;b,3,4,6;c,1,2,7", true),
            (",0,1,species", "0,5,6,x;1,7,8,y", true),
            (",10,20,species", "0,5,6,x;1,7,8,y", true),
            ("v1,v2,,,", "ham,some text,,,;spam,other,,,;ham,more,,,", true),
            ("a,b,label,", "1,2,x,;3,4,y,", true),
            ("country,NA,EU", "x,1,2;y,3,4", true),
            // Samples: numbers in no order, words that come again, a gap, years above years, rows that may go on as they begin.
            ("5.1,3.5,a", "4.9,3,a;7,3.2,b", false),
            ("0,1,a", "1,0,a;0,0,b;1,1,b", false),
            ("0,1,2", "1,2,3;2,3,4", false),
            ("0,1", "1,3;2,5", false),
            ("1,2,0", "3,4,1", false),
            ("anna,0,1", "bert,1,0;carl,0,0", false),
            ("anna,1990,2005", "bert,1980,2001;carl,1970,2010", false),
            ("?,b,+", "1.5,b,+;2,a,-;3,b,-", false),
            ("NA,red,yes", "1,red,yes;2,blue,no", false),
            ("red,,yes", "red,1,no;blue,2,yes", false),
        ] {
            let line = |text: &str| text.split(',').map(String::from).collect::<Vec<_>>();
            let lines: Vec<_> = std::iter::once(first).chain(below.split(';')).map(line).collect();
            let found = names_columns(&lines, &DataSettings::default(), Decimal::Auto);
            assert_eq!(found, expected, "{first} / {below}");
        }
    }
}
