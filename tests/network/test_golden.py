"""The bundled weights give the scores that were recorded with them, and older ones theirs."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from vetime_plugins import VETimePipeline
from vetime_plugins.network.checkpoint import bundled_names

BUNDLED = Path(str(resources.files("vetime_plugins") / "weights"))
WEIGHTS = BUNDLED / "small"
GOLDEN = load((WEIGHTS / "golden.safetensors").read_bytes())
NOVELTY = load((Path(__file__).parent / "golden_novelty.safetensors").read_bytes())
"""Scores that the same weights gave when a score started from the novelty alone."""
POINTS = load((Path(__file__).parent / "golden_points.safetensors").read_bytes())
"""Scores that they gave when statistics and points had joined it, with the temperature of the novelty."""
TOP = load((Path(__file__).parent / "golden_top.safetensors").read_bytes())
"""Scores that they gave with the evidence of today, several variables joined by the highest of each step."""


@pytest.mark.parametrize("weights", bundled_names())
@pytest.mark.parametrize("case", sorted({name.split(".")[0] for name in GOLDEN}))
def test_scores_are_the_recorded_ones(weights: str, case: str) -> None:
    golden = load((BUNDLED / weights / "golden.safetensors").read_bytes())
    pipeline = VETimePipeline.from_pretrained(weights, device="cpu")
    # Other processors round differently, and may order two equally near neighbours differently.
    np.testing.assert_allclose(
        pipeline.score(golden[f"{case}.series"]), golden[f"{case}.scores"], atol=2e-3, rtol=0
    )


def _configured(folder: Path, absent: tuple[str, ...], **former: object) -> VETimePipeline:
    """Return the weights as they were before the evidence had these fields."""
    record = json.loads((WEIGHTS / "config.json").read_text())
    for name in (*absent, "relations", "standstills"):
        del record["config"]["retrieval"][name]
    record["config"]["retrieval"]["query_overlap"] = 4
    del record["config"]["switches_apart"]
    record["config"].update(former)
    (folder / "config.json").write_text(json.dumps(record))
    (folder / "model.safetensors").write_bytes((WEIGHTS / "model.safetensors").read_bytes())
    return VETimePipeline.from_pretrained(folder, device="cpu")


CORRECTED = {
    "variable_pooling": "max",
    "correction": 0.25,
    "margin_scale": 1.953214429241985,
    "margin_offset": -4.476176408464588,
    "scale": "logistic",
}


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> VETimePipeline:
    return _configured(
        tmp_path_factory.mktemp("older"),
        ("statistics", "point_gain", "temperature", "smoothing"),
        **CORRECTED,
    )


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> VETimePipeline:
    return _configured(tmp_path_factory.mktemp("old"), ("temperature", "smoothing"), **CORRECTED)


@pytest.mark.parametrize("case", sorted({name.split(".")[0] for name in NOVELTY}))
def test_older_weights_keep_their_scores(older: VETimePipeline, case: str) -> None:
    np.testing.assert_allclose(
        older.score(NOVELTY[f"{case}.series"]), NOVELTY[f"{case}.scores"], atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("case", sorted({name.split(".")[0] for name in POINTS}))
def test_weights_without_temperature_keep_their_scores(old: VETimePipeline, case: str) -> None:
    np.testing.assert_allclose(
        old.score(POINTS[f"{case}.series"]), POINTS[f"{case}.scores"], atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("case", sorted({name.split(".")[0] for name in TOP}))
def test_weights_that_take_the_highest_variables_keep_their_scores(case: str, tmp_path: Path) -> None:
    recent = _configured(tmp_path, (), variable_pooling="top")
    np.testing.assert_allclose(recent.score(TOP[f"{case}.series"]), TOP[f"{case}.scores"], atol=2e-3, rtol=0)
