"""The three objectives a run goes through: masked images, masked and labelled patches, the whole network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vetime_plugins.network.layers import mlp
from vetime_plugins.network.losses import (
    WindowContrast,
    balance_loss,
    detection_loss,
    reconstruction_loss,
    severity_ranking_loss,
)
from vetime_plugins.network.model import VETime
from vetime_plugins.network.vision import MaskedAutoencoder
from vetime_plugins.series.imaging import fold_images
from vetime_plugins.training.annotation import annotate
from vetime_plugins.training.config import LossConfig, TrainingConfig
from vetime_plugins.training.data import TrainingBatch


class VisionStage(nn.Module):
    """Masked-autoencoder pretraining of the vision encoder on folded images (He et al., CVPR 2022)."""

    def __init__(self, model: VETime, config: TrainingConfig) -> None:
        super().__init__()
        c = model.config
        self.patch_size, self.size = c.patch_size, c.image_size
        self.ratio = config.mask_ratio
        self.autoencoder = MaskedAutoencoder(
            model.vision, c.image_size, c.vision_patch, c.decoder_width, c.decoder_depth, c.decoder_heads
        )

    def forward(self, batch: TrainingBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the mean squared error over the hidden blocks as ``image``."""
        inputs = batch.inputs
        tiles = inputs.strips.shape[1]
        images = fold_images(
            inputs.strips.flatten(0, 1)[:, None],
            inputs.pad_values.flatten(0, 1)[:, None],
            inputs.n_patches.repeat_interleave(tiles),
            inputs.patches_per_row.repeat_interleave(tiles),
            self.patch_size,
            self.size,
        )
        prediction, hidden = self.autoencoder(images, self.ratio, generator)
        error = (prediction.float() - self.autoencoder.target(images)).square().mean(-1)
        return {"image": (error * hidden).sum() / hidden.sum()}


class TemporalStage(nn.Module):
    """Pretraining of the model's temporal encoder: rebuild hidden patches, find anomalous steps.

    The second task is the relative-context detection of TimeRCD (arXiv 2509.21190): the label of a step
    depends on how its window departs from the windows around it, which no hidden-patch task asks for.
    """

    def __init__(self, model: VETime, config: TrainingConfig) -> None:
        super().__init__()
        c = model.config
        self.patch_size = c.patch_size
        self.ratio = config.temporal_mask_ratio
        self.positive_weight = config.loss.positive_weight
        self.encoder = model.temporal
        self.mask_patch = nn.Parameter(torch.zeros(c.patch_size))
        self.rebuild = nn.Linear(c.d_model, c.patch_size)
        self.detect = mlp(c.d_model, c.d_model, c.patch_size)

    def forward(self, batch: TrainingBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return ``hidden_patches`` and ``detection``."""
        values = batch.inputs.values
        size, n_variables, steps = values.shape
        length = steps // self.patch_size
        patches = values.reshape(size, n_variables * length, self.patch_size)
        hidden = torch.rand(size, n_variables * length, generator=generator) < self.ratio
        hidden = hidden.to(values.device)
        index = torch.arange(length, device=values.device)
        mask = (index < batch.inputs.n_patches[:, None]).repeat(1, n_variables)
        variables = torch.arange(n_variables, device=values.device).repeat_interleave(length)
        seen = torch.where(hidden[..., None], self.mask_patch, patches)
        tokens = self.encoder(seen, index.repeat(n_variables), mask, variables if n_variables > 1 else None)
        error = F.huber_loss(self.rebuild(tokens).float(), patches, reduction="none").mean(-1)
        counted = hidden & mask
        margin = self.detect(tokens).reshape(size, n_variables, steps).amax(dim=1)
        weight = _step_weights(batch.steps, batch.labels, self.positive_weight)
        return {
            "hidden_patches": (error * counted).sum() / counted.sum().clamp(min=1),
            "detection": detection_loss(margin, batch.labels, weight),
        }


class FullStage(nn.Module):
    """The objective of the paper, with a clean-series target, severity and ranking."""

    def __init__(self, model: VETime, config: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self.loss: LossConfig = config.loss
        self.contrast = WindowContrast(model.config.d_model)
        # Margins are in the unit of the novelty. Cross-entropy and ranking need them in logits; these two
        # serve the training only, since they change no order.
        self.log_gain = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.full((), -3.0))

    def forward(self, batch: TrainingBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted terms that are switched on."""
        output = self.model(batch.inputs)
        margin = (output.logits[..., 1] - output.logits[..., 0]).float() * self.log_gain.exp() + self.offset
        weights = self.loss
        marks = annotate(batch, weights, generator)
        marked = marks.labels.float()
        step_weights = _step_weights(batch.steps, marked, weights.positive_weight)
        losses = {"detection": detection_loss(margin, marked, step_weights)}
        if weights.ranking:
            normal = ~marks.labels & batch.steps
            losses["ranking"] = severity_ranking_loss(
                margin, marks.severity, normal, batch.group, batch.n_groups
            )
        if weights.reconstruction:
            losses["reconstruction"] = reconstruction_loss(
                output.reconstruction, batch.clean, batch.steps[:, None]
            )
        if weights.contrast:
            n_variables = batch.inputs.values.shape[1]
            patch_labels = batch.labels.unflatten(1, (-1, self.model.config.patch_size)).amax(-1) > 0
            losses["contrast"] = self.contrast(
                _per_variable(output.stages["Z_TS"], n_variables),
                _per_variable(output.stages["Z_V"], n_variables),
                patch_labels.repeat_interleave(n_variables, dim=0),
                output.mask.repeat_interleave(n_variables, dim=0),
            )
        if weights.balance:
            losses["balance"] = balance_loss(output.weights.float(), output.mask)
        return {name: getattr(weights, name) * value for name, value in losses.items()}


def build_stage(name: str, model: VETime, config: TrainingConfig) -> nn.Module:
    """Return the stage of that name around `model`."""
    kinds: dict[str, type[nn.Module]] = {"vision": VisionStage, "temporal": TemporalStage, "full": FullStage}
    return kinds[name](model, config)


def _per_variable(tokens: Tensor, n_variables: int) -> Tensor:
    """(B, C*N, D) -> (B*C, N, D)."""
    return tokens.unflatten(1, (n_variables, -1)).flatten(0, 1)


def _step_weights(steps: Tensor, labels: Tensor, positive: float) -> Tensor:
    return steps * (1.0 + (positive - 1.0) * labels)
