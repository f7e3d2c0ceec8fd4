"""Texts as a scikit-learn estimator takes them: lists of strings."""

import json
from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_y, check_consistent_length, check_is_fitted

from ._estimator import NetworkEstimator
from ._frames import NOTHING
from ._network import network_settings
from ._parameters import documented
from ._rarefy import Samples
from ._targets import Classes

_BAG_PRESETS = {"bag-of-words", "mlp"}


@documented
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
    class_weight : dict, "balanced" or None, default=None
        What an error of each class counts. Not for labels.

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

    _parameter_constraints = {
        **NetworkEstimator._parameter_constraints,
        "tokens": [StrOptions({"auto", "words", "characters", "byte-pairs"}), None],
        "ngrams": [Interval(Integral, 1, None, closed="left"), None],
        "min_count": [Interval(Integral, 1, None, closed="left"), None],
        "max_vocabulary": [Interval(Integral, 1, None, closed="left"), None],
        "context": [Interval(Integral, 1, None, closed="left"), None],
        "truncate": ["boolean"],
    }

    def __init__(
        self,
        network="bag-of-words",
        *,
        width=None,
        depth=None,
        tokens="auto",
        ngrams=None,
        min_count=None,
        max_vocabulary=None,
        context=None,
        truncate=False,
        sparsity="auto",
        method="auto",
        allocation="erk",
        target=None,
        penalty=None,
        lam=None,
        solver="adam",
        alpha=0.0,
        batch_size="auto",
        learning_rate_init=None,
        schedule=None,
        momentum=0.0,
        nesterovs_momentum=False,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=None,
        dropout=0.0,
        clip_norm=None,
        class_weight=None,
        max_iter=100,
        tol=0.0,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        warm_start=False,
        random_state=None,
        n_jobs=None,
        verbose=False,
        callbacks=None,
        settings=None,
    ):
        self.network = network
        self.width = width
        self.depth = depth
        self.tokens = tokens
        self.ngrams = ngrams
        self.min_count = min_count
        self.max_vocabulary = max_vocabulary
        self.context = context
        self.truncate = truncate
        self.sparsity = sparsity
        self.method = method
        self.allocation = allocation
        self.target = target
        self.penalty = penalty
        self.lam = lam
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.schedule = schedule
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.dropout = dropout
        self.clip_norm = clip_norm
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callbacks = callbacks
        self.settings = settings

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
