"""Connections of PyTorch's layers that move while they train."""

import json
import warnings
from numbers import Real
from typing import NamedTuple

import torch

from .._engine import to_json
from .._rarefy import Topology
from ._absent import Watch
from ._counts import count
from ._layers import sparse_layers

# What a method needs that torch's modules do not say.
_REFUSED = {
    "cht": "it asks which layer feeds which",
    "top-kast": "its forward pass uses other values than those that are stored",
}


class Churn(NamedTuple):
    """Connections that an update moved."""

    dropped: int
    grown: int


class TopologyScheduler:
    """Moves the connections of sparse layers by a topology method, and takes the optimizer's state along.

    Parameters
    ----------
    model : torch.nn.Module
        A model with sparse layers, as :func:`sparsify` makes one.
    optimizer : torch.optim.Optimizer
        Any optimizer that has their ``values``. Each tensor of its state that has the shape of a layer's values follows
        the connections: what survives keeps its numbers, what is grown begins with 0. A warning names tensors of other
        shapes, once.
    method : str, default="rigl"
        ``"static"``, ``"set"``, ``"rigl"``, ``"gse"``, ``"mest"``, ``"gmp"``, ``"granet"``, ``"acdc"`` or
        ``"srigl"``.
    total_steps : int
        Steps of the whole run: schedules are shares of it.
    steps_per_epoch : int, optional
        Needed by methods that move connections once an epoch (``"set"``).
    sparsity : float, optional
        What the model is to end with. By default each layer ends with what `sparsify` planned for it, or else with as
        many connections as it has.
    allocation : {"erk", "er", "uniform"}, default="erk"
        How a given `sparsity` is shared out over layers.
    generator : torch.Generator, optional
        Where the seed of random draws comes from.
    **topology
        The words of ``[topology]``: ``every``, ``fraction``, ``until``, ``scope``, ...; ``from`` is ``from_``.

    Attributes
    ----------
    steps_done : int
        Steps so far.
    targets : dict
        The connections that each layer is to end with.

    See Also
    --------
    sparsify : Makes the layers of a model sparse.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch import TopologyScheduler, sparsify
    >>> model = sparsify(torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.Linear(30, 2)), 0.8)
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> scheduler = TopologyScheduler(model, optimizer, total_steps=20, every=5)
    >>> for step in range(20):
    ...     optimizer.zero_grad()
    ...     model(torch.randn(8, 20)).square().mean().backward()
    ...     optimizer.step()
    ...     churn = scheduler.step()
    >>> scheduler.steps_done
    20
    """

    def __init__(
        self,
        model,
        optimizer,
        method="rigl",
        *,
        total_steps,
        steps_per_epoch=None,
        sparsity=None,
        allocation="erk",
        generator=None,
        **topology,
    ):
        if not (isinstance(model, torch.nn.Module) and hasattr(optimizer, "param_groups")):
            given = f"{type(model).__name__} and {type(optimizer).__name__}"
            raise TypeError(f"TopologyScheduler takes a model and its optimizer, in this order, not {given}")
        self._layers = dict(sparse_layers(model))
        if not self._layers:
            raise ValueError("the model has no sparse layers; rarefy.torch.sparsify makes them")
        check_optimizer(optimizer, self._layers)
        _check_alone(method)
        self._optimizer = optimizer
        self._settings = _settings(method, 0.9 if sparsity is None else sparsity, allocation, generator, topology)
        self._topology = Topology(to_json(self._settings))
        self._every_epoch, self._looks_beyond, self._needs_gradients = self._topology.asks_for()
        self.total_steps = count("total_steps", total_steps)
        if self._every_epoch and steps_per_epoch is None:
            raise ValueError(f'method="{method}" moves connections once an epoch: give steps_per_epoch')
        self.steps_per_epoch = 1 if steps_per_epoch is None else count("steps_per_epoch", steps_per_epoch)
        self.targets = self._find_targets(method, sparsity)
        self.steps_done = 0
        self._reported = set()
        self._watch = Watch(model)
        self._prepare()

    def step(self):
        """Counts a step, and moves connections if it is time to: after ``optimizer.step()``, before ``zero_grad()``.

        Returns
        -------
        dict
            The :class:`Churn` of each layer whose connections moved, by its name; empty in most steps.
        """
        self.steps_done += 1
        churn = {}
        if self._is_due(self.steps_done):
            churn = self._move()
        self._watch.stop()
        self._prepare()
        return churn

    def state_dict(self):
        """What a later run goes on from; patterns and values are in the model's own."""
        return {"steps_done": self.steps_done, "targets": dict(self.targets), "seed": self._settings["seed"]}

    def load_state_dict(self, state_dict):
        """Goes on from what :meth:`state_dict` gave."""
        if set(state_dict["targets"]) != set(self._layers):
            raise ValueError("the state is of a model with other sparse layers")
        self.steps_done, self.targets = state_dict["steps_done"], dict(state_dict["targets"])
        # Older states have none.
        if "seed" in state_dict:
            self._settings["seed"] = state_dict["seed"]
            self._topology = Topology(to_json(self._settings))
        self._watch.stop()
        self._prepare()

    def __repr__(self):
        given = {key: value for key, value in json.loads(self._topology.settings()).items() if value is not None}
        words = ", ".join(f"{key}={value!r}" for key, value in given.items())
        return f"TopologyScheduler({words}; step {self.steps_done} of {self.total_steps}, {len(self._layers)} layers)"

    def _find_targets(self, method, sparsity):
        layers = self._layers
        changes, prunes = self._topology.changes_counts()
        if sparsity is not None:
            counts = self._topology.counts([list(layer.shape) for layer in layers.values()])
            targets = {name: layers[name].in_blocks(end) for name, (_, end) in zip(layers, counts, strict=True)}
        else:
            planned = {name: getattr(layer, "target_nnz", None) for name, layer in layers.items()}
            if changes and None in planned.values():
                raise ValueError(f'method="{method}" changes how many connections there are: give sparsity')
            targets = {name: layers[name].nnz if nnz is None else nnz for name, nnz in planned.items()}
        for name, target in targets.items():
            if prunes and target > layers[name].nnz:
                raise ValueError(
                    f"layer {name!r} has {layers[name].nnz} connections and is to end with {target}, "
                    f'but method="{method}" prunes: start denser, as sparsify(..., method="{method}") does'
                )
        return targets

    def _is_due(self, step):
        return self._topology.is_due(step, self.total_steps, self.steps_per_epoch)

    def _prepare(self):
        if self._looks_beyond and self._is_due(self.steps_done + 1):
            self._watch.start()

    def _move(self):
        seen = self._watch.seen()
        # What is frozen stays as it is.
        layers = {name: layer for name, layer in self._layers.items() if layer.values.requires_grad}
        if self._looks_beyond:
            # Of a layer that took no part in the step nothing is known.
            layers = {name: layer for name, layer in layers.items() if seen.get(layer)}
            if not layers:
                raise RuntimeError(
                    "no backward pass went through a sparse layer since the last step(): "
                    "call scheduler.step() once after each optimizer.step()"
                )
        if self._needs_gradients and any(layer.values.grad is None for layer in layers.values()):
            raise RuntimeError("there are no gradients: call scheduler.step() before optimizer.zero_grad()")
        views = [
            (
                (layer.crow_indices.numel() - 1, layer.shape[1:].numel()),
                layer.block,
                layer.crow_indices.numpy(),
                layer.col_indices.numpy(),
                layer.values.detach().numpy(),
                layer.values.grad.numpy() if self._needs_gradients else None,
                self.targets[name],
                seen.get(layer, []),
            )
            for name, layer in layers.items()
        ]
        moved = self._topology.update(
            views, (self.steps_done, self.total_steps, self.steps_per_epoch), torch.get_num_threads()
        )
        del views
        churn = {}
        for (name, layer), change in zip(layers.items(), moved, strict=True):
            if change is not None:
                crow, col, values, sources = map(torch.from_numpy, change)
                grown = int((sources < 0).sum())
                churn[name] = Churn(layer.nnz - (len(sources) - grown), grown)
                self._carry(layer.values, sources, name)
                layer.set_pattern_(crow, col, values)
        return churn

    def _carry(self, values, sources, name):
        state = self._optimizer.state.get(values)
        if state:
            for key, old in state.items():
                state[key] = self._carried(old, values.shape, sources, key)

    def _carried(self, old, shape, sources, key):
        if isinstance(old, (list, tuple)):
            return type(old)(self._carried(each, shape, sources, key) for each in old)
        if not isinstance(old, torch.Tensor) or old.dim() == 0:
            return old
        if old.shape == shape:
            return torch.where(sources < 0, torch.zeros((), dtype=old.dtype), old[sources.clamp(min=0)])
        if key not in self._reported:
            self._reported.add(key)
            warnings.warn(
                f"{key!r} of the optimizer's state has another shape than a layer's values, {tuple(old.shape)}, "
                "and stays as it is when connections move",
                stacklevel=5,
            )
        return old


