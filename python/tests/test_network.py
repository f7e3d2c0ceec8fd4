"""Networks of any layers take images, sequences, tokens and plain features."""

import pickle

import numpy as np
import pytest
import rarefy
from rarefy import NetworkClassifier, NetworkRegressor
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

SMALL = {"sparsity": 0.5, "random_state": 0, "n_jobs": 1}
LINEAR = [{"layer": "linear", "outputs": 64, "activation": "relu"}, {"layer": "linear"}]
CONVOLUTIONS = [
    {"layer": "conv2d", "filters": 8, "kernel": 3, "padding": "same", "activation": "relu"},
    {"layer": "max-pool", "kernel": 2},
    {"layer": "flatten"},
    {"layer": "linear"},
]
STEPS = [{"layer": "gru", "hidden": 8}, {"layer": "global-average-pool"}, {"layer": "linear"}]
TOKENS = [{"layer": "embedding", "channels": 8}, {"layer": "global-max-pool"}, {"layer": "linear"}]
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "compares float32 training at 1e-7",
    "check_sample_weight_equivalence_on_sparse_data": "compares float32 training at 1e-7",
}
CONFIGURATIONS = [
    {"network": LINEAR},
    {"network": "mlp", "method": "static", "settings": {"network.hidden": [64]}},
    {"network": LINEAR, "solver": "adamw", "sparsity": 0.5},
    {"network": [{"layer": "linear"}], "sparsity": 0.0, "learning_rate_init": 0.02},
    {"network": LINEAR, "early_stopping": True, "alpha": 1e-3},
    {"network": LINEAR, "penalty": "l1", "lam": 1e-4, "sparsity": "auto"},
]


@pytest.mark.filterwarnings("ignore:sparsity")
@parametrize_with_checks(
    [
        estimator(**{**SMALL, "max_iter": 30, "learning_rate_init": learning_rate, **parameters})
        for estimator, learning_rate in ((rarefy.NetworkClassifier, None), (rarefy.NetworkRegressor, 0.01))
        for parameters in CONFIGURATIONS
    ],
    expected_failed_checks=lambda _: EXPECTED,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def images():
    X, y = load_digits(return_X_y=True)
    return X.reshape(-1, 8, 8, 1), y


def test_images_have_their_channels_last_or_first():
    X, y = images()
    last = rarefy.NetworkClassifier(CONVOLUTIONS, max_iter=4, learning_rate_init=0.01, **SMALL).fit(X[:1200], y[:1200])
    assert last.score(X[1200:], y[1200:]) > 0.8
    assert [name for name, *_ in last._model.layers()]
    first = rarefy.NetworkClassifier(CONVOLUTIONS, max_iter=4, learning_rate_init=0.01, channels_first=True, **SMALL)
    first.fit(np.moveaxis(X[:1200], -1, 1), y[:1200])
    np.testing.assert_array_equal(first.predict_proba(np.moveaxis(X, -1, 1)), last.predict_proba(X))
    again = pickle.loads(pickle.dumps(last))
    np.testing.assert_array_equal(again.predict(X), last.predict(X))


def test_a_network_is_a_name_a_list_or_a_file(tmp_path):
    X, y = images()
    path = tmp_path / "net.toml"
    path.write_text(
        'layers = [{layer = "conv2d", filters = 8, kernel = 3, padding = "same", activation = "relu"}, '
        '{layer = "max-pool", kernel = 2}, {layer = "flatten"}, {layer = "linear"}]'
    )
    by_list, by_file, by_text = (
        rarefy.NetworkClassifier(network, max_iter=1, **SMALL).fit(X, y) for network in (CONVOLUTIONS, path, str(path))
    )
    for other in (by_file, by_text):
        np.testing.assert_array_equal(by_list.predict_proba(X), other.predict_proba(X))
    by_name = rarefy.NetworkClassifier("lenet5", width=2, max_iter=1, **SMALL)
    with pytest.raises(ValueError, match="lenet5|smaller|kernel"):
        by_name.fit(X[:, :3, :3], y)


def test_sequences_have_lengths():
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 13, 120)
    X = rng.normal(size=(120, 12, 2))
    y = np.array([X[row, : lengths[row], 0].mean() for row in range(120)])
    regressor = rarefy.NetworkRegressor(STEPS, max_iter=3, **SMALL).fit(X, y, lengths=lengths)
    # What stands beyond the end is not looked at.
    other = X.copy()
    for row, length in enumerate(lengths):
        other[row, length:] = 7
    np.testing.assert_array_equal(regressor.predict(X, lengths=lengths), regressor.predict(other, lengths=lengths))
    assert not np.array_equal(regressor.predict(X), regressor.predict(X, lengths=lengths))
    validated = rarefy.NetworkRegressor(STEPS, max_iter=2, **SMALL)
    validated.fit(X, y, lengths=lengths, X_val=X, y_val=y, lengths_val=lengths)
    assert len(validated.validation_scores_) == 2


