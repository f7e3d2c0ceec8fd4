//! How good a trainer's network is on a part of the data: told after each epoch, and at the end.

use std::ops::ControlFlow;

use super::evaluation::{Evaluation, scored};
use super::ranks::{Ranks, Wish};
use super::record::{Control, Event, Watch};
use super::trainer::Trainer;
use super::{Threshold, judging};
use crate::data::{Dataset, Task};
use crate::layers::Network;
use crate::metrics::{Metric, Metrics};

impl Trainer {
    /// How good a network's predictions for a data set are, in the trainer's threads: its loss, and those of the metrics `asked`
    /// for that fit, in the unit of the targets. The loss of a language model is the plain one. Of two classes the positive one is
    /// predicted above `train.threshold`, or one half where that is to be chosen.
    pub fn evaluate(&self, network: &Network, dataset: &Dataset, asked: &[Metric]) -> Evaluation {
        let threshold = Threshold::At(self.decision.threshold);
        let go_on = &mut |_| ControlFlow::Continue(());
        let whole = self.evaluate_by(network, (dataset, None), asked, threshold, go_on);
        whole.expect("nobody stops it")
    }

    /// How good the predictions of a network for the validation part are, by what tells which epoch is better and what is shown of
    /// it; where a threshold is to be chosen, with that.
    pub(super) fn validate(&self, network: &Network, validation: &Dataset) -> Evaluation {
        let whole = self.validate_by(network, (validation, None), &mut |_| ControlFlow::Continue(()));
        whole.expect("nobody stops it")
    }

    /// The same by all ranks together; `None` if `watch`, which is told of each batch, asks to stop. Of several ranks none stops before
    /// the next step, when all do.
    pub(super) fn validate_while(
        &self,
        network: &Network,
        validation: &Dataset,
        watch: &mut Watch<'_>,
    ) -> Option<Evaluation> {
        let ranks = &self.engine.ranks;
        let mut go_on = |samples| match watch(Event::Validation { samples }) {
            Control::Continue => ControlFlow::Continue(()),
            Control::Stop if ranks.is_alone() => ControlFlow::Break(()),
            Control::Stop => {
                ranks.wish(Wish::Stop, true);
                ControlFlow::Continue(())
            }
        };
        self.validate_by(network, (validation, Some(ranks)), &mut go_on)
    }

    fn validate_by(
        &self,
        network: &Network,
        validation: (&Dataset, Option<&Ranks>),
        go_on: &mut (dyn FnMut(usize) -> ControlFlow<()> + Send + '_),
    ) -> Option<Evaluation> {
        let asked: Vec<Metric> =
            self.settings.train.metric.into_iter().chain(self.shown_metrics().iter().copied()).collect();
        let threshold = self.settings.train.threshold;
        let threshold = threshold.unwrap_or(Threshold::At(self.decision.threshold));
        self.evaluate_by(network, validation, &asked, threshold, go_on)
    }

    /// What is shown of each epoch besides loss and accuracy.
    pub(super) fn shown_metrics(&self) -> &'static [Metric] {
        let is_regression = self.splits.preparation.task == Task::Regression;
        if is_regression { &[Metric::R2, Metric::Rmse] } else { &[] }
    }

    pub(super) fn evaluate_by(
        &self,
        network: &Network,
        (dataset, ranks): (&Dataset, Option<&Ranks>),
        asked: &[Metric],
        threshold: Threshold,
        go_on: &mut (dyn FnMut(usize) -> ControlFlow<()> + Send + '_),
    ) -> Option<Evaluation> {
        let mut meaning = judging::meaning(&self.splits, &self.loss, self.decision);
        let keeps = !asked.is_empty() || matches!(threshold, Threshold::Best(_));
        self.in_pool(|| {
            let head = keeps.then_some(meaning.head);
            let loss = &self.evaluation_loss;
            let (score, scores) = scored(network, self.isa(), loss, (dataset, ranks), head, go_on)?;
            meaning.decision.threshold = match threshold {
                Threshold::At(threshold) => threshold,
                Threshold::Best(metric) => meaning.best_threshold(metric, dataset, &scores),
            };
            let decision = meaning.decision;
            if !keeps {
                let metrics = Metrics::default();
                return Some(Evaluation { score, metrics, decision, never_predicted: Vec::new() });
            }
            let answers = meaning.answers(dataset, &scores, &score);
            let (metrics, never_predicted) = (Metrics::of(&answers, asked), answers.never_predicted());
            Some(Evaluation { score, metrics, decision, never_predicted })
        })
    }
}
