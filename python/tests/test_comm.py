"""Several ranks that talk through an object of Python's train what one process trains, bit for bit."""

import multiprocessing
import os
import queue
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rarefy
from rarefy.comm import checked

SETTINGS = {"network.hidden": [16], "train.batch_size": 256, "train.epochs": 3, "seed": 4, "threads": 1}


class Threads:
    """Ranks that are threads of this process."""

    def __init__(self, rank, size, boxes):
        self.rank, self.size, self.boxes = rank, size, boxes
        self.messages = 0

    @classmethod
    def group(cls, size):
        boxes = {(a, b): queue.SimpleQueue() for a in range(size) for b in range(size)}
        return [cls(rank, size, boxes) for rank in range(size)]

    def exchange(self, to, give, source, count, timeout):
        self.messages += 1
        if to is not None:
            self.boxes[self.rank, to].put(give)
        return b"" if source is None else self.boxes[source, self.rank].get(timeout=timeout)


def together(ranks, work):
    """What each rank's work returns, or the exception that it ends with."""
    with ThreadPoolExecutor(len(ranks)) as pool:
        futures = [pool.submit(work, comm) for comm in ranks]
        return [future.exception() or future.result() for future in futures]


def arrays():
    X = np.random.default_rng(0).standard_normal((600, 5))
    return X, X @ np.arange(5)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(
    ("data", "words"),
    [("digits", {"method": "rigl", "sparsity": 0.8}), (arrays(), {"method": "set", "optimizer": "sgd"})],
)
def test_ranks_train_what_one_process_trains(data, words, size, tmp_path):
    alone = rarefy.train(data, SETTINGS, **words)
    ranks = Threads.group(size)
    runs = together(ranks, lambda comm: rarefy.train(data, SETTINGS, **words, comm=comm, run_dir=tmp_path / "run"))
    assert all(comm.messages > 10 for comm in ranks)
    for run in runs:
        assert run.model.to_bytes() == alone.model.to_bytes()
        assert [record["train_loss"] for record in run.records] == [record["train_loss"] for record in alone.records]
        assert run.test == alone.test
    assert [run.directory is None for run in runs] == [rank > 0 for rank in range(size)]
    assert rarefy.load(tmp_path / "run").to_bytes() == alone.model.to_bytes()


def test_a_run_goes_on_in_other_ranks(tmp_path):
    whole = rarefy.train("digits", SETTINGS)
    rarefy.train("digits", SETTINGS, run_dir=tmp_path, callbacks=[lambda record: record["epoch"] == 1])
    runs = together(Threads.group(2), lambda comm: rarefy.resume(tmp_path, threads=1, comm=comm))
    assert [run.model.to_bytes() for run in runs] == [whole.model.to_bytes()] * 2
    assert [len(run.records) for run in runs] == [3, 2]


def test_who_stops_stops_all():
    def work(comm):
        def callback(record):
            if comm.rank == 1 and record["epoch"] == 2:
                raise KeyError("mine")

        return rarefy.train("digits", SETTINGS | {"train.epochs": 50}, comm=comm, callbacks=[callback])

    first, second = together(Threads.group(2), work)
    assert first.ending == "interrupted" and first.epochs == 2
    assert type(second) is KeyError and "mine" in str(second)


def test_what_goes_wrong_with_messages_reaches_the_caller():
    class Broken(Threads):
        def exchange(self, to, give, source, count, timeout):
            assert timeout == 0.3
            if self.rank == 1 and self.messages > 20:
                raise ConnectionResetError("the cable")
            return super().exchange(to, give, source, count, timeout)

    settings = SETTINGS | {"distributed.timeout": 0.3}
    silent, broken = together(Broken.group(2), lambda comm: rarefy.train("digits", settings, comm=comm))
    assert type(broken) is ConnectionResetError and str(broken) == "the cable"
    assert type(silent) is queue.Empty


def test_ranks_that_do_not_fit_are_named():
    class Short(Threads):
        def exchange(self, *arguments):
            found = super().exchange(*arguments)
            return found[1:] if self.rank == 0 and self.messages > 9 else found

    short, _ = together(
        Short.group(2), lambda comm: rarefy.train("digits", SETTINGS | {"distributed.timeout": 1}, comm=comm)
    )
    assert type(short) is rarefy.RankError and short.rank == 1 and "belong" in str(short)
    found = together(
        Threads.group(2), lambda comm: rarefy.train("digits", SETTINGS | {"train.epochs": 2 + comm.rank}, comm=comm)
    )
    for error in found:
        assert type(error) is rarefy.RankError and error.rank == 1 and "has other settings than rank 0" in str(error)
    found = together(
        Threads.group(2), lambda comm: rarefy.train("digits", SETTINGS | {"train.batch_size": 64}, comm=comm)
    )
    assert all(type(error) is rarefy.SettingError and error.key == "train.batch_size" for error in found)


@pytest.mark.parametrize(
    ("rank", "size", "error"), [(2, 2, ValueError), (-1, 2, ValueError), ("0", 2, TypeError), (0, None, TypeError)]
)
def test_what_is_no_comm_is_refused(rank, size, error):
    with pytest.raises(error, match="comm"):
        rarefy.train("digits", comm=Threads(rank, size, {}))
    with pytest.raises(TypeError, match="exchange"):
        checked(3)


class Pipes:
    """Ranks that are processes, with a pipe between any two."""

    def __init__(self, rank, pipes):
        self.rank, self.size, self.pipes = rank, len(pipes), pipes

    def exchange(self, to, give, source, count, timeout):
        if to is not None:
            self.pipes[to].send_bytes(give)
        return b"" if source is None else self.pipes[source].recv_bytes()


def _in_a_process(rank, pipes, results):
    run = rarefy.train("digits", SETTINGS, comm=Pipes(rank, pipes))
    results.put((rank, run.model.to_bytes()))


def test_processes_train_what_one_trains():
    context = multiprocessing.get_context("spawn")
    ends, results = context.Pipe(), context.Queue()
    rows = [[None, ends[0]], [ends[1], None]]
    processes = [context.Process(target=_in_a_process, args=(rank, rows[rank], results)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    alone = rarefy.train("digits", SETTINGS).model.to_bytes()
    assert found == {0: alone, 1: alone}


LAUNCHED = """
import rarefy
from mpi4py import MPI
comm = rarefy.comm.MPI(MPI.COMM_WORLD)
run = rarefy.train("digits", {settings!r}, comm=comm, run_dir={folder!r})
assert comm.size == 2 and run.ending == "finished"
"""


def test_mpi4py_carries_messages(tmp_path):
    pytest.importorskip("mpi4py")
    if shutil.which("mpiexec") is None:
        pytest.skip("no launcher of MPI")
    code = LAUNCHED.format(settings=SETTINGS, folder=str(tmp_path / "run"))
    as_root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = ["mpiexec", "-n", "2", sys.executable, "-c", code]
    subprocess.run(command, check=True, timeout=60, env=os.environ | as_root)
    assert rarefy.load(tmp_path / "run").to_bytes() == rarefy.train("digits", SETTINGS).model.to_bytes()
