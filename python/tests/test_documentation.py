"""Examples run: those of the page on Python, of README and of docstrings. The stub names what the compiled part has."""

import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import rarefy
from rarefy import _rarefy

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text()
README = "# README\n" + (ROOT / "README.md").read_text()
SECTIONS = {
    text.splitlines()[0]: "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    for text in [*re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:], README]
}

PACKAGE = Path(rarefy.__file__).parent
WITH_EXAMPLES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("title", [title for title, code in SECTIONS.items() if code])
def test_examples_run(title, tmp_path, monkeypatch):
    if "torch" in SECTIONS[title]:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    exec(compile(SECTIONS[title], title, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("name", WITH_EXAMPLES)
@pytest.mark.filterwarnings("ignore")
def test_examples_of_docstrings_run(name, tmp_path, monkeypatch):
    if name.startswith("rarefy.torch"):
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_stub_names_what_there_is():
    tree = ast.parse(Path(rarefy.__file__).with_name("_rarefy.pyi").read_text())
    described = {
        node.name: {part.name for part in getattr(node, "body", []) if isinstance(part, ast.FunctionDef)}
        for node in tree.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    }
    public = {name for name in dir(_rarefy) if not name.startswith("_")}
    assert set(described) == public
    for name, members in described.items():
        thing = getattr(_rarefy, name)
        if inspect.isclass(thing):
            found = {member for member in dir(thing) if not member.startswith("_")}
            assert {member for member in members if not member.startswith("_")} == found, name


def fitted():
    """Each estimator, fitted to what has names where it takes names."""
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(np.random.default_rng(0).standard_normal((60, 4))).rename(columns="x{}".format)
    y = (X["x0"] > 0).astype(int)
    small = {"max_iter": 2, "random_state": 0}
    layers = [{"layer": "linear", "outputs": 4}, {"layer": "linear"}]
    for estimator in (
        rarefy.SparseMLPClassifier(**small),
        rarefy.SparseMLPRegressor(**small),
        rarefy.NetworkClassifier(layers, **small),
        rarefy.NetworkRegressor(layers, **small),
        rarefy.SparseLinearClassifier(),
        rarefy.SparseLinearRegressor(0.01),
        rarefy.SparseLinearClassifierCV(3),
        rarefy.SparseLinearRegressorCV(3),
        rarefy.SparsePathClassifier(n_lambdas=2, **small),
        rarefy.SparsePathRegressor(n_lambdas=2, **small),
        rarefy.SparseFeatureSelector(2, n_lambdas=2, **small),
    ):
        yield estimator.fit(X, y)
    yield rarefy.TextClassifier(**small).fit(["sun and rain", "a cup of tea"] * 20, [0, 1] * 20)


@pytest.mark.filterwarnings("ignore")
def test_documented_attributes_are_there():
    for estimator in fitted():
        _, _, attributes = inspect.getdoc(type(estimator)).partition("\nAttributes\n---")
        attributes, _, _ = attributes.partition("\nExamples\n")
        names = [name for entry in re.findall(r"^(\w.*?)(?: :|$)", attributes, re.M) for name in entry.split(", ")]
        assert len(names) > 3 and [name for name in names if not hasattr(estimator, name)] == []
