"""Layers in a row."""

import torch

from ._chain import Chain
from ._ops import run
from ._steps import step_of

_POOLED = ("global-average-pool", "global-max-pool")


class SparseSequential(torch.nn.Module):
    """Modules one after the other, as in :class:`torch.nn.Sequential`, whose activations stay in rarefy's layout
    between them: one call forward and one backward for all.

    Forward hooks of the modules within are not called. A ``Flatten`` of more than one position ends such a run and
    begins another, because torch's order of features is another than rarefy's; after a pool that leaves one position
    it does not.

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

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = modules[0].items()
        else:
            named = ((str(index), module) for index, module in enumerate(modules))
        for name, module in named:
            self.add_module(name, module)
        self._runs = [Run(keys, steps) for keys, steps in cut(self._modules)]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        return list(self._modules.values())[index]

    def sparse_places(self):
        """Each sparse layer, its chain, and which of the chain's weights is its own."""
        for run_ in self._runs:
            for weight, key in enumerate(run_.sparse):
                yield self._modules[key], run_.chain, weight

    def forward(self, x):
        for run_ in self._runs:
            x = run_(self._modules, x)
        return x


def cut(modules):
    """The keys and steps of each run of modules that share a chain, or that torch goes through."""
    runs, keys, steps = [], [], []
    is_flat = True
    for key, module in modules.items():
        step = step_of(module)
        if step.flattens and not (steps and is_flat):
            # Torch flattens; a chain begins anew behind it.
            runs += [(keys, steps), ([key], [step])]
            keys, steps, is_flat = [], [], True
            continue
        if len(step.axes) == 1:
            is_flat = step.kind in _POOLED
        keys, steps = [*keys, key], [*steps, step]
    runs.append((keys, steps))
    return [run for run in runs if run[0]]


class Run:
    """Modules, by their keys, that share a chain; of such without a sparse layer each is torch's own."""

    def __init__(self, keys, steps):
        self.keys = keys
        is_chain = any(step.is_sparse for step in steps)
        self.chain = Chain(steps) if is_chain else None
        named = list(zip(keys, steps, strict=True))
        slots = [(key, *slot) for key, step in named for slot in step.slots if slot]
        self.trained, self.running = (
            [(key, name) for key, name, is_trained in slots if is_trained == which] for which in (True, False)
        )
        self.sparse = [key for key, step in named if step.is_sparse]
        self.norms = [(key, step.channels) for key, step in named if step.kind == "batch-norm"]
        self.by_mode = [key for key, step in named if step.depends_on_mode]
        self.draws = any(step.kind == "dropout" for step in steps)

    def __call__(self, modules, x):
        if self.chain is None:
            for key in self.keys:
                x = modules[key](x)
            return x
        parameters, running = (
            [getattr(modules[key], name) for key, name in slots] for slots in (self.trained, self.running)
        )
        indices = [it for key in self.sparse for it in (modules[key].crow_indices, modules[key].col_indices)]
        training = self.is_training(modules)
        if training and self.norms and x.dim() > 2 and self.chain.axes == 0:
            raise ValueError(f"BatchNorm1d between linear layers takes arrays [N, features], not of {x.dim()} axes")
        seed = torch.randint(2**62, (1,)) if training and self.draws else None
        y, statistics = run(self.chain.handle, x, parameters, indices, running, training, seed)
        if training:
            self.follow(modules, statistics)
        return y

    def is_training(self, modules):
        training = {modules[key].training for key in self.by_mode}
        if len(training) > 1:
            names = ", ".join(f"{key} ({type(modules[key]).__name__})" for key in self.by_mode)
            raise ValueError(
                f"modules that share a chain must all be in training mode or all in evaluation mode: {names}"
            )
        return True in training

    @torch.no_grad()
    def follow(self, modules, statistics):
        """Moves the running statistics as torch does."""
        start = 0
        for key, channels in self.norms:
            norm = modules[key]
            norm.num_batches_tracked.add_(1)
            weight = 1.0 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
            mean, variance = statistics[start : start + 2 * channels].split(channels)
            norm.running_mean.lerp_(mean, weight)
            norm.running_var.lerp_(variance, weight)
            start += 2 * channels
