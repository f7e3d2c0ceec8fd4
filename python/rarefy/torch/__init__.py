"""Sparse layers for PyTorch: weights, gradients and optimizer state exist for the connections that there are alone.

Layers in a row are fastest as one :class:`SparseSequential`: what passes between them stays in rarefy's layout.
"""

from ._conv import SparseConv1d, SparseConv2d
from ._linear import SparseLinear
from ._module import SparseModule
from ._sequential import SparseSequential

__all__ = ["SparseConv1d", "SparseConv2d", "SparseLinear", "SparseModule", "SparseSequential"]
