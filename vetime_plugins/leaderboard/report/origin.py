"""Where detectors come from, what they have seen, and where and when they were run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vetime_plugins.detectors import built_in_detectors
from vetime_plugins.leaderboard.report.analysis import FEWEST
from vetime_plugins.leaderboard.report.board import Board
from vetime_plugins.leaderboard.results import Cell
from vetime_plugins.leaderboard.summary import by_detector

__all__ = ["describe_run", "find_framework", "find_seen", "framework_of", "merge_equal"]

_DIGITS = 6  # of metrics: the same model through two frameworks differs by rounding


def find_framework(cell: Cell) -> str:
    """Return the framework of a cell's detector; empty where neither the cell nor the registry knows it."""
    known = built_in_detectors().get(cell.detector.partition("(")[0])
    return cell.framework or (known.framework if known is not None else "")


def framework_of(board: Board, name: str) -> str:
    """Return the framework of one of a board's detectors; empty where no cell tells it."""
    return next((one for one in map(find_framework, board.of(name)) if one), "")


def find_seen(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Return the data sets of a detector's cells that its weights have seen or its rules were chosen on.

    By "trained" and "tuned", without those that hold none. What a built-in detector says today stands in for
    cells that were made before detectors said it, unless they are of weights of one's own.
    """
    found: dict[str, set[str]] = {"trained": set(), "tuned": set()}
    for cell in cells:
        for how, names in found.items():
            seen = _told(cell, f"{how}_on")
            names |= {one for one in (cell.dataset, cell.task) if one in seen}
    return {how: sorted(names) for how, names in found.items() if names}


def _told(cell: Cell, name: str) -> Iterable[str]:
    told = getattr(cell, name)
    known = built_in_detectors().get(cell.detector.partition("(")[0])
    if told is not None or known is None:
        return told or ()
    own = cell.parameters.get("weights", known.params.get("weights")) != known.params.get("weights")
    return () if own else getattr(known, name) or ()


def describe_run(board: Board) -> list[tuple[str, str]]:
    """Return what a reader must know of a run before any figure: task, days, machines and versions."""
    cells = board.every_cell()
    days = sorted({cell.date for cell in cells if cell.date})
    machines = sorted({_machine(cell.hardware) for cell in cells if cell.hardware})
    facts = [
        ("Task", ", ".join(sorted({cell.task for cell in cells if cell.task}))),
        ("Run", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}" if days else ""),
        (
            "Machine",
            machines[0] if len(machines) == 1 else f"{len(machines)} different ones" if machines else "",
        ),
        ("Device", ", ".join(sorted({cell.device for cell in cells if cell.device}))),
        *((name, _versions(cells, name)) for name in ("vetime-plugins", "weights")),
    ]
    return [(what, text) for what, text in facts if text]


def _machine(hardware: dict[str, Any]) -> str:
    parts = [hardware.get("cpu") or hardware.get("machine"), hardware.get("gpu")]
    cores, python = hardware.get("cores"), hardware.get("python")
    parts += [f"{cores} cores" if cores else None, f"Python {python}" if python else None]
    return ", ".join(str(part) for part in parts if part)


def _versions(cells: Sequence[Cell], name: str) -> str:
    return ", ".join(sorted({cell.versions[name] for cell in cells if name in cell.versions}))


def merge_equal(cells: Sequence[Cell]) -> tuple[list[Cell], dict[str, list[str]]]:
    """Keep one of the detectors that agree in every metric on every series: one model behind several names.

    On fewer than five series, or where one failed, all are kept.

    Returns
    -------
    list of Cell
        Of the detectors that are kept, which are those with the shortest names.
    dict of str to list of str
        For a kept one the others.
    """
    groups: dict[str, list[str]] = {}
    for name, found in by_detector(cells).items():
        values = [
            (key, [(one, round(value, _DIGITS)) for one, value in sorted(cell.metrics.items())])
            for key, cell in sorted(found.items())
        ]
        # Failures are alike whatever failed, and on few series different detectors can agree.
        telling = len(found) >= FEWEST and not any(cell.failed for cell in found.values())
        groups.setdefault(repr(values) if telling else name, []).append(name)
    merged = {}
    for names in groups.values():
        first, *others = sorted(names, key=lambda name: (len(name), name))
        if others:
            merged[first] = sorted(others)
    left_out = {name for others in merged.values() for name in others}
    return [cell for cell in cells if cell.detector not in left_out], merged
