"""What a series is like, and which synthetic anomalies therefore tell detectors apart on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.series.inputs import Series
from vetime_plugins.series.period import find_cycle
from vetime_plugins.synthesis.measure import jumpiness, noise_level

__all__ = ["GROUPS", "Profile", "describe"]

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "points": ("spike", "local_spike", "spike_group", "dip", "burst", "zero"),
        "level": ("level_shift", "drift", "recovery", "stuck", "clipping"),
        "texture": ("noise", "variance", "smoothing", "coarse", "ripple"),
        "shape": ("amplitude", "flip", "reversal", "wrong_shape", "distortion", "partial_loss"),
        "timing": (
            "contextual",
            "frequency",
            "phase",
            "time_warp",
            "extra_cycle",
            "missing_cycle",
            "swapped_cycle",
            "foreign_cycle",
            "ectopic",
        ),
        "relations": ("broken_correlation", "lag_change", "one_variable"),
    }
)
"""Kinds of `vetime_plugins.synthesis.list_kinds` that are tried together.

Those that last are left out: they change what follows them, which is then no longer the user's series.
"""

_SPIKY = 8.0  # the 99.8 % quantile of steps in noise levels; 3.8 in Gaussian noise
_RELATED = 0.5  # correlation, as `vetime_plugins.synthesis.inject` asks of partners


@dataclass(frozen=True)
class Profile:
    """What a series is like.

    `period`, in points, is that of the autocorrelation, None where no cycle explains 40 % of the variance.
    A series is `spiky` where single points stand far off their neighbours in some variable already, and
    `related` where two variables correlate.
    """

    n_points: int
    n_variables: int
    period: float | None
    spiky: bool
    related: bool

    @property
    def groups(self) -> dict[str, int]:
        """How many trials of each group make a full round, by name; 0 is left out.

        Every series gets each of the general groups once. Point anomalies count double where points stand out
        by nature, since there a detector must tell them from normal ones; shape and timing do where cycles
        repeat, and relations where variables have some.
        """
        shares = {
            "points": 2 if self.spiky else 1,
            "shape": 2 if self.period else 1,
            "level": 1,
            "timing": 2 if self.period else 0,
            "relations": 2 if self.related else 0,
            "texture": 1,
        }
        return {group: share for group, share in shares.items() if share}

    def __str__(self) -> str:
        cycles = f"cycles of {self.period:.0f} points" if self.period else "no cycles"
        points = "spiky" if self.spiky else "not spiky"
        variables = "" if self.n_variables == 1 else ", related" if self.related else ", unrelated"
        count = "1 variable" if self.n_variables == 1 else f"{self.n_variables} variables"
        return f"{self.n_points:,} points of {count}{variables}, {cycles}, {points}"


def describe(series: Series) -> Profile:
    """Return the profile of a series."""
    values = series.values / np.maximum(np.abs(series.values).max(axis=0), np.finfo(np.float64).tiny)
    return Profile(
        n_points=len(values),
        n_variables=values.shape[1],
        period=find_cycle(values) if len(values) >= 8 else None,
        spiky=any(_is_spiky(column) for column in values.T),
        related=_are_related(values[:, series.varies]),
    )


def _is_spiky(column: NDArray[np.float64]) -> bool:
    jump = jumpiness(column)
    return jump > 1e-9 and jump > _SPIKY * noise_level(column)


def _are_related(values: NDArray[np.float64]) -> bool:
    if values.shape[1] < 2 or len(values) < 3:
        return False
    correlation = np.abs(np.corrcoef(values.T))
    np.fill_diagonal(correlation, 0)
    return bool(correlation.max() >= _RELATED)
