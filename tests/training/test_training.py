"""Training: same seed same weights, resume continues the curve, configurations are checked."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vetime_plugins import InputError, VETimePipeline
from vetime_plugins.network.preparation import prepare
from vetime_plugins.synthesis import generate
from vetime_plugins.training.config import TrainingConfig
from vetime_plugins.training.data import TRAINING_STREAM, VALIDATION_STREAM, SyntheticBatches, make_batch
from vetime_plugins.training.loop import average_precisions, train

TINY_MODEL = {
    "preset": "small", "d_model": 32, "d_proj": 8, "temporal_layers": 1, "vision_width": 32, "vision_depth":
    1, "decoder_width": 32, "decoder_depth": 1, "image_size": 32, "max_chunk_steps": 512, "name": "tiny",
}  # fmt: skip


def _config(**changes: object) -> TrainingConfig:
    values = {
        "seed": 3,
        "model": TINY_MODEL,
        "steps": {"vision": 2, "temporal": 2, "full": 4},
        "data": {"points_per_batch": 2000, "min_length": 500, "max_length": 1200, "multivariate": 0.5,
        "max_variables": 3, "workers": 0}, "log_every": 1,
        "validate_every": 2,
        "save_every": 1,
        "validation_batches": 1,
        "warmup_steps": 2,
    }  # fmt: skip
    return TrainingConfig.from_dict({**values, **changes})


def _curve(run: Path) -> list[list[str]]:
    with (run / "curve.csv").open() as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    train(_config(), run)
    return run


def test_a_run_ends_in_weights_that_score(finished: Path) -> None:
    pipeline = VETimePipeline.from_pretrained(finished / "weights", device="cpu")
    assert pipeline.score(np.sin(np.arange(700.0))).shape == (700,)


def test_the_curve_holds_every_stage_and_split(finished: Path) -> None:
    rows = _curve(finished)[1:]
    assert {(row[0], row[2]) for row in rows} == {
        (stage, split) for stage in ("vision", "temporal", "full") for split in ("train", "validation")
    }
    assert all(np.isfinite(float(row[4])) for row in rows)


@pytest.mark.parametrize("cuts", [[1, 1, 3], [3, 2], [7]])
def test_a_resumed_run_continues_the_same_curve(finished: Path, tmp_path: Path, cuts: list[int]) -> None:
    for cut in cuts:
        train(_config(), tmp_path, stop_after=cut)
        assert not (tmp_path / "weights").exists()
    train(_config(), tmp_path)
    assert _curve(tmp_path) == _curve(finished)
    expected = load_file(finished / "weights" / "model.safetensors")
    for name, tensor in load_file(tmp_path / "weights" / "model.safetensors").items():
        assert torch.equal(tensor, expected[name]), name


def test_training_changes_every_part_it_should(finished: Path, tmp_path: Path) -> None:
    train(_config(steps={"full": 0}), tmp_path)
    before = load_file(tmp_path / "weights" / "model.safetensors")
    after = load_file(finished / "weights" / "model.safetensors")
    unchanged = [name for name in before if torch.equal(before[name], after[name])]
    assert not unchanged


def test_another_configuration_does_not_overwrite_a_run(finished: Path) -> None:
    with pytest.raises(InputError, match="another configuration"):
        train(_config(seed=4), finished)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 1}, "unknown keys"),
        ({"steps": {"audio": 1}}, "audio"),
        ({"model": {"preset": "huge"}}, "presets are"),
        ({"data": {"words": 1}}, "unknown keys"),
    ],
)
def test_unknown_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _config(**changes)


def test_bundled_configuration_is_read() -> None:
    assert TrainingConfig.read("small").model.name == "small"
    with pytest.raises(InputError, match="TOML file or a bundled name"):
        TrainingConfig.read("nowhere.toml")


def test_batches_depend_on_seed_and_number_only() -> None:
    config = _config()
    one = SyntheticBatches(config.model, config.data, 5, TRAINING_STREAM, 10)
    other = SyntheticBatches(config.model, config.data, 5, TRAINING_STREAM, 99)
    one[0]
    assert torch.equal(one[7].inputs.values, other[7].inputs.values)
    validation = SyntheticBatches(config.model, config.data, 5, VALIDATION_STREAM, 10)
    assert not torch.equal(validation[7].inputs.values, one[7].inputs.values)


def test_targets_stand_where_the_inputs_do() -> None:
    config = _config()
    series = [generate(1100, 2, seed=s) for s in (1, 2)]
    batch = make_batch(series, config.model)
    assert batch.n_groups == 4  # variables are read alone
    labels = np.concatenate([one.variable_labels.T.reshape(-1) for one in series])
    assert int(batch.labels.sum()) == int(labels.sum())
    unit = prepare(np.nan_to_num(series[0].values[:, :1].astype(float)), config.model)[0]
    first = torch.cat(
        [
            batch.inputs.values[row, 0][batch.steps[row]]
            for row in range(len(batch.group))
            if batch.group[row] == 0
        ]
    )
    if not np.isnan(series[0].values).any():
        torch.testing.assert_close(first, torch.from_numpy(unit.z[0, :1100]), atol=1e-5, rtol=1e-5)
    normal = (batch.labels == 0) & batch.steps
    torch.testing.assert_close(
        batch.clean[:, 0][normal], batch.inputs.values[:, 0][normal], atol=1e-4, rtol=1e-4
    )
    assert (batch.severity[normal] == 0).all()


def test_average_precision_equals_its_definition() -> None:
    batch = make_batch([generate(500, 1, seed=s) for s in range(4)], _config().model)
    margin = torch.randn(batch.labels.shape, generator=torch.Generator().manual_seed(0))
    expected = []
    for row in range(4):
        hit = batch.labels[row][batch.steps[row]][
            margin[row][batch.steps[row]].argsort(descending=True)
        ].numpy()
        if 0 < hit.sum() < len(hit):
            expected.append(np.mean([hit[: i + 1].mean() for i in np.flatnonzero(hit)]))
    np.testing.assert_allclose(average_precisions(margin, batch), expected, rtol=1e-5)
