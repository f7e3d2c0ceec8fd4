"""The products of sparse layers on torch's arrays, for layers of your own.

A sparse matrix is given as :func:`torch.sparse_csr_tensor` takes it: ``crow_indices`` and ``col_indices`` of int32 or
int64, sorted, then ``values`` and ``size``. A layer of :mod:`rarefy.torch` has them, with ``layer.shape`` as the size.
Indices of int64 are copied. What the products are is said in :mod:`rarefy.ops` and :mod:`torch.nn.grad`.

All have gradients for the values and for what is dense, and derivatives of these; that of the values of a matrix is
`sddmm`, for 524,288 columns at most. All numbers are float32, under autocast too. Threads are as many as
``torch.get_num_threads()`` says, and change no bit.
"""

from numbers import Integral

from torch import Tensor

from . import _convolutions, _products
from ._transforms import refuse_transforms

__all__ = ["conv2d", "conv2d_input", "conv2d_weight", "sddmm", "spmm", "spmm_t"]


def spmm(crow_indices: Tensor, col_indices: Tensor, values: Tensor, size: tuple[int, int], X: Tensor) -> Tensor:
    """A sparse matrix times a dense one: ``A @ X``.

    Parameters
    ----------
    crow_indices, col_indices, values, size
        ``A`` of shape (m, k).
    X : torch.Tensor of shape (k, n)
        The dense matrix; copied unless it is contiguous.

    Returns
    -------
    torch.Tensor of shape (m, n)

    Raises
    ------
    TypeError
        Numbers other than float32, or on another device than the CPU.
    ValueError
        Shapes that do not fit, or indices that contradict each other.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch.ops import spmm
    >>> A = torch.tensor([[0.0, 2, 0], [3, 0, 4]]).to_sparse_csr()
    >>> X = torch.tensor([[1.0], [10], [100]])
    >>> spmm(A.crow_indices(), A.col_indices(), A.values(), A.shape, X)
    tensor([[ 20.],
            [403.]])
    """
    _refuse_transforms(values, X)
    return _products.spmm(crow_indices, col_indices, values, size, X)


def spmm_t(crow_indices: Tensor, col_indices: Tensor, values: Tensor, size: tuple[int, int], X: Tensor) -> Tensor:
    """The transpose of a sparse matrix times a dense one: ``A.T @ X``.

    Parameters
    ----------
    crow_indices, col_indices, values, size
        ``A`` of shape (m, k), not transposed.
    X : torch.Tensor of shape (m, n)
        The dense matrix; copied unless it is contiguous.

    Returns
    -------
    torch.Tensor of shape (k, n)

    Raises
    ------
    TypeError, ValueError
        As `spmm`.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch.ops import spmm_t
    >>> A = torch.tensor([[0.0, 2, 0], [3, 0, 4]]).to_sparse_csr()
    >>> spmm_t(A.crow_indices(), A.col_indices(), A.values(), A.shape, torch.tensor([[1.0], [10]]))
    tensor([[30.],
            [ 2.],
            [40.]])
    """
    _refuse_transforms(values, X)
    return _products.spmm_t(crow_indices, col_indices, values, size, X)


def sddmm(crow_indices: Tensor, col_indices: Tensor, size: tuple[int, int], X: Tensor, Y: Tensor) -> Tensor:
    """A dense product where a sparse matrix has numbers: ``X @ Y.T`` at the places of ``A``.

    Parameters
    ----------
    crow_indices, col_indices, size
        The places in ``A`` of shape (m, k).
    X : torch.Tensor of shape (m, n)
    Y : torch.Tensor of shape (k, n)
        The dense matrices; copied unless they are contiguous. ``n`` is 524,288 at most.

    Returns
    -------
    torch.Tensor of shape (nnz,)
        A number for each place, as ``values`` of ``A``.

    Raises
    ------
    TypeError, ValueError
        As `spmm`.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch.ops import sddmm
    >>> A = torch.tensor([[0.0, 2, 0], [3, 0, 4]]).to_sparse_csr()
    >>> X, Y = torch.tensor([[1.0], [10]]), torch.tensor([[1.0], [2], [3]])
    >>> sddmm(A.crow_indices(), A.col_indices(), A.shape, X, Y)
    tensor([ 2., 10., 30.])
    """
    _refuse_transforms(X, Y)
    return _products.sddmm(crow_indices, col_indices, size, X, Y)


