//! Which choices do not go together: a table of what they do. A new method is refused where it must be by what it says of
//! itself; a new reason is a row.

use super::Settings;
use crate::distributed::ExchangeMethod;
use crate::error::{Error, Result};
use crate::layers::Precision;
use crate::names::{Named, one_of};
use crate::optimizers::{self, Optimizer, ScheduleMethod, Traits, UpdateRule};
use crate::penalties::{
    self, ConstraintMethod, GroupBy, Penalty, PenaltyForm, PenaltyMethod, PenaltySettings, Regularizer,
};
use crate::topology::{self, Forward, Scope, Topology, TopologySettings, When};

/// What a choice does, as far as other choices care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    /// The optimizer's model is an average of the trained values.
    Averages,
    /// The optimizer tries each step out by the loss after it.
    Searches,
    /// The optimizer's step has the L1 penalty in it.
    IsBregman,
    /// The optimizer looks at more than each weight and its gradient.
    LooksFurther,
    /// Weights decay.
    Decays,
    /// The norm of all gradients is bounded.
    ClipsNorm,
    /// Each gradient is bounded.
    ClipsValues,
    /// The learning rate follows a schedule that is not constant.
    FollowsSchedule,
    /// The learning rate rises at the start.
    WarmsUp,
    /// Several micro-batches make a step.
    Accumulates,
    /// Products read weights that are rounded.
    ReadsBf16,
    /// There is a penalty.
    Penalises,
    /// A proximal step makes zeros.
    ShrinksToZero,
    /// There is no such step.
    MakesNoZeros,
    /// The penalty's subgradient is added to the gradient.
    AddsSubgradient,
    /// The penalty is not plain L1 by its proximal step.
    IsNotL1,
    /// A proximal step shrinks weights one by one, by another rule than L1's.
    ShrinksSingly,
    /// The penalty empties neurons.
    EmptiesNeurons,
    /// Passes compute with thresholds or gates.
    HasThresholdsOrGates,
    /// There is a constraint.
    Constrains,
    /// A constraint binds all layers together.
    ConstrainsAll,
    /// The topology method changes which connections there are.
    MovesConnections,
    /// A forward pass uses the largest connections only.
    UsesTheLargest,
    /// Connections are shared out over layers by their weights.
    SharesByWeights,
    /// A target is set.
    HasTarget,
    /// A target moves a penalty's strength.
    SteersLambda,
    /// The target counts a connection of one layer more than one of another.
    CountsByLayer,
    /// The penalty's strength goes through a path of lambdas.
    FollowsPath,
    /// Connections come and go in row blocks.
    HasBlocks,
    /// Workers take steps of their own, and weights are averaged.
    AveragesWorkers,
    /// Gradients move weights one step late.
    StepsLate,
    /// Gradients move weights as they come.
    IsUnordered,
}

use Fact::*;

