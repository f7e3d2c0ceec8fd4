"""Sparse layers compute what torch's dense layers compute with the same weights, forward and backward."""

import copy
import io
import os
import pickle
import shutil
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from rarefy.torch import (  # noqa: E402
    SparseConv1d,
    SparseConv2d,
    SparseEmbeddingBag,
    SparseLinear,
    SparseSequential,
)
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def dense_twin(layer):
    """Torch's own layer with the weights of a sparse one."""
    if isinstance(layer, SparseLinear):
        twin = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    elif isinstance(layer, (SparseConv1d, SparseConv2d)):
        kind = nn.Conv1d if isinstance(layer, SparseConv1d) else nn.Conv2d
        sizes = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation", "groups")}
        twin = kind(layer.in_channels, layer.out_channels, bias=layer.bias is not None, **sizes)
    elif isinstance(layer, SparseSequential):
        return nn.Sequential(*(dense_twin(inner) for inner in layer))
    else:
        return copy.deepcopy(layer)
    with torch.no_grad():
        twin.weight.copy_(layer.to_dense())
        if layer.bias is not None:
            twin.bias.copy_(layer.bias)
    return twin


def live(layer, dense):
    """What a dense array holds at the layer's connections."""
    rows = torch.repeat_interleave(torch.arange(len(layer.crow_indices) - 1), layer.crow_indices.diff())
    return dense.reshape(len(layer.crow_indices) - 1, -1)[rows, layer.col_indices.long()]


def parameters_alike(model, twin):
    modules = zip(model.modules(), twin.modules(), strict=True)
    for ours, theirs in modules:
        if hasattr(ours, "values") and isinstance(ours.values, nn.Parameter):
            yield ours.values.grad, live(ours, theirs.weight.grad)
        elif getattr(theirs, "weight", None) is not None:
            yield ours.weight.grad, theirs.weight.grad
        if getattr(theirs, "bias", None) is not None:
            yield ours.bias.grad, theirs.bias.grad


def check_alike(model, shape, passes=1):
    """Compares a model with its twin in double precision."""
    twin = dense_twin(model).double()
    model.zero_grad()
    for _ in range(passes):
        x = torch.randn(shape, requires_grad=True)
        x_twin = x.detach().double().requires_grad_()
        y, y_twin = model(x), twin(x_twin)
        check_close(y, y_twin)
        dy = torch.randn_like(y)
        y.backward(dy)
        y_twin.backward(dy.double())
        check_close(x.grad, x_twin.grad)
    gradients = list(parameters_alike(model, twin))
    # Before a norm a bias has a gradient of 0, which is a difference of large numbers.
    largest = max((theirs.abs().max().item() for _, theirs in gradients), default=0.0)
    for ours, theirs in gradients:
        check_close(ours, theirs, largest)
    buffers = ((name, buffer) for name, buffer in model.named_buffers() if "indices" not in name)
    for (_, ours), (_, theirs) in zip(buffers, twin.named_buffers(), strict=True):
        check_close(ours, theirs)


def check_close(ours, theirs, scale=0.0):
    scale = max([1.0, scale, *theirs.abs().flatten().tolist()])
    torch.testing.assert_close(ours / scale, theirs / scale, check_dtype=False, **TOLERANCE)


