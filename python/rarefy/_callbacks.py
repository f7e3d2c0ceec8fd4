"""Who is told of each epoch."""

import json
from contextlib import contextmanager


def raise_failure(stopped_by):
    """Raises what has stopped work, but for Ctrl-C, after which there is what it came to."""
    if stopped_by is not None and not isinstance(stopped_by, KeyboardInterrupt):
        raise stopped_by


@contextmanager
def listening(callbacks, progress=None):
    """What the compiled part calls with a record (JSON), for callables of a dict; closes those that have ``close``."""
    callbacks = list(callbacks)
    for callback in callbacks:
        if not callable(callback):
            raise TypeError(f"callbacks must be callables of a record, and {callback!r} is none")

    def listen(record):
        record = json.loads(record)
        if progress is not None:
            progress(record)
        # All are told, whoever wants to stop.
        return any([bool(callback(dict(record))) for callback in callbacks])

    try:
        yield listen
    finally:
        for callback in callbacks:
            close = getattr(callback, "close", None)
            if close is not None:
                close()
