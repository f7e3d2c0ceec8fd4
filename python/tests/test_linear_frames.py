"""Linear models take data frames: columns become numbers as for networks, and coefficients have names."""

import pickle
import warnings

import numpy as np
import pytest
from rarefy import (
    SparseLinearClassifier,
    SparseLinearClassifierCV,
    SparseLinearRegressor,
    SparseLinearRegressorCV,
    SparseMLPRegressor,
    lasso_path,
    logistic_path,
)
from sklearn.base import clone
from sklearn.model_selection import KFold

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

TOWNS = ["Bonn", "Kiel", "Ulm"]
NAMES = ["size", "town=Bonn", "town=Kiel", "town=Ulm", "kind=flat", "kind=house", "floors"]
MADE = {
    "pandas": lambda frame: frame,
    "polars": lambda frame: pl.from_pandas(frame),
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}
ESTIMATORS = [
    SparseLinearRegressor(0.01, tol=1e-9),
    SparseLinearRegressorCV(5, cv=3),
    SparseLinearClassifier(0.01, tol=1e-9),
    SparseLinearClassifierCV(5, cv=3),
]


def homes(rows=90):
    """Texts, categories, numbers, and gaps in each of them."""
    rng = np.random.default_rng(0)
    size, floors = rng.normal(size=rows), rng.integers(1, 5, rows).astype(float)
    size[::7] = np.nan
    town = rng.choice(TOWNS, rows).astype(object)
    town[::11] = None
    kind = pd.Categorical(rng.choice(["house", "flat"], rows), categories=["house", "flat"])
    return pd.DataFrame({"size": size, "town": town, "kind": kind, "floors": floors})


def coded(frame):
    """The same by hand: the mean for a gap, a column of 0 and 1 for each category."""
    size = frame["size"].fillna(frame["size"].mean())
    towns = [frame["town"] == town for town in TOWNS]
    kinds = [frame["kind"] == kind for kind in ("flat", "house")]
    return np.column_stack([size, *towns, *kinds, frame["floors"]]).astype(np.float32)


def target(estimator, frame):
    rent = (frame["floors"] * 2.0 + (frame["town"] == "Ulm") * 3.0).to_numpy()
    return np.where(rent > 5, "dear", "cheap") if hasattr(estimator, "predict_proba") else rent


def asked(estimator, X):
    return getattr(estimator, "predict_proba", estimator.predict)(X)


