"""Products with sparse matrices as torch's operators: they and their derivatives are those of dense arrays."""

import doctest
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import scipy.sparse  # noqa: E402
from rarefy import ops as of_numpy  # noqa: E402
from rarefy.torch import SparseConv2d, SparseLinear, ops  # noqa: E402
from torch import nn  # noqa: E402

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4, "check_dtype": False}
FILTERS = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def matrix(size, density, dtype=torch.int32):
    """Places of a sparse matrix, which may have empty rows, and values for them."""
    cells = torch.zeros(math.prod(size))
    cells[torch.randperm(len(cells))[: round(density * len(cells))]] = 1
    csr = cells.reshape(size[0], math.prod(size[1:])).to_sparse_csr()
    return [csr.crow_indices().to(dtype), csr.col_indices().to(dtype)], torch.randn(len(csr.values()))


def dense(places, values, size):
    """The same as torch's dense array, through which gradients flow."""
    rows = torch.repeat_interleave(torch.arange(size[0]), places[0].long().diff())
    flat = values.new_zeros(size[0], math.prod(size[1:]))
    return flat.index_put((rows, places[1].long()), values).reshape(size)


def linear(name, size, places):
    """Ours and torch's function of two arrays."""
    live = dense(places, torch.ones(len(places[1])), size) > 0
    return {
        "spmm": (lambda v, x: ops.spmm(*places, v, size, x), lambda v, x: dense(places, v, size) @ x),
        "spmm_t": (lambda v, x: ops.spmm_t(*places, v, size, x), lambda v, x: dense(places, v, size).T @ x),
        "sddmm": (lambda x, y: ops.sddmm(*places, size, x, y), lambda x, y: (x @ y.T)[live]),
    }[name]


def convolutions(name, size, input_size, places):
    live = dense(places, torch.ones(len(places[1])), size) > 0
    weights, by_input, by_weight = (
        (lambda v: dense(places, v, size)),
        torch.nn.grad.conv2d_input,
        torch.nn.grad.conv2d_weight,
    )
    return {
        "conv2d": (
            lambda v, x: ops.conv2d(*places, v, size, x, **FILTERS),
            lambda v, x: nn.functional.conv2d(x, weights(v), **FILTERS),
        ),
        "conv2d_input": (
            lambda v, g: ops.conv2d_input(*places, v, size, input_size, g, **FILTERS),
            lambda v, g: by_input(input_size, weights(v), g, **FILTERS),
        ),
        "conv2d_weight": (
            lambda x, g: ops.conv2d_weight(*places, size, x, g, **FILTERS),
            lambda x, g: by_weight(x, size, g, **FILTERS)[live],
        ),
    }[name]


def check_alike(ours, theirs, arrays):
    """Compares results, gradients, and gradients of these with torch's in double precision."""
    found = []
    for function, dtype in ((ours, torch.float32), (theirs, torch.float64)):
        torch.manual_seed(1)
        inputs = [array.detach().to(dtype).requires_grad_() for array in arrays]
        result = function(*inputs)
        weights = torch.randn(result.shape).to(dtype)
        loss = (result * weights).square().sum()
        first = torch.autograd.grad(loss, inputs, create_graph=True, materialize_grads=True)
        weights = [torch.randn(array.shape).to(dtype) for array in first]
        loss = sum((w * g).sum() for w, g in zip(weights, first, strict=True))
        second = torch.autograd.grad(loss, inputs, materialize_grads=True)
        found.append([result, *first, *second])
    for one, other in zip(*found, strict=True):
        scale = max([1.0, *other.abs().flatten().tolist()])
        torch.testing.assert_close(one / scale, other / scale, **TOLERANCE)


# 0 and 1 of each, whole tiles of 64 columns and parts of them, empty and full matrices.
SHAPES = [
    (1, 1, 1, 1.0),
    (5, 7, 3, 0.3),
    (40, 30, 64, 0.2),
    (70, 90, 65, 0.05),
    (9, 9, 31, 1.0),
    (6, 4, 10, 0.0),
    (0, 4, 2, 0.0),
    (4, 0, 2, 0.0),
    (4, 3, 0, 0.5),
]


@pytest.mark.parametrize("name", ["spmm", "spmm_t", "sddmm"])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_and_derivatives_are_those_of_dense_matrices(name, shape):
    m, k, n, density = shape
    places, values = matrix((m, k), density, torch.int64 if m % 2 else torch.int32)
    left = torch.randn(m, n) if name == "sddmm" else values
    right = torch.randn(m if name == "spmm_t" else k, n)
    check_alike(*linear(name, (m, k), places), (left, right))


