"""What the benchmarks share: programs that take turns, a process for each round, a fair environment, the machine's name and how
quiet it was.

PyTorch is timed in three precisions: `f32`; `autocast`, bf16 where torch.autocast says so; `bf16`, all of it, weights too.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / os.environ.get("RAREFY_BENCH_VENV", "target/bench-venv")
PRECISIONS = ["f32", "autocast", "bf16"]

# Memory that was freed stays with the process: big tensors would else be faulted in anew each step.
KEEPS_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}


def take_turns(programs, rounds, missing):
    """What each program's rounds gave: {name: [...]}. `programs` are functions by name. Every other round runs backwards, so that
    no program always follows the same one. A program that fails is left out, and `missing` says why."""
    found = {name: [] for name in programs}
    for number in range(rounds):
        for name in list(programs) if number % 2 == 0 else list(programs)[::-1]:
            if name in missing:
                continue
            try:
                found[name].append(programs[name]())
            except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                missing[name] = reason(error)
                print(f"{name} is left out: {missing[name]}", file=sys.stderr)
    return {name: values for name, values in found.items() if len(values) == rounds}


def reason(error):
    if isinstance(error, subprocess.TimeoutExpired):
        return f"not done after {error.timeout:.0f} s"
    if isinstance(error, FileNotFoundError):
        return f"{os.path.relpath(error.filename, ROOT)} does not exist"
    lines = (getattr(error, "stderr", None) or "").strip().splitlines()
    return lines[-1] if lines else f"{type(error).__name__}: {error}"


def run(command, threads):
    """The JSON that a program prints at its end."""
    # The first two slow a current numpy and torch.
    env = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env |= KEEPS_MEMORY | {"OMP_NUM_THREADS": str(threads)}
    command = [str(part) for part in command]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=900)
    return json.loads(done.stdout)


def add_arguments(parser, rounds=5, repeats=None):
    parser.add_argument("--rounds", type=int, default=rounds)
    if repeats is not None:
        parser.add_argument("--repeats", type=int, default=repeats, help="timings within a round; their median is the round's")
    parser.add_argument("--rarefy", default=ROOT / "target/release/rarefy", help="the program under test")
    parser.add_argument("--python", default=VENV / "bin/python", help="the interpreter that setup.sh made")


def add_kinds_of_ours(parser):
    """What rarefy is timed with beside density."""
    parser.add_argument("--blocks", default="1", help="outputs that share their inputs, separated by commas; 1 is single connections")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="what rarefy's products read")


def ours(args):
    """The names of rarefy's kinds in a table: {name: height of row blocks}."""
    precision = "" if args.precision == "f32" else f" {args.precision}"
    heights = [int(height) for height in args.blocks.split(",")]
    return {f"rarefy{precision}" + (f", blocks of {height}" if height > 1 else ""): height for height in heights}


def busy_share(seconds=2.0):
    """The share of the machine's processor time that others take: look before the first round."""

    def times():
        numbers = [int(number) for number in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return sum(numbers), numbers[3] + numbers[4]

    total, idle = times()
    time.sleep(seconds)
    total_after, idle_after = times()
    return 1 - (idle_after - idle) / (total_after - total)


def machine():
    info = Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(line.replace("\t", "").split(":", 1) for line in info if ":" in line)
    model, family, number = (fields.get(key, " unknown").strip() for key in ("model name", "cpu family", "model"))
    flags = fields.get("flags", "").split()
    bf16 = "AMX" if "amx_bf16" in flags else "AVX-512 without AMX" if "avx512_bf16" in flags else "no instructions"
    cores = sum(line.startswith("processor") for line in info)
    return f"{model} (family {family}, model {number}), {cores} cores, bf16: {bf16}"


def say_where(busy, missing):
    """The last lines of a report."""
    for name, why in missing.items():
        print(f"- {name} is missing: {why}")
    quiet = "quiet" if busy < 0.05 else "NOT QUIET: run it again when nothing else runs"
    print(f"- machine: {machine()}; {100 * busy:.0f} % busy with other work before the first round ({quiet})")


# ---- within a peer's own process


class Precision:
    """Casts a module and its tensors, and the context that a pass forward runs in."""

    def __init__(self, name):
        import torch

        self.name, self.dtype = name, torch.bfloat16 if name == "bf16" else torch.float32

    def forward(self):
        import torch

        return torch.autocast("cpu", dtype=torch.bfloat16) if self.name == "autocast" else contextlib.nullcontext()


def time_passes(precision, module, inputs, gradient_of, repeats, warmup=2):
    """Milliseconds of a pass forward and backward, the gradient of the inputs too: the median."""
    precision = Precision(precision)
    module, inputs = module.to(precision.dtype), inputs.detach().to(precision.dtype).requires_grad_(True)
    times = []
    for _ in range(repeats + warmup):
        begin = time.perf_counter()
        with precision.forward():
            output = module(inputs)
        output = output[0] if isinstance(output, tuple) else output
        if not times:
            gradient = gradient_of(output)
        output.backward(gradient)
        times.append(1e3 * (time.perf_counter() - begin))
        inputs.grad = None
        module.zero_grad(set_to_none=True)
    return statistics.median(times[warmup:])
