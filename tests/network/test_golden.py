"""The bundled weights give the scores that were recorded with them."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
from safetensors.numpy import load

from vetime_plugins import VETimePipeline

GOLDEN = load((resources.files("vetime_plugins") / "weights" / "small" / "golden.safetensors").read_bytes())


@pytest.mark.parametrize("case", sorted({name.split(".")[0] for name in GOLDEN}))
def test_scores_are_the_recorded_ones(case: str) -> None:
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    # Other processors round differently, and may order two equally near neighbours differently.
    np.testing.assert_allclose(
        pipeline.score(GOLDEN[f"{case}.series"]), GOLDEN[f"{case}.scores"], atol=2e-3, rtol=0
    )
