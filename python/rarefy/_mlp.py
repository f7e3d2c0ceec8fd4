"""Multi-layer perceptrons as scikit-learn estimators."""

import json

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ._engine import Trainer, seed_of, thread_count, to_json
from ._rarefy import Model
from ._samples import rows_of

_DTYPES = (np.float32, np.float64)


class _SparseMLP(BaseEstimator):
    """What classifier and regressor share. Subclasses say what they predict."""

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        sparsity=0.9,
        method="rigl",
        penalty=None,
        lam=None,
        solver="adam",
        alpha=0.0,
        batch_size="auto",
        learning_rate_init=None,
        max_iter=50,
        random_state=None,
        verbose=False,
        warm_start=False,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        n_jobs=None,
        settings=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.sparsity = sparsity
        self.method = method
        self.penalty = penalty
        self.lam = lam
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_jobs = n_jobs
        self.settings = settings

    def fit(self, X, y, sample_weight=None):
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=_DTYPES, order="C", multi_output=True)
        samples = rows_of(X)
        self._add_targets(samples, y)
        if sample_weight is not None:
            samples.with_weights(_check_sample_weight(sample_weight, X, dtype=np.float32))
        trainer = Trainer(to_json(self._settings(X.shape[0])), samples)
        records = []
        trainer.train(lambda record, model: records.append(json.loads(record)))
        self._take(trainer.model())
        self.loss_curve_ = [record["train_loss"] for record in records]
        self.n_iter_ = len(records)
        return self

    def _settings(self, samples):
        hidden = np.atleast_1d(self.hidden_layer_sizes).astype(int).tolist()
        batch_size = None if self.batch_size == "auto" else min(self.batch_size, samples)
        return {
            "seed": seed_of(self.random_state),
            "threads": thread_count(self.n_jobs),
            "network": {"hidden": hidden, "activation": self.activation},
            "sparsity.density": round(1 - self.sparsity, 12),
            "topology.method": self.method,
            "optimizer.method": self.solver,
            "optimizer.learning_rate": self.learning_rate_init,
            "train.epochs": self.max_iter,
            "train.batch_size": batch_size,
            "data.validation_fraction": self.validation_fraction if self.early_stopping else 0.0,
            "data.test_fraction": 0.0,
            **(self.settings or {}),
        }

    def _take(self, model):
        model.set_threads(thread_count(self.n_jobs))
        self._model = model

    def _outputs(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_DTYPES, order="C", reset=False)
        return self._model.predict(rows_of(X))

    @property
    def coefs_(self):
        check_is_fitted(self)
        matrices = self._model.weights()
        return [scipy.sparse.csr_array((v, c, r), shape=s).T.tocsr() for _, s, r, c, v in matrices]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

    def __getstate__(self):
        state = super().__getstate__()
        if "_model" in state:
            state = {**state, "_model": state["_model"].to_bytes()}
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_model" in state:
            self._take(Model.from_bytes(state["_model"]))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class SparseMLPClassifier(ClassifierMixin, _SparseMLP):
    """A multi-layer perceptron that is sparse from the first step to the last."""

    def _add_targets(self, samples, y):
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y has one class; there must be two at least to tell apart")
        samples.with_classes(codes.astype(np.uint32), [str(name) for name in self.classes_])

    def predict_proba(self, X):
        return self._outputs(X)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class SparseMLPRegressor(RegressorMixin, _SparseMLP):
    """A multi-layer perceptron that is sparse from the first step to the last."""

    def _add_targets(self, samples, y):
        y = np.asarray(y, dtype=np.float64)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        samples.with_numbers(np.ascontiguousarray(y).ravel(), self.n_outputs_)

    def predict(self, X):
        outputs = self._outputs(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs
