//! The weight matrices of a network: how many connections each has, and where none are left.

use serde::Serialize;

use super::table::{Table, table};
use crate::kernels::Activation;
use crate::layers::{Describe, Network, Parameter};

/// A weight matrix of a network, `outputs x inputs`, as a report tells it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerReport {
    /// The name of the array in the model file.
    pub name: String,
    /// Rows of the matrix.
    pub outputs: usize,
    /// Columns of the matrix.
    pub inputs: usize,
    /// What the layer applies to its sums.
    pub activation: Activation,
    /// Connections.
    pub nnz: usize,
    /// Connections over cells.
    pub density: f64,
    /// Whether it is stored compressed.
    pub sparse: bool,
    /// Outputs that share their inputs; 1 where each has its own.
    pub block: usize,
    /// Bytes in the model file.
    pub disk_bytes: usize,
    /// The fewest connections of an output.
    pub fan_in_min: usize,
    /// The mean number of connections of an output.
    pub fan_in_mean: f64,
    /// The most connections of an output.
    pub fan_in_max: usize,
    /// Inputs without a weight other than 0: nothing looks at them.
    pub dead_inputs: usize,
    /// Outputs without a weight other than 0: they are the same for every sample.
    pub dead_outputs: usize,
}

impl LayerReport {
    /// The weight matrices of a network, in order of its layers.
    pub fn of(network: &Network) -> Vec<LayerReport> {
        let layers = network.spec().layers.clone().into_iter().enumerate();
        layers
            .flat_map(|(position, mut layer)| {
                let activation = layer.fused_mut().map(|fused| *fused).unwrap_or_default();
                let weights = network.layer_parameters(position).iter().filter(|part| part.is_weight());
                weights.map(move |part| LayerReport::new(part, activation))
            })
            .collect()
    }

    fn new(parameter: &Parameter, activation: Activation) -> LayerReport {
        let weights = &parameter.weights;
        let (rows, cols, nnz) = (weights.rows(), weights.cols(), weights.nnz());
        let (mut live_outputs, mut live_inputs) = (vec![false; rows], vec![false; cols]);
        for (cell, slot) in weights.connections() {
            if weights.values()[slot] != 0.0 {
                live_outputs[cell / cols] = true;
                live_inputs[cell % cols] = true;
            }
        }
        let dead = |live: &[bool]| live.iter().filter(|live| !**live).count();
        let fan_in = weights.fan_in();
        LayerReport {
            name: parameter.name.clone(),
            outputs: rows,
            inputs: cols,
            activation,
            nnz,
            density: weights.density(),
            sparse: weights.has_pattern(),
            block: weights.block_height(),
            disk_bytes: parameter.bytes(),
            fan_in_min: fan_in.iter().copied().min().unwrap_or(0),
            fan_in_mean: nnz as f64 / rows.max(1) as f64,
            fan_in_max: fan_in.iter().copied().max().unwrap_or(0),
            dead_inputs: dead(&live_inputs),
            dead_outputs: dead(&live_outputs),
        }
    }
}

/// A line for each weight matrix: shape, connections, storage, bytes, fan-in, dead inputs and outputs.
pub fn layer_table(layers: &[LayerReport]) -> Table {
    let rows = layers.iter().map(|layer| {
        vec![
            layer.name.clone(),
            format!("{}x{}", layer.outputs, layer.inputs),
            layer.nnz.to_string(),
            format!("{:.2} %", 100.0 * layer.density),
            if layer.sparse { "sparse" } else { "dense" }.to_string(),
            layer.disk_bytes.to_string(),
            format!("{} / {:.1} / {}", layer.fan_in_min, layer.fan_in_mean, layer.fan_in_max),
            layer.dead_inputs.to_string(),
            layer.dead_outputs.to_string(),
        ]
    });
    let header =
        ["layer", "shape", "nnz", "density", "stored", "bytes", "fan-in min/mean/max", "dead in", "dead out"];
    table(&header, rows).spare(&["bytes", "stored", "dead out", "dead in", "shape"])
}
