#!/usr/bin/env python3
"""Compare predictions of one sample, and of several, with ONNX Runtime on the same network with every connection, and print a table.

Rounds of all programs alternate, each in a process of its own, so that a slow minute of the machine falls on all alike. Weights and
inputs are random and in memory; both sides get float32. ONNX Runtime folds batch norms into the convolutions before it is timed.

    python3 -m venv target/onnx-venv && target/onnx-venv/bin/pip install numpy onnx onnxruntime
    benchmarks/one_sample.py --python target/onnx-venv/bin/python
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import harness

STEPS, FEATURES, WIDTH, KERNEL, WORDS = 98, 40, 64, 11, 12
MLP = [784, 1024, 1024, 10]


def conv(filters, kernel, **more):
    return {"layer": "conv1d", "filters": filters, "kernel": kernel, "padding": "same", "bias": False, **more}


def norm(activation):
    return {"layer": "batch-norm", "activation": activation}


# Networks as rarefy's files describe them; `onnx_model` reads the same descriptions.
NETWORKS = {
    "784-1024-1024-10": {
        "inputs": MLP[0],
        "layers": [
            {"layer": "linear", "outputs": outputs, "activation": "relu" if outputs > 10 else "identity"} for outputs in MLP[1:]
        ],
    },
    # The preset kws-cnn on a second of sound.
    "kws-cnn": {
        "inputs": [1, STEPS, FEATURES],
        "layers": [conv(WIDTH, KERNEL, stride=2), norm("relu")]
        + 3
        * [
            {
                "layer": "residual",
                "activation": "relu",
                "body": [conv(WIDTH, KERNEL, groups=WIDTH), conv(WIDTH, 1), norm("identity")],
            }
        ]
        + [conv(2 * WIDTH, 1), norm("relu"), {"layer": "global-average-pool"}, {"layer": "linear", "outputs": WORDS}],
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser, repeats=400)
    parser.add_argument("--densities", default="1,0.1,0.05")
    parser.add_argument("--samples", default="1,16,64")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        network, samples = args.peer.split(":")
        print(json.dumps(onnx_ms(NETWORKS[network], int(samples), args)))
        return
    busy, missing = harness.busy_share(), {}
    densities = args.densities.split(",")
    titles = ["dense" if float(density) == 1 else f"{100 * (1 - float(density)):g} %" for density in densities]
    print(f"milliseconds of a prediction, {args.threads} threads: medians of {args.rounds} interleaved rounds of the fastest of {args.repeats};")
    print("in brackets, times as fast as ONNX Runtime\n")
    print("| network, samples | ONNX Runtime dense | " + " | ".join(titles) + " |")
    print("|---" * (2 + len(titles)) + "|")
    for network in NETWORKS:
        for samples in map(int, args.samples.split(",")):
            programs = {"onnx": lambda: onnx_run(args, network, samples)}
            programs |= {density: (lambda density=density: rarefy_run(args, network, samples, density)) for density in densities}
            found = harness.take_turns(programs, args.rounds, missing)
            middle = {name: statistics.median(times) for name, times in found.items()}
            peer = middle.get("onnx")
            cells = [f"{peer:.3f}" if peer else "-"]
            for density in densities:
                faster = f" ({peer / middle[density]:.1f})" if peer and density in middle else ""
                cells.append(f"{middle[density]:.3f}{faster}" if density in middle else "-")
            print(f"| {network}, {samples} | " + " | ".join(cells) + " |", flush=True)
    harness.say_where(busy, missing)


def rarefy_run(args, network, samples, density):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.toml"
        path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in NETWORKS[network].items()))
        command = [args.rarefy, "bench", "network", path, "--batch", samples, "--density", density]
        command += ["--threads", args.threads, "--rounds", args.repeats, "--json"]
        return harness.run(command, args.threads)["rows"][0]["fastest_predict_ms"]


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(value)}" for key, value in value.items()) + "}"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def onnx_run(args, network, samples):
    command = [args.python, __file__, "--peer", f"{network}:{samples}", "--threads", args.threads, "--repeats", args.repeats]
    return harness.run(command, args.threads)


def onnx_ms(network, samples, args):
    """The fastest prediction of a dense network."""
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    session = onnxruntime.InferenceSession(onnx_model(network, samples), options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    feed = {"x": numpy.random.default_rng(0).standard_normal(shape, dtype=numpy.float32)}
    times = []
    for _ in range(args.repeats):
        begin = time.perf_counter()
        session.run(None, feed)
        times.append(1e3 * (time.perf_counter() - begin))
    return min(times)


def onnx_model(network, samples):
    """The bytes of the network with every connection; channels come before steps, as ONNX has them."""
    import numpy
    from onnx import TensorProto, helper, numpy_helper

    random, nodes, arrays = numpy.random.default_rng(1), [], []

    def array(*shape, low=-0.1, high=0.1):
        arrays.append(numpy_helper.from_array(random.uniform(low, high, shape).astype(numpy.float32), f"a{len(arrays)}"))
        return arrays[-1].name

    def node(kind, inputs, **attributes):
        name = f"n{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def layers(described, x, channels):
        for layer in described:
            kind = layer["layer"]
            if kind == "linear":
                x = node("Gemm", [x, array(layer["outputs"], channels), array(layer["outputs"])], transB=1)
                channels = layer["outputs"]
            elif kind == "conv1d":
                groups, kernel = layer.get("groups", 1), layer["kernel"]
                weight = array(layer["filters"], channels // groups, kernel)
                pads, strides = 2 * [kernel // 2], [layer.get("stride", 1)]
                x = node("Conv", [x, weight], group=groups, kernel_shape=[kernel], pads=pads, strides=strides)
                channels = layer["filters"]
            elif kind == "batch-norm":
                x = node("BatchNormalization", [x, *[array(channels) for _ in range(3)], array(channels, low=0.5, high=1.5)])
            elif kind == "residual":
                x = node("Add", [x, layers(layer["body"], x, channels)[0]])
            elif kind == "global-average-pool":
                x = node("Flatten", [node("GlobalAveragePool", [x])])
            if layer.get("activation", "identity") == "relu":
                x = node("Relu", [x])
        return x, channels

    inputs = network["inputs"]
    shape = [samples, inputs] if isinstance(inputs, int) else [samples, inputs[2], inputs[1]]
    y, outputs = layers(network["layers"], "x", shape[1])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in [("x", shape), (y, [samples, outputs])]]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], initializer=arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


if __name__ == "__main__":
    main()
