"""Batches of 32 samples beside 64, over seeds: the score on a validation part, and seconds of a fit.

    python benchmarks/python_batch.py [--seeds 5] [--epochs 50]
"""

import argparse
import time

import numpy as np
from rarefy import SparseMLPClassifier, SparseMLPRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split

TABLES = [
    ("digits", load_digits, SparseMLPClassifier),
    ("breast cancer", load_breast_cancer, SparseMLPClassifier),
    ("diabetes", load_diabetes, SparseMLPRegressor),
]
SIZES = [32, 64]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50)
    arguments = parser.parse_args()
    print(f"sparsity 0.9, hidden 256-256, {arguments.epochs} epochs, {arguments.seeds} seeds: score and its deviation, seconds a fit")
    print(f"{'':16}" + "".join(f"{f'batch {size}':>28}" for size in SIZES) + f"{'64 - 32 (paired)':>24}")
    for name, load, estimator in TABLES:
        X, y = load(return_X_y=True)
        scores = np.empty((arguments.seeds, len(SIZES)))
        seconds = np.empty_like(scores)
        for seed in range(arguments.seeds):
            parts = train_test_split(X, y, random_state=seed, test_size=0.3, stratify=y if estimator is SparseMLPClassifier else None)
            for at, size in enumerate(SIZES):
                start = time.perf_counter()
                network = estimator((256, 256), batch_size=size, max_iter=arguments.epochs, random_state=seed).fit(parts[0], parts[2])
                seconds[seed, at] = time.perf_counter() - start
                scores[seed, at] = network.score(parts[1], parts[3])
        cells = [f"{s.mean():.4f} ({s.std(ddof=1):.4f})  {np.median(t):.2f} s" for s, t in zip(scores.T, seconds.T, strict=True)]
        gain = scores[:, 1] - scores[:, 0]
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        print(f"{name:16}" + "".join(f"{cell:>28}" for cell in cells) + f"{f'{gain.mean():+.4f} +- {error:.4f}':>24}")


if __name__ == "__main__":
    main()