LAYERS = {
    "linear": (lambda: SparseLinear(30, 20), (70, 30)),
    "linear without bias": (lambda: SparseLinear(30, 20, bias=False), (3, 30)),
    "linear, nearly dense": (lambda: SparseLinear(30, 20, sparsity=0.3), (65, 30)),
    "linear, dense": (lambda: SparseLinear(30, 20, sparsity=0.0), (65, 30)),
    "linear in blocks": (lambda: SparseLinear(30, 24, block=8), (70, 30)),
    "linear in blocks chosen": (lambda: SparseLinear(30, 128, block="auto"), (70, 30)),
    "linear in blocks of fewer": (lambda: SparseLinear(30, 20, bias=False, block=16), (3, 30)),
    "linear, sized by NumPy": (
        lambda: SparseLinear(np.int64(30), np.int32(24), block=np.int64(8)),
        (70, 30),
    ),
    "linear on sequences": (lambda: SparseLinear(30, 20), (5, 7, 30)),
    "linear on one sample": (lambda: SparseLinear(30, 20), (30,)),
    "linear on none": (lambda: SparseLinear(30, 20), (0, 30)),
    "conv1d": (lambda: SparseConv1d(6, 8, 3, padding=1), (9, 6, 11)),
    "conv1d, strided": (lambda: SparseConv1d(6, 8, 5, stride=2, padding=3, dilation=2), (9, 6, 21)),
    "conv1d, same": (lambda: SparseConv1d(6, 8, 3, padding="same", dilation=2, bias=False), (70, 6, 11)),
    "conv2d": (lambda: SparseConv2d(6, 8, 3), (9, 6, 7, 5)),
    "conv2d, same": (lambda: SparseConv2d(6, 8, (3, 5), padding="same"), (70, 6, 7, 6)),
    "conv2d, strided": (
        lambda: SparseConv2d(6, 8, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)),
        (9, 6, 7, 6),
    ),
    "conv2d, sized by NumPy": (
        lambda: SparseConv2d(*np.array([6, 8, 3, 2, 1, 1, 2]), sparsity=0.7),
        (9, 6, 7, 6),
    ),
    "conv2d, grouped": (lambda: SparseConv2d(6, 8, 3, groups=2, padding=1, sparsity=0.7), (9, 6, 4, 4)),
    "conv1d in blocks": (lambda: SparseConv1d(6, 8, 3, padding=1, sparsity=0.8, block=4), (9, 6, 11)),
    "conv2d in blocks": (lambda: SparseConv2d(6, 16, 3, padding=1, block=16), (70, 6, 4, 5)),
    "conv2d in blocks, grouped": (lambda: SparseConv2d(6, 8, 3, groups=2, sparsity=0.7, block=8), (9, 6, 4, 4)),
    "conv2d, depthwise": (lambda: SparseConv2d(6, 6, 3, groups=6, padding=1, sparsity=0.5), (9, 6, 4, 4)),
    "conv2d of one position": (lambda: SparseConv2d(16, 8, 1, bias=False), (9, 16, 4, 4)),
    "conv2d, nearly dense": (lambda: SparseConv2d(8, 8, 3, sparsity=0.2, padding=1), (9, 8, 5, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_what_torchs_does(name):
    make, shape = LAYERS[name]
    check_alike(make(), shape)


@pytest.mark.parametrize(
    ("make", "block"),
    [
        (lambda: SparseLinear(30, 24, block=8), 8),
        (lambda: SparseLinear(30, 20, block=16), 4),
        (lambda: SparseLinear(30, 128, block="auto"), 4),
        (lambda: SparseLinear(30, 21, block=16), 1),
        (lambda: SparseConv2d(6, 8, 3, groups=2, block=8), 4),
    ],
)
def test_outputs_of_a_block_have_the_same_inputs(make, block):
    layer = make()
    assert layer.block == block
    rows = [set(which.tolist()) for which in layer.col_indices.split(layer.crow_indices.diff().tolist())]
    assert all(rows[at] == rows[at // block * block] for at in range(len(rows)))
    assert layer.nnz == layer.in_blocks(round(0.1 * layer.shape.numel()))
    if block > 1:
        crow, col = torch.tensor([0] + [1] * len(rows)), torch.tensor([0])
        with pytest.raises(ValueError, match=f"blocks of {block}"):
            layer.set_pattern_(crow, col, torch.ones(1))


def test_blocks_are_checked():
    with pytest.raises(ValueError, match="sparsity.block: must be 1"):
        SparseLinear(30, 24, block=3)


def conv_block(*, activation=nn.ReLU, pool=None, norm=True):
    modules = [SparseConv2d(3, 12, 3, padding=1, sparsity=0.7), *([nn.BatchNorm2d(12)] if norm else []), activation()]
    return [*modules, *([pool] if pool else [])]


CHAINS = {
    "perceptron": (
        lambda: [SparseLinear(30, 40), nn.ReLU(), SparseLinear(40, 40), nn.Tanh(), SparseLinear(40, 5)],
        (70, 30),
    ),
    "functions": (
        lambda: [
            nn.SiLU(),
            SparseLinear(30, 40),
            nn.LeakyReLU(0.2),
            SparseLinear(40, 40),
            nn.GELU(approximate="tanh"),
            SparseLinear(40, 40),
            nn.Sigmoid(),
            nn.Identity(),
            SparseLinear(40, 5),
            nn.ReLU(),
        ],
        (70, 30),
    ),
    "normalised": (
        lambda: [SparseLinear(30, 40), nn.BatchNorm1d(40), nn.ReLU(), SparseLinear(40, 20), nn.LayerNorm(20)],
        (70, 30),
    ),
    "norms without scale": (
        lambda: [
            SparseLinear(30, 40),
            nn.BatchNorm1d(40, affine=False, momentum=None),
            SparseLinear(40, 20),
            nn.LayerNorm(20, bias=False),
        ],
        (70, 30),
    ),
    "images": (
        lambda: [
            *conv_block(pool=nn.MaxPool2d(2)),
            SparseConv2d(12, 16, 3, stride=2),
            nn.BatchNorm2d(16),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            SparseLinear(16, 10, sparsity=0.5),
        ],
        (20, 3, 12, 12),
    ),
    "images, flattened": (
        lambda: [
            *conv_block(pool=nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)),
            nn.Flatten(),
            nn.ReLU(),
            SparseLinear(12 * 36, 10),
        ],
        (20, 3, 12, 12),
    ),
    "flattened first": (lambda: [nn.Flatten(), SparseLinear(36, 10), nn.ReLU(), SparseLinear(10, 4)], (20, 1, 6, 6)),
    "sequences": (
        lambda: [
            SparseConv1d(4, 8, 3, padding=1),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.MaxPool1d(2),
            SparseConv1d(8, 8, 3, padding="same"),
            nn.AvgPool1d(2),
            nn.AdaptiveMaxPool1d(1),
            nn.Flatten(),
            SparseLinear(8, 3, sparsity=0.5),
        ],
        (20, 4, 13),
    ),
    "sized by NumPy": (
        lambda: [SparseConv2d(3, 4, np.array([3, 3])), nn.MaxPool2d(np.int64(2)), nn.LeakyReLU(np.float32(0.2))],
        (20, 3, 12, 12),
    ),
    "pooled and kept": (lambda: [*conv_block(), nn.AdaptiveMaxPool2d(1)], (20, 3, 6, 6)),
    "a function last": (lambda: conv_block(norm=False), (70, 3, 6, 6)),
}


@pytest.mark.parametrize("mode", ["train", "eval", "frozen norms"])
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_computes_what_torchs_modules_do(name, mode):
    make, shape = CHAINS[name]
    model = SparseSequential(*make(), *([nn.Dropout(0.0)] if mode == "frozen norms" else [])).train(mode != "eval")
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.train(mode == "train")
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    check_alike(model, shape, passes=2)


def test_a_slice_is_a_chain_of_the_same_modules():
    model, x = chain().eval(), torch.randn(5, 20)
    first, last = model[:2], model[-2:]
    assert type(first) is SparseSequential and list(last._modules) == ["2", "3"] and last[1] is model[3]
    torch.testing.assert_close(last(first(x)), model(x), **TOLERANCE)


def test_gradients_are_those_of_finite_differences():
    model = SparseSequential(SparseLinear(6, 8, sparsity=0.5), nn.Tanh(), SparseLinear(8, 3, sparsity=0.5))
    x = torch.randn(4, 6, requires_grad=True)
    weights = torch.randn(4, 3)
    (model(x) * weights).sum().backward()
    for tensor in (x, *model.parameters()):
        numbers = tensor.detach().view(-1)
        for index in range(0, numbers.numel(), 3):
            before, ends = numbers[index].item(), []
            for step in (1e-2, -1e-2):
                numbers[index] = before + step
                ends.append((model(x).double() * weights).sum().item())
            numbers[index] = before
            assert abs((ends[0] - ends[1]) / 2e-2 - tensor.grad.view(-1)[index].item()) < 2e-3


def chain():
    return SparseSequential(SparseLinear(20, 30), nn.BatchNorm1d(30), nn.ReLU(), SparseLinear(30, 5))


def test_several_forward_passes_may_come_before_their_backward_passes():
    model = chain()
    inputs = [torch.randn(samples, 20, requires_grad=True) for samples in (70, 5, 70)]
    one_by_one = []
    for x in inputs:
        one_by_one.append(torch.autograd.grad(model(x).square().sum(), [x, *model.parameters()]))
    losses = [model(x).square().sum() for x in inputs]
    with torch.no_grad():
        model(inputs[1])
    for x, loss, expected in reversed(list(zip(inputs, losses, one_by_one, strict=True))):
        for found, wanted in zip(torch.autograd.grad(loss, [x, *model.parameters()]), expected, strict=True):
            torch.testing.assert_close(found, wanted)


def test_a_graph_that_is_kept_may_be_gone_through_again():
    model, x = chain(), torch.randn(70, 20, requires_grad=True)
    loss = model(x).square().sum()
    first, again = (torch.autograd.grad(loss, [x, *model.parameters()], retain_graph=True) for _ in range(2))
    for found, wanted in zip(again, first, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_checkpoints_compute_again_what_they_threw_away():
    from torch.utils.checkpoint import checkpoint

    model, x = chain(), torch.randn(70, 20, requires_grad=True)
    model = SparseSequential(*model, nn.Dropout(0.5))
    for use_reentrant in (False, True):
        torch.manual_seed(1)
        plain = torch.autograd.grad(model(x).square().sum(), [x, *model.parameters()])
        torch.manual_seed(1)
        model.zero_grad()
        x.grad = None
        checkpoint(model, x, use_reentrant=use_reentrant).square().sum().backward()
        for found, wanted in zip([x.grad, *(p.grad for p in model.parameters())], plain, strict=True):
            torch.testing.assert_close(found, wanted)


def test_what_a_pass_kept_goes_with_its_graph():
    from rarefy.torch import _pass

    model, x = chain(), torch.randn(70, 20)
    losses = [model(x).sum() for _ in range(3)]
    assert len(_pass._TICKETS) == 3
    losses[0].backward()
    del losses
    assert len(_pass._TICKETS) == 0
    with torch.no_grad():
        model(x)
    assert len(_pass._TICKETS) == 0


def test_dropout_draws_by_torchs_generator():
    model = SparseSequential(SparseLinear(50, 400, sparsity=0.5), nn.Dropout(0.25), SparseLinear(400, 10))
    x = torch.randn(64, 50)
    torch.manual_seed(3)
    first, other = model(x), model(x)
    torch.manual_seed(3)
    assert torch.equal(model(x), first) and not torch.equal(other, first)
    model.eval()
    assert torch.equal(model(x), model(x))
    ones = SparseSequential(SparseLinear(8, 1000, sparsity=0.0), nn.Dropout(0.25))
    nn.init.zeros_(ones[0].values)
    nn.init.ones_(ones[0].bias)
    dropped = ones(torch.randn(64, 8))
    assert set(dropped.unique().tolist()) == {0.0, np.float32(4 / 3).item()}
    assert abs((dropped == 0).float().mean() - 0.25) < 0.01


def test_torch_checks_the_operators():
    from rarefy.torch import _pass

    model, x = chain(), torch.randn(7, 20, requires_grad=True)
    run = model._runs[0]
    parameters, running = ([getattr(model[int(key)], name) for (key,), name in it] for it in (run.trained, run.running))
    indices = [it for layer in (model[0], model[3]) for it in (layer.crow_indices, layer.col_indices)]
    for training in (False, True):
        arguments = (x, parameters, indices, running, None, run.chain.handle, training, True)
        torch.library.opcheck(_pass.chain_forward, arguments)
    y, _, ticket = (it.detach() for it in _pass.chain_forward(*arguments))
    # Its own gradients would be second ones.
    parameters = [it.detach() for it in parameters]
    arguments = (torch.randn_like(y), ticket, parameters, [], run.chain.handle, [7, 20], True)
    torch.library.opcheck(_pass.chain_backward, arguments)


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiled_models_compute_the_same(dynamic):
    model = SparseSequential(
        SparseConv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), SparseLinear(8 * 16, 5)
    )
    plain = copy.deepcopy(model)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for samples in (6, 9):
        x = torch.randn(samples, 3, 4, 4)
        torch.testing.assert_close(compiled(x), plain(x), rtol=0, atol=0)
    compiled(x).square().sum().backward()
    plain(x).square().sum().backward()
    for found, wanted in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=0, atol=0)
    torch.testing.assert_close(dict(model.named_buffers()), dict(plain.named_buffers()))


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch's compiler needs one of C++")
def test_torchs_own_compiler_computes_the_same():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.chain = chain()

        def forward(self, x):
            return functional.softplus(self.chain(x.tanh())).sum(1)

    model = Model()
    plain = copy.deepcopy(model)
    compiled = torch.compile(model, fullgraph=True, dynamic=True)
    for samples in (6, 9):
        x = torch.randn(samples, 20)
        results = []
        for it, inner in ((compiled, model), (plain, plain)):
            inner.zero_grad()
            inputs = x.clone().requires_grad_()
            y = it(inputs)
            y.square().sum().backward()
            results.append([y, inputs.grad, *(parameter.grad for parameter in inner.parameters()), *inner.buffers()])
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other)


def test_a_compiled_model_sees_what_changes():
    model, x = chain().eval(), torch.randn(7, 20)
    compiled = torch.compile(model, backend="aot_eager")
    compiled(x)
    model.add_module("2", nn.Tanh())
    torch.testing.assert_close(compiled(x), copy.deepcopy(model)(x), rtol=0, atol=0)


def test_autocast_leaves_layers_in_float32():
    model, x = chain(), torch.randn(7, 20, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(nn.functional.linear(x, torch.eye(20)))
        assert y.dtype == torch.float32
    y.sum().backward()
    assert x.grad.dtype == torch.bfloat16 and model[0].values.grad.dtype == torch.float32


def test_second_derivatives_are_refused():
    model, x = chain(), torch.randn(7, 20, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="first derivatives only"):
        gradient.sum().backward()


def test_threads_follow_torch_and_change_no_bit():
    model, x = chain(), torch.randn(300, 20)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3, 1):
            torch.set_num_threads(threads)
            found.append(torch.autograd.grad(model(x).square().sum(), list(model.parameters())))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_python_threads_may_share_a_model():
    model = chain().eval()
    inputs = [torch.randn(40 + index, 20) for index in range(4)]
    expected = [torch.autograd.grad(model(x).square().sum(), list(model.parameters())) for x in inputs]
    found = [None] * len(inputs)

    def work(index):
        for _ in range(20):
            loss = model(inputs[index]).square().sum()
            found[index] = torch.autograd.grad(loss, list(model.parameters()))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(inputs))]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_patterns_may_change():
    layer, x = SparseLinear(10, 6, sparsity=0.5), torch.randn(5, 10)
    values = layer.values
    for nnz in (30, 12):
        other = SparseLinear(10, 6, sparsity=1 - nnz / 60)
        crow, col = other.crow_indices, other.col_indices
        layer.set_pattern_(crow, col, torch.randn(nnz))
        assert layer.values is values and layer.nnz == nnz
        check_alike(layer, (5, 10))
    # Whatever way the indices change, the next pass sees it.
    with torch.no_grad():
        flipped = SparseLinear(10, 6, sparsity=0.8)
        layer.crow_indices.copy_(flipped.crow_indices)
        layer.col_indices.copy_(flipped.col_indices)
    torch.testing.assert_close(layer(x), dense_twin(layer)(x), **TOLERANCE)
    starts = [0, 1, 1, 1, 1, 1, 1]
    for error, message, crow, col, count in [
        (ValueError, "beyond its 10 columns", starts, [10], 1),
        (ValueError, "values must have the shape", starts, [9], 2),
        (ValueError, "col_indices must hold numbers from 0", starts, [3 + 2**32], 1),
        (ValueError, "crow_indices must hold numbers from 0", [2**32 + it for it in starts], [3], 1),
        (TypeError, "col_indices must hold whole numbers, not torch.float32", starts, [2.7], 1),
        (TypeError, "crow_indices must hold whole numbers, not torch.bool", torch.tensor(starts) > 0, [3], 1),
    ]:
        with pytest.raises(error, match=message):
            layer.set_pattern_(crow, col, torch.zeros(count))
    layer.set_pattern_([0] * 7, [], torch.zeros(0))
    assert layer.nnz == 0


