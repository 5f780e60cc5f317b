"""The rows of the leaderboard: detectors of four frameworks behind one call, and a registry for more.

A row runs its detector through the interface of the detector's own framework and answers with one score for
each point of the series. What the frameworks do differently is settled here, once:

* Gaps (NaN) are interpolated before a detector sees them, except by detectors that take NaN themselves.
* Detectors that are fitted see the first `train_length` points only, then score the whole series.
* A point that a detector leaves out (a window at an end, a lag) gets the score of the nearest point that
  has one; a series without any finite score gets zeros.
* Signed scores count by their size.
* Global random generators are seeded while a detector runs, and put back.

Frameworks are imported when a detector runs and not before.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import random
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins.errors import InputError, MissingDependencyError
from vetime_plugins.leaderboard.metrics import find_buffer

__all__ = ["Detector", "FrameworkDetector", "Job", "complete", "get", "names", "register", "row"]

GROUP = "vetime_plugins.detectors"
"""Entry-point group in which other distributions name their detectors."""

_ROW_MODULES = ("baseline_rows", "vetime_rows", "pyod_rows", "sktime_rows", "darts_rows", "merlion_rows")
_MIN_TRAIN = 16

Scores = NDArray[np.float64]


@runtime_checkable
class Detector(Protocol):
    """What the leaderboard asks of a detector.

    Attributes
    ----------
    name : str
        Unique, without spaces.
    framework : str
        Where the detector comes from, e.g. ``"pyod"``.
    params : mapping
        Parameters that tell two runs of the detector apart; of types that JSON knows.
    sees_train : bool
        Whether it is fitted on the train part before it scores.
    supports_multivariate : bool
        Whether it takes more than one variable.
    """

    name: str
    framework: str
    params: Mapping[str, Any]
    sees_train: bool
    supports_multivariate: bool

    def fit_score(
        self, values: ArrayLike, train_length: int, period: int | None = None, seed: int = 0
    ) -> Scores:
        """Return scores (T,), finite, higher = more anomalous, for `values` (T, C).

        `train_length` points at the start are the train part; `period` is the length in points of one period
        of the series.
        """


@dataclass(frozen=True)
class Job:
    """One series as a row's function gets it.

    Attributes
    ----------
    values : ndarray of shape (T, C), float64
    train_length : int
        Points at the start that a fitted detector may see.
    period : int
        Length of one period, in points.
    seed : int
    device : str
        ``"cpu"``, ``"cuda"``, ...; only rows that can use a GPU look at it.
    n_fit : int
        Points that the detector is fitted on: `train_length` or, of one that looks at all at once, T.
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


Fit = Callable[..., Callable[[], ArrayLike]]


