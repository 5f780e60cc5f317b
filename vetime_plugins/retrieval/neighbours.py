"""Nearest-neighbour distances of the windows of a series at one window length.

All windows of one variable are columns or rows of matrices, so that a block of distances is one matrix
product. The bank of windows to compare with is bounded, queries lie on a stride, and the distances only ever
exist for one block of queries: time and memory are linear in the length of the series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.places import (
    Bars,
    Layout,
    Places,
    Workspace,
    share_of_valid,
    smallest,
    spread_over_steps,
    typical_where_filled,
    with_joint,
)

POINT_NEIGHBOURS = 3
_SHORT = 200
LEAST_SHARE = 0.001
"""What references say of what is usual is left out below this share, that of 6,322 steps."""
_BUILT_AT_ONCE = 1 << 17


class ScaleDistances(NamedTuple):
    """Root mean square distances at one window length, in standard deviations of the variables.

    Attributes
    ----------
    windows : Tensor of shape (2, C + 1, T)
        Mean distance of the windows that cover a point, as they are ("level") and centred and scaled
        ("form"); the last row is that of all variables joined. That of one variable is its own: both rows
        share their memory.
    points : Tensor of shape (2, C, T) or (1, C, T)
        Distance of the point itself to the neighbours of those windows, found with this variable alone and,
        where that was asked for, with all.
    mean, deviation : Tensor of shape (2, C + 1, 1)
        What is usual: of the series' own distances, and, the less there are of them, of the references'.
    """

    windows: Tensor
    points: Tensor
    mean: Tensor
    deviation: Tensor


def scale_distances(
    sources: list[Tensor],
    valid: Tensor | None,
    window: int,
    config: RetrievalConfig,
    *,
    joint_points: bool = True,
    workspace: Workspace | None = None,
) -> ScaleDistances:
    """Compare the windows of the first source with their nearest neighbours in all sources.

    Parameters
    ----------
    sources : list of Tensor of shape (C, T_i), float32
        The series and perhaps references, standardised.
    valid : Tensor of shape (C, T), float32, optional
        0 where a value of the series was filled in, else 1.
    window : int
        Window length, at most the length of the series.
    config : RetrievalConfig
    joint_points : bool
        Whether points are also compared with the neighbours that all variables choose.
    workspace : Workspace, optional
        Memory to work in.

    Returns
    -------
    ScaleDistances
    """
    lengths = [source.shape[1] for source in sources]
    layout = Layout.of(lengths, window, config, sources[0].device)
    bank = _Bank.build(sources, valid, window, config, layout.places, workspace or Workspace())
    n_variables, length = sources[0].shape
    own = layout.own
    inside = torch.arange(window, device=own.device)
    squares = sources[0].new_zeros(2 if joint_points else 1, n_variables, length)
    # One array for all blocks: a small tensor kept from each would pin the large ones' memory between them.
    windows = sources[0].new_empty(2, n_variables + (n_variables > 1), len(own))
    for (at, bars), out in zip(layout.own_blocks(), windows.split(layout.block, dim=2), strict=True):
        hits = bank.search(at, bars, config)
        out.copy_(hits.windows)
        residuals = bank.residuals(at, hits.columns if joint_points else hits.columns[:1])
        squares.index_add_(2, (at[:, None] + inside).flatten(), residuals.flatten(2))
    # Where references have next to no say, nothing is asked of them.
    told = layout.earlier_blocks() if share_of_references(length) > LEAST_SHARE else ()
    earlier = [bank.search(at, bars, config).windows for at, bars in told]
    mean, deviation = usual_distances(windows, earlier, length)

    if valid is not None:
        windows = typical_where_filled(windows, mean, valid, own, window)
    points = (squares / layout.cover).sqrt()
    if valid is not None:
        points = torch.where(valid > 0, points, mean[0, :n_variables])
    windows = spread_over_steps(windows, own, window, length) / layout.cover
    return ScaleDistances(with_joint(windows), points, with_joint(mean), with_joint(deviation))


def usual_distances(windows: Tensor, earlier: list[Tensor], length: int) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of distances (..., q) that are usual for a series of `length` steps.

    A series that has drifted away from its reference is farther from everything than the reference is; all of
    it would be novel if the reference said what is usual. A series of few steps cannot say it either: half of
    one of `_SHORT` steps may be an anomaly, and there both count alike.
    """
    mean, variance = windows.mean(-1, keepdim=True), windows.var(-1, keepdim=True, correction=0)
    if earlier:
        share = share_of_references(length)
        distances = torch.cat(earlier, dim=-1)
        gap = distances.mean(-1, keepdim=True) - mean
        variance = torch.lerp(variance, distances.var(-1, keepdim=True, correction=0), share)
        variance = variance + share * (1 - share) * gap.square()
        mean = mean + share * gap
    return mean, variance.sqrt()


