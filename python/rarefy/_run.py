"""Runs: what the program's `rarefy train` does."""

import json
import os
import warnings
from pathlib import Path

from . import _rarefy
from ._arrays import data_given
from ._callbacks import listening, raise_failure
from ._engine import to_json
from ._keywords import given
from ._model import Model
from ._progress import Progress
from .comm import checked

TWINS = ("count", "time", "train")


def train(
    data=None,
    settings=None,
    *,
    run_dir=None,
    comm=None,
    callbacks=(),
    verbose=False,
    label=None,
    task=None,
    ignore=None,
    keep=None,
    delimiter=None,
    text=None,
    skip_bad=None,
    network=None,
    hidden=None,
    sparsity=None,
    density=None,
    block=None,
    method=None,
    penalty=None,
    lam=None,
    target=None,
    optimizer=None,
    learning_rate=None,
    epochs=None,
    batch_size=None,
    accumulate=None,
    precision=None,
    seed=None,
    threads=None,
    isa=None,
    memory_limit=None,
):
    """Train a network that is sparse from the first step to the last, as ``rarefy train`` does.

    A keyword means what the program's flag of that name means; ``lam`` is ``--lambda``. Whatever else there is to
    set goes through `settings`. The data is split into parts for training, validation and testing as the program
    splits it.

    Parameters
    ----------
    data : str, path or (X, y)
        A file or folder, or the name of data that is built in, as the program takes them; or arrays. ``X`` has rows
        of numbers, dense or sparse, or images ``[samples, height, width, channels]``, or sequences ``[samples,
        steps, channels]``. A ``y`` of words or whole numbers is of classes, one of other numbers is of numbers to
        predict; `task` says otherwise. May be left out where `settings` name the data.
    settings : dict or path of a TOML file, optional
        Settings, nested or by dotted keys (``{"train.patience": 5}``); keywords win. ``rarefy.settings()`` has them
        all, and ``rarefy.explain`` tells what they mean.
    run_dir : path, optional
        A new folder for the run: settings, records, the best model, checkpoints. Without one nothing is written.
    comm : rarefy.comm.Comm, optional
        How this process reaches others that train the same network: each calls `train` with the same data and settings,
        computes its share of every batch, and has the same model in the end, which is that of one process bit for bit.
        Rank 0 alone writes the folder and prints.
    callbacks : list of callables
        Each is called after each epoch with its record, a dict. A true result stops the training, an exception ends
        it and is raised. One that has a method ``close`` is closed at the end. See `rarefy.callbacks`.
    verbose : bool
        Whether to print a line after each epoch.
    sparsity, density : float, optional
        The share of connections that do not exist, or that do.
    block : int or "auto", optional
        Neighbouring outputs that share their inputs: 1, 2, 4, 8, 16, or what suits each layer.
    network : str, path, dict or list of dicts, optional
        A network by name, a TOML file, or its layers.
    target : str, dict or list of str, optional
        What the network is to end as: ``"sparsity=0.98"``, ``"nnz=50k"``, ``{"bytes": "60kB"}``.
    label, task, ignore, keep, delimiter, text, skip_bad
        How data is read.
    hidden, method, penalty, lam, optimizer, learning_rate, epochs, batch_size, accumulate, precision, seed, threads,
    isa, memory_limit
        As the program's flags.

    Returns
    -------
    Run

    Notes
    -----
    Ctrl-C stops within a fraction of a second; the run then has the model as it stood, a warning is given, and `resume`
    goes on with a run that has a folder.

    Examples
    --------
    >>> import rarefy
    >>> run = rarefy.train("digits", sparsity=0.9, method="rigl", epochs=20, seed=1)
    >>> run.ending, len(run.records)
    ('finished', 20)
    >>> run.test["accuracy"] > 0.93
    True
    >>> run.model.sparsity > 0.89
    True
    """
    words = {word: value for word, value in locals().items() if word not in _NO_SETTINGS}
    file, over = given(settings, words)
    samples = data_given(data, settings, over)
    directory = None if run_dir is None else os.fspath(run_dir)
    run = _rarefy.Run.start(to_json(over), file, directory, samples, checked(comm))
    return Run._trained(run, directory, comm, callbacks, verbose)


_NO_SETTINGS = ("data", "settings", "run_dir", "comm", "callbacks", "verbose")


