"""The keywords of the program's flags, as settings."""

import os

from ._rarefy import target_setting

# Keywords that are short for a key, as flags of `rarefy train` are.
KEYWORDS = {
    "label": "data.label",
    "ignore": "data.ignore",
    "keep": "data.keep",
    "task": "data.task",
    "delimiter": "data.delimiter",
    "text": "data.text.column",
    "skip_bad": "data.skip_bad",
    "network": "network",
    "hidden": "network.hidden",
    "density": "sparsity.density",
    "block": "sparsity.block",
    "method": "topology.method",
    "penalty": "penalty.method",
    "lam": "penalty.lambda",
    "optimizer": "optimizer.method",
    "learning_rate": "optimizer.learning_rate",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "accumulate": "train.accumulate",
    "precision": "train.precision",
    "seed": "seed",
    "threads": "threads",
    "isa": "isa",
    "memory_limit": "memory_limit",
}
_LISTS = ("label", "ignore", "keep")


def given(settings, keywords):
    """A file of settings, if there is one, and those that are laid over it, nested or by dotted keys."""
    file, over = None, {}
    if isinstance(settings, (str, os.PathLike)):
        file = os.fspath(settings)
    elif isinstance(settings, dict):
        over.update(settings)
    elif settings is not None:
        raise TypeError(f"settings must be a dict or the path of a TOML file, not {type(settings).__name__}")
    return file, over | _keys(keywords)


def _keys(keywords):
    """The keys that keywords stand for."""
    keys = {}
    for word, value in keywords.items():
        if value is None:
            continue
        if word == "sparsity":
            if keywords.get("density") is not None:
                raise ValueError("sparsity and density say the same; give one of them")
            keys["sparsity.density"] = density_of(value)
        elif word == "target":
            keys |= _targets(value)
        elif word == "network":
            if keywords.get("hidden") is not None:
                raise ValueError("hidden is the width of the network mlp; give network or hidden")
            keys |= _network(value)
        else:
            keys[KEYWORDS[word]] = [value] if word in _LISTS and isinstance(value, str) else value
    return keys


def density_of(sparsity):
    """One minus the sparsity, through the decimal text: 1 - 0.95 is not 0.05 in binary."""
    if not 0 <= sparsity < 1:
        hint = f"; did you mean {sparsity / 100:g}?" if 1 < sparsity < 100 else ""
        raise ValueError(f"sparsity must be from 0 to below 1, not {sparsity!r}{hint}")
    return round(1 - sparsity, 12)


def _targets(target):
    """Targets as the program has them, `"nnz=50k"`, one or several, or as a dict."""
    if isinstance(target, dict):
        target = [f"{key}={value}" for key, value in target.items()]
    keys = {}
    for text in [target] if isinstance(target, str) else target:
        key, number = target_setting(text)
        if key in keys:
            raise ValueError(f"target: {key} is there twice; keep one")
        keys[key] = number if key == "target.sparsity" else int(number)
    return keys


def _network(network):
    if isinstance(network, (str, os.PathLike)):
        return {"network": os.fspath(network)}
    return {"network": network} if isinstance(network, dict) else {"network.layers": list(network)}
