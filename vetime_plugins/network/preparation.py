"""From a validated series to what the network reads, and into padded batches of chunks.

Period, standardisation, intensities and retrieval distances are those of the whole series; only then is it
cut. The pipeline and the training share this file, so that the network is trained on exactly what it will
see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.model import ModelInput
from vetime_plugins.retrieval import (
    RetrievalConfig,
    RetrievalFeatures,
    retrieval_distances,
    retrieval_evidence,
)
from vetime_plugins.series.imaging import (
    FoldGeometry,
    Strip,
    default_gammas,
    make_strip,
)
from vetime_plugins.series.inputs import Series, as_series, check_no_empty_variable
from vetime_plugins.series.overlap import Beside
from vetime_plugins.series.period import series_period
from vetime_plugins.series.scaling import Scaling
from vetime_plugins.series.switches import find_switches


@dataclass(frozen=True)
class Prepared:
    """Variables that the network reads together, over the whole length.

    Attributes
    ----------
    z : float32 ndarray of shape (C, W)
        Standardised values, zero beyond the series; W is whole patches.
    strip : Strip
    retrieval : float32 Tensor of shape (W, C, K) or None
    scaling : Scaling
        From the series to `z`.
    length : int
        Steps of the series.
    evidence : float32 Tensor of shape (W, C) or None
        What the score starts from, where that is more than the novelty among the retrieval channels.
    """

    z: NDArray[np.float32]
    strip: Strip
    retrieval: Tensor | None
    scaling: Scaling
    length: int
    evidence: Tensor | None = None

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self.z)


_Columns = slice | NDArray[np.intp]

Recall = Callable[[list[Tensor], list[NDArray[np.float64]]], Tensor | None]
"""From parts (1, T_i) in float32, standardised, and the same as they came, (T_i,), to the evidence (T, 1)."""
Unit = tuple[Prepared, NDArray[np.intp]]
"""Variables that the network reads together, and the columns of the series that they are."""


@dataclass(frozen=True)
class Chunk:
    """Patches `start` .. `stop` of a prepared series."""

    prepared: Prepared
    start: int
    stop: int


def prepare(
    series: Series | NDArray[np.float64],
    config: VETimeConfig,
    *,
    gammas: NDArray[np.float64] | None = None,
    references: Sequence[NDArray[np.float64]] = (),
    switches: NDArray[np.bool_] | None = None,
) -> list[Prepared]:
    """Standardise, find the period, make the strip and the retrieval distances.

    References (T_ref, C) are stretches of earlier or clean data of the same variables: they join the scale of
    the standardisation, the search of the period and the retrieval bank. `gammas` (C,) are those of the
    image. All variables together make one `Prepared` where the configuration relates them, else each its own.
    The evidence of `switches` (C,) is that of them alone.
    """
    series = as_series(series)
    (z, *earlier), scaling = standardise_together([series.values, *references])
    features = None
    if config.retrieval is not None:
        features = _retrieve([z, *earlier], series.observed, config.retrieval)
        groups_apart = _apart(switches)
        if features.evidence is not None and len(groups_apart) > 1:
            alone, _ = _start(
                [z, *earlier], series.observed, config.retrieval, groups_apart, torch.device("cpu")
            )
            features = features._replace(evidence=alone)
    exact = scaling.exact(series.values)
    longest = max([z, *earlier], key=len)
    n_variables = z.shape[1]
    groups = [slice(0, n_variables)] if config.any_variate else [slice(c, c + 1) for c in range(n_variables)]
    # Variables that share an image are told apart by their gammas; one alone has the univariate gamma.
    shared_image = config.any_variate and config.stacked_tiles
    own_gammas = default_gammas(n_variables) if shared_image else np.full(n_variables, 0.5)
    units = []
    for group in groups:
        gamma = gammas[group] if gammas is not None else own_gammas[group]
        # Whole intensities need no rounding before, and theirs are the authors' to the last.
        strip = make_strip(
            exact[:, group], config.patch_size, period=series_period(longest[:, group]), gammas=gamma
        )
        padded = np.zeros((group.stop - group.start, strip.intensities.shape[2]), dtype=np.float32)
        padded[:, : len(z)] = z[:, group].T
        width = padded.shape[1]
        channels, evidence = _channels(features, group, width), _evidence(features, group, width)
        units.append(Prepared(padded, strip, channels, scaling.select(group), len(z), evidence))
    return units


def find_units(
    series: Series,
    config: VETimeConfig,
    *,
    gammas: NDArray[np.float64] | None = None,
    references: Sequence[Beside] = (),
) -> list[Unit]:
    """Prepare the variables that vary, beside what references hold that the series itself does not.

    Each unit comes with the columns of the series that it holds. Raises `InputError` if a reference that
    matters has a variable without any value.
    """
    earlier, varies = join_references(series, references)
    columns = np.flatnonzero(varies)
    if config.any_variate and config.stacked_tiles and len(columns):
        # The image is that of all variables; a constant one is part of what the authors' network saw.
        columns = np.arange(series.n_variables)
    if not len(columns):
        return []
    units = prepare(
        series.select(columns),
        config,
        gammas=None if gammas is None else gammas[columns],
        references=[part[:, columns] for part in earlier],
        switches=_switches(series, references)[columns] if config.switches_apart else None,
    )
    if len(units) == 1:
        return [(units[0], columns)]
    return [(unit, columns[i : i + 1]) for i, unit in enumerate(units)]


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


def _retrieve(
    parts: Sequence[NDArray[np.float64]],
    observed: NDArray[np.bool_],
    config: RetrievalConfig,
    device: torch.device | None = None,
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
    )
    evidence = None if features.evidence is None else features.evidence[:, back]
    return RetrievalFeatures(features.variables[:, back], features.joint, evidence)


def _switches(series: Series, references: Sequence[Beside]) -> NDArray[np.bool_]:
    return find_switches(series, [one.reference for one in references])


def _apart(switches: NDArray[np.bool_] | None) -> list[_Columns]:
    """Return the columns that are compared with each other: all, or the switches apart from the rest."""
    if switches is None or switches.all() or not switches.any():
        return [slice(None)]
    return [np.flatnonzero(~switches), np.flatnonzero(switches)]


def _start(
    parts: Sequence[NDArray[np.float64]],
    observed: NDArray[np.bool_],
    config: RetrievalConfig,
    groups: Sequence[_Columns],
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Return what the scores of the variables and of all together start from, (T, C) each, group by group."""
    alone, together = (torch.empty(observed.shape, device=device) for _ in range(2))
    for group in groups:
        alone[:, group], together[:, group] = _start_of_group(
            [part[:, group] for part in parts], observed[:, group], config, device
        )
    return alone, together


