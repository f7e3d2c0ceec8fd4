"""SparseMLPClassifier beside scikit-learn's MLPClassifier: seconds of a fit, accuracy, and memory beyond the samples.

    python benchmarks/python_mlp.py [--fashion PATH] [--epochs 5] [--threads 2] [--loops 1000]

Each fit runs in a process of its own, so that the peak of memory is its own. PATH is a folder of IDX files, as Debian's
dataset-fashion-mnist has it, whose place is the default, or an NPZ file of x_train, y_train, x_test and y_test; without
either the samples are random. `--loops` fits that many small networks in one process instead, and tells how its memory
grows.
"""

import argparse
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

IDX = Path("/usr/share/datasets/fashion-mnist")
WAYS = ["MLPClassifier", "rarefy 90 %", "rarefy 95 %", "rarefy 98 %"]


def memory(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def samples(path):
    if path.is_file():
        parts = np.load(path)
        return tuple(parts[name] for name in ("x_train", "y_train", "x_test", "y_test")), "Fashion-MNIST"
    if path.exists():
        images = [read_idx(path / f"{name}-images-idx3-ubyte.gz") for name in ("train", "t10k")]
        labels = [read_idx(path / f"{name}-labels-idx1-ubyte.gz") for name in ("train", "t10k")]
        return (images[0], labels[0], images[1], labels[1]), "Fashion-MNIST"
    rng = np.random.default_rng(0)
    means = rng.normal(size=(10, 784))
    labels = rng.integers(0, 10, size=70_000)
    rows = (0.3 * means[labels] + rng.normal(size=(70_000, 784))).astype(np.float32)
    return (rows[:60_000], labels[:60_000], rows[60_000:], labels[60_000:]), "random samples"


def read_idx(path):
    data = gzip.open(path).read()
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(int.from_bytes(data[4:8], "big"), -1)


def one(way, arguments):
    (x, y, x_test, y_test), _ = samples(arguments.fashion)
    scale = 255 if x.dtype == np.uint8 else 1
    x, x_test = (np.ascontiguousarray(part.reshape(len(part), -1), dtype=np.float32) / scale for part in (x, x_test))
    y, y_test = y.ravel(), y_test.ravel()
    given = {"hidden_layer_sizes": (512, 512), "max_iter": arguments.epochs, "batch_size": 64, "random_state": 0}
    if way == "MLPClassifier":
        from sklearn.neural_network import MLPClassifier

        network = MLPClassifier(**given)
    else:
        from rarefy import SparseMLPClassifier

        network = SparseMLPClassifier(sparsity=int(way.split()[1]) / 100, n_jobs=arguments.threads, **given)
    # Everything is imported and awake before memory is looked at.
    type(network)(**{**network.get_params(), "max_iter": 1}).fit(x[:300], y[:300])
    Path("/proc/self/clear_refs").write_text("5")
    before, start = memory("VmRSS"), time.perf_counter()
    network.fit(x, y)
    seconds, peak = time.perf_counter() - start, memory("VmHWM") - before
    return {"seconds": seconds, "accuracy": network.score(x_test, y_test), "peak": peak, "input": x.nbytes / 2**20}


def loops(count):
    from rarefy import SparseMLPClassifier
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = x[:100].astype(np.float32), y[:100]
    print("fits    resident MB")
    for done in range(count + 1):
        if done % max(1, count // 10) == 0:
            print(f"{done:5d}   {memory('VmRSS'):8.1f}")
        network = SparseMLPClassifier((16,), max_iter=2, random_state=done, n_jobs=2).fit(x, y)
        network.predict(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion", type=Path, default=IDX)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loops", type=int)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loops is not None:
        loops(arguments.loops)
        return
    if arguments.one is not None:
        print(json.dumps(one(arguments.one, arguments)))
        return
    print(f"{samples(arguments.fashion)[1]}, 784-512-512-10, batches of 64, {arguments.epochs} epochs")
    print(f"{'':16}{'s a fit':>10}{'times faster':>14}{'accuracy':>10}{'MB beyond the samples':>24}")
    dense = None
    for way in WAYS:
        command = [sys.executable, "-W", "ignore", *sys.argv, "--one", way]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
        dense = dense or found["seconds"]
        faster = f"{dense / found['seconds']:.1f}"
        print(f"{way:16}{found['seconds']:10.2f}{faster:>14}{found['accuracy']:10.4f}{found['peak']:24.1f}", flush=True)
    print(f"(the samples take {found['input']:.0f} MB)")


if __name__ == "__main__":
    main()
