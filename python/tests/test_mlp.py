"""What the estimators of perceptrons do, and what is to be seen of them."""

import pickle
import shutil
import subprocess
import warnings

import numpy as np
import pytest
import rarefy
import scipy.sparse
from rarefy import SparseMLPClassifier, SparseMLPRegressor
from rarefy._samples import rows_of
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.exceptions import NotFittedError

X, Y = (part.astype(np.float32) for part in load_digits(return_X_y=True))
Y = Y.astype(int)
FAST = {"max_iter": 5, "random_state": 0, "n_jobs": 1}


def table(rows=200, columns=8, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns)).astype(np.float32)
    return features, features @ rng.normal(size=columns) + 0.1 * rng.normal(size=rows)


def test_a_classifier_learns_and_shows_what_it_did():
    network = SparseMLPClassifier((128, 64), max_iter=30, random_state=0).fit(X[:1400], Y[:1400])
    assert network.score(X[1400:], Y[1400:]) > 0.85
    assert [weights.shape for weights in network.coefs_] == [(64, 128), (128, 64), (64, 10)]
    assert [len(biases) for biases in network.intercepts_] == [128, 64, 10]
    assert all(isinstance(weights, scipy.sparse.csr_array) for weights in network.coefs_)
    assert network.nnz_ == sum(weights.nnz for weights in network.coefs_)
    assert network.sparsity_ == pytest.approx(0.9, abs=0.001)
    assert (network.n_layers_, network.n_outputs_, network.out_activation_) == (4, 10, "softmax")
    assert (network.n_iter_, network.t_, network.n_features_in_) == (30, 30 * 1400, 64)
    assert len(network.loss_curve_) == 30 and network.loss_ == network.loss_curve_[-1] < network.loss_curve_[0]
    assert network.best_loss_ == min(network.loss_curve_)
    assert network.validation_scores_ is None and network.validation_loss_curve_ is None
    np.testing.assert_allclose(network.density_curve_, 1 - network.sparsity_)
    assert sum(dropped for dropped, _ in network.topology_history_) > 0
    assert network.feature_importances_.shape == (64,) and network.feature_importances_.sum() == pytest.approx(1)
    probabilities = network.predict_proba(X[:50])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(network.predict(X[:50]), probabilities.argmax(axis=1))
    np.testing.assert_allclose(np.exp(network.predict_log_proba(X[:50])), probabilities)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_the_weights_are_the_network(precision):
    settings = {"data.scale": "none", "data.target_scale": "none", "train.precision": precision}
    features, y = table()
    network = SparseMLPRegressor((16,), settings=settings, **FAST).fit(features, y)
    (first, second), (a, b) = ([part.toarray() for part in network.coefs_], network.intercepts_)

    def computed(read):
        return (read(np.maximum(read(features) @ read(first) + a, 0)) @ read(second) + b)[:, 0]

    predicted = network.predict(features)
    # A hidden number that lies between two of 16 bits may go to the other one.
    np.testing.assert_allclose(predicted, computed(READ[precision]), atol=1e-5 if precision == "f32" else 1e-3)
    assert (precision == "f32") == (abs(predicted - computed(READ["f32"])).max() < 1e-5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(network)).predict(features), predicted)


