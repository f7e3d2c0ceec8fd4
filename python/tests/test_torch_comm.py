"""torch.distributed carries the messages of several ranks."""

import multiprocessing

import pytest
import rarefy

torch = pytest.importorskip("torch")

SETTINGS = {"network.hidden": [16], "train.batch_size": 256, "train.epochs": 2, "seed": 4, "threads": 1}


def _rank(rank, store, results):
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    run = rarefy.train("digits", SETTINGS, comm=rarefy.comm.Torch())
    results.put((rank, run.model.to_bytes()))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_processes_of_torch_train_what_one_trains(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_rank, args=(rank, tmp_path / "store", results)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    alone = rarefy.train("digits", SETTINGS).model.to_bytes()
    assert found == {0: alone, 1: alone}
