"""Trained models: predicting, looking inside, saving."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import scipy.sparse

from . import _rarefy
from ._arrays import samples_of
from ._errors import FileError
from ._repr import LAYER_HEAD, layer_row


def load(path):
    """Open a model.

    Parameters
    ----------
    path : path
        A run's folder, a ``.safetensors`` file of `Model.save`, or one with its ``config.json`` beside it.

    Returns
    -------
    Model
    """
    return Model.open(path)


class Model:
    """A trained network and all it takes to use it. `load`, `train` and ``from_pretrained`` give one.

    Attributes
    ----------
    summary : dict or None
        The figures of its run beside those of the dense twin, where they are known: from the run's folder, or by
        `Run.summary`.

    Examples
    --------
    >>> import numpy as np, rarefy
    >>> X, y = np.random.default_rng(0).random((200, 8)), np.arange(200) % 2
    >>> X[:, 0] += y
    >>> model = rarefy.train((X, y), epochs=10, density=0.5, seed=0).model
    >>> model.predict(X[:3]).shape, model.predict_proba(X[:3]).shape, model.classes
    ((3,), (3, 2), ['0', '1'])
    >>> {name: array.shape for name, array in model.weights().items()}["layers.0.weight"]
    (256, 8)
    """

    summary = None

    def __init__(self, compiled):
        self._compiled = compiled
        self._config = None

    @classmethod
    def open(cls, path):
        path = Path(path)
        if not path.exists():
            problem = "there is no such file or folder; give a run's folder or a .safetensors file"
            raise FileError(f"{path}: {problem}", os.fspath(path), errno.ENOENT)
        model = cls(_rarefy.Model.open(os.fspath(path)))
        summary = (path if path.is_dir() else path.parent) / "summary.json"
        if path.is_dir() and summary.exists():
            model.summary = json.loads(summary.read_text())
        return model

    @classmethod
    def from_bytes(cls, data):
        """The model that ``to_bytes`` gave."""
        return cls(_rarefy.Model.from_bytes(data))

    def to_bytes(self):
        """The bytes that `save` writes."""
        return self._compiled.to_bytes()

    def save(self, path):
        """Write the model to one ``.safetensors`` file, its description in the header.

        Every reader of safetensors opens it: ``safetensors.numpy.load_file(path)["layers.0.weight.values"]``.
        """
        self._compiled.save(os.fspath(path))

    @property
    def config(self):
        """What the network's numbers mean, as ``config.json`` holds it."""
        if self._config is None:
            self._config = json.loads(self._compiled.config())
        return self._config

    @property
    def _preparation(self):
        return self.config["preparation"]

    @property
    def task(self):
        """What is predicted: ``"classification"``, ``"regression"``, ..."""
        return self._preparation["task"]

    @property
    def classes(self):
        """The names of the classes; empty where none are predicted."""
        return list(self._preparation["classes"])

    @property
    def sparsity(self):
        """The share of the trained network's cells without a connection."""
        connections, cells = self._compiled.connections()
        return 1 - connections / max(cells, 1)

    @property
    def nnz(self):
        """Connections."""
        return self._compiled.connections()[0]

    def set_threads(self, threads):
        """How many threads predict; 0 for one per core. Results do not depend on it."""
        self._compiled.set_threads(threads)

    def predict(self, X):
        """What the model says.

        Parameters
        ----------
        X : array, sparse matrix, data frame, or path
            Samples as the model was trained on them, in their own units: the model scales them. A data frame has the
            columns of the table that the model was trained on, in any order. A path is that of a file as ``rarefy
            predict`` reads it.

        Returns
        -------
        ndarray
            Names of classes, numbers in the unit of the targets (``[samples]``, or ``[samples, outputs]`` for
            several), for several labels 0 and 1, or texts of a transcription.
        """
        scores, classes, texts = self._said(X)
        if texts is not None:
            return np.array(texts, dtype=object)
        if classes is not None:
            return np.array(self.classes)[classes]
        if self.task == "multi-label":
            return (scores > 0.5).astype(np.int8)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, X):
        """Probabilities of classes, or of labels, ``[samples, classes]``. `X` is as for `predict`."""
        if self.task not in ("classification", "multi-label"):
            raise AttributeError(f"a model for {self.task} has no probabilities; use predict")
        return self._said(X)[0]

    def evaluate(self, X, y=None):
        """All metrics that fit, a dict, on samples and what is true of them, or on a file.

        Classes of `y` are taken by their names.
        """
        if isinstance(X, (str, os.PathLike)):
            return json.loads(_rarefy.evaluate_model(self._compiled, None, os.fspath(X)))
        if y is None:
            raise TypeError("evaluate() needs y beside arrays")
        samples = samples_of(X, y, self.task, *self._layout())
        return json.loads(_rarefy.evaluate_model(self._compiled, samples, None))

    def _said(self, X):
        if isinstance(X, (str, os.PathLike)):
            return _rarefy.predict_file(self._compiled, os.fspath(X))
        samples = samples_of(X, None, self.task, *self._layout())
        classes = self._compiled.classes(samples) if self.task == "classification" else None
        return self._compiled.predict(samples), classes, None

    def _layout(self):
        """How rows are laid out for the network, how many tokens it knows, and whether it reads a table's columns."""
        first = self.config["network"]["layers"][:1]
        vocabulary = first[0].get("vocabulary") if first and first[0].get("layer") == "embedding" else None
        inputs = self._preparation["inputs"]
        shape = (1, 1, inputs) if isinstance(inputs, int) else tuple(inputs)
        return shape, vocabulary, bool(self._compiled.table_columns())

    def weights(self):
        """All parameters by name.

        Returns
        -------
        dict of str to csr_array or ndarray
            Weight matrices, ``[outputs, inputs]``, as compressed sparse rows, or as arrays where every connection
            exists; biases and others as vectors.
        """
        found = {}
        for name, (rows, cols), crow, col, values in self._compiled.weights():
            matrix = scipy.sparse.csr_array((values, col, crow), shape=(rows, cols))
            found[name] = values.reshape(rows, cols) if len(values) == rows * cols else matrix
        found |= dict(self._compiled.vectors())
        return found

    def inspect(self):
        """What the model is made of: a dict that prints as a table.

        Keys are ``layers`` (for each weight matrix its name, shape, rows of a block, connections, density, bytes,
        dead inputs and outputs), ``nnz``, ``cells``, ``sparsity``, ``flops`` of a prediction and ``model_bytes``.
        """
        return Inspection(json.loads(_rarefy.inspect_model(self._compiled)))

    def save_pretrained(self, folder, **options):
        """Write the model as a repository of the Hugging Face Hub: arrays, ``config.json`` and a model card.

        Needs huggingface_hub. Options are those of huggingface_hub's ``ModelHubMixin``, and ``license``.
        """
        from ._hub import HubModel

        return HubModel.of(self).save_pretrained(folder, **options)

    def push_to_hub(self, repo_id, **options):
        """Upload the model to the Hugging Face Hub. Needs huggingface_hub; options as for `save_pretrained`."""
        from ._hub import HubModel

        return HubModel.of(self).push_to_hub(repo_id, **options)

    @classmethod
    def from_pretrained(cls, name, **options):
        """The model of a repository of the Hugging Face Hub, or of a folder of `save_pretrained`.

        Needs huggingface_hub; options are those of its ``snapshot_download``.
        """
        from ._hub import HubModel

        return HubModel.from_pretrained(name, **options)

    def card(self, license=None):
        """A model card, Markdown with front matter: the task, metrics, figures beside the dense twin's."""
        from ._card import card

        return card(self, license)

    def __reduce__(self):
        return _unpickled, (self.to_bytes(), self.summary)

    def __repr__(self):
        return f"<rarefy.{type(self).__name__} {self.task}, {self.nnz} connections, {100 * self.sparsity:.2f} % sparse>"

    def _repr_html_(self):
        return self.inspect()._repr_html_()


def _unpickled(data, summary):
    model = Model.from_bytes(data)
    model.summary = summary
    return model


class Inspection(dict):
    """What a model is made of."""

    def __str__(self):
        lines = [f"{'layer':<24} {'shape':>13} {'nnz':>9} {'density':>9} {'bytes':>10}"]
        for layer in self["layers"]:
            shape = f"{layer['outputs']}x{layer['inputs']}"
            density = f"{100 * layer['density']:.2f} %"
            lines.append(f"{layer['name']:<24} {shape:>13} {layer['nnz']:>9} {density:>9} {layer['disk_bytes']:>10}")
        sparsity = f"{100 * self['sparsity']:.2f} % sparse"
        lines.append(f"{self['nnz']} of {self['cells']} connections, {sparsity}, {self['model_bytes']} bytes")
        return "\n".join(lines)

    def _repr_html_(self):
        rows = "".join(layer_row(it["name"], it["outputs"], it["inputs"], it["nnz"]) for it in self["layers"])
        total = (
            f"{self['nnz']:,} of {self['cells']:,} connections, {100 * self['sparsity']:.2f} % sparse, "
            f"{self['model_bytes']:,} bytes"
        )
        return f"<table>{LAYER_HEAD}{rows}</table><p>{total}</p>"
