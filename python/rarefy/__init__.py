"""Neural networks that are sparse from the first step to the last."""

from ._errors import DataError, DivergedError, Error, FileError, InputError, InternalError, ModelError, SettingError
from ._rarefy import __version__

__all__ = [
    "DataError",
    "DivergedError",
    "Error",
    "FileError",
    "InputError",
    "InternalError",
    "ModelError",
    "NetworkClassifier",
    "NetworkRegressor",
    "SettingError",
    "SparseFeatureSelector",
    "SparseLinearClassifier",
    "SparseLinearRegressor",
    "SparseMLPClassifier",
    "SparseMLPRegressor",
    "SparsePathClassifier",
    "SparsePathRegressor",
    "TextClassifier",
    "__version__",
    "lasso_path",
    "logistic_path",
]

# What needs scikit-learn is imported when it is first asked for: `import rarefy` takes NumPy and SciPy alone.
_LATER = {
    "NetworkClassifier": "_network",
    "NetworkRegressor": "_network",
    "SparseFeatureSelector": "_selector",
    "SparseLinearClassifier": "_linear",
    "SparseLinearRegressor": "_linear",
    "SparseMLPClassifier": "_mlp",
    "SparseMLPRegressor": "_mlp",
    "SparsePathClassifier": "_path",
    "SparsePathRegressor": "_path",
    "TextClassifier": "_text",
    "lasso_path": "_lasso_path",
    "logistic_path": "_lasso_path",
}


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module 'rarefy' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LATER[name]}", __name__), name)


def __dir__():
    return __all__