CHANGES = {
    "a slope": lambda model: setattr(model[1], "negative_slope", 0.7),
    "a window": lambda model: setattr(model[2], "kernel_size", (3, 3)),
    "another window": lambda model: setattr(model[2], "kernel_size", (2, 3)),
    "a module": lambda model: setattr(model, "3", nn.Tanh()),
    "one more module": lambda model: model.add_module("last", nn.Sigmoid()),
    "one module less": lambda model: delattr(model, "3"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_after_a_chain_was_made_is_seen(name):
    model = SparseSequential(
        SparseConv2d(2, 4, 3, sparsity=0.5),
        nn.LeakyReLU(),
        nn.MaxPool2d((2, 2), stride=1),
        nn.SiLU(),
        SparseConv2d(4, 3, 3, padding=1, sparsity=0.5),
        nn.Dropout(0.0),
    )
    shape = (5, 2, 7, 7)
    before = model(torch.ones(shape))
    CHANGES[name](model)
    check_alike(model, shape)
    assert not torch.equal(model(torch.ones(shape)), before)
    # A copy sees changes of its own modules.
    other = copy.deepcopy(model)
    other.get_submodule("5").p = 0.9
    assert not torch.equal(other(torch.ones(shape)), model(torch.ones(shape)))
    check_alike(model, shape)


def test_a_change_that_a_chain_cannot_follow_is_refused():
    model = chain()
    model[1].eps = 1e-3
    with pytest.raises(ValueError, match="eps=1e-05"):
        model(torch.randn(5, 20))
    model.add_module("1", nn.Softmax())
    with pytest.raises(TypeError, match="cannot hold Softmax"):
        model(torch.randn(5, 20))


def test_models_are_copied_pickled_and_saved():
    model, x = chain().eval(), torch.randn(5, 20)
    y = model(x)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(file, weights_only=False),
    ):
        assert torch.equal(other(x), y)
        with torch.no_grad():
            other[0].values.zero_()
        assert torch.equal(model(x), y) and not torch.equal(other(x), y)


def test_layers_are_of_float32_on_the_cpu_whatever_torchs_defaults_are():
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            layers = [SparseLinear(8, 4, sparsity=0.5), SparseConv2d(3, 4, 3), SparseEmbeddingBag(9, 4)]
    finally:
        torch.set_default_dtype(torch.float32)
    for parameter in (it for layer in layers for it in layer.parameters()):
        assert (parameter.dtype, parameter.device.type) == (torch.float32, "cpu")
    check_alike(layers[0], (5, 8))


def test_views_that_torch_has_not_negated_yet_are():
    model, x = chain().eval(), torch.complex(torch.zeros(5, 20), torch.randn(5, 20)).conj().imag
    assert x.is_neg() and torch.equal(model(x), model(x.clone()))


def test_functional_calls_take_other_parameters():
    model, x = chain().eval(), torch.randn(5, 20)
    others = {name: (2 * parameter).detach().requires_grad_() for name, parameter in model.named_parameters()}
    y = torch.func.functional_call(model, others, x)
    found = torch.autograd.grad(y.sum(), list(others.values()))
    with torch.no_grad():
        [parameter.mul_(2) for parameter in model.parameters()]
    assert torch.equal(model(x), y)
    for one, other in zip(found, torch.autograd.grad(model(x).sum(), list(model.parameters())), strict=True):
        assert torch.equal(one, other)


def test_exported_programs_find_their_layers_or_say_that_they_are_gone():
    model, x = chain().eval(), torch.randn(5, 20)
    shapes = ({0: torch.export.Dim("samples")},)
    file = io.BytesIO()
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=shapes), file)
    file.seek(0)
    program = torch.export.load(file).module()
    assert torch.equal(program(x[:3]), model(x[:3]))
    del model
    with pytest.raises(RuntimeError, match="are gone, or were in another process"):
        program(x)


