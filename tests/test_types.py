"""The types that the public names declare are the types that they return.

`make lint` checks this file as well: `assert_type` fails there where a declared type differs, and an
"ignore" fails there that ignores nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vetime_plugins import VETimePipeline
from vetime_plugins.adapters.pyod import VETime
from vetime_plugins.metrics import evaluate
from vetime_plugins.metrics.suite import Evaluation
from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.selection import select_detector
from vetime_plugins.selection.report import Selection
from vetime_plugins.thresholds import find_threshold

CHECKOUT = Path(__file__).resolve().parents[1]
FLAT: NDArray[np.float64] = np.sin(np.arange(40.0))
WIDE: NDArray[Any] = np.stack([FLAT, np.cos(FLAT)], axis=1).astype(np.float32)


@pytest.fixture
def pipeline() -> VETimePipeline:
    return cached_pipeline("small", device="cpu")


def test_one_series_has_one_array_of_scores(pipeline: VETimePipeline) -> None:
    rows: list[list[float]] = WIDE.tolist()
    with_gaps: list[float | None] = [1.0, None, *FLAT.tolist()]
    found = [
        assert_type(pipeline.score(FLAT), NDArray[np.float64]),
        assert_type(pipeline.score(WIDE, reference=WIDE, per_variable=True), NDArray[np.float64]),
        assert_type(pipeline.score(torch.from_numpy(FLAT)), NDArray[np.float64]),
        assert_type(pipeline.score(rows), NDArray[np.float64]),
        assert_type(pipeline.score([(1, 2.5), (3, 4.5)]), NDArray[np.float64]),
        assert_type(pipeline.score(with_gaps), NDArray[np.float64]),
        assert_type(pipeline.score([np.float32(number) for number in FLAT]), NDArray[np.float64]),
        assert_type(pipeline.embed(FLAT), NDArray[np.float64]),
    ]
    assert all(isinstance(scores, np.ndarray) and scores.dtype == np.float64 for scores in found)


def test_a_list_of_series_has_a_list_of_arrays(pipeline: VETimePipeline) -> None:
    nested: list[list[list[float]]] = [WIDE.tolist(), WIDE[:9].tolist()]
    found = [
        assert_type(pipeline.score([FLAT, FLAT[:20]]), list[NDArray[np.float64]]),
        assert_type(pipeline.score((FLAT, WIDE)), list[NDArray[np.float64]]),
        assert_type(pipeline.score([torch.from_numpy(FLAT)], reference=FLAT), list[NDArray[np.float64]]),
        assert_type(pipeline.score(nested), list[NDArray[np.float64]]),
    ]
    for scores in found:
        assert isinstance(scores, list)
        assert all(isinstance(one, np.ndarray) and one.dtype == np.float64 for one in scores)


def test_what_a_type_checker_refuses_fails(pipeline: VETimePipeline) -> None:
    with pytest.raises(TypeError):
        pipeline.score()  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        pipeline.score(FLAT, None)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="needs"):
        pipeline.score("series.csv")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs"):
        pipeline.embed([[FLAT, FLAT]])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        VETime(contamintaion=0.1)  # type: ignore[call-arg]


def test_other_public_names_return_what_they_declare() -> None:
    class Mine(VETimePipeline):
        pass

    assert type(assert_type(Mine.from_pretrained("small", device="cpu"), Mine)) is Mine
    assert type(assert_type(find_threshold(FLAT), float)) is float
    assert type(assert_type(evaluate([0, 1, 0], [1, 2, 1], 1), Evaluation)) is Evaluation
    found = assert_type(select_detector(FLAT, ["moving-variance"], n_trials=0, budget=None), Selection)
    assert type(found) is Selection
    detector = assert_type(VETime(device="cpu").fit(WIDE), VETime)
    assert assert_type(detector.decision_function(WIDE), NDArray[np.float64]).dtype == np.float64


@pytest.mark.slow
def test_adapters_are_checked_under_the_names_they_are_installed_by(tmp_path: Path) -> None:
    """A fault across two modules, on either side of which stands a name that plain mypy does not find."""
    for name in ("vetime_plugins", "adapters"):
        shutil.copytree(
            CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("weights", "__pycache__")
        )
    (tmp_path / "tests").mkdir()
    for name in ("pyproject.toml", "tests/check_types.py", "tests/test_types.py"):
        shutil.copy(CHECKOUT / name, tmp_path / name)
    command = [sys.executable, str(tmp_path / "tests/check_types.py"), "--cache-dir", str(tmp_path / "cache")]
    clean = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "No type errors.\n", "")
    with (tmp_path / "adapters/_pyod.py").open("a", encoding="utf-8") as module:
        module.write('\nCHECKED: int = load_pipeline("small", device="cpu", dtype="float32")\n')
    faulty = subprocess.run(command, capture_output=True, text=True, check=False)
    assert faulty.returncode == 1
    assert faulty.stderr.count("error:") == 1
    assert "adapters/_pyod.py" in faulty.stderr
    assert 'expression has type "VETimePipeline"' in faulty.stderr
