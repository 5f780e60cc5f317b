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
    Places,
    query_starts,
    reference_starts,
    share_of_valid,
    spread_over_steps,
    typical_where_filled,
)

_POINT_NEIGHBOURS = 3
_SHORT = 200


class ScaleDistances(NamedTuple):
    """Root mean square distances at one window length, in standard deviations of the variables.

    Attributes
    ----------
    windows : Tensor of shape (2, C + 1, T)
        Mean distance of the windows that cover a point, as they are ("level") and centred and scaled
        ("form"); the last row is that of all variables joined.
    points : Tensor of shape (2, C, T)
        Distance of the point itself to the neighbours of those windows, found with this variable alone and
        with all.
    mean, deviation : Tensor of shape (2, C + 1, 1)
        What is usual: of the series' own distances, and, the less there are of them, of the references'.
    """

    windows: Tensor
    points: Tensor
    mean: Tensor
    deviation: Tensor


def scale_distances(
    sources: list[Tensor], valid: Tensor | None, window: int, config: RetrievalConfig
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

    Returns
    -------
    ScaleDistances
    """
    bank = _Bank.build(sources, valid, window, config)
    n_variables, length = sources[0].shape
    own = query_starts(length - window + 1, window, config, sources[0].device)
    inside = torch.arange(window, device=own.device)
    squares = sources[0].new_zeros(2, n_variables, length)
    block = bank.query_block(config)
    # One array for all blocks: a small tensor kept from each would pin the large ones' memory between them.
    windows = sources[0].new_empty(2, n_variables + 1, len(own))
    for at, out in zip(own.split(block), windows.split(block, dim=2), strict=True):
        hits = bank.search(at, config)
        out.copy_(hits.windows)
        squares.index_add_(2, (at[:, None] + inside).flatten(), bank.residuals(at, hits.columns).flatten(2))
    earlier = []
    for starts in reference_starts([source.shape[1] for source in sources], window, own.device):
        earlier += [bank.search(at, config).windows for at in starts.split(block) if len(at)]
    mean, deviation = usual_distances(windows, earlier, length)

    if valid is not None:
        windows = typical_where_filled(windows, mean, valid, own, window)
    cover = spread_over_steps(windows.new_ones(len(own)), own, window, length)
    points = (squares / cover).sqrt()
    if valid is not None:
        points = torch.where(valid > 0, points, mean[0, :-1])
    return ScaleDistances(spread_over_steps(windows, own, window, length) / cover, points, mean, deviation)


def usual_distances(windows: Tensor, earlier: list[Tensor], length: int) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of distances (..., q) that are usual for a series of `length` steps.

    A series that has drifted away from its reference is farther from everything than the reference is; all of
    it would be novel if the reference said what is usual. A series of few steps cannot say it either: half of
    one of `_SHORT` steps may be an anomaly, and there both count alike.
    """
    mean, variance = windows.mean(-1, keepdim=True), windows.var(-1, keepdim=True, correction=0)
    if earlier:
        share = 1 / (1 + (length / _SHORT) ** 2)
        distances = torch.cat(earlier, dim=-1)
        gap = distances.mean(-1, keepdim=True) - mean
        variance = torch.lerp(variance, distances.var(-1, keepdim=True, correction=0), share)
        variance = variance + share * (1 - share) * gap.square()
        mean = mean + share * gap
    return mean, variance.sqrt()


class _Hits(NamedTuple):
    windows: Tensor  # (2, C + 1, q) distances
    columns: Tensor  # (2, C, q, k) neighbours in the level view: of the variable alone, of all variables


@dataclass(frozen=True)
class _Bank:
    """Windows to compare with."""

    timeline: Tensor  # (C, L) all sources one after the other
    reduced: Tensor  # (C, n, d) the windows from every start, averaged down, a view
    places: Places
    vectors: Tensor  # (2, C, d + 1, g * G): -b of both views, then |b|^2 / 2, infinite in repeated columns
    barred: Tensor | None  # (C, g * G) columns with too many filled values
    softening: Tensor  # (C, 1)
    window: int

    @classmethod
    def build(
        cls, sources: list[Tensor], valid: Tensor | None, window: int, config: RetrievalConfig
    ) -> _Bank:
        timeline = sources[0] if len(sources) == 1 else torch.cat(sources, dim=1)
        places = Places.spread([source.shape[1] for source in sources], window, config, timeline.device)
        columns, repeated = places.columns, places.repeated

        reduced = _reduced_windows(timeline, window, max(1, window // config.dimensions))
        level = reduced[:, columns]  # (C, m, d)
        centred = level - level.mean(-1, keepdim=True)
        power = centred[:, ~repeated].square().mean((-1, -2))
        softening = config.softness**2 * power.clamp_min(1e-8)[:, None]
        vectors = level.new_empty(2, *level.shape[:2], level.shape[2] + 1)
        vectors[0, ..., :-1] = level
        vectors[1, ..., :-1] = _soft_scaled(centred, softening)
        vectors.neg_()
        vectors[..., -1] = vectors[..., :-1].square().sum(-1) / 2
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
        )

    def query_block(self, config: RetrievalConfig) -> int:
        """Return how many queries are compared at once: the distances of one variable fit a block."""
        return max(1, min(256, config.block_elements // (2 * len(self.places.columns))))

    def search(self, at: Tensor, config: RetrievalConfig) -> _Hits:
        """Find the neighbours of the windows that start at `at` (q,), for each variable and for all."""
        n_variables = len(self.timeline)
        level = self.reduced[:, at]  # (C, q, d)
        queries = torch.stack([level, _soft_scaled(level - level.mean(-1, keepdim=True), self.softening)])
        norm = queries.square().sum(-1)  # (2, C, q)
        size = queries.shape[-1]
        # With a one appended the product is |b|^2 / 2 - a.b: it ranks as the distance does, |a| being fixed.
        queries = torch.nn.functional.pad(queries, (0, 1), value=1.0)
        trivial = self.places.trivial(at)
        joined = None
        distances, columns = [], []
        for chunk in torch.arange(n_variables).split(
            max(1, config.block_elements // (2 * len(at) * len(self.places.columns)))
        ):
            part = slice(int(chunk[0]), int(chunk[-1]) + 1)
            cost = torch.bmm(queries[:, part].flatten(0, 1), self.vectors[:, part].flatten(0, 1))
            cost = cost.unflatten(0, (2, -1))  # (2, c, q, m)
            if n_variables > 1:
                joined = cost.sum(1) if joined is None else joined.add_(cost.sum(1))
            if self.barred is not None:
                cost.masked_fill_(self.barred[part, None], math.inf)
            distance, column = self._nearest(cost, norm[:, part], size, trivial, config)
            distances.append(distance)
            columns.append(column)
        alone = torch.cat(columns)
        if joined is None:
            windows, together = distances[0].repeat(1, 2, 1), alone
        else:
            if self.barred is not None:
                joined.masked_fill_(self.barred.float().mean(0) > 0.5, math.inf)
            distance, column = self._nearest(
                joined[:, None], norm.sum(1, keepdim=True), size * n_variables, trivial, config
            )
            windows, together = torch.cat([*distances, distance], dim=1), column.expand_as(alone)
        return _Hits(windows, torch.stack([alone, together]))

    def residuals(self, at: Tensor, columns: Tensor) -> Tensor:
        """Return mean squared differences to the neighbours' points, (2, C, q, w), from (2, C, q, k)."""
        windows = self.timeline.unfold(1, self.window, 1)
        variable = torch.arange(len(windows), device=at.device)[:, None, None]
        own = windows[:, at, None]  # (C, q, 1, w)

        def one(found: Tensor) -> Tensor:
            return (own - windows[variable, self.places.columns[found]]).square_().mean(-2)

        alone = one(columns[0])
        return torch.stack([alone, alone if columns[0].equal(columns[1]) else one(columns[1])])

    def _nearest(
        self, cost: Tensor, norm: Tensor, size: int, trivial: tuple[slice, Tensor], config: RetrievalConfig
    ) -> tuple[Tensor, Tensor]:
        """Return mean distances to the neighbours (2, c, q) and their columns in the first view (c, q, k)."""
        grouped = cost.unflatten(-1, (self.places.group, -1))  # (2, c, q, g, G)
        groups, penalty = trivial
        grouped[..., groups].add_(penalty)
        n_groups = grouped.shape[-1]
        best, group = grouped.amin(-2).topk(min(config.neighbours, n_groups), dim=-1, largest=False)
        first = group[0, ..., :_POINT_NEIGHBOURS]
        members = grouped[0].gather(-1, first.unsqueeze(-2).expand(*grouped.shape[1:-1], -1))
        column = members.min(-2).indices * n_groups + first
        exists = best.isfinite()
        distance = ((2 * best + norm[..., None]).clamp_min(0) / size).sqrt().where(exists, 0.0)
        # Where fewer neighbours exist than are wanted, the nearest stands in.
        column = torch.where(exists[0, ..., :_POINT_NEIGHBOURS], column, column[..., :1])
        return distance.sum(-1) / exists.sum(-1).clamp_min(1), column


def _reduced_windows(timeline: Tensor, window: int, factor: int) -> Tensor:
    """Windows from every start (C, n, d), each averaged over runs of `factor` steps; a view."""
    if factor > 1:
        sums = torch.nn.functional.pad(timeline.double().cumsum(1), (1, 0))
        timeline = ((sums[:, factor:] - sums[:, :-factor]) / factor).float()
    size = window // factor
    return timeline.unfold(1, (size - 1) * factor + 1, 1)[..., ::factor]


def _soft_scaled(centred: Tensor, softening: Tensor) -> Tensor:
    """Windows (C, m, d) over their deviation, which is softened so that it never vanishes."""
    return centred / (centred.square().mean(-1) + softening).sqrt()[..., None]
