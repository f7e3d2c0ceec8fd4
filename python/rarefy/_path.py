"""Networks along a path of penalties, and which of them to take."""

import json
from numbers import Integral, Real

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ._engine import seed_of, thread_count, to_json
from ._rarefy import Model, follow_path
from ._samples import rows_of

_DTYPES = (np.float32, np.float64)


class _SparsePath(BaseEstimator):
    """What classifier and regressor share. Subclasses say what they predict."""

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        penalty="group-inputs",
        n_lambdas=20,
        lambda_max=None,
        lambda_min_ratio=1e-3,
        start="dense",
        choose="knee",
        solver="adam",
        batch_size=None,
        learning_rate_init=None,
        max_iter=20,
        validation_fraction=0.2,
        random_state=None,
        verbose=False,
        n_jobs=None,
        settings=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.penalty = penalty
        self.n_lambdas = n_lambdas
        self.lambda_max = lambda_max
        self.lambda_min_ratio = lambda_min_ratio
        self.start = start
        self.choose = choose
        self.solver = solver
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.settings = settings

    def fit(self, X, y, sample_weight=None):
        """Follows the path, and takes one of its networks.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,), or (n_samples, n_outputs) for a regressor
            What is to be predicted.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.

        Returns
        -------
        object
            Itself.
        """
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=_DTYPES, order="C", ensure_min_samples=2, **self._targets_are
        )
        self._check()
        samples = rows_of(X)
        self._add_targets(samples, y)
        if sample_weight is not None:
            samples.with_weights(_check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True))
        points, best, knee, self.emptied_, stopped_by = follow_path(
            to_json(self._settings(X.shape[0])),
            int(self.n_lambdas),
            self.lambda_max,
            float(self.lambda_min_ratio),
            self.start == "sparse",
            samples,
            None,
            _tell if self.verbose else None,
        )
        if not points or (stopped_by is not None and not isinstance(stopped_by, KeyboardInterrupt)):
            raise stopped_by
        self.path_ = [json.loads(record) for record, _ in points]
        self._models = [model for _, model in points]
        chosen = {"best": best, "knee": knee}[self.choose]
        # Without a validation part nothing tells which is better: the last one, the fullest, predicts best in training.
        self.chosen_ = len(points) - 1 if chosen is None else chosen
        self.best_lambda_ = self.path_[self.chosen_]["lambda"]
        self._model = self._models[self.chosen_]
        self._model.set_threads(thread_count(self.n_jobs))
        self._note_inputs()
        self.n_iter_ = self.max_iter * len(points)
        return self

    def _check(self):
        _check_choice("start", self.start, ("dense", "sparse"))
        _check_choice("choose", self.choose, ("knee", "best"))
        for name in ("n_lambdas", "max_iter"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} == {value!r}; it must be a whole number, 1 or more")
        if not isinstance(self.lambda_min_ratio, Real) or not 0 < self.lambda_min_ratio < 1:
            raise ValueError(f"lambda_min_ratio == {self.lambda_min_ratio!r}; it must be between 0 and 1")

    def _settings(self, samples):
        hidden = np.atleast_1d(self.hidden_layer_sizes).astype(int).tolist()
        # A part of two samples is none; so few are all trained on.
        has_part = 0 < self.validation_fraction < 1 and samples * self.validation_fraction >= 2
        return {
            "seed": seed_of(self.random_state),
            "threads": thread_count(self.n_jobs),
            "network": {"hidden": hidden, "activation": self.activation},
            "sparsity.density": 1.0,
            "topology.method": "static",
            "penalty.method": self.penalty,
            "optimizer.method": self.solver,
            "optimizer.learning_rate": self.learning_rate_init,
            "train.epochs": self.max_iter,
            "train.batch_size": None if self.batch_size is None else min(self.batch_size, samples),
            "data.validation_fraction": float(self.validation_fraction) if has_part else 0.0,
            "data.test_fraction": 0.0,
            **(self.settings or {}),
        }

    def _note_inputs(self):
        """Which inputs each model still reads, and how strongly: the norm of what leaves an input."""
        self.input_norms_ = np.zeros((len(self._models), self.n_features_in_))
        for norms, model in zip(self.input_norms_, self._models, strict=True):
            _, shape, crow, col, values = model.weights()[0]
            first = scipy.sparse.csr_array((values.astype(np.float64), col, crow), shape=shape)
            norms[: shape[1]] = np.sqrt(np.asarray(first.multiply(first).sum(axis=0)).ravel())
        self.feature_importances_ = self.input_norms_[self.chosen_]
        self.selected_ = self.feature_importances_ > 0

    def _outputs(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_DTYPES, order="C", reset=False)
        return self._model.predict(rows_of(X))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

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
            self._model = self._models[self.chosen_]
            self._model.set_threads(thread_count(self.n_jobs))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _tell(record):
    point = json.loads(record)
    validation = point["validation"]
    score = "" if validation is None else f", validation loss {validation['loss']:.4g}"
    print(f"lambda {point['lambda']:.4g}: {point['nonzeros']} nonzeros{score}", flush=True)


