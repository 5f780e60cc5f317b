"""Evidence is found on the device that is given: no tensor of it is made elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.retrieval import features, places

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_variables", [1, 3])
@pytest.mark.parametrize("gap", [False, True])
def test_scores_are_those_of_the_cpu(device, n_variables, gap):
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(700)[:, None] / 8 + np.arange(n_variables)) + 0.2 * rng.normal(
        size=(700, n_variables)
    )
    if gap:
        x[100:110] = np.nan
    reference = np.sin(np.arange(900)[:, None] / 8 + np.arange(n_variables)) + 0.2
    there, here = (cached_pipeline("small", device=one) for one in (device, "cpu"))
    np.testing.assert_allclose(
        there.score(x, reference=reference), here.score(x, reference=reference), atol=1e-4
    )


class Factories(TorchDispatchMode):
    """Notes operations that make a tensor of nothing without being told where."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        made = str(func).split(".")[1] in ("arange", "zeros", "ones", "empty", "full", "rand", "tensor")
        if made and kwargs.get("device") is None:
            self.found.append(str(func))
        return func(*args, **kwargs)


def test_no_tensor_is_made_without_its_device():
    rng = np.random.default_rng(0)
    parts = [torch.from_numpy(rng.normal(size=(2, n)).astype(np.float32)) for n in (611, 733)]
    valid = torch.ones(2, 611, dtype=torch.bool)
    valid[0, 20:30] = False
    places._known_layout.cache_clear()
    config = cached_pipeline("small", device="cpu").config.retrieval
    with Factories() as factories:
        features.retrieval_evidence(parts, config=config, valid=valid)
    assert factories.found == []