def _start_of_group(
    parts: Sequence[NDArray[np.float64]],
    observed: NDArray[np.bool_],
    config: RetrievalConfig,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Return what `_start` does of variables that are compared with each other."""
    if not config.has_evidence:
        features = _retrieve(parts, observed, config, device)
        start = (features.variables[..., 0] + features.joint[:, :1]) / 2
        return start, start
    columns, order, back = _by_content(parts)
    valid = None if observed.all() else torch.from_numpy(observed[:, order].T.copy()).to(device)
    there = [part.to(device) for part in columns]
    alone, together = retrieval_evidence(there, config=config, valid=valid)
    back = back.to(device)
    return alone[back].T, together[back].T


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


def _channels(features: RetrievalFeatures | None, group: slice, width: int) -> Tensor | None:
    """Return (width, C, K) distances of the variables in `group`, the joint ones repeated for each."""
    if features is None:
        return None
    own = features.variables[:, group]
    joint = features.joint[:, None].expand(-1, own.shape[1], -1)
    channels = torch.cat([own, joint], dim=-1)
    return torch.nn.functional.pad(channels, (0, 0, 0, 0, 0, width - len(channels)))


def _evidence(features: RetrievalFeatures | None, group: slice, width: int) -> Tensor | None:
    """Return the evidence (width, C) of the variables in `group`."""
    if features is None or features.evidence is None:
        return None
    own = features.evidence[:, group]
    return torch.nn.functional.pad(own, (0, 0, 0, width - len(own)))


def split(prepared: Prepared, config: VETimeConfig) -> list[Chunk]:
    """Cut a series, in whole patches, into the fewest chunks the configuration allows.

    As in the authors' code, k chunks of n patches hold n // k each and one more in the first n % k.
    """
    n_patches = prepared.z.shape[1] // config.patch_size
    n_chunks = -(-n_patches // config.chunk_patches(prepared.n_variables))
    size, longer = divmod(n_patches, n_chunks)
    starts = [number * size + min(number, longer) for number in range(n_chunks + 1)]
    return [Chunk(prepared, start, stop) for start, stop in pairwise(starts)]


def cut(units: Sequence[Unit], config: VETimeConfig) -> Iterator[tuple[Chunk, NDArray[np.intp]]]:
    """Yield the chunks of all units of one series, each with the columns that it holds."""
    return ((chunk, columns) for unit, columns in units for chunk in split(unit, config))


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
    starts = None
    if recall is not None and series.n_variables == 1 and own.observed.all():
        start = recall(_by_content([z, *others])[0], [part[:, 0] for part in values])
        starts = start if start is None else (start, start)
    if starts is None:
        groups = _apart(_switches(series, references)[columns] if config.switches_apart else None)
        starts = _start([z, *others], own.observed, config.retrieval, groups, device or torch.device("cpu"))
    for start, found in zip(starts, (margins, joining), strict=True):
        found[:, columns] = (start.cpu() * config.margin_scale + config.margin_offset).double().numpy()
    longest = max([z, *others], key=len)
    for number, column in enumerate(columns.tolist()):
        periods[column] = series_period(longest[:, number : number + 1])
    return margins, periods, joining


def column_periods(series: Series, units: Sequence[Unit]) -> list[int]:
    """Return the period of each column in steps; 1 where there is none or the column was not read."""
    periods = [1] * series.n_variables
    for unit, columns in units:
        for column in columns:
            periods[column] = unit.strip.period
    return periods


def collate(chunks: Sequence[Chunk], config: VETimeConfig) -> ModelInput:
    """Pad chunks of equally many variables to the longest and stack them, on the CPU."""
    p = config.patch_size
    lengths = [chunk.stop - chunk.start for chunk in chunks]
    width = max(lengths) * p
    n_variables = chunks[0].prepared.n_variables
    values = torch.zeros(len(chunks), n_variables, width)
    strips = torch.zeros(len(chunks), n_variables, 3, width, dtype=torch.uint8)
    channels = config.retrieval_channels
    retrieval = torch.zeros(len(chunks), n_variables, width, channels) if channels else None
    evidence = None
    if chunks[0].prepared.evidence is not None:
        evidence = torch.zeros(len(chunks), n_variables, width)
    for row, (chunk, length) in enumerate(zip(chunks, lengths, strict=True)):
        steps = slice(chunk.start * p, chunk.stop * p)
        values[row, :, : length * p] = torch.from_numpy(chunk.prepared.z[:, steps])
        strips[row, :, :, : length * p] = torch.from_numpy(chunk.prepared.strip.intensities[..., steps])
        if retrieval is not None:
            assert chunk.prepared.retrieval is not None
            retrieval[row, :, : length * p] = chunk.prepared.retrieval[steps].transpose(0, 1)
        if evidence is not None:
            assert chunk.prepared.evidence is not None
            evidence[row, :, : length * p] = chunk.prepared.evidence[steps].T
    folds = [
        FoldGeometry.for_period(n, c.prepared.strip.period, p) for n, c in zip(lengths, chunks, strict=True)
    ]
    return ModelInput(
        values=values,
        strips=strips,
        pad_values=torch.from_numpy(np.stack([chunk.prepared.strip.pad_value for chunk in chunks])),
        n_patches=torch.tensor(lengths),
        patches_per_row=torch.tensor([fold.patches_per_row for fold in folds]),
        retrieval=retrieval,
        evidence=evidence,
    )
