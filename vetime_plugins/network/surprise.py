"""How far a series lies from what the network expected of it: evidence of anomalies without retrieval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.special import logsumexp
from torch import Tensor

from vetime_plugins.network.evidence import join_references, standardise_together
from vetime_plugins.network.expectation import ExpectationNetwork, conceal
from vetime_plugins.network.phases import Windows, decompress, make_windows
from vetime_plugins.series.inputs import Series
from vetime_plugins.series.overlap import Beside
from vetime_plugins.series.period import series_period
from vetime_plugins.series.scaling import Scaling

Array = NDArray[np.float64]

BLOCKS = (1, 4, 16)
"""Patches that are concealed in one piece: a short anomaly is told from its neighbours, a long one needs more
of itself concealed."""
EVERY = 4
"""One block in so many is concealed at once, so this many passes conceal every step."""
WIDTHS = ((1, 5, 25), (25, 100), (100, 200))
"""Steps over which the distance is averaged, for each of `BLOCKS`: about as many as one block has."""
PERIOD_WIDTHS = (25, 200)
"""The distance is averaged over the period too, if it lies between these, else over the nearer one."""
_AT_ONCE = 64
_EPSILON = 1e-9
_LAPLACE_MEDIAN = float(np.log(2))


@dataclass(frozen=True)
class Expected:
    """Expectation of a series, with blocks of one length concealed.

    Attributes
    ----------
    values : float64 ndarray of shape (T,)
        What was expected.
    scale : float64 ndarray of shape (T,)
        Mean distance from it that was to be expected.
    """

    values: Array
    scale: Array


class _Variable(NamedTuple):
    """A variable behind its references, standardised, and where it came from."""

    column: int
    values: Array
    period: int
    scaling: Scaling


class Reader(NamedTuple):
    """How the network is run.

    Attributes
    ----------
    network : ExpectationNetwork
    device : torch.device
        Where it is.
    rows : int
        Windows in one pass: bounds memory.
    bfloat16 : bool
        Arithmetic of the network: faster, and results differ in the third digit.
    """

    network: ExpectationNetwork
    device: torch.device = torch.device("cpu")
    rows: int = 32
    bfloat16: bool = False

    def read(self, windows: Windows, concealed: Tensor) -> tuple[Tensor, Tensor]:
        """Return expectation and scale (B, L), on the CPU."""
        found = []
        for first in range(0, len(windows), self.rows):
            rows = slice(first, first + self.rows)
            with (
                torch.inference_mode(),
                torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16),
            ):
                found.append(
                    torch.stack(self.network(windows[rows].to(self.device), concealed[rows].to(self.device)))
                )
        expected, scale = torch.cat(found, dim=1).float().cpu()
        return expected, scale


def expect(reader: Reader, series: Array, period: int, *, blocks: Sequence[int] = BLOCKS) -> list[Expected]:
    """Say of every step what the rest of the series lets one expect there.

    Parameters
    ----------
    reader : Reader
    series : float64 ndarray of shape (T,)
        Finite; a step of it takes no part in its own expectation but for the unit of its window, which is
        made of quantiles.
    period : int
        In steps, 1 for none.
    blocks : sequence of int
        Lengths of the concealed blocks, in patches.

    Returns
    -------
    list of Expected
        One for each of `blocks`, in the unit of the series.
    """
    mean, deviation = float(series.mean()), float(series.std()) + _EPSILON
    standard = torch.from_numpy((series - mean) / deviation).float()
    config = reader.network.config
    p, n_patches = config.patch_size, -(-len(series) // config.patch_size)
    starts = _window_starts(n_patches * p, config.window, p)
    # Each patch is read in the window whose middle is nearest.
    middles = starts + config.window // 2
    halfway = (middles[1:] + middles[:-1]) / 2
    owner = torch.searchsorted(halfway, torch.arange(n_patches) * p + p / 2)
    found = torch.empty(len(blocks), 2, n_patches, p)
    for first in range(0, len(starts), _AT_ONCE):
        some = starts[first : first + _AT_ONCE]
        own = torch.nonzero((owner >= first) & (owner < first + _AT_ONCE))[:, 0]
        inside = owner[own] - first, own - starts[owner[own]] // p
        windows = _cut(standard, some, period, config.window)
        for number, block in enumerate(blocks):
            for kind, part in enumerate(_read_all(reader, windows, some // p, block)):
                found[number, kind, own] = part.unflatten(1, (-1, p))[inside]
    on_timeline = found.flatten(2)[..., : len(series)].double().numpy()
    return [Expected(values * deviation + mean, scale * deviation) for values, scale in on_timeline]


def surprise(series: Array, expected: Sequence[Expected], period: int) -> Array:
    """Return how far a series lies from its expectation, as ``asinh(z)``: 0 is usual, 2 and more is rare.

    The distance is averaged over windows of several lengths, short ones where short blocks were concealed,
    and z-scored over the series; what is surprising at one length need not be so at another, so these join
    by the logarithm of the mean of their exponentials.

    Parameters
    ----------
    series : float64 ndarray of shape (T,)
    expected : sequence of Expected
        One for each of `BLOCKS`.
    period : int
        In steps, 1 for none.

    Returns
    -------
    float64 ndarray of shape (T,)
    """
    own = int(np.clip(period, *PERIOD_WIDTHS))
    parts = [
        np.arcsinh(standard(windowed(np.abs(series - one.values), width)))
        for one, widths in zip(expected, WIDTHS, strict=True)
        for width in (*widths, own)
    ]
    return np.asarray(logsumexp(parts, axis=0) - np.log(len(parts)))


def find_margins(
    reader: Reader, series: Series, references: Sequence[Beside] = ()
) -> tuple[Array, list[int]]:
    """Return the anomaly margins of a series and the periods of its variables.

    Parameters
    ----------
    reader : Reader
    series : Series
    references : sequence of Beside
        Earlier data: what the series does not hold itself is read as if it came directly before it.

    Returns
    -------
    margins : float64 ndarray of shape (T, C)
        -inf for variables that never change.
    periods : list of int
        In steps; 1 where there is none.
    """
    config, margins = reader.network.config, np.full(series.values.shape, -np.inf)
    periods = [1] * series.n_variables
    for column, values, period, _ in _join(series, references):
        found = surprise(values, expect(reader, values, period), period)[-len(series) :]
        margins[:, column] = config.margin_scale * found + config.margin_offset
        periods[column] = period
    return margins, periods


def find_bands(reader: Reader, series: Series) -> tuple[Array, Array]:
    """Return what was expected of a series, and how far from it the values were expected to lie.

    Expected with blocks of a middle length concealed: it sees neither a step nor what is next to it. The
    network's scale is multiplied by a number that makes it fit the series as a whole, since a scale learned
    on other series is right only in its proportions.

    Parameters
    ----------
    reader : Reader
    series : Series

    Returns
    -------
    values, distance : float64 ndarrays of shape (T, C)
        In the unit of the series; the mean distance is that of a Laplace distribution. What never changes is
        what is expected, at a distance of 0.
    """
    values, distance = series.values.copy(), np.zeros(series.values.shape)
    for column, z, period, scaling in _join(series, ()):
        (found,) = expect(reader, z, period, blocks=BLOCKS[1:2])
        usual = np.median(np.abs(z - found.values) / found.scale) / _LAPLACE_MEDIAN
        values[:, column] = scaling.restore(found.values[:, None])[:, 0]
        distance[:, column] = np.ldexp(usual * found.scale * scaling.std, -scaling.exponents)
    return values, distance


def windowed(values: Array, width: int) -> Array:
    """Centred moving average over `width` steps, at the ends over those that exist."""
    if width <= 1:
        return values
    mass = uniform_filter1d(np.ones_like(values), width, mode="constant")
    return np.asarray(uniform_filter1d(values, width, mode="constant") / mass)


def standard(values: Array) -> Array:
    """Z-score over the series; zeros for a constant."""
    return (values - values.mean()) / (values.std() + _EPSILON)


def _join(series: Series, references: Sequence[Beside]) -> Iterator[_Variable]:
    """Yield the variables that vary."""
    earlier, varies = join_references(series, references)
    columns = np.flatnonzero(varies)
    if not len(columns):
        return
    parts, scaling = standardise_together([one[:, columns] for one in (*earlier, series.values)])
    longest, whole = max([parts[-1], *parts[:-1]], key=len), np.concatenate(parts)
    for number, column in enumerate(columns.tolist()):
        own = slice(number, number + 1)
        yield _Variable(column, whole[:, number], series_period(longest[:, own]), scaling.select(own))


def _window_starts(length: int, window: int, patch_size: int) -> Tensor:
    """Return where overlapping windows start, at whole patches, the last one at the end."""
    last, step = length - window, max(patch_size, window * 3 // 4 // patch_size * patch_size)
    return torch.tensor([*range(0, last, step), last] if last > 0 else [0])


def _cut(standard: Tensor, starts: Tensor, period: int, length: int) -> Windows:
    size = len(starts)
    bounds = torch.zeros(size, dtype=torch.long), torch.full((size,), len(standard))
    spread = standard.std(correction=0).expand(size)
    return make_windows(standard, starts, bounds, torch.full((size,), period), spread, length)


def _read_all(reader: Reader, windows: Windows, patches: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Return expectation and scale (B, L) of every step, in the unit that windows were cut from.

    The windows start at `patches` of the series, so that what is concealed is where it is in the series.
    """
    p, length = reader.network.config.patch_size, windows.values.shape[1]
    offsets = torch.cat([patches + number * block for number in range(EVERY)])
    concealed = conceal(length // p, block, EVERY, offsets)
    expected, scale = reader.read(windows.repeat(EVERY), concealed)
    # Every step is concealed in one of the passes.
    steps = concealed.repeat_interleave(p, dim=1)
    expected, scale = ((part * steps).unflatten(0, (EVERY, -1)).sum(0) for part in (expected, scale))
    return decompress(expected) * windows.scale + windows.centre, scale * windows.scale
