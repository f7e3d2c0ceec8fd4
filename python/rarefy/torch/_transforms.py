"""Transforms of torch's, which see nothing of what an operator does and would go on with wrong numbers."""

import torch
from torch._C import _functorch
from torch.autograd import forward_ad


def refuse_transforms(arrays, who, takes_batches=False):
    """Refuses arrays that a transform of ``torch.func`` gives, or that have tangents of forward-mode derivatives.

    Parameters
    ----------
    arrays : list of torch.Tensor
    who : str
        What messages call the one who is given them.
    takes_batches : bool
        Whether ``torch.func.vmap`` may give them, because torch then calls once for each.
    """
    if torch.compiler.is_compiling():
        return  # Compilers look for themselves.
    if not torch._C._are_functorch_transforms_active() and forward_ad._current_level < 0:
        return
    for array in arrays:
        inner = array
        while takes_batches and _functorch.is_batchedtensor(inner):
            inner = _functorch.get_unwrapped(inner)
        if _functorch.is_functorch_wrapped_tensor(inner) or forward_ad.unpack_dual(inner).tangent is not None:
            raise RuntimeError(
                f"torch.func's transforms and forward-mode derivatives do not go through {who}: give whole batches and "
                "use backward() or torch.autograd.grad; they go through dense layers, rarefy.torch.densify(model)"
            )