def bf16(numbers):
    """Rounded to the nearest number of 16 bits, of two as near to the even one."""
    bits = numbers.astype(np.float32).view(np.uint32)
    return (((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) << 16).view(np.float32)


# What the products of each precision read.
READ = {"f32": np.asarray, "bf16": bf16}


def test_numbers_may_be_several():
    features, y = table()
    both = np.column_stack([y, -2 * y])
    network = SparseMLPRegressor(sparsity=0.5, max_iter=60, random_state=0).fit(features, both)
    assert network.predict(features).shape == (200, 2) and network.score(features, both) > 0.9
    assert network.out_activation_ == "identity"


def test_labels_may_be_several():
    features, labels = make_multilabel_classification(n_samples=300, n_classes=4, random_state=0)
    network = SparseMLPClassifier(sparsity=0.5, max_iter=40, random_state=0).fit(features, labels)
    assert set(np.unique(network.predict(features))) <= {0, 1}
    assert (network.predict(features) == labels).mean() > 0.8
    assert network.predict_proba(features).shape == labels.shape
    assert network.out_activation_ == "logistic"
    same = SparseMLPClassifier(sparsity=0.5, max_iter=40, random_state=0).fit(features, scipy.sparse.csr_array(labels))
    np.testing.assert_array_equal(same.predict(features), network.predict(features))


def test_a_validation_part_may_be_split_off_or_given():
    split = SparseMLPClassifier(early_stopping=True, n_iter_no_change=3, max_iter=60, random_state=0).fit(X, Y)
    assert len(split.validation_scores_) == split.n_iter_ < 60
    assert split.best_validation_score_ == max(split.validation_scores_) and split.best_loss_ is None
    given = SparseMLPClassifier(**FAST).fit(X[:1000], Y[:1000], X_val=X[1000:], y_val=Y[1000:])
    assert len(given.validation_loss_curve_) == 5
    assert given.score(X[1000:], Y[1000:]) == pytest.approx(max(given.validation_scores_), abs=1e-6)
    weight = np.zeros(len(X) - 1000)
    weight[:10] = 1
    few = SparseMLPClassifier(**FAST)
    few.fit(X[:1000], Y[:1000], X_val=X[1000:], y_val=Y[1000:], sample_weight_val=weight)
    assert {round(10 * score, 6) % 1 for score in few.validation_scores_} == {0}


def test_a_tolerance_stops_by_the_training_loss():
    network = SparseMLPClassifier(tol=0.5, n_iter_no_change=2, max_iter=50, random_state=0).fit(X[:500], Y[:500])
    assert network.n_iter_ < 50 and network.validation_scores_ is None


def test_training_may_go_on():
    network = SparseMLPClassifier(warm_start=True, schedule="constant", max_iter=10, random_state=0).fit(X, Y)
    last = network.loss_
    network.fit(X, Y)
    assert (len(network.loss_curve_), network.n_iter_) == (20, 10)
    assert network.loss_curve_[10] <= 1.05 * last
    with pytest.raises(ValueError, match="classes"):
        network.fit(X, np.where(Y == 3, 77, Y))
    # It would be the same network all the same.
    for changed in ({"hidden_layer_sizes": (9,)}, {"sparsity": 0.5}):
        with pytest.raises(ValueError, match=f"{next(iter(changed))}: was"):
            clone(network).set_params(max_iter=1).fit(X, Y).set_params(**changed).fit(X, Y)


def test_a_fit_that_fails_leaves_what_was_fitted():
    network = SparseMLPClassifier(**FAST).fit(X, Y)
    said = network.predict(X)
    with pytest.raises(ValueError, match="rigl"):
        network.set_params(method="rigel").fit(X[:, :3], np.where(Y > 4, "large", "small"))
    np.testing.assert_array_equal(network.predict(X), said)


def test_samples_may_come_in_chunks():
    whole = SparseMLPClassifier(max_iter=20, random_state=0).fit(X[:1500], Y[:1500]).score(X[1500:], Y[1500:])
    network = SparseMLPClassifier(max_iter=20, random_state=0)
    for _ in range(20):
        for chunk in range(10):
            part = slice(150 * chunk, 150 * (chunk + 1))
            network.partial_fit(X[part], Y[part], classes=np.arange(10))
    assert network.n_iter_ == 200 and network.t_ == 20 * 1500
    assert network.score(X[1500:], Y[1500:]) >= whole - 0.01
    with pytest.raises(ValueError, match="classes"):
        network.partial_fit(X[:150], Y[:150], classes=[1, 2])
    with pytest.raises(ValueError, match="classes must be passed"):
        SparseMLPClassifier().partial_fit(X, Y)
    with pytest.raises(AttributeError, match="partial_fit"):
        SparseMLPClassifier(early_stopping=True).partial_fit(X, Y, np.arange(10))


def test_the_last_chunk_may_be_short():
    features, y = table(205)
    for size in ("auto", 32):
        network = SparseMLPRegressor(batch_size=size, random_state=0)
        for start in (0, 100, 200):
            network.partial_fit(features[start : start + 100], y[start : start + 100])
        assert network.n_iter_ == 3 and network.t_ == 205


def test_a_chunk_may_have_one_class():
    network = SparseMLPClassifier(random_state=0).partial_fit(X, Y, np.arange(10))
    for it in (network, pickle.loads(pickle.dumps(network))):
        assert it.partial_fit(X[Y == 3], Y[Y == 3]).predict_proba(X).shape == (len(X), 10)


def test_a_fitted_network_goes_on_with_chunks():
    network = SparseMLPRegressor(max_iter=20, random_state=0)
    features, y = table()
    loss = network.fit(features, y).loss_
    assert network.partial_fit(features, y).loss_ < 1.5 * loss
    assert network.n_iter_ == 21


@pytest.mark.parametrize("convert", [scipy.sparse.csr_array, scipy.sparse.csc_array, scipy.sparse.coo_matrix])
def test_sparse_samples_are_the_dense_ones(convert):
    sparse = convert(np.where(X > 12, X, 0))
    if convert is scipy.sparse.csr_array:
        sparse = scipy.sparse.csr_array(
            (sparse.data, sparse.indices.astype(np.int64), sparse.indptr.astype(np.int64)), sparse.shape
        )
    network = SparseMLPClassifier(**FAST).fit(sparse, Y)
    np.testing.assert_array_equal(network.predict_proba(sparse), network.predict_proba(sparse.toarray()))


@pytest.mark.parametrize(
    "change",
    [lambda it: it.astype(np.float64), np.asfortranarray, lambda it: it[::-1][::-1], lambda it: it.astype(np.uint8)],
)
def test_layout_and_type_change_no_bit(change):
    expected = SparseMLPClassifier(**FAST).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(SparseMLPClassifier(**FAST).fit(change(X), Y).predict_proba(X), expected)


def test_float64_in_any_layout_is_the_same_samples():
    # Thirds, which float32 rounds, and days that it cannot tell apart.
    wide = np.column_stack([X / 3.0, 20_240_000.0 + np.arange(len(X)) % 90])
    unaligned = np.zeros(wide.shape, dtype=[("byte", "u1"), ("number", "f8")])["number"]
    unaligned[:] = wide
    padded = np.zeros((2 * len(wide), 200))
    padded[::-2, 10:140:2] = wide
    expected = SparseMLPClassifier(**FAST).fit(wide, Y).predict_proba(wide)
    for same in (np.asfortranarray(wide), unaligned, padded[::-2, 10:140:2], wide.astype(">f8").astype("f8")):
        np.testing.assert_array_equal(SparseMLPClassifier(**FAST).fit(same, Y).predict_proba(same), expected)


@pytest.mark.parametrize("kind", [np.int64, np.int32, ">f8", "frame"])
def test_large_numbers_of_any_type_are_told_apart(kind):
    times = 1_700_000_000.0 + np.random.default_rng(0).integers(0, 60, (300, 2))
    y = times[:, 0] - 1_700_000_000
    same = pytest.importorskip("pandas").DataFrame(times.astype(int)) if kind == "frame" else times.astype(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = SparseMLPRegressor(max_iter=30, random_state=0, n_jobs=1).fit(same, y)
    assert network.score(same, y) > 0.9 and network.score(times, y) == network.score(same, y)


def test_threads_change_no_bit():
    one, two = (SparseMLPClassifier(**{**FAST, "n_jobs": jobs}).fit(X, Y) for jobs in (1, 2))
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


@pytest.mark.parametrize(
    ("parameters", "sparsity"),
    [
        ({}, 0.9),
        ({"sparsity": 0.98}, 0.98),
        ({"target": 0.95}, 0.95),
        ({"target": {"nnz": 500}}, 1 - 500 / (64 * 100 + 100 * 10)),
        ({"penalty": "l1", "lam": 0.0}, 0.0),
        ({"method": "gmp", "sparsity": 0.8}, 0.8),
    ],
)
def test_as_sparse_as_asked_for(parameters, sparsity):
    network = SparseMLPClassifier(**FAST, **parameters).fit(X, Y)
    assert network.sparsity_ == pytest.approx(sparsity, abs=0.005)


def test_each_output_starts_with_a_connection_and_that_is_told():
    with pytest.warns(UserWarning, match="sparsity: a density of .* each output starts with a connection"):
        network = SparseMLPClassifier((), sparsity=0.98, method="static", **FAST).fit(X[:, :20], Y)
    assert (np.diff(network.coefs_[0].T.tocsr().indptr) >= 1).all()


def test_a_batch_is_never_more_than_there_is():
    with pytest.warns(UserWarning, match="batch_size: 50 is more than the 45 samples to train on"):
        SparseMLPClassifier(batch_size=50, early_stopping=True, **FAST).fit(X[:50], Y[:50])


def test_classes_weigh_as_they_are_told():
    few = np.concatenate([np.flatnonzero(Y == 3)[:20], np.flatnonzero(Y == 8)])
    counts = []
    for weight in (None, "balanced", {3: 100.0}):
        network = SparseMLPClassifier((), class_weight=weight, **FAST).fit(X[few], Y[few])
        counts.append((network.predict(X[few]) == 3).sum())
    assert counts[0] < counts[1] <= counts[2]


def test_alpha_is_scikit_learns():
    """In a batch of all samples the gradient of the penalty is alpha / n times the weights."""
    features, y = table()
    given = {"settings": {"optimizer.weight_decay": 3.0 / 200}}, {"alpha": 3.0}
    a, b = (SparseMLPRegressor(batch_size=200, **FAST, **it).fit(features, y) for it in given)
    np.testing.assert_array_equal(a.predict(features), b.predict(features))


def test_names_and_labels_may_be_texts():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    network = SparseMLPClassifier(**FAST).fit(frame, np.array(list("abcdefghij"))[Y])
    assert network.feature_names_in_[5] == "pixel5"
    assert set(network.predict(frame)) <= set("abcdefghij")
    with pytest.raises(ValueError, match="feature names"):
        network.predict(frame.rename(columns={"pixel5": "other"}))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"sparsity": 90}, "'sparsity' parameter .* range \\[0.0, 1.0\\)"),
        ({"max_iter": 0}, "'max_iter'"),
        ({"method": "rigel"}, r"method \(topology.method\): .*did you mean `rigl`"),
        ({"penalty": "l2"}, r"penalty \(penalty.method\)"),
        ({"solver": "lbfgs"}, r"solver \(optimizer.method\): .*`adam`.*`barzilai-borwein`"),
        ({"hidden_layer_sizes": (10, 0)}, "hidden_layer_sizes: must be whole numbers above 0"),
        ({"class_weight": {77: 1.0}}, r"class_weight: has \[77\]"),
        ({"target": {"width": 3}}, "target.width"),
        ({"target": 0.9, "sparsity": 0.9}, "sparsity.*target"),
        ({"settings": {"topology.evry": 3}}, "did you mean `every`"),
        ({"early_stopping": True, "validation_fraction": 1.5}, "'validation_fraction'"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(parameters, words):
    with pytest.raises(ValueError, match=words):
        SparseMLPClassifier(**parameters).fit(X[:100], Y[:100])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: SparseMLPClassifier(**FAST).fit(X[:10], Y[:9]), "inconsistent numbers"),
        (lambda: SparseMLPClassifier(**FAST).fit(X[:20], np.zeros(20)), "one class alone"),
        (lambda: SparseMLPClassifier(**FAST).fit(X[:20] * np.nan, Y[:20]), "NaN"),
        (lambda: SparseMLPClassifier(**FAST).fit(X[:20] * 1e30 * 1e9, Y[:20]), "infinity"),
        (lambda: SparseMLPClassifier(**FAST).fit(X[:20].astype(float) * 1e300, Y[:20]), "row 0, column"),
        (lambda: SparseMLPClassifier(**FAST).fit(X[:20], np.linspace(0, 1, 20)), "Unknown label type"),
        (lambda: SparseMLPClassifier(**FAST).fit(X[:20], Y[:20], X_val=X), "go together"),
        (lambda: SparseMLPClassifier(**FAST).fit(X[:20], Y[:20], np.zeros(20)), "weight"),
        (lambda: SparseMLPClassifier(**FAST).fit(X[:20], Y[:20], -np.ones(20)), "[Nn]egative"),
        (lambda: SparseMLPClassifier(**FAST).fit(X, Y).predict(X[:, :3]), "features"),
    ],
)
def test_samples_that_cannot_be_used_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        given()


