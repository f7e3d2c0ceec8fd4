"""The engine from Python: runs, models, settings, in the words of the program."""

import json
import pickle
import signal
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import rarefy
import scipy.sparse

DIGITS = {"network.hidden": [16], "train.batch_size": 16}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return rarefy.train("digits", DIGITS, epochs=8, sparsity=0.5, method="set", seed=5, run_dir=folder)


def numbers(rows=200):
    X = np.random.default_rng(0).random((rows, 6))
    return X, X @ np.arange(6) + 0.5


# Keywords, and what they are in a file of settings.
WORDS = [
    ({"sparsity": 0.95}, "sparsity.density", 0.05),
    ({"density": 0.3}, "sparsity.density", 0.3),
    ({"block": 8}, "sparsity.block", 8),
    ({"method": "set"}, "topology.method", "set"),
    ({"penalty": "l1", "lam": 0.001}, "penalty.lambda", 0.001),
    ({"target": "nnz=1k"}, "target.nnz", 1000),
    ({"target": {"sparsity": 0.9}}, "target.sparsity", 0.9),
    ({"hidden": [8, 4]}, "network.hidden", [8, 4]),
    ({"optimizer": "sgd", "learning_rate": 0.2}, "optimizer.learning_rate", 0.2),
    ({"epochs": 2}, "train.epochs", 2),
    ({"precision": "bf16"}, "train.precision", "bf16"),
    ({"seed": 9}, "seed", 9),
    ({"threads": 1}, "threads", 1),
    ({"isa": "scalar"}, "isa", "scalar"),
]


def test_blocks_reach_all_layers():
    layers = rarefy.train("digits", DIGITS, block=8, hidden=[64], epochs=1).model.inspect()["layers"]
    assert [layer["block"] for layer in layers] == [8, 2]
    layers = rarefy.train("digits", DIGITS, block="auto", hidden=[128], epochs=1).model.inspect()["layers"]
    assert [layer["block"] for layer in layers] == [4, 1]


@pytest.mark.parametrize(("words", "key", "value"), WORDS)
def test_keywords_are_settings(words, key, value):
    run = rarefy.train("digits", DIGITS, **{"epochs": 1, **words})
    found = run.settings
    for part in key.split("."):
        found = found[part]
    assert found == value


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"sparsity": 95}, ValueError, "did you mean 0.95"),
        ({"sparsity": 0.9, "density": 0.1}, ValueError, "say the same"),
        ({"method": "rigel"}, rarefy.SettingError, "did you mean `rigl`"),
        ({"network": "lenet55"}, rarefy.SettingError, "did you mean lenet5"),
        ({"network": "mlp", "hidden": [3]}, ValueError, "network or hidden"),
        ({"target": "colour=red"}, rarefy.SettingError, "write sparsity=0.98"),
        ({"epochs": 0}, rarefy.SettingError, "train.epochs"),
        ({"settings": {"train.epoch": 3}}, rarefy.SettingError, "did you mean `epochs`"),
        ({"settings": 3}, TypeError, "dict or the path"),
        ({"callbacks": [3]}, TypeError, "callables"),
        ({"epoch": 3}, TypeError, "epoch"),
    ],
)
def test_mistakes_are_named(words, error, message):
    with pytest.raises(error, match=message):
        rarefy.train("digits", **words)


def test_data_is_asked_for_and_must_be_there(tmp_path):
    with pytest.raises(TypeError, match="needs data"):
        rarefy.train(epochs=1)
    with pytest.raises(rarefy.DataError) as caught:
        rarefy.train(tmp_path / "none.csv")
    assert caught.value.path.endswith("none.csv")
    with pytest.raises(TypeError, match="two arrays"):
        rarefy.train(np.eye(4))
    with pytest.raises(ValueError, match="does not fit"):
        rarefy.train((np.eye(4), [0, 1]))


X, Y = np.random.default_rng(0).random((40, 3)), np.arange(40) % 2


