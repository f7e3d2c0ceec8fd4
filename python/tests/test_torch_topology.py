"""Connections of torch's layers move by rarefy's rules, and the optimizer's state moves with them."""

import copy
import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from rarefy.torch import SparseEmbeddingBag, SparseLinear, SparseSequential, TopologyScheduler, sparsify  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

METHODS = ["static", "set", "rigl", "gse", "mest", "gmp", "granet", "acdc", "srigl"]


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other take longer than layers of these sizes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(method="rigl", sparsity=0.8, chained=True, block=1):
    torch.manual_seed(3)
    layers = [nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 32), nn.ReLU(), nn.Linear(32, 5)]
    model = nn.Sequential(*layers)
    if not chained:
        model = nn.ModuleList(layers)
        model.forward = lambda x: functional_pass(model, x)
    generator = torch.Generator().manual_seed(1)
    return sparsify(model, sparsity, method=method, block=block, keep="random", generator=generator)


def functional_pass(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def batches(count):
    generator = torch.Generator().manual_seed(2)
    for _ in range(count):
        yield torch.randn(16, 2, 6, 6, generator=generator), torch.randint(5, (16,), generator=generator)


def step(model, optimizer, batch):
    x, y = batch
    optimizer.zero_grad()
    loss = functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    # Who holds it holds its graph, as most loops do.
    return loss


def by_cell(layer, numbers):
    """Numbers of the connections in a dense matrix, nan where there is none."""
    dense = torch.full((layer.crow_indices.numel() - 1, layer.shape[1:].numel()), torch.nan)
    rows = torch.repeat_interleave(torch.arange(len(dense)), layer.crow_indices.diff())
    dense[rows, layer.col_indices.long()] = numbers.detach()
    return dense


def sparse(model):
    return {name: it for name, it in model.named_modules() if hasattr(it, "values") and hasattr(it, "col_indices")}


OPTIMIZERS = {
    "adam": lambda it: torch.optim.Adam(it, lr=1e-2),
    "amsgrad": lambda it: torch.optim.Adam(it, lr=1e-2, amsgrad=True),
    "adamw": lambda it: torch.optim.AdamW(it, lr=1e-2),
    "momentum": lambda it: torch.optim.SGD(it, lr=1e-2, momentum=0.9),
    "rmsprop": lambda it: torch.optim.RMSprop(it, lr=1e-3, momentum=0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("method", "block"), [("rigl", 1), ("set", 1), ("rigl", 2)])
def test_what_survives_keeps_its_state_and_what_is_grown_begins_with_none(name, method, block):
    model = made(method, block=block)
    optimizer = OPTIMIZERS[name](model.parameters())
    words = {"every": 1, "until": 1.0} if method == "rigl" else {"steps_per_epoch": 1}
    scheduler = TopologyScheduler(model, optimizer, method, total_steps=21, **words)
    moved = 0
    for batch in batches(20):
        step(model, optimizer, batch)
        before = {
            name: {
                key: by_cell(layer, numbers)
                for key, numbers in [*optimizer.state[layer.values].items(), ("values", layer.values)]
                if numbers.shape == layer.values.shape
            }
            for name, layer in sparse(model).items()
        }
        churn = scheduler.step()
        for name, layer in sparse(model).items():
            assert len(before[name]) >= 2
            for key, old in before[name].items():
                numbers = layer.values if key == "values" else optimizer.state[layer.values][key]
                assert numbers.shape == layer.col_indices.shape
                new = by_cell(layer, numbers)
                stays = ~new.isnan() & ~old.isnan()
                assert torch.equal(new[stays], old[stays])
                grown = ~new.isnan() & old.isnan()
                if key != "values" or method == "rigl":
                    assert (new[grown] == 0).all()
                if key == "values" and name in churn:
                    assert grown.sum() == churn[name].grown
                    assert (new.isnan() & ~old.isnan()).sum() == churn[name].dropped
        moved += sum(it.grown for it in churn.values())
    assert moved > 500


@pytest.mark.parametrize("chained", [True, False])
def test_rigl_grows_where_the_gradient_of_the_dense_weight_is_largest(chained):
    model = made(chained=chained)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = TopologyScheduler(model, optimizer, total_steps=100, every=1, fraction=0.3)
    dense = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, 5))
    with torch.no_grad():
        for name, layer in sparse(model).items():
            dense[int(name)].weight.copy_(layer.to_dense())
            dense[int(name)].bias.copy_(layer.bias)
    before = {name: by_cell(layer, layer.values) for name, layer in sparse(model).items()}
    optimizer.zero_grad()
    # Two passes before a step, as who has little memory does.
    for x, y in batches(2):
        functional.cross_entropy(model.forward(x), y).backward()
        functional.cross_entropy(dense(x), y).backward()
    optimizer.step()
    churn = scheduler.step()
    for name, layer in sparse(model).items():
        after = by_cell(layer, layer.values)
        gradient = dense[int(name)].weight.grad.reshape(after.shape).abs()
        grown = ~after.isnan() & before[name].isnan()
        assert grown.sum() == churn[name].grown > 0
        left = after.isnan() & before[name].isnan()
        assert gradient[grown].min() >= gradient[left].max() - 1e-6


