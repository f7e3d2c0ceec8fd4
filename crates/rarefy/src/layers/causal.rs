//! Which layers look at later steps: those cannot predict what comes next, for they would be shown it.

use super::described::part_title;
use super::{Describe, LayerSpec, NetworkSpec};

impl NetworkSpec {
    /// The first layer whose output at a step depends on later steps, and what to do about it.
    pub fn looks_ahead(&self) -> Option<String> {
        looks_ahead(&self.layers)
    }
}

fn looks_ahead(layers: &[LayerSpec]) -> Option<String> {
    layers.iter().enumerate().find_map(|(position, layer)| {
        let title = format!("layer {} ({})", position + 1, layer.name());
        let within = layer.inner().into_iter().find_map(|(part, inner)| {
            looks_ahead(inner).map(|found| format!("{title}, in {}, {found}", part_title(&part)))
        });
        let cure = layer.properties().looks_ahead;
        within.or_else(|| cure.map(|cure| format!("{title} looks at later steps: {cure}")))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Inputs, NetworkSettings};
    use crate::tiles::Shape;

    #[test]
    fn layers_that_look_ahead_are_named_with_a_cure() {
        for (layer, expected) in [
            ("{layer = 'attention', heads = 2, causal = true}", None),
            ("{layer = 'lstm', hidden = 3}, {layer = 'rms-norm'}, {layer = 'linear', outputs = 4}", None),
            (
                "{layer = 'residual', body = [{layer = 'layer-norm'}, {layer = 'attention', heads = 2}]}",
                Some(
                    "layer 2 (residual), in its body, layer 2 (attention) looks at later steps: give it causal",
                ),
            ),
            (
                "{layer = 'gru', hidden = 3, bidirectional = true}",
                Some("layer 2 (gru) looks at later steps: leave bidirectional out"),
            ),
            ("{layer = 'conv1d', filters = 3, kernel = 3, padding = 'same'}", Some("layer 2 (conv1d) looks")),
            ("{layer = 'conv1d', filters = 3, kernel = 1}", None),
            ("{layer = 'group-norm', groups = 2}", Some("layer 2 (group-norm) looks")),
        ] {
            let text =
                format!("layers = [{{layer = 'embedding', channels = 4}}, {layer}, {{layer = 'linear'}}]");
            let settings: NetworkSettings = toml::from_str(&text).unwrap();
            let spec = settings.spec(Inputs::tokens(6, 9), Shape::sequence(6, 9)).unwrap();
            let found = spec.looks_ahead();
            match expected {
                None => assert_eq!(found, None),
                Some(words) => assert!(found.as_ref().is_some_and(|it| it.starts_with(words)), "{found:?}"),
            }
        }
    }
}