@pytest.mark.parametrize("library", MADE)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_columns_are_numbers_with_names(estimator, library):
    frame = homes()
    y, made = target(estimator, frame), MADE[library](frame)
    model = clone(estimator).fit(made, y)
    assert model.feature_names_in_.tolist() == list(frame.columns) and model.n_features_in_ == 4
    assert model.coef_names_.tolist() == NAMES
    by_name = dict(zip(model.coef_names_, np.atleast_2d(model.coef_)[0], strict=True))
    assert abs(by_name["town=Ulm"]) > 10 * abs(by_name["kind=flat"])
    by_hand = clone(estimator).set_params(**({} if not hasattr(model, "alpha_") else {"alphas": [model.alpha_]}))
    by_hand.fit(coded(frame), y)
    np.testing.assert_allclose(model.coef_, by_hand.coef_, atol=1e-5)
    np.testing.assert_allclose(asked(model, made), asked(by_hand, coded(frame)), atol=1e-4)
    # Columns are found by name, and a pickled model is what it was.
    turned = MADE[library](frame[frame.columns[::-1]])
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(model, protocol))
        np.testing.assert_array_equal(asked(again, turned), asked(model, made))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_categories_are_told_apart_by_name(estimator):
    frame = homes()
    model = clone(estimator).fit(frame, target(estimator, frame))
    expected = asked(model, frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Another order, categories that no cell has, texts for categories and the other way round: all are names.
        other = frame.assign(kind=frame["kind"].cat.set_categories(["tent", "flat", "house"]))
        np.testing.assert_array_equal(asked(model, other), expected)
        other = frame.assign(kind=frame["kind"].astype(str), town=frame["town"].astype("category"))
        np.testing.assert_array_equal(asked(model, other), expected)
        # Fewer categories than in training.
        ulm = frame["town"] == "Ulm"
        np.testing.assert_array_equal(asked(model, frame[ulm]), expected[ulm])
        nowhere = asked(model, frame.assign(town=pd.Series([None] * 90, dtype=object)))
    with pytest.warns(UserWarning, match="column town: 90 of 90 cells hold a category that training had not"):
        np.testing.assert_array_equal(asked(model, frame.assign(town="Rome")), nowhere)


@pytest.mark.parametrize("library", MADE)
def test_paths_name_their_coefficients(library):
    frame = homes()
    made, rent = MADE[library](frame), target(ESTIMATORS[0], frame)
    alphas, coefs, _, names = lasso_path(made, rent, alphas=5, tol=1e-9, return_names=True)
    assert names.tolist() == NAMES and coefs.shape == (7, 5)
    np.testing.assert_allclose(coefs, lasso_path(coded(frame), rent, alphas=alphas, tol=1e-9)[1], atol=1e-5)
    *_, names = logistic_path(made, rent > 5, alphas=5, return_names=True)
    assert names.tolist() == NAMES
    *_, names = lasso_path(coded(frame), rent, alphas=5, return_names=True)
    assert names.tolist() == [f"x{number}" for number in range(7)]


def test_a_fold_learns_nothing_from_what_it_leaves_out():
    frame, folds = homes(), KFold(3)
    frame.loc[:30, "size"] += 1e3  # of the first fold, which the mean of the others must not know
    frame.loc[60:, "town"] = "Rome"  # of the last one alone
    rent = target(ESTIMATORS[0], frame)
    model = SparseLinearRegressorCV([1.0, 0.1], cv=folds, tol=1e-9).fit(frame, rent)
    for at, alpha in enumerate(model.alphas_):
        for fold, (train, test) in enumerate(folds.split(frame)):
            plain = SparseLinearRegressor(alpha, tol=1e-9).fit(frame.iloc[train], rent[train])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loss = np.mean((plain.predict(frame.iloc[test]) - rent[test]) ** 2)
            assert model.loss_path_[at, fold] == pytest.approx(loss, rel=1e-4)


def test_samples_count_by_their_weight_in_what_is_learned():
    frame = homes()
    weights = (frame["town"] != "Kiel").to_numpy() * 2.0
    frame.loc[weights == 0, "size"] = 1e6
    rent, kept = target(ESTIMATORS[0], frame), weights > 0
    model = SparseLinearRegressor(0.01, tol=1e-9).fit(frame, rent, sample_weight=weights)
    without = SparseLinearRegressor(0.01, tol=1e-9).fit(frame[kept], rent[kept])
    assert model.coef_names_.tolist() == without.coef_names_.tolist()
    assert "town=Kiel" not in model.coef_names_
    np.testing.assert_allclose(model.coef_, without.coef_, atol=1e-5)


def test_columns_are_those_of_networks():
    frame = homes().assign(built=pd.Timestamp("2001-01-01") + pd.to_timedelta(np.arange(90) * 40, unit="D"))
    rent, settings = target(ESTIMATORS[0], frame), {"data.date": ["built"]}
    linear = SparseLinearRegressor(0.01, settings=settings).fit(frame, rent)
    network = SparseMLPRegressor((4,), max_iter=1, random_state=0, settings=settings | {"data.scale": "none"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.fit(frame, rent)
    assert len(linear.coef_names_) == network.coefs_[0].shape[0] > len(NAMES)
    assert any(name.startswith("built") for name in linear.coef_names_)


def test_bad_frames_and_settings_are_refused():
    frame = homes()
    rent = target(ESTIMATORS[0], frame)
    for bad, settings, problem in [
        (frame, {"data.date": ["bilt"]}, "did you mean|bilt"),
        (frame, {"data.validation_fraction": 0.2}, "all are fitted here"),
        (frame, {"train.epochs": 3}, "does not begin with"),
        (frame, {"data.label": ["town"]}, "beside the table"),
        (coded(frame), {"data.date": ["built"]}, "settings: say how columns of a data frame"),
        (frame.assign(tags=[[1, 2]] * 90), None, "tags"),
        (frame.assign(id=[f"home {number}" for number in range(90)]), None, "data.categorical"),
    ]:
        for fit in (SparseLinearRegressor(settings=settings).fit, lambda X, y: lasso_path(X, y, settings=settings)):  # noqa: B023
            with pytest.raises(ValueError, match=problem):
                fit(bad, rent)
    model = SparseLinearRegressor(0.01).fit(frame, rent)
    for new, problem in [
        (frame.drop(columns="town"), "yet now missing: town"),
        (frame.assign(colour="red"), "unseen at fit time: colour"),
        (coded(frame), "must be a data frame"),
        (frame.assign(floors="many"), "floors"),
    ]:
        with pytest.raises(ValueError, match=problem):
            model.predict(new)