/// `this` does not go with `other`, because; the error stands at the setting that has `this`.
type Row = (Fact, Fact, &'static str);

/// The first row that applies is the one that is told.
#[rustfmt::skip]
const ROWS: [Row; 50] = [
    (LooksFurther,     UsesTheLargest,       "it looks at more than gradients, which are those of other weights"),
    (LooksFurther,     HasThresholdsOrGates, "it looks at more than gradients, which are those of other weights"),
    (Penalises,        UsesTheLargest,       "that has a penalty of its own"),
    (Constrains,       UsesTheLargest,       "that has a penalty of its own"),
    (Constrains,       HasThresholdsOrGates, "it would act on weights that the network does not use as they are"),
    (MovesConnections, HasThresholdsOrGates, "thresholds and gates decide which connections stay"),
    (MakesNoZeros,     FollowsPath,          "a path needs one with a proximal step, which makes zeros"),
    (HasTarget,        FollowsPath,          "it steers lambda, and a path fixes it"),
    (MovesConnections, FollowsPath,          "the penalty decides there which connections stay"),
    (IsBregman,        FollowsPath,          "it grows the network at one lambda"),
    (Constrains,       HasTarget,            "it fixes the weights' size by itself and leaves nothing to steer"),
    (AddsSubgradient,  HasTarget,            "it makes no exact zeros to count"),
    (SharesByWeights,  CountsByLayer,        "it shares connections out by their weights, which are not known before, and layers differ in what a connection costs"),
    (MovesConnections, SteersLambda,         "the penalty decides there which connections stay"),
    (ShrinksToZero,    Averages,             "an average has no zeros"),
    (Constrains,       Averages,             "an average need not satisfy it"),
    (AddsSubgradient,  Searches,             "it is no part of the loss that the line search looks at"),
    (IsNotL1,          IsBregman,            "L1 is what its step is made of"),
    (MovesConnections, IsBregman,            "it grows the network by itself"),
    (Searches,         Accumulates,          "a line search goes over the step's batch again, of which the last micro-batch alone is there"),
    (Decays,           Searches,             "decay is no part of the loss that the line search looks at"),
    (Decays,           IsBregman,            "its penalty is L1"),
    (ClipsNorm,        Searches,             "the line search bounds the step by itself"),
    (ClipsValues,      Searches,             "the line search bounds the step by itself"),
    (FollowsSchedule,  Searches,             "the line search finds each step by itself"),
    (FollowsSchedule,  Averages,             "the average takes a schedule's place"),
    (WarmsUp,          Searches,             "the line search finds each step by itself"),
    (HasBlocks,        ShrinksSingly,        "it pulls weights to zero one by one, and a block leaves as a whole"),
    (HasBlocks,        EmptiesNeurons,       "a neuron leaves with its block"),
    (HasBlocks,        HasThresholdsOrGates, "they leave connections out one by one, and a block leaves as a whole"),
    (HasBlocks,        IsBregman,            "it grows the network connection by connection"),
    (HasBlocks,        FollowsPath,          "a path takes connections out one by one"),
    (HasBlocks,        ConstrainsAll,        "it compares weights of all layers, and a block is worth more than one"),
    (AveragesWorkers,  LooksFurther,         "that looks at more than gradients, and each worker would find something else"),
    (AveragesWorkers,  Penalises,            "workers make zeros in different places, and averages fill them again"),
    (AveragesWorkers,  Constrains,           "an average need not satisfy it"),
    (AveragesWorkers,  HasTarget,            "it looks at the weights after each step, which are different for each worker"),
    (AveragesWorkers,  UsesTheLargest,       "the largest are different for each worker"),
    (AveragesWorkers,  Accumulates,          "a worker's step is of one batch"),
    (StepsLate,        LooksFurther,         "that looks at more than gradients, and these are of the weights before"),
    (StepsLate,        UsesTheLargest,       "gradients would be of others than the largest"),
    (StepsLate,        HasThresholdsOrGates, "gradients would be of thresholds and gates before"),
    (IsUnordered,      LooksFurther,         "that looks at more than gradients, and these are of weights some steps before"),
    (IsUnordered,      Penalises,            "whether zeros stay where gradients come late has not been tried"),
    (IsUnordered,      Constrains,           "whether it is met where gradients come late has not been tried"),
    (IsUnordered,      HasTarget,            "it looks at the weights after each step, and steps come in no order"),
    (IsUnordered,      UsesTheLargest,       "gradients would be of others than the largest"),
    (IsUnordered,      Accumulates,          "a worker's step is of one batch"),
    (IsUnordered,      ReadsBf16,            "a worker's passes read the weights as it finds them"),
    (IsUnordered,      FollowsPath,          "each step of a path goes on from the one before"),
];

/// Parts of a caller's own, which stand where the settings' methods do.
#[derive(Clone, Copy, Default)]
pub(in crate::train) struct Own<'a> {
    pub(in crate::train) optimizer: Option<&'a Optimizer>,
    pub(in crate::train) topology: Option<&'a Topology>,
    pub(in crate::train) penalty: Option<&'a Regularizer>,
}

