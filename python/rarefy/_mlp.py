"""Multi-layer perceptrons as scikit-learn estimators."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._estimator import NetworkEstimator
from ._parameters import documented
from ._settings import hidden_of
from ._targets import Classes, Numbers


@dataclass(eq=False, repr=False)
class _SparseMLP(NetworkEstimator):
    """What classifier and regressor share."""

    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: str = "relu"

    def _network_settings(self):
        return {"network.hidden": hidden_of(self.hidden_layer_sizes)}

    @property
    def feature_importances_(self):
        """How strongly the first layer reads each feature: the sum of the absolute values of its weights, over that
        of all features.

        Features that no connection reads have 0. `sklearn.inspection.permutation_importance` says what a feature is
        worth.
        """
        check_is_fitted(self)
        sums = self._by_feature(self._model, np.asarray(abs(self.coefs_[0]).sum(axis=1)).ravel())
        return sums / (sums.sum() or 1.0)


@documented
@dataclass(eq=False, repr=False)
class SparseMLPClassifier(Classes, _SparseMLP):
    """A multi-layer perceptron for classes or labels that is sparse from the first step to the last.

    It stands where `sklearn.neural_network.MLPClassifier` does. Weights, gradients, optimizer state and saved
    models exist only for the connections that the network keeps, so time and size fall with them. The same
    ``random_state`` gives the same bits, whatever ``n_jobs`` is. Features are standardised within
    (``settings={"data.scale": "none"}`` leaves them as they are).

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; of labels their numbers.
    {attributes}
    feature_importances_ : ndarray of shape (n_features,)
        How strongly the first layer reads each feature.
    n_features_in_, feature_names_in_ : int and ndarray of str
        Features, and their names if ``X`` had any.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from rarefy import SparseMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> classifier = SparseMLPClassifier(sparsity=0.9, max_iter=50, random_state=0).fit(X_train, y_train)
    >>> classifier.nnz_
    740
    >>> bool(classifier.score(X_test, y_test) > 0.9)
    True
    """


@documented
@dataclass(eq=False, repr=False)
class SparseMLPRegressor(Numbers, _SparseMLP):
    """A multi-layer perceptron for numbers that is sparse from the first step to the last.

    It stands where `sklearn.neural_network.MLPRegressor` does. Weights, gradients, optimizer state and saved models
    exist only for the connections that the network keeps, so time and size fall with them. The same
    ``random_state`` gives the same bits, whatever ``n_jobs`` is. Features and targets are standardised within
    (``settings={"data.scale": "none", "data.target_scale": "none"}`` leaves them as they are), and losses are those
    of scaled targets.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}
    feature_importances_ : ndarray of shape (n_features,)
        How strongly the first layer reads each feature.
    n_features_in_, feature_names_in_ : int and ndarray of str
        Features, and their names if ``X`` had any.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from rarefy import SparseMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> regressor = SparseMLPRegressor(sparsity=0.8, max_iter=20, random_state=0).fit(X[:400], y[:400])
    >>> bool(regressor.score(X[400:], y[400:]) > 0.4)
    True
    """
