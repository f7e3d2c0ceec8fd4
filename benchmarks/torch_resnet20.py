"""ResNet-20 (He et al. 2016, section 4.2), written out as anybody would, made sparse in two lines and trained on a CPU.

    python benchmarks/torch_resnet20.py --data DIRECTORY --epochs 3 --samples 6000     # Fashion-MNIST in IDX files
    python benchmarks/torch_resnet20.py --epochs 5                                     # scikit-learn's digits, a smoke run

Prints accuracy and seconds. `--dense` trains the same model as it is, `--engine` rarefy's own `resnet20` by the same settings without
PyTorch's loop. `--steps 30` times so many steps of the sparse and of the dense model in turn and prints medians.
"""

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BATCH = 128


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet20(nn.Module):
    def __init__(self, channels, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        blocks = []
        for inputs, outputs, stride in [(16, 16, 1), (16, 32, 2), (32, 64, 2)]:
            blocks += [BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1), BasicBlock(outputs, outputs, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        out = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.linear(F.adaptive_avg_pool2d(out, 1).flatten(1))


def idx(path):
    """An IDX file's array, gzipped or not."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        data = file.read()
    axes = data[3]
    shape = np.frombuffer(data, ">u4", axes, 4).astype(int)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def load(directory, samples):
    if directory is None:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        images, order = images.reshape(-1, 1, 8, 8) / 16, np.random.RandomState(0).permutation(len(labels))
        parts = order[:1400], order[1400:]
        arrays = [(images[part], labels[part]) for part in parts]
    else:
        find = lambda part, kind: next(Path(directory).glob(f"{part}-{kind}*"))  # noqa: E731
        arrays = [
            (idx(find(part, "images"))[:count, None] / 255, idx(find(part, "labels"))[:count])
            for part, count in [("train", samples), ("t10k", None)]
        ]
    return [(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.int64)) for x, y in arrays]


def train_engine(options, x, y, test_x, test_y):
    """rarefy's own network by the same settings."""
    import rarefy

    channels_last = lambda images: images.numpy().transpose(0, 2, 3, 1)  # noqa: E731
    settings = {
        "optimizer.momentum": 0.9,
        "optimizer.nesterov": True,
        "optimizer.weight_decay": 5e-4,
        "schedule.method": "one-cycle",
        "schedule.peak_at": 0.3,
        "data.validation_fraction": 0,
        "data.test_fraction": 0,
        "data.scale": "none",
    }
    start = time.time()
    run = rarefy.train(
        (channels_last(x), y.numpy()),
        settings,
        network="resnet20",
        sparsity=options.sparsity,
        method=options.method,
        optimizer="sgd",
        learning_rate=0.1,
        batch_size=BATCH,
        epochs=options.epochs,
        seed=options.seed,
        threads=options.threads,
    )
    seconds = time.time() - start
    accuracy = run.model.evaluate(channels_last(test_x), test_y.numpy())["accuracy"]
    print(f"engine: {run.epochs} epochs  accuracy {accuracy:.4f}  {seconds:.1f} s")


def time_steps(options, x, y):
    """Steps of the sparse and of the dense model in turn."""
    from rarefy.torch import sparsify

    dense = ResNet20(x.shape[1])
    sparse = sparsify(ResNet20(x.shape[1]), options.sparsity, keep="random")
    runs = [(m, torch.optim.SGD(m.parameters(), lr=0.01, momentum=0.9, nesterov=True)) for m in (sparse, dense)]
    seconds = ([], [])
    for step in range(options.steps + 2):
        for times, (model, optimizer) in zip(seconds, runs):
            start = time.perf_counter()
            optimizer.zero_grad()
            F.cross_entropy(model(x[:BATCH]), y[:BATCH]).backward()
            optimizer.step()
            times.append(time.perf_counter() - start)
    sparse, dense = (1000 * np.median(times[2:]) for times in seconds)
    print(f"a step of {BATCH}: sparse {sparse:.1f} ms, dense {dense:.1f} ms, {dense / sparse:.2f} times as fast")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data")
    parser.add_argument("--samples", type=int, default=60000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--method", default="rigl")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dense", action="store_true")
    parser.add_argument("--engine", action="store_true")
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    (x, y), (test_x, test_y) = load(options.data, options.samples)
    if options.engine:
        return train_engine(options, x, y, test_x, test_y)
    if options.steps:
        return time_steps(options, x, y)
    model = ResNet20(x.shape[1])
    steps_per_epoch = len(x) // BATCH
    steps = steps_per_epoch * options.epochs

    from rarefy.torch import TopologyScheduler, sparsify, summary

    if not options.dense:
        model = sparsify(model, options.sparsity, method=options.method, keep="random")
        print(summary(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    if not options.dense:
        topology = TopologyScheduler(
            model, optimizer, options.method, total_steps=steps, steps_per_epoch=steps_per_epoch
        )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)

    start = time.time()
    for epoch in range(options.epochs):
        model.train()
        order, losses = torch.randperm(len(x)), []
        for step in range(steps_per_epoch):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
            schedule.step()
            if not options.dense:
                topology.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            right = sum((model(a).argmax(1) == b).sum().item() for a, b in zip(test_x.split(500), test_y.split(500)))
        print(
            f"epoch {epoch + 1:3}  loss {np.mean(losses):.4f}  accuracy {right / len(test_y):.4f}  "
            f"{time.time() - start:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
