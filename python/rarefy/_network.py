"""Networks of any layers as scikit-learn estimators: for images, sequences, tokens and plain features."""

import os
from dataclasses import KW_ONLY, dataclass
from numbers import Integral

from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import available_if

from ._docstrings import documenting
from ._parameters import ATTRIBUTES, PARAMETERS
from ._settings import trains_in_chunks
from ._shaped import ShapedSamples, with_lengths
from ._targets import Classes, Numbers


@dataclass(eq=False, repr=False)
class _Network(ShapedSamples):
    """What classifier and regressor share."""

    network: str | list | os.PathLike = "mlp"
    _: KW_ONLY
    width: int | None = None
    depth: int | None = None
    vocabulary_size: int | None = None
    channels_first: bool = False

    _parameter_constraints = {
        **ShapedSamples._parameter_constraints,
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
        X = with_lengths(X, lengths)
        X_val = with_lengths(X_val, lengths_val)
        return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)

    def _network_settings(self):
        return {"network": self._section}


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
        return super().predict(with_lengths(X, lengths))

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
        return super().score(with_lengths(X, lengths), y, sample_weight)


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
        return super().partial_fit(with_lengths(X, lengths), y, classes, sample_weight)

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
        return super().predict_proba(with_lengths(X, lengths))

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
        return super().predict_log_proba(with_lengths(X, lengths))


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
        return super().partial_fit(with_lengths(X, lengths), y, sample_weight)