def test_a_chain_whose_modules_change_moves_as_its_layers_do():
    moved = []
    for chained in (True, False):
        model = made(chained=chained)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = TopologyScheduler(model, optimizer, total_steps=100, every=1)
        for at, (x, y) in enumerate(batches(3)):
            if at == 1:
                model.add_module("1", nn.Tanh())
            optimizer.zero_grad()
            functional.cross_entropy(model.forward(x), y).backward()
            optimizer.step()
            assert len(scheduler.step()) == 3
        moved.append([layer.col_indices for layer in sparse(model).values()])
    assert all(torch.equal(*pair) for pair in zip(*moved, strict=True))


@pytest.mark.parametrize("block", [1, 8])
@pytest.mark.parametrize("method", METHODS)
def test_each_method_ends_with_the_density_asked_for(method, block):
    model = made(method, 0.9, block=block)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    words = {} if method in ("static", "set", "acdc") else {"every": 4}
    scheduler = TopologyScheduler(model, optimizer, method, total_steps=40, steps_per_epoch=8, **words)
    start = {name: layer.nnz for name, layer in sparse(model).items()}
    losses = []
    for batch in list(batches(1)) * 40:
        losses.append(step(model, optimizer, batch))
        scheduler.step()
    assert {name: layer.nnz for name, layer in sparse(model).items()} == scheduler.targets
    assert sum(start.values()) >= sum(scheduler.targets.values())
    assert (method in ("gmp", "granet", "acdc", "mest")) == (start != scheduler.targets)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("method", "words"), [("rigl", {"every": 1}), ("set", {"steps_per_epoch": 1})])
def test_what_is_frozen_stays(method, words):
    model = made()
    model[3].requires_grad_(False)
    optimizer = torch.optim.SGD([it for it in model.parameters() if it.requires_grad], lr=0.1)
    scheduler = TopologyScheduler(model, optimizer, method, total_steps=20, **words)
    frozen = [it.clone() for it in (model[3].values, model[3].col_indices)]
    step(model, optimizer, next(batches(1)))
    assert list(scheduler.step()) == ["0", "5"]
    assert torch.equal(model[3].values, frozen[0]) and torch.equal(model[3].col_indices, frozen[1])


def test_a_pass_of_before_has_no_backward_pass_when_connections_have_moved():
    layer, other = (SparseLinear(10, 6, sparsity=0.5) for _ in range(2))
    loss = layer(torch.randn(5, 10)).sum()
    layer.set_pattern_(other.crow_indices, other.col_indices, other.values)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_an_average_of_models_is_one_of_weights_while_connections_stay():
    model = made()
    average = torch.optim.swa_utils.AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    for batch in batches(3):
        step(model, optimizer, batch)
        average.update_parameters(model)
        seen.append(model[3].to_dense().detach())
    torch.testing.assert_close(average.module[3].to_dense(), sum(seen) / 3)


