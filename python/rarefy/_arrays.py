"""Arrays of two to four dimensions with what is to be predicted, as samples."""

import os

import numpy as np
import scipy.sparse

from ._frames import Frame, is_frame, needs_columns
from ._rarefy import Samples
from ._samples import rows_of

TASKS = ("auto", "classification", "multi-label", "regression")


def data_given(data, settings, over):
    """Samples of two arrays ``(X, y)``; the path of a file or folder is laid over the settings instead.

    Parameters
    ----------
    data : path, (X, y) or None
    settings : dict, path or None
        Which may name the data.
    over : dict
        Settings by their keys.
    """
    if isinstance(data, (str, os.PathLike)):
        over["data.path"] = os.fspath(data)
    elif data is not None:
        return samples_of(*pair_of(data), task=over.pop("data.task", "auto"))
    elif settings is None:
        raise TypeError("this needs data, or settings that name it")
    return None


def pair_of(data):
    """The two arrays of ``(X, y)``, which is what data is where it is no path."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise TypeError("data must be the path of a file or folder, or two arrays (X, y)")
    return data


def samples_of(X, y=None, task="auto", shape=None, vocabulary=None, is_table=None):
    """Samples of arrays, or of a data frame.

    ``X`` has rows of numbers (dense, or sparse of SciPy's), or images of ``[samples, height, width, channels]`` or
    sequences of ``[samples, steps, channels]``; with a ``vocabulary``, rows of tokens. ``shape`` is what a model
    asks for; ``is_table`` whether it reads columns, which is asked of the frame where nobody knows.
    """
    if is_frame(X) and (needs_columns(X) if is_table is None else is_table):
        samples = Frame(X).samples
    elif scipy.sparse.issparse(X):
        samples = rows_of(X)
    else:
        X = np.asarray(X)
        if X.dtype == object:
            raise TypeError("X holds objects; give numbers, or a file's path where a table has text")
        if X.dtype.kind not in "biuf":
            raise TypeError(f"X holds {X.dtype}; give real numbers")
        if not 2 <= X.ndim <= 4:
            raise ValueError(f"X must have 2 dimensions (rows), 3 (sequences) or 4 (images), not {X.ndim}")
        if vocabulary is not None:
            if X.ndim != 2 or X.dtype.kind not in "iu" or (X.size and not 0 <= X.min() <= X.max() < 2**32):
                raise ValueError(
                    f"X must be [samples, steps] of tokens, which are whole numbers from 0 to {vocabulary - 1}"
                )
            samples = Samples.tokens(np.ascontiguousarray(X, dtype=np.uint32), X.shape[1], vocabulary)
        else:
            samples = rows_of(X.reshape(X.shape[0], -1))
        if X.ndim > 2:
            found = (1, *X.shape[1:]) if X.ndim == 3 else X.shape[1:]
            # A model of plain inputs takes them in any order.
            if shape is not None and shape[:2] != (1, 1) and found != shape:
                raise ValueError(
                    f"X has samples of (height, width, channels) = {found}, and the model takes {shape}"
                    if X.ndim == 4
                    else f"X has samples of (steps, channels) = {found[1:]}, and the model takes {shape[1:]}"
                )
            samples.with_shape(*found)
        elif shape is not None and vocabulary is None and shape[2] * shape[0] * shape[1] == X.shape[1]:
            samples.with_shape(*shape)
    if y is not None:
        _with_targets(samples, np.asarray(y), task)
    return samples


def _with_targets(samples, y, task):
    if y.ndim not in (1, 2) or len(y) != len(samples):
        raise ValueError(f"y of shape {y.shape} does not fit {len(samples)} samples")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype == object:
        # Of a frame's column, say: what they are is what their values are.
        y, given = np.array(y.tolist()), y
        if y.dtype.kind in "US" and not all(isinstance(value, (str, bytes)) for value in given.flat):
            raise TypeError("y mixes words with something else; give words or numbers alone")
    if y.dtype.kind not in "biufUS":
        raise TypeError(f"y holds {y.dtype}; give numbers, or the names of classes")
    if task == "auto":
        # As of a file's column: words and whole numbers are classes, others are numbers to predict.
        is_classes = y.ndim == 1 and y.dtype.kind in "biuUS"
        task = "classification" if is_classes else "regression"
    if task == "classification":
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise ValueError("y holds numbers that are not finite, which are no classes")
        names, codes = np.unique(y, return_inverse=True)
        samples.with_classes(codes.astype(np.uint32), [str(name) for name in names])
    elif task in ("regression", "multi-label"):
        values = np.ascontiguousarray(y, dtype=np.float64).ravel()
        outputs = 1 if y.ndim == 1 else y.shape[1]
        (samples.with_numbers if task == "regression" else samples.with_labels)(values, outputs)
    else:
        raise ValueError(f"task must be one of {', '.join(TASKS)} for arrays, not {task!r}")
