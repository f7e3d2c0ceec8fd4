"""What modules of torch's are in a chain."""

from collections.abc import Iterable
from dataclasses import replace

from torch import nn

from ._chain import Step, leaves_of
from ._counts import sides
from ._module import SparseModule

EPSILON = 1e-5  # rarefy's, in all norms
_AXES = {"1d": 1, "2d": 2}
_POOLED = ("global-average-pool", "global-max-pool")


def is_flat(steps):
    """Whether one position is left after some steps, so that torch's order of features is rarefy's."""
    kinds = [leaf.kind for leaf in leaves_of(steps) if len(leaf.axes) == 1]
    return bool(kinds) and kinds[-1] in _POOLED


def step_of(module, place=()):
    """What a module, to which those names lead, is in a chain.

    Raises
    ------
    TypeError
        If it cannot stand in one, with its name and what can.
    """
    if isinstance(module, SparseModule):
        return replace(module.step(), place=place)
    make = _KINDS.get(type(module))
    if make is None:
        known = ", ".join(["SparseLinear", "SparseConv1d", "SparseConv2d", *(kind.__name__ for kind in _KINDS)])
        raise TypeError(f"a SparseSequential cannot hold {type(module).__name__}; it takes {known}")
    return replace(make(module), place=place)


def _refused(module, problem):
    return ValueError(f"a SparseSequential cannot hold {module}: {problem}")


def _function(activation):
    def make(module):
        settings = {"layer": "elementwise", "activation": activation}
        return Step(type(module).__name__, settings)

    return make


def _leaky_relu(module):
    settings = {"layer": "elementwise", "activation": {"leaky-relu": module.negative_slope}}
    return Step("LeakyReLU", settings)


def _gelu(module):
    if module.approximate != "tanh":
        raise _refused(module, "rarefy computes GELU by tanh; use GELU(approximate='tanh')")
    return _function("gelu")(module)


def _nothing(module):
    return Step(type(module).__name__, None)


def _dropout(module):
    if not module.p < 1:
        raise _refused(module, "of numbers all of which are dropped nothing is left")
    return Step("Dropout", {"layer": "dropout", "rate": module.p}, depends_on_mode=True)


def _flatten(module):
    if (module.start_dim, module.end_dim) != (1, -1):
        raise _refused(module, "only all axes after the first can become one")
    return Step("Flatten", None, flattens=True)


def _batch_norm(module):
    if module.eps != EPSILON:
        raise _refused(module, f"rarefy's norms have eps={EPSILON}")
    if not module.track_running_stats:
        raise _refused(module, "it needs track_running_stats=True")
    axes = (2,) if isinstance(module, nn.BatchNorm2d) else (0, 1)
    learned = (("weight", True), ("bias", True)) if module.affine else (None, None)
    slots = (*learned, ("running_mean", False), ("running_var", False))
    settings = {"layer": "batch-norm"}
    return Step(type(module).__name__, settings, axes, module.num_features, slots, depends_on_mode=True)


def _layer_norm(module):
    if module.eps != EPSILON:
        raise _refused(module, f"rarefy's norms have eps={EPSILON}")
    if len(module.normalized_shape) != 1:
        raise _refused(module, "only the last axis can be normalised")
    slots = tuple((name, True) if getattr(module, name) is not None else None for name in ("weight", "bias"))
    return Step("LayerNorm", {"layer": "layer-norm"}, (0,), module.normalized_shape[0], slots)


def _pool(layer, **others):
    def make(module):
        kind = type(module).__name__
        axes = _AXES[kind[-2:]]
        for attribute, wanted in {"ceil_mode": False, **others}.items():
            if getattr(module, attribute, wanted) != wanted:
                raise _refused(module, f"it needs {attribute}={wanted}")
        # Each with the least that it may be, which is what it is across sequences.
        sizes = {
            "kernel_size": (module.kernel_size, 1),
            "stride": (module.kernel_size if module.stride is None else module.stride, 1),
            "padding": (module.padding, 0),
            "dilation": (getattr(module, "dilation", 1), 1),
        }
        if layer == "average-pool":
            del sizes["dilation"]
            if any(sides("padding", module.padding, axes, 0)) and module.count_include_pad:
                raise _refused(module, "padding is not counted; it needs count_include_pad=False")
            if getattr(module, "divisor_override", None) is not None:
                raise _refused(module, "it needs divisor_override=None")
        settings = {
            "layer": layer,
            **{
                name.removesuffix("_size"): [*([least] * (2 - axes)), *sides(name, size, axes, least)]
                for name, (size, least) in sizes.items()
            },
        }
        return Step(kind, settings, (axes,))

    return make


def _global_pool(layer):
    def make(module):
        name = type(module).__name__
        axes = _AXES[name[-2:]]
        left = module.output_size
        if any(size != 1 for size in (left if isinstance(left, Iterable) else [left])):
            raise _refused(module, "only one position can be left")
        return Step(name, {"layer": layer}, (axes,))

    return make


_KINDS = {
    nn.ReLU: _function("relu"),
    nn.LeakyReLU: _leaky_relu,
    nn.Tanh: _function("tanh"),
    nn.Sigmoid: _function("sigmoid"),
    nn.GELU: _gelu,
    nn.SiLU: _function("silu"),
    nn.MaxPool1d: _pool("max-pool", return_indices=False),
    nn.MaxPool2d: _pool("max-pool", return_indices=False),
    nn.AvgPool1d: _pool("average-pool"),
    nn.AvgPool2d: _pool("average-pool"),
    nn.AdaptiveAvgPool1d: _global_pool("global-average-pool"),
    nn.AdaptiveAvgPool2d: _global_pool("global-average-pool"),
    nn.AdaptiveMaxPool1d: _global_pool("global-max-pool"),
    nn.AdaptiveMaxPool2d: _global_pool("global-max-pool"),
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.Dropout: _dropout,
    nn.Flatten: _flatten,
    nn.Identity: _nothing,
}
