#!/usr/bin/env python3
"""Ranks on several hosts, which are network namespaces of this machine: what they send, and what slow networks cost.

    hosts.py RAREFY DATA [--rounds N]

DATA is a folder with Fashion-MNIST. Needs root, `ip`, `tc`, and Open MPI (`apt install openmpi-bin`). Prints what was measured beside what
it should be, and ends with 1 if anything is beyond that.
"""

import argparse
import contextlib
import fcntl
import heapq
import json
import os
import pathlib
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

from launchers import ROOT, tensors

HOSTS = [f"rarefy{host}" for host in range(4)]
BRIDGE = "rarefy-bridge"

PERCEPTRON = "--method static --batch-size 512 --threads 1 --no-twin --quiet --set train.patience=0".split()


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def inside(host, *words):
    ip("netns", "exec", host, *words)


@contextlib.contextmanager
def hosts():
    """Namespaces, each with a name of its own and an address that the others know."""
    known = "127.0.0.1 localhost\n" + "".join(f"10.77.0.{10 + at} {host}\n" for at, host in enumerate(HOSTS))
    try:
        for host in HOSTS:
            ip("netns", "add", host)
            inside(host, "ip", "link", "set", "lo", "up")
            folder = pathlib.Path("/etc/netns") / host
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(known)
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host], check=False)
            subprocess.run(["rm", "-rf", f"/etc/netns/{host}"], check=True)


def join(host, at, device):
    """Gives a host its address at a device."""
    inside(host, "ip", "addr", "add", f"10.77.0.{10 + at}/24", "dev", device)
    inside(host, "ip", "link", "set", device, "up")


@contextlib.contextmanager
def bridged(rate=None):
    """Joins the hosts by a bridge, each by a link of so many Mbit/s each way."""
    try:
        ip("netns", "add", BRIDGE)
        inside(BRIDGE, "ip", "link", "add", "name", "bridge", "type", "bridge")
        inside(BRIDGE, "ip", "link", "set", "bridge", "up")
        for at, host in enumerate(HOSTS):
            ip("link", "add", f"port{at}", "netns", BRIDGE, "type", "veth", "peer", "name", "eth0", "netns", host)
            inside(BRIDGE, "ip", "link", "set", f"port{at}", "master", "bridge")
            inside(BRIDGE, "ip", "link", "set", f"port{at}", "up")
            join(host, at, "eth0")
            for namespace, device in [(BRIDGE, f"port{at}"), (host, "eth0")] if rate else []:
                limit = f"tbf rate {rate}mbit burst 128kb latency 100ms".split()
                inside(namespace, "tc", "qdisc", "add", "dev", device, "root", *limit)
        yield "eth0"
    finally:
        subprocess.run(["ip", "netns", "del", BRIDGE], check=False)
        time.sleep(0.5)


@contextlib.contextmanager
def delayed(seconds):
    """Joins the hosts by a switch that holds each frame back for so long: not every kernel has `netem`."""
    set_interface, tap_without_header = 0x400454CA, 0x0002 | 0x1000
    ports, is_done = [], threading.Event()
    for at, host in enumerate(HOSTS):
        port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(port, set_interface, struct.pack("16sH14x", f"tap{at}".encode(), tap_without_header))
        ip("link", "set", f"tap{at}", "netns", host)
        inside(host, "ip", "link", "set", f"tap{at}", "name", "eth0")
        join(host, at, "eth0")
        ports.append(port)

    def switch():
        places, frames, number = {}, [], 0
        while not is_done.is_set():
            wait = max(0.0, frames[0][0] - time.monotonic()) if frames else 0.1
            readable, _, _ = select.select(ports, [], [], min(wait, 0.1))
            for source in readable:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        frame = os.read(source, 65536)
                        places[frame[6:12]] = source
                        place = places.get(frame[:6])
                        for port in [place] if place else [port for port in ports if port != source]:
                            heapq.heappush(frames, (time.monotonic() + seconds, number, port, frame))
                            number += 1
            while frames and frames[0][0] <= time.monotonic():
                _, _, port, frame = heapq.heappop(frames)
                os.write(port, frame)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        yield "eth0"
    finally:
        is_done.set()
        thread.join()
        for port in ports:
            os.close(port)


