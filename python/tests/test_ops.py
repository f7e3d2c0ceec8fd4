"""Products with sparse matrices are SciPy's, for any number of threads, and refuse what they are not for."""

import doctest
import threading

import numpy as np
import pytest
import scipy.sparse
from rarefy import ops


def case(m, k, n, density, seed=0):
    rng = np.random.default_rng(seed)
    A = scipy.sparse.random_array((m, k), density=density, rng=rng, format="csr", dtype=np.float32)
    return A, rng.standard_normal((k, n), dtype=np.float32), rng.standard_normal((m, n), dtype=np.float32)


# 0 and 1 of each, whole tiles of 64 columns and parts of them, empty and full matrices.
SHAPES = [
    (1, 1, 1, 1.0),
    (5, 7, 3, 0.3),
    (40, 30, 64, 0.2),
    (300, 200, 65, 0.05),
    (17, 500, 200, 0.01),
    (9, 9, 31, 1.0),
    (6, 4, 10, 0.0),
    (0, 4, 2, 0.0),
    (4, 0, 2, 0.0),
    (4, 3, 0, 0.5),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_products_are_those_of_scipy(shape):
    A, X, G = case(*shape)
    np.testing.assert_allclose(ops.spmm(A, X), A @ X, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ops.spmm_t(A, G), A.T @ G, rtol=1e-5, atol=1e-5)
    places = A.toarray() != 0
    sampled = ops.sddmm(A, G, X)
    assert sampled.nnz == A.nnz and sampled.dtype == np.float32
    np.testing.assert_allclose(sampled.toarray(), np.where(places, G @ X.T, 0), rtol=1e-4, atol=1e-4)


def test_threads_change_no_bit():
    A, X, G = case(700, 900, 200, 0.05)
    for product in (lambda n: ops.spmm(A, X, threads=n), lambda n: ops.spmm_t(A, G, threads=n)):
        np.testing.assert_array_equal(product(1), product(2))
    np.testing.assert_array_equal(ops.sddmm(A, G, X, threads=1).data, ops.sddmm(A, G, X, threads=2).data)


def test_matrices_are_what_they_mean():
    A, X, G = case(30, 40, 70, 0.2)
    rows, cols = A.nonzero()
    order = np.lexsort((-cols, rows))  # columns fall within a row, and all stand there twice
    halves = np.repeat(A.data[order] / 2, 2)
    twice = scipy.sparse.csr_array((halves, np.repeat(cols[order], 2), 2 * A.indptr), shape=A.shape)
    roomy = scipy.sparse.csr_matrix(A)
    roomy.data, roomy.indices = (np.r_[part, part[:5]] for part in (roomy.data, roomy.indices))
    wide = A.copy()
    wide.indptr, wide.indices = wide.indptr.astype(np.int64), wide.indices.astype(np.int64)
    for same in (twice, roomy, wide):
        np.testing.assert_array_equal(ops.spmm(same, X), ops.spmm(A, X))
        np.testing.assert_array_equal(ops.sddmm(same, G, X).toarray(), ops.sddmm(A, G, X).toarray())
    for layout in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(ops.spmm(A, layout), ops.spmm(A, X))


def test_a_sampled_product_is_apart_from_its_places():
    A, X, G = case(30, 40, 7, 0.2)
    before = A.copy()
    sampled = ops.sddmm(A, G, X)
    sampled.data[:] = 0
    sampled.eliminate_zeros()
    assert sampled.nnz == 0
    np.testing.assert_array_equal(A.toarray(), before.toarray())


def test_what_is_absent_meets_no_infinity():
    A = scipy.sparse.csr_array(np.array([[1, 1, 1, 0]], dtype=np.float32))
    X = np.array([[1], [2], [3], [np.inf]], dtype=np.float32)
    assert ops.spmm(A, X) == 6


def test_what_does_not_fit_is_refused():
    A, X, G = case(5, 7, 3, 0.3)
    broken = A.copy()
    broken.indices = broken.indices + 100
    for error, words, call in [
        (TypeError, r"csc_array.*A\.tocsr\(\)", lambda: ops.spmm(A.tocsc(), X)),
        (TypeError, "ndarray.*csr_array", lambda: ops.spmm_t(A.toarray(), G)),
        (TypeError, "A holds float64", lambda: ops.spmm(A.astype(np.float64), X)),
        (TypeError, "X holds float64", lambda: ops.spmm(A, X.astype(np.float64))),
        (TypeError, "Y holds int64", lambda: ops.sddmm(A, G, X.astype(np.int64))),
        (ValueError, r"X has shape \(7, 3\); .* must be \(5, columns\)", lambda: ops.spmm_t(A, X)),
        (ValueError, r"X has shape \(7,\)", lambda: ops.spmm(A, X[:, 0])),
        (ValueError, "as many columns", lambda: ops.sddmm(A, G, X[:, :2])),
        (ValueError, "524288 at most", lambda: ops.sddmm(A, *(np.zeros((n, 2**19 + 1), "f4") for n in A.shape))),
        (ValueError, "do not fit its shape", lambda: ops.spmm(broken, X)),
        (ValueError, "threads == 0", lambda: ops.spmm(A, X, threads=0)),
    ]:
        with pytest.raises(error, match=words):
            call()


def test_other_threads_run_meanwhile():
    A, X, _ = case(3000, 3000, 2000, 0.05)
    ticks, done = [], threading.Event()

    def tick():
        while not done.wait(0.001):
            ticks.append(1)

    other = threading.Thread(target=tick)
    other.start()
    ops.spmm(A, X, threads=1)
    done.set()
    other.join()
    assert len(ticks) > 5


def test_examples_run():
    assert doctest.testmod(ops).failed == 0
