"""Windows compared by order-free statistics: how much a window moves, not what it looks like.

A distance between values needs two windows in step with each other. Spread, range and roughness do not: they
find a stretch that is too quiet, too loud or too rough where no two normal stretches look alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.neighbours import LEAST_SHARE, share_of_references, usual_distances
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

FAINTEST = 0.05
"""Movement in deviations of the series below which two windows are equally quiet."""
LEAST_SPREAD = 0.01


def statistic_distances(
    sources: list[Tensor],
    valid: Tensor | None,
    window: int,
    config: RetrievalConfig,
    *,
    workspace: Workspace | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Distances of the windows of the first source to their nearest neighbours, by statistics.

    The statistics are the logarithms of standard deviation, range and mean absolute step. Neighbours, trivial
    matches and the bank are those of `vetime_plugins.retrieval.neighbours.scale_distances`.

    Parameters
    ----------
    sources : list of Tensor of shape (C, T_i), float32
        The series and perhaps references, standardised.
    valid : Tensor of shape (C, T), float32, optional
        0 where a value of the series was filled in, else 1.
    window : int
        Window length, at most the length of the series.
    config : RetrievalConfig
    workspace : Workspace, optional
        Memory to work in.

    Returns
    -------
    distances : Tensor of shape (C + 1, T)
        Mean over the windows that cover a point; the last row is that of all variables joined, and shares the
        memory of the first where there is but one.
    mean, deviation : Tensor of shape (C + 1, 1)
        What is usual.
    """
    length = sources[0].shape[1]
    lengths = [source.shape[1] for source in sources]
    layout = Layout.of(lengths, window, config, sources[0].device)
    bank = _Bank.build(sources, valid, window, layout.places, workspace or Workspace())
    n_variables = len(sources[0])
    windows = sources[0].new_empty(n_variables + (n_variables > 1), len(layout.own))
    for (at, bars), out in zip(layout.own_blocks(), windows.split(layout.block, dim=1), strict=True):
        out.copy_(bank.search(at, bars, config))
    told = layout.earlier_blocks() if share_of_references(length) > LEAST_SHARE else ()
    earlier = [bank.search(at, bars, config) for at, bars in told]
    mean, deviation = usual_distances(windows, earlier, length)
    if valid is not None:
        windows = typical_where_filled(windows, mean, valid, layout.own, window)
    distances = spread_over_steps(windows, layout.own, window, length) / layout.cover
    return with_joint(distances), with_joint(mean), with_joint(deviation)


