"""Comparisons from Python are the program's: rows, repetitions, p-values, folders that are gone on with."""

import json
import signal
import threading

import numpy as np
import pytest
import rarefy

pytest.importorskip("pandas")

BASE = {"network.hidden": [16], "train": {"epochs": 2, "batch_size": 16}, "threads": 1}
SWEEP = {"base": BASE, "sweep": {"topology.method": ["static", "rigl"]}}


def test_rows_have_means_and_tests(tmp_path):
    table = rarefy.compare(SWEEP, data="digits", seeds=3, out=tmp_path / "out")
    assert list(table.index) == ["static", "rigl"]
    assert (table.attrs["score"], table.attrs["baseline"], table.attrs["seeds"]) == ("test_accuracy", "static", 3)
    assert list(table["finished"]) == [3, 3] and list(table["topology.method"]) == ["static", "rigl"]
    row = table.loc["rigl"]
    scores = [run["finished"]["test_accuracy"] for run in table.attrs["runs"]["rigl"]]
    assert row["mean"] == pytest.approx(np.mean(scores)) and 0 <= row["p_value"] <= 1
    assert row["difference"] == pytest.approx(row["mean"] - table.loc["static"]["mean"])
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["notes"] == table.attrs["notes"] and (tmp_path / "out" / "table.md").exists()
    # A run is one like any other.
    assert rarefy.load(tmp_path / "out" / "rigl" / "seed-0").task == "classification"


def test_what_is_done_is_not_trained_again(tmp_path, capsys):
    first = rarefy.compare(SWEEP, data="digits", seeds=[0], out=tmp_path, jobs=1, verbose=True)
    told = capsys.readouterr().out
    assert "[2/2] " in told and "rigl seed 0: test accuracy" in told and ", 1 threads each" in told
    more = rarefy.compare(SWEEP, data="digits", seeds=np.int64(2), out=tmp_path, verbose=True)
    assert capsys.readouterr().out.startswith("2 runs, ")
    assert more.attrs["runs"]["rigl"][0] == first.attrs["runs"]["rigl"][0]
    other = {"base": {**BASE, "network.hidden": [9]}, "sweep": SWEEP["sweep"]}
    with pytest.raises(rarefy.SettingError, match="now the sweep says"):
        rarefy.compare(other, data="digits", seeds=[0], out=tmp_path)


def test_arrays_and_folds_and_files(tmp_path):
    X = np.random.default_rng(0).random((120, 5))
    y = (X[:, 0] > 0.5).astype(int)
    sweep = {"base": BASE, "sweep": {"sparsity.sparsity": [0.5]}}
    table = rarefy.compare(sweep, data=(X, y), folds=3, baseline="dense", out=tmp_path / "arrays")
    assert list(table.index) == ["sparsity-0.5", "dense"] and table.attrs["folds"] == 3
    assert table.loc["sparsity-0.5"]["baseline"] == "dense"
    assert rarefy.compare(sweep, data=(X, y), folds=3, baseline="dense", out=tmp_path / "arrays").equals(table)
    with pytest.raises(ValueError, match="data.npz holds other data"):
        rarefy.compare(sweep, data=(X, 1 - y), folds=3, baseline="dense", out=tmp_path / "arrays")
    text = "[base]\ndata.path = 'digits'\nnetwork.hidden = [8]\ntrain.epochs = 1\n[sweep]\nseed = [0, 1]\n"
    (tmp_path / "sweep.toml").write_text(text)
    table = rarefy.compare(tmp_path / "sweep.toml")
    assert list(table["finished"]) == [2] and table.attrs["folder"] is None


@pytest.mark.parametrize(
    ("sweep", "options", "error", "message"),
    [
        ({"bas": {}}, {}, ValueError, "none of base, sweep"),
        ({"base": {"train.epoch": 3}}, {}, rarefy.SettingError, "did you mean `epochs`"),
        ({"sweep": {"topology.method": "rigl"}}, {}, rarefy.SettingError, "not a list"),
        (SWEEP, {"folds": 1}, rarefy.SettingError, "give 2 or more"),
        (SWEEP, {"baseline": "rigel"}, rarefy.SettingError, "neither a row nor a group"),
        (3, {}, TypeError, "dict or the path"),
        ("none.toml", {}, rarefy.FileError, "none.toml"),
        ("none.toml", {"seeds": 3}, ValueError, "leave out"),
        (SWEEP, {"data": (np.eye(2), ["a", "b"])}, TypeError, "words"),
    ],
)
def test_mistakes_are_named(sweep, options, error, message):
    with pytest.raises(error, match=message):
        rarefy.compare(sweep, **options)


def test_ctrl_c_saves_and_raises(tmp_path):
    sweep = {"base": {"train.epochs": 100_000}}
    timer = threading.Timer(1.0, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        rarefy.compare(sweep, data="digits", out=tmp_path)
    timer.join()
    assert (tmp_path / "base" / "seed-0" / "checkpoint.safetensors").exists()
