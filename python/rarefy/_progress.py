"""A line for each epoch: on a terminal one below the other, in a notebook one that is redrawn."""

import sys


class Progress:
    """Shows the records of epochs as they come.

    Parameters
    ----------
    name : str
        What is trained.
    epochs : int or None
        How many there will be at most, if that is known.
    """

    def __init__(self, name, epochs):
        self._name, self._epochs = name, epochs
        self._display = _notebook_display()
        self._handle = None

    def __call__(self, record):
        line = self.line(record)
        if self._display is None:
            print(line, flush=True)
        elif self._handle is None:
            self._handle = self._display(_Text(line), display_id=True)
        else:
            self._handle.update(_Text(line))

    def line(self, record):
        """The line of a record."""
        of_all = "" if self._epochs is None else f"/{self._epochs}"
        parts = [f"[{self._name}] epoch {record['epoch']}{of_all}", f"loss {record['train_loss']:.5g}"]
        if record.get("validation_loss") is not None:
            parts.append(f"validation loss {record['validation_loss']:.5g}")
        for key, name in [("validation_accuracy", "accuracy"), ("validation_r2", "R2")]:
            if record.get(key) is not None:
                parts.append(f"{name} {record[key]:.4f}")
        parts.append(f"density {record['density']:.4f}")
        if record["dropped"] or record["grown"]:
            parts.append(f"-{record['dropped']} +{record['grown']} connections")
        parts.append(f"{record['seconds']:.2f} s")
        return "  ".join(parts)


class _Text:
    """A line as notebooks show it, without the quotes of a str."""

    def __init__(self, line):
        self._line = line

    def __repr__(self):
        return self._line


def _notebook_display():
    """``IPython.display.display`` in a notebook, else None. It imports nothing that is not there already."""
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display
