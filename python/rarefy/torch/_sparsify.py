"""Models of dense layers made sparse, and back."""

import warnings
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from ._conv import SparseConv1d, SparseConv2d
from ._graph import looks_into
from ._layers import shared_places, sparse_layers
from ._linear import SparseLinear
from ._load import at_connections
from ._module import SparseModule
from ._sequential import SparseSequential
from ._topology import build
from ._traced import Traced, unreadable_in

_DENSE = (nn.Linear, nn.Conv1d, nn.Conv2d)


def sparsify(
    model,
    sparsity=0.9,
    *,
    method="rigl",
    allocation="erk",
    block=1,
    exclude=(),
    keep="magnitude",
    generator=None,
    **topology,
):
    """Makes the linear and convolutional layers of a model sparse, in place.

    Each ``nn.Linear``, ``nn.Conv1d`` and ``nn.Conv2d`` becomes a :class:`SparseLinear`, :class:`SparseConv1d` or
    :class:`SparseConv2d` of the same name, and an ``nn.Sequential`` of them a :class:`SparseSequential`. Of other
    modules the ``forward`` is read, and layers that follow each other, residual blocks among them, are computed in one
    call; :func:`summary` says which, and why where that is not possible. Make the optimizer afterwards: parameters are
    new. A warning names each layer that cannot be sparse.

    Parameters
    ----------
    model : torch.nn.Module
        On the CPU, in float32.
    sparsity : float, default=0.9
        The share of all weights of these layers that do not exist.
    method : str, default="rigl"
        The topology method that :class:`TopologyScheduler` is to train with; it decides how the model starts: ``"gmp"``
        with all connections, ``"granet"`` with half of them.
    allocation : {"erk", "er", "uniform"}, default="erk"
        How the density is shared out over layers: Erdos-Renyi-kernel, Erdos-Renyi, or the same for each.
    block : int or "auto", default=1
        Neighbouring outputs of a layer that have connections to the same inputs, as of :class:`SparseLinear`. A block
        is kept, dropped and grown as one.
    exclude : sequence of str, default=()
        Names of modules, as in ``model.named_modules()``, that stay dense with all that is in them.
    keep : {"magnitude", "random"}, default="magnitude"
        ``"magnitude"`` keeps the largest weights of each layer, for a model that has been trained. ``"random"`` draws
        connections, and new values that suit how few they are, for a model that is to be trained from the start.
    generator : torch.Generator, optional
        Where the seed of random draws comes from.
    **topology
        Words of ``[topology]`` that decide how the model starts, as ``start_density`` of ``"granet"``.

    Returns
    -------
    torch.nn.Module
        The model; what stands in its place if it is itself a layer or an ``nn.Sequential``.

    See Also
    --------
    TopologyScheduler : Moves connections while the model trains.
    summary : What became of each layer.
    densify : The way back.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch import sparsify, summary
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
    >>> model = sparsify(model, 0.9, allocation="uniform")
    >>> print(summary(model))
    layer  kind          shape     connections  density  call
    0      SparseLinear  100 x 64          640    0.100     1
    2      SparseLinear  10 x 100          100    0.100     1
    total                                  740    0.100
    """
    if keep not in ("magnitude", "random"):
        raise ValueError(f'keep must be "magnitude" or "random", not {keep!r}')
    if isinstance(exclude, str):
        exclude = (exclude,)
    chosen = _chosen(model, exclude)
    if not chosen:
        are_sparse = bool(dict(sparse_layers(model)))
        hint = "; those that were are sparse already; densify makes them dense again" if are_sparse else ""
        raise ValueError(f"the model has no Linear, Conv1d or Conv2d layer that could be made sparse{hint}")
    rule = build(method, sparsity, allocation, generator, topology)
    counts = rule.counts([list(layer.weight.shape) for layer in chosen.values()])
    new = {}
    for place, (layer, (start, end)) in enumerate(zip(chosen.values(), counts, strict=True)):
        new[layer] = _sparse(layer, rule, start, block, keep, place)
        new[layer].target_nnz = new[layer].in_blocks(end)
    return _in_chains(_without_fast_paths(_replaced(model, new)))


