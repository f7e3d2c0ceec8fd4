"""The three products of a sparse layer, on arrays of SciPy and NumPy.

With weights ``A`` of shape (outputs, inputs) and a sample in each column of ``X`` a layer computes ``spmm(A, X)``.
Where ``G`` is the gradient of that, ``spmm_t(A, G)`` is that of ``X``, and ``sddmm(A, G, X)`` that of the weights.

All numbers are float32, sums too. Other threads of Python run meanwhile, and the number of threads changes no bit.
"""

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from ._engine import thread_count
from ._rarefy import products_of_rows, sparse_times_dense
from ._sparse import canonical

__all__ = ["sddmm", "spmm", "spmm_t"]

# Columns that sampled products are summed over, at most.
MOST_COLUMNS = 1 << 19


def spmm(A: scipy.sparse.csr_array, X: ArrayLike, *, threads: int | None = None) -> NDArray[np.float32]:
    """A sparse matrix times a dense one: ``A @ X``.

    Parameters
    ----------
    A : csr_array of shape (m, k), float32
        The sparse matrix.
    X : array-like of shape (k, n), float32
        The dense one; read as it is in C order, else copied.
    threads : int, optional
        How many; all that the process may use if it is not given.

    Returns
    -------
    ndarray of shape (m, n), float32

    Raises
    ------
    TypeError
        Another type than csr_array or csr_matrix, or of numbers than float32.
    ValueError
        Shapes that do not fit, or indices that contradict each other.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from rarefy.ops import spmm
    >>> A = scipy.sparse.csr_array([[0, 2, 0], [3, 0, 4]], dtype=np.float32)
    >>> spmm(A, np.array([[1], [10], [100]], dtype=np.float32))
    array([[ 20.],
           [403.]], dtype=float32)
    """
    return _product(A, X, False, threads)


def spmm_t(A: scipy.sparse.csr_array, X: ArrayLike, *, threads: int | None = None) -> NDArray[np.float32]:
    """The transpose of a sparse matrix times a dense one: ``A.T @ X``.

    Parameters
    ----------
    A : csr_array of shape (m, k), float32
        The sparse matrix, not transposed.
    X : array-like of shape (m, n), float32
        The dense one; read as it is in C order, else copied.
    threads : int, optional
        How many; all that the process may use if it is not given.

    Returns
    -------
    ndarray of shape (k, n), float32

    Raises
    ------
    TypeError, ValueError
        As `spmm`.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from rarefy.ops import spmm_t
    >>> A = scipy.sparse.csr_array([[0, 2, 0], [3, 0, 4]], dtype=np.float32)
    >>> spmm_t(A, np.array([[1], [10]], dtype=np.float32))
    array([[30.],
           [ 2.],
           [40.]], dtype=float32)
    """
    return _product(A, X, True, threads)


def sddmm(
    A: scipy.sparse.csr_array, X: ArrayLike, Y: ArrayLike, *, threads: int | None = None
) -> scipy.sparse.csr_array:
    """A dense product where a sparse matrix has numbers: ``X @ Y.T`` at the places of ``A``.

    Parameters
    ----------
    A : csr_array of shape (m, k)
        The places; its numbers are not looked at.
    X : array-like of shape (m, n), float32
    Y : array-like of shape (k, n), float32
        The dense matrices; read as they are in C order, else copied. ``n`` is 524,288 at most.
    threads : int, optional
        How many; all that the process may use if it is not given.

    Returns
    -------
    csr_array of shape (m, k), float32
        The places of ``A``, sorted, each once.

    Raises
    ------
    TypeError, ValueError
        As `spmm`.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from rarefy.ops import sddmm
    >>> A = scipy.sparse.csr_array([[0, 2, 0], [3, 0, 4]], dtype=np.float32)
    >>> X, Y = np.array([[1], [10]], dtype=np.float32), np.array([[1], [2], [3]], dtype=np.float32)
    >>> sddmm(A, X, Y).toarray()
    array([[ 0.,  2.,  0.],
           [10.,  0., 30.]], dtype=float32)
    """
    A = _sparse(A)
    (m, k), X = A.shape, _dense("X", X, A.shape[0], A)
    Y = _dense("Y", Y, k, A)
    if X.shape[1] != Y.shape[1]:
        raise ValueError(f"X has shape {X.shape} and Y {Y.shape}; both must have as many columns")
    if X.shape[1] > MOST_COLUMNS:
        raise ValueError(f"X has {X.shape[1]} columns; sums are over {MOST_COLUMNS} at most")
    values = products_of_rows(A.shape, *_indices(A), X, Y, _threads(threads))
    # SciPy changes indices in place: those of the result are its own.
    return scipy.sparse.csr_array((values, A.indices.copy(), A.indptr.copy()), shape=(m, k))


def _product(A, X, transposed, threads):
    A = _sparse(A)
    if A.dtype != np.float32:
        raise TypeError(f"A holds {A.dtype}, and products are of float32; give A.astype(numpy.float32)")
    X = _dense("X", X, A.shape[0 if transposed else 1], A)
    return sparse_times_dense(A.shape, *_indices(A), A.data, X, transposed, _threads(threads))


def _sparse(A):
    if not scipy.sparse.issparse(A) or A.format != "csr":
        advice = "A.tocsr()" if scipy.sparse.issparse(A) else "scipy.sparse.csr_array(A)"
        raise TypeError(f"A is of the type {type(A).__name__}, and must be a csr_array; give {advice}")
    if A.ndim != 2:
        raise ValueError(f"A has shape {A.shape}, and must have rows and columns")
    if max(*A.shape, A.nnz) > np.iinfo(np.int32).max:
        raise ValueError(f"A has the shape {A.shape} and {A.nnz} numbers; each may be 2**31 - 1 at most")
    A = canonical(A, "csr")
    if len(A.indices) == len(A.data) == A.nnz:
        return A
    # Room that nothing stands in.
    return scipy.sparse.csr_array((A.data[: A.nnz], A.indices[: A.nnz], A.indptr), shape=A.shape)


def _indices(A):
    return A.indptr.astype(np.int32, copy=False), A.indices.astype(np.int32, copy=False)


def _dense(name, X, rows, A):
    X = np.asarray(X)
    if X.dtype != np.float32:
        raise TypeError(f"{name} holds {X.dtype}, and products are of float32; give {name}.astype(numpy.float32)")
    if X.ndim != 2 or X.shape[0] != rows:
        raise ValueError(f"{name} has shape {X.shape}; with A of shape {A.shape} it must be ({rows}, columns)")
    return np.ascontiguousarray(X)


def _threads(threads):
    if threads is not None and threads < 1:
        raise ValueError(f"threads == {threads}; there must be 1 at least, or None for all that there are")
    return thread_count(threads)
