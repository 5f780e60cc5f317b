"""Run a command: the one place where an error or a signal becomes a line and an exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vetime_plugins.errors import InputWarning, VETimeError

__all__ = ["run_command"]

EXIT_BAD_INPUT = 1
_SIGNALLED = 128  # and the number of the signal, as a shell reports it: 130 for SIGINT, 143 for SIGTERM
_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_SAME = 1.0  # seconds in which a second signal is the first one again: `timeout` and terminals send several
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _SignalError(KeyboardInterrupt):
    """A signal asked the command to end; whatever cleans up after Ctrl-C does so after any of them."""


class _Signals:
    """Turns the first signal that asks to end into `_SignalError`; one that comes later ends at once."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._since = 0.0
        self._owner = os.getpid()

    def __enter__(self) -> _Signals:
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: Any) -> None:
        if os.getpid() != self._owner and number == signal.SIGINT:
            raise KeyboardInterrupt  # in a fork, as ever
        again = self.number is not None
        if os.getpid() != self._owner or (again and time.monotonic() - self._since > _SAME):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if not again:
            self.number, self._since = number, time.monotonic()
            raise _SignalError


@contextmanager
def _warnings_in_a_line(name: str, signals: _Signals) -> Iterator[None]:
    """Show this package's warnings as it shows its errors; others are none of its business.

    What libraries say once a signal came, such as joblib of tasks that it drops, tells nothing that the line
    at the end does not.
    """
    show = warnings.showwarning

    def show_in_a_line(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        if issubclass(category, InputWarning):
            print(f"{name}: warning: {message}", file=sys.stderr)
        elif signals.number is None:
            show(message, category, *rest, **options)

    warnings.showwarning = show_in_a_line
    try:
        yield
    finally:
        warnings.showwarning = show


def run_command(name: str, call: Callable[[], int | None]) -> int:
    """Call a command and return its exit status; errors and warnings become lines that begin with `name`.

    The status is what the command returned, 1 on bad input or a full disk, and 128 and the number of the
    signal that ended it: 130 for SIGINT, 143 for SIGTERM.
    """
    with _Signals() as signals:
        try:
            with _warnings_in_a_line(name, signals):
                status = call() or 0
            sys.stdout.flush()
        except (VETimeError, InputWarning) as error:  # the latter under `python -W error`
            return _fail(name, str(error), signals)
        except KeyboardInterrupt:
            return _fail(name, "", signals)
        except BrokenPipeError:
            # The reader (`| head`) has gone. Python would complain when it flushes stdout on its way out.
            _drop_output()
            return EXIT_BAD_INPUT if signals.number is None else _fail(name, "", signals)
        except OSError as error:
            if error.errno not in _FULL and signals.number is None:
                raise
            with suppress(OSError, ValueError):  # what could not be written is lost; do not try again on exit
                _drop_output()
            return _fail(name, f"{error.strerror}; free some and run it again", signals)
        except Exception as error:
            if signals.number is None:
                raise
            return _fail(name, str(error), signals)
    return status


def _fail(name: str, message: str, signals: _Signals) -> int:
    """Print the line that says why a command ended, and return its status.

    After a signal that is the reason, whatever else went wrong: processes that were ended with this one.
    """
    number = signals.number
    if number is None and message:
        print(f"{name}: error: {' '.join(message.split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    number = number or signal.SIGINT
    how = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
    print(f"{name}: {how}", file=sys.stderr)
    return _SIGNALLED + number


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
