"""What is to be predicted, as scikit-learn has it: classes and labels, or numbers."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from ._predicting import all_or_nothing
from ._settings import trains_in_chunks, weights_of


@dataclass(kw_only=True, eq=False, repr=False)
class Classes(ClassifierMixin):
    """Predicts a class for each sample, or any number of labels where ``y`` is a matrix of 0 and 1."""

    class_weight: dict | str | None = None

    def _add_targets(self, samples, y, weights, reset):
        y = y.toarray() if scipy.sparse.issparse(y) else y
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError("y: has several columns that are no labels of 0 and 1; fit an estimator to each of them")
        is_multilabel = kind.startswith("multilabel")
        if not reset and is_multilabel != self._is_multilabel:
            raise ValueError("y: is of another kind than before (one has a class for each sample, one labels)")
        if is_multilabel:
            self._add_labels(samples, y, reset)
        else:
            self._add_classes(samples, column_or_1d(y, warn=True), weights, reset)
        self._is_multilabel = is_multilabel

    def _add_labels(self, samples, y, reset):
        if not reset and y.shape[1] != self.n_outputs_:
            raise ValueError(f"y: has {y.shape[1]} labels, but {self.n_outputs_} before")
        if self.class_weight is not None:
            raise ValueError("class_weight: is for classes, and y has labels; give None")
        self.n_outputs_ = y.shape[1]
        self.classes_ = np.arange(self.n_outputs_)
        samples.with_labels(np.ascontiguousarray(y, dtype=np.float64).ravel(), self.n_outputs_)

    def _add_classes(self, samples, y, weights, reset):
        if reset:
            self.classes_ = np.unique(y)
            found = self.classes_ if weights is None else np.unique(y[weights > 0])
            if len(found) < 2:
                which = "" if weights is None else " that weighs something"
                raise ValueError(f"y: has one class alone{which}; there must be two at least to tell apart")
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        if not np.array_equal(self.classes_[codes], y):
            unknown = np.setdiff1d(y, self.classes_)
            raise ValueError(f"y: has the classes {unknown}, but those known are {self.classes_}")
        self.n_outputs_ = len(self.classes_)
        samples.with_classes(codes.astype(np.uint32), [str(name) for name in self.classes_])

    def _target_settings(self, has_validation):
        weights = weights_of(self.class_weight, self.classes_)
        # The share of right answers says nothing of classes that weigh more than others; the loss does.
        watched = {"train.metric": "loss"} if has_validation and weights is not None else {}
        return {"loss.class_weights": weights, **watched}

    @property
    def out_activation_(self):
        """The function of the outputs: "softmax" of classes, "logistic" of labels."""
        return "logistic" if self._is_multilabel else "softmax"

    @available_if(trains_in_chunks)
    @all_or_nothing
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train one epoch more, on these samples.

        The first call, whose samples must be of two classes at least, learns how features are scaled, and every
        later one keeps to that; features that are constant in the first chunk are left out. Unless ``schedule``
        says otherwise the learning rate is constant, and connections move as if there were ``max_iter`` chunks like
        the first.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their classes, or their labels of 0 and 1.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come. The first call must have it, unless ``y`` has labels.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.

        Returns
        -------
        self : estimator
        """
        if isinstance(self.class_weight, str):
            raise ValueError("class_weight: 'balanced' is not known before all samples are; give partial_fit a dict")
        is_first = not self.__sklearn_is_fitted__()
        is_labels = np.ndim(y) == 2 and type_of_target(y) == "multilabel-indicator"
        if is_first and not is_labels:
            self._is_multilabel = False
        if not is_labels:
            _check_partial_fit_first_call(self, classes)
        return self._partial_fit(X, y, sample_weight, knows_targets=not (is_first and is_labels))

    def predict(self, X):
        """The class of each sample, or its labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        samples = self._samples_to_predict(X)
        if self._is_multilabel:
            return (self._model.predict(samples) > 0.5).astype(int)
        return self.classes_[self._model.classes(samples)]

    def predict_proba(self, X):
        """The probability of each class, or of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        probabilities = self._model_outputs(X)
        if not self._is_multilabel:
            # They are float32 inside, and a sum of them is 1 to that precision alone.
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        return probabilities

    def predict_log_proba(self, X):
        """The logarithms of the probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(kw_only=True, eq=False, repr=False)
class Numbers(RegressorMixin):
    """Predicts a number for each sample, or several."""

    loss: str = "auto"

    def _add_targets(self, samples, y, weights, reset):
        y = np.asarray(y, dtype=np.float64)
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if not reset and outputs != self.n_outputs_:
            raise ValueError(f"y: has {outputs} numbers for each sample, but {self.n_outputs_} before")
        self.n_outputs_ = outputs
        samples.with_numbers(np.ascontiguousarray(y).ravel(), outputs)

    def _target_settings(self, has_validation):
        return {}

    @property
    def out_activation_(self):
        """The function of the outputs: "identity"."""
        return "identity"

    @available_if(trains_in_chunks)
    @all_or_nothing
    def partial_fit(self, X, y, sample_weight=None):
        """Train one epoch more, on these samples.

        The first call learns from its samples how features and targets are scaled, and every later one keeps to
        that; features that are constant in the first chunk are left out. Unless ``schedule`` says otherwise the
        learning rate is constant, and connections move as if there were ``max_iter`` chunks like the first.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.

        Returns
        -------
        self : estimator
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X):
        """The numbers of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._model_outputs(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
