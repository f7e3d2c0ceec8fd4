"""A chain forward and backward, as torch's autograd sees it.

There are two ways to the same functions. Operators are what compilers, tracers, transforms and autocast understand;
they cost some 200 us a step, most of it in lists of tensors. So plain eager mode takes a function of autograd's.
"""

import itertools
import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._arrays import check_arrays, numbers
from ._chain import chain_of
from ._transforms import refuse_transforms

# What forward passes keep for their backward passes, by the number of the ticket.
_TICKETS = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()


class _Ticket(np.ndarray):
    """``1 + number * 2**-52``. Torch keeps its memory as long as a backward pass may come; with it goes what was kept.

    The number stands in the last bits because torch checks operators by calling them twice with the same arguments: the
    outputs must then be equal but for rounding.
    """


def run(handle, x, parameters, indices, running=(), training=False, seed=None):
    """The output of a chain, and mean and variance of what each batch norm saw.

    Parameters
    ----------
    handle : str
        The chain's.
    x : torch.Tensor
        The input.
    parameters, indices, running : list of torch.Tensor
        The arrays that the chain's steps name and gradients train, ``crow_indices`` and ``col_indices`` of each sparse
        layer, and the running mean and variance of each batch norm.
    training : bool
        Whether batch norms use the batch, and numbers are dropped out.
    seed : torch.Tensor, optional
        What dropout draws by.
    """
    running = list(running)
    if not isinstance(x, Tensor):
        raise TypeError(f"rarefy's layers take tensors of torch's, and are given {type(x).__name__}")
    if torch.jit.is_tracing():
        raise TypeError(
            "torch.jit.trace sees nothing of rarefy's layers; trace rarefy.torch.densify(model), or use torch.export"
        )
    refuse_transforms([x, *parameters], "rarefy's layers")
    wants = torch.is_grad_enabled() and (x.requires_grad or any(parameter.requires_grad for parameter in parameters))
    if not _is_plain(x):
        return chain_forward(x, parameters, indices, running, seed, handle, training, wants)[:2]
    if wants:
        return _Pass.apply(handle, seed, training, indices, running, x, *parameters)
    return _forward(x, parameters, indices, running, seed, handle, training, False)[:2]


def _is_plain(x):
    return not (
        torch.compiler.is_compiling()
        or torch.is_autocast_enabled("cpu")
        or type(x) not in (Tensor, torch.nn.Parameter)
        or torch._C._len_torch_dispatch_stack()
        or torch._C._are_functorch_transforms_active()
    )


class _Pass(torch.autograd.Function):
    """A pass that autograd goes back through."""

    @staticmethod
    def forward(ctx, handle, seed, training, indices, running, x, *parameters):
        y, statistics, ticket = _forward(x, parameters, indices, running, seed, handle, training, True)
        ctx.mark_non_differentiable(statistics)
        ctx.chain, ctx.shape, ctx.count = handle, x.shape, len(parameters)
        ctx.save_for_backward(ticket, *parameters, *([] if training else running))
        return y, statistics

    @staticmethod
    def backward(ctx, gradient, _):
        refuse_transforms([gradient], "rarefy's layers")
        ticket, *saved = ctx.saved_tensors
        parameters, running = saved[: ctx.count], saved[ctx.count :]
        wants_input = ctx.needs_input_grad[5]
        # The operator is the one to refuse second derivatives.
        backward = chain_backward if torch.is_grad_enabled() else _backward
        of_input, *found = backward(gradient, ticket, parameters, running, ctx.chain, ctx.shape, wants_input)
        return None, None, None, None, None, of_input if wants_input else None, *found


def _forward(x, parameters, indices, running, seed, chain, training, keeps):
    check_arrays([x, *parameters, *running])
    chain = chain_of(chain)
    shape = chain.sample_shape(x.shape)
    y = x.new_empty(chain.output_shape(x.shape))
    statistics = x.new_empty(2 * sum(chain.normalised) if training else 0)
    kept = chain.network(shape, indices).forward(
        numbers(x),
        chain.placed([numbers(it) for it in parameters], [] if training else [numbers(it) for it in running]),
        y.numpy(),
        statistics.numpy(),
        None if seed is None else int(seed),
        training,
        keeps,
        torch.get_num_threads(),
    )
    return y, statistics, x.new_empty(0, dtype=torch.float64) if kept is None else _ticket(kept)


