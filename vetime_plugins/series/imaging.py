"""Reversible Image Conversion (paper, Section 3.2): a series as an image folded by its period, and back.

A series is mapped to three intensity strips (itself, its moving-average trend, the remainder), each scaled to
0..255; the strips are cut every period and stacked, and the stack is resized to the ViT's square. Everything
needed for the way back is kept in `Strip` and `FoldGeometry`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vetime_plugins._arguments import check_whole
from vetime_plugins.errors import InputError
from vetime_plugins.series.inputs import as_series
from vetime_plugins.series.period import series_period
from vetime_plugins.series.scaling import Scaling

NO_PERIOD_WINDOW = 25
"""Moving-average window of the trend when there is no period."""
_RANGE_EPSILON = 1e-5


def moving_average(values: NDArray[np.floating], window: int) -> NDArray[np.float64]:
    """Centred moving average of (..., n) with an odd `window` and reflected ends.

    Where the window is too wide for a reflection (half of it >= n) the ends repeat the outermost value.
    """
    half = window // 2
    n = values.shape[-1]
    widths = [(0, 0)] * (values.ndim - 1) + [(half, half)]
    padded = np.pad(values.astype(np.float64), widths, mode="reflect" if half < n else "edge")
    total = np.cumsum(padded, axis=-1)
    total[..., window:] = total[..., window:] - total[..., :-window]
    return total[..., window - 1 :] / window


@dataclass(frozen=True)
class Strip:
    """A standardised series as intensities, with what is needed to read it back.

    Attributes
    ----------
    intensities : uint8 ndarray of shape (C, 3, W)
        Channels (series, trend, remainder) in 0..255; W is the length rounded up to whole patches.
    pad_value : uint8 ndarray of shape (C, 3)
        Intensity of the patches that fill up the last row.
    low, high : float64 ndarray of shape (C, 3)
        Smallest and largest value of each channel before the scaling.
    gamma : float64 ndarray of shape (C,)
    """

    intensities: NDArray[np.uint8]
    pad_value: NDArray[np.uint8]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    gamma: NDArray[np.float64]
    length: int
    period: int
    patch_size: int


def default_gammas(n_variables: int) -> NDArray[np.float64]:
    """Return the image gammas: 0.5 for one variable, else evenly spaced over 0.5..1.5 in column order.

    The authors permute the latter at random; a fixed order makes scores repeatable.
    """
    return np.array([0.5]) if n_variables == 1 else np.linspace(0.5, 1.5, n_variables)


def check_gammas(gammas: Any, n_variables: int, what: str = "variable_gammas") -> NDArray[np.float64]:
    """Return image gammas as an array (C,), or raise `InputError` unless they are C finite numbers > 0."""
    try:
        found = np.asarray(gammas, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (n_variables,) or not (np.isfinite(found) & (found > 0)).all():
        raise InputError(f"{what} needs {n_variables} positive numbers, one per variable, got {gammas!r}.")
    return found


def make_strip(
    z: NDArray[np.float64],
    patch_size: int,
    *,
    period: int | None = None,
    gammas: NDArray[np.float64] | None = None,
) -> Strip:
    """Map a standardised series (T, C) to its intensity strip (paper, "multi-channel intensity mapping").

    The period is in steps, 1 for none. Left out, each variable's is looked for, and the longest taken for
    all. `InputError` is raised for `gammas` that are not one finite number above 0 for each variable.
    """
    length = len(z)
    period = series_period(z) if period is None else period
    scaled, low, high, gamma = _intensity_channels(z, period, gammas)
    padding = -length % patch_size
    tail = scaled[..., -max(5, period) :].mean(axis=2, keepdims=True)
    # (A period found in longer reference data may not fit into a short series.)
    if padding and 5 < period <= length - padding:
        # What stood one period before the end continues the pattern better than a constant.
        piece = scaled[..., length - period - padding : length - period]
        tail = piece.mean(axis=2, keepdims=True)
    else:
        piece = np.broadcast_to(tail, (*tail.shape[:2], padding))
    if padding:
        scaled = np.concatenate([scaled, piece], axis=2)
    intensities = np.clip(scaled ** gamma[:, None, None] * 255.0, 0, 255).astype(np.uint8)
    # The authors take the fill of the last row before the gamma; so do we, to read their weights alike.
    pad_value = np.clip(tail[..., 0] * 255.0, 0, 255).astype(np.uint8)
    return Strip(intensities, pad_value, low, high, gamma, length, period, patch_size)


def _intensity_channels(
    z: NDArray[np.float64], period: int, gammas: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (C, 3, T) channels scaled to [0, 1), their low and high (C, 3), and the gammas (C,)."""
    n_variables = z.shape[1]
    gamma = default_gammas(n_variables) if gammas is None else check_gammas(gammas, n_variables, "gammas")
    x = np.ascontiguousarray(z.T)
    window = NO_PERIOD_WINDOW if period <= 1 else period + 1 - period % 2
    trend = moving_average(x, window)
    channels = np.stack([x, trend, x - trend], axis=1)
    low, high = channels.min(axis=2), channels.max(axis=2)
    scaled = (channels - low[..., None]) / (high - low + _RANGE_EPSILON)[..., None]
    return scaled, low, high, gamma


