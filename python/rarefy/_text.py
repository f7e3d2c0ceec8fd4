"""Texts as a scikit-learn estimator takes them: lists of strings."""

import json
import os
from dataclasses import KW_ONLY, dataclass
from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_y, check_consistent_length, check_is_fitted

from ._estimator import NetworkEstimator
from ._frames import NOTHING
from ._parameters import documented
from ._rarefy import Samples
from ._settings import network_settings
from ._targets import Classes

_BAG_PRESETS = {"bag-of-words", "mlp"}


@documented
@dataclass(eq=False, repr=False)
class TextClassifier(Classes, NetworkEstimator):
    """Classes or labels of texts, by a network that is sparse from the first step to the last.

    The texts become bags of words, or tokens in their order; the words come from the training part, and the model keeps
    them.

    Parameters
    ----------
    network : str, list of dict or path, default="bag-of-words"
        A network by name, its layers, or a TOML file with either. "text-cnn", "text-gru" and "transformer-classifier"
        read tokens, and so does any that begins with an embedding.
    width, depth : int or None, default=None
        How wide and deep a network by name is, in its own unit.
    tokens : {"auto", "words", "characters", "byte-pairs"} or None, default="auto"
        What a token is; None for a bag of words. "auto" is what the network reads, tokens being words.
    ngrams : int or None, default=None
        Words of the longest run that counts as a feature of a bag; None for 1.
    min_count : int or None, default=None
        How many texts must hold a word for it to be a feature of a bag (None for 1), or how often a token must come to
        be known (None for 2).
    max_vocabulary : int or None, default=None
        At most so many features or tokens.
    context : int or None, default=None
        Tokens of a sample; None for those of the longest text in ``fit``.
    truncate : bool, default=False
        Whether longer texts are cut; else they are an error.
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; of labels their numbers.
    {attributes}

    Examples
    --------
    >>> from rarefy import TextClassifier
    >>> texts = ["rain all day", "cup final drawn", "sun and rain", "the final goal"] * 5
    >>> topics = ["weather", "sport", "weather", "sport"] * 5
    >>> classifier = TextClassifier(sparsity=0.5, max_iter=50, random_state=0).fit(texts, topics)
    >>> classifier.predict(["a day of sun", "a goal in the final"]).tolist()
    ['weather', 'sport']
    """

    network: str | list | os.PathLike = "bag-of-words"
    _: KW_ONLY
    width: int | None = None
    depth: int | None = None
    tokens: str | None = "auto"
    ngrams: int | None = None
    min_count: int | None = None
    max_vocabulary: int | None = None
    context: int | None = None
    truncate: bool = False

    _parameter_constraints = {
        **NetworkEstimator._parameter_constraints,
        "tokens": [StrOptions({"auto", "words", "characters", "byte-pairs"}), None],
        "ngrams": [Interval(Integral, 1, None, closed="left"), None],
        "min_count": [Interval(Integral, 1, None, closed="left"), None],
        "max_vocabulary": [Interval(Integral, 1, None, closed="left"), None],
        "context": [Interval(Integral, 1, None, closed="left"), None],
        "truncate": ["boolean"],
    }

    @property
    def vocabulary_(self):
        """The words of the bag, in the order of the network's inputs, or the tokens known, of which the first has the
        number 4; None of byte pairs, and of words that are hashed."""
        check_is_fitted(self)
        coding = json.loads(self._model.config())["preparation"]["columns"][0]["coding"]["text"]
        if "bag" in coding:
            return coding["bag"]["features"].get("known")
        tokenizer = coding["tokens"]["tokenizer"]
        return tokenizer.get("words", tokenizer.get("characters"))

    def _network_settings(self):
        section = network_settings(self.network, self.width, self.depth)
        kind = self.tokens
        if kind == "auto":
            layers = section.get("layers")
            reads_bag = layers[0].get("layer") != "embedding" if layers else section.get("preset") in _BAG_PRESETS
            kind = None if reads_bag else "words"
        for name, is_for in [("ngrams", kind is None), ("context", kind is not None), ("truncate", kind is not None)]:
            if getattr(self, name) and not is_for:
                raise ValueError(f"{name}: is for {'tokens' if kind is None else 'bags of words'}; leave it out")
        if kind is None:
            text = {
                "bag": {"ngrams": self.ngrams, "min_documents": self.min_count, "max_features": self.max_vocabulary},
            }
        else:
            text = {
                "tokens": {
                    "kind": kind,
                    "min_count": self.min_count,
                    "max_vocabulary": self.max_vocabulary,
                    "context": self.context,
                    "truncate": self.truncate,
                },
            }
        settings = {"network": section}
        for name, values in text.items():
            settings |= {f"data.text.{name}.{key}": value for key, value in values.items() if value is not None}
        return settings

    def _validated(self, X, y, reset):
        texts = _texts(X)
        if y is NOTHING:
            return texts
        y = _check_y(y, multi_output=True, estimator=self)
        check_consistent_length(texts, y)
        return texts, y

    def _rows(self, X):
        return Samples.texts(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def _texts(X):
    """A list of strings."""
    if isinstance(X, str):
        raise ValueError("X: is one text; give a list of texts")
    if getattr(X, "ndim", 1) != 1 or len(getattr(X, "shape", (0,))) != 1:
        raise ValueError(f"X: has shape {X.shape}; give a list of texts or a column of a data frame")
    texts = list(X)
    if not texts:
        raise ValueError("X: has no texts")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"X: sample {place} is {text!r}, not a text; leave it out or fill it in")
    return [str(text) for text in texts]
