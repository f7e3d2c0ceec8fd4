"""Texts are classified from lists of strings."""

import pickle

import numpy as np
import pytest
import rarefy

TEXTS = ["rain all day", "cup final drawn", "sun and rain", "the final goal", "clouds and sun", "goal in the cup"] * 6
TOPICS = ["weather", "sport"] * 18
SMALL = {"sparsity": 0.5, "max_iter": 40, "random_state": 0, "n_jobs": 1}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"ngrams": 2, "min_count": 2, "max_vocabulary": 10},
        {"network": "text-cnn", "width": 8, "context": 6, "learning_rate_init": 0.01},
        {"network": [{"layer": "embedding", "channels": 8}, {"layer": "global-max-pool"}, {"layer": "linear"}]},
        {"network": "text-cnn", "width": 8, "tokens": "characters", "context": 20, "learning_rate_init": 0.01},
        {"settings": {"data.text.bag.weighting": "counts"}},
    ],
)
def test_texts_are_learned(parameters):
    classifier = rarefy.TextClassifier(**SMALL | parameters).fit(TEXTS, TOPICS)
    assert classifier.score(TEXTS, TOPICS) > 0.9
    new = ["rain and sun", "the cup goal"]
    assert classifier.predict_proba(new).shape == (2, 2)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(new), classifier.predict_proba(new))


def test_the_vocabulary_is_kept():
    classifier = rarefy.TextClassifier(**SMALL).fit(TEXTS, TOPICS)
    assert {"rain", "goal"} <= set(classifier.vocabulary_)
    assert classifier.coefs_[0].shape[0] == len(classifier.vocabulary_)
    tokens = rarefy.TextClassifier(
        [{"layer": "embedding", "channels": 4}, {"layer": "global-max-pool"}, {"layer": "linear"}], **SMALL
    )
    assert "rain" in tokens.fit(TEXTS, TOPICS).vocabulary_


def test_columns_of_frames_and_arrays_are_lists_of_texts():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    expected = rarefy.TextClassifier(**SMALL).fit(TEXTS, TOPICS).predict_proba(TEXTS)
    for made in (pd.Series(TEXTS), pl.Series(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object)):
        np.testing.assert_array_equal(rarefy.TextClassifier(**SMALL).fit(made, TOPICS).predict_proba(made), expected)


@pytest.mark.parametrize(
    ("texts", "parameters", "problem"),
    [
        ("rain", {}, "one text"),
        ([["rain"], ["sun"]], {}, "not a text"),
        (np.array([["rain"], ["sun"]]), {}, "shape"),
        (["rain", None], {}, "sample 1 is None"),
        (["rain", "..."], {}, "sample 2: the document holds no words"),
        ([], {}, "no texts"),
        (["rain", "sun"], {"tokens": "letters"}, "tokens"),
        (["rain", "sun"], {"context": 3}, "context: is for tokens"),
        (["rain", "sun"], {"tokens": "words", "ngrams": 2}, "ngrams: is for bags"),
        (["rain", "sun"], {"network": "text-cn"}, "network"),
    ],
)
def test_bad_texts_are_refused(texts, parameters, problem):
    with pytest.raises(ValueError, match=problem):
        rarefy.TextClassifier(**SMALL | parameters).fit(texts, [0, 1][: len(texts)])


def test_what_is_too_long_is_told():
    network = [{"layer": "embedding", "channels": 4}, {"layer": "global-max-pool"}, {"layer": "linear"}]
    classifier = rarefy.TextClassifier(network, **SMALL).fit(TEXTS, TOPICS)
    with pytest.raises(ValueError, match="truncate"):
        classifier.predict(["rain " * 30])
    cut = rarefy.TextClassifier(network, truncate=True, **SMALL).fit(TEXTS, TOPICS)
    assert cut.predict(["rain " * 30]).shape == (1,)
