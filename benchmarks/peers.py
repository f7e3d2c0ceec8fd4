#!/usr/bin/env python3
"""Time one peer in this process and print one JSON line.

    peers.py step  --peer torch-csr --batch 128 --density 0.1 --threads 2
    peers.py train --data DIR --epochs 10 --optimizer sgd --lr 0.05

`step` is a whole training step on random data already in memory: gradients cleared, forward with ReLU,
cross-entropy, backward, SGD with momentum 0.9. Every layer but the last is sparse at --density; the last is dense.
`train` is the dense PyTorch network on Fashion-MNIST, for the accuracy and the seconds an epoch that it reaches.
"""

import argparse
import gzip
import json
import math
import os
import resource
import statistics
import sys
import time
import warnings
from pathlib import Path

import harness


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    step = commands.add_parser("step", help="time one training step")
    step.add_argument("--peer", choices=["torch-f32", "torch-autocast", "torch-bf16", "torch-csr", "sparselab"], required=True)
    step.add_argument("--density", type=float, default=0.1)
    step.add_argument("--steps", type=int, default=100)
    step.add_argument("--warmup", type=int, default=20)
    step.add_argument("--keep-grads", action="store_true", help="zero_grad(set_to_none=False)")
    step.add_argument("--fused", action=argparse.BooleanOptionalAction, default=True, help="torch's fused SGD")
    training = commands.add_parser("train", help="train the dense network on Fashion-MNIST")
    training.add_argument("--data", type=Path, required=True, help="the folder of the four .gz files")
    training.add_argument("--epochs", type=int, default=10)
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
    training.add_argument("--lr", type=float, default=0.05)
    training.add_argument("--schedule", choices=["constant", "cosine"], default="constant")
    for command in (step, training):
        command.add_argument("--layers", type=widths, default=[784, 1024, 1024, 10])
        command.add_argument("--batch", type=int, default=128)
        command.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def widths(text):
    return [int(width) for width in text.split(",")]


def restart_with_fair_environment(threads):
    """Restart once with the environment each peer is fastest in: these settings are read when a process starts."""
    if "RAREFY_PEER_READY" in os.environ:
        return
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    env |= harness.KEEPS_MEMORY | {"RAREFY_PEER_READY": "1", "OMP_NUM_THREADS": str(threads)}
    os.execve(sys.executable, [sys.executable, *sys.argv], env)


ARGUMENTS = parse_arguments()
restart_with_fair_environment(ARGUMENTS.threads)

import numpy  # noqa: E402: after the restart
import torch  # noqa: E402

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
torch.sparse.check_sparse_tensor_invariants.disable()
LR, MOMENTUM = 0.01, 0.9


# ---- the networks: each maker returns a function that makes one step and returns the loss


def dense_step(args, x, labels):
    precision = harness.Precision(args.peer.removeprefix("torch-"))
    network = dense_network(args.layers).to(precision.dtype)
    return autograd_step(args, network, x.to(precision.dtype), labels, precision)


def sparselab_step(args, x, labels):
    import sparselab

    layers = []
    for n_in, n_out in hidden_shapes(args.layers):
        layers += [sparselab.SparseLinear(n_in, n_out, sparsity=1 - args.density), torch.nn.ReLU()]
    layers.append(torch.nn.Linear(*args.layers[-2:]))
    return autograd_step(args, torch.nn.Sequential(*layers), x, labels)


def autograd_step(args, network, x, labels, precision=None):
    precision = precision or harness.Precision("f32")
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=MOMENTUM, fused=args.fused)

    def step():
        optimizer.zero_grad(set_to_none=not args.keep_grads)
        with precision.forward():
            loss = torch.nn.functional.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