@dataclass(frozen=True)
class FrameworkDetector:
    """A `Detector` made from a function of a `Job`; `row` makes them.

    Attributes
    ----------
    name, framework, params, sees_train, supports_multivariate
        As in `Detector`.
    requires : tuple of str
        Modules and programs without which it cannot run.
    random : bool
        Whether another seed can give other scores.
    uses_gpu : bool
        Whether `device` matters.
    slow : bool
        Whether 5,000 points take more than some seconds.
    device : str
        Where it runs; see `on`.
    """

    name: str
    framework: str
    params: Mapping[str, Any]
    sees_train: bool
    supports_multivariate: bool
    requires: tuple[str, ...] = ()
    random: bool = False
    uses_gpu: bool = False
    takes_nan: bool = False
    slow: bool = False
    device: str = "cpu"
    function: Fit = field(repr=False, compare=False, default=lambda job: lambda: np.zeros(len(job.values)))

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
        return replace(self, params={**self.params, **params})

    def on(self, device: str) -> FrameworkDetector:
        """Return the detector to be run on `device`; one that cannot use a GPU stays on the CPU."""
        return replace(self, device=device) if self.uses_gpu else self

    def missing(self) -> list[str]:
        """Return what is not installed of `requires`."""
        programs = {"java"}
        found = {name: shutil.which(name) for name in programs}
        return [
            name
            for name in self.requires
            if not (found[name] if name in programs else importlib.util.find_spec(name))
        ]

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
            Length of a period in points; `vetime_plugins.leaderboard.metrics.find_buffer` where left out.
        seed : int, default 0

        Returns
        -------
        callable
            Without arguments; returns scores of shape (T,).

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
            raise MissingDependencyError(f"{self.name} needs {', '.join(missing)}, not found here")
        with self._alone(seed):
            score = self.function(job, **self.params)

        def scored() -> Scores:
            with self._alone(seed):
                return complete(score(), len(job.values))

        return scored

    def fit_score(
        self, values: ArrayLike, train_length: int, period: int | None = None, seed: int = 0
    ) -> Scores:
        """Return the scores of a series, (T,); arguments and errors are those of `fit`."""
        return self.fit(values, train_length, period, seed)()

    def _job(self, values: ArrayLike, train_length: int, period: int | None, seed: int) -> Job:
        array = _as_series(values)
        n, n_variables = array.shape
        if n_variables > 1 and not self.supports_multivariate:
            raise InputError(
                f"{self.name} takes one variable, got {n_variables}; leave it out for this series"
            )
        if not 0 <= train_length <= n:
            raise InputError(f"train_length must lie in 0..{n} (the series' length), got {train_length}")
        if self.sees_train and train_length < _MIN_TRAIN:
            raise InputError(f"{self.name} needs a train part of {_MIN_TRAIN} points, got {train_length}")
        if period is None:
            period = find_buffer(array)
        if period < 1:
            raise InputError(f"period must be at least 1 point, got {period}")
        values = array if self.takes_nan else _fill_gaps(array)
        return Job(values, train_length, period, seed, self.device, train_length if self.sees_train else n)

    @contextmanager
    def _alone(self, seed: int) -> Iterator[None]:
        """Seed the global generators that frameworks draw from, keep their chatter down, put all back."""
        states = random.getstate(), np.random.get_state()  # noqa: NPY002 - what the frameworks use
        logger = logging.getLogger(self.framework)
        level = logger.level
        torch = importlib.import_module("torch") if "torch" in self.requires else sys.modules.get("torch")
        with warnings.catch_warnings(), torch.random.fork_rng() if torch else nullcontext():
            warnings.simplefilter("ignore")
            logger.setLevel(logging.ERROR)
            try:
                random.seed(seed)
                np.random.seed(seed)  # noqa: NPY002
                if torch:
                    torch.manual_seed(seed)
                yield
            finally:
                logger.setLevel(level)
                random.setstate(states[0])
                np.random.set_state(states[1])  # noqa: NPY002


def row(
    name: str,
    *,
    sees_train: bool,
    multivariate: bool,
    requires: tuple[str, ...] = (),
    framework: str | None = None,
    **flags: bool,
) -> Callable[[Fit], Fit]:
    """Make a built-in row of the decorated function.

    The function takes a `Job` and keyword parameters with defaults, fits a detector and returns a function
    without arguments that gives the scores of the whole series: as long as it or with NaN where there is none.

    Parameters
    ----------
    name : str
    sees_train, multivariate : bool
    requires : tuple of str
        The framework's module first.
    framework : str, optional
        The first of `requires` where left out.
    **flags
        `random`, `uses_gpu`, `takes_nan`, `slow` of `FrameworkDetector`.
    """

    def make(function: Fit) -> Fit:
        parameters = inspect.signature(function).parameters.values()
        params = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        _BUILT_IN[name] = FrameworkDetector(
            name,
            framework or requires[0],
            params,
            sees_train,
            multivariate,
            requires,
            function=function,
            **flags,
        )
        return function

    return make


_BUILT_IN: dict[str, FrameworkDetector] = {}
_REGISTERED: dict[str, Detector] = {}


