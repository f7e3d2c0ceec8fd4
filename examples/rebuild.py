"""What a trained network makes of samples, from the two files of its folder alone, in plain Python: every layer by its
formula (docs/networks.md), every array as it stands in the files (docs/file-format.md). Slow, and meant to be read.

    python3 rebuild.py runs/digits-1 samples.json

samples.json: {"samples": [[numbers of a sample, as the data has them], ...], "lengths": [its steps, ...] or null}
prints        {"outputs": [[...], ...], "predictions": [[...], ...]}, predictions being outputs after the model's head

A sample is a list of numbers, position by position (image: row by row; sequence: step by step), all channels of a position
together. `crates/rarefy/tests/models_are_rebuilt.rs` compares it with the library, layer by layer.
"""

import json
import math
import struct
import sys
from pathlib import Path


# ---------------------------------------------------------------------------------------------------------- the files


def read_safetensors(path):
    """{name: (shape, flat list of numbers)}: 8 bytes of header length, the header in JSON, the arrays one after the other."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    arrays = {}
    for name, about in header.items():
        start, end = about["data_offsets"]
        code = {"F32": "f", "I32": "i"}[about["dtype"]]
        numbers = struct.unpack(f"<{(end - start) // 4}{code}", data[8 + length + start : 8 + length + end])
        arrays[name] = (about["shape"], list(numbers))
    return arrays


def read_weight(arrays, name, columns):
    """A weight as a list of rows of `columns` numbers, whether the file has it whole or only its live connections."""
    if name in arrays:
        numbers = arrays[name][1]
        return [numbers[at : at + columns] for at in range(0, len(numbers), columns)]
    starts, places, values = (arrays[f"{name}.{part}"][1] for part in ("crow_indices", "col_indices", "values"))
    # Of a weight in row blocks a line of the index stands for `height` rows, and a place for as many values.
    height = arrays[f"{name}.block"][1][0] if f"{name}.block" in arrays else 1
    rows = [[0.0] * columns for _ in range(height * (len(starts) - 1))]
    values = iter(values)
    for line, (start, end) in enumerate(zip(starts, starts[1:])):
        for at in range(start, end):
            for row in rows[line * height : (line + 1) * height]:
                row[places[at]] = next(values)
    return rows


# --------------------------------------------------------------------------------------------------------- arithmetic


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def activate(name, x):
    if isinstance(name, dict):  # {"leaky-relu": slope}
        return x if x > 0 else name["leaky-relu"] * x
    return {
        "identity": lambda: x,
        "relu": lambda: max(x, 0.0),
        "tanh": lambda: math.tanh(x),
        "sigmoid": lambda: sigmoid(x),
        "gelu": lambda: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        "silu": lambda: x * sigmoid(x),
    }[name]()


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def linear(weight, bias, x):
    return [dot(row, x) + b for row, b in zip(weight, bias)]


def softmax(scores):
    largest = max(scores)
    powers = [math.exp(score - largest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def mean_of(rows, shares):
    return [dot(column, shares) for column in zip(*rows)]


def moments(numbers):
    mean = sum(numbers) / len(numbers)
    return mean, sum((x - mean) ** 2 for x in numbers) / len(numbers)


def pair(size):
    return size if isinstance(size, list) else [size, size]


# ------------------------------------------------------------------------------------------------------------- layers


class Sample:
    """Positions of an image or a sequence, each a list of channels; of a sequence the first `steps` are real."""

    def __init__(self, height, width, positions, steps=None):
        self.height, self.width, self.positions, self.steps = height, width, positions, steps

    def real(self):
        return self.positions[: self.steps]

    def like(self, positions):
        """The same places with other channels."""
        return Sample(self.height, self.width, positions, self.steps)


class Network:
    def __init__(self, folder):
        self.config = json.loads((Path(folder) / "config.json").read_text())
        self.arrays = read_safetensors(Path(folder) / "model.safetensors")

    def vector(self, name):
        return self.arrays[name][1]

    def outputs(self, numbers, steps=None):
        inputs = self.config["network"]["inputs"]
        height, width, channels = inputs if isinstance(inputs, list) else (1, 1, inputs)
        positions = [numbers[at : at + channels] for at in range(0, len(numbers), channels)]
        sample = self.run(self.config["network"]["layers"], "layers", Sample(height, width, positions, steps))
        return [number for position in sample.positions for number in position]

    def run(self, layers, name, sample):
        for index, layer in enumerate(layers):
            function = getattr(self, layer["layer"].replace("-", "_"))
            sample = function(layer, f"{name}.{index}", sample)
            if len(sample.positions) == 1:
                sample.steps = None
        return sample

    def linear(self, layer, name, x):
        weight = read_weight(self.arrays, f"{name}.weight", len(x.positions[0]))
        bias, f = self.vector(f"{name}.bias"), layer["activation"]
        return x.like([[activate(f, y) for y in linear(weight, bias, position)] for position in x.positions])

    def windows(self, layer, x, kernel, stride, padding, dilation):
        """For each output position [(offset of the kernel, channels there)], and the output's height, width and steps."""
        sizes = [
            (size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
            for axis, size in enumerate((x.height, x.width))
        ]
        end = len(x.positions) if x.steps is None else x.steps
        found = []
        for row in range(sizes[0]):
            for column in range(sizes[1]):
                window = []
                for offset in range(kernel[0] * kernel[1]):
                    y = row * stride[0] + offset // kernel[1] * dilation[0] - padding[0]
                    z = column * stride[1] + offset % kernel[1] * dilation[1] - padding[1]
                    if 0 <= y < x.height and 0 <= z < x.width and y * x.width + z < end:
                        window.append((offset, x.positions[y * x.width + z]))
                found.append(window)
        steps = None if x.steps is None else min(-(-x.steps // stride[1]), sizes[1])
        return found, (*sizes, steps)

    def conv2d(self, layer, name, x):
        kernel, dilation = pair(layer["kernel"]), pair(layer["dilation"])
        padding = layer["padding"]
        if padding == "same":
            padding = [dilation[axis] * (kernel[axis] - 1) // 2 for axis in (0, 1)]
        sizes = kernel, pair(layer["stride"]), pair(padding), dilation
        windows, (height, width, steps) = self.windows(layer, x, *sizes)
        filters, groups, offsets = layer["filters"], layer["groups"], kernel[0] * kernel[1]
        channels = len(x.positions[0]) // groups
        weight = read_weight(self.arrays, f"{name}.weight", channels * offsets)
        bias = self.vector(f"{name}.bias") if layer["bias"] else [0.0] * filters
        positions = []
        for window in windows:
            out = []
            for o in range(filters):
                first = o // (filters // groups) * channels
                terms = (
                    weight[o][c * offsets + offset] * place[first + c]
                    for offset, place in window
                    for c in range(channels)
                )
                out.append(activate(layer["activation"], bias[o] + sum(terms)))
            positions.append(out)
        return Sample(height, width, positions, steps)

    def conv1d(self, layer, name, x):
        across = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}
        sides = {key: [across[key], layer[key]] for key in across if layer[key] != "same"}
        return self.conv2d({**layer, **sides}, name, x)

    def pool(self, layer, x, join):
        def sides(key, default, across):
            size = layer.get(key, default)
            return [across, size] if x.height == 1 and not isinstance(size, list) else pair(size)

        kernel, stride = sides("kernel", None, 1), sides("stride", layer["kernel"], 1)
        windows, (height, width, steps) = self.windows(
            layer, x, kernel, stride, sides("padding", 0, 0), sides("dilation", 1, 1)
        )
        nothing = [0.0] * len(x.positions[0])
        columns = [list(zip(*(place for _, place in window))) for window in windows]
        return Sample(height, width, [[join(c) for c in seen] if seen else nothing for seen in columns], steps)

    def max_pool(self, layer, name, x):
        return self.pool(layer, x, max)

    def average_pool(self, layer, name, x):
        return self.pool(layer, x, lambda numbers: sum(numbers) / len(numbers))

    def global_max_pool(self, layer, name, x):
        return Sample(1, 1, [[max(column) for column in zip(*x.real())]])

    def global_average_pool(self, layer, name, x):
        return Sample(1, 1, [[sum(column) / len(column) for column in zip(*x.real())]])

    def last_step(self, layer, name, x):
        return Sample(1, 1, [x.real()[-1]])

    def attention_pool(self, layer, name, x):
        (query,) = read_weight(self.arrays, f"{name}.query", len(x.positions[0]))
        return Sample(1, 1, [mean_of(x.real(), softmax([dot(query, step) for step in x.real()]))])

    def elementwise(self, layer, name, x):
        return x.like([[activate(layer["activation"], number) for number in position] for position in x.positions])

    def dropout(self, layer, name, x):
        return x

    def flatten(self, layer, name, x):
        return Sample(1, 1, [[number for position in x.positions for number in position]])

    def embedding(self, layer, name, x):
        table = read_weight(self.arrays, f"{name}.weight", layer["channels"])
        if layer["padding"]:
            table[0] = [0.0] * layer["channels"]
        return x.like([table[int(token)] for (token,) in x.positions])

    def positional_encoding(self, layer, name, x):
        channels = len(x.positions[0])

        def added(step, c):
            if layer["positions"] == "learned":
                return self.vector(f"{name}.positions")[step * channels + c]
            angle = step / 10000 ** ((c - c % 2) / channels)
            return math.sin(angle) if c % 2 == 0 else math.cos(angle)

        return x.like([[n + added(t, c) for c, n in enumerate(step)] for t, step in enumerate(x.positions)])

    def attention(self, layer, name, x):
        channels = len(x.positions[0])
        size, real = channels // layer["heads"], len(x.real())

        def project(part, positions):
            weight = read_weight(self.arrays, f"{name}.{part}.weight", channels)
            return [linear(weight, self.vector(f"{name}.{part}.bias"), position) for position in positions]

        def turned(row, step):
            if not layer["rotary"]:
                return row
            out = []
            for i in range(0, size, 2):
                angle = step / 10000 ** (i / size)
                cos, sin = math.cos(angle), math.sin(angle)
                out += [row[i] * cos - row[i + 1] * sin, row[i] * sin + row[i + 1] * cos]
            return out

        query, key, value = (project(part, x.positions) for part in ("query", "key", "value"))
        heads = [[] for _ in x.positions]
        for first in range(0, channels, size):
            of_head = lambda rows: [row[first : first + size] for row in rows]
            queries, keys = ([turned(row, t) for t, row in enumerate(of_head(rows))] for rows in (query, key))
            for step, q in enumerate(queries):
                seen = min(real, step + 1) if layer["causal"] else real
                shares = softmax([dot(q, k) / math.sqrt(size) for k in keys[:seen]])
                heads[step] += mean_of(of_head(value)[:seen], shares)
        return x.like(project("output", heads))

    def recurrent(self, layer, name, x, cell):
        hidden, channels, made = layer["hidden"], len(x.positions[0]), []
        for reverse in [False, True][: 2 if layer["bidirectional"] else 1]:
            prefix = f"{name}.reverse" if reverse else name
            of_input = read_weight(self.arrays, f"{prefix}.weight_ih", channels)
            of_state = read_weight(self.arrays, f"{prefix}.weight_hh", hidden)
            bias = self.vector(f"{prefix}.bias_ih")
            state_bias = self.arrays.get(f"{prefix}.bias_hh", (None, [0.0] * len(bias)))[1]
            h, c = [0.0] * hidden, [0.0] * hidden
            out = [[0.0] * hidden for _ in x.positions]
            steps = range(len(x.real()))
            for step in reversed(steps) if reverse else steps:
                a = linear(of_input, bias, x.positions[step])
                b = linear(of_state, state_bias, h)
                gate = lambda rows, number: rows[number * hidden : (number + 1) * hidden]
                h, c = cell([gate(a, n) for n in range(4)], [gate(b, n) for n in range(4)], h, c)
                out[step] = h
            made.append(out)
        return x.like([sum(parts, []) for parts in zip(*made)])

    def lstm(self, layer, name, x):
        def cell(a, b, h, c):
            i, f, g, o = ([p + q for p, q in zip(*gates)] for gates in zip(a, b))
            c = [sigmoid(f[u]) * c[u] + sigmoid(i[u]) * math.tanh(g[u]) for u in range(len(c))]
            return [sigmoid(o[u]) * math.tanh(c[u]) for u in range(len(c))], c

        return self.recurrent(layer, name, x, cell)

    def gru(self, layer, name, x):
        def cell(a, b, h, c):
            r, z = ([sigmoid(p + q) for p, q in zip(a[gate], b[gate])] for gate in (0, 1))
            n = [math.tanh(a[2][u] + r[u] * b[2][u]) for u in range(len(h))]
            return [(1 - z[u]) * n[u] + z[u] * h[u] for u in range(len(h))], c

        return self.recurrent(layer, name, x, cell)

    def rnn(self, layer, name, x):
        def cell(a, b, h, c):
            return [activate(layer["activation"], p + q) for p, q in zip(a[0], b[0])], c

        return self.recurrent(layer, name, x, cell)

    def residual(self, layer, name, x):
        body, past = (self.run(layer[part], f"{name}.{part}", x) for part in ("body", "shortcut"))
        f = layer["activation"]
        sums = [[activate(f, a + b) for a, b in zip(*pair)] for pair in zip(body.positions, past.positions)]
        return body.like(sums)

    def parallel(self, layer, name, x):
        branches = enumerate(layer["branches"])
        made = [self.run(branch, f"{name}.branches.{index}", x) for index, branch in branches]
        places = zip(*(sample.positions for sample in made))
        if layer["join"] == "add":
            return made[0].like([[sum(numbers) for numbers in zip(*parts)] for parts in places])
        return made[0].like([sum(parts, []) for parts in places])

    def normalised(self, layer, name, x, moments_of):
        """Each number by mean and variance of its position and channel, then by what was learned of its channel."""
        scale, shift = self.vector(f"{name}.scale"), self.vector(f"{name}.shift")
        positions = []
        for position in x.positions:
            out = []
            for c, number in enumerate(position):
                mean, variance = moments_of(position, c)
                y = (number - mean) / math.sqrt(variance + 1e-5) * scale[c] + shift[c]
                out.append(activate(layer.get("activation", "identity"), y))
            positions.append(out)
        return x.like(positions)

    def batch_norm(self, layer, name, x):
        mean, variance = self.vector(f"{name}.mean"), self.vector(f"{name}.variance")
        return self.normalised(layer, name, x, lambda position, c: (mean[c], variance[c]))

    def layer_norm(self, layer, name, x):
        return self.normalised(layer, name, x, lambda position, c: moments(position))

    def group_norm(self, layer, name, x):
        size = len(x.positions[0]) // layer["groups"]
        group = lambda c: [n for position in x.real() for n in position[c // size * size :][:size]]
        return self.normalised(layer, name, x, lambda position, c: moments(group(c)))

    def rms_norm(self, layer, name, x):
        scale = self.vector(f"{name}.scale")
        root = lambda position: math.sqrt(dot(position, position) / len(position) + 1e-5)
        return x.like([[n / root(p) * scale[c] for c, n in enumerate(p)] for p in x.positions])


# -------------------------------------------------------------------------------------- what stands around the network


def scaled(scaler, numbers):
    """As the training data was: (x - offset) * multiplier, one for all, or one for each column or channel in turn."""
    if scaler == "none":
        return numbers
    ((kind, about),) = scaler.items()
    if kind == "global":
        return [(x - about["offset"]) * about["multiplier"] for x in numbers]
    offsets, multipliers = about["offsets"], about["multipliers"]
    return [(x - offsets[at % len(offsets)]) * multipliers[at % len(offsets)] for at, x in enumerate(numbers)]


def predicted(head, outputs, classes):
    """Probabilities of classes (at each step, where there are several), of each label, or the outputs themselves."""
    if head == "softmax":
        steps = [outputs[at : at + classes] for at in range(0, len(outputs), classes)]
        return [share for step in steps for share in softmax(step)]
    return [sigmoid(x) for x in outputs] if head == "sigmoid" else outputs


def in_their_unit(scaler, outputs):
    """Numbers to predict were scaled for the network; this undoes it."""
    if scaler == "none":
        return outputs
    ((kind, about),) = scaler.items()
    numbers = [y * about["deviations"][at] + about["means"][at] for at, y in enumerate(outputs)]
    return [math.exp(y) for y in numbers] if kind == "log" else numbers


def main(folder, samples):
    network = Network(folder)
    given = json.loads(Path(samples).read_text())
    preparation = network.config["preparation"]
    lengths = given.get("lengths") or [None] * len(given["samples"])
    outputs = []
    for numbers, steps in zip(given["samples"], lengths):
        numbers = scaled(preparation["scaler"], numbers)
        if steps is not None:  # what fills a short sample up is zero
            end = steps * network.config["network"]["inputs"][2]
            numbers = numbers[:end] + [0.0] * (len(numbers) - end)
        outputs.append(network.outputs(numbers, steps))
    predictions = [predicted(network.config["head"], made, preparation["outputs"]) for made in outputs]
    predictions = [in_their_unit(preparation.get("target_scaler", "none"), made) for made in predictions]
    print(json.dumps({"outputs": outputs, "predictions": predictions}))


if __name__ == "__main__":
    main(*sys.argv[1:])
