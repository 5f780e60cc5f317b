"""Progress of long scoring: a bar, a callable, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vetime_plugins.errors import MissingDependencyError

Progress = bool | Callable[[int, int], None]


class Reporter:
    """Report steps to a bar, to a callable, or to nobody."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0
        self.bar: Any = None

    def __enter__(self) -> Callable[[int], None]:
        if self.progress is True:
            try:
                from tqdm.auto import tqdm
            except ImportError as error:
                raise MissingDependencyError(
                    'progress=True needs tqdm; run: pip install "vetime-plugins[cli]", or pass a callable.'
                ) from error
            self.bar = tqdm(total=self.total, unit="pt", unit_scale=True)
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
