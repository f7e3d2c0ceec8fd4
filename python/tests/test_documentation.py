"""The page on Python and README run: each section as one script. The stub names what the compiled part has."""

import ast
import inspect
import re
from pathlib import Path

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


@pytest.mark.parametrize("title", [title for title, code in SECTIONS.items() if code])
def test_examples_run(title, tmp_path, monkeypatch):
    if "torch" in SECTIONS[title]:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    exec(compile(SECTIONS[title], title, "exec"), {"__name__": "__main__"})


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
