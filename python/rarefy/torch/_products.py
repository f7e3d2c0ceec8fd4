"""Products with a sparse matrix as operators of torch's.

Each is linear in both things that it multiplies, and the gradients of the three are the three. So there are derivatives
of any order.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .._rarefy import products_of_rows, sparse_times_dense
from ..ops import MOST_COLUMNS
from ._arrays import check_arrays, numbers

_MOST = 2**31 - 1


@torch.library.custom_op("rarefy::spmm", mutates_args=())
def spmm(crow_indices: Tensor, col_indices: Tensor, values: Tensor, size: Sequence[int], x: Tensor) -> Tensor:
    return _product(crow_indices, col_indices, values, size, x, False)


@torch.library.custom_op("rarefy::spmm_t", mutates_args=())
def spmm_t(crow_indices: Tensor, col_indices: Tensor, values: Tensor, size: Sequence[int], x: Tensor) -> Tensor:
    return _product(crow_indices, col_indices, values, size, x, True)


def _product(crow_indices, col_indices, values, size, x, transposed):
    _check_product(crow_indices, col_indices, values, size, x, transposed)
    arrays = *indices_of(crow_indices, col_indices), numbers(values), numbers(x)
    return torch.from_numpy(sparse_times_dense(tuple(size), *arrays, transposed, torch.get_num_threads()))


def _check_product(crow_indices, col_indices, values, size, x, transposed):
    check_matrix(crow_indices, col_indices, values, size, 2)
    _check_dense("X", x, size[0 if transposed else 1], size)


@torch.library.custom_op("rarefy::sddmm", mutates_args=())
def sddmm(crow_indices: Tensor, col_indices: Tensor, size: Sequence[int], x: Tensor, y: Tensor) -> Tensor:
    _check_sampled(crow_indices, col_indices, size, x, y)
    arrays = *indices_of(crow_indices, col_indices), numbers(x), numbers(y)
    return torch.from_numpy(products_of_rows(tuple(size), *arrays, torch.get_num_threads()))


def _check_sampled(crow_indices, col_indices, size, x, y):
    check_matrix(crow_indices, col_indices, None, size, 2)
    _check_dense("X", x, size[0], size)
    _check_dense("Y", y, size[1], size)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"X has shape {tuple(x.shape)} and Y {tuple(y.shape)}; both must have as many columns")
    if x.shape[1] > MOST_COLUMNS:
        raise ValueError(f"X has {x.shape[1]} columns; sums are over {MOST_COLUMNS} at most")


def _check_dense(name, x, rows, size):
    check_arrays([x])
    if x.dim() != 2 or x.shape[0] != rows:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; with A of size {tuple(size)} it must be ({rows}, columns)"
        )


def check_matrix(crow_indices, col_indices, values, size, axes):
    """Checks what can be told of a sparse matrix without its numbers; indices are checked where they are read."""
    if len(size) != axes or not all(0 <= side <= _MOST for side in size):
        raise ValueError(f"size must have {axes} numbers from 0 to 2**31 - 1, not {tuple(size)}")
    for name, indices in (("crow_indices", crow_indices), ("col_indices", col_indices)):
        if indices.device.type != "cpu" or indices.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"{name} must hold int32 or int64 on the CPU, not {indices.dtype} on {indices.device}")
        if indices.dim() != 1:
            raise ValueError(f"{name} has shape {tuple(indices.shape)}, and must have one axis")
    if values is not None:
        check_arrays([values])
        if values.shape != col_indices.shape:
            raise ValueError(
                f"values must have the shape {tuple(col_indices.shape)} of col_indices, not {tuple(values.shape)}"
            )


def indices_of(*arrays):
    """Indices as int32. What this cannot hold becomes what no matrix has."""
    narrow = (array if array.dtype == torch.int32 else array.clamp(-1, _MOST).to(torch.int32) for array in arrays)
    return [array.contiguous().numpy() for array in narrow]


@spmm.register_fake
def _(crow_indices, col_indices, values, size, x):
    _check_product(crow_indices, col_indices, values, size, x, False)
    return x.new_empty(size[0], x.shape[1])


@spmm_t.register_fake
def _(crow_indices, col_indices, values, size, x):
    _check_product(crow_indices, col_indices, values, size, x, True)
    return x.new_empty(size[1], x.shape[1])


@sddmm.register_fake
def _(crow_indices, col_indices, size, x, y):
    _check_sampled(crow_indices, col_indices, size, x, y)
    return x.new_empty(col_indices.shape)


def _keep_product(ctx, inputs, output):
    crow_indices, col_indices, values, ctx.size, x = inputs
    ctx.save_for_backward(crow_indices, col_indices, values, x)


def _back_of_product(product, transposed):
    def back(ctx, gradient):
        crow_indices, col_indices, values, x = ctx.saved_tensors
        of_values = of_x = None
        if ctx.needs_input_grad[2]:
            left, right = (x, gradient) if product is spmm_t else (gradient, x)
            of_values = sddmm(crow_indices, col_indices, ctx.size, left, right)
        if ctx.needs_input_grad[4]:
            of_x = transposed(crow_indices, col_indices, values, ctx.size, gradient)
        return None, None, of_values, None, of_x

    product.register_autograd(back, setup_context=_keep_product)


def _keep_sampled(ctx, inputs, output):
    crow_indices, col_indices, ctx.size, x, y = inputs
    ctx.save_for_backward(crow_indices, col_indices, x, y)


def _back_of_sampled(ctx, gradient):
    crow_indices, col_indices, x, y = ctx.saved_tensors
    matrix = crow_indices, col_indices, gradient, ctx.size
    of_x = spmm(*matrix, y) if ctx.needs_input_grad[3] else None
    of_y = spmm_t(*matrix, x) if ctx.needs_input_grad[4] else None
    return None, None, None, of_x, of_y


_back_of_product(spmm, spmm_t)
_back_of_product(spmm_t, spmm)
sddmm.register_autograd(_back_of_sampled, setup_context=_keep_sampled)
for _operator in (spmm, spmm_t, sddmm):
    _operator.register_autocast("cpu", torch.float32)
