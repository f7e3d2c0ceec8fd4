//! A share of a comparison's runs, for one of several machines or jobs of a scheduler.

use std::str::FromStr;

/// Every `of`-th run, written `3/8`: the third of eight. All shards together are all runs, and a run is in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    of: usize,
}

impl Shard {
    /// Whether the run at a place of the list is one of the shard's.
    pub(super) fn has(self, place: usize) -> bool {
        place % self.of == self.number - 1
    }

    /// The folder of the shard's lock.
    pub(super) fn lock_name(self) -> String {
        format!(".shard-{}-of-{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
            _ => Err("write 3/8 for the third of eight; they count from 1".into()),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_is_in_one_shard() {
        let shards: Vec<Shard> = (1..=3).map(|number| format!("{number}/3").parse().unwrap()).collect();
        for place in 0..20 {
            assert_eq!(shards.iter().filter(|shard| shard.has(place)).count(), 1);
        }
        for wrong in ["", "3", "0/3", "4/3", "1/0", "-1/3", "a/b"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
