"""Sparse linear models whose penalty cross-validation chooses."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from ._design import check_numbers, coefficients, design_of, grid, solve
from ._docstrings import documenting
from ._encoding import numbers_of
from ._engine import thread_count
from ._linear import Classifying, Regressing, log_probabilities
from ._linear_parameters import PARAMETERS
from ._predicting import all_or_nothing


@dataclass(eq=False, repr=False)
class _Chosen:
    """What both share: a path over each fold's samples, judged by those that it left out."""

    alphas: Any = 100
    _: KW_ONLY
    eps: float = 1e-3
    cv: Any = None
    l1_ratio: float = 1.0
    fit_intercept: bool = True
    max_iter: int = 10_000
    tol: float = 1e-4
    n_jobs: int | None = None
    settings: dict | None = None

    def _fit_best(self, X, columns, weights, loss, y):
        """Chooses an alpha for all columns of targets, and fits all samples by it."""
        check_numbers(l1_ratio=self.l1_ratio, tol=self.tol, max_iter=self.max_iter)
        numbers, _ = numbers_of(X, weights, self.settings)
        folds = list(check_cv(self.cv, y, classifier=is_classifier(self)).split(numbers, y))
        threads = thread_count(self.n_jobs)
        options = {"fit_intercept": bool(self.fit_intercept), "l1_ratio": self.l1_ratio}
        design = design_of(numbers, threads, fit_intercept=self.fit_intercept)
        self.alphas_ = grid(design, columns, weights, loss, alphas=self.alphas, eps=self.eps, **options)
        self.loss_path_ = np.empty((len(self.alphas_), len(folds)))
        for fold, (train, test) in enumerate(folds):
            self._check_fold(fold, train, test, columns, weights)
            # Nothing is learned from what a fold leaves out.
            alone = np.zeros(len(y))
            alone[train] = 1 if weights is None else weights[train]
            numbers, _ = numbers_of(X, alone, self.settings)
            design = design_of(numbers[train], threads, fit_intercept=self.fit_intercept)
            of = None if weights is None else np.ascontiguousarray(weights[train])
            scores = []
            for column in columns:
                y_train = np.ascontiguousarray(column[train])
                found = solve(
                    design, y_train, of, loss, alphas=self.alphas_, tol=self.tol, max_iter=self.max_iter, **options
                )
                coefs = coefficients(found, numbers.shape[1]).T.toarray()
                scores.append(numbers[test] @ coefs + found["intercepts"])
            losses = self._losses(np.array(scores), [column[test] for column in columns])
            self.loss_path_[:, fold] = np.average(losses, axis=0, weights=None if weights is None else weights[test])
        # Of equal ones the sparsest.
        self.alpha_ = float(self.alphas_[self.loss_path_.mean(axis=1).argmin()])
        return self._fit_at(self.alpha_, X, columns, weights)

    def _check_fold(self, fold, train, test, columns, weights):
        """Refuses a fold that has nothing to learn from, or to judge by."""
        for part, what in [(train, "train on"), (test, "judge by")]:
            if weights is not None and not weights[part].any():
                raise ValueError(f"sample_weight: all {len(part)} samples to {what} in fold {fold + 1} weigh nothing")
        if is_classifier(self):
            counts = [column[train] if weights is None else column[train][weights[train] > 0] for column in columns]
            alone = [number for number, column in enumerate(counts) if column.min() == column.max()]
            if alone:
                name = self.classes_[alone[0] if len(columns) > 1 else 1]
                raise ValueError(
                    f"cv: fold {fold + 1} has no two classes to train on where {str(name)!r} is told from the others; "
                    "take fewer folds, or such as have all classes"
                )


_documented = documenting(
    PARAMETERS,
    """\
alpha_ : float
    The strength that was chosen: of the lowest mean loss over the folds, the strongest of equal ones.
alphas_ : ndarray of shape (n_alphas,)
    All of them, the largest first.
loss_path_ : ndarray of shape (n_alphas, n_folds)
    The mean loss of each on the samples that a fold left out.""",
)


@_documented
@dataclass(eq=False, repr=False)
class SparseLinearRegressorCV(_Chosen, Regressing):
    """The Lasso, or the elastic net, with a penalty that cross-validation chooses.

    What is fitted is a :class:`SparseLinearRegressor` at ``alpha_``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}
    coef_, coef_names_, sparse_coef_, intercept_, dual_gap_, n_iter_, n_features_in_, feature_names_in_
        As of :class:`SparseLinearRegressor`.

    Examples
    --------
    >>> import numpy as np
    >>> from rarefy import SparseLinearRegressorCV
    >>> X = np.random.default_rng(0).standard_normal((100, 20))
    >>> y = 3 * X[:, 4] - 2 * X[:, 7] + np.random.default_rng(1).standard_normal(100)
    >>> model = SparseLinearRegressorCV().fit(X, y)
    >>> bool(model.alpha_ in model.alphas_ and model.coef_[4] > 2.5 and model.coef_[7] < -1.5)
    True
    """

    @all_or_nothing
    def fit(self, X, y, sample_weight=None):
        """Fits the model.

        Parameters
        ----------
        X : array-like, sparse array or data frame of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Numbers; one alpha is chosen for all of a sample.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.

        Returns
        -------
        SparseLinearRegressorCV
            Itself.
        """
        X, columns, weights = self._looked_at(X, y, sample_weight)
        return self._fit_best(X, columns, weights, "squared", columns[0])

    def _losses(self, scores, columns):
        return ((scores - np.array(columns)[:, :, np.newaxis]) ** 2).mean(axis=0)


@_documented
@dataclass(eq=False, repr=False)
class SparseLinearClassifierCV(_Chosen, Classifying):
    """Logistic regression with an L1 penalty that cross-validation chooses, by the mean logarithmic loss.

    What is fitted is a :class:`SparseLinearClassifier` at ``alpha_``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}
    classes_, coef_, coef_names_, sparse_coef_, intercept_, dual_gap_, n_iter_, n_features_in_, feature_names_in_
        As of :class:`SparseLinearClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from rarefy import SparseLinearClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SparseLinearClassifierCV(20).fit(scale(X), y)
    >>> bool(model.score(scale(X), y) > 0.97 and model.sparse_coef_.nnz < 30)
    True
    """

    _: KW_ONLY
    class_weight: dict | str | None = None

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
        SparseLinearClassifierCV
            Itself.
        """
        X, columns, weights = self._looked_at(X, y, sample_weight)
        # The folds have each class in equal parts.
        return self._fit_best(X, columns, weights, "logistic", _classes_of(columns))

    def _losses(self, scores, columns):
        classes = _classes_of(columns)
        return -log_probabilities(scores)[classes, np.arange(len(classes))]


def _classes_of(columns):
    """The class of each sample, of which the columns of targets say one against the others."""
    return columns[0].astype(int) if len(columns) == 1 else np.argmax(columns, axis=0)
