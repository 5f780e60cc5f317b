"""Anomalies for one's own series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vetime_plugins._arguments import check_whole, is_real
from vetime_plugins.errors import InputError
from vetime_plugins.series.inputs import as_float64, as_series, unit_exponents
from vetime_plugins.series.period import find_cycle
from vetime_plugins.synthesis._random import Array
from vetime_plugins.synthesis.anomalies import KINDS
from vetime_plugins.synthesis.normal.sensor import Sensor
from vetime_plugins.synthesis.placement import populate
from vetime_plugins.synthesis.scene import Scene
from vetime_plugins.synthesis.series import SyntheticSeries

_SHORTEST = 8


def list_kinds() -> dict[str, str]:
    """Return every kind of anomaly with one line that says what it does.

    Examples
    --------
    >>> "level_shift" in list_kinds()
    True
    """
    return {kind.name: kind.summary for kind in KINDS.values()}


def inject(
    series: Any,
    kinds: str | Sequence[str] | None = None,
    *,
    n: int | None = None,
    density: float | None = None,
    severity: float | tuple[float, float] = (0.2, 1.0),
    length: int | None = None,
    period: float | None = None,
    seed: int = 0,
) -> SyntheticSeries:
    """Put labelled anomalies into one's own series, for instance to test a detector on it.

    Parameters
    ----------
    series : array-like of shape (T,) or (T, C)
        Normal data; T >= 8. NaN marks missing readings and stays where it is; whole numbers stay whole.
    kinds : str or sequence of str, optional
        Names from `list_kinds`; by default all that fit the series.
    n : int, optional
        Number of anomalies; by default 1, or what `density` asks for.
    density : float, optional
        Share of anomalous steps to aim for, in (0, 0.5].
    severity : float or tuple of float, default (0.2, 1.0)
        0 barely visible to 1 gross, or a range.
    length : int, optional
        Steps of each anomaly; by default drawn as fits the kind and the period.
    period : float, optional
        Length of a cycle in steps; by default found by autocorrelation.
    seed : int, default 0

    Returns
    -------
    SyntheticSeries
        Holds as many anomalies as could be placed so that they can be seen, `n` at most.

    Raises
    ------
    InputError
        For a series that is not numeric, 1-D or 2-D, finite and long enough; for unknown kinds, and where no
        anomaly of these kinds could be placed.
    """
    user = _read(series)
    total = len(user.raw)
    names = list(KINDS) if kinds is None else [kinds] if isinstance(kinds, str) else list(kinds)
    unknown = [name for name in names if name not in KINDS]
    if unknown or not names:
        raise InputError(f"kinds must be some of {', '.join(KINDS)}; got {unknown or 'none'}")
    bounds = [severity, severity] if is_real(severity) else list(severity) if np.iterable(severity) else []
    if len(bounds) != 2 or not all(map(is_real, bounds)) or not 0 <= bounds[0] <= bounds[1] <= 1:
        raise InputError(f"severity must be within 0 and 1 (or a range of these), got {severity!r}")
    low, high = bounds
    if n is not None:
        check_whole("n", n, meaning="how many anomalies")
    if density is not None and not (is_real(density) and 0 < density <= 0.5):
        raise InputError(f"density must be above 0 and at most 0.5, got {density!r}")
    if length is not None and check_whole("length", length) > total // 2:
        raise InputError(f"length must be between 1 and half the series ({total // 2} steps), got {length}")
    if period is not None and not (is_real(period) and 2 <= period <= total):
        raise InputError(f"period must be between 2 and the length of the series ({total}), got {period!r}")
    check_whole("seed", seed, least=0)
    period = float(period) if period is not None else find_cycle(user.filled)
    scene = Scene(user.filled.copy(), user.filled.copy(), user.sensors, period)
    fitting = {name: KINDS[name].weight for name in names if scene.usable(KINDS[name])}
    if not fitting:
        raise InputError(
            f"none of the kinds {names} fits this series: they need "
            + " or ".join(
                sorted({"a period" if KINDS[k].periodic else "correlated variables" for k in names})
            )
            + "; give period=, other kinds, or more variables"
        )
    count = n or (1 if density is None else max(1, int(density * total)))
    rng = np.random.default_rng(seed)
    placed = populate(
        scene,
        rng,
        fitting,
        count,
        density=density or 0.5,
        severity=(float(low), float(high)),
        repeat=0.0,
        length=length,
    )
    if not placed:
        raise InputError(
            f"no anomaly of the kinds {sorted(fitting)} could be seen in this series of {total} steps; "
            "try a higher severity, another length or other kinds"
        )
    return user.restore(scene.finish(dtype="float64", family="user"))


@dataclass(frozen=True)
class _User:
    """The user's series (T, C): as it came, and in a unit in which squares neither overflow nor vanish."""

    raw: Array
    filled: Array
    exponents: np.ndarray  # the power of two between both units, (C,)
    sensors: tuple[Sensor, ...]

    def restore(self, result: SyntheticSeries) -> SyntheticSeries:
        """Return `result` in the user's unit; what was not changed is the user's own value, bit by bit."""
        limit = np.finfo(np.float64).max
        with np.errstate(over="ignore"):  # an anomaly may leave the range of floating point
            values = np.clip(np.ldexp(result.values, -self.exponents), -limit, limit)
            clean = np.clip(np.ldexp(result.clean, -self.exponents), -limit, limit)
        clean = np.where((result.clean == self.filled) | np.isnan(self.raw), self.raw, clean)
        return replace(result, clean=clean, values=np.where(result.variable_labels == 1, values, clean))


def _read(series: Any) -> _User:
    """Check the user's series and guess its sensors: whole numbers stay whole, gaps stay gaps."""
    checked = as_series(series)
    if len(checked) < _SHORTEST:
        raise InputError(
            f"series needs at least {_SHORTEST} steps to put an anomaly into, got {len(checked)}"
        )
    given = as_float64(series, "series")
    raw = given.reshape(len(given), -1).astype(np.float64)
    sensors = []
    for column, known, varies in zip(raw.T, checked.observed.T, checked.varies, strict=True):
        whole = given.dtype.kind in "iub" or (
            varies and np.array_equal(column[known], np.round(column[known]))
        )
        # Beyond 2**53 every number is whole; a changed unit has no step of 1 any more.
        small = np.abs(column[known]).max() < 2.0**53
        sensors.append(Sensor(step=float(whole and small), missing=None if known.all() else ~known))
    exponents = unit_exponents(checked.values)
    return _User(raw, np.ldexp(checked.values, exponents), exponents, tuple(sensors))
