#!/usr/bin/env python3
"""Compare recurrent layers, forward and backward with all gradients (that of the inputs too), with PyTorch's, and print a table.

Rounds of all programs alternate, each in a process of its own, so that a slow minute of the machine falls on all alike.
A program that cannot run is left out and named. PyTorch has its own layout of a sequence, [step, sample, channel].

    benchmarks/recurrent.py --rounds 5
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import harness

DENSITIES = [1, 0.1, 0.05, 0.02]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser, repeats=15)
    parser.add_argument("--block", type=int, default=1, help="outputs of rarefy's that share their inputs; 1 is single connections")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="what rarefy's products read")
    parser.add_argument("--layers", default="lstm", help="lstm, gru, rnn, separated by commas")
    parser.add_argument("--inputs", default="64,256", help="channels of the input")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        print(json.dumps(torch_ms(args, *args.peer.split(":"))))
        return
    busy, missing = harness.busy_share(), {}
    cases = [(layer, int(inputs)) for layer in args.layers.split(",") for inputs in args.inputs.split(",")]
    report(args, [(layer, inputs, measure(args, layer, inputs, missing)) for layer, inputs in cases])
    harness.say_where(busy, missing)


def measure(args, layer, inputs, missing):
    """The times of all rounds: {precision of torch, or a density: [ms, ...]}."""
    programs = {name: (lambda name=name: torch_run(args, layer, inputs, name)) for name in harness.PRECISIONS}
    # A process for each density: networks in one process would push each other out of the cache.
    programs |= {density: (lambda density=density: rarefy_run(args, layer, inputs, density)) for density in DENSITIES}
    return harness.take_turns(programs, args.rounds, missing)


def rarefy_run(args, layer, inputs, density):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.toml"
        path.write_text(f'inputs = [1, {args.steps}, {inputs}]\nlayers = [{{layer = "{layer}", hidden = {args.hidden}}}]\n')
        command = [args.rarefy, "bench", "network", path, "--batch", args.batch, "--density", density, "--input-gradient"]
        command += ["--block", args.block, "--precision", args.precision]
        command += ["--threads", args.threads, "--rounds", args.repeats, "--json"]
        return harness.run(command, args.threads)["rows"][0]["total_ms"]


def torch_run(args, layer, inputs, precision):
    command = [args.python, __file__, "--peer", f"{layer}:{inputs}:{precision}"]
    for name in ["hidden", "steps", "batch", "threads", "repeats"]:
        command += [f"--{name}", getattr(args, name)]
    return harness.run(command, args.threads)


def torch_ms(args, layer, inputs, precision):
    import torch

    torch.set_num_threads(args.threads)
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[layer](int(inputs), args.hidden)
    sequence = torch.randn(args.steps, args.batch, int(inputs))
    return harness.time_passes(precision, module, sequence, torch.randn_like, args.repeats)


def report(args, rows):
    print(f"{args.hidden} hidden, {args.steps} steps, batch {args.batch}, {args.threads} threads, forward and all gradients,")
    print(f"milliseconds, medians of {args.rounds} interleaved rounds; in brackets, times faster than torch {', '.join(harness.PRECISIONS)}")
    print(f"rarefy: blocks of {args.block}, {args.precision}\n")
    titles = [f"torch {name}" for name in harness.PRECISIONS]
    titles += ["dense" if density == 1 else f"{100 * (1 - density):.0f} %" for density in DENSITIES]
    print("| layer, inputs | " + " | ".join(titles) + " |")
    print("|---" * (1 + len(titles)) + "|")
    for layer, inputs, times in rows:
        medians = {name: statistics.median(found) for name, found in times.items()}
        cells = [f"{medians[name]:.1f}" if name in medians else "-" for name in harness.PRECISIONS]
        for density in DENSITIES:
            ratios = [f"{medians[name] / medians[density]:.2f}" for name in harness.PRECISIONS if {name, density} <= medians.keys()]
            cells.append(f"{medians[density]:.1f} ({', '.join(ratios)})" if density in medians else "-")
        print(f"| {layer}, {inputs} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
