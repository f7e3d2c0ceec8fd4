"""Several processes that train one network: how `rarefy.train(..., comm=...)` lets them talk.

`MPI` and `Torch` carry messages by mpi4py and by torch.distributed. Anything else that moves bytes between two
processes will do: an object with what `Comm` has.
"""

import time
from datetime import timedelta
from typing import Protocol


class Comm(Protocol):
    """One of several ranks. Nothing is derived from this class: it says what `rarefy.train` asks of an object.

    Attributes
    ----------
    rank : int
        The number of this rank, from 0.
    size : int
        The number of ranks.
    """

    rank: int
    size: int

    def exchange(self, to, give, source, count, timeout):
        """Send to one rank and receive from one, which may be another, at the same time.

        All ranks call it in the same order, so messages between two of them need no names. It is called in a thread
        that is not the caller's. What it raises ends the training and is raised by `rarefy.train`.

        Parameters
        ----------
        to : int or None
            Who is sent to; None where nothing is sent.
        give : bytearray
            What is sent.
        source : int or None
            Who is received from; None where nothing is received.
        count : int
            The number of bytes that come from there.
        timeout : float
            Seconds after which to raise TimeoutError: the setting ``distributed.timeout``.

        Returns
        -------
        bytes-like
            The ``count`` bytes that were received.
        """


class MPI:
    """The processes that a launcher of MPI has started, as mpi4py knows them.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm
        It is duplicated, so that messages do not meet the caller's own.

    Examples
    --------
    Started by ``mpirun -n 4 --bind-to none python train.py``::

        from mpi4py import MPI
        run = rarefy.train("digits", batch_size=256, comm=rarefy.comm.MPI(MPI.COMM_WORLD))
    """

    def __init__(self, communicator):
        self._communicator = communicator.Dup()
        self.rank, self.size = self._communicator.Get_rank(), self._communicator.Get_size()

    def exchange(self, to, give, source, count, timeout):
        """See `Comm`."""
        take = bytearray(count)
        messages = []
        if source is not None:
            messages.append(self._communicator.Irecv(take, source))
        if to is not None:
            messages.append(self._communicator.Isend(give, to))
        # Not left to MPI, which would wait without a deadline, and some without letting others have the core.
        began, tries = time.monotonic(), 0
        while not all([message.Test() for message in messages]):
            tries += 1
            time.sleep(0 if tries < 200 else 5e-5)
            if time.monotonic() - began > timeout:
                # MPI may still write there.
                _ABANDONED.append((messages, take, give))
                raise TimeoutError(_silent(to, source, timeout))
        return take


_ABANDONED = []


class Torch:
    """The processes of a group of torch.distributed's, as torchrun starts them. The backend is gloo.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, optional
        By default all processes.

    Examples
    --------
    Started by ``torchrun --nproc-per-node 4 train.py``::

        torch.distributed.init_process_group("gloo")
        run = rarefy.train("digits", batch_size=256, comm=rarefy.comm.Torch())
    """

    def __init__(self, group=None):
        import torch.distributed

        self._group = group
        self.rank, self.size = torch.distributed.get_rank(group), torch.distributed.get_world_size(group)

    def exchange(self, to, give, source, count, timeout):
        """See `Comm`."""
        import torch
        from torch.distributed import irecv, isend

        take = torch.empty(count, dtype=torch.uint8)
        messages = []
        if source is not None:
            messages.append(irecv(take, group=self._group, group_src=source))
        if to is not None:
            messages.append(isend(torch.frombuffer(give, dtype=torch.uint8), group=self._group, group_dst=to))
        for message in messages:
            message.wait(timedelta(seconds=timeout))
        return take.numpy()


def _silent(to, source, timeout):
    return f"rank {to if source is None else source} has not answered for {timeout:g} s"


def checked(comm):
    """What was given as ``comm``, if it can be one.

    Raises
    ------
    TypeError, ValueError
    """
    if comm is None:
        return None
    rank, size = (getattr(comm, name, None) for name in ("rank", "size"))
    if not (isinstance(rank, int) and isinstance(size, int) and callable(getattr(comm, "exchange", None))):
        raise TypeError(
            f"comm must have a rank, a size and exchange(), as rarefy.comm.MPI has, and {comm!r} lacks some"
        )
    if not 0 <= rank < size:
        raise ValueError(f"comm: rank {rank} is none of {size}, which are counted from 0")
    return comm
