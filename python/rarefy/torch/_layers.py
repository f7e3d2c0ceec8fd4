"""The sparse layers of a model."""

from ._module import SparseModule


def sparse_layers(model, remove_duplicate=True):
    """Name and layer of each sparse layer."""
    for name, module in model.named_modules(remove_duplicate=remove_duplicate):
        if isinstance(module, SparseModule):
            yield name, module
