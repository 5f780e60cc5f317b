"""Dual cross-attention and Task-Adaptive Multi-Modal Fusion (paper, Sections 3.4 and 3.5)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from vetime_plugins.network.layers import MultiHeadAttention, mlp

RECONSTRUCTION: Final = 0
DETECTION: Final = 1


class CrossModalBlock(nn.Module):
    """One direction of the dual cross-attention: one modality queries the other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads)
        self.feedforward = mlp(width, 2 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, queries: Tensor, context: Tensor, mask: Tensor | None) -> Tensor:
        """Refine `queries` (B, N, D) by `context` (B, N, D)."""
        x = self.norm1(queries + self.attention(queries, context, mask))
        return self.norm2(x + self.feedforward(x))


class DualCrossAttention(nn.Module):
    """Let each modality query the other: (F_TS, F_V) -> (Z_TS, Z_V)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.temporal_projection = mlp(width, 2 * width, width, norm=True)
        self.vision_projection = mlp(width, 2 * width, width, norm=True)
        self.temporal_block = CrossModalBlock(width, heads)
        self.vision_block = CrossModalBlock(width, heads)

    def forward(self, temporal: Tensor, vision: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map two (B, N, D) views of the same patches to two refined ones."""
        temporal, vision = self.temporal_projection(temporal), self.vision_projection(vision)
        return self.temporal_block(temporal, vision, mask), self.vision_block(vision, temporal, mask)


class Router(nn.Module):
    """Give each patch, for each task, weights over the experts; all but the `top_k` largest are zero.

    Its input is `width` wide, e.g. 2 D for [Z_TS; Z_V].
    """

    def __init__(self, width: int, hidden: int, n_experts: int, top_k: int) -> None:
        super().__init__()
        self.top_k = min(top_k, n_experts)
        self.hidden = nn.Linear(width, hidden)
        self.task_embedding = nn.Embedding(2, hidden)
        self.output = nn.Linear(hidden, n_experts)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, N, width) to weights (2, B, N, n_experts), task first, each row summing to 1."""
        hidden = nn.functional.gelu(self.hidden(features))
        logits = self.output(hidden + self.task_embedding.weight[:, None, None])
        if self.top_k < logits.shape[-1]:
            kept = torch.zeros_like(logits, dtype=torch.bool).scatter(
                -1, logits.topk(self.top_k, dim=-1).indices, True
            )
            logits = logits.masked_fill(~kept, float("-inf"))
        return logits.softmax(dim=-1)


class TaskAdaptiveFusion(nn.Module):
    """Fuse the experts patch by patch, separately for detection and reconstruction.

    With four experts the router also sees the fourth's features. A patch may draw on `top_k` experts; None
    leaves out the router: all of them, with equal weights.
    """

    def __init__(self, width: int, n_experts: int, top_k: int | None) -> None:
        super().__init__()
        self.contrastive = mlp(2 * width, 2 * width, width)
        self.router = (
            None
            if top_k is None
            else Router((n_experts - 1) * width, max(1, 2 * width // 8), n_experts, top_k)
        )

    def forward(
        self, temporal: Tensor, vision: Tensor, z_temporal: Tensor, z_vision: Tensor, retrieval: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mix F_TS, F_V, Z_TS and Z_V of the paper and, if there is one, the fourth expert, (B, N, D) each.

        Returns
        -------
        fused : Tensor of shape (2, B, N, D)
            For the tasks reconstruction and detection.
        weights : Tensor of shape (2, B, N, n_experts)
        contrastive : Tensor of shape (B, N, D)
            F_A of the paper.
        """
        pair = torch.cat([z_temporal, z_vision], dim=-1)
        contrastive = self.contrastive(pair)
        experts = [temporal, contrastive, vision]
        features = pair
        if retrieval is not None:
            experts.append(retrieval)
            features = torch.cat([pair, retrieval], dim=-1)
        if self.router is None:
            weights = pair.new_full((2, *pair.shape[:2], len(experts)), 1 / len(experts))
        else:
            weights = self.router(features)
        fused = sum(weights[..., i, None] * expert for i, expert in enumerate(experts))
        assert isinstance(fused, Tensor)
        return fused, weights, contrastive
