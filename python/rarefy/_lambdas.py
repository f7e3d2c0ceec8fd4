"""Paths of networks: what the program's `rarefy path --hidden` does."""

import json
import warnings

from ._arrays import data_given
from ._callbacks import listening, raise_failure
from ._engine import to_json
from ._keywords import given
from ._model import Model
from ._rarefy import follow_path
from ._run import pandas

# What a path has unless it is told otherwise.
_DEFAULTS = {
    "penalty.method": "l1",
    "sparsity.density": 1.0,
    "topology.method": "static",
    "train.epochs": 5,
}


def path(
    data=None,
    settings=None,
    *,
    lambdas=20,
    lambda_max=None,
    lambda_min_ratio=1e-4,
    start="dense",
    callbacks=(),
    verbose=False,
    label=None,
    task=None,
    ignore=None,
    keep=None,
    delimiter=None,
    network=None,
    hidden=None,
    penalty=None,
    optimizer=None,
    learning_rate=None,
    epochs=None,
    batch_size=None,
    seed=None,
    threads=None,
):
    """Train a network at one strength of a penalty after another, each from where the last one ended, as
    ``rarefy path --hidden`` does.

    Parameters
    ----------
    data, settings
        As for `rarefy.train`.
    lambdas : int
        Strengths of the penalty, each the same part of the next.
    lambda_max : float, optional
        The largest; about the smallest that leaves nothing if it is not given.
    lambda_min_ratio : float
        The smallest over the largest.
    start : {"dense", "sparse"}
        The end to start from: "dense" takes connections away, "sparse" adds them.
    callbacks : list of callables
        Each is called after each strength with its record, a dict. A true result ends the path there.
    verbose : bool
        Whether to print a line for each strength.
    penalty : str, optional
        What makes weights 0; "l1" if it is not given.
    epochs : int, optional
        For each strength; 5 if it is not given.
    label, task, ignore, keep, delimiter, network, hidden, optimizer, learning_rate, batch_size, seed, threads
        As for `rarefy.train`.

    Returns
    -------
    Path

    Examples
    --------
    >>> import rarefy
    >>> path = rarefy.path("digits", hidden=[32], lambdas=6, seed=0)
    >>> [record["lambda"] for record in path.records] == sorted((r["lambda"] for r in path.records), reverse=True)
    True
    >>> path.models[path.knee].nnz <= path.models[path.best].nnz
    True
    """
    words = {word: value for word, value in locals().items() if word not in _NO_SETTINGS}
    if start not in ("dense", "sparse"):
        raise ValueError(f"start must be 'dense' or 'sparse', not {start!r}")
    file, over = given(settings, words)
    # A file of settings says all; else these are said first, so that what was given wins.
    over = over if file else _DEFAULTS | over
    samples = data_given(data, settings, over)
    with listening(callbacks, tell if verbose else None) as listen:
        points, best, knee, emptied, stopped_by = follow_path(
            to_json(over), lambdas, lambda_max, lambda_min_ratio, start == "sparse", samples, listen, file
        )
    raise_failure(stopped_by)
    if stopped_by is not None:
        warnings.warn(f"the path was interrupted after {len(points)} of {lambdas} strengths", stacklevel=2)
    return Path(points, best, knee, emptied)


_NO_SETTINGS = (
    "data",
    "settings",
    "lambdas",
    "lambda_max",
    "lambda_min_ratio",
    "start",
    "callbacks",
    "verbose",
)


class Path:
    """Networks along a path of penalties, the strongest first. `path` makes it.

    Attributes
    ----------
    records : list of dict
        What came of each strength: ``lambda``, ``nonzeros``, ``density``, ``model_bytes``, ``train_loss``,
        ``validation``, ``seconds``.
    models : list of Model
        The network of each.
    best, knee : int or None
        Which has the lowest loss on the validation part, and which is the smallest within one standard error of it;
        None without a validation part.
    emptied : list of float
        Strengths that left nothing.
    """

    def __init__(self, points, best, knee, emptied):
        self.records = [json.loads(record) for record, _ in points]
        self.models = [Model(model) for _, model in points]
        self.best, self.knee, self.emptied = best, knee, emptied

    def to_frame(self):
        """The records as a pandas DataFrame, a row for each strength; what validation found in columns of their own."""
        rows = [{**record, **_flat(record["validation"])} for record in self.records]
        return pandas().DataFrame(rows).drop(columns="validation").set_index("lambda")

    def __len__(self):
        return len(self.models)

    def __repr__(self):
        return f"<rarefy.Path of {len(self)} networks, best {self.best}, knee {self.knee}>"


def _flat(validation):
    return {f"validation_{name}": value for name, value in (validation or {}).items()}


def tell(point):
    """Prints a line for a point of a path."""
    validation = point["validation"]
    score = "" if validation is None else f", validation loss {validation['loss']:.4g}"
    print(f"lambda {point['lambda']:.4g}: {point['nonzeros']} nonzeros{score}", flush=True)
