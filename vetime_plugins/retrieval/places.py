"""Where the windows of a bank lie, and which of them count as one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from vetime_plugins.retrieval.config import RetrievalConfig

_GOLDEN = (math.sqrt(5) - 1) / 2
_SMALLEST_GROUP = 16
_CALIBRATION_QUERIES = 1000


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

    def trivial(self, at: Tensor) -> tuple[slice, Tensor]:
        """Find the groups with trivial matches, and infinity where a member is one: (q, g, those groups)."""
        edges = torch.stack([at[0] - self.zone + 1, at[-1] + self.zone])
        first, last = torch.searchsorted(self.starts, edges).tolist()
        n_groups = len(self.columns) // self.group
        groups = slice(first // self.group, min(n_groups, -(-last // self.group)))
        columns = self.columns.view(self.group, n_groups)[:, groups]
        near = (at.int()[:, None, None] - columns.int()).abs() < self.zone
        return groups, torch.where(near, math.inf, 0.0)


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


def typical_where_filled(
    distances: Tensor, usual: Tensor, valid: Tensor, starts: Tensor, window: int
) -> Tensor:
    """Draw distances (..., C + 1, q) to what is usual: a window half of which was filled in tells nothing."""
    trust = (2 * share_of_valid(valid, starts, window) - 1).clamp_min(0)
    return usual + torch.cat([trust, trust.mean(0, keepdim=True)]) * (distances - usual)


def share_of_valid(valid: Tensor, starts: Tensor, window: int) -> Tensor:
    """Share of valid points in each window: (C, T) and (q,) to (C, q)."""
    sums = torch.nn.functional.pad(valid.cumsum(1), (1, 0))
    return (sums[:, starts + window] - sums[:, starts]) / window
