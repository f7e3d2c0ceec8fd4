"""What a module is set to, so that who has read it sees when that has changed."""

from torch import nn

from ._module import SparseModule

_PLAIN = (bool, int, float, str, type(None))
# The attributes that every module has: parts, hooks and the mode, and nothing that sets what it computes.
_COMMON = frozenset(vars(nn.Module()))


def flags_of(module):
    """A module's own plain attributes; which connections a sparse layer has is none."""
    if isinstance(module, SparseModule):
        return None
    return [(name, it) for name, it in vars(module).items() if name not in _COMMON and _is_plain(it)]


def _is_plain(it):
    return isinstance(it, _PLAIN) or (isinstance(it, tuple) and all(map(_is_plain, it)))
