"""Sparse linear models are scikit-learn's, at the same optimum, from dense and sparse arrays."""

import pickle
import threading
import warnings

import numpy as np
import pytest
import scipy.sparse
from rarefy import (
    SparseLinearClassifier,
    SparseLinearClassifierCV,
    SparseLinearRegressor,
    SparseLinearRegressorCV,
    lasso_path,
    logistic_path,
)
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, Lasso, LassoCV, LogisticRegression
from sklearn.linear_model import lasso_path as their_lasso_path
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

STORAGES = {
    "dense": np.asarray,
    "fortran": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_array,
    "csr matrix": scipy.sparse.csr_matrix,
    "coo": scipy.sparse.coo_array,
}

# They compare at 1e-7 what is solved to a gap, from float32; `test_weights_count_samples` holds both at 1e-4.
EQUIVALENCES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "compares at 1e-7; held at 1e-4 here"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [
        SparseLinearRegressor(),
        SparseLinearRegressor(alpha=0.01),
        SparseLinearRegressor(alpha=0.1, l1_ratio=0.5, n_jobs=1),
        SparseLinearRegressor(alpha=0.1, fit_intercept=False, tol=1e-8),
        SparseLinearClassifier(),
        SparseLinearClassifier(alpha=0.01, class_weight="balanced"),
        SparseLinearClassifier(alpha=0.01, l1_ratio=0.5, n_jobs=1),
        SparseLinearClassifier(alpha=1e-4, tol=1e-8),
    ],
    expected_failed_checks=lambda _: EQUIVALENCES,
)
def test_the_contract_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


# Of samples that stand twice one may be in another fold than its copy, which no weight says.
FOLDS = {name: "folds are of samples, not of their weights" for name in EQUIVALENCES}


