"""Features of linear models, and what is solved over them."""

from numbers import Integral, Real

import numpy as np
import scipy.sparse

from ._rarefy import Design
from ._sparse import canonical


class Centred:
    """Columns less their means, which an intercept makes up for: rounded to float32, numbers that differ little from
    one another, as those of years or of times do, would be told apart no longer.
    """

    def __init__(self, X, threads):
        self._means = X.mean(axis=0)
        # Subtracted in float64, and then rounded.
        rows = np.subtract(X, self._means, out=np.empty(X.shape, np.float32), casting="same_kind")
        self._design = Design.dense(rows, X.shape[1], threads)

    def lambda_max(self, *problem):
        return self._design.lambda_max(*problem)

    def solve(self, *problem):
        found, stopped_by = self._design.solve(*problem)
        found["intercepts"] -= coefficients(found, len(self._means)) @ self._means
        return found, stopped_by


def design_of(X, threads, *, fit_intercept):
    """The columns of a two-dimensional array, dense or sparse; a sparse one stays so."""
    if not scipy.sparse.issparse(X):
        if fit_intercept and X.dtype == np.float64:
            return Centred(X, threads)
        return Design.dense(np.ascontiguousarray(X, dtype=np.float32), X.shape[1], threads)
    X = canonical(X, "csr", "csc")
    limit = np.iinfo(np.uint32).max
    if max(X.shape) > limit:
        raise ValueError(f"X has the shape {X.shape}; samples and features may be {limit} at most")
    indptr, indices = X.indptr.astype(np.uint64, copy=False), X.indices.astype(np.uint32, copy=False)
    data = X.data.astype(np.float32, copy=False)
    return Design.sparse(X.shape, X.format == "csc", indptr, indices, data, threads)


def solve(design, y, weights, loss, *, fit_intercept, alphas, l1_ratio, tol, max_iter):
    """The answers for some ``alphas``, largest first: arrays by name, of which `coefficients` makes a matrix."""
    alphas = np.ascontiguousarray(alphas, dtype=np.float64)
    found, stopped_by = design.solve(
        np.ascontiguousarray(y, dtype=np.float64),
        None if weights is None else np.ascontiguousarray(weights, dtype=np.float64),
        loss,
        bool(fit_intercept),
        alphas,
        float(l1_ratio),
        float(tol),
        int(max_iter),
    )
    if stopped_by is not None:
        raise stopped_by
    return found


def grid(design, columns, weights, loss, *, fit_intercept, alphas, eps, l1_ratio):
    """Alphas, largest first: those that are given, or so many from about the smallest that uses no feature for any
    column of targets down to ``eps`` of it.
    """
    if isinstance(alphas, Integral) and not isinstance(alphas, bool):
        if alphas < 1:
            raise ValueError(f"alphas == {alphas}; a path has at least 1")
        if not (_is_number(eps) and 0 < eps < 1):
            raise ValueError(f"eps == {eps!r}; it must be between 0 and 1")
        largest = max(design.lambda_max(y, weights, loss, bool(fit_intercept), float(l1_ratio)) for y in columns)
        if largest == 0:
            raise ValueError("y does not change with any feature of X; give the alphas themselves")
        alphas = np.geomspace(largest, largest * eps, int(alphas))
    if np.ndim(alphas) != 1:
        raise ValueError(f"alphas == {alphas!r}; it must be a list of numbers, or how many as a whole number")
    alphas = np.sort(np.asarray(alphas, dtype=np.float64).ravel())[::-1]
    if not (alphas.size and np.isfinite(alphas).all() and (alphas > 0).all()):
        raise ValueError("alphas must be numbers above 0, at least one")
    return alphas


def coefficients(found, features):
    """Their coefficients, a row for each alpha."""
    rows = len(found["indptr"]) - 1
    return scipy.sparse.csr_array((found["data"], found["indices"], found["indptr"]), shape=(rows, features))


def check_numbers(*, alpha=None, l1_ratio, tol, max_iter):
    """Refuses what no solver could use, by the parameter's name."""
    if alpha is not None and not (_is_number(alpha) and 0 < alpha < np.inf):
        raise ValueError(f"alpha == {alpha!r}; it must be a number above 0: without a penalty nothing is sparse")
    if not (_is_number(l1_ratio) and 0 < l1_ratio <= 1):
        raise ValueError(f"l1_ratio == {l1_ratio!r}; it must be above 0, which makes no zeros, and at most 1")
    if not (_is_number(tol) and 0 < tol < 1):
        raise ValueError(f"tol == {tol!r}; it must be between 0 and 1")
    if not isinstance(max_iter, Integral) or isinstance(max_iter, bool) or max_iter < 1:
        raise ValueError(f"max_iter == {max_iter!r}; it must be a whole number, 1 or more")


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)
