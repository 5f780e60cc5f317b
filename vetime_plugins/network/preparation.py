"""From a validated series to what the network reads, and into padded batches of chunks.

Period, standardisation, intensities and retrieval distances are those of the whole series; only then is it
cut. The pipeline and the training share this file, so that the network is trained on exactly what it will
see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.evidence import (
    Columns,
    Start,
    groups_apart,
    join_references,
    retrieve,
    standardise_together,
)
from vetime_plugins.network.model import ModelInput
from vetime_plugins.retrieval import RetrievalFeatures
from vetime_plugins.series.imaging import (
    FoldGeometry,
    Strip,
    default_gammas,
    make_strip,
)
from vetime_plugins.series.inputs import Series, as_series
from vetime_plugins.series.overlap import Beside
from vetime_plugins.series.period import find_period
from vetime_plugins.series.scaling import Scaling


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
    periods : list of int
        Of each variable, in steps; the image has the longest.
    start : Start or None
        What scores start from, (W, C) each; None without a retrieval expert.
    """

    z: NDArray[np.float32]
    strip: Strip
    retrieval: Tensor | None
    scaling: Scaling
    length: int
    periods: list[int]
    start: Start | None = None

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self.z)


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
    apart: Sequence[Columns] = (slice(None),),
) -> list[Prepared]:
    """Standardise, find the period, make the strip and the retrieval distances.

    References (T_ref, C) are stretches of earlier or clean data of the same variables: they join the scale of
    the standardisation, the search of the period and the retrieval bank. `gammas` (C,) are those of the
    image. All variables together make one `Prepared` where the configuration relates them, else each its own.
    The scores of the variables that one of `apart` names start from the evidence of these alone.
    """
    series = as_series(series)
    (z, *earlier), scaling = standardise_together([series.values, *references])
    features = start = None
    if config.retrieval is not None:
        features, start = retrieve([z, *earlier], series.observed, config.retrieval, apart)
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
        periods = [find_period(column) for column in longest[:, group].T]
        strip = make_strip(exact[:, group], config.patch_size, period=max(periods), gammas=gamma)
        padded = np.zeros((group.stop - group.start, strip.intensities.shape[2]), dtype=np.float32)
        padded[:, : len(z)] = z[:, group].T
        units.append(
            Prepared(
                padded,
                strip,
                None if features is None else _channels(features, group, padded.shape[1]),
                scaling.select(group),
                len(z),
                periods,
                None if start is None else Start(*(_padded(one[:, group], padded.shape[1]) for one in start)),
            )
        )
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
        apart=groups_apart(series, config, references, columns),
    )
    if len(units) == 1:
        return [(units[0], columns)]
    return [(unit, columns[i : i + 1]) for i, unit in enumerate(units)]


def _channels(features: RetrievalFeatures, group: slice, width: int) -> Tensor:
    """Return (width, C, K) distances of the variables in `group`, the joint ones repeated for each."""
    own = features.variables[:, group]
    joint = features.joint[:, None].expand(-1, own.shape[1], -1)
    return _padded(torch.cat([own, joint], dim=-1), width)


def _padded(steps: Tensor, width: int) -> Tensor:
    """Return (T, ...) with zeros beyond the series, (width, ...)."""
    return torch.nn.functional.pad(steps, (0, 0) * (steps.ndim - 1) + (0, width - len(steps)))


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


def margins_of_units(
    series: Series, units: Sequence[Unit], config: VETimeConfig
) -> tuple[NDArray[np.float64], list[int], NDArray[np.float64]]:
    """Return what `find_evidence` finds of a series without references, from units that were prepared.

    Margins (T, C), periods in steps, and what the margins of all variables together are joined from (T, C).
    """
    margins, periods = np.full(series.values.shape, -np.inf), [1] * series.n_variables
    joining = margins.copy()
    for unit, columns in units:
        assert unit.start is not None
        found = [margin[: len(series)] for margin in unit.start.margins(config)]
        for place, column in enumerate(columns.tolist()):
            if series.varies[column]:
                margins[:, column], joining[:, column] = (margin[:, place] for margin in found)
                periods[column] = unit.periods[place]
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
    if config.retrieval is not None and config.retrieval.has_evidence:
        evidence = torch.zeros(len(chunks), n_variables, width)
    for row, (chunk, length) in enumerate(zip(chunks, lengths, strict=True)):
        steps = slice(chunk.start * p, chunk.stop * p)
        values[row, :, : length * p] = torch.from_numpy(chunk.prepared.z[:, steps])
        strips[row, :, :, : length * p] = torch.from_numpy(chunk.prepared.strip.intensities[..., steps])
        if retrieval is not None:
            assert chunk.prepared.retrieval is not None
            retrieval[row, :, : length * p] = chunk.prepared.retrieval[steps].transpose(0, 1)
        if evidence is not None:
            assert chunk.prepared.start is not None
            evidence[row, :, : length * p] = chunk.prepared.start.alone[steps].T
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
