"""Random parameters and arrays, good and bad, for minutes: whatever is given, what comes back is a result or one of
Python's own errors, never a panic.

    python python/tests/fuzz_border.py --minutes 10
    python python/tests/fuzz_border.py --seed 1234      # one case again, with all that it did
"""

import argparse
import collections
import time
import traceback
import warnings

import numpy as np
import rarefy
import scipy.sparse
from sklearn.exceptions import NotFittedError

# What may come of a mistake. `rarefy.InternalError` and PyO3's PanicException are ours.
FINE = (
    ValueError,
    TypeError,
    NotFittedError,
    AttributeError,
    MemoryError,
    OSError,
    ArithmeticError,
    NotImplementedError,
)


def case(seed):
    """One case, by what kind it is and what came of it."""
    rng = np.random.default_rng(seed)
    kind = KINDS[rng.integers(len(KINDS))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind(rng)
        return kind.__name__, "done"
    except rarefy.InternalError:
        raise
    except FINE as error:
        return kind.__name__, type(error).__name__


def one_of(rng, *values):
    return values[rng.integers(len(values))]


def number(rng):
    """A number as somebody might mistype it."""
    return one_of(rng, 0, 1, -1, 2, 0.5, 0.9, 1.5, 1e-9, 1e9, -0.1, float("nan"), float("inf"), None, True, "auto", "x")


def samples(rng, rows=None):
    """Rows of numbers in any storage, some of them broken."""
    if rows is None:
        if rng.random() < 0.6:
            return rng.standard_normal((40, 12))
        rows = int(rng.choice([0, 1, 2, 7, 40, 70]))
    X = rng.standard_normal((rows, int(rng.choice([0, 1, 3, 12]))))
    if rng.random() < 0.3:
        X *= rng.random(X.shape) < 0.3
    if X.size and rng.random() < 0.2:
        X.flat[rng.integers(X.size)] = one_of(rng, np.nan, np.inf, 1e39, -1e300, 1e-320)
    X = X.astype(one_of(rng, "f4", "f8", "f8", "f2", "i8", "u1", "?", "c8", "O", ">f4"))
    change = one_of(
        rng,
        *(lambda X: X,) * 4,
        np.asfortranarray,
        lambda X: X[::-1],
        lambda X: X[:, ::-1],
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.tolist(),
        lambda X: X[..., np.newaxis],
        lambda X: X.ravel(),
        lambda X: broken_csr(rng, X),
        scipy.sparse.csr_matrix,
        scipy.sparse.csc_array,
        scipy.sparse.coo_array,
        frame,
    )
    return change(X)


def broken_csr(rng, X):
    """Compressed rows whose parts may contradict each other."""
    sparse = scipy.sparse.csr_matrix(X.astype("f4"))
    part = one_of(rng, sparse.indptr, sparse.indices, sparse.data)
    if part.size:
        part[rng.integers(part.size)] = rng.integers(-3, 50)
    return sparse


def frame(X):
    import pandas

    columns = {f"c{column}": X[:, column] for column in range(X.shape[1])}
    words = np.array(["a", "b", None], dtype=object)
    return pandas.DataFrame(columns | {"word": words[np.arange(len(X)) % 3]})


def targets(rng, rows):
    if rng.random() < 0.6:
        return rng.integers(0, 3, rows)
    return one_of(
        rng,
        rng.integers(0, 2, rows).astype(bool),
        rng.standard_normal(rows),
        rng.integers(0, 2, (rows, 3)),
        rng.standard_normal((rows, 2)),
        np.array(["no", "yes"])[rng.integers(0, 2, rows)],
        np.full(rows, 1),
        np.full(rows, np.nan),
        rng.integers(0, 2, rows + 1),
        np.array([None, "a"], dtype=object)[rng.integers(0, 2, rows)],
    )


def fitted(rng, kinds, choices):
    """Fits an estimator of random parameters, and asks it things."""
    kind = one_of(rng, *kinds)
    names = [name for name in kind().get_params() if name in choices]
    chosen = {name: choices[name](rng) for name in names if rng.random() < 0.1}
    estimator = kind(**chosen)
    if "max_iter" in names and "max_iter" not in chosen:
        estimator.set_params(max_iter=2)
    X = samples(rng)
    rows = X.shape[0] if hasattr(X, "shape") and X.shape else len(X)
    weights = one_of(rng, *(None,) * 6, rng.random(rows), np.zeros(rows), -np.ones(rows), rng.random(rows + 1))
    estimator.fit(X, targets(rng, rows), sample_weight=weights)
    for ask in ("predict", "predict_proba", "transform", "decision_function"):
        if hasattr(estimator, ask) and rng.random() < 0.7:
            getattr(estimator, ask)(X if rng.random() < 0.5 else samples(rng))
    if hasattr(estimator, "partial_fit") and rng.random() < 0.3:
        estimator.partial_fit(X, targets(rng, rows))


SHARED = {
    "hidden_layer_sizes": lambda rng: one_of(rng, 4, (), (3, 5), [0], (2.5,), -1, "x", None, np.array([3])),
    "activation": lambda rng: one_of(rng, "relu", "tanh", "gelu", "all-relu", "logistic", 3),
    "sparsity": number,
    "method": lambda rng: one_of(
        rng, "set", "rigl", "gse", "mest", "cht", "gmp", "granet", "acdc", "srigl", "top-kast", "x", 1
    ),
    "allocation": lambda rng: one_of(rng, "er", "uniform", "erk", "x", None),
    "block": lambda rng: one_of(rng, 1, 4, 16, 3, 0, -2, 2.5, "x", None),
    "target": lambda rng: one_of(
        rng, 0.5, 2, {"nnz": 5}, {"bytes": 900}, {"nnz": -1}, {"x": 1}, "x", {"sparsity": 0.3, "nnz": 9}
    ),
    "penalty": lambda rng: one_of(
        rng, "l1", "group-inputs", "group-neurons", "mcp", "l-half", "str", "l0-gates", "x", 0
    ),
    "lam": number,
    "solver": lambda rng: one_of(
        rng, "sgd", "adamw", "prodigy", "armijo", "barzilai-borwein", "linbreg", "rmsprop", "lbfgs"
    ),
    "alpha": number,
    "batch_size": number,
    "learning_rate_init": number,
    "schedule": lambda rng: one_of(rng, "constant", "step", "one-cycle", "linear", "x", 1),
    "momentum": number,
    "nesterovs_momentum": number,
    "beta_1": number,
    "epsilon": number,
    "dropout": number,
    "clip_norm": number,
    "class_weight": lambda rng: one_of(rng, "balanced", {0: 2}, {"yes": 0}, {9: 1}, "x", 3),
    "loss": lambda rng: one_of(rng, "huber", "absolute", "quantile", "x"),
    "max_iter": lambda rng: one_of(rng, 0, 1, 3, -1, 1.5, "x"),
    "tol": number,
    "early_stopping": lambda rng: one_of(rng, True, False, 1),
    "validation_fraction": number,
    "warm_start": lambda rng: True,
    "random_state": lambda rng: one_of(rng, 0, -1, 2**40, "x", np.random.RandomState(0)),
    "n_jobs": lambda rng: one_of(rng, 1, 2, -1, 0, -9, "x"),
    "settings": lambda rng: one_of(
        rng, {"topology.every": 1}, {"data.scale": "none"}, {"x": 1}, {"train": {"accumulate": 2}}, 3
    ),
    "n_lambdas": lambda rng: one_of(rng, 1, 3, 0, 2.5),
    "lambda_max": number,
    "lambda_min_ratio": number,
    "start": lambda rng: one_of(rng, "sparse", "dense", "x"),
    "choose": lambda rng: one_of(rng, "best", "knee", "x"),
    "l1_ratio": number,
    "fit_intercept": lambda rng: one_of(rng, True, False),
    "alphas": lambda rng: one_of(rng, 3, [0.1, 0.01], [], [-1], [np.nan], 0, "x"),
    "eps": number,
    "cv": lambda rng: one_of(rng, 2, 3, 1, "x", None),
    "n_features_to_select": lambda rng: one_of(rng, 1, 0.5, 99, 0, "x"),
    "task": lambda rng: one_of(rng, "classification", "regression", "x"),
}


def perceptrons(rng):
    fitted(rng, [rarefy.SparseMLPClassifier, rarefy.SparseMLPRegressor], SHARED)


def linear_models(rng):
    kinds = ["SparseLinearRegressor", "SparseLinearClassifier", "SparseLinearRegressorCV", "SparseLinearClassifierCV"]
    fitted(rng, [getattr(rarefy, kind) for kind in kinds], SHARED)


def paths(rng):
    kinds = [rarefy.SparsePathClassifier, rarefy.SparsePathRegressor, rarefy.SparseFeatureSelector]
    fitted(rng, kinds, {**SHARED, "n_lambdas": lambda rng: 2} if rng.random() < 0.8 else SHARED)


def networks(rng):
    layers = [
        {"layer": "conv2d", "filters": 3, "kernel": number(rng) if rng.random() < 0.3 else 3, "padding": "same"},
        {"layer": "batch-norm", "activation": "relu"},
        {"layer": "max-pool", "kernel": 2},
        {"layer": "gru", "hidden": 3},
        {"layer": "embedding", "channels": 3},
        {"layer": "global-average-pool"},
        {"layer": "flatten"},
        {"layer": "linear"},
    ]
    chosen = [layer for layer in layers if rng.random() < 0.6]
    network = one_of(rng, chosen, chosen, "lenet5", "kws-lstm", "text-cnn", "mlp", "x")
    shape = one_of(rng, (6, 8, 8, 1), (6, 5, 2), (6, 9), (6, 3, 8, 8), (1, 4, 4, 1), (6, 0, 3), (6,))
    X = rng.standard_normal(shape) if rng.random() < 0.7 else rng.integers(-1 if rng.random() < 0.1 else 0, 9, shape)
    kind = one_of(rng, rarefy.NetworkClassifier, rarefy.NetworkRegressor)
    estimator = kind(network, max_iter=1, sparsity=0.3, channels_first=rng.random() < 0.2)
    lengths = one_of(rng, None, None, rng.integers(-1, 7, shape[0]), [3] * shape[0], "x")
    y = rng.integers(0, 2, shape[0])
    estimator.fit(X, y, lengths=lengths)
    estimator.predict(X, lengths=lengths)
    if rng.random() < 0.3:
        estimator.partial_fit(X, y, lengths=lengths)


def texts(rng):
    words = ["rain", "sun", "", "a b", "\ud7ff", "é", "x" * 300, None, 3]
    lines = [" ".join(map(str, rng.choice(words[:2], 3))) for _ in range(6)]
    if rng.random() < 0.3:
        lines[0] = one_of(rng, *words)
    network = one_of(rng, "bag-of-words", "text-cnn", "text-gru", "transformer-classifier", "lenet5")
    options = {"tokens": one_of(rng, "auto", "characters", "byte-pairs", None), "context": one_of(rng, None, 2, 0)}
    estimator = rarefy.TextClassifier(network, width=4, max_iter=1, sparsity=0.3, **options)
    estimator.fit(lines, one_of(rng, [0, 1] * 3, ["no", "yes"] * 3, ["a"] * 6, [0, 1], np.eye(6)))
    estimator.predict(one_of(rng, lines, [], ["new words"], "x", [None]))


def engine(rng):
    keywords = {
        "sparsity": number,
        "method": SHARED["method"],
        "penalty": SHARED["penalty"],
        "optimizer": SHARED["solver"],
        "learning_rate": number,
        "batch_size": number,
        "hidden": lambda rng: one_of(rng, [4], [0], 4, "x"),
        "target": lambda rng: one_of(rng, "nnz=5", "nnz=x", {"bytes": 900}, "sparsity=2"),
        "seed": number,
        "threads": lambda rng: one_of(rng, 1, 2, -1, "x"),
    }
    chosen = {name: make(rng) for name, make in keywords.items() if rng.random() < 0.15}
    X = samples(rng, 40)
    data = one_of(rng, (X, targets(rng, 40)), (X, targets(rng, 40)), "digits", "no such file", (X,), 3)
    if rng.random() < 0.2:
        rarefy.path(data, lambdas=2, epochs=1, **{name: chosen[name] for name in ("penalty", "seed") if name in chosen})
        return
    run = rarefy.train(data, epochs=1, **chosen)
    run.model.predict(samples(rng))
    rarefy._model.Model.from_bytes(mutated(rng, run.model.to_bytes())).predict(X)


def mutated(rng, data):
    """A file with some bytes changed."""
    data = bytearray(data)
    for _ in range(rng.integers(0, 4)):
        data[rng.integers(min(len(data), 4000))] = rng.integers(256)
    return bytes(data)


def torch_modules(rng):
    import torch
    from rarefy import torch as sparse
    from torch import nn

    sizes = [int(size) for size in rng.choice([1, 2, 5, 16], 4)] if rng.random() < 0.5 else [5, 5, 5, 5]
    layers = [
        sparse.SparseLinear(sizes[0], sizes[1], sparsity=one_of(rng, 0.0, 0.5, 0.99)),
        nn.ReLU(),
        sparse.SparseConv2d(
            sizes[0], sizes[1], int(rng.integers(1, 4)), padding=one_of(rng, 0, 1, "same"), sparsity=0.4
        ),
        nn.BatchNorm2d(sizes[1]),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        sparse.SparseLinear(sizes[1], sizes[2], sparsity=0.2),
    ]
    model = sparse.SparseSequential(*[layer for layer in layers if rng.random() < 0.6] or [nn.ReLU()])
    if rng.random() < 0.3:
        model = sparse.sparsify(nn.Sequential(nn.Linear(sizes[0], 9), nn.ReLU(), nn.Linear(9, sizes[2])), number(rng))
    shape = one_of(
        rng, (3, sizes[0]), (3, sizes[0], 6, 6), (0, sizes[0]), (sizes[0],), (3, 2, sizes[0]), (3, sizes[0] + 1)
    )
    x = torch.randn(shape, requires_grad=bool(rng.random() < 0.5))
    if rng.random() < 0.2:
        x = one_of(rng, x.double(), x.transpose(0, -1), x.half(), x.to_sparse(), x[..., ::2])
    layer = next((it for it in model.modules() if isinstance(it, sparse.SparseModule)), None)
    if layer is not None and rng.random() < 0.3:
        crow = layer.crow_indices.clone()
        col = layer.col_indices.clone()
        part = crow if rng.random() < 0.5 else col
        part[rng.integers(len(part))] = int(rng.integers(-3, 30))
        layer.set_pattern_(crow, col, layer.values.detach()[: len(col)])
    try:
        y = model(x)
        if y.requires_grad:
            y.square().sum().backward()
    except (RuntimeError, IndexError) as error:  # torch's own words for shapes
        if isinstance(error, rarefy.Error):
            raise


def products(rng):
    A = one_of(rng, samples(rng), broken_csr(rng, rng.standard_normal((9, 7)) * (rng.random((9, 7)) < 0.5)))
    A = scipy.sparse.csr_array(A, dtype="f4") if isinstance(A, np.ndarray) and A.dtype.kind == "f" else A
    m, k = A.shape if getattr(A, "ndim", 0) == 2 else (3, 4)
    columns, threads = int(rng.choice([0, 1, 5, 70])), one_of(rng, None, None, 1, 2, 0, "x")
    X, Y = (
        rng.standard_normal((rows, columns)).astype("f4") if rng.random() < 0.9 else samples(rng) for rows in (m, k)
    )
    rarefy.ops.sddmm(A, X, Y, threads=threads)
    rarefy.ops.spmm_t(A, X, threads=threads)
    rarefy.ops.spmm(A, Y, threads=threads)


def torch_products(rng):
    import torch
    from rarefy.torch import ops

    def pick(*likely):
        return int(one_of(rng, *likely * 60, 0, 3, -1, 2**31, 2**33))

    size, images = (pick(4), pick(2), pick(3), pick(3)), (pick(2), pick(2), pick(5), pick(4))
    rows = rng.random((4, 18)) < 0.5
    csr = scipy.sparse.csr_array(rows)
    crow, col = (torch.from_numpy(part.astype(one_of(rng, "i4", "i8"))) for part in (csr.indptr, csr.indices))
    if rng.random() < 0.2:
        part = one_of(rng, crow, col)
        part[rng.integers(len(part))] = int(rng.integers(-3, 30))
    values = torch.randn(len(col) + int(rng.random() < 0.1), requires_grad=True)
    matrix, n = (pick(4), pick(18)), int(rng.choice([0, 1, 5, 70]))
    X, Y = (torch.randn(rows, n, requires_grad=True) for rows in (18, 4))
    inputs, outputs = torch.randn([min(abs(it), 9) for it in images]), torch.randn(2, 4, 3, 2)
    call = one_of(
        rng,
        lambda: ops.spmm(crow, col, values, matrix, X),
        lambda: ops.spmm_t(crow, col, values, matrix, Y),
        lambda: ops.sddmm(crow, col, matrix, Y, X),
        lambda: ops.conv2d(crow, col, values, size, inputs, pick(1), pick(0), pick(1), pick(1)),
        lambda: ops.conv2d_input(crow, col, values, size, images, outputs, pick(1), pick(0), pick(1), pick(1)),
        lambda: ops.conv2d_weight(crow, col, size, inputs, outputs, pick(1), pick(0), pick(1), pick(1)),
    )
    try:
        found = call()
        if found.requires_grad:
            found.square().sum().backward()
    except RuntimeError as error:  # torch's own words for shapes
        if isinstance(error, rarefy.Error):
            raise


KINDS = [
    perceptrons,
    perceptrons,
    linear_models,
    paths,
    networks,
    texts,
    engine,
    products,
    torch_modules,
    torch_products,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    if options.seed is not None:
        return print(case(options.seed))
    seeds, ends = np.random.SeedSequence().generate_state(1)[0], time.time() + 60 * options.minutes
    counts, found = collections.Counter(), 0
    print(f"from seed {seeds}", flush=True)
    for seed in range(int(seeds), int(seeds) + 10**9):
        if time.time() > ends:
            break
        try:
            counts[case(seed)] += 1
        except KeyboardInterrupt:
            break
        except BaseException:  # a panic is one
            found += 1
            print(f"--seed {seed}", flush=True)
            traceback.print_exc()
    for (kind, what), count in sorted(counts.items()):
        print(f"{kind:15} {what:20} {count}")
    print(f"{sum(counts.values())} cases, {found} faults")
    return found > 0


if __name__ == "__main__":
    raise SystemExit(main())
