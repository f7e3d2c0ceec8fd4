//! Layers of a user's own: described by a type that the library does not know.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kernels::Activation;
use crate::layers::{Builder, Describe, Layer, Properties};
use crate::tiles::Shape;

/// A layer of a user's own in a network's list: see [`LayerSpec::custom`](super::LayerSpec::custom).
///
/// In files it is `{layer = "custom", kind = "...", settings = {...}}`. Read from one it is a name without a meaning, until
/// [`LayerKinds`] say what the name stands for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct CustomSpec(State);

#[derive(Clone)]
enum State {
    Known(Box<dyn OwnLayer>),
    Unknown(Written),
}

/// A layer as files keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    #[serde(default = "no_settings")]
    settings: Value,
}

fn no_settings() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Written {
    /// What is wrong where only some kinds are known.
    fn is_unknown(&self, kinds: &LayerKinds) -> String {
        let known: Vec<&str> = kinds.0.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
        format!(
            "\"{}\" is a kind of layer of somebody's own, and known of these are {known}: who opens the file hands over its \
             kinds as LayerKinds",
            self.kind
        )
    }
}

/// What a list of layers asks of a description, besides that it is one.
trait OwnLayer: Describe + Send + Sync {
    fn boxed(&self) -> Box<dyn OwnLayer>;

    fn settings(&self) -> Value;

    fn reader(&self) -> Read;
}

/// Reads the settings of a layer of a kind.
type Read = fn(Value) -> Result<Box<dyn OwnLayer>, String>;

fn read<S: OwnLayer + DeserializeOwned + 'static>(settings: Value) -> Result<Box<dyn OwnLayer>, String> {
    match serde_json::from_value::<S>(settings) {
        Ok(spec) => Ok(Box::new(spec)),
        Err(error) => Err(format!("its settings: {error}")),
    }
}

impl<S: Describe + Clone + Serialize + DeserializeOwned + Send + Sync + 'static> OwnLayer for S {
    fn boxed(&self) -> Box<dyn OwnLayer> {
        Box::new(self.clone())
    }

    fn settings(&self) -> Value {
        serde_json::to_value(self).expect("a description is plain data")
    }

    fn reader(&self) -> Read {
        read::<S>
    }
}

impl Clone for Box<dyn OwnLayer> {
    fn clone(&self) -> Self {
        self.as_ref().boxed()
    }
}

impl CustomSpec {
    /// The layer that `spec` describes.
    ///
    /// # Panics
    /// If serde cannot write it as JSON.
    pub fn new<S>(spec: S) -> CustomSpec
    where
        S: Describe + Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let _ = spec.settings();
        CustomSpec(State::Known(Box::new(spec)))
    }

    /// Whether its kind is known, so that it can be built.
    pub fn is_known(&self) -> bool {
        matches!(self.0, State::Known(_))
    }

    /// Adds its kind, if it is known, to others.
    pub(super) fn add_kind(&self, kinds: &mut LayerKinds) {
        if let State::Known(layer) = &self.0 {
            kinds.0.insert(layer.properties().name.to_string(), layer.reader());
        }
    }

    /// Finds out what a name from a file stands for.
    pub(super) fn resolve(&mut self, kinds: &LayerKinds) -> Result<(), String> {
        if let State::Unknown(written) = &self.0 {
            let Written { kind, settings } = written;
            let read = kinds.0.get(kind).ok_or_else(|| written.is_unknown(kinds))?;
            let layer = read(settings.clone())?;
            if layer.properties().name != kind {
                let name = layer.properties().name;
                return Err(format!("the kind \"{kind}\" is of layers that call themselves \"{name}\""));
            }
            self.0 = State::Known(layer);
        }
        Ok(())
    }
}

impl From<Written> for CustomSpec {
    fn from(written: Written) -> CustomSpec {
        CustomSpec(State::Unknown(written))
    }
}

impl From<CustomSpec> for Written {
    fn from(spec: CustomSpec) -> Written {
        match spec.0 {
            State::Known(layer) => {
                Written { kind: layer.properties().name.to_string(), settings: layer.settings() }
            }
            State::Unknown(written) => written,
        }
    }
}

impl PartialEq for CustomSpec {
    /// Whether files keep both alike.
    fn eq(&self, other: &CustomSpec) -> bool {
        Written::from(self.clone()) == Written::from(other.clone())
    }
}

impl fmt::Debug for CustomSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written::from(self.clone()).fmt(f)
    }
}

impl Describe for CustomSpec {
    fn properties(&self) -> Properties<'_> {
        match &self.0 {
            State::Known(layer) => layer.properties(),
            // What asks for most care, though no network has it.
            State::Unknown(written) => Properties {
                name: &written.kind,
                looks_ahead: Some("say what its kind is"),
                is_random: true,
                is_per_position: false,
                has_windows: false,
            },
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        match &mut self.0 {
            State::Known(layer) => layer.fused_mut(),
            State::Unknown(_) => None,
        }
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        match &self.0 {
            State::Known(layer) => layer.output(input),
            State::Unknown(written) => Err(written.is_unknown(&LayerKinds::new())),
        }
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        let State::Known(layer) = &self.0 else { panic!("a description that was found good") };
        // What goes in is used, and what comes out is made, in a way of its own.
        builder.part();
        let built = layer.build(input, builder);
        builder.part();
        built
    }
}

/// The kinds of layers of a user's own, by their names in files: handed to whoever opens a file that may have some.
///
/// # Examples
/// See [`LayerSpec::custom`](super::LayerSpec::custom).
#[derive(Clone, Default)]
pub struct LayerKinds(BTreeMap<String, Read>);

impl LayerKinds {
    /// No kinds: files may have the library's layers only.
    pub fn new() -> LayerKinds {
        LayerKinds::default()
    }

    /// These kinds and one more: `kind` is the name that [`Describe::properties`] of `S` gives.
    pub fn with<S>(mut self, kind: &str) -> LayerKinds
    where
        S: Describe + Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.0.insert(kind.to_string(), read::<S>);
        self
    }
}