@parametrize_with_checks(
    [
        SparseLinearRegressorCV(10, cv=3),
        SparseLinearRegressorCV([0.5, 0.01], cv=2, l1_ratio=0.5, n_jobs=1),
        SparseLinearRegressorCV(5, cv=3, fit_intercept=False),
        SparseLinearClassifierCV(10, cv=3),
        SparseLinearClassifierCV([0.05, 0.001], cv=2, class_weight="balanced"),
        SparseLinearClassifierCV(5, cv=3, l1_ratio=0.5, n_jobs=1),
    ],
    expected_failed_checks=lambda _: FOLDS,
)
def test_the_contract_of_scikit_learn_by_cross_validation(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


def table(samples=80, features=40, seed=0):
    """Half of the values are zeros."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((samples, features)) * (rng.random((samples, features)) < 0.5)
    X = X.astype(np.float32).astype(np.float64)
    z = 2 * X[:, 1] - 1.5 * X[:, 2] + X[:, 3] + 0.3 * rng.standard_normal(samples) + 0.5
    return X, z


def penalty(w, alpha, l1_ratio):
    return alpha * (l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * (w**2).sum())


def squared(X, y, w, b, alpha, l1_ratio, s=None):
    return np.average((y - X @ w - b) ** 2, weights=s) / 2 + penalty(w, alpha, l1_ratio)


def logistic(X, y, w, b, alpha, l1_ratio, s=None):
    t = X @ w + b
    return np.average(np.logaddexp(0, t) - y * t, weights=s) + penalty(w, alpha, l1_ratio)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.1, 1.0), (0.005, 1.0), (0.05, 0.4)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_regression_reaches_their_optimum(storage, alpha, l1_ratio, fit_intercept):
    X, y = table()
    theirs = ElasticNet(alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-12, max_iter=100_000).fit(X, y)
    ours = SparseLinearRegressor(alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-9)
    ours.fit(STORAGES[storage](X), y)
    a = squared(X, y, ours.coef_, ours.intercept_, alpha, l1_ratio)
    b = squared(X, y, theirs.coef_, theirs.intercept_, alpha, l1_ratio)
    assert abs(a - b) <= 1e-8 * b
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    assert ours.sparse_coef_.nnz == np.count_nonzero(ours.coef_) > 0
    assert 0 <= ours.dual_gap_ <= 1e-9 * squared(X, y, 0 * ours.coef_, 0, alpha, l1_ratio)
    np.testing.assert_allclose(ours.predict(STORAGES[storage](X)), X @ ours.coef_ + ours.intercept_, atol=1e-5)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.05, 1.0), (0.003, 1.0), (0.03, 0.5)])
def test_classification_reaches_their_optimum(storage, alpha, l1_ratio):
    X, z = table()
    y = (z > 0.3).astype(int)
    theirs = LogisticRegression(C=1 / (alpha * len(y)), l1_ratio=l1_ratio, solver="saga", tol=1e-7, max_iter=20_000)
    if l1_ratio < 1:
        theirs.set_params(l1_ratio=l1_ratio)
    theirs.fit(X, y)
    ours = SparseLinearClassifier(alpha, l1_ratio=l1_ratio, tol=1e-8).fit(STORAGES[storage](X), y)
    a = logistic(X, y, ours.coef_[0], ours.intercept_[0], alpha, l1_ratio)
    b = logistic(X, y, theirs.coef_[0], theirs.intercept_[0], alpha, l1_ratio)
    assert a <= b * (1 + 1e-8) and abs(a - b) <= 1e-5 * b
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=5e-3)
    np.testing.assert_allclose(ours.predict_proba(STORAGES[storage](X)), theirs.predict_proba(X), atol=5e-3)


def test_liblinear_finds_the_same_without_an_intercept():
    X, z = table()
    y, alpha = (z > 0).astype(int), 0.01
    options = {"C": 1 / (alpha * len(y)), "solver": "liblinear", "tol": 1e-10, "max_iter": 10_000}
    theirs = LogisticRegression(l1_ratio=1, fit_intercept=False, **options).fit(X, y)
    ours = SparseLinearClassifier(alpha, fit_intercept=False, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    assert ours.intercept_ == [0]


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize(
    "estimator",
    [
        SparseLinearRegressor(0.02, tol=1e-10),
        SparseLinearRegressor(0.02, l1_ratio=0.5, fit_intercept=False, tol=1e-10),
        SparseLinearClassifier(0.01, tol=1e-10),
        SparseLinearClassifier(0.01, class_weight="balanced", tol=1e-10),
        SparseLinearClassifier(0.01, class_weight={0: 1, 1: 3}, fit_intercept=False, tol=1e-10),
    ],
)
def test_weights_count_samples(estimator, storage):
    X, z = table()
    y = z if isinstance(estimator, SparseLinearRegressor) else (z > 0).astype(int)
    times = np.arange(len(y)) * 7 % 4
    weighted = clone(estimator).fit(STORAGES[storage](X), y, sample_weight=times * 0.5)
    repeated = clone(estimator).fit(STORAGES[storage](X.repeat(times, axis=0)), y.repeat(times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-4)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, atol=1e-4)
    assert weighted.score(X, y, times) == pytest.approx(
        repeated.score(X.repeat(times, axis=0), y.repeat(times)), abs=1e-6
    )


def test_their_lasso_weighs_samples_alike():
    X, y = table()
    weights = np.random.default_rng(1).random(len(y))
    theirs = Lasso(0.03, tol=1e-10, max_iter=100_000).fit(X, y, sample_weight=weights)
    ours = SparseLinearRegressor(0.03, tol=1e-10).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)


def test_several_classes_are_one_against_the_others():
    X, z = table(150)
    y = np.array(["low", "middle", "high"])[np.digitize(z, [-0.5, 1.0])]
    model = SparseLinearClassifier(0.01, tol=1e-8).fit(X, y)
    assert model.coef_.shape == (3, 40) and list(model.classes_) == ["high", "low", "middle"]
    for number, name in enumerate(model.classes_):
        alone = SparseLinearClassifier(0.01, tol=1e-8).fit(X, y == name)
        np.testing.assert_allclose(model.coef_[number], alone.coef_[0], atol=1e-9)
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (model.classes_[probabilities.argmax(axis=1)] == model.predict(X)).all()
    assert model.score(X, y) > 0.8


@pytest.mark.parametrize("kind", [np.float64, np.int64])
def test_numbers_that_differ_little_are_told_apart(kind):
    times = (1_700_000_000 + np.random.default_rng(0).integers(0, 60, (300, 2))).astype(kind)
    y = times[:, 0] - 0.5 * times[:, 1]
    theirs = Lasso(alpha=0.1).fit(times, y)
    for model in (SparseLinearRegressor(alpha=0.1), SparseLinearRegressorCV([0.1])):
        model.fit(times, y)
        assert model.score(times, y) == pytest.approx(theirs.score(times, y), abs=1e-3)
        np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-3)
    assert SparseLinearClassifier(alpha=0.001).fit(times, y > y.mean()).score(times, y > y.mean()) > 0.95


def test_several_targets_are_solved_one_by_one():
    X, y = table()
    both = SparseLinearRegressor(0.05).fit(X, np.column_stack([y, -2 * y]))
    assert both.predict(X).shape == (80, 2) and both.intercept_.shape == both.dual_gap_.shape == (2,)
    np.testing.assert_array_equal(both.coef_[0], SparseLinearRegressor(0.05).fit(X, y).coef_)


@pytest.mark.parametrize("estimator", [SparseLinearRegressor(0.02), SparseLinearClassifier(0.01)])
def test_threads_and_pickling_change_no_bit(estimator):
    X, z = table(300, 150)
    y = z if isinstance(estimator, SparseLinearRegressor) else (z > 0).astype(int)
    one, two = (clone(estimator).set_params(n_jobs=jobs).fit(X, y) for jobs in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).predict(X), two.predict(X))
    search = GridSearchCV(estimator, {"alpha": [0.001, 0.01, 0.1]}, cv=3, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.8


@pytest.mark.parametrize("storage", ["dense", "csc"])
def test_the_path_is_theirs(storage):
    X, y = table()
    X, y = X - X.mean(axis=0), y - y.mean()
    alphas, coefs, gaps = lasso_path(STORAGES[storage](X), y, alphas=20, eps=0.01, tol=1e-9)
    their_alphas, theirs, _ = their_lasso_path(X, y, alphas=20, eps=0.01, tol=1e-11, max_iter=100_000)
    np.testing.assert_allclose(alphas, their_alphas, rtol=1e-5)
    np.testing.assert_allclose(coefs, theirs, atol=1e-4)
    assert gaps.shape == (20,) and gaps.max() < 1e-8
    some, _, _ = lasso_path(X, y, alphas=[0.1, 0.3])
    assert list(some) == [0.3, 0.1]


def test_the_path_of_logistic_regression_has_its_models():
    X, z = table()
    y = np.where(z > 0, "yes", "no")
    alphas, coefs, intercepts, _ = logistic_path(scipy.sparse.csr_array(X), y, alphas=8, eps=0.05, tol=1e-9)
    assert np.count_nonzero(coefs[:, 0]) == 0 and (np.diff(alphas) < 0).all()
    for at in (3, 7):
        model = SparseLinearClassifier(alphas[at], tol=1e-9).fit(X, y)
        np.testing.assert_allclose(coefs[:, at], model.coef_[0], atol=1e-4)
        np.testing.assert_allclose(intercepts[at], model.intercept_[0], atol=1e-4)


def test_a_strong_penalty_leaves_the_intercept():
    X, y = table()
    model = SparseLinearRegressor(100.0).fit(X, y)
    assert model.sparse_coef_.nnz == 0 and model.n_iter_ == 1
    assert model.intercept_ == pytest.approx(y.mean())


def test_stored_zeros_and_repeated_entries_are_what_they_mean():
    X, y = table()
    plain = scipy.sparse.coo_array(X)
    rows, cols = plain.coords
    twice = scipy.sparse.coo_array(
        (np.r_[plain.data / 2, plain.data / 2, 0.0], (np.r_[rows, rows, 5], np.r_[cols, cols, 6])), shape=X.shape
    )
    ours = SparseLinearRegressor(0.05).fit(twice, y)
    np.testing.assert_allclose(ours.coef_, SparseLinearRegressor(0.05).fit(X, y).coef_, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 0}, "alpha == 0; it must be a number above 0"),
        ({"alpha": "much"}, "alpha == 'much'"),
        ({"l1_ratio": 0.0}, "l1_ratio == 0.0; it must be above 0"),
        ({"tol": 2}, "tol == 2; it must be between 0 and 1"),
        ({"max_iter": 0}, "max_iter == 0"),
        ({"n_jobs": 0}, "n_jobs == 0"),
        ({"n_jobs": 2.0}, "n_jobs == 2.0"),
    ],
)
def test_bad_parameters_are_named(change, words):
    X, y = table()
    for estimator, target in [(SparseLinearRegressor, y), (SparseLinearClassifier, y > 0)]:
        with pytest.raises(ValueError, match=words):
            estimator(**change).fit(X, target)


def test_bad_samples_are_refused():
    X, y = table()
    for fit, words in [
        (lambda: SparseLinearClassifier().fit(X, np.ones(80)), "one class"),
        (lambda: SparseLinearRegressor().fit(X * 1e39, y), "not finite"),
        (lambda: SparseLinearRegressor().fit(X, y, sample_weight=-np.ones(80)), "[Nn]egative"),
        (lambda: SparseLinearRegressor().fit(X, y, sample_weight=np.zeros(80)), "zero|all are 0"),
        (lambda: logistic_path(X, np.arange(80) % 3), "3 classes"),
        (lambda: lasso_path(X, y, alphas=0), "at least 1"),
        (lambda: lasso_path(X, y, alphas=[1.0, -1.0]), "above 0"),
        (lambda: lasso_path(X, y, eps=1.5), "eps == 1.5"),
        (lambda: lasso_path(X, np.zeros(80)), "does not change"),
    ]:
        with pytest.raises(ValueError, match=words), np.errstate(over="ignore"):
            fit()


def test_what_was_not_reached_is_told():
    X, y = table()
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        model = SparseLinearRegressor(0.001, max_iter=1, tol=1e-10).fit(X, y)
    assert model.dual_gap_ > 0


def test_other_threads_run_meanwhile():
    X, z = table(2000, 400)
    ticks, done = [], threading.Event()

    def tick():
        while not done.wait(0.001):
            ticks.append(1)

    other = threading.Thread(target=tick)
    other.start()
    SparseLinearClassifier(1e-4, tol=1e-9).fit(X, z > 0)
    done.set()
    other.join()
    assert len(ticks) > 5


@pytest.mark.parametrize("storage", ["dense", "csr", "csc"])
def test_cross_validation_chooses_as_scikit_learn_does(storage):
    X, y = table()
    model = SparseLinearRegressorCV(30, cv=4, tol=1e-8).fit(STORAGES[storage](X), y)
    theirs = LassoCV(alphas=model.alphas_, cv=4, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(model.loss_path_, theirs.mse_path_, rtol=1e-4)
    assert model.alpha_ == theirs.alpha_ and model.alphas_[0] == pytest.approx(1000 * model.alphas_[-1])
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-4)


def test_cross_validation_of_classes_takes_the_least_logarithmic_loss():
    X, z = table(160)
    y = np.digitize(z, [-1, 1])
    folds = StratifiedKFold(4)
    model = SparseLinearClassifierCV([0.3, 0.03, 0.003], cv=folds, tol=1e-6).fit(X, y)
    for alpha, losses in zip(model.alphas_, model.loss_path_, strict=True):
        plain = SparseLinearClassifier(alpha, tol=1e-6)
        np.testing.assert_allclose(-cross_val_score(plain, X, y, cv=folds, scoring="neg_log_loss"), losses, rtol=1e-4)
    assert model.alpha_ == model.alphas_[model.loss_path_.mean(axis=1).argmin()]
    np.testing.assert_array_equal(model.coef_, SparseLinearClassifier(model.alpha_, tol=1e-6).fit(X, y).coef_)


def test_samples_of_no_weight_judge_nothing():
    X, y = table()
    weights = np.arange(80) % 3 != 0
    spoiled = np.where(weights, y, 1e6)
    options = {"alphas": [0.3, 0.03, 0.003], "cv": 4}
    model = SparseLinearRegressorCV(**options).fit(X, spoiled, sample_weight=weights)
    assert model.loss_path_.max() < 100


def test_folds_that_tell_nothing_are_named():
    X, y = table()
    weights = np.r_[np.zeros(20), np.ones(60)]
    with pytest.raises(ValueError, match="all 20 samples to judge by in fold 1 weigh nothing"):
        SparseLinearRegressorCV(cv=KFold(4)).fit(X, y, sample_weight=weights)
    with pytest.raises(ValueError, match="fold 1 has no two classes to train on where 'late'"):
        SparseLinearClassifierCV(cv=KFold(2)).fit(X, np.repeat(["early", "late"], 40))
    with pytest.raises(ValueError, match="alphas == 10.0"):
        lasso_path(X, y, alphas=10.0)
