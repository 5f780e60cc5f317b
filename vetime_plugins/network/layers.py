"""Building blocks that several parts of the network share."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    """Root-mean-square normalisation with a learned scale and no shift (Zhang & Sennrich, 2019)."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of `x`."""
        # Under autocast x may be bfloat16: the mean of squares needs the digits of float32.
        return F.rms_norm(x.float(), self.scale.shape, self.scale, self.eps).to(x.dtype)


class MultiHeadAttention(nn.Module):
    """Attention with one packed projection for query, key and value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.packed = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, queries: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Attend from `queries` (B, N, D) to `context` (B, M, D), or to themselves without one.

        `mask` (B, M) is True where a context token may be attended to; None means everywhere.
        """
        if context is None:
            query, key, value = self.packed(queries).chunk(3, dim=-1)
        else:
            width = queries.shape[-1]
            weight, bias = self.packed.weight, self.packed.bias
            query = F.linear(queries, weight[:width], bias[:width])
            key, value = F.linear(context, weight[width:], bias[width:]).chunk(2, dim=-1)
        return self.output(attend(query, key, value, self.heads, mask))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Attend from (B, N, D) queries to (B, M, D) keys; `mask` (B, M) is True where a key may be used."""
    q, k, v = (split_heads(x, heads) for x in (query, key, value))
    return merge_heads(scaled_attention(q, k, v, mask))


def scaled_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Attention of (B, heads, N, d) queries; `mask` (B, M) is True where a key may be attended to.

    On a CPU the fused kernel's backward pass is slower than two plain products at our short lengths
    (bfloat16: half the speed), so training takes those; scoring keeps the fused kernel, which needs no (N, M)
    matrix.
    """
    allowed = None if mask is None else mask[:, None, None]
    if query.device.type != "cpu" or not (torch.is_grad_enabled() and query.requires_grad):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed, scale=scale)
    logits = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-1, -2)
    if allowed is not None:
        logits = logits.masked_fill(~allowed, float("-inf"))
    return logits.softmax(dim=-1, dtype=torch.float32).to(value.dtype) @ value


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, D) -> (B, heads, N, D / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, heads, N, D / heads) -> (B, N, D)."""
    return x.transpose(1, 2).flatten(2)


def mlp(*widths: int, norm: bool = False) -> nn.Sequential:
    """Stack linear layers with exact GELU between them and, if asked, a LayerNorm at the end."""
    layers: list[nn.Module] = []
    for i, (width_in, width_out) in enumerate(itertools.pairwise(widths)):
        if i:
            layers.append(nn.GELU())
        layers.append(nn.Linear(width_in, width_out))
    if norm:
        layers.append(nn.LayerNorm(widths[-1]))
    return nn.Sequential(*layers)
