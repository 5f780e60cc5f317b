"""A process with all that it has started: its memory, how it ended, and the end of them all.

What a process starts can leave its group (a session of its own) and its parent (a daemon). It keeps the
environment that it was started with, unless it takes care not to, and is known by a mark there.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from contextlib import suppress
from typing import IO, Any

from vetime_plugins._lazy import need

__all__ = ["MARK", "Tail", "Watch", "describe", "end_family"]

MARK = "VETIME_CHILD"
"""The variable of the environment whose value is the mark of a family."""

_DYING = 0.5  # seconds that a killed process may take to end
_ROUNDS = 5  # of killing, for a process that goes on starting others meanwhile
_LOOK_FOR_OTHERS = 10  # so many looks at the memory go by before child processes are listed again


def end_family(pid: int, mark: str) -> None:
    """Kill a process, its group, and what it or they have started, wherever that is.

    Without psutil only the group. Where `pid` is the process that calls, it does not come back.
    """
    for _ in range(_ROUNDS):
        others = _others(pid, mark)
        for one in others:
            with suppress(Exception):  # gone by now, or not ours to kill
                one.kill()
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        if not others:
            return
        with suppress(Exception):
            importlib.import_module("psutil").wait_procs(others, timeout=_DYING)


def _others(pid: int, mark: str) -> list[Any]:
    """Return the processes that descend from one, or bear its mark, and live."""
    found: dict[int, Any] = {}
    with suppress(Exception):  # without psutil, or where a system does not tell
        import psutil

        with suppress(psutil.Error):
            found = {one.pid: one for one in psutil.Process(pid).children(recursive=True)}
        for one in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if one.environ().get(MARK) == mark:
                    found[one.pid] = one
        found = {number: one for number, one in found.items() if one.status() != psutil.STATUS_ZOMBIE}
    return [one for number, one in found.items() if number not in {pid, os.getpid()}]


class Watch:
    """The memory of a process and of those that it has started."""

    def __init__(self, pid: int) -> None:
        psutil = need("psutil", "a memory limit needs psutil (or set none)", extra="leaderboard")
        self._gone = psutil.NoSuchProcess
        self._main = psutil.Process(pid)
        self._others: list[Any] = []
        self._looks = 0

    def bytes(self) -> int:
        """Return the resident memory of all of them."""
        if self._looks % _LOOK_FOR_OTHERS == 0:  # finding them means going through all processes there are
            with suppress(self._gone):
                self._others = self._main.children(recursive=True)
        self._looks += 1
        total = 0
        for process in (self._main, *self._others):
            with suppress(self._gone):
                total += process.memory_info().rss
        return total


class Tail:
    """Reads a pipe to its end in a thread and keeps the last `size` bytes, however much comes."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._size = stream, size
        self._last = b""
        self._thread = threading.Thread(target=self._read, daemon=True, name="output")
        self._thread.start()

    def _read(self) -> None:
        with self._stream, suppress(OSError, ValueError):
            while piece := os.read(self._stream.fileno(), 1 << 16):
                self._last = (self._last + piece)[-self._size :]

    def text(self, wait: float) -> str:
        """Return what came last; the rest is waited for some seconds, while somebody has the pipe open."""
        self._thread.join(wait)
        return self._last.decode(errors="replace").strip()


def describe(code: int | None) -> str:
    """Return how a process ended in words, from what `subprocess` says of it."""
    if code is None:
        return "an unknown status"
    if code >= 0:
        return f"the status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # one of the real-time signals
        name = str(-code)
    hint = " (the system kills like this when it runs out of memory)" if name == "SIGKILL" else ""
    return f"the signal {name}{hint}"
