"""A module's ``forward`` by chains, where its layers follow each other."""

from dataclasses import dataclass

from torch import fx

from ._chain import leaves_of
from ._flags import flags_of
from ._graph import UnreadableError, looks_into, read
from ._sequential import Run, module_at


class Traced:
    """What stands in place of a module's ``forward`` and does the same, by calls that each go through several layers.

    Where the module is not as it was when its ``forward`` was read, as when modules within have hooks, are others or
    are in different modes, its own ``forward`` is called.

    Parameters
    ----------
    module : torch.nn.Module
    unreadable : collection of torch.nn.Module, optional
        Modules within that cannot be read, if they are known.
    """

    def __init__(self, module, unreadable=None):
        self._module = module
        self._plan = _plan(module, unreadable)

    @property
    def gains(self):
        """Whether there are layers that one call goes through."""
        return self._plan is not None

    def __call__(self, x):
        module = self._module
        self._read_again()
        if self._plan is None or isinstance(x, fx.Proxy) or not self._plan.stands(module):
            return type(module).forward(module, x)
        return self._plan(module, x)

    def sparse_places(self):
        """Each sparse layer, its chain, and which of the chain's weights is its own."""
        self._read_again()
        runs = [] if self._plan is None else self._plan.runs
        return [place for run in runs for place in run.sparse_places(self._module)]

    def _read_again(self):
        if self._plan is _COPIED:
            self._plan = _plan(self._module, None)

    def __getstate__(self):
        return {"_module": self._module}

    def __setstate__(self, state):
        # The module has no parts yet.
        self._module, self._plan = state["_module"], _COPIED


# In place of the plan of a copy, which is made when it is first asked for.
_COPIED = object()


def unreadable_in(model):
    """The modules of a model whose ``forward`` cannot be read, and why."""
    found = {}
    # Those within others first.
    for module in reversed(list(model.modules())):
        if looks_into(module):
            try:
                read(module, found)
            except UnreadableError as reason:
                found[module] = str(reason)
    return found


def _plan(module, unreadable):
    unreadable = unreadable_in(module) if unreadable is None else unreadable
    try:
        plan = _Plan(module, unreadable)
    except UnreadableError:
        return None
    return plan if any(len(leaves_of(run.chain.steps)) > 1 for run in plan.runs) else None


@dataclass(frozen=True)
class _Value:
    """One of the arrays of a pass."""

    index: int


class _Plan:
    """What is computed, one after the other: chains, and what torch computes."""

    def __init__(self, module, unreadable):
        growth = read(module, unreadable)
        self._order = {node: index for index, node in enumerate(growth.nodes)}
        self.runs, self._calls = [], []
        for value in growth.needed():
            self._add(value, growth.values[value])
        self._output = self._values(growth.output.args[0])
        self._state = _state(module)

    def stands(self, module):
        """Whether the module is as it was."""
        return (
            _state(module) == self._state
            and not any(_has_hooks(it) for it, _ in self._state[1:])
            and all(len(run.modes(module)) < 2 for run in self.runs)
        )

    def __call__(self, module, x):
        values = [x] + [None] * (len(self._order) - 1)
        for index, call, args, kwargs in self._calls:
            values[index] = call(module, *_filled(args, values), **_filled(kwargs, values))
        return _filled(self._output, values)

    def _add(self, value, grown):
        run = _run(grown.steps)
        if run is not None:
            self.runs.append(run)
            self._calls.append((self._order[value], run, (self._values(grown.source),), {}))
            return
        for node in sorted(grown.nodes or (value,), key=self._order.get):
            if node.op != "placeholder":
                self._calls.append((self._order[node], _call(node), self._values(node.args), self._values(node.kwargs)))

    def _values(self, arguments):
        return fx.node.map_arg(arguments, lambda node: _Value(self._order[node]))


def _run(steps):
    """The chain of some steps; None where torch is to compute them."""
    try:
        run = Run(steps)
    except ValueError:
        # They do not follow each other as a chain would have it.
        return None
    return run if run.chain is not None else None


def _call(node):
    """What a node of a graph computes, by the module that it is of and its arguments."""
    target = node.target
    match node.op:
        case "call_module":
            place = tuple(target.split("."))
            return lambda module, *args, **kwargs: module_at(module, place)(*args, **kwargs)
        case "call_method":
            return lambda _, array, *args, **kwargs: getattr(array, target)(*args, **kwargs)
        case "get_attr":
            *place, name = target.split(".")
            return lambda module: getattr(module_at(module, place), name)
        case _:
            return lambda _, *args, **kwargs: target(*args, **kwargs)


def _filled(arguments, values):
    """Arguments with the arrays in their places."""
    if isinstance(arguments, _Value):
        return values[arguments.index]
    if isinstance(arguments, (tuple, list)):
        return type(arguments)(_filled(it, values) for it in arguments)
    if isinstance(arguments, dict):
        return {name: _filled(it, values) for name, it in arguments.items()}
    if isinstance(arguments, slice):
        return slice(*(_filled(it, values) for it in (arguments.start, arguments.stop, arguments.step)))
    return arguments


def _state(module):
    """A module's parts, and what its ``forward`` may decide by."""
    return [(it, flags_of(it)) for it in module.modules()]


def _has_hooks(module):
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )
