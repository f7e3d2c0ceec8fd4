"""All settings with their defaults, and what they mean."""

import json

from ._engine import to_json
from ._keywords import given
from ._rarefy import complete_settings, settings_page


def settings(settings=None, /):
    """All settings of a run.

    Parameters
    ----------
    settings : dict or path of a TOML file, optional
        Settings that differ from the defaults, nested or by dotted keys.

    Returns
    -------
    dict
        All settings that have a value, nested as in a TOML file. ``explain`` tells what a key means.

    Examples
    --------
    >>> import rarefy
    >>> rarefy.settings()["topology"]["method"]
    'rigl'
    >>> rarefy.settings({"penalty.method": "l1"})["sparsity"]["density"]  # a penalty starts from all connections
    1.0
    """
    file, over = given(settings, {})
    return json.loads(complete_settings(to_json(over), file))


def explain(key):
    """What a setting means.

    Parameters
    ----------
    key : str
        A dotted key, as in ``topology.every``, or a section, as in ``topology``.

    Returns
    -------
    str
        Its meaning, its default and its values; for a section those of all of its keys.

    Examples
    --------
    >>> import rarefy
    >>> print(rarefy.explain("train.epochs"))
    train.epochs (whole number, default 50): Passes over the training part.
    """
    rows = list(_rows())
    found = [row for row in rows if row[0] == key or row[0].startswith(f"{key}.")]
    if not found:
        from difflib import get_close_matches

        near = get_close_matches(key, [row[0] for row in rows], n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise ValueError(f"there is no setting {key!r}{hint}")
    return "\n".join(
        f"{name} ({values or 'any'}{'' if default == '-' else f', default {default}'}): {meaning}"
        for name, default, values, meaning in found
    )


def _rows():
    """Key, default, values and meaning of each setting."""
    for line in settings_page().splitlines():
        if line.startswith("| `"):
            key, default, values, meaning = line.removeprefix("| ").removesuffix(" |").split(" | ", 3)
            yield key.strip("`"), default.strip("`"), values.replace("`", ""), meaning.replace("\\|", "|")
