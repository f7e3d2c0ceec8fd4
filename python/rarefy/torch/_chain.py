"""Modules in a row as one network of rarefy's: what each is, the shapes between them, and the compiled network."""

import hashlib
import itertools
import math
import weakref
from dataclasses import dataclass

from .._engine import to_json
from .._rarefy import Chain as Network

# Chains by their handle, which is all that an operator of torch's can be told of them.
_CHAINS = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()


def chain_of(handle):
    """The chain of a handle."""
    chain = _CHAINS.get(handle)
    if chain is None:
        raise RuntimeError(
            "a compiled or exported program calls layers of rarefy's that are gone, or were in another process; export "
            "rarefy.torch.densify(model), which needs none"
        )
    return chain


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
    place : tuple of str
        The names that lead to the module from whoever has the chain; none for a function.
    branches : tuple of (tuple of Step)
        Of a sum what leads from one array to each of its two summands; the second may be empty.
    """

    name: str
    settings: dict | None
    axes: tuple = (0, 1, 2)
    channels: int | None = None
    slots: tuple = ()
    is_sparse: bool = False
    flattens: bool = False
    depends_on_mode: bool = False
    place: tuple = ()
    branches: tuple = ()

    @property
    def kind(self):
        return None if self.settings is None else self.settings["layer"]

    def leaves(self):
        """The steps that are modules, in rarefy's order of their arrays."""
        return leaves_of(step for branch in self.branches for step in branch) if self.branches else (self,)

    def after(self, shape):
        """The shape ``(channels, *sizes)`` of a sample after the layer."""
        channels, *sizes = shape
        if self.channels is not None and self.channels != channels:
            raise ValueError(f"{self.name} takes {self.channels} channels or features, and is given {channels}")
        if self.branches:
            body, shortcut = (shape_after(branch, shape) for branch in self.branches)
            if body != shortcut:
                raise ValueError(f"what is added has the shapes {body} and {shortcut}, which must be the same")
            return body
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


def leaves_of(steps):
    """The steps that are modules, in order."""
    return tuple(leaf for step in steps for leaf in step.leaves())


def layers_of(steps):
    """The layers as rarefy's settings describe them."""
    layers = []
    for step in steps:
        if step.branches:
            body, shortcut = map(layers_of, step.branches)
            layers.append({"layer": "residual", "body": body, "shortcut": shortcut})
        elif step.settings is not None:
            layers.append(step.settings)
    return layers


def shape_after(steps, shape):
    """The shape of a sample after some steps."""
    for step in steps:
        shape = step.after(shape)
    return shape


def shapes_before(steps, shape):
    """Each step that is a module, and the shape of a sample before it."""
    for step in steps:
        for branch in step.branches:
            yield from shapes_before(branch, shape)
        if not step.branches:
            yield step, shape
        shape = step.after(shape)


def axes_after(steps, axes):
    """How many axes a sample has behind its channels after some steps, if it may have so many before.

    Raises
    ------
    ValueError
        If a step is for others.
    """
    for before, step in itertools.pairwise([None, *steps]):
        if step.branches:
            axes, *others = (axes_after(branch, axes) for branch in step.branches)
            if others != [axes]:
                raise ValueError("a sum of features and of images or sequences; give both the same shape")
            continue
        if axes not in step.axes:
            kinds = ("features", "sequences", "images")
            after = f" after {before.name}" if before else ""
            wanted = " or ".join(kinds[it] for it in step.axes)
            raise ValueError(f"{step.name}{after} is for {wanted}, and is given {kinds[axes]}")
        if step.flattens:
            axes = 0
    return axes


class Chain:
    """Steps that one call goes through, forward and backward.

    A chain holds no numbers of the modules': these hand theirs to each pass.
    """

    def __init__(self, steps):
        self.steps = list(steps)
        leaves = leaves_of(self.steps)
        # Axes behind the channels; 0 where features come last.
        self.axes = next((leaf.axes[0] for leaf in leaves if len(leaf.axes) == 1), 0)
        axes_after(self.steps, self.axes)
        # For each array of the network whether gradients train it; None if it stays as it is.
        self._trained = [slot and slot[1] for leaf in leaves for slot in leaf.slots]
        # Channels of each batch norm.
        self.normalised = [leaf.channels for leaf in leaves if leaf.kind == "batch-norm"]
        self._begin()

    def _begin(self):
        # A program of another process finds a chain that does the same, or none.
        self.handle = f"chain-{next(_NUMBERS)}-{hashlib.sha256(repr(self.steps).encode()).hexdigest()[:16]}"
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

    def check_norms(self, x):
        """Refuses an input of that shape if a batch norm would see one number of each channel, whose variance is 0."""
        for step, shape in shapes_before(self.steps, self.sample_shape(x)):
            if step.kind == "batch-norm" and x[0] * math.prod(shape[1:]) == 1:
                raise ValueError(
                    f"{step.name} needs more than one value of each channel to train with, and is given one; "
                    "leave a last batch of one sample out, as DataLoader(..., drop_last=True) does"
                )

    def output_shape(self, x):
        """The shape of the output for an input of that shape."""
        shape = shape_after(self.steps, self.sample_shape(x))
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
        layers = layers_of(self.steps)
        arrays = [which.numpy() for which in indices]
        patterns = list(zip(arrays[::2], arrays[1::2], strict=True))
        return Network(to_json({"inputs": inputs, "layers": layers}), patterns)
