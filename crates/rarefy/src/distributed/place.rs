//! Where a rank runs: its machine, and the cores that it may use.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::Comm;
use crate::Result;

/// The place of a rank, as all know it ([`Place::of_all`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its machine.
    pub host: String,
    /// The cores that it may use.
    pub cores: usize,
    /// The cores that its launcher may use: more, if the launcher has bound the rank.
    pub launcher_cores: usize,
    /// The threads that it should work with, so that the ranks of a host do not take each other's cores.
    pub threads: usize,
    /// Names the set of its cores.
    core_set: u64,
}

/// Bytes of a place as ranks tell it each other.
const LENGTH: usize = 256;
/// Those before the host's name.
const NUMBERS: usize = 24;

impl Place {
    /// Where each rank runs; this one on a machine of that name. All ranks call it.
    ///
    /// # Errors
    /// As [`Comm::all_gather`].
    pub fn of_all(comm: &dyn Comm, host: String) -> Result<Vec<Place>> {
        let mut all = vec![0; comm.size() * LENGTH];
        comm.all_gather(&Place::here(host).to_bytes(), &mut all)?;
        let mut places: Vec<Place> = all.as_chunks().0.iter().map(Place::from_bytes).collect();
        share_cores(&mut places);
        Ok(places)
    }

    /// The first rank that the launcher has bound to fewer cores than are its share, and what to do.
    pub fn bound(places: &[Place]) -> Option<String> {
        let is_bound = |place: &&Place| {
            let ranks = places.iter().filter(|other| other.host == place.host).count();
            place.cores < place.launcher_cores / ranks
        };
        let (rank, place) = places.iter().enumerate().find(|(_, place)| is_bound(place))?;
        Some(format!(
            "rank {rank} ({}) may use {} of {} cores: the launcher has bound it; use mpirun --bind-to none",
            place.host, place.cores, place.launcher_cores
        ))
    }

    /// Where this process runs.
    fn here(host: String) -> Place {
        let allowed = |process: &str| {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:"));
            mask.unwrap_or_default().trim().to_string()
        };
        let mask = allowed("self");
        let launcher = allowed(&std::os::unix::process::parent_id().to_string());
        let mut hasher = DefaultHasher::new();
        mask.hash(&mut hasher);
        // By the mask, and by what a container may use.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Place { host, cores, launcher_cores: bits(&launcher), threads: cores, core_set: hasher.finish() }
    }

    /// For the other ranks.
    fn to_bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let numbers = [self.cores as u64, self.launcher_cores as u64, self.core_set];
        for (bytes, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        let host = self.host.as_bytes();
        let length = host.len().min(LENGTH - NUMBERS);
        bytes[NUMBERS..NUMBERS + length].copy_from_slice(&host[..length]);
        bytes
    }

    /// What another rank has told.
    fn from_bytes(bytes: &[u8; LENGTH]) -> Place {
        let number = |at: usize| u64::from_le_bytes(*bytes[8 * at..].first_chunk().expect("there are three"));
        Place {
            host: String::from_utf8_lossy(&bytes[NUMBERS..]).trim_end_matches('\0').to_string(),
            cores: number(0) as usize,
            launcher_cores: number(1) as usize,
            threads: number(0) as usize,
            core_set: number(2),
        }
    }
}

/// Shares cores out to the ranks that have the same.
fn share_cores(places: &mut [Place]) {
    for rank in 0..places.len() {
        let place = &places[rank];
        let is_beside = |other: &&Place| (&other.host, other.core_set) == (&place.host, place.core_set);
        let sharers = places.iter().filter(is_beside).count();
        places[rank].threads = (place.cores / sharers).max(1);
    }
}

/// The bits that are set in a mask as Linux writes it, as in `ff,ffffffff`.
fn bits(mask: &str) -> usize {
    mask.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit.count_ones() as usize).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, cores: usize, core_set: u64) -> Place {
        Place { host: host.into(), cores, launcher_cores: 8, threads: cores, core_set }
    }

    #[test]
    fn ranks_that_have_the_same_cores_share_them() {
        // Two ranks that see all of a host, one alone, and two that are bound to cores of their own.
        let mut places =
            [place("a", 8, 1), place("a", 8, 1), place("b", 8, 1), place("c", 4, 2), place("c", 4, 3)];
        share_cores(&mut places);
        assert_eq!(places.each_ref().map(|place| place.threads), [4, 4, 8, 4, 4]);
        assert_eq!(Place::bound(&places), None);
        // More ranks than cores still have a thread each.
        let mut crowd = vec![place("a", 2, 1); 5];
        share_cores(&mut crowd);
        assert!(crowd.iter().all(|place| place.threads == 1));
    }

    #[test]
    fn a_rank_that_is_bound_to_less_than_its_share_is_told() {
        let places = [place("a", 4, 1), place("b", 1, 1), place("a", 4, 2)];
        let expected =
            "rank 1 (b) may use 1 of 8 cores: the launcher has bound it; use mpirun --bind-to none";
        assert_eq!(Place::bound(&places).as_deref(), Some(expected));
    }

    #[test]
    fn places_are_told_whole() {
        let here = Place::here("a host".into());
        assert_eq!(Place::from_bytes(&here.to_bytes()), here);
        assert!(here.cores > 0);
        assert_eq!(bits("ff,0000000f"), 12);
    }
}
