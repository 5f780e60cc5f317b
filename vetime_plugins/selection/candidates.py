"""What can be selected: VETime, detectors of the leaderboard by name, and objects of the four frameworks.

Each becomes a `Candidate`, which is fitted on a whole series without labels and then scores that series and
later ones. Gaps, points that a detector leaves out and random seeds are treated as on the leaderboard (see
`vetime_plugins.detectors.framework`).
"""

from __future__ import annotations

import copy
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins import detectors
from vetime_plugins.detectors.framework import FrameworkDetector, complete
from vetime_plugins.errors import InputError
from vetime_plugins.selection.objects import Interface, find_interface
from vetime_plugins.series.inputs import Series

__all__ = ["DEFAULT_CANDIDATES", "VETIME", "Candidate", "Fitted", "resolve", "resolve_all"]

Scores = NDArray[np.float64]

VETIME = "vetime"
"""Name of the zero-shot detector of this package, without any framework around it."""

DEFAULT_CANDIDATES = (
    VETIME,
    "sub-knn",
    "sub-pca",
    "moving-variance",
    "pyod-spectral-residual",
    "sktime-hampel",
    "merlion-isolation-forest",
)
"""What is compared where nothing is named: fast ones of different kinds, of each framework at most one.

Neighbours, subspace, dispersion, spectrum, local median and isolation of points. Those whose framework is not
installed are left out, with a sentence among the reasons; those that take one variable only where there are
several are reported as failed.
"""

_MAX_REFERENCE = 20_000  # as in the adapters


class Fitted(ABC):
    """A candidate that has seen a series: its scores of it are (T,) and finite, higher = more anomalous."""

    scores: Scores

    @abstractmethod
    def score(self, values: Scores) -> Scores:
        """Score a series of the same variables, (n, C) -> (n,)."""


class Candidate(ABC):
    """Something that can be fitted on a series and scores it; `origin` is what `resolve` was given."""

    name: str
    origin: Any

    @abstractmethod
    def fit(self, values: Scores, period: int, seed: int) -> Fitted:
        """Fit on a series (T, C), where NaN marks gaps.

        `period`, in points, is for a candidate that needs a window and was given none.
        """


@dataclass(frozen=True)
class _VETime(Candidate):
    weights: str
    device: str
    name: str = VETIME
    origin: Any = VETIME

    def fit(self, values: Scores, period: int, seed: int) -> Fitted:
        return _FittedVETime(self, self.score(values, None), values[-_MAX_REFERENCE:].copy())

    def score(self, values: Scores, reference: Scores | None) -> Scores:
        from vetime_plugins.pipeline import cached_pipeline

        return cached_pipeline(self.weights, device=self.device).score(
            Series.from_columns(values, checked=True), reference=reference
        )


@dataclass(frozen=True)
class _FittedVETime(Fitted):
    candidate: _VETime
    scores: Scores
    reference: Scores

    def score(self, values: Scores) -> Scores:
        return self.candidate.score(values, self.reference)


@dataclass(frozen=True)
class _Registered(Candidate):
    """A detector of the leaderboard."""

    name: str
    detector: Any
    origin: Any

    def fit(self, values: Scores, period: int, seed: int) -> Fitted:
        kept = values.copy()
        # Not `values` themselves: one's own detector may write into what the other candidates get.
        scores = complete(self.detector.fit_score(kept.copy(), len(kept), period, seed), len(kept))
        return _FittedRegistered(self.detector, scores, kept, period, seed)


@dataclass(frozen=True)
class _FittedRegistered(Fitted):
    detector: Any
    scores: Scores
    values: Scores
    period: int
    seed: int

    def score(self, values: Scores) -> Scores:
        """Score `values` as what follows the series that was fitted: the leaderboard knows no other way."""
        if np.array_equal(values, self.values, equal_nan=True):
            return self.scores
        fitted = len(self.values)
        joined = np.concatenate([self.values, values])
        scores = self.detector.fit_score(joined, fitted, self.period, self.seed)
        return complete(scores, len(joined))[fitted:]


@dataclass(frozen=True)
class _Object(Candidate):
    """An object with an interface of one of the frameworks; the object itself is never fitted."""

    name: str
    interface: Interface
    origin: Any

    def fit(self, values: Scores, period: int, seed: int) -> Fitted:
        fitted = copy.deepcopy(self.origin)
        return _FittedObject(self, fitted, _run(self, self.interface.fit, fitted, values, seed), seed)


@dataclass(frozen=True)
class _FittedObject(Fitted):
    candidate: _Object
    fitted: Any
    scores: Scores
    seed: int

    def score(self, values: Scores) -> Scores:
        return _run(self.candidate, self.candidate.interface.score, self.fitted, values, self.seed)


def _run(
    candidate: _Object, what: Callable[[Any, Scores], ArrayLike], detector: Any, values: Scores, seed: int
) -> Scores:
    """Fit or score by an object under the rules of the leaderboard."""
    ruled = FrameworkDetector(
        name=candidate.name,
        framework=candidate.interface.framework,
        params={},
        sees_train=False,  # it sees all
        supports_multivariate=True,  # or says that it does not
        function=lambda job: lambda: what(detector, job.values),
    )
    return ruled.fit_score(values, len(values), 1, seed)  # no interface takes the period


def resolve(candidate: Any, *, weights: str = "small", device: str = "auto") -> Candidate:
    """Return a `Candidate` for whatever a user names or brings.

    That is ``"vetime"``, to which `weights` and `device` apply; a name of
    `vetime_plugins.detectors.registry.names`, to which `device` applies if it can use a GPU; a detector of
    the leaderboard; or an object of one of the frameworks (see `vetime_plugins.selection.objects`).

    Raises
    ------
    InputError
        If there is no detector of that name, or the object offers no known interface.
    """
    if isinstance(candidate, Candidate):
        return candidate
    if isinstance(candidate, str):
        if candidate == VETIME:
            return _VETime(weights, device)
        found = detectors.get(candidate)
        if device != "auto" and hasattr(found, "on"):
            found = found.on(device)
        return _Registered(candidate, found, candidate)
    if isinstance(candidate, type):
        raise InputError(f"a candidate must be an object, got the class {candidate.__name__}; call it first")
    if isinstance(candidate, detectors.Detector):
        return _Registered(candidate.name, candidate, candidate)
    interface = find_interface(candidate)
    if interface is None:
        raise InputError(
            "a candidate must be a detector's name, or an object with fit and decision_function (PyOD, "
            "scikit-learn), fit and transform_scores (sktime), a scorer of Darts or a detector of Merlion; "
            f"got {type(candidate).__name__}"
        )
    return _Object(type(candidate).__name__, interface, candidate)


def resolve_all(
    candidates: Iterable[Any], *, weights: str = "small", device: str = "auto"
) -> list[Candidate]:
    """Return the candidates with unique names: of two alike the second is called ``name-2``.

    Raises
    ------
    InputError
        If there is none, or one of them is unusable (see `resolve`).
    """
    if isinstance(candidates, str):
        candidates = [candidates]
    found: list[Candidate] = []
    taken: set[str] = set()
    named: set[str] = set()
    for given in candidates:
        candidate = resolve(given, weights=weights, device=device)
        if isinstance(given, str):
            if given in named:
                raise InputError(f"candidate {given!r} is named twice")
            named.add(given)
        names = itertools.chain([candidate.name], (f"{candidate.name}-{i}" for i in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        if name != candidate.name:
            candidate = copy.copy(candidate)
            object.__setattr__(candidate, "name", name)
        taken.add(name)
        found.append(candidate)
    if not found:
        raise InputError("there must be at least one candidate, got none")
    return found
