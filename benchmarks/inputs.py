#!/usr/bin/env python3
"""Do the inputs that matter come out by name? A made table of 5,000 samples and 200 numbers, of which ten matter, five seeds, numbers and classes.

    benchmarks/inputs.py PROGRAM            PROGRAM is a built rarefy
    benchmarks/inputs.py write FILE SEED    one of the tables, and the ten names

The target is the sum of two functions of Friedman 1991 (section 4.3), each of five of the ten numbers, which are uniform from 0 to 1:
`10 sin(pi a b) + 20 (c - 1/2)^2 + 10 d + 5 e + noise of deviation 1`; a class is whether it is above its median. The numbers c matter while
their correlation with the target is 0. Nothing but the validation part chooses: `rarefy path` takes the lambda of the best model on it, and
`rarefy inspect --inputs` measures on it which inputs are important.
"""

import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS, INPUTS, SEEDS = 5000, 200, 5


def write(path, task, seed):
    """Writes a table; the names of the inputs that matter."""
    draw = random.Random(seed)
    chosen = draw.sample(range(INPUTS), 10)
    rows = []
    for _ in range(ROWS):
        row = [draw.random() for _ in range(INPUTS)]
        parts = [[row[input] for input in half] for half in (chosen[:5], chosen[5:])]
        rows.append((row, sum(map(friedman, parts)) + draw.gauss(0, 1)))
    median = statistics.median(target for _, target in rows)
    with open(path, "w", encoding="utf-8") as file:
        print(*[f"x{input + 1}" for input in range(INPUTS)], "y", sep=",", file=file)
        for row, target in rows:
            y = f"{target:.5f}" if task == "regression" else ("high" if target > median else "low")
            print(*[f"{number:.5f}" for number in row], y, sep=",", file=file)
    return {f"x{input + 1}" for input in chosen}


def friedman(numbers):
    a, b, c, d, e = numbers
    return 10 * math.sin(math.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e


def run(*command):
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure(program, folder):
    print("task            seed  used  important  precision  recall  test score")
    for task in ["regression", "classification"]:
        for seed in range(1, SEEDS + 1):
            table, model = folder / f"{task}-{seed}.csv", folder / f"{task}-{seed}"
            matter = write(table, task, seed)
            path = run(program, "path", table, "--label", "y", "--hidden", "32", "--penalty", "group-inputs", "--epochs", "20",
                       "--choose", "best", "--save-model", model, "--json")
            found = run(program, "inspect", model, "--inputs", "--json")
            important = {feature["name"] for feature in found["features"] if feature["important"]}
            right = len(important & matter)
            test = path["best"]["test"]
            score = test.get("accuracy", test.get("r2"))
            print(f"{task:14}  {seed:4}  {found['used']:4}  {len(important):9}  {right / max(len(important), 1):9.2f}  {right / 10:6.2f}  {score:.3f}",
                  flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", file, seed]:
            print(*sorted(write(file, "regression", int(seed))))
        case [program]:
            with tempfile.TemporaryDirectory() as temporary:
                measure(program, Path(temporary))
        case _:
            sys.exit(__doc__)
