#!/usr/bin/env python3
"""Compare recurrent layers, forward and backward with all gradients (that of the inputs too), with PyTorch's, and print a table.

Rounds of both programs alternate, each in a process of its own, so that a slow minute of the machine falls on both alike.
A program that cannot run is left out and named. PyTorch has its own layout of a sequence, [step, sample, channel].

    benchmarks/recurrent.py --rounds 5
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DENSITIES = [1, 0.1, 0.05]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", default="lstm", help="lstm, gru, rnn, separated by commas")
    parser.add_argument("--inputs", default="64,256", help="channels of the input")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=15, help="timings within a round; their median is the round's")
    parser.add_argument("--rarefy", default=ROOT / "target/release/rarefy")
    parser.add_argument("--python", default=ROOT / "target/bench-venv/bin/python")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        print(json.dumps(torch_ms(args, *args.peer.split(":"))))
        return
    load = os.getloadavg()[0]
    cases = [(layer, int(inputs)) for layer in args.layers.split(",") for inputs in args.inputs.split(",")]
    rows, missing = [], {}
    for layer, inputs in cases:
        rows.append((layer, inputs, measure(args, layer, inputs, missing)))
    report(args, rows, missing, load)


def measure(args, layer, inputs, missing):
    """The times of all rounds: {"torch" or a density: [ms, ...]}."""
    programs = {"torch": lambda: torch_run(args, layer, inputs)}
    # A process for each density: networks in one process would push each other out of the cache.
    programs |= {density: (lambda density=density: rarefy_run(args, layer, inputs, density)) for density in DENSITIES}
    times = {name: [] for name in programs}
    for number in range(args.rounds):
        for name in list(programs) if number % 2 == 0 else list(programs)[::-1]:
            try:
                times[name].append(programs[name]())
            except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                missing[name] = (getattr(error, "stderr", None) or str(error)).strip()[-300:]
    return {name: found for name, found in times.items() if len(found) == args.rounds}


def rarefy_run(args, layer, inputs, density):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.toml"
        path.write_text(f'inputs = [1, {args.steps}, {inputs}]\nlayers = [{{layer = "{layer}", hidden = {args.hidden}}}]\n')
        command = [args.rarefy, "bench", "network", path, "--batch", args.batch, "--density", density, "--input-gradient"]
        command += ["--threads", args.threads, "--rounds", args.repeats, "--json"]
        return json.loads(run(args, command))["rows"][0]["total_ms"]


def torch_run(args, layer, inputs):
    command = [args.python, __file__, "--peer", f"{layer}:{inputs}"]
    for name in ["hidden", "steps", "batch", "threads", "repeats"]:
        command += [f"--{name}", getattr(args, name)]
    return json.loads(run(args, command))


def run(args, command):
    # These two slow a current torch.
    env = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env["OMP_NUM_THREADS"] = str(args.threads)
    command = [str(part) for part in command]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=900).stdout


def torch_ms(args, layer, inputs):
    import time

    import torch

    torch.set_num_threads(args.threads)
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[layer](int(inputs), args.hidden)
    sequence = torch.randn(args.steps, args.batch, int(inputs), requires_grad=True)
    gradient = torch.randn(args.steps, args.batch, args.hidden)
    times = []
    for _ in range(args.repeats + 1):
        begin = time.perf_counter()
        module(sequence)[0].backward(gradient)
        times.append(1e3 * (time.perf_counter() - begin))
        sequence.grad = None
        for parameter in module.parameters():
            parameter.grad = None
    return statistics.median(times[1:])


def report(args, rows, missing, load):
    print(f"{args.hidden} hidden, {args.steps} steps, batch {args.batch}, {args.threads} threads, forward and all gradients, milliseconds;")
    print(f"medians of {args.rounds} interleaved rounds; load average before the first {load:.1f}; {machine()}\n")
    print("| layer, inputs | torch dense | " + " | ".join("dense" if d == 1 else f"{100 * (1 - d):.0f} %" for d in DENSITIES) + " |")
    print("|---" * (2 + len(DENSITIES)) + "|")
    for layer, inputs, times in rows:
        ms = {name: statistics.median(found) for name, found in times.items()}
        torch = ms.get("torch")
        cell = lambda value: "-" if value is None else f"{value:.1f}" + (f" ({torch / value:.2f}x)" if torch else "")
        cells = " | ".join(cell(ms.get(density)) for density in DENSITIES)
        print(f"| {layer}, {inputs} | {'-' if torch is None else f'{torch:.1f}'} | {cells} |")
    for name, why in missing.items():
        print(f"- {name} is missing: {why}", file=sys.stderr)


def machine():
    info = Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(line.replace("\t", "").split(":", 1) for line in info if ":" in line)
    model, family, number = (fields.get(key, " unknown").strip() for key in ("model name", "cpu family", "model"))
    cores = sum(line.startswith("processor") for line in info)
    return f"{model} (family {family}, model {number}), {cores} cores"


if __name__ == "__main__":
    main()
