"""Training: same seed same weights, resume continues the curve, configurations are checked."""

from __future__ import annotations

import csv
import dataclasses
import json
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vetime_plugins import CheckpointError, InputError, VETimePipeline
from vetime_plugins.cli import main
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
    _assert_same_run(tmp_path, finished)


SPARSE = {"log_every": 3, "save_every": 2, "validate_every": 5}


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run whose rows and saved states do not fall together."""
    run = tmp_path_factory.mktemp("sparse")
    train(_config(**SPARSE), run)
    return run


def _assert_same_run(run: Path, expected: Path) -> None:
    assert _curve(run) == _curve(expected)
    weights = load_file(expected / "weights" / "model.safetensors")
    for name, tensor in load_file(run / "weights" / "model.safetensors").items():
        assert torch.equal(tensor, weights[name]), name


@pytest.mark.parametrize("cut", [1, 5, 6])
def test_a_cut_between_two_rows_leaves_no_trace_in_the_curve(sparse: Path, tmp_path: Path, cut: int) -> None:
    train(_config(**SPARSE), tmp_path, stop_after=cut)
    train(_config(**SPARSE), tmp_path)
    _assert_same_run(tmp_path, sparse)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no such signal")
def test_a_killed_run_resumes_exactly(sparse: Path, tmp_path: Path) -> None:
    # Killed with a file written but not yet in its place, then with half a row in the curve.
    code = """
import csv, os, signal, sys
from pathlib import Path
from tests.training.test_training import SPARSE, _config
from vetime_plugins.training import state
from vetime_plugins.training.loop import train