class CsrLayer:
    """y = W x + b with W in torch's CSR, activations batch-last: x is [n_in, batch], y and dy are [n_out, batch].

    The pattern is fixed, so the transpose is kept and only its values are gathered anew each step. The weight gradient
    is the sampled product of dy and x; its `beta` makes it the momentum buffer without another pass.
    """

    def __init__(self, n_in, n_out, density, batch):
        bound = 1 / math.sqrt(max(1, n_in * density))
        nnz = round(density * n_in * n_out)
        flat = torch.randperm(n_out * n_in)[:nnz].sort().values
        rows, cols = flat // n_in, flat % n_in
        self.weight = csr(rows, cols, torch.empty(nnz).uniform_(-bound, bound), n_out, n_in)
        self.velocity = csr(rows, cols, torch.zeros(nnz), n_out, n_in)
        self.order = (cols * n_out + rows).argsort()
        self.transposed = csr(cols[self.order], rows[self.order], self.weight.values()[self.order], n_in, n_out)
        self.bias = torch.empty(n_out, 1).uniform_(-bound, bound)
        self.bias_velocity = torch.zeros(n_out, 1)
        self.y = torch.empty(n_out, batch)
        self.dx = torch.empty(n_in, batch)

    def forward(self, x):
        self.x = x
        torch.mm(self.weight, x, out=self.y)
        return self.y.add_(self.bias).relu_()

    def backward(self, dy, wants_dx):
        """Takes the gradient of the output after ReLU, updates the layer, returns the gradient of the input."""
        torch.ops.aten.threshold_backward.grad_input(dy, self.y, 0, grad_input=dy)
        if wants_dx:
            torch.index_select(self.weight.values(), 0, self.order, out=self.transposed.values())
            torch.mm(self.transposed, dy, out=self.dx)
        torch.sparse.sampled_addmm(self.velocity, dy, self.x.t(), beta=MOMENTUM, out=self.velocity)
        self.weight.values().add_(self.velocity.values(), alpha=-LR)
        momentum_update(self.bias, self.bias_velocity, dy.sum(1, keepdim=True))
        return self.dx


def csr(rows, cols, values, n_rows, n_cols):
    crow = torch.zeros(n_rows + 1, dtype=torch.int32)
    crow[1:] = torch.bincount(rows, minlength=n_rows).cumsum(0)
    # 32-bit indices: MKL takes these as they are, and torch converts others on every call.
    return torch.sparse_csr_tensor(crow, cols.int(), values, (n_rows, n_cols))


def momentum_update(parameter, velocity, gradient):
    velocity.mul_(MOMENTUM).add_(gradient)
    parameter.add_(velocity, alpha=-LR)


def csr_network(args):
    hidden = [CsrLayer(n_in, n_out, args.density, args.batch) for n_in, n_out in hidden_shapes(args.layers)]
    return hidden, torch.nn.Linear(*args.layers[-2:])


def csr_step(args, x, labels, network=None):
    hidden, last = network or csr_network(args)
    weight, bias = last.weight.detach(), last.bias.detach().unsqueeze(1)
    weight_velocity, bias_velocity = torch.zeros_like(weight), torch.zeros_like(bias)
    x = x.t().contiguous()
    samples = torch.arange(args.batch)

    @torch.no_grad()
    def step():
        h = x
        for layer in hidden:
            h = layer.forward(h)
        log_p = torch.log_softmax(torch.addmm(bias, weight, h), 0)
        loss = -log_p[labels, samples].mean()
        d = log_p.exp_()
        d[labels, samples] -= 1
        d /= args.batch
        dh = weight.t() @ d
        momentum_update(weight, weight_velocity, d @ h.t())
        momentum_update(bias, bias_velocity, d.sum(1, keepdim=True))
        for layer in reversed(hidden):
            dh = layer.backward(dh, wants_dx=layer is not hidden[0])
        return loss

    return step


def check_csr(args, x, labels):
    """The hand-written step must give the same losses and weights as autograd on masked dense layers."""
    hidden, last = csr_network(args)
    dense = dense_network(args.layers)
    linears = [layer for layer in dense if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for linear, layer in zip(linears, hidden):
            linear.weight.copy_(layer.weight.to_dense())
            linear.bias.copy_(layer.bias.flatten())
            linear.weight.register_hook(lambda grad, mask=linear.weight != 0: grad * mask)
        linears[-1].load_state_dict(last.state_dict())
    ours, theirs = csr_step(args, x, labels, (hidden, last)), autograd_step(args, dense, x, labels)
    for _ in range(3):
        torch.testing.assert_close(ours(), theirs().detach(), rtol=1e-4, atol=1e-5)
    for linear, layer in zip(linears, hidden):
        torch.testing.assert_close(layer.weight.to_dense(), linear.weight.detach(), rtol=1e-6, atol=1e-7)


STEPS = {"torch-csr": csr_step, "sparselab": sparselab_step}


def hidden_shapes(layers):
    return list(zip(layers[:-2], layers[1:-1]))


def dense_network(layers):
    modules = []
    for n_in, n_out in hidden_shapes(layers):
        modules += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*modules, torch.nn.Linear(*layers[-2:]))


