"""What all sparse layers have: a weight matrix of which only some cells exist."""

import math
import warnings

import torch

from .._engine import to_json
from .._rarefy import block_height, check_pattern, random_pattern
from ._chain import Chain
from ._load import prepare_load
from ._pass import run


class SparseModule(torch.nn.Module):
    """A layer whose weight is a sparse matrix ``[outputs, inputs of an output]``, in torch's order of inputs.

    Attributes
    ----------
    values : torch.nn.Parameter
        One number for each connection, in the order of the rows.
    crow_indices, col_indices : torch.Tensor
        Which connections there are, as compressed sparse rows of int32. To change them call :meth:`set_pattern_`.
    block : int
        Outputs next to each other that have connections to the same inputs.
    bias : torch.nn.Parameter or None
        One number for each output.
    """

    block = 1
    # What a layer is made with and its chains are built of, once.
    _fixed = frozenset({"block"})

    def __init__(self, rows, cols, bias, sparsity, block, generator, alike=None):
        super().__init__()
        asked = connections(rows, cols, sparsity)
        nnz = max(asked, rows)
        self.block = block_height(to_json({"sparsity": {"block": block}}), rows if alike is None else alike)
        if nnz > asked:
            warnings.warn(
                f"{type(self).__name__}: a sparsity of {sparsity} leaves {asked} connections for {rows} outputs; "
                f"each has one, which makes a sparsity of {1 - nnz / (rows * cols):.6g}",
                stacklevel=3,
            )
        self._connect(rows, cols, nnz, generator)
        if bias:
            self.bias = torch.nn.Parameter(torch.empty(rows, dtype=torch.float32, device="cpu"))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters(generator)
        self._chain = Chain([self.step()])

    def _connect(self, rows, cols, nnz, generator):
        """Draws connections, whose values are yet to come."""
        self._rows, self._cols = rows, cols
        seed = int(torch.randint(2**62, (1,), generator=generator, device="cpu"))
        crow, col = random_pattern(rows, cols, nnz, self.block, seed)
        self.register_buffer("crow_indices", torch.from_numpy(crow))
        self.register_buffer("col_indices", torch.from_numpy(col))
        # Whatever torch's defaults are.
        self.values = torch.nn.Parameter(torch.empty(len(col), dtype=torch.float32, device="cpu"))

    def __setattr__(self, name, value):
        had = vars(self)
        changes_bias = name == "bias" and name in had.get("_parameters", ()) and (value is None) != (self.bias is None)
        if changes_bias or (name in self._fixed and name in had):
            raise AttributeError(
                f"{name} of a {type(self).__name__} is what it was made with; make another layer and set its pattern: "
                "other.set_pattern_(layer.crow_indices, layer.col_indices, layer.values)"
            )
        super().__setattr__(name, value)

    def step(self):
        """What the layer is in a chain."""
        raise NotImplementedError

    def reset_parameters(self, generator=None):
        """Draws values and bias anew, as torch's dense layer does for as many inputs as each output has connections."""
        fan_in = self.crow_indices.diff().clamp(min=1)
        bounds = fan_in.to(torch.float32).rsqrt()
        with torch.no_grad():
            self.values.uniform_(-1.0, 1.0, generator=generator)
            self.values.mul_(torch.repeat_interleave(bounds, self.crow_indices.diff()))
            if self.bias is not None:
                self.bias.uniform_(-1.0, 1.0, generator=generator).mul_(bounds)

    @property
    def shape(self):
        """The shape of the weight in torch's dense layer."""
        return torch.Size((self._rows, self._cols))

    @property
    def nnz(self):
        """Connections."""
        return self.col_indices.numel()

    @property
    def density(self):
        """Connections over cells."""
        return self.nnz / math.prod(self.shape)

    def in_blocks(self, nnz):
        """The connections that the layer has where at most ``nnz`` are asked for: whole blocks, one at least."""
        return max(nnz // self.block, 1) * self.block

    def to_dense(self):
        """The weight as torch's dense layer has it, absent connections being 0.

        Returns
        -------
        torch.Tensor
            Of :attr:`shape`; gradients flow back to :attr:`values`.
        """
        rows = torch.repeat_interleave(torch.arange(self._rows, device=self.values.device), self.crow_indices.diff())
        cells = rows * self._cols + self.col_indices
        dense = self.values.new_zeros(self._rows * self._cols)
        return dense.index_put((cells,), self.values).reshape(self.shape)

    @torch.no_grad()
    def set_pattern_(self, crow_indices, col_indices, values):
        """Puts other connections in place of those that there are.

        The parameter :attr:`values` stays the same object, so that optimizers keep it; its gradient is dropped.

        Parameters
        ----------
        crow_indices, col_indices : torch.Tensor
            Compressed sparse rows of the weight as a matrix of one row for each output, columns rising within a row.
            Rows of a block have the same columns.
        values : torch.Tensor
            One for each connection.

        Returns
        -------
        SparseModule
            The layer.

        Raises
        ------
        TypeError
            If indices are no whole numbers.
        ValueError
            If they, or the shape of the values, do not fit the layer.
        """
        crow, col = _indices("crow_indices", crow_indices), _indices("col_indices", col_indices)
        check_pattern(self._rows, self._cols, self.block, crow.numpy(), col.numpy())
        if values.shape != col.shape:
            raise ValueError(f"values must have the shape {tuple(col.shape)} of col_indices, not {tuple(values.shape)}")
        numbers = values.detach().to(self.values).clone()
        self.crow_indices, self.col_indices = crow, col
        self.values.grad = None
        # While a loss is held its graph is, and torch would go on to ask for a gradient of as many numbers as there
        # were; it forgets that only where the type changes.
        self.values.data = numbers.new_empty(0, dtype=torch.complex64)
        self.values.data = numbers
        # A forward pass of before has no backward pass any more, as where numbers are changed in place.
        if not self.values.is_inference():
            torch.autograd.graph.increment_version(self.values)
        return self

    def forward(self, x):
        parameters = [self.values] if self.bias is None else [self.values, self.bias]
        return run(self._chain.handle, x, parameters, [self.crow_indices, self.col_indices])[0]

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
        prepare_load(self, state_dict, prefix, errors)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing, unexpected, errors)

    def extra_repr(self):
        block = f", block={self.block}" if self.block > 1 else ""
        return f"bias={self.bias is not None}, nnz={self.nnz}, density={self.density:.4g}{block}"


def connections(rows, cols, sparsity):
    """How many connections a sparsity leaves."""
    if not 0.0 <= sparsity < 1.0:
        raise ValueError(f"sparsity must be at least 0 and below 1, not {sparsity}")
    return round((1.0 - sparsity) * rows * cols)


def _indices(name, indices):
    indices = torch.as_tensor(indices).detach().to("cpu")
    # A list of none is one of floats to torch.
    if indices.numel() and (indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool):
        raise TypeError(f"{name} must hold whole numbers, not {indices.dtype}")
    narrow = indices.to(torch.int32).contiguous().clone()
    if not torch.equal(narrow.to(indices.dtype), indices):
        raise ValueError(f"{name} must hold numbers from 0 to 2**31 - 1")
    return narrow