class Program:
    """The program, started on the hosts."""

    def __init__(self, program, work):
        self.program, self.work = program, work
        # In place of ssh: enters the namespace that the launcher names.
        agent = work / "agent"
        agent.write_text(
            '#!/bin/bash\nwhile [[ "$1" == -* ]]; do shift; done; host=$1; shift\n'
            'exec ip netns exec "$host" unshare --uts bash -c "hostname $host; exec bash -c \\"\\$0\\"" "$*"\n'
        )
        agent.chmod(0o755)
        # Each rank is a host of its own, so ranks of one machine's memory never meet.
        self.launcher = ["ip", "netns", "exec", HOSTS[0], "unshare", "--uts", "bash", "-c"]
        self.launcher += [f'hostname {HOSTS[0]}; exec "$0" "$@"', "mpirun.openmpi"]
        for name, value in {
            "plm_rsh_agent": agent,
            "btl": "tcp,self",
            "btl_tcp_if_include": "10.77.0.0/24",
            "oob_tcp_if_include": "10.77.0.0/24",
            "routed": "direct",
        }.items():
            self.launcher += ["--mca", name, str(value)]

    def run(self, ranks, *words):
        """What a job on the first hosts prints."""
        launcher = [*self.launcher, "--host", ",".join(HOSTS[:ranks]), "--bind-to", "none", "-n", str(ranks)]
        command = [*launcher, self.program, *map(str, words)] if ranks > 1 else [self.program, *map(str, words)]
        job = subprocess.run(command, env=os.environ | ROOT, capture_output=True, text=True, timeout=600)
        if job.returncode:
            sys.exit(f"{ranks} ranks, {words}: exit code {job.returncode}\n{job.stdout}{job.stderr}")
        return job.stdout

    def train(self, ranks, folder, data, *words):
        """Records of a training's epochs."""
        self.run(ranks, "train", data, *PERCEPTRON, "--run-dir", folder, *words)
        return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def received(host):
    """Bytes that a host has got."""
    path = "/sys/class/net/eth0/statistics/rx_bytes"
    return int(subprocess.run(["ip", "netns", "exec", host, "cat", path], capture_output=True, check=True).stdout)


def table(rows):
    """Prints what was measured beside its limit; whether all are within."""
    for what, measured, limit, unit in rows:
        print(f"{what:60} {measured:12,.1f} {unit:6} (at most {limit:,.1f}){'' if measured <= limit else '  BEYOND'}")
    return all(measured <= limit for _, measured, limit, _ in rows)


def bytes_follow_density(program, data, work, ranks):
    """What a step sends over the wire is what the connections need: 8 n (p - 1) / p bytes and little more."""
    rows = []
    for sparsity in (0.95, 0.99):
        words = ["--hidden", "1024,1024", "--sparsity", sparsity, "--set", "data.validation_fraction=0"]
        found = {}
        with bridged():
            # The difference leaves out what is said at the start and at the end, and nobody looks at a validation part.
            for epochs in (1, 3):
                before = [received(host) for host in HOSTS[:ranks]]
                folder = work / f"{sparsity}-{epochs}"
                records = program.train(ranks, folder, data, *words, "--epochs", epochs)
                counts = [received(host) - old for host, old in zip(HOSTS, before)]
                found[epochs] = (max(counts), records[-1]["step"])
        a_step = (found[3][0] - found[1][0]) / (found[3][1] - found[1][1])
        numbers = records[-1]["nnz"] + 1024 + 1024 + 10
        limit = 1.01 * 8 * numbers * (ranks - 1) / ranks
        rows.append((f"bytes a step and host, {sparsity:.0%}, {ranks} hosts", a_step, limit, "bytes"))
    return rows