@dataclass(frozen=True)
class FoldGeometry:
    """How the `n_patches` patches of one chunk lie on the folded image, all variables alike.

    A row of the image, i.e. a period, has `patches_per_row`; the tiles of the variables are on top of each
    other.
    """

    n_patches: int
    patches_per_row: int
    n_variables: int = 1

    @property
    def rows(self) -> int:
        """Rows of one variable's tile."""
        return -(-self.n_patches // self.patches_per_row)

    @property
    def padding_patches(self) -> int:
        """Patches that fill up the last row of a tile."""
        return self.rows * self.patches_per_row - self.n_patches

    @classmethod
    def for_period(cls, n_patches: int, period: int, patch_size: int, n_variables: int = 1) -> FoldGeometry:
        """Return the fold of `n_patches` patches at a period in steps (1 = none: a square of patches)."""
        per_row = period // patch_size
        if per_row <= 1:
            per_row = max(round(math.sqrt(n_patches)), 1)
        return cls(n_patches, per_row, n_variables)


def fold_images(
    strips: Tensor, pad_values: Tensor, n_patches: Tensor, patches_per_row: Tensor, patch_size: int, size: int
) -> Tensor:
    """Fold a batch of strips into square images (B, 3, size, size), float32 in 0..255.

    Horizontal (within a period): linear interpolation with half-pixel centres. Vertical (across periods): the
    nearest row, so that no pattern arises between two periods (paper, "dimension-aware scaling"). Both are
    read off the strip in one gather, whatever the fold of each sample.

    Parameters
    ----------
    strips : uint8 Tensor of shape (B, C, 3, W)
    pad_values : uint8 Tensor of shape (B, C, 3)
    n_patches, patches_per_row : int64 Tensors of shape (B,)
    """
    batch, n_variables, channels, width = strips.shape
    device = strips.device
    row_length = (patches_per_row * patch_size)[:, None]  # (B, 1) steps in a row
    rows = (n_patches + patches_per_row - 1) // patches_per_row  # (B,)
    pixel = torch.arange(size, device=device)
    # Nearest source row, then which variable's tile it lies in.
    stacked = (rows * n_variables)[:, None]
    row = torch.div(pixel[None] * stacked, size, rounding_mode="floor")  # (B, size)
    variable = torch.div(row, rows[:, None], rounding_mode="floor")
    row = row - variable * rows[:, None]
    # float32 scale, one rounding after multiply and subtract: the arithmetic of torch's fused interpolation
    # kernel, so that converted weights see the very pixels they were trained on.
    scale = (row_length.to(torch.float32) / size).double()
    source = (scale * (pixel[None] + 0.5) - 0.5).clamp(min=0).to(torch.float32)  # (B, size)
    left = source.floor().long()
    right = torch.minimum(left + 1, row_length - 1)
    fraction = (source - left)[:, None, None, :]

    # One extra column holds the padding value; every index beyond the last patch points at it.
    extended = torch.cat([strips, pad_values[..., None]], dim=3).reshape(
        batch, n_variables, channels, width + 1
    )
    extended = extended.permute(0, 2, 1, 3).reshape(batch, channels, -1)
    start = (row * row_length)[:, :, None]
    end = (n_patches * patch_size)[:, None, None]

    def gather(column: Tensor) -> Tensor:
        step = start + column[:, None, :]  # (B, size, size)
        step = torch.where(step < end, step, width) + (variable * (width + 1))[:, :, None]
        index = step.reshape(batch, 1, -1).expand(-1, channels, -1)
        return extended.gather(2, index).reshape(batch, channels, size, size).to(torch.float32)

    return gather(left) * (1.0 - fraction) + gather(right) * fraction


@dataclass(frozen=True)
class ImageGeometry:
    """The way back from an image to its series: the fold and the scaling constants of every variable.

    Parameters
    ----------
    fold : FoldGeometry
        Rows, and patches in a row.
    patch_size : int
        Steps of a patch.
    size : int or None
        Side of the square image in pixels; None where it was not resampled.
    length : int
        Steps of the series.
    one_dimensional : bool
        Whether the series had shape ``(T,)``.
    period : int
        In steps; 1 means no period.
    scaling : Scaling
        Mean and standard deviation of every variable.
    low, high, gamma : ndarray of shape (C, 1) or (C,)
        Range and gamma of the intensities of every variable.
    """

    fold: FoldGeometry
    patch_size: int
    size: int | None
    length: int
    one_dimensional: bool
    period: int
    scaling: Scaling
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    gamma: NDArray[np.float64]


def series_to_image(
    series: NDArray[np.floating],
    *,
    patch_size: int = 16,
    size: int | None = 224,
    period: int | None = None,
    gammas: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], ImageGeometry]:
    """Turn a series into its folded image, reversibly.

    Parameters
    ----------
    series : ndarray of shape (T,) or (T, C)
        Finite values in any unit.
    patch_size : int
        Rows are whole patches wide.
    size : int or None
        Side of the square image. None keeps the fold at its own size, one pixel a step and one row a period:
        then nothing is resampled.
    period : int, optional
        Period in steps (1 = none); found by autocorrelation when omitted.
    gammas : ndarray of shape (C,), optional
        Exponents of the intensity; see `default_gammas`.

    Returns
    -------
    image : float64 ndarray of shape (H, W, 3)
        Channels (series, trend, remainder), values in 0..255, not rounded.
    geometry : ImageGeometry
        What `image_to_series` needs.

    Raises
    ------
    InputError
        If the series is empty, has more than two dimensions, or values that are not finite; if `patch_size`,
        `size`, `period` or `gammas` cannot be used.
    """
    patch_size = check_whole("patch_size", patch_size)
    size = None if size is None else check_whole("size", size)
    one = as_series(series)
    if not one.observed.all():
        raise InputError("series needs finite values to be an image, got NaN: fill the gaps first.")
    scaling = Scaling.of_values(one.values)
    z = scaling.exact(one.values)
    if period is None:
        period = series_period(scaling.standardise(one.values))
    period = check_whole("period", period)
    channels, low, high, gamma = _intensity_channels(z, period, gammas)
    scaled = channels ** gamma[:, None, None] * 255.0
    n_patches = -(-len(z) // patch_size)
    fold = FoldGeometry.for_period(n_patches, period, patch_size, z.shape[1])
    row_length = fold.patches_per_row * patch_size
    missing = fold.rows * row_length - len(z)
    filled = np.concatenate([scaled, np.repeat(scaled[..., -1:], missing, axis=2)], axis=2)
    folded = filled.reshape(z.shape[1], 3, fold.rows, row_length).transpose(0, 2, 3, 1)
    folded = folded.reshape(z.shape[1] * fold.rows, row_length, 3)
    geometry = ImageGeometry(
        fold, patch_size, size, len(z), one.one_dimensional, period, scaling, low, high, gamma
    )
    if size is None:
        return folded, geometry
    nearest = (np.arange(size) * len(folded)) // size
    return _resize_linear(folded, size)[nearest], geometry


def image_to_series(image: NDArray[np.floating], geometry: ImageGeometry) -> NDArray[np.float64]:
    """Recover the series from its folded image.

    Exact up to float error where nothing was resampled: `size=None`, or a side that is an odd multiple of the
    row length and no smaller than the number of rows. Otherwise the only loss is that of linear
    interpolation: where a row of `r` steps is narrowed or widened to `size` pixels, a step that falls between
    two pixel centres is interpolated, so its error is at most the range of the series over the ``ceil(r /
    size) + 1`` steps around it; and rows that the square has no room for (more rows than pixels) are read
    from the nearest row kept.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        As returned by `series_to_image`; only the first channel is read.
    geometry : ImageGeometry

    Returns
    -------
    ndarray of shape (T,) or (T, C)

    Raises
    ------
    InputError
        If the image has another shape than the geometry says.
    """
    fold = geometry.fold
    row_length = fold.patches_per_row * geometry.patch_size
    total_rows = fold.rows * fold.n_variables
    pixels = np.asarray(image, dtype=np.float64)
    expected = (total_rows, row_length) if geometry.size is None else (geometry.size, geometry.size)
    if pixels.shape != (*expected, 3):
        raise InputError(f"This geometry belongs to an image of shape {(*expected, 3)}, got {pixels.shape}.")
    if geometry.size is not None:
        # Centre of the pixel rows that show a source row; the nearest pixel row where it was dropped.
        row = np.minimum(
            ((np.arange(total_rows) + 0.5) * geometry.size / total_rows).astype(int), geometry.size - 1
        )
        pixels = _resize_linear(pixels[row], row_length)
    flat = pixels[..., 0].reshape(fold.n_variables, fold.rows * row_length)[:, : geometry.length]
    scaled = np.clip(flat / 255.0, 0.0, None) ** (1.0 / geometry.gamma[:, None])
    low, high = geometry.low[:, :1], geometry.high[:, :1]
    z = scaled * (high - low + _RANGE_EPSILON) + low
    series = geometry.scaling.restore(z.T)
    return series[:, 0] if geometry.one_dimensional else series


def _resize_linear(rows: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Resize axis 1 of (R, W, 3) linearly with half-pixel centres."""
    old = rows.shape[1]
    source = np.clip((np.arange(width) + 0.5) * (old / width) - 0.5, 0, old - 1)
    left = np.floor(source).astype(int)
    right = np.minimum(left + 1, old - 1)
    fraction = (source - left)[None, :, None]
    return rows[:, left] * (1 - fraction) + rows[:, right] * fraction
