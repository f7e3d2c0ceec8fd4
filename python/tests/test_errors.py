"""Mistakes are Python's own errors, with the parts that a program may want."""

import pickle

import numpy as np
import pytest
import rarefy


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
    ],
)
def test_errors_travel_between_processes(error):
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), vars(there)) == (type(error), str(error), vars(error))
