#!/usr/bin/env python3
"""Writes two made-up tables as people have them, and asks what scikit-learn's networks learn of them.

    benchmarks/tables.py write FOLDER       prices.csv, payments.csv to train on, prices-test.csv, payments-test.csv to test
    benchmarks/tables.py sklearn FOLDER     R2, or area under the ROC curve and average precision, on the test parts: five seeds
                                            each, with scikit-learn's defaults, with early stopping, and with settings chosen on a
                                            validation part

prices    4,000 + 1,000 homes. The price is exp(7.2 + 0.9 ln size + 0.06 rooms - 0.004 age + district + condition + noise of
          deviation 0.25): near 90,000 in the middle, a few of them ten times that.
payments  15,000 + 5,000 payments, of which 1.8 % are fraud: dear ones, at night, from young accounts, with a foreign card, from some
          countries. paid_at is a date with a time; some ages of accounts are missing.

Both have an id that says nothing. scikit-learn's early stopping of a classifier goes by accuracy, which says nothing of payments. Nobody can know the noise, which bounds any model; `write` prints the scores of the formulas.
"""

import csv
import datetime
import itertools
import math
import random
import statistics
import sys
from pathlib import Path

SEED, NOISE = 13, 0.25
DISTRICTS = {"centre": 0.5, "north": 0.0, "east": -0.25, "south": 0.1, "west": 0.25, "harbour": 0.35, "hill": 0.6}
CONDITIONS = {"poor": -0.3, "fair": -0.1, "good": 0.0, "new": 0.2}
COUNTRIES = {"AT": -0.4, "BE": -0.2, "CH": -0.6, "DE": -0.3, "ES": 0.2, "FR": 0.0, "IT": 0.3, "NL": -0.1, "PL": 0.1, "RO": 0.9, "SE": -0.5, "UK": 0.4}
CHANNELS = {"app": -0.3, "phone": 0.6, "web": 0.0}
BASE = -5.99


def homes(count):
    """Rows of the table, and the price without its noise."""
    draw, ids = random.Random(SEED), random.Random(SEED + 1).sample(range(100_000, 1_000_000), count)
    for home in ids:
        size = round(math.exp(draw.gauss(4.4, 0.45)), 1)
        rooms = max(1, round(size / 28 + draw.gauss(0, 0.7)))
        age = int(draw.expovariate(1 / 35))
        district, condition = draw.choice(list(DISTRICTS)), draw.choice(list(CONDITIONS))
        log = 7.2 + 0.9 * math.log(size) + 0.06 * rooms - 0.004 * age + DISTRICTS[district] + CONDITIONS[condition]
        yield [home, size, rooms, age, district, condition, round(math.exp(log + draw.gauss(0, NOISE)))], math.exp(log)


def payments(count):
    """Rows of the table, and the logarithm of the odds of fraud."""
    draw = random.Random(SEED + 2)
    start = datetime.datetime(2023, 1, 1)
    for number in draw.sample(range(10_000_000, 100_000_000), count):
        paid_at = start + datetime.timedelta(seconds=draw.randrange(365 * 86_400))
        amount = round(math.exp(draw.gauss(3.5, 1.1)), 2)
        account = int(draw.expovariate(1 / 400))
        foreign = int(draw.random() < 0.12)
        country, channel = draw.choice(list(COUNTRIES)), draw.choice(list(CHANNELS))
        is_night = paid_at.hour < 6
        odds = BASE + 0.8 * math.log(amount / 30) + 1.5 * is_night + 1.8 * math.exp(-account / 60) + 1.2 * foreign
        odds += 1.0 * (is_night and foreign) + COUNTRIES[country] + CHANNELS[channel]
        fraud = int(draw.random() < 1 / (1 + math.exp(-odds)))
        known = "" if draw.random() < 0.03 else account
        yield [number, paid_at.isoformat(" "), amount, known, foreign, country, channel, fraud], odds


