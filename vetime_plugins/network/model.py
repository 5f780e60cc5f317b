"""The network: a padded batch of chunks in, one named output out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vetime_plugins.network.alignment import PatchAlignment, unfold_matrix
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.fusion import DETECTION, RECONSTRUCTION, DualCrossAttention, TaskAdaptiveFusion
from vetime_plugins.network.layers import mlp
from vetime_plugins.network.pooling import pool_variables
from vetime_plugins.network.temporal import TemporalEncoder
from vetime_plugins.network.vision import VisionEncoder
from vetime_plugins.series.imaging import fold_images


@dataclass
class ModelInput:
    """A batch of chunks, padded on the right to whole patches and to the longest of them.

    Attributes
    ----------
    values : float32 Tensor of shape (B, C, T)
        Standardised series; T is N * p.
    strips : uint8 Tensor of shape (B, C, 3, T)
        Intensities (see `vetime_plugins.series.imaging.Strip`).
    pad_values : uint8 Tensor of shape (B, C, 3)
    n_patches, patches_per_row : int64 Tensor of shape (B,)
        Real patches and the fold of each chunk.
    retrieval : float32 Tensor of shape (B, C, T, K), optional
        Distances of the retrieval expert.
    evidence : float32 Tensor of shape (B, C, T), optional
        What the anomaly margin starts from, in place of the novelty among the distances.
    """

    values: Tensor
    strips: Tensor
    pad_values: Tensor
    n_patches: Tensor
    patches_per_row: Tensor
    retrieval: Tensor | None = None
    evidence: Tensor | None = None

    def to(self, device: torch.device | str) -> ModelInput:
        """Return the batch on `device`."""
        moved = {name: None if value is None else value.to(device) for name, value in vars(self).items()}
        return ModelInput(**moved)  # type: ignore[arg-type]


@dataclass
class ModelOutput:
    """What the network says of a batch; steps beyond a chunk's real patches are meaningless.

    Attributes
    ----------
    logits : Tensor of shape (B, T, 2)
        Normal / anomalous, all variables together.
    variable_logits : Tensor of shape (B, C, T, 2)
    reconstruction : Tensor of shape (B, C, T)
        In standardised units.
    weights : Tensor of shape (2, B, C, N, E)
        Experts' weights for the tasks reconstruction and detection.
    mask : bool Tensor of shape (B, N)
        True at real patches.
    stages : dict of str to Tensor
        ``images`` (B, 3, S, S), ``vision_tokens`` (B, G*G, D_v), ``unfolded`` (B, C*N, D_v), ``F_TS``,
        ``F_V``, ``Z_TS``, ``Z_V``, ``F_AD`` (B, C*N, D), ``point_embedding`` (B, T, C, d_proj).
    """

    logits: Tensor
    variable_logits: Tensor
    reconstruction: Tensor
    weights: Tensor
    mask: Tensor
    stages: dict[str, Tensor]

    def margins(self) -> NDArray[np.float64]:
        """Return anomaly logit minus normal logit of each variable, (B, C, T)."""
        logits = self.variable_logits.double()
        return (logits[..., 1] - logits[..., 0]).cpu().numpy()


class VETime(nn.Module):
    """VETime (arXiv 2602.16681) for one configuration.

    Parameters
    ----------
    config : VETimeConfig
    """

    def __init__(self, config: VETimeConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.temporal = TemporalEncoder(
            c.patch_size, c.d_model, c.temporal_layers, c.temporal_heads, c.any_variate
        )
        self.vision = VisionEncoder(
            c.image_size, c.vision_patch, c.vision_width, c.vision_depth, c.vision_heads
        )
        self.alignment = PatchAlignment(c.vision_width, c.d_model, c.heads, c.max_patches)
        self.cross_attention = DualCrossAttention(c.d_model, c.heads)
        self.fusion = TaskAdaptiveFusion(c.d_model, len(c.experts), c.router_top_k if c.use_router else None)
        self.token_projection = nn.Linear(c.d_model, c.patch_size * c.d_proj)
        self.detection_head = mlp(c.d_proj, max(1, c.d_proj // 2), 2)
        self.reconstruction_head = mlp(c.d_proj, 4 * c.d_proj, 4 * c.d_proj, 1)
        self.retrieval = RetrievalExpert(c) if c.retrieval_channels else None

    def forward(self, batch: ModelInput) -> ModelOutput:
        """Score a batch of chunks.

        Parameters
        ----------
        batch : ModelInput

        Returns
        -------
        ModelOutput

        Raises
        ------
        ValueError
            If the configuration has retrieval channels and the batch has none.
        """
        config = self.config
        size, n_variables, steps = batch.values.shape
        length = steps // config.patch_size
        device = batch.values.device
        patch_index = torch.arange(length, device=device)
        mask = patch_index < batch.n_patches[:, None]  # (B, N)
        # A batch without padding needs no mask, and attention without one takes the fastest kernel.
        full = bool((batch.n_patches == length).all())
        token_mask = None if full else mask.repeat(1, n_variables)
        # Tokens stand variable after variable.
        if config.shared_positions:
            positions = patch_index.repeat(n_variables)
        else:
            positions = torch.arange(n_variables * length, device=device)
        variables = (
            torch.arange(n_variables, device=device).repeat_interleave(length) if n_variables > 1 else None
        )

        retrieved = patch_bias = None
        if self.retrieval is not None:
            if batch.retrieval is None:
                raise ValueError(f"ModelInput.retrieval is needed: {config.retrieval_channels} channels")
            retrieved, patch_bias = self.retrieval(batch.retrieval)

        patches = batch.values.reshape(size, n_variables * length, config.patch_size)
        temporal = self.temporal(patches, positions, token_mask, variables, patch_bias)
        images, tokens, unfolded = self._see(batch, n_variables, length)
        vision = self.alignment(unfolded, positions, token_mask)
        if not config.use_temporal:
            temporal = torch.zeros_like(temporal)
        if not config.use_vision:
            vision = torch.zeros_like(vision)
        z_temporal, z_vision = self.cross_attention(temporal, vision, token_mask)
        fused, weights, _ = self.fusion(temporal, vision, z_temporal, z_vision, retrieved)

        points = self.token_projection(fused).reshape(2, size, n_variables, steps, config.d_proj)
        variable_logits = self.detection_head(points[DETECTION])
        if self.retrieval is not None:
            assert batch.retrieval is not None
            variable_logits = self.retrieval.add_distance(
                variable_logits, points[DETECTION], batch.retrieval, mask, batch.evidence
            )
        if (config.margin_scale, config.margin_offset) != (1.0, 0.0):
            step = variable_logits.new_tensor([0.0, config.margin_offset])
            variable_logits = variable_logits * config.margin_scale + step
        return ModelOutput(
            logits=pool_variables(variable_logits, config.variable_pooling),
            variable_logits=variable_logits,
            reconstruction=self.reconstruction_head(points[RECONSTRUCTION]).squeeze(-1),
            weights=weights.reshape(2, size, n_variables, length, -1),
            mask=mask,
            stages={
                "images": images,
                "vision_tokens": tokens,
                "unfolded": unfolded,
                "F_TS": temporal,
                "F_V": vision,
                "Z_TS": z_temporal,
                "Z_V": z_vision,
                "F_AD": fused[DETECTION],
                "point_embedding": points[DETECTION].transpose(1, 2),
            },
        )

    def _see(self, batch: ModelInput, n_variables: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return images, their tokens, and the tokens unfolded onto the timeline (B, C*N, D_v)."""
        config = self.config
        strips, pads = batch.strips, batch.pad_values
        n_patches, per_row, tiles = batch.n_patches, batch.patches_per_row, n_variables
        if not config.stacked_tiles and n_variables > 1:
            strips, pads = strips.flatten(0, 1)[:, None], pads.flatten(0, 1)[:, None]
            n_patches, per_row = n_patches.repeat_interleave(tiles), per_row.repeat_interleave(tiles)
            tiles = 1
        images = fold_images(strips, pads, n_patches, per_row, config.patch_size, config.image_size)
        matrix = unfold_matrix(n_patches, per_row, tiles, config.grid_size, length)
        tokens = self.vision(images)
        unfolded = matrix.to(tokens.dtype) @ tokens
        return images, tokens, unfolded.reshape(len(batch.values), n_variables * length, -1)


