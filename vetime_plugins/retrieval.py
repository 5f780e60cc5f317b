"""Retrieval expert: how far is a subsequence from its nearest neighbours elsewhere in the series.

A non-parametric view of novelty that the network reads beside its learned branches. For several window lengths every
window of the series is compared with a bounded bank of windows of the same series (and of reference data, if there
are any); the distances to the nearest neighbours are spread over the points that the windows cover and put on a
logarithmic scale relative to what is typical of the series.

Time and memory are linear in the length: the bank holds at most `RetrievalConfig.bank_size` windows, queries lie on a
stride, and the distance matrix only ever exists for one block of queries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vetime_plugins.errors import InputError

_VIEWS = ("shape", "form")
_MAX_ACF_POINTS = 20_000
_MAX_LAG = 400
_DEFAULT_PERIOD = 125
_SHORTEST = 8
_FLOOR = 0.01
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class RetrievalConfig:
    """What the retrieval expert compares.

    Parameters
    ----------
    windows : tuple of int
        Fixed window lengths in time steps. Two more scales are always added: the highest autocorrelation peak of
        the series and its long period.
    neighbours : int
        Nearest neighbours averaged, each from another place of the bank.
    bank_size : int
        Largest number of bank windows a source (the series, the reference) contributes at one scale.
    query_overlap : int
        Query windows per window length: the stride of the queries is ``max(1, w // query_overlap)``.
    exclusion : float
        Half-width of the zone around a query that holds its trivial matches, in window lengths.
    softness : float
        Share of the typical window deviation added (in squares) to each window's own deviation before the
        amplitude-free comparison, so that near-constant windows are compared by their noise no longer.
    block_elements : int
        Largest number of distances held at once.
    """

    windows: tuple[int, ...] = (16, 48)
    neighbours: int = 5
    bank_size: int = 4000
    query_overlap: int = 8
    exclusion: float = 0.5
    softness: float = 0.3
    block_elements: int = 4_000_000

    def __post_init__(self) -> None:
        if not self.windows or min(self.windows) < 4:
            raise InputError(f"windows needs lengths of at least 4 steps; got {self.windows}.")
        if self.neighbours < 1 or self.bank_size < 1 or self.query_overlap < 1:
            raise InputError(
                "neighbours, bank_size and query_overlap need to be at least 1; got "
                f"{self.neighbours}, {self.bank_size}, {self.query_overlap}."
            )

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Names of the scales: the fixed windows, the ACF peak, the long period."""
        return (*(str(w) for w in self.windows), "peak", "period")

    @property
    def n_scales(self) -> int:
        """Number of scales."""
        return len(self.windows) + 2

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Channels per variable: for each scale both distances and the residual of each point."""
        return tuple(
            f"{kind}@{scale}" for scale in self.scale_names for kind in (*_VIEWS, "point", "joint_point")
        )

    @property
    def n_features(self) -> int:
        """Number of channels per variable, K."""
        return len(self.feature_names)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Channels of the whole series."""
        return tuple(f"{kind}@{scale}" for scale in self.scale_names for kind in (*_VIEWS, "point"))

    @property
    def n_joint(self) -> int:
        """Number of channels of the whole series, K_j."""
        return len(self.joint_names)


class RetrievalFeatures(NamedTuple):
    """Distances to the nearest neighbours as log-ratios to the typical distance of the series.

    Attributes
    ----------
    variables : Tensor
        Shape ``(T, C, K)``, float32.
    joint : Tensor
        Shape ``(T, K_j)``, float32: of the windows of all variables joined.
    """

    variables: Tensor
    joint: Tensor


def retrieval_distances(
    x: Tensor,
    *,
    period: int | None = None,
    config: RetrievalConfig | None = None,
    reference: Tensor | None = None,
    valid: Tensor | None = None,
) -> RetrievalFeatures:
    """Compare every part of a series with its nearest neighbours elsewhere.

    Parameters
    ----------
    x : Tensor
        Shape ``(T, C)`` or ``(T,)``, finite.
    period : int, optional
        The long period in time steps; found from the autocorrelation where it is not given.
    config : RetrievalConfig, optional
        Scales, neighbours and bounds.
    reference : Tensor, optional
        Shape ``(T_ref, C)``: earlier or clean data whose windows join the bank. Ignored where it equals `x`.
    valid : Tensor, optional
        Shape ``(T, C)``, bool: False where a value was missing and has been filled in.

    Returns
    -------
    RetrievalFeatures
        Per variable ``(T, C, K)`` and joint ``(T, K_j)``, float32.

    Raises
    ------
    InputError
        If a shape does not fit.
    """
    config = config or RetrievalConfig()
    x = _two_dimensional(x, "the series")
    length, n_variables = x.shape
    sources = [x]
    if reference is not None:
        reference = _two_dimensional(reference, "the reference").to(x.device)
        if reference.shape[1] != n_variables:
            raise InputError(
                f"the reference needs as many variables as the series: {n_variables}; got {reference.shape[1]}."
            )
        if reference.shape != x.shape or not torch.equal(reference, x):
            sources.append(reference)
    variables = x.new_zeros(length, n_variables, config.n_features, dtype=torch.float32)
    joint = x.new_zeros(length, config.n_joint, dtype=torch.float32)
    standard, moving = _standardise(sources)
    if moving.numel() == 0 or length < _SHORTEST:
        return RetrievalFeatures(variables, joint)
    mask = None if valid is None else _two_dimensional(valid, "valid")[:, moving].T.to(torch.float32)
    known: dict[int, tuple[Tensor, Tensor]] = {}
    for scale, window in enumerate(scale_windows(standard[0], period, config)):
        if window not in known:
            known[window] = _one_scale(standard, mask, window, config)
        per_variable, whole = known[window]  # (C', T, 4), (T, 3)
        variables[:, moving, 4 * scale : 4 * scale + 4] = per_variable.transpose(0, 1)
        joint[:, 3 * scale : 3 * scale + 3] = whole
    return RetrievalFeatures(_log_ratio(variables), _log_ratio(joint))


def retrieval_score(features: RetrievalFeatures) -> Tensor:
    """Combine the features into one score without parameters: the mean log-ratio of the joint distances.

    Parameters
    ----------
    features : RetrievalFeatures
        From `retrieval_distances`.

    Returns
    -------
    Tensor
        Shape ``(T,)``, float32; higher is more novel.
    """
    return features.joint.mean(dim=1)


def scale_windows(standard: Tensor, period: int | None, config: RetrievalConfig) -> tuple[int, ...]:
    """Window lengths of all scales for one standardised series ``(C, T)``, each short enough to find neighbours."""
    length = standard.shape[1]
    peak, long = _periods(standard)
    wanted = (*config.windows, peak, period if period and period > 1 else long)
    return tuple(max(2, min(w, length // 4)) for w in wanted)


def _two_dimensional(x: Tensor, name: str) -> Tensor:
    x = torch.as_tensor(x)
    x = x.unsqueeze(1) if x.ndim == 1 else x
    if x.ndim != 2:
        raise InputError(f"{name} needs the shape (T,) or (T, C); got {tuple(x.shape)}.")
    return x


def _standardise(sources: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Z-score every source by the first one's mean and deviation; keep the variables that move.

    Returns the sources as ``(C', T)`` float32 and the indices ``(C',)`` of the variables kept.
    """
    first = sources[0].to(torch.float64)
    mean, deviation = first.mean(0), first.std(0, correction=0)
    moving = torch.nonzero(deviation > 1e-12 * (1e-300 + first.abs().amax(0))).squeeze(1)
    mean, deviation = mean[moving], deviation[moving]
    return [
        ((s[:, moving].to(torch.float64) - mean) / deviation).T.float().contiguous() for s in sources
    ], moving


def _periods(standard: Tensor) -> tuple[int, int]:
    """Highest autocorrelation peak below 400 lags, and the highest one of all lags up to a quarter of the length."""
    head = standard[:, :_MAX_ACF_POINTS]
    length = head.shape[1]
    n_fft = 1 << (2 * length - 1).bit_length()
    spectrum = torch.fft.rfft(head - head.mean(1, keepdim=True), n_fft)
    acf = torch.fft.irfft(spectrum.abs().square(), n_fft)[:, : max(length // 4, 1)].mean(0)
    peaks = torch.nonzero((acf[1:-1] > acf[:-2]) & (acf[1:-1] > acf[2:])).squeeze(1) + 1
    short = peaks[(peaks > 3) & (peaks < _MAX_LAG)]
    peak = int(short[acf[short].argmax()]) if short.numel() else _DEFAULT_PERIOD
    long = int(peaks[acf[peaks].argmax()]) if peaks.numel() else peak
    return peak, long


def _log_ratio(distance: Tensor) -> Tensor:
    """Logarithm of each channel relative to its median over time; a channel without distances becomes 0."""
    median = distance.median(dim=0, keepdim=True).values
    typical = torch.maximum(median, 0.1 * distance.mean(dim=0, keepdim=True))
    return torch.log((distance + _FLOOR) / (typical + _FLOOR)).clamp(-4.0, 8.0)


def _bank_starts(n_windows: int, limit: int, device: torch.device) -> Tensor:
    """Starts of the bank windows: all of them, or one in each of `limit` strata at a golden-ratio offset.

    A constant stride can lock to the period of the series and then hold a few of its phases only; offsets from a
    low-discrepancy sequence cover every phase and are deterministic.
    """
    if n_windows <= limit:
        return torch.arange(n_windows, device=device)
    i = torch.arange(limit, dtype=torch.float64, device=device)
    return ((i + (i * _GOLDEN).frac()) * (n_windows / limit)).long().clamp_(max=n_windows - 1)


def _one_scale(
    sources: list[Tensor], mask: Tensor | None, window: int, config: RetrievalConfig
) -> tuple[Tensor, Tensor]:
    """Distances at one window length: per variable ``(C, T, 4)`` and joint ``(T, 3)``."""
    x = sources[0]
    n_variables, length = x.shape
    bank = _Bank.build(sources, mask, window, config)
    last = length - window
    queries = torch.arange(0, last + 1, max(1, window // config.query_overlap), device=x.device)
    if int(queries[-1]) != last:  # so that the end of the series is covered as well
        queries = torch.cat([queries, queries.new_tensor([last])])
    inside = torch.arange(window, device=x.device)

    # Distances belong to whole windows: their sums over covering windows are running sums of these edges.
    edges = x.new_zeros(n_variables + 1, length + 1, 2, dtype=torch.float64)
    points = x.new_zeros(2, n_variables, length)
    cover = x.new_zeros(length + 1, dtype=torch.float64)
    per_query = n_variables * max(2 * len(bank.columns), 2 * config.neighbours * window)
    for at in queries.split(max(1, config.block_elements // per_query)):
        query = bank.windows[:, at]  # (C, q, w)
        query = query - query.mean(-1, keepdim=True)
        weight = query.new_ones(()) if mask is None else mask.unfold(1, window, 1)[:, at]
        cost, norm = bank.costs(query, at)  # (2, C, q, m), (2, C, q)
        found, cost_found = bank.nearest(cost, config.neighbours)  # (2, C, q, k)
        found_joint, joint_cost = bank.nearest(cost.sum(1), config.neighbours)  # (2, q, k)

        form = _mean_finite(_distance(cost_found[1], norm[1], window))
        joint_form = _mean_finite(_distance(joint_cost[1], norm[1].sum(0), window * n_variables))
        square, shape = bank.residuals(query, found[0], cost_found[0].isfinite(), weight)
        square_joint, _ = bank.residuals(
            query, found_joint[0].expand(n_variables, -1, -1), joint_cost[0].isfinite(), weight
        )
        joint_shape = _mean_finite(_distance(joint_cost[0], norm[0].sum(0), window * n_variables))

        distances = torch.cat(
            [torch.stack([shape, form], -1), torch.stack([joint_shape, joint_form], -1)[None]]
        )
        edges.index_add_(1, at, distances.double())
        edges.index_add_(1, at + window, -distances.double())
        cover.index_add_(0, at, cover.new_ones(len(at)))
        cover.index_add_(0, at + window, -cover.new_ones(len(at)))
        index = (at[:, None] + inside).flatten()
        points.index_add_(2, index, torch.stack([square, square_joint]).flatten(2))

    count = cover.cumsum(0)[:length]
    spread = (edges.cumsum(1)[:, :length] / count[:, None]).clamp_min(0).float()
    squares = points / count.float()  # (2, C, T)
    per_variable = torch.cat([spread[:-1], squares.sqrt().permute(1, 2, 0)], -1)
    whole = torch.cat([spread[-1], squares[1].mean(0).sqrt()[:, None]], -1)
    return per_variable, whole


def _distance(cost: Tensor, norm: Tensor, size: int) -> Tensor:
    """Root mean square distance from ``|b|^2 / 2 - a.b`` and ``|a|^2``."""
    return ((2 * cost + norm[..., None]).clamp_min(0) / size).sqrt()


def _mean_finite(distance: Tensor) -> Tensor:
    """Mean over the neighbours ``(..., k)`` that exist; 0 where there is none."""
    finite = distance.isfinite()
    return distance.where(finite, 0.0).sum(-1) / finite.sum(-1).clamp_min(1)


@dataclass(frozen=True)
class _Bank:
    """Windows to compare with, in two views: centred ("shape") and centred and softly scaled ("form")."""

    windows: Tensor  # (C, n, w), a view of all sources one after the other
    columns: Tensor  # (m,) start of the window in each column
    vectors: Tensor  # (2C, w, m)
    half_norm: Tensor  # (2C, 1, m); infinite where a column must not be found
    softening: Tensor  # (C, 1)
    n_groups: int
    zone: int

    @classmethod
    def build(cls, sources: list[Tensor], mask: Tensor | None, window: int, config: RetrievalConfig) -> _Bank:
        """Choose and prepare the bank of one scale."""
        timeline = sources[0] if len(sources) == 1 else torch.cat(sources, dim=1)
        windows = timeline.unfold(1, window, 1)
        starts, offset = [], 0
        for source in sources:  # never across a seam
            n_windows = source.shape[1] - window + 1
            if n_windows > 0:
                starts.append(_bank_starts(n_windows, config.bank_size, timeline.device) + offset)
            offset += source.shape[1]
        bank = torch.cat(starts)
        # Overlapping windows are one place: neighbours are counted once a group of half a window.
        step = max(1.0, (sources[0].shape[1] - window + 1) / config.bank_size)
        group = max(1, min(math.ceil(window / 2 / step), len(bank) // (4 * config.neighbours)))
        n_groups = math.ceil(len(bank) / group)
        # Column j * n_groups + i holds member j of group i: minima over a group then run over contiguous rows.
        order = torch.arange(n_groups * group, device=bank.device).view(n_groups, group).T.flatten()
        columns = bank[order.clamp(max=len(bank) - 1)]

        vectors = windows[:, columns]
        vectors = vectors - vectors.mean(-1, keepdim=True)  # (C, m, w)
        softening = config.softness**2 * vectors.square().mean((-1, -2)).clamp_min(1e-12)[:, None]
        vectors = torch.cat([vectors, vectors / _soft_deviation(vectors, softening)])  # (2C, m, w)
        half_norm = vectors.square().sum(-1) / 2
        half_norm[:, order >= len(bank)] = math.inf
        if mask is not None:
            own = columns < mask.shape[1] - window + 1
            share = mask.unfold(1, window, 1)[:, columns.where(own, 0)].mean(-1)  # (C, m)
            half_norm[((share < 0.5) & own).repeat(2, 1)] = math.inf
        zone = max(1, round(config.exclusion * window))
        return cls(windows, columns, vectors.mT.contiguous(), half_norm[:, None], softening, n_groups, zone)

    def costs(self, query: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """``|b|^2 / 2 - a.b`` for centred queries ``(C, q, w)``: ``(2, C, q, m)``, and ``|a|^2``: ``(2, C, q)``."""
        both = torch.cat([query, query / _soft_deviation(query, self.softening)])
        cost = torch.baddbmm(self.half_norm, both, self.vectors, alpha=-1.0)
        cost.masked_fill_((at[:, None] - self.columns).abs() < self.zone, math.inf)
        return cost.view(2, *query.shape[:2], -1), both.square().sum(-1).view(2, *query.shape[:2])

    def nearest(self, cost: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
        """Columns of the nearest windows, one a group, and their costs: ``(..., q, k)`` each."""
        grouped = cost.unflatten(-1, (-1, self.n_groups))  # (..., q, g, G)
        best = grouped.amin(-2).topk(min(neighbours, self.n_groups), dim=-1, largest=False)
        members = grouped.gather(-1, best.indices.unsqueeze(-2).expand(*grouped.shape[:-1], -1))
        return members.argmin(-2) * self.n_groups + best.indices, best.values

    def residuals(
        self, query: Tensor, found: Tensor, exists: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Squared residual of each point of each query ``(C, q, w)``, and the distance of the query ``(C, q)``."""
        variable = torch.arange(len(query), device=query.device)[:, None, None]
        neighbour = self.windows[variable, self.columns[found]]  # (C, q, k, w)
        neighbour = neighbour - neighbour.mean(-1, keepdim=True)
        square = (
            (query[:, :, None] - neighbour).square() * weight.unsqueeze(-2)
            if weight.ndim
            else (query[:, :, None] - neighbour).square()
        )
        square = square.where(exists[..., None], 0.0)
        count = exists.sum(-1).clamp_min(1)
        distance = square.mean(-1).sqrt().sum(-1) / count
        return square.sum(-2) / count[..., None], distance


def _soft_deviation(centred: Tensor, softening: Tensor) -> Tensor:
    """Deviation of centred windows ``(C, m, w)`` that never vanishes: ``(C, m, 1)``."""
    return (centred.square().mean(-1) + softening).sqrt()[..., None]
