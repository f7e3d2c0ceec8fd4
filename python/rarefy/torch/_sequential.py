"""Layers in a row."""

import torch

from ._chain import Chain, leaves_of
from ._flags import flags_of
from ._pass import run
from ._steps import is_flat, step_of


class SparseSequential(torch.nn.Module):
    """Modules one after the other, as in :class:`torch.nn.Sequential`, whose activations stay in rarefy's layout
    between them: one call forward and one backward for all.

    The modules within may be set otherwise or be replaced: the next pass sees it. Forward hooks of theirs are not
    called. A ``Flatten`` of more than one position ends such a run and begins another, because torch's order of
    features is another than rarefy's; after a pool that leaves one position it does not.

    Where some modules of a run are in training mode and others in evaluation mode, as with norms that are frozen, each
    computes by itself.

    Parameters
    ----------
    *modules : torch.nn.Module, or one dict of them by name
        Sparse layers, and of torch's ReLU, LeakyReLU, Tanh, Sigmoid, GELU (by tanh), SiLU, MaxPool, AvgPool,
        AdaptiveAvgPool(1), AdaptiveMaxPool(1), BatchNorm, LayerNorm, Dropout, Flatten, Identity.

    Raises
    ------
    TypeError
        For another module, with its name.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch import SparseLinear, SparseSequential
    >>> model = SparseSequential(
    ...     SparseLinear(64, 128, sparsity=0.95), torch.nn.ReLU(), SparseLinear(128, 10, sparsity=0.8)
    ... )
    >>> loss = model(torch.randn(32, 64)).square().mean()
    >>> loss.backward()
    >>> model[0].values.grad.shape
    torch.Size([410])
    """

    _runs, _state = (), None

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = modules[0].items()
        else:
            named = ((str(index), module) for index, module in enumerate(modules))
        for name, module in named:
            self.add_module(name, module)
        self._read()

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return list(self._modules.values())[index]

    def sparse_places(self):
        """Each sparse layer, its chain, and which of the chain's weights is its own."""
        return [place for run_ in self._read() for place in run_.sparse_places(self)]

    def forward(self, x):
        for run_ in self._read():
            x = run_(self, x)
        return x

    def _read(self):
        """The runs of the modules as they are now."""
        state = [(name, module, flags_of(module)) for name, module in self._modules.items()]
        if state != self._state:
            is_watched = any(run_.chain is not None and run_.chain.record is not None for run_ in self._runs)
            runs = [Run(steps) for steps in cut(step_of(module, (name,)) for name, module, _ in state)]
            for run_ in runs:
                if is_watched and run_.chain is not None:
                    run_.chain.record = []
            self._runs, self._state = runs, state
        return self._runs


def cut(steps):
    """The runs of steps that share a chain, or that torch goes through."""
    runs, so_far = [], []
    for step in steps:
        if step.flattens and not is_flat(so_far):
            # Torch flattens; a chain begins anew behind it.
            runs += [so_far, [step]]
            so_far = []
        else:
            so_far.append(step)
    runs.append(so_far)
    return [steps for steps in runs if steps]


def module_at(owner, place):
    """The module that names lead to."""
    for name in place:
        owner = owner._modules[name]
    return owner


class Run:
    """Steps that share a chain; without a sparse layer, and where modes differ, each module computes by itself."""

    def __init__(self, steps):
        leaves = leaves_of(steps)
        self.chain = Chain(steps) if any(leaf.is_sparse for leaf in leaves) else None
        self.places = [leaf.place for leaf in leaves if leaf.place]
        slots = [(leaf.place, *slot) for leaf in leaves for slot in leaf.slots if slot]
        self.trained, self.running = (
            [(place, name) for place, name, is_trained in slots if is_trained == which] for which in (True, False)
        )
        self.sparse = [leaf.place for leaf in leaves if leaf.is_sparse]
        self.norms = [(leaf.place, leaf.channels) for leaf in leaves if leaf.kind == "batch-norm"]
        self.by_mode = [leaf.place for leaf in leaves if leaf.depends_on_mode]
        self.draws = any(leaf.kind == "dropout" for leaf in leaves)

    def __call__(self, owner, x):
        modes = self.modes(owner)
        if self.chain is None or len(modes) > 1:
            for place in self.places:
                x = module_at(owner, place)(x)
            return x
        parameters, running = (
            [getattr(module_at(owner, place), name) for place, name in slots] for slots in (self.trained, self.running)
        )
        layers = [module_at(owner, place) for place in self.sparse]
        indices = [it for layer in layers for it in (layer.crow_indices, layer.col_indices)]
        training = True in modes
        if training and self.norms and x.dim() > 2 and self.chain.axes == 0:
            raise ValueError(f"BatchNorm1d between linear layers takes arrays [N, features], not of {x.dim()} axes")
        if training and self.norms and len(x) == 1:
            self.chain.check_norms(x.shape)
        seed = torch.randint(2**62, (1,), device="cpu") if training and self.draws else None
        y, statistics = run(self.chain.handle, x, parameters, indices, running, training, seed)
        if training:
            self.follow(owner, statistics)
        return y

    def sparse_places(self, owner):
        """Each sparse layer, its chain, and which of the chain's weights is its own."""
        return [(module_at(owner, place), self.chain, weight) for weight, place in enumerate(self.sparse)]

    def modes(self, owner):
        """The modes of the modules that depend on it."""
        return {module_at(owner, place).training for place in self.by_mode}

    @torch.no_grad()
    def follow(self, owner, statistics):
        """Moves the running statistics as torch does."""
        start = 0
        for place, channels in self.norms:
            norm = module_at(owner, place)
            norm.num_batches_tracked.add_(1)
            weight = 1.0 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
            mean, variance = statistics[start : start + 2 * channels].split(channels)
            norm.running_mean.lerp_(mean, weight)
            norm.running_var.lerp_(variance, weight)
            start += 2 * channels
