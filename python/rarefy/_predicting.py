"""Samples in and predictions out, for all estimators that have a model of the compiled part."""

import functools
import os

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ._engine import thread_count
from ._frames import NOTHING, Frame, validated
from ._samples import float_types, rows_of


def all_or_nothing(fit):
    """A fit that, where it fails, leaves the estimator as it was: it goes on predicting what it was fitted to."""

    @functools.wraps(fit)
    def wrapped(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapped


class Predicting(BaseEstimator):
    """An estimator with a model; what it predicts it takes from `_targets`."""

    def _samples(self, X, y, sample_weight, reset, knows_targets=None):
        """Samples with what is to be predicted of them; with ``reset`` both are new, but for targets that are known."""
        X, y = self._validated(X, y, reset)
        samples = self._rows(X)
        # A frame's columns have their names in the compiled part.
        if hasattr(self, "feature_names_in_") and not isinstance(X, Frame):
            samples.with_feature_names(self.feature_names_in_.tolist())
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)
        self._add_targets(samples, y, weights, reset if knows_targets is None else not knows_targets)
        if weights is not None:
            samples.with_weights(weights)
        return samples

    def _samples_to_predict(self, X):
        check_is_fitted(self)
        return self._rows(self._validated(X, NOTHING, reset=False))

    def _validated(self, X, y, reset):
        """``X``, and ``y`` unless it is `NOTHING`, as arrays or a `Frame`; with ``reset`` their kind is new."""
        checks = {"ensure_min_samples": 2 if reset else 1}
        if y is not NOTHING:
            checks |= {"multi_output": True, "y_numeric": is_regressor(self)}
        return validated(self, X, y, reset=reset, accept_sparse="csr", dtype=float_types(X), **checks)

    def _rows(self, X):
        """What is validated as samples."""
        return rows_of(X)

    def _take(self, model):
        model.set_threads(thread_count(self.n_jobs))
        self._model = model

    def _model_outputs(self, X):
        # Before the model is looked for: it is an error of its own where there is none.
        samples = self._samples_to_predict(X)
        return self._model.predict(samples)

    def _by_feature(self, model, of_inputs):
        """Numbers of a model's inputs, added up over those that come of one feature."""
        if not self._takes_frames:
            return of_inputs
        sums = {name: of_inputs[start:end].sum() for name, start, end in model.table_columns()}
        return np.array([sums.get(name, 0.0) for name in self.feature_names_in_])

    def save(self, path):
        """Write the network, and what it takes to use it, to a ``.safetensors`` file, which the program and
        `rarefy.load` read.

        Parameters
        ----------
        path : str or path-like
            The file.
        """
        check_is_fitted(self)
        self._model.save(os.fspath(path))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
