"""Layers in a row, some of which no chain can hold."""

import torch

from ._chain import Step
from ._sequential import Run, SparseSequential, cut
from ._steps import step_of


class MixedSequential(SparseSequential):
    """What :func:`sparsify` makes of a :class:`torch.nn.Sequential` with modules that a :class:`SparseSequential` does
    not know: those between them share chains, and the others are torch's own.

    Parameters
    ----------
    modules : dict
        The modules by name.
    """

    def __init__(self, modules):
        torch.nn.Module.__init__(self)
        for name, module in modules.items():
            self.add_module(name, module)
        self._runs, known = [], {}
        for name, module in modules.items():
            if _is_known(module):
                known[name] = module
            else:
                self._runs += [*_chains(known), _alone(name, module)]
                known = {}
        self._runs += _chains(known)


def _is_known(module):
    try:
        step_of(module)
    except (TypeError, ValueError):
        return False
    return True


def _chains(modules):
    try:
        return [Run(keys, steps) for keys, steps in cut(modules)]
    except ValueError:
        # They do not follow each other as a chain would have it.
        return [_alone(name, module) for name, module in modules.items()]


def _alone(name, module):
    return Run([name], [Step(type(module).__name__, None)])
