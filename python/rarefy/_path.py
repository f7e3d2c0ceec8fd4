"""Networks along a path of penalties, and which of them to take."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real

import numpy as np
import scipy.sparse

from ._callbacks import raise_failure
from ._docstrings import documenting
from ._engine import seed_of, thread_count, to_json
from ._lambdas import tell
from ._predicting import Predicting, all_or_nothing
from ._rarefy import Model, follow_path
from ._settings import hidden_of, named_by_parameters
from ._targets import Classes, Numbers


@dataclass(eq=False, repr=False)
class _SparsePath(Predicting):
    """What classifier and regressor share. Subclasses say what they predict."""

    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: str = "relu"
    _: KW_ONLY
    penalty: str = "group-inputs"
    n_lambdas: int = 20
    lambda_max: float | None = None
    lambda_min_ratio: float = 1e-3
    start: str = "dense"
    choose: str = "knee"
    solver: str = "adam"
    batch_size: int | None = None
    learning_rate_init: float | None = None
    max_iter: int = 20
    validation_fraction: float = 0.2
    random_state: int | np.random.RandomState | None = None
    verbose: bool = False
    n_jobs: int | None = None
    settings: dict | None = None

    @all_or_nothing
    def fit(self, X, y, sample_weight=None):
        """Follows the path, and takes one of its networks.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,), or (n_samples, n_outputs)
            What is to be predicted.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.

        Returns
        -------
        object
            Itself.
        """
        self._check()
        samples = self._samples(X, y, sample_weight, reset=True)
        with named_by_parameters():
            points, best, knee, self.emptied_, stopped_by = follow_path(
                to_json(self._settings(len(samples))),
                int(self.n_lambdas),
                self.lambda_max,
                float(self.lambda_min_ratio),
                self.start == "sparse",
                samples,
                (lambda record: tell(json.loads(record))) if self.verbose else None,
            )
        raise_failure(stopped_by)
        if not points:
            raise stopped_by
        self.interrupted_ = stopped_by is not None
        if self.interrupted_:
            warnings.warn(
                f"the path was interrupted after {len(points)} of {self.n_lambdas} strengths; the estimator is fitted "
                "as far as it came",
                stacklevel=3,
            )
        self.path_ = [json.loads(record) for record, _ in points]
        self._models = [model for _, model in points]
        chosen = {"best": best, "knee": knee}[self.choose]
        # Without a validation part nothing tells which is better: the last one, the fullest, predicts best in training.
        self.chosen_ = len(points) - 1 if chosen is None else chosen
        self.best_lambda_ = self.path_[self.chosen_]["lambda"]
        self._take(self._models[self.chosen_])
        self._note_inputs()
        self.n_iter_ = self.max_iter * len(points)
        return self

    def _check(self):
        _check_choice("start", self.start, ("dense", "sparse"))
        _check_choice("choose", self.choose, ("knee", "best"))
        for name in ("n_lambdas", "max_iter", *(["batch_size"] if self.batch_size is not None else [])):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} == {value!r}; it must be a whole number, 1 or more")
        if not isinstance(self.validation_fraction, Real) or not 0 <= self.validation_fraction < 1:
            raise ValueError(
                f"validation_fraction == {self.validation_fraction!r}; it must be 0 or more, and less than 1"
            )
        if not isinstance(self.lambda_min_ratio, Real) or not 0 < self.lambda_min_ratio < 1:
            raise ValueError(f"lambda_min_ratio == {self.lambda_min_ratio!r}; it must be between 0 and 1")

    def _settings(self, samples):
        # A part of two samples is none; so few are all trained on.
        has_part = samples * self.validation_fraction >= 2
        return {
            "seed": seed_of(self.random_state),
            "threads": thread_count(self.n_jobs),
            "network": {"hidden": hidden_of(self.hidden_layer_sizes), "activation": self.activation},
            "sparsity.density": 1.0,
            "topology.method": "static",
            "penalty.method": self.penalty,
            "optimizer.method": self.solver,
            "optimizer.learning_rate": self.learning_rate_init,
            "train.epochs": self.max_iter,
            "train.batch_size": None if self.batch_size is None else min(self.batch_size, samples),
            "data.validation_fraction": float(self.validation_fraction) if has_part else 0.0,
            "data.test_fraction": 0.0,
            **self._target_settings(has_part),
            **(self.settings or {}),
        }

    def _note_inputs(self):
        """Which inputs each model still reads, and how strongly: the norm of what leaves an input."""
        self.input_norms_ = np.array([self._norms(model) for model in self._models])
        self.feature_importances_ = self.input_norms_[self.chosen_]
        self.selected_ = self.feature_importances_ > 0

    def _norms(self, model):
        _, shape, crow, col, values = model.weights()[0]
        first = scipy.sparse.csr_array((values.astype(np.float64), col, crow), shape=shape)
        squares = self._by_feature(model, np.asarray(first.multiply(first).sum(axis=0)).ravel())
        norms = np.zeros(self.n_features_in_)
        norms[: len(squares)] = np.sqrt(squares)
        return norms

    def __getstate__(self):
        state = super().__getstate__()
        if "_models" in state:
            state = {name: value for name, value in state.items() if name != "_model"}
            state["_models"] = [model.to_bytes() for model in state["_models"]]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_models" in state:
            self._models = [Model.from_bytes(model) for model in state["_models"]]
            self._take(self._models[self.chosen_])


def _check_choice(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"{name} == {value!r}; it must be " + " or ".join(map(repr, allowed)))


_documented = documenting(
    """\
