"""Mistakes are Python's own errors, with the parts that a program may want."""

import pickle

import numpy as np
import pytest
import rarefy
import scipy.sparse


def test_a_setting_that_cannot_be_used_names_its_key():
    with pytest.raises(ValueError, match="did you mean `rigl`") as caught:
        rarefy.SparseMLPClassifier(method="rigel").fit(np.eye(4), [0, 1, 0, 1])
    assert isinstance(caught.value, rarefy.SettingError)
    assert caught.value.key == "topology.method"


@pytest.mark.parametrize(
    "error",
    [
        rarefy.SettingError("a.b", "wrong"),
        rarefy.DataError("t.csv, line 1: wrong", "t.csv", "line 1"),
        rarefy.ModelError("m: wrong", "m"),
        rarefy.FileError("f: wrong", "f", 2),
        rarefy.DivergedError("step 3: wrong", 3),
        rarefy.RankError("rank 1 (here): wrong", 1),
    ],
)
def test_errors_travel_between_processes(error):
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), vars(there)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("part", ["indptr", "indices"])
@pytest.mark.parametrize("estimator", [rarefy.SparseMLPClassifier(), rarefy.SparseLinearClassifier()])
@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_sparse_arrays_whose_parts_contradict_each_other_are_refused(kind, estimator, part):
    X = kind(np.eye(6, 5))
    getattr(X, part)[-1] = -4 if part == "indptr" else 40
    with pytest.raises(ValueError, match="indptr and indices do not fit"):
        estimator.fit(X, [0, 1] * 3)


def test_settings_that_are_no_numbers_are_named():
    for estimator, name in [
        (rarefy.SparseMLPClassifier(momentum=float("nan")), "momentum"),
        (rarefy.SparseMLPClassifier(settings={"optimizer": {"beta2": np.inf}}), "optimizer.beta2"),
    ]:
        with pytest.raises(rarefy.SettingError, match=name):
            estimator.fit(np.eye(4), [0, 1, 0, 1])
