"""A progress bar for work that takes long enough to be watched."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar"]

DELAY = 0.5  # seconds; shorter work finishes before anyone could read the bar


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None] | bool]:
    """Yield what `VETimePipeline.score` takes as ``progress``.

    Nothing is shown unless standard error is a terminal. With tqdm (extra ``cli``) it is a bar with the time
    left, without it a percentage.

    Parameters
    ----------
    what : str
        Stands before the bar.

    Yields
    ------
    callable or bool
        Called with the steps done and the steps in all; False where nobody watches.
    """
    if not sys.stderr.isatty():
        yield False
        return
    show = _with_tqdm(what) or _with_percentage(what)
    try:
        yield show
    finally:
        show(-1, 0)  # wipe


def _with_tqdm(what: str) -> Callable[[int, int], None] | None:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    bar = tqdm(desc=what, unit=" steps", unit_scale=True, delay=DELAY, leave=False, file=sys.stderr)

    def show(done: int, total: int) -> None:
        if done < 0:
            bar.close()
            return
        bar.total = total
        bar.update(done - bar.n)

    return show


def _with_percentage(what: str) -> Callable[[int, int], None]:
    started, shown = time.monotonic(), -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        if done < 0:
            if shown >= 0:
                print("\r\033[K", end="", file=sys.stderr, flush=True)
            return
        percent = 100 * done // max(total, 1)
        if percent != shown and time.monotonic() - started > DELAY:
            shown = percent
            print(f"\r{what}: {percent:3d} %", end="", file=sys.stderr, flush=True)

    return show