def _ticket(kept):
    number = next(_NUMBERS) % 2**28
    ticket = np.full(1, 1 + number * 2.0**-52).view(_Ticket)
    ticket.kept = kept
    _TICKETS[number] = ticket
    return torch.from_numpy(ticket)


@torch.library.custom_op("rarefy::chain_forward", mutates_args=())
def chain_forward(
    x: Tensor,
    parameters: Sequence[Tensor],
    indices: Sequence[Tensor],
    running: Sequence[Tensor],
    seed: Tensor | None,
    chain: str,
    training: bool,
    keeps: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, statistics of batch norms, and a ticket for the backward pass if one ``keeps`` what it needs."""
    return _forward(x, parameters, indices, running, seed, chain, training, keeps)


@chain_forward.register_fake
def _(x, parameters, indices, running, seed, chain, training, keeps):
    chain = chain_of(chain)
    return (
        x.new_empty(chain.output_shape(x.shape)),
        x.new_empty(2 * sum(chain.normalised) if training else 0),
        x.new_empty(1 if keeps else 0, dtype=torch.float64),
    )


def _backward(gradient, ticket, parameters, running, chain, shape, wants_input):
    check_arrays([gradient])
    kept = _TICKETS.get(round((ticket.item() - 1) * 2.0**52))
    if kept is None:
        raise RuntimeError("what a forward pass of rarefy kept for this backward pass has gone with its graph")
    chain = chain_of(chain)
    of_input, *of_parameters = gradients = _empty_gradients(gradient, parameters, shape, wants_input)
    kept.kept.backward(
        numbers(gradient),
        chain.placed([numbers(it) for it in parameters], [numbers(it) for it in running]),
        of_input.numpy() if wants_input else None,
        chain.placed([it.numpy() for it in of_parameters]),
        torch.get_num_threads(),
    )
    if chain.record is not None:
        chain.record.append(kept.kept)
    return gradients


def _empty_gradients(gradient, parameters, shape, wants_input):
    return [gradient.new_empty(shape if wants_input else 0), *(gradient.new_empty(it.shape) for it in parameters)]


@torch.library.custom_op("rarefy::chain_backward", mutates_args=())
def chain_backward(
    gradient: Tensor,
    ticket: Tensor,
    parameters: Sequence[Tensor],
    running: Sequence[Tensor],
    chain: str,
    shape: Sequence[int],
    wants_input: bool,
) -> list[Tensor]:
    """The gradient of the input, of no numbers if nobody wants it, and that of each parameter."""
    return _backward(gradient, ticket, parameters, running, chain, shape, wants_input)


@chain_backward.register_fake
def _(gradient, ticket, parameters, running, chain, shape, wants_input):
    return _empty_gradients(gradient, parameters, shape, wants_input)


def _keep(ctx, inputs, output):
    x, parameters, _, running, _, ctx.chain, training, _ = inputs
    _, statistics, ticket = output
    ctx.mark_non_differentiable(statistics, ticket)
    ctx.shape = x.shape
    # A training pass computes with the statistics of its batch; the running ones have moved on when its gradient comes.
    ctx.count = len(parameters)
    ctx.save_for_backward(ticket, *parameters, *([] if training else running))


def _go_back(ctx, gradient, *_):
    ticket, *saved = ctx.saved_tensors
    parameters, running = saved[: ctx.count], saved[ctx.count :]
    wants_input, wanted, *lists = ctx.needs_input_grad
    of_input, *found = chain_backward(gradient, ticket, parameters, running, ctx.chain, ctx.shape, wants_input)
    of_parameters = [it if is_wanted else None for it, is_wanted in zip(found, wanted, strict=True)]
    indices, running, *others = ([None] * len(it) if isinstance(it, (list, tuple)) else None for it in lists)
    return of_input if wants_input else None, of_parameters, indices, running, *others


def _refuse(ctx, *gradients):
    raise RuntimeError(
        "rarefy's layers have first derivatives only; a second one (create_graph=True, torch.func.hessian) needs dense "
        "layers: rarefy.torch.densify(model)"
    )


chain_forward.register_autograd(_go_back, setup_context=_keep)
chain_backward.register_autograd(_refuse, setup_context=lambda ctx, inputs, output: None)
# Where torch would have a layer compute in half precision this one does in float32.
chain_forward.register_autocast("cpu", torch.float32)
