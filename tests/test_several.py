"""The score of several variables: who has a say in it, and what is enough to be heard."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vetime_plugins import VETimePipeline
from vetime_plugins.metrics import auc_pr
from vetime_plugins.network.model import VETime
from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.reading import Margins, Reading

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture(scope="module")
def small() -> VETimePipeline:
    return cached_pipeline("small", device="cpu")


def _without(small: VETimePipeline, **changes: object) -> VETimePipeline:
    """Return the same weights with some fields as they were."""
    model = VETime(dataclasses.replace(small.config, **changes))  # type: ignore[arg-type]
    model.load_state_dict(small.model.state_dict())
    return VETimePipeline(model, "small", small.device)


def _plant(length: int = 1500, commands: int = 12, seed: int = 0) -> NDArray[np.float64]:
    """A measured rhythm beside commands, some of which are given once."""
    rng = np.random.default_rng(seed)
    x = np.zeros((length, 1 + commands))
    x[:, 0] = np.sin(2 * np.pi * np.arange(length) / 50) + 0.1 * rng.standard_normal(length)
    for c in range(1, commands + 1):
        x[rng.choice(length, size=1 if c % 3 == 0 else 4 * c, replace=False), c] = 1.0
    return x


def test_commands_do_not_drown_what_is_measured(small: VETimePipeline) -> None:
    x, labels = _plant(), np.zeros(1500, dtype=int)
    x[800:850, 0] *= 0.3
    labels[800:850] = 1
    assert auc_pr(labels, small.score(x)) > 0.8
    alike = _without(small, switches_apart=False)
    assert auc_pr(labels, alike.score(x)) < 0.5


def test_one_switch_beside_what_is_measured_is_heard(small: VETimePipeline) -> None:
    x = _plant(commands=1)
    x[:, 1] = 3.3
    x[900:905, 1] = 0.0
    assert 890 <= small.score(x).argmax() < 915


def test_scores_of_what_is_measured_do_not_depend_on_switches(small: VETimePipeline) -> None:
    x = _plant()
    scores = small.score(x, per_variable=True)
    np.testing.assert_array_equal(scores[:, 0], small.score(x[:, :1], per_variable=True)[:, 0])


def test_a_relation_that_breaks_is_found_together_and_not_blamed(small: VETimePipeline) -> None:
    rng = np.random.default_rng(3)
    cause = np.convolve(rng.standard_normal(2049), np.ones(50) / 7, mode="valid")
    x = np.outer(cause, [1.0, -2.0, 0.5, 3.0]) + 0.05 * rng.standard_normal((2000, 4))
    x[1200:1260, 0] = x[300:360, 0]
    labels = np.zeros(2000, dtype=int)
    labels[1200:1260] = 1
    plain = _without(small, retrieval=dataclasses.replace(small.config.retrieval, relations=False))
    assert auc_pr(labels, small.score(x)) > auc_pr(labels, plain.score(x)) + 0.1
    np.testing.assert_array_equal(small.score(x, per_variable=True), plain.score(x, per_variable=True))


def test_a_variable_that_rose_above_its_reference_throughout_is_heard(small: VETimePipeline) -> None:
    rng = np.random.default_rng(4)
    usual, now = rng.standard_normal((1500, 8)), rng.standard_normal((120, 8))
    now[:, 1] += 30  # all of it, so that its own median says nothing
    reading = Reading(Margins(now, [1] * 8), usual=Margins(usual, [1] * 8))
    assert reading.scores(small.config, "point").min() > 0.99


@pytest.mark.parametrize(("length", "n_variables"), [(5, 2), (7, 200), (300, 200), (20_000, 2)])
def test_few_steps_and_many_variables(small: VETimePipeline, length: int, n_variables: int) -> None:
    x = np.random.default_rng(5).standard_normal((length, n_variables)).cumsum(axis=0)
    x[:, 0] = x[:, 0] > np.median(x[:, 0])
    scores = small.score(x)
    assert scores.shape == (length,)
    assert ((scores >= 0) & (scores < 1)).all()
    np.testing.assert_array_equal(small.score(x[:, ::-1]), scores)


def test_sensors_that_fail_together_are_found_by_default(
    small: VETimePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "incidents", raising=False)
    from incidents import eight_sensors

    found = small.detect(eight_sensors())
    (failure,) = found.incidents
    assert (failure.start, failure.end) == (1400, 1439)
    assert {variable.name for variable in failure.variables[:3]} == {"temp_out", "pressure", "flow"}