impl Own<'_> {
    /// Whether the part at a key is the caller's.
    fn is_at(&self, key: &str) -> bool {
        match key {
            "optimizer.method" => self.optimizer.is_some(),
            "topology.method" | "topology.scope" => self.topology.is_some(),
            "penalty.method" => self.penalty.is_some(),
            _ => false,
        }
    }
}

/// Where choices are made.
#[derive(Clone, Copy)]
struct Choices<'a> {
    settings: &'a Settings,
    own: Own<'a>,
    follows_path: bool,
}

/// Refuses choices that do not go together.
///
/// # Errors
/// [`Error::Setting`] with the first pair, why it does not go, and what would.
pub(in crate::train) fn check(settings: &Settings, own: Own<'_>, follows_path: bool) -> Result<()> {
    let choices = Choices { settings, own, follows_path };
    let facts = facts(choices);
    let clash = ROWS.into_iter().find(|(this, other, _)| facts.contains(this) && facts.contains(other));
    let Some((this, other, because)) = clash else { return Ok(()) };
    let key = this.key();
    let cure = cure(choices, key).map_or(String::new(), |cure| format!("; {cure}"));
    let (name, other) = (name_at(choices, key), other.described(choices));
    Err(Error::setting(key, format!("{name} does not go with {other}: {because}{cure}")))
}

/// All that the chosen methods do; of their numbers it plays a part which are 0.
fn facts(choices: Choices<'_>) -> Vec<Fact> {
    let Choices { settings, own, follows_path } = choices;
    let traits = own.optimizer.map_or(settings.optimizer.method().traits(), UpdateRule::traits);
    let named = PenaltySettings { method: settings.penalty.method, ..Default::default() };
    let named = named.build().expect("defaults are in range");
    let penalty = own.penalty.or(named.as_ref());
    let named = TopologySettings { method: settings.topology.method, ..Default::default() };
    let named = Topology {
        scope: settings.topology.scope.unwrap_or_default(),
        ..named.build().expect("defaults are in range")
    };
    let topology = own.topology.unwrap_or(&named);
    let (is_l1, is_proximal) = match penalty {
        Some(Regularizer::Prox(Penalty { form, .. })) => (matches!(form, PenaltyForm::L1(_)), true),
        Some(Regularizer::Groups(..)) => (false, true),
        _ => (false, false),
    };
    let (target, exchange) = (&settings.target, settings.distributed.exchange);
    let all = [
        (Averages, traits.average.is_some()),
        (Searches, traits.searches()),
        (IsBregman, traits.is_bregman),
        (LooksFurther, traits != Traits::PLAIN),
        (Penalises, penalty.is_some()),
        (ShrinksToZero, is_proximal),
        (MakesNoZeros, !is_proximal),
        (AddsSubgradient, matches!(penalty, Some(Regularizer::Subgradient(_)))),
        (IsNotL1, !is_l1),
        (ShrinksSingly, matches!(penalty, Some(Regularizer::Prox(_))) && !is_l1),
        (EmptiesNeurons, matches!(penalty, Some(Regularizer::Groups(_, GroupBy::Neurons)))),
        (HasThresholdsOrGates, penalty.is_some_and(Regularizer::is_effective)),
        (Constrains, settings.constraint.method != ConstraintMethod::None),
        (ConstrainsAll, settings.constraint.scope == Some(penalties::Scope::Global)),
        (MovesConnections, topology.when != When::Never),
        (UsesTheLargest, matches!(topology.forward, Forward::Largest { .. })),
        (SharesByWeights, topology.scope == Scope::Global),
        (HasTarget, target.is_set()),
        (SteersLambda, target.is_set() && penalty.is_some()),
        (CountsByLayer, target.bytes.is_some() || target.flops.is_some()),
        (FollowsPath, follows_path),
        (HasBlocks, settings.sparsity.block.has_blocks()),
        (Decays, own.optimizer.is_none() && settings.optimizer.weight_decay() > 0.0),
        (ClipsNorm, settings.optimizer.clip_norm.is_some()),
        (ClipsValues, settings.optimizer.clip_value.is_some()),
        (FollowsSchedule, settings.schedule.method.is_some_and(|it| it != ScheduleMethod::Constant)),
        (WarmsUp, settings.schedule.warmup.is_some_and(|share| share > 0.0)),
        (Accumulates, settings.train.accumulate > 1),
        (ReadsBf16, settings.train.precision == Precision::Bf16),
        (AveragesWorkers, matches!(exchange, ExchangeMethod::Local | ExchangeMethod::Wasap)),
        (StepsLate, exchange == ExchangeMethod::Stale),
        (IsUnordered, !exchange.is_reproducible()),
    ];
    all.into_iter().filter(|(_, is_so)| *is_so).map(|(fact, _)| fact).collect()
}

