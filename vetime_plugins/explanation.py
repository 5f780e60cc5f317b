"""What `VETimePipeline.explain` gives: the scores of a series, and why it got them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.evidence import standardise_together
from vetime_plugins.network.fusion import DETECTION
from vetime_plugins.network.model import ModelOutput
from vetime_plugins.network.preparation import Chunk, Unit, column_periods, margins_of_units
from vetime_plugins.network.surprise import Reader, find_bands, find_margins
from vetime_plugins.reading import Margins, Reading, switches_of
from vetime_plugins.series.imaging import FoldGeometry, Strip, fold_images, make_strip
from vetime_plugins.series.inputs import Series

__all__ = ["Explanation", "explain_expectation", "explain_series", "fold_whole"]

_IMAGE_SIZE = 112
"""Pixels of the image of a network that reads none."""


@dataclass(frozen=True)
class Explanation:
    """Why a series got its scores.

    Attributes
    ----------
    series : float64 ndarray of shape (T, C)
        The input with gaps filled.
    scores : float64 ndarray of shape (T,)
    variable_scores : float64 ndarray of shape (T, C)
    reconstruction : float64 ndarray of shape (T, C)
        What the network holds for the normal course, in the input's unit.
    expert_weights : float64 ndarray of shape (T, E)
        The router's weights for detection, averaged over the variables. E is 0 for a network without router.
    expert_names : tuple of str
    image : uint8 ndarray of shape (H, W, 3)
        The whole series folded by its period; several variables stand on top of each other.
    geometry : FoldGeometry
        Fold of `image`.
    period : int
        In steps; 1 if none was found. Of several variables, the first one's.
    expected_distance : float64 ndarray of shape (T, C) or None
        How far from the reconstruction a value was expected to lie, on average, in the input's unit; 95 % of
        them within three times that. None if the network does not say so.
    """

    series: NDArray[np.float64]
    scores: NDArray[np.float64]
    variable_scores: NDArray[np.float64]
    reconstruction: NDArray[np.float64]
    expert_weights: NDArray[np.float64]
    expert_names: tuple[str, ...]
    image: NDArray[np.uint8]
    geometry: FoldGeometry
    period: int
    expected_distance: NDArray[np.float64] | None = None


def explain_series(
    series: Series,
    units: Sequence[Unit],
    batches: Iterable[tuple[list[tuple[Chunk, NDArray[np.intp]]], ModelOutput]],
    config: VETimeConfig,
) -> Explanation:
    """Put together what the network says of the chunks of one series.

    Parameters
    ----------
    series : Series
    units : sequence of Unit
        Its variables that were read.
    batches : iterable
        Their chunks with their columns, and the output of the batch.
    config : VETimeConfig

    Returns
    -------
    Explanation
    """
    p, n_read = config.patch_size, max(1, sum(len(columns) for _, columns in units))
    margins = np.full(series.values.shape, -np.inf)
    reconstruction = np.tile(series.values[0], (len(series), 1))  # what never changes is what is expected
    weights = np.zeros((len(series), len(config.experts)))
    for group, output in batches:
        margin, expected = output.margins(), output.reconstruction.double().cpu().numpy()
        detection = output.weights[DETECTION].double().sum(1).cpu().numpy()  # (B, N, E), over the variables
        for row, (chunk, columns) in enumerate(group):
            steps = slice(chunk.start * p, min(chunk.stop * p, len(series)))
            n = steps.stop - steps.start
            margins[steps, columns] = margin[row, :, :n].T
            reconstruction[steps, columns] = chunk.prepared.scaling.restore(expected[row, :, :n].T)
            weights[steps] += detection[row].repeat(p, axis=0)[:n] / n_read
    strips = [unit.strip for unit, _ in units]
    image, geometry, period = fold_whole(strips, config.patch_size, config.image_size)
    read = Margins(margins, column_periods(series, units))
    if config.evidence_alone:
        read = Margins(*margins_of_units(series, units, config))
    reading = Reading(read, switches=switches_of(config, series))
    return Explanation(
        series=series.values,
        scores=reading.scores(config, config.readout),
        variable_scores=reading.variable_scores(config, config.readout),
        reconstruction=reconstruction,
        expert_weights=weights,
        expert_names=config.experts,
        image=image,
        geometry=geometry,
        period=period,
    )


def explain_expectation(series: Series, reader: Reader) -> Explanation:
    """Put together what an expectation network says of one series.

    Parameters
    ----------
    series : Series
    reader : Reader

    Returns
    -------
    Explanation
    """
    config = reader.network.config
    margins, periods = find_margins(reader, series)
    expected, distance = find_bands(reader, series)
    strips = []
    for column in np.flatnonzero(series.varies):
        (z,), _ = standardise_together([series.values[:, column : column + 1]])
        strips.append(make_strip(z, config.patch_size, period=periods[column]))
    image, geometry, period = fold_whole(strips, config.patch_size, _IMAGE_SIZE)
    reading = Reading(Margins(margins, periods))
    return Explanation(
        series=series.values,
        scores=reading.scores(config, config.readout),
        variable_scores=reading.variable_scores(config, config.readout),
        reconstruction=expected,
        expert_weights=np.zeros((len(series), 0)),
        expert_names=(),
        image=image,
        geometry=geometry,
        period=period,
        expected_distance=distance,
    )


def fold_whole(
    strips: Sequence[Strip], patch_size: int, image_size: int
) -> tuple[NDArray[np.uint8], FoldGeometry, int]:
    """Fold a whole series into one image, however many chunks the network reads it in.

    Parameters
    ----------
    strips : sequence of Strip
        Of all variables that vary; none gives an empty image.
    patch_size : int
        In steps.
    image_size : int
        In pixels.

    Returns
    -------
    image : uint8 ndarray of shape (H, W, 3)
    geometry : FoldGeometry
    period : int
        In steps, that of the first variable.
    """
    if not strips:
        return np.zeros((image_size, image_size, 3), dtype=np.uint8), FoldGeometry(1, 1), 1
    period = strips[0].period
    intensities = torch.from_numpy(np.concatenate([strip.intensities for strip in strips]))[None]
    pads = torch.from_numpy(np.concatenate([strip.pad_value for strip in strips]))[None]
    n_patches = intensities.shape[3] // patch_size
    fold = FoldGeometry.for_period(n_patches, period, patch_size, intensities.shape[1])
    counts = torch.tensor([fold.n_patches]), torch.tensor([fold.patches_per_row])
    image = fold_images(intensities, pads, *counts, patch_size, image_size)[0]
    return image.permute(1, 2, 0).to(torch.uint8).numpy(), fold, period
