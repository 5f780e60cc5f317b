"""The detectors of the leaderboard: those built in, and a registry for more.

Built in are detectors of PyOD, sktime, Darts and Merlion, each run through the interface of its own
framework, the simple baselines of this package, and VETime through its four adapters.
`vetime_plugins.detectors.framework` says how they are run. A framework is imported when one of its
detectors runs, and not before.

A detector of your own is any object with the attributes and the method of `Detector`. Make it known with
`register`, or under its name in the entry-point group ``vetime_plugins.detectors`` of your distribution:

.. code-block:: toml

    [project.entry-points."vetime_plugins.detectors"]
    my-detector = "my_package.detectors:MyDetector"

Examples
--------
>>> import numpy as np
>>> from vetime_plugins import detectors
>>> x = np.sin(np.arange(400) / 4)
>>> x[300:310] = 0
>>> scores = detectors.get("sub-knn", n_neighbors=3).fit_score(x, train_length=200)
>>> 290 <= scores.argmax() < 320
True
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TypeVar, runtime_checkable

from numpy.typing import ArrayLike

from vetime_plugins.detectors.framework import Fit, FrameworkDetector, Job, Scores
from vetime_plugins.errors import InputError

__all__ = [
    "GROUP",
    "Detector",
    "FrameworkDetector",
    "Job",
    "built_in",
    "built_in_detectors",
    "get",
    "names",
    "register",
]

GROUP = "vetime_plugins.detectors"
"""Entry-point group in which other distributions name their detectors."""

_MODULES = ("baselines", "vetime", "ablations", "pyod", "sktime", "darts", "merlion", "fracast")


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
        What tells two runs of the detector apart; of types that JSON knows.
    sees_train : bool
        Whether it is fitted on the train part before it scores.
    supports_multivariate : bool
        Whether it takes more than one variable.

    Notes
    -----
    A detector that also has ``fit``, which takes the arguments of `fit_score` and returns a function without
    arguments that gives the scores, has the times of fitting and scoring recorded apart. One that has
    ``on(device)``, which returns the detector to be run there, is told the device of a run. One that has
    ``versions()``, which returns versions by name, has its results renewed when one of them changes.

    The attributes ``trained_on`` and ``tuned_on``, names of data sets or tasks of the leaderboard, say what
    its weights have seen and what its rules were chosen on. Reports mark results on them; a detector that
    learns from nothing but the series itself says so with empty ones.
    """

    name: str
    framework: str
    params: Mapping[str, Any]
    sees_train: bool
    supports_multivariate: bool

    def fit_score(
        self, values: ArrayLike, train_length: int, period: int | None = None, seed: int = 0
    ) -> Scores:
        """Score a series.

        Parameters
        ----------
        values : array-like of shape (T, C)
        train_length : int
            Points at the start that may be used to fit.
        period : int, optional
            Length of a period in points, where it is known.
        seed : int, default 0

        Returns
        -------
        ndarray of shape (T,)
            Finite, higher = more anomalous.
        """


DetectorT = TypeVar("DetectorT", bound=Any)

_BUILT_IN: dict[str, FrameworkDetector] = {}
_REGISTERED: dict[str, Detector] = {}


def names(framework: str | None = None) -> list[str]:
    """Return the names of all detectors: built in, registered, and offered by other distributions.

    Parameters
    ----------
    framework : str, optional
        Only the built-in and registered ones of that framework.

    Examples
    --------
    >>> names("fracast"), names("sktime")[:3]
    (['fracast-residual'], ['sktime-capa', 'sktime-hampel', 'sktime-moment'])
    """
    known: dict[str, Any] = {**_load(), **_REGISTERED}
    if framework is not None:
        return sorted(name for name, detector in known.items() if detector.framework == framework)
    return sorted({*known, *_offered()})


def built_in_detectors() -> dict[str, FrameworkDetector]:
    """Return the detectors that come with this package, by name, with their own parameters."""
    return dict(_load())