def test_state_of_another_shape_is_told_once_and_left():
    class Counting(torch.optim.SGD):
        def step(self):
            for group in self.param_groups:
                for parameter in group["params"]:
                    self.state[parameter]["rows"] = torch.ones(3)
            return super().step()

    model = made()
    optimizer = Counting(model.parameters(), lr=0.1)
    scheduler = TopologyScheduler(model, optimizer, total_steps=100, every=1)
    with pytest.warns(UserWarning, match="'rows' of the optimizer's state") as told:
        for batch in batches(3):
            step(model, optimizer, batch)
            scheduler.step()
    assert len([it for it in told if "'rows'" in str(it.message)]) == 1


def test_misuse_is_told():
    model = made()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for arguments, message in [
        ({"method": "rigel"}, "did you mean `rigl`"),
        ({"method": "top-kast"}, "does not work on PyTorch's modules"),
        ({"method": "set"}, "give steps_per_epoch"),
        ({"method": "set", "steps_per_epoch": 3, "every": 3}, "topology.every"),
        ({"fraction": 1.5}, "topology.fraction"),
        ({"total_steps": 0}, "total_steps must be"),
        ({"total_steps": True}, "total_steps must be"),
        ({"method": "set", "steps_per_epoch": 2.0}, "steps_per_epoch must be"),
        ({"method": "gmp", "sparsity": 0.5}, "prunes: start denser"),
    ]:
        with pytest.raises(ValueError, match=message):
            TopologyScheduler(model, optimizer, **{"total_steps": 10, **arguments})
    with pytest.raises(ValueError, match="changes how many connections"):
        layer = SparseLinear(8, 8, sparsity=0.5)
        TopologyScheduler(layer, torch.optim.SGD(layer.parameters(), lr=0.1), "gmp", total_steps=10)
    with pytest.raises(ValueError, match="make it after sparsify"):
        TopologyScheduler(model, torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1), total_steps=10)
    with pytest.raises(ValueError, match="no sparse layers"):
        TopologyScheduler(nn.Linear(2, 2), optimizer, total_steps=10)
    for others in [(optimizer, model), (model, model.parameters())]:
        with pytest.raises(TypeError, match="takes a model and its optimizer, in this order, not "):
            TopologyScheduler(*others, total_steps=10)
    scheduler = TopologyScheduler(model, optimizer, total_steps=10, every=1)
    with pytest.raises(RuntimeError, match="no backward pass"):
        scheduler.step()
    model = made("mest")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = TopologyScheduler(model, optimizer, "mest", total_steps=10, every=1)
    with pytest.raises(RuntimeError, match="before optimizer.zero_grad"):
        scheduler.step()


