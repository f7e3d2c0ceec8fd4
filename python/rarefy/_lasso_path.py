"""Linear models along many alphas, each solved from the one before."""

from sklearn.base import is_classifier

from ._design import check_numbers, coefficients
from ._encoding import numbers_of
from ._linear import SparseLinearClassifier, SparseLinearRegressor
from ._linear_parameters import documented


@documented
def lasso_path(
    X,
    y,
    *,
    eps=1e-3,
    alphas=100,
    l1_ratio=1.0,
    sample_weight=None,
    max_iter=10_000,
    tol=1e-4,
    n_jobs=None,
    settings=None,
    return_names=False,
):
    """The Lasso, or the elastic net, along many alphas, without an intercept.

    What is solved is that of :class:`SparseLinearRegressor` with ``fit_intercept=False``, as in
    ``sklearn.linear_model.lasso_path``. Subtract the means of ``X`` and ``y`` before where they are not 0.

    Parameters
    ----------
    X : array-like, sparse array or data frame of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Numbers.
    {parameters}

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        The largest first.
    coefs : ndarray of shape (n_coefs, n_alphas)
        Their coefficients.
    gaps : ndarray of shape (n_alphas,)
        How far above the optimum the objectives are, at most.
    names : ndarray of shape (n_coefs,)
        What each coefficient is for; only with ``return_names``.

    Examples
    --------
    >>> import numpy as np
    >>> from rarefy import lasso_path
    >>> X = np.random.default_rng(0).standard_normal((50, 6))
    >>> alphas, coefs, gaps = lasso_path(X, X[:, 0] - X[:, 3], alphas=10)
    >>> (coefs != 0).sum(axis=0)[[0, -1]]
    array([0, 2])
    """
    model = SparseLinearRegressor(
        l1_ratio=l1_ratio, fit_intercept=False, max_iter=max_iter, tol=tol, n_jobs=n_jobs, settings=settings
    )
    found, coefs, names = _path(model, X, y, sample_weight, eps, alphas)
    path = found["lambdas"], coefs, found["gaps"]
    return (*path, names) if return_names else path


@documented
def logistic_path(
    X,
    y,
    *,
    eps=1e-3,
    alphas=100,
    l1_ratio=1.0,
    sample_weight=None,
    max_iter=10_000,
    tol=1e-4,
    n_jobs=None,
    settings=None,
    return_names=False,
):
    """Logistic regression of two classes along many alphas, with an intercept.

    What is solved is that of :class:`SparseLinearClassifier`.

    Parameters
    ----------
    X : array-like, sparse array or data frame of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Two classes.
    {parameters}

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        The largest first.
    coefs : ndarray of shape (n_coefs, n_alphas)
        Their coefficients, for the second class.
    intercepts : ndarray of shape (n_alphas,)
        Their intercepts.
    gaps : ndarray of shape (n_alphas,)
        How far above the optimum the objectives are, at most.
    names : ndarray of shape (n_coefs,)
        What each coefficient is for; only with ``return_names``.
    """
    model = SparseLinearClassifier(l1_ratio=l1_ratio, max_iter=max_iter, tol=tol, n_jobs=n_jobs, settings=settings)
    found, coefs, names = _path(model, X, y, sample_weight, eps, alphas)
    path = found["lambdas"], coefs, found["intercepts"], found["gaps"]
    return (*path, names) if return_names else path


def _path(model, X, y, sample_weight, eps, alphas):
    """The answers for the problem of an estimator along many alphas, their coefficients, and the names of these."""
    check_numbers(l1_ratio=model.l1_ratio, tol=model.tol, max_iter=model.max_iter)
    X, columns, weights = model._looked_at(X, y, sample_weight)
    if len(columns) > 1:
        what = "classes; a path is of 2" if is_classifier(model) else "columns of targets; a path is of one"
        raise ValueError(f"y has {len(columns)} {what}")
    X, model._preparation = numbers_of(X, weights, model.settings)
    design = model._design(X)
    alphas = model._grid(design, columns, weights, alphas, eps)
    found = model._answers(design, columns[0], weights, alphas)
    return found, coefficients(found, X.shape[1]).T.toarray(), model._coef_names()
