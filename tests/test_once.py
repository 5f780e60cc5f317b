"""What takes time is done once: weights are found, references compared and series read a single time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vetime_plugins import pipeline as pipeline_module
from vetime_plugins import reading
from vetime_plugins.cli import main
from vetime_plugins.network import checkpoint, evidence, preparation
from vetime_plugins.retrieval import features
from vetime_plugins.series import overlap

N = 300


@pytest.fixture
def count(monkeypatch) -> Callable[..., list[tuple[Any, ...]]]:
    """Count the calls of a function, in all modules that hold it."""

    def start(name: str, *modules: Any) -> list[tuple[Any, ...]]:
        calls: list[tuple[Any, ...]] = []
        original = getattr(modules[0], name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return original(*args, **kwargs)

        for module in modules:
            monkeypatch.setattr(module, name, counting)
        return calls

    return start


@pytest.fixture
def series() -> np.ndarray:
    x = np.sin(np.arange(N) / 8) + 0.1 * np.random.default_rng(0).standard_normal(N)
    x[200] += 4
    return x


@pytest.fixture
def table(tmp_path, series) -> str:
    path = tmp_path / "series.csv"
    np.savetxt(path, series, header="value", comments="")
    return str(path)


@pytest.fixture
def no_cache(monkeypatch):
    monkeypatch.setattr(pipeline_module, "_CACHE", {})


@pytest.mark.parametrize("extra", [[], ["--explain"]])
@pytest.mark.usefixtures("no_cache")
def test_a_picture_takes_one_pass(count, table, tmp_path, extra):
    if extra:
        pytest.importorskip("matplotlib")
    standardised = count("standardise_together", evidence, preparation)
    resolved = count("resolve_folder", checkpoint, pipeline_module)
    hashed = count("file_hash", checkpoint)
    assert main(["plot", table, *extra, "--out", str(tmp_path / "a.png")]) == 0
    assert len(standardised) == len(resolved) == len(hashed) == 1


@pytest.mark.parametrize("with_switches", [False, True])
def test_an_explanation_finds_its_evidence_once(count, series, with_switches):
    """Switches are compared apart: theirs is found once, and that of the rest once."""
    columns = [series, np.cos(np.arange(N) / 5), np.full(N, 3.0)]
    switch = (np.arange(N) % 97 == 0).astype(float)
    x = np.column_stack([*columns, switch] if with_switches else columns)
    found = count("joined_evidence", features)
    told = pipeline_module.cached_pipeline("small").explain(x)
    assert len(found) == (2 if with_switches else 1)
    np.testing.assert_array_equal(told.scores, pipeline_module.cached_pipeline("small").score(x))


@pytest.mark.usefixtures("no_cache")
def test_weights_of_a_command_are_resolved_once(count, table, tmp_path):
    resolved = count("resolve_folder", checkpoint, pipeline_module)
    assert main(["score", table, "--out", str(tmp_path / "scores.csv")]) == 0
    assert len(resolved) == 1


def test_the_incidents_of_an_explained_picture_are_those_of_detect(monkeypatch, series, table, tmp_path):
    pytest.importorskip("matplotlib")
    from vetime_plugins import plotting

    drawn: dict[str, Any] = {}
    plot = plotting.plot_explanation

    def recording(explanation: Any, **options: Any) -> Any:
        drawn.update(options)
        return plot(explanation, **options)

    monkeypatch.setattr(plotting, "plot_explanation", recording)
    assert main(["plot", table, "--explain", "--out", str(tmp_path / "a.png")]) == 0
    found = pipeline_module.cached_pipeline("small").detect(series)
    assert drawn["threshold"] == found.threshold
    assert [(one.start, one.end) for one in drawn["incidents"]] == [
        (one.start, one.end) for one in found.incidents
    ]


@pytest.mark.parametrize("n_series", [1, 3])
def test_a_reference_is_compared_with_a_series_once(count, series, n_series):
    compared = count("new_parts", overlap)
    many = [np.roll(series, i) for i in range(n_series)]
    reference = np.cos(np.arange(400) / 8)
    pipeline_module.cached_pipeline("small").score(many, reference=reference)
    assert len(compared) == n_series


def test_a_reference_of_many_series_is_scored_once(count, series):
    read = count("find_evidence", reading)
    many = [series, series[::-1].copy(), series + 1]
    pipeline_module.cached_pipeline("small").score(many, reference=np.cos(np.arange(401) / 8))
    assert len(read) == len(many) + 1
