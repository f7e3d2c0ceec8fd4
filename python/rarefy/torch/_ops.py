"""The operators that torch sees: a chain forward, and backward."""

import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._chain import chain_of

# What forward passes keep for their backward passes, by the address of the tensor that stands for it.
_TICKETS = weakref.WeakValueDictionary()


class _Ticket(np.ndarray):
    """One number whose memory torch keeps as long as a backward pass may come; with it goes what the forward pass kept.

    The number says nothing: two passes that do the same give equal tensors, as torch demands of operators.
    """


def run(handle, x, parameters, indices, training=False, seed=None):
    """The output of a chain, and mean and variance of what each batch norm saw.

    Parameters
    ----------
    handle : str
        The chain's.
    x : torch.Tensor
        The input.
    parameters, indices : list of torch.Tensor
        The arrays that the chain's steps name, and ``crow_indices`` and ``col_indices`` of each sparse layer.
    training : bool
        Whether batch norms use the batch, and numbers are dropped out.
    seed : torch.Tensor, optional
        What dropout draws by.
    """
    wants = torch.is_grad_enabled() and (x.requires_grad or any(parameter.requires_grad for parameter in parameters))
    return chain_forward(x, parameters, indices, seed, handle, training, wants)[:2]


@torch.library.custom_op("rarefy::chain_forward", mutates_args=())
def chain_forward(
    x: Tensor,
    parameters: Sequence[Tensor],
    indices: Sequence[Tensor],
    seed: Tensor | None,
    chain: str,
    training: bool,
    keeps: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, statistics of batch norms, and a ticket for the backward pass if one ``keeps`` what it needs."""
    _check_arrays([x, *parameters])
    chain = chain_of(chain)
    shape = chain.sample_shape(x.shape)
    y = x.new_empty(chain.output_shape(x.shape))
    statistics = x.new_empty(2 * sum(chain.normalised) if training else 0)
    kept = chain.network(shape, indices).forward(
        _numbers(x),
        [_numbers(parameter) for parameter in parameters],
        y.numpy(),
        statistics.numpy(),
        None if seed is None else int(seed),
        training,
        keeps,
        torch.get_num_threads(),
    )
    return y, statistics, x.new_empty(0, dtype=torch.int64) if kept is None else _ticket(kept)


def _ticket(kept):
    numbers = np.zeros(1, dtype=np.int64).view(_Ticket)
    numbers.kept = kept
    ticket = torch.from_numpy(numbers)
    _TICKETS[ticket.data_ptr()] = numbers
    return ticket


@chain_forward.register_fake
def _(x, parameters, indices, seed, chain, training, keeps):
    chain = chain_of(chain)
    return (
        x.new_empty(chain.output_shape(x.shape)),
        x.new_empty(2 * sum(chain.normalised) if training else 0),
        x.new_empty(1 if keeps else 0, dtype=torch.int64),
    )


@torch.library.custom_op("rarefy::chain_backward", mutates_args=())
def chain_backward(
    gradient: Tensor,
    ticket: Tensor,
    parameters: Sequence[Tensor],
    chain: str,
    shape: Sequence[int],
    wants_input: bool,
) -> list[Tensor]:
    """The gradient of the input, of no numbers if nobody wants it, and that of each parameter that is trained."""
    _check_arrays([gradient])
    kept = _TICKETS.get(ticket.data_ptr())
    if kept is None:
        raise RuntimeError(
            "what a forward pass of rarefy kept for this backward pass is gone: the graph was copied, or freed by an "
            "earlier backward pass"
        )
    chain = chain_of(chain)
    gradients = _empty_gradients(gradient, parameters, chain, shape, wants_input)
    kept.kept.backward(
        _numbers(gradient),
        [_numbers(parameter) for parameter in parameters],
        gradients[0].numpy() if wants_input else None,
        [gradient.numpy() for gradient in gradients[1:]],
        torch.get_num_threads(),
    )
    if chain.record is not None:
        chain.record.append(kept.kept)
    return gradients


def _empty_gradients(gradient, parameters, chain, shape, wants_input):
    trained = [it for it, is_trained in zip(parameters, chain.trained, strict=True) if is_trained]
    return [gradient.new_empty(shape if wants_input else 0), *(gradient.new_empty(it.shape) for it in trained)]


@chain_backward.register_fake
def _(gradient, ticket, parameters, chain, shape, wants_input):
    return _empty_gradients(gradient, parameters, chain_of(chain), shape, wants_input)


def _keep(ctx, inputs, output):
    x, parameters, _, _, ctx.chain, _, _ = inputs
    _, statistics, ticket = output
    ctx.mark_non_differentiable(statistics, ticket)
    ctx.shape = x.shape
    ctx.save_for_backward(ticket, *parameters)


def _backward(ctx, gradient, *_):
    ticket, *parameters = ctx.saved_tensors
    wants_input, wants_parameters, wants_indices, *_ = ctx.needs_input_grad
    found = iter(chain_backward(gradient, ticket, parameters, ctx.chain, ctx.shape, wants_input))
    of_input = next(found)
    trained = chain_of(ctx.chain).trained
    of_parameters = [next(found) if is_trained else None for is_trained in trained]
    of_parameters = [it if wants else None for it, wants in zip(of_parameters, wants_parameters, strict=True)]
    none = [None] * len(wants_indices)
    return of_input if wants_input else None, of_parameters, none, None, None, None, None


def _refuse(ctx, *gradients):
    raise RuntimeError(
        "rarefy's layers have first derivatives only; a second one (create_graph=True, torch.func.hessian) needs dense "
        "layers: rarefy.torch.densify(model)"
    )


chain_forward.register_autograd(_backward, setup_context=_keep)
chain_backward.register_autograd(_refuse, setup_context=lambda ctx, inputs, output: None)
# Where torch would have a layer compute in half precision this one does in float32.
chain_forward.register_autocast("cpu", torch.float32)


def _check_arrays(arrays):
    for array in arrays:
        if array.device.type != "cpu":
            raise TypeError(f"rarefy computes on the CPU, and is given arrays on {array.device}")
        if array.dtype != torch.float32:
            raise TypeError(f"rarefy computes in float32, and is given arrays of {array.dtype}")


def _numbers(tensor):
    return tensor.detach().contiguous().numpy()
