"""Processes that can be stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

from vetime_plugins.detectors.isolation import (
    Child,
    ChildDiedError,
    MemoryLimitError,
    RaisedError,
    TimeLimitError,
    close_children,
    shorten,
)

psutil = pytest.importorskip("psutil")
pytest.importorskip("joblib")


@pytest.fixture
def child():
    one = Child()
    yield one
    one.close()


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends within some time; one that is only not yet reaped has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_elements_come_one_by_one_and_the_process_stays(child):
    def count(n):
        for i in range(n):
            yield os.getpid(), i

    child.start(count, 2)
    (pid, first), (_, second) = child.receive(time_limit=60), child.receive()
    assert (first, second) == (0, 1)
    assert pid != os.getpid()
    child.start(lambda: [os.getpid()])
    assert child.receive() == pid


def test_large_arrays_pass_and_prints_do_not_disturb(child):
    def double(array):
        print("noise")
        sys.stdout.flush()
        os.write(1, b"more noise")
        yield 2 * array

    array = np.random.default_rng(0).random(1_000_000)
    child.start(double, array)
    np.testing.assert_array_equal(child.receive(), 2 * array)


def test_a_time_limit_ends_the_process_and_what_it_started(child):
    def start_and_sleep():
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        yield os.getpid(), other.pid
        time.sleep(300)
        yield None

    child.start(start_and_sleep)
    pids = child.receive()
    begin = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"time limit of 0\.3 s"):
        child.receive(time_limit=0.3)
    assert time.monotonic() - begin < 5
    assert all(gone(pid) for pid in pids)
    child.start(lambda: ["new"])
    assert child.receive() == "new"


def test_a_limit_stops_code_that_never_gives_way(child):
    """Native code that holds the interpreter, so that neither signals nor threads get through."""

    def hold():
        yield "begun"
        yield pow(7, 10**9)

    child.start(hold)
    child.receive()
    with pytest.raises(TimeLimitError):
        child.receive(time_limit=0.3)


def test_a_memory_limit_counts_what_the_process_started(child):
    def fill():
        yield "begun"
        code = "import time; a = bytearray(300 * 2**20); time.sleep(300)"
        subprocess.run([sys.executable, "-c", code], check=False)

    child.start(fill)
    child.receive()
    with pytest.raises(MemoryLimitError, match="above the memory limit of 256 MiB"):
        child.receive(time_limit=60, memory_limit=256 * 2**20)


def test_errors_come_as_tracebacks(child):
    def fail(error):
        yield from ()
        raise error

    child.start(fail, ValueError("no such thing"))
    with pytest.raises(RaisedError, match="ValueError: no such thing") as raised:
        child.receive()
    assert "in fail" in str(raised.value)
    child.start(fail, MemoryError())
    with pytest.raises(MemoryLimitError):
        child.receive()
    child.start(fail, SystemExit(3))
    with pytest.raises(RaisedError, match="SystemExit: 3"):
        child.receive()


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_death_is_told_with_the_signal_and_the_last_output(child, name):
    def die():
        yield "begun"
        os.write(2, b"last words")
        os.kill(os.getpid(), signal.Signals[name])

    child.start(die)
    child.receive()
    with pytest.raises(ChildDiedError, match=f"(?s)last words.*{name}") as died:
        child.receive()
    assert died.value.by_signal == signal.Signals[name]
    child.start(lambda: ["new"])
    assert child.receive() == "new"


def test_a_process_that_died_between_calls_is_replaced(child):
    child.start(lambda: [os.getpid()])
    pid = child.receive()
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    for _ in range(2):  # the pipe may take the first call before it breaks
        with suppress(ChildDiedError):
            child.start(lambda: [os.getpid()])
            assert child.receive() != pid
            return
    pytest.fail("no process took the place of the dead one")


def test_no_process_is_left_when_its_owner_is_killed():
    code = (
        "import os, time\n"
        "from vetime_plugins.detectors.isolation import Child\n"
        "child = Child()\n"
        "def work():\n"
        "    yield os.getpid()\n"
        "    time.sleep(300)\n"
        "child.start(work)\n"
        "print(child.receive(), flush=True)\n"
        "time.sleep(300)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with owner:
        pid = int(owner.stdout.readline())
        assert psutil.pid_exists(pid)
        owner.kill()
    assert gone(pid)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_are_limited(threads):
    one = Child(threads)
    one.start(lambda: [os.environ["OMP_NUM_THREADS"]])
    assert one.receive() == str(threads)
    one.close()


def test_close_children_ends_all():
    children = [Child(), Child()]
    pids = []
    for one in children:
        one.start(lambda: [os.getpid()])
        pids.append(one.receive())
    close_children()
    assert all(gone(pid) for pid in pids)


def test_tracebacks_name_no_folder_of_the_machine():
    text = f'File "{np.__file__}", line 1'
    assert shorten(text) == 'File "numpy/__init__.py", line 1'
    assert len(shorten("x" * 100_000)) < 21_000
