"""Where detectors come from, what they have seen, and where and when they were run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from vetime_plugins.detectors import built_in_detectors
from vetime_plugins.leaderboard.report.board import Board
from vetime_plugins.leaderboard.report.entries import DASH, Entry, show_text
from vetime_plugins.leaderboard.results import Cell

__all__ = [
    "count_frameworks",
    "describe_run",
    "find_framework",
    "find_seen",
    "framework_of",
    "show_detector",
    "show_framework",
    "show_seen",
    "tells_seen",
]


_OWN = ("vetime-plugins", "weights")  # versions that are told apart from those of packages


def find_framework(cell: Cell) -> str:
    """Return the framework of a cell's detector; empty where neither the cell nor the registry knows it."""
    known = built_in_detectors().get(cell.detector.partition("(")[0])
    return cell.framework or (known.framework if known is not None else "")


def framework_of(board: Board, name: str) -> str:
    """Return the framework of one of a board's detectors; empty where no cell tells it."""
    return next((one for one in map(find_framework, board.of(name)) if one), "")


def count_frameworks(frameworks: Iterable[str]) -> list[tuple[str, int]]:
    """Return how many rows are of which framework: by name, unknown ones last."""
    found = Counter(frameworks)
    return sorted(found.items(), key=lambda item: (item[0] == "", item[0]))


def show_detector(board: Board, name: str, href: str = "") -> Entry:
    """Return the heading of a row about a detector, which a page can filter by its framework."""
    return Entry(name, name, href=href, of=name, framework=framework_of(board, name))


def show_framework(board: Board, name: str) -> Entry:
    """Return where a detector comes from, with a bar in the colour of its row."""
    found = framework_of(board, name)
    return Entry(found or DASH, found or None, kind="of")


def show_seen(cells: Sequence[Cell]) -> Entry:
    """Return what a detector has seen, to be unfolded: a telephone has nothing to hover with."""
    found = find_seen(cells)
    text = ", ".join(f"{how} on {len(names)}" for how, names in found.items())
    more = "; ".join(f"{how} on {', '.join(names)}" for how, names in found.items())
    if not text:
        return show_text("no", "unseen") if tells_seen(cells) else show_text("not told")
    return Entry(text, text, kind="seen", more=more)


def find_seen(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """Return the data sets of a detector's cells that its weights have seen or its rules were chosen on.

    By "trained" and "tuned", without those that hold none. What a built-in detector says today stands in for
    cells that were made before detectors said it, unless they are of weights of one's own.
    """
    found: dict[str, set[str]] = {"trained": set(), "tuned": set()}
    for cell in cells:
        for how, names in found.items():
            seen = _told(cell, f"{how}_on") or ()
            names |= {one for one in (cell.dataset, cell.task) if one in seen}
    return {how: sorted(names) for how, names in found.items() if names}


def tells_seen(cells: Sequence[Cell]) -> bool:
    """Return whether it is known of every cell what its detector was trained and tuned on."""
    return all(_told(cell, how) is not None for cell in cells for how in ("trained_on", "tuned_on"))


def _told(cell: Cell, name: str) -> Sequence[str] | None:
    told: Sequence[str] | None = getattr(cell, name)
    known = built_in_detectors().get(cell.detector.partition("(")[0])
    if told is not None or known is None:
        return told
    own = cell.parameters.get("weights", known.params.get("weights")) != known.params.get("weights")
    return None if own else getattr(known, name, None)


def describe_run(board: Board) -> list[tuple[str, str]]:
    """Return what a reader must know of a run before any figure: task, days, machines and versions."""
    cells = board.every_cell()
    days = sorted({cell.date for cell in cells if cell.date})
    packages = sorted({name for cell in cells for name in cell.versions} - set(_OWN))
    machines = sorted({_machine(cell.hardware) for cell in cells if cell.hardware})

    def but(field: str) -> str:
        """Name how many detectors have cells without a field that others have."""
        lacking = len({cell.detector for cell in cells if not getattr(cell, field)})
        return f"; not recorded of {lacking} detector{'s' * (lacking > 1)}" if lacking else ""

    facts = [
        ("Task", ", ".join(sorted({cell.task for cell in cells if cell.task}))),
        ("Run", (days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}") + but("date") if days else ""),
        ("Machine", _one_of(machines) + but("hardware") if machines else "not recorded"),
        ("Device", ", ".join(sorted({cell.device for cell in cells if cell.device}))),
        *((name, _versions(cells, name)) for name in _OWN),
        ("Packages", ", ".join(f"{name} {_versions(cells, name, ' or ')}" for name in packages)),
    ]
    return [(what, text) for what, text in facts if text]


def _one_of(machines: Sequence[str]) -> str:
    return machines[0] if len(machines) == 1 else f"{len(machines)} different ones"


def _machine(hardware: dict[str, Any]) -> str:
    parts = [hardware.get("cpu") or hardware.get("machine"), hardware.get("gpu")]
    cores, python = hardware.get("cores"), hardware.get("python")
    parts += [f"{cores} cores" if cores else None, f"Python {python}" if python else None]
    return ", ".join(str(part) for part in parts if part)


def _versions(cells: Sequence[Cell], name: str, between: str = ", ") -> str:
    return between.join(sorted({cell.versions[name] for cell in cells if name in cell.versions}))
