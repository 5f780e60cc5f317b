"""Retrieval features of a series: scale-free channels for the network and a score without parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vetime_plugins.errors import InputError
from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.neighbours import ScaleDistances, scale_distances
from vetime_plugins.retrieval.points import point_evidence
from vetime_plugins.retrieval.statistics import statistic_distances
from vetime_plugins.series.period import WINDOW, find_window

_SHORTEST = 16
_FLOOR = 0.005
_CONSTANT = 1e-10
_RANGES = 10.0
_RANGE_POINTS = 100_000


class RetrievalFeatures(NamedTuple):
    """How novel each point is, in deviations of the series' own nearest-neighbour distances: ``asinh(z)``.

    0 is typical of the series, 1 to 6 is novel. Where a variable is constant or the series is too short to
    have neighbours, every channel is 0.

    Attributes
    ----------
    variables : Tensor of shape (T, C, K), float32
        Channels `RetrievalConfig.feature_names`. The first, "novelty", joins the "level" and "form" channels
        of all scales.
    joint : Tensor of shape (T, K_j), float32
        Channels `RetrievalConfig.joint_names`, from the windows of all variables joined. With one variable
        these are its own.
    evidence : Tensor of shape (T, C), float32, or None
        What the score of a variable starts from, where the configuration asks for more than the novelty: see
        `RetrievalConfig.statistics`, `point_gain`, `temperature` and `smoothing`.
    """

    variables: Tensor
    joint: Tensor
    evidence: Tensor | None = None


def retrieval_distances(
    x: Tensor,
    *,
    period: int | None = None,
    config: RetrievalConfig | None = None,
    reference: Tensor | Sequence[Tensor] | None = None,
    valid: Tensor | None = None,
) -> RetrievalFeatures:
    """Compare every part of a series with its nearest neighbours elsewhere.

    For each window length and variable, every window of the series on a stride is compared with a bounded
    bank of its windows; windows that overlap the query by more than half are its trivial matches and do not
    count. Two comparisons are made: of the windows as they are ("level": mean, shape and amplitude matter)
    and of centred windows over their deviation ("form"). Distances are averaged over the windows that cover a
    point. "point" is the distance of the point itself to the same places of the neighbours; "joint_point" is
    the same with the neighbours that all variables together choose: it shows which one breaks a relation.

    Parameters
    ----------
    x : Tensor of shape (T, C) or (T,)
        Finite.
    period : int, optional
        Length of the "period" scale in time steps. By default the highest peak of the autocorrelation up to
        400 lags, 125 where there is none.
    config : RetrievalConfig, optional
    reference : Tensor of shape (T_ref, C) or a sequence of such, optional
        Earlier or clean data of the same variables: its windows join the bank, and where the series is short
        it takes part in what is typical. It must not hold a part of `x`, which would match itself.
    valid : Tensor of shape (T, C), bool, optional
        False where a value was missing and has been filled in.

    Returns
    -------
    RetrievalFeatures

    Raises
    ------
    InputError
        If shapes do not fit or a value is not finite.
    """
    config = config or RetrievalConfig()
    x = _as_columns(x, "The series")
    n_variables = x.shape[1]
    sources = [x]
    references = [] if reference is None else [reference] if isinstance(reference, Tensor) else reference
    for one in references:
        source = _as_columns(one, "The reference").to(x.device)
        if source.shape[1] != n_variables:
            raise InputError(
                f"The reference needs the variables of the series: {n_variables}, got {source.shape[1]}."
            )
        sources.append(source)
    if valid is not None:
        valid = _as_columns(valid, "valid").to(x.device)
        if valid.shape != x.shape:
            shapes = f"{tuple(x.shape)}, got {tuple(valid.shape)}"
            raise InputError(f"valid needs the shape of the series {shapes}.")

    with torch.inference_mode():
        variables, joint, evidence = _features(sources, valid, period, config)
    # Inference tensors cannot take part in training; their copies can.
    return RetrievalFeatures(variables.clone(), joint.clone(), None if evidence is None else evidence.clone())


def _features(
    sources: list[Tensor], valid: Tensor | None, period: int | None, config: RetrievalConfig
) -> tuple[Tensor, Tensor, Tensor | None]:
    length, n_variables = sources[0].shape
    variables = torch.zeros(length, n_variables, config.n_features, device=sources[0].device)
    joint = torch.zeros(length, config.n_joint, device=sources[0].device)
    evidence = joint.new_zeros(length, n_variables) if config.has_evidence else None
    standard, moving = _standardise(sources)
    if moving.numel() == 0 or max(map(len, sources)) < _SHORTEST or length < 2:
        return variables, joint, evidence
    weights = None if valid is None or valid.all() else valid[:, moving].T.float().contiguous()
    period = period if period is not None else _period(standard)
    known: dict[int, tuple[Tensor, Tensor]] = {}
    for scale, window in enumerate(_window_lengths((*config.windows, period), standard)):
        if window not in known:
            known[window] = _channels(scale_distances(standard, weights, window, config))
        own, whole = known[window]  # (T, C', 4), (T, 2)
        variables[:, moving, 1 + 4 * scale : 5 + 4 * scale] = own
        joint[:, 1 + 2 * scale : 3 + 2 * scale] = whole
    variables[..., 0] = _novelty(_window_channels(variables))
    joint[..., 0] = _novelty(joint[..., 1:])
    if evidence is not None:
        evidence[:, moving] = _evidence(variables[:, moving], joint, standard, weights, config)
    return variables, joint, evidence


def _evidence(
    variables: Tensor, joint: Tensor, standard: list[Tensor], weights: Tensor | None, config: RetrievalConfig
) -> Tensor:
    """Join what windows and points say of the variables that move: (T, C')."""
    if config.temperature == 1:
        own, whole = variables[..., 0], joint[:, :1]
    else:
        own = _novelty(_window_channels(variables), config.temperature)
        whole = _novelty(joint[:, None, 1:], config.temperature)
    context = own.lerp(whole, 0.5)
    if config.statistics:
        views = []
        for window in dict.fromkeys(_window_lengths(config.statistics, standard)):
            distances, mean, deviation = statistic_distances(standard, weights, window, config)
            views.append(torch.asinh((distances - mean) / (deviation + _FLOOR)).T)
        # The mean of z-scores, not of their logarithms: what either view is sure of stands.
        view = _novelty(torch.stack(views, -1), config.temperature)  # (T, C' + 1)
        view = view[:, :-1].lerp(view[:, -1:], 0.5)
        context = torch.asinh((torch.sinh(context) + torch.sinh(view)) / 2)
    if config.smoothing > 1:
        context = _averaged(context, config.smoothing)
    if config.point_gain:
        kinds = variables[..., 1:].unflatten(-1, (-1, 4))  # "level", "form", "point", "joint_point"
        distant = kinds[..., 2].mean(-1).T
        context = context + config.point_gain * point_evidence(standard, weights, distant).T
    return context


def retrieval_score(features: RetrievalFeatures) -> Tensor:
    """Rank the points of a series by novelty, without a trained parameter.

    Parameters
    ----------
    features : RetrievalFeatures

    Returns
    -------
    Tensor of shape (T,), float32
        Higher is more novel. With evidence it is the log-mean-exp of the variables', else the joint novelty.
    """
    if features.evidence is None:
        return features.joint[:, 0]
    return features.evidence.logsumexp(1) - math.log(features.evidence.shape[1])


def _window_channels(variables: Tensor) -> Tensor:
    """Return the "level" and "form" channels of all scales, (..., 2 S), of all channels (..., K)."""
    return variables[..., 1:].unflatten(-1, (-1, 4))[..., :2].flatten(-2)


def _novelty(channels: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-mean-exp of the z-scores, as ``asinh``: a mean that the strongest channel leads."""
    z = torch.sinh(channels) / temperature
    return torch.asinh(temperature * (z.logsumexp(-1) - math.log(channels.shape[-1])))


def _averaged(values: Tensor, width: int) -> Tensor:
    """Centred moving average of (T, C) over the steps that there are."""
    # (C, 1, T): pooling takes channels of a batch, and a step beyond the ends does not count.
    return F.avg_pool1d(values.T[:, None], width, 1, width // 2, count_include_pad=False)[:, 0].T


def _channels(distances: ScaleDistances) -> tuple[Tensor, Tensor]:
    """Put the distances of one scale on the scale of the network: (T, C, 4) and (T, 2)."""
    mean, deviation = distances.mean, distances.deviation
    z = torch.asinh((distances.windows - mean) / (deviation + _FLOOR))  # (2, C + 1, T)
    # Residuals of points have heavier tails than distances: relative to the level of the latter, no z-score.
    level = mean[:1, :-1]
    points = torch.asinh((distances.points - level) / (level + _FLOOR))  # (2, C, T)
    return torch.cat([z[:, :-1], points]).permute(2, 1, 0), z[:, -1].T


def _window_lengths(wanted: tuple[int, ...], sources: list[Tensor]) -> list[int]:
    """Shorten windows too long to have neighbours: four must fit into a source, one into the series."""
    length = sources[0].shape[1]
    longest = max(length // 4, min(length, max(source.shape[1] for source in sources) // 4))
    return [max(2, min(window, longest)) for window in wanted]


def _as_columns(x: Tensor, name: str) -> Tensor:
    x = torch.as_tensor(x)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or 0 in x.shape:
        raise InputError(f"{name} needs the shape (T,) or (T, C), got {tuple(x.shape)}.")
    if x.is_floating_point() and not x.isfinite().all():
        raise InputError(f"{name} needs finite values: fill NaN and inf first, and say where in `valid`.")
    return x


def _standardise(sources: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Standardise all sources as one: (C', T_i) float32 each, and the indices of the variables that move.

    Values far outside the range of nearly all others are cut: one glitch must not flatten the rest of the
    series, whatever its size.
    """
    doubles = _over_largest([source.double() for source in sources])
    everything = torch.cat(doubles)
    ordered = everything[:: max(1, len(everything) // _RANGE_POINTS)].sort(dim=0).values
    rare = len(ordered) // 1000
    low, high = ordered[rare], ordered[-1 - rare]
    margin = torch.where(high > low, _RANGES * (high - low), math.inf)
    doubles = _over_largest([d.clamp(low - margin, high + margin) for d in doubles])
    everything = torch.cat(doubles)
    mean, deviation = everything.mean(0), everything.std(0, correction=0)
    moving = torch.nonzero(deviation > _CONSTANT).squeeze(1)
    return [((d - mean) / deviation)[:, moving].T.float().contiguous() for d in doubles], moving


def _over_largest(sources: list[Tensor]) -> list[Tensor]:
    """Divide by the largest magnitude, so that squares neither overflow nor vanish."""
    largest = torch.stack([source.abs().amax(0) for source in sources]).amax(0).clamp_min(1e-300)
    return [source / largest for source in sources]


def _period(sources: list[Tensor]) -> int:
    """Return the length of the "period" scale, from the longest source."""
    longest = max(sources, key=lambda source: source.shape[1])
    return find_window(longest[:, : WINDOW.max_points].T.double().cpu().numpy())
