"""What the score of a series starts from: the evidence of the retrieval expert, without a trained parameter.

The variables are standardised, put in an order of their own and compared with themselves and with references.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.retrieval import (
    RetrievalConfig,
    RetrievalFeatures,
    retrieval_distances,
    retrieval_evidence,
)
from vetime_plugins.series.inputs import Series, check_no_empty_variable
from vetime_plugins.series.overlap import Beside
from vetime_plugins.series.period import series_period
from vetime_plugins.series.scaling import Scaling
from vetime_plugins.series.switches import find_switches

Columns = slice | NDArray[np.intp]
Recall = Callable[[list[Tensor], list[NDArray[np.float64]]], Tensor | None]
"""From parts (1, T_i) in float32, standardised, and the same as they came, (T_i,), to the evidence (T, 1)."""


class Start(NamedTuple):
    """What scores start from, before the configuration scales it: Tensors of shape (T, C).

    Attributes
    ----------
    alone : Tensor
        Of each variable.
    joining : Tensor
        What that of all variables together is joined from.
    """

    alone: Tensor
    joining: Tensor

    def margins(self, config: VETimeConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return both as margins of weights whose correction is 0, (T, C)."""
        scaled = (start * config.margin_scale + config.margin_offset for start in self)
        alone, joining = (margin.double().cpu().numpy() for margin in scaled)
        return alone, joining


def find_evidence(
    series: Series,
    config: VETimeConfig,
    references: Sequence[Beside] = (),
    recall: Recall | None = None,
    *,
    device: torch.device | None = None,
) -> tuple[NDArray[np.float64], list[int], NDArray[np.float64]]:
    """Return the margins of weights whose correction is 0: the network has no say in them, nor has an image.

    Parameters
    ----------
    series : Series
    config : VETimeConfig
        With a retrieval expert.
    references : sequence of Beside
    recall : callable, optional
        Finds the evidence of a single variable without gaps from what it remembers, or returns None.
    device : torch.device, optional
        Where windows are compared; by default on the CPU.

    Returns
    -------
    margins : float64 ndarray of shape (T, C)
        -inf for variables that never change.
    periods : list of int
        In steps; 1 where there is none.
    joining : float64 ndarray of shape (T, C)
        What the margins of all variables together are joined from.
    """
    assert config.retrieval is not None
    margins, periods = np.full(series.values.shape, -np.inf), [1] * series.n_variables
    joining = margins.copy()
    earlier, varies = join_references(series, references)
    columns = np.flatnonzero(varies)
    if not len(columns):
        return margins, periods, joining
    own = series.select(columns)
    values = [own.values, *(part[:, columns] for part in earlier)]
    (z, *others), _ = standardise_together(values)
    start = None
    if recall is not None and series.n_variables == 1 and own.observed.all():
        known = recall(_by_content([z, *others])[0], [part[:, 0] for part in values])
        start = None if known is None else Start(known, known)
    if start is None:
        groups = groups_apart(series, config, references, columns)
        start = _start([z, *others], own.observed, config.retrieval, groups, device or torch.device("cpu"))
    margins[:, columns], joining[:, columns] = start.margins(config)
    longest = max([z, *others], key=len)
    for number, column in enumerate(columns.tolist()):
        periods[column] = series_period(longest[:, number : number + 1])
    return margins, periods, joining


def join_references(
    series: Series, references: Sequence[Beside]
) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_]]:
    """Return the stretches (T_ref, C) beside the series, with their gaps filled, and which variables vary.

    A variable that is constant in the series may vary in a reference. Raises `InputError` if a reference that
    matters has a variable without any value.
    """
    earlier: list[NDArray[np.float64]] = []
    varies = series.varies
    for reference, parts in references:
        check_no_empty_variable(reference.observed, "reference")
        varies = varies | reference.varies
        earlier += [reference.values[part] for part in parts]
    return earlier, varies


def standardise_together(
    parts: Sequence[NDArray[np.float64]],
) -> tuple[list[NDArray[np.float64]], Scaling]:
    """Return several stretches (T_i, C) in one unit, in which together they have mean 0 and deviation 1."""
    together = np.concatenate(parts)
    scaling = Scaling.of_values(together)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return np.split(scaling.standardise(together), ends), scaling


