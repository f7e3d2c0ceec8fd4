"""Arrays as rarefy takes them: rows of samples, dense or sparse, what is to be predicted, and weights."""

import numpy as np
import scipy.sparse

from ._frames import Frame
from ._rarefy import Samples
from ._sparse import canonical


def float_types(X):
    """The types that numbers of ``X`` may have, first that of those which have none of them: float32 holds small
    integers, float64 the others.
    """
    is_small = hasattr(X, "dtype") and np.can_cast(X.dtype, np.float32)
    return (np.float32, np.float64) if is_small else (np.float64, np.float32)


def rows_of(X):
    """Samples of a two-dimensional array or of a `Frame`.

    An array is read where it lies: float32 in C order as it is, float64 in any layout on the way to the only copy.
    """
    if isinstance(X, Frame):
        return X.samples
    if scipy.sparse.issparse(X):
        X = canonical(X, "csr")
        if X.shape[1] > np.iinfo(np.uint32).max:
            raise ValueError(f"X has {X.shape[1]} features, more than {np.iinfo(np.uint32).max}")
        indptr, indices = X.indptr.astype(np.uint64, copy=False), X.indices.astype(np.uint32, copy=False)
        return Samples.csr(X.shape[1], indptr, indices, X.data.astype(np.float32, copy=False))
    if X.dtype not in float_types(X):
        X = X.astype(float_types(X)[0])
    if X.dtype == np.float64:
        return Samples.wide(X)
    return Samples.dense(np.ascontiguousarray(X, dtype=np.float32), X.shape[1])
