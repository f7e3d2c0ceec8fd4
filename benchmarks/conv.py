#!/usr/bin/env python3
"""Compare 3x3 convolutions, forward and both gradients, with PyTorch's dense one and SparseProp, and print a table.

Rounds of all programs alternate, each in a process of its own, so that a slow minute of the machine falls on all alike.
A program that cannot run is left out and named. PyTorch has channels last, its fastest; of SparseProp's two kernels the
faster counts.

    benchmarks/conv.py --rounds 5
"""

import argparse
import json
import statistics

import harness

SHAPES = [(64, 32), (128, 16), (256, 8)]
DENSITIES = [0.1, 0.05, 0.02, 0.01]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser, repeats=7)
    parser.add_argument("--block", type=int, default=1, help="filters of rarefy's that share their inputs; 1 is single connections")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="what rarefy's products read")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", choices=[*harness.PRECISIONS, "sparseprop"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        print(json.dumps(peer_times(args)))
        return
    busy, missing = harness.busy_share(), {}
    programs = {"rarefy": lambda: rarefy_times(args)}
    for peer in [*harness.PRECISIONS, "sparseprop"]:
        programs[peer] = lambda peer=peer: of_peer(args, peer)
    rounds = harness.take_turns(programs, args.rounds, missing)
    medians = {
        name: {key: statistics.median(times[key] for times in found) for key in found[0]} for name, found in rounds.items()
    }
    report(args, medians)
    harness.say_where(busy, missing)


def report(args, medians):
    print(f"3x3 convolution, stride 1, batch {args.batch}, {args.threads} threads, forward and both gradients, milliseconds,")
    print(f"medians of {args.rounds} interleaved rounds; in brackets, times rarefy's own. torch is dense.")
    print(f"rarefy: blocks of {args.block}, {args.precision}\n")
    names = {name: name if name == "sparseprop" else f"torch {name}" for name in medians if name != "rarefy"}
    print("| channels, image | sparsity | rarefy | " + " | ".join(names.values()) + " |")
    print("|---" * (3 + len(names)) + "|")
    for channels, side in SHAPES:
        for density in [1.0, *DENSITIES]:
            ours = medians.get("rarefy", {}).get(f"{channels}x{side}@{density}")
            cells = ["-" if ours is None else f"{ours:.1f}"]
            for name in names:
                own = density if name == "sparseprop" else 1.0
                theirs = medians[name].get(f"{channels}x{side}@{own}")
                ratio = f" ({theirs / ours:.2f})" if theirs and ours else ""
                cells.append("-" if theirs is None else f"{theirs:.1f}{ratio}")
            sparsity = "dense" if density == 1.0 else f"{100 * (1 - density):.0f} %"
            print(f"| {channels}, {side} x {side} | {sparsity} | {' | '.join(cells)} |")


def rarefy_times(args):
    densities = ",".join(str(density) for density in [1, *DENSITIES])
    shapes = ",".join(f"{channels}x{side}" for channels, side in SHAPES)
    command = [args.rarefy, "bench", "conv", "--shapes", shapes, "--densities", densities, "--batch", args.batch]
    command += ["--blocks", args.block, "--precision", args.precision, "--threads", args.threads, "--rounds", args.repeats, "--json"]
    rows = harness.run(command, args.threads)["rows"]
    return {f"{row['channels']}x{row['side']}@{float(row['density'])}": row["total_ms"] for row in rows}


def of_peer(args, peer):
    command = [args.python, __file__, "--peer", peer, "--batch", args.batch, "--threads", args.threads, "--repeats", args.repeats]
    return harness.run(command, args.threads)


def peer_times(args):
    import torch

    torch.set_num_threads(args.threads)
    times = {}
    for channels, side in SHAPES:
        shape = (args.batch, channels, side, side)
        dense = torch.nn.Conv2d(channels, channels, 3, padding=1)
        if args.peer != "sparseprop":
            layer, inputs = (part.to(memory_format=torch.channels_last) for part in (dense, torch.rand(shape)))
            times[f"{channels}x{side}@1.0"] = harness.time_passes(args.peer, layer, inputs, torch.rand_like, args.repeats)
            continue
        from sparseprop.modules import SparseConv2d

        for density in DENSITIES:
            with torch.no_grad():
                dense.weight.normal_()
                dense.weight.mul_(torch.rand_like(dense.weight) < density)
            layers = [SparseConv2d.from_dense(dense, vectorizing_over_on=over) for over in (False, True)]
            inputs = torch.rand(shape)
            passes = [harness.time_passes("f32", layer, inputs, torch.rand_like, args.repeats) for layer in layers]
            times[f"{channels}x{side}@{density}"] = min(passes)
    return times


if __name__ == "__main__":
    main()
