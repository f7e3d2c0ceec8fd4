"""Convolutions with sparse filters as operators of torch's.

As of the products with a matrix the gradients of the three are the three, and there are derivatives of any order.
``windows`` are the two numbers each of stride, padding and dilation, and the groups.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .._rarefy import convolution_gradient, convolve
from ._arrays import check_arrays, numbers
from ._products import check_matrix, indices_of


@torch.library.custom_op("rarefy::conv2d", mutates_args=())
def conv2d(
    crow_indices: Tensor,
    col_indices: Tensor,
    values: Tensor,
    size: Sequence[int],
    input: Tensor,
    windows: Sequence[int],
) -> Tensor:
    output = _checked(crow_indices, col_indices, values, size, input.shape, windows, input)
    arrays = *indices_of(crow_indices, col_indices), numbers(values), numbers(input)
    found = convolve(_sizes(size, input.shape, windows), *arrays, False, torch.get_num_threads())
    return torch.from_numpy(found).reshape(output)


@conv2d.register_fake
def _(crow_indices, col_indices, values, size, input, windows):
    return input.new_empty(_checked(crow_indices, col_indices, values, size, input.shape, windows, input))


@torch.library.custom_op("rarefy::conv2d_input", mutates_args=())
def conv2d_input(
    crow_indices: Tensor,
    col_indices: Tensor,
    values: Tensor,
    size: Sequence[int],
    input_size: Sequence[int],
    gradient: Tensor,
    windows: Sequence[int],
) -> Tensor:
    _checked(crow_indices, col_indices, values, size, input_size, windows, gradient=gradient)
    arrays = *indices_of(crow_indices, col_indices), numbers(values), numbers(gradient)
    found = convolve(_sizes(size, input_size, windows), *arrays, True, torch.get_num_threads())
    return torch.from_numpy(found).reshape(input_size)


@conv2d_input.register_fake
def _(crow_indices, col_indices, values, size, input_size, gradient, windows):
    _checked(crow_indices, col_indices, values, size, input_size, windows, gradient=gradient)
    return gradient.new_empty(input_size)


@torch.library.custom_op("rarefy::conv2d_weight", mutates_args=())
def conv2d_weight(
    crow_indices: Tensor,
    col_indices: Tensor,
    size: Sequence[int],
    input: Tensor,
    gradient: Tensor,
    windows: Sequence[int],
) -> Tensor:
    _checked(crow_indices, col_indices, None, size, input.shape, windows, input, gradient)
    arrays = *indices_of(crow_indices, col_indices), numbers(input), numbers(gradient)
    return torch.from_numpy(convolution_gradient(_sizes(size, input.shape, windows), *arrays, torch.get_num_threads()))


@conv2d_weight.register_fake
def _(crow_indices, col_indices, size, input, gradient, windows):
    _checked(crow_indices, col_indices, None, size, input.shape, windows, input, gradient)
    return input.new_empty(col_indices.shape)


def _checked(crow_indices, col_indices, values, size, input_size, windows, input=None, gradient=None):
    """Checks arrays, and shapes against each other. Returns that of the output."""
    check_matrix(crow_indices, col_indices, values, size, 4)
    check_arrays([array for array in (input, gradient) if array is not None])
    stride, padding, dilation, groups = windows[:2], windows[2:4], windows[4:6], windows[6]
    if min(*stride, *dilation, groups) < 1 or min(padding) < 0:
        raise ValueError("stride, dilation and groups must be at least 1, padding at least 0")
    filters, channels, *kernel = size
    if len(input_size) != 4 or input_size[1] != channels * groups:
        raise ValueError(
            f"input has shape {tuple(input_size)}; with filters of size {tuple(size)} and groups={groups} it must be "
            f"(N, {channels * groups}, height, width)"
        )
    sides = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(input_size[2:], kernel, stride, padding, dilation, strict=True)
    ]
    if min(sides) < 1:
        raise ValueError(f"filters of size {tuple(size)} are larger than the input of shape {tuple(input_size)}")
    output = input_size[0], filters, *sides
    if gradient is not None and tuple(gradient.shape) != output:
        raise ValueError(f"grad_output has shape {tuple(gradient.shape)}, and must have that of the output, {output}")
    return output


def _sizes(size, input_size, windows):
    """As the compiled part takes them."""
    pairs = [list(windows[at : at + 2]) for at in (0, 2, 4)]
    return list(input_size[1:]), [size[0], *size[2:]], pairs, windows[6]


def _keep_forward(ctx, inputs, output):
    crow_indices, col_indices, values, ctx.size, input, ctx.windows = inputs
    ctx.save_for_backward(crow_indices, col_indices, values, input)


def _back_of_forward(ctx, gradient):
    crow_indices, col_indices, values, input = ctx.saved_tensors
    places, of_values, of_input = (crow_indices, col_indices), None, None
    if ctx.needs_input_grad[2]:
        of_values = conv2d_weight(*places, ctx.size, input, gradient, ctx.windows)
    if ctx.needs_input_grad[4]:
        of_input = conv2d_input(*places, values, ctx.size, input.shape, gradient, ctx.windows)
    return None, None, of_values, None, of_input, None


def _keep_input(ctx, inputs, output):
    crow_indices, col_indices, values, ctx.size, _, gradient, ctx.windows = inputs
    ctx.save_for_backward(crow_indices, col_indices, values, gradient)


def _back_of_input(ctx, wanted):
    crow_indices, col_indices, values, gradient = ctx.saved_tensors
    places, of_values, of_gradient = (crow_indices, col_indices), None, None
    if ctx.needs_input_grad[2]:
        of_values = conv2d_weight(*places, ctx.size, wanted, gradient, ctx.windows)
    if ctx.needs_input_grad[5]:
        of_gradient = conv2d(*places, values, ctx.size, wanted, ctx.windows)
    return None, None, of_values, None, None, of_gradient, None


def _keep_weight(ctx, inputs, output):
    crow_indices, col_indices, ctx.size, input, gradient, ctx.windows = inputs
    ctx.save_for_backward(crow_indices, col_indices, input, gradient)


def _back_of_weight(ctx, wanted):
    crow_indices, col_indices, input, gradient = ctx.saved_tensors
    filters, of_input, of_gradient = (crow_indices, col_indices, wanted, ctx.size), None, None
    if ctx.needs_input_grad[3]:
        of_input = conv2d_input(*filters, input.shape, gradient, ctx.windows)
    if ctx.needs_input_grad[4]:
        of_gradient = conv2d(*filters, input, ctx.windows)
    return None, None, None, of_input, of_gradient, None


conv2d.register_autograd(_back_of_forward, setup_context=_keep_forward)
conv2d_input.register_autograd(_back_of_input, setup_context=_keep_input)
conv2d_weight.register_autograd(_back_of_weight, setup_context=_keep_weight)
for _operator in (conv2d, conv2d_input, conv2d_weight):
    _operator.register_autocast("cpu", torch.float32)