def retrieve(
    parts: Sequence[NDArray[np.float64]],
    observed: NDArray[np.bool_],
    config: RetrievalConfig,
    groups: Sequence[Columns],
) -> tuple[RetrievalFeatures, Start]:
    """Compare the first of standardised parts with all: what a network reads, and what the scores start from.

    The network is told of all variables together; what scores start from is found group by group.

    Parameters
    ----------
    parts : sequence of float64 ndarray of shape (T_i, C)
        The series and perhaps references, of `standardise_together`.
    observed : bool ndarray of shape (T, C)
        False where a value of the series was filled in.
    config : RetrievalConfig
    groups : sequence of slice or ndarray
        Of `groups_apart`.
    """
    if len(groups) == 1:
        features = _retrieve(parts, observed, config)
        return features, _start_of(features)
    start = _start(parts, observed, config, groups, torch.device("cpu"))
    return _retrieve(parts, observed, config, evidence=False), start


def _retrieve(
    parts: Sequence[NDArray[np.float64]],
    observed: NDArray[np.bool_],
    config: RetrievalConfig,
    device: torch.device | None = None,
    *,
    evidence: bool = True,
) -> RetrievalFeatures:
    """Compare the first of the standardised parts with all, whatever the order of the variables."""
    columns, order, back = _by_content(parts)
    series, *earlier = (part.T.to(device) for part in columns)
    back = back.to(device)
    features = retrieval_distances(
        series,
        config=config,
        reference=earlier,
        valid=None if observed.all() else torch.from_numpy(observed[:, order]),
        evidence=evidence,
    )
    own, joining = (None if one is None else one[:, back] for one in (features.evidence, features.joining))
    return RetrievalFeatures(features.variables[:, back], features.joint, own, joining)


def _start_of(features: RetrievalFeatures) -> Start:
    """Return the evidence of features, or the novelty where the configuration asks for no more."""
    if features.evidence is None or features.joining is None:
        start = (features.variables[..., 0] + features.joint[:, :1]) / 2
        return Start(start, start)
    return Start(features.evidence, features.joining)


def groups_apart(
    series: Series, config: VETimeConfig, references: Sequence[Beside], columns: NDArray[np.intp]
) -> list[Columns]:
    """Return which of the `columns` are compared with each other: all, or switches apart from the rest."""
    if not config.switches_apart:
        return [slice(None)]
    switches = find_switches(series, [one.reference for one in references])[columns]
    if switches.all() or not switches.any():
        return [slice(None)]
    return [np.flatnonzero(~switches), np.flatnonzero(switches)]


def _start(
    parts: Sequence[NDArray[np.float64]],
    observed: NDArray[np.bool_],
    config: RetrievalConfig,
    groups: Sequence[Columns],
    device: torch.device,
) -> Start:
    """Return what the scores of the variables and of all together start from, group by group."""
    whole = Start(*(torch.empty(observed.shape, device=device) for _ in range(2)))
    for group in groups:
        found = _start_of_group([part[:, group] for part in parts], observed[:, group], config, device)
        for one, part in zip(whole, found, strict=True):
            one[:, group] = part
    return whole


def _start_of_group(
    parts: Sequence[NDArray[np.float64]],
    observed: NDArray[np.bool_],
    config: RetrievalConfig,
    device: torch.device,
) -> Start:
    """Return what `_start` does of variables that are compared with each other."""
    if not config.has_evidence:
        return _start_of(_retrieve(parts, observed, config, device))
    columns, order, back = _by_content(parts)
    valid = None if observed.all() else torch.from_numpy(observed[:, order].T.copy()).to(device)
    there = [part.to(device) for part in columns]
    back = back.to(device)
    return Start(*(one[back].T for one in retrieval_evidence(there, config=config, valid=valid)))


def _by_content(parts: Sequence[NDArray[np.float64]]) -> tuple[list[Tensor], list[int], Tensor]:
    """Return parts (C, T_i) in float32 with the variables in an order of their own, it, and the way back.

    What is summed over variables is rounded by their order, which means nothing: theirs is by content.
    """
    columns = [np.ascontiguousarray(part.T, dtype=np.float32) for part in parts]
    n_variables = len(columns[0])
    if n_variables == 1:
        return [torch.from_numpy(part) for part in columns], [0], torch.zeros(1, dtype=torch.long)
    content = [b"".join(part[c].tobytes() for part in columns) for c in range(n_variables)]
    order = sorted(range(n_variables), key=content.__getitem__)
    return [torch.from_numpy(part[order]) for part in columns], order, torch.from_numpy(np.argsort(order))
