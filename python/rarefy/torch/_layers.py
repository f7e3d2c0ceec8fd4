"""The sparse layers of a model."""

from ._module import SparseModule
from ._sequential import SparseSequential
from ._traced import Traced


def sparse_layers(model, remove_duplicate=True):
    """Name and layer of each sparse layer."""
    for name, module in model.named_modules(remove_duplicate=remove_duplicate):
        if isinstance(module, SparseModule):
            yield name, module


def shared_places(model):
    """Each sparse layer in a chain with others, the chain, and which of the chain's weights is the layer's own."""
    for module in model.modules():
        owner = module if isinstance(module, SparseSequential) else vars(module).get("forward")
        if isinstance(owner, (SparseSequential, Traced)):
            yield from owner.sparse_places()
