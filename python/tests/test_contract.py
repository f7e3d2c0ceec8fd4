"""scikit-learn's own checks of estimators pass, in several configurations of each."""

import numpy as np
import pytest
import rarefy
from sklearn.utils.estimator_checks import parametrize_with_checks

# They compare at 1e-7, which float32 training cannot reach. `test_weights_are_repetitions` holds it at 1e-4.
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "compares float32 training at 1e-7",
    "check_sample_weight_equivalence_on_sparse_data": "compares float32 training at 1e-7",
}
CONFIGURATIONS = [
    {},
    {"method": "static", "hidden_layer_sizes": (), "sparsity": 0.0, "learning_rate_init": 0.05},
    {"method": "set", "sparsity": 0.5, "solver": "sgd", "learning_rate_init": 0.02, "momentum": 0.9, "clip_norm": 1.0},
    {"sparsity": 0.0, "hidden_layer_sizes": (20, 10), "activation": "tanh"},
    {"sparsity": 0.4, "block": 4},
    {"early_stopping": True, "dropout": 0.1, "alpha": 1e-3, "batch_size": 16, "solver": "adamw"},
    {"penalty": "l1", "lam": 1e-4, "schedule": "constant"},
]
ESTIMATORS = [
    estimator(n_jobs=1, **{"max_iter": 30, **parameters})
    for estimator in (rarefy.SparseMLPClassifier, rarefy.SparseMLPRegressor)
    for parameters in CONFIGURATIONS
]


@pytest.mark.filterwarnings("ignore:sparsity", "ignore:batch_size")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda _: EXPECTED)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [rarefy.SparseMLPClassifier, rarefy.SparseMLPRegressor])
def test_weights_are_repetitions(estimator):
    """A weight of 0 is as if the sample were not there, 2 as if it stood twice: in full batches, without dropout."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    weights = rng.integers(0, 3, size=40)
    weights[:2] = 1
    repeated = np.repeat(np.arange(40), weights)

    def fitted(X, y, weights=None):
        network = estimator(
            (8,), batch_size=len(X), max_iter=20, sparsity=0.5, method="static", schedule="constant", random_state=1
        )
        return network.fit(X, y, weights)

    networks = fitted(X, y, weights), fitted(X[repeated], y[repeated])
    outputs = [getattr(network, "predict_proba", network.predict)(X) for network in networks]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-4)
