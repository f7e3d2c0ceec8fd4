//! Topology methods on weights that PyTorch keeps: how many connections each layer gets, which it starts with, which move.

use std::ops::Range;

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArrayDyn};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{Allocation, Init, Pattern, Rewire, Storage, Weights, allocate};
use rarefy::topology::{Amount, Blocked, CellGradients, Drop, Progress, TopologySettings, View, When};

use crate::arrays::{list, slice};
use crate::chain::{Ticket, blocks, pattern, threads};
use crate::errors::{detached, internal, raised};
use crate::json::to_json;
use crate::settings::settings;

/// A list of `i32` that Python gets.
type Indices<'py> = Bound<'py, PyArray1<i32>>;

/// `crow_indices` and `col_indices`.
type Rows<'py> = (Indices<'py>, Indices<'py>);

/// What an update makes of a layer: its pattern, its values, and for each of them the place where it stood before, -1 for none.
type Moved<'py> = (Indices<'py>, Indices<'py>, Bound<'py, PyArray1<f32>>, Bound<'py, PyArray1<i64>>);

/// A backward pass of the step, by which gradients of absent connections are known.
#[derive(FromPyObject)]
enum Seen<'py> {
    /// One through a chain, and the number that the layer's weight has in it.
    Chain(Py<Ticket>, usize),
    /// All that are not 0: rows of the weight, sorted, and the gradients of all their cells.
    Rows(PyReadonlyArray1<'py, i64>, PyReadonlyArrayDyn<'py, f32>),
}

/// The same, to be looked at by any thread.
enum Pass<'a> {
    Chain(&'a Ticket, usize),
    Rows(&'a [i64], &'a [f32]),
}

/// One layer for an update: `[rows, cols]`, the rows of a block, pattern, values, their gradients, the connections to end with, and the
/// backward passes of the step.
type Layer<'py> = (
    [usize; 2],
    usize,
    PyReadonlyArray1<'py, i32>,
    PyReadonlyArray1<'py, i32>,
    PyReadonlyArray1<'py, f32>,
    Option<PyReadonlyArray1<'py, f32>>,
    usize,
    Vec<Seen<'py>>,
);

/// A topology method.
#[pyclass(frozen, module = "rarefy._rarefy")]
pub struct Topology {
    topology: rarefy::topology::Topology,
    settings: TopologySettings,
    density: f64,
    allocation: Allocation,
    init: Init,
    seed: u64,
}

impl Topology {
    fn stream(&self, purpose: Purpose, layer: usize, step: u64) -> Stream {
        Stream::new(self.seed, purpose, layer as u64, step)
    }
}

#[pymethods]
impl Topology {
    /// The method that settings (JSON) describe.
    #[new]
    fn new(settings_text: &str) -> PyResult<Topology> {
        let settings = settings(settings_text, None)?;
        Ok(Topology {
            topology: settings.topology.build().map_err(raised)?,
            density: settings.sparsity.density,
            allocation: settings.sparsity.allocation,
            init: settings.sparsity.init(Init::He),
            seed: settings.seed,
            settings: settings.topology,
        })
    }

    /// The `[topology]` section, as JSON.
    fn settings(&self) -> PyResult<String> {
        to_json(&self.settings)
    }

    /// For layers of shapes `[out, in, kernel sizes...]` the connections that each starts and ends with; one for each output at
    /// least.
    fn counts(&self, shapes: Vec<Vec<usize>>) -> PyResult<Vec<(usize, usize)>> {
        let least: Vec<usize> = shapes.iter().map(|shape| shape[0]).collect();
        let at = |density| allocate(self.allocation, density, &shapes, &least).map_err(raised);
        let start = at(self.topology.start_density(self.density))?;
        Ok(start.into_iter().zip(at(self.density)?).collect())
    }

