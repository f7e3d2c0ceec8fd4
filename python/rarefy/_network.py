"""Networks of any layers as scikit-learn estimators: for images, sequences, tokens and plain features."""

import os
import tomllib
from dataclasses import KW_ONLY, dataclass
from numbers import Integral

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from ._docstrings import documenting
from ._estimator import NetworkEstimator
from ._frames import NOTHING
from ._parameters import ATTRIBUTES, PARAMETERS
from ._rarefy import Samples
from ._samples import float_types, rows_of
from ._settings import trains_in_chunks
from ._targets import Classes, Numbers

_IMAGE_PRESETS = {"lenet5", "vgg-small", "resnet20", "mobilenet-small"}
_TOKEN_PRESETS = {"text-cnn", "text-gru", "transformer-classifier"}


class _Filled:
    """Sequences that are filled up to one length, with the lengths that they had."""

    def __init__(self, X, lengths):
        self.X, self.lengths = X, lengths

    def __len__(self):
        return len(self.X)


def _dimensions(X):
    if hasattr(X, "shape"):
        return len(X.shape)
    return 2 if hasattr(X, "__arrow_c_stream__") else np.asarray(X).ndim


def _with_lengths(X, lengths):
    return X if lengths is None else _Filled(X, lengths)


def network_settings(network, width=None, depth=None):
    """The section ``network`` of the settings for a preset, a list of layers, or a TOML file of either."""
    if isinstance(network, list | tuple):
        section = {"layers": list(network)}
    elif str(network).endswith(".toml") or isinstance(network, os.PathLike):
        with open(network, "rb") as file:
            section = tomllib.load(file)
        # With the line [network], or without.
        section = dict(section.get("network", section))
    else:
        section = {"preset": network}
    given = {"width": width, "depth": depth}
    return section | {key: value for key, value in given.items() if value is not None}