@dataclass(frozen=True)
class _Bank:
    """Statistics of the windows to compare with."""

    statistics: Tensor  # (C, L - w + 1, 3) of the windows from every start, in deviations of the bank's
    places: Places
    vectors: Tensor  # (C, 4, g * G): -2 b, then |b|^2, infinite in repeated columns
    barred: Tensor | None  # (C, g * G) columns with too many filled values
    workspace: Workspace

    @classmethod
    def build(
        cls,
        sources: list[Tensor],
        valid: Tensor | None,
        window: int,
        places: Places,
        workspace: Workspace,
    ) -> _Bank:
        timeline = sources[0] if len(sources) == 1 else torch.cat(sources, dim=1)
        statistics = _statistics(timeline, window)
        found = statistics[:, places.columns]  # (C, m, 3)
        some = bool(places.repeated.any())
        known = found[:, ~places.repeated] if some else found
        # Centred, so that the squares are not far larger than the distances that are left of them.
        centre, scale = known.mean(1), known.std(1, correction=0) + LEAST_SPREAD
        found = found.sub_(centre[:, None]).div_(scale[:, None])
        barred = None
        if valid is not None:
            own = places.columns <= valid.shape[1] - window
            barred = (share_of_valid(valid, places.columns.where(own, 0), window) < 0.5) & own
        size = found.square().sum(2, keepdim=True)
        if some:
            size[:, places.repeated] = torch.inf
        return cls(
            statistics=statistics.sub_(centre[:, None]).div_(scale[:, None]),
            places=places,
            vectors=torch.cat([found.mul_(-2), size], dim=2).mT.contiguous(),
            barred=barred,
            workspace=workspace,
        )

    def search(self, at: Tensor, bars: Bars, config: RetrievalConfig) -> Tensor:
        """Return mean distances (C + 1, q) of windows to their nearest places; the last joins all.

        Of one variable they are (1, q).
        """
        n_variables, n_columns, n_queries = len(self.statistics), len(self.places.columns), len(at)
        found = self.statistics.new_empty(n_variables + (n_variables > 1), n_queries)
        step = min(n_variables, max(1, config.block_elements // (2 * n_queries * n_columns)))
        buffer = self.workspace.take("cost", self.vectors, step, n_queries, n_columns)
        joint = norms = None
        for first in range(0, n_variables, step):
            part = slice(first, min(first + step, n_variables))
            # With a one appended the product is |b|^2 - 2 a.b: it ranks as the distance does.
            queries = torch.nn.functional.pad(self.statistics[part][:, at], (0, 1), value=1.0)
            norm = queries[..., :-1].square().sum(2)  # (c, q)
            cost = buffer[: len(norm)]
            torch.bmm(queries, self.vectors[part], out=cost)
            if n_variables > 1:
                # A variable has no say in what it must not find.
                known = cost if self.barred is None else cost.masked_fill(self.barred[part, None], 0.0)
                total = known[0] if len(known) == 1 else known.sum(0)
                joint = total.clone() if joint is None else joint.add_(total)
                norms = norm.sum(0) if norms is None else norms + norm.sum(0)
            if self.barred is not None:
                cost.masked_fill_(self.barred[part, None], torch.inf)
            found[part] = self._nearest(cost, norm, 3, bars, config)
        if joint is None or norms is None:
            return found
        if self.barred is not None:
            joint.masked_fill_(self.barred.float().mean(0) > 0.5, torch.inf)
        found[-1] = self._nearest(joint, norms, 3 * n_variables, bars, config)
        return found

    def _nearest(self, cost: Tensor, norm: Tensor, size: int, bars: Bars, config: RetrievalConfig) -> Tensor:
        """Return mean distances (..., q) from costs (..., q, m) without the norm (..., q) of the queries."""
        self.places.bar(cost, bars)
        best = smallest(self.places.group_minima(cost), config.neighbours)
        exists = best.isfinite()
        distances = ((best + norm[..., None]).clamp_min(0) / size).sqrt().where(exists, 0.0)
        return distances.sum(-1) / exists.sum(-1).clamp_min(1)


def _statistics(timeline: Tensor, window: int) -> Tensor:
    """Statistics (C, L - w + 1, 3) of the windows of (C, L) from every start: logarithms of how they move."""
    return measure_windows(timeline, window).add_(FAINTEST).log_()


def measure_windows(timeline: Tensor, window: int) -> Tensor:
    """Deviation, range and mean absolute step (C, L - w + 1, 3) of the windows of (C, L) from every start.

    Linear in L, whatever w is.
    """
    doubles = timeline.double()
    mean, square = _means(doubles, window), _means(doubles.square(), window)
    steps = _means(doubles.diff(dim=1).abs_(), window - 1)
    spread = (square - mean.square_()).clamp_min_(0).sqrt_()
    reach = _largest(timeline, window) + _largest(-timeline, window)
    return torch.stack([spread.to(reach.dtype), reach, steps.to(reach.dtype)], dim=-1)


def _means(x: Tensor, window: int) -> Tensor:
    """Means (C, L - w + 1) of all windows of (C, L)."""
    sums = torch.nn.functional.pad(x.cumsum(1), (1, 0))
    return (sums[:, window:] - sums[:, : sums.shape[1] - window]) / window


def _largest(x: Tensor, window: int) -> Tensor:
    """Maxima (C, L - w + 1) of all windows of (C, L), from those of windows half as long."""
    reached = 1
    while reached < window:
        step = min(reached, window - reached)
        x = torch.maximum(x[:, :-step], x[:, step:])
        reached += step
    return x
