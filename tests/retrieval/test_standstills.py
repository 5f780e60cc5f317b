"""A value that is repeated for longer than usual is evidence; one that often is, is none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vetime_plugins import VETimePipeline, find_incidents
from vetime_plugins.network.checkpoint import load_checkpoint
from vetime_plugins.retrieval.standstills import standstill_evidence

Array = NDArray[np.float64]
STUCK = slice(1200, 1240)


def _evidence(x: Array, *references: Array, valid: Array | None = None) -> Array:
    sources = [torch.from_numpy(np.atleast_2d(one).astype(np.float32)) for one in (x, *references)]
    weights = None if valid is None else torch.from_numpy(np.atleast_2d(valid).astype(np.float32))
    return standstill_evidence(sources, weights).numpy()


def _noise(length: int = 2000, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(length)


def _stuck(x: Array) -> Array:
    x = x.copy()
    x[STUCK] = x[STUCK.start]
    return x


def _calm() -> dict[str, Array]:
    rng, t = np.random.default_rng(1), np.arange(2000)
    nights = np.where(t % 48 < 20, 0.0, 5 + rng.standard_normal(2000))
    weekends = np.where(t // 48 % 7 >= 5, 0.0, 5 + rng.standard_normal(2000))
    rare = np.zeros(2000)
    rare[rng.choice(2000, 30, replace=False)] = 1.0
    return {
        "noise": _noise(),
        "counts": rng.poisson(2.0, 2000).astype(float),
        "coarse": np.round(2 * np.sin(t / 60) + 0.2 * rng.standard_normal(2000)),
        "square": (t // 25 % 2).astype(float),
        "nights": nights,
        "weekends": weekends,
        "settings": np.repeat([1.0, 4.0, 2.0], [700, 600, 700]),
        "off for a third": np.where((t > 500) & (t < 1200), 0.0, _noise()),
        "rare events": rare,
    }


@pytest.mark.parametrize("name", _calm())
def test_a_series_that_often_stands_still_has_no_standstill(name: str) -> None:
    assert not _evidence(_calm()[name]).any()


@pytest.mark.parametrize("name", ["noise", "counts", "nights"])
def test_a_sensor_that_is_stuck_stands_out_exactly_where_it_is(name: str) -> None:
    x = _calm()[name]
    x[STUCK] = x[STUCK.start] = 3.0  # three counts come now and then
    if name == "nights":  # a night is a usual run of 20, so a standstill must be far longer
        x[1200:1320] = 3.0
    found = np.flatnonzero(_evidence(x)[0])
    assert (x[found] == 3.0).all()
    assert len(found) >= 40
    assert (np.diff(found) == 1).all()


def test_eight_standstills_are_eight() -> None:
    x = _noise(4000)
    starts = np.arange(200, 3800, 450)
    for start in starts:
        x[start : start + 30] = x[start]
    assert (_evidence(x)[0, starts + 15] > 0.5).all()


def test_a_value_that_was_filled_in_ends_a_run() -> None:
    x = _stuck(_noise())
    valid = np.ones(2000)
    valid[STUCK.start + 5 : STUCK.stop - 5] = 0
    assert not _evidence(x, valid=valid)[0, STUCK.start + 5 : STUCK.stop - 5].any()
    assert _evidence(x, valid=valid).max() < _evidence(x).max()


def test_what_stood_still_before_is_usual() -> None:
    reference = _noise(3000, seed=5)
    for start in range(0, 3000, 250):
        reference[start : start + 40] = 0.5
    assert _evidence(_stuck(_noise())).max() == 1
    assert not _evidence(_stuck(_noise()), reference).any()


def test_a_run_does_not_go_on_from_a_reference_to_the_next() -> None:
    flat = np.concatenate([_noise(500), np.full(6, 0.25)])
    x = np.concatenate([np.full(4, 0.25), _noise(1000, seed=2)])
    assert _evidence(x, flat)[0, :4].max() == _evidence(x, _noise(506))[0, :4].max() == 0


@pytest.mark.parametrize("length", [1, 2, 5, 9, 40])
def test_any_length_will_do(length: int) -> None:
    assert _evidence(np.zeros(length)).shape == (1, length)
    assert np.isfinite(_evidence(_noise(length))).all()


def test_a_stuck_sensor_is_flagged_by_default() -> None:
    pipeline, exact = VETimePipeline.from_pretrained("small"), 0
    for seed in range(4):
        noise = _noise(seed=seed)
        slow = noise.copy()
        for i in range(1, len(slow)):
            slow[i] += 0.9 * slow[i - 1]
        for x in (noise, slow, noise.cumsum()):
            exact += [(one.start, one.end) for one in find_incidents(pipeline.score(_stuck(x)))] == [
                (STUCK.start, STUCK.stop - 1)
            ]
    assert exact >= 9  # of twelve; of those in plain noise one or two are not flagged


def test_weights_without_standstills_do_not_hear_of_them() -> None:
    model, _ = load_checkpoint("small")
    assert model.config.retrieval is not None
    retrieval = dataclasses.replace(model.config.retrieval, standstills=False)
    former = type(model)(dataclasses.replace(model.config, retrieval=retrieval))  # type: ignore[call-arg, arg-type]
    former.load_state_dict(model.state_dict())
    pipeline = VETimePipeline(former, "former", next(former.parameters()).device)
    assert not find_incidents(pipeline.score(_stuck(_noise())))
