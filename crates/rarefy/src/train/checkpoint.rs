//! Checkpoints: all that a run needs to go on bit for bit. One safetensors file with the parameters and the optimizer's
//! state, and in its header the position and the settings. There is no generator to save: every random draw is named
//! by seed, purpose, layer and step.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::exchange::{Exchange, Stale, Waiting};
use super::keep::State;
use super::model::{network_tensors, read_network};
use super::position::Position;
use super::save::write_whole;
use super::tensors::{self, Tensor, TensorFile, Words};
use super::{Engine, Settings};
use crate::control::END;
use crate::data::TargetScale;
use crate::kernels::Isa;
use crate::layers::{Gradient, Network, NetworkSpec, Parameter};
use crate::sparse::Touched;
use crate::{Error, Result};

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    settings: Settings,
    /// Tells whether the data is still the same.
    fingerprint: u64,
    /// The instruction set that computed so far; nothing in older files.
    #[serde(default)]
    isa: String,
    position: Position,
}

/// The format that this version writes.
const FORMAT: u32 = 3;
/// A format that it reads too: runs whose settings say nothing of `data.target_scale` left targets as they were.
const UNSCALED: u32 = 2;

/// The checkpoint's place in a run directory.
pub(super) fn checkpoint_path(directory: &Path) -> PathBuf {
    directory.join("checkpoint.safetensors")
}

/// Writes the checkpoint of a run on data with such a fingerprint.
pub(super) fn save(directory: &Path, state: &State<'_>, fingerprint: u64) -> Result<()> {
    let State { engine, exchange, settings, position } = *state;
    let carried = engine.carried();
    let mut tensors = network_tensors(&engine.network);
    for (parameter, slots) in engine.network.parameters().zip(&engine.state) {
        for (index, slot) in slots.iter().enumerate() {
            let name = format!("{}.state.{index}", parameter.name);
            let numbers = || parameter.weights.in_row_order(slot);
            tensors.push(Tensor::floats(name, vec![slot.len()], numbers));
        }
    }
    tensors.extend(engine.effective.tensors(&engine.network));
    tensors.extend(engine.replicas.tensors(&engine.network));
    let waiting = exchange.waiting();
    for (parameter, gradient) in waiting.iter().flat_map(|it| engine.network.parameters().zip(&it.gradients))
    {
        let (name, numbers) = (waiting_name(&parameter.name), &gradient.values);
        if let Some(touched) = &gradient.touched {
            let ends: Vec<u32> =
                touched.iter().flat_map(|slots| [slots.start as u32, slots.end as u32]).collect();
            tensors.push(Tensor::indices(touched_name(&parameter.name), ends));
        }
        tensors.push(Tensor::floats(name, vec![numbers.len()], || parameter.weights.in_row_order(numbers)));
    }
    for (index, numbers) in carried.iter().enumerate() {
        tensors.push(Tensor::floats(format!("carried.{index}"), vec![numbers.len()], || numbers[..].into()));
    }
    let control = engine.sparsifier.control.as_ref().map(|(controller, _)| controller.state);
    let position = Position {
        control,
        optimizer: Some(engine.memory.clone()),
        waiting: waiting.map(|waiting| waiting.of),
        ..position.clone()
    };
    let header = Header {
        format: FORMAT,
        settings: settings.clone(),
        fingerprint,
        isa: engine.isa().name().into(),
        position,
    };
    let text = serde_json::to_string(&header).expect("a header is plain data");
    write_whole(&checkpoint_path(directory), |file| {
        tensors::write(file, tensors, Words::from([(tensors::RUN, text)]))
    })
}

/// A checkpoint that was read.
pub(super) struct Checkpoint<'a> {
    file: TensorFile<'a>,
    /// The settings it was written under.
    pub(super) settings: Settings,
    /// The data it was written for.
    fingerprint: u64,
    /// The instruction set that computed so far.
    isa: String,
    /// Where the run stood.
    pub(super) position: Position,
}