def test_numbers_of_numpy_are_numbers():
    model = sparsify(nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 2)), np.float32(0.8), block=np.int64(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    words = {"total_steps": np.int64(20), "steps_per_epoch": np.int32(4), "sparsity": np.float64(0.8)}
    words |= {"every": np.int64(5), "fraction": np.float32(0.25)}
    shown = repr(TopologyScheduler(model, optimizer, **words))
    assert "every=5" in shown and "fraction=0.25" in shown and "step 0 of 20" in shown


@pytest.mark.parametrize(("method", "words"), [("rigl", {"every": 3}), ("set", {"steps_per_epoch": 3})])
def test_a_run_goes_on_from_its_state(method, words):
    def begin(seed):
        model = made()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        words["generator"] = torch.Generator().manual_seed(seed)
        return model, optimizer, TopologyScheduler(model, optimizer, method, total_steps=40, **words)

    model, optimizer, scheduler = begin(9)
    data = list(batches(20))
    for batch in data[:10]:
        step(model, optimizer, batch)
        scheduler.step()
    file = io.BytesIO()
    torch.save([it.state_dict() for it in (model, optimizer, scheduler)], file)
    file.seek(0)
    others = begin(10)
    states = torch.load(file)
    others[2].load_state_dict({key: value for key, value in states[2].items() if key != "seed"})  # as once saved
    for it, state in zip(others, states, strict=True):
        it.load_state_dict(state)
    for it in ((model, optimizer, scheduler), others):
        for batch in data[10:]:
            step(it[0], it[1], batch)
            it[2].step()
    for name, value in model.state_dict().items():
        assert torch.equal(value, others[0].state_dict()[name]), name


def test_static_training_is_masked_dense_training():
    """The same formula in torch: a dense model whose absent weights are held at 0."""
    model = made("static")
    dense = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, 5))
    masks = {}
    with torch.no_grad():
        for name, layer in sparse(model).items():
            dense[int(name)].weight.copy_(layer.to_dense())
            dense[int(name)].bias.copy_(layer.bias)
            masks[name] = ~by_cell(layer, layer.values).isnan().reshape(layer.shape)
    optimizers = [torch.optim.SGD(it.parameters(), lr=0.1, momentum=0.9) for it in (model, dense)]
    for batch in batches(20):
        losses = [step(it, optimizer, batch).item() for it, optimizer in zip((model, dense), optimizers, strict=True)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
        with torch.no_grad():
            for name, mask in masks.items():
                dense[int(name)].weight.mul_(mask)
    for name, layer in sparse(model).items():
        torch.testing.assert_close(layer.to_dense(), dense[int(name)].weight, atol=1e-5, rtol=1e-5)


def test_a_copy_moves_by_itself():
    model = made()
    other = copy.deepcopy(model)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    scheduler = TopologyScheduler(other, optimizer, total_steps=10, every=1)
    step(other, optimizer, next(batches(1)))
    assert scheduler.step()
    for name, layer in sparse(model).items():
        assert torch.equal(layer.col_indices, sparse(made())[name].col_indices)


@pytest.mark.parametrize("block", [1, 8])
@pytest.mark.parametrize("method", ["static", "rigl", "granet"])
def test_a_recipe_in_torch_gives_what_the_engine_gives(method, block):
    """The same start, the same batches (all samples, so that their order is of no account), momentum and schedule."""
    from rarefy._engine import to_json
    from rarefy._rarefy import Samples, Trainer

    steps, words = 30, {} if method == "static" else {"every": 4}
    generator = np.random.default_rng(5)
    x = generator.standard_normal((96, 20), dtype=np.float32)
    y = (x[:, :3].argmax(axis=1)).astype(np.uint32)
    samples = Samples.dense(x, 20)
    samples.with_classes(y, ["a", "b", "c"])
    settings = {
        "seed": 4,
        "network": {"hidden": [32, 24], "activation": "relu"},
        "sparsity": {"density": 0.2, "block": block},
        "topology": {"method": method, **words},
        "optimizer": {"method": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.0},
        "schedule": {"method": "constant", "warmup": 0.0},
        "data": {"scale": "none", "validation_fraction": 0.0, "test_fraction": 0.0},
        "train": {"batch_size": 96, "epochs": steps, "keep_best": False},
    }
    engine = Trainer(to_json(settings), samples)
    start = engine.model()
    engine.train()
    trained = engine.model()

    layers = []
    for (_, (rows, cols), crow, col, values), (_, bias) in zip(start.weights(), start.vectors(), strict=True):
        layer = SparseLinear(cols, rows, sparsity=0.5, block=block)
        layer.set_pattern_(*map(torch.from_numpy, (crow, col, values)))
        layer.bias.data = torch.from_numpy(bias)
        layers += [layer, nn.ReLU()]
    model = SparseSequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = TopologyScheduler(model, optimizer, method, total_steps=steps, sparsity=0.8, **words)
    moved = 0
    for _ in range(steps):
        step(model, optimizer, (torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))))
        moved += len(scheduler.step())
    assert (moved > 0) == (method != "static")
    for layer, (_, _, crow, col, values) in zip(layers[::2], trained.weights(), strict=True):
        assert torch.equal(layer.crow_indices, torch.from_numpy(crow))
        assert torch.equal(layer.col_indices, torch.from_numpy(col))
        torch.testing.assert_close(layer.values.detach(), torch.from_numpy(values), atol=1e-5, rtol=1e-5)