def test_tokens_are_read_by_an_embedding():
    rng = np.random.default_rng(0)
    X = rng.integers(1, 20, size=(200, 6))
    y = (X == 7).any(axis=1)
    classifier = rarefy.NetworkClassifier(TOKENS, max_iter=60, learning_rate_init=0.01, **SMALL).fit(X, y)
    assert classifier.score(X, y) > 0.95
    with pytest.raises(ValueError, match="token 25"):
        classifier.predict(np.full((1, 6), 25))
    larger = rarefy.NetworkClassifier(TOKENS, vocabulary_size=30, max_iter=1, **SMALL).fit(X, y)
    assert larger.predict(np.full((1, 6), 25)).shape == (1,)


@pytest.mark.parametrize(
    ("network", "X", "fit", "problem"),
    [
        (CONVOLUTIONS, np.zeros((4, 8, 8)), {}, "newaxis"),
        (CONVOLUTIONS, np.zeros((4, 2, 2, 2, 2)), {}, "5 dimensions"),
        (TOKENS, np.zeros((4, 3)), {}, "whole numbers"),
        (TOKENS, np.full((4, 3), -1), {}, "token -1"),
        (STEPS, np.zeros((4, 3, 1)), {"lengths": [1, 2]}, "each of the 4 samples"),
        (STEPS, np.zeros((4, 3, 1)), {"lengths": [1, 2, 3, 4]}, "4"),
        (LINEAR, np.zeros((4, 3)), {"lengths": [1, 2, 3, 3]}, "for sequences"),
        ("vgg-smal", np.zeros((4, 8, 8, 1)), {}, "did you mean"),
        ([{"layer": "lineer"}], np.zeros((4, 3)), {}, "did you mean"),
        (3, np.zeros((4, 3)), {}, "network"),
    ],
)
def test_what_does_not_fit_is_refused(network, X, fit, problem):
    with pytest.raises(ValueError, match=problem):
        rarefy.NetworkClassifier(network, **SMALL).fit(X, [0, 1, 0, 1], **fit)


def test_samples_of_another_shape_are_refused():
    X, y = images()
    classifier = rarefy.NetworkClassifier(CONVOLUTIONS, max_iter=1, **SMALL).fit(X[:100], y[:100])
    for other in (X[:, :, :7], X.reshape(-1, 64), np.repeat(X, 2, axis=3)):
        with pytest.raises(ValueError, match="shape"):
            classifier.predict(other)


@pytest.mark.parametrize("kind", [NetworkClassifier, NetworkRegressor])
def test_sequences_come_in_chunks_too(kind):
    rng = np.random.default_rng(0)
    X, lengths = rng.normal(size=(60, 8, 2)), rng.integers(3, 9, size=60)
    y = np.array([x[:length, 0].sum() for x, length in zip(X, lengths, strict=True)])
    y = (y > 0).astype(int) if kind is NetworkClassifier else y
    network = [{"layer": "gru", "hidden": 4}, {"layer": "global-average-pool"}, {"layer": "linear"}]
    more = {"classes": [0, 1]} if kind is NetworkClassifier else {}
    spoiled = X.copy()
    for x, length in zip(spoiled, lengths, strict=True):
        x[length:] = 1e3  # what fills a sequence up counts for nothing
    models = [kind(network, sparsity=0.3, random_state=0, n_jobs=1) for _ in range(2)]
    for model, samples in zip(models, (X, spoiled), strict=True):
        for start in (0, 30):
            chunk = slice(start, start + 30)
            model.partial_fit(samples[chunk], y[chunk], lengths=lengths[chunk], **more)
    for ours, theirs in zip(models[0].coefs_, models[1].coefs_, strict=True):
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray())
    assert models[0].n_iter_ == 2
    with pytest.raises(ValueError, match="lengths"):
        models[0].partial_fit(X[:30], y[:30], lengths=[3])


@pytest.mark.parametrize("kind", [NetworkClassifier, NetworkRegressor])
def test_weights_count_samples(kind):
    rng = np.random.default_rng(0)
    X, times = rng.normal(size=(40, 6, 2)), np.arange(40) * 7 % 4
    y = (X[:, :, 0].sum(axis=1) > 0).astype(int)
    network = [
        {"layer": "conv1d", "filters": 4, "kernel": 3, "activation": "relu"},
        {"layer": "global-average-pool"},
        {"layer": "linear"},
    ]
    # In one batch: else a sample of weight 2 may be in another batch than its copy.
    options = {"batch_size": 1000, "max_iter": 15, "sparsity": 0.3, "method": "static", "random_state": 0}
    with pytest.warns(UserWarning, match="1000 is more than the"):
        weighted = kind(network, **options).fit(X, y, sample_weight=times)
        repeated = kind(network, **options).fit(X.repeat(times, axis=0), y.repeat(times))
    for ours, theirs in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_allclose(ours.toarray(), theirs.toarray(), atol=1e-4)
