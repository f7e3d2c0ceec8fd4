"""Comparing settings: what the program's `rarefy compare` does."""

import json
import os
import tempfile
from numbers import Integral
from pathlib import Path

import numpy as np
import scipy.sparse

from . import _rarefy
from ._arrays import pair_of
from ._engine import to_json
from ._run import pandas

_SECTIONS = ("base", "sweep", "run", "compare")


def compare(sweep, *, data=None, folds=None, seeds=None, jobs=None, baseline=None, out=None, verbose=False):
    """Train every combination of a sweep, several times each, and tell which differences are more than chance.

    Parameters
    ----------
    sweep : dict or path of a TOML file
        What is compared, in the words of the program's sweep files: ``base`` holds settings of all runs, ``sweep``
        lists of values, every combination of which makes a row, ``run`` a list of variants with a ``name``. A list
        of densities gets a row that is dense.
    data : str, path or (X, y), optional
        The data of all runs, where the sweep does not say it. Arrays are written as ``data.npz`` into `out`, so
        that runs can be gone on with; a ``y`` of words or whole numbers is of classes, another is of numbers to
        predict.
    folds : int, optional
        Cross-validation: each fold is the test part of a run, for each seed.
    seeds : int or list of int, optional
        How many seeds, or which, each row is trained with.
    jobs : int, optional
        Runs at the same time; as many as cores and memory allow if not given. Scores do not depend on it, seconds do.
    baseline : str, optional
        The row, or the method, that others are compared with; the method of the first row if not given.
    out : path, optional
        The folder for the runs and the report. Runs that are done there are not trained again, and interrupted ones
        go on. Without one nothing is kept.
    verbose : bool
        Whether to print a line for each run that ends.

    Returns
    -------
    pandas.DataFrame
        A row for each choice of settings, by name: the settings that differ, the mean of the score with its
        standard error, the difference from the baseline with its p-value, connections, bytes, seconds. ``attrs``
        has the name of the score, the baseline, notes to read with the table, the folder, and all figures of each
        run.

    Notes
    -----
    Ctrl-C raises ``KeyboardInterrupt`` once runs are saved; with `out` the same call goes on. docs/comparing.md says
    what is compared with what, and how p is found.

    Examples
    --------
    >>> import rarefy
    >>> sweep = {
    ...     "base": {"network.hidden": [16], "train.epochs": 5},
    ...     "sweep": {"topology.method": ["static", "rigl"]},
    ... }
    >>> table = rarefy.compare(sweep, data="digits", seeds=3)
    >>> list(table.index), table.attrs["score"]
    (['static', 'rigl'], 'test_accuracy')
    >>> table[["mean", "standard_error", "difference", "p_value"]].shape
    (2, 4)
    """
    pandas()
    is_file = isinstance(sweep, (str, os.PathLike))
    if is_file and (data is not None or seeds is not None):
        raise ValueError("the sweep's file says data and seeds; leave out data and seeds, or give the sweep as a dict")
    if not is_file and not isinstance(sweep, dict):
        raise TypeError(f"sweep must be a dict or the path of a TOML file, not {type(sweep).__name__}")
    title = Path(sweep).stem if is_file else "comparison"
    options = {"folds": folds, "jobs": jobs, "baseline": baseline, "verbose": verbose, "title": title}
    if out is not None:
        return _compared(sweep, data, seeds, Path(out), options)
    with tempfile.TemporaryDirectory(prefix="rarefy-compare-") as folder:
        table = _compared(sweep, data, seeds, Path(folder), options)
    table.attrs["folder"] = None
    return table


def _compared(sweep, data, seeds, out, options):
    plan = {}
    if isinstance(sweep, dict):
        text, file = to_json(_completed(sweep, data, seeds, out)), None
    else:
        text, file = None, os.fspath(sweep)

    def listen(told):
        if options["verbose"]:
            _tell(json.loads(told), plan)

    result, stopped_by = _rarefy.compare(
        os.fspath(out), options["title"], text, file, options["folds"], options["jobs"], options["baseline"], listen
    )
    if stopped_by is not None:
        raise stopped_by
    return _table(json.loads(result))


def _completed(sweep, data, seeds, out):
    """The sweep with data and seeds in their places."""
    unknown = [key for key in sweep if key not in _SECTIONS]
    if unknown:
        raise ValueError(f"sweep has {unknown[0]!r}, which is none of {', '.join(_SECTIONS)}; settings go into 'base'")
    sweep = {section: dict(value) if isinstance(value, dict) else list(value) for section, value in sweep.items()}
    if data is not None:
        base = sweep.setdefault("base", {})
        if isinstance(data, (str, os.PathLike)):
            base["data.path"] = os.fspath(data)
        else:
            base |= _written(data, out, base)
    if seeds is not None:
        sweep.setdefault("sweep", {})["seed"] = list(range(seeds) if isinstance(seeds, Integral) else seeds)
    return sweep


def _written(data, out, base):
    """Settings that name arrays, which are written into the folder."""
    X, y = pair_of(data)
    y = np.asarray(y)
    arrays = {"y": y}
    if scipy.sparse.issparse(X):
        X = X.tocsr()
        arrays |= {"indices": X.indices, "indptr": X.indptr, "data": X.data, "shape": X.shape, "format": b"csr"}
    else:
        arrays["x"] = np.asarray(X)
    if y.dtype.kind in "US":
        raise TypeError("y holds words, which NPZ files of the program do not: give the numbers of the classes")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "data.npz"
    if path.exists() and not _holds(path, arrays):
        raise ValueError(f"{path} holds other data, which the runs there were trained on: give another folder as out")
    np.savez(path, **arrays)
    is_classes = y.ndim == 1 and y.dtype.kind in "biu"
    task = base.get("data.task") or ("classification" if is_classes else "regression")
    return {"data.path": os.fspath(path), "data.task": task}


def _holds(path, arrays):
    """Whether a file has just these arrays."""
    with np.load(path) as held:
        given = {name: np.asarray(array) for name, array in arrays.items()}
        same = held.keys() == given.keys() and all(held[name].dtype == given[name].dtype for name in given)
        return same and all(
            np.array_equal(held[name], given[name], equal_nan=given[name].dtype.kind == "f") for name in given
        )


def _tell(told, plan):
    """A line for the plan and for each run that has ended."""
    if "runs" in told:
        plan |= told | {"done": 0}
        print(f"{told['runs']} runs, {told['jobs']} at a time, {told['threads']} threads each ({told['reason']})")
    elif "words" in told:
        plan["done"] += told["ended"]
        print(f"[{plan['done']}/{plan['runs']}] {told['row']} {told['run']}: {told['words']}", flush=True)


def _table(result):
    """A row of figures for each row of the comparison."""
    rows = []
    for row in result["rows"]:
        against = row["against_baseline"] or {}
        others = ("name", "settings", "runs", "against_baseline")
        figures = {key: value for key, value in row.items() if key not in others}
        rows.append(
            {"row": row["name"], **row["settings"], **figures}
            | {"baseline": against.get("row"), "difference": against.get("difference")}
            | {"p_value": against.get("p_value"), "significant": against.get("significant")}
        )
    table = pandas().DataFrame(rows).set_index("row")
    numbers = ["difference", "p_value"]
    table[numbers] = table[numbers].astype(float)
    table.attrs = {key: result[key] for key in ("score", "baseline", "seeds", "folds", "notes", "folder")}
    table.attrs["runs"] = {row["name"]: row["runs"] for row in result["rows"]}
    return table
