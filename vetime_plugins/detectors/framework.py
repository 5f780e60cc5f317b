"""Run a detector of any framework on a series under the same rules.

* Gaps (NaN) are interpolated before a detector sees them, except by detectors that take NaN themselves.
* A detector that is fitted sees the first `train_length` points only, then scores the whole series.
* A point that a detector leaves out (a window at an end, a lag) gets the score of the nearest point that
  has one; a series without any finite score gets zeros.
* Global random generators are seeded while a detector runs, and put back.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import random
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins.errors import InputError, MissingDependencyError, VETimeError
from vetime_plugins.series.gaps import fill_gaps
from vetime_plugins.series.inputs import as_columns
from vetime_plugins.series.period import find_buffer

__all__ = ["FrameworkDetector", "Job", "complete"]

_MIN_TRAIN = 16
_PROGRAMS = {"java"}  # what `requires` may name besides modules
_EXTRAS = {"pyod", "sktime", "darts", "merlion"}
_FOUNDATION = {"fracast", "transformers", "tsfm_public", "accelerate"}  # what the extra of that name brings
_DISTRIBUTIONS = {
    "merlion": "salesforce-merlion",
    "pytorch_lightning": "pytorch-lightning",
    "tsfm_public": "granite-tsfm",
    "vetime_plugins": "vetime-plugins",
}

Scores = NDArray[np.float64]
Fit = Callable[..., Callable[[], ArrayLike]]


@dataclass(frozen=True)
class Job:
    """One series, (T, C), as the function of a detector gets it; a fitted one may see `train_length` points.

    `period` is in points; `device` is for those that can use a GPU; `n_fit` are the points to fit on:
    `train_length` or, for a detector that looks at all at once, T.
    """

    values: Scores
    train_length: int
    period: int
    seed: int
    device: str
    n_fit: int

    @property
    def fitted_on(self) -> Scores:
        """The first `n_fit` points, (n_fit, C)."""
        return self.values[: self.n_fit]

    def window(self, given: int | None) -> int:
        """Return `given`, or one period where that leaves three windows to fit on."""
        return max(2, min(self.period, self.n_fit // 3)) if given is None else given


@dataclass(frozen=True)
class FrameworkDetector:
    """A detector made from a function of a `Job`; `vetime_plugins.detectors.registry.built_in` makes them.

    Attributes
    ----------
    name, framework, params, sees_train, supports_multivariate
        As in `vetime_plugins.detectors.registry.Detector`.
    function : callable
        Takes a `Job` and `params`, fits, and returns a function without arguments that gives the scores of
        the whole series, NaN where there are none.
    requires : tuple of str
        Modules and programs without which it cannot run.
    random : bool
        Whether another seed can give other scores.
    uses_gpu : bool
        Whether `device` matters.
    takes_nan : bool
        Whether it gets the gaps of a series as they are.
    slow : bool
        Whether 5,000 points take more than some seconds.
    device : str
        Where it runs; see `on`.
    trained_on, tuned_on : tuple of str or None
        Data sets and tasks that its weights have seen, and that its rules were chosen on; None: unknown, as
        with weights of one's own.
    """

    name: str
    framework: str
    params: Mapping[str, Any]
    sees_train: bool
    supports_multivariate: bool
    function: Fit = field(repr=False)
    requires: tuple[str, ...] = ()
    random: bool = False
    uses_gpu: bool = False
    takes_nan: bool = False
    slow: bool = False
    device: str = "cpu"
    trained_on: tuple[str, ...] | None = ()
    tuned_on: tuple[str, ...] | None = ()

    def with_params(self, **params: Any) -> FrameworkDetector:
        """Return the detector with other parameters.

        Raises
        ------
        InputError
            If there is no parameter of that name.
        """
        unknown = sorted(set(params) - set(self.params))
        if unknown:
            raise InputError(f"{self.name} has no parameter {unknown}; it has {sorted(self.params)}")
        changed = replace(self, params={**self.params, **params})
        if changed.params.get("weights") == self.params.get("weights"):
            return changed
        return replace(changed, trained_on=None, tuned_on=None)

    def on(self, device: str) -> FrameworkDetector:
        """Return the detector to be run on `device`; one that cannot use a GPU stays on the CPU."""
        return replace(self, device=device) if self.uses_gpu else self

    def missing(self) -> list[str]:
        """Return what is not installed of `requires`."""
        return [name for name in self.requires if not _is_installed(name)]

    def extra(self) -> str:
        """Return the extra of this package that brings what is missing; "" where pip does not have it."""
        missing = set(self.missing())
        if not missing or missing <= _PROGRAMS:
            return ""
        if missing & _FOUNDATION:
            return "foundation"
        return self.framework if self.framework in missing & _EXTRAS else "bench"

    def versions(self) -> dict[str, str]:
        """Return the versions of the distributions that its scores may depend on, by name.

        Of a detector with a parameter `weights` also the first digits of a SHA-256 of these and of their
        configuration.
        """
        found = {}
        for name in ("vetime_plugins", "numpy", "scipy", "scikit-learn", *self.requires):
            distribution = _DISTRIBUTIONS.get(name, name)
            with suppress(PackageNotFoundError):
                found[distribution] = version(distribution)
        if "weights" in self.params:
            with suppress(VETimeError):  # missing ones are found missing when it runs
                found["weights"] = _weights_hash(str(self.params["weights"]))
        return found

    def fit(
        self, values: ArrayLike, train_length: int, period: int | None = None, seed: int = 0
    ) -> Callable[[], Scores]:
        """Fit, and return a function that scores the series; for those who time the two apart.

        Parameters
        ----------
        values : array-like of shape (T,) or (T, C)
            NaN marks gaps.
        train_length : int
            Points at the start that a fitted detector sees.
        period : int, optional
            Length of a period in points; `vetime_plugins.metrics.find_buffer` where left out.
        seed : int, default 0

        Returns
        -------
        callable
            Without arguments; returns finite scores of shape (T,).

        Raises
        ------
        InputError
            If the series does not suit the detector.
        MissingDependencyError
            If something of `requires` is not installed.
        """
        job = self._job(values, train_length, period, seed)
        missing = self.missing()
        if missing:
            extra = self.extra()
            cure = f'; run: pip install "vetime-plugins[{extra}]"' if extra else ""
            raise MissingDependencyError(
                f"{self.name} needs {', '.join(missing)}, which is not installed{cure}"
            )
        with self._alone(seed):
            score = self.function(job, **self.params)

        def scores() -> Scores:
            with self._alone(seed):
                return complete(score(), len(job.values))

        return scores

    def fit_score(
        self, values: ArrayLike, train_length: int, period: int | None = None, seed: int = 0
    ) -> Scores:
        """Return the scores of a series, (T,); arguments and errors are those of `fit`."""
        return self.fit(values, train_length, period, seed)()

    def _job(self, values: ArrayLike, train_length: int, period: int | None, seed: int) -> Job:
        array = as_columns(values, "values")
        n, n_variables = array.shape
        if n_variables > 1 and not self.supports_multivariate:
            raise InputError(f"{self.name} takes one variable, got {n_variables}")
        if not 0 <= train_length <= n:
            raise InputError(f"train_length must lie in 0..{n} (the series' length), got {train_length}")
        if self.sees_train and train_length < _MIN_TRAIN:
            raise InputError(f"{self.name} needs a train part of {_MIN_TRAIN} points, got {train_length}")
        period = find_buffer(array) if period is None else period
        if period < 1:
            raise InputError(f"period must be at least 1 point, got {period}")
        array = array if self.takes_nan else fill_gaps(array)
        return Job(array, train_length, period, seed, self.device, train_length if self.sees_train else n)

    @contextmanager
    def _alone(self, seed: int) -> Iterator[None]:
        """Seed the global generators that frameworks draw from, keep their chatter down, put all back."""
        states = random.getstate(), np.random.get_state()
        modules = [name for name in self.requires if name not in _PROGRAMS]
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings(action="ignore"))
            for name in modules:  # now: some set the level of their logger when they are imported
                importlib.import_module(name)
            loggers = {name: logging.getLogger(name) for name in (self.framework, *modules)}
            levels = {name: logger.level for name, logger in loggers.items()}
            torch: Any = sys.modules.get("torch")
            if torch:
                stack.enter_context(torch.random.fork_rng())
            for logger in loggers.values():
                logger.setLevel(logging.ERROR)
            try:
                random.seed(seed)
                np.random.seed(seed)
                if torch:
                    torch.manual_seed(seed)
                yield
            finally:
                for name, level in levels.items():
                    loggers[name].setLevel(level)
                random.setstate(states[0])
                np.random.set_state(states[1])


def complete(scores: ArrayLike, length: int) -> Scores:
    """Return finite scores (length,) for every point: the rule for points that a detector leaves out.

    NaN takes the score of the nearest point that has one, the earlier of two. Infinity takes the largest
    finite score, minus infinity the smallest. Without any finite score all points get 0.

    Raises
    ------
    InputError
        If there are not `length` scores.

    Examples
    --------
    >>> complete([float("nan"), 1.0, float("nan"), 2.0, float("inf")], 5).tolist()
    [1.0, 1.0, 1.0, 2.0, 2.0]
    """
    values = np.array(scores, dtype=np.float64).reshape(-1)
    if len(values) != length:
        raise InputError(f"a detector must give one score for each of {length} points, got {len(values)}")
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(length)
    values[np.isposinf(values)] = finite.max()
    values[np.isneginf(values)] = finite.min()
    scored, points = np.flatnonzero(~np.isnan(values)), np.arange(length)
    after = np.searchsorted(scored, points)
    left, right = scored[np.maximum(after - 1, 0)], scored[np.minimum(after, len(scored) - 1)]
    filled: Scores = values[np.where(np.abs(points - left) <= np.abs(right - points), left, right)]
    return filled


def _weights_hash(name: str) -> str:
    folder = resources.files("vetime_plugins") / "weights" / name
    path = Path(str(folder)) if folder.is_dir() else Path(name)
    files = [path / "model.safetensors", path / "config.json"]
    if not all(file.is_file() for file in files):
        raise InputError(f"no weights {name}")
    return _hash_of(*((file, file.stat().st_mtime_ns) for file in files))


@cache
def _hash_of(*files: tuple[Path, int]) -> str:
    """Hash files and when they were changed; the same weights score otherwise with another configuration."""
    together = hashlib.sha256()
    for path, _ in files:
        with path.open("rb") as stream:
            together.update(hashlib.file_digest(stream, "sha256").digest())
    return together.hexdigest()[:16]


def _is_installed(name: str) -> bool:
    return bool(shutil.which(name) if name in _PROGRAMS else importlib.util.find_spec(name))
