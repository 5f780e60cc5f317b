"""Evidence of single steps: how far a point stands out, beyond what the rarest of the others do.

Window distances say that something happened; this says where, to the step. It counts only in excess of the
series' own tail: what many steps do, the jumps of a square wave or the peaks of a heartbeat, is no anomaly.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_MEDIAN = 7
"""Steps of the running median: a burst of three steps still stands out from it."""
_AROUND = 129
"""Steps over which the usual residual is taken."""
_FAINTEST = 0.02
"""Residual in deviations of the series that is never remarkable."""
_LOCAL_TAIL, _DISTANT_TAIL = 0.003, 0.001
"""Shares of the steps that set the tails beyond which residuals count."""
_FEWEST = 8
"""Steps that set the tail of a short series: as many may be anomalies and still all stand out."""
_EXCHANGES = (
    *((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6)),
    *((2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)),
)
"""Pairs to be put in order, one after the other, which bring the median of seven to the middle."""


def point_evidence(sources: list[Tensor], valid: Tensor | None, distant: Tensor) -> Tensor:
    """Excess of each point's residuals over the tail of the others', locally and against the neighbours.

    Of several variables it is the geometric mean of their own excess and the average of all.

    Parameters
    ----------
    sources : list of Tensor of shape (C, T_i), float32
        The series and perhaps references, standardised.
    valid : Tensor of shape (C, T), float32, optional
        0 where a value of the series was filled in, else 1.
    distant : Tensor of shape (C, T)
        Residuals of the points to the neighbours of their windows, as ``asinh``.

    Returns
    -------
    Tensor of shape (C, T)
        At least 0, in the unit of ``asinh``: 1 means about 2.7 times the tail. 0 where a value was filled in.
    """
    length = sources[0].shape[1]
    residuals = [(source - _running_median(source)).abs_() for source in sources]
    if valid is not None:
        residuals[0] = residuals[0] * valid
    overall = torch.cat(residuals, dim=1).mean(1, keepdim=True)
    ratios = torch.cat([r / (0.5 * (_moving_mean(r) + overall) + _FAINTEST) for r in residuals], dim=1)
    deviation = ratios.std(1, keepdim=True, correction=0).clamp_min(1e-6)
    local = torch.asinh((ratios - ratios.mean(1, keepdim=True)) / deviation)
    excess = _beyond_tail(local, _LOCAL_TAIL)[:, :length] + _beyond_tail(distant, _DISTANT_TAIL)
    # Among many variables one stands out at most steps: the more of them do, the more each counts.
    excess = (excess * excess.mean(0, keepdim=True)).sqrt_()
    return excess if valid is None else excess * valid


def _beyond_tail(values: Tensor, share: float) -> Tensor:
    """How much (C, T) exceed the largest but a few of themselves."""
    length = values.shape[1]
    rare = max(int(share * length), min(_FEWEST, length // 10))
    tail = values.topk(rare + 1, dim=1).values[:, -1:]
    return (values - tail).clamp_min_(0)


def _running_median(x: Tensor) -> Tensor:
    """Centred running median of (C, T); the ends are repeated."""
    padded = F.pad(x, (_MEDIAN // 2, _MEDIAN // 2), mode="replicate")
    rows = list(padded.unfold(1, x.shape[1], 1).unbind(1))  # views of what stands 0, 1, .. steps ahead
    for low, high in _EXCHANGES:
        rows[low], rows[high] = torch.minimum(rows[low], rows[high]), torch.maximum(rows[low], rows[high])
    return rows[_MEDIAN // 2]


def _moving_mean(x: Tensor) -> Tensor:
    """Centred moving average of (C, T); the ends are repeated."""
    padded = F.pad(x, (_AROUND // 2, _AROUND // 2), mode="replicate")
    sums = F.pad(padded.double().cumsum(1), (1, 0))
    return ((sums[:, _AROUND:] - sums[:, :-_AROUND]) / _AROUND).float().clamp_min_(0)