@dataclass(eq=False, repr=False)
class _Network(NetworkEstimator):
    """What classifier and regressor share."""

    network: str | list | os.PathLike = "mlp"
    _: KW_ONLY
    width: int | None = None
    depth: int | None = None
    vocabulary_size: int | None = None
    channels_first: bool = False

    _parameter_constraints = {
        **NetworkEstimator._parameter_constraints,
        "network": [str, list, tuple, os.PathLike],
        "width": [Interval(Integral, 1, None, closed="left"), None],
        "depth": [Interval(Integral, 1, None, closed="left"), None],
        "vocabulary_size": [Interval(Integral, 1, None, closed="left"), None],
        "channels_first": ["boolean"],
    }

    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        lengths=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        lengths_val=None,
    ):
        """Train a network.

        Ctrl-C ends training early, with a warning; the estimator is then fitted as far as it came.

        Parameters
        ----------
        X : array-like
            Images of shape (n_samples, height, width, channels), sequences of shape (n_samples, steps, channels),
            tokens (whole numbers, for networks that begin with an embedding) of shape (n_samples, steps), or plain
            features of shape (n_samples, n_features), which may be a sparse matrix or a data frame. **Channels come
            last**, unless ``channels_first`` says otherwise; grey images have one: ``X[..., np.newaxis]``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            What is to be predicted.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.
        lengths : array-like of shape (n_samples,), default=None
            How many steps of each sequence are there, the others being filled up with anything. None for all.
        X_val, y_val, sample_weight_val, lengths_val : default=None
            A validation part, in place of one that ``early_stopping`` splits off. The best epoch's network is kept.

        Returns
        -------
        self : estimator
        """
        X = _with_lengths(X, lengths)
        X_val = _with_lengths(X_val, lengths_val)
        return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)

    def _network_settings(self):
        return {"network": self._section}

    def _validated(self, X, y, reset):
        X, lengths = (X.X, X.lengths) if isinstance(X, _Filled) else (X, None)
        if reset:
            self._section = network_settings(self.network, self.width, self.depth)
        reads_tokens, reads_images = _reads(self._section)
        dimensions = _dimensions(X)
        if dimensions < 3 and not reads_tokens:
            if lengths is not None:
                raise ValueError("lengths: are for sequences; give X of shape (n_samples, steps, channels)")
            if reset:
                self._input_shape = None
            elif self._input_shape is not None:
                raise ValueError(f"X: has 2 dimensions, and was fitted on samples of shape {self._input_shape}")
            return super()._validated(X, y, reset)
        checks = {"allow_nd": True, "order": "C"}
        checks |= {"dtype": None if reads_tokens else float_types(X), "ensure_min_samples": 2 if reset else 1}
        if y is NOTHING:
            X = validate_data(self, X, reset=reset, **checks)
            return self._arranged(X, lengths, reads_tokens, reads_images, reset)
        X, y = validate_data(self, X, y, reset=reset, multi_output=True, y_numeric=is_regressor(self), **checks)
        return self._arranged(X, lengths, reads_tokens, reads_images, reset), y

    def _arranged(self, X, lengths, reads_tokens, reads_images, reset):
        """Samples with a shape that is known, channels last."""
        if reads_tokens and (X.ndim != 2 or X.dtype.kind not in "iu"):
            raise ValueError(
                "X: must be whole numbers of shape (n_samples, steps), for the network begins with an embedding; it "
                f"has shape {X.shape} and the type {X.dtype}"
            )
        if reads_images and X.ndim == 3:
            raise ValueError(
                "X: has 3 dimensions, which is (n_samples, steps, channels), and the network is for images: give "
                "(n_samples, height, width, channels), grey ones as X[..., np.newaxis]"
            )
        if X.ndim > 4:
            raise ValueError(f"X: has {X.ndim} dimensions; images have 4, sequences 3, plain features 2")
        if self.channels_first and not reads_tokens:
            X = np.ascontiguousarray(np.moveaxis(X, 1, -1))
        if reset:
            self._input_shape = X.shape[1:]
        elif X.shape[1:] != self._input_shape:
            raise ValueError(
                f"X: has samples of shape {X.shape[1:]}, and was fitted on such of shape {self._input_shape}"
            )
        if reads_tokens:
            if X.size and X.min() < 0:
                raise ValueError(f"X: has the token {X.min()}; tokens count from 0")
            if reset:
                self._vocabulary_size = self.vocabulary_size or int(X.max()) + 1
        if lengths is not None:
            lengths = np.asarray(lengths)
            if lengths.shape != (len(X),) or lengths.dtype.kind not in "iu":
                raise ValueError(f"lengths: must be a whole number for each of the {len(X)} samples")
        return _Filled(X, lengths)

    def _rows(self, X):
        if not isinstance(X, _Filled):
            return super()._rows(X)
        X, lengths = X.X, X.lengths
        if _reads(self._section)[0]:
            if X.max() >= 2**32:
                raise ValueError(f"X: has the token {X.max()}, beyond a vocabulary of {self._vocabulary_size}")
            samples = Samples.tokens(np.ascontiguousarray(X, dtype=np.uint32), X.shape[1], self._vocabulary_size)
        else:
            samples = rows_of(X.reshape(len(X), -1))
            height, width, channels = (1, *X.shape[1:]) if X.ndim == 3 else X.shape[1:]
            samples.with_shape(height, width, channels)
        if lengths is not None:
            # Of a wrong one, be it negative, the compiled part says which.
            samples.with_lengths(np.clip(lengths, 0, 2**32 - 1).astype(np.uint32))
        return samples


class _Lengths:
    """Sequences that end early, where samples are predicted."""

    def predict(self, X, lengths=None):
        """What is predicted for each sample.

        Parameters
        ----------
        X : array-like
            Samples as ``fit`` has them.
        lengths : array-like of shape (n_samples,), default=None
            How many steps of each sequence are there.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return super().predict(_with_lengths(X, lengths))

    def score(self, X, y, sample_weight=None, lengths=None):
        """Accuracy of classes and labels, R2 of numbers.

        Parameters
        ----------
        X : array-like
            Samples as ``fit`` has them.
        y : array-like
            What is to be predicted.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.
        lengths : array-like of shape (n_samples,), default=None
            How many steps of each sequence are there.

        Returns
        -------
        float
        """
        return super().score(_with_lengths(X, lengths), y, sample_weight)


def _reads(section):
    """Whether a network reads tokens, and whether it reads images."""
    layers = section.get("layers")
    if layers:
        first = layers[0].get("layer") if isinstance(layers[0], dict) else None
        return first == "embedding", first == "conv2d"
    preset = section.get("preset")
    return preset in _TOKEN_PRESETS, preset in _IMAGE_PRESETS


_PARAMETERS = """\
network : str, list of dict or path, default="mlp"
    A network by name ("vgg-small", "kws-lstm", "text-cnn", ...), its layers, or a TOML file with either, as
    docs/networks.md describes them. The last layer is ``{"layer": "linear"}`` without ``outputs``.
