"""How the margins of several variables become one."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

__all__ = ["pool_margins", "pool_variables"]


def pool_variables(logits: Tensor, how: str) -> Tensor:
    """Join the logits (B, C, T, 2) of several variables into (B, T, 2); see `pool_margins`.

    A chunk does not know what is usual for the whole series, so "rise" is "top" here.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    if how == "mean":
        return logits.mean(dim=1)
    margin = logits[..., 1] - logits[..., 0]
    if how == "max":
        joined = margin.logsumexp(dim=1) - math.log(margin.shape[1])
    else:
        joined = margin.topk(_n_highest(margin.shape[1]), dim=1).values.mean(dim=1)
    return torch.stack([torch.zeros_like(joined), joined], dim=-1)


def pool_margins(
    margins: NDArray[np.float64],
    how: str,
    *,
    level: NDArray[np.float64] | None = None,
    switches: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Join the margins (T, C) of several variables, -inf where one was not read, into (T,).

    Variables that never change do not take part.

    Parameters
    ----------
    margins : float64 ndarray of shape (T, C)
    how : {"mean", "max", "top", "rise"}
        "mean" is the paper's average of logits. "max" is their log-mean-exp: one strong deviation survives
        it, and C equal variables give what one of them gives. "top" is the mean of the highest of each step,
        as many as the square root of the number of variables, so that a single one among many does not decide
        alone. "rise" is that of what each variable has above its own usual level: one that is always a little
        remarkable does not hide what others do.
    level : float64 ndarray of shape (C,), optional
        The usual level for "rise"; the median where it is left out.
    switches : bool ndarray of shape (C,), optional
        Variables that take part as one, their mean, where there are others.
    """
    if margins.shape[1] == 1:
        return margins[:, 0]
    read = np.isfinite(margins[0])
    if not read.any():
        return margins[:, 0]
    votes = margins[:, read]
    if how == "rise":
        votes = votes - (np.median(votes, axis=0) if level is None else level[read])
    together = switches is not None and switches[read]
    if np.any(together) and not np.all(together):
        votes = np.column_stack([votes[:, ~together], votes[:, together].mean(axis=1)])
    if how == "mean" or votes.shape[1] == 1:
        return votes.mean(axis=1)
    if how == "max":
        return logsumexp(votes, axis=1) - math.log(votes.shape[1])
    lower = votes.shape[1] - _n_highest(votes.shape[1])
    return np.partition(votes, lower, axis=1)[:, lower:].mean(axis=1)


def _n_highest(n_variables: int) -> int:
    """Return how many variables are averaged: 1 of 2, 3 of 8, 6 of 38."""
    return round(math.sqrt(n_variables))
