"""The two kinds of windows that are compared, level and form or statistics, as a context moves on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.neighbours import POINT_NEIGHBOURS, ScaleDistances, reduced_windows
from vetime_plugins.retrieval.places import Workspace
from vetime_plugins.retrieval.statistics import FAINTEST, LEAST_SPREAD
from vetime_plugins.retrieval.tables import (
    Array,
    SlidingScale,
    Whole,
    best_of_groups,
    groups,
    smallest_of_few,
)


class SlidingWindows(SlidingScale):
    """What `vetime_plugins.retrieval.neighbours.scale_distances` finds of one variable."""

    def __init__(
        self,
        window: int,
        lengths: Sequence[int],
        config: RetrievalConfig,
        references: Array,
        workspace: Workspace,
    ) -> None:
        super().__init__(window, lengths, config, workspace)
        self.factor = max(1, window // config.dimensions)
        self.known = (
            self._reduced(references)[self.known_starts]
            if len(self.known_starts)
            else np.empty((0, window // self.factor), np.float32)
        )
        self.known_moments = _moments(self.known)
        self.own_moments = np.empty((3, 0))

    def _reduced(self, values: Array) -> Array:
        single = torch.from_numpy(values.astype(np.float32))
        return reduced_windows(single[None], self.window, self.factor)[0].numpy()

    def move_on(self, context: Array, at: int) -> None:
        """Take the values (T,) of the context at step `at`, in the unit that stays."""
        new, self.at = at - self.at if self.at >= 0 else self.n_own, at
        self.windows = self._reduced(context)[: self.n_own]
        if 0 < new < self.own_moments.shape[1]:
            self.own_moments = np.concatenate(
                [self.own_moments[:, new:], _moments(self.windows[-new:])], axis=1
            )
        else:
            self.own_moments = _moments(self.windows)
        exact = np.concatenate([self.own_moments, self.known_moments], axis=1)
        self.moments = exact.astype(np.float32)
        self.softening = self.config.softness**2 * max(float(exact[2, : self.n_columns].mean()), 1e-12)
        scales = 1 / np.sqrt(exact[2] + self.softening)
        self.scales, self.powers = scales.astype(np.float32), (exact[2] * scales**2).astype(np.float32)
        self.unit = [self.softening]

    def distances(self, timeline: NDArray[np.float32], scale: float) -> ScaleDistances:
        """Return the distances of the context at this step.

        Parameters
        ----------
        timeline : float32 ndarray of shape (L,)
            The context and the references in a unit of deviation 1.
        scale : float
            Deviations that the unit that stays is worth.
        """
        (square, member, product, power), far = self._found()
        member = member + self.group * np.arange(member.shape[1], dtype=np.int32)
        form = self._form(product, power)
        if far:
            square, member = (
                np.concatenate([square, far[0]], axis=1),
                np.concatenate([member, far[1]], axis=1),
            )
            form = np.concatenate([form, self._form(far[2], far[3])], axis=1)
        wanted = min(self.config.neighbours, square.shape[1])
        level, place = smallest_of_few(square, wanted)
        best = np.stack([level, smallest_of_few(form, wanted)[0] + self.powers[self.rows, None]])
        exists = np.isfinite(best)
        roots = np.sqrt(np.maximum(best, 0), where=exists, out=np.zeros_like(best))
        roots[0] *= scale
        distances = roots.sum(-1) / np.maximum(exists.sum(-1), 1)  # (2, rows)

        n_own = len(self.queries)
        column = np.take_along_axis(member[:n_own], place[:n_own, :POINT_NEIGHBOURS], 1)
        column = np.where(exists[0, :n_own, :POINT_NEIGHBOURS], column, column[:, :1])
        values = as_strided(timeline, (len(timeline) - self.window + 1, self.window), timeline.strides * 2)
        residuals = np.square(values[self.starts[column]] - values[self.queries, None]).mean(1)
        inside = self.queries[:, None] + np.arange(self.window)
        squares = np.bincount(inside.ravel(), residuals.ravel(), minlength=self.length)
        points = torch.from_numpy(np.sqrt(squares / self.cover).astype(np.float32))
        windows, mean, deviation = self._spread(distances[:, None])
        return ScaleDistances(windows, points[None, None], mean, deviation)

    def _form(self, product: Array, power: Array) -> Array:
        """Return costs (rows, n) of products and powers as they are softened now, but for the query's own."""
        theirs = 1 / np.sqrt(power + np.float32(self.softening))
        ours = -2 * self.scales[self.rows]
        return power * theirs * theirs + product * theirs * ours[:, None]

    def _compare(self, rows: Whole, columns: slice) -> list[Array]:
        ours, theirs = self.moments[:, rows, None], self.moments[:, columns]
        there = np.ascontiguousarray(self._windows(columns))  # of a view no fast product is formed
        shape = len(rows), len(there)
        products, squares, form = (self._take(name, *shape) for name in ("products", "squares", "form"))
        np.matmul(self._windows(rows), there.T, out=products)
        products /= there.shape[1]
        np.multiply(products, -2, out=squares)
        squares += ours[0]
        squares += theirs[0]
        products -= np.multiply(ours[1], theirs[1], out=form)  # of centred windows
        np.multiply(products, self.scales[columns], out=form)
        form *= -2 * self.scales[rows, None]
        form += self.powers[columns]
        self._bar([squares, form], rows, columns)
        return [products, squares, form]

    def _pick(
        self, compared: list[Array], columns: slice, first: int, n: int, step: int, width: int
    ) -> list[NDArray]:
        products, squares, form = compared
        base = first + step * np.arange(n)
        row = np.arange(len(products))[:, None]
        member, nearest = (groups(one, first, n, step, width).argmin(-1) for one in (squares, form))
        at = base + nearest
        product = products[row, at]
        product[np.isinf(form[row, at])] = -math.inf
        power = self.moments[2, columns][at]
        return [squares[row, base + member], member.astype(np.int32), product, power]

    def _few(self, compared: list[Array], columns: slice) -> list[NDArray]:
        products, squares, form = compared
        row = np.arange(len(products))[:, None]
        level, nearest = (best_of_groups(one, self.group, self.n_far) for one in (squares, form))
        product = products[row, nearest]
        product[np.isinf(form[row, nearest])] = -math.inf
        power = self.moments[2, columns][nearest]
        return [squares[row, level], (columns.start + level).astype(np.int32), product, power]

    def _windows(self, which: slice | Whole) -> Array:
        """Return some of the windows (n, d) of the context, the columns behind it and the calm queries."""
        n = self.n_own
        if isinstance(which, slice):
            if which.stop <= n:
                return self.windows[which]
            known = self.known[max(0, which.start - n) : which.stop - n]
            return known if which.start >= n else np.concatenate([self.windows[which.start :], known])
        n_own = int(np.searchsorted(which, n))
        own, known = self.windows[which[:n_own]], which[n_own:] - n
        return np.concatenate([own, self.known[known]]) if len(known) else own