def densify(model):
    """Makes the sparse layers of a model dense again, in place: absent connections become weights of 0.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    torch.nn.Module
        The model; what stands in its place if it is itself a layer or a chain.
    """
    new = {layer: _dense(layer) for _, layer in sparse_layers(model)}
    if not new:
        raise ValueError("the model has no sparse layers")
    model = _replaced(model, new)
    for module in model.modules():
        if isinstance(vars(module).get("forward"), Traced):
            del module.forward
    chains = [module for module in model.modules() if isinstance(module, SparseSequential)]
    # Those within others first.
    for chain in reversed(chains):
        model = _replaced(model, {chain: _unchained(chain)})
    return model


def summary(model):
    """What is sparse in a model, and how sparse: a table as text.

    Layers of the same ``call`` are computed by one, forward and backward. Below stand the modules whose ``forward``
    cannot be read for that, and why.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    str
    """
    rows = [("layer", "kind", "shape", "connections", "density", "call")]
    calls = _calls(model)
    total, cells = 0, 0
    for name, module in model.named_modules():
        if isinstance(module, SparseModule):
            shape, nnz = module.shape, module.nnz
        elif isinstance(module, _DENSE):
            shape, nnz = module.weight.shape, module.weight.numel()
        else:
            continue
        total, cells = total + nnz, cells + shape.numel()
        density, sides = f"{nnz / shape.numel():.3f}", " x ".join(map(str, shape))
        rows.append((name, type(module).__name__, sides, f"{nnz:,}", density, calls.get(module, "")))
    rows.append(("total", "", "", f"{total:,}", f"{total / max(cells, 1):.3f}", ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        texts = [text.ljust(width) for text, width in zip(row[:3], widths, strict=False)]
        numbers = [text.rjust(width) for text, width in zip(row[3:], widths[3:], strict=True)]
        lines.append("  ".join(texts + numbers).rstrip())
    unreadable = unreadable_in(model)
    names = [(name or "the model", module) for name, module in model.named_modules() if module in unreadable]
    lines += [f"{name} ({type(module).__name__}) is not one call: {unreadable[module]}" for name, module in names]
    return "\n".join(lines)


def _calls(model):
    """The numbers of the calls that compute layers which share one with others."""
    numbers, found = {}, {}
    for layer, chain, _ in shared_places(model):
        number = numbers.setdefault(chain, len(numbers) + 1)
        found.setdefault(layer, []).append(number)
    return {layer: ", ".join(map(str, dict.fromkeys(of_layer))) for layer, of_layer in found.items()}


def _chosen(model, exclude):
    """The layers to make sparse, by name; a warning tells of those that cannot be."""
    names = dict(model.named_modules())
    for name in exclude:
        if name not in names:
            raise ValueError(f"exclude names {name!r}, which is no module of the model")
    owners = {}
    for name, module in names.items():
        for parameter in module._parameters.values():
            owners.setdefault(id(parameter), []).append(name)
    chosen = {}
    for name, module in names.items():
        if not isinstance(module, _DENSE) or any(f"{name}.".startswith(f"{left}.") for left in exclude):
            continue
        problem = _problem(module)
        if problem is None and len(owners[id(module.weight)]) > 1:
            others = [repr(other) for other in owners[id(module.weight)] if other != name]
            problem = f"it shares its weight with {', '.join(others)}"
        if problem is not None:
            warnings.warn(f"layer {name!r} stays dense: {problem}; exclude=[{name!r}] says so too", stacklevel=3)
            continue
        if module.weight.device.type != "cpu" or module.weight.dtype != torch.float32:
            raise TypeError(
                f"layer {name!r} is {module.weight.dtype} on {module.weight.device}; "
                "sparse layers are torch.float32 on cpu"
            )
        chosen[name] = module
    return chosen


def _problem(module):
    """Why a dense layer cannot be made sparse."""
    if isinstance(module, nn.modules.lazy.LazyModuleMixin):
        return "it has no weight before its first batch"
    if type(module) not in _DENSE:
        return f"it is a {type(module).__name__}, which may look at its weight"
    if "weight" not in module._parameters:
        return "its weight is computed"
    if not module.weight.numel():
        return "it has no weights"
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
        return "it has hooks, which would be lost"
    if getattr(module, "padding_mode", "zeros") != "zeros":
        return f"padding_mode={module.padding_mode!r}"
    return None


def _sparse(layer, rule, nnz, block, keep, place):
    new = _like(layer, sparse=True, block=block)
    weight = layer.weight.detach()
    shape = (weight.shape[0], weight[0].numel())
    if keep == "random":
        crow, col, values = map(torch.from_numpy, rule.draw(shape, nnz, new.block, place))
    else:
        numbers = np.ascontiguousarray(weight.numpy()).reshape(shape)
        crow, col = map(torch.from_numpy, rule.largest(numbers, shape, nnz, new.block))
        values = at_connections(weight, crow, col)
    new.set_pattern_(crow, col, values)
    new.values.requires_grad_(layer.weight.requires_grad)
    new.bias = layer.bias
    return new.train(layer.training)


def _dense(layer):
    new = _like(layer, sparse=False).to(layer.values)
    with torch.no_grad():
        new.weight.copy_(layer.to_dense())
    new.weight.requires_grad_(layer.values.requires_grad)
    new.bias = layer.bias
    return new.train(layer.training)


def _like(layer, sparse, block=1):
    """A new layer of the same size."""
    bias = layer.bias is not None
    # What is drawn is replaced: one connection for each output, and no number of torch's own generator.
    words = {}
    if sparse:
        words = {"sparsity": 1 - 1 / layer.weight[0].numel(), "block": block, "generator": torch.Generator()}
    if isinstance(layer, (nn.Linear, SparseLinear)):
        return (SparseLinear if sparse else nn.Linear)(layer.in_features, layer.out_features, bias=bias, **words)
    kinds = (SparseConv1d, SparseConv2d) if sparse else (nn.Conv1d, nn.Conv2d)
    return kinds[len(layer.kernel_size) - 1](
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=bias,
        **words,
    )


def _replaced(model, new):
    """The model with modules replaced wherever they stand."""
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if child in new:
                module._modules[name] = new[child]
    return new.get(model, model)


def _without_fast_paths(model):
    """When predicting, torch's encoders may go past the layers within them, to their weights."""
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0  # which is how the layer itself says that it has no such path
        elif isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False
    return model


def _in_chains(model, unreadable=None, is_covered=False):
    """The model with chains where layers follow each other, unless who holds it has seen to that (``is_covered``)."""
    unreadable = unreadable_in(model) if unreadable is None else unreadable
    is_read = looks_into(model) and model not in unreadable
    for name, child in model._modules.items():
        if child is not None:
            model._modules[name] = _in_chains(child, unreadable, is_read)
    if is_covered or not is_read:
        return model
    chain = _chain(model) if type(model) is nn.Sequential else None
    if chain is not None:
        return chain
    traced = Traced(model, unreadable)
    if traced.gains:
        model.forward = traced
    return model


def _chain(sequential):
    children = list(sequential)
    has_hooks = any(child._forward_hooks or child._forward_pre_hooks or child._backward_hooks for child in children)
    if has_hooks or not any(isinstance(child, SparseModule) for child in children):
        return None
    try:
        chain = SparseSequential(sequential._modules)
    except (TypeError, ValueError):
        return None
    chain.training = sequential.training
    return chain


def _unchained(chain):
    sequential = nn.Sequential(OrderedDict(chain._modules))
    sequential.training = chain.training
    return sequential