def resume(run_dir, *, epochs=None, threads=None, comm=None, callbacks=(), verbose=False):
    """Go on with a run from its last checkpoint, bit for bit.

    Parameters
    ----------
    run_dir : path
        The run's folder.
    epochs : int, optional
        Plans the whole run, the epochs that are done included, for so many.
    threads : int, optional
        Other threads; they change no result.
    comm : rarefy.comm.Comm, optional
        As for `train`; the run may have had another number of ranks. Rank 0 alone reads the folder.
    callbacks, verbose
        As for `train`.

    Returns
    -------
    Run
    """
    directory = os.fspath(run_dir)
    run = _rarefy.Run.resume(directory, threads, epochs, checked(comm))
    return Run._trained(run, directory, comm, callbacks, verbose)


class Run:
    """A run that has been trained. `train` and `resume` make it.

    Attributes
    ----------
    model : Model
        The best model on the validation part, or the last one where the settings say so.
    records : list of dict
        What is known of each epoch: losses, metrics, connections, seconds. ``to_frame`` makes a DataFrame of it.
    ending : str
        ``"finished"``, ``"early-stopped"``, ``"interrupted"`` or ``"emptied"`` (a penalty took all weights of a layer).
    epochs : int
        Epochs done.
    best_epoch : int or None
        The epoch that the model is of, where the best one is kept.
    test : dict
        The metrics on the test part; empty where there is none, or where training was interrupted.
    directory : Path or None
        The run's folder; None in ranks other than 0.
    settings : dict
        All settings, as the data has completed them.
    notes : list of str
        What whoever trains should know.
    figures : dict
        What else came out: ``seconds_per_epoch``, ``step_ms``, ``model_bytes``, ``training_bytes``, ``test_loss``, ...
    """

    def __init__(self, run, directory, outcome, model, records):
        self._run = run
        self.directory = None if directory is None else Path(directory)
        self.model, self.records = model, records
        self.ending = outcome.pop("ending")
        self.epochs, self.best_epoch = outcome.pop("epochs"), outcome.pop("best_epoch")
        self.test = outcome.pop("test")
        self.figures = outcome
        self.settings, self.notes = json.loads(run.settings()), run.notes()

    @classmethod
    def _trained(cls, run, directory, comm, callbacks, verbose):
        if comm is not None and comm.rank > 0:
            directory, verbose = None, False
        records = []
        progress = Progress("rarefy", json.loads(run.settings())["train"]["epochs"]) if verbose else None
        with listening([records.append, *callbacks], progress) as listen:
            outcome, model, stopped_by = run.train(listen)
        outcome = json.loads(outcome)
        raise_failure(stopped_by)
        made = cls(run, directory, outcome, Model(model), records)
        if made.directory is not None:
            # Epochs of earlier sittings too.
            file = made.directory / "metrics.jsonl"
            made.records = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        if stopped_by is not None:
            how = f"; rarefy.resume({str(directory)!r}) goes on" if directory else ""
            warnings.warn(f"training was interrupted after {made.epochs} epochs{how}", stacklevel=3)
        if outcome["emptied"]:
            warnings.warn(outcome["emptied"], stacklevel=3)
        return made

    def to_frame(self):
        """The records as a pandas DataFrame, a row for each epoch."""
        return pandas().DataFrame(self.records).set_index("epoch")

    def summary(self, twin="time", *, callbacks=(), verbose=False):
        """The run's figures beside those of its dense twin, the same network with every connection.

        Parameters
        ----------
        twin : {"time", "count", "train"}
            Whether the twin's steps are timed in turn with the run's, which takes some seconds, or it is counted
            only, or trained too, so that accuracies are compared (``--baseline``).
        callbacks, verbose
            As for `train`, for the twin's epochs.

        Returns
        -------
        dict
            As in ``summary.json``, which is written where the run has a folder; the twin's figures are under
            ``dense_twin``.
        """
        if twin not in TWINS:
            raise ValueError(f"twin must be one of {', '.join(TWINS)}, not {twin!r}")
        progress = Progress("dense twin", self.settings["train"]["epochs"]) if verbose else None
        with listening(callbacks, progress) as listen:
            summary, stopped_by = self._run.summary(twin, listen)
        if stopped_by is not None:
            raise stopped_by
        self.model.summary = json.loads(summary)
        return self.model.summary

    def __repr__(self):
        place = "" if self.directory is None else f" in {self.directory}"
        return f"<rarefy.Run {self.ending} after {self.epochs} epochs{place}: {self.model!r}>"

    def _repr_html_(self):
        return f"<p>{self.ending} after {self.epochs} epochs</p>{self.model._repr_html_()}"


def pandas():
    """pandas, or what to do about its absence."""
    try:
        import pandas
    except ImportError:
        raise ImportError("this needs pandas: pip install pandas") from None
    return pandas
