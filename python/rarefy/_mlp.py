"""Multi-layer perceptrons as scikit-learn estimators."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._estimator import NetworkEstimator
from ._parameters import documented
from ._settings import hidden_of
from ._targets import Classes, Numbers


class _SparseMLP(NetworkEstimator):
    """What classifier and regressor share."""

    def _network_settings(self):
        return {"network.hidden": hidden_of(self.hidden_layer_sizes)}

    @property
    def feature_importances_(self):
        """How strongly the first layer reads each feature: the sum of the absolute values of its weights, over that
        of all features.

        Features that no connection reads have 0. `sklearn.inspection.permutation_importance` says what a feature is
        worth.
        """
        check_is_fitted(self)
        sums = np.asarray(abs(self.coefs_[0]).sum(axis=1)).ravel()
        if self._takes_frames:
            of_columns = {name: sums[start:end].sum() for name, start, end in self._model.table_columns()}
            sums = np.array([of_columns.get(name, 0.0) for name in self.feature_names_in_])
        return sums / (sums.sum() or 1.0)


@documented
class SparseMLPClassifier(Classes, _SparseMLP):
    """A multi-layer perceptron for classes or labels that is sparse from the first step to the last.

    It stands where `sklearn.neural_network.MLPClassifier` does. Weights, gradients, optimizer state and saved
    models exist only for the connections that the network keeps, so time and size fall with them. The same
    ``random_state`` gives the same bits, whatever ``n_jobs`` is. Features are standardised within
    (``settings={"data.scale": "none"}`` leaves them as they are).

    Parameters
    ----------
    {parameters}
    class_weight : dict, "balanced" or None, default=None
        What an error of each class counts: by class, 1 where there is none, or "balanced" for as much for each
        class. Not for labels.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; of labels their numbers.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from rarefy import SparseMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> classifier = SparseMLPClassifier(sparsity=0.9, max_iter=20, random_state=0).fit(X_train, y_train)
    >>> classifier.nnz_
    740
    >>> bool(classifier.score(X_test, y_test) > 0.9)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
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


@documented
class SparseMLPRegressor(Numbers, _SparseMLP):
    """A multi-layer perceptron for numbers that is sparse from the first step to the last.

    It stands where `sklearn.neural_network.MLPRegressor` does. Weights, gradients, optimizer state and saved models
    exist only for the connections that the network keeps, so time and size fall with them. The same
    ``random_state`` gives the same bits, whatever ``n_jobs`` is. Features and targets are standardised within
    (``settings={"data.scale": "none", "data.target_scale": "none"}`` leaves them as they are), and losses are those
    of scaled targets.

    Parameters
    ----------
    {parameters}
    loss : str, default="auto"
        What is minimised: "mean-squared-error", which "auto" is, "huber", "absolute", or "quantile" for the median,
        or for what ``settings={"loss.quantile": 0.9}`` names.

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from rarefy import SparseMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> regressor = SparseMLPRegressor(sparsity=0.8, max_iter=20, random_state=0).fit(X[:400], y[:400])
    >>> bool(regressor.score(X[400:], y[400:]) > 0.4)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        loss="auto",
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
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
