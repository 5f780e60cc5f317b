"""The network corrects the parameter-free evidence, within a bound and no sharper than its windows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from vetime_plugins import InputError, VETimePipeline
from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.model import ModelInput, ModelOutput, VETime, novelty_channels
from vetime_plugins.network.preparation import collate, prepare, split
from vetime_plugins.reading import MarginReader

SMALL = dataclasses.replace(
    VETimeConfig.preset("small"), d_model=32, d_proj=8, temporal_layers=1, vision_width=32, vision_depth=1,
    image_size=32,
)  # fmt: skip


def _batch(config: VETimeConfig = SMALL, lengths: tuple[int, ...] = (640,)) -> ModelInput:
    generator = torch.Generator().manual_seed(0)
    series = [torch.randn(n, 1, generator=generator).double().numpy() for n in lengths]
    return collate([split(prepare(one, config)[0], config)[0] for one in series], config)


def _model(config: VETimeConfig = SMALL) -> VETime:
    torch.manual_seed(0)
    model = VETime(config).eval()
    with torch.no_grad():
        for parameter in model.detection_head.parameters():
            parameter.mul_(20)  # an untrained head hardly corrects anything
    return model


@torch.inference_mode()
def _margin(config: VETimeConfig, batch: ModelInput) -> torch.Tensor:
    output: ModelOutput = _model(config)(batch)
    return output.variable_logits[..., 1] - output.variable_logits[..., 0]


def _evidence(batch: ModelInput) -> torch.Tensor:
    assert batch.evidence is not None
    return batch.evidence


def test_without_correction_the_margin_is_the_evidence() -> None:
    batch = _batch()
    torch.testing.assert_close(_margin(dataclasses.replace(SMALL, correction=0.0), batch), _evidence(batch))


def test_without_evidence_the_margin_starts_from_the_novelty() -> None:
    assert SMALL.retrieval is not None
    plain = dataclasses.replace(SMALL.retrieval, statistics=(), point_gain=0.0, temperature=1.0, smoothing=1)
    config = dataclasses.replace(SMALL, retrieval=plain, correction=0.0)
    batch = _batch(config)
    assert batch.evidence is None
    assert batch.retrieval is not None
    novelty = batch.retrieval[..., list(novelty_channels(config))].mean(-1)
    torch.testing.assert_close(_margin(config, batch), novelty)


@pytest.mark.parametrize(("bound", "correction"), [(2.0, 1.0), (0.5, 1.0), (2.0, 0.25)])
def test_the_correction_stays_within_its_bound(bound: float, correction: float) -> None:
    batch = _batch()
    config = dataclasses.replace(SMALL, correction_bound=bound, correction=correction)
    moved = (_margin(config, batch) - _evidence(batch)).abs()
    assert 0.05 * bound * correction < moved.max() <= bound * correction + 1e-5


def test_the_correction_is_linear_in_its_strength() -> None:
    batch = _batch()
    full, half = (_margin(dataclasses.replace(SMALL, correction=c), batch) for c in (1.0, 0.5))
    torch.testing.assert_close(half, (full + _evidence(batch)) / 2, rtol=1e-5, atol=1e-5)


def test_the_correction_does_not_depend_on_the_neighbours_in_the_batch() -> None:
    alone, beside = _batch(lengths=(304,)), _batch(lengths=(304, 640))
    expected = _margin(SMALL, alone)[0, :, :304]
    torch.testing.assert_close(_margin(SMALL, beside)[0, :, :304], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bound", [0.0, -1.0])
def test_a_bound_must_be_positive(bound: float) -> None:
    with pytest.raises(InputError, match="correction_bound must be above 0, got"):
        dataclasses.replace(SMALL, correction_bound=bound)


def test_without_router_every_expert_has_the_same_weight() -> None:
    config = dataclasses.replace(SMALL, use_router=False)
    with torch.inference_mode():
        weights = _model(config)(_batch()).weights
    assert torch.equal(weights, torch.full_like(weights, 0.25))
    assert not any(name.startswith("fusion.router") for name in _model(config).state_dict())


@pytest.mark.parametrize("plain", [False, True])
def test_without_correction_the_pipeline_scores_as_the_network_would(
    plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SMALL.retrieval is not None
    novelty = {"statistics": (), "point_gain": 0.0, "temperature": 1.0, "smoothing": 1}
    retrieval = dataclasses.replace(SMALL.retrieval, **(novelty if plain else {}))  # type: ignore[arg-type]
    config = dataclasses.replace(
        SMALL, retrieval=retrieval, correction=0.0, margin_scale=2.0, margin_offset=-3.0
    )
    pipeline = VETimePipeline(VETime(config).eval(), "tiny", torch.device("cpu"))
    x = np.random.default_rng(0).standard_normal((700, 3)).cumsum(0)
    x[:, 1] = 5.0
    read = pipeline.explain(x).scores
    monkeypatch.setattr(MarginReader, "run", None)  # whoever reads the network now fails
    np.testing.assert_allclose(pipeline.score(x), read, atol=1e-6)
