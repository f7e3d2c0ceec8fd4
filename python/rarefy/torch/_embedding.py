"""A first layer whose inputs are few of many."""

import torch

from ._counts import count
from ._module import SparseModule, connections


class SparseEmbeddingBag(SparseModule):
    """Sums of rows of a sparse matrix, in place of :class:`torch.nn.EmbeddingBag` with ``mode="sum"``.

    It is a linear layer on inputs most of which are 0: bags of words, one-hot columns. Only the connections of inputs
    that a batch has are computed with.

    Parameters
    ----------
    num_embeddings : int
        Inputs that there are: words of the vocabulary.
    embedding_dim : int
        Outputs.
    sparsity : float
        The share of connections that do not exist. An input may be left without one.
    generator : torch.Generator, optional
        Draws connections and values; torch's own if there is none.

    Examples
    --------
    >>> import torch
    >>> from rarefy.torch import SparseEmbeddingBag
    >>> bag = SparseEmbeddingBag(1000, 64, sparsity=0.95)
    >>> words, offsets = torch.tensor([4, 8, 15, 16, 23]), torch.tensor([0, 2])
    >>> bag.nnz, bag(words, offsets).shape
    (3200, torch.Size([2, 64]))
    """

    _fixed = SparseModule._fixed | {"num_embeddings", "embedding_dim"}

    def __init__(self, num_embeddings, embedding_dim, *, sparsity=0.9, generator=None):
        torch.nn.Module.__init__(self)
        sides = count("num_embeddings", num_embeddings), count("embedding_dim", embedding_dim)
        self.num_embeddings, self.embedding_dim = sides
        self._connect(*sides, max(connections(*sides, sparsity), 1), generator)
        self.register_parameter("bias", None)
        self.reset_parameters(generator)
        # It is no part of chains: what comes in are indices.
        self._chain = None
        # Where a list stands, each backward pass leaves in it the gradients of all cells of the rows that it read.
        self.record = None

    def step(self):
        raise TypeError("a SparseSequential cannot hold SparseEmbeddingBag, which takes indices; put it before")

    @torch.no_grad()
    def reset_parameters(self, generator=None):
        """Draws values anew, as torch's dense layer does."""
        self.values.normal_(generator=generator)

    def forward(self, input, offsets=None, per_sample_weights=None):
        """Sums rows.

        Parameters
        ----------
        input : torch.Tensor
            Indices, one bag a row; or of all bags one after the other.
        offsets : torch.Tensor, optional
            Where each bag begins, if `input` has one axis.
        per_sample_weights : torch.Tensor, optional
            What each index counts, in the shape of `input`; 1 by default.
        """
        indices, bags, count = self._bags(input, offsets)
        starts = self.crow_indices.long()
        lengths = starts.diff()[indices]
        # Of each connection of each index its place among values, and its bag.
        ends = lengths.cumsum(0)
        each = torch.repeat_interleave(lengths)
        slots = starts[indices][each] + torch.arange(len(each)) - (ends - lengths)[each]
        numbers = self.values.index_select(0, slots)
        weights = None
        if per_sample_weights is not None:
            if per_sample_weights.shape != input.shape:
                raise ValueError(
                    f"per_sample_weights must have the shape {tuple(input.shape)} of input, "
                    f"not {tuple(per_sample_weights.shape)}"
                )
            weights = per_sample_weights.flatten()
            numbers = numbers * weights[each]
        places = bags[each] * self.embedding_dim + self.col_indices[slots]
        sums = numbers.new_zeros(count * self.embedding_dim).index_add(0, places, numbers)
        sums = sums.view(count, self.embedding_dim)
        if self.record is not None and sums.requires_grad:
            sums.register_hook(lambda gradient: self._note(gradient.detach(), indices, bags, weights))
        return sums

    @torch.no_grad()
    def _note(self, gradient, indices, bags, weights):
        rows, places = indices.unique(return_inverse=True)
        of_each = gradient[bags] if weights is None else gradient[bags] * weights.unsqueeze(1)
        of_rows = gradient.new_zeros(len(rows), self.embedding_dim).index_add_(0, places, of_each)
        self.record.append((rows.numpy(), of_rows.numpy()))

    def _bags(self, input, offsets):
        """Indices, the bag of each, and how many bags there are."""
        if input.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"input must hold indices of int32 or int64, not {input.dtype}")
        if input.dim() == 2 and offsets is None:
            bags = torch.arange(len(input)).repeat_interleave(input.shape[1])
            count = len(input)
        elif input.dim() == 1 and offsets is not None:
            count = len(offsets)
            ends = torch.cat([offsets[1:], offsets.new_tensor([len(input)])])
            if count == 0 or offsets[0] != 0 or (ends < offsets).any():
                raise ValueError("offsets must begin with 0, not fall, and not go beyond input")
            bags = torch.arange(count).repeat_interleave(ends - offsets)
        else:
            raise ValueError("input must have two axes, or one and offsets")
        indices = input.flatten().long()
        if len(indices) and not 0 <= indices.min() <= indices.max() < self.num_embeddings:
            raise IndexError(f"input has indices from {indices.min()} to {indices.max()} of {self.num_embeddings} rows")
        return indices, bags, count

    def extra_repr(self):
        return f"{self.num_embeddings}, {self.embedding_dim}, nnz={self.nnz}, density={self.density:.4g}"
