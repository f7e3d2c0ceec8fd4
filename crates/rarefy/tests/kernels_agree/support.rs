//! Random cases, and what comparing with `f64` needs.

use rarefy::kernels::Isa;
use rarefy::math::nearest_bf16;
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{Init, Pattern, Storage, Weights};
use rarefy::tiles::Tiles;

pub fn stream(a: usize, b: usize) -> Stream {
    Stream::new(7, Purpose::Bench, a as u64, b as u64)
}

pub fn random_tiles(features: usize, samples: usize, stream: &mut Stream) -> Tiles {
    let mut tiles = Tiles::zeros(features, samples);
    for sample in 0..samples {
        let values: Vec<f32> = (0..features).map(|_| stream.normal()).collect();
        tiles.set_sample(sample, &values);
    }
    tiles
}

/// Compressed weights of so many connections.
pub fn random_weights(rows: usize, cols: usize, nnz: usize, stream: &mut Stream) -> Weights {
    let mut weights = Weights::zeros(Pattern::random(rows, cols, nnz, stream), Storage::Sparse);
    Init::Glorot.fill(&mut weights, stream);
    weights
}

/// Weights in blocks of so many rows, with about so many connections.
pub fn random_blocks(rows: usize, cols: usize, nnz: usize, height: usize, stream: &mut Stream) -> Weights {
    let lines = rows / height;
    let pattern = Pattern::random(lines, cols, nnz.div_ceil(height).min(lines * cols), stream);
    let mut weights = Weights::zeros_in_blocks(height, pattern);
    Init::Glorot.fill(&mut weights, stream);
    weights
}

/// The values of all cells, row-major; 0 for absent ones.
pub fn cells(weights: &Weights) -> Vec<f64> {
    let mut cells = vec![0.0; weights.rows() * weights.cols()];
    for (cell, slot) in weights.connections() {
        cells[cell] = f64::from(weights.values()[slot]);
    }
    cells
}

/// All connections one by one.
pub fn pattern_of(weights: &Weights) -> Pattern {
    let cells: Vec<usize> = weights.connections().map(|(cell, _)| cell).collect();
    Pattern::from_cells(weights.rows(), weights.cols(), cells.into_iter())
}

/// What a gradient in the order of the slots has for each connection, in the order of the cells.
pub fn live(weights: &Weights, gradient: &[f32]) -> Vec<f32> {
    weights.connections().map(|(_, slot)| gradient[slot]).collect()
}

/// What an array of all cells has for each connection.
pub fn sampled(weights: &Weights, cells: &[f64]) -> Vec<f64> {
    weights.connections().map(|(cell, _)| cells[cell]).collect()
}

pub fn samples_of(tiles: &Tiles) -> Vec<f32> {
    (0..tiles.samples()).flat_map(|sample| tiles.sample(sample)).collect()
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Each number is as near as the rounding of sums of such a magnitude lets it be.
pub fn assert_close(what: &str, got: impl IntoIterator<Item = f32>, expected: &[f64], magnitude: f64) {
    let got: Vec<f32> = got.into_iter().collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let tolerance = 1e-5 * (magnitude + expected.abs());
        assert!((f64::from(*got) - expected).abs() <= tolerance, "{what} {index}: {got} {expected}");
    }
}

/// Instruction sets for numbers that bf16 has, and no others.
pub fn bf16_isas() -> Vec<Isa> {
    Isa::available_bf16().into_iter().filter(|isa| !Isa::available().contains(isa)).collect()
}

/// Makes these such numbers.
pub fn round(numbers: &mut [f32]) {
    numbers.iter_mut().for_each(|number| *number = nearest_bf16(*number));
}

pub fn round_tiles(tiles: &mut Tiles) {
    tiles.rows_mut().iter_mut().for_each(|row| round(&mut row.0));
}
