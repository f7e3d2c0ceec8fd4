//! Scaled dot-product attention (Vaswani et al. 2017, eq. 1) of each head of each sample:
//! ```text
//! s[i, j] = q[i] . k[j] / sqrt(size)      p[i] = softmax(s[i])      o[i] = sum_j p[i, j] v[j]
//! ```
//! A sample is a lane here too, so a product of two matrices is one of each lane: loops over [`Lanes`] of 16 samples whose
//! sums stay in registers in blocks of queries and keys. A unit of work is a head of 16 samples: its rows are copied from
//! every 64th number to a piece of memory of its own, where they fit in the cache. Of the probabilities only a few
//! queries' ever exist: backward makes them again from `ln sum_j exp(s[i, j])`, as FlashAttention does (Dao et al. 2022,
//! section 3.1). Units whose lanes are all dead are left out.

mod unit;

use unit::{Backward, Forward, GROUPS, Part, Steps, Unit};

use super::arch::Isa;
use super::arch::lanes::{Lanes, WIDTH};
use super::split::par_chunks;
use crate::tiles::{HALF, LANES, Row, Tiles};

pub use unit::Heads;

/// Samples, whose later steps are not counted as others.
fn samples_of(tiles: &Tiles) -> usize {
    tiles.samples() - if tiles.is_folded() { HALF } else { 0 }
}

/// Calls `work` with each living unit of the tiles in parallel, its tile, the first lane and the first of its channels.
fn for_each_unit(
    heads: &Heads,
    lengths: &[u32],
    work: &mut Tiles,
    run: &(impl Fn(&mut Unit<'_>, usize, usize, usize) + Sync),
) {
    let samples = samples_of(work);
    let per_tile = Steps::of(heads, work).groups * heads.heads;
    let memory: &mut [Lanes] = bytemuck::must_cast_slice_mut(work.rows_mut());
    let size = memory.len() / (samples.div_ceil(LANES) * per_tile).max(1);
    par_chunks(memory, size.max(1), &|start, mut rest| {
        let (tile, place) = (start / size / per_tile, start / size % per_tile);
        let (lane, head) = (place / heads.heads * WIDTH, place % heads.heads);
        let first = tile * LANES + lane;
        if first >= samples {
            return;
        }
        let parts = Part::ALL.map(|part| {
            // What is for training only is not there when predicting.
            let length = part.length(heads).min(rest.len());
            let (part, after) = std::mem::take(&mut rest).split_at_mut(length);
            rest = after;
            part
        });
        // A sample without a step would have nothing to look at: it sees its first, which is padding.
        let length =
            |sample: usize| lengths.get(sample).map_or(heads.steps, |&length| length.max(1) as usize);
        let counts: [usize; WIDTH] = std::array::from_fn(|at| length((first + at).min(samples - 1)));
        let longest = counts.into_iter().max().unwrap_or(0).min(heads.steps);
        let mut unit = Unit { heads, lengths: counts.map(|count| count as f32), longest, parts };
        run(&mut unit, tile, lane, head * heads.size);
    });
}

/// Writes the outputs of scaled dot-product attention ([`Heads`]): `inputs` are queries, keys and values; all have `heads * size` channels at each step. `work`
/// has [`Heads::work_features`]. Beyond `lengths` (a number for each sample, or none if all steps are there) there is
/// nothing to look at.
///
/// # Panics
/// If shapes do not fit.
pub fn attend(
    isa: Isa,
    heads: &Heads,
    inputs: [&Tiles; 3],
    lengths: &[u32],
    output: &mut Tiles,
    work: &mut Tiles,
) {
    check(heads, &[inputs[0], inputs[1], inputs[2], output], work);
    let steps = Steps::of(heads, work);
    for_each_unit(heads, lengths, work, &|unit, tile, lane, channel| {
        for (part, input) in [Part::Queries, Part::Keys, Part::Values].into_iter().zip(inputs) {
            unit.read(part, input.tile(tile), steps, lane, channel);
        }
        isa.on_lanes(Forward(unit));
    });
    write(heads, Part::Outputs, work, output);
}

/// Writes the gradients of queries, keys and values from that of the outputs, after [`attend`] with the same `work`.
///
/// # Panics
/// If shapes do not fit, or `work` is for predicting.
pub fn attend_backward(
    isa: Isa,
    heads: &Heads,
    gradient: &Tiles,
    lengths: &[u32],
    gradient_inputs: [&mut Tiles; 3],
    work: &mut Tiles,
) {
    check(heads, &[gradient, gradient_inputs[0], gradient_inputs[1], gradient_inputs[2]], work);
    let steps = Steps::of(heads, work);
    let features = heads.work_features(true) * steps.groups / GROUPS;
    assert_eq!(work.features(), features, "workspace for training");
    for_each_unit(heads, lengths, work, &|unit, tile, lane, channel| {
        unit.read_gradient(gradient.tile(tile), steps, lane, channel);
        isa.on_lanes(Backward(unit));
    });
    let parts = [Part::Queries, Part::KeyGradients, Part::ValueGradients];
    for (part, gradient_input) in parts.into_iter().zip(gradient_inputs) {
        write(heads, part, work, gradient_input);
    }
}

fn check(heads: &Heads, activations: &[&Tiles], work: &Tiles) {
    let features = Steps::of(heads, work).count * heads.heads * heads.size;
    for tiles in activations {
        assert_eq!(
            (tiles.features(), tiles.samples()),
            (features, work.samples()),
            "features and samples of {} heads of {} channels over {} steps",
            heads.heads,
            heads.size,
            heads.steps
        );
    }
}

/// Copies a matrix of every unit to the rows of `output`; dead units give zeros.
fn write(heads: &Heads, part: Part, work: &Tiles, output: &mut Tiles) {
    let (samples, steps) = (samples_of(output), Steps::of(heads, work));
    let channels = heads.heads * heads.size;
    let memory: &[Lanes] = bytemuck::must_cast_slice(work.rows());
    let unit = memory.len() / (work.tiles() * steps.groups * heads.heads).max(1);
    let offset: usize = Part::ALL[..part as usize].iter().map(|part| part.length(heads)).sum();
    par_chunks(output.rows_mut(), channels, &|start, rows: &mut [Row]| {
        let (tile, place) = (start / channels / steps.count, start / channels % steps.count);
        for at in 0..GROUPS {
            let (group, step) = (at % steps.groups, place + at / steps.groups * steps.count);
            let lanes = at * WIDTH..(at + 1) * WIDTH;
            if tile * LANES + group * WIDTH >= samples {
                rows.iter_mut().for_each(|row| row.0[lanes.clone()].fill(0.0));
                continue;
            }
            for (head, rows) in rows.chunks_exact_mut(heads.size).enumerate() {
                let place = (tile * steps.groups + group) * heads.heads + head;
                let source = &memory[place * unit + offset + step * heads.stride()..][..heads.size];
                for (row, source) in rows.iter_mut().zip(source) {
                    row.0[lanes.clone()].copy_from_slice(source);
                }
            }
        }
    });
}
