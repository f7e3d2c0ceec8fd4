"""Networks along a path of penalties go from many inputs to few, and one of them predicts."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from rarefy import SparsePathClassifier, SparsePathRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

QUICK = {"hidden_layer_sizes": 8, "n_lambdas": 6, "max_iter": 40, "random_state": 0, "n_jobs": 1}

# They compare at 1e-7, which training in float32 cannot keep; `test_weights_count_samples` holds both at 1e-4.
EQUIVALENCES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "compares at 1e-7 what is trained in float32; held at 1e-4 here"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [
        SparsePathClassifier(**QUICK),
        SparsePathClassifier(choose="best", penalty="l1", validation_fraction=0, **QUICK),
        SparsePathRegressor(**QUICK),
        SparsePathRegressor(start="sparse", penalty="l1", choose="best", **QUICK),
    ],
    expected_failed_checks=lambda _: EQUIVALENCES,
)
def test_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def table(samples=400, features=12):
    X = np.random.default_rng(0).standard_normal((samples, features)).astype(np.float32)
    return X, X[:, 2] * X[:, 5] + X[:, 2] - X[:, 5]


@pytest.mark.parametrize("storage", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("kind", [SparsePathClassifier, SparsePathRegressor])
def test_weights_count_samples(kind, storage):
    X, y = table(60)
    if kind is SparsePathClassifier:
        y = (y > 0).astype(int)
    times = np.arange(60) * 7 % 4
    # In one batch, and none to judge: else a sample of weight 2 may be in another batch or part than its copy.
    options = QUICK | {"validation_fraction": 0, "batch_size": 1000, "max_iter": 15, "n_lambdas": 3, "lambda_max": 0.05}
    weighted = kind(**options).fit(storage(X), y, sample_weight=times)
    repeated = kind(**options).fit(storage(X.repeat(times, axis=0)), y.repeat(times))
    for a, b in zip(weighted._models, repeated._models, strict=True):
        for (_, _, _, col, values), (_, _, _, their_col, theirs) in zip(a.weights(), b.weights(), strict=True):
            np.testing.assert_array_equal(col, their_col)
            np.testing.assert_allclose(values, theirs, atol=1e-4)


def test_paths_of_networks_go_from_many_inputs_to_few():
    X, y = table(600)
    model = SparsePathRegressor(16, random_state=0).fit(X, y)
    counts = (model.input_norms_ > 0).sum(axis=1)
    assert (np.diff(counts) >= 0).all() and counts[0] < counts[-1]
    assert [point["lambda"] for point in model.path_] == sorted((p["lambda"] for p in model.path_), reverse=True)
    assert model.path_[model.chosen_]["lambda"] == model.best_lambda_
    assert model.selected_[2] and model.selected_[5] and model.score(X, y) > 0.8
    best = SparsePathRegressor(16, choose="best", random_state=0).fit(X, y)
    assert best.path_[best.chosen_]["nonzeros"] >= model.path_[model.chosen_]["nonzeros"]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_paths_of_classifiers():
    X, y = table(600)
    labels = np.where(y > 0, "up", "down")
    model = SparsePathClassifier(16, start="sparse", penalty="l1", random_state=0).fit(
        scipy.sparse.csr_array(X), labels
    )
    assert model.score(X, labels) > 0.85
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": "middle"}, "start == 'middle'; it must be 'dense' or 'sparse'"),
        ({"choose": "all"}, "choose"),
        ({"n_lambdas": 0}, "n_lambdas == 0"),
        ({"lambda_min_ratio": 1}, "lambda_min_ratio"),
        ({"validation_fraction": 20}, "validation_fraction == 20"),
        ({"validation_fraction": -0.2}, "validation_fraction == -0.2"),
        ({"batch_size": "auto"}, "batch_size == 'auto'"),
        ({"penalty": "group-input"}, "penalty.method"),
    ],
)
def test_bad_parameters_are_named(change, words):
    X, y = table(50)
    with pytest.raises(ValueError, match=words):
        SparsePathRegressor(**QUICK | change).fit(X, y)
