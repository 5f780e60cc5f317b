"""The registry of kinds: name, function, usual length, weight and what a series must have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vetime_plugins.synthesis._random import Array, log_uniform
from vetime_plugins.synthesis.anomalies import levels, points, relations, shapes, timing
from vetime_plugins.synthesis.anomalies.context import Change, Context

Function = Callable[[Array, int, int, Context], Array | Change | None]

# Usual lengths, log-uniform between: (least share of a period, most periods, bound of the least in steps).
# The last bound is for long periods, a day of minutes: most anomalies there are far shorter than a cycle.
_LENGTHS: dict[str, tuple[float, float, float]] = {
    "short": (0.0, 0.4, 3),
    "any": (0.0, 1.5, 3),
    "cycle": (0.4, 2.0, 40),
    "long": (0.6, 6.0, 60),
    "beat": (1.0, 2.2, np.inf),
    "cycles": (1.0, 6.0, np.inf),
}
_SHORTEST = 3  # of what is no point


@dataclass(frozen=True)
class Kind:
    """One kind of anomaly.

    Attributes
    ----------
    name : str
    function : callable
        ``function(values, start, stop, context)``: the clean variable (T,) and a span -> the new values of
        the span (stop - start,), a `Change` that lasts, or None where the kind makes no sense there.
    length : {"point", "short", "any", "cycle", "long", "beat", "cycles"}
        Class of its usual length.
    weight : float
        Share in the training corpus.
    periodic : bool
        Needs a series with a period.
    relational : bool
        Needs another variable that goes with this one.
    lasting : bool
        What comes after the anomaly is changed as well, and normal (see `Change`).
    """

    name: str
    function: Function
    length: str
    weight: float = 1.0
    periodic: bool = False
    relational: bool = False
    lasting: bool = False

    @property
    def summary(self) -> str:
        """What the kind does, in one line."""
        return (self.function.__doc__ or "").strip().splitlines()[0]

    def draw_length(
        self,
        rng: np.random.Generator,
        period: float,
        length: int,
        stretch: tuple[float, float] = (1.0, 1.0),
    ) -> int:
        """Return a number of steps for a series of `length` steps; never above a fifth of it.

        The usual length is multiplied by a factor out of `stretch`, log-uniform; points stay points.
        """
        if self.length == "point":
            steps = float(rng.integers(1, 4))
        else:
            share, periods, bound = _LENGTHS[self.length]
            least = max(_SHORTEST, min(share * period, bound))
            steps = log_uniform(rng, least, max(least + 2, periods * period))
            steps *= log_uniform(rng, *stretch)
        return int(np.clip(round(steps), 1, max(1, length // 5)))


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("spike", points.spike, "point", 1.5),
        Kind("local_spike", points.local_spike, "point", 1.5),
        Kind("spike_group", points.spike_group, "short", 0.7),
        Kind("dip", points.dip, "any", 1.2),
        Kind("burst", points.burst, "any", 1.2),
        Kind("zero", points.zero, "any", 0.7),
        Kind("contextual", points.contextual, "short", 1.0, periodic=True),
        Kind("noise", points.noise, "any", 1.0),
        Kind("level_shift", levels.level_shift, "long", 1.2),
        Kind("drift", levels.drift, "long", 0.8),
        Kind("recovery", levels.recovery, "long", 0.6),
        Kind("change_point", levels.change_point, "short", 0.7, lasting=True),
        Kind("stuck", levels.stuck, "any", 1.0),
        Kind("clipping", levels.clipping, "long", 0.6),
        Kind("variance", levels.variance, "long", 0.7),
        Kind("coarse", levels.coarse, "cycle", 0.5),
        Kind("amplitude", shapes.amplitude, "cycle", 1.2),
        Kind("flip", shapes.flip, "cycle", 0.8),
        Kind("reversal", shapes.reversal, "cycle", 0.8),
        Kind("smoothing", shapes.smoothing, "cycle", 0.6),
        Kind("wrong_shape", shapes.wrong_shape, "cycle", 1.5),
        Kind("distortion", shapes.distortion, "cycle", 1.5),
        Kind("partial_loss", shapes.partial_loss, "short", 1.0),
        Kind("ripple", shapes.ripple, "cycle", 0.8),
        Kind("frequency", timing.frequency, "long", 1.2, periodic=True),
        Kind("phase", timing.phase, "long", 0.8, periodic=True),
        Kind("time_warp", timing.time_warp, "cycle", 1.0),
        Kind("extra_cycle", timing.extra_cycle, "cycles", 1.0, periodic=True),
        Kind("missing_cycle", timing.missing_cycle, "cycle", 1.0, periodic=True),
        Kind("swapped_cycle", timing.swapped_cycle, "cycle", 0.7),
        Kind("foreign_cycle", timing.foreign_cycle, "cycle", 0.8),
        Kind("ectopic", timing.ectopic, "beat", 1.2, periodic=True),
        Kind("pause", timing.pause, "cycle", 0.4, periodic=True, lasting=True),
        Kind("broken_correlation", relations.broken_correlation, "long", 2.5, relational=True),
        Kind("lag_change", relations.lag_change, "long", 1.5, relational=True),
        Kind("one_variable", relations.one_variable, "cycle", 1.5, relational=True),
    )
}
"""Every kind of anomaly by its name."""
