"""The estimators of perceptrons stand among scikit-learn's tools."""

import pickle
import resource
import sys
import types

import joblib
import numpy as np
import pytest
import sklearn
from rarefy import SparseMLPClassifier, SparseMLPRegressor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, Y = load_digits(return_X_y=True)
X, Y = X[:600], Y[:600]


def digits(**parameters):
    return SparseMLPClassifier(**{"max_iter": 15, "random_state": 0, "n_jobs": 1, **parameters})


@pytest.mark.parametrize("travel", [lambda it: pickle.loads(pickle.dumps(it)), "joblib"])
def test_a_network_travels_bit_for_bit(travel, tmp_path):
    network = digits().fit(X, Y)
    if travel == "joblib":
        joblib.dump(network, tmp_path / "network.joblib", compress=3)
        there = joblib.load(tmp_path / "network.joblib")
    else:
        there = travel(network)
    np.testing.assert_array_equal(there.predict_proba(X), network.predict_proba(X))
    assert there.loss_curve_ == network.loss_curve_ and there.get_params() == network.get_params()
    assert there.partial_fit(X, Y).n_iter_ == 16


def test_a_clone_is_not_fitted():
    network = digits(sparsity=0.7, settings={"topology.every": 50}, callbacks=[print]).fit(X, Y)
    copy = clone(network)
    assert copy.get_params() == network.get_params() and not hasattr(copy, "coefs_")


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_search_runs_in_several_workers(backend):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), digits(n_jobs=None)),
        {"sparsemlpclassifier__sparsity": [0.5, 0.9], "sparsemlpclassifier__alpha": [0.0, 1e-3]},
        n_jobs=2,
        cv=2,
    )
    with joblib.parallel_backend(backend):
        search.fit(X, Y)
    assert search.score(X, Y) > 0.8
    alone = clone(search).set_params(n_jobs=1).fit(X, Y)
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])


def test_probabilities_are_calibrated():
    calibrated = CalibratedClassifierCV(digits(), cv=2).fit(X, Y)
    assert calibrated.predict_proba(X).shape == (600, 10)


def test_importances_and_selection():
    network = digits(penalty="group-inputs", lam=0.01).fit(X, Y)
    assert permutation_importance(network, X[:100], Y[:100], n_repeats=2, random_state=0).importances_mean.shape == (
        64,
    )
    constant = np.flatnonzero(X.std(axis=0) == 0)
    assert (SelectFromModel(digits(), threshold="mean").fit(X, Y).get_support()[constant]).sum() <= len(constant)


def test_names_pass_through_a_pipeline():
    pytest.importorskip("pandas")
    pipeline = make_pipeline(StandardScaler(), digits()).set_output(transform="pandas").fit(X, Y)
    assert pipeline[-1].feature_names_in_[3] == "x3"


def test_weights_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        network = digits().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        weights = np.where(Y == 0, 0.0, 1.0)
        found = cross_validate(network, X, Y, params={"sample_weight": weights}, cv=2, return_estimator=True)
    assert all((it.predict(X) == 0).mean() < 0.01 for it in found["estimator"])
    assert cross_val_score(digits(sparsity=0.5), X, Y, cv=2).mean() > 0.5


class Counts:
    def __init__(self, stop_at=None):
        self.records, self.is_closed, self.stop_at = [], False, stop_at

    def __call__(self, record):
        self.records.append(record)
        return record["epoch"] == self.stop_at

    def close(self):
        self.is_closed = True


def test_callbacks_are_told_and_may_stop():
    counts = Counts(stop_at=3)
    network = digits(max_iter=50, callbacks=[counts]).fit(X, Y)
    assert [record["epoch"] for record in counts.records] == [1, 2, 3] and counts.is_closed
    assert network.n_iter_ == 3
    assert [record["train_loss"] for record in counts.records] == network.loss_curve_


def test_an_exception_of_a_callback_reaches_the_caller():
    def refuse(record):
        if record["epoch"] == 2:
            raise KeyError("enough")

    network = digits(callbacks=[refuse])
    with pytest.raises(KeyError, match="enough"):
        network.fit(X, Y)
    assert not hasattr(network, "coefs_")


def test_scikit_learns_callbacks_are_told():
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    network = digits().set_callbacks(monitor).fit(X, Y)
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == 15 and scores[-1] == network.score(X, Y)

    class Stop:
        def setup(self, estimator, context): ...
        def teardown(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and context.task_id == 1

    assert digits().set_callbacks(Stop()).fit(X, Y).n_iter_ == 2


def test_epochs_are_told(capsys):
    SparseMLPRegressor(max_iter=2, verbose=True, early_stopping=True, random_state=0).fit(X, Y)
    lines = [line for line in capsys.readouterr().out.splitlines() if "epoch" in line and "loss" in line]
    assert len(lines) == 2 and lines[1].startswith("[SparseMLPRegressor] epoch 2/2  loss ") and "R2" in lines[1]


def test_a_notebook_has_one_line_that_is_redrawn(monkeypatch, capsys):
    shown = []

    class Handle:
        def update(self, line):
            shown[-1].append(repr(line))

    def display(line, display_id):
        shown.append([repr(line)])
        return Handle()

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=None)
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    digits(max_iter=3, verbose=True).fit(X, Y)
    assert [len(lines) for lines in shown] == [3] and "epoch 3/3" in shown[0][-1]
    assert "epoch 1/3" not in capsys.readouterr().out


def test_fits_leave_nothing_behind():
    def resident():
        pages = open("/proc/self/statm").read().split()[1]
        return int(pages) * resource.getpagesize()

    def fit(seed):
        network = digits(max_iter=1, random_state=seed, n_jobs=2).fit(X, Y)
        network.predict(X)

    for seed in range(20):
        fit(seed)
    before = resident()
    for seed in range(60):
        fit(seed)
    # A copy of the samples for each fit would be 9 MB.
    assert resident() - before < 3e6


def test_a_notebook_shows_the_network():
    html = digits(early_stopping=True).fit(X, Y)._repr_html_()
    assert "sk-estimator" in html and "layers.0.weight" in html and "validation loss" in html and "<svg" in html
    assert "740" in html and "<script" not in html[html.index("layers.0.weight") :]
    assert "layers.0.weight" not in digits()._repr_html_()
