"""Putting anomalies into a series: where, how large, and whether they can be seen at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vetime_plugins.synthesis._random import Array, chance, pick
from vetime_plugins.synthesis.anomalies import KINDS, Context, Kind
from vetime_plugins.synthesis.anomalies.context import Change
from vetime_plugins.synthesis.measure import jumpiness, local_scale, noise_level, novelty
from vetime_plugins.synthesis.normal.sensor import Sensor
from vetime_plugins.synthesis.series import Anomaly, SyntheticSeries

_NOVEL = 1.2  # a changed stretch must be this much farther from its nearest normal neighbour than it was
_RELATED = 0.5  # smallest correlation of variables that go together


@dataclass(frozen=True)
class _Facts:
    """What a normal variable does, as its sensor shows it."""

    seen: Array
    noise: float
    spike: float
    low: float
    high: float
    scale: Array
    tolerance: float


@dataclass
class Scene:
    """A clean series and the anomalies put into it so far, before the sensors.

    Attributes
    ----------
    clean : ndarray of shape (T, C)
        Physical values without anomalies, finite.
    signal : ndarray of shape (T, C)
        The part of `clean` that is no noise, as far as it is known; else `clean` itself.
    sensors : sequence of Sensor
        One a variable.
    period : float or None
    values : ndarray of shape (T, C)
        Physical values with the anomalies.
    anomalies : list of Anomaly
    """

    clean: Array
    signal: Array
    sensors: Sequence[Sensor]
    period: float | None
    values: Array = field(init=False)
    anomalies: list[Anomaly] = field(default_factory=list, init=False)
    taken: np.ndarray = field(init=False)
    _facts: dict[int, _Facts] = field(default_factory=dict, init=False)
    _partners: np.ndarray | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.values = self.clean.copy()
        self.taken = np.zeros(len(self.clean), dtype=bool)

    @property
    def window(self) -> int:
        """Steps in which the local scale is taken."""
        return max(8, round(self.period) if self.period else len(self.clean) // 32)

    def facts(self, variable: int) -> _Facts:
        """Return the statistics of one clean variable."""
        if variable not in self._facts:
            seen = self.sensors[variable].read(self.clean[:, variable])
            scale = local_scale(seen, self.window)
            noise = noise_level(seen)
            tolerance = max(0.25 * noise, 1e-3 * float(scale.min()))
            self._facts[variable] = _Facts(
                seen, noise, jumpiness(seen), float(seen.min()), float(seen.max()), scale, tolerance
            )
        return self._facts[variable]

    def partners(self) -> np.ndarray:
        """Return for each variable the one that it correlates with most, -1 where there is none, (C,)."""
        if self._partners is None:
            centred = self.clean - self.clean.mean(axis=0)
            norm = np.sqrt((centred**2).sum(axis=0))
            alive = norm > 1e-9 * (1 + np.abs(self.clean).max(axis=0))
            centred = np.where(alive, centred / np.where(alive, norm, 1.0), 0.0)
            relation = np.abs(centred.T @ centred)
            np.fill_diagonal(relation, 0.0)
            best = relation.argmax(axis=1)
            self._partners = np.where(relation[np.arange(len(best)), best] >= _RELATED, best, -1)
        return self._partners

    def usable(self, kind: Kind) -> bool:
        """Return whether the series has what the kind needs."""
        if kind.periodic and self.period is None:
            return False
        return not kind.relational or (self.clean.shape[1] > 1 and bool((self.partners() >= 0).any()))

    def add(
        self,
        rng: np.random.Generator,
        kind: Kind,
        severity: float,
        variables: Sequence[int],
        *,
        length: int | None = None,
        most: int,
        typical: float,
    ) -> bool:
        """Try once to put one anomaly somewhere; return whether it is there and can be seen.

        Parameters
        ----------
        rng : numpy.random.Generator
        kind : Kind
        severity : float
            0 barely visible to 1 gross.
        variables : sequence of int
            The variables to change.
        length : int, optional
            Steps; by default as usual for the kind.
        most : int
            Most steps that it may take.
        typical : float
            Stands in for the period where there is none.
        """
        total = len(self.clean)
        period = self.period or typical
        n = min(length or min(kind.draw_length(rng, period, total), most), total)
        start = self._free_place(rng, n)
        if start is None:
            return False
        stop = start + n
        touched: list[int] = []
        for variable in variables:
            facts = self.facts(variable)
            context = Context(
                rng, severity, period, facts.noise, float(facts.scale[start:stop].mean()), facts.spike,
                facts.low, facts.high, self.signal[:, variable], self.clean,
            )  # fmt: skip
            outcome = kind.function(self.clean[:, variable], start, stop, context)
            if outcome is None:
                continue
            segment, normal = outcome, self.clean[start:stop, variable]
            if isinstance(outcome, Change):
                if self.taken[stop:].any():
                    continue
                segment, normal = outcome.segment, outcome.normal
            if not np.isfinite(segment).all() or not self._visible(kind, segment, normal, start, variable):
                continue
            if isinstance(outcome, Change):
                noise = self.clean[stop:, variable] - self.signal[stop:, variable]
                self.clean[start:stop, variable] = normal
                self.clean[stop:, variable] = self.values[stop:, variable] = outcome.tail
                self.signal[stop:, variable] = outcome.tail - noise
            self.values[start:stop, variable] = segment
            touched.append(variable)
        if not touched:
            return False
        gap = max(3, n // 4)
        self.taken[max(0, start - gap) : stop + gap] = True
        self.anomalies.append(Anomaly(kind.name, start, stop, tuple(touched)))
        return True

    def _free_place(self, rng: np.random.Generator, n: int) -> int | None:
        """Return the start of `n` steps that no anomaly has taken, None after eight misses."""
        for start in rng.integers(0, len(self.clean) - n + 1, size=8):
            if not self.taken[start : start + n].any():
                return int(start)
        return None

    def _visible(self, kind: Kind, segment: Array, normal: Array, start: int, variable: int) -> bool:
        """Return whether a careful eye could tell the changed stretch from normal behaviour."""
        facts, sensor = self.facts(variable), self.sensors[variable]
        new, old = sensor.read(segment), sensor.read(normal)
        gap = np.abs(new - old)
        largest = float(gap.max())
        if largest <= max(2 * facts.tolerance, 1e-6 * facts.high, -1e-6 * facts.low):
            return False
        n = len(new)
        if n <= 3:
            return largest > max(1.1 * facts.spike, 3.5 * facts.noise)
        if kind.relational:
            return self._unrelated(new, old, start, variable)
        margin = int(max(3, n // 4))
        changed, unchanged = novelty(facts.seen, facts.seen[start : start + n] + new - old, start, margin=margin)
        return changed > _NOVEL * unchanged + 0.02 * facts.noise or _texture(facts.seen, new, old)

    def _unrelated(self, new: Array, old: Array, start: int, variable: int) -> bool:
        """Return whether the stretch no longer follows the variable's partner."""
        partner = self.partners()[variable]
        if partner < 0:
            return False
        x, y = self.clean[:, partner], self.facts(variable).seen
        slope, level = np.polyfit(x, y, 1)
        rest = y - slope * x - level
        shifted = rest[start : start + len(new)] + new - old
        usual = float(np.sqrt(np.mean(rest**2)))
        return float(np.sqrt(np.mean(shifted**2))) > max(
            1.3 * usual, 1.5 * float(np.sqrt(np.mean(rest[start : start + len(new)] ** 2)))
        )

    def finish(self, *, dtype: str, family: str) -> SyntheticSeries:
        """Read both series through the sensors and label what really differs."""
        shape = self.clean.shape
        clean = np.empty(shape, dtype=dtype)
        values = np.empty(shape, dtype=dtype)
        labels = np.zeros(shape, dtype=np.uint8)
        severity = np.zeros(shape[0], dtype=np.float32)
        kinds: list[Anomaly] = []
        touched = sorted({variable for anomaly in self.anomalies for variable in anomaly.variables})
        for variable in range(shape[1]):
            clean[:, variable] = self.sensors[variable].store(self.clean[:, variable])
            values[:, variable] = clean[:, variable]
            if variable in touched:
                values[:, variable] = self.sensors[variable].store(self.values[:, variable])
        gaps = {v: np.nan_to_num(np.abs(values[:, v].astype(np.float64) - clean[:, v])) for v in touched}
        for anomaly in self.anomalies:
            spans = []
            for variable in anomaly.variables:
                gap = gaps[variable][anomaly.start : anomaly.stop]
                for begin, end in _spans(gap > self.facts(variable).tolerance):
                    labels[anomaly.start + begin : anomaly.start + end, variable] = 1
                    spans.append((anomaly.start + begin, anomaly.start + end, variable))
            if spans:
                first, last = min(s[0] for s in spans), max(s[1] for s in spans)
                kinds.append(Anomaly(anomaly.kind, first, last, tuple(sorted({s[2] for s in spans}))))
        values = np.where(labels == 1, values, clean)
        for variable in touched:
            ratio = gaps[variable] * labels[:, variable] / self.facts(variable).scale
            severity = np.maximum(severity, ratio.astype(np.float32))
        return SyntheticSeries(
            values=values,
            clean=clean,
            labels=labels.max(axis=1),
            variable_labels=labels,
            kinds=tuple(sorted(kinds, key=lambda a: (a.start, a.stop))),
            severity=severity,
            period=self.period,
            family=family,
        )