def names(framework: str | None = None) -> list[str]:
    """Return the names of all detectors: built in, registered, and offered by other distributions.

    Parameters
    ----------
    framework : str, optional
        Only built-in and registered ones of that framework.

    Examples
    --------
    >>> "pyod-knn" in names()
    True
    """
    known: dict[str, Detector] = {**_built_in(), **_REGISTERED}
    if framework is not None:
        return sorted(name for name, detector in known.items() if detector.framework == framework)
    return sorted({*known, *_offered()})


def get(name: str, **params: Any) -> Detector:
    """Return a detector by its name, with parameters of its own.

    Raises
    ------
    InputError
        If there is none of that name, it has no such parameter, or what an entry point offers is no detector.
    """
    found: Any = _REGISTERED.get(name) or _built_in().get(name)
    if found is None and name in _offered():
        found = _checked(_offered()[name].load(), f"entry point {name!r} of {GROUP}")
    if found is None:
        raise InputError(f"no detector {name!r}; there are: {', '.join(names())}")
    if params and not hasattr(found, "with_params"):
        raise InputError(f"{name} takes no parameters, got {sorted(params)}")
    return found.with_params(**params) if params else found


def register(detector: Detector) -> Detector:
    """Add a detector, or put it in the place of one of the same name; returns it.

    Parameters
    ----------
    detector : Detector
        An object with the attributes and the method of `Detector`, or a class that makes one without
        arguments.

    Raises
    ------
    InputError
        If it lacks one of them.
    """
    checked = _checked(detector, repr(detector))
    _REGISTERED[checked.name] = checked
    return checked


def complete(scores: ArrayLike, length: int) -> Scores:
    """Return finite scores for every point: the rule for points that a detector leaves out.

    NaN takes the score of the nearest point that has one, the earlier of two. Infinity takes the largest finite
    score, minus infinity the smallest. Without any finite score all points get 0.

    Raises
    ------
    InputError
        If there are not `length` scores.
    """
    values = np.array(scores, dtype=np.float64).reshape(-1)
    if len(values) != length:
        raise InputError(f"a detector must give one score for each of {length} points, got {len(values)}")
    finite = np.flatnonzero(np.isfinite(values))
    if not finite.size:
        return np.zeros(length)
    values[np.isposinf(values)] = values[finite].max()
    values[np.isneginf(values)] = values[finite].min()
    there = np.flatnonzero(~np.isnan(values))
    points = np.arange(length)
    after = np.clip(np.searchsorted(there, points), 0, len(there) - 1)
    before = np.clip(after - 1, 0, None)
    nearer = points - there[before] <= there[after] - points
    return values[there[np.where(nearer & (there[before] <= points), before, after)]]


def _built_in() -> dict[str, FrameworkDetector]:
    for module in _ROW_MODULES:
        importlib.import_module(f"{__package__}.{module}")
    return _BUILT_IN


@cache
def _offered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _checked(candidate: Any, origin: str) -> Detector:
    detector = candidate() if isinstance(candidate, type) else candidate
    if not isinstance(detector, Detector):
        wanted = [*Detector.__annotations__, "fit_score"]
        lacking = [name for name in wanted if not hasattr(detector, name)]
        raise InputError(f"{origin} is no detector: it has no {', '.join(lacking)}")
    return detector


def _as_series(values: ArrayLike) -> Scores:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"values must be numbers of shape (T,) or (T, C): {error}") from error
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"values must have shape (T,) or (T, C) with at least one point, got {array.shape}")
    if np.isinf(array).any():
        raise InputError("values must not be infinite; mark what is not known with NaN")
    return array


def _fill_gaps(values: Scores) -> Scores:
    """Interpolate NaN linearly, level at the ends; a variable that is NaN throughout becomes 0."""
    filled = values.copy()
    points = np.arange(len(values))
    for column in filled.T:
        known = ~np.isnan(column)
        if not known.all():
            column[~known] = np.interp(points[~known], points[known], column[known]) if known.any() else 0.0
    return filled