def _check_choice(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"{name} == {value!r}; it must be " + " or ".join(map(repr, allowed)))


_DOCUMENTATION = """{title}

    The network is trained at one strength of the penalty after another, each from where the last one ended, as LassoNet
    does. With ``penalty="group-inputs"`` it loses whole inputs on the way. A part of the samples that none was trained
    on judges the networks; the chosen one predicts.

    Parameters
    ----------
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
    start : {{"dense", "sparse"}}, default="dense"
        The end to start from: "dense" takes connections away, "sparse" adds them.
    choose : {{"knee", "best"}}, default="knee"
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

    Attributes
    ----------
    path_ : list of dict
        What came of each lambda, the largest first: "lambda", "nonzeros", "density", "model_bytes", "train_loss",
        "validation", "seconds".
    best_lambda_ : float
        The lambda of the chosen network, and ``chosen_`` its position in ``path_``.
    selected_ : ndarray of bool of shape (n_features,)
        The features that it reads.
    feature_importances_ : ndarray of shape (n_features,)
        How strongly: the norm of the weights of each. ``input_norms_`` holds those of all networks.
    emptied_ : list of float
        Lambdas that left nothing.
    n_iter_ : int
        Epochs trained.
    n_features_in_ : int
        Features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they had some.
{more}
    Examples
    --------
    >>> import numpy as np
    >>> from rarefy import {name}
    >>> X = np.random.default_rng(0).standard_normal((300, 12))
    >>> y = {target}
    >>> model = {name}(16, n_lambdas=12, random_state=0).fit(X, y)
    >>> bool(model.selected_[2] and model.selected_[5])
    True
    """


class SparsePathClassifier(ClassifierMixin, _SparsePath):
    __doc__ = _DOCUMENTATION.format(
        title="A classifier that is the best, or the smallest good, of a path of networks.",
        name="SparsePathClassifier",
        target="(X[:, 2] + X[:, 5] > 0).astype(int)",
        more="    classes_ : ndarray of shape (n_classes,)\n        The classes.\n",
    )
    _targets_are = {}

    def _add_targets(self, samples, y):
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y has one class; there must be two at least to tell apart")
        samples.with_classes(codes.astype(np.uint32), [str(name) for name in self.classes_])

    def predict_proba(self, X):
        """Predicts probabilities.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The probability of each class.
        """
        return self._outputs(X)

    def predict(self, X):
        """Predicts classes.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Their classes.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class SparsePathRegressor(RegressorMixin, _SparsePath):
    __doc__ = _DOCUMENTATION.format(
        title="A regressor that is the best, or the smallest good, of a path of networks.",
        name="SparsePathRegressor",
        target="X[:, 2] * 2 + np.abs(X[:, 5])",
        more="",
    )
    _targets_are = {"multi_output": True, "y_numeric": True}

    def _add_targets(self, samples, y):
        y = np.asarray(y, dtype=np.float64)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self._is_flat = y.ndim == 1
        samples.with_numbers(np.ascontiguousarray(y).ravel(), self.n_outputs_)

    def predict(self, X):
        """Predicts numbers.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Their numbers.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if self._is_flat else outputs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
