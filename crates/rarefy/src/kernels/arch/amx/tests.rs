use super::super::arguments::Epilogue;
use super::super::blocks::ColumnOutputs;
use super::super::narrowed::narrow;
use super::unit::Plain;
use super::*;
use crate::kernels::Activation;
use crate::random::{Purpose, Stream};
use crate::sparse::{Pattern, Weights};

/// The nearest number that bf16 has.
fn nearest(number: f32) -> f32 {
    crate::math::nearest_bf16(number)
}

fn rows(count: usize, stream: &mut Stream) -> Vec<Row> {
    (0..count).map(|_| Row(std::array::from_fn(|_| nearest(stream.normal())))).collect()
}

fn narrowed(rows: &[Row]) -> Vec<Row16> {
    let mut out = vec![Row16::ZERO; rows.len()];
    // SAFETY: looked for by whoever calls.
    unsafe { narrow(rows, &mut out) };
    out
}

/// `lines x columns` blocks, of which lines have from none to all.
fn blocks(lines: usize, columns: usize, stream: &mut Stream) -> Weights {
    let fan_in = |line: usize| match line % 4 {
        0 => columns.min(37),
        1 => 0,
        2 => columns,
        _ => columns.min(1 + line),
    };
    let cells: Vec<usize> = (0..lines)
        .flat_map(|line| {
            let chosen = stream.choose(columns, fan_in(line));
            chosen.into_iter().map(move |column| line * columns + column)
        })
        .collect();
    let mut weights = Weights::zeros_in_blocks(16, Pattern::from_cells(lines, columns, cells.into_iter()));
    weights.values_mut().iter_mut().for_each(|value| *value = nearest(stream.normal()));
    weights
}

fn of(weights: &Weights) -> &Blocks {
    match weights {
        Weights::Blocks(blocks) => blocks,
        _ => panic!("blocks were asked for"),
    }
}

/// Sums in `f64`, and of magnitudes.
fn check(what: &str, found: f32, products: impl Iterator<Item = (f32, f32)>) {
    let (mut sum, mut size) = (0.0, 0.0);
    for (a, b) in products {
        let product = f64::from(a) * f64::from(b);
        (sum, size) = (sum + product, size + product.abs());
    }
    assert!((f64::from(found) - sum).abs() <= 1e-6 * size, "{what}: {found} and not {sum}");
}

/// On any processor that has the vectors, by tiles of [`Plain`]; where it has tiles, by those too.
#[test]
fn tiles_make_the_three_products() {
    if !["avx512f", "avx512bw", "avx512vl", "avx512bf16"].map(has).iter().all(|&has| has) {
        eprintln!("this processor has no AVX-512 with bf16: nothing is checked");
        return;
    }
    let has_unit = tile_support() == crate::kernels::TileSupport::Allowed;
    let mut stream = Stream::new(7, Purpose::Bench, 0, 0);
    for (lines, columns) in [(1, 1), (1, 32), (4, 33), (6, 70), (3, 16), (5, 100)] {
        let weights = blocks(lines, columns, &mut stream);
        let (input, gradient) = (rows(columns, &mut stream), rows(lines * HEIGHT, &mut stream));
        let what = format!("{lines} x {columns}");
        // SAFETY: the features were looked for, and so were tiles.
        unsafe {
            products(&what, Plain::new, &weights, &input, &gradient);
            if has_unit {
                products(&what, || Unit::new(), &weights, &input, &gradient);
            }
        }
    }
}

fn has(name: &str) -> bool {
    match name {
        "avx512f" => is_x86_feature_detected!("avx512f"),
        "avx512bw" => is_x86_feature_detected!("avx512bw"),
        "avx512vl" => is_x86_feature_detected!("avx512vl"),
        _ => is_x86_feature_detected!("avx512bf16"),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
unsafe fn products<T: Tiles>(
    what: &str,
    tiles: impl Fn() -> T,
    weights: &Weights,
    input: &[Row],
    gradient: &[Row],
) {
    let (blocks, cols) = (of(weights), weights.cols());
    let cells: Vec<(usize, usize, f32)> = weights
        .connections()
        .map(|(cell, slot)| (cell / cols, cell % cols, weights.values()[slot]))
        .collect();
    let (input16, gradient16) = (narrowed(input), narrowed(gradient));

    // All lines, and those behind the first; sums begin with a bias, or what is there.
    let bias: Vec<f32> = (0..blocks.rows()).map(|row| row as f32 / 64.0).collect();
    let epilogue = Epilogue::Activate { bias: &bias, activation: Activation::Identity };
    for (first, accumulate) in [(0, false), (blocks.pattern().rows() / 2, true)] {
        let lines = first..blocks.pattern().rows();
        let before = if accumulate { 2.0 } else { f32::NAN };
        let mut output = vec![Row([before; LANES]); lines.len() * HEIGHT];
        let (first_row, is_half) = (0, false);
        let product = Multiply {
            blocks,
            lines,
            input: &input16[..],
            output: &mut output,
            epilogue,
            first_row,
            accumulate,
            is_half,
        };
        // SAFETY: as the caller promises; so below.
        unsafe { forward(tiles(), product) };
        for (row, output) in (first * HEIGHT..).zip(&output) {
            for lane in 0..LANES {
                let start = if accumulate { 2.0 } else { bias[row] };
                let entries = cells.iter().filter(|cell| cell.0 == row);
                let products = entries.map(|&(_, column, weight)| (weight, input[column].0[lane]));
                let products = std::iter::once((start, 1.0)).chain(products);
                check(&format!("{what}, product, row {row}, lane {lane}"), output.0[lane], products);
            }
        }
    }

    // All columns, and some; sums are added to what is there.
    for (first, count) in [(0, cols), (cols / 3, cols - cols / 2)] {
        let mut output = vec![Row([0.0; LANES]); count];
        let lines = 0..blocks.pattern().rows();
        let sums = ColumnOutputs::new(&mut output, first, cols);
        let product = Transposed { blocks, lines, gradient: &gradient16, output: sums, is_half: false };
        // SAFETY: as above.
        unsafe { backward(tiles(), product) };
        for (column, output) in (first..).zip(&output) {
            for lane in 0..LANES {
                let entries = cells.iter().filter(|cell| cell.1 == column);
                let products = entries.map(|&(row, _, weight)| (weight, gradient[row].0[lane]));
                check(&format!("{what}, transposed, column {column}, lane {lane}"), output.0[lane], products);
            }
        }
    }

    let all = blocks.pattern().nnz();
    for (range, is_half, accumulate) in [
        (0..all, false, false),
        (all / 3..all - all / 4, false, true),
        (0..all / 2, true, true),
        (all / 5..all, true, false),
    ] {
        let mut out = vec![if accumulate { 2.0 } else { f32::NAN }; range.len() * HEIGHT];
        let product = Gradient {
            blocks,
            range: range.clone(),
            gradient: &gradient16[..],
            input: &input16[..],
            out: &mut out,
            accumulate,
            is_half,
        };
        // SAFETY: as above.
        unsafe { of_weights(tiles(), product) };
        let lanes = if is_half { HALF } else { LANES };
        for (cell, slot) in weights.connections().filter(|(_, slot)| range.contains(&(slot / HEIGHT))) {
            let (row, column) = (cell / cols, cell % cols);
            let before = accumulate.then_some((2.0, 1.0));
            let samples = (0..lanes).map(|lane| (gradient[row].0[lane], input[column].0[lane]));
            let found = out[slot - range.start * HEIGHT];
            check(&format!("{what}, gradient, {row}, {column}"), found, before.into_iter().chain(samples));
        }
    }
}
