"""Windows of a series in their own unit, beside the same phase of other periods.

In the folded image (paper, Section 3.2) the same phase of other periods stands above and below a step. Here
those neighbours are read at full resolution: each part of another period is moved to where it fits best,
since periods are never quite equally long.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

PHASES = (-7, -3, -2, -1, 1, 2, 3, 7)
"""Other periods that are seen, in periods before or after; seven are a week of days."""
SHIFTS = (0, -1, 1, -2, 2, -3, 3, -4, 4, -6, 6, -8, 8, -11, 11, -14, 14, -18, 18, -24, 24)
"""By how many steps another period may be early or late; the first of equally good ones is taken."""
REACH = max(SHIFTS)
N_FACTS = 4
_LINEAR = 3.0
_MATCHED_PATCHES = 25
_STIFFNESS = 0.01
_NOISE = 0.02


@dataclass
class Windows:
    """Windows of series, (B, L), with K other periods each.

    Attributes
    ----------
    values : float32 Tensor of shape (B, L)
        In the unit of the window, compressed; 0 beyond the ends of the series.
    real : bool Tensor of shape (B, L)
        False beyond the ends of the series.
    phases : float32 Tensor of shape (B, K, L + 2 R)
        The values so many periods before and after, and R = `REACH` steps more on both sides.
    present : bool Tensor of shape (B, K, L + 2 R)
        False where the series has no such step.
    lags : int64 Tensor of shape (B, K)
        Distances of these periods in steps; 0 where the series has no period.
    facts : float32 Tensor of shape (B, 4)
        Logarithm of the period, whether there is one, logarithm of the scale of the window over that of the
        series, share of real steps.
    centre, scale : float32 Tensors of shape (B, 1)
        ``values = compress((x - centre) / scale)``.
    """

    values: Tensor
    real: Tensor
    phases: Tensor
    present: Tensor
    lags: Tensor
    facts: Tensor
    centre: Tensor
    scale: Tensor

    def __len__(self) -> int:
        """B."""
        return len(self.values)

    def __getitem__(self, rows: slice) -> Windows:
        """Return some of the windows."""
        return Windows(*(getattr(self, field.name)[rows] for field in fields(self)))

    def repeat(self, times: int) -> Windows:
        """Return all windows so many times, one after the other."""
        found = (getattr(self, field.name) for field in fields(self))
        return Windows(*(part.repeat(times, *[1] * (part.ndim - 1)) for part in found))

    def to(self, device: torch.device) -> Windows:
        """Return them on a device."""
        return Windows(*(getattr(self, field.name).to(device) for field in fields(self)))


def compress(values: Tensor) -> Tensor:
    """Keep values of a few scales nearly as they are, and the order of those far outside."""
    return _LINEAR * torch.asinh(values / _LINEAR)


def decompress(values: Tensor) -> Tensor:
    """Undo `compress`; what is too large for float32 stays finite."""
    return _LINEAR * torch.sinh((values / _LINEAR).clamp(-30, 30))


def make_windows(
    source: Tensor,
    starts: Tensor,
    bounds: tuple[Tensor, Tensor],
    periods: Tensor,
    spread: Tensor,
    length: int,
) -> Windows:
    """Cut windows out of series that lie one behind the other, each in the unit of its own window.

    Parameters
    ----------
    source : float32 Tensor of shape (S,)
    starts : int64 Tensor of shape (B,)
        First step of each window; it may lie before its series.
    bounds : tuple of two int64 Tensors of shape (B,)
        Where the series of each window starts and stops in `source`; a window holds a step of it or more.
    periods : int64 Tensor of shape (B,)
        1 for none.
    spread : float32 Tensor of shape (B,)
        Standard deviation of the series.
    length : int
        Steps of a window, L.
    """
    first, stop = bounds[0][:, None], bounds[1][:, None]
    steps = starts[:, None] + torch.arange(length)
    real = (steps >= first) & (steps < stop)
    raw = source[steps.clamp(0, len(source) - 1)]
    count = real.sum(1, keepdim=True)
    ordered = raw.where(real, torch.inf).sort(dim=1).values
    low, centre, high = (ordered.gather(1, ((count - 1) * q).long()) for q in (0.1, 0.5, 0.9))
    deviation = ((raw - centre).abs() * real).sum(1, keepdim=True) / count
    # Quantiles, so that an anomaly does not set the unit; a little of the rest, where most steps are equal.
    scale = 0.35 * (high - low) + 0.1 * deviation + 0.01 * spread[:, None] + 1e-6
    lags = torch.tensor(PHASES) * (periods * (periods > 1))[:, None]  # (B, K)
    away = starts[:, None] + torch.arange(-REACH, length + REACH)
    away = away[:, None] + lags[..., None]  # (B, K, L + 2 R)
    present = (away >= first[..., None]) & (away < stop[..., None]) & (lags != 0)[..., None]
    phases = source[away.clamp(0, len(source) - 1)]
    facts = [
        periods.clamp(min=1).float().log2() / 10,
        (periods > 1).float(),
        (scale[:, 0] / (spread + 1e-6)).log(),
        count[:, 0] / length,
    ]
    return Windows(
        values=compress((raw - centre) / scale) * real,
        real=real,
        phases=compress((phases - centre[..., None]) / scale[..., None]) * present,
        present=present,
        lags=lags,
        facts=torch.stack(facts, dim=1),
        centre=centre,
        scale=scale,
    )


@torch.no_grad()
def align_phases(
    windows: Windows, concealed: Tensor, patch_size: int, *, move: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Move every patch of the other periods to where they fit what is seen around it.

    Each patch takes the one of `SHIFTS` that brings the seen steps of the patches around it closest to the
    window's own, and no more than a sixth of the distance between both. What is concealed takes no part: not
    as the window's own value, nor as the phase of another one.

    Parameters
    ----------
    windows : Windows
    concealed : bool Tensor of shape (B, L)
        Steps that must not be seen.
    patch_size : int
    move : bool
        False leaves them where the period says.

    Returns
    -------
    phases : float32 Tensor of shape (B, K, L)
        0 where there is nothing to see.
    present : bool Tensor of shape (B, K, L)
    misfit : float32 Tensor of shape (B, K, N)
        Logarithm of the distance that is left, over 3.
    """
    length, n_lags = concealed.shape[1], windows.lags.shape[1]
    device = concealed.device
    away = torch.arange(-REACH, length + REACH, device=device) + windows.lags[..., None]  # (B, K, L + 2 R)
    inside = (away >= 0) & (away < length)
    covered = concealed[:, None].expand(-1, n_lags, -1).gather(2, away.clamp(0, length - 1)) & inside
    present = windows.present & ~covered
    shifts = torch.tensor(SHIFTS if move else SHIFTS[:1], device=device)
    misfit = _misfits(windows, (windows.real & ~concealed).float(), present.float(), shifts, patch_size)
    far = shifts.abs()[:, None, None] > windows.lags.abs() // 6  # (S, B, K)
    stiff = misfit * (1 + _STIFFNESS * shifts.abs())[:, None, None, None]
    best = stiff.masked_fill(far[..., None], torch.inf).argmin(dim=0)  # (B, K, N)
    index = torch.arange(length, device=device) + REACH + shifts[best].repeat_interleave(patch_size, dim=2)
    present = present.gather(2, index)
    return windows.phases.gather(2, index) * present, present, misfit.gather(0, best[None])[0].log() / 3


def _misfits(windows: Windows, seen: Tensor, present: Tensor, shifts: Tensor, patch_size: int) -> Tensor:
    """Mean distance to each shifted period around each patch, (S, B, K, N)."""
    size, length = seen.shape
    sums = seen.new_empty(len(shifts), 2, size, present.shape[1], length // patch_size)
    for number, shift in enumerate(shifts.tolist()):
        part = slice(REACH + shift, REACH + shift + length)
        weight = present[..., part] * seen[:, None]
        distance = (windows.phases[..., part] - windows.values[:, None]).abs() * weight
        sums[number, 0] = distance.unflatten(2, (-1, patch_size)).sum(-1)
        sums[number, 1] = weight.unflatten(2, (-1, patch_size)).sum(-1)
    rows = sums.flatten(0, 3)[:, None]
    around = F.avg_pool1d(rows, _MATCHED_PATCHES, 1, _MATCHED_PATCHES // 2).view_as(sums) * _MATCHED_PATCHES
    return (around[:, 0] + _NOISE) / (around[:, 1] + 0.1)
