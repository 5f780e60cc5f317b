"""Configurations: what they take, what they refuse in one line, and that nobody changes them later."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import pytest

from tests.test_import import run_python
from vetime_plugins import CheckpointError, InputError, VETimeConfig
from vetime_plugins.network.model import VETime
from vetime_plugins.retrieval import RetrievalConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"d_model": 512.0}, "VETimeConfig.d_model must be a whole number, got 512.0"),
        ({"d_model": True}, "VETimeConfig.d_model must be a whole number, got True"),
        ({"d_model": "512"}, "VETimeConfig.d_model must be a whole number, got '512'"),
        ({"d_model": 0}, "VETimeConfig.d_model must be at least 1, got 0"),
        ({"retrieval_channels": -1}, "VETimeConfig.retrieval_channels must be at least 0, got -1"),
        ({"max_patches": 2**40}, "VETimeConfig.max_patches must be at most 2147483647"),
        ({"max_chunk_tokens": 1.5}, "VETimeConfig.max_chunk_tokens must be a whole number, got 1.5"),
        ({"any_variate": 1}, "VETimeConfig.any_variate must be true or false, got 1"),
        ({"correction": 1.5}, "VETimeConfig.correction must be at most 1, got 1.5"),
        ({"margin_scale": 0.0}, "VETimeConfig.margin_scale must be above 0, got 0.0"),
        ({"margin_offset": float("nan")}, "VETimeConfig.margin_offset must be a finite number, got nan"),
        ({"correction_bound": -2.0}, "VETimeConfig.correction_bound must be above 0"),
        ({"readout": "steps"}, "VETimeConfig.readout must be one of point, window; got 'steps'"),
        ({"name": 5}, "VETimeConfig.name must be a string, got 5"),
        ({"retrieval": 5, "retrieval_channels": 26}, "VETimeConfig.retrieval must be a table, got 5"),
        ({"retrieval": {"bank": 1}, "retrieval_channels": 26}, "unknown key VETimeConfig.retrieval.bank"),
        (
            {"retrieval": {"bank_size": "all"}, "retrieval_channels": 26},
            "VETimeConfig.retrieval.bank_size must be a whole number, got 'all'",
        ),
        ({"retrieval": {"bank_size": 0}, "retrieval_channels": 26}, "bank_size needs to be at least 1"),
        ({"retrieval": {}}, "needs retrieval and retrieval_channels together"),
        ({"depth": 5}, "unknown key VETimeConfig.depth; known are patch_size, d_model, "),
        ({"d_model": 513}, "VETimeConfig.d_model must be a multiple of temporal_heads, got 513 and 8"),
        ({"use_vision": False, "use_temporal": False}, "needs use_vision or use_temporal"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        VETimeConfig(**values)  # type: ignore[arg-type]
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "size",
    [
        "d_model", "d_proj", "patch_size", "temporal_layers", "vision_width", "vision_depth", "vision_patch",
        "decoder_width", "decoder_depth", "max_patches",
    ],
)  # fmt: skip
def test_sizes_of_no_network_are_refused(size: str) -> None:
    values = {size: 48 * 10**6}
    if size == "vision_patch":
        values["image_size"] = 48 * 10**6
    with pytest.raises(InputError, match=r"at most 4\.3e\+09 parameters, got \d"):
        VETimeConfig(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "config",
    [
        VETimeConfig.preset("small"),
        VETimeConfig(
            d_model=64, d_proj=128, temporal_layers=2, vision_width=24, vision_depth=1, image_size=448
        ),
        dataclasses.replace(VETimeConfig.preset("small"), use_router=False, patch_size=64, max_patches=9),
    ],
)
def test_least_parameters_is_a_close_bound(config: VETimeConfig) -> None:
    parameters = sum(p.numel() for p in VETime(config).parameters())
    assert 0.95 * parameters < config.least_parameters() <= parameters


def test_a_field_given_by_position_is_named() -> None:
    assert VETimeConfig(8, 64).d_model == 64
    with pytest.raises(InputError, match=r"VETimeConfig.d_model must be a whole number, got 64\.0"):
        VETimeConfig(8, 64.0)  # type: ignore[arg-type]


def test_presets_cannot_be_changed() -> None:
    small = VETimeConfig.preset("small")
    before = small.to_dict()
    with pytest.raises(dataclasses.FrozenInstanceError):
        small.d_model = 8  # type: ignore[misc]
    assert small.retrieval is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        small.retrieval.neighbours = 1  # type: ignore[misc]
    values = small.to_dict()
    values["retrieval"]["neighbours"] = 1
    values["d_model"] = 8
    assert VETimeConfig.preset("small").to_dict() == before
    with pytest.raises(InputError, match="presets are"):
        VETimeConfig.preset(["small"])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["small", "base"])
def test_configurations_come_back_from_everywhere(name: str) -> None:
    config = VETimeConfig.preset(name)
    others = [
        VETimeConfig.from_dict(config.to_dict()),
        VETimeConfig.from_dict(json.loads(json.dumps(config.to_dict()))),
        pickle.loads(pickle.dumps(config)),
        copy.deepcopy(config),
        dataclasses.replace(config),
    ]
    assert all(other == config and hash(other) == hash(config) for other in others)
    assert dataclasses.replace(config, d_proj=7) != config


def test_retrieval_is_given_by_keywords_or_whole() -> None:
    keywords = {"windows": [8, 32], "neighbours": 3}
    one = VETimeConfig(retrieval=keywords, retrieval_channels=20)  # type: ignore[arg-type]
    other = VETimeConfig(retrieval=RetrievalConfig(windows=(8, 32), neighbours=3), retrieval_channels=20)
    assert one == other
    keywords["windows"] = [4]
    assert one == other


def test_keys_of_a_later_version_are_named_with_what_to_do() -> None:
    values = {**VETimeConfig().to_dict(), "experts": 5}
    with pytest.raises(CheckpointError, match=r"unknown key VETimeConfig.experts; .* upgrade it"):
        VETimeConfig.from_dict(values)


def test_a_configuration_needs_no_torch() -> None:
    code = "import json, sys; from vetime_plugins import VETimeConfig; print(json.dumps([*sys.modules]))"
    assert "torch" not in run_python(code)
