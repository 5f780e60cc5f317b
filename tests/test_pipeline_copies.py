"""Copies and pickles of a pipeline hold the network as it is, and the cache what is in the folder."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests._shared import noisy_wave
from tests._tiny import save_tiny_weights
from vetime_plugins import VETimePipeline
from vetime_plugins.errors import CheckpointError
from vetime_plugins.network.checkpoint import save_checkpoint
from vetime_plugins.network.model import VETime
from vetime_plugins.pipeline import cached_pipeline


@pytest.fixture(scope="module")
def small() -> VETimePipeline:
    return VETimePipeline.from_pretrained("small", device="cpu")


def test_pickle_carries_the_recipe_only(small: VETimePipeline) -> None:
    data = pickle.dumps(small)
    assert len(data) < 500
    np.testing.assert_array_equal(pickle.loads(data).score(noisy_wave(80)), small.score(noisy_wave(80)))


@pytest.fixture
def own(tmp_path: Path) -> VETimePipeline:
    """A pipeline that nobody shares, so that a test may change it."""
    return VETimePipeline.from_pretrained(save_tiny_weights(tmp_path), device="cpu", batch_size=3)


def _zero(pipeline: VETimePipeline) -> None:
    with torch.no_grad():
        pipeline.model.detection_head[0].weight.zero_()


def _write_into_data(pipeline: VETimePipeline) -> None:
    next(pipeline.model.parameters()).data.mul_(2)


def _load_others(pipeline: VETimePipeline) -> None:
    pipeline.model.load_state_dict({k: v + 0.1 for k, v in pipeline.model.state_dict().items()})


def _exchange(pipeline: VETimePipeline) -> None:
    torch.manual_seed(1)
    pipeline.model = VETime(pipeline.config).eval()


def _configure(pipeline: VETimePipeline) -> None:
    pipeline.model.config = replace(pipeline.config, readout="window")


@pytest.mark.parametrize("change", [_zero, _write_into_data, _load_others, _exchange, _configure])
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_of_a_changed_network_are_as_it_is(own: VETimePipeline, change: Any, way: Any) -> None:
    x = noisy_wave(150)
    before = own.score(x)
    change(own)
    changed = own.score(x)
    assert np.abs(changed - before).max() > 1e-6
    twin = way(own)
    np.testing.assert_array_equal(twin.score(x), changed)
    assert (twin.batch_size, twin.dtype, twin.device, twin.source) == (3, "float32", own.device, own.source)
    np.testing.assert_array_equal(way(twin).score(x), changed)


def test_workers_score_with_a_changed_network(own: VETimePipeline) -> None:
    pytest.importorskip("joblib")
    _load_others(own)
    many = [noisy_wave(n) for n in (40, 60, 80)]
    for found, expected in zip(own.score(many, n_jobs=2), own.score(many), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_deep_copy_is_independent(own: VETimePipeline) -> None:
    x = noisy_wave(150)
    before, twin = own.score(x), copy.deepcopy(own)
    _zero(twin)
    np.testing.assert_array_equal(own.score(x), before)
    assert len(pickle.dumps(own)) < 500 < len(pickle.dumps(twin))


def test_a_network_from_no_folder_is_pickled_with_its_weights(own: VETimePipeline) -> None:
    torch.manual_seed(0)
    made = VETimePipeline(VETime(own.config), "small", torch.device("cpu"))
    x = noisy_wave(100)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).score(x), made.score(x))


def test_a_pickle_does_not_come_back_with_other_weights(own: VETimePipeline, tmp_path: Path) -> None:
    data = pickle.dumps(own)
    save_checkpoint(tmp_path, own.config, {k: v + 1 for k, v in own.model.state_dict().items()})
    with pytest.raises(CheckpointError, match="holds other weights here than"):
        pickle.loads(data)


def test_a_pickle_does_not_come_back_as_what_others_changed(own: VETimePipeline) -> None:
    shared = cached_pipeline(own.source, device="cpu", batch_size=3)
    _zero(shared)
    x = noisy_wave(150)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(own)).score(x), own.score(x))


def test_cached_pipeline_is_loaded_once() -> None:
    assert cached_pipeline("small", device="cpu") is cached_pipeline("small", device="cpu")


@pytest.mark.parametrize("part", ["weights", "configuration"])
def test_cached_pipeline_is_loaded_anew_where_its_folder_was_replaced(tmp_path: Path, part: str) -> None:
    folder = save_tiny_weights(tmp_path)
    first = cached_pipeline(folder, device="cpu")
    config, state = first.config, first.model.state_dict()
    if part == "weights":
        state = {name: value + 1 for name, value in state.items()}
        save_checkpoint(folder, config, state)
    else:
        record = json.loads((tmp_path / "config.json").read_text())
        record["config"]["readout"] = "window"
        (tmp_path / "config.json").write_text(json.dumps(record, indent=2) + "\n")
    second = cached_pipeline(folder, device="cpu")
    assert second is not first
    assert second.config.readout == ("window" if part == "configuration" else first.config.readout)
