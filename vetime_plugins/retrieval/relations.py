"""Evidence of broken relations: how far a variable is from what the others say it should be.

Each variable may look usual by itself, and each window of all of them may be new in no way that stands out
among so many. What one variable should be at a step follows from all others there, by the least squares of
the whole series; where it is not that, a relation is broken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vetime_plugins.retrieval.neighbours import usual_distances
from vetime_plugins.retrieval.places import averaged

_RIDGE = 0.1
"""Variance added to that of each variable, which is 1: copies of one another tell each other, but not all."""
_FAINTEST = 0.005
"""Deviation of residuals below which they are all alike."""
_AT_ONCE = 1 << 20


def toward_relations(evidence: Tensor, sources: list[Tensor], valid: Tensor | None, width: int) -> Tensor:
    """Move evidence halfway to that of broken relations where these are more remarkable.

    A variable moves as far as the others tell it, by the share of its variance that they explain: where they
    tell nothing, its distance from what they say is nothing but itself.

    Parameters
    ----------
    evidence : Tensor of shape (C, T)
        Of each variable by itself, as ``asinh`` of deviations from what is usual.
    sources : list of Tensor of shape (C, T_i), float32
        The series and perhaps references, standardised.
    valid : Tensor of shape (C, T), float32, optional
        0 where a value of the series was filled in, else 1. A step with such a value tells nothing.
    width : int
        Steps over which residuals are averaged, an odd number.

    Returns
    -------
    Tensor of shape (C, T)
    """
    n_variables, length = evidence.shape
    trusted = evidence.new_ones(1, length) if valid is None else valid.amin(0, keepdim=True)
    cover = averaged(trusted, width)
    known = cover[0] > 0
    if not known.any():
        return evidence
    weights, told = _regress_on_others(sources)
    moved = evidence.clone()
    for rows in torch.arange(n_variables).split(max(1, _AT_ONCE // length)):
        residuals = [(weights[rows] @ source).abs_() for source in sources]
        own = averaged(residuals[0] * trusted, width).div_(cover.clamp_min(1 / (2 * width)))
        mean, deviation = usual_distances(
            own[:, known], [averaged(one, width) for one in residuals[1:]], length
        )
        relation = (own - mean).div_(deviation + _FAINTEST).asinh_()
        excess = (relation - evidence[rows]).clamp_min_(0).mul_(known)
        moved[rows] += told[rows] / 2 * excess
    return moved


def _regress_on_others(sources: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return what makes residuals of values, (C, C), and the share of variance that is explained, (C, 1)."""
    total = sum(source.shape[1] for source in sources)
    gram = sources[0].new_zeros(len(sources[0]), len(sources[0]), dtype=torch.float64)
    for one in (part for source in sources for part in source.split(_AT_ONCE, dim=1)):
        gram += (one @ one.T).double() / total
    # The rows of the inverse are the regressions of each variable on all others, over its residual variance.
    inverse = torch.linalg.inv(gram + _RIDGE * torch.eye(len(gram), dtype=gram.dtype, device=gram.device))
    weights = inverse / inverse.diagonal()[:, None]
    left = torch.einsum("ij,jk,ik->i", weights, gram, weights) / gram.diagonal()
    return weights.float(), (1 - left).clamp(0, 1).float()[:, None]
