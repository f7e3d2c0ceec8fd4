#!/usr/bin/env python3
"""Sparse linear models from Python against scikit-learn's, on 20,000 x 50,000 with 100 nonzeros a row.

Each fit has a process of its own, and all take turns. Time is processor time of the fit, one thread, the median of
the rounds; memory is by how much the process grew over its data at most. The objective is rarefy's for all. Each
program runs at its own default tolerance, and liblinear at a tighter one too. liblinear's intercept is a feature of 1
that the penalty pulls at, so its optimum is a little higher; the rows without an intercept compare at equal terms.

    PYTHONPATH=python benchmarks/python_linear.py --rounds 3
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

SAMPLES, FEATURES, NONZEROS = 20_000, 50_000, 100
PROBLEMS = [("logistic", 5e-4), ("logistic", 5e-5), ("squared", 5e-3), ("squared", 5e-4)]
PROGRAMS = {
    "logistic": ["rarefy", "liblinear", "liblinear 1e-4"],
    "squared": ["rarefy", "Lasso"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fit", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fit:
        print(json.dumps(fit(*args.fit)))
        return
    rows = [
        (loss, alpha, program, intercept)
        for loss, alpha in PROBLEMS
        for intercept in (True, False)
        for program in PROGRAMS[loss]
    ]
    found = {row: [] for row in rows}
    for _ in range(args.rounds):
        for row in rows:
            loss, alpha, program, intercept = row
            command = [sys.executable, __file__, "--fit", loss, str(alpha), program, str(int(intercept))]
            found[row].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    print(f"{SAMPLES} x {FEATURES}, {NONZEROS} nonzeros a row, one thread, medians of {args.rounds} rounds\n")
    print("| loss | alpha | intercept | program | seconds | times rarefy's | memory, MB | objective | nonzeros |")
    print("|---" * 9 + "|")
    for row in rows:
        loss, alpha, program, intercept = row
        median = {key: statistics.median(run[key] for run in found[row]) for key in found[row][0]}
        ours = statistics.median(run["seconds"] for run in found[(loss, alpha, "rarefy", intercept)])
        print(
            f"| {loss} | {alpha:g} | {'yes' if intercept else 'no'} | {program} | {median['seconds']:.2f} "
            f"| {median['seconds'] / ours:.2f} | {median['megabytes']:.0f} | {median['objective']:.8f} "
            f"| {median['nonzeros']:.0f} |"
        )


def table():
    """Positive features, as counts of words are, and targets that a thousand of them make."""
    import numpy as np
    import scipy.sparse

    rng = np.random.default_rng(0)
    columns = rng.integers(0, FEATURES, SAMPLES * NONZEROS)
    values = np.abs(rng.standard_normal(SAMPLES * NONZEROS)).astype(np.float32).astype(np.float64)
    offsets = np.arange(0, SAMPLES * NONZEROS + 1, NONZEROS)
    X = scipy.sparse.csr_matrix((values, columns, offsets), shape=(SAMPLES, FEATURES))
    X.sum_duplicates()
    w = np.zeros(FEATURES)
    w[rng.choice(FEATURES, 1000, replace=False)] = 3 * rng.standard_normal(1000)
    return X, X @ w + rng.standard_normal(SAMPLES)


def fit(loss, alpha, program, intercept):
    import numpy as np

    alpha, intercept = float(alpha), bool(int(intercept))
    X, z = table()
    y = z if loss == "squared" else (z > 0).astype(np.int64)
    model = estimator(loss, alpha, program, intercept)
    before, start = peak(), time.process_time()
    model.fit(X, y)
    seconds, after = time.process_time() - start, peak()
    w, b = np.ravel(model.coef_), np.ravel(model.intercept_)[0]
    t = X @ w + b
    losses = (y - t) ** 2 / 2 if loss == "squared" else np.logaddexp(0, t) - y * t
    return {
        "seconds": seconds,
        "megabytes": after - before,
        "objective": losses.mean() + alpha * np.abs(w).sum(),
        "nonzeros": int(np.count_nonzero(w)),
    }


def estimator(loss, alpha, program, intercept):
    if program == "rarefy":
        import rarefy

        kind = rarefy.SparseLinearRegressor if loss == "squared" else rarefy.SparseLinearClassifier
        return kind(alpha, fit_intercept=intercept, n_jobs=1)
    from sklearn.linear_model import Lasso, LogisticRegression

    if program == "Lasso":
        return Lasso(alpha, fit_intercept=intercept, max_iter=10_000)
    tol = 1e-4 if program.endswith("1e-4") else 1e-2
    options = {"C": 1 / (alpha * SAMPLES), "l1_ratio": 1, "solver": "liblinear", "tol": tol, "max_iter": 1000}
    return LogisticRegression(fit_intercept=intercept, **options)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
