#!/usr/bin/env python3
"""Compare one training step of rarefy with its peers and print a markdown table.

Short rounds of all programs alternate, each round in a process of its own, so that a slow minute of the machine falls
on all of them alike. A program that cannot run is left out and named; no figure is ever filled in.

    benchmarks/step.py --densities 0.1,0.01 --batches 128 --threads 2 --rounds 5
    benchmarks/step.py --layers 3072,4096,4096,10 --batches 128 --threads 2 --blocks 1,8 --peers torch-f32,torch-autocast,torch-bf16
"""

import argparse
import math
import statistics

import harness

PEERS = ["torch-f32", "torch-autocast", "torch-bf16", "torch-csr", "sparselab"]


def main():
    args = parse_arguments()
    busy, missing = harness.busy_share(), {}
    settings = [(t, b, d) for t in args.threads for b in args.batches for d in args.densities]
    rows = [(setting, measure(args, setting, missing)) for setting in settings]
    programs = [program for program in [*harness.ours(args), *args.peers] if any(program in times for _, times in rows)]
    peers = ", ".join(program for program in programs if program in args.peers)
    print(f"One training step, layers {args.layers}, in milliseconds; in brackets how many times as long {peers} take.\n")
    print_table(f"Median of {args.rounds} interleaved rounds", statistics.median, programs, rows)
    print_table("Fastest round (the one to read when the machine is busy)", min, programs, rows)
    harness.say_where(busy, missing)


def measure(args, setting, missing):
    """The step times of every program that runs: {program: [ms of round 1, ms of round 2, ...]}."""
    programs = {name: (lambda name=name: step_ms(args, name, *setting)) for name in [*harness.ours(args), *args.peers]}
    return harness.take_turns(programs, args.rounds, missing)


def step_ms(args, program, threads, batch, density):
    setting = ["--layers", args.layers, "--batch", batch, "--density", density, "--threads", threads]
    if program in harness.ours(args):
        command = [args.rarefy, "bench", "step", *setting, "--block", harness.ours(args)[program]]
        command += ["--precision", args.precision, "--json"]
    else:
        command = [args.python, harness.ROOT / "benchmarks/peers.py", "step", "--peer", program, *setting]
        command += ["--steps", args.steps, "--warmup", args.warmup]
    return harness.run(command, threads)["step_ms"]


def print_table(title, summary, programs, rows):
    """`spread` is the slowest round over the fastest one, of the program where that is worst."""
    if not programs:
        return
    print(f"{title}:\n")
    print("| threads | batch | density | " + " | ".join(programs) + " | spread |")
    print("|---" * (len(programs) + 4) + "|")
    for (threads, batch, density), times in rows:
        ms = {program: summary(rounds) for program, rounds in times.items()}
        peers = [program for program in programs if not program.startswith("rarefy")]
        cells = " | ".join(cell(program, ms, peers) for program in programs)
        spread = max((max(rounds) / min(rounds) for rounds in times.values()), default=math.nan)
        print(f"| {threads} | {batch} | {density:g} | {cells} | {spread:.2f} |")
    print()


def cell(program, ms, peers):
    if program not in ms:
        return "missing"
    ratios = ", ".join(f"{ms[peer] / ms[program]:.2f}" if peer in ms else "-" for peer in peers)
    return f"{ms[program]:.2f}" + (f" ({ratios})" if program not in peers and peers else "")


def parse_arguments():
    def listed(kind):
        return lambda text: [kind(item) for item in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser)
    harness.add_kinds_of_ours(parser)
    parser.add_argument("--layers", default="784,1024,1024,10")
    parser.add_argument("--densities", type=listed(float), default=[0.1, 0.05, 0.02, 0.01])
    parser.add_argument("--batches", type=listed(int), default=[128, 512])
    parser.add_argument("--threads", type=listed(int), default=[2, 1])
    parser.add_argument("--peers", type=listed(str), default=PEERS)
    parser.add_argument("--steps", type=int, default=50, help="timed steps of a peer in a round")
    parser.add_argument("--warmup", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    main()
