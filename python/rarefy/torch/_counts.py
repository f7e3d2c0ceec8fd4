"""Whole numbers among arguments: sizes, and how many of something."""

from collections.abc import Iterable
from numbers import Integral


def count(name, value, least=1):
    """A whole number as Python has it; NumPy's are taken too, booleans are not.

    Raises
    ------
    ValueError
        If it is another thing or smaller, with the argument's name.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def sides(name, size, axes, least=1):
    """A number for each axis; one alone is for all of them."""
    each = tuple(size) if isinstance(size, Iterable) else (size,) * axes
    if len(each) != axes:
        raise ValueError(f"{name} must be a number or {axes} of them, not {size!r}")
    return tuple(count(name, side, least) for side in each)