@pytest.mark.parametrize("name", ["conv2d", "conv2d_input", "conv2d_weight"])
@pytest.mark.parametrize("samples", [0, 1, 3, 70])
def test_convolutions_and_derivatives_are_torchs(name, samples):
    size, input_size = (6, 2, 3, 2), (samples, 4, 7, 6)
    places, values = matrix(size, 0.4)
    images = torch.randn(input_size)
    outputs = nn.functional.conv2d(images, torch.zeros(size), **FILTERS)
    left, right = (images if name == "conv2d_weight" else values), (images if name == "conv2d" else outputs + 1)
    check_alike(*convolutions(name, size, input_size, places), (left, right + torch.randn(right.shape)))


def test_products_have_the_bits_of_those_of_numpy_for_any_threads():
    size, before = (300, 200), torch.get_num_threads()
    places, values = matrix(size, 0.1)
    A = scipy.sparse.csr_array((values.numpy(), places[1].numpy(), places[0].numpy()), shape=size)
    X, G = torch.randn(200, 130), torch.randn(300, 130)
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert np.array_equal(ops.spmm(*places, values, size, X).numpy(), of_numpy.spmm(A, X.numpy()))
            assert np.array_equal(ops.spmm_t(*places, values, size, G).numpy(), of_numpy.spmm_t(A, G.numpy()))
            sampled = of_numpy.sddmm(A, G.numpy(), X.numpy()).data
            assert np.array_equal(ops.sddmm(*places, size, G, X).numpy(), sampled)
    finally:
        torch.set_num_threads(before)


def test_layers_have_what_products_take():
    layer, x = SparseLinear(30, 20, bias=False), torch.randn(7, 30)
    y = ops.spmm(layer.crow_indices, layer.col_indices, layer.values, layer.shape, x.T).T
    torch.testing.assert_close(y, layer(x), **TOLERANCE)
    layer, x = SparseConv2d(4, 6, 3, stride=2, padding=1, groups=2, sparsity=0.5), torch.randn(3, 4, 6, 7)
    y = ops.conv2d(layer.crow_indices, layer.col_indices, layer.values, layer.shape, x, 2, 1, groups=2)
    torch.testing.assert_close(y + layer.bias[:, None, None], layer(x), **TOLERANCE)


def calls():
    """Each operator as torch has it, and arguments."""
    size, places, values = (5, 7), *matrix((5, 7), 0.4)
    values, X, G = (array.requires_grad_() for array in (values, torch.randn(7, 3), torch.randn(5, 3)))
    yield torch.ops.rarefy.spmm, (*places, values, size, X)
    yield torch.ops.rarefy.spmm_t, (*places, values, size, G)
    yield torch.ops.rarefy.sddmm, (*places, size, G, X)
    size, places, values = (4, 1, 3, 3), *matrix((4, 1, 3, 3), 0.4)
    windows, input_size = [2, 1, 1, 0, 1, 1, 2], (3, 2, 5, 4)
    values, X, G = (array.requires_grad_() for array in (values, torch.randn(input_size), torch.randn(3, 4, 3, 2)))
    yield torch.ops.rarefy.conv2d, (*places, values, size, X, windows)
    yield torch.ops.rarefy.conv2d_input, (*places, values, size, input_size, G, windows)
    yield torch.ops.rarefy.conv2d_weight, (*places, size, X, G, windows)


@pytest.mark.parametrize("index", range(6))
def test_torch_checks_the_operators(index):
    operator, arguments = list(calls())[index]
    torch.library.opcheck(operator.default, arguments)


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiled_functions_compute_the_same(dynamic):
    size, places, values = (12, 8), *matrix((12, 8), 0.5)
    filters, of_filters, kernels = (3, 2, 3, 3), *matrix((3, 2, 3, 3), 0.5)

    def function(values, kernels, images):
        x = ops.conv2d(*of_filters, kernels, filters, images, padding=1).tanh().flatten(1)
        return ops.spmm_t(*places, values, size, x[:, :12].T).sin()

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for samples in (5, 9):
        results = []
        for each in (function, compiled):
            inputs = [array.clone().requires_grad_() for array in (values, kernels)]
            torch.manual_seed(samples)
            y = each(*inputs, torch.randn(samples, 2, 4, 4))
            y.square().sum().backward()
            results.append([y, *(array.grad for array in inputs)])
        for one, other in zip(*results, strict=True):
            assert torch.equal(one, other)


