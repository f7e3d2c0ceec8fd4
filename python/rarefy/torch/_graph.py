"""What a module's ``forward`` does, read once by torch.fx, and where in it chains can be.

Values of the graph that lead from one to the next by steps of a chain are grown into runs; two that come from the same
value and are added become a sum within such a run, as in a residual block::

    x -+-- conv - norm - relu - conv - norm --(+)-- relu        one run from x to the end
       +---------------------------------------+
"""

import inspect
import operator
import os
import pickle
import random
import sys
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from ._chain import Step
from ._module import SparseModule
from ._steps import is_flat, step_of

_TORCH = os.path.dirname(torch.__file__)
_SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}
_CHANGES_ITS_INPUT = {operator.iadd, operator.imul, operator.isub, operator.itruediv}


def _flatten(start_dim=0, end_dim=-1):
    return nn.Flatten(start_dim, end_dim)


def _max_pool(kind):
    def make(kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        return kind(kernel_size, stride, padding, dilation, return_indices, ceil_mode)

    return make


# Functions and methods of tensors, and the modules that do the same.
_FUNCTIONS = {
    functional.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    "relu": nn.ReLU,
    "relu_": nn.ReLU,
    functional.leaky_relu: nn.LeakyReLU,
    functional.silu: nn.SiLU,
    functional.gelu: lambda approximate="none": nn.GELU(approximate),
    torch.tanh: nn.Tanh,
    "tanh": nn.Tanh,
    torch.sigmoid: nn.Sigmoid,
    "sigmoid": nn.Sigmoid,
    torch.max_pool1d: _max_pool(nn.MaxPool1d),
    torch.max_pool2d: _max_pool(nn.MaxPool2d),
    functional.max_pool1d: _max_pool(nn.MaxPool1d),
    functional.max_pool2d: _max_pool(nn.MaxPool2d),
    functional.avg_pool1d: nn.AvgPool1d,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool1d: nn.AdaptiveAvgPool1d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    torch.flatten: _flatten,
    "flatten": _flatten,
}


class UnreadableError(Exception):
    """Why a ``forward`` cannot be read."""


class _Proxy(fx.Proxy):
    """An array to come. Who asks whether it is one, and would go another way with it, cannot be read."""

    @property
    def __class__(self):
        asking = sys._getframe(1).f_code
        is_torchs = asking.co_filename.startswith(_TORCH) and asking.co_name != "is_tensor"
        if "isinstance" in asking.co_names and not is_torchs:
            raise UnreadableError("forward asks what kind of thing it is given")
        return _Proxy


class _Tracer(fx.Tracer):
    """Looks into modules that have sparse layers, but not into torch's own and those that cannot be read."""

    def __init__(self, leaves):
        super().__init__()
        self._leaves = leaves
        self._modes = _gradient_modes()

    def is_leaf_module(self, module, name):
        return module in self._leaves or not looks_into(module)

    def create_node(self, *arguments, **named):
        # A graph does not have them, and would be computed as if they were not there.
        if _gradient_modes() != self._modes:
            raise UnreadableError("forward turns gradients on or off")
        return super().create_node(*arguments, **named)

    def proxy(self, node):
        return _Proxy(node, self)


def _gradient_modes():
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled()


def looks_into(module):
    """Whether a module is a plain sequential, or somebody's own with sparse layers within."""
    if type(module) is nn.Sequential:
        return True
    is_own = not type(module).__module__.startswith(("torch.nn.", "rarefy."))
    return is_own and any(isinstance(it, SparseModule) for it in module.modules())


def read(module, leaves):
    """What a module's ``forward`` does; modules that are looked into have become their parts.

    Returns
    -------
    Growth

    Raises
    ------
    UnreadableError
    """
    if len(inspect.signature(type(module).forward).parameters) != 2:
        raise UnreadableError("forward does not take one array alone")
    graphs = []
    for mode in (True, False):
        tracer = _Tracer(leaves)
        with _Untouched(module), _in_mode(module, mode):
            try:
                graphs.append(tracer.trace(module))
            except UnreadableError:
                raise
            except Exception as error:
                raise UnreadableError(f"{type(error).__name__}: {error}".splitlines()[0]) from error
    if str(graphs[0]) != str(graphs[1]):
        raise UnreadableError("forward does other things in training than in evaluation")
    return Growth(graphs[0], module)


@contextmanager
def _in_mode(module, mode):
    before = {it: it.training for it in module.modules()}
    try:
        for it in before:
            it.training = mode
        yield
    finally:
        for it, was in before.items():
            it.training = was


class _Untouched:
    """Refuses a ``forward`` that does more than compute: that keeps something, or draws random numbers."""

    def __init__(self, module):
        own = [it for it in module.modules() if looks_into(it)]
        self._attributes = [(it, dict(vars(it))) for it in own]
        buffers = [buffer for it in own for buffer in it._buffers.values() if buffer is not None]
        self._buffers = [(buffer, buffer._version, buffer.clone()) for buffer in buffers]

    def __enter__(self):
        self._random = [state() for state, _ in _RANDOM]

    def __exit__(self, kind, error, trace):
        touched = []
        for module, before in self._attributes:
            now = vars(module)
            changed = [name for name in now.keys() | before.keys() if now.get(name) is not before.get(name, self)]
            if changed:
                touched.append(f"keeps {changed[0]!r}")
                now.clear()
                now.update(before)
        for buffer, version, before in self._buffers:
            if buffer._version != version:
                touched.append("changes a buffer")
                buffer.copy_(before)
        for (state, put_back), before in zip(_RANDOM, self._random, strict=True):
            if state() != before:
                touched.append("draws random numbers")
                put_back(before)
        if touched:
            raise UnreadableError(f"forward {touched[0]}")


# How the states of random generators are had, so that they can be compared, and put back.
_RANDOM = [
    (random.getstate, random.setstate),
    (lambda: pickle.dumps(np.random.get_state()), lambda state: np.random.set_state(pickle.loads(state))),
    (
        lambda: bytes(torch.get_rng_state().numpy()),
        lambda state: torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)),
    ),
]