@pytest.mark.parametrize(
    ("X", "y", "task", "error", "words"),
    [
        (X + 1j, Y, "auto", TypeError, "X holds complex128"),
        ((1000 * X).astype("datetime64[s]"), Y, "auto", TypeError, "X holds datetime64"),
        (X, Y.astype("datetime64[s]"), "auto", TypeError, "y holds datetime64"),
        (X, np.array([1, "a"] * 20, dtype=object), "auto", TypeError, "y mixes words"),
        (X, np.array([1, None] * 20, dtype=object), "auto", TypeError, "y holds object"),
        (X, np.where(Y == 0, np.nan, Y), "classification", ValueError, "not finite"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(X, y, task, error, words):
    with pytest.raises(error, match=words):
        rarefy.train((X, y), DIGITS, task=task, epochs=1)


def test_whole_numbers_are_told_apart_as_float64s_are():
    times = 1_700_000_000 + np.random.default_rng(0).integers(0, 60, (300, 1))
    y = (times[:, 0] > 1_700_000_030).astype(int)
    of_integers, of_floats = (rarefy.train((X, y), DIGITS, epochs=20).model for X in (times, times.astype(np.float64)))
    assert np.array_equal(of_integers.predict_proba(times), of_floats.predict_proba(times.astype(np.float64)))
    assert of_integers.evaluate(times, y)["accuracy"] > 0.9


def test_a_run_is_what_its_folder_holds(run):
    assert (run.ending, run.epochs, len(run.records)) == ("finished", 8, 8)
    lines = (run.directory / "metrics.jsonl").read_text().splitlines()
    assert run.records == [json.loads(line) for line in lines]
    again = rarefy.load(run.directory)
    assert again.to_bytes() == run.model.to_bytes()
    assert abs(again.sparsity - 0.5) < 0.01
    assert 0.5 < run.test["accuracy"] < 1
    frame = run.to_frame()
    assert list(frame.index) == list(range(1, 9))
    with pytest.raises(rarefy.Error, match="holds a run already"):
        rarefy.train("digits", run_dir=run.directory)


def test_the_dense_twin_is_counted_and_stays_with_the_model(run):
    summary = run.summary("count")
    assert summary["dense_twin"]["nnz"] == 64 * 16 + 16 * 10
    assert json.loads((run.directory / "summary.json").read_text()) == summary
    assert rarefy.load(run.directory).summary == summary
    card = run.model.card(license="mit")
    assert card.startswith("---\n") and 'license: "mit"' in card and "| connections | " in card
    with pytest.raises(ValueError, match="count"):
        run.summary("guess")


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    whole = rarefy.train("digits", DIGITS, epochs=4, seed=2, run_dir=tmp_path / "whole")
    stopped = rarefy.train(
        "digits", DIGITS, epochs=4, seed=2, run_dir=tmp_path / "part", callbacks=[lambda record: record["epoch"] == 2]
    )
    assert (stopped.ending, stopped.epochs, stopped.test) == ("interrupted", 2, {})
    rest = rarefy.resume(tmp_path / "part")
    assert [record["epoch"] for record in rest.records] == [1, 2, 3, 4]
    assert rest.model.to_bytes() == whole.model.to_bytes()


def test_callbacks_are_told_and_closed_and_their_exceptions_arrive():
    class Watching:
        def __init__(self):
            self.epochs, self.closed = [], 0

        def __call__(self, record):
            self.epochs.append(record["epoch"])
            if record["epoch"] == 2:
                raise KeyError("mine")

        def close(self):
            self.closed += 1

    watching = Watching()
    with pytest.raises(KeyError, match="mine"):
        rarefy.train("digits", DIGITS, epochs=50, callbacks=[watching])
    assert (watching.epochs, watching.closed) == ([1, 2], 1)


def test_ctrl_c_leaves_a_model():
    timer = threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.warns(UserWarning, match="interrupted"):
        run = rarefy.train("digits", epochs=100_000)
    timer.join()
    assert run.ending == "interrupted" and time.monotonic() - began < 5
    assert run.model.predict(np.zeros((2, 64))).shape == (2,)


def test_a_file_of_settings_is_laid_under_keywords(tmp_path):
    (tmp_path / "run.toml").write_text("[data]\npath = 'digits'\n[train]\nepochs = 2\n[network]\nhidden = [8]\n")
    run = rarefy.train(settings=tmp_path / "run.toml", epochs=1)
    assert (run.epochs, run.settings["network"]["hidden"]) == (1, [8])


@pytest.mark.parametrize(
    ("y", "task", "expected"),
    [
        (lambda y: (y > 7).astype(int), "classification", {"0", "1"}),
        (lambda y: np.where(y > 7, "high", "low"), "classification", {"high", "low"}),
        (lambda y: y, "regression", None),
        (lambda y: y.astype(object), "regression", None),
        (lambda y: np.stack([y, -y], axis=1), "regression", None),
    ],
)
def test_arrays_are_data(y, task, expected):
    X, y = numbers()[0], y(numbers()[1])
    run = rarefy.train((X, y), DIGITS, density=0.9, epochs=2, seed=1)
    model = run.model
    said = model.predict(X)
    assert (model.task, said.shape) == (task, y.shape)
    if expected:
        assert set(said) <= expected and model.predict_proba(X).shape == (200, 2)
        assert 0 <= model.evaluate(X, y)["accuracy"] <= 1
    else:
        assert np.isfinite(said).all() and model.evaluate(X, y)["rmse"] > 0
        with pytest.raises(AttributeError, match="no probabilities"):
            model.predict_proba(X)


def test_sparse_rows_and_labels_are_data():
    X, y = numbers()
    X = scipy.sparse.csr_array(np.where(X > 0.7, X, 0))
    labels = np.stack([y > 7, y > 5], axis=1)
    model = rarefy.train((X, labels), DIGITS, task="multi-label", density=0.9, epochs=2).model
    assert set(np.unique(model.predict(X))) <= {0, 1} and model.predict_proba(X).shape == (200, 2)
    assert np.allclose(model.predict_proba(X), model.predict_proba(X.toarray()), atol=1e-6)


def test_images_are_data():
    X = np.random.default_rng(0).random((60, 8, 8, 1))
    layers = [
        {"layer": "conv2d", "filters": 4, "kernel": 3, "activation": "relu"},
        {"layer": "flatten"},
        {"layer": "linear"},
    ]
    model = rarefy.train((X, np.arange(60) % 3), network=layers, epochs=1, density=0.5).model
    assert model.predict(X[:5]).shape == (5,)
    assert np.array_equal(model.predict_proba(X[:5]), model.predict_proba(X[:5].reshape(5, -1)))
    with pytest.raises(ValueError, match=r"\(1, 8, 8\), and the model takes \(8, 8, 1\)"):
        model.predict(X[:5].reshape(5, 1, 8, 8))


def test_numbers_that_are_no_tokens_are_refused(tmp_path):
    layers = [{"layer": "embedding", "channels": 4}, {"layer": "global-max-pool"}, {"layer": "linear"}]
    X = np.random.default_rng(0).integers(0, 20, (60, 6))
    path = tmp_path / "tokens.safetensors"
    rarefy.NetworkClassifier(layers, max_iter=1, random_state=0).fit(X, X[:, 0] % 2).save(path)
    model = rarefy.load(path)
    assert model.predict_proba(X).shape == (60, 2)
    for wrong in (X + 2**32, X - 1):
        with pytest.raises(ValueError, match="tokens"):
            model.predict_proba(wrong)


def test_files_are_predicted_as_arrays_are(tmp_path):
    X, y = numbers()
    table = "\n".join(",".join(map(str, row)) for row in [*np.c_[X, y].tolist()])
    path = tmp_path / "table.csv"
    path.write_text(f"a,b,c,d,e,f,price\n{table}\n")
    run = rarefy.train(path, DIGITS, label="price", epochs=2, density=0.9)
    assert run.model.predict(path).shape == (200,)
    assert run.model.evaluate(path)["rmse"] > 0


def test_weights_are_all_that_the_model_has(run):
    weights = run.model.weights()
    assert weights["layers.0.weight"].shape == (16, 64) and scipy.sparse.issparse(weights["layers.0.weight"])
    assert weights["layers.0.bias"].shape == (16,)
    inspection = run.model.inspect()
    assert inspection["nnz"] == run.model.nnz == sum(layer["nnz"] for layer in inspection["layers"])
    assert "layers.0.weight" in str(inspection) and "<table>" in run.model._repr_html_()


def test_models_travel(run, tmp_path):
    run.model.save(tmp_path / "model.safetensors")
    X = np.random.default_rng(0).integers(0, 17, (9, 64)).astype(np.float32)
    expected = run.model.predict_proba(X)
    for other in (rarefy.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(run.model))):
        assert np.array_equal(other.predict_proba(X), expected)
    with pytest.raises(rarefy.FileError, match="no such file"):
        rarefy.load(tmp_path / "none")


def test_settings_are_whole_and_explained():
    settings = rarefy.settings()
    assert settings["train"]["epochs"] == 50
    assert rarefy.settings({"train": {"epochs": 3}})["train"]["epochs"] == 3
    assert "train.epochs (whole number, default 50): " in rarefy.explain("train.epochs")
    assert len(rarefy.explain("topology").splitlines()) > 5
    with pytest.raises(ValueError, match="did you mean train.epochs"):
        rarefy.explain("train.epoch")


def test_a_model_is_a_repository_of_the_hub(run, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    run.summary("count")
    run.model.save_pretrained(tmp_path / "repository", license="mit")
    names = {path.name for path in (tmp_path / "repository").iterdir()}
    assert {"README.md", "config.json", "model.safetensors"} <= names
    data = hub.ModelCard.load(tmp_path / "repository" / "README.md").data
    assert (data.license, data.library_name) == ("mit", "rarefy")
    assert data.eval_results[0].metric_value == pytest.approx(run.test["accuracy"])
    model = rarefy.Model.from_pretrained(tmp_path / "repository")
    assert model.to_bytes() == run.model.to_bytes() and model.summary == run.model.summary


def test_callbacks_tell_others(tmp_path, monkeypatch):
    from rarefy import callbacks

    told = []

    class Tracking:
        """What stands in for a package that is not installed here."""

        def __init__(self, *_):
            pass

        def __getattr__(self, name):
            return lambda *arguments, **options: told.append((name, arguments, options))

    tracking = Tracking()
    wandb = callbacks.WandB(run=tracking)
    rarefy.train("digits", DIGITS, epochs=1, callbacks=[wandb])
    (name, arguments, options) = told[0]
    assert (name, options) == ("log", {"step": 1}) and arguments[0]["train_loss"] > 0 and len(told) == 1
    told.clear()
    fake = SimpleNamespace(active_run=lambda: None, start_run=tracking.start_run, log_metrics=tracking.log_metrics)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(**vars(fake), end_run=tracking.end_run))
    rarefy.train("digits", DIGITS, epochs=1, callbacks=[callbacks.MLflow(run_name="digits")])
    assert [name for name, *_ in told] == ["start_run", "log_metrics", "end_run"]
    told.clear()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Tracking))
    rarefy.train("digits", DIGITS, epochs=1, callbacks=[callbacks.TensorBoard(tmp_path)])
    assert "train_loss" in [arguments[0] for name, arguments, _ in told if name == "add_scalar"]
    assert told[-1][0] == "close"


def test_a_path_goes_from_few_connections_to_many_and_tells_each():
    told = []
    path = rarefy.path("digits", hidden=[16], lambdas=4, epochs=2, seed=0, callbacks=[told.append])
    assert len(path) == 4 and told != path.records  # told as they come, kept the strongest first
    assert sorted(told, key=lambda record: -record["lambda"]) == path.records
    nonzeros = [record["nonzeros"] for record in path.records]
    assert nonzeros == sorted(nonzeros) and nonzeros[0] < nonzeros[-1]
    assert [model.nnz for model in path.models] == nonzeros
    assert path.models[path.knee].nnz <= path.models[path.best].nnz
    X = np.random.default_rng(0).integers(0, 17, (5, 64))
    assert path.models[path.best].predict(X).shape == (5,)
    again = rarefy.path("digits", hidden=[16], lambdas=4, epochs=2, seed=0, threads=1)
    without = [{key: value for key, value in record.items() if key != "seconds"} for record in path.records]
    assert without == [{key: value for key, value in r.items() if key != "seconds"} for r in again.records]
    one = rarefy.path("digits", hidden=[16], lambdas=4, epochs=2, callbacks=[lambda record: True])
    assert len(one) == 1
    with pytest.raises(ValueError, match="start must be"):
        rarefy.path("digits", start="middle")
    with pytest.raises(TypeError, match="needs data"):
        rarefy.path()