hidden_layer_sizes : int or sequence of int, default=(100,)
    The units of each hidden layer; ``()`` for a linear model.
activation : str, default="relu"
    The function after each hidden layer.
penalty : str, default="group-inputs"
    What makes weights 0: "group-inputs", "group-neurons", "l1", "elastic-net", "mcp" or "l-half".
n_lambdas : int, default=20
    Strengths of the penalty, each the same part of the next.
lambda_max : float or None, default=None
    The largest; None is about the smallest that leaves nothing.
lambda_min_ratio : float, default=1e-3
    The smallest over the largest.
start : {"dense", "sparse"}, default="dense"
    The end to start from: "dense" takes connections away, "sparse" adds them.
choose : {"knee", "best"}, default="knee"
    "best" is the network with the lowest validation loss, "knee" the smallest within one standard error of it.
solver : str, default="adam"
    The optimizer.
batch_size : int or None, default=None
    Samples of a mini-batch; None is what the library takes for so many samples.
learning_rate_init : float or None, default=None
    The learning rate; None is that of the solver.
max_iter : int, default=20
    Epochs for each strength.
validation_fraction : float, default=0.2
    The share of samples that judges. With 0 the network of the smallest lambda is taken.
random_state : int, RandomState instance or None, default=None
    What all random draws follow from.
verbose : bool, default=False
    Whether to tell of each network.
n_jobs : int or None, default=None
    Threads; None and -1 for all that the process may use. It changes no result.
settings : dict or None, default=None
    Any other setting by its dotted key; they win over parameters.
class_weight : dict, "balanced" or None, default=None
    What an error of each class counts. Not for labels.
loss : str, default="auto"
    What is minimised: "mean-squared-error", which "auto" is, "huber", "absolute" or "quantile".""",
    """\
path_ : list of dict
    What came of each lambda, the largest first: "lambda", "nonzeros", "density", "model_bytes", "train_loss",
    "validation", "seconds".
best_lambda_ : float
    The lambda of the chosen network, and ``chosen_`` its position in ``path_``.
selected_ : ndarray of bool of shape (n_features,)
    The features that it reads.
feature_importances_ : ndarray of shape (n_features,)
    How strongly: the norm of the weights of each. ``input_norms_`` holds those of all networks.
interrupted_ : bool
    Whether Ctrl-C ended the path early.
emptied_ : list of float
    Lambdas that left nothing.
n_iter_ : int
    Epochs trained.
n_features_in_ : int
    Features seen in ``fit``.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Their names, where they had some.""",
)


@_documented
@dataclass(eq=False, repr=False)
class SparsePathClassifier(Classes, _SparsePath):
    """A classifier that is the best, or the smallest good, of a path of networks.

    The network is trained at one strength of the penalty after another, each from where the last one ended, as LassoNet
    does. With ``penalty="group-inputs"`` it loses whole inputs on the way. A part of the samples that none was trained
    on judges the networks; the chosen one predicts.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}
    classes_ : ndarray of shape (n_classes,)
        The classes; of labels their numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from rarefy import SparsePathClassifier
    >>> X = np.random.default_rng(0).standard_normal((300, 12))
    >>> y = (X[:, 2] + X[:, 5] > 0).astype(int)
    >>> model = SparsePathClassifier(16, n_lambdas=12, random_state=0).fit(X, y)
    >>> bool(model.selected_[2] and model.selected_[5])
    True
    """


@_documented
@dataclass(eq=False, repr=False)
class SparsePathRegressor(Numbers, _SparsePath):
    """A regressor that is the best, or the smallest good, of a path of networks.

    The network is trained at one strength of the penalty after another, each from where the last one ended, as LassoNet
    does. With ``penalty="group-inputs"`` it loses whole inputs on the way. A part of the samples that none was trained
    on judges the networks; the chosen one predicts.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from rarefy import SparsePathRegressor
    >>> X = np.random.default_rng(0).standard_normal((300, 12))
    >>> y = X[:, 2] * 2 + np.abs(X[:, 5])
    >>> model = SparsePathRegressor(16, n_lambdas=12, random_state=0).fit(X, y)
    >>> bool(model.selected_[2] and model.selected_[5])
    True
    """

    def _target_settings(self, has_validation):
        return {"loss.method": None if self.loss == "auto" else self.loss}
