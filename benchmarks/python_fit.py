"""A fit from memory beside the program's training with the same settings: seconds, memory beyond the samples, and the weights.

    cargo build --release --bin rarefy && PATH=$PWD/target/release:$PATH python benchmarks/python_fit.py [--fashion PATH] [--epochs 3]

60,000 samples of 784 numbers, 784-512-512-10 at 95 %, a tenth of them to validate on. The program reads them from an NPZ file (its seconds are
those of the whole process, without the dense twin), `fit` has them as a float32 or float64 array. All take turns. Both must have been built
alike: `just python` makes a development build. `--fashion` is as in python_mlp.py.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from python_mlp import IDX, memory, samples

DTYPES = ["float32", "float64"]


def one(dtype, folder, arguments):
    """Fits in this process, and looks whether the weights are those of the program's run."""
    from rarefy import SparseMLPClassifier
    from rarefy._rarefy import Model

    with np.load(folder / "samples.npz") as parts:
        x, y = parts["x_train"].astype(dtype, copy=False), parts["y_train"]
    given = {"hidden_layer_sizes": (512, 512), "sparsity": 0.95, "early_stopping": True, "random_state": 5, "n_jobs": arguments.threads}
    SparseMLPClassifier(**given, max_iter=1).fit(x[:300], y[:300])  # everything is imported and awake
    Path("/proc/self/clear_refs").write_text("5")
    before, start = memory("VmRSS"), time.perf_counter()
    network = SparseMLPClassifier(**given, max_iter=arguments.epochs, n_iter_no_change=10**6).fit(x, y)
    seconds, peak = time.perf_counter() - start, memory("VmHWM") - before
    pairs = zip(network._model.weights(), Model.open(str(folder / "run")).weights(), strict=True)
    same = all(np.array_equal(a, b) for ours, theirs in pairs for a, b in zip(ours[2:], theirs[2:], strict=True))
    return {"seconds": seconds, "peak": peak, "copies": peak * 2**20 / (4 * x.size), "same": same}


def program(folder, arguments):
    """Seconds of the program, from its start to its end."""
    flags = ["--hidden=512,512", "--sparsity=0.95", "--seed=5", f"--epochs={arguments.epochs}", f"--threads={arguments.threads}"]
    flags += ["--set=data.test_fraction=0", "--set=train.patience=0", "--no-twin", f"--run-dir={folder / 'run'}"]
    shutil.rmtree(folder / "run", ignore_errors=True)
    start = time.perf_counter()
    subprocess.run(["rarefy", "train", folder / "samples.npz", *flags], check=True, capture_output=True)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion", type=Path, default=IDX)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(one(arguments.one[0], Path(arguments.one[1]), arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        (x, y, _, _), name = samples(arguments.fashion)
        rows = x.reshape(len(x), -1).astype(np.float32)
        np.savez(Path(folder) / "samples.npz", x_train=rows, y_train=y.ravel().astype(np.int64))
        print(f"{name}, {len(x)} samples, {arguments.epochs} epochs, {arguments.threads} threads, best of {arguments.rounds} rounds")
        theirs, ours = [], {dtype: [] for dtype in DTYPES}
        for _ in range(arguments.rounds):
            theirs.append(program(Path(folder), arguments))
            for dtype in DTYPES:
                command = [sys.executable, *sys.argv, "--one", dtype, folder]
                found = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]
                ours[dtype].append(json.loads(found))
        print(f"rarefy train  {min(theirs):7.2f} s")
        for dtype, found in ours.items():
            best, most = min(found, key=lambda it: it["seconds"]), max(found, key=lambda it: it["peak"])
            same = "the same weights" if all(it["same"] for it in found) else "OTHER WEIGHTS"
            ratio = best["seconds"] / min(theirs)
            print(f"fit, {dtype}  {best['seconds']:7.2f} s, {ratio:.3f} of it; {most['peak']:.0f} MB beside them, {most['copies']:.2f} float32 copies; {same}")


if __name__ == "__main__":
    main()