width, depth : int or None, default=None
    How wide and deep a network by name is, in its own unit.
vocabulary_size : int or None, default=None
    How many tokens there are, for networks that begin with an embedding. None is one more than the highest in
    ``fit``.
channels_first : bool, default=False
    Whether images are (n_samples, channels, height, width) and sequences (n_samples, channels, steps).
"""

_documented = documenting(_PARAMETERS + PARAMETERS, ATTRIBUTES)


@_documented
@dataclass(eq=False, repr=False)
class NetworkClassifier(_Lengths, Classes, _Network):
    """A network of any layers for classes or labels that is sparse from the first step to the last.

    Its samples are images, sequences, tokens or plain features: see ``fit``. **Channels come last.**

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; of labels their numbers.
    {attributes}
    n_features_in_, feature_names_in_ : int and ndarray of str
        Features, and their names if ``X`` had any.

    Examples
    --------
    >>> from rarefy import NetworkClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> images = X.reshape(-1, 8, 8, 1)
    >>> network = [
    ...     {"layer": "conv2d", "filters": 8, "kernel": 3, "padding": "same", "activation": "relu"},
    ...     {"layer": "max-pool", "kernel": 2},
    ...     {"layer": "flatten"},
    ...     {"layer": "linear"},
    ... ]
    >>> classifier = NetworkClassifier(network, sparsity=0.5, max_iter=5, learning_rate_init=0.01, random_state=0)
    >>> classifier = classifier.fit(images[:1500], y[:1500])
    >>> bool(classifier.score(images[1500:], y[1500:]) > 0.8)
    True
    """

    @available_if(trains_in_chunks)
    def partial_fit(self, X, y, classes=None, sample_weight=None, *, lengths=None):
        """Train one epoch more, on these samples.

        Parameters
        ----------
        X, y, sample_weight, lengths
            As for ``fit``.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come. The first call must have it, unless ``y`` has labels.

        Returns
        -------
        self : estimator
        """
        return super().partial_fit(_with_lengths(X, lengths), y, classes, sample_weight)

    def predict_proba(self, X, lengths=None):
        """The probability of each class, or of each label.

        Parameters
        ----------
        X : array-like
            Samples as ``fit`` has them.
        lengths : array-like of shape (n_samples,), default=None
            How many steps of each sequence are there.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        return super().predict_proba(_with_lengths(X, lengths))

    def predict_log_proba(self, X, lengths=None):
        """The logarithms of the probabilities.

        Parameters
        ----------
        X : array-like
            Samples as ``fit`` has them.
        lengths : array-like of shape (n_samples,), default=None
            How many steps of each sequence are there.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        return super().predict_log_proba(_with_lengths(X, lengths))


@_documented
@dataclass(eq=False, repr=False)
class NetworkRegressor(_Lengths, Numbers, _Network):
    """A network of any layers for numbers that is sparse from the first step to the last.

    Its samples are images, sequences, tokens or plain features: see ``fit``. **Channels come last.**

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}
    n_features_in_, feature_names_in_ : int and ndarray of str
        Features, and their names if ``X`` had any.

    Examples
    --------
    >>> import numpy as np
    >>> from rarefy import NetworkRegressor
    >>> waves = np.sin(np.linspace(0, 6, 20) * np.linspace(1, 3, 200)[:, np.newaxis])[..., np.newaxis]
    >>> network = [{"layer": "gru", "hidden": 8}, {"layer": "global-average-pool"}, {"layer": "linear"}]
    >>> regressor = NetworkRegressor(network, sparsity=0.5, learning_rate_init=0.02, max_iter=30, random_state=0)
    >>> bool(regressor.fit(waves, np.linspace(1, 3, 200)).score(waves, np.linspace(1, 3, 200)) > 0.5)
    True
    """

    @available_if(trains_in_chunks)
    def partial_fit(self, X, y, sample_weight=None, *, lengths=None):
        """Train one epoch more, on these samples.

        Parameters
        ----------
        X, y, sample_weight, lengths
            As for ``fit``.

        Returns
        -------
        self : estimator
        """
        return super().partial_fit(_with_lengths(X, lengths), y, sample_weight)
