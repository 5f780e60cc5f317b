"""Run a function in a process of its own that can be stopped: when it takes too long, or too much memory.

A `Child` is one process. It is kept from call to call, so what a call has loaded (a framework, a network)
is there for the next, and replaced by a fresh one after it had to be killed or has died. It speaks through
pipes, which works below any scheduler: also where the caller is a daemonic process, which may not use
`multiprocessing`. A child ends itself as soon as whoever started it is gone, however that came about, and
with a child ends what it has started.

Children run code that the caller hands them by pickle, through a pipe that nobody else can write to.
"""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import secrets
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from vetime_plugins.detectors._processes import MARK, Tail, Watch, describe, end_family
from vetime_plugins.errors import MissingDependencyError, VETimeError

__all__ = [
    "Child",
    "ChildDiedError",
    "ChildError",
    "MemoryLimitError",
    "RaisedError",
    "TimeLimitError",
    "close_children",
]

_HEADER = struct.Struct("!Q")
_POLL = 0.05  # seconds between two looks at the clock and at the memory
_ALIVE = 0.5  # seconds between two looks at whether it lives: what it has forked may hold its pipes open
_LAST_OUTPUT = 2000  # bytes of what a child printed that are kept for when it dies
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class ChildError(VETimeError):
    """A call did not come to its end."""


class TimeLimitError(ChildError):
    """It took longer than allowed, and was killed."""


class MemoryLimitError(ChildError):
    """It took more memory than allowed and was killed, or was refused memory."""


class ChildDiedError(ChildError):
    """The process ended by itself, or somebody else ended it: `by_signal`, if it was one."""

    by_signal: int | None = None


class RaisedError(ChildError):
    """The function raised; the message is its traceback."""


