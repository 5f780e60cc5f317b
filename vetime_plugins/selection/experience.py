"""How well detectors did on generated series with known anomalies: what is known before a series is seen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vetime_plugins.selection.candidates import Candidate

__all__ = ["EXPERIENCE", "EXPERIENCE_SEVERAL", "experience_of"]

EXPERIENCE: Mapping[str, float] = MappingProxyType(
    {
        "vetime": 0.67,
        "sub-knn": 0.56,
        "sub-pca": 0.52,
        "moving-variance": 0.33,
        "merlion-isolation-forest": 0.30,
        "pyod-spectral-residual": 0.26,
        "sktime-hampel": 0.17,
    }
)
"""Mean VUS-PR on 60 series of one variable, by name: ``python benchmarks/selection.py experience``."""

EXPERIENCE_SEVERAL: Mapping[str, float] = MappingProxyType(
    {
        "vetime": 0.48,
        "sub-pca": 0.35,
        "sub-knn": 0.32,
        "moving-variance": 0.15,
        "pyod-spectral-residual": 0.14,
        "merlion-isolation-forest": 0.13,
    }
)
"""The same on 40 series of two to eight: ``python benchmarks/selection.py experience_multivariate``."""


def experience_of(candidate: Candidate, n_variables: int = 1) -> float | None:
    """Return the experience with a candidate that was named, None where there is none.

    An object may have any parameters, so that what is known of its class says little.
    """
    known = EXPERIENCE if n_variables == 1 else EXPERIENCE_SEVERAL
    return known.get(candidate.origin) if isinstance(candidate.origin, str) else None
