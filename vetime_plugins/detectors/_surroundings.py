"""What a process has only once, put back after a detector had it."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np

__all__ = ["kept_surroundings", "seed_everything"]


@contextmanager
def kept_surroundings() -> Iterator[None]:
    """Put back what the block changes for all that runs later in this process.

    That is the folder, the umask, the environment, the standard streams, signal handlers and timers, warning
    filters, levels that switch off logging, numpy's handling of errors, the global random generators, and the
    defaults of torch.
    """
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(np.errstate())
        for put_back in (_process(), _signals(), _generators(), _torch()):
            stack.callback(put_back)
        yield


def seed_everything(seed: int) -> None:
    """Seed the global random generators of Python, of numpy and, if it is loaded, of torch."""
    random.seed(seed)
    np.random.seed(seed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _process() -> Callable[[], None]:
    folder, environment = os.getcwd(), dict(os.environ)
    umask = os.umask(0o077)
    os.umask(umask)
    streams, switched_off = (sys.stdin, sys.stdout, sys.stderr), logging.root.manager.disable

    def put_back() -> None:
        with suppress(OSError):
            os.chdir(folder)
        os.umask(umask)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        for name, value in environment.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        sys.stdin, sys.stdout, sys.stderr = streams
        logging.disable(switched_off)

    return put_back


def _signals() -> Callable[[], None]:
    if threading.current_thread() is not threading.main_thread():  # only there can they be changed
        return lambda: None
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def put_back() -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)

    return put_back


def _generators() -> Callable[[], None]:
    python, numpy = random.getstate(), np.random.get_state()

    def put_back() -> None:
        random.setstate(python)
        np.random.set_state(numpy)

    return put_back


def _torch() -> Callable[[], None]:
    before = _defaults(sys.modules["torch"]) if "torch" in sys.modules else None

    def put_back() -> None:
        torch: Any = sys.modules.get("torch")
        if torch is None:
            return
        # What it begins with, where it was loaded meanwhile.
        threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
        dtype, threads, gradients, exact = before or (torch.float32, threads, True, False)
        torch.set_default_dtype(dtype)
        torch.set_default_device(None)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)
        torch.use_deterministic_algorithms(exact)

    return put_back


def _defaults(torch: Any) -> tuple[Any, int, bool, bool]:
    return (
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
    )