# ---- the two commands


def time_step(args):
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    x = torch.randn(args.batch, args.layers[0])
    labels = torch.randint(args.layers[-1], (args.batch,))
    if args.peer == "torch-csr":
        check_csr(args, x, labels)
    step = STEPS.get(args.peer, dense_step)(args, x, labels)
    for _ in range(args.warmup):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    times = []
    for _ in range(args.steps):
        start = time.perf_counter()
        loss = step()
        times.append((time.perf_counter() - start) * 1000)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    if not math.isfinite(loss.item()):
        sys.exit(f"{args.peer}: the loss is {loss.item()}")
    return {
        "peer": args.peer,
        "layers": args.layers,
        "batch": args.batch,
        "density": args.density if args.peer in STEPS else 1.0,
        "threads": torch.get_num_threads(),
        "step_ms": round(statistics.median(times), 4),
        "min_ms": round(min(times), 4),
        "page_faults_per_step": round(faults / args.steps, 1),
        "versions": versions(args.peer),
    }


def train(args):
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    x, labels = read_idx(args.data, "train")
    test_x, test_labels = read_idx(args.data, "t10k")
    mean, std = x.mean(), x.std()
    x, test_x = (x - mean) / std, (test_x - mean) / std

    network = dense_network(args.layers)
    if args.optimizer == "sgd":
        optimizer = torch.optim.SGD(network.parameters(), lr=args.lr, momentum=MOMENTUM, fused=True)
    else:
        optimizer = torch.optim.Adam(network.parameters(), lr=args.lr, fused=True)
    steps = args.epochs * math.ceil(len(x) / args.batch)
    if args.schedule == "cosine":
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    else:
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)

    seconds = []
    for epoch in range(1, args.epochs + 1):
        start = time.perf_counter()
        for chosen in torch.randperm(len(x)).split(args.batch):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(x[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            schedule.step()
        seconds.append(time.perf_counter() - start)
        with torch.no_grad():
            accuracy = (network(test_x).argmax(1) == test_labels).float().mean().item()
        print(f"epoch {epoch}: test accuracy {accuracy:.4f}, {seconds[-1]:.2f} s", file=sys.stderr)
    return {
        "peer": "torch-f32",
        "layers": args.layers,
        "batch": args.batch,
        "epochs": args.epochs,
        "optimizer": args.optimizer,
        "learning_rate": args.lr,
        "schedule": args.schedule,
        "seed": args.seed,
        "threads": torch.get_num_threads(),
        "test_accuracy": round(accuracy, 4),
        "seconds_per_epoch": round(statistics.median(seconds), 3),
        "versions": versions("torch-f32"),
    }


def read_idx(folder, split):
    """The images as f32 [n, 784] and the labels as int64 [n], from the two gzipped IDX files of a split."""
    with gzip.open(folder / f"{split}-images-idx3-ubyte.gz") as file:
        images = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 784)
    with gzip.open(folder / f"{split}-labels-idx1-ubyte.gz") as file:
        labels = numpy.frombuffer(file.read(), numpy.uint8, offset=8)
    return torch.from_numpy(images.astype(numpy.float32)), torch.from_numpy(labels.astype(numpy.int64))


def versions(peer):
    from importlib.metadata import version

    return {name: version(name) for name in ["torch"] + ["sparselab"] * (peer == "sparselab")}


if __name__ == "__main__":
    print(json.dumps({"step": time_step, "train": train}[ARGUMENTS.command](ARGUMENTS)))
