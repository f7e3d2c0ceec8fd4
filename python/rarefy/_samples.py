"""Arrays as rarefy takes them: rows of samples, dense or sparse, what is to be predicted, and weights."""

import numpy as np
import scipy.sparse

from ._frames import Frame
from ._rarefy import Samples


def rows_of(X):
    """Samples of a two-dimensional array, which is read where it lies if it is float32 in C order, or of a `Frame`."""
    if isinstance(X, Frame):
        return X.samples
    if scipy.sparse.issparse(X):
        X = canonical(X if X.format == "csr" else X.tocsr())
        if X.shape[1] > np.iinfo(np.uint32).max:
            raise ValueError(f"X has {X.shape[1]} features, more than {np.iinfo(np.uint32).max}")
        indptr, indices = X.indptr.astype(np.uint64, copy=False), X.indices.astype(np.uint32, copy=False)
        return Samples.csr(X.shape[1], indptr, indices, X.data.astype(np.float32, copy=False))
    if X.dtype == np.float64:
        return Samples.wide(np.ascontiguousarray(X), X.shape[1])
    return Samples.dense(np.ascontiguousarray(X, dtype=np.float32), X.shape[1])


def canonical(X):
    """Compressed rows or columns of which none has a place twice, in order."""
    _check_parts(X)
    if X.has_canonical_format:
        return X
    X = X.copy()
    X.sum_duplicates()
    return X


def _check_parts(X):
    """SciPy would follow wrong indices beyond its arrays."""
    indptr, indices = X.indptr, X.indices
    rows, columns = X.shape if X.format == "csr" else X.shape[::-1]
    fits = (
        len(indptr) == rows + 1
        and indptr[0] == 0
        and (np.diff(indptr) >= 0).all()
        and indptr[-1] <= min(len(indices), len(X.data))
        and (not len(indices) or (indices.min() >= 0 and indices.max() < columns))
    )
    if not fits:
        raise ValueError(f"X: is a sparse {X.format} array whose indptr and indices do not fit its shape {X.shape}")