def test_autocast_leaves_products_in_float32():
    size, places, values = (5, 7), *matrix((5, 7), 0.4)
    x = torch.randn(7, 3, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = ops.spmm(*places, values, size, nn.functional.linear(x.T, torch.eye(7)).T)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == (torch.float32, torch.bfloat16)


PLACES = torch.tensor([0, 1, 3]), torch.tensor([1, 0, 2])
V, X, G, IMAGES = torch.ones(3), torch.ones(3, 4), torch.ones(2, 4), torch.ones(2, 3, 5, 5)
KERNEL = (2, 3, 1, 1)
X3 = torch.ones(5, 3, 4)


def product(x):
    return ops.spmm(*PLACES, V, (2, 3), x)


def test_vmap_calls_once_for_each():
    assert torch.equal(torch.func.vmap(product)(X3), torch.stack([product(x) for x in X3]))


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (TypeError, "float32.*torch.float64", lambda: ops.spmm(*PLACES, V, (2, 3), X.double())),
        (TypeError, "float32.*torch.float64", lambda: ops.spmm(*PLACES, V.double(), (2, 3), X)),
        (
            TypeError,
            "crow_indices must hold int32 or int64",
            lambda: ops.spmm(PLACES[0] * 1.0, PLACES[1], V, (2, 3), X),
        ),
        (TypeError, "CPU, and is given arrays on meta", lambda: ops.sddmm(*PLACES, (2, 3), G.to("meta"), X)),
        (ValueError, r"X has shape \(3, 4\); .* must be \(2, columns\)", lambda: ops.spmm_t(*PLACES, V, (2, 3), X)),
        (ValueError, r"X has shape \(3,\)", lambda: ops.spmm(*PLACES, V, (2, 3), X[:, 0])),
        (ValueError, "as many columns", lambda: ops.sddmm(*PLACES, (2, 3), G, X[:, :2])),
        (ValueError, "524288 at most", lambda: ops.sddmm(*PLACES, (2, 3), *(torch.ones(n, 2**19 + 1) for n in (2, 3)))),
        (ValueError, r"shape \(3,\) of col_indices, not \(2,\)", lambda: ops.spmm(*PLACES, V[:2], (2, 3), X)),
        (ValueError, "size must have 2 numbers", lambda: ops.spmm(*PLACES, V, (2, 3, 1), X)),
        (ValueError, "one axis", lambda: ops.spmm(PLACES[0][None], PLACES[1], V, (2, 3), X)),
        (ValueError, "beyond its 3 columns", lambda: ops.spmm(PLACES[0], PLACES[1] + 2**32, V, (2, 3), X)),
        (ValueError, "not sorted", lambda: ops.spmm(PLACES[0], PLACES[1] - 1, V, (2, 3), X)),
        (ValueError, "not sorted", lambda: ops.spmm(PLACES[0], PLACES[1] * 0, V, (2, 3), X)),
        (ValueError, "crow_indices has 2 entries", lambda: ops.spmm(PLACES[0][:2], PLACES[1], V, (2, 3), X)),
        (ValueError, "size must have 4 numbers", lambda: ops.conv2d(*PLACES, V, (2, 3), IMAGES)),
        (ValueError, r"must be \(N, 6, height", lambda: ops.conv2d(*PLACES, V, KERNEL, IMAGES, groups=2)),
        (ValueError, "two, for height and width", lambda: ops.conv2d(*PLACES, V, KERNEL, IMAGES, stride=(1, 1, 1))),
        (ValueError, "must be at least 1", lambda: ops.conv2d(*PLACES, V, KERNEL, IMAGES, stride=0)),
        (ValueError, "must be at least 1", lambda: ops.conv2d(*PLACES, V, KERNEL, IMAGES, groups=0)),
        (ValueError, "larger than the input", lambda: ops.conv2d(*PLACES, V, (2, 3, 6, 6), IMAGES)),
        (ValueError, "cut into 3 groups", lambda: ops.conv2d(*PLACES, V, (2, 1, 1, 1), IMAGES, groups=3)),
        (ValueError, "that of the output", lambda: ops.conv2d_weight(*PLACES, KERNEL, IMAGES, IMAGES)),
        (RuntimeError, "not go through the products", lambda: torch.func.jvp(product, (X,), (X,))),
        (RuntimeError, "not go through the products", lambda: torch.func.grad(lambda x: product(x).sum())(X)),
        (RuntimeError, "not go through the products", lambda: torch.func.jvp(torch.func.vmap(product), (X3,), (X3,))),
        (ValueError, "beyond its 3 columns", lambda: ops.conv2d(PLACES[0], PLACES[1] + 1, V, KERNEL, IMAGES)),
    ],
)
def test_what_does_not_fit_is_refused(error, words, call):
    with pytest.raises(error, match=words):
        call()


# PyTorch's own, once in a process: whether it comes here depends on which tests ran before.
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_examples_run():
    assert doctest.testmod(ops).failed == 0
