"""What an incident is, and the table of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from vetime_plugins._lazy import need

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["KINDS", "Contribution", "Detection", "Incident", "Incidents"]

KINDS = {
    "spike": "a few steps far above what was expected",
    "dip": "a few steps far below what was expected",
    "level shift": "the values go on at another level",
    "trend change": "the values creep away from their course",
    "change of amplitude": "the swing is larger or smaller",
    "change of variance": "the noise is larger or smaller",
    "change of timing": "the cycles come earlier, later, faster or slower",
    "missing cycle": "the values rest where a cycle was expected",
    "flat": "the value does not change at all",
    "wrong shape": "the course is another one than expected",
    "broken relation": "each variable looks usual, all together do not",
}
"""Names of the kinds, each with what it means."""


@dataclass(frozen=True)
class Contribution:
    """The part of one variable in an incident.

    Attributes
    ----------
    index : int
        Position of the variable among the columns.
    name : str
        Its name; the position as text where the series has no names.
    share : float
        Its part of the evidence, in [0, 1]; the shares of all variables of an incident sum to 1.
    """

    index: int
    name: str
    share: float


@dataclass(frozen=True)
class Incident:
    """One thing that happened. Positions count time steps from 0.

    Attributes
    ----------
    start : int
        The first step.
    end : int
        The last step, which belongs to the incident: one step has ``start == end``.
    peak : int
        The step of the highest score.
    severity : float
        The score at the peak.
    kind : str or None
        The likely kind, one of `KINDS`; None where the values are not known.
    variables : tuple of Contribution
        All variables, the one that contributes most first. Empty where nothing is known of them.
    start_time, end_time, peak_time : object or None
        What the index of the series says of these steps; None without an index.
    """

    start: int
    end: int
    peak: int
    severity: float
    kind: str | None = None
    variables: tuple[Contribution, ...] = ()
    start_time: Any = None
    end_time: Any = None
    peak_time: Any = None

    @property
    def steps(self) -> int:
        """Number of steps from `start` to `end`, both counted."""
        return self.end - self.start + 1

    def leading(self, share: float = 0.8) -> tuple[Contribution, ...]:
        """Return the fewest variables that together have `share` of the evidence, at least one if known."""
        total, first = 0.0, []
        for one in self.variables:
            if total >= share:
                break
            first.append(one)
            total += one.share
        return tuple(first)

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON shows: numbers, text and lists; time stamps as text, only where there are some."""
        found: dict[str, Any] = {name: getattr(self, name) for name in ("start", "end", "peak", "steps")}
        for name in ("start_time", "end_time", "peak_time"):
            if (value := getattr(self, name)) is not None:
                found[name] = str(value)
        variables = [{"index": v.index, "name": v.name, "share": round(v.share, 6)} for v in self.variables]
        return {**found, "severity": self.severity, "kind": self.kind, "variables": variables}


