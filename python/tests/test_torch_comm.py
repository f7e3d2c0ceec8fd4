"""torch.distributed carries the messages of several ranks, and gradients of sparse layers."""

import multiprocessing

import numpy as np
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


def _in_two(work, tmp_path):
    """What each of two processes put."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=work, args=(rank, tmp_path / "store", results)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    return found


def test_processes_of_torch_train_what_one_trains(tmp_path):
    found = _in_two(_rank, tmp_path)
    alone = rarefy.train("digits", SETTINGS).model.to_bytes()
    assert found == {0: alone, 1: alone}


def _shared_step(rank, store, results):
    from rarefy.torch import SparseLinear, SparseSequential, TopologyScheduler

    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    torch.manual_seed(rank)  # each draws other connections, and takes those of rank 0
    model = SparseSequential(SparseLinear(8, 16, sparsity=0.5), torch.nn.Tanh(), SparseLinear(16, 2, sparsity=0.5))
    shared = torch.nn.parallel.DistributedDataParallel(model)
    begin = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(shared.parameters(), lr=0.1)
    scheduler = TopologyScheduler(shared, optimizer, "static", total_steps=3)
    try:
        TopologyScheduler(shared, optimizer, "rigl", total_steps=3)
    except ValueError as error:
        refusal = str(error)
    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(5))
    for _ in range(3):
        optimizer.zero_grad()
        shared(x[rank::2]).square().mean().backward()
        optimizer.step()
        scheduler.step()
    trained = [it.numpy().copy() for it in model.state_dict().values()]
    if rank == 0:
        model.load_state_dict(begin)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    results.put((rank, (refusal, trained, [it.numpy() for it in model.state_dict().values()])))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_layers_train_in_several_processes_and_moving_them_there_is_refused(tmp_path):
    found = _in_two(_shared_step, tmp_path)
    refusal, *ranks = found[0][0], found[0][1], found[1][1]
    assert "moves connections of one process, and there are 2" in refusal
    for one, other, alone in zip(*ranks, found[0][2], strict=True):
        assert np.array_equal(one, other)
        np.testing.assert_allclose(one, alone, rtol=1e-5, atol=1e-6)
