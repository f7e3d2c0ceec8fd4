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
import statistics
import tempfile
from pathlib import Path

import harness

DENSITIES = [1, 0.1, 0.05, 0.02]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser, repeats=7)
    parser.add_argument("--block", type=int, default=1, help="outputs of rarefy's that share their inputs; 1 is single connections")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="what rarefy's products read")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="time torch.compile's code instead of eager torch")
    parser.add_argument("--peer", choices=harness.PRECISIONS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        print(json.dumps(torch_ms(args)))
        return
    busy, missing = harness.busy_share(), {}
    programs = {name: (lambda name=name: torch_run(args, name)) for name in harness.PRECISIONS}
    # A process for each density: networks in one process would push each other out of the cache.
    programs |= {density: (lambda density=density: rarefy_run(args, density)) for density in DENSITIES}
    report(args, harness.take_turns(programs, args.rounds, missing))
    harness.say_where(busy, missing)


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
        command += ["--block", args.block, "--precision", args.precision]
        command += ["--threads", args.threads, "--rounds", args.repeats, "--json"]
        return harness.run(command, args.threads)["rows"][0]["total_ms"]


def torch_run(args, peer):
    command = [args.python, __file__, "--peer", peer, *(["--compile"] if args.compile else [])]
    for name in ["layers", "channels", "heads", "steps", "batch", "threads", "repeats"]:
        command += [f"--{name}", getattr(args, name)]
    return harness.run(command, args.threads)


def torch_ms(args):
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
    module = torch.compile(module) if args.compile else module
    inputs = torch.randn(args.batch, args.steps, args.channels)
    return harness.time_passes(args.peer, module, inputs, torch.randn_like, args.repeats)


def report(args, times):
    print(f"{args.layers} layers, {args.channels} channels, {args.heads} heads, {args.steps} steps, batch {args.batch},")
    print(f"{args.threads} threads, forward and all gradients; medians of {args.rounds} interleaved rounds")
    print(f"rarefy: blocks of {args.block}, {args.precision}\n")
    medians = {name: statistics.median(found) for name, found in times.items()}
    peers = [name for name in harness.PRECISIONS if name in medians]
    print("| program | ms (slowest / fastest round) | " + " | ".join(f"torch {name} / program" for name in peers) + " |")
    print("|---" * (2 + len(peers)) + "|")
    for name, found in times.items():
        what = f"torch {name}" if isinstance(name, str) else "rarefy dense" if name == 1 else f"rarefy {100 * (1 - name):.0f} %"
        ratios = " | ".join(f"{medians[peer] / medians[name]:.2f}x" for peer in peers)
        print(f"| {what} | {medians[name]:.1f} ({max(found) / min(found):.2f}) | {ratios} |")


if __name__ == "__main__":
    main()
