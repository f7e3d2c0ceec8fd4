"""Writes the data of SET's Fashion-MNIST tutorial (Mocanu and Liu, IJCAI 2019): 2,000 training and 1,000 test images
drawn without replacement, seed 0, as target/bench-data/fashion-mnist-2000/{x,y,x_test,y_test}.npy. Standard library only.

    python3 benchmarks/set_subset.py && cargo run --release -- compare benchmarks/set_table.toml
"""

import gzip
import pathlib
import random
import struct

SOURCE = pathlib.Path("/usr/share/datasets/fashion-mnist")
OUT = pathlib.Path("target/bench-data/fashion-mnist-2000")


def idx(name):
    data = gzip.decompress((SOURCE / name).read_bytes())
    dims = data[3]
    shape = struct.unpack(f">{dims}I", data[4 : 4 + 4 * dims])
    return shape, data[4 + 4 * dims :]


def npy(path, shape, data):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def main():
    if not SOURCE.is_dir():
        raise SystemExit("install Fashion-MNIST first: apt-get install dataset-fashion-mnist")
    OUT.mkdir(parents=True, exist_ok=True)
    generator = random.Random(0)
    for part, count, suffix in [("train", 2000, ""), ("t10k", 1000, "_test")]:
        (images, height, width), pixels = idx(f"{part}-images-idx3-ubyte.gz")
        _, labels = idx(f"{part}-labels-idx1-ubyte.gz")
        size = height * width
        chosen = generator.sample(range(images), count)
        npy(OUT / f"x{suffix}.npy", (count, size), b"".join(pixels[size * i : size * (i + 1)] for i in chosen))
        npy(OUT / f"y{suffix}.npy", (count,), bytes(labels[i] for i in chosen))
    print(OUT)


main()