def novelty_channels(config: VETimeConfig) -> tuple[int, int]:
    """Places of the variable's own and the joint parameter-free novelty among the retrieval channels."""
    assert config.retrieval is not None
    return 0, config.retrieval.n_features


_SMOOTHED = 17
"""Steps over which the correction is averaged: the windows behind the novelty are no shorter, and a network
that is sharper than the labels of people loses to it."""


class RetrievalExpert(nn.Module):
    """The router's fourth expert: distances to the nearest neighbours elsewhere in the series.

    The distances enter in three places: as a token of their own for the router, as a bias on the patch
    embedding, and in the anomaly margin. There the network only corrects: it starts from the parameter-free
    novelty, so that an untrained network already ranks points as a nearest-neighbour detector does, and adds
    a bounded amount, its own logit plus distances weighted by how far it trusts each of them.

    Parameters
    ----------
    config : VETimeConfig
    """

    def __init__(self, config: VETimeConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        channels = config.retrieval_channels
        self.embedding = mlp(config.patch_size * channels, 2 * config.d_model, config.d_model, norm=True)
        self.patch_bias = nn.Linear(config.d_model, config.d_model)
        self.trust = nn.Linear(config.d_proj, channels)
        nn.init.zeros_(self.patch_bias.weight)
        nn.init.zeros_(self.patch_bias.bias)
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)
        self.novelty = list(novelty_channels(config))
        self.correction, self.bound = config.correction, config.correction_bound

    def forward(self, distances: Tensor) -> tuple[Tensor, Tensor]:
        """Map distances (B, C, T, K) to tokens and a bias for the patch embedding, both (B, C*N, D)."""
        size, n_variables, steps, channels = distances.shape
        patches = distances.reshape(
            size, n_variables * (steps // self.patch_size), self.patch_size * channels
        )
        tokens = self.embedding(patches)
        return tokens, self.patch_bias(tokens)

    def add_distance(
        self, logits: Tensor, points: Tensor, distances: Tensor, mask: Tensor, evidence: Tensor | None = None
    ) -> Tensor:
        """Correct the parameter-free evidence by what the network says: the anomaly margin, as two logits.

        The correction is smooth, the evidence is not: a step that stands out keeps its place.

        Parameters
        ----------
        logits : Tensor of shape (B, C, T, 2)
        points : Tensor of shape (B, C, T, d_proj)
        distances : Tensor of shape (B, C, T, K)
        mask : bool Tensor of shape (B, N)
            True at real patches.
        evidence : Tensor of shape (B, C, T), optional
            The parameter-free score; the novelty among the distances if left out.
        """
        learned = (logits[..., 1] - logits[..., 0] + (self.trust(points) * distances).sum(-1)).float()
        if self.bound is not None:
            learned = self.bound * torch.tanh(learned / self.bound)
        real = mask.repeat_interleave(self.patch_size, dim=1)[:, None].expand_as(learned)
        start = distances[..., self.novelty].mean(-1) if evidence is None else evidence
        margin = start + self.correction * _smooth(learned, real)
        return torch.stack([torch.zeros_like(margin), margin], dim=-1)


def _smooth(values: Tensor, real: Tensor) -> Tensor:
    """Average (B, C, T) over `_SMOOTHED` steps; steps that are not real, (B, C, T), do not take part."""

    def sums(x: Tensor) -> Tensor:
        return F.avg_pool1d(x, _SMOOTHED, 1, _SMOOTHED // 2) * _SMOOTHED

    # The count is at least one wherever the result is read.
    return sums(values.where(real, 0.0)) / sums(real.to(values.dtype)).clamp_min(1.0)
