"""Expectation: what a step of the series should have been, from everything but itself.

A part of the timeline is concealed, and the network says of every concealed step which value the rest lets
one expect there, and how sure that is. It reads the timeline on both sides (the temporal view) and the same
phase of other periods (the view of the folded image). Passes that conceal every step once give an
expectation of the whole series in which no step takes part in its own. Nothing of it needs an idea of what
an anomaly looks like.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from vetime_plugins._validation import STRICT, Flag, Number, Text, Whole, checked
from vetime_plugins.errors import InputError
from vetime_plugins.network.layers import RMSNorm, merge_heads, mlp, scaled_attention, split_heads
from vetime_plugins.network.phases import N_FACTS, PHASES, Windows, align_phases
from vetime_plugins.network.temporal import GatedFeedForward, rotary_table, rotate

LOWEST_SCALE, HIGHEST_SCALE = 0.01, 10.0
"""Bounds of the scale that the network may name, in the unit of the window."""
_MOST_PARAMETERS = 2**32  # 16 GiB as float32: a typing error, not a network
_Size = Annotated[Whole, Field(ge=1, le=2**31 - 1)]


@checked
@dataclass(frozen=True, config=STRICT)
class ExpectationConfig:
    """Sizes of the expectation network, and how its scores are read.

    Parameters
    ----------
    patch_size : int
        Steps of one token.
    window : int
        Steps that the network reads at once: whole patches.
    width, depth, heads : int
        Of its transformer.
    use_phases : bool
        Whether to see the same phase of other periods.
    aligned : bool
        Whether each part of another period is moved to where it fits best.
    variable_pooling : {"mean", "max"}
        How the margins of several variables become one: "max" is a soft maximum, which a deviation in one of
        many variables survives.
    margin_scale, margin_offset : float
        Last linear step of the anomaly margin, which makes its logistic a probability; it changes no order.
    readout : {"point", "window"}
        How scores are read by default: per point, or averaged over the series' period.
    scale : {"logistic", "tail"}
        What a score means, as in `vetime_plugins.network.config.VETimeConfig`.
    name : str

    Raises
    ------
    InputError
        If the window is not whole patches, the width no even multiple of the heads, or the network would have
        more than 2**32 parameters.
    """

    patch_size: _Size = 8
    window: _Size = 1024
    width: _Size = 128
    depth: _Size = 4
    heads: _Size = 4
    use_phases: Flag = True
    aligned: Flag = True
    variable_pooling: Literal["mean", "max"] = "max"
    margin_scale: Annotated[Number, Field(gt=0)] = 1.0
    margin_offset: Number = 0.0
    readout: Literal["point", "window"] = "point"
    scale: Literal["logistic", "tail"] = "logistic"
    name: Text = "expectation"

    def __post_init__(self) -> None:
        if self.window % self.patch_size:
            raise InputError(f"window needs whole patches of {self.patch_size} steps, got {self.window}")
        if self.width % (2 * self.heads):
            raise InputError(f"width must be a multiple of twice the {self.heads} heads, got {self.width}")
        count = self.least_parameters()
        if count > _MOST_PARAMETERS:
            raise InputError(
                f"a network may have {_MOST_PARAMETERS:.1e} parameters, got {count:.1e} "
                f"by width={self.width} and depth={self.depth}"
            )

    def least_parameters(self) -> int:
        """Return how many parameters the network has at least: those of its matrices."""
        p, width = self.patch_size, self.width
        seen = 2 * p * (1 + len(PHASES) * self.use_phases)
        return 10 * self.depth * width**2 + 2 * width * (width + seen) + 3 * p * width

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return dataclasses.asdict(self)


def conceal(n_patches: int, block: int, every: int, offsets: Tensor) -> Tensor:
    """Return which patches are concealed: one block in `every`.

    Parameters
    ----------
    n_patches, block, every : int
        Patches of a window, patches of a block, blocks from one concealed block to the next.
    offsets : int64 Tensor of shape (B,)
        Patches by which the pattern is moved to the left; ``every`` offsets that are `block` apart conceal
        every patch once.

    Returns
    -------
    bool Tensor of shape (B, N)
    """
    return (torch.arange(n_patches, device=offsets.device) + offsets[:, None]) // block % every == 0


def bridge(values: Tensor, seen: Tensor) -> Tensor:
    """Draw straight lines over what is not seen, level ones at the ends; zeros where nothing is.

    Parameters
    ----------
    values : float Tensor of shape (B, L)
    seen : bool Tensor of shape (B, L)
    """
    length = values.shape[1]
    index = torch.arange(length, device=values.device).expand_as(values)
    left = index.where(seen, -1).cummax(dim=1).values
    right = index.where(seen, length).flip(1).cummin(dim=1).values.flip(1)
    no_left, no_right = left < 0, right >= length
    low = values.gather(1, left.clamp(min=0))
    high = values.gather(1, right.clamp(max=length - 1))
    low, high = torch.where(no_left, high, low), torch.where(no_right, low, high)
    share = ((index - left) / (right - left).clamp(min=1)).clamp(0, 1)
    return torch.where(seen, values, low + (high - low) * share) * ~(no_left & no_right)


class ExpectationLayer(nn.Module):
    """One pre-norm transformer layer with rotary positions.

    Parameters
    ----------
    width, heads : int
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feedforward_norm = RMSNorm(width), RMSNorm(width)
        self.packed, self.output = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.feedforward = GatedFeedForward(width, 2 * width)

    def forward(self, x: Tensor, table: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D); `mask` (B, N) is True at tokens that may be attended to."""
        query, key, value = self.packed(self.attention_norm(x)).chunk(3, dim=-1)
        query, key = (split_heads(rotate(part, table), self.heads) for part in (query, key))
        x = x + self.output(merge_heads(scaled_attention(query, key, split_heads(value, self.heads), mask)))
        return x + self.feedforward(self.feedforward_norm(x))


class ExpectationNetwork(nn.Module):
    """Says of every concealed step what to expect there, and how surely.

    Parameters
    ----------
    config : ExpectationConfig
    """

    def __init__(self, config: ExpectationConfig) -> None:
        super().__init__()
        self.config = config
        p, width = config.patch_size, config.width
        n_phases = len(PHASES) if config.use_phases else 0
        self.stem = mlp(2 * p * (1 + n_phases) + n_phases * config.aligned + N_FACTS, 2 * width, width)
        self.layers = nn.ModuleList(ExpectationLayer(width, config.heads) for _ in range(config.depth))
        self.norm = RMSNorm(width)
        self.head = nn.Linear(width, 3 * p)
        # It starts from the straight line over the gap.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, windows: Windows, concealed: Tensor) -> tuple[Tensor, Tensor]:
        """Return expectation and scale of every step, both (B, L) in the unit of the window.

        The scale is that of a Laplace distribution: the mean distance that is to be expected.

        Parameters
        ----------
        windows : Windows
        concealed : bool Tensor of shape (B, N)
            Patches whose values take no part; only their results are an expectation.
        """
        p = self.config.patch_size
        steps = concealed.repeat_interleave(p, dim=1)  # (B, L)
        seen = windows.real & ~steps
        line = bridge(windows.values, seen)
        views, extra = (
            [line, seen.to(line.dtype)],
            [windows.facts[:, None].expand(-1, concealed.shape[1], -1)],
        )
        if self.config.use_phases:
            phases, present, misfit = align_phases(windows, steps, p, move=self.config.aligned)
            views += [*phases.unbind(1), *present.to(line.dtype).unbind(1)]
            if self.config.aligned:
                extra.append(misfit.transpose(1, 2))
        tokens = torch.stack(views, dim=1).unflatten(2, (-1, p)).permute(0, 2, 1, 3).flatten(2)  # (B, N, V p)
        x = self.stem(torch.cat([tokens, *extra], dim=-1))
        real = windows.real.unflatten(1, (-1, p)).any(-1)
        mask = None if bool(real.all()) else real
        table = rotary_table(torch.arange(x.shape[1], device=x.device), x.shape[-1])
        for layer in self.layers:
            x = layer(x, table, mask)
        shift, gate, scale = self.head(self.norm(x)).float().unflatten(-1, (3, p)).unbind(2)
        shift, gate, scale = (part.flatten(1) for part in (shift, gate, scale))
        expected = torch.sigmoid(gate + 1) * line + shift
        return expected, (scale - 1).exp().clamp(LOWEST_SCALE, HIGHEST_SCALE)