impl Fact {
    /// The setting that has it.
    fn key(self) -> &'static str {
        match self {
            Averages | Searches | IsBregman | LooksFurther => "optimizer.method",
            Penalises | ShrinksToZero | MakesNoZeros | AddsSubgradient | IsNotL1 | ShrinksSingly
            | EmptiesNeurons | HasThresholdsOrGates => "penalty.method",
            Constrains => "constraint.method",
            ConstrainsAll => "constraint.scope",
            MovesConnections | UsesTheLargest => "topology.method",
            SharesByWeights => "topology.scope",
            HasTarget | SteersLambda | CountsByLayer => "target",
            FollowsPath => "path",
            Decays => "optimizer.weight_decay",
            ClipsNorm => "optimizer.clip_norm",
            ClipsValues => "optimizer.clip_value",
            FollowsSchedule => "schedule.method",
            WarmsUp => "schedule.warmup",
            Accumulates => "train.accumulate",
            ReadsBf16 => "train.precision",
            HasBlocks => "sparsity.block",
            AveragesWorkers | StepsLate | IsUnordered => "distributed.exchange",
        }
    }

    /// What another setting does not go with.
    fn described(self, choices: Choices<'_>) -> String {
        let settings = choices.settings;
        match self {
            Accumulates => format!("train.accumulate = {}", settings.train.accumulate),
            ReadsBf16 => "train.precision = \"bf16\"".into(),
            _ if choices.own.is_at(self.key()) => format!("the {} that was given", part_at(self.key())),
            FollowsPath => "a path of lambdas".into(),
            SteersLambda => "a penalty that a target steers".into(),
            HasTarget => "a target".into(),
            CountsByLayer if settings.target.bytes.is_some() => "target.bytes".into(),
            CountsByLayer => "target.flops".into(),
            _ => format!("{} = {}", self.key(), name_at(choices, self.key())),
        }
    }
}

