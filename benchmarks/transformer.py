#!/usr/bin/env python3
"""Compare a transformer's training step, forward and backward with all gradients (that of the inputs too), with PyTorch's,
and print a table. Layers are pre-norm, with causal attention and GELU, biases everywhere, no dropout.

Rounds of all programs alternate, each in a process of its own, so that a slow minute of the machine falls on all alike.
A program that cannot run is left out and named. PyTorch runs its fastest eager form that we found: one product for queries,
keys and values, scaled_dot_product_attention, memory that is kept; with --compile also what torch.compile makes of it.

    benchmarks/transformer.py --rounds 5
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
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=7, help="timings within a round; their median is the round's")
    parser.add_argument("--compile", action="store_true", help="time torch.compile's code too")
    parser.add_argument("--rarefy", default=ROOT / "target/release/rarefy")
    parser.add_argument("--python", default=ROOT / "target/bench-venv/bin/python")
    parser.add_argument("--peer", choices=["torch", "torch.compile"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        print(json.dumps(torch_ms(args)))
        return
    load, missing = os.getloadavg()[0], {}
    report(args, measure(args, missing), missing, load)


def measure(args, missing):
    """The times of all rounds: {"torch" or a density: [ms, ...]}."""
    peers = ["torch", "torch.compile"] if args.compile else ["torch"]
    programs = {peer: (lambda peer=peer: torch_run(args, peer)) for peer in peers}
    # A process for each density: networks in one process would push each other out of the cache.
    programs |= {density: (lambda density=density: rarefy_run(args, density)) for density in DENSITIES}
    times = {name: [] for name in programs}
    for number in range(args.rounds):
        for name in list(programs) if number % 2 == 0 else list(programs)[::-1]:
            try:
                times[name].append(programs[name]())
            except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                missing[name] = (getattr(error, "stderr", None) or str(error)).strip()[-300:]
    return {name: found for name, found in times.items() if len(found) == args.rounds}


def description(args):
    attention = f'{{layer = "attention", heads = {args.heads}, causal = true}}'
    wide = f'{{layer = "linear", outputs = {4 * args.channels}}}, {{layer = "elementwise", activation = "gelu"}}'
    bodies = [attention, f'{wide}, {{layer = "linear", outputs = {args.channels}}}']
    blocks = [f'{{layer = "residual", body = [{{layer = "layer-norm"}}, {body}]}}' for body in bodies]
    return f"inputs = [1, {args.steps}, {args.channels}]\nlayers = [{', '.join(args.layers * blocks)}]\n"


def rarefy_run(args, density):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.toml"
        path.write_text(description(args))
        command = [args.rarefy, "bench", "network", path, "--batch", args.batch, "--density", density, "--input-gradient"]
        command += ["--threads", args.threads, "--rounds", args.repeats, "--json"]
        return json.loads(run(args, command))["rows"][0]["total_ms"]


def torch_run(args, peer):
    command = [args.python, __file__, "--peer", peer]
    for name in ["layers", "channels", "heads", "steps", "batch", "threads", "repeats"]:
        command += [f"--{name}", getattr(args, name)]
    return json.loads(run(args, command))


def run(args, command):
    # These two slow a current torch.
    env = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    # Freed memory is kept: large tensors would else be faulted in anew each step.
    env |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}
    env["OMP_NUM_THREADS"] = str(args.threads)
    command = [str(part) for part in command]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=900).stdout


def torch_ms(args):
    import time

    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(args.threads)

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
            self.projections, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            batch, steps, width = x.shape
            parts = self.projections(self.norms[0](x)).view(batch, steps, 3, args.heads, width // args.heads)
            q, k, v = parts.permute(2, 0, 3, 1, 4).unbind()
            heads = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.output(heads.transpose(1, 2).reshape(x.shape))
            return x + self.narrow(functional.gelu(self.wide(self.norms[1](x)), approximate="tanh"))

    module = nn.Sequential(*(Block(args.channels) for _ in range(args.layers)))
    step = torch.compile(module) if args.peer == "torch.compile" else module
    inputs = torch.randn(args.batch, args.steps, args.channels, requires_grad=True)
    gradient = torch.randn(args.batch, args.steps, args.channels)
    times = []
    for _ in range(args.repeats + 2):
        begin = time.perf_counter()
        step(inputs).backward(gradient)
        times.append(1e3 * (time.perf_counter() - begin))
        inputs.grad = None
        module.zero_grad(set_to_none=True)
    return statistics.median(times[2:])


def report(args, times, missing, load):
    print(f"{args.layers} layers, {args.channels} channels, {args.heads} heads, {args.steps} steps, batch {args.batch},")
    print(f"{args.threads} threads, forward and all gradients;", end=" ")
    print(f"medians of {args.rounds} interleaved rounds; load average before the first {load:.1f}; {machine()}\n")
    print("| program | ms (slowest / fastest round) | torch / program |\n|---|---|---|")
    torch = statistics.median(times["torch"]) if "torch" in times else None
    for name, found in times.items():
        what = name if isinstance(name, str) else "rarefy dense" if name == 1 else f"rarefy {100 * (1 - name):.0f} %"
        ms = statistics.median(found)
        ratio = f"{torch / ms:.2f}x" if torch else "-"
        print(f"| {what} | {ms:.1f} ({max(found) / min(found):.2f}) | {ratio} |")
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
