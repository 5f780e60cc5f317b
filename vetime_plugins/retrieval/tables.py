"""Nearest places of a window that moves on with a stream, from what was found some steps before.

Two windows are as far apart in the next context as they were in this one, in the unit of the values as they
came. What changes from step to step is the unit in which the context has deviation 1. So of every group of
windows that count as one place the member nearest to a query is remembered, with what its distance follows
from in any unit; only the newest windows and the newest groups are compared.

Distances as they are scale with the unit, and the nearest members stay the nearest. Those of form and of
statistics follow it not quite: members are looked for anew once the unit has changed by more than `_DRIFT`.
Until then one that is nearer by a small part of that may go unseen.

One variable, in numpy: its arrays are so small that most of the time goes to calls, not to numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.neighbours import (
    LEAST_SHARE,
    share_of_references,
    usual_distances,
)
from vetime_plugins.retrieval.places import Places, Workspace, query_starts, reference_starts, with_joint

Array = NDArray[np.floating]
_SINGLE = torch.empty(0)
Whole = NDArray[np.integer]

_DRIFT = 0.02
"""Relative change of a unit from which on neighbours are looked for anew."""
_FAR_KEPT = 3
"""Groups of references that are remembered beside the neighbours of a query: their order may change."""
_ROWS_AT_ONCE = 128
_FEW_COLUMNS = 128
"""Columns up to which trivial matches are looked for in all of them."""
_SPARE = 32
"""Rows and columns by which a table may move on before it is moved to the front of its memory."""


@dataclass
class _Table:
    """Nearest members of groups, for the queries that begin at one residue of the stride.

    A group of the context stands in the column of its first member, so that rows and columns move on alike.
    """

    own: list[NDArray]  # of each field (queries + spare, groups of the context from every stride + spare)
    calm: list[NDArray]  # (queries of references, as many)
    far: list[NDArray]  # (queries + spare, some groups of references)
    unit: list[float]
    at: int
    first: int = 0

    def move_on(self, steps: int, rows: int, columns: int) -> None:
        """Leave the oldest rows and columns behind."""
        self.first += steps
        if self.first <= _SPARE:
            return
        kept, self.first = self.first, 0
        for one in (*self.own, *self.far):
            one[:rows] = one[kept : kept + rows].copy()
        for one in (*self.own, *self.calm):
            one[:, :columns] = one[:, kept : kept + columns].copy()


class SlidingScale:
    """Windows of one length: those of the context, then those of references, are columns to be found.

    Queries are rows: windows of the context by their number, and windows of references that tell what
    distance is usual, numbered behind all columns.
    """

    def __init__(
        self, window: int, lengths: Sequence[int], config: RetrievalConfig, workspace: Workspace
    ) -> None:
        self.workspace = workspace
        self.window, self.config, self.length = window, config, lengths[0]
        cpu = torch.device("cpu")
        places = Places.spread(lengths, window, config, cpu)
        self.n_own, self.n_columns = lengths[0] - window + 1, len(places.starts)
        self.group, self.zone, self.starts = places.group, places.zone, places.starts.numpy()
        self.stride = max(1, window // config.query_overlap)
        self.queries = query_starts(self.n_own, window, config, cpu).numpy()
        self.n_grid = (self.n_own - 1) // self.stride + 1  # queries but the last, where the stride misses it
        told = len(lengths) > 1 and share_of_references(lengths[0]) > LEAST_SHARE
        starts = torch.cat(reference_starts(lengths, window, cpu)).numpy() if told else self.queries[:0]
        self.known_starts = np.concatenate([self.starts[self.n_own :], starts]) - self.length
        self.positions = np.concatenate([self.starts, starts])
        self.calm = np.arange(self.n_columns, self.n_columns + len(starts))
        self.rows = np.concatenate([self.queries, self.calm])
        self.cover = self._sum_over_steps(np.ones(len(self.queries)))
        # Groups: whole ones of the context, one with the rest of it and the first of the references, theirs.
        self.n_whole = self.n_own // self.group
        rest = self.n_whole * self.group, -(-self.n_own // self.group) * self.group
        self.rest = slice(rest[0], min(self.n_columns, rest[1]))
        self.far = slice(max(self.n_own, self.rest.stop), self.n_columns)
        self.has_far = self.far.stop > self.far.start
        self.n_far = min(-(-(self.far.stop - self.far.start) // self.group), config.neighbours + _FAR_KEPT)
        self.keeps = self.group % self.stride == 0 and self.n_whole > 0
        self.n_kept = (self.n_own - self.group) // self.stride + 1 if self.keeps else 0
        self.at = -1  # steps of the stream up to the end of the context
        self.tables: dict[int, _Table] = {}
        self.calm_far: list[NDArray] = []
        self.calm_unit: list[float] | None = None
        self.unit: list[float] = []  # what the choice of members depends on

    def _take(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Return an array with any content; the last one of that name must not be used on."""
        return self.workspace.take(name, _SINGLE, *shape).numpy()

    def _compare(self, rows: Whole, columns: slice) -> list[Array]:
        """Return numbers (k, l) of which the nearest members follow; those of before must not be used on."""
        raise NotImplementedError

    def _pick(
        self, compared: list[Array], columns: slice, first: int, n: int, step: int, width: int
    ) -> list[NDArray]:
        """Return fields (k, n) of the nearest of `width` members of `n` groups, one at every `step`."""
        raise NotImplementedError

    def _few(self, compared: list[Array], columns: slice) -> list[NDArray]:
        """Return fields (k, `n_far`) of the nearest groups of references, members as columns."""
        raise NotImplementedError

    def _found(self) -> tuple[list[NDArray], list[NDArray]]:
        """Return the fields of all queries: of the groups of the context, and of those of references."""
        table = self._up_to_date() if self.keeps or self.has_far else None
        last = self.queries[self.n_grid :]
        rest, edge = self.rest.stop - self.rest.start, self.n_whole * self.group
        if table is None or not self.keeps:
            columns = slice(0, self.rest.stop if rest else edge)
            compared = self._compare(self.rows, columns)
            near = [self._pick(compared, columns, 0, self.n_whole, self.group, self.group)]
        else:
            own = slice(table.first, table.first + self.n_grid)
            kept = slice(table.first, table.first + self.n_kept, self.group // self.stride)
            parts = [[one[own, kept] for one in table.own]]
            if len(last):
                columns = slice(0, edge)
                parts.append(
                    self._pick(self._compare(last, columns), columns, 0, self.n_whole, self.group, self.group)
                )
            if len(self.calm):
                parts.append([one[:, kept] for one in table.calm])
            near = [_stack(parts)]
            if rest:
                columns, edge = self.rest, 0
                compared = self._compare(self.rows, columns)
        if rest:
            near.append(self._pick(compared, columns, edge, 1, 1, rest))
        far: list[NDArray] = []
        if table is not None and self.has_far:
            own = slice(table.first, table.first + self.n_grid)
            parts = [[one[own] for one in table.far]]
            if len(last):
                parts.append(self._few(self._compare(last, self.far), self.far))
            if len(self.calm):
                parts.append(self.calm_far)
            far = _stack(parts)
        return [np.concatenate(field, axis=1) for field in zip(*near, strict=True)], far

    def _up_to_date(self) -> _Table:
        """Return the table of the residue of this step, moved on to it."""
        table = self.tables.get(self.at % self.stride)
        if self.has_far and len(self.calm) and self._changed(self.calm_unit):
            self.calm_far, self.calm_unit = self._few(self._compare(self.calm, self.far), self.far), self.unit
        steps = self.n_grid if table is None else (self.at - table.at) // self.stride
        if table is None or steps > self.n_grid // 4 or self._changed(table.unit):
            steps = self.n_grid
            table = self.tables[self.at % self.stride] = self._new_table()
        else:
            table.at = self.at
            table.move_on(steps, self.n_grid, self.n_kept)
        if steps:
            if self.keeps:
                self._fill_columns(table, self.n_grid - steps, max(0, self.n_kept - steps))
            self._fill_rows(table, self.n_grid - steps)
        return table

    def _changed(self, since: list[float] | None) -> bool:
        return since is None or any(
            abs(now - then) > _DRIFT * then for now, then in zip(self.unit, since, strict=True)
        )

    def _new_table(self) -> _Table:
        columns = slice(0, self.group)
        example = self._compare(self.queries[:1], columns)
        rows, n = self.n_grid + 2 * _SPARE, self.n_kept + 2 * _SPARE if self.keeps else 0
        picked = self._pick(example, columns, 0, 1, 1, 1)
        far = self._few(self._compare(self.queries[:1], self.far), self.far) if self.has_far else []
        return _Table(
            own=[np.empty((rows, n), one.dtype) for one in picked],
            calm=[np.empty((len(self.calm), n), one.dtype) for one in picked],
            far=[np.empty((rows, one.shape[1]), one.dtype) for one in far],
            unit=self.unit,
            at=self.at,
        )

    def _fill_rows(self, table: _Table, begin: int) -> None:
        """Compare the queries from number `begin` on with everything."""
        for number in range(begin, self.n_grid, _ROWS_AT_ONCE):
            rows = self.queries[number : min(self.n_grid, number + _ROWS_AT_ONCE)]
            at = slice(table.first + number, table.first + number + len(rows))
            if self.keeps:
                columns = slice(0, (self.n_kept - 1) * self.stride + self.group)
                found = self._compare(rows, columns)
                picked = self._pick(found, columns, 0, self.n_kept, self.stride, self.group)
                for held, one in zip(table.own, picked, strict=True):
                    held[at, table.first : table.first + self.n_kept] = one
            if self.has_far:
                for held, one in zip(
                    table.far, self._few(self._compare(rows, self.far), self.far), strict=True
                ):
                    held[at] = one

    def _fill_columns(self, table: _Table, n_rows: int, begin: int) -> None:
        """Compare the first `n_rows` queries, and those of references, with the groups from `begin` on."""
        rows = np.concatenate([self.queries[:n_rows], self.calm]) if len(self.calm) else self.queries[:n_rows]
        if not len(rows):
            return
        columns = slice(begin * self.stride, (self.n_kept - 1) * self.stride + self.group)
        at = slice(table.first + begin, table.first + self.n_kept)
        found = self._compare(rows, columns)
        picked = self._pick(found, columns, 0, self.n_kept - begin, self.stride, self.group)
        for held, calm, one in zip(table.own, table.calm, picked, strict=True):
            held[table.first : table.first + n_rows, at] = one[:n_rows]
            calm[:, at] = one[n_rows:]

    def _bar(self, costs: Sequence[Array], rows: Whole, columns: slice) -> None:
        """Put infinity where a match is trivial: each (k, l), in place."""
        n_own = int(np.searchsorted(rows, self.n_columns))
        n_near = min(columns.stop, self.n_own) - columns.start
        if n_near > _FEW_COLUMNS:
            for number, row in enumerate(rows[:n_own].tolist()):
                first = row - columns.start - self.zone + 1
                near = slice(max(0, first), min(n_near, max(0, first + 2 * self.zone - 1)))
                for cost in costs:
                    cost[number, near] = math.inf
        elif n_near > 0 and n_own:
            near = np.abs(rows[:n_own, None] - self.starts[columns]) < self.zone
            for cost in costs:
                np.putmask(cost[:n_own], near, math.inf)
        if n_own < len(rows) and columns.stop > self.n_own:
            near = np.abs(self.positions[rows[n_own:], None] - self.starts[columns]) < self.zone
            for cost in costs:
                np.putmask(cost[n_own:], near, math.inf)

    def _sum_over_steps(self, values: Array) -> Array:
        """Sum at each step of the values (..., q) of the windows that cover it: (..., T)."""
        edges = np.zeros((*values.shape[:-1], self.length + 1))
        edges[..., self.queries] += values
        edges[..., self.queries + self.window] -= values
        return np.maximum(edges.cumsum(-1)[..., :-1], 0)

    def _spread(self, distances: Array) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Split distances (..., rows): return those of the context on its steps, and what is usual."""
        own, calm = distances[..., : len(self.queries)], distances[..., len(self.queries) :]
        earlier = [torch.from_numpy(calm)] if len(self.calm) else []
        mean, deviation = usual_distances(torch.from_numpy(own), earlier, self.length)
        spread = torch.from_numpy((self._sum_over_steps(own) / self.cover).astype(np.float32))
        return with_joint(spread), with_joint(mean), with_joint(deviation)


def _stack(parts: list[list[NDArray]]) -> list[NDArray]:
    """Put the rows of several parts below each other, field by field."""
    return [np.concatenate(field) for field in zip(*parts, strict=True)] if len(parts) > 1 else parts[0]


def groups(costs: Array, first: int, n: int, step: int, width: int) -> Array:
    """View columns of (k, l) as `n` groups (k, n, width) that begin at every `step` from `first` on."""
    down, along = costs.strides
    return as_strided(costs[:, first:], (len(costs), n, width), (down, step * along, along), writeable=False)


def best_of_groups(costs: Array, group: int, wanted: int) -> Whole:
    """Return the columns (k, wanted) of the nearest members of the nearest groups, in any order."""
    missing = -costs.shape[1] % group
    if missing:
        costs = np.concatenate([costs, np.full((len(costs), missing), math.inf, costs.dtype)], axis=1)
    grouped = costs.reshape(len(costs), -1, group)
    member = grouped.argmin(-1)
    nearest = np.take_along_axis(grouped, member[..., None], -1)[..., 0]
    places = np.argpartition(nearest, wanted - 1, axis=1)[:, :wanted]
    return places * group + np.take_along_axis(member, places, 1)


def smallest_of_few(values: Array, wanted: int) -> tuple[Array, Whole]:
    """Return the smallest of (k, n) in ascending order and where they stand, (k, wanted); spoils `values`."""
    row = np.arange(len(values))
    found, places = np.empty((len(values), wanted), values.dtype), np.empty((len(values), wanted), np.intp)
    for number in range(wanted):
        places[:, number] = place = values.argmin(1)
        found[:, number] = values[row, place]
        values[row, place] = math.inf
    return found, places
