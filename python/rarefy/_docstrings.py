"""Docstrings that share what they say of parameters and attributes."""

import inspect
import re
import textwrap


def documenting(parameters, attributes=""):
    """A decorator that fills entries in numpydoc's style into a docstring: at ``{parameters}`` those of the parameters
    that a class or a function has, at ``{attributes}`` all.
    """

    def documented(thing):
        text = inspect.cleandoc(thing.__doc__ or "")
        known = inspect.signature(thing).parameters
        entries = re.split(r"\n(?=\S)", parameters)
        own = "\n".join(entry for entry in entries if re.match(r"\w+", entry)[0] in known)
        for name, part in [("{parameters}", own), ("{attributes}", attributes)]:
            text = text.replace(name, part)
        thing.__doc__ = textwrap.dedent(text)
        return thing

    return documented
