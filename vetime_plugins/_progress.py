"""Progress of long work: a bar of tqdm, a callable, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from vetime_plugins.errors import MissingDependencyError

__all__ = ["DELAY", "Progress", "Reporter", "TerminalBar"]

Progress = bool | Callable[[int, int], None]

DELAY = 0.5  # seconds; shorter work finishes before anyone could read the bar


def _open_bar(**options: Any) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise MissingDependencyError(
            'progress=True needs tqdm; run: pip install "vetime-plugins[cli]", or pass a callable.'
        ) from error
    return tqdm(**{"unit_scale": True, **options})


class Reporter:
    """Report steps to whom a caller's `progress` names: a bar, a callable, or nobody.

    Raises
    ------
    MissingDependencyError
        On entry, if a bar is asked for and tqdm is not installed.
    """

    def __init__(self, progress: Progress, total: int, unit: str = "pt") -> None:
        self.progress, self.total, self.unit, self.done = progress, total, unit, 0
        self.bar: Any = None

    def __enter__(self) -> Callable[[int], None]:
        if self.progress is True:
            self.bar = _open_bar(total=self.total, unit=self.unit)
        return self._report

    def _report(self, steps: int) -> None:
        self.done += steps
        if self.bar is not None:
            self.bar.update(steps)
        elif callable(self.progress):
            self.progress(self.done, self.total)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()


class TerminalBar:
    """The bar of a command on standard error, gone when the work is done.

    It is false and shows nothing where standard error is no terminal or tqdm (extra ``cli``) is missing.
    Lines written to it stand above the bar, or go to standard error as they are.

    Parameters
    ----------
    what : str
        Stands before the bar.
    unit : str
    **options
        For tqdm.
    """

    def __init__(self, what: str, unit: str = " steps", **options: Any) -> None:
        self._bar: Any = None
        if sys.stderr.isatty():
            options = {"unit": unit, "delay": DELAY, "leave": False, "file": sys.stderr, **options}
            with suppress(MissingDependencyError):  # nobody asked for it
                self._bar = _open_bar(desc=what, **options)

    def __bool__(self) -> bool:
        return self._bar is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int | None = None, what: str | None = None) -> None:
        """Show that `done` of `total` is done, where that is known, and what is done now."""
        if self._bar is None:
            return
        self._bar.total = total
        if what is not None:
            self._bar.set_description_str(what, refresh=False)
        self._bar.update(done - self._bar.n)

    def write(self, text: str) -> None:
        """Write as to a stream: a whole line with its end."""
        if self._bar is None:
            sys.stderr.write(text)
        else:
            self._bar.write(text, file=sys.stderr, end="")

    def flush(self) -> None:
        """Flush standard error."""
        sys.stderr.flush()
