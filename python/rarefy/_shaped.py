"""What networks of any layers read: images, sequences and tokens, which have a shape beside features, and lengths."""

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.validation import validate_data

from ._estimator import NetworkEstimator
from ._frames import NOTHING
from ._rarefy import Samples
from ._samples import float_types, rows_of
from ._settings import network_settings

_IMAGE_PRESETS = {"lenet5", "vgg-small", "resnet20", "mobilenet-small"}
_TOKEN_PRESETS = {"text-cnn", "text-gru", "transformer-classifier"}


class ShapedSamples(NetworkEstimator):
    """An estimator whose network, and ``channels_first`` and ``vocabulary_size`` of whose parameters, say what samples
    are.
    """

    def _validated(self, X, y, reset):
        X, lengths = (X.X, X.lengths) if isinstance(X, _Filled) else (X, None)
        if reset:
            self._section = network_settings(self.network, self.width, self.depth)
        reads_tokens, reads_images = _reads(self._section)
        dimensions = _dimensions(X)
        if dimensions < 3 and not reads_tokens:
            if lengths is not None:
                raise ValueError("lengths: are for sequences; give X of shape (n_samples, steps, channels)")
            if reset:
                self._input_shape = None
            elif self._input_shape is not None:
                raise ValueError(f"X: has 2 dimensions, and was fitted on samples of shape {self._input_shape}")
            return super()._validated(X, y, reset)
        checks = {"allow_nd": True, "order": "C"}
        checks |= {"dtype": None if reads_tokens else float_types(X), "ensure_min_samples": 2 if reset else 1}
        if y is NOTHING:
            X = validate_data(self, X, reset=reset, **checks)
            return self._arranged(X, lengths, reads_tokens, reads_images, reset)
        X, y = validate_data(self, X, y, reset=reset, multi_output=True, y_numeric=is_regressor(self), **checks)
        return self._arranged(X, lengths, reads_tokens, reads_images, reset), y

    def _arranged(self, X, lengths, reads_tokens, reads_images, reset):
        """Samples with a shape that is known, channels last."""
        if reads_tokens and (X.ndim != 2 or X.dtype.kind not in "iu"):
            raise ValueError(
                "X: must be whole numbers of shape (n_samples, steps), for the network begins with an embedding; it "
                f"has shape {X.shape} and the type {X.dtype}"
            )
        if reads_images and X.ndim == 3:
            raise ValueError(
                "X: has 3 dimensions, which is (n_samples, steps, channels), and the network is for images: give "
                "(n_samples, height, width, channels), grey ones as X[..., np.newaxis]"
            )
        if X.ndim > 4:
            raise ValueError(f"X: has {X.ndim} dimensions; images have 4, sequences 3, plain features 2")
        if self.channels_first and not reads_tokens:
            X = np.ascontiguousarray(np.moveaxis(X, 1, -1))
        if reset:
            self._input_shape = X.shape[1:]
        elif X.shape[1:] != self._input_shape:
            raise ValueError(
                f"X: has samples of shape {X.shape[1:]}, and was fitted on such of shape {self._input_shape}"
            )
        if reads_tokens:
            if X.size and X.min() < 0:
                raise ValueError(f"X: has the token {X.min()}; tokens count from 0")
            if reset:
                self._vocabulary_size = self.vocabulary_size or int(X.max()) + 1
        if lengths is not None:
            lengths = np.asarray(lengths)
            if lengths.shape != (len(X),) or lengths.dtype.kind not in "iu":
                raise ValueError(f"lengths: must be a whole number for each of the {len(X)} samples")
        return _Filled(X, lengths)

    def _rows(self, X):
        if not isinstance(X, _Filled):
            return super()._rows(X)
        X, lengths = X.X, X.lengths
        if _reads(self._section)[0]:
            if X.max() >= 2**32:
                raise ValueError(f"X: has the token {X.max()}, beyond a vocabulary of {self._vocabulary_size}")
            samples = Samples.tokens(np.ascontiguousarray(X, dtype=np.uint32), X.shape[1], self._vocabulary_size)
        else:
            samples = rows_of(X.reshape(len(X), -1))
            height, width, channels = (1, *X.shape[1:]) if X.ndim == 3 else X.shape[1:]
            samples.with_shape(height, width, channels)
        if lengths is not None:
            # Of a wrong one, be it negative, the compiled part says which.
            samples.with_lengths(np.clip(lengths, 0, 2**32 - 1).astype(np.uint32))
        return samples


class _Filled:
    """Sequences that are filled up to one length, with the lengths that they had."""

    def __init__(self, X, lengths):
        self.X, self.lengths = X, lengths

    def __len__(self):
        return len(self.X)


def _dimensions(X):
    if hasattr(X, "shape"):
        return len(X.shape)
    return 2 if hasattr(X, "__arrow_c_stream__") else np.asarray(X).ndim


def with_lengths(X, lengths):
    return X if lengths is None else _Filled(X, lengths)


def _reads(section):
    """Whether a network reads tokens, and whether it reads images."""
    layers = section.get("layers")
    if layers:
        first = layers[0].get("layer") if isinstance(layers[0], dict) else None
        return first == "embedding", first == "conv2d"
    preset = section.get("preset")
    return preset in _TOKEN_PRESETS, preset in _IMAGE_PRESETS
