"""Layers of any module that follow each other are computed in one call, and what comes out is what its own ``forward``
makes."""

import copy
import pickle
import random

import pytest

torch = pytest.importorskip("torch")
from rarefy.torch import TopologyScheduler, densify, sparsify, summary, to_dense_state_dict  # noqa: E402
from rarefy.torch._layers import shared_places  # noqa: E402
from rarefy.torch._traced import Traced  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


class Block(nn.Module):
    """A residual block; the shortcut has layers where the shape changes."""

    def __init__(self, inputs, outputs, stride=1, in_place=False):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=in_place)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        return self.relu(y)


class Residual(nn.Module):
    def __init__(self, in_place=False):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(Block(8, 8, in_place=in_place), Block(8, 16, 2, in_place))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        y = self.blocks(functional.relu(self.stem(x)))
        return self.head(torch.flatten(functional.adaptive_avg_pool2d(y, 1), 1))


class PreActivation(Residual):
    """What is given on has been through a function already."""

    def forward(self, x):
        x = self.stem(x)
        y = self.blocks(functional.leaky_relu(x, 0.2))
        return self.head(functional.max_pool2d(y, 4).view(y.size(0), -1))


class Reshaped(Residual):
    """The window of the pool is taken from the image."""

    def forward(self, x):
        y = self.blocks(torch.relu(self.stem(x)))
        return self.head(functional.avg_pool2d(y, y.size()[3]).flatten(1)).log_softmax(1)


class Gated(Residual):
    """Values that others look at too, and two outputs."""

    def forward(self, x):
        y = self.stem(x)
        z = self.blocks(y * torch.sigmoid(y).mean((2, 3), keepdim=True))
        return {"classes": self.head(z.mean((2, 3))), "features": (y, z)}


@pytest.fixture
def x():
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def calls(model):
    return len({chain for _, chain, _ in shared_places(model)})