    /// Random connections in blocks of `block` rows and their values, for the layer of that number; no output is left without one.
    fn draw<'py>(
        &self,
        py: Python<'py>,
        shape: [usize; 2],
        nnz: usize,
        block: usize,
        layer: usize,
    ) -> PyResult<(Indices<'py>, Indices<'py>, Bound<'py, PyArray1<f32>>)> {
        let weights = detached(py, || {
            let mut stream = self.stream(Purpose::Pattern, layer, 0);
            let (lines, count) = (shape[0] / block, nnz / block);
            let pattern = self.topology.start_pattern(lines, shape[1], count, &mut stream);
            let pattern = pattern.without_empty_rows(&mut stream);
            let mut weights = Weights::zeros_by(block, pattern, Storage::Sparse);
            self.init.fill(&mut weights, &mut self.stream(Purpose::Weights, layer, 0));
            Ok(weights)
        })?;
        let (crow, col) = rows(py, &weights)?;
        Ok((crow, col, weights.live_values().into_pyarray(py)))
    }

    /// The pattern of the largest weights of a dense matrix, of its blocks of `block` rows with the largest norms.
    fn largest<'py>(
        &self,
        py: Python<'py>,
        weights: PyReadonlyArrayDyn<'py, f32>,
        shape: [usize; 2],
        nnz: usize,
        block: usize,
    ) -> PyResult<Rows<'py>> {
        let values = slice(weights.as_slice())?;
        let weights = detached(py, || {
            let full = Pattern::full(shape[0] / block, shape[1]);
            let mut dense = Weights::zeros_by(block, full, Storage::Dense);
            dense.copy_from_live(values);
            let blocked = (block > 1).then(|| Blocked::of(&dense, &[]));
            let view = View {
                weights: &dense,
                gradients: &[],
                target: nnz,
                block: 1,
                is_joined: false,
                absent: CellGradients { rows: Box::new(|_, _| ()), cells: Box::new(|_, _| ()), shared: None },
                stream: self.stream(Purpose::Topology, 0, 0),
            };
            let mut view = seen(&blocked, view);
            let count = view.target;
            let cells = Drop::Magnitude.keep(&mut view, count, &Progress { step: 0, total: 1, epoch: 1 });
            let pattern = Pattern::from_cells(shape[0] / block, shape[1], cells.into_iter());
            Ok(Weights::zeros_by(block, pattern, Storage::Sparse))
        })?;
        rows(py, &weights)
    }

    /// Whether connections move after step `step` of `total`, an epoch having `epoch`.
    fn is_due(&self, step: u64, total: u64, epoch: u64) -> bool {
        self.topology.when.is_due(&Progress { step, total, epoch })
    }

    /// Whether they move once an epoch; whether an update looks at gradients of absent connections; at those of live ones.
    fn asks_for(&self) -> (bool, bool, bool) {
        let gradients = matches!(self.topology.drop, Drop::MagnitudeAndGradient { .. });
        (self.topology.when == When::EveryEpoch, self.topology.looks_beyond(), gradients)
    }

    /// Whether the number of connections changes while training; whether it only falls.
    fn changes_counts(&self) -> (bool, bool) {
        let changes = !matches!(self.topology.amount, Amount::Share { .. });
        (changes, matches!(self.topology.amount, Amount::Prune { .. }))
    }

    /// Moves connections, after the given step, of all steps and of an epoch's; None for a layer where none move.
    fn update<'py>(
        &self,
        py: Python<'py>,
        layers: Vec<Layer<'py>>,
        progress: [u64; 3],
        threads_wanted: usize,
    ) -> PyResult<Vec<Option<Moved<'py>>>> {
        let [step, total, epoch] = progress;
        let progress = Progress { step, total, epoch };
        let weights = layers.iter().map(stored).collect::<PyResult<Vec<_>>>()?;
        let blocked: Vec<Option<Blocked>> = weights
            .iter()
            .map(|(weights, gradients)| (weights.block_height() > 1).then(|| Blocked::of(weights, gradients)))
            .collect();
        let rest = layers.iter().map(|layer| Ok((layer.6, passes(&layer.7, layer.0)?)));
        let rest = rest.collect::<PyResult<Vec<_>>>()?;
        let update = || {
            let of_connections = weights.iter().zip(&rest).enumerate().map(
                |(layer, ((weights, gradients), (target, passes)))| View {
                    weights,
                    gradients,
                    target: *target,
                    block: 1,
                    is_joined: false,
                    absent: absent(passes, weights.cols()),
                    stream: self.stream(Purpose::Topology, layer, step),
                },
            );
            let mut views: Vec<View<'_>> =
                of_connections.zip(&blocked).map(|(view, blocked)| seen(blocked, view)).collect();
            let patterns = self.topology.update(&mut views, &progress);
            let streams: Vec<Stream> = views.into_iter().map(|view| view.stream).collect();
            let moved =
                weights.iter().zip(patterns).zip(streams).map(|(((weights, _), pattern), mut stream)| {
                    let (mut new, rewire) = weights.rewire(pattern?, Storage::Sparse);
                    if self.topology.grow.draws_values() {
                        self.init.fill_grown(&mut new, rewire.grown(), &mut stream);
                    }
                    let places = sources(weights, &new, &rewire);
                    Some((new, places))
                });
            moved.collect::<Vec<_>>()
        };
        let pool = threads(threads_wanted);
        let moved = detached(py, || Ok(pool.get()?.install(update)))?;
        let given = moved.into_iter().map(|moved| {
            let Some((new, sources)) = moved else { return Ok(None) };
            let (crow, col) = rows(py, &new)?;
            Ok(Some((crow, col, new.live_values().into_pyarray(py), sources.into_pyarray(py))))
        });
        given.collect()
    }
}

