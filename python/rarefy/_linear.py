"""Sparse linear models as scikit-learn estimators, solved to a stated precision."""

import warnings
from dataclasses import KW_ONLY, dataclass

import numpy as np
import scipy.sparse
import scipy.special
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_feature_names_in, _check_sample_weight, check_is_fitted

from ._design import check_numbers, coefficients, design_of, grid, solve
from ._encoding import numbers_of
from ._engine import thread_count
from ._frames import NOTHING, validated
from ._linear_parameters import documented
from ._predicting import all_or_nothing
from ._samples import float_types

_FORMATS = ("csr", "csc")


class _SparseLinear(BaseEstimator):
    """What classifier and regressor share: one problem for each column of targets, over the same features.

    A subclass says what is minimised (``_loss``), and what of its samples is looked at (``_looked_at``).
    """

    def _alpha_for(self, X, columns, weights):
        """The strength of the penalty for these samples."""
        return self.alpha

    def _design(self, X):
        return design_of(X, thread_count(self.n_jobs), fit_intercept=self.fit_intercept)

    def _grid(self, design, columns, weights, alphas, eps):
        problem = {"fit_intercept": self.fit_intercept, "l1_ratio": self.l1_ratio}
        return grid(design, columns, weights, self._loss, alphas=alphas, eps=eps, **problem)

    def _answers(self, design, y, weights, alphas):
        """The answers for a column of targets, as `solve` has them."""
        problem = {"fit_intercept": self.fit_intercept, "l1_ratio": self.l1_ratio}
        return solve(design, y, weights, self._loss, alphas=alphas, tol=self.tol, max_iter=self.max_iter, **problem)

    def _solve(self, X, y, sample_weight):
        """Solves for each column of targets."""
        X, columns, weights = self._looked_at(X, y, sample_weight)
        alpha = self._alpha_for(X, columns, weights)
        check_numbers(alpha=alpha, l1_ratio=self.l1_ratio, tol=self.tol, max_iter=self.max_iter)
        X, self._preparation = numbers_of(X, weights, self.settings)
        design = self._design(X)
        answers = [self._answers(design, y, weights, [alpha]) for y in columns]
        if not all(found["converged"][0] for found in answers):
            warnings.warn(
                f"{type(self).__name__} has not reached tol={self.tol} within max_iter={self.max_iter} passes: its "
                f"objective may be {max(found['gaps'][0] for found in answers):.3g} above the optimum. Scale the "
                "features, or raise max_iter, alpha or tol.",
                ConvergenceWarning,
                stacklevel=4,
            )
        sparse = scipy.sparse.vstack([coefficients(found, X.shape[1]) for found in answers])
        gaps = np.array([found["gaps"][0] for found in answers])
        # Without a pass the features have been looked at once all the same.
        passes = max(1, *(int(found["iterations"][0]) for found in answers))
        return sparse.toarray(), np.array([found["intercepts"][0] for found in answers]), gaps, passes

    def _scores(self, X):
        check_is_fitted(self)
        X = validated(self, X, NOTHING, reset=False, accept_sparse=_FORMATS, dtype=float_types(X))
        if self._preparation is not None:
            X = self._preparation.apply(X.samples)
        return safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_

    @property
    def sparse_coef_(self):
        """The coefficients as a ``csr_array`` of shape (n_targets, n_coefs)."""
        check_is_fitted(self)
        return scipy.sparse.csr_array(np.atleast_2d(self.coef_))

    @property
    def coef_names_(self):
        """What each coefficient is for: a feature, or a category of one as in ``town=Ulm``."""
        check_is_fitted(self)
        return self._coef_names()

    def _coef_names(self):
        if self._preparation is None:
            return _check_feature_names_in(self)
        return np.asarray(self._preparation.input_names(), dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class Regressing(RegressorMixin, _SparseLinear):
    """What regressors share."""

    _loss = "squared"

    @all_or_nothing
    def fit(self, X, y, sample_weight=None):
        """Fits the model.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.

        Returns
        -------
        self : estimator
        """
        coef, intercept, gaps, self.n_iter_ = self._solve(X, y, sample_weight)
        self.coef_, self.intercept_, self.dual_gap_ = (
            (coef[0], float(intercept[0]), float(gaps[0])) if self._is_flat else (coef, intercept, gaps)
        )
        return self

    def _looked_at(self, X, y, sample_weight):
        """Samples, columns of targets, and weights of samples."""
        checks = {"accept_sparse": _FORMATS, "dtype": float_types(X)}
        X, y = validated(self, X, y, reset=True, multi_output=True, y_numeric=True, **checks)
        self._is_flat = y.ndim == 1
        columns = np.atleast_2d(np.asarray(y, dtype=np.float64).T)
        return X, np.ascontiguousarray(columns), _weights(sample_weight, X)

    def predict(self, X):
        """Predicts numbers.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            Their numbers.
        """
        return self._scores(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@documented
@dataclass(eq=False, repr=False)
class SparseLinearRegressor(Regressing):
    """Linear regression with an L1 penalty: the Lasso, and the elastic net.

    It minimises, over ``w`` and the intercept ``b``, to a duality gap of at most ``tol`` times the objective of the
    intercept alone,

    ``sum_i s_i (y_i - x_i w - b)^2 / (2 sum_i s_i) + alpha (l1_ratio |w|_1 + (1 - l1_ratio) / 2 |w|^2)``

    ``s`` being the sample weights, as ``sklearn.linear_model.Lasso`` and ``ElasticNet`` do with the same ``alpha``.
    Features are kept as float32, those of float64 less their means if there is an intercept, and sparse ones sparse;
    all arithmetic is float64.

    Parameters
    ----------
    alpha : float, default=1.0
        The strength of the penalty, above 0.
    {parameters}

    Attributes
    ----------
    coef_ : ndarray of shape (n_coefs,) or (n_targets, n_coefs)
        The coefficients, one for each feature; of a data frame one for each category too.
    intercept_ : float or ndarray of shape (n_targets,)
        The intercepts.
    dual_gap_ : float or ndarray of shape (n_targets,)
        How far above the optimum the objective is, at most.
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from rarefy import SparseLinearRegressor
    >>> X = np.random.default_rng(0).standard_normal((100, 20))
    >>> y = 3 * X[:, 4] - 2 * X[:, 7] + 1
    >>> model = SparseLinearRegressor(alpha=0.1).fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([4, 7])
    """

    alpha: float = 1.0
    _: KW_ONLY
    l1_ratio: float = 1.0
    fit_intercept: bool = True
    max_iter: int = 10_000
    tol: float = 1e-4
    n_jobs: int | None = None
    settings: dict | None = None


class Classifying(ClassifierMixin, _SparseLinear):
    """What classifiers share."""

    _loss = "logistic"

    @all_or_nothing
    def fit(self, X, y, sample_weight=None):
        """Fits the model.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.

        Returns
        -------
        self : estimator
        """
        self.coef_, self.intercept_, self.dual_gap_, self.n_iter_ = self._solve(X, y, sample_weight)
        return self

    def _looked_at(self, X, y, sample_weight):
        """Samples, a column of targets for each problem, and weights of samples times those of their classes."""
        X, y = validated(self, X, y, reset=True, accept_sparse=_FORMATS, dtype=float_types(X))
        check_classification_targets(y)
        weights = _weights(sample_weight, X)
        # A class whose samples all weigh nothing is none.
        self.classes_ = np.unique(y if weights is None else y[weights > 0])
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}; there must be two at least to tell apart")
        # Samples of such a one are taken for another's, and weigh nothing all the same.
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        positive = range(len(self.classes_)) if len(self.classes_) > 2 else [1]
        columns = [(codes == number).astype(np.float64) for number in positive]
        return X, columns, self._class_weights(codes, weights)

    def _class_weights(self, codes, weights):
        """The weights of samples, multiplied by those of their classes."""
        if self.class_weight is None:
            return weights
        ones = np.ones(len(codes)) if weights is None else weights
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            totals = np.bincount(codes, ones)
            return ones * (totals.sum() / len(totals) / totals)[codes]
        of_classes = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[codes])
        return ones * of_classes[codes]

    def decision_function(self, X):
        """Scores; above 0 speaks for a class.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Of the second of two classes, or of each.
        """
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X):
        """Predicts classes.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Their classes.
        """
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]

    def predict_proba(self, X):
        """Predicts probabilities; of more than two classes the models' own, divided by their sum.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The probability of each class.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X):
        """Predicts logarithms of probabilities.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The logarithm of the probability of each class.
        """
        return log_probabilities(self._scores(X).T).T


@documented
@dataclass(eq=False, repr=False)
class SparseLinearClassifier(Classifying):
    """Logistic regression with an L1 penalty.

    It minimises, over ``w`` and the intercept ``b``, to a duality gap of at most ``tol`` times the objective of the
    intercept alone,

    ``sum_i s_i ln(1 + exp(-y_i (x_i w + b))) / sum_i s_i + alpha (l1_ratio |w|_1 + (1 - l1_ratio) / 2 |w|^2)``

    with ``y_i`` of -1 and 1 and ``s`` the sample weights times the class weights. The loss is a mean, so ``alpha``
    means the same for any number of samples; ``C`` of ``sklearn.linear_model.LogisticRegression`` is
    ``1 / (alpha n_samples)``. With more than two classes there is one such model for each class, against all others.
    Features are kept as float32, those of float64 less their means if there is an intercept, and sparse ones sparse;
    all arithmetic is float64.

    Parameters
    ----------
    alpha : float, default=0.001
        The strength of the penalty, above 0.
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray of shape (1, n_coefs) or (n_classes, n_coefs)
        The coefficients; of two classes those of the second.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        The intercepts.
    dual_gap_ : ndarray of shape (1,) or (n_classes,)
        How far above the optimum the objective is, at most.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from rarefy import SparseLinearClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SparseLinearClassifier(alpha=0.03).fit(scale(X), y)
    >>> model.sparse_coef_.nnz, round(model.score(scale(X), y), 2)
    (6, 0.97)
    """

    alpha: float = 1e-3
    _: KW_ONLY
    l1_ratio: float = 1.0
    fit_intercept: bool = True
    class_weight: dict | str | None = None
    max_iter: int = 10_000
    tol: float = 1e-4
    n_jobs: int | None = None
    settings: dict | None = None


def _weights(sample_weight, X):
    if sample_weight is None:
        return None
    return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)


def log_probabilities(scores):
    """The logarithms of the probabilities of classes, a row for each, by the scores of two or of each: in rows too."""
    if len(scores) == 1:
        return scipy.special.log_expit(np.concatenate([-scores, scores]))
    each = scipy.special.log_expit(scores)
    return each - scipy.special.logsumexp(each, axis=0, keepdims=True)
