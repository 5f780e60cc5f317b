"""Whether a folder is a detector that the leaderboard can take: its code runs, and its results are whole.

.. code-block:: text

    my-detector/
      README.md          what it is, where it comes from, how its results were made
      my_detector.py     `make()`, which returns a `vetime_plugins.detectors.registry.Detector`
      generated.csv      its cells of a task, as `vetime leaderboard export` writes them

The detector says with `trained_on` and `tuned_on` which data sets it has seen; empty ones say none.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from vetime_plugins.detectors.isolation import Child, ChildError, RaisedError
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.export import read_cells
from vetime_plugins.leaderboard.results import Cell
from vetime_plugins.leaderboard.tasks import Task, bundled_tasks
from vetime_plugins.metrics import METRIC_NAMES

__all__ = ["check_submission"]

_CODE = "my_detector.py"
_POINTS = 600  # of the series that the code is tried on; a third of them is its train part
_SECONDS = 300


def check_submission(folder: str | PathLike[str]) -> list[str]:
    """Check a folder and return what was found in it, a line each.

    Parameters
    ----------
    folder : str or path

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        For the first thing that is missing or wrong.
    """
    root = Path(folder).resolve()
    if not root.is_dir():
        raise InputError(f"no folder {folder}; name the one that holds {_CODE}")
    for name in ("README.md", _CODE):
        if not (root / name).is_file():
            raise InputError(f"{folder} has no {name}")
    facts = _try(root)
    tables = sorted(root.glob("*.csv"))
    if not tables:
        raise InputError(
            f"{folder} has no results; make some with: vetime leaderboard run generated --out results "
            "--detectors my_detector:make, and: vetime leaderboard export results --out generated.csv"
        )
    found = [f"{facts['name']} scores one variable" + (" and several" if facts["several"] else "")]
    for one in ("trained_on", "tuned_on"):
        found.append(f"{one}: {', '.join(facts[one]) or 'none'}")
    return found + [_check_cells(path, read_cells(path), facts) for path in tables]


def _try(root: Path) -> dict[str, Any]:
    """Run the code in a process of its own; return what it says of itself."""
    child = Child()
    try:
        child.start(_examine, str(root))
        facts: dict[str, Any] = child.receive(time_limit=_SECONDS)
    except RaisedError as error:
        raise InputError(f"{root / _CODE} does not run:\n{error}") from error
    except ChildError as error:
        raise InputError(f"{root / _CODE} does not run: {error}") from error
    finally:
        child.close()
    if isinstance(facts.get("wrong"), str):
        raise InputError(f"{root / _CODE}: {facts['wrong']}")
    return facts


def _examine(root: str) -> Any:
    """Yield what the detector of a folder says of itself, or what is wrong with it."""
    import importlib.util

    from vetime_plugins.detectors.registry import Detector

    spec = importlib.util.spec_from_file_location("my_detector", Path(root) / _CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    detector = module.make()
    if not isinstance(detector, Detector):
        yield {"wrong": "make() must return a detector: see vetime_plugins.detectors.registry.Detector"}
        return
    facts: dict[str, Any] = {"name": detector.name, "several": bool(detector.supports_multivariate)}
    for one in ("trained_on", "tuned_on"):
        names = getattr(detector, one, None)
        if names is None or isinstance(names, str):
            yield {"wrong": f"the detector must name in {one} the data sets it has seen; () for none"}
            return
        facts[one] = sorted(map(str, names))
    yield {**facts, "wrong": _score(detector)}


def _score(detector: Any) -> str | None:
    """Return what is wrong with the scores of two short series; None where nothing is."""
    rng = np.random.default_rng(0)
    for n_variables in (1, 3) if detector.supports_multivariate else (1,):
        phases = np.arange(_POINTS)[:, None] / 6 + np.arange(n_variables)
        values = np.sin(phases) + 0.1 * rng.normal(size=(_POINTS, n_variables))
        values[450:456] += 6.0
        kept = values.copy()
        first, again = (
            np.asarray(detector.fit_score(values, _POINTS // 3, period=None, seed=1)) for _ in range(2)
        )
        if not np.array_equal(values, kept):
            return "fit_score changes the series that it is given"
        if first.shape != (_POINTS,) or not np.isfinite(first).all():
            return f"scores must be finite, one a point ({_POINTS},); got {first.shape}"
        if not np.array_equal(first, again):
            return "the same seed must give the same scores"
        inside, outside = first[450:456].mean(), np.median(first)
        if not inside > outside:
            return f"higher must mean more anomalous; a jump has {inside:.3g}, the median {outside:.3g}"
    return None


def _check_cells(path: Path, cells: Sequence[Cell], facts: dict[str, Any]) -> str:
    """Return what a table of cells holds; InputError where it is not the whole of a task."""
    names, tasks = ({getattr(cell, one) for cell in cells} for one in ("detector", "task"))
    if len(tasks) != 1 or len(names) != 1:
        raise InputError(f"{path} must hold the cells of one detector and one task, got {names} and {tasks}")
    (name,), (task,) = names, tasks
    if name.partition("(")[0] != facts["name"]:
        raise InputError(f"{path} holds the cells of {name}, but make() returns {facts['name']}")
    lacking = [one for one in METRIC_NAMES if any(one not in cell.metrics for cell in cells)]
    if lacking:
        raise InputError(f"{path} lacks the metrics {', '.join(lacking)}; leave out --metric")
    if len({(cell.dataset, cell.series) for cell in cells}) != len(cells):
        raise InputError(f"{path} holds a series twice")
    for one in ("trained_on", "tuned_on"):
        told = {getattr(cell, one) for cell in cells}
        if told != {tuple(facts[one])}:
            raise InputError(f"{path} was made when the detector said something else in {one}; run it again")
    if task in bundled_tasks() and not Task.read(task).needs_folder:
        wanted = {(entry.dataset, entry.name) for entry in Task.read(task).find()}
        missing = wanted - {(cell.dataset, cell.series) for cell in cells}
        if missing:
            raise InputError(f"{path} lacks {len(missing)} of {len(wanted)} series, e.g. {min(missing)[1]}")
    failed = sum(cell.failed for cell in cells)
    return f"{path.name}: {len(cells)} series of the task {task}, {failed} failed"