def test_layers_begin_as_torchs_do_and_by_a_generator():
    layer = SparseLinear(1000, 200, sparsity=0.9)
    assert layer.nnz == 20_000 and layer.shape == (200, 1000) and layer.density == 0.1
    assert abs(layer.values.std() * 100**0.5 * 3**0.5 - 1) < 0.03
    first, again, other = (SparseConv2d(4, 8, 3, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first.values, again.values) and torch.equal(first.col_indices, again.col_indices)
    assert not torch.equal(first.col_indices, other.col_indices)
    assert first.crow_indices.diff().min() > 0 and first.crow_indices.dtype == torch.int32
    with pytest.warns(UserWarning, match="leaves 10 connections for 100 outputs"):
        assert SparseLinear(100, 100, sparsity=0.999).nnz == 100


def in_forward_mode(model):
    with torch.autograd.forward_ad.dual_level():
        return model(torch.autograd.forward_ad.make_dual(torch.ones(3, 20), torch.ones(3, 20)))


REFUSED = {
    "a dense layer": (
        lambda: SparseSequential(nn.Linear(3, 3)),
        TypeError,
        "cannot hold Linear; it takes SparseLinear",
    ),
    "GELU": (lambda: SparseSequential(nn.GELU()), ValueError, "approximate='tanh'"),
    "another epsilon": (lambda: SparseSequential(nn.BatchNorm1d(3, eps=1e-3)), ValueError, "eps=1e-05"),
    "rounding up": (lambda: SparseSequential(nn.MaxPool2d(2, ceil_mode=True)), ValueError, "ceil_mode=False"),
    "counted padding": (lambda: SparseSequential(nn.AvgPool2d(3, padding=1)), ValueError, "count_include_pad=False"),
    "images to features": (
        lambda: SparseSequential(SparseConv2d(3, 4, 3), SparseLinear(4, 4, sparsity=0.5)),
        ValueError,
        "SparseLinear after SparseConv2d is for features, and is given images",
    ),
    "sparsity": (lambda: SparseLinear(3, 3, sparsity=1.0), ValueError, "sparsity must be at least 0 and below 1"),
    "groups": (lambda: SparseConv2d(3, 4, 3, groups=2), ValueError, "multiples of groups"),
    "no inputs": (lambda: SparseLinear(0, 4), ValueError, "in_features must be a whole number of at least 1, not 0"),
    "no outputs": (lambda: SparseLinear(4, np.int64(0)), ValueError, "out_features must be a whole number"),
    "half an input": (lambda: SparseLinear(2.5, 4), ValueError, "in_features must be a whole number .*, not 2.5"),
    "inputs of yes": (lambda: SparseLinear(True, 4), ValueError, "in_features must be a whole number .*, not True"),
    "no channels": (lambda: SparseConv2d(0, 4, 3), ValueError, "in_channels must be a whole number"),
    "no filters": (lambda: SparseConv2d(4, 0, 3), ValueError, "out_channels must be a whole number"),
    "no groups": (lambda: SparseConv2d(4, 4, 3, groups=0), ValueError, "groups must be a whole number"),
    "no window": (lambda: SparseConv2d(3, 4, (3, 0)), ValueError, "kernel_size must be a whole number"),
    "windows of three axes": (lambda: SparseConv2d(3, 4, (3, 3, 3)), ValueError, "kernel_size must be a number or 2"),
    "no stride": (lambda: SparseConv1d(3, 4, 3, stride=0), ValueError, "stride must be a whole number"),
    "no dilation": (lambda: SparseConv1d(3, 4, 3, dilation=0), ValueError, "dilation must be a whole number"),
    "less than no padding": (
        lambda: SparseConv1d(3, 4, 3, padding=-1),
        ValueError,
        "padding must be a whole number of at least 0",
    ),
    "no stride of a pool": (
        lambda: SparseSequential(SparseConv1d(3, 4, 3), nn.MaxPool1d(2, stride=0)),
        ValueError,
        "stride must be a whole number",
    ),
    "no words": (lambda: SparseEmbeddingBag(0, 4), ValueError, "num_embeddings must be a whole number"),
    "no sums": (lambda: SparseEmbeddingBag(4, 0), ValueError, "embedding_dim must be a whole number"),
    "features": (lambda: SparseLinear(3, 3, sparsity=0)(torch.zeros(2, 4)), ValueError, "takes 3 .* is given 4"),
    "axes": (lambda: SparseConv2d(3, 4, 3)(torch.zeros(3, 8, 8)), ValueError, "height, width"),
    "small images": (lambda: SparseConv2d(3, 4, 3)(torch.zeros(1, 3, 2, 2)), ValueError, "larger than the input"),
    "doubles": (lambda: SparseLinear(3, 3, sparsity=0)(torch.zeros(2, 3).double()), TypeError, "torch.float64"),
    "another stride": (lambda: setattr(SparseConv2d(3, 4, 3), "stride", 2), AttributeError, "stride of a SparseConv2d"),
    "another size": (
        lambda: setattr(SparseLinear(3, 3, sparsity=0), "out_features", 2),
        AttributeError,
        "out_features of",
    ),
    "another block": (lambda: setattr(SparseLinear(3, 3, sparsity=0), "block", 3), AttributeError, "block of a"),
    "no bias any more": (lambda: setattr(SparseLinear(3, 3, sparsity=0), "bias", None), AttributeError, "bias of a"),
    "a bias after all": (
        lambda: setattr(SparseConv1d(3, 3, 3, bias=False), "bias", nn.Parameter(torch.ones(3))),
        AttributeError,
        "bias of a SparseConv1d is what it was made with",
    ),
    "other sums": (lambda: setattr(SparseEmbeddingBag(9, 4), "embedding_dim", 5), AttributeError, "embedding_dim of"),
    "arrays of NumPy": (
        lambda: SparseLinear(3, 3, sparsity=0)(np.ones((2, 3), "f4")),
        TypeError,
        "tensors of torch's, .* given ndarray",
    ),
    "sparse arrays": (lambda: chain()(torch.eye(20).to_sparse()), TypeError, "dense arrays, .* torch.sparse_coo"),
    "one sample to normalise": (lambda: chain()(torch.ones(1, 20)), ValueError, "BatchNorm1d needs more than one"),
    "one position to normalise": (
        lambda: SparseSequential(SparseConv2d(3, 4, 3), nn.BatchNorm2d(4))(torch.ones(1, 3, 3, 3)),
        ValueError,
        "BatchNorm2d needs more than one",
    ),
    "vmap": (lambda: torch.func.vmap(chain())(torch.ones(3, 20)), RuntimeError, "do not go through rarefy's layers"),
    "grad": (
        lambda: torch.func.grad(lambda x: chain()(x).sum())(torch.ones(3, 20)),
        RuntimeError,
        "do not go through rarefy's layers: give whole batches",
    ),
    "jvp": (
        lambda: torch.func.jvp(chain(), (torch.ones(3, 20),), (torch.ones(3, 20),)),
        RuntimeError,
        "do not go through rarefy's layers",
    ),
    "forward mode": (lambda: in_forward_mode(chain().requires_grad_(False)), RuntimeError, "forward-mode derivatives"),
    "a trace": (lambda: torch.jit.trace(chain(), torch.ones(3, 20)), TypeError, "torch.jit.trace sees nothing"),
    "double layers": (lambda: SparseLinear(3, 3, sparsity=0).double()(torch.zeros(2, 3)), TypeError, "torch.float64"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_by_name(name):
    attempt, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        attempt()
