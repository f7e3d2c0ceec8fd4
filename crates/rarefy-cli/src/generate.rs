//! `rarefy predict --generate`: text that a language model writes.

use std::path::Path;

use anyhow::Result;
use clap::value_parser;
use rarefy::kernels::Isa;
use rarefy::train::{Model, Sampling, Writer};
use serde::Serialize;

use crate::apply::{MachineArgs, write_output};
use crate::output::Output;

/// How text is written.
#[derive(clap::Args)]
pub struct GenerateArgs {
    /// Write text with a language model
    #[arg(long)]
    generate: bool,
    /// How the text begins [default: as a new document]
    #[arg(long, requires = "generate", value_name = "TEXT")]
    prompt: Option<String>,
    /// Tokens to write at most; the text ends sooner where the model ends its document [default: 200]
    #[arg(long, requires = "generate", value_name = "N", value_parser = value_parser!(u32).range(1..))]
    tokens: Option<u32>,
    /// By what the logits are divided: below 1 likely tokens become likelier, 0 takes the likeliest [default: 1]
    #[arg(long, requires = "generate", value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Draw from so many of the likeliest tokens only [default: all]
    #[arg(long, requires = "generate", value_name = "K")]
    top_k: Option<usize>,
    /// Names the draws [default: 0]
    #[arg(long, requires = "generate")]
    seed: Option<u64>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    model: &'a Path,
    prompt: Option<&'a str>,
    text: &'a str,
    tokens: usize,
    /// Whether the model ended its document.
    ended: bool,
    temperature: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<usize>,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Path>,
}

/// Writes.
pub fn run(
    args: &GenerateArgs,
    path: &Path,
    model: &Model,
    machine: &MachineArgs,
    file: Option<&Path>,
    output: &Output,
) -> Result<()> {
    let tokens = args.tokens.unwrap_or(200) as usize;
    let (temperature, seed) = (args.temperature.unwrap_or(1.0), args.seed.unwrap_or(0));
    let sampling = Sampling { temperature, top_k: args.top_k, seed };
    sampling.check()?;
    let write = |isa: Isa| -> Result<(String, usize)> {
        let writer = Writer::new(model.network(), &model.config.preparation, isa)?;
        let mut ids = args.prompt.as_ref().map_or(Ok(Vec::new()), |text| writer.prompt(text))?;
        let begin = ids.len();
        ids.extend(writer.write(&ids, tokens, &sampling));
        Ok((writer.text(&ids), ids.len() - begin))
    };
    let (text, written) = machine.install(model.network().precision(), write)??;
    match file {
        Some(file) => {
            write_output(file, |out| writeln!(out, "{text}"))?;
            output.say(&format!("{written} tokens in {}", file.display()));
        }
        None if !output.json => output.answer(&text),
        None => {}
    }
    output.json(&Answer {
        model: path,
        prompt: args.prompt.as_deref(),
        text: &text,
        tokens: written,
        ended: written < tokens,
        temperature,
        top_k: args.top_k,
        seed,
        output: file,
    })
}
