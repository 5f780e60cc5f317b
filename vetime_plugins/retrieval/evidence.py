"""What windows and single points say of a series together, without a trained parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.neighbours import ScaleDistances, scale_distances
from vetime_plugins.retrieval.places import Workspace, averaged
from vetime_plugins.retrieval.points import point_evidence
from vetime_plugins.retrieval.standstills import standstill_evidence
from vetime_plugins.retrieval.statistics import statistic_distances
from vetime_plugins.series.period import WINDOW, find_window

View = tuple[Tensor, Tensor, Tensor]
"""Distances by statistics (C + 1, T), and their usual mean and deviation (C + 1, 1)."""
FLOOR = 0.005
"""Deviation of distances below which they are all alike."""
SHORTEST = 16
"""Steps that the longest source needs at least."""


def compare_scales(
    standard: list[Tensor],
    weights: Tensor | None,
    period: int | None,
    config: RetrievalConfig,
    *,
    joint_points: bool = True,
    workspace: Workspace | None = None,
) -> list[ScaleDistances]:
    """Compare the windows of all scales; scales whose windows turn out as long as another's share them.

    Parameters
    ----------
    standard : list of Tensor of shape (C, T_i), float32
        The series and perhaps references, standardised.
    weights : Tensor of shape (C, T), float32, optional
        0 where a value of the series was filled in, else 1.
    period : int, optional
        Length of the "period" scale; found where it is left out.
    config : RetrievalConfig
    joint_points, workspace
        As in `vetime_plugins.retrieval.neighbours.scale_distances`.
    """
    period = period if period is not None else usual_period(standard)
    known: dict[int, ScaleDistances] = {}
    workspace = workspace or Workspace()
    lengths = window_lengths((*config.windows, period), standard)
    for window in lengths:
        if window not in known:
            known[window] = scale_distances(
                standard, weights, window, config, joint_points=joint_points, workspace=workspace
            )
    return [known[window] for window in lengths]


def z_scores(distances: ScaleDistances, rows: slice = slice(None)) -> Tensor:
    """Return distances of windows in deviations of what is usual: (2, C + 1, T), or some of these rows."""
    windows, mean, deviation = (
        one[:, rows] for one in (distances.windows, distances.mean, distances.deviation)
    )
    return (windows - mean).div_(deviation + FLOOR)


def point_channels(distances: ScaleDistances) -> Tensor:
    """Return distances of points relative to the usual level of those of windows, as ``asinh``: (v, C, T).

    Residuals of points have heavier tails than distances: no z-score.
    """
    level = distances.mean[:1, :-1]
    return (distances.points - level).div_(level + FLOOR).asinh_()


def joined_evidence(
    scales: Sequence[ScaleDistances],
    standard: list[Tensor],
    weights: Tensor | None,
    config: RetrievalConfig,
    workspace: Workspace | None = None,
    *,
    views: Sequence[View] | None = None,
) -> Tensor:
    """Join what windows and points say of the variables.

    Parameters
    ----------
    scales : sequence of ScaleDistances
        Of `compare_scales`.
    standard, weights, config, workspace
        As there.
    views : sequence of View, optional
        Of the statistics, where they are known already.

    Returns
    -------
    Tensor of shape (C, T)
    """
    rows = slice(0, 1) if len(standard[0]) == 1 else slice(None)  # of one variable both rows are alike
    context = _with_joint(novelty(torch.cat([z_scores(one, rows) for one in scales]), config.temperature))
    if config.statistics:
        if views is None:
            memory = workspace or Workspace()
            lengths = dict.fromkeys(window_lengths(config.statistics, standard))
            views = [statistic_distances(standard, weights, w, config, workspace=memory) for w in lengths]
        deviations = torch.stack(
            [(one[rows] - mean[rows]).div_(deviation[rows] + FLOOR) for one, mean, deviation in views]
        )
        # The mean of z-scores, not of their logarithms: what either view is sure of stands.
        view = _with_joint(novelty(deviations, config.temperature))
        context = context.sinh_().add_(view.sinh_()).div_(2).asinh_()
    if config.smoothing > 1:
        context = averaged(context, config.smoothing)
    if config.point_gain:
        # Scales that share their windows count as often as there are.
        distant = torch.stack([point_channels(one)[0] for one in scales]).mean(0)
        excess = point_evidence(standard, weights, distant)
        if config.standstills:
            excess = excess + standstill_evidence(standard, weights)
        context = context + config.point_gain * excess
    return context


def novelty(z: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-mean-exp of z-scores over their first dimension, as ``asinh``: the strongest leads the mean."""
    joined = (z / temperature).logsumexp(0).sub_(math.log(len(z)))
    return joined.mul_(temperature).asinh_()


def _with_joint(rows: Tensor) -> Tensor:
    """Return the mean of each variable's row and of the last, that of all: from (C + 1, T) to (C, T).

    The row (1, T) of one variable is that of all.
    """
    return rows if len(rows) == 1 else rows[:-1].lerp(rows[-1:], 0.5)


def window_lengths(wanted: tuple[int, ...], sources: list[Tensor]) -> list[int]:
    """Shorten windows too long to have neighbours: four must fit into a source, one into the series."""
    length = sources[0].shape[1]
    longest = max(length // 4, min(length, max(source.shape[1] for source in sources) // 4))
    return [max(2, min(window, longest)) for window in wanted]


def usual_period(sources: list[Tensor]) -> int:
    """Return the length of the "period" scale, from the longest source."""
    longest = max(sources, key=lambda source: source.shape[1])
    return find_window(longest[:, : WINDOW.max_points].T.double().cpu().numpy())
