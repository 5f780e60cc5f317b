"""Evidence of standstills: a value that is repeated for far longer than the series ever repeats one.

A sensor that is stuck says nothing odd. Its windows are as quiet as quiet ones are, and where no two windows
look alike no distance between them is large. That the last value came again, and again, is what tells.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_TIMES = 4
"""Times the longest usual run from which on a standstill counts."""
_MOST = 1.0
"""What the longest standstill says: one of days is no more certain than one of hours, nor hides it others."""
_USUAL_STEPS = 0.9
"""Share of the steps, without the longest run, that lie in runs no longer than one that is usual."""
_MUCH = 0.2
"""Share of the steps from which on the longest run is usual too: a machine that is off half of the time."""
_FEWEST = 8
"""Longest runs that may all be standstills, or a tenth of all runs where there are few."""


def standstill_evidence(sources: list[Tensor], valid: Tensor | None) -> Tensor:
    """How much longer the same value is repeated at each point than is usual in the series.

    Usual is the longest of three: the run that chance makes among values that repeat as often as these
    do, the ninth longest, and one as long as those that a tenth of the steps lie in. So neither the
    nights of a counter nor the steps of a slow setting are standstills. Of several variables it is the
    geometric mean of their own and the average of all.

    Parameters
    ----------
    sources : list of Tensor of shape (C, T_i), float32
        The series and perhaps references. Which values are equal is all that counts.
    valid : Tensor of shape (C, T), float32, optional
        0 where a value of the series was filled in, else 1. A filled value ends a run.

    Returns
    -------
    Tensor of shape (C, T)
        In [0, 1]: the logarithm of how often four usual runs fit into that of the point, at most 1.
    """
    length = sources[0].shape[1]
    runs, starts = _runs(torch.cat(sources, dim=1), [one.shape[1] for one in sources], valid)
    excess = (runs[:, :length] / (_TIMES * _usual_run(runs, starts))).log_().clamp_(0, _MOST)
    excess = (excess * excess.mean(0, keepdim=True)).sqrt_()
    return excess if valid is None else excess * valid


def _runs(timeline: Tensor, lengths: list[int], valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return for each of (C, L) the length of the run of equal values that it is in, and which start one."""
    starts = F.pad(timeline[:, 1:] != timeline[:, :-1], (1, 0), value=True)
    starts[:, torch.tensor(lengths[:-1], dtype=torch.long).cumsum(0)] = True
    if valid is not None:
        own = lengths[0]
        filled = valid == 0
        starts[:, :own] |= filled
        starts[:, 1:own] |= filled[:, :-1]
    which = starts.flatten().cumsum(0).sub_(1)
    return which.bincount().to(timeline.dtype)[which].view_as(timeline), starts


def _usual_run(runs: Tensor, starts: Tensor) -> Tensor:
    """Return the longest usual run (C, 1) from the run of each point (C, L) and the starts of runs (C, L)."""
    length = runs.shape[1]
    number = starts.sum(1, keepdim=True)
    longest = runs.where(starts, 0).topk(min(_FEWEST + 1, length), dim=1).values  # (C, 9)
    ninth = longest.gather(1, (number // 10).clamp_max_(longest.shape[1] - 1))
    # What is told of the others must not be told by the longest run itself, unless it is much of the series.
    first = longest[:, :1].where(longest[:, :1] <= _MUCH * length, 1)
    others = length - first + 1
    common = runs.sort(dim=1).values.gather(1, (_USUAL_STEPS * others).long().clamp_max_(length - 1))
    repeats = (length - number - (first - 1)) / others
    chance = 1 + math.log(length) / -repeats.clamp(1e-12, 1 - 1e-6).log()
    return torch.maximum(torch.maximum(ninth, common), chance)