/// The weights of a layer, and the gradients of their slots.
fn stored((shape, block, crow, col, values, gradients, ..): &Layer<'_>) -> PyResult<(Weights, Vec<f32>)> {
    let pattern = pattern(shape[0], shape[1], crow, col)?;
    let values = list(values)?;
    let gradients = gradients.as_ref().map_or(Ok(&[][..]), list)?;
    let fits = |numbers: &[f32]| numbers.len() == pattern.nnz();
    if !fits(values) || !(gradients.is_empty() || fits(gradients)) {
        return Err(PyValueError::new_err("values must have a number for each connection"));
    }
    let empty = Weights::zeros_by(*block, blocks(&pattern, *block)?, Storage::Sparse);
    let of = |numbers: &[f32]| {
        let mut weights = empty.clone();
        weights.copy_from_live(numbers);
        weights
    };
    // What is asked for has a number for each slot.
    let of_slots = if gradients.is_empty() { Vec::new() } else { of(gradients).values().to_vec() };
    Ok((of(values), of_slots))
}

/// What an update sees of a layer, in blocks or not.
fn seen<'a>(blocked: &'a Option<Blocked>, view: View<'a>) -> View<'a> {
    match blocked {
        Some(blocked) => blocked.view(view),
        None => view,
    }
}

/// For each new connection the place of the old one that it continues, -1 for none, both in the order of the cells.
fn sources(old: &Weights, new: &Weights, rewire: &Rewire) -> Vec<i64> {
    let mut places = vec![0; old.nnz()];
    old.connections().zip(0..).for_each(|((_, slot), place)| places[slot] = place);
    let of_slots: Vec<i64> = rewire.sources().map(|slot| slot.map_or(-1, |slot| places[slot])).collect();
    new.connections().map(|(_, slot)| of_slots[slot]).collect()
}

/// What the passes of a layer of that shape hold.
fn passes<'a>(seen: &'a [Seen<'_>], [rows, cols]: [usize; 2]) -> PyResult<Vec<Pass<'a>>> {
    let pass = |seen: &'a Seen<'_>| match seen {
        Seen::Chain(ticket, weight) => Ok(Pass::Chain(ticket.get(), *weight)),
        Seen::Rows(places, gradients) => {
            let (places, gradients) = (list(places)?, slice(gradients.as_slice())?);
            let fit = places.is_sorted()
                && places.iter().all(|&row| usize::try_from(row).is_ok_and(|row| row < rows));
            if !fit || gradients.len() != places.len() * cols {
                return Err(internal("gradients of rows that the weight does not have"));
            }
            Ok(Pass::Rows(places, gradients))
        }
    };
    seen.iter().map(pass).collect()
}

/// Gradients of absent connections, added up over passes.
fn absent<'a>(passes: &'a [Pass<'a>], cols: usize) -> CellGradients<'a> {
    let mut more = Vec::new();
    let rows = move |rows: Range<usize>, out: &mut [f32]| {
        add_up(passes, out, &mut more, |pass, out| match pass {
            Pass::Chain(ticket, weight) => ticket.row_gradients(*weight, rows.clone(), out),
            Pass::Rows(places, gradients) => {
                out.fill(0.0);
                let first = places.partition_point(|&place| (place as usize) < rows.start);
                let within = places[first..].iter().take_while(|&&place| (place as usize) < rows.end);
                for (&place, gradients) in within.zip(gradients[first * cols..].chunks_exact(cols)) {
                    out[(place as usize - rows.start) * cols..][..cols].copy_from_slice(gradients);
                }
            }
        });
    };
    let mut more = Vec::new();
    let cells = move |cells: &Pattern, out: &mut [f32]| {
        add_up(passes, out, &mut more, |pass, out| match pass {
            Pass::Chain(ticket, weight) => ticket.cell_gradients(*weight, cells, out),
            Pass::Rows(places, gradients) => {
                for (out, cell) in out.iter_mut().zip(cells.cells()) {
                    let place = places.binary_search(&((cell / cols) as i64));
                    *out = place.map_or(0.0, |place| gradients[place * cols + cell % cols]);
                }
            }
        });
    };
    CellGradients { rows: Box::new(rows), cells: Box::new(cells), shared: None }
}

/// The sum over passes, the first of which is written where it belongs.
fn add_up(
    passes: &[Pass<'_>],
    out: &mut [f32],
    more: &mut Vec<f32>,
    mut gradients: impl FnMut(&Pass<'_>, &mut [f32]),
) {
    let Some((first, others)) = passes.split_first() else { return out.fill(0.0) };
    gradients(first, out);
    for pass in others {
        more.resize(out.len(), 0.0);
        gradients(pass, more);
        out.iter_mut().zip(&more[..]).for_each(|(out, more)| *out += more);
    }
}

/// The connections of weights as Python's arrays.
fn rows<'py>(py: Python<'py>, weights: &Weights) -> PyResult<Rows<'py>> {
    let pattern = weights.pattern().ok_or_else(|| internal("weights without a pattern"))?;
    let pattern = pattern.of_blocks(weights.block_height());
    let signed = |indices: &[u32]| {
        let signed: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
        signed.into_pyarray(py)
    };
    Ok((signed(pattern.index().offsets()), signed(pattern.index().indices())))
}
