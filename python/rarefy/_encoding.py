"""Samples of linear models as numbers: arrays are some, and the columns of a frame become such."""

import numpy as np

from ._engine import to_json
from ._frames import Frame
from ._rarefy import Preparation

# Numbers stay as they are, as those of an array do, and nothing is split off.
_ALL_AS_THEY_ARE = {
    "data.scale": "none",
    "data.target_scale": "none",
    "data.validation_fraction": 0.0,
    "data.test_fraction": 0.0,
}


def numbers_of(X, weights, settings):
    """A row of numbers for each sample, and the `Preparation` that makes others alike: None for an array.

    Parameters
    ----------
    X : array, sparse array or `Frame`
        Samples that were looked at.
    weights : ndarray of shape (n_samples,) or None
        How much each counts where something is learned, which is only of the columns of a frame.
    settings : dict or None
        How these columns become numbers.
    """
    if not isinstance(X, Frame):
        if settings:
            raise ValueError(
                "settings: say how columns of a data frame become numbers, and X has numbers alone; leave it out"
            )
        return X, None
    weights = None if weights is None else np.ascontiguousarray(weights, dtype=np.float32)
    preparation, numbers = Preparation.learn(to_json(_ALL_AS_THEY_ARE | (settings or {})), X.samples, weights)
    return numbers, preparation