def test_nothing_is_told_of_what_is_not_fitted():
    network = SparseMLPClassifier()
    for ask in (network.predict, network.predict_proba):
        with pytest.raises(NotFittedError):
            ask(X)
    for name in ("coefs_", "loss_", "sparsity_", "feature_importances_", "n_layers_"):
        assert not hasattr(network, name)
    assert "network" not in network._repr_html_()[-200:]


@pytest.mark.parametrize(
    ("made", "copies"),
    [
        (lambda it: it.astype(np.float32), 0),
        (lambda it: it, 1),
        (np.asfortranarray, 1),
        (lambda it: np.asfortranarray(it)[:, ::-1], 1),
    ],
    ids=["float32", "float64", "columns", "view"],
)
def test_samples_are_read_where_they_lie(made, copies):
    """A float32 array in C order costs no memory beside it, one of float64 a single float32 copy."""
    rows = made(np.random.default_rng(0).normal(size=(40_000, 500)))
    rows.flags.writeable = False
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    before = resident()
    SparseMLPRegressor((8,), max_iter=1, random_state=0).fit(rows, np.arange(40_000))
    assert peak_since_start() - before < (copies + 0.5) * 4 * rows.size


def resident():
    return status("VmRSS")


def peak_since_start():
    return status("VmHWM")


