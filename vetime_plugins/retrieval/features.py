"""Retrieval features of a series: scale-free channels for the network and a score without parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vetime_plugins.errors import InputError
from vetime_plugins.retrieval.config import RetrievalConfig
from vetime_plugins.retrieval.evidence import (
    SHORTEST,
    compare_scales,
    joined_evidence,
    novelty,
    point_channels,
    z_scores,
)
from vetime_plugins.retrieval.places import Workspace, smallest
from vetime_plugins.retrieval.relations import toward_relations

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
    joining : Tensor of shape (T, C), float32, or None
        What the score of all variables together is joined from, see `retrieval_evidence`.
    """

    variables: Tensor
    joint: Tensor
    evidence: Tensor | None = None
    joining: Tensor | None = None


def retrieval_distances(
    x: Tensor,
    *,
    period: int | None = None,
    config: RetrievalConfig | None = None,
    reference: Tensor | Sequence[Tensor] | None = None,
    valid: Tensor | None = None,
    evidence: bool = True,
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
    evidence : bool
        Whether the evidence is found too, where the configuration asks for it.

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
        found = _features(sources, valid, period, config, evidence and config.has_evidence)
    # Inference tensors cannot take part in training; their copies can.
    beside = (None if one is None else one.clone() for one in (found.evidence, found.joining))
    return RetrievalFeatures(found.variables.clone(), found.joint.clone(), *beside)


def retrieval_evidence(
    parts: Sequence[Tensor], *, config: RetrievalConfig, valid: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the evidence alone, of values that are standardised already, without the network's channels.

    Parameters
    ----------
    parts : sequence of Tensor of shape (C, T_i), float32
        The series and perhaps references, as in `retrieval_distances`, all together of mean 0 and
        deviation 1.
    config : RetrievalConfig
        With evidence.
    valid : Tensor of shape (C, T), bool, optional
        False where a value of the series was missing and has been filled in.

    Returns
    -------
    alone : Tensor of shape (C, T), float32
        That of `retrieval_distances`: how remarkable each variable is.
    together : Tensor of shape (C, T), float32
        What the score of all variables is joined from: the same, and with `RetrievalConfig.relations` how far
        each is from what the others tell. That a relation is broken does not say which of them broke it.
    """
    with torch.inference_mode():
        n_variables, length = parts[0].shape
        evidence = parts[0].new_zeros(n_variables, length)
        standard, moving = standardise(parts)
        if moving.numel() == 0 or max(part.shape[1] for part in standard) < SHORTEST or length < 2:
            return evidence, evidence
        weights = None if valid is None or valid.all() else valid[moving].float()
        workspace = Workspace()
        scales = compare_scales(standard, weights, None, config, joint_points=False, workspace=workspace)
        alone = joined_evidence(scales, standard, weights, config, workspace)
        together = _together(alone, standard, weights, config)
        if len(moving) == n_variables:
            return alone, together
        return evidence.index_copy(0, moving, alone), evidence.index_copy(0, moving, together)


def _together(
    alone: Tensor, standard: list[Tensor], weights: Tensor | None, config: RetrievalConfig
) -> Tensor:
    """Return what the score of all variables is joined from, (C, T), given the evidence of each."""
    if config.relations and len(alone) > 1:
        return toward_relations(alone, standard, weights, config.smoothing)
    return alone


def _features(
    sources: list[Tensor],
    valid: Tensor | None,
    period: int | None,
    config: RetrievalConfig,
    with_evidence: bool,
) -> RetrievalFeatures:
    length, n_variables = sources[0].shape
    variables = torch.zeros(length, n_variables, config.n_features, device=sources[0].device)
    joint = torch.zeros(length, config.n_joint, device=sources[0].device)
    evidence = joining = None
    if with_evidence:
        evidence, joining = (joint.new_zeros(length, n_variables) for _ in range(2))
    standard, moving = standardise([source.T for source in sources])
    if moving.numel() == 0 or max(map(len, sources)) < SHORTEST or length < 2:
        return RetrievalFeatures(variables, joint, evidence, joining)
    weights = None if valid is None or valid.all() else valid[:, moving].T.float().contiguous()
    scales = compare_scales(standard, weights, period, config)
    for number, distances in enumerate(scales):
        z = z_scores(distances).asinh_()
        own = torch.cat([z[:, :-1], point_channels(distances)])  # (4, C', T)
        variables[:, moving, 1 + 4 * number : 5 + 4 * number] = own.permute(2, 1, 0)
        joint[:, 1 + 2 * number : 3 + 2 * number] = z[:, -1].T
    windows = variables[..., 1:].unflatten(-1, (-1, 4))[..., :2].flatten(-2)  # "level" and "form"
    variables[..., 0] = novelty(windows.movedim(-1, 0).sinh())
    joint[..., 0] = novelty(joint[:, 1:].T.sinh())
    if evidence is not None and joining is not None:
        alone = joined_evidence(scales, standard, weights, config)
        evidence[:, moving], joining[:, moving] = alone.T, _together(alone, standard, weights, config).T
    return RetrievalFeatures(variables, joint, evidence, joining)


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


def _as_columns(x: Tensor, name: str) -> Tensor:
    x = torch.as_tensor(x)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or 0 in x.shape:
        raise InputError(f"{name} needs the shape (T,) or (T, C), got {tuple(x.shape)}.")
    if x.is_floating_point() and not x.isfinite().all():
        raise InputError(f"{name} needs finite values: fill NaN and inf first, and say where in `valid`.")
    return x


def standardise(sources: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Standardise sources (C, T_i) as one: (C', T_i) float32 each, and which variables move.

    Values far outside the range of nearly all others are cut: one glitch must not flatten the rest of the
    series, whatever its size.
    """
    lengths = [source.shape[1] for source in sources]
    together = _over_largest(torch.cat(tuple(sources), dim=1).double())
    some = together[:, :: max(1, sum(lengths) // _RANGE_POINTS)]
    rare = some.shape[1] // 1000 + 1
    low, high = smallest(some, rare)[:, -1:], -smallest(-some, rare)[:, -1:]
    margin = torch.where(high > low, _RANGES * (high - low), math.inf)
    together = _over_largest(together.clamp(low - margin, high + margin))
    mean, deviation = together.mean(1, keepdim=True), together.std(1, correction=0, keepdim=True)
    moving = torch.nonzero(deviation[:, 0] > _CONSTANT).squeeze(1)
    standard = together.sub_(mean).div_(deviation)
    standard = standard if len(moving) == len(standard) else standard[moving]
    return [part.contiguous() for part in standard.float().split(lengths, dim=1)], moving


def _over_largest(values: Tensor) -> Tensor:
    """Divide each row by its largest magnitude, so that squares neither overflow nor vanish."""
    return values / values.abs().amax(1, keepdim=True).clamp_min(1e-300)
