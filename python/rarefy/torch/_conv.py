"""Convolutions."""

import math

import torch

from ._chain import Step
from ._counts import count, sides
from ._module import SparseModule


class _SparseConv(SparseModule):
    """What convolutions over one and two axes share."""

    _axes = 0
    _fixed = SparseModule._fixed | {
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "groups",
    }

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        *,
        sparsity=0.9,
        block=1,
        generator=None,
    ):
        in_channels, out_channels = count("in_channels", in_channels), count("out_channels", out_channels)
        groups = count("groups", groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"in_channels ({in_channels}) and out_channels ({out_channels}) must be multiples of groups ({groups})"
            )
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"padding must be 'same', 'valid' or a number, not {padding!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = sides("kernel_size", kernel_size, self._axes)
        self.stride = sides("stride", stride, self._axes)
        self.padding = padding if isinstance(padding, str) else sides("padding", padding, self._axes, 0)
        self.dilation = sides("dilation", dilation, self._axes)
        if padding == "same" and any(side != 1 for side in self.stride):
            raise ValueError(f"padding 'same' needs a stride of 1, not {stride}")
        inputs = in_channels // groups * math.prod(self.kernel_size)
        super().__init__(out_channels, inputs, bias, sparsity, block, generator, out_channels // groups)

    @property
    def shape(self):
        return torch.Size((self.out_channels, self.in_channels // self.groups, *self.kernel_size))

    def step(self):
        kernel, stride, dilation = self.kernel_size, self.stride, self.dilation
        padding = {"valid": (0,) * self._axes}.get(self.padding, self.padding)
        if padding == "same":
            if any(d * (k - 1) % 2 for d, k in zip(dilation, kernel, strict=True)):
                raise ValueError(f"padding 'same' needs windows of odd size, not kernel_size={kernel}")
            padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
        sizes = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        settings = {
            "layer": f"conv{self._axes}d",
            "filters": self.out_channels,
            **{name: list(size) if self._axes > 1 else size[0] for name, size in sizes.items()},
            "groups": self.groups,
            "bias": self.bias is not None,
        }
        slots = (("values", True), ("bias", True)) if self.bias is not None else (("values", True),)
        name = type(self).__name__
        return Step(name, settings, (self._axes,), self.in_channels, slots, is_sparse=True)

    def extra_repr(self):
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding!r}, dilation={self.dilation}, groups={self.groups}, {super().extra_repr()}"
        )


class SparseConv1d(_SparseConv):
    """A convolution over the steps of sequences ``[N, channels, steps]`` with a sparse kernel, in place of
    :class:`torch.nn.Conv1d`.

    By itself it gains little, because the layout is changed before and after it; use it within a
    :class:`SparseSequential`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        As of :class:`torch.nn.Conv1d`; padding is zeros.
    sparsity : float
        The share of connections that do not exist; each number of a kernel is one.
    block : int or "auto"
        Neighbouring channels that have connections to the same numbers, as of :class:`SparseLinear`.
    generator : torch.Generator, optional
        Draws connections and values; torch's own if there is none.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch import SparseConv1d
    >>> layer = SparseConv1d(16, 32, 5, padding="same", sparsity=0.9)
    >>> layer.shape, layer(torch.randn(8, 16, 50)).shape
    (torch.Size([32, 16, 5]), torch.Size([8, 32, 50]))
    """

    _axes = 1


class SparseConv2d(_SparseConv):
    """A convolution over images ``[N, channels, height, width]`` with a sparse kernel, in place of
    :class:`torch.nn.Conv2d`.

    By itself it gains little, because the layout is changed before and after it; use it within a
    :class:`SparseSequential`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        As of :class:`torch.nn.Conv2d`; padding is zeros.
    sparsity : float
        The share of connections that do not exist; each number of a kernel is one.
    block : int or "auto"
        Neighbouring channels that have connections to the same numbers, as of :class:`SparseLinear`.
    generator : torch.Generator, optional
        Draws connections and values; torch's own if there is none.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch import SparseConv2d
    >>> layer = SparseConv2d(3, 16, 3, stride=2, padding=1, sparsity=0.8)
    >>> layer(torch.randn(8, 3, 32, 32)).shape
    torch.Size([8, 16, 16, 16])
    """

    _axes = 2