def get(name: str, **params: Any) -> Any:
    """Return a `Detector` by its name.

    Parameters
    ----------
    name : str
    **params
        Parameters in place of its own.

    Raises
    ------
    InputError
        If there is none of that name, if it has no such parameter, or if what an entry point offers is no
        detector.
    """
    found: Any = _REGISTERED.get(name) or _load().get(name)
    if found is None and name in _offered():
        found = _checked(_offered()[name].load(), f"entry point {name!r} of {GROUP}")
    if found is None:
        raise InputError(f"there is no detector {name!r}; there are: {', '.join(names())}")
    return with_params(found, name, params)


def with_params(detector: Any, name: str, params: Mapping[str, Any]) -> Any:
    """Return a detector with other parameters; InputError if it is one without."""
    if params and not hasattr(detector, "with_params"):
        raise InputError(f"{name} has no parameters to set, got {sorted(params)}")
    return detector.with_params(**params) if params else detector


def register(detector: DetectorT) -> DetectorT:
    """Make a detector known, in the place of one of the same name if there is one.

    Parameters
    ----------
    detector : Detector
        An object, or a class that can be called without arguments: so it may be used as a decorator.

    Returns
    -------
    Detector
        What was given.

    Raises
    ------
    InputError
        If an attribute or the method is missing.

    Examples
    --------
    >>> import numpy as np
    >>> @register
    ... class Distance:
    ...     name = "distance-to-median"
    ...     framework = "mine"
    ...     params = {}
    ...     sees_train = True
    ...     supports_multivariate = True
    ...
    ...     def fit_score(self, values, train_length, period=None, seed=0):
    ...         return np.abs(values - np.median(values[:train_length], axis=0)).max(axis=1)
    >>> get("distance-to-median").fit_score(np.array([[0.0], [0.0], [5.0]]), 2).tolist()
    [0.0, 0.0, 5.0]
    """
    checked = _checked(detector, repr(detector))
    _REGISTERED[checked.name] = checked
    return detector


def built_in(
    name: str,
    *,
    sees_train: bool,
    multivariate: bool,
    requires: tuple[str, ...] = (),
    framework: str | None = None,
    **flags: Any,
) -> Callable[[Fit], Fit]:
    """Make a built-in detector of the decorated function, which is `FrameworkDetector.function`.

    Parameters
    ----------
    name : str
        Under which `get` finds it.
    sees_train : bool
        Whether it is fitted on the train part alone.
    multivariate : bool
        Whether it takes several variables.
    requires : tuple of str
        Modules that it needs, the framework's first.
    framework : str, optional
        Framework that it belongs to; the first of `requires` where left out.
    **flags : object
        `random`, `uses_gpu`, `takes_nan`, `slow`, `trained_on`, `tuned_on` of `FrameworkDetector`.

    Returns
    -------
    callable
        The decorator. Keyword-only parameters of the function and their defaults become `params`.
    """

    def add(function: Fit) -> Fit:
        parameters = inspect.signature(function).parameters.values()
        _BUILT_IN[name] = FrameworkDetector(
            name=name,
            framework=framework or requires[0],
            params={p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY},
            sees_train=sees_train,
            supports_multivariate=multivariate,
            function=function,
            requires=requires,
            **flags,
        )
        return function

    return add


def _load() -> dict[str, FrameworkDetector]:
    for module in _MODULES:  # they import this module
        importlib.import_module(f"{__package__}.{module}")
    return _BUILT_IN


@cache
def _offered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _checked(candidate: Any, origin: str) -> Detector:
    detector = candidate() if isinstance(candidate, type) else candidate
    lacking = [name for name in (*Detector.__annotations__, "fit_score") if not hasattr(detector, name)]
    if lacking:
        raise InputError(f"{origin} is no detector: it has no {', '.join(lacking)}")
    checked: Detector = detector
    return checked
