"""Weights small enough that a test may score hundreds of windows."""

from __future__ import annotations

from pathlib import Path

import torch

from vetime_plugins.network.checkpoint import save_checkpoint
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.model import VETime


def save_tiny_weights(folder: Path) -> str:
    """Write an untrained network whose scores react to every point, and return the folder as a string."""
    config = VETimeConfig(
        patch_size=4,
        d_model=16,
        d_proj=4,
        temporal_layers=1,
        temporal_heads=2,
        vision_width=16,
        vision_depth=4,
        vision_heads=2,
        decoder_width=16,
        decoder_depth=0,
        decoder_heads=2,
        image_size=16,
        vision_patch=8,
        heads=2,
        max_patches=128,
        stacked_tiles=False,
        shared_positions=True,
        name="tiny",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = VETime(config).state_dict()
    # an untrained head says 0.5 to everything
    state |= {name: 4 * value for name, value in state.items() if name.startswith("detection_head")}
    return str(save_checkpoint(folder, config, state))
