"""Modules in a row as one network of rarefy's: what each is, the shapes between them, and the compiled network."""

import itertools
import json
import weakref
from dataclasses import dataclass

from .._rarefy import Chain as Network

# Chains by their handle, which is all that an operator of torch's can be told of them.
_CHAINS = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()


def chain_of(handle):
    """The chain of a handle."""
    return _CHAINS[handle]


@dataclass(frozen=True)
class Step:
    """What a module is in a chain.

    Attributes
    ----------
    name : str
        What messages call it.
    settings : dict or None
        The layer as rarefy's settings describe it; None if nothing is to be done.
    axes : tuple of int
        How many axes its samples may have behind their channels.
    channels : int or None
        Channels that it takes; None for any number.
    slots : tuple
        For each array of the layer in rarefy's order the module's attribute and whether gradients train it; None where
        the array stays as it is.
    """

    name: str
    settings: dict | None
    axes: tuple = (0, 1, 2)
    channels: int | None = None
    slots: tuple = ()
    is_sparse: bool = False
    flattens: bool = False
    depends_on_mode: bool = False

    @property
    def kind(self):
        return None if self.settings is None else self.settings["layer"]

    def after(self, shape):
        """The shape ``(channels, *sizes)`` of a sample after the layer."""
        channels, *sizes = shape
        if self.channels is not None and self.channels != channels:
            raise ValueError(f"{self.name} takes {self.channels} channels or features, and is given {channels}")
        settings = self.settings
        match self.kind:
            case "linear":
                return (settings["outputs"],)
            case "conv1d" | "conv2d":
                return settings["filters"], *self._windows(sizes)
            case "max-pool" | "average-pool":
                return channels, *self._windows(sizes)
            case "global-average-pool" | "global-max-pool":
                return channels, *(1 for _ in sizes)
            case _:
                return (channels,) if self.flattens else shape

    def _windows(self, sizes):
        def sides(name, default):
            sides = self.settings.get(name, default)
            return [sides] if isinstance(sides, int) else sides[-len(sizes) :]

        kernel = sides("kernel", None)
        ones, zeros = [1] * len(sizes), [0] * len(sizes)
        rest = zip(sizes, kernel, sides("stride", ones), sides("padding", zeros), sides("dilation", ones), strict=True)
        return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in rest]


class Chain:
    """Steps that one call goes through, forward and backward.

    A chain holds no numbers of the modules': these hand theirs to each pass.
    """

    def __init__(self, steps):
        self.steps = list(steps)
        # Axes behind the channels; 0 where features come last.
        self.axes = next((step.axes[0] for step in self.steps if len(step.axes) == 1), 0)
        self._check()
        # For each array of the network whether gradients train it; None if it stays as it is.
        self._trained = [slot and slot[1] for step in self.steps for slot in step.slots]
        # Channels of each batch norm.
        self.normalised = [step.channels for step in self.steps if step.kind == "batch-norm"]
        self._begin()

    def _check(self):
        axes = self.axes
        for before, step in itertools.pairwise([None, *self.steps]):
            if axes not in step.axes:
                kinds = ("features", "sequences", "images")
                after = f" after {before.name}" if before else ""
                wanted = " or ".join(kinds[it] for it in step.axes)
                raise ValueError(f"{step.name}{after} is for {wanted}, and is given {kinds[axes]}")
            if step.flattens:
                axes = 0

    def _begin(self):
        self.handle = f"chain-{next(_NUMBERS)}"
        _CHAINS[self.handle] = self
        # The compiled network for each shape of a sample, and the patterns that all of them have.
        self._networks = {}
        self._held, self._versions = [], []
        # Where a list stands, each backward pass leaves its ticket in it.
        self.record = None

    def __getstate__(self):
        return {"steps": self.steps}

    def __setstate__(self, state):
        self.__init__(state["steps"])

    def sample_shape(self, x):
        """The shape ``(channels, *sizes)`` of a sample of an input of that shape."""
        if self.axes == 0:
            if len(x) < 1:
                raise ValueError(f"{self.steps[0].name} takes arrays of at least one axis, not a single number")
            return (x[-1],)
        if len(x) != self.axes + 2:
            wanted = "[N, channels, steps]" if self.axes == 1 else "[N, channels, height, width]"
            raise ValueError(f"{self.steps[0].name} takes arrays {wanted}, not of {len(x)} axes")
        return tuple(x[1:])

    def output_shape(self, x):
        """The shape of the output for an input of that shape."""
        shape = self.sample_shape(x)
        for step in self.steps:
            shape = step.after(shape)
        leading = tuple(x[:-1]) if self.axes == 0 else (x[0],)
        return (*leading, *shape)

    def placed(self, trained, running=()):
        """Arrays in their places among the network's, None where there is none."""
        sources = {True: iter(trained), False: iter(running), None: iter(())}
        return [next(sources[is_trained], None) for is_trained in self._trained]

    def network(self, shape, indices):
        """The compiled network for samples of a shape, with the patterns that the modules have now."""
        versions = [0 if which.is_inference() else which._version for which in indices]
        # What is held cannot have been freed and its place taken by another.
        is_held = len(self._held) == len(indices) and all(
            held.data_ptr() == which.data_ptr() and held.shape == which.shape
            for held, which in zip(self._held, indices, strict=True)
        )
        if not is_held or versions != self._versions:
            self._networks.clear()
        if shape not in self._networks:
            self._networks[shape] = self._built(shape, indices)
            self._held, self._versions = list(indices), versions
        return self._networks[shape]

    def _built(self, shape, indices):
        channels, *sizes = shape
        inputs = channels if not sizes else [*([1] * (2 - len(sizes))), *sizes, channels]
        layers = [step.settings for step in self.steps if step.settings is not None]
        arrays = [which.numpy() for which in indices]
        patterns = list(zip(arrays[::2], arrays[1::2], strict=True))
        return Network(json.dumps({"inputs": inputs, "layers": layers}), patterns)