@dataclass(frozen=True)
class Incidents(Sequence[Incident]):
    """The incidents of one series, the most severe first.

    A sequence: it has a length, can be indexed and iterated over. Printing it shows a table.

    Attributes
    ----------
    items : tuple of Incident
        The most severe first; equally severe ones in the order of time.
    threshold : float
        Scores above it were taken for anomalous.
    length : int
        Steps of the series, T.
    """

    items: tuple[Incident, ...]
    threshold: float
    length: int

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Incident: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Incident, ...]: ...

    def __getitem__(self, index: int | slice) -> Incident | tuple[Incident, ...]:
        return self.items[index]

    def __iter__(self) -> Iterator[Incident]:
        return iter(self.items)

    def in_order(self) -> tuple[Incident, ...]:
        """Return the incidents in the order of time."""
        return tuple(sorted(self.items, key=lambda one: one.start))

    def mask(self) -> NDArray[np.bool_]:
        """Return for each step whether it belongs to an incident, (T,)."""
        inside = np.zeros(self.length, dtype=bool)
        for one in self.items:
            inside[one.start : one.end + 1] = True
        return inside

    def variable_mask(self, n_variables: int, *, share: float = 0.8) -> NDArray[np.bool_]:
        """Return for each step and variable whether the variable leads an incident, (T, C).

        Parameters
        ----------
        n_variables : int
            C.
        share : float
            See `Incident.leading`.
        """
        inside = np.zeros((self.length, n_variables), dtype=bool)
        for one in self.items:
            for variable in one.leading(share):
                inside[one.start : one.end + 1, variable.index] = True
        return inside

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return what JSON shows of each incident."""
        return [one.as_dict() for one in self.items]

    def to_frame(self) -> DataFrame:
        """Return the table as a pandas DataFrame, one row for each incident.

        Returns
        -------
        pandas.DataFrame
            Columns ``start``, ``end`` (the last step, inclusive) and ``peak`` in the series' own index, or
            positions where it has none; ``start_iloc``, ``end_iloc`` and ``peak_iloc``, always positions;
            ``steps``, ``severity``, ``kind``; ``variables`` and ``shares``, lists with the variable that
            contributes most first.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        pandas = need("pandas", "a table of incidents as a DataFrame needs pandas", extra="cli")
        columns: dict[str, list[Any]] = {}
        for name in ("start", "end", "peak"):
            positions = [getattr(one, name) for one in self.items]
            times = [getattr(one, f"{name}_time") for one in self.items]
            columns[name] = [p if t is None else t for p, t in zip(positions, times, strict=True)]
        for name in ("start", "end", "peak"):
            columns[f"{name}_iloc"] = [getattr(one, name) for one in self.items]
        for name in ("steps", "severity", "kind"):
            columns[name] = [getattr(one, name) for one in self.items]
        columns["variables"] = [[v.name for v in one.variables] for one in self.items]
        columns["shares"] = [[v.share for v in one.variables] for one in self.items]
        whole = dict.fromkeys(("start_iloc", "end_iloc", "peak_iloc", "steps"), "int64")
        return pandas.DataFrame(columns).astype({**whole, "severity": "float64"})

    def lines(self, limit: int | None = None) -> Iterator[str]:
        """Yield the table as lines of text: a heading, then one line for each of the first `limit`."""
        shown = self.items[:limit]
        if not shown:
            return
        several = any(len(one.variables) > 1 for one in shown)
        head = ["start", "end", "peak", "steps", "severity", "kind"] + ["variables"] * several
        rows = [head]
        for one in shown:
            where = [
                str(position if time is None else time)
                for position, time in (
                    (one.start, one.start_time), (one.end, one.end_time), (one.peak, one.peak_time),
                )
            ]  # fmt: skip
            row = [*where, str(one.steps), f"{one.severity:.4f}", one.kind or "-"]
            if several:
                row.append(", ".join(f"{v.name} {v.share:.0%}" for v in one.leading()[:5]))
            rows.append(row)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        numeric = {"steps", "severity"}
        for row in rows:
            cells = [
                cell.rjust(width) if name in numeric else cell.ljust(width)
                for name, cell, width in zip(head, row, widths, strict=True)
            ]
            yield "  ".join(cells).rstrip()

    def __str__(self) -> str:
        return "\n".join(self.lines()) if self.items else f"no incident above {self.threshold:.6g}"


@dataclass(frozen=True)
class Detection:
    """What `VETimePipeline.detect` gives for one series.

    Attributes
    ----------
    scores : float64 ndarray of shape (T,)
        In [0, 1], higher is more anomalous.
    incidents : Incidents
    variable_scores : float64 ndarray of shape (T, C)
        The scores of each variable: the heat map behind the ranked variables of the incidents.
    """

    scores: NDArray[np.float64]
    incidents: Incidents
    variable_scores: NDArray[np.float64]

    @property
    def threshold(self) -> float:
        """Scores above it were taken for anomalous."""
        return self.incidents.threshold
