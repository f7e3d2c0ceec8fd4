"""Writes the data of SET's Fashion-MNIST tutorial (Mocanu and Liu, IJCAI 2019), its very images if its file has them in the
usual order: the first 2,000 training and 1,000 test images after numpy.random.seed(0) and shuffles of both, pixels from 0
to 1, as target/bench-data/fashion-mnist-2000/{x,y,x_test,y_test}.npy. Standard library only.

    python3 benchmarks/set_subset.py && cargo run --release -- compare benchmarks/set_table.toml
"""

import array
import gzip
import pathlib
import random
import struct
import sys

SOURCE = pathlib.Path("/usr/share/datasets/fashion-mnist")
OUT = pathlib.Path("target/bench-data/fashion-mnist-2000")


def idx(name):
    data = gzip.decompress((SOURCE / name).read_bytes())
    dims = data[3]
    shape = struct.unpack(f">{dims}I", data[4 : 4 + 4 * dims])
    return shape, data[4 + 4 * dims :]


def npy(path, kind, shape, data):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def numpy_seeded(seed):
    """Python's generator in the state that numpy.random.seed(seed) sets: Mersenne twister both, seeded differently."""
    words = [seed]
    for place in range(1, 624):
        words.append((1812433253 * (words[-1] ^ words[-1] >> 30) + place) & 0xFFFFFFFF)
    generator = random.Random()
    generator.setstate((3, (*words, 624), None))
    return generator


def shuffled(count, generator):
    """What numpy.random.shuffle makes of numpy.arange(count)."""
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        mask = (1 << last.bit_length()) - 1
        while (other := generator.getrandbits(32) & mask) > last:
            pass
        order[last], order[other] = order[other], order[last]
    return order


def main():
    if not SOURCE.is_dir():
        raise SystemExit("install Fashion-MNIST first: apt-get install dataset-fashion-mnist")
    OUT.mkdir(parents=True, exist_ok=True)
    generator = numpy_seeded(0)
    for part, count, suffix in [("train", 2000, ""), ("t10k", 1000, "_test")]:
        (images, height, width), pixels = idx(f"{part}-images-idx3-ubyte.gz")
        _, labels = idx(f"{part}-labels-idx1-ubyte.gz")
        size = height * width
        chosen = shuffled(images, generator)[:count]
        numbers = array.array("f", (byte / 255 for i in chosen for byte in pixels[size * i : size * (i + 1)]))
        if sys.byteorder == "big":
            numbers.byteswap()
        npy(OUT / f"x{suffix}.npy", "<f4", (count, size), numbers.tobytes())
        npy(OUT / f"y{suffix}.npy", "|u1", (count,), bytes(labels[i] for i in chosen))
    print(OUT)


main()
