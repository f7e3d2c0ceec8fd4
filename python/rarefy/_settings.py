"""What constructor parameters mean as settings, whose dotted keys the program and TOML files have."""

import os
import tomllib
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np

from ._engine import seed_of, thread_count
from ._errors import SettingError
from ._keywords import density_of

# Parameters that are handed on as they are; None is the library's default.
_KEYS = {
    "activation": "network.activation",
    "allocation": "sparsity.allocation",
    "beta_1": "optimizer.beta1",
    "beta_2": "optimizer.beta2",
    "block": "sparsity.block",
    "clip_norm": "optimizer.clip_norm",
    "dropout": "network.dropout",
    "epsilon": "optimizer.epsilon",
    "lam": "penalty.lambda",
    "learning_rate_init": "optimizer.learning_rate",
    "loss": "loss.method",
    "max_iter": "train.epochs",
    "method": "topology.method",
    "momentum": "optimizer.momentum",
    "nesterovs_momentum": "optimizer.nesterov",
    "penalty": "penalty.method",
    "schedule": "schedule.method",
    "solver": "optimizer.method",
}

# Whose value is turned into the setting's.
_PARAMETERS = {key: parameter for parameter, key in _KEYS.items()} | {
    "sparsity.density": "sparsity",
    "network.hidden": "hidden_layer_sizes",
    "network.preset": "network",
    "network.layers": "network",
    "loss.class_weights": "class_weight",
    "optimizer.weight_decay": "alpha",
    "data.validation_fraction": "validation_fraction",
    "train.patience": "n_iter_no_change",
    "train.tolerance": "tol",
    "train.batch_size": "batch_size",
    "threads": "n_jobs",
    "seed": "random_state",
    "target": "target",
    "target.sparsity": "target",
    "target.nnz": "target",
    "target.bytes": "target",
    "target.flops": "target",
}


def settings_of(estimator, *, validation, incremental=False):
    """The settings that an estimator's parameters ask for, by dotted keys.

    Parameters
    ----------
    estimator : estimator
        With the parameters that all networks share; of the others those that it has.
    validation : {"given", "split", None}
        Where a validation part comes from.
    incremental : bool
        Whether this is for ``partial_fit``.
    """
    parameters = estimator.get_params(deep=False)
    settings = {"data.test_fraction": 0.0}
    for parameter, key in _KEYS.items():
        # "auto" leaves it to the library; but a learning rate that is "auto" finds itself.
        value = parameters.get(parameter)
        if value is not None and (value != "auto" or parameter == "learning_rate_init"):
            settings[key] = value
    if settings.get("optimizer.learning_rate") == "auto" and estimator.solver == "adam":
        del settings["optimizer.method"]  # which is prodigy then
    if estimator.sparsity != "auto":
        settings["sparsity.density"] = density_of(estimator.sparsity)
    settings |= _target(estimator.target)
    settings["seed"] = seed_of(estimator.random_state)
    settings["threads"] = thread_count(estimator.n_jobs)
    settings["data.validation_fraction"] = estimator.validation_fraction if validation == "split" else 0.0
    settings |= _stopping(estimator, validation is not None, incremental)
    if incremental and estimator.schedule is None:
        # Nobody knows when the last chunk comes.
        settings["schedule.method"] = "constant"
    return settings


def _stopping(estimator, has_validation, incremental):
    if incremental:
        return {"train.patience": 0, "train.keep_best": False}
    if estimator.early_stopping:
        return {"train.patience": estimator.n_iter_no_change, "train.tolerance": estimator.tol}
    if estimator.tol > 0 and not has_validation:
        return {
            "train.patience": estimator.n_iter_no_change,
            "train.tolerance": estimator.tol,
            "train.watch": "training",
            "train.keep_best": False,
        }
    return {"train.patience": 0}


def _target(target):
    if target is None:
        return {}
    if isinstance(target, Real):
        target = {"sparsity": float(target)}
    if not isinstance(target, dict):
        raise TypeError(
            f"target: must be a sparsity, or a dict with one of 'sparsity', 'nnz', 'bytes' and 'flops', not {target!r}"
        )
    return {f"target.{key}": value for key, value in target.items()}


def hidden_of(sizes):
    """The units of each hidden layer as a list."""
    sizes = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if not all(isinstance(size, Integral) and size > 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes: must be whole numbers above 0, not {sizes}")
    return [int(size) for size in sizes]


def network_settings(network, width=None, depth=None):
    """The section ``network`` of the settings for a preset, a list of layers, or a TOML file of either."""
    if isinstance(network, list | tuple):
        section = {"layers": list(network)}
    elif str(network).endswith(".toml") or isinstance(network, os.PathLike):
        with open(network, "rb") as file:
            section = tomllib.load(file)
        # With the line [network], or without.
        section = dict(section.get("network", section))
    else:
        section = {"preset": network}
    given = {"width": width, "depth": depth}
    return section | {key: value for key, value in given.items() if value is not None}


def weights_of(class_weight, classes):
    """The weight of each class for scikit-learn's ``class_weight``: None, "balanced", or a dict by class."""
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return class_weight
    if not isinstance(class_weight, dict):
        raise ValueError(f"class_weight: must be a dict, 'balanced' or None, not {class_weight!r}")
    unknown = [label for label in class_weight if label not in set(classes.tolist())]
    if unknown:
        raise ValueError(f"class_weight: has {unknown}, but the classes are {np.array2string(classes, threshold=20)}")
    return [float(class_weight.get(label, 1.0)) for label in classes.tolist()]


def trains_in_chunks(estimator):
    """Whether there is a ``partial_fit``."""
    if estimator.early_stopping:
        raise AttributeError("early_stopping: partial_fit has no validation part to stop by; set it to False")
    return True


@contextmanager
def named_by_parameters():
    """Within, errors of settings name the parameter beside the dotted key."""
    try:
        yield
    except SettingError as error:
        parameter = _PARAMETERS.get(error.key)
        if parameter is None or error.parameter is not None:
            raise
        raise SettingError(error.key, error.problem, parameter) from None
