"""What `VETimePipeline.explain` gives: the scores of a series, and why it got them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.fusion import DETECTION
from vetime_plugins.network.model import ModelOutput, pool_margins
from vetime_plugins.network.preparation import Chunk, Prepared, Unit, column_periods
from vetime_plugins.series.imaging import FoldGeometry, fold_images
from vetime_plugins.series.inputs import Series
from vetime_plugins.series.readout import read_out

__all__ = ["Explanation", "explain_series", "fold_whole"]


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
        The router's weights for detection, averaged over the variables.
    expert_names : tuple of str
    image : uint8 ndarray of shape (H, W, 3)
        The whole series folded by its period; several variables stand on top of each other.
    geometry : FoldGeometry
        Fold of `image`.
    period : int
        In steps; 1 if none was found. Of several variables, the first one's.
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
    image, geometry, period = fold_whole([unit for unit, _ in units], config)
    periods = column_periods(series, units)
    pooled = pool_margins(margins, config.variable_pooling)
    return Explanation(
        series=series.values,
        scores=read_out(pooled, config.readout, [max(periods)], scale=config.scale),
        variable_scores=read_out(margins, config.readout, periods, scale=config.scale),
        reconstruction=reconstruction,
        expert_weights=weights,
        expert_names=config.experts,
        image=image,
        geometry=geometry,
        period=period,
    )


def fold_whole(
    units: Sequence[Prepared], config: VETimeConfig
) -> tuple[NDArray[np.uint8], FoldGeometry, int]:
    """Fold a whole series into one image, however many chunks the network reads it in.

    Parameters
    ----------
    units : sequence of Prepared
        All variables that vary; none gives an empty image.
    config : VETimeConfig

    Returns
    -------
    image : uint8 ndarray of shape (H, W, 3)
    geometry : FoldGeometry
    period : int
        In steps, that of the first variable.
    """
    if not units:
        size = config.image_size
        return np.zeros((size, size, 3), dtype=np.uint8), FoldGeometry(1, 1), 1
    p, period = config.patch_size, units[0].strip.period
    intensities = torch.from_numpy(np.concatenate([unit.strip.intensities for unit in units]))[None]
    pads = torch.from_numpy(np.concatenate([unit.strip.pad_value for unit in units]))[None]
    fold = FoldGeometry.for_period(intensities.shape[3] // p, period, p, intensities.shape[1])
    counts = torch.tensor([fold.n_patches]), torch.tensor([fold.patches_per_row])
    image = fold_images(intensities, pads, *counts, p, config.image_size)[0]
    return image.permute(1, 2, 0).to(torch.uint8).numpy(), fold, period
