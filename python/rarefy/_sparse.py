"""Sparse arrays of SciPy's: checked before anything follows their indices."""

import numpy as np

_COMPRESSED = ("csr", "csc")


def canonical(X, *formats):
    """Compressed rows or columns, in one of the formats, of which none has a place twice, in order."""
    check_parts(X)
    if X.format not in formats:
        X = X.asformat(formats[0])
    if X.has_canonical_format:
        return X
    X = X.copy()
    X.sum_duplicates()
    return X


def check_parts(X):
    """Refuses compressed rows or columns whose parts contradict each other: SciPy would read and write beyond them.

    Raises
    ------
    ValueError
    """
    if X.format not in _COMPRESSED:
        return
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
