"""The pool, and a run of the expectation network that is cut off and goes on."""

from __future__ import annotations

import csv
import dataclasses
import json
from importlib import resources

import numpy as np
import pytest
import torch

from vetime_plugins.errors import InputError
from vetime_plugins.network.checkpoint import load_expectation, save_checkpoint
from vetime_plugins.network.expectation import ExpectationConfig, ExpectationNetwork, conceal
from vetime_plugins.training import expectation
from vetime_plugins.training.expectation import ExpectationTraining, objective, train
from vetime_plugins.training.pool import Backgrounds, Pool

TINY = ExpectationTraining(
    model=ExpectationConfig(window=256, width=16, depth=1, heads=2),
    points=30 * 8 * 256,
    windows_per_batch=8,
    pool_points=20_000,
    max_length=2_000,
    warmup_steps=5,
    bfloat16=False,
    log_every=10,
    validate_every=30,
)


@pytest.fixture
def backgrounds(tmp_path):
    t = np.arange(3000)
    file = tmp_path / "real.npz"
    np.savez(file, **{"one/a": np.sin(t / 9), "one/b": np.cos(t / 5), "two/c": t % 24.0})
    return file


@pytest.fixture
def small_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectation, "_HELD_OUT_POINTS", 5_000)
    monkeypatch.setattr(expectation, "_HELD_OUT_BATCHES", 1)


def _rows(run) -> list[dict[str, str]]:
    with (run / "curve.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_windows_and_their_clean_values_have_one_unit() -> None:
    pool = Pool(20_000, (500, 2_000), np.random.default_rng(0))
    for _ in range(30):  # past the end of its memory
        pool.add()
    windows, clean = pool.draw(64, 256)
    assert torch.isfinite(windows.values).all()
    same = (windows.values - clean).abs() < 1e-4
    assert 0.7 < same[windows.real].float().mean() < 1.0
    assert windows.real.any(dim=1).all()


def test_a_pool_needs_room() -> None:
    with pytest.raises(InputError, match="room for its longest"):
        Pool(1_000, (500, 2_000), np.random.default_rng(0))


def test_backgrounds_are_real_series_with_anomalies(backgrounds) -> None:
    rng = np.random.default_rng(0)
    drawn = [Backgrounds(backgrounds).draw(rng, 600) for _ in range(20)]
    changed = [float((values != clean).mean()) for values, clean in drawn]
    assert all(len(values) == len(clean) > 250 for values, clean in drawn)
    assert max(changed) > 0
    assert np.median(changed) < 0.3


@pytest.mark.parametrize("content", [{}, {"one/a": np.zeros((2, 3))}, {"one/a": np.array([1.0, np.nan])}])
def test_backgrounds_of_another_kind(tmp_path, content: dict[str, np.ndarray]) -> None:
    file = tmp_path / "real.npz"
    np.savez(file, **content)
    with pytest.raises(InputError, match="1-D arrays of finite numbers"):
        Backgrounds(file)
    with pytest.raises(InputError, match="npz"):
        Backgrounds(tmp_path / "none.npz")


@pytest.mark.parametrize("likelihood", ["laplace", "student"])
def test_the_loss_counts_what_is_concealed_against_the_clean_series(likelihood) -> None:
    pool = Pool(20_000, (500, 2_000), np.random.default_rng(0))
    windows, clean = pool.draw(8, 256)
    network = ExpectationNetwork(TINY.model)
    concealed = conceal(32, 4, 4, torch.arange(8))
    steps = concealed.repeat_interleave(8, dim=1)
    losses = objective(network, windows, clean, concealed, likelihood)
    elsewhere = objective(network, windows, torch.where(steps, clean, 99.0), concealed, likelihood)
    assert torch.equal(torch.stack(losses), torch.stack(elsewhere))
    here = objective(network, windows, torch.where(steps, 99.0, clean), concealed, likelihood)
    assert (torch.stack(here) > torch.stack(losses)).all()


@pytest.mark.usefixtures("small_check")
def test_a_run_learns_and_goes_on_where_it_was_cut_off(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    assert not train(TINY, run, seconds=0).exists()  # nothing but the state
    weights = train(TINY, run)
    rows = _rows(run)
    learned = [float(row["error"]) for row in rows if row["split"] == "training"]
    assert [row["split"] for row in rows[-3:]] == ["held out 1", "held out 4", "held out 16"]
    assert learned[-1] < learned[0]
    assert load_expectation(weights).config == TINY.model
    count = len(rows)
    train(TINY, run)  # it has ended
    assert len(_rows(run)) == count
    with pytest.raises(InputError, match="another configuration"):
        train(ExpectationTraining(), run)
    file = run / "training.json"
    table = json.loads(file.read_text())
    del table["log_every"]  # a run from before there was this field
    file.write_text(json.dumps(table))
    default = ExpectationTraining().log_every
    assert train(dataclasses.replace(TINY, log_every=default), run) == weights


@pytest.mark.usefixtures("small_check")
def test_a_state_in_the_middle_is_taken_up(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(expectation.time, "monotonic", lambda: float(next(clock)))
    train(TINY, tmp_path, seconds=40)
    half = torch.load(tmp_path / "state.pt", weights_only=True)["step"]
    assert 0 < half < 30
    assert train(TINY, tmp_path).is_dir()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 30


@pytest.mark.usefixtures("small_check")
def test_a_run_begins_with_the_weights_of_another(tmp_path) -> None:
    first = train(TINY, tmp_path / "first")
    train(dataclasses.replace(TINY, seed=1), tmp_path / "second", start=first, seconds=0)
    state = torch.load(tmp_path / "second" / "state.pt", weights_only=True)
    for name, value in load_expectation(first).state_dict().items():
        assert torch.equal(state["model"][name], value)
        assert torch.equal(state["average"][name], value)
    read_out = dataclasses.replace(load_expectation(first).config, margin_scale=2.0, scale="tail")
    other = save_checkpoint(tmp_path / "calibrated", read_out, state["average"])
    train(dataclasses.replace(TINY, seed=1), tmp_path / "calibrated-start", start=other, seconds=0)
    wider = dataclasses.replace(TINY, model=dataclasses.replace(TINY.model, width=32))
    with pytest.raises(InputError, match=r"the run is to have .*'width': 32.*its start has .*'width': 16"):
        train(wider, tmp_path / "third", start=first)


def test_a_device_that_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="device"):
        train(TINY, tmp_path / "run", device="abacus")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.usefixtures("small_check")
def test_a_run_goes_on_on_another_device(tmp_path) -> None:
    run = tmp_path / "run"
    train(TINY, run, seconds=0.5, device="cuda")
    assert load_expectation(train(TINY, run)).config == TINY.model


def test_real_series_must_be_given(tmp_path) -> None:
    with pytest.raises(InputError, match="needs a file of backgrounds"):
        train(ExpectationTraining(real_share=0.5), tmp_path)


def test_the_bundled_configuration_is_whole() -> None:
    file = resources.files("vetime_plugins.training") / "configs" / "expectation.toml"
    assert ExpectationTraining.read(str(file)).real_share > 0
