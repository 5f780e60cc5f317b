"""Training objectives: detection, reconstruction, window contrast, expert balance (paper, Section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vetime_plugins.network.layers import mlp

TEMPERATURE = 0.1
"""Temperature of InfoNCE (paper, Section 3.4)."""
_NEVER = -1e4
MAX_WINDOWS = 16
"""Anomaly windows of one sample that the inter-window term compares at most: bounds memory."""


@dataclass(frozen=True)
class Segments:
    """Runs of anomalous patches, seen from every patch.

    Each int64 (B, N): the half-open interval of the run that a patch belongs to; meaningless at normal ones.
    """

    start: Tensor
    stop: Tensor

    @classmethod
    def of(cls, labels: Tensor) -> Segments:
        """Find the runs of True in (B, N) without a loop over patches."""
        n = labels.shape[1]
        index = torch.arange(n, device=labels.device).expand_as(labels)
        last_normal = torch.where(labels, -1, index).cummax(dim=1).values
        next_normal = torch.where(labels, n, index).flip(1).cummin(dim=1).values.flip(1)
        return cls(last_normal + 1, next_normal)


class WindowContrast(nn.Module):
    """Anomaly Window Contrastive Learning (paper, Section 3.4).

    Two projection heads bring Z_TS and Z_V onto one sphere. *Intra-window*: an anomalous patch of one view
    agrees with the same patch of the other view, and with no normal patch of the context around its anomaly.
    *Inter-window*: the mean of an anomaly window agrees with its mean in the other view, and with no normal
    window of equal length. Both compare within a sample only.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.temporal = mlp(width, width, width // 2)
        self.vision = mlp(width, width, width // 2)

    def forward(self, z_temporal: Tensor, z_vision: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of the intra-window and the inter-window loss (a scalar, 0 without anomalies).

        Z_TS and Z_V are (B, N, D). Of (B, N), `labels` marks anomalous patches, `mask` real ones.
        """
        labels = labels & mask
        normal = ~labels & mask
        segments = Segments.of(labels)
        temporal = F.normalize(self.temporal(z_temporal).float(), dim=-1)
        vision = F.normalize(self.vision(z_vision).float(), dim=-1)
        return intra_window_loss(vision, temporal, labels, normal, segments) + inter_window_loss(
            temporal, vision, labels, normal, segments
        )


def intra_window_loss(
    anchor: Tensor, other: Tensor, labels: Tensor, normal: Tensor, segments: Segments
) -> Tensor:
    """InfoNCE between the views at anomalous patches against the normal patches around each anomaly.

    Both views are unit vectors (B, N, d), both masks (B, N). The context reaches as far on each side as the
    anomaly is long, but at least four patches.
    """
    similarity = anchor @ other.transpose(1, 2) / TEMPERATURE  # (B, N, N)
    position = torch.arange(labels.shape[1], device=labels.device)
    reach = (segments.stop - segments.start).clamp(min=4)
    near = (position >= (segments.start - reach)[..., None]) & (position < (segments.stop + reach)[..., None])
    negatives = near & normal[:, None] & labels[..., None]
    positive = similarity.diagonal(dim1=1, dim2=2)
    return _info_nce(positive[..., None], similarity, negatives, labels)


def inter_window_loss(
    anchor: Tensor, other: Tensor, labels: Tensor, normal: Tensor, segments: Segments
) -> Tensor:
    """InfoNCE between the views' means over anomaly windows of two or more patches against normal windows.

    Both views are unit vectors (B, N, d), both masks (B, N).
    """
    n = labels.shape[1]
    position = torch.arange(n, device=labels.device)
    length = segments.stop - segments.start
    first = labels & (segments.start == position) & (length >= 2)  # one True per window
    order = first.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :MAX_WINDOWS]
    counted = first.gather(1, order)  # (B, S)
    # Places beyond the last window are not counted, but must be valid indices.
    start, length = segments.start.gather(1, order).clamp(max=n - 1), length.gather(1, order).clamp(min=1)

    # Means of all windows of each anomaly's length, by differences of one cumulative sum.
    begin = position.expand(len(labels), order.shape[1], n)
    end = begin + length[..., None]
    inside = end <= n
    end = end.clamp(max=n)

    def window_sums(x: Tensor) -> Tensor:  # (B, N, d) -> (B, S, N, d)
        total = F.pad(x.cumsum(dim=1), (0, 0, 1, 0))
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        return total[rows, end] - total[rows, begin]

    normal_count = window_sums(normal.to(anchor.dtype)[..., None])[..., 0]
    is_normal = inside & (normal_count > length[..., None] - 0.5)  # (B, S, N)
    candidates = F.normalize(window_sums(other), dim=-1)  # (B, S, N, d)
    at_start = start[..., None, None].expand(-1, -1, 1, anchor.shape[-1])
    query = F.normalize(window_sums(anchor).gather(2, at_start), dim=-1)  # (B, S, 1, d)
    similarity = (query * candidates).sum(-1) / TEMPERATURE  # (B, S, N)
    positive = similarity.gather(2, start[..., None])
    return _info_nce(positive, similarity, is_normal, counted)


def _info_nce(positive: Tensor, similarity: Tensor, negatives: Tensor, counted: Tensor) -> Tensor:
    """InfoNCE of positives (..., 1) against the negatives of (..., N), where `counted` and any is there."""
    everything = torch.cat([positive, similarity.masked_fill(~negatives, float("-inf"))], dim=-1)
    loss = everything.logsumexp(dim=-1) - positive[..., 0]
    return _masked_mean(loss, counted & negatives.any(dim=-1))


def balance_loss(weights: Tensor, mask: Tensor) -> Tensor:
    """Sum importance times load over the experts: smallest when no expert takes everything.

    The weights are (2, B, C, N, E), the mask (B, N).
    """
    chosen = weights[:, mask[:, None].expand(-1, weights.shape[2], -1)]  # (2, M, E)
    importance = chosen.mean(dim=1)
    load = (chosen > 0).to(weights.dtype).mean(dim=1)
    return (importance * load).sum(dim=-1).mean()


def detection_loss(margin: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Weighted binary cross-entropy of anomaly margins (..., T), anomaly logit minus normal logit.

    `labels`, 0, 1 or a probability, and `weight`, 0 where a step is padding, have the same shape.
    """
    loss = F.binary_cross_entropy_with_logits(margin.float(), labels.float(), reduction="none")
    return (loss * weight).sum() / weight.sum().clamp(min=1.0)


def ranking_loss(margin: Tensor, positive: Tensor, negative: Tensor, group: Tensor, n_groups: int) -> Tensor:
    """Every anomalous step should outrank all normal steps of its series.

    For a step i the loss is ``-log(e^m_i / (e^m_i + sum_j e^m_j))`` over the normal steps j of the same
    series: a smooth count of the false alarms ranked above it, which is what the area under the
    precision-recall curve punishes.

    Margins are (B, T); `positive` (B, T) is the weight of each anomalous step, e.g. its severity, and 0
    elsewhere; `negative` (B, T) marks normal, unpadded steps; `group` (B,) is the series a row was cut from.
    """
    margin = margin.float()
    # A large finite number instead of -inf: a row without normal steps would have an undefined gradient.
    per_row = margin.masked_fill(~negative, _NEVER).logsumexp(dim=1)  # (B,)
    top = torch.full((n_groups,), float("-inf"), device=margin.device).scatter_reduce(
        0, group, per_row.detach(), "amax"
    )
    top = top.clamp(min=_NEVER)
    total = torch.zeros(n_groups, device=margin.device).scatter_add(0, group, (per_row - top[group]).exp())
    negatives = (total + 1e-30).log() + top  # (n_groups,)
    loss = F.softplus(negatives[group][:, None] - margin)
    return (loss * positive).sum() / positive.sum().clamp(min=1.0)


_LEVELS = (0.5, 1.0, 2.0, 4.0, 8.0)
_CLEARLY = 2


def severity_ranking_loss(
    margin: Tensor, severity: Tensor, normal: Tensor, group: Tensor, n_groups: int
) -> Tensor:
    """Every anomalous step should outrank the normal steps of its series and the clearly milder anomalies.

    A binary label calls a gross spike and a faint change of context equals; a reader of the scores does not.
    `ranking_loss`, which has the shapes, is summed over levels of severity that double from one to the
    next: a step competes with the normal steps and with those at least two levels below its own.
    """
    anomalous = severity > 0
    level = torch.bucketize(severity, severity.new_tensor(_LEVELS))
    # A gross anomaly that is missed costs more than one nobody would have labelled.
    weight = anomalous * (0.25 + severity.clamp(max=_LEVELS[-2]))
    total = margin.new_zeros((), dtype=torch.float32)
    for number in range(len(_LEVELS) + 1):
        positive = weight * (level == number)
        if positive.any():
            rivals = normal | (anomalous & (level <= number - _CLEARLY))
            mean = ranking_loss(margin, positive, rivals, group, n_groups)
            total = total + mean * positive.sum().clamp(min=1.0)  # the divisor of that mean
    return total / weight.sum().clamp(min=1.0)


def reconstruction_loss(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Huber loss of the reconstruction (B, C, T) against the clean series over the steps of a mask.

    Both are in standardised units. Quadratic up to one deviation: a gross spike in a clean but heavy-tailed
    series must not outweigh everything else.
    """
    loss = F.huber_loss(prediction.float(), target.float(), reduction="none")
    return _masked_mean(loss, mask.expand_as(loss))


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)