def share_of_references(length: int) -> float:
    """Return how much references say of what is usual for a series of `length` steps."""
    return 1 / (1 + (length / _SHORT) ** 2)


class _Hits(NamedTuple):
    windows: Tensor  # (2, C + 1, q) distances; (2, 1, q) of one variable
    columns: Tensor  # (2, C, q, k) neighbours in the level view: of the variable alone, of all variables


@dataclass(frozen=True)
class _Bank:
    """Windows to compare with."""

    timeline: Tensor  # (C, L) all sources one after the other
    reduced: Tensor  # (C, n, d) the windows from every start, averaged down, a view
    places: Places
    vectors: Tensor  # (C, 2, d + 1, g * G): -b of both views, then |b|^2 / 2, infinite in repeated columns
    barred: Tensor | None  # (C, g * G) columns with too many filled values
    softening: Tensor  # (C, 1)
    window: int
    workspace: Workspace

    @classmethod
    def build(
        cls,
        sources: list[Tensor],
        valid: Tensor | None,
        window: int,
        config: RetrievalConfig,
        places: Places,
        workspace: Workspace,
    ) -> _Bank:
        timeline = sources[0] if len(sources) == 1 else torch.cat(sources, dim=1)
        columns, repeated = places.columns, places.repeated
        reduced = reduced_windows(timeline, window, max(1, window // config.dimensions))
        n_variables, size = len(timeline), reduced.shape[2]
        vectors = workspace.take("bank", timeline, n_variables, 2, len(columns), size + 1)
        softening = timeline.new_empty(n_variables, 1)
        n_repeated = int(repeated.sum())
        # A few variables at a time: what is computed of them stays in the cache.
        step = max(1, _BUILT_AT_ONCE // (len(columns) * size))
        for first in range(0, n_variables, step):
            part = slice(first, first + step)
            level = reduced[part][:, columns]  # (c, m, d)
            torch.neg(level, out=vectors[part, 0, :, :-1])
            centred = level.sub_(level.mean(-1, keepdim=True))
            power = (centred[:, ~repeated] if n_repeated else centred).square().mean((-1, -2))
            softening[part] = config.softness**2 * power.clamp_min(1e-8)[:, None]
            torch.neg(_soft_scaled(centred, softening[part]), out=vectors[part, 1, :, :-1])
            vectors[part, ..., -1] = vectors[part, ..., :-1].square().sum(-1) / 2
        if n_repeated:
            vectors[:, :, repeated, -1] = math.inf
        barred = None
        if valid is not None:
            own = columns <= valid.shape[1] - window
            barred = (share_of_valid(valid, columns.where(own, 0), window) < 0.5) & own
        return cls(
            timeline=timeline,
            reduced=reduced,
            places=places,
            vectors=vectors.mT,
            barred=barred,
            softening=softening,
            window=window,
            workspace=workspace,
        )

    def search(self, at: Tensor, bars: Bars, config: RetrievalConfig) -> _Hits:
        """Find the neighbours of the windows that start at `at` (q,), for each variable and for all."""
        n_variables, n_columns, n_queries = len(self.timeline), len(self.places.columns), len(at)
        step = min(n_variables, max(1, config.block_elements // (2 * n_queries * n_columns)))
        buffer = self.workspace.take("cost", self.vectors, 2 * step, n_queries, n_columns)
        joined = norms = None
        distances, columns = [], []
        size = self.reduced.shape[2]
        for first in range(0, n_variables, step):
            part = slice(first, min(first + step, n_variables))
            count = part.stop - part.start
            level = self.reduced[part][:, at]  # (c, q, d)
            # With a one appended the product is |b|^2 / 2 - a.b: it ranks as the distance does.
            queries = level.new_ones(count, 2, n_queries, size + 1)
            queries[:, 0, :, :-1] = level
            queries[:, 1, :, :-1] = _soft_scaled(level - level.mean(-1, keepdim=True), self.softening[part])
            norm = queries[..., :-1].square().sum(-1).transpose(0, 1)  # (2, c, q)
            out = buffer[: 2 * count]
            torch.bmm(queries.flatten(0, 1), self.vectors[part].flatten(0, 1), out=out)
            cost = out.unflatten(0, (-1, 2)).transpose(0, 1)  # (2, c, q, m)
            if n_variables > 1:
                both, their = (cost[:, 0], norm[:, 0]) if count == 1 else (cost.sum(1), norm.sum(1))
                joined = both.clone() if joined is None else joined.add_(both)
                norms = their if norms is None else norms + their
            if self.barred is not None:
                cost.masked_fill_(self.barred[part, None], math.inf)
            distance, column = self._nearest(cost, norm, size, bars, config)
            distances.append(distance)
            columns.append(column)
        alone = torch.cat(columns)
        if joined is None or norms is None:
            windows, together = distances[0], alone
        else:
            if self.barred is not None:
                joined.masked_fill_(self.barred.float().mean(0) > 0.5, math.inf)
            distance, column = self._nearest(
                joined[:, None], norms[:, None], size * n_variables, bars, config
            )
            windows, together = torch.cat([*distances, distance], dim=1), column.expand_as(alone)
        return _Hits(windows, torch.stack([alone, together]))

    def residuals(self, at: Tensor, columns: Tensor) -> Tensor:
        """Return mean squared differences to the neighbours' points, (v, C, q, w), from (v, C, q, k)."""
        windows = self.timeline.unfold(1, self.window, 1)
        variable = torch.arange(len(windows), device=at.device)[:, None, None]
        own = windows[:, at, None]  # (C, q, 1, w)

        def one(found: Tensor) -> Tensor:
            return windows[variable, self.places.columns[found]].sub_(own).square_().mean(-2)

        alone = one(columns[0])
        return torch.stack([alone, *(alone if columns[0].equal(more) else one(more) for more in columns[1:])])

    def _nearest(
        self, cost: Tensor, norm: Tensor, size: int, bars: Bars, config: RetrievalConfig
    ) -> tuple[Tensor, Tensor]:
        """Return mean distances to the neighbours (2, c, q) and their columns in the first view (c, q, k)."""
        self.places.bar(cost, bars)
        minima = self.places.group_minima(cost)
        wanted = min(config.neighbours, minima.shape[-1])
        levels, group = minima[0].topk(wanted, dim=-1, largest=False)
        best = torch.stack([levels, smallest(minima[1], wanted)])
        first = group[..., :POINT_NEIGHBOURS]
        grouped = cost[0].unflatten(-1, (self.places.group, -1))  # (c, q, g, G)
        members = grouped.gather(-1, first.unsqueeze(-2).expand(*grouped.shape[:-1], -1))
        column = members.min(-2).indices * grouped.shape[-1] + first
        exists = best.isfinite()
        distance = ((2 * best + norm[..., None]).clamp_min(0) / size).sqrt().where(exists, 0.0)
        # Where fewer neighbours exist than are wanted, the nearest stands in.
        column = torch.where(exists[0, ..., :POINT_NEIGHBOURS], column, column[..., :1])
        return distance.sum(-1) / exists.sum(-1).clamp_min(1), column


def reduced_windows(timeline: Tensor, window: int, factor: int) -> Tensor:
    """Windows from every start (C, n, d), each averaged over runs of `factor` steps; a view."""
    if factor > 1:
        sums = torch.nn.functional.pad(timeline.double().cumsum(1), (1, 0))
        timeline = ((sums[:, factor:] - sums[:, :-factor]) / factor).to(timeline.dtype)
    size = window // factor
    return timeline.unfold(1, (size - 1) * factor + 1, 1)[..., ::factor]


def _soft_scaled(centred: Tensor, softening: Tensor) -> Tensor:
    """Windows (C, m, d) over their deviation, which is softened so that it never vanishes."""
    return centred / (centred.square().mean(-1) + softening).sqrt()[..., None]
