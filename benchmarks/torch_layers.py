"""Layers of rarefy.torch against torch's dense ones and SparseLab's, forward and backward (dx, dvalues, dbias), one thread.

    python benchmarks/torch_layers.py [linear] [chain] [conv]

Turns are taken in one process, forward and back again; CPU and wall time are the fastest 5 % of all calls. Answers are
checked against torch first.
"""

import os
import sys
import time

# Torch's threads would otherwise spin for the core that others need.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from torch import nn

from rarefy.torch import SparseConv2d, SparseLinear, SparseSequential

try:
    import sparselab
except ImportError:
    sparselab = None

WIDTH, BATCH = 1024, 128
CHANNELS, SIDE, IMAGES = 128, 16, 64
BLOCKS = {"": 1, ", blocks of 8": 8}


def interleaved(steps, rounds, calls):
    """CPU and wall milliseconds of each step: the fastest 5 %."""
    times = {name: ([], []) for name in steps}
    for turn in range(rounds):
        for name in list(steps) if turn % 2 == 0 else reversed(steps):
            step = steps[name]
            step()
            for _ in range(calls):
                cpu, wall = time.process_time(), time.perf_counter()
                step()
                times[name][0].append((time.process_time() - cpu) * 1e3)
                times[name][1].append((time.perf_counter() - wall) * 1e3)
    return {name: [sorted(some)[len(some) // 20] for some in both] for name, both in times.items()}


def step(model, x, dy):
    def once():
        model.zero_grad(set_to_none=True)
        x.grad = None
        model(x).backward(dy)

    return once


def twin_of(layer):
    if isinstance(layer, SparseLinear):
        twin = nn.Linear(layer.in_features, layer.out_features)
    elif isinstance(layer, SparseConv2d):
        twin = nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, padding=layer.padding)
    else:
        return layer
    with torch.no_grad():
        twin.weight.copy_(layer.to_dense())
        twin.bias.copy_(layer.bias)
    return twin


def check(model, x):
    twin = nn.Sequential(*(twin_of(layer) for layer in (model if isinstance(model, SparseSequential) else [model])))
    x = x[:4].detach().clone().requires_grad_()
    (ours,), (theirs,) = (torch.autograd.grad(net(x).square().sum(), x) for net in (model, twin))
    error = ((ours - theirs).norm() / theirs.norm()).item()
    assert error < 1e-5, f"the gradient of the input is off by {error}"


def report(title, times):
    base = next(iter(times.values()))
    print(f"\n{title}\n{'':44s} {'CPU ms':>9s} {'':>7s} {'wall ms':>9s} {'':>7s}")
    for name, both in times.items():
        cells = [f"{own:9.3f} {dense / own:6.2f}x" for own, dense in zip(both, base, strict=True)]
        print(f"{name:44s} {' '.join(cells)}")


def alternating(make, count):
    """So many layers with rectifiers between them."""
    modules = [module for _ in range(count) for module in (make(), nn.ReLU())]
    return modules[:-1]


def linear(sparsity):
    x = torch.randn(BATCH, WIDTH, requires_grad=True)
    models = {"nn.Linear": nn.Linear(WIDTH, WIDTH)}
    for name, block in BLOCKS.items():
        models[f"SparseLinear{name}"] = SparseLinear(WIDTH, WIDTH, sparsity=sparsity, block=block)
        check(models[f"SparseLinear{name}"], x)
    if sparselab:
        models["sparselab.SparseLinear"] = sparselab.SparseLinear(WIDTH, WIDTH, sparsity=sparsity)
    steps = {name: step(model, x, torch.randn(BATCH, WIDTH)) for name, model in models.items()}
    report(f"{WIDTH} x {WIDTH}, batch {BATCH}, sparsity {sparsity}", interleaved(steps, 20, 8))


def chain(sparsity):
    x = torch.randn(BATCH, WIDTH, requires_grad=True)
    models = {"3 x nn.Linear, ReLU": nn.Sequential(*alternating(lambda: nn.Linear(WIDTH, WIDTH), 3))}
    for name, block in BLOCKS.items():
        sparse = alternating(lambda block=block: SparseLinear(WIDTH, WIDTH, sparsity=sparsity, block=block), 3)
        models[f"the same as SparseSequential{name}"] = SparseSequential(*sparse)
        check(models[f"the same as SparseSequential{name}"], x)
    models["SparseLinear in nn.Sequential"] = nn.Sequential(*alternating(lambda: SparseLinear(WIDTH, WIDTH, sparsity=sparsity), 3))
    if sparselab:
        layers = alternating(lambda: sparselab.SparseLinear(WIDTH, WIDTH, sparsity=sparsity), 3)
        models["3 x sparselab.SparseLinear, ReLU"] = nn.Sequential(*layers)
    steps = {name: step(model, x, torch.randn(BATCH, WIDTH)) for name, model in models.items()}
    report(f"three layers, batch {BATCH}, sparsity {sparsity}", interleaved(steps, 16, 4))


def conv(sparsity):
    x = torch.randn(IMAGES, CHANNELS, SIDE, SIDE, requires_grad=True)
    sizes = (CHANNELS, CHANNELS, 3)
    dy = torch.randn(IMAGES, CHANNELS, SIDE, SIDE)
    dense = nn.Sequential(*alternating(lambda: nn.Conv2d(*sizes, padding=1), 3))
    steps = {"3 x nn.Conv2d, ReLU": step(dense, x, dy)}
    for name, block in BLOCKS.items():
        layers = alternating(lambda block=block: SparseConv2d(*sizes, padding=1, sparsity=sparsity, block=block), 3)
        sparse = SparseSequential(*layers)
        check(sparse, x)
        steps[f"the same as SparseSequential{name}"] = step(sparse, x, dy)
    title = f"three 3 x 3 convolutions of {CHANNELS} channels at {SIDE} x {SIDE}, batch {IMAGES}, sparsity {sparsity}"
    report(title, interleaved(steps, 5, 2))


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    parts = sys.argv[1:] or ["linear", "chain", "conv"]
    print(f"torch {torch.__version__}, one thread" + ("" if sparselab else "; SparseLab is not installed"))
    for sparsity in (0.9, 0.95, 0.99):
        if "linear" in parts:
            linear(sparsity)
        if "chain" in parts:
            chain(sparsity)
    if "conv" in parts:
        conv(0.95)
