//! A user's own layer trains as any other, its connections moved by a topology method, and is saved and opened by who knows
//! its kind; who does not is told its name.

use rarefy::kernels::{Activation, Product};
use rarefy::layers::{
    Builder, Describe, Gradient, Layer, LayerKinds, LayerSpec, Parameter, Pass, Properties, Vjp, WeightShape,
    Workspace,
};
use rarefy::tiles::{Row, Shape, Tiles};
use rarefy::train::{Control, Event, Model, Run, Settings};
use serde::{Deserialize, Serialize};

/// `y = factor W x`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MixSpec {
    outputs: usize,
    factor: f32,
}

impl Describe for MixSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "mix",
            looks_ahead: None,
            is_random: false,
            is_per_position: false,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        if input.positions() == 1 {
            Ok(Shape::flat(self.outputs))
        } else {
            Err("wants plain features".into())
        }
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> rarefy::Result<Box<dyn Layer>> {
        let shape = WeightShape::linear(self.outputs, input.channels, 1);
        builder.weight("weight", shape, Activation::Relu)?;
        Ok(Box::new(Mix { input, outputs: self.outputs, factor: self.factor }))
    }
}

struct Mix {
    input: Shape,
    outputs: usize,
    factor: f32,
}

impl Layer for Mix {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        Shape::flat(self.outputs)
    }

    fn forward(&self, _: &Pass, own: &[Parameter], x: &Tiles, y: &mut Tiles, _: &mut Workspace) {
        let weights = &own[0].weights;
        y.rows_mut().fill(Row::ZERO);
        for tile in 0..x.tiles() {
            for (cell, slot) in weights.connections() {
                let (row, col) = (cell / weights.cols(), cell % weights.cols());
                let weight = self.factor * weights.values()[slot];
                let lanes = y.tile_mut(tile)[row].0.iter_mut().zip(&x.tile(tile)[col].0);
                lanes.for_each(|(y, x)| *y += weight * x);
            }
        }
    }

    fn backward(
        &self,
        _: &Pass,
        own: &[Parameter],
        gradients: &mut [Gradient],
        mut vjp: Vjp<'_>,
        _: &mut Workspace,
    ) {
        let (weights, gradient) = (&own[0].weights, &mut gradients[0].values);
        gradient.fill(0.0);
        if let Some(dx) = &mut vjp.gradient_input {
            dx.rows_mut().fill(Row::ZERO);
        }
        for tile in 0..vjp.input.tiles() {
            for (cell, slot) in weights.connections() {
                let (row, col) = (cell / weights.cols(), cell % weights.cols());
                let (x, dy) = (&vjp.input.tile(tile)[col].0, &vjp.gradient.tile(tile)[row].0);
                gradient[slot] += self.factor * x.iter().zip(dy).map(|(x, dy)| x * dy).sum::<f32>();
                if let Some(dx) = &mut vjp.gradient_input {
                    let weight = self.factor * weights.values()[slot];
                    let lanes = dx.tile_mut(tile)[col].0.iter_mut().zip(dy);
                    lanes.for_each(|(dx, dy)| *dx += weight * dy);
                }
            }
        }
        vjp.finish();
    }

    fn product<'a>(&'a self, _: usize, x: &'a Tiles, dy: &'a Tiles, _: &'a Workspace) -> Product<'a> {
        Product::new(x, dy)
    }
}

fn settings(epochs: u64) -> Settings {
    let text = "threads = 1\n[sparsity]\ndensity = 0.3\n[topology]\nmethod = 'rigl'\n";
    let mut settings: Settings = toml::from_str(text).unwrap();
    settings.train.epochs = epochs;
    settings.network.layers = vec![
        LayerSpec::flatten(),
        LayerSpec::linear(32, Activation::Relu),
        LayerSpec::custom(MixSpec { outputs: 24, factor: 1.0 }),
        LayerSpec::elementwise(Activation::Gelu),
        LayerSpec::linear(0, Activation::Identity),
    ];
    settings
}

#[test]
fn it_trains_is_saved_and_opened_by_who_knows_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    Run::start(settings(20), Some(&run)).unwrap().train(&mut |_| Control::Continue).unwrap();

    let error = Model::open(&run).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("layer 3 (mix): \"mix\" is a kind of layer") && error.contains("are none"),
        "{error}"
    );
    let kinds = LayerKinds::new().with::<MixSpec>("mix");
    let model = Model::open_with(&run, &kinds).unwrap();
    let digits = rarefy::data::load(&Settings::default().data, 0).unwrap();
    let (score, _) = model.evaluate(&digits.test.unwrap());
    assert!(score.accuracy() > 0.85, "{}", score.accuracy());

    let file = folder.path().join("model.safetensors");
    model.save(&file).unwrap();
    let again = Model::open_with(&file, &kinds).unwrap();
    assert_eq!(Model::from_bytes_with(&again.to_bytes(), &kinds).unwrap().config, again.config);
    assert_eq!(again.to_bytes(), model.to_bytes());

    let other = LayerKinds::new().with::<MixSpec>("blend");
    let error = Model::open_with(&file, &other).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains(
            "layer 3 (mix): \"mix\" is a kind of layer of somebody's own, and known of these are blend"
        ),
        "{error}"
    );
}

#[test]
fn a_run_with_it_goes_on_where_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    Run::start(settings(2), Some(&whole)).unwrap().train(&mut |_| Control::Continue).unwrap();
    let mut steps = 0;
    let mut stop = |event: Event<'_>| {
        steps += u32::from(matches!(event, Event::Step { .. }));
        if steps == 3 { Control::Stop } else { Control::Continue }
    };
    Run::start(settings(2), Some(&stopped)).unwrap().train(&mut stop).unwrap();

    let error = Run::resume(&stopped, |_| {}).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("\"mix\" is a kind of layer"), "{error}");
    let kinds = LayerKinds::new().with::<MixSpec>("mix");
    let resolve = |settings: &mut Settings| settings.network.resolve(&kinds).unwrap();
    Run::resume(&stopped, resolve).unwrap().train(&mut |_| Control::Continue).unwrap();
    let [whole, stopped] = [whole, stopped].map(|run| std::fs::read(run.join("model.safetensors")).unwrap());
    assert!(whole == stopped);
}
