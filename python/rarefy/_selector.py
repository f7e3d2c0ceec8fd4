"""Choosing inputs by a network that loses them."""

import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from ._frames import NOTHING, validated
from ._path import SparsePathClassifier, SparsePathRegressor, _check_choice
from ._predicting import all_or_nothing
from ._samples import float_types


@dataclass(eq=False, repr=False)
class SparseFeatureSelector(SelectorMixin, BaseEstimator):
    """Chooses the features that a network needs, which a penalty makes it do without the others.

    A network is trained at one strength of the penalty after another, from weak to strong, so that it loses inputs on
    the way (:class:`SparsePathClassifier`, :class:`SparsePathRegressor`). An input that stays longer scores higher.

    Parameters
    ----------
    n_features_to_select : int, float or None, default=None
        How many to keep, or which share of them. None keeps those of the smallest network that predicts a validation
        part as well as can be told, or with ``lam`` those that this penalty leaves.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        The units of each hidden layer of the network; ``()`` for a linear model.
    penalty : str, default="group-inputs"
        The penalty. "group-inputs" takes whole inputs; others leave an input as long as one of its weights is left.
    lam : float or None, default=None
        The strongest penalty; None is about the smallest that leaves nothing.
    task : {"auto", "classification", "regression"}, default="auto"
        What ``y`` is. "auto": numbers that are not whole are regression, all else is classification.
    n_lambdas : int, default=20
        Strengths of the penalty.
    max_iter : int, default=20
        Epochs for each.
    batch_size : int or None, default=None
        Samples of a mini-batch; None is what the library takes for so many samples.
    random_state : int, RandomState instance or None, default=None
        What all random draws follow from.
    n_jobs : int or None, default=None
        Threads; None and -1 for all that the process may use. It changes no result.
    settings : dict or None, default=None
        Any other setting by its dotted key.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features,)
        For how many of the networks a feature lived, and as decimals its part of the weights of the last of them. 0 for
        one that no network reads.
    path_ : list of dict
        What came of each strength of the penalty, the largest first.
    n_features_in_ : int
        Features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they had some.

    Examples
    --------
    >>> import numpy as np
    >>> from rarefy import SparseFeatureSelector
    >>> X = np.random.default_rng(0).standard_normal((300, 12))
    >>> selector = SparseFeatureSelector(2, hidden_layer_sizes=16, random_state=0)
    >>> selector.fit(X, X[:, 2] * X[:, 5] + X[:, 2] - X[:, 5]).get_support(indices=True)
    array([2, 5])
    """

    n_features_to_select: int | float | None = None
    _: KW_ONLY
    hidden_layer_sizes: int | Sequence[int] = (100,)
    penalty: str = "group-inputs"
    lam: float | None = None
    task: str = "auto"
    n_lambdas: int = 20
    max_iter: int = 20
    batch_size: int | None = None
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = None
    settings: dict | None = None

    @all_or_nothing
    def fit(self, X, y, sample_weight=None):
        """Follows the path.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            What is to be predicted of them.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.

        Returns
        -------
        SparseFeatureSelector
            Itself.
        """
        # The path looks at the samples; they are looked at here for what they are.
        validated(self, X, y, reset=True, accept_sparse="csr", dtype=float_types(X), multi_output=True)
        wanted = self._wanted()
        _check_choice("task", self.task, ("auto", "classification", "regression"))
        is_regression = self.task == "regression" or (
            self.task == "auto" and type_of_target(y).startswith("continuous")
        )
        # A number asked for needs no judge: all samples are trained on.
        judges = wanted is None and self.lam is None
        path = (SparsePathRegressor if is_regression else SparsePathClassifier)(
            self.hidden_layer_sizes,
            penalty=self.penalty,
            lambda_max=self.lam,
            n_lambdas=self.n_lambdas,
            max_iter=self.max_iter,
            batch_size=self.batch_size,
            validation_fraction=0.2 if judges else 0.0,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            settings=self.settings,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the path was interrupted")
            path.fit(X, y, sample_weight)
        if path.interrupted_:
            # Features that all networks so far have read cannot be told apart.
            raise KeyboardInterrupt
        self.path_, self.n_iter_ = path.path_, path.n_iter_
        norms = path.input_norms_
        # A path goes from weak to strong: the networks in which a feature lives are the last ones of the list.
        lived = (norms > 0).sum(axis=0)
        last = norms[np.minimum(len(norms) - lived, len(norms) - 1), np.arange(norms.shape[1])]
        self.scores_ = lived + np.where(lived > 0, last / (1 + last), 0.0)
        if wanted is not None:
            order = np.argsort(-self.scores_, kind="stable")
            self.support_ = np.zeros(len(order), dtype=bool)
            self.support_[order[:wanted]] = True
        else:
            self.support_ = path.selected_ if judges else norms[0] > 0
        return self

    def transform(self, X):
        """The samples with the features that were chosen.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        array, sparse array or data frame of shape (n_samples, n_selected_features)
            A data frame if the selector was fitted on one with columns that are not all numbers.
        """
        check_is_fitted(self)
        if not self._takes_frames:
            return super().transform(X)
        validated(self, X, NOTHING, reset=False)
        names = self.get_feature_names_out().tolist()
        if hasattr(X, "iloc"):
            # By place, for names may be no texts.
            at = {str(name): place for place, name in enumerate(X.columns)}
            return X.iloc[:, [at[name] for name in names]]
        return X.select(names)

    def _wanted(self):
        """The number of features asked for."""
        value, features = self.n_features_to_select, self.n_features_in_
        if value is None:
            return None
        if isinstance(value, Integral) and not isinstance(value, bool) and value >= 1:
            if value > features:
                raise ValueError(f"n_features_to_select == {value}, of {features} features")
            return int(value)
        if isinstance(value, Real) and not isinstance(value, Integral) and 0 < value <= 1:
            return max(1, int(value * features))
        raise ValueError(
            f"n_features_to_select == {value!r}; it must be a whole number, 1 or more, or a share above 0 and at most 1"
        )

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags
