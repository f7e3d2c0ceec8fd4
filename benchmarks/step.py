#!/usr/bin/env python3
"""Compare one training step of rarefy with its peers and print a markdown table.

Short rounds of all programs alternate, each round in a process of its own, so that a slow minute of the machine falls
on all of them alike. A program that cannot run is left out and named; no figure is ever filled in.

    benchmarks/step.py --densities 0.1,0.01 --batches 128 --threads 2 --rounds 5
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ["torch-dense", "torch-csr", "sparselab"]


def main():
    args = parse_arguments()
    versions, missing = {}, {}
    load = os.getloadavg()[0]
    rows = [
        measure(args, setting, versions, missing)
        for setting in [(t, b, d) for t in args.threads for b in args.batches for d in args.densities]
    ]
    print_report(args, rows, versions, missing, load)


def measure(args, setting, versions, missing):
    """The step times of every program that runs: {program: [ms of round 1, ms of round 2, ...]}."""
    times = {program: [] for program in ["rarefy", *args.peers]}
    for number in range(args.rounds):
        # Every other round runs backwards, so that no program always follows the same one.
        for program in list(times) if number % 2 == 0 else list(times)[::-1]:
            if program in missing:
                continue
            try:
                result = run(args, program, *setting)
                times[program].append(float(result["step_ms"]))
                versions.update(result.get("versions", {}))
            except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                missing[program] = reason(error)
                print(f"{program} is left out: {missing[program]}", file=sys.stderr)
    return setting, {program: rounds for program, rounds in times.items() if len(rounds) == args.rounds}


def run(args, program, threads, batch, density):
    setting = ["--layers", args.layers, "--batch", str(batch), "--density", str(density), "--threads", str(threads)]
    if program == "rarefy":
        command = [args.rarefy, "bench", "step", *setting, "--json"]
    else:
        command = [args.python, ROOT / "benchmarks/peers.py", "step", "--peer", program, *setting]
        command += ["--steps", str(args.steps), "--warmup", str(args.warmup)]
    # These two slow a current numpy and torch; peers.py sets what its peers do need.
    env = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=300)
    return json.loads(done.stdout)


def reason(error):
    if isinstance(error, FileNotFoundError):
        return f"{os.path.relpath(error.filename, ROOT)} does not exist"
    lines = (getattr(error, "stderr", None) or "").strip().splitlines()
    return lines[-1] if lines else f"{type(error).__name__}: {error}"


def print_report(args, rows, versions, missing, load):
    programs = [program for program in ["rarefy", *args.peers] if any(program in times for _, times in rows)]
    print(f"One training step, layers {args.layers}, in milliseconds; in brackets how many times rarefy's own.\n")
    print_table(f"Median of {args.rounds} interleaved rounds", statistics.median, programs, rows)
    print_table("Fastest round (the one to read when the machine is busy)", min, programs, rows)
    for program, why in missing.items():
        print(f"- {program} is missing: {why}")
    print(f"- machine: {machine()}; load average before the first round: {load:.1f}")
    print("- versions of the peers: " + (", ".join(f"{name} {version}" for name, version in versions.items()) or "none ran"))


def print_table(title, summary, programs, rows):
    """`spread` is the slowest round over the fastest one, of the program where that is worst."""
    if not programs:
        return
    print(f"{title}:\n")
    print("| threads | batch | density | " + " | ".join(programs) + " | spread |")
    print("|---" * (len(programs) + 4) + "|")
    for (threads, batch, density), times in rows:
        ms = {program: summary(rounds) for program, rounds in times.items()}
        cells = " | ".join(cell(program, ms) for program in programs)
        spread = max((max(rounds) / min(rounds) for rounds in times.values()), default=math.nan)
        print(f"| {threads} | {batch} | {density:g} | {cells} | {spread:.2f} |")
    print()


def cell(program, ms):
    if program not in ms:
        return "missing"
    if program == "rarefy" or "rarefy" not in ms:
        return f"{ms[program]:.2f}"
    return f"{ms[program]:.2f} ({ms[program] / ms['rarefy']:.2f})"


def machine():
    info = Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(line.replace("\t", "").split(":", 1) for line in info if ":" in line)
    model, family, number = (fields.get(key, " unknown").strip() for key in ("model name", "cpu family", "model"))
    cores = sum(line.startswith("processor") for line in info)
    return f"{model} (family {family}, model {number}), {cores} cores"


def parse_arguments():
    def listed(kind):
        return lambda text: [kind(item) for item in text.split(",")]

    venv = ROOT / os.environ.get("RAREFY_BENCH_VENV", "target/bench-venv")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rarefy", default=ROOT / "target/release/rarefy", help="the program under test")
    parser.add_argument("--python", default=venv / "bin/python", help="the interpreter that setup.sh made")
    parser.add_argument("--layers", default="784,1024,1024,10")
    parser.add_argument("--densities", type=listed(float), default=[0.1, 0.05, 0.02, 0.01])
    parser.add_argument("--batches", type=listed(int), default=[128, 512])
    parser.add_argument("--threads", type=listed(int), default=[2, 1])
    parser.add_argument("--peers", type=listed(str), default=PEERS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50, help="timed steps of a peer in a round")
    parser.add_argument("--warmup", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    main()
