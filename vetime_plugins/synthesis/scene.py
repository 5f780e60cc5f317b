"""A series and the anomalies in it: changing it, and labelling what was changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vetime_plugins.synthesis._random import Array, chance
from vetime_plugins.synthesis.anomalies import Change, Context, Kind
from vetime_plugins.synthesis.normal.sensor import Sensor
from vetime_plugins.synthesis.series import Anomaly, SyntheticSeries
from vetime_plugins.synthesis.visibility import Facts, unrelated, visible

_RELATED = 0.5  # smallest correlation of variables that go together


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
    _facts: dict[int, Facts] = field(default_factory=dict, init=False)
    _partners: np.ndarray | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.values = self.clean.copy()
        self.taken = np.zeros(len(self.clean), dtype=bool)

    @property
    def window(self) -> int:
        """Steps in which the local scale is taken."""
        return max(8, round(self.period) if self.period else len(self.clean) // 32)

    def facts(self, variable: int) -> Facts:
        """Return the statistics of one clean variable."""
        if variable not in self._facts:
            self._facts[variable] = Facts.of(
                self.sensors[variable].read(self.clean[:, variable]), self.window
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
        typical: float,
        most: int,
        length: int | None = None,
        twin: int | None = None,
        stretch: tuple[float, float] = (1.0, 1.0),
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
        typical : float
            Stands in for the period where there is none.
        most : int
            Most steps that it may take where `length` is not given.
        length : int, optional
            Steps; by default as usual for the kind.
        twin : int, optional
            Seed of the draws that shape the anomaly: the same for anomalies that shall resemble each other.
        stretch : tuple of float
            Range of the factor on the usual length of a kind that is no point.
        """
        total = len(self.clean)
        period = self.period or typical
        n = min(length or min(kind.draw_length(rng, period, total, stretch), most), total)
        start = self._free_place(rng, n, variables[0])
        if start is None:
            return False
        touched = [
            variable
            for variable in variables
            if self._change(
                rng if twin is None else np.random.default_rng(twin),
                kind,
                severity,
                start,
                n,
                variable,
                period,
            )
        ]
        if touched:
            gap = max(3, n // 4)
            self.taken[max(0, start - gap) : start + n + gap] = True
            self.anomalies.append(Anomaly(kind.name, start, start + n, tuple(touched)))
        return bool(touched)

    def _change(
        self,
        rng: np.random.Generator,
        kind: Kind,
        severity: float,
        start: int,
        n: int,
        variable: int,
        period: float,
    ) -> bool:
        """Change `n` steps of one variable; leave it alone, and return False, where nobody would see it."""
        facts, stop, clean = self.facts(variable), start + n, self.clean[:, variable]
        context = Context(
            rng=rng,
            severity=severity,
            period=period,
            noise=facts.noise,
            scale=float(facts.scale[start:stop].mean()),
            spike=facts.spike,
            low=facts.low,
            high=facts.high,
            signal=self.signal[:, variable],
        )
        outcome = kind.function(clean, start, stop, context)
        if outcome is None:
            return False
        if not isinstance(outcome, Change):
            outcome = Change(outcome, clean[start:stop], clean[stop:])
        elif self.taken[stop:].any() or self._saturates(outcome.tail, variable):
            return False
        if not np.isfinite(outcome.segment).all() or not self._visible(rng, kind, outcome, start, variable):
            return False
        self.values[start:stop, variable] = outcome.segment
        if kind.lasting:
            noise = clean[stop:] - self.signal[stop:, variable]
            self.signal[stop:, variable] = outcome.tail - noise
            self.clean[start:stop, variable] = outcome.normal
            self.clean[stop:, variable] = self.values[stop:, variable] = outcome.tail
            del self._facts[variable]
            self._partners = None
        return True

    def adopt(self, disturbance: Array, incidents: Sequence[Anomaly]) -> int:
        """Take over anomalies that were made elsewhere, where the sensors show them; return how many.

        Parameters
        ----------
        disturbance : ndarray of shape (T, C)
            What they add to the clean series.
        incidents : sequence of Anomaly
        """
        adopted = 0
        for incident in incidents:
            span = slice(incident.start, incident.stop)
            touched = []
            for variable in incident.variables:
                facts, read = self.facts(variable), self.sensors[variable].read
                old = self.clean[span, variable]
                new = old + disturbance[span, variable]
                # One of many readings of an event need not stand out by itself, but must show something.
                if np.abs(read(new) - read(old)).max() > max(2 * facts.noise, 0.1 * facts.scale[span].mean()):
                    self.values[span, variable] = new
                    touched.append(variable)
            if touched:
                self.taken[max(0, incident.start - 8) : incident.stop + 8] = True
                self.anomalies.append(incident._replace(variables=tuple(touched)))
                adopted += 1
        return adopted

    def _saturates(self, tail: Array, variable: int) -> bool:
        """Return whether more than a twentieth of `tail` is beyond the limits of the sensor."""
        sensor = self.sensors[variable]
        if not len(tail):  # a change at the very end
            return False
        return float(np.mean((tail < sensor.low) | (tail > sensor.high))) > 0.05

    def _free_place(self, rng: np.random.Generator, n: int, variable: int) -> int | None:
        """Return the start of `n` steps that no anomaly has taken, None after eight misses.

        Every other time the busiest of three places is taken: where nothing happens, there is little to
        change.
        """
        starts = rng.integers(0, len(self.clean) - n + 1, size=8)
        free = [int(start) for start in starts if not self.taken[start : start + n].any()]
        if not free:
            return None
        if chance(rng, 0.5):
            return free[0]
        scale = self.facts(variable).scale
        return max(free[:3], key=lambda start: scale[start + n // 2])

    def _visible(
        self, rng: np.random.Generator, kind: Kind, change: Change, start: int, variable: int
    ) -> bool:
        """Return whether the sensor shows a change that stands out."""
        sensor, facts = self.sensors[variable], self.facts(variable)
        new, old = sensor.read(change.segment), sensor.read(change.normal)
        if kind.relational:
            partner = int(self.partners()[variable])
            return partner >= 0 and unrelated(facts, self.clean[:, partner], new, old, start)
        return visible(rng, facts, new, old, start)

    def finish(self, *, dtype: str, family: str) -> SyntheticSeries:
        """Read both series through the sensors and label what really differs."""
        shape = self.clean.shape
        clean = np.empty(shape, dtype=dtype)
        values = np.empty(shape, dtype=dtype)
        labels = np.zeros(shape, dtype=np.uint8)
        severity = np.zeros(shape, dtype=np.float32)
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
            severity[:, variable] = gaps[variable] * labels[:, variable] / self.facts(variable).scale
        return SyntheticSeries(
            values=values,
            clean=clean,
            labels=labels.max(axis=1),
            variable_labels=labels,
            kinds=tuple(sorted(kinds, key=lambda a: (a.start, a.stop))),
            variable_severity=severity,
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
