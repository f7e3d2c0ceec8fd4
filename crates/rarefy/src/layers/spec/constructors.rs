//! Layers made in Rust: by what they must be told, the rest as files leave it out.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CustomSpec, LayerSpec, ParallelSpec, ResidualSpec};
use crate::kernels::Activation;
use crate::layers::*;

/// The layer of a description, whose keys can be told with `..`, as in
/// `LayerSpec::from(AttentionSpec { causal: true, ..AttentionSpec::new(4) })`.
macro_rules! from_descriptions {
    ($($kind:ident($spec:ident)),* $(,)?) => {
        $(impl From<$spec> for LayerSpec {
            fn from(spec: $spec) -> LayerSpec {
                LayerSpec::$kind(spec)
            }
        })*
    };
}

from_descriptions! {
    Linear(LinearSpec),
    Conv2d(Conv2dSpec),
    Conv1d(Conv1dSpec),
    MaxPool(MaxPoolSpec),
    AveragePool(AveragePoolSpec),
    GlobalMaxPool(GlobalMaxPoolSpec),
    GlobalAveragePool(GlobalAveragePoolSpec),
    LastStep(LastStepSpec),
    AttentionPool(AttentionPoolSpec),
    Elementwise(ElementwiseSpec),
    Dropout(DropoutSpec),
    Flatten(FlattenSpec),
    Embedding(EmbeddingSpec),
    PositionalEncoding(PositionalEncodingSpec),
    Attention(AttentionSpec),
    Lstm(LstmSpec),
    Gru(GruSpec),
    Rnn(RnnSpec),
    Residual(ResidualSpec),
    Parallel(ParallelSpec),
    BatchNorm(BatchNormSpec),
    LayerNorm(LayerNormSpec),
    RmsNorm(RmsNormSpec),
    GroupNorm(GroupNormSpec),
    Custom(CustomSpec),
}

impl LayerSpec {
    /// A linear layer; of 0 outputs, the last of a network, which makes as many as the data asks for.
    pub fn linear(outputs: usize, activation: Activation) -> LayerSpec {
        LinearSpec { outputs, activation }.into()
    }

    /// A convolution over height and width, without padding ([`Conv2dSpec`]).
    pub fn conv2d(filters: usize, kernel: usize, activation: Activation) -> LayerSpec {
        Conv2dSpec { activation, ..Conv2dSpec::new(filters, kernel) }.into()
    }

    /// A convolution over the steps of a sequence, without padding ([`Conv1dSpec`]).
    pub fn conv1d(filters: usize, kernel: usize, activation: Activation) -> LayerSpec {
        Conv1dSpec { activation, ..Conv1dSpec::new(filters, kernel) }.into()
    }

    /// The largest number of each window ([`MaxPoolSpec`]).
    pub fn max_pool(kernel: usize) -> LayerSpec {
        MaxPoolSpec::new(kernel).into()
    }

    /// The mean of each window ([`AveragePoolSpec`]).
    pub fn average_pool(kernel: usize) -> LayerSpec {
        AveragePoolSpec::new(kernel).into()
    }

    /// The largest number of all positions.
    pub fn global_max_pool() -> LayerSpec {
        GlobalMaxPoolSpec {}.into()
    }

    /// The mean of all positions.
    pub fn global_average_pool() -> LayerSpec {
        GlobalAveragePoolSpec {}.into()
    }

    /// The last step of a sequence.
    pub fn last_step() -> LayerSpec {
        LastStepSpec {}.into()
    }

    /// A learned mean over the steps of a sequence.
    pub fn attention_pool() -> LayerSpec {
        AttentionPoolSpec {}.into()
    }

    /// A function of each number.
    pub fn elementwise(activation: Activation) -> LayerSpec {
        ElementwiseSpec { activation }.into()
    }

    /// Dropout of a share `rate` of the numbers.
    pub fn dropout(rate: f32) -> LayerSpec {
        DropoutSpec { rate }.into()
    }

    /// All positions as features of one.
    pub fn flatten() -> LayerSpec {
        FlattenSpec {}.into()
    }

    /// Vectors for as many tokens as the data has, token 0 being padding ([`EmbeddingSpec`]).
    pub fn embedding(channels: usize) -> LayerSpec {
        EmbeddingSpec { vocabulary: 0, channels, padding: true }.into()
    }

    /// Steps told apart.
    pub fn positional_encoding(positions: Positions) -> LayerSpec {
        PositionalEncodingSpec { positions }.into()
    }

    /// Self-attention that sees all steps ([`AttentionSpec`]).
    pub fn attention(heads: usize) -> LayerSpec {
        AttentionSpec::new(heads).into()
    }

    /// Long short-term memory that reads a sequence from its start ([`LstmSpec`]).
    pub fn lstm(hidden: usize) -> LayerSpec {
        LstmSpec::new(hidden).into()
    }

    /// Gated recurrent units that read a sequence from its start ([`GruSpec`]).
    pub fn gru(hidden: usize) -> LayerSpec {
        GruSpec::new(hidden).into()
    }

    /// A simple recurrent layer that reads a sequence from its start ([`RnnSpec`]).
    pub fn rnn(hidden: usize) -> LayerSpec {
        RnnSpec::new(hidden).into()
    }