impl Checkpoint<'_> {
    /// Bytes of all its arrays.
    pub(super) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    pub(super) fn read<'a>(directory: &Path) -> Result<Checkpoint<'a>> {
        let path = checkpoint_path(directory);
        if !path.exists() {
            return Err(Error::model(&path, "is not there: this folder holds no run that could go on"));
        }
        Checkpoint::of(TensorFile::open(&path)?)
    }

    /// That of a run in `directory` of another rank, whose bytes that has told.
    pub(super) fn of_bytes<'a>(directory: &Path, bytes: &'a [u8]) -> Result<Checkpoint<'a>> {
        Checkpoint::of(TensorFile::of_bytes(&checkpoint_path(directory), bytes)?)
    }

    fn of(file: TensorFile<'_>) -> Result<Checkpoint<'_>> {
        let text =
            file.words(tensors::RUN).ok_or_else(|| file.problem("has no \"run\"; it is not a checkpoint"))?;
        let version: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| file.problem(format!("has a broken header ({error})")))?;
        if version["format"] != FORMAT && version["format"] != UNSCALED {
            return Err(file.problem(format!(
                "is in format {}, this version reads format {FORMAT}: go on with the rarefy that wrote it, or start a new run",
                version["format"]
            )));
        }
        // From bytes, as other JSON: a second kind of source would make the code that reads settings as large once more.
        let mut header: Header = serde_json::from_slice(text.as_bytes()).map_err(|error| {
            file.problem(format!(
                "has a header that this version cannot read ({error}); if a newer one wrote it update rarefy"
            ))
        })?;
        if header.format == UNSCALED {
            header.settings.data.target_scale = Some(TargetScale::None);
        }
        Ok(Checkpoint {
            file,
            settings: header.settings,
            fingerprint: header.fingerprint,
            isa: header.isa,
            position: header.position,
        })
    }

    /// The settings to go on with: those of the checkpoint, for as many epochs as `config.toml` says. Nothing else may be changed
    /// there: it is there to be read, and whoever changed it expects that to matter. A start that was cut short may have left none.
    pub(super) fn settings_in(&self, directory: &Path) -> Result<Settings> {
        let path = directory.join("config.toml");
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self.settings.clone()),
            other => other.map_err(Error::io(&path, "cannot read"))?,
        };
        let mut found: Settings = toml::from_str(&text)
            .map_err(|error| Error::model(&path, format!("is damaged ({})", error.message())))?;
        if self.settings.data.target_scale == Some(TargetScale::None) {
            // An older run's file does not know the setting.
            found.data.target_scale.get_or_insert(TargetScale::None);
        }
        match first_difference(&self.settings, &found) {
            Some(key) => Err(Error::model(
                &path,
                format!(
                    "has another \"{key}\" than the run was started with; put it back, or start a new run with this file's settings"
                ),
            )),
            None => {
                let mut settings = self.settings.clone();
                settings.train.epochs = found.train.epochs;
                Ok(settings)
            }
        }
    }

    /// Checks that the run may be planned for other epochs than it was.
    pub(super) fn check_epochs(&self, epochs: u64, steps: u64) -> Result<()> {
        let Position { step, epoch, .. } = self.position;
        // The epoch under way is done too.
        let done = epoch + u64::from(step > epoch * steps);
        let wrong = |problem: String| Err(Error::setting("train.epochs", problem));
        if epochs < done {
            return wrong(format!("{epochs} is fewer than the {done} that are done or under way; give more"));
        }
        let planned = self.settings.train.epochs;
        if self.position.control.is_some() && step as f64 >= END * (planned * steps) as f64 {
            return wrong(format!(
                "{epochs} cannot take the place of {planned} in this run: its target was reached at {:.0} % of the plan, \
                 the penalty is gone since; start a new run, or go on without other epochs",
                100.0 * END
            ));
        }
        Ok(())
    }

    /// Checks that a run whose epochs have so many steps can stand there.
    pub(super) fn check_position(&self, steps: u64) -> Result<()> {
        let Position { step, epoch, .. } = self.position;
        let begun = epoch.checked_mul(steps).filter(|_| epoch <= self.settings.train.epochs);
        match begun.and_then(|begun| step.checked_sub(begun)) {
            Some(done) if done <= steps => Ok(()),
            _ => Err(self.file.problem(format!(
                "stands at step {step} and epoch {epoch} where an epoch has {steps} steps; it is damaged, start a new run"
            ))),
        }
    }

    /// What to say about going on with another instruction set.
    pub(super) fn other_isa(&self, isa: Isa) -> Option<String> {
        (!self.isa.is_empty() && self.isa != isa.name()).then(|| {
            format!(
                "computed with {} so far, and here with {isa}: from now on bits may differ from a run on one machine",
                self.isa
            )
        })
    }

    /// The network as it was, after checking that settings and data are still the same.
    pub(super) fn network(
        &self,
        settings: &Settings,
        fingerprint: u64,
        spec: &NetworkSpec,
    ) -> Result<Network> {
        if let Some(key) = first_difference(&self.settings, settings) {
            return Err(self.file.problem(format!(
                "was written under another \"{key}\"; go on with the settings in config.toml beside it, or start a new run"
            )));
        }
        if self.fingerprint != fingerprint {
            return Err(self
                .file
                .problem("was written for other data: the files have changed since; start a new run"));
        }
        read_network(&self.file, spec, settings.sparsity.storage)
    }

    /// Gradients that have not yet moved weights.
    fn waiting(&self, network: &Network) -> Result<Vec<Gradient>> {
        let of_parameter = |parameter: &Parameter| {
            let length = Gradient::zeros(parameter).values.len();
            let values = self.file.floats(&waiting_name(&parameter.name), length)?;
            let values = parameter.weights.from_row_order(values);
            let name = touched_name(&parameter.name);
            if !self.file.has(&name) {
                return Ok(Gradient { values, touched: None });
            }
            let ends = self.file.indices(&name)?;
            let (ranges, rest) = ends.as_chunks();
            let touched: Touched = ranges.iter().map(|&[start, end]| start as usize..end as usize).collect();
            let is_apart = |pair: &[Range<usize>]| pair[0].end <= pair[1].start;
            let is_sound = touched.iter().all(|slots| slots.start <= slots.end && slots.end <= length);
            if !rest.is_empty() || !is_sound || !touched.windows(2).all(is_apart) {
                return Err(self
                    .file
                    .problem(format!("\"{name}\" names no slots; it is damaged, start a new run")));
            }
            Ok(Gradient { values, touched: Some(touched) })
        };
        network.parameters().map(of_parameter).collect()
    }

    /// Puts the optimizer's and the controller's state into a fresh engine, whose rank has what comes after `first` samples of a full
    /// batch.
    pub(super) fn restore(&self, engine: &mut Engine, exchange: &mut Exchange, first: usize) -> Result<()> {
        if let (Some((controller, _)), Some(state)) = (&mut engine.sparsifier.control, self.position.control)
        {
            controller.state = state;
        }
        if let Some(memory) = &self.position.optimizer {
            if memory.len() != engine.memory.len() {
                return Err(self.file.problem("holds the state of another optimizer; start a new run"));
            }
            engine.memory = memory.clone();
        }
        for (parameter, slots) in engine.network.parameters().zip(&mut engine.state) {
            for (index, slot) in slots.iter_mut().enumerate() {
                let name = format!("{}.state.{index}", parameter.name);
                *slot = parameter.weights.from_row_order(self.file.floats(&name, slot.len())?);
            }
        }
        let mut states = Vec::new();
        for (index, shares) in engine.team.carried().into_iter().enumerate() {
            let saved = self.file.all_floats(&format!("carried.{index}"))?;
            states.push(saved.into_iter().skip(first * shares[0].begin.features()));
        }
        engine.team.for_each_buffers(|buffers| {
            let mut states = states.iter_mut();
            buffers.for_each_carried(&mut |carried| {
                // After a small last batch there are fewer, and the next batch begins anew.
                let numbers: &mut [f32] = bytemuck::must_cast_slice_mut(carried.begin.rows_mut());
                let saved = states.next().expect("a state of each");
                numbers.iter_mut().zip(saved).for_each(|(number, saved)| *number = saved);
            });
        });
        engine.effective.restore(&engine.network, &self.file)?;
        engine.replicas.restore(&engine.network, &self.file)?;
        if let (Exchange::Stale(stale), Some(of)) = (exchange, self.position.waiting) {
            let gradients = self.waiting(&engine.network)?;
            *stale = Stale::of(Some(Waiting { gradients, of, unsummed: None }));
        }
        self.file.check_all_read()
    }
}