/// What a key chooses.
fn part_at(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

/// The name chosen at a key.
fn name_at(choices: Choices<'_>, key: &str) -> String {
    let settings = choices.settings;
    if choices.own.is_at(key) {
        return "the one that was given".into();
    }
    let name = match key {
        "schedule.method" => settings.schedule.method.map_or("none", ScheduleMethod::name),
        "optimizer.method" => settings.optimizer.method().name(),
        "penalty.method" => settings.penalty.method.name(),
        "constraint.method" => settings.constraint.method.name(),
        "constraint.scope" => settings.constraint.scope.unwrap_or_default().name(),
        "topology.method" => settings.topology.method.name(),
        "topology.scope" => settings.topology.scope.unwrap_or_default().name(),
        "distributed.exchange" => settings.distributed.exchange.name(),
        _ => return "this".into(),
    };
    format!("\"{name}\"")
}

/// What would do at a key: the choices that go with all other settings, or nothing; `None` if there is nothing to say.
fn cure(choices: Choices<'_>, key: &str) -> Option<String> {
    if choices.own.is_at(key) {
        return None;
    }
    fn list<K: Named>(goes: impl Fn(K) -> bool) -> Option<String> {
        let names: Vec<K> = K::ALL.iter().copied().filter(|&kind| goes(kind)).collect();
        (!names.is_empty()).then(|| format!("use {}", one_of(names)))
    }
    let goes = |change: &dyn Fn(&mut Settings)| {
        let mut changed = choices.settings.clone();
        change(&mut changed);
        let facts = facts(Choices { settings: &changed, ..choices });
        let of_key = ROWS.iter().filter(|(this, ..)| this.key() == key);
        !of_key.into_iter().any(|(this, other, _)| facts.contains(this) && facts.contains(other))
    };
    match key {
        "optimizer.method" => list(|method: optimizers::Method| {
            goes(&|it| (it.optimizer.method, it.optimizer.learning_rate) = (method, None))
        }),
        "penalty.method" => list(|method: PenaltyMethod| goes(&|it| it.penalty.method = method)),
        "constraint.method" => list(|method: ConstraintMethod| goes(&|it| it.constraint.method = method)),
        "topology.method" => list(|method: topology::Method| goes(&|it| it.topology.method = method)),
        "schedule.method" => list(|method: ScheduleMethod| goes(&|it| it.schedule.method = Some(method))),
        "topology.scope" => list(|scope: Scope| goes(&|it| it.topology.scope = Some(scope))),
        "distributed.exchange" => list(|kind: ExchangeMethod| goes(&|it| it.distributed.exchange = kind)),
        "path" => None,
        _ => Some("leave it out".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::TargetSettings;
    use crate::optimizers::Method;

    fn settings(
        optimizer: Method,
        penalty: PenaltyMethod,
        constraint: ConstraintMethod,
        topology: topology::Method,
        target: TargetSettings,
    ) -> Settings {
        let mut settings = Settings { target, ..Settings::default() };
        settings.optimizer.method = optimizer;
        settings.penalty.method = penalty;
        settings.constraint.method = constraint;
        settings.topology.method = topology;
        settings
    }

    /// The rule book of version 0.1, pair by pair, by the names of methods.
    fn goes(optimizer: &str, penalty: &str, constraint: &str, topology: &str, target: bool) -> bool {
        let is = |name: &str, names: &str| names.split(' ').any(|other| other == name);
        let is_effective = topology == "top-kast" || is(penalty, "str l0-gates");
        let average = is(optimizer, "schedule-free-sgd schedule-free-adamw");
        let search = is(optimizer, "armijo barzilai-borwein");
        let bregman = is(optimizer, "linbreg adabreg");
        let proximal = is(penalty, "l1 elastic-net mcp l-half group-neurons group-inputs");
        let constrains = constraint != "none";
        let refused = is_effective && (average || search || bregman || optimizer == "prodigy")
            || topology == "top-kast" && (penalty != "none" || constrains)
            || is(penalty, "str l0-gates") && (constrains || topology != "static")
            || average && (proximal || constrains)
            || search && penalty == "l1-subgradient"
            || bregman && (penalty != "l1" || topology != "static")
            || target
                && (constrains || penalty == "l1-subgradient" || penalty != "none" && topology != "static");
        !refused
    }

    #[test]
    fn every_combination_is_refused_or_not_as_the_rules_say() {
        let (mut refused, mut let_through) = (0, 0);
        for optimizer in Method::ALL {
            for penalty in PenaltyMethod::ALL {
                for constraint in ConstraintMethod::ALL {
                    for topology in topology::Method::ALL {
                        for nnz in [None, Some(100)] {
                            let target = TargetSettings { nnz, ..Default::default() };
                            let settings = settings(optimizer, penalty, constraint, topology, target);
                            let expected = goes(
                                optimizer.name(),
                                penalty.name(),
                                constraint.name(),
                                topology.name(),
                                nnz.is_some(),
                            );
                            let result = check(&settings, Own::default(), false);
                            let case = format!("{optimizer} {penalty} {constraint} {topology} {nnz:?}");
                            assert_eq!(result.is_ok(), expected, "{case}: {result:?}");
                            refused += usize::from(result.is_err());
                            let_through += usize::from(result.is_ok());
                        }
                    }
                }
            }
        }
        assert!(refused > 5000 && let_through > 500, "{refused} {let_through}");
    }

    /// What a message offers is taken, at least where nothing else is wrong at that setting.
    #[test]
    fn a_message_says_what_why_and_what_would_do() {
        let none = TargetSettings::default();
        let nnz = TargetSettings { nnz: Some(100), ..Default::default() };
        use ConstraintMethod::{NonNegative, None as Free, TopK};
        use PenaltyMethod::{L0Gates, L1, L1Subgradient, Mcp, None as Plain, Str};
        use topology::Method::{Rigl, Static, TopKast};
        #[rustfmt::skip]
        let cases = [
            (settings(Method::Prodigy, Str, Free, Static, none.clone()),
             "optimizer.method: \"prodigy\" does not go with penalty.method = \"str\": it looks at more than gradients, which are those of other weights; use \"sgd\", \"adam\", \"adamw\", \"rmsprop\" or \"adagrad\""),
            (settings(Method::Adam, L1, Free, TopKast, none.clone()),
             "penalty.method: \"l1\" does not go with topology.method = \"top-kast\": that has a penalty of its own; use \"none\""),
            (settings(Method::Adam, L0Gates, Free, Rigl, none.clone()),
             "topology.method: \"rigl\" does not go with penalty.method = \"l0-gates\": thresholds and gates decide which connections stay; use \"static\""),
            (settings(Method::Adam, Plain, TopK, Static, nnz.clone()),
             "constraint.method: \"top-k\" does not go with a target: it fixes the weights' size by itself and leaves nothing to steer; use \"none\""),
            (settings(Method::Adam, L1Subgradient, Free, Static, nnz.clone()),
             "penalty.method: \"l1-subgradient\" does not go with a target: it makes no exact zeros to count; use \"none\", \"l1\", \"elastic-net\", \"group-neurons\", \"group-inputs\", \"mcp\", \"l-half\", \"str\" or \"l0-gates\""),
            (settings(Method::Adam, L1, Free, Rigl, nnz.clone()),
             "topology.method: \"rigl\" does not go with a penalty that a target steers: the penalty decides there which connections stay; use \"static\""),
            (settings(Method::ScheduleFreeSgd, Plain, NonNegative, Rigl, none.clone()),
             "constraint.method: \"non-negative\" does not go with optimizer.method = \"schedule-free-sgd\": an average need not satisfy it; use \"none\""),
            (settings(Method::Linbreg, Mcp, Free, Static, none.clone()),
             "penalty.method: \"mcp\" does not go with optimizer.method = \"linbreg\": L1 is what its step is made of; use \"l1\""),
            (settings(Method::Adabreg, L1, Free, Rigl, none.clone()),
             "topology.method: \"rigl\" does not go with optimizer.method = \"adabreg\": it grows the network by itself; use \"static\""),
        ];
        for (settings, words) in cases {
            assert_eq!(check(&settings, Own::default(), false).unwrap_err().to_string(), words);
        }
        let path = settings(Method::Adam, L1, Free, Static, nnz);
        let words = "target: this does not go with a path of lambdas: it steers lambda, and a path fixes it; leave it out";
        assert_eq!(check(&path, Own::default(), true).unwrap_err().to_string(), words);
        let mut scope = settings(Method::Adam, Plain, Free, topology::Method::Gmp, none);
        scope.topology.scope = Some(Scope::Global);
        scope.target.bytes = Some(1000);
        let error = check(&scope, Own::default(), false).unwrap_err().to_string();
        assert!(error.starts_with("topology.scope: \"global\" does not go with target.bytes: "), "{error}");
        assert!(error.ends_with("; use \"layer\""), "{error}");
    }

    #[test]
    fn numbers_of_settings_and_parts_of_ones_own_are_in_the_table() {
        let armijo = "optimizer.method = \"armijo\"";
        for (text, message) in [
            ("method = 'armijo'\nclip_norm = 1.0", format!("optimizer.clip_norm: this does not go with {armijo}: the line search bounds the step by itself; leave it out")),
            ("method = 'armijo'\nclip_value = 1.0", format!("optimizer.clip_value: this does not go with {armijo}: ")),
            ("method = 'armijo'\nweight_decay = 0.1", format!("optimizer.weight_decay: this does not go with {armijo}: decay is no part")),
            ("method = 'adabreg'\nweight_decay = 0.1\n[penalty]\nmethod = 'l1'\n[topology]\nmethod = 'static'", "optimizer.weight_decay: this does not go with optimizer.method = \"adabreg\": its penalty is L1".into()),
            ("method = 'armijo'\n[schedule]\nwarmup = 0.1", format!("schedule.warmup: this does not go with {armijo}: ")),
            ("method = 'armijo'\n[schedule]\nmethod = 'linear'", format!("schedule.method: \"linear\" does not go with {armijo}: the line search finds each step by itself; use \"constant\"")),
            ("method = 'prodigy'\n[distributed]\nexchange = 'stale'", "distributed.exchange: \"stale\" does not go with optimizer.method = \"prodigy\": that looks at more than gradients, and these are of the weights before; use \"exact\"".into()),
            ("method = 'adam'\n[distributed]\nexchange = 'local'\n[penalty]\nmethod = 'l1'", "distributed.exchange: \"local\" does not go with penalty.method = \"l1\": workers make zeros in different places, and averages fill them again; use \"exact\" or \"stale\"".into()),
            ("method = 'adam'\n[distributed]\nexchange = 'local'\n[train]\naccumulate = 2", "distributed.exchange: \"local\" does not go with train.accumulate = 2: ".into()),
            ("method = 'adam'\n[distributed]\nexchange = 'server'\n[penalty]\nmethod = 'l1'", "distributed.exchange: \"server\" does not go with penalty.method = \"l1\": whether zeros stay where gradients come late has not been tried; use \"exact\" or \"stale\"".into()),
            ("method = 'prodigy'\n[distributed]\nexchange = 'wasap'", "distributed.exchange: \"wasap\" does not go with optimizer.method = \"prodigy\": ".into()),
            ("method = 'armijo'\n[train]\naccumulate = 2", "optimizer.method: \"armijo\" does not go with train.accumulate = 2: ".into()),
        ] {
            let settings: Settings = toml::from_str(&format!("[optimizer]\n{text}")).unwrap();
            let error = check(&settings, Own::default(), false).unwrap_err().to_string();
            assert!(error.starts_with(&message), "{text}: {error}");
        }
        let thresholds = PenaltySettings { method: PenaltyMethod::Str, ..Default::default() };
        let thresholds = thresholds.build().unwrap();
        let own = Own { penalty: thresholds.as_ref(), ..Own::default() };
        let error = check(&Settings::default(), own, false).unwrap_err().to_string();
        assert_eq!(
            error,
            "topology.method: \"rigl\" does not go with the penalty that was given: thresholds and gates decide which connections stay; use \"static\""
        );
        let searching = optimizers::OptimizerSettings { method: Method::Armijo, ..Default::default() };
        let searching = searching.build().unwrap();
        let own = Own { optimizer: Some(&searching), ..Own::default() };
        let clipped: Settings = toml::from_str("optimizer.clip_norm = 1.0").unwrap();
        let error = check(&clipped, own, false).unwrap_err().to_string();
        assert!(
            error.starts_with("optimizer.clip_norm: this does not go with the optimizer that was given"),
            "{error}"
        );
    }
}
