#!/usr/bin/env python3
"""Compare 3x3 convolutions, forward and both gradients, with PyTorch's dense one and SparseProp, and print a table.

Rounds of all programs alternate, each in a process of its own, so that a slow minute of the machine falls on all alike.
A program that cannot run is left out and named. PyTorch has channels last, its fastest; of SparseProp's two kernels the
faster counts.

    benchmarks/conv.py --rounds 5
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHAPES = [(64, 32), (128, 16), (256, 8)]
DENSITIES = [0.1, 0.05, 0.02, 0.01]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="timings within a round; their median is the round's")
    parser.add_argument("--rarefy", default=ROOT / "target/release/rarefy")
    parser.add_argument("--python", default=ROOT / "target/bench-venv/bin/python")
    parser.add_argument("--peer", choices=["torch", "sparseprop"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        print(json.dumps(peer_times(args)))
        return
    programs = {"rarefy": rarefy_times, "torch": of_peer("torch"), "sparseprop": of_peer("sparseprop")}
    rounds = {name: [] for name in programs}
    for number in range(args.rounds):
        for name in list(programs) if number % 2 == 0 else list(programs)[::-1]:
            try:
                rounds[name].append(programs[name](args))
            except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                print(f"{name} is left out: {(getattr(error, 'stderr', None) or str(error)).strip()[-300:]}", file=sys.stderr)
    medians = {
        name: {key: statistics.median(times[key] for times in found) for key in found[0]}
        for name, found in rounds.items() if len(found) == args.rounds
    }
    report(args, medians)


def report(args, medians):
    print(f"3x3 convolution, stride 1, batch {args.batch}, {args.threads} threads, forward and both gradients, milliseconds;")
    print(f"medians of {args.rounds} interleaved rounds; load average now {os.getloadavg()[0]:.1f}\n")
    print("| channels, image | sparsity | rarefy | torch dense | SparseProp | torch / rarefy | SparseProp / rarefy |")
    print("|---|---|---|---|---|---|---|")
    at = lambda name, key: medians.get(name, {}).get(key)
    show = lambda value, end="": "-" if value is None else f"{value:.1f}{end}"
    for channels, side in SHAPES:
        for density in [1.0, *DENSITIES]:
            key = f"{channels}x{side}@{density}"
            ours, theirs = at("rarefy", key), at("sparseprop", key)
            torch = at("torch", f"{channels}x{side}@1.0")
            ratio = lambda other: None if other is None or ours is None else other / ours
            cells = [show(ours), show(torch), show(theirs), show(ratio(torch), "x"), show(ratio(theirs), "x")]
            sparsity = "dense" if density == 1.0 else f"{100 * (1 - density):.0f} %"
            print(f"| {channels}, {side} x {side} | {sparsity} | {' | '.join(cells)} |")


def rarefy_times(args):
    densities = ",".join(str(density) for density in [1, *DENSITIES])
    shapes = ",".join(f"{channels}x{side}" for channels, side in SHAPES)
    command = [args.rarefy, "bench", "conv", "--shapes", shapes, "--densities", densities, "--batch", str(args.batch)]
    command += ["--threads", str(args.threads), "--rounds", str(args.repeats), "--json"]
    rows = json.loads(run(command))["rows"]
    return {f"{row['channels']}x{row['side']}@{float(row['density'])}": row["total_ms"] for row in rows}


def of_peer(peer):
    def times(args):
        command = [args.python, __file__, "--peer", peer, "--batch", str(args.batch)]
        return json.loads(run([*command, "--threads", str(args.threads), "--repeats", str(args.repeats)]))

    return times


def run(command):
    # These two slow a current torch.
    env = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env["OMP_NUM_THREADS"] = str(command[command.index("--threads") + 1])
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=900).stdout


def peer_times(args):
    import torch

    torch.set_num_threads(args.threads)
    times = {}
    for channels, side in SHAPES:
        shape = (args.batch, channels, side, side)
        dense = torch.nn.Conv2d(channels, channels, 3, padding=1)
        if args.peer == "torch":
            as_last = lambda tensor: tensor.to(memory_format=torch.channels_last)
            layer = dense.to(memory_format=torch.channels_last)
            times[f"{channels}x{side}@1.0"] = step_ms(layer, as_last(torch.rand(shape)), as_last(torch.rand(shape)), args)
            continue
        from sparseprop.modules import SparseConv2d

        for density in DENSITIES:
            with torch.no_grad():
                dense.weight.normal_()
                dense.weight.mul_(torch.rand_like(dense.weight) < density)
            layers = [SparseConv2d.from_dense(dense, vectorizing_over_on=over) for over in (False, True)]
            grads = torch.rand(shape)
            times[f"{channels}x{side}@{density}"] = min(step_ms(layer, torch.rand(shape), grads, args) for layer in layers)
    return times


def step_ms(layer, inputs, grads, args):
    import time

    inputs.requires_grad_(True)
    found = []
    for _ in range(args.repeats + 1):
        begin = time.perf_counter()
        layer(inputs).backward(grads)
        found.append(1e3 * (time.perf_counter() - begin))
        inputs.grad = None
        for parameter in layer.parameters():
            parameter.grad = None
    return statistics.median(found[1:])


if __name__ == "__main__":
    main()