def sums_take_what_links_take(program, rounds, rate, numbers, limit_ms):
    """A sum over 4 hosts on links of so many Mbit/s."""
    with bridged(rate):
        found = json.loads(program.run(4, "comm", "bench", "--json", "--quiet", "--values", numbers, "--rounds", rounds))
    sums = found["timings"][2]["median_us"] / 1000
    return [(f"sum of {numbers} numbers, 4 hosts, {rate} Mbit/s", sums, limit_ms, "ms")]


def steps_take_what_the_model_says(program, data, work):
    """A step's time on slow links beside that of `bench scale`, both ways at most a quarter off."""
    rows = []
    for ranks, rate in [(2, 20), (2, 100), (4, 20), (4, 100)]:
        batch = str(512 // ranks)
        model = ["bench", "scale", "--density", "0.05", "--threads", "1", "--optimizer", "adam", "--batch", batch]
        found = program.run(1, *model, "--ranks", ranks, "--gigabits", rate / 1000, "--json", "--quiet")
        modelled = json.loads(found)["rows"][0]["step_ms"]
        with bridged(rate):
            words = ["--hidden", "1024,1024", "--sparsity", 0.95, "--set", "data.validation_fraction=0"]
            records = program.train(ranks, work / f"{ranks}-{rate}", data, *words, "--epochs", 1)
        measured = 1000 * records[0]["seconds"] / records[0]["step"]
        rows.append((f"step, {ranks} hosts, {rate} Mbit/s, by the model {modelled:.1f}", measured, 1.25 * modelled, "ms"))
        rows.append(("  and not much faster: the model", modelled, 1.25 * measured, "ms"))
    return rows


def exchanges_wait_less(program, data, work):
    """What a rank waits for in an epoch: `local`, which meets every 16 steps, a tenth of `exact`; `stale`, which computes meanwhile, less."""
    words = ["--hidden", "1024,1024", "--sparsity", 0.95, "--optimizer", "adam", "--epochs", 4]
    rows = []
    for rate in (1000, 100):
        waited = {}
        for exchange in ("exact", "stale", "local"):
            more = ["--set", f"distributed.exchange={exchange}"]
            more += ["--set", "distributed.workers=2", "--set", "distributed.period=16"] if exchange == "local" else []
            with bridged(rate):
                records = program.train(2, work / f"{exchange}-{rate}", data, *words, *more)
            waited[exchange] = 1000 * statistics.median(record["seconds_waiting"][0] for record in records)
        rows.append((f"waiting an epoch, local 16, 2 hosts, {rate} Mbit/s", waited["local"], 0.1 * waited["exact"], "ms"))
        rows.append((f"waiting an epoch, stale, 2 hosts, {rate} Mbit/s", waited["stale"], waited["exact"], "ms"))
    return rows


def steps_take_few_messages(program, data, work):
    """A step waits for four messages in a row, where each takes 5 ms."""
    words = ["--hidden", "64,64", "--sparsity", 0.95]
    with delayed(0.005):
        records = program.train(4, work / "delayed", data, *words, "--epochs", 8)
    steps = records[0]["step"]
    ms = 1000 * statistics.median(record["seconds"] for record in records) / steps
    return [("step, digits, 4 hosts, 5 ms each way", ms, 30.0, "ms")]


def trains_to_the_same_bytes(program, work):
    """Hosts or none: the same tensors."""
    words = ["--hidden", "64,64", "--epochs", 4, "--sparsity", 0.9]
    with bridged():
        program.train(4, work / "hosts", "digits", *words)
    program.train(1, work / "alone", "digits", *words)
    assert tensors(work / "hosts") == tensors(work / "alone"), "other bytes"
    print("four hosts and one process: the same bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, hosts():
        work = pathlib.Path(folder)
        program = Program(str(pathlib.Path(arguments.program).resolve()), work)
        trains_to_the_same_bytes(program, work)
        rows = bytes_follow_density(program, arguments.data, work, 4)
        rows += sums_take_what_links_take(program, arguments.rounds, 20, 95_140, 1.15 * 228)
        rows += steps_take_what_the_model_says(program, arguments.data, work)
        rows += exchanges_wait_less(program, arguments.data, work)
        rows += steps_take_few_messages(program, "digits", work)
        sys.exit(not table(rows))


if __name__ == "__main__":
    main()
