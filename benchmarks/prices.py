#!/usr/bin/env python3
"""Writes a table of 5,000 made-up homes whose prices are skewed (log-normal), and asks what scikit-learn's MLPRegressor learns of it.

    benchmarks/prices.py write FOLDER       prices-train.csv (4,000 lines) and prices-test.csv (1,000 lines)
    benchmarks/prices.py sklearn FOLDER     R2 on the test part, five seeds; settings chosen on a validation part

The price is `exp(7.2 + 0.9 ln size + 0.06 rooms - 0.004 age + district + condition + noise of deviation 0.25)`: near 90,000 in the middle, a
few of them ten times that. Nobody can know the noise, which bounds the R2 of any model; `write` prints that of the formula itself.
"""

import csv
import itertools
import math
import random
import statistics
import sys
from pathlib import Path

SAMPLES, TEST, SEED, NOISE = 5000, 1000, 13, 0.25
DISTRICTS = {"centre": 0.5, "north": 0.0, "east": -0.25, "south": 0.1, "west": 0.25, "harbour": 0.35, "hill": 0.6}
CONDITIONS = {"poor": -0.3, "fair": -0.1, "good": 0.0, "new": 0.2}


def homes():
    """Rows of the table, and the price without its noise."""
    draw = random.Random(SEED)
    for _ in range(SAMPLES):
        size = round(math.exp(draw.gauss(4.4, 0.45)), 1)
        rooms = max(1, round(size / 28 + draw.gauss(0, 0.7)))
        age = int(draw.expovariate(1 / 35))
        district, condition = draw.choice(list(DISTRICTS)), draw.choice(list(CONDITIONS))
        log = 7.2 + 0.9 * math.log(size) + 0.06 * rooms - 0.004 * age + DISTRICTS[district] + CONDITIONS[condition]
        yield [size, rooms, age, district, condition, round(math.exp(log + draw.gauss(0, NOISE)))], math.exp(log)


def write(folder):
    rows = list(homes())
    for name, part in [("prices-train.csv", rows[TEST:]), ("prices-test.csv", rows[:TEST])]:
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["size", "rooms", "age", "district", "condition", "price"])
            writer.writerows(row for row, _ in part)
        print(f"{folder / name}: {len(part)} homes")
    prices, known = zip(*[(row[-1], clean) for row, clean in rows[:TEST]])
    # Of all guesses the mean is best: exp(noise^2 / 2) times the median.
    print(f"the formula itself has an R2 of {r2(prices, [math.exp(NOISE**2 / 2) * clean for clean in known]):.4f} there")


def r2(truth, guessed):
    mean = statistics.fmean(truth)
    missed = sum((a - b) ** 2 for a, b in zip(truth, guessed))
    return 1 - missed / sum((a - mean) ** 2 for a in truth)


def learn(folder):
    import numpy
    import sklearn
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def read(name):
        with open(folder / name, encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        return numpy.array([row[:-1] for row in rows], dtype=object), numpy.array([float(row[-1]) for row in rows])

    def model(hidden, alpha, rate, seed):
        coded = ColumnTransformer([("numbers", StandardScaler(), [0, 1, 2]), ("words", OneHotEncoder(), [3, 4])])
        network = MLPRegressor(
            hidden_layer_sizes=hidden,
            alpha=alpha,
            learning_rate_init=rate,
            max_iter=1000,
            early_stopping=True,
            n_iter_no_change=20,
            random_state=seed,
        )
        return TransformedTargetRegressor(make_pipeline(coded, network), transformer=StandardScaler())

    (inputs, prices), (test, truth) = read("prices-train.csv"), read("prices-test.csv")
    fit, held, fit_prices, held_prices = train_test_split(inputs, prices, test_size=0.2, random_state=0)

    def validated(it):
        scores = [r2(held_prices, model(*it, seed).fit(fit, fit_prices).predict(held)) for seed in [10, 11]]
        return statistics.fmean(scores)

    settings = itertools.product([(100,), (256, 256)], [1e-4, 1e-1], [1e-3, 3e-3])
    found = {it: validated(it) for it in settings}
    for it, score in found.items():
        print(f"validation, hidden {it[0]}, alpha {it[1]}, rate {it[2]}: {score:.4f}")
    best = max(found, key=found.get)
    for name, it in [("defaults", ((100,), 1e-4, 1e-3)), ("chosen on validation", best)]:
        scores = [r2(truth, model(*it, seed).fit(inputs, prices).predict(test)) for seed in range(5)]
        each = " / ".join(f"{score:.4f}" for score in scores)
        print(f"scikit-learn {sklearn.__version__}, {name} {it}: test R2 {each}, mean {statistics.fmean(scores):.4f}")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("write", "sklearn"):
        sys.exit(__doc__)
    (write if sys.argv[1] == "write" else learn)(Path(sys.argv[2]))
