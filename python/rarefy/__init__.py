"""Neural networks that are sparse from the first step to the last."""

from ._errors import (
    DataError,
    DivergedError,
    Error,
    FileError,
    InputError,
    InternalError,
    ModelError,
    RankError,
    SettingError,
)
from ._rarefy import __version__

__all__ = [
    "DataError",
    "DivergedError",
    "Error",
    "FileError",
    "InputError",
    "InternalError",
    "Model",
    "ModelError",
    "NetworkClassifier",
    "NetworkRegressor",
    "Path",
    "RankError",
    "Run",
    "SettingError",
    "SparseFeatureSelector",
    "SparseLinearClassifier",
    "SparseLinearClassifierCV",
    "SparseLinearRegressor",
    "SparseLinearRegressorCV",
    "SparseMLPClassifier",
    "SparseMLPRegressor",
    "SparsePathClassifier",
    "SparsePathRegressor",
    "TextClassifier",
    "__version__",
    "callbacks",
    "comm",
    "compare",
    "explain",
    "lasso_path",
    "load",
    "logistic_path",
    "ops",
    "path",
    "resume",
    "settings",
    "train",
]

# What is not needed to begin is imported when it is first asked for: `import rarefy` takes NumPy and SciPy alone.
_LATER = {
    "Model": "_model",
    "NetworkClassifier": "_network",
    "NetworkRegressor": "_network",
    "Path": "_lambdas",
    "Run": "_run",
    "SparseFeatureSelector": "_selector",
    "SparseLinearClassifier": "_linear",
    "SparseLinearClassifierCV": "_linear_cv",
    "SparseLinearRegressor": "_linear",
    "SparseLinearRegressorCV": "_linear_cv",
    "SparseMLPClassifier": "_mlp",
    "SparseMLPRegressor": "_mlp",
    "SparsePathClassifier": "_path",
    "SparsePathRegressor": "_path",
    "TextClassifier": "_text",
    "callbacks": "callbacks",
    "comm": "comm",
    "compare": "_compare",
    "explain": "_explain",
    "lasso_path": "_lasso_path",
    "load": "_model",
    "logistic_path": "_lasso_path",
    "ops": "ops",
    "path": "_lambdas",
    "resume": "_run",
    "settings": "_explain",
    "train": "_run",
}


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module 'rarefy' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_LATER[name]}", __name__)
    return module if name == _LATER[name] else getattr(module, name)


def __dir__():
    return __all__
