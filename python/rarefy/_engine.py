"""Threads, seeds and settings as the compiled part takes them."""

import json
import os
from numbers import Integral

import numpy as np

from ._errors import SettingError


def thread_count(n_jobs):
    """Threads for ``n_jobs``: all that this process may use for None and -1, all but one for -2, and so on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs is None:
        # joblib tells its workers how many threads each may have.
        asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
        return min(cores, int(asked)) if asked.isdigit() and int(asked) > 0 else cores
    if not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool):
        raise ValueError(f"n_jobs == {n_jobs!r}; it must be None, or a whole number of threads")
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning; use None, -1 or a number of threads")
    return n_jobs if n_jobs > 0 else max(1, cores + 1 + n_jobs)


def seed_of(random_state):
    """A seed for ``random_state`` as scikit-learn has it: None, a number or a generator."""
    from sklearn.utils import check_random_state

    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def to_json(settings):
    """A dict of settings, nested or by dotted keys, as the compiled part reads it."""
    try:
        return json.dumps(settings, default=_plain, allow_nan=False)
    except ValueError:
        # Infinity and NaN are no JSON.
        _refuse_endless(settings)
        raise


def _refuse_endless(settings, key=""):
    for name, value in settings.items():
        name = f"{key}{name}"
        if isinstance(value, dict):
            _refuse_endless(value, f"{name}.")
        elif isinstance(value, (float, np.floating)) and not np.isfinite(value):
            raise SettingError(name, f"must be a finite number, not {value}")


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{value!r} is no value of a setting")