def test_a_path_of_arrays_takes_settings_over_its_own():
    X, y = np.random.default_rng(0).standard_normal((90, 4)), np.arange(90) % 2
    X[:, 0] += 3 * y
    path = rarefy.path((X, y), {"penalty": {"method": "group-inputs"}, "train.epochs": 1}, hidden=[4], lambdas=2)
    first = path.models[-1].config["network"]["layers"][0]
    assert first["outputs"] <= 4 and len(path) + len(path.emptied) == 2


@pytest.mark.parametrize("source", ["frame", "file"])
def test_models_predict_frames_with_columns_in_any_order(source, tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"size": rng.random(120), "town": ["Ulm", "Bonn", None] * 40})
    y = np.where(frame["town"] == "Ulm", "high", "low")
    if source == "file":
        frame.assign(price=y).to_csv(tmp_path / "homes.csv", index=False)
        model = rarefy.train(tmp_path / "homes.csv", label="price", epochs=30, density=0.9, seed=0).model
    else:
        model = rarefy.train((frame, y), epochs=30, density=0.9, seed=0).model
    said = model.predict(frame[["town", "size"]])
    assert (said == y).mean() > 0.9
    np.testing.assert_array_equal(model.predict(frame), said)
    with pytest.raises(rarefy.Error):
        model.predict(frame[["size"]])