class SlidingStatistics(SlidingScale):
    """What `vetime_plugins.retrieval.statistics.statistic_distances` finds of one variable."""

    def __init__(
        self,
        window: int,
        lengths: Sequence[int],
        config: RetrievalConfig,
        references: Array,
        workspace: Workspace,
    ) -> None:
        super().__init__(window, lengths, config, workspace)
        at = self.known_starts
        self.known = _movement(sliding_window_view(references, window)[at]) if len(at) else np.empty((3, 0))
        self.measured = np.empty((3, 0))

    def move_on(self, context: Array, at: int, scale: float) -> None:
        """Take the values (T,) of the context at step `at` in the unit that stays, and what that is worth."""
        new, self.at = at - self.at if self.at >= 0 else self.n_own, at
        windows = as_strided(context, (self.n_own, self.window), context.strides * 2)
        if 0 < new < self.measured.shape[1]:
            self.measured = np.concatenate([self.measured[:, new:], _movement(windows[-new:])], axis=1)
        else:
            self.measured = _movement(windows)
        logs = np.log(np.concatenate([self.measured, self.known], axis=1) * scale + FAINTEST)
        spread = logs[:, : self.n_columns].std(1) + LEAST_SPREAD
        self.vectors = (logs / spread[:, None]).astype(np.float32)  # (3, n)
        self.unit = [*spread.tolist(), scale]

    def distances(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return distances (2, T), and their usual mean and deviation (2, 1)."""
        (member,), far = self._found()
        if far:
            member = np.concatenate([member, far[0]], axis=1)
        none = member < 0
        n_near = member.shape[1] - (far[0].shape[1] if far else 0)
        member[:, :n_near] += self.group * np.arange(n_near, dtype=np.int32)
        cost = self._costs(self.rows, [one.take(member, mode="clip") for one in self.vectors])
        np.putmask(cost, none, math.inf)
        best = smallest_of_few(cost, min(self.config.neighbours, cost.shape[1]))[0]
        exists = np.isfinite(best)
        distances = np.sqrt(best / 3, where=exists, out=np.zeros_like(best)).sum(-1) / np.maximum(
            exists.sum(-1), 1
        )
        return self._spread(distances[None])

    def _compare(self, rows: Whole, columns: slice) -> list[Array]:
        cost = self._costs(rows, self.vectors[:, columns])
        self._bar([cost], rows, columns)
        return [cost]

    def _pick(
        self, compared: list[Array], columns: slice, first: int, n: int, step: int, width: int
    ) -> list[NDArray]:
        (cost,) = compared
        member = groups(cost, first, n, step, width).argmin(-1)
        nearest = cost[np.arange(len(cost))[:, None], first + step * np.arange(n) + member]
        return [np.where(np.isinf(nearest), -1, member).astype(np.int32)]

    def _few(self, compared: list[Array], columns: slice) -> list[NDArray]:
        (cost,) = compared
        nearest = best_of_groups(cost, self.group, self.n_far)
        none = np.isinf(cost[np.arange(len(cost))[:, None], nearest])
        return [np.where(none, -1, columns.start + nearest).astype(np.int32)]

    def _costs(self, rows: Whole, theirs: Sequence[Array]) -> Array:
        """Return squared distances (k, l) of queries to statistics (3, l) or, for each its own, (3, k, l)."""
        shape = len(rows), theirs[0].shape[-1]
        total, gap = self._take("products", *shape), self._take("squares", *shape)
        total[...] = 0
        for ours, other in zip(self.vectors[:, rows, None], theirs, strict=True):
            np.subtract(ours, other, out=gap)
            gap *= gap
            total += gap
        return total


def _moments(windows: Array) -> Array:
    """Return mean square, mean and variance (3, n) of windows (n, d)."""
    windows = windows.astype(np.float64)
    square, mean = np.einsum("nd,nd->n", windows, windows) / windows.shape[1], windows.mean(1)
    return np.stack([square, mean, np.maximum(square - mean**2, 0)])


def _movement(windows: Array) -> Array:
    """Return deviation, range and mean absolute step (3, n) of windows (n, w)."""
    steps = np.abs(np.diff(windows, axis=1)).mean(1)
    return np.stack([windows.std(1), windows.max(1) - windows.min(1), steps])