def test_skorch_trains_it():
    skorch = pytest.importorskip("skorch")
    from sklearn.datasets import load_digits

    class Moving(skorch.callbacks.Callback):
        def on_train_begin(self, net, X, **kwargs):
            steps = net.max_epochs * -(-len(X) // net.batch_size)
            self.scheduler = TopologyScheduler(net.module_, net.optimizer_, total_steps=steps, every=10)

        def on_batch_end(self, net, training, **kwargs):
            if training:
                self.scheduler.step()

    def module():
        return sparsify(nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10)), 0.8, keep="random")

    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    net = skorch.NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-2,
        max_epochs=8,
        batch_size=64,
        train_split=None,
        callbacks=[Moving()],
        verbose=0,
    )
    net.fit((x[:1400] / 16).astype("float32"), y[:1400])
    assert net.callbacks[0].scheduler.steps_done == 176
    assert net.score((x[1400:] / 16).astype("float32"), y[1400:]) > 0.85


def test_an_embedding_bag_moves_by_methods_without_gradients():
    model = nn.Sequential(SparseEmbeddingBag(40, 8, sparsity=0.8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = TopologyScheduler(model, optimizer, "set", total_steps=10, steps_per_epoch=2)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randint(40, (5, 6))).square().sum().backward()
        optimizer.step()
        churn = scheduler.step()
    assert churn["0"].dropped == churn["0"].grown > 0
    assert optimizer.state[model[0].values]["exp_avg"].shape == model[0].values.shape


@pytest.mark.parametrize("weighted", [False, True])
def test_rigl_grows_an_embedding_bag_by_its_absent_gradients(weighted):
    torch.manual_seed(0)
    bag = SparseEmbeddingBag(40, 8, sparsity=0.8)
    optimizer = torch.optim.SGD(bag.parameters(), lr=0.0)
    scheduler = TopologyScheduler(bag, optimizer, "rigl", total_steps=10, every=1)
    gradients, before = torch.zeros(40, 8), bag.to_dense().detach() != 0
    for _ in range(2):  # passes of one step are added up
        words = torch.randint(1, 40, (5, 6))
        weights = torch.randn(5, 6) if weighted else torch.ones(5, 6)
        sums = bag(words, per_sample_weights=weights if weighted else None)
        target = torch.randn_like(sums)
        (sums * target).sum().backward()
        for sample in range(5):
            for word, weight in zip(words[sample], weights[sample], strict=True):
                gradients[word] += weight * target[sample]
    torch.testing.assert_close(bag.values.grad, gradients[before], rtol=1e-4, atol=1e-5)
    optimizer.step()
    ((_, grown),) = scheduler.step().values()
    after = bag.col_indices.numel()
    assert after == before.sum() and grown > 0
    rows = torch.repeat_interleave(torch.arange(40), bag.crow_indices.diff())
    new = [(row, col) for row, col in zip(rows.tolist(), bag.col_indices.tolist(), strict=True) if not before[row, col]]
    absent = gradients.abs().masked_fill(before, 0)
    smallest = min(absent[cell] for cell in new)
    assert len(new) == grown
    assert (absent > smallest * (1 + 1e-5)).sum() < grown


def test_a_compiled_model_moves_as_the_model_does():
    states = []
    for is_compiled in (False, True):
        model = made()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        scheduler = TopologyScheduler(model, optimizer, total_steps=20, every=3)
        whole = torch.compile(model, backend="aot_eager", fullgraph=True) if is_compiled else model
        for batch in batches(4):
            step(whole, optimizer, batch)
            scheduler.step()
        states.append(model.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
