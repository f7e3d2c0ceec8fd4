"""A model of torch's becomes sparse in one call, and what it was trained to is neither lost nor in the way."""

import copy
import io

import pytest

torch = pytest.importorskip("torch")
from rarefy.torch import (  # noqa: E402
    SparseConv2d,
    SparseEmbeddingBag,
    SparseLinear,
    SparseSequential,
    densify,
    sparsify,
    summary,
    to_dense_state_dict,
)
from torch import nn  # noqa: E402


class Net(nn.Module):
    """Layers in a sequential and beside it, one of them depthwise, one of them used twice."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding="same", groups=8),
            nn.Softplus(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * 16, 24),
        )
        self.twice = nn.Linear(24, 24)
        self.head = nn.Linear(24, 4)

    def forward(self, x):
        return self.head(torch.tanh(self.twice(torch.tanh(self.twice(self.features(x))))))


@pytest.fixture
def x():
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def pruned(model):
    """The dense model with the smallest weights at 0, as the sparse one has them."""
    dense = Net()
    dense.load_state_dict(to_dense_state_dict(model))
    return dense


@pytest.mark.parametrize("training", [True, False])
def test_a_sparse_model_computes_what_the_pruned_dense_one_does(x, training):
    model = sparsify(Net().train(training), 0.6)
    dense = pruned(model).train(training)
    y, wanted = model(x), dense(x)
    torch.testing.assert_close(y, wanted, atol=1e-5, rtol=1e-5)
    y.square().mean().backward()
    wanted.square().mean().backward()
    torch.testing.assert_close(
        model.features[0].values.grad.sum(),
        dense.features[0].weight.grad[model.features[0].to_dense() != 0].sum(),
        atol=1e-5,
        rtol=1e-4,
    )
    torch.testing.assert_close(model.head.bias.grad, dense.head.bias.grad, atol=1e-5, rtol=1e-4)


def test_the_largest_weights_stay_and_the_density_is_the_one_asked_for():
    dense = Net()
    model = sparsify(copy.deepcopy(dense), 0.7)
    layers = [model.features[0], model.features[3], model.features[7], model.twice, model.head]
    assert [type(layer) for layer in layers] == [SparseConv2d, SparseConv2d, SparseLinear, SparseLinear, SparseLinear]
    cells = sum(layer.shape.numel() for layer in layers)
    assert sum(layer.nnz for layer in layers) == pytest.approx(0.3 * cells, abs=3)
    assert model.features[3].density > model.features[7].density  # Erdos-Renyi-kernel
    weight, kept = dense.twice.weight.detach(), model.twice.to_dense().detach()
    assert torch.equal(kept[kept != 0], weight[kept != 0])
    assert weight[kept == 0].abs().max() <= kept[kept != 0].abs().min()
    assert torch.equal(model.twice.bias, dense.twice.bias)


def test_random_connections_are_drawn_by_the_generator_and_leave_no_output_alone():
    def made(seed):
        return sparsify(Net(), 0.9, keep="random", generator=torch.Generator().manual_seed(seed))

    first, again, other = made(1), made(1), made(2)
    assert torch.equal(first.twice.to_dense(), again.twice.to_dense())
    assert not torch.equal(first.twice.col_indices, other.twice.col_indices)
    assert (first.features[7].crow_indices.diff() > 0).all()


def test_blocks_with_the_largest_norms_stay(x):
    dense = Net().eval()
    model = sparsify(copy.deepcopy(dense), 0.7, block=8)
    assert [layer.block for layer in (model.features[0], model.features[3], model.twice, model.head)] == [8, 1, 8, 4]
    weight, kept = dense.twice.weight.detach(), model.twice.to_dense().detach() != 0
    norms, stays = weight.reshape(3, 8, 24).norm(dim=1), kept.reshape(3, 8, 24)
    assert torch.equal(stays.any(dim=1), stays.all(dim=1))
    assert norms[~stays.all(dim=1)].max() <= norms[stays.all(dim=1)].min()
    torch.testing.assert_close(model(x), pruned(model).eval()(x), atol=1e-5, rtol=1e-5)
    single, saved = sparsify(Net(), 0.5).eval(), model.state_dict()
    single.load_state_dict(saved)
    torch.testing.assert_close(single(x), model(x))
    with pytest.raises(RuntimeError, match=r"twice\.values: rows do not have the same columns in blocks of 8"):
        model.load_state_dict(sparsify(Net(), 0.5).state_dict())


def test_names_that_are_excluded_stay_dense():
    model = sparsify(Net(), 0.8, exclude=["features", "head"])
    kinds = [type(it) for it in (model.features[0], model.features[7], model.twice, model.head)]
    assert kinds == [nn.Conv2d, nn.Linear, SparseLinear, nn.Linear]
    with pytest.raises(ValueError, match="'haed', which is no module"):
        sparsify(Net(), exclude=["haed"])


def test_what_cannot_be_sparse_is_told():
    class Circular(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
            self.attention = nn.MultiheadAttention(8, 2)
            self.linear = nn.Linear(8, 8)
            self.empty = nn.Linear(0, 8)

    with pytest.warns(UserWarning) as told:
        model = sparsify(Circular())
    messages = [str(warning.message) for warning in told]
    assert any("'conv' stays dense: padding_mode='circular'" in message for message in messages)
    assert any("'attention.out_proj' stays dense" in message for message in messages)
    assert any("'empty' stays dense: it has no weights" in message for message in messages)
    assert isinstance(model.linear, SparseLinear)
    with pytest.raises(ValueError, match="no Linear, Conv1d or Conv2d layer that could be made sparse$"):
        sparsify(nn.Sequential(nn.ReLU()))
    with pytest.raises(ValueError, match="those that were are sparse already; densify makes them dense again"):
        sparsify(sparsify(nn.Sequential(nn.Linear(20, 30))))
    with pytest.raises(TypeError, match="layer '0' is torch.float64 on cpu"):
        sparsify(nn.Sequential(nn.Linear(4, 4)).double())


def test_weights_that_are_shared_stay_shared():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(30, 8)
            self.body = nn.Linear(8, 8)
            self.head = nn.Linear(8, 30)
            self.head.weight = self.embedding.weight

    with pytest.warns(UserWarning, match="'head' stays dense: it shares its weight with 'embedding'"):
        model = sparsify(Tied(), 0.5)
    assert model.head.weight is model.embedding.weight
    assert isinstance(model.body, SparseLinear)


@pytest.mark.parametrize("masked", [False, True])
def test_torchs_encoders_predict_with_sparse_layers(masked):
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2)
    exclude = [f"layers.{index}.self_attn" for index in range(2)]
    model = sparsify(model, 0.5, exclude=exclude)
    x = torch.randn(3, 5, 16)
    mask = torch.tensor([[False] * 5, [False] * 4 + [True], [False] * 3 + [True] * 2]) if masked else None
    wanted = model(x, src_key_padding_mask=mask)
    with torch.no_grad():
        y = model.eval()(x, src_key_padding_mask=mask)
    torch.testing.assert_close(y, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 90}, "sparsity must be a number of at least 0 and below 1, not 90"),
        ({"method": "rigel"}, "did you mean `rigl`"),
        ({"method": "cht"}, "which layer feeds which"),
        ({"allocation": "erd"}, "did you mean"),
        ({"block": 3}, "sparsity.block: must be 1"),
        ({"keep": "all"}, 'keep must be "magnitude" or "random"'),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        sparsify(Net(), **arguments)


def test_a_plain_sequential_is_one_chain_with_the_names_it_had():
    sequential = nn.Sequential()
    for name, module in [("first", nn.Linear(6, 8)), ("act", nn.ReLU()), ("last", nn.Linear(8, 2))]:
        sequential.add_module(name, module)
    model = sparsify(sequential, 0.5)
    assert type(model) is SparseSequential
    assert [name for name, _ in model.named_children()] == ["first", "act", "last"]
    assert "first.values" in model.state_dict()


def test_densify_is_the_way_back(x):
    model = sparsify(Net(), 0.6).eval()
    wanted = model(x)
    torch.set_default_dtype(torch.float64)
    try:
        dense = densify(copy.deepcopy(model))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(it.dtype != torch.float64 for it in dense.parameters())
    assert all(type(it) is not SparseLinear for it in dense.modules()) and type(dense.features) is nn.Sequential
    torch.testing.assert_close(dense(x), wanted, atol=1e-5, rtol=1e-5)
    assert dense.state_dict().keys() == Net().state_dict().keys()


def test_state_dicts_of_other_connections_are_loaded(x):
    sparse, other = sparsify(Net(), 0.9).eval(), sparsify(Net(), 0.5).eval()
    values = other.twice.values
    file = io.BytesIO()
    torch.save(sparse.state_dict(), file)
    file.seek(0)
    assert str(other.load_state_dict(torch.load(file))) == "<All keys matched successfully>"
    assert other.twice.values is values
    assert torch.equal(other(x), sparse(x))
    broken = sparse.state_dict()
    broken["twice.crow_indices"] = broken["twice.crow_indices"].flip(0)
    with pytest.raises(RuntimeError, match=r"pattern mismatch for twice\.values: crow_indices"):
        other.load_state_dict(broken)
    beyond = sparse.state_dict()
    beyond["twice.col_indices"] = beyond["twice.col_indices"].long() + 2**32
    with pytest.raises(RuntimeError, match=r"pattern mismatch for twice\.values: col_indices must hold"):
        other.load_state_dict(beyond)


@pytest.mark.parametrize("place", ["cpu", "meta"])
@pytest.mark.parametrize("sparsity", [0.9, 0.5])
def test_a_state_dict_may_be_taken_over(x, sparsity, place):
    model, other = sparsify(Net(), 0.9).eval(), sparsify(Net(), sparsity).eval().to(place)
    wide = {name: it if it.is_floating_point() else it.long() for name, it in model.state_dict().items()}
    assert str(other.load_state_dict(wide, assign=True)) == "<All keys matched successfully>"
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize("left", ["values", "crow_indices", "col_indices"])
def test_half_a_pattern_is_not_loaded(x, left):
    model, other = sparsify(Net(), 0.9).eval(), sparsify(Net(), 0.9).eval()
    wanted = other(x)
    parts = [f"twice.{part}" for part in ("values", "crow_indices", "col_indices") if part != left]
    with pytest.raises(RuntimeError, match=r"pattern mismatch for twice\.values: there are .* alone"):
        other.load_state_dict({part: model.state_dict()[part] for part in parts}, strict=False)
    assert torch.equal(other(x), wanted)


def test_a_dense_checkpoint_gives_the_values_at_the_connections(x):
    dense = Net().eval()
    model = sparsify(copy.deepcopy(dense), 0.6)
    trained = Net()
    assert str(model.load_state_dict(trained.state_dict())) == "<All keys matched successfully>"
    kept = model.twice.to_dense()
    assert torch.equal(kept[kept != 0], trained.twice.weight[kept != 0])
    wrong = {**trained.state_dict(), "twice.weight": torch.zeros(24, 25)}
    with pytest.raises(RuntimeError, match="size mismatch for twice.weight"):
        model.load_state_dict(wrong)


def test_copies_and_saved_models_work(x):
    model = sparsify(Net(), 0.8).eval()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (copy.deepcopy(model), torch.load(file, weights_only=False)):
        assert torch.equal(other(x), model(x))


def test_hooks_are_not_lost():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    seen = []
    model[0].register_forward_hook(lambda *arguments: seen.append(1))
    with pytest.warns(UserWarning, match="'0' stays dense: it has hooks"):
        model = sparsify(model, 0.5)
    model(torch.randn(2, 8))
    assert seen


def test_the_summary_counts():
    text = summary(sparsify(nn.Sequential(nn.Linear(64, 100), nn.Linear(100, 10)), 0.9, allocation="uniform"))
    assert text.splitlines()[1].split() == ["0", "SparseLinear", "100", "x", "64", "640", "0.100", "1"]
    assert text.splitlines()[-1].split() == ["total", "740", "0.100"]


@pytest.mark.parametrize("weighted", [False, True])
def test_an_embedding_bag_sums_rows_as_torch_does(weighted):
    bag = SparseEmbeddingBag(50, 12, sparsity=0.8, generator=torch.Generator().manual_seed(3))
    dense = nn.EmbeddingBag.from_pretrained(bag.to_dense().detach().clone(), mode="sum", freeze=False)
    words, offsets = torch.randint(50, (30,)), torch.tensor([0, 4, 4, 19])
    weights = torch.randn(30) if weighted else None
    for arguments in [
        (words, offsets, weights),
        (words.view(6, 5), None, weights if weights is None else weights.view(6, 5)),
    ]:
        y, wanted = bag(*arguments), dense(*arguments)
        torch.testing.assert_close(y, wanted)
    dy = torch.randn_like(y)
    bag.zero_grad(), dense.zero_grad()
    y.backward(dy)
    wanted.backward(dy)
    rows = torch.repeat_interleave(torch.arange(50), bag.crow_indices.diff())
    torch.testing.assert_close(bag.values.grad, dense.weight.grad[rows, bag.col_indices.long()])
    with pytest.raises(IndexError, match="of 50 rows"):
        bag(torch.tensor([[50]]))
