"""Detectors that break what they can reach; named as ``tests.leaderboard._misbehaving:NAME``.

Each acts on the series only, not in the runner's first run on a short one. What one returns are its scores;
None stands for harmless ones. Those that start processes write their numbers to the file that LEADERBOARD_LOG
names.
"""

from __future__ import annotations

import ctypes
import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

from tests.leaderboard._detectors import WARM_UP, Base


def _detector(act):
    """Return a detector that calls a function."""

    class Detector(Base):
        name = act.__name__

        def fit_score(self, values, train_length, period=None, seed=0):
            found = None if len(values) == WARM_UP else act(values)
            return super().fit_score(values, train_length) if found is None else found

    Detector.__qualname__ = Detector.__name__ = act.__name__
    Detector.__module__ = __name__
    return Detector


def _log(*pids):
    with Path(os.environ["LEADERBOARD_LOG"]).open("a") as log:
        log.write("".join(f"{pid}\n" for pid in pids))


# How it ends


@_detector
def aborts(values):
    os.abort()


@_detector
def exits(values):
    os._exit(0)


@_detector
def exits_politely(values):
    sys.exit("no more of this")


@_detector
def exits_oddly(values):
    raise SystemExit(2**40)


@_detector
def interrupts(values):
    raise KeyboardInterrupt


@_detector
def dies_of_an_odd_signal(values):
    os.kill(os.getpid(), 40)


@_detector
def is_terminated(values):
    os.kill(os.getpid(), signal.SIGTERM)


@_detector
def hangs_deaf(values):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


@_detector
def stops(values):
    os.kill(os.getpid(), signal.SIGSTOP)


@_detector
def waits_for_its_thread(values):
    threading.Thread(target=time.sleep, args=(300,)).start()
    os.closerange(3, 100)  # the pipes to the runner among them
    raise ValueError("closed")


@_detector
def leaks(values):
    kept = []
    while True:
        kept.append(np.ones(4_000_000))


@_detector
def leaks_in_a_child(values):
    code = "import time; a = bytearray(500 * 2**20); time.sleep(300)"
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    _log(child.pid)
    child.wait()


@_detector
def recurses(values):
    def again():
        return again()

    again()


# What it prints and raises


def _flood(length):
    piece = b"\x1b[2J\r noise \xff" * 10_000
    for number in (1, 2):
        for _ in range(length // len(piece) // 2):
            os.write(number, piece)


@_detector
def floods(values):
    _flood(100_000_000)


@_detector
def floods_and_dies(values):
    _flood(10_000_000)
    os.abort()


@_detector
def writes_below_python(values):
    libc = ctypes.CDLL(None)
    libc.puts(b"from C")
    libc.fflush(None)
    print("half a line", end="", flush=True)
    sys.stdout.buffer.write(b"\0" * 100_000)
    sys.stdout.flush()


class UntoldError(Exception):
    def __str__(self):
        raise SystemExit(5)

    def __reduce__(self):
        raise TypeError("not to be pickled")


@_detector
def raises_untold(values):
    raise UntoldError


@_detector
def raises_much(values):
    raise ValueError("much " * 300_000)


@_detector
def raises_control(values):
    raise ValueError("first line\n\x1b[31mred\x07\r\ud800 <script>")


@_detector
def raises_without_folder(values):
    os.chdir(folder := tempfile.mkdtemp())
    os.rmdir(folder)
    raise ValueError("where am I")


@_detector
def raises_with_an_odd_path(values):
    sys.path.append(None)
    raise ValueError("odd path")


# What it returns


def _returns(name, make):
    def act(values):
        return make(len(values))

    act.__name__ = name
    return _detector(act)


short = _returns("short", lambda n: np.zeros(n - 1))
empty = _returns("empty", lambda n: [])
number = _returns("number", lambda n: 1.0)
columns = _returns("columns", lambda n: np.zeros((n, 1)))
nan = _returns("nan", lambda n: np.full(n, np.nan))
infinite = _returns("infinite", lambda n: np.r_[np.zeros(n - 1), np.inf])
enormous = _returns("enormous", lambda n: np.full(n, np.longdouble("1e4000")))
imaginary = _returns("imaginary", lambda n: np.ones(n) * 1j)
strings = _returns("strings", lambda n: np.full(n, "1.0"))
dates = _returns("dates", lambda n: np.arange(n).astype("datetime64[s]"))
objects = _returns("objects", lambda n: [object()] * n)
ragged = _returns("ragged", lambda n: [[0.0] * (i % 2) for i in range(n)])
generator = _returns("generator", lambda n: (0.0 for _ in range(n)))
masked = _returns("masked", lambda n: np.ma.masked_greater(np.arange(float(n)), 300))
whole_numbers = _returns("whole_numbers", lambda n: np.arange(n, dtype=np.uint8 if n < 256 else np.int64))
half = _returns("half", lambda n: np.arange(n, dtype=np.float16))
number_objects = _returns("number_objects", lambda n: np.arange(n).astype(object))
nothing_masked = _returns("nothing_masked", lambda n: np.ma.masked_less(np.arange(float(n)), 0))


@_detector
def changes_its_input(values):
    values[:] = 0
    values.setflags(write=False)


# What it leaves behind

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]
DAEMON = f"import subprocess; print(subprocess.Popen({SLEEP!r}, start_new_session=True, stdout=2).pid)"


