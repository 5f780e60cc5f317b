"""Windows compared by order-free statistics: how much a window moves, not what it looks like.

A distance between values needs two windows in step with each other. Spread, range and roughness do not: they
find a stretch that is too quiet, too loud or too rough where no two normal stretches look alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.neighbours import usual_distances
from vetime_plugins.retrieval.places import (
    Places,
    offsets,
    query_starts,
    share_of_valid,
    spread_over_steps,
    spread_starts,
)

_FAINTEST = 0.05
"""Movement in deviations of the series below which two windows are equally quiet."""
_LEAST_SPREAD = 0.01
_CALIBRATION_QUERIES = 1000


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
    distances : Tensor of shape (C, T)
        Mean over the windows that cover a point.
    mean, deviation : Tensor of shape (C, 1)
        What is usual.
    """
    length, device = sources[0].shape[1], sources[0].device
    lengths = [source.shape[1] for source in sources]
    timeline = sources[0] if len(sources) == 1 else torch.cat(sources, dim=1)
    places = Places.spread(lengths, window, config, device)
    found = []
    for row, variable in enumerate(timeline):
        bank = _statistics(variable, places.columns, window, config)
        scale = bank[~places.repeated].std(0, correction=0) + _LEAST_SPREAD
        bank = bank / scale
        barred = places.repeated
        if valid is not None:
            own_columns = places.columns <= length - window
            share = share_of_valid(valid[row : row + 1], places.columns.where(own_columns, 0), window)[0]
            barred = barred | ((share < 0.5) & own_columns)
        size = bank.square().sum(1).masked_fill(barred, torch.inf)
        # With a one appended the product is |b|^2 - 2 a.b: it ranks as the distance does, |a| being fixed.
        columns = torch.cat([-2 * bank, size[:, None]], dim=1).T
        own = query_starts(length - window + 1, window, config, device)
        distances = _search(_statistics(variable, own, window, config) / scale, own, columns, places, config)
        earlier = []
        for total, offset in list(zip(lengths, offsets(lengths), strict=True))[1:]:
            at = spread_starts(total - window + 1, _CALIBRATION_QUERIES, device) + offset
            if len(at):
                queries = _statistics(variable, at, window, config) / scale
                earlier.append(_search(queries, at, columns, places, config))
        found.append((distances, earlier))
    windows = torch.stack([distances for distances, _ in found])  # (C, q)
    references = [torch.stack(group) for group in zip(*(earlier for _, earlier in found), strict=True)]
    mean, deviation = usual_distances(windows, references, length)
    if valid is not None:
        trust = (2 * share_of_valid(valid, own, window) - 1).clamp_min(0)
        windows = mean + trust * (windows - mean)
    cover = spread_over_steps(windows.new_ones(len(own)), own, window, length)
    return spread_over_steps(windows, own, window, length) / cover, mean, deviation


def _statistics(variable: Tensor, starts: Tensor, window: int, config: RetrievalConfig) -> Tensor:
    """Statistics (n, 3) of the windows of (T,) that start at `starts` (n,)."""
    windows = variable.unfold(0, window, 1)
    found = variable.new_empty(len(starts), 3)
    block = max(1, config.block_elements // (2 * window))
    for at, out in zip(starts.split(block), found.split(block), strict=True):
        part = windows[at]
        out[:, 0] = part.std(1, correction=0)
        out[:, 1] = part.amax(1) - part.amin(1)
        out[:, 2] = part.diff(dim=1).abs_().mean(1)
    return found.add_(_FAINTEST).log_()


def _search(
    queries: Tensor, starts: Tensor, columns: Tensor, places: Places, config: RetrievalConfig
) -> Tensor:
    """Mean distances (q,) of statistics (q, 3) to their nearest places."""
    ones = torch.nn.functional.pad(queries, (0, 1), value=1.0)
    found = queries.new_empty(len(queries))
    n_groups = columns.shape[1] // places.group
    block = max(1, min(256, config.block_elements // columns.shape[1]))
    for i in range(0, len(queries), block):
        part = slice(i, i + block)
        cost = (ones[part] @ columns).unflatten(-1, (places.group, n_groups))  # (q, g, G)
        groups, penalty = places.trivial(starts[part])
        cost[..., groups].add_(penalty)
        best = cost.amin(1).topk(min(config.neighbours, n_groups), dim=-1, largest=False).values
        exists = best.isfinite()
        squares = (best + queries[part].square().sum(1, keepdim=True)).clamp_min(0) / queries.shape[1]
        found[part] = squares.sqrt().where(exists, 0.0).sum(-1) / exists.sum(-1).clamp_min(1)
    return found