def write(folder):
    tables = [
        ("prices", ["id", "size", "rooms", "age", "district", "condition", "price"], list(homes(5000)), 1000),
        ("payments", ["id", "paid_at", "amount", "account_days", "foreign_card", "country", "channel", "fraud"], list(payments(20_000)), 5000),
    ]
    for name, columns, rows, test in tables:
        for file, part in [(f"{name}.csv", rows[test:]), (f"{name}-test.csv", rows[:test])]:
            with open(folder / file, "w", newline="", encoding="utf-8") as out:
                writer = csv.writer(out, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(row for row, _ in part)
            print(f"{folder / file}: {len(part)} lines")
        truth, known = [row[-1] for row, _ in rows[:test]], [clean for _, clean in rows[:test]]
        if name == "prices":
            # Of all guesses the mean is best: exp(noise^2 / 2) times the median.
            print(f"  the formula itself has an R2 of {r2(truth, [math.exp(NOISE**2 / 2) * clean for clean in known]):.4f} there")
        else:
            share = statistics.fmean(row[-1] for row, _ in rows)
            print(f"  {share:.2%} are fraud; the formula itself has an area under the ROC curve of {auc(truth, known):.4f} there")


def r2(truth, guessed):
    mean = statistics.fmean(truth)
    missed = sum((a - b) ** 2 for a, b in zip(truth, guessed))
    return 1 - missed / sum((a - mean) ** 2 for a in truth)


def auc(truth, scores):
    """How often a score of a 1 is above one of a 0: by the sum of ranks, for scores that all differ."""
    ranks = sorted(range(len(scores)), key=lambda at: scores[at])
    ones = [rank for rank, at in enumerate(ranks, 1) if truth[at]]
    return (sum(ones) - len(ones) * (len(ones) + 1) / 2) / (len(ones) * (len(scores) - len(ones)))


def learn(folder):
    import numpy
    import pandas
    import sklearn
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def read(name, label):
        table = pandas.read_csv(folder / name).drop(columns="id")
        if "paid_at" in table:
            # The numbers that rarefy makes of a date.
            at = pandas.to_datetime(table.pop("paid_at"))
            day = (at - at.dt.normalize()).dt.total_seconds() / 86_400
            table["days"] = (at - pandas.Timestamp(0)).dt.total_seconds() / 86_400
            for part, turn in [("year", (at.dt.day_of_year - 1) / 365), ("week", at.dt.day_of_week / 7), ("day", day)]:
                table[f"{part}_sin"], table[f"{part}_cos"] = numpy.sin(2 * math.pi * turn), numpy.cos(2 * math.pi * turn)
        return table, table.pop(label)

    def model(network, inputs, hidden, alpha, rate, stops_early, seed):
        words = [name for name in inputs if not pandas.api.types.is_numeric_dtype(inputs[name])]
        numbers = [name for name in inputs if name not in words]
        scaled = make_pipeline(SimpleImputer(), StandardScaler())
        coded = ColumnTransformer([("numbers", scaled, numbers), ("words", OneHotEncoder(), words)])
        fitted = make_pipeline(
            coded,
            network(
                hidden_layer_sizes=hidden,
                alpha=alpha,
                learning_rate_init=rate,
                max_iter=1000 if stops_early else 200,
                early_stopping=stops_early,
                n_iter_no_change=20 if stops_early else 10,
                random_state=seed,
            ),
        )
        return TransformedTargetRegressor(fitted, transformer=StandardScaler()) if network is MLPRegressor else fitted

    def scores(network, fitted, inputs, truth):
        if network is MLPRegressor:
            return [r2(list(truth), list(fitted.predict(inputs)))]
        guessed = fitted.predict_proba(inputs)[:, 1]
        return [roc_auc_score(truth, guessed), average_precision_score(truth, guessed)]

    print(f"scikit-learn {sklearn.__version__}")
    defaults, early = ((100,), 1e-4, 1e-3, False), ((100,), 1e-4, 1e-3, True)
    for name, label, network in [("prices", "price", MLPRegressor), ("payments", "fraud", MLPClassifier)]:
        (inputs, targets), (test, truth) = read(f"{name}.csv", label), read(f"{name}-test.csv", label)
        stratify = targets if network is MLPClassifier else None
        fit, held, fit_targets, held_targets = train_test_split(inputs, targets, test_size=0.2, random_state=0, stratify=stratify)

        def validated(it):
            each = [scores(network, model(network, inputs, *it, seed).fit(fit, fit_targets), held, held_targets)[0] for seed in [10, 11]]
            return statistics.fmean(each)

        best = max(itertools.product([(100,), (256, 256)], [1e-4, 1e-1], [1e-3, 3e-3], [False, True]), key=validated)
        for what, it in [("defaults", defaults), ("early stopping", early), ("chosen on validation", best)]:
            each = [scores(network, model(network, inputs, *it, seed).fit(inputs, targets), test, truth) for seed in range(5)]
            for metric, found in zip(["R2"] if network is MLPRegressor else ["AUC", "average precision"], zip(*each)):
                listed = " / ".join(f"{score:.4f}" for score in found)
                print(f"{name}, {what} {it}: test {metric} {listed}, mean {statistics.fmean(found):.4f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("write", "sklearn"):
        sys.exit(__doc__)
    (write if sys.argv[1] == "write" else learn)(Path(sys.argv[2]))
