"""Data frames of pandas, polars and whatever hands out Arrow streams, as tables of the compiled part."""

import sys

import numpy as np
import scipy.sparse

from ._rarefy import Samples
from ._sparse import check_parts

# In place of what is to be predicted, where nothing is; scikit-learn's own word.
NOTHING = "no_validation"


class Frame:
    """A data frame as samples, with the names of its columns."""

    def __init__(self, X):
        # The row labels of pandas would become a column.
        stream = X.reset_index(drop=True) if _is_of("pandas", X) else X
        self.samples, self.names = Samples.table(stream.__arrow_c_stream__())
        self.shape = (len(self.samples), len(self.names))

    def __len__(self):
        return self.shape[0]


def validated(estimator, X, y=NOTHING, *, reset, **checks):
    """``X``, and ``y`` unless it is `NOTHING`, as ``validate_data`` has them; a frame not all of numbers as a `Frame`.

    An estimator that was fitted on such a frame is given such frames from then on, with columns of the same names in
    any order.

    Parameters
    ----------
    estimator : estimator
        Learns names of features and their number with ``reset``, and is asked for them without.
    X, y : array-like
        Samples, and what is to be predicted.
    reset : bool
        Whether this begins a fit.
    **checks
        What ``validate_data`` is told.
    """
    # A frame alone needs no scikit-learn; estimators do.
    from sklearn.utils.validation import _check_y, check_consistent_length, validate_data

    if reset:
        estimator._takes_frames = is_frame(X) and needs_columns(X)
    if not getattr(estimator, "_takes_frames", False):
        if scipy.sparse.issparse(X):
            check_parts(X)
        return validate_data(estimator, X, y, reset=reset, **checks)
    if not is_frame(X):
        raise ValueError(
            "X: must be a data frame, for this estimator was fitted on one with columns that are not all numbers; "
            f"it is {type(X).__name__}"
        )
    X = Frame(X)
    if len(X) < checks.get("ensure_min_samples", 1):
        raise ValueError(f"X: has {len(X)} sample; there must be {checks['ensure_min_samples']} at least")
    _check_names(estimator, X.names, reset)
    if y is NOTHING:
        return X
    y = _check_y(
        y, multi_output=checks.get("multi_output", False), y_numeric=checks.get("y_numeric", False), estimator=estimator
    )
    check_consistent_length(X, y)
    return X, y


def is_frame(X):
    """Whether something is a data frame."""
    return hasattr(X, "__arrow_c_stream__") and len(getattr(X, "shape", (0, 0))) == 2


def needs_columns(X):
    """Whether there is a column that is not of numbers or booleans, or a gap: what an array cannot have."""
    if _is_of("pandas", X):
        from pandas.api.types import is_numeric_dtype

        return not all(map(is_numeric_dtype, X.dtypes)) or bool(X.isna().to_numpy().any())
    if _is_of("polars", X):
        if not all(kind.is_numeric() or kind.base_type().__name__ == "Boolean" for kind in X.dtypes):
            return True
        return any(column.has_nulls() or (column.dtype.is_float() and column.is_nan().any()) for column in X)
    return True


def _is_of(library, X):
    """Whether this is a data frame of a library, which is not imported for it."""
    module = sys.modules.get(library)
    return module is not None and isinstance(X, module.DataFrame)


def _check_names(estimator, names, reset):
    if reset:
        estimator.n_features_in_ = len(names)
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
        return
    known = set(estimator.feature_names_in_)
    unseen = [name for name in names if name not in known]
    missing = [name for name in estimator.feature_names_in_ if name not in set(names)]
    problems = [
        f"{what}: {', '.join(found[:10])}{', ...' if len(found) > 10 else ''}"
        for what, found in [("unseen at fit time", unseen), ("seen at fit time, yet now missing", missing)]
        if found
    ]
    if problems:
        raise ValueError(f"X: the feature names should match those that were passed during fit; {'; '.join(problems)}")
