#!/usr/bin/env python3
"""Compare `rarefy path` with scikit-learn, skglm and celer on a Lasso path, and with scikit-learn on sparse L1 logistic
regression, and print markdown tables.

The question is the time to a stated quality. Every objective is computed here, in float64, from the coefficients that a
program returns. For each program the loosest of its tolerances is taken with which all objectives of the path are within
1e-6, relative, of the best that any program found; then rounds of all programs alternate, each in a process of its own.
Solving alone is timed: not reading, centring or compiling. A program that cannot run, or does not get there, is named;
no figure is ever filled in. The exit status is 1 if rarefy does not get there.

    benchmarks/convex.py                           1000 x 20000, 100 lambdas, 3 rounds
    benchmarks/convex.py --samples 200 --features 2000 --rounds 1
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness

PACKAGES = ["numpy==2.4.6", "scipy==1.17.1", "scikit-learn==1.9.1", "skglm==0.5", "celer==0.7.4"]
TOLERANCES = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8]
# What a program must come within, relative to the best objective.
NEAR = 1e-6
PROGRAMS = {"lasso": ["rarefy", "skglm", "celer", "sklearn"], "logistic": ["rarefy", "saga", "liblinear"]}


def main():
    args = parse_arguments()
    if args.peer:
        return run_peer(args)
    enter_environment()
    good, busy = True, harness.busy_share()
    with tempfile.TemporaryDirectory() as folder:
        for kind in args.problems:
            good &= compare(args, kind, Path(folder))
    print(f"- {args.threads} threads; versions: " + ", ".join(PACKAGES))
    harness.say_where(busy, {})
    sys.exit(0 if good else 1)


def enter_environment():
    """Makes the virtual environment, or adds what it lacks, and goes on inside it."""
    python = harness.VENV / "bin/python"
    if Path(sys.prefix).resolve() == harness.VENV.resolve():
        return
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", harness.VENV], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    subprocess.run(pip, check=True)
    os.execv(python, [python, *sys.argv])


def compare(args, kind, folder):
    """Prints one table; gives whether rarefy got there."""
    import numpy as np

    problem = make_lasso(args) if kind == "lasso" else make_logistic(args)
    np.savez(folder / "data.npz", x=problem["x"], y=problem["y"])
    np.save(folder / "lambdas.npy", problem["lambdas"])
    missing, chosen, objectives = {}, {}, {}

    def attempt(program, tolerance):
        try:
            seconds, coefficients = run(args, kind, program, tolerance, folder)
            return seconds, objective(kind, problem, coefficients), (coefficients[-1, :-1] != 0).sum()
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            missing[program] = harness.reason(error)
            return None

    # The best that anybody finds with much patience.
    precise = [attempt(program, 1e-10) for program in (["rarefy", "celer"] if kind == "lasso" else ["rarefy"])]
    best = np.min([found[1] for found in precise if found], axis=0)
    for program in PROGRAMS[kind]:
        for tolerance in TOLERANCES:
            found = None if program in missing else attempt(program, tolerance)
            if found is None:
                break
            best = np.minimum(best, found[1])
            objectives[program] = found
            chosen[program] = tolerance
            if (found[1] <= best * (1 + NEAR)).all():
                break
    times = {program: [] for program in chosen if program not in missing}
    for number in range(args.rounds):
        # Every other round runs backwards, so that no program always follows the same one.
        for program in list(times) if number % 2 == 0 else list(times)[::-1]:
            found = attempt(program, chosen[program])
            if found:
                times[program].append(found[0])
    return print_table(args, kind, problem, times, chosen, objectives, best, missing)


def make_lasso(args):
    """Neighbouring features correlated by 0.5, 100 true nonzeros, a signal three times the noise."""
    import numpy as np

    random = np.random.default_rng(args.seed)
    x = random.standard_normal((args.samples, args.features))
    for feature in range(1, args.features):
        x[:, feature] = 0.5 * x[:, feature - 1] + 0.75**0.5 * x[:, feature]
    x = x.astype(np.float32)
    truth = np.zeros(args.features)
    truth[random.choice(args.features, 100, replace=False)] = random.standard_normal(100)
    signal = x.astype(np.float64) @ truth
    y = (signal + random.standard_normal(args.samples) * signal.std() / 3).astype(np.float32)
    centred = y.astype(np.float64) - y.astype(np.float64).mean()
    # The mean of a column times a centred target is 0.
    largest = np.abs(x.T.astype(np.float64) @ centred).max() / args.samples
    return {"x": x, "y": y, "lambdas": largest * 0.01 ** (np.arange(args.lambdas) / (args.lambdas - 1))}


def make_logistic(args):
    """2000 samples, 5000 features of which 1 % are not zero, 50 true nonzeros, a tenth of the labels turned."""
    import numpy as np

    random = np.random.default_rng(args.seed)
    x = random.standard_normal((2000, 5000)) * (random.random((2000, 5000)) < 0.01)
    x = x.astype(np.float32)
    truth = np.zeros(5000)
    truth[random.choice(5000, 50, replace=False)] = 5 * random.standard_normal(50)
    y = (x @ truth + 0.1 * random.standard_normal(2000) > 0) ^ (random.random(2000) < 0.1)
    largest = np.abs(x.T.astype(np.float64) @ (y - y.mean())).max() / 2000
    return {"x": x, "y": y.astype(np.int64), "lambdas": largest * 0.05 ** (np.arange(10) / 9)}


def objective(kind, problem, coefficients):
    """Of each row of coefficients, the intercept being its last number."""
    import numpy as np

    x, y = problem["x"].astype(np.float64), problem["y"].astype(np.float64)
    z = x @ coefficients[:, :-1].T + coefficients[:, -1]
    if kind == "lasso":
        loss = 0.5 * ((y[:, None] - z) ** 2).mean(axis=0)
    else:
        loss = (np.logaddexp(0, z) - y[:, None] * z).mean(axis=0)
    return loss + problem["lambdas"] * np.abs(coefficients[:, :-1]).sum(axis=1)


def run(args, kind, program, tolerance, folder):
    """The seconds and coefficients of one program."""
    import numpy as np

    output = folder / "coefficients.npy"
    lambdas = np.load(folder / "lambdas.npy")
    if program == "rarefy":
        command = [args.rarefy, "path", folder / "data.npz", "--json", "--save-coefficients", output]
        command += ["--lambdas", len(lambdas), "--lambda-min-ratio", lambdas[-1] / lambdas[0], "--tolerance", tolerance]
        command += ["--threads", args.threads]
        command += [f"--set=data.{key}" for key in ("scale=none", "validation_fraction=0", "test_fraction=0")]
    else:
        command = [sys.executable, __file__, "--peer", program, "--folder", folder, "--tolerance", tolerance]
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    env = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env |= {name: str(args.threads) for name in pools} | {"PYTHONWARNINGS": "ignore"}
    command = [str(part) for part in command]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=args.timeout)
    result = json.loads(done.stdout)
    if program == "rarefy":
        points = result["points"]
        if not np.allclose([point["lambda"] for point in points], lambdas, rtol=1e-9):
            raise ValueError("rarefy solved for other lambdas")
    return result["seconds"], np.load(output)


def run_peer(args):
    """One peer in this process: prints its seconds, writes its coefficients."""
    import numpy as np

    folder = Path(args.folder)
    data = np.load(folder / "data.npz")
    lambdas = np.load(folder / "lambdas.npy")
    solve = {"skglm": skglm_path, "celer": celer_path, "sklearn": sklearn_path}.get(args.peer)
    if solve:
        # The intercept is at its optimum when everything is centred; it need not be in the model.
        x, y = data["x"].astype(np.float64), data["y"].astype(np.float64)
        x_mean, y_mean = x.mean(axis=0), y.mean()
        x, y = np.asfortranarray(x - x_mean), y - y_mean
        # Numba compiles at the first call.
        solve(np.asfortranarray(x[:, :50]), y, lambdas[:2], args.tolerance)
        begun = time.perf_counter()
        weights = solve(x, y, lambdas, args.tolerance).T
        seconds = time.perf_counter() - begun
        intercepts = y_mean - weights @ x_mean
    else:
        import scipy.sparse

        x, y = scipy.sparse.csr_matrix(data["x"].astype(np.float64)), data["y"]
        begun = time.perf_counter()
        weights, intercepts = sklearn_logistic(args.peer, x, y, lambdas, args.tolerance)
        seconds = time.perf_counter() - begun
    np.save(folder / "coefficients.npy", np.column_stack([weights, intercepts]))
    print(json.dumps({"seconds": seconds}))


def skglm_path(x, y, lambdas, tolerance):
    import skglm

    model = skglm.Lasso(tol=tolerance, fit_intercept=False, max_epochs=100_000)
    return model.path(x, y, lambdas)[1]


def celer_path(x, y, lambdas, tolerance):
    import celer

    return celer.celer_path(x, y, "lasso", alphas=lambdas, tol=tolerance, max_epochs=100_000)[1]


def sklearn_path(x, y, lambdas, tolerance):
    from sklearn.linear_model import lasso_path

    return lasso_path(x, y, alphas=lambdas, tol=tolerance, max_iter=100_000)[1]


def sklearn_logistic(solver, x, y, lambdas, tolerance):
    """liblinear penalises the intercept, by so little here that it does not matter."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        l1_ratio=1.0, solver=solver, tol=tolerance, max_iter=20_000, warm_start=True, intercept_scaling=1e4, random_state=0
    )
    weights, intercepts = [], []
    for value in lambdas:
        model.set_params(C=1 / (x.shape[0] * value)).fit(x, y)
        weights.append(model.coef_[0].copy())
        intercepts.append(model.intercept_[0])
    return np.array(weights), np.array(intercepts)


