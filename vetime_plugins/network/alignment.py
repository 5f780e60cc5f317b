"""Patch-Level Temporal Alignment: image tokens back on the timeline (paper, Section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vetime_plugins.network.layers import MultiHeadAttention, mlp


def unfold_matrix(
    n_patches: Tensor, patches_per_row: Tensor, n_variables: int, grid: int, length: int
) -> Tensor:
    """Return the linear map from the token grid to the timeline, float32 (B, n_variables * length, grid**2).

    Undoing the fold is linear in the tokens: average-pool the grid's rows to the number of periods,
    interpolate its columns to the patches of a period, read row after row. Both steps have at most a few
    non-zero weights, so one product with this matrix serves samples of any fold in one batch.

    `n_patches` and `patches_per_row` (B,) are the folds, `grid` the tokens along a side of the image,
    `length` the patches of the longest sample; shorter ones get zero rows.
    """
    device = n_patches.device
    rows = (n_patches + patches_per_row - 1) // patches_per_row  # (B,) of one tile
    patch = torch.arange(length, device=device)[None]  # (1, N)
    row = torch.div(patch, patches_per_row[:, None], rounding_mode="floor")  # (B, N)
    column = patch - row * patches_per_row[:, None]
    tile = torch.arange(n_variables, device=device)
    row = tile[None, :, None] * rows[:, None, None] + row[:, None]  # (B, C, N)
    total = (rows * n_variables)[:, None, None]
    cell = torch.arange(grid, device=device)

    # Adaptive average pooling of `grid` rows to `total`: row r averages cells floor(r G / R) .. ceil((r + 1)
    # G / R).
    first = torch.div(row * grid, total, rounding_mode="floor")[..., None]
    last = torch.div((row + 1) * grid + total - 1, total, rounding_mode="floor")[..., None]
    inside = (cell >= first) & (cell < last)
    vertical = inside.to(torch.float32) / (last - first).clamp(min=1)  # (B, C, N, G)

    # Linear interpolation of `grid` columns to `patches_per_row`, half-pixel centres.
    source = (column + 0.5) * (grid / patches_per_row[:, None].to(torch.float32)) - 0.5
    source = source.clamp(min=0, max=grid - 1)[..., None]  # (B, N, 1)
    horizontal = (1.0 - (source - cell).abs()).clamp(min=0.0)  # (B, N, G)

    matrix = vertical[..., :, None] * horizontal[:, None, :, None, :]  # (B, C, N, G, G)
    valid = (patch < n_patches[:, None])[:, None, :, None, None]
    return torch.where(valid, matrix, 0.0).reshape(len(n_patches), n_variables * length, grid * grid)


class PatchAlignment(nn.Module):
    """Give unfolded image tokens their place in time and relate them: F_V of the paper."""

    def __init__(self, vision_width: int, width: int, heads: int, max_patches: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, max_patches, vision_width) * 0.02)
        self.projection = mlp(vision_width, 2 * width, width, norm=True)
        self.attention = MultiHeadAttention(width, heads)
        self.feedforward = mlp(width, 4 * width, width, norm=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        """Map unfolded tokens (B, N, D_v) at `positions` (N,) to F_V (B, N, D); `mask` marks real ones."""
        x = self.projection(tokens + self.position[:, positions])
        return self.norm(x + self.feedforward(self.attention(x, mask=mask)))