def _spans(differs: np.ndarray) -> list[tuple[int, int]]:
    """Return the spans [begin, end) of True, those closer than 4 steps or a quarter of the stretch joined."""
    index = np.flatnonzero(differs)
    if not len(index):
        return []
    reach = max(4, (index[-1] - index[0]) // 4)
    cuts = np.flatnonzero(np.diff(index) > reach)
    begins = np.concatenate([[index[0]], index[cuts + 1]])
    ends = np.concatenate([index[cuts], [index[-1]]]) + 1
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _texture(seen: Array, new: Array, old: Array) -> bool:
    """Return whether the stretch is smoother or rougher than (almost) any other one as long."""
    n = len(new)
    if n < 8 or len(seen) < 4 * n:
        return False
    rough = np.abs(np.diff(seen))
    total = np.concatenate([[0.0], np.cumsum(rough)])
    usual = (total[n - 1 :] - total[: -(n - 1)])[:: max(1, n // 4)]
    now = float(np.abs(np.diff(new)).sum())
    before = float(np.abs(np.diff(old)).sum())
    low, high = np.quantile(usual, [0.02, 0.98])
    return now < min(0.7 * before, 0.85 * float(low)) or now > max(1.4 * before, 1.15 * float(high))


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
    targets: Mapping[str, float] | None = None,
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
    targets : mapping, optional
        Weights of "one", "some" and "all" variables; by default 5, 3 and 2.

    Returns
    -------
    int
        Anomalies placed.
    """
    total, n_variables = scene.clean.shape
    usable = {name: weight for name, weight in kinds.items() if scene.usable(KINDS[name])}
    if not usable or count < 1:
        return 0
    typical = float(np.clip(total / 40, 8, 400) * np.exp(rng.uniform(-0.7, 0.7)))
    only = pick(rng, usable) if chance(rng, repeat) else None
    alive = [v for v in range(n_variables) if np.ptp(scene.clean[:, v]) > 0] or list(range(n_variables))
    names = [only or pick(rng, usable) for _ in range(count)]
    names.sort(key=lambda name: name not in ("change_point", "pause"))  # what lasts must come first
    placed = 0
    budget = max(1, int(density * total))
    for name in names:
        for attempt in range(6):
            if attempt == 3:  # this kind does nothing here
                name = pick(rng, usable)
            kind = KINDS[name]
            low = severity[0] if attempt < 2 else 0.3 * severity[0] + 0.7 * severity[1]
            level = float(rng.uniform(low, severity[1]))
            chosen = _targets(scene, rng, kind, alive, targets)
            if scene.add(rng, kind, level, chosen, length=length, most=max(3, budget), typical=typical):
                placed += 1
                budget -= scene.anomalies[-1].stop - scene.anomalies[-1].start
                break
        if budget <= 0:
            break
    return placed


def _targets(
    scene: Scene, rng: np.random.Generator, kind: Kind, alive: Sequence[int], weights: Mapping[str, float] | None
) -> list[int]:
    """Return the variables for one anomaly."""
    pool = [v for v in alive if scene.partners()[v] >= 0] if kind.relational else list(alive)
    mode = pick(rng, weights or {"one": 5, "some": 3, "all": 2})
    if kind.relational or mode == "one" or len(pool) < 2:
        return [pool[int(rng.integers(len(pool)))]]
    size = len(pool) if mode == "all" else int(rng.integers(2, len(pool) + 1))
    return sorted(rng.choice(pool, size=size, replace=False).tolist())
