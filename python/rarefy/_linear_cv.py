"""Sparse linear models whose penalty cross-validation chooses."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from ._design import check_numbers, coefficients
from ._docstrings import documenting
from ._encoding import numbers_of
from ._linear import Classifying, Regressing, log_probabilities
from ._linear_parameters import PARAMETERS


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

    def _alpha_for(self, X, columns, weights):
        """The best alpha for all columns of targets."""
        check_numbers(l1_ratio=self.l1_ratio, tol=self.tol, max_iter=self.max_iter)
        numbers, _ = numbers_of(X, weights, self.settings)
        # Folds have each class in equal parts.
        y = _classes_of(columns) if is_classifier(self) else columns[0]
        folds = list(check_cv(self.cv, y, classifier=is_classifier(self)).split(numbers, y))
        self.alphas_ = self._grid(self._design(numbers), columns, weights, self.alphas, self.eps)
        self.loss_path_ = np.empty((len(self.alphas_), len(folds)))
        for fold, (train, test) in enumerate(folds):
            self._check_fold(fold, train, test, columns, weights)
            # Nothing is learned from what a fold leaves out.
            alone = np.zeros(len(y))
            alone[train] = 1 if weights is None else weights[train]
            numbers, _ = numbers_of(X, alone, self.settings)
            design = self._design(numbers[train])
            of_train, of_test = (None, None) if weights is None else (weights[train], weights[test])
            scores = []
            for column in columns:
                found = self._answers(design, column[train], of_train, self.alphas_)
                coefs = coefficients(found, numbers.shape[1]).T.toarray()
                scores.append(numbers[test] @ coefs + found["intercepts"])
            losses = self._losses(np.array(scores), [column[test] for column in columns])
            self.loss_path_[:, fold] = np.average(losses, axis=0, weights=of_test)
        # Of equal ones the sparsest.
        self.alpha_ = float(self.alphas_[self.loss_path_.mean(axis=1).argmin()])
        return self.alpha_

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
    The strength that was chosen for all targets or classes: of the lowest mean loss over the folds, the strongest of
    equal ones.
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

    def _losses(self, scores, columns):
        classes = _classes_of(columns)
        return -log_probabilities(scores)[classes, np.arange(len(classes))]


def _classes_of(columns):
    """The class of each sample, of which the columns of targets say one against the others."""
    return columns[0].astype(int) if len(columns) == 1 else np.argmax(columns, axis=0)
