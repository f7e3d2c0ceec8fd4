//! A run of one rank.

use super::Comm;
use crate::Result;

/// The only rank.
#[derive(Debug, Clone, Copy)]
pub struct Solo;

impl Comm for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn exchange(&self, _: usize, _: &[u8], _: usize, _: &mut [u8]) -> Result<()> {
        unreachable!("there is no other rank")
    }

    fn send(&self, _: usize, _: &[u8]) -> Result<()> {
        unreachable!("there is no other rank")
    }

    fn receive(&self, _: Option<usize>) -> Result<(usize, Vec<u8>)> {
        unreachable!("there is no other rank")
    }

    fn host(&self) -> String {
        "this machine".into()
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}