/// The names of gradients that wait, and of the slots that they are for where they are for few.
fn waiting_name(parameter: &str) -> String {
    format!("{parameter}.waiting")
}

fn touched_name(parameter: &str) -> String {
    format!("{parameter}.waiting.touched")
}

/// The dotted key of the first setting that differs, but for the number of threads and the memory limit, which change no bit, and
/// the epochs, which may be planned anew.
fn first_difference(a: &Settings, b: &Settings) -> Option<String> {
    let table = |settings: &Settings| {
        let mut settings = Settings { threads: 0, memory_limit: None, ..settings.clone() };
        settings.train.epochs = 0;
        serde_json::to_value(settings).expect("settings are plain data")
    };
    difference(&table(a), &table(b))
}

fn difference(a: &serde_json::Value, b: &serde_json::Value) -> Option<String> {
    let (Some(a_map), Some(b_map)) = (a.as_object(), b.as_object()) else {
        return (a != b).then(String::new);
    };
    let keys = a_map.keys().chain(b_map.keys());
    keys.into_iter().find_map(|key| {
        let null = serde_json::Value::Null;
        let inner = difference(a_map.get(key).unwrap_or(&null), b_map.get(key).unwrap_or(&null))?;
        Some(if inner.is_empty() { key.clone() } else { format!("{key}.{inner}") })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_key_is_named() {
        let mut other = Settings::default();
        assert_eq!(first_difference(&Settings::default(), &other), None);
        (other.threads, other.train.epochs) = (7, 70);
        assert_eq!(first_difference(&Settings::default(), &other), None);
        other.optimizer.beta1 = 0.5;
        assert_eq!(first_difference(&Settings::default(), &other).as_deref(), Some("optimizer.beta1"));
    }
}
