#!/usr/bin/env python3
"""Times a training step on samples with very many features of which few are not zero, as bags of words have, and prints two tables:
nonzeros of a sample at a fixed width, and width at fixed nonzeros: so few that hardly any two samples of a batch share a feature,
or a wider input would also have more of its weights touched. Beside it PyTorch, one hidden layer of the same size:
nn.Linear on the dense rows (where they fit in memory), and nn.EmbeddingBag with sparse gradients and SparseAdam, its best way.

Rounds of all programs alternate, each in a process of its own; a round is the median of its steps. The data is made here:
places uniform, values 1, ten classes that follow the places.

    benchmarks/wide_input.py --rounds 3
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import harness

WIDTHS = [100_000, 200_000, 400_000]
NONZEROS = [100, 250, 500, 1000]
FIXED = (100_000, 100)
DENSITY = 0.05


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser, rounds=3)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--samples", type=int, default=2560)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        kind, path = args.peer.split(":", 1)
        print(torch_ms(args, kind, path))
        return
    busy, missing = harness.busy_share(), {}
    cases = [(FIXED[0], count) for count in NONZEROS] + [(width, FIXED[1]) for width in WIDTHS]
    cases = list(dict.fromkeys(cases))
    found = {case: measure(args, *case, missing) for case in cases}
    print(f"ms a step, batch {args.batch}, {args.hidden} hidden units, {args.threads} threads, rarefy at density {DENSITY}, static, Adam\n")
    table(f"nonzeros of a sample, of {FIXED[0]:,} features", [(count, found[FIXED[0], count]) for count in NONZEROS])
    table(f"features, {FIXED[1]} of a sample not zero", [(width, found[width, FIXED[1]]) for width in WIDTHS])
    harness.say_where(busy, missing)


def table(title, rows):
    programs = ["rarefy", "embedding-bag", "linear"]
    print(f"| {title} | rarefy | torch EmbeddingBag, SparseAdam | torch Linear, Adam |\n|---|---|---|---|")
    for name, times in rows:
        cells = [f"{statistics.median(times[program]):.2f}" if program in times else "-" for program in programs]
        print(f"| {name:,} | " + " | ".join(cells) + " |")
    print()


def measure(args, width, count, missing):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.npz"
        write(args, path, width, count)
        programs = {"rarefy": lambda: rarefy_ms(args, path)}
        programs |= {name: (lambda name=name: peer_ms(args, name, path)) for name in ["embedding-bag", "linear"]}
        return harness.take_turns(programs, args.rounds, missing)


def write(args, path, width, count):
    import numpy as np
    import scipy.sparse as sparse

    draws = np.random.default_rng(0)
    columns = np.concatenate([np.sort(draws.choice(width, count, replace=False)) for _ in range(args.samples)])
    offsets = np.arange(args.samples + 1) * count
    matrix = sparse.csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=(args.samples, width))
    sparse.save_npz(path, matrix)
    np.save(path.parent / "y.npy", columns[offsets[:-1]] * 10 * count // width % 10)


def rarefy_ms(args, path):
    command = [args.rarefy, "train", path, "--json", "--quiet", "--network", "bag-of-words", "--density", DENSITY]
    command += ["--method", "static", "--epochs", 5, "--batch-size", args.batch, "--threads", args.threads]
    command += ["--run-dir", path.parent / f"run-{time.monotonic_ns()}"]
    settings = [f"network.width={args.hidden}", "data.validation_fraction=0", "data.test_fraction=0"]
    for setting in [*settings, f"data.label_path={path.parent / 'y.npy'}"]:
        command += ["--set", setting]
    return harness.run(command, args.threads)["step_ms"]


def peer_ms(args, kind, path):
    command = [args.python, __file__, "--peer", f"{kind}:{path}"]
    for name in ["hidden", "batch", "threads"]:
        command += [f"--{name}", getattr(args, name)]
    return harness.run(command, args.threads)


def torch_ms(args, kind, path):
    import numpy as np
    import scipy.sparse as sparse
    import torch
    from torch import nn

    torch.set_num_threads(args.threads)
    rows = sparse.load_npz(path)
    labels = torch.from_numpy(np.load(Path(path).parent / "y.npy"))
    head = nn.Sequential(nn.ReLU(), nn.Linear(args.hidden, 10))
    if kind == "linear":
        first = nn.Linear(rows.shape[1], args.hidden)
        optimizers = [torch.optim.Adam([*first.parameters(), *head.parameters()], foreach=True)]
    else:
        first = nn.EmbeddingBag(rows.shape[1], args.hidden, mode="sum", sparse=True)
        nn.init.normal_(first.weight, std=0.01)
        optimizers = [torch.optim.SparseAdam(first.parameters()), torch.optim.Adam(head.parameters())]
    times = []
    for number in range(2 * (rows.shape[0] // args.batch)):
        start = number * args.batch % (rows.shape[0] - args.batch + 1)
        batch = rows[start : start + args.batch]
        begin = time.perf_counter()
        if kind == "linear":
            inputs = [torch.from_numpy(batch.toarray())]
        else:
            inputs = [torch.from_numpy(batch.indices.astype(np.int64)), torch.from_numpy(batch.indptr[:-1].astype(np.int64))]
        hidden = first(*inputs)
        loss = nn.functional.cross_entropy(head(hidden), labels[start : start + args.batch])
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[2:])


if __name__ == "__main__":
    main()
