"""Where the windows of a bank lie, and which of them count as one place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from vetime_plugins.retrieval.config import RetrievalConfig

_GOLDEN = (math.sqrt(5) - 1) / 2
_SMALLEST_GROUP = 16
_CALIBRATION_QUERIES = 100
"""Windows of a reference that tell what distance is usual there: ten times as many move no mean by 0.1."""
_LARGEST_BLOCK = 256
_BARRED_AT_ONCE = 64
"""Queries whose trivial matches are looked for together: those of far more lie far apart."""
_PARTIAL_SORT = 64
"""topk of torch on a CPU is two to three times as fast from that many values for each one wanted."""
_FEW = 1 << 13
"""Values among which nothing is gained by that."""
_KEPT_LENGTH, _KEPT_MASKS = 20_000, 1 << 20
"""Steps of the longest series whose layouts are kept, and elements of masks that one may keep."""

Bars = list[tuple[slice, slice, Tensor]]
"""Rows of queries, groups of columns, and where among both a match is trivial: bool (rows, g, groups)."""


class Workspace:
    """Memory that one scale after the other uses: fresh pages cost more than what is computed in them."""

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def take(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Return a tensor of that shape with any content; the last one of that name must not be used on."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or len(held) < size:
            self._held.pop(name, None)  # before the new one, so that both are never held
            self._held[name] = held = like.new_empty(size)
        return held[:size].view(shape)


@dataclass(frozen=True)
class Places:
    """A bounded choice of windows from all sources, in groups of those that overlap.

    Overlapping windows are one place: of each group of them the nearest alone is counted.

    Attributes
    ----------
    starts : Tensor of shape (m,)
        Ascending starts of the windows on the joined timeline of all sources.
    columns : Tensor of shape (g * G,)
        Start of the window in each column: member j of group i stands in column j * G + i, so that the
        minimum over a group runs over contiguous rows.
    repeated : Tensor of shape (g * G,), bool
        True where a column fills up the last group and must not be found.
    group : int
        Members of a group, g.
    zone : int
        Windows nearer than this to a query are its trivial matches.
    """

    starts: Tensor
    columns: Tensor
    repeated: Tensor
    group: int
    zone: int

    @classmethod
    def spread(
        cls, lengths: Sequence[int], window: int, config: RetrievalConfig, device: torch.device
    ) -> Places:
        """Choose windows from sources of these lengths, the series first."""
        starts = torch.cat(_starts_by_source(lengths, window, config.bank_size, device))
        step = max(1.0, (lengths[0] - window + 1) / config.bank_size)
        group = max(math.ceil(window / step), _SMALLEST_GROUP)
        group = max(1, min(group, len(starts) // (4 * config.neighbours)))
        n_groups = math.ceil(len(starts) / group)
        order = torch.arange(n_groups * group, device=device).view(n_groups, group).T.flatten()
        return cls(
            starts=starts,
            columns=starts[order.clamp(max=len(starts) - 1)],
            repeated=order >= len(starts),
            group=group,
            zone=max(1, round(config.exclusion * window)),
        )

    def trivial(self, at: Tensor) -> Bars:
        """Find the trivial matches of windows that start at ascending `at` (q,)."""
        parts = at.split(_BARRED_AT_ONCE)
        edges = torch.stack([torch.stack([p[0] - self.zone + 1, p[-1] + self.zone]) for p in parts])
        found: Bars = []
        n_groups = len(self.columns) // self.group
        columns = self.columns.int().view(self.group, n_groups)
        row = 0
        for part, (first, last) in zip(parts, torch.searchsorted(self.starts, edges).tolist(), strict=True):
            groups = slice(first // self.group, min(n_groups, -(-last // self.group)))
            near = (part.int()[:, None, None] - columns[:, groups]).abs_() < self.zone
            found.append((slice(row, row + len(part)), groups, near))
            row += len(part)
        return found

    def bar(self, cost: Tensor, bars: Bars) -> None:
        """Put infinity where a match is trivial: (..., q, g * G), in place."""
        grouped = cost.unflatten(-1, (self.group, -1))
        for rows, groups, near in bars:
            grouped[..., rows, :, groups].masked_fill_(near, math.inf)

    def group_minima(self, cost: Tensor) -> Tensor:
        """Return the smallest cost of each group: from (..., g * G) to (..., G)."""
        grouped = cost.unflatten(-1, (self.group, -1))
        # Minima of halves, which may overlap: they run over contiguous memory.
        while (members := grouped.shape[-2]) > 1:
            half = (members + 1) // 2
            grouped = torch.minimum(grouped[..., :half, :], grouped[..., members - half :, :])
        return grouped.squeeze(-2)


def smallest(values: Tensor, wanted: int) -> Tensor:
    """Return the smallest of (..., n) in ascending order, (..., min(wanted, n))."""
    n = values.shape[-1]
    wanted = min(wanted, n)
    if n < _PARTIAL_SORT * wanted and values.numel() > _FEW:
        values = torch.nn.functional.pad(values, (0, _PARTIAL_SORT * wanted - n), value=math.inf)
    return values.topk(wanted, dim=-1, largest=False).values


@dataclass(frozen=True)
class Layout:
    """Where the windows of a bank and of the queries lie: the same for all series of the same lengths.

    Attributes
    ----------
    places : Places
    own : Tensor of shape (q,)
        Starts of the queries.
    earlier : Tensor of shape (r,)
        Starts of the windows of references that tell what distance is usual there.
    block : int
        Queries that are compared at once.
    cover : Tensor of shape (T,), float32
        Queries that cover each step.
    kept : list of (Tensor, Bars) or None
        The blocks of `own`, then those of `earlier`, where all of them together are small.
    """

    places: Places
    own: Tensor
    earlier: Tensor
    block: int
    cover: Tensor
    kept: list[tuple[Tensor, Bars]] | None

    @classmethod
    def of(cls, lengths: Sequence[int], window: int, config: RetrievalConfig, device: torch.device) -> Layout:
        """Return that of sources of these lengths, the series first; those of short ones are remembered."""
        make = _known_layout if sum(lengths) <= _KEPT_LENGTH + config.bank_size else _make_layout
        return make(tuple(lengths), window, config, device)

    def own_blocks(self) -> Iterator[tuple[Tensor, Bars]]:
        """Yield the queries of the series in blocks, with their trivial matches."""
        return self._blocks(self.own, 0)

    def earlier_blocks(self) -> Iterator[tuple[Tensor, Bars]]:
        """Yield the queries of the references in blocks, with their trivial matches."""
        return self._blocks(self.earlier, -(-len(self.own) // self.block))

    def _blocks(self, queries: Tensor, first: int) -> Iterator[tuple[Tensor, Bars]]:
        if not len(queries):
            return
        for number, at in enumerate(queries.split(self.block)):
            yield (at, self.places.trivial(at)) if self.kept is None else self.kept[first + number]


def _make_layout(
    lengths: tuple[int, ...], window: int, config: RetrievalConfig, device: torch.device
) -> Layout:
    places = Places.spread(lengths, window, config, device)
    own = query_starts(lengths[0] - window + 1, window, config, device)
    starts = reference_starts(lengths, window, device)
    earlier = torch.cat(starts) if starts else own[:0]
    block = max(1, min(_LARGEST_BLOCK, config.block_elements // (2 * len(places.columns))))
    cover = spread_over_steps(own.new_ones(len(own), dtype=torch.float32), own, window, lengths[0])
    layout = Layout(places, own, earlier, block, cover, None)
    if lengths[0] > _KEPT_LENGTH or (len(own) + len(earlier)) * _BARRED_AT_ONCE > _KEPT_MASKS:
        return layout
    kept = [*layout.own_blocks(), *layout.earlier_blocks()]
    if sum(near.numel() for _, bars in kept for _, _, near in bars) > _KEPT_MASKS:
        return layout
    return Layout(places, own, earlier, block, cover, kept)


_known_layout = lru_cache(maxsize=32)(_make_layout)


def reference_starts(lengths: Sequence[int], window: int, device: torch.device) -> list[Tensor]:
    """Return, for each source but the first, starts of windows that tell what distance is usual there."""
    return _starts_by_source(lengths, window, _CALIBRATION_QUERIES, device)[1:]


def _starts_by_source(lengths: Sequence[int], window: int, limit: int, device: torch.device) -> list[Tensor]:
    """Return starts of at most `limit` windows of each source, on the joined timeline of all."""
    offsets = [0, *accumulate(lengths)]
    return [
        _spread_starts(length - window + 1, limit, device) + offset
        for length, offset in zip(lengths, offsets, strict=False)
    ]


def _spread_starts(n_windows: int, limit: int, device: torch.device) -> Tensor:
    """Return starts of at most `limit` windows: all, or one at a golden-ratio offset in each equal stratum.

    A constant stride can lock to the period of the series and then hold a few of its phases only; a
    low-discrepancy sequence covers every phase, and is deterministic.
    """
    if n_windows <= limit:
        return torch.arange(max(n_windows, 0), device=device)
    i = torch.arange(limit, dtype=torch.float64, device=device)
    return ((i + (i * _GOLDEN).frac()) * (n_windows / limit)).long().clamp_(max=n_windows - 1)


def query_starts(n_windows: int, window: int, config: RetrievalConfig, device: torch.device) -> Tensor:
    """Return starts on a stride, and the last window, so that every point is covered."""
    stride = max(1, window // config.query_overlap)
    starts = torch.arange(0, n_windows, stride, device=device)
    last = n_windows - 1
    return torch.cat([starts, starts.new_tensor([last])]) if last % stride else starts


def spread_over_steps(values: Tensor, starts: Tensor, window: int, length: int) -> Tensor:
    """Sum at each point of the values (..., q) of the windows that cover it: (..., T)."""
    edges = values.new_zeros(*values.shape[:-1], length + 1, dtype=torch.float64)
    edges.index_add_(-1, starts, values.double())
    edges.index_add_(-1, starts + window, -values.double())
    return edges.cumsum(-1)[..., :length].clamp_min_(0).float()


def averaged(values: Tensor, width: int) -> Tensor:
    """Centred moving average of (C, T) over the steps that there are."""
    # (C, 1, T): pooling takes channels of a batch, and a step beyond the ends does not count.
    return F.avg_pool1d(values[:, None], width, 1, width // 2, count_include_pad=False)[:, 0]


def typical_where_filled(
    distances: Tensor, usual: Tensor, valid: Tensor, starts: Tensor, window: int
) -> Tensor:
    """Draw distances (..., C + 1, q) to what is usual: a window half of which was filled in tells nothing.

    Of one variable they are (..., 1, q).
    """
    trust = (2 * share_of_valid(valid, starts, window) - 1).clamp_min(0)
    if len(trust) > 1:
        trust = torch.cat([trust, trust.mean(0, keepdim=True)])
    return usual + trust * (distances - usual)


def with_joint(rows: Tensor) -> Tensor:
    """Return rows of variables and of all joined, (..., C + 1, n): those of one, (..., 1, n), stand twice."""
    return rows.expand(*rows.shape[:-2], 2, -1) if rows.shape[-2] == 1 else rows


def share_of_valid(valid: Tensor, starts: Tensor, window: int) -> Tensor:
    """Share of valid points in each window: (C, T) and (q,) to (C, q)."""
    sums = torch.nn.functional.pad(valid.cumsum(1), (1, 0))
    return (sums[:, starts + window] - sums[:, starts]) / window
