"""How well detectors did on generated series with known anomalies: what is known before a series is seen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vetime_plugins.selection.candidates import Candidate

__all__ = ["EXPERIENCE", "experience_of"]

EXPERIENCE: Mapping[str, float] = MappingProxyType(
    {
        "vetime": 0.69,
        "sub-knn": 0.56,
        "sub-pca": 0.52,
        "moving-variance": 0.33,
        "merlion-isolation-forest": 0.30,
        "pyod-spectral-residual": 0.26,
        "sktime-hampel": 0.17,
    }
)
"""Mean VUS-PR on 60 series by name, as ``python benchmarks/selection.py experience`` measured it."""


def experience_of(candidate: Candidate) -> float | None:
    """Return the experience with a candidate that was named, None where there is none.

    An object may have any parameters, so that what is known of its class says little.
    """
    return EXPERIENCE.get(candidate.origin) if isinstance(candidate.origin, str) else None
