"""Inputs are chosen by a network that loses the others."""

import signal
import threading

import numpy as np
import pytest
import scipy.sparse
from rarefy import SparseFeatureSelector
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

QUICK = {"hidden_layer_sizes": 8, "n_lambdas": 6, "max_iter": 8, "random_state": 0, "n_jobs": 1}

# They compare at 1e-7, which training in float32 cannot keep; `test_path.py` holds the networks at 1e-4.
EQUIVALENCES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "compares at 1e-7 what is trained in float32"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [
        SparseFeatureSelector(**QUICK),
        SparseFeatureSelector(1, **QUICK),
        SparseFeatureSelector(0.5, penalty="l1", **QUICK),
        SparseFeatureSelector(lam=0.05, **QUICK),
    ],
    expected_failed_checks=lambda _: EQUIVALENCES,
)
def test_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def table(samples=400, features=12):
    X = np.random.default_rng(0).standard_normal((samples, features)).astype(np.float32)
    return X, X[:, 2] * X[:, 5] + X[:, 2] - X[:, 5]


@pytest.mark.parametrize("wanted", [2, 2 / 12 + 1e-9])
@pytest.mark.parametrize("storage", [np.asarray, scipy.sparse.csr_array])
def test_as_many_are_kept_as_are_asked_for(wanted, storage):
    X, y = table()
    selector = SparseFeatureSelector(wanted, hidden_layer_sizes=16, random_state=0).fit(storage(X), y)
    assert list(selector.get_support(indices=True)) == [2, 5]
    assert selector.transform(storage(X)).shape == (400, 2)
    back = selector.inverse_transform(selector.transform(X))
    np.testing.assert_array_equal(back[:, [2, 5]], X[:, [2, 5]])
    assert not back[:, 0].any()
    assert set(np.argsort(selector.scores_)[-2:]) == {2, 5}


def test_none_keeps_what_the_smallest_good_network_reads():
    X, y = table(600)
    support = SparseFeatureSelector(hidden_layer_sizes=16, random_state=0).fit(X, y > 0).get_support()
    assert support[2] and support[5] and support.sum() < 12
    strong = SparseFeatureSelector(hidden_layer_sizes=16, lam=0.1, random_state=0).fit(X, y)
    weak = SparseFeatureSelector(hidden_layer_sizes=16, lam=1e-4, random_state=0).fit(X, y)
    assert strong.get_support().sum() <= weak.get_support().sum()


def test_names_go_through_a_pipeline():
    pandas = pytest.importorskip("pandas")
    X, y = table()
    frame = pandas.DataFrame(X, columns=[f"x{number}" for number in range(12)])
    selector = SparseFeatureSelector(2, **QUICK | {"n_lambdas": 12, "hidden_layer_sizes": 16, "max_iter": 20})
    selector.set_output(transform="pandas")
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), selector, LinearRegression()).fit(frame, y)
    assert list(model[:-1].get_feature_names_out()) == ["x2", "x5"]
    assert list(model[:-1].transform(frame).columns) == ["x2", "x5"]


@pytest.mark.parametrize("value", [0, -1, 13, 0.0, 1.5, "many", True])
def test_bad_numbers_are_named(value):
    with pytest.raises(ValueError, match="n_features_to_select"):
        SparseFeatureSelector(value, **QUICK).fit(*table(50))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_words_are_chosen_as_a_whole(library):
    frames = pytest.importorskip(library)
    rng = np.random.default_rng(0)
    towns = np.array(["Bonn", "Kiel", "Ulm"])[rng.integers(0, 3, 300)]
    columns = {f"x{number}": rng.standard_normal(300) for number in range(4)}
    frame = frames.DataFrame(columns | {"town": towns.tolist()})
    y = 2.0 * (towns == "Ulm") - (towns == "Bonn") + columns["x1"]
    selector = SparseFeatureSelector(2, hidden_layer_sizes=16, max_iter=20, random_state=0).fit(frame, y)
    assert sorted(selector.get_feature_names_out()) == ["town", "x1"]
    assert list(selector.transform(frame[["town", "x1", "x0", "x3", "x2"]]).columns) == ["x1", "town"]
    assert selector.scores_.shape == (5,)
    with pytest.raises(ValueError, match="now missing: town"):
        selector.transform(frame[["x0", "x1", "x2", "x3"]])


def test_names_may_be_numbers():
    pandas = pytest.importorskip("pandas")
    X, y = table()
    frame = pandas.DataFrame(X).assign(**{"0": np.where(y > 0, "above", "below")})
    frame.columns = [*range(12), "word"]
    selector = SparseFeatureSelector(3, **QUICK).fit(frame, y)
    chosen = selector.transform(frame)
    assert chosen.shape == (len(X), 3) and [str(name) for name in chosen] == selector.get_feature_names_out().tolist()
    tables = pytest.importorskip("pyarrow")
    frame.columns = frame.columns.map(str)
    assert selector.transform(tables.Table.from_pandas(frame)).column_names == list(map(str, chosen))


def test_ctrl_c_chooses_no_features():
    timer = threading.Timer(1.0, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        SparseFeatureSelector(2, max_iter=100, n_lambdas=10_000, random_state=0).fit(*table())


def test_a_feature_that_no_network_reads_scores_nothing():
    X, y = table(200)
    X[:, 7] = 3.0  # the same for all samples
    selector = SparseFeatureSelector(3, **QUICK).fit(X, y)
    assert selector.scores_[7] == 0 and not selector.get_support()[7]
