"""Data frames become samples as the same table in a file does, and models know their columns."""

import pickle
import warnings

import numpy as np
import pytest
import rarefy

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

SMALL = {"hidden_layer_sizes": (8,), "sparsity": 0.5, "max_iter": 5, "random_state": 0, "n_jobs": 1}


def homes(rows=60):
    """All that a column may be."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=rows)
    size[::7] = np.nan
    return pd.DataFrame(
        {
            "size": size,
            "floors": rng.integers(1, 5, rows),
            "garden": rng.random(rows) < 0.5,
            "town": rng.choice(["Bonn", "Ulm", "Kiel"], rows),
            "kind": pd.Categorical(rng.choice(["flat", "house"], rows)),
            "built": pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 9000, rows), unit="D"),
        },
        index=np.arange(rows) * 3 + 5,
    )


def price(frame):
    return (frame["floors"] * 2.0 + (frame["town"] == "Ulm") * 3.0).to_numpy()


MADE = {
    "pandas": lambda frame: frame,
    "polars": lambda frame: pl.from_pandas(frame),
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}
DATES = {"data.date": ["built"]}


@pytest.mark.parametrize("library", MADE)
def test_frames_of_each_library_are_one_table(library):
    frame = homes()
    expected = rarefy.SparseMLPRegressor(**SMALL, settings=DATES).fit(frame, price(frame)).predict(frame)
    made = MADE[library](frame)
    regressor = rarefy.SparseMLPRegressor(**SMALL, settings=DATES).fit(made, price(frame))
    np.testing.assert_array_equal(regressor.predict(made), expected)
    assert regressor.n_features_in_ == 6
    assert regressor.feature_names_in_.tolist() == list(frame.columns)
    # size, floors, garden twice, three towns, two kinds, and days, weekday and so on of the date.
    assert regressor.coefs_[0].shape[0] > 9
    # Columns are found by name, and the model stays what it is when pickled.
    turned = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(regressor)).predict(turned), expected)


def test_a_table_is_learned_from():
    frame = homes(400)
    regressor = rarefy.SparseMLPRegressor((32,), sparsity=0.5, max_iter=60, random_state=0, settings=DATES)
    assert regressor.fit(frame[:300], price(frame[:300])).score(frame[300:], price(frame[300:])) > 0.8
    # One importance a column, whatever inputs it became.
    importances = dict(zip(frame.columns, regressor.feature_importances_, strict=True))
    assert importances["town"] > importances["kind"]


def test_numbers_without_gaps_are_arrays():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 5.0] * 5, "b": [True, False, True, True] * 5})
    for made in (frame, pl.from_pandas(frame)):
        classifier = rarefy.SparseMLPClassifier(**SMALL).fit(made, [0, 1] * 10)
        np.testing.assert_array_equal(classifier.predict_proba(made), classifier.predict_proba(frame))
        with pytest.raises(ValueError, match="NaN"):
            classifier.predict(pd.DataFrame({"a": [1.0, np.nan], "b": [True, False]}))
    assert classifier.coefs_[0].shape[0] == 2


def test_gaps_of_numbers_are_filled():
    frame = pd.DataFrame({"a": [1.0, None, 3.0, 5.0] * 5, "b": [0.0, 1.0, 2.0, 4.0] * 5})
    for made in (frame, pl.from_pandas(frame)):
        classifier = rarefy.SparseMLPClassifier(**SMALL).fit(made, ["no", "yes"] * 10)
        assert set(classifier.predict(made)) <= {"no", "yes"}
        # A mean is what a gap becomes.
        filled = frame.fillna(frame.mean())
        np.testing.assert_allclose(classifier.predict_proba(made), classifier.predict_proba(filled), rtol=1e-5)


def test_new_frames_are_checked():
    frame = homes()
    classifier = rarefy.SparseMLPClassifier(**SMALL, settings=DATES).fit(frame, price(frame) > 5)
    for new, problem in [
        (frame.drop(columns="town"), "yet now missing: town"),
        (frame.assign(colour="red"), "unseen at fit time: colour"),
        (frame.to_numpy(), "must be a data frame"),
        (frame.assign(floors="many"), "floors"),
    ]:
        with pytest.raises(ValueError, match=problem):
            classifier.predict(new)
    with pytest.warns(UserWarning, match="column town: 60 of 60 cells hold a category that training had not"):
        classifier.predict(frame.assign(town="Rome"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.predict(frame)


def test_bad_frames_are_refused():
    frame = homes()
    for bad, settings, problem in [
        (frame, {"data.date": ["bilt"]}, "did you mean"),
        (frame.assign(tags=[[1, 2]] * 60), DATES, "tags"),
        (frame, {**DATES, "data.label": ["town"]}, "beside the table"),
        (frame[:0], DATES, "0"),
    ]:
        with pytest.raises(ValueError, match=problem):
            rarefy.SparseMLPClassifier(**SMALL, settings=settings).fit(bad, (price(frame) > 5)[: len(bad)])
    with pytest.raises(ValueError, match="inconsistent"):
        rarefy.SparseMLPClassifier(**SMALL, settings=DATES).fit(frame, [0, 1])


def test_weights_validation_and_steps_take_frames():
    frame = homes(90)
    y = price(frame) > 5
    fitted = rarefy.SparseMLPClassifier(**SMALL, settings=DATES).fit(
        frame[:60], y[:60], np.linspace(0, 1, 60), X_val=frame[60:], y_val=y[60:]
    )
    assert len(fitted.validation_scores_) == 5
    stepwise = rarefy.SparseMLPClassifier(**SMALL, settings=DATES)
    for start in (0, 45):
        stepwise.partial_fit(frame[start : start + 45], y[start : start + 45], classes=[False, True])
    assert stepwise.predict(frame).shape == (90,)
    assert fitted.predict(frame).dtype == bool
