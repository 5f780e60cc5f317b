"""Choosing how many anomalies of which kinds go where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vetime_plugins.synthesis._random import chance, pick
from vetime_plugins.synthesis.anomalies import KINDS, Kind
from vetime_plugins.synthesis.scene import Scene

_ATTEMPTS = 6  # at one anomaly; half of them with the kind first thought of


def populate(
    scene: Scene,
    rng: np.random.Generator,
    kinds: Mapping[str, float],
    count: int,
    *,
    density: float,
    severity: tuple[float, float],
    repeat: float = 0.25,
    length: int | None = None,
    variables: Sequence[int] | None = None,
    targets: Mapping[str, float] | None = None,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> int:
    """Put up to `count` anomalies into a scene.

    Parameters
    ----------
    scene : Scene
    rng : numpy.random.Generator
    kinds : mapping of str to float
        Names and weights of the kinds to choose from.
    count : int
        Wished number.
    density : float
        Largest share of anomalous steps.
    severity : tuple of float
        Range in [0, 1].
    repeat : float, default 0.25
        Probability that all anomalies of the series are of one kind.
    length : int, optional
        Steps of every anomaly; by default as usual for its kind.
    variables : sequence of int, optional
        The variables that may be hit; by default all that vary.
    targets : mapping of str to float, optional
        Weights of "one", "some" and "all" variables; by default 5, 3 and 2.
    stretch : tuple of float, default (1, 1)
        Range of the factor on the usual length of each anomaly that is no point.

    Returns
    -------
    int
        Anomalies placed.
    """
    total, n_variables = scene.clean.shape
    if count < 1 or density <= 0:
        return 0
    usable = {name: weight for name, weight in kinds.items() if scene.usable(KINDS[name])}
    if not usable:
        return 0
    typical = float(np.clip(total / 40, 8, 400) * np.exp(rng.uniform(-0.7, 0.7)))
    only = pick(rng, usable) if chance(rng, repeat) else None
    pool = range(n_variables) if variables is None else variables
    alive = [v for v in pool if np.ptp(scene.clean[:, v]) > 0] or list(pool)
    names = [only or pick(rng, usable) for _ in range(count)]
    names.sort(key=lambda name: not KINDS[name].lasting)  # what lasts must come first
    twin = int(rng.integers(2**31)) if only and chance(rng, 0.4) else None
    placed = 0
    budget = max(1, int(density * total))
    for number, name in enumerate(names):
        # Something must be left for those to come.
        most = max(3, budget if number == count - 1 else int(0.6 * budget))
        for attempt in range(_ATTEMPTS):
            if attempt == _ATTEMPTS // 2:  # this kind does nothing here
                name = pick(rng, usable)
            kind = KINDS[name]
            low = severity[0] if attempt < 2 else 0.3 * severity[0] + 0.7 * severity[1]
            level = low + (severity[1] - low) * float(rng.random()) ** 0.8
            chosen = _targets(scene, rng, kind, alive, targets)
            steps = length
            if twin is not None:  # nearly the same thing again, so that it has a neighbour
                level, steps = 0.5 * (severity[0] + severity[1]), length or _last_length(scene, most)
            if scene.add(
                rng, kind, level, chosen, length=steps, most=most, typical=typical, twin=twin, stretch=stretch
            ):
                placed += 1
                budget -= scene.anomalies[-1].stop - scene.anomalies[-1].start
                break
        if budget <= 0:
            break
    return placed


def _last_length(scene: Scene, most: int) -> int | None:
    """Return the length of the latest anomaly, `most` at most; None before the first."""
    return (
        min(scene.anomalies[-1].stop - scene.anomalies[-1].start, max(3, most)) if scene.anomalies else None
    )


def _targets(
    scene: Scene,
    rng: np.random.Generator,
    kind: Kind,
    alive: Sequence[int],
    weights: Mapping[str, float] | None,
) -> list[int]:
    """Return the variables for one anomaly."""
    pool = [v for v in alive if kind.relational and scene.partners()[v] >= 0] or list(alive)
    mode = pick(rng, weights or {"one": 5, "some": 3, "all": 2})
    if kind.relational or mode == "one" or len(pool) < 2:
        return [pool[int(rng.integers(len(pool)))]]
    size = len(pool) if mode == "all" else int(rng.integers(2, len(pool) + 1))
    return sorted(rng.choice(pool, size=size, replace=False).tolist())
