"""Windows compared by order-free statistics: how much a window moves, not what it looks like.

A distance between values needs two windows in step with each other. Spread, range and roughness do not: they
find a stretch that is too quiet, too loud or too rough where no two normal stretches look alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.neighbours import usual_distances
from vetime_plugins.retrieval.places import (
    Places,
    query_starts,
    reference_starts,
    share_of_valid,
    spread_over_steps,
    typical_where_filled,
)

_FAINTEST = 0.05
"""Movement in deviations of the series below which two windows are equally quiet."""
_LEAST_SPREAD = 0.01


def statistic_distances(
    sources: list[Tensor], valid: Tensor | None, window: int, config: RetrievalConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Distances of the windows of the first source to their nearest neighbours, by statistics.

    The statistics are the logarithms of standard deviation, range and mean absolute step. Neighbours, trivial
    matches and the bank are those of :func:`~vetime_plugins.retrieval.neighbours.scale_distances`.

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
    distances : Tensor of shape (C + 1, T)
        Mean over the windows that cover a point; the last row is that of all variables joined.
    mean, deviation : Tensor of shape (C + 1, 1)
        What is usual.
    """
    length, device = sources[0].shape[1], sources[0].device
    lengths = [source.shape[1] for source in sources]
    bank = _Bank.build(sources, valid, window, config)
    own = query_starts(length - window + 1, window, config, device)
    windows = bank.search(own, config)
    earlier = [bank.search(at, config) for at in reference_starts(lengths, window, device) if len(at)]
    mean, deviation = usual_distances(windows, earlier, length)
    if valid is not None:
        windows = typical_where_filled(windows, mean, valid, own, window)
    cover = spread_over_steps(windows.new_ones(len(own)), own, window, length)
    return spread_over_steps(windows, own, window, length) / cover, mean, deviation


@dataclass(frozen=True)
class _Bank:
    """Statistics of the windows to compare with."""

    statistics: Tensor  # (C, L - w + 1, 3) of the windows from every start, in deviations of the bank's
    places: Places
    vectors: Tensor  # (C, 4, g * G): -2 b, then |b|^2, infinite in columns that must not be found
    barred: Tensor  # (g * G,) columns that the joint search must not find

    @classmethod
    def build(
        cls, sources: list[Tensor], valid: Tensor | None, window: int, config: RetrievalConfig
    ) -> _Bank:
        timeline = sources[0] if len(sources) == 1 else torch.cat(sources, dim=1)
        places = Places.spread([source.shape[1] for source in sources], window, config, timeline.device)
        statistics = _statistics(timeline, window)
        found = statistics[:, places.columns]  # (C, m, 3)
        scale = found[:, ~places.repeated].std(1, correction=0) + _LEAST_SPREAD
        found = found / scale[:, None]
        barred = places.repeated.expand(len(timeline), -1)
        if valid is not None:
            own = places.columns <= valid.shape[1] - window
            filled = share_of_valid(valid, places.columns.where(own, 0), window) < 0.5
            barred = barred | (filled & own)
        size = found.square().sum(2, keepdim=True).masked_fill(barred[..., None], torch.inf)
        return cls(
            statistics=statistics / scale[:, None],
            places=places,
            vectors=torch.cat([-2 * found, size], dim=2).mT.contiguous(),
            barred=barred.float().mean(0) > 0.5,
        )

    def search(self, starts: Tensor, config: RetrievalConfig) -> Tensor:
        """Return mean distances (C + 1, q) of windows to their nearest places; the last joins all."""
        n_variables, columns = len(self.statistics), len(self.places.columns)
        found = self.statistics.new_empty(n_variables + 1, len(starts))
        block = max(1, min(256, config.block_elements // (2 * columns)))
        for at, out in zip(starts.split(block), found.split(block, dim=1), strict=True):
            queries = self.statistics[:, at]  # (C, q, 3)
            norm = queries.square().sum(2, keepdim=True)
            trivial = self.places.trivial(at)
            joint = norm.new_zeros(len(at), columns)
            for row in range(n_variables):
                # With a one appended the product is |b|^2 - 2 a.b: it ranks as the distance does.
                cost = torch.nn.functional.pad(queries[row], (0, 1), value=1.0) @ self.vectors[row]
                joint += torch.where(cost.isfinite(), cost, 0.0) if n_variables > 1 else cost
                out[row] = self._nearest(cost, norm[row], 3, trivial, config)
            if n_variables > 1:
                joint.masked_fill_(self.barred, torch.inf)
                out[-1] = self._nearest(joint, norm.sum(0), 3 * n_variables, trivial, config)
            else:
                out[-1] = out[0]
        return found

    def _nearest(
        self, cost: Tensor, norm: Tensor, size: int, trivial: tuple[slice, Tensor], config: RetrievalConfig
    ) -> Tensor:
        """Return mean distances (q,) from costs (q, m) without the norm (q, 1) of the queries."""
        grouped = cost.unflatten(-1, (self.places.group, -1))  # (q, g, G)
        groups, penalty = trivial
        grouped[..., groups].add_(penalty)
        wanted = min(config.neighbours, grouped.shape[-1])
        best = grouped.amin(1).topk(wanted, dim=-1, largest=False).values
        exists = best.isfinite()
        distances = ((best + norm).clamp_min(0) / size).sqrt().where(exists, 0.0)
        return distances.sum(-1) / exists.sum(-1).clamp_min(1)


def _statistics(timeline: Tensor, window: int) -> Tensor:
    """Statistics (C, L - w + 1, 3) of the windows of (C, L) from every start: linear in L, whatever w is."""
    doubles = timeline.double()
    mean, square = _means(doubles, window), _means(doubles.square(), window)
    steps = _means(doubles.diff(dim=1).abs_(), window - 1)
    spread = (square - mean.square_()).clamp_min_(0).sqrt_()
    reach = _largest(timeline, window) + _largest(-timeline, window)
    return torch.stack([spread.float(), reach, steps.float()], dim=-1).add_(_FAINTEST).log_()


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