@dataclass
class Grown:
    """How a value is computed: from an earlier one by steps of a chain, or by its node alone where there are none."""

    source: fx.Node
    steps: tuple = ()
    nodes: tuple = ()


class Growth:
    """The values of a graph, each with the longest run of steps that leads to it."""

    def __init__(self, graph, module):
        self._module = module
        *self.nodes, self.output = graph.nodes
        self.values = {}
        for node in self.nodes:
            self.values[node] = self._extended(node) or self._summed(node) or Grown(node)
            self._check_changes(node)

    def _extended(self, node):
        arguments = [node.args, node.kwargs]
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or node.all_input_nodes != [before]:
            return None
        run = self._run_to(before)
        step = self._step(node, arguments)
        if step is None or (step.flattens and not is_flat(run.steps)):
            return None
        return Grown(run.source, (*run.steps, step), (*run.nodes, node))

    def _step(self, node, arguments):
        (_, *rest), named = arguments
        try:
            if node.op == "call_module":
                module = self._module.get_submodule(node.target)
                return None if rest or named else step_of(module, tuple(node.target.split(".")))
            make = _FUNCTIONS.get(node.target)
            named = {name: value for name, value in named.items() if name != "inplace"}
            return make and step_of(make(*rest, **named))
        except (TypeError, ValueError):
            return None

    def _summed(self, node):
        """A sum of two values that come from the same one."""
        if node.op == "call_module" or node.target not in _SUMS or len(node.args) != 2 or node.kwargs:
            return None
        if not all(isinstance(it, fx.Node) for it in node.args) or node.args[0] is node.args[1]:
            return None
        parts = [Grown(it) if len(it.users) > 1 else self.values[it] for it in node.args]
        body, shortcut = sorted(parts, key=lambda part: not part.steps)
        if body.source is not shortcut.source or not any(step.settings or step.branches for step in body.steps):
            return None
        step = Step("a sum", None, branches=(body.steps, shortcut.steps))
        run = self._run_to(body.source, 2)
        return Grown(run.source, (*run.steps, step), (*run.nodes, *body.nodes, *shortcut.nodes, node))

    def _run_to(self, value, users=1):
        """The run that leads to a value, to go on with: none if others than these users look at it."""
        return self.values[value] if len(value.users) == users else Grown(value)

    def _check_changes(self, node):
        """An array may be changed in place only if nobody else sees it."""
        if node.op == "call_module":
            changes = getattr(self._module.get_submodule(node.target), "inplace", False)
        else:
            name = getattr(node.target, "__name__", str(node.target))
            changes = name.endswith("_") and not name.endswith("__") or node.kwargs.get("inplace", False)
            changes = changes or node.target in _CHANGES_ITS_INPUT
        if not changes or not node.args or not isinstance(node.args[0], fx.Node):
            return
        before = node.args[0]
        if len(before.users) > 1 or not (self.values[before].steps or before.op == "call_module"):
            raise UnreadableError(f"{node} changes an array in place that others may see")

    def needed(self):
        """The values that are computed, in the graph's order."""
        found, todo = set(), list(self.output.all_input_nodes)
        while todo:
            value = todo.pop()
            if value not in found:
                found.add(value)
                run = self.values[value]
                todo += [run.source] if run.steps else value.all_input_nodes
        return [value for value in self.values if value in found]