    /// `body(x) + x`.
    pub fn residual(body: Vec<LayerSpec>) -> LayerSpec {
        ResidualSpec { body, shortcut: Vec::new(), activation: Activation::Identity }.into()
    }

    /// Branches side by side.
    pub fn parallel(join: Join, branches: Vec<Vec<LayerSpec>>) -> LayerSpec {
        ParallelSpec { branches, join }.into()
    }

    /// Channels normalised over the batch.
    pub fn batch_norm(activation: Activation) -> LayerSpec {
        BatchNormSpec { activation }.into()
    }

    /// Positions normalised over their channels.
    pub fn layer_norm() -> LayerSpec {
        LayerNormSpec {}.into()
    }

    /// Positions divided by the root of their mean square.
    pub fn rms_norm() -> LayerSpec {
        RmsNormSpec {}.into()
    }

    /// Samples normalised over positions and groups of channels.
    pub fn group_norm(groups: usize) -> LayerSpec {
        GroupNormSpec { groups }.into()
    }

    /// A layer of one's own: `spec` describes it and makes it, and serde keeps it in files, which are opened with
    /// [`LayerKinds`].
    ///
    /// # Panics
    /// If serde cannot write `spec` as JSON.
    ///
    /// # Examples
    /// ```
    /// use rarefy::kernels::Activation::{self, Identity, Relu};
    /// use rarefy::layers::*;
    /// use rarefy::tiles::{Shape, Tiles};
    /// use serde::{Deserialize, Serialize};
    ///
    /// /// `y[c] = scale[c] x[c]`
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct ScaleSpec {
    ///     start: f32,
    /// }
    ///
    /// impl Describe for ScaleSpec {
    ///     fn properties(&self) -> Properties<'_> {
    ///         Properties {
    ///             name: "scale",
    ///             looks_ahead: None,
    ///             is_random: false,
    ///             is_per_position: true,
    ///             has_windows: false,
    ///         }
    ///     }
    ///
    ///     fn fused_mut(&mut self) -> Option<&mut Activation> {
    ///         None
    ///     }
    ///
    ///     fn output(&self, input: Shape) -> Result<Shape, String> {
    ///         Ok(input)
    ///     }
    ///
    ///     fn build(&self, input: Shape, builder: &mut Builder<'_>) -> rarefy::Result<Box<dyn Layer>> {
    ///         builder.vector("scale", input.channels, self.start, Role::Scale)?;
    ///         Ok(Box::new(Scale { shape: input }))
    ///     }
    /// }
    ///
    /// struct Scale {
    ///     shape: Shape,
    /// }
    ///
    /// impl Layer for Scale {
    ///     fn input(&self) -> Shape {
    ///         self.shape
    ///     }
    ///
    ///     fn output(&self) -> Shape {
    ///         self.shape
    ///     }
    ///
    ///     fn forward(&self, _: &Pass, own: &[Parameter], x: &Tiles, y: &mut Tiles, _: &mut Workspace) {
    ///         let scale = own[0].weights.values();
    ///         // A row holds a feature of 64 samples; the channels of a position follow one another.
    ///         for (index, (y, x)) in y.rows_mut().iter_mut().zip(x.rows()).enumerate() {
    ///             y.0 = x.0.map(|x| scale[index % scale.len()] * x);
    ///         }
    ///     }
    ///
    ///     fn backward(
    ///         &self,
    ///         _: &Pass,
    ///         own: &[Parameter],
    ///         gradients: &mut [Gradient],
    ///         mut vjp: Vjp<'_>,
    ///         _: &mut Workspace,
    ///     ) {
    ///         let (scale, gradient) = (own[0].weights.values(), &mut gradients[0].values);
    ///         let channels = scale.len();
    ///         gradient.fill(0.0);
    ///         for (index, (x, dy)) in vjp.input.rows().iter().zip(vjp.gradient.rows()).enumerate() {
    ///             gradient[index % channels] += x.0.iter().zip(&dy.0).map(|(x, dy)| x * dy).sum::<f32>();
    ///         }
    ///         if let Some(dx) = &mut vjp.gradient_input {
    ///             for (index, (dx, dy)) in dx.rows_mut().iter_mut().zip(vjp.gradient.rows()).enumerate() {
    ///                 dx.0 = dy.0.map(|dy| scale[index % channels] * dy);
    ///             }
    ///         }
    ///         vjp.finish();
    ///     }
    /// }
    ///
    /// let scale = LayerSpec::custom(ScaleSpec { start: 2.0 });
    /// let spec = NetworkSpec::new(4, 3, &[LayerSpec::linear(8, Relu), scale, LayerSpec::linear(0, Identity)])?;
    /// Network::random(&spec, &SparsitySettings::default(), 1)?;
    ///
    /// let file = serde_json::to_string(&spec).unwrap();
    /// let mut read: NetworkSpec = serde_json::from_str(&file).unwrap();
    /// assert!(read.shapes().unwrap_err().starts_with("layer 2 (scale) on 8: \"scale\" is a kind of layer"));
    /// read.resolve(&LayerKinds::new().with::<ScaleSpec>("scale")).unwrap();
    /// assert_eq!(read, spec);
    /// # Ok::<(), rarefy::Error>(())
    /// ```
    pub fn custom<S>(spec: S) -> LayerSpec
    where
        S: Describe + Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        CustomSpec::new(spec).into()
    }
}
