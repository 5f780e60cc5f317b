"""Expectation: what a step of the series should have been, from everything but itself.

A part of the timeline is concealed, and the network says of every concealed step which value the rest lets
one expect there, and how sure that is. It reads the timeline on both sides (the temporal view) and the same
phase of other periods (the view of the folded image). Passes that conceal every step once give an
expectation of the whole series in which no step takes part in its own. Nothing of it needs an idea of what
an anomaly looks like.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vetime_plugins._validation import STRICT, Flag, Whole, checked, validate
from vetime_plugins.errors import CheckpointError, InputError
from vetime_plugins.network.layers import RMSNorm, merge_heads, mlp, scaled_attention, split_heads
from vetime_plugins.network.phases import N_FACTS, PHASES, Windows, align_phases
from vetime_plugins.network.temporal import GatedFeedForward, rotary_table, rotate

LOWEST_SCALE, HIGHEST_SCALE = 0.01, 10.0
"""Bounds of the scale that the network may name, in the unit of the window."""
_CONFIG_FILE, _WEIGHTS_FILE = "config.json", "model.safetensors"
_Size = Annotated[Whole, Field(ge=1)]


@checked
@dataclass(frozen=True, config=STRICT)
class ExpectationConfig:
    """Sizes of the expectation network.

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

    Raises
    ------
    InputError
        If the window is not whole patches, or the width no even multiple of the heads.
    """

    patch_size: _Size = 8
    window: _Size = 1024
    width: _Size = 128
    depth: _Size = 4
    heads: _Size = 4
    use_phases: Flag = True
    aligned: Flag = True

    def __post_init__(self) -> None:
        if self.window % self.patch_size:
            raise InputError(f"window needs whole patches of {self.patch_size} steps, got {self.window}")
        if self.width % (2 * self.heads):
            raise InputError(f"width must be a multiple of twice the {self.heads} heads, got {self.width}")


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
    return (torch.arange(n_patches) + offsets[:, None]) // block % every == 0


def bridge(values: Tensor, seen: Tensor) -> Tensor:
    """Draw straight lines over what is not seen, level ones at the ends; zeros where nothing is.

    Parameters
    ----------
    values : float Tensor of shape (B, L)
    seen : bool Tensor of shape (B, L)
    """
    length = values.shape[1]
    index = torch.arange(length).expand_as(values)
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


def save_expectation(folder: str | Path, network: ExpectationNetwork) -> Path:
    """Write weights and sizes; return the folder."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    save_file({name: part.contiguous() for name, part in network.state_dict().items()}, path / _WEIGHTS_FILE)
    (path / _CONFIG_FILE).write_text(json.dumps(dataclasses.asdict(network.config), indent=1) + "\n")
    return path


def load_expectation(folder: str | Path) -> ExpectationNetwork:
    """Read what :func:`save_expectation` wrote, ready to be used.

    Raises
    ------
    CheckpointError
        If files are missing or do not fit each other.
    """
    path = Path(folder)
    try:
        table: Any = json.loads((path / _CONFIG_FILE).read_text(encoding="utf-8"))
        network = ExpectationNetwork(validate(ExpectationConfig, table, str(path / _CONFIG_FILE)))
        network.load_state_dict(load_file(path / _WEIGHTS_FILE))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"an expectation network needs {_CONFIG_FILE} and {_WEIGHTS_FILE}, {error.filename} is missing; "
            "train one with: python -m vetime_plugins.training.expectation RUN"
        ) from error
    except (InputError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} holds no expectation network: {error}") from error
    return network.eval()
