//! What a pass over layers fills: outputs, gradients, and what each layer keeps besides.

use crate::tiles::{HALF, Row, Tiles};

/// The activations and gradients of one mini-batch, allocated once.
#[derive(Debug, Clone, Default)]
pub struct Buffers {
    /// A network's inputs rounded, where it rounds them.
    pub(super) rounded: Tiles,
    /// Each layer's outputs.
    pub(super) outputs: Vec<Tiles>,
    /// The gradients of each layer's outputs; empty when only predicting.
    pub(super) gradients: Vec<Tiles>,
    /// What each layer keeps besides.
    pub(super) work: Vec<Workspace>,
}

impl Buffers {
    /// Sets the number of samples of every buffer, which are a whole batch.
    pub fn resize(&mut self, samples: usize) {
        self.resize_to(Size { samples, folded: false, is_alone: true });
    }

    /// Sets the number of samples of every buffer, of whose batch `earlier` samples come before: the last few samples of a large batch
    /// stand as those of a large batch do.
    pub fn resize_after(&mut self, earlier: usize, samples: usize) {
        self.resize_to(Size { samples, folded: false, is_alone: earlier == 0 });
    }

    fn resize_to(&mut self, size: Size) {
        let tiles = self.outputs.iter_mut().chain(&mut self.gradients);
        tiles.for_each(|tiles| tiles.resize_as(size.samples, size.folded));
        self.work.iter_mut().for_each(|work| work.resize(size));
    }

    /// Calls `change` with each state that goes on from batch to batch, in order.
    pub fn for_each_carried(&mut self, change: &mut dyn FnMut(&mut Carried)) {
        for work in &mut self.work {
            work.carried.iter_mut().for_each(&mut *change);
            work.inner.iter_mut().for_each(|buffers| buffers.for_each_carried(change));
        }
    }

    /// All states that go on from batch to batch, in order.
    pub fn carried(&self) -> Vec<&Carried> {
        let mut found = Vec::new();
        for work in &self.work {
            found.extend(&work.carried);
            work.inner.iter().for_each(|buffers| found.extend(buffers.carried()));
        }
        found
    }

    /// The next batch begins as that of `other`, buffers of the same network for as many samples.
    pub fn begin_as(&mut self, other: &Buffers) {
        let mut others = other.carried().into_iter();
        self.for_each_carried(&mut |carried| {
            let other = others.next().expect("buffers of the same network");
            carried.begin.rows_mut().copy_from_slice(other.begin.rows());
        });
    }

    /// The next batch goes on where the last one ended.
    pub fn carry_on(&mut self) {
        self.for_each_carried(&mut |carried| std::mem::swap(&mut carried.begin, &mut carried.end));
    }

    /// The next batch begins anew.
    pub fn forget(&mut self) {
        self.for_each_carried(&mut |carried| carried.begin.rows_mut().fill(Row::ZERO));
    }

    /// Bytes of it all.
    pub fn bytes(&self) -> usize {
        let tiles = |tiles: &Tiles| size_of_val(tiles.rows());
        let work = |work: &Workspace| {
            work.tiles.iter().map(tiles).sum::<usize>()
                + work.carried.iter().map(|it| tiles(&it.begin) + tiles(&it.end)).sum::<usize>()
                + size_of_val(&work.scratch[..])
                + work.numbers.iter().map(|numbers| size_of_val(&numbers[..])).sum::<usize>()
                + work.inner.iter().map(Buffers::bytes).sum::<usize>()
        };
        self.outputs.iter().chain(&self.gradients).chain([&self.rounded]).map(tiles).sum::<usize>()
            + self.work.iter().map(work).sum::<usize>()
    }

    /// The last layer's outputs.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn output(&self) -> &Tiles {
        self.outputs.last().expect("a network has layers")
    }

    /// The last layer's outputs, to change.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn output_mut(&mut self) -> &mut Tiles {
        self.outputs.last_mut().expect("a network has layers")
    }

    /// The gradient of the last layer's outputs.
    ///
    /// # Panics
    /// If the buffers are for predicting only.
    pub fn gradient(&self) -> &Tiles {
        self.gradients.last().expect("buffers for training")
    }

    /// The last layer's outputs and where their gradient goes.
    ///
    /// # Panics
    /// If the buffers are for predicting only.
    pub fn output_and_gradient(&mut self) -> (&Tiles, &mut Tiles) {
        let (output, gradient) = (self.outputs.last(), self.gradients.last_mut());
        (output.expect("a network has layers"), gradient.expect("buffers for training"))
    }
}

/// How many samples buffers are for, and how they stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) samples: usize,
    pub(super) folded: bool,
    /// Whether no samples of the same batch come before them.
    pub(super) is_alone: bool,
}

/// What a layer keeps from its forward to its backward pass besides inputs and outputs, and room to work in. Allocated
/// once; what stands where is the layer's own affair.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// Activations, resized with the batch.
    pub tiles: Vec<Tiles>,
    /// Room for what kernels sum or turn around; it grows when it is first used.
    pub scratch: Vec<f32>,
    /// Room for rows that kernels lay out anew; it grows when it is first used.
    pub panel: Vec<Row>,
    /// Arrays of any length that are kept.
    pub numbers: Vec<Vec<f32>>,
    /// The order in which something is gone through.
    pub order: Vec<u32>,
    /// The buffers of layers within this one.
    pub inner: Vec<Buffers>,
    /// What goes on from batch to batch.
    pub carried: Vec<Carried>,
    /// A single sample whose positions are lanes.
    pub(super) spread: Option<OneSample>,
    /// Whether the layers within are given small batches folded, for which alone there are tiles.
    pub(super) folds_small_batches: bool,
}

impl Workspace {
    /// Sets the number of samples.
    pub(super) fn resize(&mut self, size: Size) {
        let Size { samples, mut folded, is_alone } = size;
        let mut tiles = samples;
        if self.folds_small_batches {
            folded = is_alone && samples <= HALF;
            tiles = samples.min(HALF);
        }
        self.tiles.iter_mut().for_each(|it| it.resize_as(tiles, folded));
        self.inner.iter_mut().for_each(|buffers| buffers.resize_to(Size { folded, ..size }));
        for carried in &mut self.carried {
            carried.begin.resize(samples);
            carried.end.resize(samples);
        }
    }
}

/// One sample whose positions are lanes ([`Tiles::is_spread`]), and what layers within make of it. No number of samples
/// changes it.
#[derive(Debug, Clone)]
pub struct OneSample {
    /// What goes in.
    pub input: Tiles,
    /// Their buffers.
    pub buffers: Buffers,
}

/// A state that goes on from batch to batch: a lane goes on where the same lane of the batch before ended. A pass forward
/// reads one and writes the other, so that it can be made again; [`Buffers::carry_on`] says when the next batch comes.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The state before the batch.
    pub begin: Tiles,
    /// The state after it.
    pub end: Tiles,
}

impl Carried {
    /// Zeros.
    pub fn zeros(features: usize, samples: usize) -> Carried {
        Carried { begin: Tiles::zeros(features, samples), end: Tiles::zeros(features, samples) }
    }
}