left, where = int(sys.argv[2]), sys.argv[3]
def die_at_last(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

replace, add = Path.replace, state.Curve.add
def killed_replace(self, target):
    die_at_last()
    return replace(self, target)
def killed_add(self, stage, step, split, values):
    if left == 1:
        with self.path.open("a") as file:
            file.write(f"{stage},{step},{split[:3]}")
    die_at_last()
    add(self, stage, step, split, values)
if where == "replace":
    Path.replace = killed_replace
else:
    state.Curve.add = killed_add
train(_config(**SPARSE), sys.argv[1])
"""
    for left, where in ((3, "replace"), (4, "add"), (2, "replace")):
        command = [sys.executable, "-c", code, str(tmp_path), str(left), where]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "weights").exists()
    train(_config(**SPARSE), tmp_path)
    _assert_same_run(tmp_path, sparse)


def test_progress_counts_the_steps_of_all_stages(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    steps = {"vision": 1, "full": 2}
    train(_config(steps=steps), tmp_path, stop_after=2, progress=lambda *news: seen.append(news))
    train(_config(steps=steps), tmp_path, progress=lambda *news: seen.append(news))
    assert seen == [(1, 3), (2, 3), (2, 3), (3, 3)]


def test_what_cannot_be_run_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for options, message in (
        ({"device": "cuda"}, "device 'cuda' is not available here"),
        ({"device": "gpu"}, "device must be"),
        ({"stop_after": 0}, "stop_after must be at least 1 step, got 0"),
    ):
        with pytest.raises(InputError, match=message):
            train(_config(), tmp_path / "run", **options)  # type: ignore[arg-type]
        assert not (tmp_path / "run").exists()


def test_a_run_folder_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used as the folder of a run"):
        train(_config(), tmp_path / "file")
    for content in ("{", "[]", '{"seed": "one"}'):
        (tmp_path / "training.json").write_text(content)
        with pytest.raises(InputError, match="must be the configuration of a run"):
            train(_config(), tmp_path)


def test_a_configuration_of_an_earlier_version_is_recognised(tmp_path: Path) -> None:
    values = _config(steps={"full": 1}).to_dict()
    del values["steps"]["vision"], values["model"]["retrieval"]["block_elements"]
    (tmp_path / "training.json").write_text(json.dumps(values))
    train(_config(steps={"full": 1}), tmp_path)


def test_a_damaged_state_is_named(sparse: Path, tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="cannot be read"):
        train(_config(), tmp_path)
    save_file({"model/x": torch.zeros(1)}, tmp_path / "state.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        train(_config(), tmp_path)
    facts = {"stage": "0", "step": "1", "updates": "1"}
    save_file({"model/x": torch.zeros(1)}, tmp_path / "state.safetensors", metadata=facts)
    with pytest.raises(CheckpointError, match="does not fit the run's configuration"):
        train(_config(), tmp_path)


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
        ({"rate": 1}, "unknown key rate; known are model, seed, steps"),
        ({"steps": {"audio": 1}}, "unknown key steps.audio; known are vision, temporal, full"),
        ({"model": {"preset": "huge"}}, "presets are"),
        ({"model": {"preset": ["small"]}}, "presets are"),
        ({"model": {"preset": "small", "depth": 3}}, "unknown key model.depth"),
        ({"model": {"preset": "small", "d_model": 128.0}}, "model.d_model must be a whole number, got 128.0"),
        ({"model": {"preset": "small", "retrieval": {"bank": 1}}}, "unknown key model.retrieval.bank"),
        ({"model": 5}, "model must be a table, got 5"),
        ({"data": {"words": 1}}, "unknown key data.words"),
        ({"data": 5}, "data must be a table, got 5"),
        ({"learning_rate": "fast"}, "learning_rate must be a number, got 'fast'"),
        ({"learning_rate": 0}, "learning_rate must be above 0, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number, got nan"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"bfloat16": 1}, "bfloat16 must be true or false, got 1"),
        ({"steps": {"full": -1}}, "steps.full must be at least 0, got -1"),
        ({"steps": {"full": 10.0}}, "steps.full must be a whole number, got 10.0"),
        ({"log_every": 0}, "log_every must be at least 1, got 0"),
        ({"mask_ratio": 1.0}, "mask_ratio must be below 1, got 1.0"),
        ({"average_decay": 1.0}, "average_decay must be below 1, got 1.0"),
        ({"data": {"workers": 1.0}}, "data.workers must be a whole number, got 1.0"),
        ({"data": {"min_length": 10}}, "data.min_length must be at least 32, got 10"),
        ({"data": {"max_length": 400}}, "max_length must be at least min_length, got 400 and 500"),
        ({"data": {"multivariate": 0.5, "max_variables": 1}}, "max_variables must be at least 2"),
        ({"loss": {"unmarked": 2}}, "loss.unmarked must be at most 1, got 2"),
    ],
)
def test_unusable_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        _config(**changes)
    assert message in str(error.value)


def test_configurations_are_values() -> None:
    config = _config()
    for other in (
        TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))),
        pickle.loads(pickle.dumps(config)),
        dataclasses.replace(config),
    ):
        assert other == config
        assert hash(other) == hash(config)
    assert dataclasses.replace(config, steps={"full": 3}).steps.vision == 0  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.steps.full = 5  # type: ignore[misc]
    with pytest.raises(InputError, match=r"TrainingConfig.model is missing"):
        TrainingConfig()  # type: ignore[call-arg]


def test_bundled_configuration_is_read() -> None:
    assert TrainingConfig.read("small").model.name == "small"
    with pytest.raises(InputError, match="TOML file or a bundled name"):
        TrainingConfig.read("nowhere.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed = ", "cannot be read as TOML"),
        (b"\xff", "cannot be read as TOML"),
        (b'learning_rate = "fast"', r"my.toml: learning_rate must be a number, got 'fast'"),
    ],
)
def test_a_file_with_an_error_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "my.toml").write_bytes(content)
    with pytest.raises(InputError, match=message):
        TrainingConfig.read(tmp_path / "my.toml")


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


def test_the_command_says_in_one_line_what_cannot_be_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.toml").write_text('learning_rate = "fast"')
    for options in ([str(tmp_path / "my.toml")], ["small", "--threads", "0"], ["small", "--device", "gpu"]):
        assert main(["train", *options, "--out", str(tmp_path / "run")]) == 1
        error = capsys.readouterr().err
        assert error.startswith("vetime train: error: ")
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()
