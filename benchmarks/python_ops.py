"""rarefy.ops beside SciPy: milliseconds of a sparse matrix times a dense one, of its transpose, and of a sampled product.

    python benchmarks/python_ops.py [--rows 1024] [--columns 128] [--densities 0.01 0.05 0.2] [--threads 1]

The matrix is square. Calls take turns, and the fastest tenth of each counts. SciPy's product has one thread; it has no sampled one,
which is measured against all of the dense product by NumPy, at the places of the matrix.
"""

import argparse
import os
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--rows", type=int, default=1024)
parser.add_argument("--columns", type=int, default=128)
parser.add_argument("--densities", type=float, nargs="+", default=[0.01, 0.05, 0.2])
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(arguments.threads)

import numpy as np  # noqa: E402
import scipy.sparse  # noqa: E402
from rarefy import ops  # noqa: E402


def fastest(calls, rounds=60):
    """Milliseconds of each call, which take turns."""
    taken = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: 1000 * np.mean(sorted(times)[: rounds // 10]) for name, times in taken.items()}


def main():
    rng, threads = np.random.default_rng(0), arguments.threads
    shape, columns = (arguments.rows, arguments.rows), arguments.columns
    X, G = (rng.standard_normal((arguments.rows, columns), dtype=np.float32) for _ in range(2))
    print(f"{shape[0]} x {shape[1]} times {columns} columns, float32, threads: {threads}; milliseconds")
    print(f"{'density':>8} {'product':10}{'rarefy':>9}{'SciPy':>9}{'times faster':>14}")
    for density in arguments.densities:
        A = scipy.sparse.random_array(shape, density=density, rng=rng, format="csr", dtype=np.float32)
        rows, cols = A.nonzero()
        pairs = {
            "A @ X": (lambda: ops.spmm(A, X, threads=threads), lambda: A @ X),
            "A.T @ G": (lambda: ops.spmm_t(A, G, threads=threads), lambda: A.T @ G),
            "sampled": (lambda: ops.sddmm(A, G, X, threads=threads).data, lambda: (G @ X.T)[rows, cols]),
        }
        for name, (ours, theirs) in pairs.items():
            np.testing.assert_allclose(ours(), theirs(), rtol=1e-3, atol=1e-3)
            found = fastest({"ours": ours, "theirs": theirs})
            faster = found["theirs"] / found["ours"]
            print(f"{density:8} {name:10}{found['ours']:9.3f}{found['theirs']:9.3f}{faster:14.1f}", flush=True)


if __name__ == "__main__":
    main()