def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


@pytest.mark.skipif(shutil.which("rarefy") is None, reason="needs the program `rarefy` on the PATH")
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_fit_from_memory_is_the_programs(tmp_path, precision):
    features, y = load_diabetes(return_X_y=True)
    for name, rows, targets, estimator in [
        ("digits", X, Y.astype(np.int64), SparseMLPClassifier),
        ("diabetes", features.astype(np.float32), y.astype(np.float32), SparseMLPRegressor),
    ]:
        np.savez(tmp_path / f"{name}.npz", x_train=rows, y_train=targets)
        flags = ["--epochs=4", "--seed=5", "--sparsity=0.8", "--hidden=32", "--set=data.test_fraction=0"]
        flags += ["--set=train.patience=0", f"--precision={precision}", f"--run-dir={tmp_path / name}"]
        done = subprocess.run(["rarefy", "train", tmp_path / f"{name}.npz", *flags], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        given = {"sparsity": 0.8, "max_iter": 4, "random_state": 5, "early_stopping": True, "n_iter_no_change": 100}
        network = estimator((32,), settings={"train.precision": precision}, **given).fit(rows, targets)
        theirs = rarefy._rarefy.Model.open(str(tmp_path / name))
        for ours, matrix in zip(network._model.weights(), theirs.weights(), strict=True):
            for a, b in zip(ours[2:], matrix[2:], strict=True):
                np.testing.assert_array_equal(a, b)
        predicted = (model.predict(rows_of(rows)) for model in (network._model, theirs))
        np.testing.assert_array_equal(*predicted)
