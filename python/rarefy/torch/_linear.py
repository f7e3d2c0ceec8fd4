"""Linear layers."""

from ._chain import Step
from ._counts import count
from ._module import SparseModule


class SparseLinear(SparseModule):
    """``y = x W^T + b`` with a sparse ``W``, in place of :class:`torch.nn.Linear`.

    Parameters
    ----------
    in_features, out_features : int
        Numbers of a sample before and after.
    bias : bool
        Whether something is added to each output.
    sparsity : float
        The share of connections that do not exist.
    block : int or "auto"
        Neighbouring outputs that have connections to the same inputs: 2, 4, 8 or 16 make a layer faster, at some cost
        in accuracy. It takes the largest of these, up to the one given, that divides its outputs.
    generator : torch.Generator, optional
        Draws connections and values; torch's own if there is none.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch import SparseLinear
    >>> layer = SparseLinear(100, 40, sparsity=0.95)
    >>> layer.nnz, layer(torch.randn(8, 100)).shape
    (200, torch.Size([8, 40]))
    """

    _fixed = SparseModule._fixed | {"in_features", "out_features"}

    def __init__(self, in_features, out_features, bias=True, *, sparsity=0.9, block=1, generator=None):
        self.in_features, self.out_features = count("in_features", in_features), count("out_features", out_features)
        super().__init__(self.out_features, self.in_features, bias, sparsity, block, generator)

    def step(self):
        settings = {"layer": "linear", "outputs": self.out_features}
        slots = (("values", True), ("bias", True) if self.bias is not None else None)
        return Step("SparseLinear", settings, (0,), self.in_features, slots, is_sparse=True)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, {super().extra_repr()}"
