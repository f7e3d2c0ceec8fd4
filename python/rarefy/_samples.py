"""Arrays as rarefy takes them: rows of samples, dense or sparse, what is to be predicted, and weights."""

import numpy as np
import scipy.sparse

from ._frames import Frame
from ._rarefy import Samples
from ._sparse import canonical


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
    if X.dtype == np.float64:
        return Samples.wide(X)
    return Samples.dense(np.ascontiguousarray(X, dtype=np.float32), X.shape[1])