def conv2d(
    crow_indices: Tensor,
    col_indices: Tensor,
    values: Tensor,
    size: tuple[int, int, int, int],
    input: Tensor,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution with sparse filters, as :func:`torch.nn.functional.conv2d`.

    Parameters
    ----------
    crow_indices, col_indices, values
        The filters as a matrix of a row for each: what `size` says, flattened from its second axis on.
    size : tuple of (filters, channels / groups, height, width)
        The shape of the filters.
    input : torch.Tensor of shape (N, channels, height, width)
        Copied unless it is contiguous.
    stride, padding, dilation, groups
        As of :func:`torch.nn.functional.conv2d`; padding is zeros.

    Returns
    -------
    torch.Tensor of shape (N, filters, height, width)

    Raises
    ------
    TypeError, ValueError
        As `spmm`.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch import SparseConv2d
    >>> from rarefy.torch.ops import conv2d
    >>> layer, images = SparseConv2d(3, 8, 3, bias=False), torch.randn(2, 3, 5, 5)
    >>> outputs = conv2d(layer.crow_indices, layer.col_indices, layer.values, layer.shape, images)
    >>> torch.allclose(outputs, layer(images), atol=1e-6)
    True
    """
    windows = _windows(stride, padding, dilation, groups)
    _refuse_transforms(values, input)
    return _convolutions.conv2d(crow_indices, col_indices, values, size, input, windows)


def conv2d_input(
    crow_indices: Tensor,
    col_indices: Tensor,
    values: Tensor,
    size: tuple[int, int, int, int],
    input_size: tuple[int, int, int, int],
    grad_output: Tensor,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of the input of `conv2d`, as :func:`torch.nn.grad.conv2d_input`.

    Parameters
    ----------
    crow_indices, col_indices, values, size
        The filters.
    input_size : tuple of (N, channels, height, width)
        The shape of the input.
    grad_output : torch.Tensor of shape (N, filters, height, width)
        The gradient of the output; copied unless it is contiguous.
    stride, padding, dilation, groups
        As of `conv2d`.

    Returns
    -------
    torch.Tensor of shape (N, channels, height, width)

    Raises
    ------
    TypeError, ValueError
        As `spmm`.
    """
    windows = _windows(stride, padding, dilation, groups)
    _refuse_transforms(values, grad_output)
    return _convolutions.conv2d_input(crow_indices, col_indices, values, size, input_size, grad_output, windows)


def conv2d_weight(
    crow_indices: Tensor,
    col_indices: Tensor,
    size: tuple[int, int, int, int],
    input: Tensor,
    grad_output: Tensor,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of the filters of `conv2d` where they have numbers, as :func:`torch.nn.grad.conv2d_weight`.

    Parameters
    ----------
    crow_indices, col_indices, size
        The places of the filters.
    input : torch.Tensor of shape (N, channels, height, width)
    grad_output : torch.Tensor of shape (N, filters, height, width)
        The gradient of the output. Both are copied unless they are contiguous.
    stride, padding, dilation, groups
        As of `conv2d`.

    Returns
    -------
    torch.Tensor of shape (nnz,)
        A number for each place, as ``values`` of the filters.

    Raises
    ------
    TypeError, ValueError
        As `spmm`.
    """
    windows = _windows(stride, padding, dilation, groups)
    _refuse_transforms(input, grad_output)
    return _convolutions.conv2d_weight(crow_indices, col_indices, size, input, grad_output, windows)


def _windows(stride, padding, dilation, groups):
    pairs = [(it, it) if isinstance(it, Integral) else tuple(it) for it in (stride, padding, dilation)]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("stride, padding and dilation must be a number or two, for height and width")
    return [*pairs[0], *pairs[1], *pairs[2], groups]


def _refuse_transforms(*arrays):
    refuse_transforms(arrays, "the products of rarefy.torch.ops", takes_batches=True)