def flat(y):
    """All numbers of an output."""
    if isinstance(y, dict):
        return torch.cat([flat(it) for it in y.values()])
    return torch.cat([it.flatten() for it in y]) if isinstance(y, tuple) else y.flatten()


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("kind", "count"), [(Residual, 1), (PreActivation, 2), (Reshaped, 2), (Gated, 3)])
def test_a_traced_model_computes_what_its_own_forward_does(x, kind, count, training, in_place):
    torch.manual_seed(0)
    model = sparsify(kind(in_place), 0.6).train(training)
    assert isinstance(model.forward, Traced) and calls(model) == count
    dense = kind(in_place).train(training)
    dense.load_state_dict(to_dense_state_dict(model))
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    y, wanted = flat(model(inputs[0])), flat(dense(inputs[1]))
    torch.testing.assert_close(y, wanted, atol=1e-5, rtol=1e-5)
    y.square().mean().backward()
    wanted.square().mean().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, atol=1e-5, rtol=1e-4)
    for name in ["blocks.0.conv2", "blocks.1.shortcut.0", "head"]:
        layer, other = model.get_submodule(name), dense.get_submodule(name)
        alive = layer.to_dense() != 0
        assert alive.any()
        grown = layer.to_dense().detach().clone()
        grown[alive] = layer.values.grad
        torch.testing.assert_close(grown[alive], other.weight.grad[alive], atol=1e-5, rtol=1e-4)
    for name, buffer in model.named_buffers():
        if "running" in name:
            torch.testing.assert_close(buffer, dense.get_buffer(name), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_chains_of_their_own(x, copied):
    model = sparsify(Residual(), 0.6).eval()
    wanted = model(x)
    other = copied(model)
    with torch.no_grad():
        model.stem.values.zero_()
    assert torch.equal(other(x), wanted)
    assert calls(other) == 1 and other.forward.sparse_places()[0][0] is other.stem


def test_what_changes_after_reading_is_seen(x):
    class Switched(Residual):
        doubles = False

        def forward(self, x):
            y = super().forward(x)
            return 2 * y if self.doubles else y

    model = sparsify(Switched(), 0.6).eval()
    y = model(x)
    model.doubles = True
    torch.testing.assert_close(model(x), 2 * y)
    model.doubles = False
    seen = []
    hook = model.blocks[0].register_forward_hook(lambda module, given, made: seen.append(made.shape))
    torch.testing.assert_close(model(x), y)
    assert seen == [(6, 8, 8, 8)]
    hook.remove()
    model.blocks[0].bn1.train()
    model(x)  # modes that differ within a chain
    model.eval()
    model.blocks[0] = nn.Identity()
    assert not torch.allclose(model(x), y)


def test_only_what_can_be_read_is_chained(x):
    class Counting(Block):
        def forward(self, x):
            self.seen = x.shape
            return super().forward(x)

    class Drawing(Block):
        def forward(self, x):
            return super().forward(x) if random.random() < 2 else x

    class Deciding(Block):
        def forward(self, x):
            return super().forward(x) if x.mean() < 1e9 else x

    class Moody(Block):
        def forward(self, x):
            return super().forward(x) if self.training else super().forward(x) * 1

    class Changing(Block):
        def forward(self, x):
            y = self.conv1(x)
            return self.conv2(y.relu_()) + y

    class Asking(Block):
        def forward(self, x):
            return super().forward(x if isinstance(x, torch.Tensor) else x[0])

    class Masked(Block):
        def forward(self, x, mask=None):
            return super().forward(x if mask is None else x * mask)

    class Still(Block):
        def forward(self, x):
            with torch.no_grad():
                y = self.bn1(self.conv1(x))
            return self.conv2(y)

    blocks = [kind(8, 8) for kind in (Counting, Drawing, Deciding, Moody, Changing, Asking, Masked, Still)]
    reasons = [
        "keeps 'seen'",
        "draws random",
        "control flow",
        "other things in training",
        "in place",
        "what kind",
        "one array",
        "turns gradients",
    ]
    for block, reason in zip(blocks, reasons, strict=True):
        torch.manual_seed(0)
        state = random.getstate()
        model = sparsify(nn.Sequential(nn.Conv2d(3, 8, 1), block, Block(8, 8)), 0.6)
        assert random.getstate() == state
        assert reason in summary(model)
        assert "seen" not in vars(block) and block.training
        dense = nn.Sequential(nn.Conv2d(3, 8, 1), type(block)(8, 8), Block(8, 8))
        dense.load_state_dict(to_dense_state_dict(model))
        torch.testing.assert_close(model(x), dense(x), atol=1e-5, rtol=1e-5)
        model(x).sum().backward()
        assert (block.conv1.values.grad is None) == isinstance(block, Still)
        assert calls(model) == 2  # the convolution before, and the block behind


def test_rigl_grows_by_what_a_traced_step_left(x):
    torch.manual_seed(0)
    model = sparsify(Residual(), 0.8, keep="random")
    twin = copy.deepcopy(model)
    twin.forward = Residual.forward.__get__(twin)  # layer by layer
    layers = []
    for it in (model, twin):
        optimizer = torch.optim.SGD(it.parameters(), lr=0.1)
        generator = torch.Generator().manual_seed(3)
        topology = TopologyScheduler(it, optimizer, "rigl", total_steps=10, every=1, generator=generator)
        for _ in range(2):
            optimizer.zero_grad()
            it(x).square().mean().backward()
            optimizer.step()
            assert topology.step()
        layers.append([layer.col_indices for layer in (it.stem, it.blocks[0].conv1, it.blocks[1].shortcut[0])])
    assert all(torch.equal(a, b) for a, b in zip(*layers, strict=True))


def test_a_dense_model_again_has_its_own_forward(x):
    model = sparsify(Residual(), 0.6).eval()
    y = model(x)
    densify(model)
    assert "forward" not in vars(model)
    torch.testing.assert_close(model(x), y, atol=1e-5, rtol=1e-5)


def test_torch_compiles_a_traced_model(x):
    model = sparsify(Residual(), 0.6).eval()
    torch.testing.assert_close(torch.compile(model, backend="aot_eager")(x), model(x), atol=1e-5, rtol=1e-5)