def build(method, sparsity, allocation, generator, topology):
    """The method by its words."""
    return Topology(to_json(_settings(method, sparsity, allocation, generator, topology)))


def _settings(method, sparsity, allocation, generator, topology):
    if method in _REFUSED:
        raise ValueError(f'method="{method}" does not work on PyTorch\'s modules: {_REFUSED[method]}')
    if not isinstance(sparsity, Real) or not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be a number of at least 0 and below 1, not {sparsity!r}")
    seed = torch.randint(2**53, (), generator=generator, device="cpu").item()
    words = {key.removesuffix("_"): value for key, value in topology.items()}
    sparse = {"density": round(1 - float(sparsity), 12), "allocation": allocation}
    return {"seed": seed, "sparsity": sparse, "topology": {"method": method, **words}}


def _check_alone(method):
    """Processes would come to have different connections, and then average gradients of one with those of another."""
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return
    if method != "static":
        raise ValueError(
            f'method="{method}" moves connections of one process, and there are {distributed.get_world_size()}: each '
            'would come to have others. method="static" trains with DistributedDataParallel, and rarefy.train(..., '
            "comm=rarefy.comm.Torch()) with any method"
        )


def check_optimizer(optimizer, layers):
    """An optimizer made before `sparsify` has parameters that are gone."""
    had = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, layer in layers.items():
        if layer.values.requires_grad and id(layer.values) not in had:
            raise ValueError(f"the optimizer does not have the values of layer {name!r}: make it after sparsify")