class Child:
    """A process that runs functions for us, in which numerical libraries may use `threads` threads."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self.n_calls = 0  # that the process has begun with; of a fresh one, 0
        self._mark = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._printed: Tail | None = None
        self._messages: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()

    def start(self, function: Callable[..., Iterable[Any]], *arguments: Any) -> None:
        """Have the process begin with a call; each element of what the function returns arrives at `receive`.

        A function without a module that the process could import goes by value.
        """
        call = _cloudpickle().dumps((function, arguments))
        for attempt in range(2):
            process = self._running()
            try:
                _send(process.stdin, call)
                self.n_calls += 1
                return
            except (BrokenPipeError, OSError):  # it has died since its last call
                self.kill()
                if attempt:
                    raise ChildDiedError("a process for the detector could not be started") from None

    def receive(self, *, time_limit: float | None = None, memory_limit: int | None = None) -> Any:
        """Wait for the next element of what the function returns.

        Nothing tells that there are no more elements: ask only for those that the function is known to give.

        Parameters
        ----------
        time_limit : float, optional
            Seconds from now.
        memory_limit : int, optional
            Bytes of resident memory of the process and of those that it has started.

        Raises
        ------
        TimeLimitError, MemoryLimitError
            After the process, and what it has started, has been killed.
        ChildDiedError
            If it has ended otherwise.
        RaisedError
            If the function raised, or gave what cannot be read here; MemoryLimitError if what it raised is a
            lack of memory.
        """
        watch = None if memory_limit is None else Watch(self._running().pid)
        end = None if time_limit is None else time.monotonic() + time_limit
        while True:
            wait = _POLL if end is not None or watch is not None else _ALIVE
            if end is not None:
                wait = max(0.0, min(_POLL, end - time.monotonic()))
            try:
                message = self._messages.get(timeout=wait)
                break
            except queue.Empty:
                pass
            if self._process is None or self._process.poll() is not None:
                message = self._last_message()
                break
            if end is not None and time.monotonic() >= end:
                self.kill()
                raise TimeLimitError(f"stopped after the time limit of {time_limit:g} s")
            if watch is not None and memory_limit is not None and (used := watch.bytes()) > memory_limit:
                self.kill()
                raise MemoryLimitError(
                    f"stopped at {used / 2**20:.0f} MiB, above the memory limit of "
                    f"{memory_limit / 2**20:.0f} MiB"
                )
        if message is None:
            raise self._died()
        kind, content = message
        if kind == "memory":
            raise MemoryLimitError(content)
        if kind == "unreadable":
            self.kill()  # it goes on with the call
        if kind != "element":
            raise RaisedError(content)
        return content

    def _last_message(self) -> tuple[str, Any] | None:
        """Return what a process that is gone has sent before; None if nothing is left."""
        with suppress(queue.Empty):
            return self._messages.get(timeout=_ALIVE)
        return None

    def kill(self) -> None:
        """End the process and what it has started, at once."""
        process, self._process = self._process, None
        self.n_calls = 0
        if process is None:
            return
        end_family(process.pid, self._mark)
        with suppress(OSError):
            process.kill()
        process.wait()
        with suppress(OSError):  # a broken pipe says so again when it is closed
            if process.stdin is not None:
                process.stdin.close()

    def close(self) -> None:
        """End the process; the next call would begin another one."""
        self.kill()
        with _LOCK:
            _CHILDREN.discard(self)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        threads = {name: str(self.threads) for name in _THREADS}
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._mark = secrets.token_hex(16)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import _serve; _serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **threads, "PYTHONPATH": path, MARK: self._mark},
            start_new_session=True,  # a group of its own, which can be killed as a whole
        )
        assert self._process.stderr is not None
        self._printed = Tail(self._process.stderr, _LAST_OUTPUT)
        with _LOCK:
            _CHILDREN.add(self)
        self._messages = queue.SimpleQueue()
        threading.Thread(
            target=_collect, args=(self._process.stdout, self._messages), daemon=True, name="messages"
        ).start()
        return self._process

    def _died(self) -> ChildDiedError:
        if self._process is None:
            return ChildDiedError("the process was closed while it worked")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.poll()
        self.kill()  # first: what holds its output open ends with it
        printed = self._printed.text(_ALIVE) if self._printed is not None else ""
        how = f"the process ended with {describe(code)}"
        error = ChildDiedError(f"it last printed:\n{printed}\n{how}" if printed else how)
        error.by_signal = -code if code is not None and code < 0 else None
        return error


_LOCK = threading.Lock()
_CHILDREN: set[Child] = set()


def close_children() -> None:
    """End all children of this process."""
    with _LOCK:
        children = list(_CHILDREN)
    for child in children:
        child.close()


def _cloudpickle() -> Any:
    """Return the pickler that takes functions and classes of a script or a notebook as well."""
    with suppress(ImportError):
        return importlib.import_module("cloudpickle")
    try:
        return importlib.import_module("joblib.externals.cloudpickle")  # joblib had it inside before 1.6
    except ImportError as error:
        raise MissingDependencyError(
            'running detectors needs joblib and cloudpickle; run: pip install "vetime-plugins[leaderboard]"'
        ) from error


def _send(stream: Any, content: bytes) -> None:
    stream.write(_HEADER.pack(len(content)))
    stream.write(content)
    stream.flush()


def _frames(stream: Any) -> Iterator[bytes]:
    while len(header := stream.read(_HEADER.size)) == _HEADER.size:
        (size,) = _HEADER.unpack(header)
        content = stream.read(size)
        if len(content) < size:
            return
        yield content


def _collect(stream: Any, messages: queue.SimpleQueue[tuple[str, Any] | None]) -> None:
    """Pass on what a child sends; None when it has ended, or sends what is no message."""
    with stream, suppress(Exception):  # a detector may have written into the pipe
        for content in _frames(stream):
            try:
                messages.put(pickle.loads(content))
            except Exception as error:
                reason = f"what came back cannot be read: {type(error).__name__}: {error}"
                messages.put(("unreadable", reason))
    messages.put(None)


def _serve() -> None:
    """Be a child: run what comes, until nobody is there any more."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what a detector prints must not get among the messages
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    own, mark = os.getpid(), os.environ.get(MARK, "")
    with suppress(ImportError):  # now: when it is needed, an import may wait for a detector
        importlib.import_module("psutil")

    def listen() -> None:
        for content in _frames(incoming):
            calls.put(content)
        end_family(own, mark)  # whoever started us has gone: nobody would read a result
        os._exit(1)

    def send(kind: str, content: Any) -> None:
        message = pickle.dumps((kind, content), protocol=5)
        if os.getpid() != own:
            os._exit(1)  # a fork that came back from a detector
        _send(outgoing, message)

    threading.Thread(target=listen, daemon=True, name="calls").start()
    while True:
        call = calls.get()
        try:
            function, arguments = pickle.loads(call)
            for element in function(*arguments):
                send("element", element)
        except BaseException as error:  # SystemExit of a detector must not end us
            send("memory" if _lacks_memory(error) else "raised", _told(error))


def _told(error: BaseException) -> str:
    """Return the traceback, whatever the detector did to what is needed for it."""
    try:
        return shorten("".join(traceback.format_exception(error)))
    except Exception as another:
        return f"{type(error).__name__}, and its traceback raised {type(another).__name__}"


def _lacks_memory(error: BaseException) -> bool:
    """Whether memory was refused: by Python, numpy, or torch for a GPU."""
    torch = sys.modules.get("torch")
    refused = getattr(getattr(torch, "cuda", None), "OutOfMemoryError", MemoryError)
    return isinstance(error, MemoryError | refused)


def shorten(text: str, limit: int = 20_000) -> str:
    """Return a traceback without the folders in which packages are installed, and not too long of it."""
    folders = {*map(str, sys.path), sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2])}
    with suppress(OSError):  # it may have been removed
        folders.add(os.getcwd())
    folders -= {"", "/"}
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(f"{folder.rstrip(os.sep)}{os.sep}", "")
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]}\n[...]\n{text[-half:]}"
