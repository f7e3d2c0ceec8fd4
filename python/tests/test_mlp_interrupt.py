"""Ctrl-C ends a fit at once and leaves an estimator to use; other threads go on; a forked process fits and predicts."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from rarefy import SparseMLPClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20_000, 200)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
LONG = {"hidden_layer_sizes": (256,), "max_iter": 100_000, "random_state": 0, "n_jobs": 1}
PREPARE = f"""
import os, signal, sys, threading, time, warnings
import numpy as np
from rarefy import SparseMLPClassifier
rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 200)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
LONG = {LONG!r}
"""
# On a machine that does other things too; alone it is 0.1 s.
AT_ONCE = 0.2 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@contextmanager
def running(code):
    """A process that runs the code, in a group of its own that is gone afterwards."""
    command = [sys.executable, "-c", PREPARE + textwrap.dedent(code)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_fit_that_is_interrupted_is_fitted_as_far_as_it_came():
    sent = []

    def interrupt():
        time.sleep(1)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.warns(UserWarning, match="interrupted after"):
        network = SparseMLPClassifier(**LONG).fit(X, Y)
    assert time.monotonic() - sent[0] < AT_ONCE
    assert network.predict(X).shape == Y.shape and len(network.loss_curve_) == network.n_iter_


def test_threads_of_python_go_on_beside_a_fit():
    gaps, done = [], threading.Event()

    def beat():
        last = time.monotonic()
        while not done.is_set():
            time.sleep(0.001)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    thread = threading.Thread(target=beat)
    thread.start()
    SparseMLPClassifier(**{**LONG, "max_iter": 3}, callbacks=[lambda record: None]).fit(X, Y)
    done.set()
    thread.join()
    assert len(gaps) > 20 and sorted(gaps)[-2] < 0.05 + AT_ONCE


def test_workers_of_loky_return_what_they_have():
    """Ctrl-C reaches the whole group of processes: each worker's fit returns, and joblib tells of it."""
    code = """
        import os
        from joblib import Parallel, delayed
        def fit(seed):
            os.write(1, b"fitting\\n")  # at once: what two processes print may be mixed
            return SparseMLPClassifier(**{**LONG, "random_state": seed}).fit(X[:5000], Y[:5000]).n_iter_
        try:
            found = Parallel(n_jobs=2)(delayed(fit)(seed) for seed in range(2))
            print("returned", len(found), flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    with running(code) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["fitting\n"] * 2
        time.sleep(0.5)
        start = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        line = process.stdout.readline()
        assert time.monotonic() - start < 2 + AT_ONCE and line.split()[0] in ("returned", "interrupted")


def test_threads_of_joblib_do_not_hold_the_interrupt_up():
    code = """
        from joblib import Parallel, delayed
        def interrupt():
            print(time.monotonic(), flush=True)
            os.kill(os.getpid(), signal.SIGINT)
        def fit(seed):
            return SparseMLPClassifier(**{**LONG, "random_state": seed}).fit(X, Y)
        threading.Timer(0.5, interrupt).start()
        try:
            Parallel(n_jobs=2, backend="threading")(delayed(fit)(seed) for seed in range(2))
        except KeyboardInterrupt:
            print(time.monotonic(), flush=True)
    """
    with running(code) as process:
        sent, returned = (float(process.stdout.readline()) for _ in range(2))
        assert returned - sent < AT_ONCE + 0.3


def test_a_forked_process_predicts_fits_and_is_interrupted():
    code = """
        network = SparseMLPClassifier(**{**LONG, "max_iter": 1, "n_jobs": 2}).fit(X, Y)
        expected = network.predict_proba(X[:500])
        child = os.fork()
        if child == 0:
            np.testing.assert_array_equal(network.predict_proba(X[:500]), expected)
            again = SparseMLPClassifier(**{**LONG, "max_iter": 1, "n_jobs": 2}).fit(X, Y)
            np.testing.assert_array_equal(again.predict_proba(X[:500]), expected)
            sent = []
            def interrupt():
                sent.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)
            threading.Timer(0.5, interrupt).start()
            warnings.simplefilter("ignore")
            last = SparseMLPClassifier(**LONG).fit(X, Y)
            seconds = time.monotonic() - sent[0]
            last.predict(X[:10])
            print("stopped after", seconds, flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        np.testing.assert_array_equal(network.predict_proba(X[:500]), expected)
        print("parent goes on", flush=True)
    """
    with running(code) as process:
        out, error = process.communicate(timeout=60)
    assert "parent goes on" in out, error
    assert float(out.split("stopped after")[1].split()[0]) < AT_ONCE