@_detector
def leaves_a_child(values):
    _log(subprocess.Popen(SLEEP).pid)


@_detector
def leaves_a_session(values):
    _log(subprocess.Popen(SLEEP, start_new_session=True).pid)


@_detector
def leaves_a_daemon(values):
    """One whose parent has gone, in a session of its own."""
    done = subprocess.run([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE, text=True, check=True)
    _log(int(done.stdout))


@_detector
def dies_before_its_daemon(values):
    done = subprocess.run([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE, text=True, check=True)
    _log(int(done.stdout))
    os.abort()


@_detector
def dies_before_its_fork(values):
    """The fork holds the pipes to the runner open."""
    if pid := os.fork():
        _log(pid)
        os._exit(7)
    os.setsid()
    time.sleep(300)


@_detector
def comes_back_twice(values):
    """Parent and fork both return scores."""
    if pid := os.fork():
        _log(pid)
        os.waitpid(pid, 0)


@_detector
def leaves_workers(values):
    pool = multiprocessing.get_context("fork").Pool(2)
    _log(*(worker.pid for worker in pool._pool))
    pool.map(abs, [1, 2])
    globals()["kept"] = pool


@_detector
def leaves_a_time_bomb(values):
    threading.Timer(0.2, os._exit, (3,)).start()


@_detector
def waits_for_the_bomb(values):
    time.sleep(0.6)


@_detector
def changes_all_it_can(values):
    import torch

    os.chdir("/")
    os.umask(0o777)
    os.environ["PATH"] = "/nowhere"
    os.environ["MISBEHAVED"] = "yes"
    del os.environ["HOME"]
    np.seterr(all="raise")
    warnings.simplefilter("error")
    logging.disable(logging.CRITICAL)
    random.seed(1)
    np.random.seed(1)
    sys.stdout = sys.stderr = None
    signal.signal(signal.SIGALRM, lambda *_: os._exit(9))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    torch.set_default_device("meta")
    torch.manual_seed(1)
    signal.setitimer(signal.ITIMER_REAL, 0.3)


@_detector
def loads_torch(values):
    import torch

    assert torch.get_num_threads() == 1


@_detector
def looks_around(values):
    """Writes what `changes_all_it_can` changes."""
    import torch

    time.sleep(0.5)
    umask = os.umask(0)
    os.umask(umask)
    found = {
        "folder": os.getcwd(),
        "umask": umask,
        "environment": {k: os.environ.get(k) for k in ("PATH", "HOME", "MISBEHAVED")},
        "numpy": np.geterr(),
        "warnings": [one[0] for one in warnings.filters[:1]],
        "logging": logging.root.manager.disable,
        "drawn": [random.random(), np.random.random(), torch.rand(1, dtype=torch.float32).item()],
        "streams": [sys.stdout is not None, sys.stderr is not None],
        "handlers": [str(signal.getsignal(one)) for one in (signal.SIGALRM, signal.SIGTERM)],
        "torch": [
            str(torch.get_default_dtype()),
            str(torch.zeros(1).device),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
        ],
    }
    with Path(os.environ["LEADERBOARD_LOG"]).open("a") as log:
        log.write(json.dumps(found) + "\n")