def print_table(args, kind, problem, times, chosen, found, best, missing):
    samples, features = problem["x"].shape
    nonzero = "" if kind == "lasso" else f", {100 * (problem['x'] != 0).mean():.1f} % nonzero"
    count, ratio = len(problem["lambdas"]), problem["lambdas"][0] / problem["lambdas"][-1]
    print(f"\n{kind}, {samples} x {features}{nonzero}, {count} lambdas down to 1/{ratio:.0f} of the largest:\n")
    print("| program | tolerance | worst above the best | within 1e-6 | nonzeros at the end | seconds | times rarefy |")
    print("|---" * 7 + "|")
    ours = statistics.median(times["rarefy"]) if times.get("rarefy") else None
    for program, rounds in times.items():
        above = (found[program][1] / best - 1).max()
        seconds = f"{statistics.median(rounds):.2f} ({min(rounds):.2f} to {max(rounds):.2f})" if rounds else "missing"
        ratio = f"{statistics.median(rounds) / ours:.2f}" if rounds and ours else "-"
        reached = "yes" if above <= NEAR else "no"
        print(f"| {program} | {chosen[program]:g} | {above:.1e} | {reached} | {found[program][2]} | {seconds} | {ratio} |")
    print(f"\n- median of {args.rounds} interleaved rounds, fastest and slowest in brackets")
    for program, why in missing.items():
        print(f"- {program} is missing: {why}")
    return "rarefy" in found and (found["rarefy"][1] <= best * (1 + NEAR)).all()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rarefy", default=harness.ROOT / "target/release/rarefy", help="the program under test")
    parser.add_argument("--problems", type=lambda text: text.split(","), default=list(PROGRAMS))
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--features", type=int, default=20000)
    parser.add_argument("--lambdas", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=900, help="seconds that one run may take")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--tolerance", type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
