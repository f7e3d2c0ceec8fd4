"""Linear models along many alphas, each solved from the one before."""

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_X_y

from ._design import check_numbers, coefficients, design_of, grid, solve
from ._engine import thread_count
from ._linear_parameters import documented


@documented
def lasso_path(X, y, *, eps=1e-3, alphas=100, l1_ratio=1.0, sample_weight=None, max_iter=10_000, tol=1e-4, n_jobs=None):
    """The Lasso, or the elastic net, along many alphas, without an intercept.

    What is solved is that of :class:`SparseLinearRegressor` with ``fit_intercept=False``, as in
    ``sklearn.linear_model.lasso_path``. Subtract the means of ``X`` and ``y`` before where they are not 0.

    Parameters
    ----------
    X : array-like or sparse array of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Numbers.
    {parameters}

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        The largest first.
    coefs : ndarray of shape (n_features, n_alphas)
        Their coefficients.
    gaps : ndarray of shape (n_alphas,)
        How far above the optimum the objectives are, at most.

    Examples
    --------
    >>> import numpy as np
    >>> from rarefy import lasso_path
    >>> X = np.random.default_rng(0).standard_normal((50, 6))
    >>> alphas, coefs, gaps = lasso_path(X, X[:, 0] - X[:, 3], alphas=10)
    >>> (coefs != 0).sum(axis=0)[[0, -1]]
    array([0, 2])
    """
    X, y = check_X_y(X, y, accept_sparse=("csr", "csc"), dtype=(np.float32, np.float64), y_numeric=True)
    found = _path(X, y, "squared", False, eps, alphas, l1_ratio, sample_weight, max_iter, tol, n_jobs)
    return found["lambdas"], coefficients(found, X.shape[1]).T.toarray(), found["gaps"]


@documented
def logistic_path(
    X, y, *, eps=1e-3, alphas=100, l1_ratio=1.0, sample_weight=None, max_iter=10_000, tol=1e-4, n_jobs=None
):
    """Logistic regression of two classes along many alphas, with an intercept.

    What is solved is that of :class:`SparseLinearClassifier`.

    Parameters
    ----------
    X : array-like or sparse array of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Two classes.
    {parameters}

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        The largest first.
    coefs : ndarray of shape (n_features, n_alphas)
        Their coefficients, for the second class.
    intercepts : ndarray of shape (n_alphas,)
        Their intercepts.
    gaps : ndarray of shape (n_alphas,)
        How far above the optimum the objectives are, at most.
    """
    X, y = check_X_y(X, y, accept_sparse=("csr", "csc"), dtype=(np.float32, np.float64))
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) != 2:
        raise ValueError(f"y has {len(classes)} classes; a path is of 2")
    found = _path(X, codes, "logistic", True, eps, alphas, l1_ratio, sample_weight, max_iter, tol, n_jobs)
    return found["lambdas"], coefficients(found, X.shape[1]).T.toarray(), found["intercepts"], found["gaps"]


def _path(X, y, loss, fit_intercept, eps, alphas, l1_ratio, sample_weight, max_iter, tol, n_jobs):
    check_numbers(l1_ratio=l1_ratio, tol=tol, max_iter=max_iter)
    if sample_weight is not None:
        sample_weight = np.ascontiguousarray(sample_weight, dtype=np.float64)
        check_consistent_length(X, sample_weight)
    y = np.ascontiguousarray(y, dtype=np.float64)
    design = design_of(X, thread_count(n_jobs))
    alphas = grid(
        design, [y], [sample_weight], loss, fit_intercept=fit_intercept, alphas=alphas, eps=eps, l1_ratio=l1_ratio
    )
    return solve(
        design,
        y,
        sample_weight,
        loss,
        fit_intercept=fit_intercept,
        alphas=alphas,
        l1_ratio=l1_ratio,
        tol=tol,
        max_iter=max_iter,
    )
