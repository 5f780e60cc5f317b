"""Temporal encoder: patches of the series through a pre-norm transformer (paper, Section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vetime_plugins.network.layers import RMSNorm, merge_heads, scaled_attention, split_heads

_ROPE_BASE = 10_000.0


def rotary_table(positions: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine, each (N, width / 2), of the rotary position code for `positions` (N,)."""
    exponent = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width
    angle = positions.to(torch.float32)[:, None] * (1.0 / _ROPE_BASE**exponent)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the pairs (0, 1), (2, 3), ... of the last axis of `x` (B, N, D)."""
    cosine, sine = (t.to(x.dtype) for t in table)
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2)


class VariateAttention(nn.Module):
    """Self-attention with rotary positions and, if `any_variate`, a learned bias for same / other variable.

    The rotation acts on the full width before the split into heads, as in the authors' code: head h therefore
    sees its own band of frequencies. The bias is a (2, heads) table: row 1 for keys of the query's own
    variable, row 0 for others.
    """

    def __init__(self, width: int, heads: int, any_variate: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.variate_bias = nn.Parameter(torch.zeros(2, heads)) if any_variate else None

    def forward(
        self, x: Tensor, table: tuple[Tensor, Tensor], mask: Tensor | None, variables: Tensor | None
    ) -> Tensor:
        """Attend over `x` (B, N, D); `mask` (B, N) marks real tokens, `variables` (N,) their variable."""
        query = split_heads(rotate(self.query(x), table), self.heads)
        key = split_heads(rotate(self.key(x), table), self.heads)
        value = split_heads(self.value(x), self.heads)
        if self.variate_bias is not None and variables is not None:
            query, key, value, scale, width = self._with_bias(query, key, value, variables)
        else:
            scale, width = None, value.shape[-1]
        out = scaled_attention(query, key, value, mask, scale)
        return self.output(merge_heads(out[..., :width]))

    def _with_bias(
        self, query: Tensor, key: Tensor, value: Tensor, variables: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, float, int]:
        """Write the same/other bias as extra dimensions of query and key.

        One-hot variable codes have the inner product 1 for the same variable and 0 otherwise, so the bias
        needs no (N, N) matrix; a constant added to all keys (the "other" bias) leaves the softmax unchanged.
        Values get zeros, because the fused kernel wants one width.
        """
        assert self.variate_bias is not None
        width = query.shape[-1]
        scale = width**-0.5
        one_hot = F.one_hot(variables).to(query.dtype)  # (N, C)
        batch, heads, n, _ = query.shape
        codes = one_hot.expand(batch, heads, n, -1)
        difference = (self.variate_bias[1] - self.variate_bias[0]).to(query.dtype) / scale  # (heads,)
        query = torch.cat([query, codes * difference[None, :, None, None]], dim=-1)
        key = torch.cat([key, codes], dim=-1)
        value = F.pad(value, (0, one_hot.shape[-1]))
        return query, key, value, scale, width


class GatedFeedForward(nn.Module):
    """Gated feed-forward: ``down(gelu(gate(x)) * up(x))`` (Shazeer, 2020)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., D) to (..., D)."""
        return self.down(F.gelu(self.gate(x)) * self.up(x))


class TemporalLayer(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, width: int, heads: int, any_variate: bool) -> None:
        super().__init__()
        self.attention_norm, self.feedforward_norm = RMSNorm(width), RMSNorm(width)
        self.attention = VariateAttention(width, heads, any_variate)
        self.feedforward = GatedFeedForward(width, 4 * width)

    def forward(
        self, x: Tensor, table: tuple[Tensor, Tensor], mask: Tensor | None, variables: Tensor | None
    ) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D)."""
        x = x + self.attention(self.attention_norm(x), table, mask, variables)
        return x + self.feedforward(self.feedforward_norm(x))


class TemporalEncoder(nn.Module):
    """Embed patches and relate them: F_TS of the paper. For `any_variate` see `VariateAttention`."""

    def __init__(self, patch_size: int, width: int, depth: int, heads: int, any_variate: bool) -> None:
        super().__init__()
        self.patch_embedding = nn.Linear(patch_size, width)
        self.layers = nn.ModuleList(TemporalLayer(width, heads, any_variate) for _ in range(depth))

    def forward(
        self,
        patches: Tensor,
        positions: Tensor,
        mask: Tensor | None = None,
        variables: Tensor | None = None,
        extra: Tensor | None = None,
    ) -> Tensor:
        """Encode patches (B, N, p), variable after variable, to (B, N, D).

        `positions` (N,) are places on the timeline, equal for the same time of different variables; `mask`
        (B, N) marks real patches; `variables` (N,) tells whose they are; `extra` (B, N, D) is added to the
        patch embedding.
        """
        x = self.patch_embedding(patches)
        if extra is not None:
            x = x + extra
        table = rotary_table(positions, x.shape[-1])
        for layer in self.layers:
            x = layer(x, table, mask, variables)
        return x
