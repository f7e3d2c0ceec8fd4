"""What all estimators of networks share: fitting, going on, predicting, pickling, and what there is to see afterwards.

A subclass has the parameters in its constructor, says what network they ask for (``_network_settings``), and takes
what it predicts from `_targets`.
"""

import json
import sys
import warnings
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import scipy.sparse
from sklearn.base import is_regressor
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._callbacks import raise_failure
from ._engine import to_json
from ._predicting import Predicting, all_or_nothing
from ._progress import Progress
from ._rarefy import Model, Trainer
from ._repr import network_html
from ._settings import named_by_parameters, settings_of
from ._sklearn_callbacks import CallbackSupportMixin, FitTasks, with_callbacks

# Parameters that make a network: training that goes on cannot change them.
_STRUCTURE = ("hidden_layer_sizes", "network", "width", "depth", "activation", "sparsity", "allocation", "block")

# What is in the compiled part, and what is made anew from it.
_MODEL, _TRAINER = "_model", "_trainer"


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkEstimator(CallbackSupportMixin, Predicting):
    """What all estimators of networks share: their parameters too, of which `_parameters` says what they mean."""

    sparsity: float | str = "auto"
    method: str = "auto"
    allocation: str = "erk"
    block: int | str = 1
    target: float | dict | None = None
    penalty: str | None = None
    lam: float | None = None
    solver: str = "adam"
    alpha: float = 0.0
    batch_size: int | str = "auto"
    learning_rate_init: float | str | None = None
    schedule: str | None = None
    momentum: float = 0.0
    nesterovs_momentum: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float | None = None
    dropout: float = 0.0
    clip_norm: float | None = None
    max_iter: int = 100
    tol: float = 0.0
    n_iter_no_change: int = 10
    early_stopping: bool = False
    validation_fraction: float = 0.1
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = None
    verbose: bool = False
    callbacks: list | None = None
    settings: dict | None = None

    # Words that the library knows are left to it: it says which one may have been meant.
    _parameter_constraints = {
        "sparsity": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"}), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "settings": [dict, None],
    }

    @with_callbacks
    @all_or_nothing
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train a network.

        Ctrl-C ends training early, with a warning; the estimator is then fitted as far as it came.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples. A float32 array in C order is read where it lies, one of float64 on the way to the only
            copy: do not write to it meanwhile. Sparse ones stay sparse.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            What is to be predicted.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts: 2 as if it stood twice, 0 as if it were not there.
        X_val, y_val, sample_weight_val : default=None
            A validation part, looked at after each epoch, in place of one that ``early_stopping`` splits off. The
            best epoch's network is kept.

        Returns
        -------
        self : estimator
        """
        self._validate_params()
        start = self._to_go_on_with() if self.warm_start else None
        train = self._samples(X, y, sample_weight, reset=start is None)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val: go together; give both or none")
        validation = None
        if X_val is not None:
            validation = self._samples(X_val, y_val, sample_weight_val, reset=False)
        how = "given" if validation is not None else "split" if self.early_stopping else None
        settings = settings_of(self, validation=how) | self._target_settings(how is not None)
        trainer = self._trainer_on(train, validation, start, settings)
        self.__dict__.pop(_TRAINER, None)
        self._train(trainer, None, FitTasks(self, self.max_iter, X, y, sample_weight))
        return self

    def _partial_fit(self, X, y, sample_weight, knows_targets=None):
        self._validate_params()
        start = self._to_go_on_with()
        train = self._samples(X, y, sample_weight, reset=start is None, knows_targets=knows_targets)
        trainer = self.__dict__.get(_TRAINER)
        if trainer is None:
            settings = settings_of(self, validation=None, incremental=True) | self._target_settings(False)
            trainer = self._trainer_on(train, None, start, settings)
        else:
            trainer.set_data(train)
        self._train(trainer, 1, None)
        setattr(self, _TRAINER, trainer)
        return self

    def _to_go_on_with(self):
        """The model that there is, if any; its network is still the one that the parameters ask for."""
        if not self.__sklearn_is_fitted__():
            return None
        now = self._structure()
        changed = [name for name, value in getattr(self, "_built", now).items() if now[name] != value]
        if changed:
            raise ValueError(
                f"{changed[0]}: was {self._built[changed[0]]} when the network was made that this would go on with; "
                "fit without warm_start for another one"
            )
        return self._model

    def _structure(self):
        """The parameters that say what network there is."""
        return {name: to_json(getattr(self, name)) for name in _STRUCTURE if hasattr(self, name)}

    def _trainer_on(self, train, validation, start, settings):
        settings |= self._network_settings() | (self.settings or {})
        batch_size = None if self.batch_size == "auto" else self.batch_size
        with named_by_parameters():
            trainer = Trainer(to_json(settings), train, validation, start, (self.alpha or None, batch_size))
        most = trainer.training_samples()
        if batch_size is not None and batch_size > most:
            _warn(f"batch_size: {batch_size} is more than the {most} samples to train on, which are a batch then")
        note = trainer.note_on_density()
        if note is not None:
            _warn(f"sparsity: {note}")
        if self.verbose:
            for note in trainer.notes():
                print(f"[{type(self).__name__}] {note}")
        if start is None:
            self._records, self.t_, self._built = [], 0, self._structure()
        return trainer

    def _train(self, trainer, epochs, tasks):
        """Trains, and takes what came of it."""
        listeners = list(self.callbacks or ())
        if self.verbose:
            listeners.insert(0, Progress(type(self).__name__, self.max_iter if epochs is None else None))
        lends_models = tasks is not None and tasks.is_heard
        before = len(self._records)

        def listen(text, model):
            record = json.loads(text)
            stops = [bool(listener(record)) for listener in listeners]
            if model is not None:
                stops.append(tasks.end_epoch({_MODEL: model}))
            return any(stops)

        is_heard = listeners or lends_models
        try:
            with named_by_parameters():
                ending, records, stopped_by = trainer.train(listen if is_heard else None, epochs, lends_models)
        finally:
            for listener in listeners:
                getattr(listener, "close", lambda: None)()
        raise_failure(stopped_by)
        self._records = self._records + json.loads(records)
        done = len(self._records) - before
        self.t_ += done * trainer.training_samples()
        self.n_iter_ = done if epochs is None else len(self._records)
        self._take(trainer.model())
        if stopped_by is not None:
            _warn(f"training was interrupted after {done} epochs; the estimator is fitted as far as it came")
        if trainer.emptied() is not None:
            _warn(trainer.emptied())
        if tasks is not None:
            tasks.end({_MODEL: self._model})

    def _curve(self, name):
        check_is_fitted(self)
        values = [record.get(name) for record in self._records]
        return None if any(value is None for value in values) else values

    @property
    def loss_curve_(self):
        """The mean loss over the training samples of each epoch."""
        return self._curve("train_loss")

    @property
    def loss_(self):
        """That of the last epoch; not a number where training was interrupted before the first one ended."""
        return (self.loss_curve_ or [float("nan")])[-1]

    @property
    def best_loss_(self):
        """The lowest of them; None where a validation part tells which epoch is best."""
        return None if self.validation_loss_curve_ else min(self.loss_curve_, default=float("nan"))

    @property
    def validation_loss_curve_(self):
        """The mean loss on the validation part after each epoch; None without one."""
        return self._curve("validation_loss") or None

    @property
    def validation_scores_(self):
        """Accuracy or R2 on the validation part after each epoch; None without one."""
        return self._curve("validation_r2" if is_regressor(self) else "validation_accuracy") or None

    @property
    def best_validation_score_(self):
        """The best of them; None without a validation part."""
        return None if self.validation_scores_ is None else max(self.validation_scores_)

    @property
    def density_curve_(self):
        """The share of all connections that the network had after each epoch."""
        return self._curve("density")

    @property
    def topology_history_(self):
        """How many connections were dropped and how many grown in each epoch, as pairs."""
        return list(zip(self._curve("dropped"), self._curve("grown"), strict=True))

    @property
    def coefs_(self):
        """The weights of each layer, as ``csr_array`` of shape (inputs, outputs)."""
        check_is_fitted(self)
        matrices = self._model.weights()
        return [scipy.sparse.csr_array((v, c, r), shape=s).T.tocsr() for _, s, r, c, v in matrices]

    @property
    def intercepts_(self):
        """The biases of each layer."""
        check_is_fitted(self)
        return [numbers for name, numbers in self._model.vectors() if name.endswith(".bias")]

    @property
    def nnz_(self):
        """Connections that the network has."""
        check_is_fitted(self)
        return self._model.connections()[0]

    @property
    def sparsity_(self):
        """The share of all connections that it does not have."""
        check_is_fitted(self)
        connections, cells = self._model.connections()
        return 1 - connections / cells

    @property
    def n_layers_(self):
        """Layers, inputs and outputs included."""
        check_is_fitted(self)
        return len(self._model.layers()) + 1

    def __getstate__(self):
        state = super().__getstate__()
        # Its data, and how the optimizer stood, stay behind.
        state = {name: value for name, value in state.items() if name != _TRAINER}
        if _MODEL in state:
            state[_MODEL] = state[_MODEL].to_bytes()
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if _MODEL in state:
            self._take(Model.from_bytes(state[_MODEL]))

    def _html_repr(self):
        diagram = super()._html_repr()
        return diagram + network_html(self) if self.__sklearn_is_fitted__() else diagram


def _warn(text):
    """Warns at the line that called ``fit``."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("rarefy.", "sklearn.")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)
