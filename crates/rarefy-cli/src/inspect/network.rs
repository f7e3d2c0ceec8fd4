//! `rarefy inspect --network`: the layers of a network that need not be trained, or of one that is, with shapes and costs.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use clap::value_parser;
use rarefy::data::{self, DataSettings};
use rarefy::layers::{Inputs, LayerFigures, Network, NetworkSettings, SparsitySettings};
use rarefy::report::{bytes, count};
use rarefy::tiles::Shape;
use rarefy::train::Settings;
use serde::Serialize;

use crate::apply::open_model;
use crate::arguments::Suggested;
use crate::network;
use crate::output::Output;

/// Which network, and for what data.
#[derive(clap::Args)]
pub struct NetworkArgs {
    #[arg(long, value_name = "NAME|FILE", value_parser = Suggested::networks(), hide_possible_values = true, help = format!("{}, or a model; shows its layers", network::help()))]
    network: Option<String>,
    /// Data that the network is for: it tells the shape of a sample and what is asked; with --inputs, labelled samples to measure
    /// on
    #[arg(long, requires = "subject", conflicts_with_all = ["shape", "outputs"])]
    data: Option<String>,
    /// The shape of a sample: height,width,channels, or steps,features, or features
    #[arg(long, requires_all = ["network", "outputs"], value_delimiter = ',', value_name = "SIZES")]
    shape: Vec<usize>,
    /// Outputs; steps,outputs if each step has a target
    #[arg(long, requires_all = ["network", "shape"], value_delimiter = ',', value_name = "SIZES")]
    outputs: Vec<usize>,
    /// Tokens there are, for a network that reads a token at each step of --shape steps,1
    #[arg(long, requires = "shape", value_name = "TOKENS", value_parser = value_parser!(u32).range(1..))]
    vocabulary: Option<u32>,
    /// Share of connections that exist [default: 1]
    #[arg(long, requires = "network")]
    density: Option<f64>,
    /// Print the layers as TOML, for a file of one's own
    #[arg(long, requires = "network", conflicts_with = "density")]
    toml: bool,
}

impl NetworkArgs {
    /// The data that was named.
    pub fn data(&self) -> Option<&str> {
        self.data.as_deref()
    }
}

/// The network and its costs.
#[derive(Serialize)]
struct Found {
    network: String,
    inputs: Shape,
    outputs: Shape,
    layers: Vec<Row>,
    nnz: usize,
    cells: usize,
    density: f64,
    parameters: usize,
    flops: usize,
    bytes: usize,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    figures: LayerFigures,
    density: Option<f64>,
}

/// Shows the layers.
pub fn run(args: &NetworkArgs, output: &Output) -> Result<()> {
    let name = args.network.clone().context("clap asks for a path or a network")?;
    let path = Path::new(&name);
    let is_model = path.is_dir() || path.extension().is_some_and(|extension| extension == "safetensors");
    let (network, cells) = if is_model {
        ensure!(
            args.data.is_none() && args.shape.is_empty() && args.density.is_none(),
            "--network {name}: a model has its own inputs, outputs and density; leave --data, --shape, --outputs and --density out"
        );
        let model = open_model(path)?;
        let cells = model.cells();
        (model.network().clone(), cells)
    } else {
        let network = untrained(&name, args)?;
        let cells = network.connections().1;
        (network, cells)
    };
    if args.toml {
        let layers = network.spec().layers.clone();
        let settings = NetworkSettings { layers, ..NetworkSettings::default() };
        if !output.json {
            output.answer(&toml::to_string(&settings)?);
        }
        return output.json(&settings);
    }
    let found = found(name, &network, cells);
    output.show(&text(&found, output.width()));
    output.json(&found)
}

fn untrained(name: &str, args: &NetworkArgs) -> Result<Network> {
    let network = crate::arguments::network_given(name)?;
    let spec = match &args.data {
        Some(path) => {
            let data = DataSettings { path: path.clone(), ..DataSettings::default() };
            let train = data::load(&data, 0)?.train;
            Settings { network, ..Settings::default() }.network_for(&train)?
        }
        None if args.shape.is_empty() => bail!(
            "--network {name}: shapes follow from the data; give --data NAME, or --shape and --outputs as in --shape 28,28,1 --outputs 10"
        ),
        None => {
            let vocabulary = args.vocabulary.map(|vocabulary| vocabulary as usize);
            let inputs = Inputs { shape: shape("--shape", &args.shape)?, vocabulary };
            network.spec(inputs, shape("--outputs", &args.outputs)?)?
        }
    };
    let density = args.density.unwrap_or(1.0);
    let sparsity = SparsitySettings { density, ..SparsitySettings::default() };
    Ok(Network::random(&spec, &sparsity, 0)?)
}

fn shape(flag: &str, sizes: &[usize]) -> Result<Shape> {
    ensure!(!sizes.contains(&0), "{flag}: a size must be at least 1");
    match *sizes {
        [features] => Ok(Shape::flat(features)),
        [steps, features] => Ok(Shape::sequence(steps, features)),
        [height, width, channels] => Ok(Shape { height, width, channels }),
        _ => bail!("{flag}: give one size, two (steps,features) or three (height,width,channels)"),
    }
}

/// What there is to tell; of a model `cells` counts those of neurons that it has lost too.
fn found(name: String, network: &Network, cells: usize) -> Found {
    let figures = network.figures();
    let sum = |of: fn(&LayerFigures) -> usize| figures.iter().map(of).sum::<usize>();
    let nnz = network.connections().0;
    Found {
        network: name,
        inputs: network.spec().inputs,
        outputs: network.output(),
        nnz,
        cells,
        density: nnz as f64 / cells.max(1) as f64,
        parameters: sum(|layer| layer.parameters),
        flops: network.flops(),
        bytes: sum(|layer| layer.bytes),
        layers: figures.into_iter().map(|figures| Row { density: figures.density(), figures }).collect(),
    }
}

fn text(found: &Found, width: usize) -> String {
    format!(
        "{}: {} to {}\n{}\n{} of {} weights, density {:.4}; {} numbers in all, {} in a file; {} FLOP a prediction",
        found.network,
        found.inputs,
        found.outputs,
        network::table(found.layers.iter().map(|row| &row.figures)).text(width),
        found.nnz,
        found.cells,
        found.density,
        found.parameters,
        bytes(found.bytes),
        count(found.flops)
    )
}
