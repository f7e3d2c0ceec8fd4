"""Sparse layers for PyTorch: weights, gradients and optimizer state exist for the connections that there are alone.

Layers in a row are fastest as one :class:`SparseSequential`: what passes between them stays in rarefy's layout.
"""

from . import ops
from ._conv import SparseConv1d, SparseConv2d
from ._embedding import SparseEmbeddingBag
from ._linear import SparseLinear
from ._module import SparseModule
from ._save import to_dense_state_dict
from ._sequential import SparseSequential
from ._sparsify import densify, sparsify, summary
from ._topology import Churn, TopologyScheduler

__all__ = [
    "Churn",
    "SparseConv1d",
    "SparseConv2d",
    "SparseEmbeddingBag",
    "SparseLinear",
    "SparseModule",
    "SparseSequential",
    "TopologyScheduler",
    "densify",
    "ops",
    "sparsify",
    "summary",
    "to_dense_state_dict",
]
