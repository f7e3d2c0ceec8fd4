"""State dicts for dense models."""

from collections import OrderedDict

from ._layers import sparse_layers
from ._load import PARTS


def to_dense_state_dict(model):
    """The state dict that the model would have if its layers were dense.

    Sparse layers have one ``weight`` instead of values and indices, as ``nn.Linear`` and ``nn.Conv2d`` do; absent
    connections are 0. Where `sparsify` made the model, the model that it was made from loads it.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    OrderedDict

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch import sparsify, to_dense_state_dict
    >>> model = sparsify(torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.Linear(30, 2)), 0.8)
    >>> dense = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.Linear(30, 2))
    >>> dense.load_state_dict(to_dense_state_dict(model))
    <All keys matched successfully>
    """
    layers = {f"{name}." if name else "": layer for name, layer in sparse_layers(model, remove_duplicate=False)}
    dense = OrderedDict()
    for key, value in model.state_dict().items():
        prefix, dot, part = key.rpartition(".")
        prefix += dot
        if prefix not in layers or part not in PARTS:
            dense[key] = value
        elif part == "values":
            dense[prefix + "weight"] = layers[prefix].to_dense().detach()
    return dense
